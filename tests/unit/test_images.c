#include "image_internal.h"
#include "prep_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NY = 5, NX = 7, KY = 24, KX = 30 };
static const double BEAM_Y = 12.3, BEAM_X = 13.8;

typedef struct scan {
    um_context *ctx;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix;
    uint16_t *data;
} scan;

/* A beam, weaker reflections that change from position to position, and a flat background. */
static uint16_t *make_data(void)
{
    uint16_t *data = calloc((size_t)NY * NX * KY * KX, sizeof *data);
    for (int p = 0; p < NY * NX; p++) {
        for (int y = 0; y < KY; y++) {
            for (int x = 0; x < KX; x++) {
                double r = hypot(y - BEAM_Y, x - BEAM_X);
                double v = 9000 * exp(-r * r / 4) + 3 + (p * 7 + y * 3 + x) % 5;
                v += y == (p % 3) * 4 && x == 25 ? 800 + 3 * p : 0;
                data[(p * KY + y) * KX + x] = (uint16_t)lround(v);
            }
        }
    }
    return data;
}

static scan open_scan(const char *keys[][2], int count, int threads, size_t memory)
{
    scan s = {.data = make_data()};
    assert_int_equal(um_context_create(&s.ctx), UM_OK);
    um_context_set_threads(s.ctx, threads);
    um_context_set_memory(s.ctx, memory);
    s.source = memory_source(s.ctx, UM_U16, (um_shape){NY, NX, KY, KX}, s.data);
    assert_int_equal(um_recipe_create(s.ctx, &s.recipe), UM_OK);
    for (int i = 0; i < count; i++) {
        assert_int_equal(um_recipe_set(s.recipe, keys[i][0], keys[i][1]), UM_OK);
    }
    um_status status = um_matrix_open(s.ctx, s.source, s.recipe, &s.matrix);
    if (status != UM_OK) {
        fail_msg("%s", um_context_message(s.ctx));
    }
    return s;
}

static void close_scan(scan *s)
{
    um_matrix_free(s->matrix);
    um_recipe_free(s->recipe);
    um_source_free(s->source);
    assert_int_equal(um_context_memory_in_use(s->ctx), 0);
    um_context_free(s->ctx);
    free(s->data);
}

static double sum_where(const scan *s, int p, const um_aperture *a, const uint8_t *mask)
{
    double sum = 0;
    for (int i = 0; i < KY * KX; i++) {
        if (mask[i] == 0 && um_aperture_holds(a, i / KX, i % KX)) {
            sum += s->data[p * KY * KX + i];
        }
    }
    return sum;
}

static void apertures_sum_exactly_in_one_pass(void **state)
{
    (void)state;
    scan s = open_scan(NULL, 0, 2, (size_t)1 << 28);
    um_aperture apertures[3];
    assert_int_equal(um_aperture_parse(s.ctx, "bf:disc:12,14,4", &apertures[0]), UM_OK);
    assert_int_equal(um_aperture_parse(s.ctx, "df:annulus:12.5,14.5,4,9", &apertures[1]), UM_OK);
    assert_int_equal(um_aperture_parse(s.ctx, "edge:rect:0,25,3,0.5", &apertures[2]), UM_OK);
    um_images *images = NULL;
    assert_int_equal(um_images_make(s.matrix, apertures, 3, 12, 14, &images), UM_OK);
    assert_int_equal(um_matrix_passes(s.matrix), 1);
    uint8_t none[KY * KX] = {0};
    double total = 0;
    for (int p = 0; p < NY * NX; p++) {
        for (int a = 0; a < 3; a++) {
            assert_true(images->virtual_map[a][p] == sum_where(&s, p, &apertures[a], none));
        }
        double sum = 0;
        double sum_y = 0;
        double sum_x = 0;
        for (int i = 0; i < KY * KX; i++) {
            double v = s.data[p * KY * KX + i];
            sum += v;
            sum_y += v * (i / KX);
            sum_x += v * (i % KX);
        }
        total += sum;
        assert_true(images->sums->sum_map[p] == sum);
        assert_true(fabs(images->center_of_mass_y[p] - sum_y / sum) < 1e-12);
        assert_true(fabs(images->center_of_mass_x[p] - sum_x / sum) < 1e-12);
    }
    assert_true(images->sums->total == total);
    um_images_free(images);
    close_scan(&s);
}

