/* Count splitting against the binomial law, weights against their defining equations, and scans whose number of
 * states is known. */
#include "choose_internal.h"
#include "gen_files.h"
#include "prep_source.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_thinning_is_binomial(void **state)
{
    (void)state;
    enum { DRAWS = 20000 };
    static const uint32_t COUNTS[] = {1, 7, 32, 129, 1000, 100000};
    for (size_t i = 0; i < sizeof COUNTS / sizeof COUNTS[0]; i++) {
        double sum = 0;
        double squares = 0;
        double n = (double)COUNTS[i];
        for (uint64_t d = 0; d < DRAWS; d++) {
            uint32_t x = um_thin((um_random){5, UM_STREAM_SPLIT}, d, COUNTS[i]);
            assert_true(x <= COUNTS[i]);
            sum += (double)x - n / 2;
            squares += ((double)x - n / 2) * ((double)x - n / 2);
        }
        double error = sqrt(n / 4 / DRAWS);
        assert_true(fabs(sum / DRAWS) < 4.5 * error);
        /* Variance n/4; its own standard error is at most that times sqrt(2 / DRAWS). */
        assert_true(fabs(squares / DRAWS - n / 4) < 4.5 * n / 4 * sqrt(2.0 / DRAWS) + 1e-9);
    }
    assert_int_equal(um_thin((um_random){5, UM_STREAM_SPLIT}, 3, 0), 0);
}

/* Deviances of four positions: 3 components are best, but 2 are within the error of the difference. */
static void test_one_standard_error(void **state)
{
    (void)state;
    static const double deviance[3 * 4] = {9, 9, 9, 9, 5, 2, 5, 2, 2, 4, 2, 4};
    double mean[3];
    double error[3];
    um_held_out_choice choice = um_held_out_choose(deviance, 4, 8, 3, mean, error);
    assert_int_equal(choice.best, 3);
    assert_int_equal(choice.fewest, 2);
    assert_true(fabs(mean[0] - 36.0 / 8) < 1e-12);
    assert_true(fabs(mean[2] - 12.0 / 8) < 1e-12);
    assert_true(fabs(error[2]) < 1e-12);
    /* differences 3, -2, 3, -2: sum 2, squares 26 */
    assert_true(fabs(error[1] - sqrt(26 - 4.0 / 4) / 8) < 1e-12);
}

/* ---- whole scans ------------------------------------------------------------------------------------ */

enum { NY = 24, NX = 24, KY = 12, KX = 12, N = NY * NX, M = KY * KX, STATES = 3 };

typedef struct fixture {
    um_context *ctx;
    um_source *source;
    um_matrix *matrix;
    uint16_t data[N * M];
} fixture;

/* Quadrants of `states` patterns of a few bright pixels on a background; noise of counts times `gain`. */
static void setup(fixture *f, int states, double level, int gain)
{
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    um_random random = {11, UM_STREAM_TEST};
    for (int p = 0; p < N; p++) {
        int quadrant = (p / NX >= NY / 2) + 2 * (p % NX >= NX / 2);
        for (int q = 0; q < M; q++) {
            double mean = level * (1 + 4 * (q % 7 == quadrant % states));
            f->data[p * M + q] =
                (uint16_t)(gain * um_random_poisson(random, (uint64_t)(p * M + q), mean));
        }
    }
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, f->data);
    assert_int_equal(um_matrix_open(f->ctx, f->source, NULL, &f->matrix), UM_OK);
}

static void teardown(fixture *f)
{
    um_matrix_free(f->matrix);
    um_source_free(f->source);
    um_context_free(f->ctx);
}

