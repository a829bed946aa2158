#include "base_internal.h"
#include "counts.h"
#include "simulate_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STATES = 3, PIXELS = 40 };

static um_context *new_context(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_context_set_seed(ctx, 5);
    return ctx;
}

/* Three patterns of unit sum with dark pixels, very weak ones and one strong one. */
static void make_factors(float *factors)
{
    um_random random = {3, UM_STREAM_TEST};
    for (int s = 0; s < STATES; s++) {
        double sum = 0.0;
        for (int q = 0; q < PIXELS; q++) {
            double u = um_random_uniform(random, (uint64_t)(s * PIXELS + q));
            factors[s * PIXELS + q] = q % 7 == s ? 0.0F : (float)(u * u * u);
        }
        factors[s * PIXELS + 10 + s] = 8.0F;
        for (int q = 0; q < PIXELS; q++) {
            sum += (double)factors[s * PIXELS + q];
        }
        for (int q = 0; q < PIXELS; q++) {
            factors[s * PIXELS + q] /= (float)sum;
        }
    }
}

static um_counter *new_counter(um_context *ctx, const float *factors, um_drawing drawing, uint64_t seed)
{
    const um_counter_spec spec = {.library = STATES, .ky = 5, .kx = PIXELS / 5, .pattern = factors, .dose = 1.0,
                                  .drawing = drawing, .seed = seed};
    um_counter *counter = NULL;
    assert_int_equal(um_counter_create(ctx, &spec, &counter), UM_OK);
    return counter;
}

/* States that are there, as the list of position p. */
typedef struct list {
    um_mixture mix;
    uint32_t which[STATES];
    float weight[STATES];
} list;

static void set_list(list *l, const float *expected, int64_t position)
{
    l->mix = (um_mixture){(uint64_t)position * STATES, 0, l->which, l->weight};
    for (uint32_t s = 0; s < STATES; s++) {
        if (expected[s] > 0.0F) {
            l->which[l->mix.entries] = s;
            l->weight[l->mix.entries++] = expected[s];
        }
    }
}

static const um_shift some_shift = {.dy = -1, .dx = 2, .fy = 20000, .fx = 50000};

/* Mean, variance and neighbour covariance of many drawn patterns against Poisson statistics. Each
 * squared standardised deviation has mean 1, so their sums are chi-squared; bounds are 5 sigma. */
static void check_statistics(um_context *ctx, um_drawing drawing, um_dtype dtype, const um_shift *shift,
                             const float *expected, int64_t draws)
{
    float factors[STATES * PIXELS];
    make_factors(factors);
    um_counter *counter = new_counter(ctx, factors, drawing, 5);
    um_counter *exact = new_counter(ctx, factors, UM_DRAW_PIXELS, 5);
    double mean[PIXELS], scratch[PIXELS], more[PIXELS];
    double sum[PIXELS] = {0}, square[PIXELS] = {0}, cross[PIXELS] = {0};
    list l;
    set_list(&l, expected, 0);
    um_counter_mean(exact, &l.mix, shift, mean, scratch);
    for (int64_t p = 0; p < draws; p++) {
        uint32_t counts[PIXELS];
        const um_screen screen = {5, PIXELS / 5, dtype, dtype == UM_U8 ? 255 : UINT16_MAX, counts};
        set_list(&l, expected, p);
        um_counter_draw(counter, p, &l.mix, shift, &screen, scratch, more);
        double value[PIXELS];
        for (int q = 0; q < PIXELS; q++) {
            value[q] = dtype == UM_U8    ? ((const uint8_t *)counts)[q]
                       : dtype == UM_U16 ? ((const uint16_t *)counts)[q]
                                         : counts[q];
        }
        for (int q = 0; q < PIXELS; q++) {
            double d = value[q] - mean[q];
            double next = value[(q + 1) % PIXELS] - mean[(q + 1) % PIXELS];
            sum[q] += d;
            square[q] += d * d;
            cross[q] += d * next;
        }
    }
    um_counter_free(ctx, counter);
    um_counter_free(ctx, exact);
    double n = (double)draws;
    double chi_mean = 0.0, chi_variance = 0.0, chi_cross = 0.0, lit = 0.0, pairs = 0.0;
    for (int q = 0; q < PIXELS; q++) {
        int r = (q + 1) % PIXELS;
        if (mean[q] <= 0.0) {
            assert_true(sum[q] == 0.0 && square[q] == 0.0);
            continue;
        }
        lit += 1.0;
        chi_mean += sum[q] * sum[q] / (n * mean[q]);
        /* Fourth central moment of a Poisson variate: m + 3 m^2. */
        double of_square = mean[q] + 2.0 * mean[q] * mean[q];
        chi_variance += pow(square[q] - n * mean[q], 2.0) / (n * of_square);
        if (mean[r] > 0.0) {
            chi_cross += cross[q] * cross[q] / (n * mean[q] * mean[r]);
            pairs += 1.0;
        }
    }
    double bound = lit + 5.0 * sqrt(2.0 * lit);
    assert_true(lit > 20.0);
    assert_true(chi_mean < bound && chi_mean > lit - 5.0 * sqrt(2.0 * lit));
    assert_true(chi_variance < bound);
    assert_true(chi_cross < pairs + 5.0 * sqrt(2.0 * pairs));
}

