/* Eight registers of 16 rows x 64 bytes; one instruction multiplies two of them. Here X H'. */
#include "tiles_amx.h"

#include <string.h>

enum { PANEL = 1024, LONGEST = 65536, AHEAD = 512, MOST_TILES = 3 };

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

static void copy_bytes(const uint8_t *x, size_t rows, size_t stride, size_t count, panel *to)
{
    size_t blocks = (count + UM_TILE_PIXELS - 1) / UM_TILE_PIXELS * UM_TILE_PIXELS;
    for (size_t r = 0; r < UM_TILE_ROWS; r++) {
        size_t n = r < rows ? count : 0;
        if (n > 0) {
            memcpy(to->bytes[r], x + r * stride, n);
        }
        memset(to->bytes[r] + n, 0, blocks - n);
    }
}

/* ---- words as low and as high bytes ----------------------------------------------------------------------- */

static size_t whole_pixels(size_t m)
{
    return (m + UM_TILE_PIXELS - 1) / UM_TILE_PIXELS * UM_TILE_PIXELS;
}

static size_t room_of_group(size_t m)
{
    return UM_TILE_PIXELS + 2 * UM_TILE_ROWS * (whole_pixels(m) + UM_TILE_PIXELS);
}

/* Low or high bytes; returns whether there are high ones. */
static bool cut_words(const uint16_t *x, size_t rows, size_t m, bool high, uint8_t *to, size_t stride)
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const __m512i low = _mm512_set1_epi16(255);
    __m512i any = _mm512_setzero_si512();
    for (size_t r = 0; r < UM_TILE_ROWS; r++) {
        for (size_t j = 0; j < m; j += UM_TILE_PIXELS) {
            size_t n = r < rows ? min_size(UM_TILE_PIXELS, m - j) : 0;
            __mmask32 first = n >= 32 ? 0xffffffffU : (1U << n) - 1;
            __mmask32 second = n >= 64 ? 0xffffffffU : n > 32 ? (1U << (n - 32)) - 1 : 0;
            __m512i v0 = _mm512_maskz_loadu_epi16(first, x + r * m + j);
            __m512i v1 = _mm512_maskz_loadu_epi16(second, x + r * m + j + 32);
            any = _mm512_or_si512(any, _mm512_or_si512(v0, v1));
            v0 = high ? _mm512_srli_epi16(v0, 8) : _mm512_and_si512(v0, low);
            v1 = high ? _mm512_srli_epi16(v1, 8) : _mm512_and_si512(v1, low);
            _mm512_store_si512(to + r * stride + j,
                               _mm512_permutexvar_epi64(order, _mm512_packus_epi16(v0, v1)));
        }
    }
    any = _mm512_srli_epi16(any, 8);
    return _mm512_test_epi16_mask(any, any) != 0;
}

/* The first byte of the room of a group tells whether there are high bytes. */
static void cut_groups(const um_tile_batch *x, size_t m)
{
    size_t stride = whole_pixels(m) + UM_TILE_PIXELS;
    for (size_t g = 0; g < x->count; g++) {
        uint8_t *room = x->room + g * room_of_group(m);
        uint8_t *low = room + UM_TILE_PIXELS;
        room[0] = cut_words(x->x[g], x->rows[g], m, false, low, stride);
        if (room[0] != 0) {
            cut_words(x->x[g], x->rows[g], m, true, low + UM_TILE_ROWS * stride, stride);
        }
    }
}

bytes um_tiles_amx_bytes(const um_tile_batch *x, um_dtype dtype, size_t m)
{
    bytes b = {.count = x->count, .stride = m, .m = m};
    for (size_t g = 0; g < x->count; g++) {
        b.rows[g] = x->rows[g];
        b.low[g] = x->x[g];
    }
    if (dtype == UM_U16) {
        b.m = whole_pixels(m);
        b.stride = b.m + UM_TILE_PIXELS;
        for (size_t g = 0; g < x->count; g++) {
            const uint8_t *room = x->room + g * room_of_group(m);
            b.rows[g] = UM_TILE_ROWS;
            b.low[g] = room + UM_TILE_PIXELS;
            b.high[g] = room[0] != 0 ? b.low[g] + UM_TILE_ROWS * b.stride : NULL;
        }
    }
    return b;
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

/* Pixels of a group; where they lie as tiles want them, they are not copied. */
static void project_panel(const uint8_t *x, size_t rows, size_t stride, size_t count, const int8_t *h,
                          size_t columns, int32_t *sums)
{
    panel part;
    size_t blocks = (count + UM_TILE_PIXELS - 1) / UM_TILE_PIXELS;
    if (rows == UM_TILE_ROWS && count % UM_TILE_PIXELS == 0) {
        project_blocks(x, stride, blocks, h, columns, true, sums);
        return;
    }
    copy_bytes(x, rows, stride, count, &part);
    project_blocks(part.bytes[0], sizeof part.bytes[0], blocks, h, columns, false, sums);
}

static void project(const um_tile_batch *batch, um_dtype dtype, size_t m, const int8_t *h, size_t k,
                    int planes, int32_t *sums, double *a)
{
    const uint8_t rows[8] = {16, 16, 16, 16, 16, 16, 16, 16};
    const bytes x = um_tiles_amx_bytes(batch, dtype, m);
    size_t columns = um_tile_columns(k, planes);
    size_t group = UM_TILE_ROWS * columns * UM_TILE_SIDE;
    size_t most = x.count == 1 && x.rows[0] == UM_TILE_ROWS && columns <= MOST_TILES ? LONGEST : PANEL;
    memset(a, 0, x.count * UM_TILE_ROWS * k * sizeof *a);
    memset(sums, 0, x.count * 2 * group * sizeof *sums);
    configure(rows);
    size_t since = 0; /* pixels in the sums: of more than LONGEST they might overflow */
    for (size_t j = 0, count = 0; j < x.m; j += count, since += count) {
        count = min_size(most, x.m - j);
        count = count > UM_TILE_PIXELS ? count / UM_TILE_PIXELS * UM_TILE_PIXELS : count;
        if (since + count > LONGEST) {
            fold_all(batch, k, planes, columns, sums, a);
            since = 0;
        }
        const int8_t *hj = h + j / UM_TILE_PIXELS * columns * UM_TILE_BYTES;
        for (size_t g = 0; g < x.count; g++) {
            project_panel(x.low[g] + j, x.rows[g], x.stride, count, hj, columns, sums + 2 * g * group);
            if (x.high[g] != NULL) {
                project_panel(x.high[g] + j, x.rows[g], x.stride, count, hj, columns,
                              sums + (2 * g + 1) * group);
            }
        }
    }
    RELEASE();
    fold_all(batch, k, planes, columns, sums, a);
}

static void project_u8(const um_tile_batch *x, size_t m, const int8_t *h, size_t k, int planes, int32_t *sums,
                       double *a)
{
    project(x, UM_U8, m, h, k, planes, sums, a);
}

static void project_u16(const um_tile_batch *x, size_t m, const int8_t *h, size_t k, int planes, int32_t *sums,
                        double *a)
{
    cut_groups(x, m);
    project(x, UM_U16, m, h, k, planes, sums, a);
}

const um_tile_kernels um_tiles_amx = {
    .project = {[UM_U8] = project_u8, [UM_U16] = project_u16},
    .accumulate = {[UM_U8] = um_tiles_amx_accumulate_u8, [UM_U16] = um_tiles_amx_accumulate_u16},
};
