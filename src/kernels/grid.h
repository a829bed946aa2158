/* Products of counts with factors on a grid of 16-bit integers. Their sums are integers, taken exactly, so every
 * variant gives the same bits, whatever the order; they cost half of what products in f32 do.
 *
 * X is a group of patterns as stored, u8 or u16: rows x m, C order, contiguous. It enters as bytes: x = low + 256
 * high, high bytes being skipped where there are none. A sum of 4096 pairs of a byte and a grid value is at most
 * 4096 * 255 * 32639 / 16 lanes < 2^31, one of 32 rows at most 32 * 255 * 32639 < 2^31: neither can overflow int32.
 * A factor is an integer of at most UM_GRID_MOST in magnitude times a step that is a power of two, so that
 * multiplying by it does not round. */
#ifndef UM_GRID_H
#define UM_GRID_H

#include "base_internal.h"

/* 32,639 is the most that two signed bytes hold. */
enum { UM_GRID_MOST = 32639, UM_GRID_PACK = 32 };

typedef struct um_grid_kernels {
    /* a (rows x k) = X h', exact up to 2^53. h is packed: column j of component c is at um_grid_packed(k, c, j),
     * zero beyond m, m rounded up to UM_GRID_PACK. NULL where X may be no counts. */
    void (*project[UM_DTYPE_COUNT])(const void *x, size_t rows, size_t m, const int16_t *h, size_t k,
                                    double *a);
    /* b += step_c w'X, rows <= 32. w is in pairs of rows: row r of component c is at um_grid_pair(k, c, r), zero
     * beyond the last row of an odd number. b is packed as in kernels.h. The sums over low and over high bytes are
     * rounded to f32 each, times step_c or 256 step_c, and added one after the other. */
    void (*accumulate[UM_DTYPE_COUNT])(const void *x, size_t rows, size_t m, const int16_t *w,
                                       size_t k, const float *step, float *b);
} um_grid_kernels;

const um_grid_kernels *um_grid_kernels_get(um_isa isa);

static inline size_t um_grid_packed(size_t k, size_t c, size_t j)
{
    return (j / UM_GRID_PACK * k + c) * UM_GRID_PACK + j % UM_GRID_PACK;
}

static inline size_t um_grid_pair(size_t k, size_t c, size_t r)
{
    return (r / 2 * k + c) * 2 + r % 2;
}

/* The least power of two whose multiples up to UM_GRID_MOST reach `largest`; 1 for 0. */
double um_grid_step(double largest);
/* The nearest multiple, as what it is a multiple by. */
int16_t um_grid_round(double value, double step);

#endif
