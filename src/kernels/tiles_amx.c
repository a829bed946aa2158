/* Eight registers of 16 rows x 64 bytes; one instruction multiplies two of them. */
#include "kernels.h"
#include "tiles_variants.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { PANEL = 1024, LONGEST = 65536, AHEAD = 512, NEXT = 128, MOST_TILES = 3, BLOCKS = 4, PAIRS = 16 };

/* ---- instructions: compilers may not move loads and stores across them -------------------------------- */

typedef struct tile_shape {
    uint8_t palette, start, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tile_shape;

static void configure(const uint8_t rows[8])
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

/* ---- project -------------------------------------------------------------------------------------------- */

/* Adds the sums of a group over `blocks` x 64 pixels for n tiles of columns, n a constant where this is inlined. */
INLINE void project_tiles(const uint8_t *x, size_t stride, size_t blocks, const int8_t *h, size_t columns,
                          const size_t n, bool bring, int32_t *sums)
{
    size_t row = columns * UM_TILE_SIDE * sizeof *sums;
    int32_t *lower = sums + UM_TILE_SIDE * columns * UM_TILE_SIDE;
    size_t next = columns * UM_TILE_BYTES;
#define EACH(does)                                                                                 \
    does(0, 3, 0);                                                                                 \
    if (n > 1) {                                                                                   \
        does(1, 4, 1);                                                                             \
    }                                                                                              \
    if (n > 2) {                                                                                   \
        does(2, 5, 2);                                                                             \
    }
#define TAKE(upper_tile, lower_tile, i)                                                            \
    LOAD(upper_tile, sums + i * UM_TILE_SIDE, row);                                                \
    LOAD(lower_tile, lower + i * UM_TILE_SIDE, row)
#define UPPER(upper_tile, lower_tile, i)                                                           \
    LOAD(7, h + i * UM_TILE_BYTES, 64);                                                            \
    MULTIPLY_BYTES(upper_tile, 6, 7)
#define LOWER(upper_tile, lower_tile, i)                                                           \
    LOAD(7, h + i * UM_TILE_BYTES, 64);                                                            \
    MULTIPLY_BYTES(lower_tile, 6, 7)
#define GIVE(upper_tile, lower_tile, i)                                                            \
    STORE(upper_tile, sums + i * UM_TILE_SIDE, row);                                               \
    STORE(lower_tile, lower + i * UM_TILE_SIDE, row)
    EACH(TAKE)
    for (size_t j = 0; j < blocks; j++, x += UM_TILE_PIXELS, h += next) {
        LOAD(6, x, stride);
        for (size_t r = 0; bring && r < UM_TILE_ROWS; r++) {
            __builtin_prefetch(x + r * stride + AHEAD, 0, 3);
        }
        EACH(UPPER)
        LOAD(6, x + UM_TILE_SIDE * stride, stride);
        for (size_t i = 0; i < n * UM_TILE_BYTES; i += 64) {
            __builtin_prefetch(h + 2 * next + i, 0, 3);
        }
        EACH(LOWER)
    }
    EACH(GIVE)
#undef EACH
#undef TAKE
#undef UPPER
#undef LOWER
#undef GIVE
}

static void project_blocks(const uint8_t *x, size_t stride, size_t blocks, const int8_t *h, size_t columns,
                           bool bring, int32_t *sums)
{
    size_t n = 0;
    for (size_t t = 0; t < columns; t += n) {
        n = even_share(columns - t, MOST_TILES);
        const int8_t *ht = h + t * UM_TILE_BYTES;
        int32_t *to = sums + t * UM_TILE_SIDE;
        switch (n) {
        case 1:
            project_tiles(x, stride, blocks, ht, columns, 1, bring && t == 0, to);
            break;
        case 2:
            project_tiles(x, stride, blocks, ht, columns, 2, bring && t == 0, to);
            break;
        default:
            project_tiles(x, stride, blocks, ht, columns, 3, bring && t == 0, to);
            break;
        }
    }
}

/* The bytes of at most PANEL pixels of a group, with zeros where it has no more rows or pixels. */
typedef struct panel {
    uint8_t bytes[UM_TILE_ROWS][PANEL + 64]; /* rows that do not lie a page apart */
} panel;

static void copy_bytes(const uint8_t *x, size_t rows, size_t m, size_t count, panel *to)
{
    size_t blocks = (count + UM_TILE_PIXELS - 1) / UM_TILE_PIXELS * UM_TILE_PIXELS;
    for (size_t r = 0; r < UM_TILE_ROWS; r++) {
        size_t n = r < rows ? count : 0;
        memcpy(to->bytes[r], x + r * m, n);
        memset(to->bytes[r] + n, 0, blocks - n);
    }
}

/* Low or high bytes; returns whether there are high ones. */
static bool cut_words(const uint16_t *x, size_t rows, size_t m, size_t count, bool high, panel *to)
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const __m512i low = _mm512_set1_epi16(255);
    __m512i any = _mm512_setzero_si512();
    for (size_t r = 0; r < UM_TILE_ROWS; r++) {
        const uint16_t *from = x + r * m;
        for (size_t j = 0; j < count; j += UM_TILE_PIXELS) {
            size_t n = r < rows ? min_size(UM_TILE_PIXELS, count - j) : 0;
            __mmask32 first = n >= 32 ? 0xffffffffU : (1U << n) - 1;
            __mmask32 second = n >= 64 ? 0xffffffffU : n > 32 ? (1U << (n - 32)) - 1 : 0;
            __m512i v0 = _mm512_maskz_loadu_epi16(first, from + j);
            __m512i v1 = _mm512_maskz_loadu_epi16(second, from + j + 32);
            any = _mm512_or_si512(any, _mm512_or_si512(v0, v1));
            v0 = high ? _mm512_srli_epi16(v0, 8) : _mm512_and_si512(v0, low);
            v1 = high ? _mm512_srli_epi16(v1, 8) : _mm512_and_si512(v1, low);
            __m512i bytes = _mm512_permutexvar_epi64(order, _mm512_packus_epi16(v0, v1));
            _mm512_storeu_si512(to->bytes[r] + j, bytes);
            __builtin_prefetch(from + j + PANEL, 0, 2);
        }
    }
    any = _mm512_srli_epi16(any, 8);
    return _mm512_test_epi16_mask(any, any) != 0;
}

