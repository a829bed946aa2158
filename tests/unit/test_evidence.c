/* Standard errors against repeated draws of the noise; planted duplicates; nothing wrong with a clean result. */
#include "base_internal.h"
#include "unmix/evidence.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NY = 4, NX = 6, KY = 6, KX = 8, N = NY * NX, M = KY * KX };
static const um_random RANDOM = {11, UM_STREAM_TEST};

static um_model *make_model(um_context *ctx, int64_t k)
{
    um_model_spec spec = {.k = k, .shape = {NY, NX, KY, KX}, .method = "NMF"};
    for (int i = 0; i < 4; i++) {
        const int64_t sizes[4] = {NY, NX, KY, KX};
        spec.axes[i] = (um_axis){.scale = 1, .size = sizes[i], .navigate = i < 2};
    }
    um_model *model = NULL;
    assert_int_equal(um_model_create(ctx, &spec, &model), UM_OK);
    return model;
}

/* Two patterns of unit sum that share pixels, loadings between 100 and 1100 counts. */
static um_model *two_components(um_context *ctx)
{
    um_model *model = make_model(ctx, 2);
    float *h = um_model_factors(model);
    float *w = um_model_loadings(model);
    for (int c = 0; c < 2; c++) {
        double sum = 0;
        for (int j = 0; j < M; j++) {
            sum += 0.05 + um_random_uniform(RANDOM, (uint64_t)(c * M + j));
        }
        for (int j = 0; j < M; j++) {
            h[c * M + j] = (float)((0.05 + um_random_uniform(RANDOM, (uint64_t)(c * M + j))) / sum);
        }
    }
    for (int i = 0; i < 2 * N; i++) {
        w[i] = (float)(100 + 1000 * um_random_uniform(RANDOM, (uint64_t)(1000 + i)));
    }
    return model;
}

static void set_weighted(um_model *model)
{
    double map[N];
    for (int p = 0; p < N; p++) {
        map[p] = 1;
    }
    const int64_t shape[2] = {NY, NX};
    assert_int_equal(um_model_set_array(model, "residual_map_weighted", 2, shape, map), UM_OK);
}

/* Weighted least squares of one Poisson pattern for two components, by the 2 x 2 normal equations. */
static void solve_pair(const double *d, const float *h, const double *x, double out[2])
{
    double g[3] = {0};
    double a[2] = {0};
    for (int j = 0; j < M; j++) {
        double h0 = (double)h[j];
        double h1 = (double)h[M + j];
        g[0] += d[j] * h0 * h0;
        g[1] += d[j] * h0 * h1;
        g[2] += d[j] * h1 * h1;
        a[0] += d[j] * h0 * x[j];
        a[1] += d[j] * h1 * x[j];
    }
    double det = g[0] * g[2] - g[1] * g[1];
    out[0] = (g[2] * a[0] - g[1] * a[1]) / det;
    out[1] = (g[0] * a[1] - g[1] * a[0]) / det;
}

static void errors_equal_the_scatter_of_repeated_noise(void **state)
{
    (void)state;
    enum { DRAWS = 4000 };
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_model *model = two_components(ctx);
    set_weighted(model);
    um_evidence *e = NULL;
    assert_int_equal(um_evidence_make(ctx, model, &e), UM_OK);
    assert_true(e->weighted);
    const float *h = um_model_factors(model);
    const float *w = um_model_loadings(model);
    double d[M] = {0};
    for (int j = 0; j < M; j++) {
        for (int p = 0; p < N; p++) {
            d[j] += (double)w[2 * p] * (double)h[j] + (double)w[2 * p + 1] * (double)h[M + j];
        }
        d[j] = 1 / d[j];
    }
    for (int p = 0; p < 2; p++) {
        double sum[2] = {0};
        double squares[2] = {0};
        for (int t = 0; t < DRAWS; t++) {
            double x[M];
            double found[2];
            for (int j = 0; j < M; j++) {
                double mean = (double)w[2 * p] * (double)h[j] + (double)w[2 * p + 1] * (double)h[M + j];
                x[j] = (double)um_random_poisson(RANDOM, (uint64_t)((p * DRAWS + t) * M + j), mean);
            }
            solve_pair(d, h, x, found);
            for (int c = 0; c < 2; c++) {
                sum[c] += found[c];
                squares[c] += found[c] * found[c];
            }
        }
        for (int c = 0; c < 2; c++) {
            double mean = sum[c] / DRAWS;
            double scatter = sqrt(squares[c] / DRAWS - mean * mean);
            /* The scatter of 4,000 draws has itself a standard error of 1.1 %. */
            assert_true(fabs(e->loading_error[2 * p + c] / scatter - 1) < 0.045);
        }
    }
    um_evidence_free(e);
    um_model_free(model);
    um_context_free(ctx);
}

