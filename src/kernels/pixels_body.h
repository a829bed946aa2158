/* Included once per instruction set with VARIANT (name of the table) defined. Plain loops that the compiler
 * turns into vectors: integers are kept as narrow as their sums allow, and four patterns are taken at once so
 * that sums over patterns go to memory a quarter as often. */
#include "filters_body.h"
#include "lists_body.h"
#include "random_body.h"

enum { BLOCK = 1024, LANES = 8 }; /* pixels at once: their sums stay in the first cache */

/* ---- integers ------------------------------------------------------------------------------- */

#define DEFINE_MAX(T)                                                                              \
    INLINE void max_##T(const T *restrict a, const T *restrict b, const T *restrict c,             \
                        const T *restrict d, size_t n, T *restrict max)                            \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            T p = a[i] > b[i] ? a[i] : b[i];                                                       \
            T q = c[i] > d[i] ? c[i] : d[i];                                                       \
            p = p > q ? p : q;                                                                     \
            max[i] = max[i] > p ? max[i] : p;                                                      \
        }                                                                                          \
    }                                                                                              \
    INLINE T least_##T(const T *restrict x, const T *restrict keep, size_t n, T least)             \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            T v = (T)(x[i] | (T)~keep[i]);                                                         \
            least = least < v ? least : v;                                                         \
        }                                                                                          \
        return least;                                                                              \
    }                                                                                              \
    INLINE uint32_t total_##T(const T *restrict x, const T *restrict keep, size_t n)               \
    {                                                                                              \
        uint32_t total = 0;                                                                        \
        for (size_t i = 0; i < n; i++) {                                                           \
            total += (T)(x[i] & keep[i]);                                                          \
        }                                                                                          \
        return total;                                                                              \
    }
DEFINE_MAX(uint8_t)
DEFINE_MAX(uint16_t)

INLINE uint16_t low_square(uint16_t v)
{
    return (uint16_t)((uint32_t)v * v);
}

INLINE uint16_t high_square(uint16_t v)
{
    return (uint16_t)(((uint32_t)v * v) >> 16);
}

/* Four patterns, or one with three of zeros: the sums of n pixels. */
INLINE void add_u8(const uint8_t *restrict a, const uint8_t *restrict b, const uint8_t *restrict c,
                   const uint8_t *restrict d, size_t n, uint32_t *restrict sum,
                   uint32_t *restrict low)
{
    for (size_t i = 0; i < n; i++) {
        sum[i] += (uint16_t)(a[i] + b[i] + c[i] + d[i]);
    }
    for (size_t i = 0; i < n; i++) {
        low[i] += (uint32_t)low_square(a[i]) + low_square(b[i]) + low_square(c[i]) + low_square(d[i]);
    }
}

INLINE void add_u16(const uint16_t *restrict a, const uint16_t *restrict b,
                    const uint16_t *restrict c, const uint16_t *restrict d, size_t n,
                    uint32_t *restrict sum, uint32_t *restrict low, uint32_t *restrict high)
{
    for (size_t i = 0; i < n; i++) {
        sum[i] += (uint32_t)a[i] + b[i] + c[i] + d[i];
    }
    for (size_t i = 0; i < n; i++) {
        low[i] += (uint32_t)low_square(a[i]) + low_square(b[i]) + low_square(c[i]) + low_square(d[i]);
    }
    for (size_t i = 0; i < n; i++) {
        high[i] +=
            (uint32_t)high_square(a[i]) + high_square(b[i]) + high_square(c[i]) + high_square(d[i]);
    }
}

INLINE uint64_t squares_u8(const uint8_t *restrict x, const uint8_t *restrict keep, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += low_square((uint8_t)(x[i] & keep[i]));
    }
    return sum;
}

INLINE uint64_t squares_u16(const uint16_t *restrict x, const uint16_t *restrict keep, size_t n)
{
    uint32_t low = 0;
    uint32_t high = 0;
    for (size_t i = 0; i < n; i++) {
        low += low_square((uint16_t)(x[i] & keep[i]));
    }
    for (size_t i = 0; i < n; i++) {
        high += high_square((uint16_t)(x[i] & keep[i]));
    }
    return low + ((uint64_t)high << 16);
}