/* Takes exact sums over to a, in f64, and clears them. */
static void fold(size_t rows, size_t k, int planes, size_t columns, double unit, int32_t *sums, double *a)
{
    for (size_t r = 0; r < rows; r++) {
        const int32_t *s = sums + r * columns * UM_TILE_SIDE;
        for (size_t c = 0; c < k; c++, s += planes) {
            int64_t value = 0;
            for (int p = planes - 1; p >= 0; p--) {
                value = value * 256 + s[p];
            }
            a[r * k + c] += unit * (double)value;
        }
    }
    memset(sums, 0, UM_TILE_ROWS * columns * UM_TILE_SIDE * sizeof *sums);
}

static void fold_all(const um_tile_batch *x, size_t k, int planes, size_t columns, int32_t *sums, double *a)
{
    size_t group = UM_TILE_ROWS * columns * UM_TILE_SIDE;
    for (size_t g = 0; g < x->count; g++) {
        double *to = a + g * UM_TILE_ROWS * k;
        fold(x->rows[g], k, planes, columns, 1, sums + 2 * g * group, to);
        fold(x->rows[g], k, planes, columns, 256, sums + (2 * g + 1) * group, to);
    }
}

/* Pixels j .. j + count of a group; where they lie as tiles want them, they are not copied. */
INLINE void project_panel(const void *data, um_dtype dtype, size_t rows, size_t m, size_t j, size_t count,
                          const int8_t *h, size_t columns, int32_t *sums)
{
    panel part;
    size_t blocks = (count + UM_TILE_PIXELS - 1) / UM_TILE_PIXELS;
    const int8_t *hj = h + j / UM_TILE_PIXELS * columns * UM_TILE_BYTES;
    if (dtype == UM_U16) {
        const uint16_t *x = (const uint16_t *)data + j;
        bool high = cut_words(x, rows, m, count, false, &part);
        project_blocks(part.bytes[0], sizeof part.bytes[0], blocks, hj, columns, false, sums);
        if (high) {
            cut_words(x, rows, m, count, true, &part);
            project_blocks(part.bytes[0], sizeof part.bytes[0], blocks, hj, columns, false,
                           sums + UM_TILE_ROWS * columns * UM_TILE_SIDE);
        }
        return;
    }
    const uint8_t *x = (const uint8_t *)data + j;
    if (rows == UM_TILE_ROWS && count % UM_TILE_PIXELS == 0) {
        project_blocks(x, m, blocks, hj, columns, true, sums);
        return;
    }
    copy_bytes(x, rows, m, count, &part);
    project_blocks(part.bytes[0], sizeof part.bytes[0], blocks, hj, columns, false, sums);
}