static um_choose_result *choose(fixture *f)
{
    um_choose_result *r = NULL;
    const um_choose_options options = {.least = 1, .most = 5};
    if (um_choose(f->matrix, &options, &r) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
    assert_true(um_context_memory_peak(f->ctx) <= um_choose_plan(f->matrix, &options));
    return r;
}

static void test_states_are_counted(void **state)
{
    (void)state;
    static const int GAINS[] = {1, 10};
    for (int g = 0; g < 2; g++) {
        fixture f;
        setup(&f, STATES, 2, GAINS[g]);
        um_choose_result *r = choose(&f);
        assert_true(r->structure && r->counts && r->split);
        assert_int_equal(r->recommended, STATES);
        assert_int_equal(r->above, STATES);
        assert_int_equal(r->held_out_best, STATES);
        assert_true(fabs(r->gain - GAINS[g]) < 0.03 * GAINS[g]); /* from 83,000 values: error 0.005 */
        assert_true(r->row[STATES - 1].worst_cosine > 0.98);
        assert_true(r->row[STATES].worst_cosine < 0.9);
        assert_true(r->row[STATES - 1].singular_value > 1 && r->row[STATES].singular_value < 1.05);
        um_choose_result_free(r);
        teardown(&f);
    }
}

/* Eigenvalues of the Gram matrix of all values under the weights of `s`, ascending. */
static void exact_squares(const fixture *f, const um_scaled *s, double *gram, double *squares)
{
    memset(gram, 0, sizeof(double) * M * M);
    for (int p = 0; p < N; p++) {
        double x[M];
        for (int q = 0; q < M; q++) {
            x[q] = (double)s->u[p] * f->data[p * M + q] * (double)s->v[q];
        }
        cblas_dsyr(CblasRowMajor, CblasUpper, M, 1, x, 1, gram, M);
    }
    assert_int_equal(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', M, gram, M, squares), 0);
}

/* States without a common pixel and with many counts: re-weighting their image would lift noise above the edge. */
static void test_whitened_values_are_those_of_the_scan(void **state)
{
    (void)state;
    static double gram[M * M];
    double squares[M];
    fixture f;
    um_scaled s;
    um_subspace found;
    um_white white;
    setup(&f, STATES, 0.2, 1);
    um_random random = {12, UM_STREAM_TEST};
    for (int p = 0; p < N; p++) {
        for (int q = 0; q < M; q++) {
            bool bright = q % STATES == p / NX * STATES / NY;
            f.data[p * M + q] =
                (uint16_t)um_random_poisson(random, (uint64_t)(p * M + q), bright ? 400 : 0.05);
        }
    }
    assert_int_equal(um_scaled_init(&s, f.matrix, UM_WEIGHTS_POISSON, NULL), UM_OK);
    assert_int_equal(um_subspace_find(&s, 5, -1, 0, UM_SUBSPACE_START, &found), UM_OK);
    const um_visits one_read = {.rounds = 1};
    assert_int_equal(um_whiten(&s, &found, 1, &one_read, &white), UM_OK);
    exact_squares(&f, &white.scaled, gram, squares);
    for (size_t c = 0; c < white.image.count; c++) {
        double exact = sqrt(squares[M - 1 - c]);
        assert_true(white.image.sigma[c] < exact * (1 + 1e-4));
        assert_true(white.image.sigma[c] > exact * (1 - (c < STATES ? 1e-4 : 0.2)));
    }
    um_white_free(f.ctx, &white);
    um_subspace_free(f.ctx, &found);
    um_scaled_free(&s);
    teardown(&f);
}

static void test_noise_has_no_structure(void **state)
{
    (void)state;
    fixture f;
    setup(&f, 1, 0.5, 1);
    um_choose_result *r = choose(&f);
    assert_false(r->structure);
    assert_int_equal(r->recommended, 1);
    assert_int_equal(r->high, 1);
    um_choose_result_free(r);
    teardown(&f);
}

static void test_values_without_variance_are_not_split(void **state)
{
    (void)state;
    fixture f;
    setup(&f, 1, 1, 1);
    for (int i = 0; i < N * M; i++) {
        f.data[i] = 7;
    }
    um_choose_result *r = choose(&f);
    assert_false(r->structure);
    assert_false(r->split);
    um_choose_result_free(r);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thinning_is_binomial),
        cmocka_unit_test(test_one_standard_error),
        cmocka_unit_test(test_states_are_counted),
        cmocka_unit_test(test_whitened_values_are_those_of_the_scan),
        cmocka_unit_test(test_noise_has_no_structure),
        cmocka_unit_test(test_values_without_variance_are_not_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
