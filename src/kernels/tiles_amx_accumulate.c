/* W'X in tiles: counts become bf16 in pairs of patterns between the multiplications of those before. */
#include "kernels.h"
#include "tiles_amx.h"

#include <string.h>

enum { NEXT = 128, BLOCKS = 4, PAIRS = 16 };

/* 64 pixels of a group as bf16: of each 16 pixels a tile, its rows pairs of patterns. */
typedef struct block {
    uint16_t pairs[BLOCKS][PAIRS][32];
} block;

/* Where 64 pixels of a group are; copied when there are fewer, or not all rows. */
typedef struct spot {
    const uint8_t *x;
    size_t stride;
} spot;

INLINE __m512 counts(const uint8_t *x, bool high)
{
    __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)x));
    return _mm512_cvtepi32_ps(high ? _mm512_slli_epi32(v, 8) : v);
}

/* Rows 2q and 2q+1 of a block. The upper halves of f32 are bf16, exactly so of a byte and of 256 times one. */
INLINE void convert(spot from, bool high, size_t q, block *to)
{
    const uint8_t *x0 = from.x + 2 * q * from.stride;
    const uint8_t *x1 = x0 + from.stride;
    __builtin_prefetch(x0 + NEXT, 0, 3);
    __builtin_prefetch(x1 + NEXT, 0, 3);
#pragma GCC unroll 4
    for (int v = 0; v < BLOCKS; v++) {
        __m512i low = _mm512_srli_epi32(_mm512_castps_si512(counts(x0 + v * 16, high)), 16);
        __m512i upper = _mm512_castps_si512(counts(x1 + v * 16, high));
        _mm512_store_si512(to->pairs[v][q], _mm512_mask_blend_epi16(0xaaaaaaaaU, low, upper));
    }
}

/* Adds a block to `side` components of b, `apart` floats from 16 pixels to the next. Between multiplications the next
 * block is converted, where `next` is one. */
INLINE void add_block(const block *x, const uint16_t *w, int parts, float *b, size_t apart, int count,
                      bool more, spot next, block *to)
{
    size_t q = 0;
#define BETWEEN(rows)                                                                              \
    for (size_t last = q + (rows); more && q < last; q++) {                                        \
        convert(next, false, q, to);                                                        \
    }
    const int tile = UM_TILE_SIDE * UM_TILE_ROWS;
    for (int v = 0; v < BLOCKS; v += 2) {
        bool add = v < count;
        float *b0 = b + (size_t)v * apart;
        if (add) {
            LOAD(0, b0, 64);
            LOAD(4, w, 64);
            LOAD(6, x->pairs[v], 64);
            MULTIPLY(0, 4, 6);
        }
        BETWEEN(2)
        if (add) {
            LOAD(1, b0 + apart, 64);
            LOAD(7, x->pairs[v + 1], 64);
            MULTIPLY(1, 4, 7);
        }
        BETWEEN(2)
        if (add) {
            LOAD(5, w + tile, 64);
            MULTIPLY(0, 5, 6);
        }
        BETWEEN(1)
        if (add) {
            MULTIPLY(1, 5, 7);
        }
        BETWEEN(1)
        if (add && parts > 2) {
            LOAD(4, w + 2 * tile, 64);
            MULTIPLY(0, 4, 6);
        }
        BETWEEN(1)
        if (add && parts > 2) {
            MULTIPLY(1, 4, 7);
        }
        BETWEEN(1)
        if (add) {
            STORE(0, b0, 64);
            STORE(1, b0 + apart, 64);
        }
    }
#undef BETWEEN
}

static spot place(const bytes *x, const uint8_t *group, size_t rows, size_t j, uint8_t *room)
{
    size_t count = min_size(UM_TILE_PIXELS, x->m - j);
    if (count == UM_TILE_PIXELS && rows == UM_TILE_ROWS) {
        return (spot){group + j, x->stride};
    }
    memset(room, 0, UM_TILE_ROWS * UM_TILE_PIXELS);
    for (size_t r = 0; r < rows; r++) {
        memcpy(room + r * UM_TILE_PIXELS, group + j + r * x->stride, count);
    }
    return (spot){room, UM_TILE_PIXELS};
}

/* One block of one group to all components. */
INLINE void add_components(const block *x, const uint16_t *w, size_t k, int parts, float *b, int count,
                           bool more, spot next, block *to)
{
    size_t shares = (k + UM_TILE_SIDE - 1) / UM_TILE_SIDE;
    size_t side = (k + shares - 1) / shares;
    for (size_t s = 0; s < shares; s++) {
        const uint16_t *ws = w + s * UM_TILE_PARTS * UM_TILE_SIDE * UM_TILE_ROWS;
        float *bs = b + min_size(s * side, k - side) * UM_KERNEL_PACK; /* the last may reach back */
        if (s + 1 < shares) {
            add_block(x, ws, parts, bs, k * UM_KERNEL_PACK, count, false, next, to);
        } else {
            add_block(x, ws, parts, bs, k * UM_KERNEL_PACK, count, more, next, to);
        }
    }
}

static void accumulate(const um_tile_batch *batch, um_dtype dtype, size_t m, const uint16_t *w, size_t k,
                       int parts, float *b)
{
    size_t shares = (k + UM_TILE_SIDE - 1) / UM_TILE_SIDE;
    uint8_t side = (uint8_t)((k + shares - 1) / shares);
    const uint8_t rows[8] = {side, side, side, side, side, side, 16, 16};
    const bytes x = um_tiles_amx_bytes(batch, dtype, m);
    _Alignas(64) block blocks[3];
    uint8_t room[2][UM_TILE_ROWS * UM_TILE_PIXELS];
    configure(rows);
    spot next = place(&x, x.low[0], x.rows[0], 0, room[0]);
    for (size_t q = 0; q < PAIRS; q++) {
        convert(next, false, q, &blocks[0]);
    }
    size_t n = 0;
    for (size_t j = 0; j < m; j += UM_TILE_PIXELS) {
        float *to = b + um_kernel_packed(k, 0, j);
        int count = (int)min_size(BLOCKS, (um_kernel_stride(m) - j) / UM_KERNEL_PACK);
        for (size_t g = 0; g < x.count; g++, n++) {
            const uint16_t *wg = w + g * um_tile_w_size(k);
            size_t next_g = g + 1 < x.count ? g + 1 : 0;
            size_t next_j = next_g > 0 ? j : j + UM_TILE_PIXELS;
            bool more = next_j < m;
            if (more) {
                next = place(&x, x.low[next_g], x.rows[next_g], next_j, room[n % 2]);
            }
            add_components(&blocks[n % 2], wg, k, parts, to, count, more, next, &blocks[(n + 1) % 2]);
            if (x.high[g] != NULL) { /* whole: of words */
                spot high = {x.high[g] + j, x.stride};
                for (size_t q = 0; q < PAIRS; q++) {
                    convert(high, true, q, &blocks[2]);
                }
                add_components(&blocks[2], wg, k, parts, to, count, false, high, &blocks[2]);
            }
        }
    }
    RELEASE();
}

void um_tiles_amx_accumulate_u8(const um_tile_batch *x, size_t m, const uint16_t *w, size_t k, int parts, float *b)
{
    accumulate(x, UM_U8, m, w, k, parts, b);
}

void um_tiles_amx_accumulate_u16(const um_tile_batch *x, size_t m, const uint16_t *w, size_t k, int parts, float *b)
{
    accumulate(x, UM_U16, m, w, k, parts, b);
}