INLINE void project(const um_tile_batch *x, um_dtype dtype, size_t m, const int8_t *h, size_t k, int planes,
                    int32_t *sums, double *a)
{
    const uint8_t rows[8] = {16, 16, 16, 16, 16, 16, 16, 16};
    size_t columns = um_tile_columns(k, planes);
    size_t most = x->count == 1 && x->rows[0] == UM_TILE_ROWS && dtype == UM_U8 && columns <= MOST_TILES
                      ? LONGEST
                      : PANEL;
    memset(a, 0, x->count * UM_TILE_ROWS * k * sizeof *a);
    memset(sums, 0, x->count * 2 * UM_TILE_ROWS * columns * UM_TILE_SIDE * sizeof *sums);
    configure(rows);
    size_t since = 0; /* pixels in the sums: of more than LONGEST they might overflow */
    for (size_t j = 0; j < m;) {
        size_t count = min_size(most, m - j);
        count = count > UM_TILE_PIXELS ? count / UM_TILE_PIXELS * UM_TILE_PIXELS : count;
        if (since + count > LONGEST) {
            fold_all(x, k, planes, columns, sums, a);
            since = 0;
        }
        for (size_t g = 0; g < x->count; g++) {
            project_panel(x->x[g], dtype, x->rows[g], m, j, count, h, columns,
                          sums + g * 2 * UM_TILE_ROWS * columns * UM_TILE_SIDE);
        }
        since += count;
        j += count;
    }
    RELEASE();
    fold_all(x, k, planes, columns, sums, a);
}

static void project_u8(const um_tile_batch *x, size_t m, const int8_t *h, size_t k, int planes, int32_t *sums,
                       double *a)
{
    project(x, UM_U8, m, h, k, planes, sums, a);
}

static void project_u16(const um_tile_batch *x, size_t m, const int8_t *h, size_t k, int planes, int32_t *sums,
                        double *a)
{
    project(x, UM_U16, m, h, k, planes, sums, a);
}

/* ---- accumulate ---------------------------------------------------------------------------------------- */

/* 64 pixels of a group as bf16: of each 16 pixels a tile, its rows pairs of patterns. */
typedef struct block {
    uint16_t pairs[BLOCKS][PAIRS][32];
} block;

/* Where 64 pixels of a group are; copied when there are fewer, or not all rows. */
typedef struct spot {
    const char *x;
    size_t stride; /* bytes */
} spot;

INLINE __m512i counts(const char *x, um_dtype dtype, bool high)
{
    if (dtype == UM_U8) {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)x));
    }
    __m512i v = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)x));
    return _mm512_and_si512(v, _mm512_set1_epi32(high ? 0xff00 : 0xff));
}

/* Rows 2q and 2q+1 of a block. The upper halves of f32 are bf16, exactly so of a byte. */
INLINE void convert(spot from, um_dtype dtype, bool high, size_t q, block *to)
{
    const char *x0 = from.x + 2 * q * from.stride;
    const char *x1 = x0 + from.stride;
    const int size = dtype == UM_U8 ? 1 : 2;
    for (int i = 0; i < size; i++) {
        __builtin_prefetch(x0 + NEXT * size + i * 64, 0, 3);
        __builtin_prefetch(x1 + NEXT * size + i * 64, 0, 3);
    }
#pragma GCC unroll 4
    for (int v = 0; v < BLOCKS; v++) {
        __m512 f0 = _mm512_cvtepi32_ps(counts(x0 + v * 16 * size, dtype, high));
        __m512 f1 = _mm512_cvtepi32_ps(counts(x1 + v * 16 * size, dtype, high));
        __m512i low = _mm512_srli_epi32(_mm512_castps_si512(f0), 16);
        _mm512_store_si512(to->pairs[v][q],
                           _mm512_mask_blend_epi16(0xaaaaaaaaU, low, _mm512_castps_si512(f1)));
    }
}

/* Adds a block to `side` components of b, `apart` floats from 16 pixels to the next. Between multiplications the next
 * block is converted, where `next` is one. */
