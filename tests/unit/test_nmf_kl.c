/* Factorisation under the Poisson likelihood: a closed form, the optimality conditions, masks, kernels. */
#include "nmf_kl.h"
#include "prep_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { NY = 10, NX = 9, KY = 8, KX = 11, N = NY * NX, M = KY * KX, K = 3 };

typedef struct fixture {
    um_context *ctx;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix;
    uint16_t data[N * M];
} fixture;

static fixture *setup(const char *mask_outside, double counts)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    um_random random = {9, UM_STREAM_TEST};
    for (int p = 0; p < N; p++) {
        for (int q = 0; q < M; q++) {
            double mean = 0.1 + (q % 7 == p % 3) + 2 * (q % 11 == 4 * (p % 3)) * (p % 5);
            f->data[p * M + q] =
                (uint16_t)um_random_poisson(random, (uint64_t)(p * M + q), counts * mean);
        }
    }
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, f->data);
    assert_int_equal(um_recipe_create(f->ctx, &f->recipe), UM_OK);
    if (mask_outside != NULL) {
        assert_int_equal(um_recipe_set(f->recipe, "mask-outside", mask_outside), UM_OK);
    }
    assert_int_equal(um_matrix_open(f->ctx, f->source, f->recipe, &f->matrix), UM_OK);
    return f;
}

static void teardown(fixture *f)
{
    um_matrix_free(f->matrix);
    um_recipe_free(f->recipe);
    um_source_free(f->source);
    assert_int_equal(um_context_memory_in_use(f->ctx), 0);
    um_context_free(f->ctx);
    free(f);
}

