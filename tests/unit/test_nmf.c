/* NMF against its own definition: exact errors, optimality conditions, known answers, same bits. */
#include "factor_internal.h"
#include "prep_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { NY = 12, NX = 21, KY = 9, KX = 14, N = NY * NX, M = KY * KX, STATES = 3 };

typedef struct fixture {
    um_context *ctx;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix;
    double truth[STATES * M];
    uint16_t data[N * M];
} fixture;

/* Three states of own spots and a shared background; stripes with a mixed column in between. */
static fixture *setup(const char *mask_outside)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    for (int c = 0; c < STATES; c++) {
        double sum = 0;
        for (int q = 0; q < M; q++) {
            f->truth[c * M + q] = 0.2 + 8 * (q % 13 == 4 * c) + 5 * (q % 17 == 5 * c + 1);
            sum += f->truth[c * M + q];
        }
        for (int q = 0; q < M; q++) {
            f->truth[c * M + q] /= sum;
        }
    }
    um_random random = {3, UM_STREAM_TEST};
    for (int p = 0; p < N; p++) {
        int x = p % NX;
        int state = x / 7;
        bool mixed = x % 7 == 6 && state + 1 < STATES;
        for (int q = 0; q < M; q++) {
            double mean = f->truth[state * M + q];
            if (mixed) {
                mean = 0.5 * (mean + f->truth[(state + 1) * M + q]);
            }
            f->data[p * M + q] =
                (uint16_t)um_random_poisson(random, (uint64_t)(p * M + q), 20000 * mean);
        }
    }
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, f->data);
    assert_int_equal(um_recipe_create(f->ctx, &f->recipe), UM_OK);
    if (mask_outside != NULL) {
        assert_int_equal(um_recipe_set(f->recipe, "mask-outside", mask_outside), UM_OK);
    }
    if (um_matrix_open(f->ctx, f->source, f->recipe, &f->matrix) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
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

static um_nmf_result *fit(fixture *f, const um_nmf_options *options)
{
    um_nmf_result *r = NULL;
    if (um_nmf(f->matrix, options, &r) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
    return r;
}

/* Weighted and plain squared errors of the returned model, from the data. */
static void direct_errors(const fixture *f, um_model *model, double *plain, double *weighted)
{
    const float *h = um_model_factors(model);
    const float *w = um_model_loadings(model);
    const uint8_t *mask = um_model_signal_mask(model);
    int64_t k = um_model_k(model);
    double a[N] = {0};
    double b[M] = {0};
    *plain = *weighted = 0;
    for (int p = 0; p < N; p++) {
        for (int q = 0; q < M; q++) {
            double x = mask == NULL || !mask[q] ? f->data[p * M + q] : 0;
            a[p] += x;
            b[q] += x;
        }
    }
    for (int p = 0; p < N; p++) {
        for (int q = 0; q < M; q++) {
            if (mask != NULL && mask[q]) {
                continue;
            }
            double d = f->data[p * M + q];
            for (int64_t c = 0; c < k; c++) {
                d -= (double)w[p * k + c] * (double)h[c * M + q];
            }
            *plain += d * d;
            *weighted += a[p] * b[q] > 0 ? d * d / (a[p] * b[q]) : 0;
        }
    }
}

static void check_fit(const char *mask_outside, um_weights weights, um_start start)
{
    fixture *f = setup(mask_outside);
    um_nmf_options options = um_nmf_defaults(STATES);
    options.weights = weights;
    options.start = start;
    options.tolerance = 1e-5;
    um_nmf_result *r = fit(f, &options);
    assert_true(r->converged);
    assert_true(r->kkt <= 2 * options.tolerance);
    double plain = 0;
    double weighted = 0;
    direct_errors(f, r->model, &plain, &weighted);
    assert_true(fabs(r->frobenius_error / sqrt(plain) - 1) < 1e-5);
    assert_true(fabs(r->weighted_error /
                         sqrt(weights == UM_WEIGHTS_POISSON ? weighted : plain) - 1) < 1e-5);
    /* With the right model nothing but counting noise is left. */
    if (weights == UM_WEIGHTS_POISSON) {
        assert_true(r->noise_ratio > 0.9 && r->noise_ratio < 1.05);
    }
    const float *h = um_model_factors(r->model);
    const uint8_t *mask = um_model_signal_mask(r->model);
    for (int t = 0; t < STATES; t++) {
        double best = 0;
        for (int c = 0; c < STATES; c++) {
            double ab = 0;
            double aa = 0;
            double bb = 0;
            for (int q = 0; q < M; q++) {
                if (mask != NULL && mask[q]) {
                    assert_true(isnan(h[c * M + q]));
                    continue;
                }
                ab += f->truth[t * M + q] * (double)h[c * M + q];
                aa += f->truth[t * M + q] * f->truth[t * M + q];
                bb += (double)h[c * M + q] * (double)h[c * M + q];
            }
            best = fmax(best, ab / sqrt(aa * bb));
        }
        assert_true(best > 0.998);
    }
    /* Ordered by contribution, patterns of unit sum. */
    const um_array *share = um_model_array(r->model, "component_contribution");
    double total = 0;
    for (int c = 0; c < STATES; c++) {
        double sum = 0;
        for (int q = 0; q < M; q++) {
            sum += mask != NULL && mask[q] ? 0 : (double)h[c * M + q];
        }
        assert_true(fabs(sum - 1) < 1e-5);
        assert_true(c == 0 || um_array_get(share, c) <= um_array_get(share, c - 1));
        total += um_array_get(share, c);
    }
    assert_true(fabs(total - 1) < 1e-9);
    um_nmf_result_free(r);
    teardown(f);
}

static void finds_the_states(void **state)
{
    (void)state;
    check_fit(NULL, UM_WEIGHTS_POISSON, UM_START_SEPARABLE);
    check_fit(NULL, UM_WEIGHTS_POISSON, UM_START_NNDSVDAR);
    check_fit(NULL, UM_WEIGHTS_NONE, UM_START_NNDSVD);
    check_fit(NULL, UM_WEIGHTS_NONE, UM_START_NNDSVDA);
    check_fit(NULL, UM_WEIGHTS_POISSON, UM_START_RANDOM);
}

static void finds_the_states_under_a_mask(void **state)
{
    (void)state;
    check_fit("5.2", UM_WEIGHTS_POISSON, UM_START_SEPARABLE);
    check_fit("5.2", UM_WEIGHTS_NONE, UM_START_NNDSVDAR);
}

/* The optimality conditions of what is returned, from dense matrices. */
static void satisfies_kkt(void **state)
{
    (void)state;
    fixture *f = setup(NULL);
    um_nmf_options options = um_nmf_defaults(STATES);
    options.weights = UM_WEIGHTS_NONE;
    options.tolerance = 1e-6;
    um_nmf_result *r = fit(f, &options);
    const float *h = um_model_factors(r->model);
    const float *w = um_model_loadings(r->model);
    double worst_w = 0;
    double worst_h = 0;
    double size_w = 0;
    double size_h = 0;
    for (int c = 0; c < STATES; c++) {
        for (int p = 0; p < N; p++) {
            double gradient = 0;
            double a = 0;
            for (int q = 0; q < M; q++) {
                double y = 0;
                for (int d = 0; d < STATES; d++) {
                    y += (double)w[p * STATES + d] * (double)h[d * M + q];
                }
                gradient += (y - f->data[p * M + q]) * (double)h[c * M + q];
                a += f->data[p * M + q] * (double)h[c * M + q];
            }
            size_w = fmax(size_w, a);
            worst_w = fmax(worst_w, w[p * STATES + c] > 0 ? fabs(gradient) : -gradient);
        }
        for (int q = 0; q < M; q++) {
            double gradient = 0;
            double b = 0;
            for (int p = 0; p < N; p++) {
                double y = 0;
                for (int d = 0; d < STATES; d++) {
                    y += (double)w[p * STATES + d] * (double)h[d * M + q];
                }
                gradient += (y - f->data[p * M + q]) * (double)w[p * STATES + c];
                b += f->data[p * M + q] * (double)w[p * STATES + c];
            }
            size_h = fmax(size_h, b);
            worst_h = fmax(worst_h, h[c * M + q] > 0 ? fabs(gradient) : -gradient);
        }
    }
    assert_true(worst_w < 1e-5 * size_w);
    assert_true(worst_h < 1e-5 * size_h);
    um_nmf_result_free(r);
    teardown(f);
}

static void same_bits(void **state)
{
    (void)state;
    float first[N * STATES];
    for (int variant = 0; variant < 4; variant++) {
        fixture *f = setup("6");
        um_context_set_threads(f->ctx, 1 + variant % 3);
        if (variant == 3) {
            um_context_set_memory(f->ctx, 600000); /* a few groups at a time */
        }
        um_nmf_options options = um_nmf_defaults(STATES);
        options.max_passes = 25;
        um_nmf_result *r = fit(f, &options);
        if (variant == 0) {
            memcpy(first, um_model_loadings(r->model), sizeof first);
        }
        assert_memory_equal(first, um_model_loadings(r->model), sizeof first);
        um_nmf_result_free(r);
        teardown(f);
    }
}

static void resumes_to_the_same_result(void **state)
{
    (void)state;
    const char *path = "test_nmf_checkpoint.npz";
    remove(path);
    fixture *f = setup(NULL);
    um_nmf_options options = um_nmf_defaults(STATES);
    options.tolerance = 0;
    options.max_passes = 20;
    um_nmf_result *whole = fit(f, &options);
    options.checkpoint = path;
    options.checkpoint_seconds = 0;
    options.max_passes = 8;
    um_nmf_result *part = fit(f, &options);
    assert_false(part->converged);
    options.max_passes = 20;
    options.resume = true;
    um_nmf_result *rest = fit(f, &options);
    assert_int_equal(rest->iterations, 20);
    assert_memory_equal(um_model_loadings(whole->model), um_model_loadings(rest->model),
                        N * STATES * sizeof(float));
    assert_memory_equal(um_model_factors(whole->model), um_model_factors(rest->model),
                        M * STATES * sizeof(float));
    /* Not a checkpoint of these options. */
    options.weights = UM_WEIGHTS_NONE;
    um_nmf_result *other = NULL;
    assert_int_equal(um_nmf(f->matrix, &options, &other), UM_ERROR_ARGUMENT);
    assert_non_null(strstr(um_context_message(f->ctx), path));
    um_nmf_result_free(whole);
    um_nmf_result_free(part);
    um_nmf_result_free(rest);
    teardown(f);
    remove(path);
}

static void refuses_what_it_cannot_do(void **state)
{
    (void)state;
    fixture *f = setup(NULL);
    um_nmf_result *r = NULL;
    um_nmf_options options = um_nmf_defaults(M + 1);
    assert_int_equal(um_nmf(f->matrix, &options, &r), UM_ERROR_ARGUMENT);
    assert_null(r);
    options.k = INT64_MAX / 2; /* its plan would overflow */
    assert_int_equal(um_nmf(f->matrix, &options, &r), UM_ERROR_ARGUMENT);
    um_context_set_memory(f->ctx, 20000);
    options = um_nmf_defaults(STATES);
    assert_int_equal(um_nmf(f->matrix, &options, &r), UM_ERROR_BUDGET);
    teardown(f);
}

/* The plan is what one worker takes: a run in one thread, streaming in small tiles, stays within it, and
 * a budget of exactly that is enough. */
static void plans_its_memory(void **state)
{
    (void)state;
    fixture *f = setup("6");
    um_context_set_threads(f->ctx, 1);
    um_nmf_options options = um_nmf_defaults(STATES);
    options.max_passes = 3;
    um_svd_options svd_options = {.k = STATES, .power_iterations = 1};
    size_t held = um_context_memory_in_use(f->ctx);
    size_t plan = um_nmf_plan(f->matrix, &options);
    um_context_set_memory(f->ctx, held + plan);
    um_nmf_result_free(fit(f, &options));
    assert_true(um_context_memory_peak(f->ctx) - held > plan * 2 / 3);
    um_context_set_memory(f->ctx, held + plan / 3);
    um_nmf_result *r = NULL;
    assert_int_equal(um_nmf(f->matrix, &options, &r), UM_ERROR_BUDGET);
    held = um_context_memory_in_use(f->ctx); /* the scan has stayed in memory */
    um_context_set_memory(f->ctx, held + um_svd_plan(f->matrix, &svd_options));
    um_svd_result *svd = NULL;
    if (um_svd(f->matrix, &svd_options, &svd) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
    um_svd_result_free(svd);
    teardown(f);
}

/* The largest objective that the trials of the automatic start tell of. */
static void note_objective(void *user, um_log_level level, const char *line)
{
    double objective = 0;
    int start = 0;
    int variant = 0;
    if (level == UM_LOG_DEBUG &&
        sscanf(line, "start %d.%d: low-rank objective %lf", &start, &variant, &objective) == 3) {
        double *largest = user;
        *largest = fmax(*largest, objective);
    }
}

static void counts_no_noise_where_no_counts_are(void **state)
{
    (void)state;
    fixture *f = setup(NULL);
    for (int p = 0; p < N; p++) {
        for (int q = 0; q < M; q++) {
            f->data[p * M + q] = p < NX || q % KX < KX / 2 ? 0 : f->data[p * M + q];
        }
    }
    um_nmf_options options = um_nmf_defaults(STATES);
    um_nmf_result *r = fit(f, &options);
    assert_true(r->weighted && r->noise_ratio > 0.9 && r->noise_ratio < 1.05);
    um_nmf_result_free(r);
    teardown(f);
}

/* Of a long scan the starts see a sample of the rows: objectives are of that sample alone. */
static void tells_starts_apart_by_a_sample(void **state)
{
    (void)state;
    enum { LONG = 40000, FEW = 12 };
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    float *data = malloc(LONG * FEW * sizeof *data);
    double norm2 = 0;
    um_random random = {5, UM_STREAM_TEST};
    for (int p = 0; p < LONG; p++) {
        double share = um_random_uniform(random, (uint64_t)p);
        for (int q = 0; q < FEW; q++) {
            double x = share * (1 + q) + (1 - share) * (FEW - q);
            data[p * FEW + q] = (float)x;
            norm2 += x * x;
        }
    }
    um_source *source = memory_source(ctx, UM_F32, (um_shape){1, LONG, 1, FEW}, data);
    um_matrix *matrix = NULL;
    assert_int_equal(um_matrix_open(ctx, source, NULL, &matrix), UM_OK);
    double largest = -1;
    um_context_set_log(ctx, note_objective, &largest);
    um_nmf_options options = um_nmf_defaults(2);
    um_nmf_result *r = NULL;
    assert_int_equal(um_nmf(matrix, &options, &r), UM_OK);
    assert_true(largest >= 0 && largest < 1e-3 * norm2); /* two components explain everything */
    um_nmf_result_free(r);
    um_matrix_free(matrix);
    um_source_free(source);
    um_context_free(ctx);
    free(data);
}

static void refuses_values_beyond_single_precision(void **state)
{
    (void)state;
    const double scales[2] = {1e-30, 1e30};
    for (int i = 0; i < 2; i++) {
        um_context *ctx = NULL;
        assert_int_equal(um_context_create(&ctx), UM_OK);
        float data[6 * 4];
        for (int p = 0; p < 24; p++) {
            data[p] = (float)(scales[i] * (1 + p % 5));
        }
        um_source *source = memory_source(ctx, UM_F32, (um_shape){2, 3, 2, 2}, data);
        um_matrix *matrix = NULL;
        assert_int_equal(um_matrix_open(ctx, source, NULL, &matrix), UM_OK);
        um_nmf_options options = um_nmf_defaults(1);
        um_nmf_result *r = NULL;
        assert_int_equal(um_nmf(matrix, &options, &r), UM_ERROR_VALUE);
        assert_non_null(strstr(um_context_message(ctx), "single precision"));
        um_matrix_free(matrix);
        um_source_free(source);
        um_context_free(ctx);
    }
}

static void refuses_negative_data(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    float data[6 * 4];
    for (int i = 0; i < 24; i++) {
        data[i] = (float)(1 + i % 5);
    }
    data[9] = -3;
    um_source *source = memory_source(ctx, UM_F32, (um_shape){2, 3, 2, 2}, data);
    um_matrix *matrix = NULL;
    assert_int_equal(um_matrix_open(ctx, source, NULL, &matrix), UM_OK);
    um_nmf_options options = um_nmf_defaults(2);
    um_nmf_result *r = NULL;
    assert_int_equal(um_nmf(matrix, &options, &r), UM_ERROR_VALUE);
    assert_non_null(strstr(um_context_message(ctx), "--negative clip"));
    um_matrix_free(matrix);
    data[9] = NAN;
    assert_int_equal(um_matrix_open(ctx, source, NULL, &matrix), UM_OK);
    assert_int_equal(um_nmf(matrix, &options, &r), UM_ERROR_VALUE);
    assert_non_null(strstr(um_context_message(ctx), "(0, 2)"));
    um_matrix_free(matrix);
    um_source_free(source);
    um_context_free(ctx);
}

static void svd_keeps_its_conventions(void **state)
{
    (void)state;
    fixture *f = setup("6");
    um_svd_options options = {.k = 4, .weights = UM_WEIGHTS_POISSON, .power_iterations = -1};
    um_svd_result *r = NULL;
    assert_int_equal(um_svd(f->matrix, &options, &r), UM_OK);
    assert_true(r->count >= 20);
    /* The leading value of x / sqrt(ab) is one, and three states stand above the noise. */
    assert_true(fabs(r->singular_values[0] - 1) < 1e-6);
    assert_true(r->singular_values[2] > 1.5 * r->noise_edge);
    assert_true(r->singular_values[3] < 1.02 * r->noise_edge);
    assert_int_equal(r->elbow, 4);
    const float *v = um_model_factors(r->model);
    for (int c = 0; c < 4; c++) {
        float largest = 0;
        for (int q = 0; q < M; q++) {
            if (!isnan(v[c * M + q]) && fabsf(v[c * M + q]) > fabsf(largest)) {
                largest = v[c * M + q];
            }
        }
        assert_true(largest > 0);
    }
    um_svd_result_free(r);
    teardown(f);
}

static void elbow_is_a_number_of_components(void **state)
{
    (void)state;
    double sigma[30];
    for (int i = 0; i < 30; i++) {
        sigma[i] = i < 3 ? 1000 / pow(4, i) : 2.0 - 0.01 * i;
    }
    assert_int_equal(um_scree_elbow(sigma, 30), 4);
    assert_int_equal(um_scree_elbow(sigma, 1), 1);
    assert_int_equal(um_scree_elbow(sigma, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_states),
        cmocka_unit_test(finds_the_states_under_a_mask),
        cmocka_unit_test(satisfies_kkt),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(resumes_to_the_same_result),
        cmocka_unit_test(refuses_what_it_cannot_do),
        cmocka_unit_test(plans_its_memory),
        cmocka_unit_test(refuses_negative_data),
        cmocka_unit_test(counts_no_noise_where_no_counts_are),
        cmocka_unit_test(tells_starts_apart_by_a_sample),
        cmocka_unit_test(refuses_values_beyond_single_precision),
        cmocka_unit_test(svd_keeps_its_conventions),
        cmocka_unit_test(elbow_is_a_number_of_components),
    };
    return cmocka_run_group_tests_name("nmf", tests, NULL, NULL);
}
