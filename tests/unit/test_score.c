#include "base_internal.h"
#include "unmix/verify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NY = 2, NX = 5, KY = 2, KX = 3, N = NY * NX, M = KY * KX };

static um_context *new_context(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    return ctx;
}

static um_model *new_model(um_context *ctx, int64_t k, int64_t nx)
{
    um_model_spec spec = {.k = k, .shape = {NY, nx, KY, KX}, .method = "NMF"};
    um_model *model = NULL;
    assert_int_equal(um_model_create(ctx, &spec, &model), UM_OK);
    return model;
}

/* Two states, each alone in its pixels and both in the last two; position p belongs to state p % 2. */
static um_model *new_truth(um_context *ctx)
{
    um_model *truth = new_model(ctx, 2, NX);
    const float factors[2][M] = {{3, 1, 0, 0, 1, 1}, {0, 0, 2, 2, 1, 1}};
    memcpy(um_model_factors(truth), factors, sizeof factors);
    for (int p = 0; p < N; p++) {
        um_model_loadings(truth)[2 * p + p % 2] = 10.0F;
    }
    return truth;
}

/* The truth with its states in the other order, scaled. */
static um_model *new_result(um_context *ctx, um_model *truth)
{
    um_model *result = new_model(ctx, 2, NX);
    const float scale[2] = {0.25F, 8.0F};
    for (int c = 0; c < 2; c++) {
        for (int q = 0; q < M; q++) {
            um_model_factors(result)[c * M + q] = um_model_factors(truth)[(1 - c) * M + q] * scale[c];
        }
        for (int p = 0; p < N; p++) {
            um_model_loadings(result)[2 * p + c] =
                um_model_loadings(truth)[2 * p + 1 - c] / scale[c];
        }
    }
    return result;
}

static void perfect_result_scores_one(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *truth = new_truth(ctx);
    um_model *result = new_result(ctx, truth);
    um_score *score = NULL;
    assert_int_equal(um_score_model(ctx, result, truth, NULL, &score), UM_OK);
    assert_int_equal(score->component_of[0], 1);
    assert_int_equal(score->component_of[1], 0);
    for (int t = 0; t < 2; t++) {
        assert_true(fabs(score->cosine[t] - 1.0) < 1e-12);
        assert_int_equal(score->classes[t].positions, N / 2);
        assert_true(score->classes[t].f1 == 1.0);
    }
    assert_true(score->label_accuracy == 1.0);
    assert_true(score->baseline == 0.5);
    assert_true(score->fraction_rms < 1e-7);
    um_score_free(score);
    um_model_free(result);
    um_model_free(truth);
    um_context_free(ctx);
}

/* One position of state 0 is given to state 1; the numbers are counted by hand. */
static void errors_are_counted(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *truth = new_truth(ctx);
    um_model *result = new_result(ctx, truth);
    um_model_loadings(result)[2 * 4 + 1] = 0.0F;
    um_model_loadings(result)[2 * 4 + 0] = 1.0F;
    um_score *score = NULL;
    assert_int_equal(um_score_model(ctx, result, truth, NULL, &score), UM_OK);
    assert_true(fabs(score->label_accuracy - 0.9) < 1e-12);
    assert_true(score->classes[0].precision == 1.0);
    assert_true(fabs(score->classes[0].recall - 0.8) < 1e-12);
    assert_true(fabs(score->classes[0].f1 - 8.0 / 9.0) < 1e-12);
    assert_true(fabs(score->classes[1].precision - 5.0 / 6.0) < 1e-12);
    assert_true(score->classes[1].recall == 1.0);
    assert_true(fabs(score->fraction_rms - sqrt(2.0 / 20.0)) < 1e-7);
    um_score_free(score);
    /* Labels that the truth holds count before its loadings; excluded positions do not count. */
    double labels[N];
    uint8_t excluded[N] = {0};
    for (int p = 0; p < N; p++) {
        labels[p] = p == 4 ? 1.0 : p % 2;
    }
    labels[8] = 1.0;
    excluded[8] = 1;
    const int64_t shape[2] = {NY, NX};
    assert_int_equal(um_model_set_array(truth, "labels", 2, shape, labels), UM_OK);
    assert_int_equal(um_model_set_navigation_mask(result, excluded), UM_OK);
    assert_int_equal(um_score_model(ctx, result, truth, NULL, &score), UM_OK);
    assert_true(score->label_accuracy == 1.0);
    assert_int_equal(score->classes[0].positions + score->classes[1].positions, N - 1);
    um_score_free(score);
    um_model_free(result);
    um_model_free(truth);
    um_context_free(ctx);
}

/* Where the result excludes pixels it holds NaN; patterns are compared in the others only. */
static void excluded_pixels_do_not_count(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *truth = new_truth(ctx);
    um_model *result = new_result(ctx, truth);
    uint8_t mask[M] = {0, 0, 0, 0, 1, 0};
    assert_int_equal(um_model_set_signal_mask(result, mask), UM_OK);
    um_model_factors(result)[4] = NAN;
    um_model_factors(result)[M + 4] = NAN;
    um_model_factors(result)[M + 1] = 0.0F; /* was a third of pixel 0 */
    um_score *score = NULL;
    assert_int_equal(um_score_model(ctx, result, truth, NULL, &score), UM_OK);
    assert_true(fabs(score->cosine[1] - 1.0) < 1e-12);
    assert_true(fabs(score->cosine[0] - 10.0 / sqrt(11.0 * 10.0)) < 1e-7);
    um_score_free(score);
    um_model_free(result);
    um_model_free(truth);
    um_context_free(ctx);
}

static void more_and_fewer_components_than_states(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_model *truth = new_truth(ctx);
    um_model *three = new_model(ctx, 3, NX);
    um_model *one = new_model(ctx, 1, NX);
    um_model *wide = new_model(ctx, 1, NX + 1);
    for (int q = 0; q < M; q++) {
        um_model_factors(three)[q] = 1.0F;
        um_model_factors(three)[M + q] = um_model_factors(truth)[q];
        um_model_factors(three)[2 * M + q] = um_model_factors(truth)[M + q];
        um_model_factors(one)[q] = um_model_factors(truth)[M + q];
    }
    for (int p = 0; p < N; p++) {
        um_model_loadings(three)[3 * p + (p == 0 ? 0 : 1 + p % 2)] = 1.0F;
        um_model_loadings(one)[p] = 1.0F;
    }
    um_score *score = NULL;
    assert_int_equal(um_score_model(ctx, three, truth, NULL, &score), UM_OK);
    assert_int_equal(score->component_of[0], 1);
    assert_int_equal(score->component_of[1], 2);
    assert_true(fabs(score->label_accuracy - 0.9) < 1e-12);
    um_score_free(score);
    assert_int_equal(um_score_model(ctx, one, truth, NULL, &score), UM_OK);
    assert_int_equal(score->component_of[0], -1);
    assert_true(score->cosine[0] == 0.0 && score->classes[0].f1 == 0.0);
    assert_true(fabs(score->label_accuracy - 0.5) < 1e-12);
    um_score_free(score);
    assert_int_equal(um_score_model(ctx, wide, truth, NULL, &score), UM_ERROR_SHAPE);
    um_model_free(wide);
    um_model_free(one);
    um_model_free(three);
    um_model_free(truth);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perfect_result_scores_one),
        cmocka_unit_test(errors_are_counted),
        cmocka_unit_test(excluded_pixels_do_not_count),
        cmocka_unit_test(more_and_fewer_components_than_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