/* What is left of a group after whole fours is added together with rows of zeros. */
#define DEFINE_COUNT(name, T, ADD, SQUARES)                                                        \
    static void name(const void *data, size_t rows, size_t m, const void *keep_bits,               \
                     um_count_sums *s, uint64_t *total, uint64_t *squares)                         \
    {                                                                                              \
        static const T zeros[BLOCK];                                                               \
        const T *x = data;                                                                         \
        const T *keep = keep_bits;                                                                 \
        T *max = s->max;                                                                           \
        T least = (T)s->least;                                                                     \
        for (size_t first = 0; first < m; first += BLOCK) {                                        \
            size_t n = m - first < BLOCK ? m - first : BLOCK;                                      \
            for (size_t r = 0; r < rows; r += 4) {                                                 \
                const T *row[4];                                                                   \
                for (size_t i = 0; i < 4; i++) {                                                   \
                    row[i] = r + i < rows ? x + (r + i) * m + first : zeros;                       \
                }                                                                                  \
                ADD(row[0], row[1], row[2], row[3], n);                                            \
                max_##T(row[0], row[1], row[2], row[3], n, max + first);                           \
                for (size_t i = 0; i < 4 && r + i < rows; i++) {                                   \
                    total[r + i] += total_##T(row[i], keep + first, n);                            \
                    squares[r + i] += SQUARES(row[i], keep + first, n);                            \
                    least = least_##T(row[i], keep + first, n, least);                             \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        s->least = least;                                                                          \
    }
#define ADD_U8(a, b, c, d, n) add_u8(a, b, c, d, n, s->sum + first, s->low + first)
#define ADD_U16(a, b, c, d, n)                                                                     \
    add_u16(a, b, c, d, n, s->sum + first, s->low + first, s->high + first)
DEFINE_COUNT(count_u8, uint8_t, ADD_U8, squares_u8)
DEFINE_COUNT(count_u16, uint16_t, ADD_U16, squares_u16)

/* u8 in 16 bits: at most 257 values; u16 in 32 bits: at most 65537. */
enum { NARROW_SUM = 256, WIDE_SUM = 16384 };

static uint64_t masked_sum_u8(const void *data, const void *keep_bits, size_t n)
{
    const uint8_t *restrict x = data;
    const uint8_t *restrict keep = keep_bits;
    uint64_t total = 0;
    size_t i = 0;
    for (; i + NARROW_SUM <= n; i += NARROW_SUM) {
        uint16_t sum = 0;
        for (size_t j = 0; j < NARROW_SUM; j++) {
            sum = (uint16_t)(sum + (x[i + j] & keep[i + j]));
        }
        total += sum;
    }
    return total + total_uint8_t(x + i, keep + i, n - i);
}

static uint64_t masked_sum_u16(const void *data, const void *keep_bits, size_t n)
{
    const uint16_t *x = data;
    const uint16_t *keep = keep_bits;
    uint64_t total = 0;
    for (size_t i = 0; i < n; i += WIDE_SUM) {
        total += total_uint16_t(x + i, keep + i, n - i < WIDE_SUM ? n - i : WIDE_SUM);
    }
    return total;
}

/* Columns go in strips whose sums stay in registers; v y is summed by parts: the sum over rows of the sum so
 * far is that of v (rows - y). Strips are cut after 256 rows, so that it fits in 32 bits. */
enum { STRIP = 64, STRIP_ROWS = 256 };
#define DEFINE_MOMENTS(name, T)                                                                    \
    INLINE void strip_##T(const T *restrict x, const T *restrict keep, size_t rows, size_t kx,     \
                          size_t n, uint32_t *restrict sum, uint32_t *restrict sums)               \
    {                                                                                              \
        for (size_t i = 0; i < n; i++) {                                                           \
            sum[i] = sums[i] = 0;                                                                  \
        }                                                                                          \
        for (size_t y = 0; y < rows; y++) {                                                        \
            for (size_t i = 0; i < n; i++) {                                                       \
                sum[i] += (T)(x[y * kx + i] & keep[y * kx + i]);                                   \
                sums[i] += sum[i];                                                                 \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void name(const void *data, const void *keep_bits, size_t ky, size_t kx,                \
                     uint64_t moments[3])                                                          \
    {                                                                                              \
        moments[0] = moments[1] = moments[2] = 0;                                                  \
        for (size_t y = 0; y < ky; y += STRIP_ROWS) {                                              \
            size_t rows = ky - y < STRIP_ROWS ? ky - y : STRIP_ROWS;                               \
            for (size_t first = 0; first < kx; first += STRIP) {                                   \
                const T *x = (const T *)data + y * kx + first;                                     \
                const T *keep = (const T *)keep_bits + y * kx + first;                             \
                size_t n = kx - first < STRIP ? kx - first : STRIP;                                \
                uint32_t sum[STRIP];                                                               \
                uint32_t sums[STRIP];                                                              \
                if (n == STRIP) {                                                                  \
                    strip_##T(x, keep, rows, kx, STRIP, sum, sums);                                \
                } else {                                                                           \
                    strip_##T(x, keep, rows, kx, n, sum, sums);                                    \
                }                                                                                  \
                for (size_t i = 0; i < n; i++) {                                                   \
                    moments[0] += sum[i];                                                          \
                    moments[1] += (uint64_t)(y + rows) * sum[i] - sums[i];                         \
                    moments[2] += (uint64_t)(first + i) * sum[i];                                  \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
    }
DEFINE_MOMENTS(moments_u8, uint8_t)
DEFINE_MOMENTS(moments_u16, uint16_t)

/* ---- f64 ------------------------------------------------------------------------------------ */

#define DEFINE_WIDEN(name, type)                                                                   \
    static bool name(double *restrict dst, const void *src, size_t count)                          \
    {                                                                                              \
        const type *restrict values = src;                                                         \
        int bad = 0;                                                                               \
        for (size_t i = 0; i < count; i++) {                                                       \
            double v = (double)values[i];                                                          \
            bad |= !(v >= 0) | !(v < INFINITY);                                                    \
            dst[i] = v;                                                                            \
        }                                                                                          \
        return bad == 0;                                                                           \
    }
DEFINE_WIDEN(widen_u8, uint8_t)
DEFINE_WIDEN(widen_u16, uint16_t)
DEFINE_WIDEN(widen_u32, uint32_t)
DEFINE_WIDEN(widen_i8, int8_t)
DEFINE_WIDEN(widen_i16, int16_t)
DEFINE_WIDEN(widen_i32, int32_t)
DEFINE_WIDEN(widen_f32, float)
DEFINE_WIDEN(widen_f64, double)

#define DEFINE_TO_F32(name, type)                                                                  \
    static void name(float *restrict dst, const void *src, size_t count)                           \
    {                                                                                              \
        const type *restrict values = src;                                                         \
        for (size_t i = 0; i < count; i++) {                                                       \
            dst[i] = (float)values[i];                                                             \
        }                                                                                          \
    }
DEFINE_TO_F32(to_f32_u8, uint8_t)
DEFINE_TO_F32(to_f32_u16, uint16_t)
DEFINE_TO_F32(to_f32_u32, uint32_t)
DEFINE_TO_F32(to_f32_i8, int8_t)
DEFINE_TO_F32(to_f32_i16, int16_t)
DEFINE_TO_F32(to_f32_i32, int32_t)
DEFINE_TO_F32(to_f32_f32, float)
DEFINE_TO_F32(to_f32_f64, double)

/* The order of every sum is fixed by the lanes. */
static void add_reals(const double *restrict values, const double *restrict weight, size_t first,
                      size_t count, um_real_sums *s, double *total, double *squares)
{
    double *restrict sum = s->sum + first;
    double *restrict square = s->square + first;
    double *restrict max = s->max + first;
    double lane[LANES] = {0};
    double lane_square[LANES] = {0};
    double least[LANES];
    for (size_t l = 0; l < LANES; l++) {
        least[l] = s->least;
    }
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            double v = values[i + l];
            double v2 = v * v;
            double kept = weight[i + l] > 0 ? v : INFINITY;
            sum[i + l] += v;
            square[i + l] += v2;
            max[i + l] = v > max[i + l] ? v : max[i + l];
            least[l] = kept < least[l] ? kept : least[l];
            lane[l] += v * weight[i + l];
            lane_square[l] += v2 * weight[i + l];
        }
    }
    for (size_t i = whole; i < count; i++) {
        double v = values[i];
        double kept = weight[i] > 0 ? v : INFINITY;
        sum[i] += v;
        square[i] += v * v;
        max[i] = v > max[i] ? v : max[i];
        least[i - whole] = kept < least[i - whole] ? kept : least[i - whole];
        lane[i - whole] += v * weight[i];
        lane_square[i - whole] += v * v * weight[i];
    }
    for (size_t l = 0; l < LANES; l++) {
        *total += lane[l];
        *squares += lane_square[l];
        s->least = least[l] < s->least ? least[l] : s->least;
    }
}

const um_pixel_kernels VARIANT = {
    .count = {[UM_U8] = count_u8, [UM_U16] = count_u16},
    .masked_sum = {[UM_U8] = masked_sum_u8, [UM_U16] = masked_sum_u16},
    .moments = {[UM_U8] = moments_u8, [UM_U16] = moments_u16},
    .tally = {[UM_U8] = tally_u8, [UM_U16] = tally_u16},
    .list = {[UM_U8] = list_u8, [UM_U16] = list_u16},
    .symmetric_taps = symmetric_taps,
    .split = split,
    .spread_row = spread_row,
    .mark_spreading = mark_spreading,
    .random_words = random_words,
    .add_reals = add_reals,
    .widen = {[UM_U8] = widen_u8, [UM_U16] = widen_u16, [UM_U32] = widen_u32, [UM_I8] = widen_i8,
              [UM_I16] = widen_i16, [UM_I32] = widen_i32, [UM_F32] = widen_f32, [UM_F64] = widen_f64},
    .to_f32 = {[UM_U8] = to_f32_u8, [UM_U16] = to_f32_u16, [UM_U32] = to_f32_u32,
               [UM_I8] = to_f32_i8, [UM_I16] = to_f32_i16, [UM_I32] = to_f32_i32,
               [UM_F32] = to_f32_f32, [UM_F64] = to_f32_f64},
};
