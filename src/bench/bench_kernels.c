/* Times the exact pass over patterns in memory between measurements of the limits. */
#include "bench_internal.h"
#include "factor_internal.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS_PER_SEGMENT = 1024, ROW_SWEEPS = 60, BLAS_ROWS = 8192, REPEATS = 5 };
enum { BURN_LOOPS = 4000000, READ_ITEM = 1 << 22, CACHE_LINE = 8 };
static const double SWEEP_STOP = 0.003;

typedef struct bench {
    um_context *ctx;
    um_bench_patterns x;
    um_scaled scaled;
    um_exact_pass pass;
    um_exact_run *run;
    bool sparse;
    int threads;
    size_t k;
    float *h, *w; /* k x ld, n x k */
    double *g;    /* H H' */
    void **states;
    double *cpu;           /* seconds of each worker, CACHE_LINE apart */
    float *copy, *product; /* for BLAS */
    float sink;
} bench;

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* What a measurement took: by the clock, and of the processors' time per worker, which other programs on the
 * machine disturb less. */
typedef struct timing {
    double wall, cpu;
} timing;

static um_status time_items(bench *k, int64_t items, um_pipeline_fn work, um_pipeline_fn finish,
                            timing *took)
{
    memset(k->cpu, 0, (size_t)k->threads * CACHE_LINE * sizeof *k->cpu);
    double begin = um_seconds();
    UM_TRY(um_pipeline_run(k->ctx, items, k->threads, work, finish, k));
    took->wall = um_seconds() - begin;
    took->cpu = 0;
    for (int i = 0; i < k->threads; i++) {
        took->cpu += k->cpu[i * CACHE_LINE] / k->threads;
    }
    return UM_OK;
}

/* ---- limits --------------------------------------------------------------------------------- */

static um_status burn(void *user, int64_t item, int worker)
{
    bench *k = user;
    double begin = cpu_seconds();
    float sum = k->scaled.kernels->burn(BURN_LOOPS);
    if (item < 0) {
        k->sink += sum;
    }
    k->cpu[worker * CACHE_LINE] += cpu_seconds() - begin;
    return UM_OK;
}

static um_status read_item(void *user, int64_t item, int worker)
{
    bench *k = user;
    double begin = cpu_seconds();
    size_t bytes = k->x.n * k->x.m * um_dtype_size(k->x.dtype);
    size_t first = (size_t)item * READ_ITEM;
    uint64_t sum = k->scaled.kernels->sweep(k->x.data + first,
                                            bytes - first < READ_ITEM ? bytes - first : READ_ITEM);
    if (item < 0) {
        k->sink += (float)sum;
    }
    k->cpu[worker * CACHE_LINE] += cpu_seconds() - begin;
    return UM_OK;
}

/* ---- the pass ------------------------------------------------------------------------------- */

static void move_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                      double extra[4])
{
    bench *k = user;
    (void)extra;
    for (size_t c = 0; c < k->k; c++) {
        for (size_t r = 0; r < rows; r++) {
            w[c * UM_GROUP_ROWS + r] = (double)k->w[(size_t)position[r] * k->k + c];
        }
    }
    k->scaled.kernels->hals(k->k, rows, UM_GROUP_ROWS, k->g, a, w, ROW_SWEEPS, SWEEP_STOP);
    for (size_t c = 0; c < k->k; c++) {
        for (size_t r = 0; r < rows; r++) {
            k->w[(size_t)position[r] * k->k + c] = (float)w[c * UM_GROUP_ROWS + r];
        }
    }
}

static um_status pass_segment(void *user, int64_t segment, int worker)
{
    bench *k = user;
    double begin = cpu_seconds();
    size_t first = (size_t)segment * ROWS_PER_SEGMENT;
    size_t last = first + ROWS_PER_SEGMENT < k->x.n ? first + ROWS_PER_SEGMENT : k->x.n;
    for (size_t row = first; row < last; row += UM_GROUP_ROWS) {
        int64_t position[UM_GROUP_ROWS];
        for (size_t r = 0; r < UM_GROUP_ROWS; r++) {
            position[r] = (int64_t)(row + r);
        }
        um_sparse_rows sparse = k->x.sparse;
        um_tile tile = {.dtype = k->x.dtype,
                        .rows = last - row < UM_GROUP_ROWS ? last - row : UM_GROUP_ROWS,
                        .position = position};
        if (k->sparse) {
            sparse.start += row;
            tile.sparse = &sparse;
        } else {
            tile.data = k->x.data + row * k->x.m * um_dtype_size(k->x.dtype);
        }
        UM_TRY(um_exact_visitor.visit(k->run, k->states[worker], &tile));
    }
    k->cpu[worker * CACHE_LINE] += cpu_seconds() - begin;
    return UM_OK;
}

static um_status merge_segment(void *user, int64_t segment, int worker)
{
    (void)segment;
    bench *k = user;
    double begin = cpu_seconds();
    um_status status = um_exact_visitor.merge(k->run, k->states[worker]);
    k->cpu[worker * CACHE_LINE] += cpu_seconds() - begin;
    return status;
}