/* With one component everything is a closed form: w = sum(x h d) / sum(h^2 d) has the variance w sum(h^3 d^2) /
 * (sum h^2 d)^2, and with d = 1 / b, b = h sum(w), that is w. */
static void one_component_has_the_error_of_a_count(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_model *model = make_model(ctx, 1);
    for (int j = 0; j < M; j++) {
        um_model_factors(model)[j] = (float)(j + 1) / (M * (M + 1) / 2);
    }
    for (int p = 0; p < N; p++) {
        um_model_loadings(model)[p] = (float)(100 * (p + 1));
    }
    set_weighted(model);
    um_evidence *e = NULL;
    assert_int_equal(um_evidence_make(ctx, model, &e), UM_OK);
    double all = 0;
    for (int p = 0; p < N; p++) {
        all += 100 * (p + 1);
        assert_true(fabs(e->loading_error[p] - sqrt(100.0 * (p + 1))) < 1e-4 * sqrt(100.0 * (p + 1)));
        assert_true(e->fraction_low[p] > 0.9999 && e->fraction_high[p] <= 1);
    }
    for (int j = 0; j < M; j++) {
        double h = (double)(j + 1) / (M * (M + 1) / 2);
        assert_true(fabs(e->pattern_error[j] - sqrt(h / all)) < 1e-4 * sqrt(h / all));
    }
    assert_int_equal(e->suspicion_count, 0);
    um_evidence_free(e);
    um_model_free(model);
    um_context_free(ctx);
}

static void a_component_given_twice_is_a_duplicate(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_model *two = two_components(ctx);
    um_model *three = make_model(ctx, 3);
    memcpy(um_model_factors(three), um_model_factors(two), 2 * M * sizeof(float));
    memcpy(um_model_factors(three) + 2 * M, um_model_factors(two), M * sizeof(float));
    for (int p = 0; p < N; p++) {
        const float *w = um_model_loadings(two) + 2 * p;
        float *to = um_model_loadings(three) + 3 * p;
        to[0] = w[0] / 3;
        to[1] = w[1];
        to[2] = w[0] / 3 * 2;
    }
    um_evidence *e = NULL;
    assert_int_equal(um_evidence_make(ctx, three, &e), UM_OK);
    assert_int_equal(e->merge_count, 1);
    assert_int_equal(e->merges[0].first, 0);
    assert_int_equal(e->merges[0].second, 2);
    assert_int_equal(e->suspicions[0].kind, UM_SUSPECT_DUPLICATE);
    assert_true(isnan(e->positions_beyond_noise));
    um_evidence_free(e);
    um_model_factors(three)[5] = -1;
    assert_int_equal(um_evidence_make(ctx, three, &e), UM_ERROR_VALUE);
    assert_null(e);
    um_model_free(three);
    um_model_free(two);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_equal_the_scatter_of_repeated_noise),
        cmocka_unit_test(one_component_has_the_error_of_a_count),
        cmocka_unit_test(a_component_given_twice_is_a_duplicate),
    };
    return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
