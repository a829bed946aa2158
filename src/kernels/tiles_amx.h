/* What the two halves of the AMX variant share: the instructions, and counts as bytes. */
#ifndef UM_TILES_AMX_H
#define UM_TILES_AMX_H

#include "tiles_variants.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* ---- instructions: compilers may not move loads and stores across them -------------------------------- */

typedef struct tile_shape {
    uint8_t palette, start, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_shape;

static inline void configure(const uint8_t rows[8])
{
    tile_shape shape = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        shape.rows[i] = rows[i];
        shape.bytes[i] = 64;
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(shape));
}

#define RELEASE() __asm__ volatile("tilerelease" : : : "memory")
#define LOAD(t, p, stride)                                                                         \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(p), "r"((size_t)(stride)) : "memory")
#define STORE(t, p, stride)                                                                        \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(p), "r"((size_t)(stride)) : "memory")
/* c += a b: counts by signed bytes, four of each in a sum; pairs of bf16. */
#define MULTIPLY_BYTES(c, a, b) __asm__ volatile("tdpbusd %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)
#define MULTIPLY(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c : :)

INLINE size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

INLINE size_t even_share(size_t left, size_t most)
{
    size_t shares = (left + most - 1) / most;
    return (left + shares - 1) / shares;
}

/* What is multiplied: of words a copy of their low and, where there are any, of their high bytes, with zeros up to
 * whole tiles. */
typedef struct bytes {
    size_t count, rows[UM_TILE_BATCH];
    const uint8_t *low[UM_TILE_BATCH], *high[UM_TILE_BATCH];
    size_t stride, m;
} bytes;

bytes um_tiles_amx_bytes(const um_tile_batch *x, um_dtype dtype, size_t m);
void um_tiles_amx_accumulate_u8(const um_tile_batch *x, size_t m, const uint16_t *w, size_t k, int parts, float *b);
void um_tiles_amx_accumulate_u16(const um_tile_batch *x, size_t m, const uint16_t *w, size_t k, int parts,
                                 float *b);

#endif
