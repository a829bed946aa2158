/* The fit in few reads (UM_STOP_FLOOR), which small scans otherwise never take: same bits for any number of threads,
 * any budget and any interruption; errors as they are; hostile scans. */
#include "factor_internal.h"
#include "prep_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { NY = 16, NX = 24, KY = 12, KX = 12, N = NY * NX, M = KY * KX, STATES = 3 };
static const char *const CHECKPOINT = "test_few_reads_checkpoint.npz";

typedef struct fixture {
    um_context *ctx;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix;
    uint16_t data[N * M];
} fixture;

/* Stripes of three states of own spots on a common background. */
static void fill_stripes(uint16_t *data, double counts)
{
    um_random random = {3, UM_STREAM_TEST};
    for (int p = 0; p < N; p++) {
        int state = p % NX * STATES / NX;
        for (int q = 0; q < M; q++) {
            double mean = 0.3 + 8 * (q % 13 == 4 * state) + 5 * (q % 17 == 5 * state + 1);
            data[p * M + q] =
                (uint16_t)um_random_poisson(random, (uint64_t)(p * M + q), counts * mean / M);
        }
    }
}

static fixture *setup(const char *mask_outside)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    um_context_set_threads(f->ctx, 2);
    fill_stripes(f->data, 300);
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

static um_nmf_options few_reads(int64_t k)
{
    um_nmf_options options = um_nmf_defaults(k);
    options.stop = UM_STOP_FLOOR;
    return options;
}

static um_nmf_result *fit(fixture *f, const um_nmf_options *options)
{
    um_nmf_result *r = NULL;
    if (um_nmf(f->matrix, options, &r) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
    return r;
}

/* Squared errors of the returned model, plain or in the weighted units, from the data. */
static double direct_error(const fixture *f, um_model *model, bool weighted)
{
    const float *h = um_model_factors(model);
    const float *w = um_model_loadings(model);
    const uint8_t *mask = um_model_signal_mask(model);
    int64_t k = um_model_k(model);
    double a[N] = {0};
    double b[M] = {0};
    double error = 0;
    for (int i = 0; i < N * M; i++) {
        double x = mask == NULL || !mask[i % M] ? f->data[i] : 0;
        a[i / M] += x;
        b[i % M] += x;
    }
    for (int i = 0; i < N * M; i++) {
        double d = f->data[i];
        double ab = weighted ? a[i / M] * b[i % M] : 1;
        for (int64_t c = 0; c < k && (mask == NULL || !mask[i % M]); c++) {
            d -= (double)w[i / M * k + c] * (double)h[c * M + i % M];
        }
        bool on = (mask == NULL || !mask[i % M]) && ab > 0;
        error += on ? d * d / ab : 0;
    }
    return error;
}

static void ends_at_the_floor(void **state)
{
    (void)state;
    fixture *f = setup(NULL);
    um_nmf_options options = few_reads(STATES);
    um_nmf_result *few = fit(f, &options);
    assert_true(few->converged && few->stop == UM_STOP_FLOOR);
    assert_true(few->kkt > UM_NMF_TOLERANCE);
    assert_true(few->remaining < few->floor);
    assert_non_null(strstr(few->stopped, "floor"));
    options.stop = UM_STOP_TOLERANCE;
    um_nmf_result *all = fit(f, &options);
    assert_true(all->converged && all->stop == UM_STOP_TOLERANCE && all->kkt <= UM_NMF_TOLERANCE);
    options.stop = UM_STOP_AUTO; /* the scan is small: nearly to the end */
    um_nmf_result *near = fit(f, &options);
    assert_true(near->converged && near->stop == UM_STOP_FLOOR);
    double excess = pow(few->weighted_error / all->weighted_error, 2) - 1;
    double little = pow(near->weighted_error / all->weighted_error, 2) - 1;
    assert_true(fabs(excess) < 0.2 * few->floor && fabs(little) < 0.02 * few->floor);
    um_nmf_result_free(near);
    um_nmf_result_free(few);
    um_nmf_result_free(all);
    teardown(f);
}

static void tells_its_errors(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        bool weighted = variant % 2 == 0;
        fixture *f = setup(variant / 2 > 0 ? "5.2" : NULL);
        um_nmf_options options = few_reads(STATES);
        options.weights = weighted ? UM_WEIGHTS_POISSON : UM_WEIGHTS_NONE;
        um_nmf_result *r = fit(f, &options);
        assert_true(r->converged);
        assert_true(r->stop == (weighted ? UM_STOP_FLOOR : UM_STOP_TOLERANCE));
        assert_true(fabs(r->frobenius_error / sqrt(direct_error(f, r->model, false)) - 1) < 1e-5);
        assert_true(fabs(r->weighted_error / sqrt(direct_error(f, r->model, weighted)) - 1) < 1e-5);
        um_nmf_result_free(r);
        teardown(f);
    }
}

static void assert_same(um_nmf_result *one, um_nmf_result *other)
{
    size_t k = (size_t)um_model_k(one->model);
    assert_int_equal(um_model_k(other->model), k);
    assert_memory_equal(um_model_loadings(one->model), um_model_loadings(other->model),
                        N * k * sizeof(float));
    assert_memory_equal(um_model_factors(one->model), um_model_factors(other->model),
                        M * k * sizeof(float));
}

