/* The hot loops, one variant per instruction set, chosen once through a table.
 *
 * X is a group of patterns as stored: rows x m of any dtype, C order, contiguous. Matrices of components
 * (f32) are plain, k x ld with ld = um_kernel_stride(m), or packed, so that a kernel reads one stream:
 * column j of component c at um_kernel_packed(k, c, j) of k x ld numbers. Both are zero beyond m. Each lane
 * of a vector sums at most 4096 / lanes pixels in f32 before sums go on in f64. Variants differ from the
 * scalar one by rounding only (relative 1e-5 of the sum of magnitudes); one variant always gives the same
 * bits, whatever other rows are in the group. */
#ifndef UM_KERNELS_H
#define UM_KERNELS_H

#include "base_internal.h"

/* No expected count is taken to be less. */
#define UM_KL_LEAST 1e-12F

enum { UM_HALS_PANEL = 32, UM_HALS_LARGEST = 512, UM_KERNEL_PACK = 16, UM_KERNEL_BURN_CHAINS = 12 };

typedef struct um_kernels {
    /* a (rows x k) = X h', h packed. scratch: rows x k x UM_KERNEL_PACK, 64-byte aligned. */
    void (*project[UM_DTYPE_COUNT])(const void *x, size_t rows, size_t m, const float *h, size_t k,
                                    double *a, float *scratch);
    /* b += w' X, b packed, w rows x k. */
    void (*accumulate[UM_DTYPE_COUNT])(const void *x, size_t rows, size_t m, const float *w,
                                       size_t k, float *b);
    /* q[r] = sum_j v_j x_rj^2. */
    void (*squares[UM_DTYPE_COUNT])(const void *x, size_t rows, size_t m, const float *v,
                                    double *q);
    /* d = on (x - w h) elementwise, on_j 0 or 1. Per row: plain[r] = sum_j d^2, weighted[r] = sum_j v_j d^2.
     * Per pixel, added: sum_d += d, sum_d2 += d^2. */
    void (*residual[UM_DTYPE_COUNT])(const void *x, size_t rows, size_t m, const float *w,
                                     const float *h, size_t ld, size_t k, const float *on,
                                     const float *v, double *plain, double *weighted, double *sum_d,
                                     double *sum_d2);
    /* Sparse rows. ht and bt are m x stride, stride = um_kernel_sparse_stride(k), zero beyond k:
     * a (rows x k) = X ht. Sums as above, over stored values. */
    void (*project_sparse)(const um_sparse_rows *x, size_t rows, const float *ht, size_t stride,
                           size_t k, double *a);
    /* bt += X' w, w rows x k. */
    void (*accumulate_sparse)(const um_sparse_rows *x, size_t rows, const float *w, size_t k,
                              float *bt, size_t stride);
    void (*squares_sparse)(const um_sparse_rows *x, size_t rows, const float *v, double *q);
    /* q[r] = sum_j v_j x_rj. */
    void (*sums_sparse)(const um_sparse_rows *x, size_t rows, const float *v, double *q);
    /* What the stored values add to the sums of residual(), on top of those of a row of zeros: plain[r] and
     * weighted[r] are set, sum_d and sum_d2 added to. ht as for project_sparse(). */
    void (*residual_sparse)(const um_sparse_rows *x, size_t rows, const float *w, const float *ht,
                            size_t stride, size_t k, const float *on, const float *v, double *plain,
                            double *weighted, double *sum_d, double *sum_d2);
    /* The Poisson likelihood of one pattern. kl_list: columns and values of the n entries above zero where
     * on_j > 0, room for m + 1. kl_gather: panel (k x stride) = h (k x ld) at those columns. The lists of the
     * functions below go on to the next multiple of 16 with values of 0, which is all that may be there. */
    size_t (*kl_list[UM_DTYPE_COUNT])(const void *x, size_t m, const float *on, uint32_t *column,
                                      float *value);
    void (*kl_gather)(const float *h, size_t ld, size_t k, const uint32_t *column, size_t n,
                      float *panel, size_t stride);
    /* Minimises sum_c w_c sum_c - sum_i x_i log y_i, y = w panel, w >= 0, by damped scalar Newton steps: at most
     * `sweeps`, until one moves at most `stop` of all counts. concordance: 1 / sqrt(least x). Fills y;
     * returns the counts that the last sweep moved. */
    double (*kl_solve)(size_t k, size_t n, const float *panel, size_t stride, const float *x,
                       const double *sum, double concordance, double *w, float *y, int sweeps,
                       double stop);
    /* ratio = x / y; returns sum(x log(x / y)). */
    double (*kl_ratio)(size_t n, const float *x, const float *y, float *ratio);
    /* bt (m x stride) += w_c ratio_i at the columns; stride = um_kernel_sparse_stride(k). */
    void (*kl_spread)(const uint32_t *column, const float *ratio, size_t n, const float *w,
                      size_t stride, float *bt);
    /* Non-negative coordinate descent on n independent problems of k <= 512 unknowns, one a column:
     * minimise 1/2 w'Gw - a'w, w >= 0; a and w are k x n with the given stride, g is k x k. Columns go
     * in panels of 32, each at most `sweeps` sweeps, ending early when a sweep moves less than `stop`
     * times the first one. */
    void (*hals)(size_t k, size_t n, size_t stride, const double *g, const double *a, double *w,
                 int sweeps, double stop);
    /* Limits to compare with: multiply-adds in registers, um_kernel_burn_flops() a loop; bytes read once. The
     * values only keep compilers from dropping the work. */
    float (*burn)(long loops);
    uint64_t (*sweep)(const void *bytes, size_t count);
} um_kernels;

double um_kernel_burn_flops(um_isa isa);

/* Share of entries that are not zero below which a pass over sparse rows with k components is faster than over all values of
 * u8 or u16: from what either takes, measured on one machine (docs/performance/notes.md). */
double um_kernel_sparse_share(um_isa isa, um_dtype dtype, size_t k);

const um_kernels *um_kernels_get(um_isa isa);
size_t um_kernel_stride(size_t m);
size_t um_kernel_sparse_stride(size_t k);

static inline size_t um_kernel_packed(size_t k, size_t c, size_t j)
{
    return (j / UM_KERNEL_PACK * k + c) * UM_KERNEL_PACK + j % UM_KERNEL_PACK;
}

#endif