static void mean_and_variance_are_those_of_the_data(void **state)
{
    (void)state;
    scan s = open_scan(NULL, 0, 2, (size_t)1 << 28);
    um_images *images = NULL;
    assert_int_equal(um_images_make(s.matrix, NULL, 0, NAN, NAN, &images), UM_OK);
    for (int i = 0; i < KY * KX; i++) {
        double mean = 0;
        for (int p = 0; p < NY * NX; p++) {
            mean += s.data[p * KY * KX + i] / (double)(NY * NX);
        }
        double variance = 0;
        for (int p = 0; p < NY * NX; p++) {
            double d = s.data[p * KY * KX + i] - mean;
            variance += d * d / (NY * NX);
        }
        assert_true(fabs(images->mean_pattern[i] - mean) < 1e-9 * (mean + 1));
        assert_true(fabs(images->variance_pattern[i] - variance) < 1e-7 * (mean * mean + 1));
    }
    um_images_free(images);
    close_scan(&s);
}

static void beam_is_found_and_series_made(void **state)
{
    (void)state;
    scan s = open_scan(NULL, 0, 1, (size_t)1 << 28);
    um_images *images = NULL;
    assert_int_equal(um_images_make(s.matrix, NULL, 0, NAN, NAN, &images), UM_OK);
    assert_int_equal(um_matrix_passes(s.matrix), 2);
    assert_true(fabs(images->beam_y - BEAM_Y) < 0.15);
    assert_true(fabs(images->beam_x - BEAM_X) < 0.15);
    assert_true(images->apertures >= 3);
    assert_string_equal(images->aperture[0].name, "bright_field");
    uint8_t none[KY * KX] = {0};
    for (int a = 0; a < images->apertures; a++) {
        assert_true(a == 0 || images->aperture[a].inner_px == images->aperture[a - 1].outer_px);
        assert_true(images->virtual_map[a][5] == sum_where(&s, 5, &images->aperture[a], none));
    }
    um_images_free(images);
    close_scan(&s);
}

static void excluded_pixels_and_positions_do_not_count(void **state)
{
    (void)state;
    const char *keys[][2] = {{"mask-beam", "5"}, {"beam-center", "12,14"}};
    scan s = open_scan(keys, 2, 2, (size_t)1 << 28);
    const um_matrix_info *info = um_matrix_get_info(s.matrix);
    assert_non_null(info->signal_mask);
    um_images *images = NULL;
    assert_int_equal(um_images_make(s.matrix, NULL, 0, NAN, NAN, &images), UM_OK);
    /* the beam cannot be seen: its place is the middle of the mask, and there is no bright field */
    assert_true(fabs(images->beam_y - 12) < 1e-9);
    assert_true(fabs(images->beam_x - 14) < 1e-9);
    assert_true(images->apertures > 0);
    for (int a = 0; a < images->apertures; a++) {
        assert_string_not_equal(images->aperture[a].name, "bright_field");
        for (int p = 0; p < NY * NX; p++) {
            double expected = sum_where(&s, p, &images->aperture[a], info->signal_mask);
            assert_true(images->virtual_map[a][p] == expected);
        }
    }
    assert_true(images->mean_pattern[12 * KX + 14] == 0);
    um_images_free(images);
    um_aperture hidden;
    assert_int_equal(um_aperture_parse(s.ctx, "bf:disc:12,14,2", &hidden), UM_OK);
    assert_int_equal(um_images_make(s.matrix, &hidden, 1, 0, 0, &images), UM_ERROR_ARGUMENT);
    assert_null(images);
    assert_non_null(strstr(um_context_message(s.ctx), "bf"));
    close_scan(&s);
}

static void threads_and_budget_do_not_matter(void **state)
{
    (void)state;
    um_images *images[3] = {NULL};
    scan s[3] = {open_scan(NULL, 0, 1, (size_t)1 << 28), open_scan(NULL, 0, 4, (size_t)1 << 28),
                 open_scan(NULL, 0, 2, (size_t)500000)};
    for (int i = 0; i < 3; i++) {
        um_status status = um_images_make(s[i].matrix, NULL, 0, NAN, NAN, &images[i]);
        if (status != UM_OK) {
            fail_msg("%s", um_context_message(s[i].ctx));
        }
        size_t map = sizeof(double) * NY * NX;
        assert_memory_equal(images[i]->center_of_mass_y, images[0]->center_of_mass_y, map);
        assert_memory_equal(images[i]->virtual_map[1], images[0]->virtual_map[1], map);
        assert_memory_equal(images[i]->variance_pattern, images[0]->variance_pattern,
                            sizeof(double) * KY * KX);
    }
    for (int i = 0; i < 3; i++) {
        um_images_free(images[i]);
        close_scan(&s[i]);
    }
}

