/* What this machine can do at most: measured, so that stages can be told as fractions of it. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include "cli.h"

typedef struct bench_limits {
    /* [0] one thread, [1] all: every thread sums its part of a buffer larger than the caches; every
     * thread multiplies and adds in registers. */
    double memory_read_GBps[2], f32_fma_GFLOPS[2];
    const char *fma_width; /* of the vectors used for it: "avx512", "avx2", "portable" */
} bench_limits;

/* Seconds of one sequential read of a whole file, in blocks of 8 MiB, by one thread. */
typedef struct bench_file_limits {
    double bytes;
    double direct_seconds;   /* past the page cache (O_DIRECT); NaN where the file system cannot */
    double buffered_seconds; /* through the page cache, dropped before */
    double cold_seconds;     /* the less of the two */
    double cached_seconds;   /* from the page cache; NaN when not asked for */
} bench_file_limits;

/* Best of several repetitions each. Uses 256 MiB of memory. */
UM_CHECK um_status bench_memory_and_arithmetic(cli *c, int threads, bench_limits *out);
UM_CHECK um_status bench_file(cli *c, const char *path, bool cached, bench_file_limits *out);
/* Writes what waits and drops the file's pages from the cache. */
void bench_forget(const char *path);

#endif