static void same_bits(void **state)
{
    (void)state;
    fixture *f = setup("5.5");
    um_nmf_options options = few_reads(STATES);
    um_context_set_threads(f->ctx, 1);
    um_nmf_result *first = fit(f, &options);
    double reads = um_matrix_reads(f->matrix);
    size_t plan = um_nmf_plan(f->matrix, &options);
    for (int threads = 1; threads <= 3; threads += 2) {
        fixture *again = setup("5.5");
        um_context_set_threads(again->ctx, threads);
        um_context_set_memory(again->ctx, plan + (size_t)(threads - 1) * 40000); /* little stays */
        um_nmf_result *r = fit(again, &options);
        assert_same(first, r);
        assert_true(threads > 1 || um_matrix_reads(again->matrix) > 1.5 * reads);
        um_nmf_result_free(r);
        teardown(again);
    }
    um_nmf_result_free(first);
    teardown(f);
}

typedef struct interruption {
    um_context *ctx;
    int calls, last; /* of the progress: cancelled at the last */
} interruption;

static void interrupt(void *user, const um_progress *progress)
{
    (void)progress;
    interruption *i = user;
    if (++i->calls == i->last) {
        um_context_cancel(i->ctx);
    }
}

/* Interrupted at every stage in turn, each time later; what is resumed ends with the same bits. */
static void resumes_from_every_stage(void **state)
{
    (void)state;
    fixture *f = setup(NULL);
    um_nmf_options options = few_reads(STATES);
    um_nmf_result *whole = fit(f, &options);
    options.checkpoint = CHECKPOINT;
    options.checkpoint_seconds = 0;
    int interrupted = 0;
    for (int last = 1;; last += 1 + last) {
        remove(CHECKPOINT);
        interruption at = {f->ctx, 0, last};
        um_context_set_progress(f->ctx, interrupt, &at);
        um_nmf_result *r = NULL;
        options.resume = false;
        um_status status = um_nmf(f->matrix, &options, &r);
        um_context_set_progress(f->ctx, NULL, NULL);
        um_context_reset(f->ctx);
        if (status == UM_OK) {
            um_nmf_result_free(r);
            break;
        }
        options.resume = true;
        assert_int_equal(status, UM_CANCELLED);
        r = fit(f, &options);
        assert_same(whole, r);
        assert_true(r->iterations == whole->iterations && r->kkt == whole->kkt);
        um_nmf_result_free(r);
        interrupted++;
    }
    assert_true(interrupted >= 3);
    /* What ends the fit is part of what a checkpoint belongs to. */
    options.resume = true;
    options.stop = UM_STOP_TOLERANCE;
    um_nmf_result *other = NULL;
    assert_int_equal(um_nmf(f->matrix, &options, &other), UM_ERROR_ARGUMENT);
    um_nmf_result_free(whole);
    teardown(f);
    remove(CHECKPOINT);
}

/* Whatever is in a scan: a sound result or a refusal. */
static void bears_hostile_scans(void **state)
{
    (void)state;
    for (int kind = 0; kind < 6; kind++) {
        fixture *f = setup(NULL);
        um_nmf_options options = few_reads(kind == 2 ? 8 : STATES);
        options.max_passes = 3;
        bool refused = kind == 3;
        for (int i = 0; i < N * M; i++) {
            int p = i / M;
            int q = i % M;
            uint16_t hostile[] = {
                7,                                                /* constant */
                p % 3 == 0 || q % 5 == 0 ? 0 : f->data[i],        /* empty rows and pixels */
                f->data[i],                                       /* far more components than states */
                0,                                                /* nothing at all */
                i == 1000,                                        /* one count */
                i % 10007 == 5 ? UINT16_MAX : f->data[i],         /* hot spots */
            };
            f->data[i] = hostile[kind];
        }
        um_nmf_result *r = NULL;
        um_status status = um_nmf(f->matrix, &options, &r);
        assert_int_equal(status, refused ? UM_ERROR_VALUE : UM_OK);
        if (!refused) {
            double error = direct_error(f, r->model, true);
            assert_true(isfinite(error) && isfinite(r->kkt) && r->kkt >= 0);
            assert_true(fabs(r->weighted_error * r->weighted_error - error) < 1e-5 * (error + 1e-3));
        }
        um_nmf_result_free(r);
        teardown(f);
    }
}

static void needs_the_automatic_start(void **state)
{
    (void)state;
    fixture *f = setup(NULL);
    um_nmf_options options = few_reads(STATES);
    options.start = UM_START_RANDOM;
    um_nmf_result *r = NULL;
    assert_int_equal(um_nmf(f->matrix, &options, &r), UM_ERROR_ARGUMENT);
    assert_non_null(strstr(um_context_message(f->ctx), "automatic start"));
    teardown(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_at_the_floor),        cmocka_unit_test(tells_its_errors),
        cmocka_unit_test(same_bits),                cmocka_unit_test(resumes_from_every_stage),
        cmocka_unit_test(bears_hostile_scans),      cmocka_unit_test(needs_the_automatic_start),
    };
    return cmocka_run_group_tests_name("few_reads", tests, NULL, NULL);
}
