/* um_source_digest: which bytes a result was made from. */
#include "io_internal.h"
#include "sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const int64_t WHOLE = (int64_t)64 << 20;
static const int64_t ENDS = (int64_t)4 << 20;
static const int64_t BLOCK = (int64_t)64 << 10;
enum { BLOCKS = 64 };

typedef struct digest {
    um_context *ctx;
    const char *path;
    int fd;
    unsigned char *buffer; /* BLOCK bytes */
    um_sha256 sha;
} digest;

static um_status add_range(digest *d, int64_t offset, int64_t count)
{
    while (count > 0) {
        int64_t n = count < BLOCK ? count : BLOCK;
        UM_TRY(um_check_cancel(d->ctx));
        UM_TRY(um_pread_all(d->ctx, d->path, d->fd, d->buffer, (size_t)n, offset));
        um_sha256_add(&d->sha, d->buffer, (size_t)n);
        offset += n;
        count -= n;
    }
    return UM_OK;
}

/* The size as 8 little-endian bytes, first 4 MiB, 64 blocks spread evenly, last 4 MiB. */
static um_status add_sample(digest *d, int64_t size)
{
    unsigned char text[8];
    for (int i = 0; i < 8; i++) {
        text[i] = (unsigned char)(size >> (8 * i));
    }
    um_sha256_add(&d->sha, text, sizeof text);
    UM_TRY(add_range(d, 0, ENDS));
    int64_t step = (size - 2 * ENDS - BLOCK) / (BLOCKS - 1);
    for (int i = 0; i < BLOCKS; i++) {
        UM_TRY(add_range(d, ENDS + i * step, BLOCK));
    }
    return add_range(d, size - ENDS, ENDS);
}

static um_status digest_file(digest *d, char hex[65])
{
    struct stat status;
    if (fstat(d->fd, &status) != 0) {
        return um_fail(d->ctx, UM_ERROR_IO, "%s: cannot be read: %s", d->path, strerror(errno));
    }
    um_sha256_begin(&d->sha);
    if (status.st_size <= WHOLE) {
        UM_TRY(add_range(d, 0, status.st_size));
    } else {
        UM_TRY(add_sample(d, status.st_size));
    }
    um_sha256_end(&d->sha, hex);
    return UM_OK;
}

/* The digests of the parts, one after another as text. */
static um_status digest_parts(um_source *source, char hex[65])
{
    um_sha256 sha;
    um_sha256_begin(&sha);
    um_source *part = NULL;
    for (int i = 0; (part = source->ops->part(source, i)) != NULL; i++) {
        char own[65];
        UM_TRY(um_source_digest(part, own));
        um_sha256_add(&sha, own, 64);
    }
    um_sha256_end(&sha, hex);
    return UM_OK;
}

um_status um_source_digest(um_source *source, char hex[65])
{
    digest d = {.ctx = source->ctx, .path = source->path};
    hex[0] = '\0';
    if (source->ops->part != NULL) {
        return digest_parts(source, hex);
    }
    d.fd = open(d.path, O_RDONLY | O_CLOEXEC);
    if (d.fd < 0) {
        return um_fail(d.ctx, UM_ERROR_IO, "%s: cannot be opened: %s", d.path, strerror(errno));
    }
    d.buffer = malloc((size_t)BLOCK);
    um_status status = d.buffer != NULL
                           ? digest_file(&d, hex)
                           : um_fail(d.ctx, UM_ERROR_MEMORY, "%s: no memory to read it", d.path);
    free(d.buffer);
    close(d.fd);
    return status;
}
