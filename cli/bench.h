/* Parts of `unmix bench`. Every part adds objects to the report; bench_text.c prints the report for people,
 * so both outputs hold the same figures. */
#ifndef BENCH_H
#define BENCH_H

#include "bench_limits.h"

typedef struct bench {
    cli *c;
    const char *dir; /* where generated scans are */
    int threads;
    int64_t k;
    bool quick, keep;
    bench_limits limits;
    json_t *report;
} bench;

/* A generated scan: um_simulate()'s built-in states in grains, Poisson counts. */
typedef struct bench_scan {
    const char *name;
    int64_t ny, nx, ky, kx;
    um_dtype dtype;
    double counts; /* per pattern */
    char *path;    /* set by bench_scan_make() */
} bench_scan;

double bench_scan_patterns(const bench_scan *scan);
double bench_scan_bytes(const bench_scan *scan);
/* Generates DIR/unmix-bench-NAME.npy, or takes a kept one of the same size; adds nothing to the report. */
UM_CHECK um_status bench_scan_make(bench *b, bench_scan *scan);
/* Removes the file unless --keep. */
void bench_scan_drop(const bench *b, bench_scan *scan);

/* What a run of this tool, as a process of its own, took. */
typedef struct bench_child {
    double seconds, cpu_seconds;
    json_t *output; /* the object that it printed */
} bench_child;
/* Runs `program` (NULL: this tool) with the words up to NULL; its output must be one JSON object. */
UM_CHECK um_status bench_run(cli *c, const char *program, const char *const *words, bench_child *out);

/* A factorisation with b->k components as the user runs it, best of `repeats`; memory NULL = the default;
 * cold: with the file's pages dropped before each. */
UM_CHECK um_status bench_nmf(bench *b, const char *path, const char *memory, int threads, bool cold,
                             int repeats, json_t **row);

/* The parts, in their order; each puts a key of its name into the report. */
UM_CHECK um_status bench_machine(bench *b);
UM_CHECK um_status bench_kernels(bench *b, bool large);                           /* kernels */
UM_CHECK um_status bench_stages(bench *b, bench_scan *scan);                     /* stages */
UM_CHECK um_status bench_decode(bench *b, bench_scan *scan);                     /* decode */
UM_CHECK um_status bench_scans(bench *b, bench_scan *scans, int count);          /* scans */
UM_CHECK um_status bench_scaling(bench *b);                                      /* scaling */
UM_CHECK um_status bench_peers(bench *b, const char *python);                    /* peers */
void bench_text(cli *c, const json_t *report);

#endif