static void counts_are_poisson_in_every_pixel(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    const float few[STATES] = {30.0F, 4.0F, 60.0F};
    const float many[STATES] = {400.0F, 90.0F, 9000.0F};
    const float one[STATES] = {0.0F, 2.5F, 0.0F};
    check_statistics(ctx, UM_DRAW_ELECTRONS, UM_U8, NULL, few, 40000);
    check_statistics(ctx, UM_DRAW_ELECTRONS, UM_U16, &some_shift, few, 40000);
    check_statistics(ctx, UM_DRAW_ELECTRONS, UM_U32, NULL, one, 40000);
    check_statistics(ctx, UM_DRAW_PIXELS, UM_U32, NULL, many, 20000);
    check_statistics(ctx, UM_DRAW_PIXELS, UM_U16, &some_shift, many, 20000);
    um_context_free(ctx);
}

/* Electrons beyond what a pixel holds are lost; they never wrap around. */
static void counts_stop_at_the_top(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    const float bright[STATES * PIXELS] = {[7] = 1.0F, [PIXELS] = 1.0F, [2 * PIXELS] = 1.0F};
    um_counter *counter = new_counter(ctx, bright, UM_DRAW_ELECTRONS, 5);
    const float expected[STATES] = {1000.0F, 0.0F, 0.0F};
    list l;
    set_list(&l, expected, 3);
    uint8_t counts[PIXELS];
    const uint32_t tops[] = {255, 63};
    for (int i = 0; i < 2; i++) {
        const um_screen screen = {5, PIXELS / 5, UM_U8, tops[i], counts};
        um_counter_draw(counter, 3, &l.mix, NULL, &screen, NULL, NULL);
        for (uint32_t q = 0; q < PIXELS; q++) {
            assert_int_equal(counts[q], q == 7 ? tops[i] : 0);
        }
    }
    um_counter_free(ctx, counter);
    um_context_free(ctx);
}

static void counts_depend_on_seed_and_position_alone(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    float factors[STATES * PIXELS];
    make_factors(factors);
    for (int dose = 0; dose < 2; dose++) {
        um_drawing drawing = dose == 0 ? UM_DRAW_ELECTRONS : UM_DRAW_PIXELS;
        um_counter *a = new_counter(ctx, factors, drawing, 5);
        um_counter *b = new_counter(ctx, factors, drawing, 6);
        const float expected[STATES] = {dose == 0 ? 50.0F : 5000.0F, 10.0F, 20.0F};
        uint32_t first[PIXELS], again[PIXELS], other[PIXELS], next[PIXELS];
        uint32_t *const drawn[4] = {first, next, other, again};
        double mean[PIXELS];
        for (int i = 0; i < 4; i++) {
            list l;
            const um_screen screen = {5, PIXELS / 5, UM_U32, UINT32_MAX, drawn[i]};
            set_list(&l, expected, i == 1 ? 18 : 17);
            um_counter_draw(i == 2 ? b : a, i == 1 ? 18 : 17, &l.mix, NULL, &screen, mean, NULL);
        }
        assert_memory_equal(first, again, sizeof first);
        assert_memory_not_equal(first, next, sizeof first);
        assert_memory_not_equal(first, other, sizeof first);
        um_counter_free(ctx, a);
        um_counter_free(ctx, b);
    }
    um_context_free(ctx);
}

static void check_fractions(um_context *ctx, const um_simulation *sim, float **keep)
{
    float *fractions = NULL;
    assert_int_equal(um_layout_fractions(ctx, sim, &fractions), UM_OK);
    for (int64_t p = 0; p < sim->ny * sim->nx; p++) {
        double sum = 0.0;
        for (int64_t s = 0; s < sim->states; s++) {
            float f = fractions[p * sim->states + s];
            assert_true(f >= 0.0F && f <= 1.0F + 1e-6F);
            sum += (double)f;
        }
        assert_true(fabs(sum - 1.0) < 1e-6);
    }
    *keep = fractions;
}

