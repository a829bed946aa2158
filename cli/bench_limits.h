/* What this machine can do at most: measured, so that stages can be told as fractions of it. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include "cli.h"

typedef struct bench_limits {
    double memory_read_GBps;   /* every thread sums its part of a buffer larger than the caches */
    double f32_fma_GFLOPS;     /* every thread multiplies and adds in registers */
    const char *fma_width;     /* of the vectors used for it: "avx512", "avx2", "sse2" */
    double file_read_GBps;     /* sequential, pages dropped from the cache before */
    double file_cached_GBps;   /* the same with pages in the cache */
} bench_limits;

/* Best of several repetitions each. Uses 256 MiB of memory. */
UM_CHECK um_status bench_memory_and_arithmetic(cli *c, int threads, bench_limits *out);
/* One thread reads the file in blocks of 8 MiB. */
UM_CHECK um_status bench_file(cli *c, const char *path, bench_limits *out);

#endif