static um_status time_pass(bench *k, bool sparse, timing *took)
{
    k->sparse = sparse;
    int64_t segments = (int64_t)((k->x.n + ROWS_PER_SEGMENT - 1) / ROWS_PER_SEGMENT);
    UM_TRY(um_exact_run_begin(&k->pass, sparse, &k->run));
    um_status status = UM_OK;
    for (int i = 0; status == UM_OK && i < k->threads; i++) {
        status = um_exact_visitor.start(k->run, &k->states[i]);
    }
    if (status == UM_OK) {
        status = time_items(k, segments, pass_segment, merge_segment, took);
    }
    for (int i = 0; i < k->threads; i++) {
        um_exact_visitor.stop(k->run, k->states[i]);
        k->states[i] = NULL;
    }
    return um_exact_run_end(k->run, status);
}

/* Time of the rows of W alone, for as many groups as the pass has. */
static double time_rows(bench *k)
{
    double *a = calloc(2 * k->k * UM_GROUP_ROWS, sizeof *a);
    if (a == NULL) {
        return 0;
    }
    double *w = a + k->k * UM_GROUP_ROWS;
    int64_t position[UM_GROUP_ROWS];
    double extra[4] = {0};
    double begin = cpu_seconds();
    for (size_t row = 0; row + UM_GROUP_ROWS <= k->x.n; row += UM_GROUP_ROWS) {
        for (size_t r = 0; r < UM_GROUP_ROWS; r++) {
            position[r] = (int64_t)(row + r);
            for (size_t c = 0; c < k->k; c++) {
                a[c * UM_GROUP_ROWS + r] = (double)((row + r * 7 + c * 13) % 31);
            }
        }
        move_rows(k, position, UM_GROUP_ROWS, a, w, extra);
    }
    double seconds = cpu_seconds() - begin;
    free(a);
    return seconds;
}

/* ---- BLAS ----------------------------------------------------------------------------------- */

static um_status blas_copy(bench *k)
{
    size_t n = k->x.n < BLAS_ROWS ? k->x.n : BLAS_ROWS;
    UM_TRY(um_buffer_alloc(k->ctx, n, k->x.m * sizeof *k->copy, "float patterns", &k->copy));
    UM_TRY(
        um_buffer_alloc(k->ctx, k->k * (n + k->x.m), sizeof *k->product, "products", &k->product));
    for (size_t i = 0; i < n * k->x.m; i++) {
        const void *from = k->x.data + i * um_dtype_size(k->x.dtype);
        k->copy[i] = k->x.dtype == UM_U8    ? (float)*(const uint8_t *)from
                     : k->x.dtype == UM_U16 ? (float)*(const uint16_t *)from
                     : k->x.dtype == UM_U32 ? (float)*(const uint32_t *)from
                                            : *(const float *)from;
    }
    return UM_OK;
}

static double time_blas(bench *k)
{
    size_t rows = k->x.n < BLAS_ROWS ? k->x.n : BLAS_ROWS;
    int n = (int)rows;
    int m = (int)k->x.m;
    int c = (int)k->k;
    double begin = um_seconds();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, c, m, 1.0F, k->copy, m, k->h,
                (int)k->scaled.ld, 0.0F, k->product, c);
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, c, m, n, 1.0F, k->w, c, k->copy, m, 0.0F,
                k->product + rows * k->k, m);
    return (um_seconds() - begin) * (double)k->x.n / (double)rows;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static um_status check(um_context *ctx, const um_bench_problem *p)
{
    bool type = p->dtype == UM_U8 || p->dtype == UM_U16 || p->dtype == UM_U32 || p->dtype == UM_F32;
    bool sparse = !p->sparse || (p->dtype <= UM_U16 && p->pixels <= 65536);
    if (p->patterns < 1 || p->pixels < 1 || p->components < 1 || p->components > UM_HALS_LARGEST ||
        !type || !sparse || !(p->density > 0) || p->density > 1 || p->patterns > INT32_MAX ||
        p->pixels > INT32_MAX / 32) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "timing kernels: not a problem that can be timed");
    }
    return UM_OK;
}

