#include "rotation.h"
#include "model_internal.h"
#include "unmix/ica.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static um_context *ctx;

static int start(void **state)
{
    (void)state;
    return um_context_create(&ctx) == UM_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    um_context_free(ctx);
    return 0;
}

enum { K = 3, NY = 90, NX = 70, PIXELS = 12 };

/* Loadings = mixed sources, of which each is far from Gaussian; patterns = anything. Position 5 is excluded. */
static um_model *mixed(void)
{
    static const double mix[K][K] = {{5, 2, 1}, {-0.2, 0.9, 0.3}, {0.01, -0.02, 0.04}};
    um_model_spec spec = {.k = K, .shape = {NY, NX, 3, 4}, .method = "SVD"};
    um_axes_default(spec.axes, spec.shape);
    um_model *m = NULL;
    assert_int_equal(um_model_create(ctx, &spec, &m), UM_OK);
    um_random random = {7, UM_STREAM_TEST};
    for (size_t p = 0; p < NY * NX; p++) {
        double s[K] = {um_random_uniform(random, 3 * p), -log(1 - um_random_uniform(random, 3 * p + 1)),
                       um_random_uniform(random, 3 * p + 2) < 0.1};
        for (size_t c = 0; c < K; c++) {
            um_model_loadings(m)[p * K + c] =
                (float)(mix[c][0] * s[0] + mix[c][1] * s[1] + mix[c][2] * s[2]);
        }
    }
    for (size_t i = 0; i < K * PIXELS; i++) {
        um_model_factors(m)[i] = (float)um_random_uniform(random, 100000 + i) - 0.7f;
    }
    uint8_t mask[NY * NX] = {0};
    mask[5] = 1;
    um_model_loadings(m)[5 * K] = NAN;
    assert_int_equal(um_model_set_navigation_mask(m, mask), UM_OK);
    return m;
}

static double kurtosis_of(const float *values, size_t step)
{
    double n = 0, mean = 0, second = 0, fourth = 0;
    for (size_t p = 0; p < NY * NX; p++) {
        mean += p == 5 ? 0 : (double)values[p * step];
        n += p != 5;
    }
    mean /= n;
    for (size_t p = 0; p < NY * NX; p++) {
        double d = p == 5 ? 0 : (double)values[p * step] - mean;
        second += d * d;
        fourth += d * d * d * d;
    }
    return fourth / n / (second / n * second / n) - 3;
}

static void test_sources_are_found(void **state)
{
    (void)state;
    um_model *m = mixed();
    um_ica_options options = um_ica_defaults();
    options.on_loadings = true;
    um_ica_result *r = NULL;
    assert_int_equal(um_ica(ctx, m, &options, &r), UM_OK);
    assert_true(r->converged);
    assert_int_equal(r->samples, NY * NX - 1);
    /* What is known of the three distributions: uniform -1.2, exponential 6, a tenth of ones 5.1. */
    int found[K] = {0};
    for (int c = 0; c < K; c++) {
        found[0] += fabs(r->kurtosis[c] + 1.2) < 0.1;
        found[1] += fabs(r->kurtosis[c] - 6) < 2;
        assert_true(c == 0 || r->strength[c] <= r->strength[c - 1]);
    }
    assert_int_equal(found[0], 1);
    assert_int_equal(found[1], 2);

    /* The model made of the turned components is the same one. */
    float before[PIXELS] = {0};
    float after[PIXELS] = {0};
    for (size_t i = 0; i < K * PIXELS; i++) {
        before[i % PIXELS] += um_model_loadings(m)[77 * K + i / PIXELS] * um_model_factors(m)[i];
    }
    assert_int_equal(um_model_turn(ctx, m), UM_OK);
    assert_string_equal(um_model_method(m), "unmix");
    for (size_t i = 0; i < K * PIXELS; i++) {
        after[i % PIXELS] += um_model_loadings(m)[77 * K + i / PIXELS] * um_model_factors(m)[i];
    }
    for (size_t q = 0; q < PIXELS; q++) {
        assert_float_equal(before[q], after[q], 1e-4);
    }
    for (size_t c = 0; c < K; c++) {
        assert_float_equal(kurtosis_of(um_model_loadings(m) + c, K), r->kurtosis[c], 1e-3);
    }
    um_ica_result_free(r);
    um_model_free(m);
}

static void test_leading_components_only(void **state)
{
    (void)state;
    um_model *m = mixed();
    um_ica_options options = um_ica_defaults();
    options.k = 2;
    options.method = UM_ICA_VARIMAX;
    um_ica_result *r = NULL;
    assert_int_equal(um_ica(ctx, m, &options, &r), UM_OK);
    assert_int_equal(um_model_turn(ctx, m), UM_OK);
    assert_int_equal(um_model_k(m), 2);
    /* An orthonormal basis of patterns. */
    const float *h = um_model_factors(m);
    for (int a = 0; a < 2; a++) {
        for (int b = 0; b < 2; b++) {
            double sum = 0;
            for (int q = 0; q < PIXELS; q++) {
                sum += (double)h[a * PIXELS + q] * (double)h[b * PIXELS + q] / PIXELS;
            }
            assert_float_equal(sum, a == b, 1e-5);
        }
    }
    um_ica_result_free(r);
    um_model_free(m);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    um_model *m = mixed();
    um_ica_options options = um_ica_defaults();
    um_ica_result *r = NULL;
    assert_int_equal(um_model_turn(ctx, m), UM_ERROR_ARGUMENT);
    options.k = K + 1;
    assert_int_equal(um_ica(ctx, m, &options, &r), UM_ERROR_ARGUMENT);
    options.k = 0;
    options.tolerance = 0;
    assert_int_equal(um_ica(ctx, m, &options, &r), UM_ERROR_ARGUMENT);
    options.tolerance = 1e-8;
    for (size_t q = 0; q < PIXELS; q++) { /* the third pattern is the sum of the others */
        um_model_factors(m)[2 * PIXELS + q] = um_model_factors(m)[q] + um_model_factors(m)[PIXELS + q];
    }
    assert_int_equal(um_ica(ctx, m, &options, &r), UM_ERROR_NUMERIC);
    assert_non_null(strstr(um_context_message(ctx), "depend on each other"));
    assert_null(r);
    um_model_free(m);
}

static void test_polar(void **state)
{
    (void)state;
    double a[9] = {2, 0.3, -1, 0.1, 1, 0.5, 0.7, 0, 3};
    double square[9];
    assert_int_equal(um_polar(ctx, a, 3), UM_OK);
    um_square_product(a, a, true, 3, square);
    for (int i = 0; i < 9; i++) {
        assert_true(fabs(square[i] - (i % 4 == 0)) < 1e-12);
    }
    double singular[4] = {1, 2, 2, 4};
    assert_int_equal(um_inverse_root(ctx, singular, 2, 1e-12), UM_ERROR_NUMERIC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sources_are_found),
        cmocka_unit_test(test_leading_components_only),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_polar),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
