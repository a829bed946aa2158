#include "base_internal.h"
#include "unmix/measure.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_near(double got, double wanted, double relative)
{
    if (!(fabs(got - wanted) <= relative * fabs(wanted))) {
        fail_msg("%.17g, wanted %.17g", got, wanted);
    }
}

/* Points of SciPy 1.15 (stats.chi2, stats.t). */
static void points_of_distributions(void **state)
{
    (void)state;
    const struct {
        int64_t n;
        double low, high;
    } counts[] = {{0, 0.0, 3.6888794541139354},
                  {1, 0.025317807984289876, 5.571643390938898},
                  {10, 4.7953886961324335, 18.39035604201778},
                  {1000, 938.9730184076952, 1063.952136016302},
                  {100000, 99381.15266374472, 100621.74473974388}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        double low = -1.0;
        double high = -1.0;
        um_count_interval(counts[i].n, &low, &high);
        assert_near(low, counts[i].low, 1e-9);
        assert_near(high, counts[i].high, 1e-9);
    }
    const double t[][2] = {{1, 12.706204736174694}, {2, 4.302652729749462}, {5, 2.5705818356363146},
                           {30, 2.0422724563012378}, {1000, 1.9623390808264083}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        assert_near(um_student_point(t[i][0]), t[i][1], 1e-9);
    }
    assert_true(isinf(um_student_point(0.0)));
    const double tails[][3] = {{3.84, 1, 0.05004352124870519}, {0.1, 4, 0.9987908957257497},
                               {30, 3, 1.3800570312932553e-06}, {5, 10, 0.8911780189141513}};
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        assert_near(um_chi_squared_tail(tails[i][0], tails[i][1]), tails[i][2], 1e-9);
    }
}

static void weighted_counts_and_proportions(void **state)
{
    (void)state;
    double low = 0.0;
    double high = 0.0;
    um_weighted_count_interval(6.0, 9.5, 2.5, &low, &high); /* weights 1, 1/2, 5/2, 1, 1 */
    assert_near(low, 1.5590983976671065, 1e-9);
    assert_near(high, 17.862008113815925, 1e-9);
    um_weighted_count_interval(10.0, 10.0, 1.0, &low, &high);
    assert_near(low, 4.7953886961324335, 1e-9);
    assert_near(high, 18.39035604201778, 1e-9);
    um_weighted_count_interval(0.0, 0.0, 0.0, &low, &high);
    assert_true(low == 0.0 && high == 0.0);
    um_wilson_interval(48.0, 60.0, &low, &high);
    assert_near(low, 0.682181941943721, 1e-12);
    assert_near(high, 0.881714946771025, 1e-12);
    um_wilson_interval(0.0, 10.0, &low, &high);
    assert_true(low == 0.0);
    assert_near(high, 0.27753279986288926, 1e-12);
    um_wilson_interval(10.0, 10.0, &low, &high);
    assert_true(high == 1.0);
    um_wilson_interval(0.0, 0.0, &low, &high);
    assert_true(low == 0.0 && high == 1.0);
}

/* Sums of Poisson many weights, as areas of particles are: the interval holds the mean in 95 % of them or more. */
static void weighted_intervals_cover(void **state)
{
    (void)state;
    enum { TRIALS = 3000, MOST = 64 };
    const um_random random = {7, UM_STREAM_TEST};
    for (int mean = 3; mean <= 24; mean *= 2) {
        int held = 0;
        for (int i = 0; i < TRIALS; i++) {
            uint64_t counter = (uint64_t)(mean * TRIALS + i) * MOST;
            uint64_t n = um_random_poisson(random, counter, mean);
            double sum = 0.0, squares = 0.0, largest = 0.0, low = 0.0, high = 0.0;
            for (uint64_t k = 0; k < n; k++) {
                double w = 1.0 + 3.0 * um_random_uniform((um_random){8, UM_STREAM_TEST}, counter + k);
                sum += w;
                squares += w * w;
                largest = fmax(largest, w);
            }
            um_weighted_count_interval(sum, squares, n > 0 ? largest : 4.0, &low, &high);
            held += low <= 2.5 * mean && 2.5 * mean <= high;
        }
        assert_in_range(held, 0.945 * TRIALS, 0.995 * TRIALS);
    }
}

static um_context *new_context(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    return ctx;
}

enum { NY = 6, NX = 8 };

static um_model *new_model(um_context *ctx, const double *segments)
{
    um_model_spec spec = {.k = 2, .shape = {NY, NX, 1, 2}, .method = "SEGMENT"};
    um_model *model = NULL;
    const int64_t shape[3] = {2, NY, NX};
    snprintf(spec.axes[0].units, sizeof spec.axes[0].units, "nm");
    snprintf(spec.axes[1].units, sizeof spec.axes[1].units, "nm");
    spec.axes[0].scale = spec.axes[1].scale = 10.0;
    assert_int_equal(um_model_create(ctx, &spec, &model), UM_OK);
    assert_int_equal(um_model_set_array(model, "segments", 3, shape, segments), UM_OK);
    return model;
}

