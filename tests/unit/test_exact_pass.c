/* The sums of an exact pass against plain loops, for dense tiles, sparse ones and both in turn; and its timing. */
#include "factor_internal.h"
#include "unmix/bench.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* More rows than are summed in f32, the last group not full. */
enum { N = 2150, M = 50, K = 6, SEGMENT = 2048 };

typedef struct scan {
    uint16_t x[N][M];
    uint32_t start[N + 1];
    uint16_t column[N * M], value[N * M];
    float u[N], v[64], h[K * 64];
    double w[N][K], b[K * M], g[K * K];
} scan;

static uint64_t counter;

static double next(void)
{
    return um_random_uniform((um_random){5, UM_STREAM_TEST}, counter++);
}

static scan *make(void)
{
    scan *s = calloc(1, sizeof *s);
    uint32_t stored = 0;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < M; j++) {
            s->x[i][j] = next() < 0.2 ? (uint16_t)(1 + 900 * next()) : 0;
            if (s->x[i][j] > 0) {
                s->column[stored] = (uint16_t)j;
                s->value[stored++] = s->x[i][j];
            }
        }
        s->start[i + 1] = stored;
        s->u[i] = i % 50 == 7 ? 0 : (float)(0.5 + next());
    }
    for (int j = 0; j < M; j++) {
        s->v[j] = j % 11 == 3 ? 0 : (float)(0.5 + next());
        for (int c = 0; c < K; c++) {
            s->h[c * 64 + j] = (float)next();
        }
    }
    return s;
}

/* Any row of W that is a function of its row of A will do. */
static void take_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                      double extra[4])
{
    scan *s = user;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < K; c++) {
            double value = fmax(0, a[c * UM_GROUP_ROWS + r] - 1);
            w[c * UM_GROUP_ROWS + r] = value;
            s->w[position[r]][c] = value;
            extra[0] += value;
        }
    }
}

/* drain_every: groups between calls of drain(), 0 = none. */
static double pass_over(um_context *ctx, scan *s, int sparse_every, int drain_every, bool tiles)
{
    um_scaled scaled = {.ctx = ctx, .kernels = um_kernels_get(um_context_isa(ctx)), .n = N, .m = M,
                        .ld = um_kernel_stride(M), .u = s->u, .v = s->v, .dtype = UM_U16};
    scaled.tiles = tiles ? um_tile_kernels_get(um_context_isa(ctx)) : NULL;
    assert_int_equal(scaled.ld, 64);
    um_exact_pass pass = {.scaled = &scaled, .k = K, .h = s->h, .rows = take_rows, .user = s,
                          .want_norm2 = true, .b = s->b, .g = s->g};
    um_exact_run *run = NULL;
    void *state = NULL;
    assert_int_equal(um_exact_run_begin(&pass, sparse_every > 0, &run), UM_OK);
    assert_int_equal(um_exact_visitor.start(run, &state), UM_OK);
    for (int i = 0, group = 0; i < N; i += UM_GROUP_ROWS, group++) {
        int64_t position[UM_GROUP_ROWS];
        um_sparse_rows rows = {s->start + i, s->column, s->value, UM_U16};
        um_tile tile = {.dtype = UM_U16, .data = s->x[i], .position = position,
                        .rows = (size_t)(N - i < UM_GROUP_ROWS ? N - i : UM_GROUP_ROWS)};
        for (int r = 0; r < UM_GROUP_ROWS; r++) {
            position[r] = i + r;
        }
        if (sparse_every > 0 && group % sparse_every == 0) {
            tile.sparse = &rows;
            tile.data = NULL;
        }
        assert_int_equal(um_exact_visitor.visit(run, state, &tile), UM_OK);
        if (drain_every > 0 && group % drain_every == 0) {
            assert_int_equal(um_exact_visitor.drain(run, state), UM_OK);
        }
        if ((i + UM_GROUP_ROWS) % SEGMENT == 0 || i + UM_GROUP_ROWS >= N) {
            assert_int_equal(um_exact_visitor.merge(run, state), UM_OK);
        }
    }
    um_exact_visitor.stop(run, state);
    assert_int_equal(um_exact_run_end(run, UM_OK), UM_OK);
    return pass.norm2;
}

