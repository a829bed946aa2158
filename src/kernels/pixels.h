/* Loops over the pixels of patterns that are no part of a solver: sums, masked sums, moments. One variant per instruction set,
 * chosen through a table. What is counted in integers is exact, so it has the same bits in each variant;
 * what is added in f64 goes in a fixed order and differs between variants by rounding only. */
#ifndef UM_PIXELS_H
#define UM_PIXELS_H

#include "base_internal.h"

/* Sums over at most UM_COUNT_ROWS patterns of m pixels in u8 or u16. A square is low + 2^16 high. */
enum { UM_COUNT_ROWS = 1 << 16 };
typedef struct um_count_sums {
    uint32_t *sum, *low, *high; /* high only for u16 */
    void *max;                  /* of the type of the patterns */
    uint32_t least;             /* of the pixels that are kept */
} um_count_sums;

/* The same in f64. */
typedef struct um_real_sums {
    double *sum, *square, *max;
    double least;
} um_real_sums;

typedef struct um_tally {
    size_t nonzero, large;
    uint32_t most;
} um_tally;

enum { UM_TAP_WIDTH = 32, UM_RANK_LANES = 16, UM_RANDOM_LANES = 16 };

typedef struct um_pixel_kernels {
    /* Adds `rows` patterns to s, and each one's sum and sum of squares over the pixels that are kept to
     * total[r] and squares[r]. keep: all bits set, or none at pixels left out, in the type of the
     * patterns. Of u8 and u16 only, else NULL. */
    void (*count[UM_DTYPE_COUNT])(const void *x, size_t rows, size_t m, const void *keep,
                                  um_count_sums *s, uint64_t *total, uint64_t *squares);
    /* Adds to `out` how many of n values are above zero and above `limit`, and takes the greatest. u8 and u16. */
    void (*tally[UM_DTYPE_COUNT])(const void *x, size_t n, uint32_t limit, um_tally *out);
    /* Lists the values above `least` among n <= 65536: their places in `at`, and in `value` with `width` bytes
     * each (1 for u8). Returns their number; both arrays have `room` entries, at least that many. u8 and u16. */
    size_t (*list[UM_DTYPE_COUNT])(const void *x, size_t n, uint32_t least, size_t room,
                                   uint16_t *at, void *value, size_t width);
    /* Sum over the n pixels of one pattern that are kept. u8 and u16. */
    uint64_t (*masked_sum[UM_DTYPE_COUNT])(const void *x, const void *keep, size_t n);
    /* Of one pattern of ky x kx: sums over the pixels that are kept of v, v y and v x. u8 and u16. */
    void (*moments[UM_DTYPE_COUNT])(const void *x, const void *keep, size_t ky, size_t kx,
                                    uint64_t moments[3]);
    /* Adds `count` finite values of one pattern, which belong to pixel `first` and on; weight is 1 or 0. */
    void (*add_reals)(const double *values, const double *weight, size_t first, size_t count,
                      um_real_sums *s, double *total, double *squares);
    /* Values of any type as f64; false when one is negative or not finite. */
    bool (*widen[UM_DTYPE_COUNT])(double *dst, const void *src, size_t count);
    void (*to_f32[UM_DTYPE_COUNT])(float *dst, const void *src, size_t count);
    /* dst[line][i] = w[0] p[i] + sum over 1 <= j <= radius of w[j] (p[i - j stride] + p[i + j stride]),
     * p = src + line step, i < UM_TAP_WIDTH. */
    void (*symmetric_taps)(const float *weights, size_t radius, const float *src, size_t stride,
                           size_t step, size_t lines, float *dst);
    /* How many of n values (a multiple of UM_RANK_LANES) are at most `level`; the greatest of those, the
     * least of the others, -/+ infinity where there is none. */
    size_t (*split)(const float *values, size_t n, float level, float *below, float *above);
    /* One row of a scan that dilates under a limit: value[i] becomes the greatest of itself, the three of
     * the row before (may be NULL) and the value before it in the row, at most limit[i]. `back` goes from
     * the end of the row. */
    void (*spread_row)(const int32_t *limit, int32_t *value, const int32_t *before, size_t n, bool back);
    /* marks[i] = 1 where value[i] exceeds its neighbour i + 1, or one of the three in the next row (may be
     * NULL), and that one is still below its limit; else 0. */
    void (*mark_spreading)(const int32_t *limit, const int32_t *value, const int32_t *next_limit,
                           const int32_t *next, size_t n, uint8_t *marks);
    /* um_random_words() of batches * UM_RANDOM_LANES counters, `first` and on; of each batch the first words of all
     * counters, then the second ones and so on. Equal in each variant. */
    void (*random_words)(uint64_t seed, uint64_t stream, uint64_t first, size_t batches, uint32_t *words);
} um_pixel_kernels;

const um_pixel_kernels *um_pixel_kernels_get(um_isa isa);

#endif