static void one_particle_by_hand(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    double segments[2 * NY * NX] = {0};
    for (int x = 2; x < 6; x++) { /* 4 x 1 positions: 40 x 10 nm */
        segments[NY * NX + 3 * NX + x] = 7.0;
    }
    segments[0] = 3.0; /* in the corner: a quarter */
    um_model *model = new_model(ctx, segments);
    um_measure *m = NULL;
    assert_int_equal(um_measure_create(ctx, &m), UM_OK);
    um_measure_input input = {.model = model, .thickness_nm = 50.0};
    assert_int_equal(um_measure_add(m, &input), UM_OK);
    um_model_free(model);
    assert_int_equal(um_measure_set_height(m, "class 1", UM_HEIGHT_WIDTH, 0.0), UM_OK);
    assert_int_equal(um_measure_finish(m), UM_OK);
    assert_int_equal(m->particles, 2);
    const um_measured *p = &m->particle[1];
    assert_int_equal(p->id, 7);
    assert_near(p->length_nm, 40.0, 1e-12);
    assert_near(p->width_nm, 10.0, 1e-12);
    assert_true(p->angle_deg == 0.0 && p->weight == 1.0 && p->border == 0);
    assert_near(p->area_nm2, 400.0, 1e-12);
    assert_near(p->volume_nm3, 20000.0, 1e-12); /* without fractions all of the foil */
    assert_true(m->particle[0].weight == 0.25);
    const um_measure_row *row = &m->condition_row[1];
    assert_near(row->area_um2, 5 * 7 * 1e-4, 1e-12);
    assert_near(row->per_um2.value, 1.0 / 35e-4, 1e-12);
    assert_near(row->per_um3.value, 1.0 / (35e-4 * 60e-3), 1e-12); /* 50 nm of foil and 10 nm of particle */
    assert_near(row->volume_fraction.value, 4.0 / 48.0, 1e-12);
    um_measure_free(m);
    um_context_free(ctx);
}

static void spots_are_drawn_by_the_seed(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    double segments[2 * NY * NX] = {0};
    for (int i = 0; i < 12; i++) { /* nine of one class and three of the other */
        segments[(i < 9 ? 0 : NY * NX) + 2 * (i % 3) * NX + 2 * (i / 3)] = i + 1.0;
    }
    um_model *model = new_model(ctx, segments);
    um_measure *m = NULL;
    um_measure_input input = {.model = model, .thickness_nm = NAN};
    assert_int_equal(um_measure_create(ctx, &m), UM_OK);
    assert_int_equal(um_measure_add(m, &input), UM_OK);
    um_model_free(model);
    int drawn_first = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        um_spot_check *spots = NULL;
        um_spot_check *again = NULL;
        int64_t n = 0;
        int64_t number[2] = {0};
        um_context_set_seed(ctx, seed);
        assert_int_equal(um_spotcheck_draw(m, 4, &spots, &n), UM_OK);
        assert_int_equal(n, 4);
        for (int64_t i = 0; i < n; i++) {
            assert_true(i == 0 || spots[i].particle > spots[i - 1].particle);
            number[m->particle[spots[i].particle].phase]++;
            drawn_first += spots[i].particle == 0;
        }
        assert_true(number[0] == 3 && number[1] == 1); /* in proportion: 9 to 3 */
        assert_int_equal(um_spotcheck_draw(m, 4, &again, &n), UM_OK);
        assert_memory_equal(spots, again, 4 * sizeof *spots);
        free(spots);
        free(again);
    }
    assert_in_range(drawn_first, 44, 90); /* a third of 200; 4 standard deviations are 27 */
    um_spot_check *all = NULL;
    int64_t n = 0;
    assert_int_equal(um_spotcheck_draw(m, 100, &all, &n), UM_OK);
    assert_int_equal(n, 12);
    free(all);
    assert_int_equal(um_spotcheck_draw(m, 1, &all, &n), UM_ERROR_ARGUMENT);
    um_measure_free(m);
    um_context_free(ctx);
}

static void verdicts_become_a_proportion(void **state)
{
    (void)state;
    const um_spot_verdicts in_proportion[2] = {{300, 30, 27}, {100, 10, 5}};
    um_estimate e = um_spotcheck_proportion(in_proportion, 2);
    double low = 0.0;
    double high = 0.0;
    um_wilson_interval(32.0, 40.0, &low, &high);
    assert_near(e.value, 0.8, 1e-12);
    assert_near(e.low, low, 1e-12);
    assert_near(e.high, high, 1e-12);
    const um_spot_verdicts uneven[3] = {{300, 10, 9}, {100, 10, 5}, {50, 0, 0}};
    e = um_spotcheck_proportion(uneven, 3);
    assert_near(e.value, 0.8, 1e-12); /* 3/4 of 0.9 and 1/4 of 0.5; nothing is known of the third */
    um_wilson_interval(0.8 * 16.0, 16.0, &low, &high); /* 400^2 / (300^2 + 100^2) 10 */
    assert_near(e.low, low, 1e-12);
    const um_spot_verdicts nothing[1] = {{50, 0, 0}};
    assert_true(isnan(um_spotcheck_proportion(nothing, 1).value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_of_distributions),     cmocka_unit_test(weighted_counts_and_proportions),
        cmocka_unit_test(weighted_intervals_cover),    cmocka_unit_test(one_particle_by_hand),
        cmocka_unit_test(spots_are_drawn_by_the_seed), cmocka_unit_test(verdicts_become_a_proportion)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