static void aperture_text_is_checked(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    const char *bad[] = {"",
                         "bf",
                         "bf:disc",
                         "bf:disc:1,2",
                         "bf:disc:1,2,0",
                         "bf:disc:1,2,3,4",
                         "bf:disc:1,2,x",
                         "bf:disc:nan,2,3",
                         ":disc:1,2,3",
                         "a/b:disc:1,2,3",
                         "..:disc:1,2,3",
                         "bf:annulus:1,2,5,4",
                         "bf:annulus:1,2,-1,4",
                         "bf:rect:1,2,-1,4",
                         "bf:ring:1,2,3,4",
                         "a_name_that_is_far_too_long_for_the_field:disc:1,2,3"};
    um_aperture a;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(um_aperture_parse(ctx, bad[i], &a), UM_ERROR_ARGUMENT);
    }
    assert_int_equal(um_aperture_parse(ctx, "df_1:annulus:1.5,2,3,4.25", &a), UM_OK);
    assert_string_equal(a.name, "df_1");
    assert_true(a.cy == 1.5 && a.cx == 2 && a.inner_px == 3 && a.outer_px == 4.25);
    assert_true(um_aperture_holds(&a, 5, 2));
    assert_false(um_aperture_holds(&a, 3, 2));
    um_context_free(ctx);
}

static void beam_measure_ignores_hot_pixels(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    double *pattern = calloc(64 * 64, sizeof *pattern);
    uint8_t *mask = calloc(64 * 64, 1);
    for (int i = 0; i < 64 * 64; i++) {
        double r = hypot(i / 64 - 33, i % 64 - 30);
        double spot = hypot(i / 64 - 10, i % 64 - 50);
        pattern[i] = 1 + 1000 * exp(-r * r / 8) + 100 * exp(-spot * spot / 4);
        mask[i] = r < 9;
    }
    pattern[5 * 64 + 5] = 1e6;
    pattern[6 * 64 + 50] = NAN;
    um_beam beam;
    assert_int_equal(um_beam_measure(ctx, pattern, NULL, 64, 64, &beam), UM_OK);
    assert_true(beam.found && beam.central);
    assert_true(hypot(beam.y - 33, beam.x - 30) < 0.1);
    assert_true(beam.radius_px >= 3 && beam.radius_px <= 8);
    assert_true(fabs(beam.peak - 1000) < 1 && fabs(beam.next_peak - 100) < 2);
    pattern[5 * 64 + 5] = 1;
    assert_int_equal(um_beam_measure(ctx, pattern, NULL, 64, 64, &beam), UM_OK);
    assert_true(beam.share > 0.7 && beam.share < 0.9); /* of 25133 + 1257 + 4096 in all */
    assert_true(beam.share_of_squares > 0.97);
    assert_int_equal(um_beam_measure(ctx, pattern, mask, 64, 64, &beam), UM_OK);
    assert_true(beam.found && !beam.central); /* the reflection */
    assert_true(um_mask_center(mask, 64, 64, &beam));
    assert_true(hypot(beam.y - 33, beam.x - 30) < 1e-9);
    for (int i = 0; i < 64 * 64; i++) {
        pattern[i] = NAN;
    }
    assert_int_equal(um_beam_measure(ctx, pattern, NULL, 64, 64, &beam), UM_OK);
    assert_false(beam.found);
    free(pattern);
    free(mask);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apertures_sum_exactly_in_one_pass),
        cmocka_unit_test(mean_and_variance_are_those_of_the_data),
        cmocka_unit_test(beam_is_found_and_series_made),
        cmocka_unit_test(excluded_pixels_and_positions_do_not_count),
        cmocka_unit_test(threads_and_budget_do_not_matter),
        cmocka_unit_test(aperture_text_is_checked),
        cmocka_unit_test(beam_measure_ignores_hot_pixels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
