/* unmix/bench.h - the fused exact pass against what limits it, all in one run. */
#ifndef UNMIX_BENCH_H
#define UNMIX_BENCH_H

#include "unmix/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_bench_problem {
    int64_t patterns, pixels; /* X, made up, uniform in density */
    int64_t components;       /* 1 to 512 */
    um_dtype dtype;           /* UM_U8, UM_U16, UM_U32 or UM_F32 */
    double density;           /* share of entries that are not zero, 0 < density <= 1 */
    bool sparse;              /* time sparse rows too: UM_U8 or UM_U16, at most 65,536 pixels */
    bool blas;                /* time BLAS too, on a float copy of at most 8,192 patterns */
    int repeats;              /* 0 = 5 */
} um_bench_problem;

/* Seconds are by the clock, best of the repeats; limits are measured between them, best as well. *_cpu is
 * the same in processor time per thread, for machines that are busy with other things. All use the
 * context's threads and instruction set. A figure that was not asked for is 0. */
typedef struct um_bench_kernels_result {
    double fma_flops, fma_flops_cpu; /* f32 multiply-adds in registers, 2 flops each, per second */
    double read_bytes;               /* bytes of X read from memory per second */
    /* One exact pass: A = X H', coordinate descent on the rows of W, W'X and W'W. */
    double dense_seconds, dense_seconds_cpu;
    /* 4 N M k flops in that time over fma_flops: the best repeat, each against the mean of the limits
     * measured just before and after it. */
    double dense_fraction, dense_fraction_cpu;
    double sparse_seconds, sparse_seconds_cpu; /* the same pass over sparse rows */
    double rows_seconds; /* of coordinate descent on the rows of W alone, one thread, from where the passes
                            left W */
    double stored;       /* entries that are not zero */
    double blas_seconds; /* sgemm for X H' and W'X, scaled to all patterns */
} um_bench_kernels_result;

/* Makes X in memory, sparse rows and the float copy beside it (all of it counts against the budget), and
 * passes over it with the code that the solvers pass with. */
UM_CHECK UM_API um_status um_bench_kernels(um_context *ctx, const um_bench_problem *problem,
                                           um_bench_kernels_result *result);

#ifdef __cplusplus
}
#endif
#endif