static um_nmf_result *fit(fixture *f, int64_t k, um_start start)
{
    um_nmf_options options = um_nmf_defaults(k);
    options.loss = UM_LOSS_KL;
    options.start = start;
    options.tolerance = 1e-6;
    options.max_passes = 3000;
    um_nmf_result *r = NULL;
    if (um_nmf(f->matrix, &options, &r) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
    assert_true(r->converged);
    return r;
}

static double entropy(double x, double y)
{
    return (x > 0 ? x * log(x / y) : 0) - x + y;
}

/* The divergence of the returned model and, at each entry of W and H, how far it is from optimal. */
static void check(const fixture *f, const um_nmf_result *r)
{
    const float *h = um_model_factors(r->model);
    const float *w = um_model_loadings(r->model);
    const uint8_t *mask = um_model_signal_mask(r->model);
    size_t k = (size_t)um_model_k(r->model);
    double total = 0;
    double *gw = calloc(N * k, sizeof *gw);
    double *gh = calloc(M * k, sizeof *gh);
    double *sum_w = calloc(k, sizeof *sum_w);
    for (size_t p = 0; p < N; p++) {
        for (size_t q = 0; q < M; q++) {
            if (mask != NULL && mask[q]) {
                continue;
            }
            double y = 0;
            for (size_t c = 0; c < k; c++) {
                y += (double)w[p * k + c] * (double)h[c * M + q];
            }
            double x = f->data[p * M + q];
            total += entropy(x, y);
            for (size_t c = 0; c < k; c++) {
                double slope = x > 0 ? 1 - x / y : 1;
                gw[p * k + c] += (double)h[c * M + q] * slope;
                gh[q * k + c] += (double)w[p * k + c] * slope;
            }
        }
        for (size_t c = 0; c < k; c++) {
            sum_w[c] += (double)w[p * k + c];
        }
    }
    assert_true(fabs(r->divergence / total - 1) < 1e-5);
    for (size_t p = 0; p < N; p++) {
        for (size_t c = 0; c < k; c++) { /* patterns have sum one */
            double g = gw[p * k + c];
            assert_true(w[p * k + c] > 0.01F ? fabs(g) < 2e-3 : g > -2e-3);
        }
    }
    for (size_t q = 0; q < M; q++) {
        for (size_t c = 0; c < k; c++) {
            double g = gh[q * k + c] / sum_w[c];
            assert_true(h[c * M + q] > 1e-5F ? fabs(g) < 2e-2 : g > -2e-2);
        }
    }
    free(gw);
    free(gh);
    free(sum_w);
}

/* One component: the product of the sums of rows and columns over the total. */
static void one_component_is_known(void **state)
{
    (void)state;
    fixture *f = setup(NULL, 2);
    um_nmf_result *r = fit(f, 1, UM_START_AUTO);
    double total = 0;
    double rows[N] = {0};
    double columns[M] = {0};
    for (size_t i = 0; i < N * M; i++) {
        rows[i / M] += f->data[i];
        columns[i % M] += f->data[i];
        total += f->data[i];
    }
    for (size_t p = 0; p < N; p++) {
        assert_true(fabs((double)um_model_loadings(r->model)[p] - rows[p]) < 1e-4 * rows[p]);
    }
    for (size_t q = 0; q < M; q++) {
        double h = (double)um_model_factors(r->model)[q];
        assert_true(fabs(h - columns[q] / total) < 1e-4 * columns[q] / total);
    }
    double divergence = 0;
    for (size_t i = 0; i < N * M; i++) {
        divergence += entropy(f->data[i], rows[i / M] * columns[i % M] / total);
    }
    assert_true(fabs(r->divergence / divergence - 1) < 1e-5);
    um_nmf_result_free(r);
    teardown(f);
}

static void ends_in_a_minimum(void **state)
{
    (void)state;
    fixture *f = setup(NULL, 3);
    um_nmf_result *r = fit(f, K, UM_START_AUTO);
    check(f, r);
    const um_array *history = um_model_array(r->model, "objective_history");
    double best = INFINITY;
    int undone = 0;
    for (int64_t i = 0; i < um_array_size(history); i++) {
        double value = um_array_get(history, i);
        undone += value > best * (1 + 1e-7);
        best = fmin(best, value);
    }
    assert_true(undone * 4 < um_array_size(history));
    assert_true(r->divergence <= best * (1 + 1e-6));
    um_nmf_result_free(r);
    r = fit(f, K, UM_START_RANDOM);
    check(f, r);
    um_nmf_result_free(r);
    teardown(f);
}

static void leaves_masked_pixels_out(void **state)
{
    (void)state;
    fixture *f = setup("4.1", 3);
    um_nmf_result *r = fit(f, K, UM_START_NNDSVDAR);
    check(f, r);
    um_nmf_result_free(r);
    teardown(f);
}

/* Fewer counts than patterns: empty rows and columns. */
static void bears_empty_patterns(void **state)
{
    (void)state;
    fixture *f = setup(NULL, 0.004);
    um_nmf_result *r = fit(f, 2, UM_START_AUTO);
    assert_true(isfinite(r->divergence) && r->divergence > 0);
    for (size_t i = 0; i < N * 2; i++) {
        assert_true(um_model_loadings(r->model)[i] >= 0);
    }
    um_nmf_result_free(r);
    teardown(f);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static void check_kernels(const um_kernels *kernels, size_t m, size_t k)
{
    size_t ld = um_kernel_stride(m);
    size_t room = (m + 16) / 16 * 16;
    size_t stride = um_kernel_sparse_stride(k);
    uint8_t *x = calloc(m, 1);
    float *on = calloc(ld, sizeof *on);
    float *h = calloc(k * ld, sizeof *h);
    uint32_t *column = calloc(room, sizeof *column);
    float *value = calloc(room, sizeof *value);
    float *panel = calloc(k * room, sizeof *panel);
    float *y = calloc(room, sizeof *y);
    float *ratio = calloc(room, sizeof *ratio);
    float *w32 = calloc(stride, sizeof *w32);
    float *bt = calloc(m * stride, sizeof *bt);
    double *w = calloc(k, sizeof *w);
    double *sum = calloc(k, sizeof *sum);
    um_random random = {4, UM_STREAM_TEST};
    for (size_t j = 0; j < m; j++) {
        x[j] = (uint8_t)um_random_poisson(random, j, 0.8);
        on[j] = j % 7 != 3;
        for (size_t c = 0; c < k; c++) {
            h[c * ld + j] = (float)um_random_uniform(random, 1000000 + c * m + j);
            sum[c] += on[j] > 0 ? (double)h[c * ld + j] : 0;
        }
    }
    size_t n = kernels->kl_list[UM_U8](x, m, on, column, value);
    for (size_t i = n; i < room; i++) {
        value[i] = 0;
    }
    size_t found = 0;
    for (size_t j = 0; j < m; j++) {
        if (x[j] > 0 && on[j] > 0) {
            assert_true(column[found] == j && value[found] == (float)x[j]);
            found++;
        }
    }
    assert_int_equal(found, n);
    kernels->kl_gather(h, ld, k, column, n, panel, room);
    for (size_t c = 0; c < k; c++) {
        w[c] = 1;
    }
    double moved = kernels->kl_solve(k, n, panel, room, value, sum, 1, w, y, 2000, 1e-7);
    double counts = 0;
    for (size_t i = 0; i < n; i++) {
        counts += (double)value[i];
    }
    assert_true(moved <= 2e-6 * (counts + 1));
    double expected = 0;
    kernels->kl_spread(column, value, 0, w32, stride, bt);
    double got = kernels->kl_ratio(n, value, y, ratio);
    for (size_t i = 0; i < n; i++) {
        double model = 0;
        for (size_t c = 0; c < k; c++) {
            model += w[c] * (double)h[c * ld + column[i]];
        }
        assert_true(fabs((double)ratio[i] * model / (double)value[i] - 1) < 1e-5);
        expected += (double)value[i] * log((double)value[i] / model);
    }
    assert_true(fabs(got - expected) <= 1e-5 * (counts + 1));
    for (size_t c = 0; c < k; c++) {
        w32[c] = (float)w[c];
        double slope = sum[c];
        for (size_t i = 0; i < n; i++) {
            slope -= (double)ratio[i] * (double)h[c * ld + column[i]];
        }
        assert_true(w[c] > 1e-4 ? fabs(slope) < 1e-3 * (sum[c] + 1) : slope > -1e-3 * (sum[c] + 1));
    }
    kernels->kl_spread(column, ratio, n, w32, stride, bt);
    for (size_t i = 0; i < n; i++) {
        for (size_t c = 0; c < k; c++) {
            assert_true(fabs((double)bt[column[i] * stride + c] - w[c] * (double)ratio[i]) <=
                        1e-5 * w[c] * (double)ratio[i]);
        }
    }
    free(x);
    free(on);
    free(h);
    free(column);
    free(value);
    free(panel);
    free(y);
    free(ratio);
    free(w32);
    free(bt);
    free(w);
    free(sum);
}

static void every_variant_solves_rows(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    for (int isa = UM_ISA_SCALAR; isa <= (int)um_context_isa(ctx); isa++) {
        const um_kernels *kernels = um_kernels_get((um_isa)isa);
        check_kernels(kernels, 1, 1);
        check_kernels(kernels, 97, 3);
        check_kernels(kernels, 6000, 7);
        check_kernels(kernels, 500, 18);
    }
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_component_is_known),   cmocka_unit_test(ends_in_a_minimum),
        cmocka_unit_test(leaves_masked_pixels_out), cmocka_unit_test(bears_empty_patterns),
        cmocka_unit_test(every_variant_solves_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