static um_status set_up(bench *k, const um_bench_problem *problem)
{
    um_context *ctx = k->ctx;
    k->threads = um_context_threads(ctx);
    k->k = (size_t)problem->components;
    UM_TRY(um_bench_patterns_make(ctx, problem, &k->x));
    um_scaled *s = &k->scaled;
    s->ctx = ctx;
    s->kernels = um_kernels_get(um_context_isa(ctx));
    s->grid = um_grid_kernels_get(um_context_isa(ctx));
    s->tiles = um_tile_kernels_get(um_context_isa(ctx));
    s->n = k->x.n;
    s->dtype = k->x.dtype;
    s->m = k->x.m;
    s->ld = um_kernel_stride(s->m);
    UM_TRY(um_buffer_alloc(ctx, s->n, sizeof *s->u, "weights", &s->u));
    UM_TRY(um_buffer_alloc(ctx, s->ld, sizeof *s->v, "weights", &s->v));
    UM_TRY(um_buffer_alloc(ctx, k->k * s->ld, sizeof *k->h, "components", &k->h));
    UM_TRY(um_buffer_alloc(ctx, k->k * s->n, sizeof *k->w, "loadings", &k->w));
    UM_TRY(um_buffer_alloc(ctx, k->k * s->m, sizeof(double), "W'X", &k->pass.b));
    k->pass.g = calloc(k->k * k->k, sizeof *k->pass.g);
    k->g = calloc(k->k * k->k, sizeof *k->g);
    k->cpu = calloc((size_t)k->threads * CACHE_LINE, sizeof *k->cpu);
    k->states = calloc((size_t)k->threads, sizeof *k->states);
    if (k->pass.g == NULL || k->g == NULL || k->states == NULL || k->cpu == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for timing");
    }
    for (size_t i = 0; i < s->n; i++) {
        s->u[i] = 1;
    }
    for (size_t j = 0; j < s->m; j++) {
        s->v[j] = 1;
        for (size_t c = 0; c < k->k; c++) {
            k->h[c * s->ld + j] = (float)((j * 7 + c * 61) % 97 < 9 + c);
        }
    }
    um_gram(k->h, k->k, s->ld, k->g);
    k->pass.scaled = s;
    k->pass.k = k->k;
    k->pass.h = k->h;
    k->pass.rows = move_rows;
    k->pass.user = k;
    return problem->blas ? blas_copy(k) : UM_OK;
}

static void tear_down(bench *k)
{
    um_context *ctx = k->ctx;
    um_bench_patterns_free(ctx, &k->x);
    um_buffer_free(ctx, k->scaled.u);
    um_buffer_free(ctx, k->scaled.v);
    um_buffer_free(ctx, k->h);
    um_buffer_free(ctx, k->w);
    um_buffer_free(ctx, k->pass.b);
    um_buffer_free(ctx, k->copy);
    um_buffer_free(ctx, k->product);
    free(k->pass.g);
    free(k->g);
    free(k->states);
    free(k->cpu);
}

static void keep_least(double *best, double seconds)
{
    *best = *best <= 0 || seconds < *best ? seconds : *best;
}

static void keep_most(double *best, double value)
{
    *best = value > *best ? value : *best;
}

static um_status repeat(bench *k, const um_bench_problem *p, um_bench_kernels_result *best)
{
    timing before;
    timing after;
    timing dense;
    timing sweep;
    double bytes = (double)k->x.n * (double)k->x.m * (double)um_dtype_size(k->x.dtype);
    double burnt = um_kernel_burn_flops(um_context_isa(k->ctx)) * BURN_LOOPS * k->threads;
    double flops = 4.0 * (double)k->x.n * (double)k->x.m * (double)k->k;
    UM_TRY(time_items(k, k->threads, burn, NULL, &before));
    UM_TRY(time_pass(k, false, &dense));
    UM_TRY(time_items(k, k->threads, burn, NULL, &after));
    UM_TRY(time_items(k, ((int64_t)bytes + READ_ITEM - 1) / READ_ITEM, read_item, NULL, &sweep));
    keep_most(&best->fma_flops, burnt / before.wall);
    keep_most(&best->fma_flops, burnt / after.wall);
    keep_most(&best->fma_flops_cpu, burnt / before.cpu);
    keep_most(&best->fma_flops_cpu, burnt / after.cpu);
    keep_most(&best->read_bytes, bytes / sweep.wall);
    keep_most(&best->dense_fraction,
              flops / dense.wall / (0.5 * burnt * (1 / before.wall + 1 / after.wall)));
    keep_most(&best->dense_fraction_cpu,
              flops / dense.cpu / (0.5 * burnt * (1 / before.cpu + 1 / after.cpu)));
    keep_least(&best->dense_seconds, dense.wall);
    keep_least(&best->dense_seconds_cpu, dense.cpu);
    if (p->sparse) {
        timing sparse;
        UM_TRY(time_pass(k, true, &sparse));
        keep_least(&best->sparse_seconds, sparse.wall);
        keep_least(&best->sparse_seconds_cpu, sparse.cpu);
    }
    if (p->blas) {
        keep_least(&best->blas_seconds, time_blas(k));
    }
    return UM_OK;
}

um_status um_bench_kernels(um_context *ctx, const um_bench_problem *problem,
                           um_bench_kernels_result *result)
{
    *result = (um_bench_kernels_result){0};
    UM_TRY(check(ctx, problem));
    bench k = {.ctx = ctx};
    um_bench_kernels_result best = {0};
    um_status status = set_up(&k, problem);
    int repeats = problem->repeats > 0 ? problem->repeats : REPEATS;
    for (int i = 0; status == UM_OK && i < repeats; i++) {
        status = repeat(&k, problem, &best);
    }
    if (status == UM_OK) {
        best.stored = (double)k.x.stored;
        best.rows_seconds = time_rows(&k);
        *result = best;
    }
    tear_down(&k);
    return status;
}