static void fractions_sum_to_one_in_every_layout(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    const um_layout layouts[] = {UM_LAYOUT_VORONOI, UM_LAYOUT_STRIPES, UM_LAYOUT_DISCS};
    for (int i = 0; i < 3; i++) {
        for (int border = 0; border < 3; border++) {
            um_simulation sim = {.ny = 31, .nx = 47, .states = 4, .layout = layouts[i],
                                 .border_px = 0.9 * border, .regions = i == 2 ? 60 : 0};
            float *fractions = NULL;
            check_fractions(ctx, &sim, &fractions);
            int64_t shared = 0, of_state[4] = {0};
            for (int64_t p = 0; p < sim.ny * sim.nx; p++) {
                for (int64_t s = 0; s < 4; s++) {
                    float f = fractions[p * 4 + s];
                    shared += f > 1e-6F && f < 1.0F - 1e-6F;
                    of_state[s] += f > 0.5F;
                }
            }
            for (int64_t s = 0; s < 4; s++) {
                assert_true(of_state[s] > 0);
            }
            /* Without a probe only discs that lie over each other share. */
            assert_true((shared > 0) == (border > 0 || layouts[i] == UM_LAYOUT_DISCS));
            um_buffer_free(ctx, fractions);
        }
    }
    um_context_free(ctx);
}

/* Two half planes: the fraction at distance u from the border is a sum of the sampled Gaussian g, by
 * the midpoint rule the error function plus g'(u)/24. */
static void borders_follow_the_probe(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    enum { NY = 5, NX = 40 };
    int32_t labels[NY * NX];
    for (int i = 0; i < NY * NX; i++) {
        labels[i] = i % NX >= NX / 2;
    }
    const double sigma = 1.7;
    um_simulation sim = {.ny = NY, .nx = NX, .states = 2, .layout = UM_LAYOUT_LABELS,
                         .labels = labels, .border_px = sigma};
    float *fractions = NULL;
    check_fractions(ctx, &sim, &fractions);
    for (int x = 8; x < NX - 8; x++) {
        double border = (double)NX / 2.0 - 0.5;
        double u = (border - (double)x) / sigma;
        double slope = -u / sigma * exp(-0.5 * u * u) / (sigma * sqrt(2.0 * acos(-1.0)));
        double exact = 0.5 * erfc(u / sqrt(2.0)) + slope / 24.0;
        assert_true(fabs((double)fractions[(2 * NX + x) * 2 + 1] - exact) < 2e-4);
    }
    um_buffer_free(ctx, fractions);
    labels[7] = 2;
    assert_int_equal(um_layout_fractions(ctx, &sim, &fractions), UM_ERROR_VALUE);
    assert_non_null(strstr(um_context_message(ctx), "(0, 7)"));
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    um_context_free(ctx);
}

static void built_in_patterns_are_patterns(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    const int64_t sizes[][2] = {{64, 64}, {48, 72}, {1, 1}, {3, 5}};
    for (int i = 0; i < 4; i++) {
        int64_t pixels = sizes[i][0] * sizes[i][1];
        float *p = NULL;
        assert_int_equal(um_simulate_patterns(ctx, 5, sizes[i][0], sizes[i][1], 2, &p), UM_OK);
        for (int s = 0; s < 5; s++) {
            double sum = 0.0;
            for (int64_t q = 0; q < pixels; q++) {
                assert_true(p[s * pixels + q] > 0.0F);
                sum += (double)p[s * pixels + q];
            }
            assert_true(fabs(sum - 1.0) < 1e-5);
        }
        if (i < 2) {
            /* The direct beam is the brightest place, and no two states look alike around it. */
            int64_t center = sizes[i][0] / 2 * sizes[i][1] + sizes[i][1] / 2;
            for (int64_t q = 0; q < pixels; q++) {
                assert_true(p[q] <= p[center]);
            }
            assert_memory_not_equal(p, p + pixels, (size_t)pixels * sizeof *p);
        }
        free(p);
    }
    float *none = NULL;
    assert_int_equal(um_simulate_patterns(ctx, 0, 8, 8, 2, &none), UM_ERROR_ARGUMENT);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_poisson_in_every_pixel),
        cmocka_unit_test(counts_stop_at_the_top),
        cmocka_unit_test(counts_depend_on_seed_and_position_alone),
        cmocka_unit_test(fractions_sum_to_one_in_every_layout),
        cmocka_unit_test(borders_follow_the_probe),
        cmocka_unit_test(built_in_patterns_are_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
