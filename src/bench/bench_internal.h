/* The made-up patterns that kernels are timed on. */
#ifndef UM_BENCH_INTERNAL_H
#define UM_BENCH_INTERNAL_H

#include "base_internal.h"
#include "unmix/bench.h"

typedef struct um_bench_patterns {
    size_t n, m;
    um_dtype dtype;
    char *data;            /* n x m */
    um_sparse_rows sparse; /* of all rows, when asked for */
    size_t stored;         /* entries that are not zero */
} um_bench_patterns;

um_status um_bench_patterns_make(um_context *ctx, const um_bench_problem *problem,
                                 um_bench_patterns *out);
void um_bench_patterns_free(um_context *ctx, um_bench_patterns *patterns);

#endif