INLINE void add_block(const block *x, const uint16_t *w, int parts, float *b, size_t apart, int count,
                      bool more, spot next, um_dtype dtype, block *to)
{
    size_t q = 0;
#define BETWEEN(rows)                                                                              \
    for (size_t last = q + (rows); more && q < last; q++) {                                        \
        convert(next, dtype, false, q, to);                                                        \
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

static spot place(const um_tile_batch *x, size_t g, size_t size, size_t m, size_t j, char *room)
{
    size_t count = min_size(UM_TILE_PIXELS, m - j);
    const char *from = (const char *)x->x[g] + j * size;
    if (count == UM_TILE_PIXELS && x->rows[g] == UM_TILE_ROWS) {
        return (spot){from, m * size};
    }
    memset(room, 0, UM_TILE_ROWS * UM_TILE_PIXELS * size);
    for (size_t r = 0; r < x->rows[g]; r++) {
        memcpy(room + r * UM_TILE_PIXELS * size, from + r * m * size, count * size);
    }
    return (spot){room, UM_TILE_PIXELS * size};
}

INLINE bool any_high(spot from)
{
    __m512i any = _mm512_setzero_si512();
    for (size_t r = 0; r < UM_TILE_ROWS; r++) {
        any = _mm512_or_si512(any, _mm512_loadu_si512(from.x + r * from.stride));
        any = _mm512_or_si512(any, _mm512_loadu_si512(from.x + r * from.stride + 64));
    }
    any = _mm512_srli_epi16(any, 8);
    return _mm512_test_epi16_mask(any, any) != 0;
}

/* One block of one group to all components. */
INLINE void add_components(const block *x, const uint16_t *w, size_t k, int parts, float *b, int count,
                           bool more, spot next, um_dtype dtype, block *to)
{
    size_t shares = (k + UM_TILE_SIDE - 1) / UM_TILE_SIDE;
    size_t side = (k + shares - 1) / shares;
    for (size_t s = 0; s < shares; s++) {
        const uint16_t *ws = w + s * UM_TILE_PARTS * UM_TILE_SIDE * UM_TILE_ROWS;
        float *bs = b + min_size(s * side, k - side) * UM_KERNEL_PACK; /* the last may reach back */
        if (s + 1 < shares) {
            add_block(x, ws, parts, bs, k * UM_KERNEL_PACK, count, false, next, dtype, to);
        } else {
            add_block(x, ws, parts, bs, k * UM_KERNEL_PACK, count, more, next, dtype, to);
        }
    }
}

INLINE void accumulate(const um_tile_batch *x, um_dtype dtype, size_t m, const uint16_t *w, size_t k, int parts,
                       float *b)
{
    size_t shares = (k + UM_TILE_SIDE - 1) / UM_TILE_SIDE;
    uint8_t side = (uint8_t)((k + shares - 1) / shares);
    const uint8_t rows[8] = {side, side, side, side, side, side, 16, 16};
    const size_t size = dtype == UM_U8 ? 1 : 2;
    _Alignas(64) block blocks[3];
    char room[2][UM_TILE_ROWS * UM_TILE_PIXELS * 2];
    configure(rows);
    spot here = place(x, 0, size, m, 0, room[0]);
    for (size_t q = 0; q < PAIRS; q++) {
        convert(here, dtype, false, q, &blocks[0]);
    }
    size_t n = 0;
    for (size_t j = 0; j < m; j += UM_TILE_PIXELS) {
        float *to = b + um_kernel_packed(k, 0, j);
        int count = (int)min_size(BLOCKS, (um_kernel_stride(m) - j) / UM_KERNEL_PACK);
        for (size_t g = 0; g < x->count; g++, n++) {
            const uint16_t *wg = w + g * um_tile_w_size(k);
            bool same = g + 1 < x->count;
            size_t next_j = same ? j : j + UM_TILE_PIXELS;
            bool more = next_j < m;
            spot next = more ? place(x, same ? g + 1 : 0, size, m, next_j, room[(n + 1) % 2]) : here;
            add_components(&blocks[n % 2], wg, k, parts, to, count, more, next, dtype,
                           &blocks[(n + 1) % 2]);
            if (dtype == UM_U16 && any_high(here)) {
                for (size_t q = 0; q < PAIRS; q++) {
                    convert(here, dtype, true, q, &blocks[2]);
                }
                add_components(&blocks[2], wg, k, parts, to, count, false, here, dtype, &blocks[2]);
            }
            here = next;
        }
    }
    RELEASE();
}

static void accumulate_u8(const um_tile_batch *x, size_t m, const uint16_t *w, size_t k, int parts, float *b)
{
    accumulate(x, UM_U8, m, w, k, parts, b);
}

static void accumulate_u16(const um_tile_batch *x, size_t m, const uint16_t *w, size_t k, int parts, float *b)
{
    accumulate(x, UM_U16, m, w, k, parts, b);
}

const um_tile_kernels um_tiles_amx = {
    .project = {[UM_U8] = project_u8, [UM_U16] = project_u16},
    .accumulate = {[UM_U8] = accumulate_u8, [UM_U16] = accumulate_u16},
};
