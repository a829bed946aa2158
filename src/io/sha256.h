/* SHA-256 (FIPS 180-4). */
#ifndef UM_SHA256_H
#define UM_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct um_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    unsigned char block[64];
} um_sha256;

void um_sha256_begin(um_sha256 *sha);
void um_sha256_add(um_sha256 *sha, const void *bytes, size_t count);
/* 64 lower-case hex digits and a NUL. */
void um_sha256_end(um_sha256 *sha, char hex[65]);

#endif