static void close_to(double got, double expected)
{
    if (!(fabs(got - expected) <= 2e-6 * fabs(expected))) {
        fail_msg("got %.12g, expected %.12g", got, expected);
    }
}

static void check(const scan *s, double norm2)
{
    double b[K][M] = {{0}};
    double g[K][K] = {{0}};
    double expected2 = 0;
    for (int i = 0; i < N; i++) {
        double a[K] = {0};
        for (int j = 0; j < M; j++) {
            double x = (double)s->u[i] * s->x[i][j] * (double)s->v[j];
            expected2 += x * x;
            for (int c = 0; c < K; c++) {
                a[c] += x * (double)s->h[c * 64 + j];
                b[c][j] += s->w[i][c] * x;
            }
        }
        for (int c = 0; c < K; c++) {
            double error = fabs(s->w[i][c] - fmax(0, a[c] - 1));
            assert_true(error <= 2e-6 * (a[c] + 1));
            for (int d = 0; d < K; d++) {
                g[c][d] += s->w[i][c] * s->w[i][d];
            }
        }
    }
    close_to(norm2, expected2);
    for (int c = 0; c < K; c++) {
        for (int j = 0; j < M; j++) {
            close_to(s->b[c * M + j], b[c][j]);
        }
        for (int d = 0; d < K; d++) {
            close_to(s->g[c * K + d], g[c][d]);
        }
    }
}

static void sums_are_right_in_any_form(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    scan *s = make();
    for (int sparse_every = 0; sparse_every <= 3; sparse_every++) {
        check(s, pass_over(ctx, s, sparse_every, 0, false));
        check(s, pass_over(ctx, s, sparse_every, 1, true));
    }
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    free(s);
    um_context_free(ctx);
}

/* Where the patterns go away between visits must not show. */
static void draining_does_not_change_a_bit(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    scan *s = make();
    scan *again = make();
    memcpy(again, s, sizeof *s);
    double norm2 = pass_over(ctx, s, 0, 0, true);
    for (int every = 1; every <= 7; every++) {
        double other = pass_over(ctx, again, 0, every, true);
        assert_memory_equal(&norm2, &other, sizeof norm2);
        assert_memory_equal(s, again, sizeof *s);
    }
    free(s);
    free(again);
    um_context_free(ctx);
}

static void timing_fills_what_was_asked_for(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_bench_problem problem = {.patterns = 100, .pixels = 70, .components = 2, .dtype = UM_U16,
                                .density = 0.25, .sparse = true, .blas = true, .repeats = 1};
    um_bench_kernels_result r;
    assert_int_equal(um_bench_kernels(ctx, &problem, &r), UM_OK);
    assert_true(r.fma_flops > 0 && r.read_bytes > 0 && r.dense_seconds > 0 && r.dense_fraction > 0);
    assert_true(r.sparse_seconds > 0 && r.blas_seconds > 0 && r.rows_seconds > 0);
    assert_true(fabs(r.stored / 7000 - 0.25) < 0.03);
    problem.sparse = false;
    problem.blas = false;
    problem.dtype = UM_F32;
    assert_int_equal(um_bench_kernels(ctx, &problem, &r), UM_OK);
    assert_true(r.sparse_seconds == 0 && r.blas_seconds == 0 && r.dense_seconds > 0);
    problem.sparse = true;
    assert_int_equal(um_bench_kernels(ctx, &problem, &r), UM_ERROR_ARGUMENT);
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_right_in_any_form),
        cmocka_unit_test(draining_does_not_change_a_bit),
        cmocka_unit_test(timing_fills_what_was_asked_for),
    };
    return cmocka_run_group_tests_name("exact_pass", tests, NULL, NULL);
}
