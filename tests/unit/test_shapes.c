/* Image primitives: closed forms, smallest images, what is refused. tests/oracle/test_shapes.py has the comparisons. */
#include "base_internal.h"
#include "unmix/shapes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static um_context *new_context(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    return ctx;
}

/* Everything on images of every small size: nothing reads or writes beyond them. */
static void all_of(um_context *ctx, int64_t ny, int64_t nx, uint64_t seed)
{
    size_t n = (size_t)(ny * nx);
    um_random random = {seed, UM_STREAM_TEST};
    double *image = calloc(n, sizeof *image);
    double *out = calloc(n, sizeof *out);
    uint8_t *map = calloc(n, 1);
    uint8_t *wide = calloc(n, 1);
    int32_t *label = calloc(n, sizeof *label);
    int32_t *flooded = calloc(n, sizeof *flooded);
    um_region *regions = calloc(n + 1, sizeof *regions);
    for (size_t i = 0; i < n; i++) {
        image[i] = floor(8 * um_random_uniform(random, i)) / 8;
        map[i] = image[i] > 0.4;
    }
    int64_t count = 0;
    assert_int_equal(um_label(ctx, ny, nx, map, 8, label, &count), UM_OK);
    assert_int_equal(um_regions_measure(ctx, ny, nx, label, count, regions), UM_OK);
    int64_t area = 0;
    for (int64_t i = 0; i < count; i++) {
        assert_true(regions[i].area > 0 && regions[i].minor_axis <= regions[i].major_axis);
        area += regions[i].area;
    }
    int64_t inside = 0;
    for (size_t i = 0; i < n; i++) {
        inside += map[i];
    }
    assert_int_equal(area, inside);
    assert_int_equal(um_distance_transform(ctx, ny, nx, map, out), UM_OK);
    assert_int_equal(um_dilate(ctx, ny, nx, map, 1.5, wide), UM_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true((out[i] == 0) == (map[i] == 0));
        assert_true(wide[i] >= map[i]);
    }
    assert_int_equal(um_watershed(ctx, ny, nx, image, label, NULL, 4, flooded), UM_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(count == 0 || (flooded[i] >= 1 && flooded[i] <= count));
    }
    for (int method = 0; method < UM_THRESHOLD_METHODS; method++) {
        double level = NAN;
        assert_int_equal(um_threshold(ctx, (um_threshold_method)method, image, (int64_t)n, 256, &level), UM_OK);
        assert_true(level >= 0 && level <= 1);
    }
    assert_int_equal(um_filter_gauss(ctx, ny, nx, image, 3.3, 1, 0, out), UM_OK);
    assert_int_equal(um_filter_extreme(ctx, ny, nx, image, 2, true, out), UM_OK);
    assert_int_equal(um_filter_sobel(ctx, ny, nx, image, out), UM_OK);
    assert_int_equal(um_match_disc(ctx, ny, nx, image, 1.5, out), UM_OK);
    um_blob_options blobs = um_blob_defaults();
    blobs.threshold = 0.01;
    um_points *points[4] = {NULL};
    assert_int_equal(um_local_maxima(ctx, ny, nx, image, 2, 0.1, 1, &points[0]), UM_OK);
    assert_int_equal(um_peaks_minmax(ctx, ny, nx, image, 2, 0.1, &points[1]), UM_OK);
    assert_int_equal(um_blobs_log(ctx, ny, nx, image, &blobs, &points[2]), UM_OK);
    assert_int_equal(um_blobs_dog(ctx, ny, nx, image, &blobs, &points[3]), UM_OK);
    for (int i = 0; i < 4; i++) {
        for (int64_t j = 1; j < points[i]->count; j++) {
            assert_true(points[i]->at[j - 1].value >= points[i]->at[j].value);
        }
        um_points_free(points[i]);
    }
    void *held[] = {image, out, map, wide, label, flooded, regions};
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++) {
        free(held[i]);
    }
}

static void test_every_small_size(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    for (int64_t ny = 1; ny <= 6; ny++) {
        for (int64_t nx = 1; nx <= 6; nx++) {
            all_of(ctx, ny, nx, (uint64_t)(ny * 7 + nx));
        }
    }
    all_of(ctx, 31, 2, 1);
    all_of(ctx, 40, 53, 2);
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    um_context_free(ctx);
}

static void test_a_rectangle_has_the_moments_of_one(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    int32_t label[9 * 20] = {0};
    for (int y = 2; y < 7; y++) {
        for (int x = 3; x < 15; x++) {
            label[y * 20 + x] = 1;
        }
    }
    um_region r;
    assert_int_equal(um_regions_measure(ctx, 9, 20, label, 1, &r), UM_OK);
    assert_int_equal(r.area, 60);
    assert_true(r.y == 4 && r.x == 8.5 && !r.at_border && r.orientation_deg == 0);
    /* n whole numbers in a row have the variance (n^2 - 1)/12. */
    assert_true(fabs(r.major_axis - 4 * sqrt(143.0 / 12)) < 1e-12);
    assert_true(fabs(r.minor_axis - 4 * sqrt(24.0 / 12)) < 1e-12);
    assert_true(fabs(r.equivalent_diameter - 2 * sqrt(60 / M_PI)) < 1e-12);
    um_context_free(ctx);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    double value = 1;
    uint8_t map = 1;
    int32_t label = 0;
    int64_t count = 0;
    assert_int_equal(um_label(ctx, 0, 5, &map, 8, &label, &count), UM_ERROR_SHAPE);
    assert_int_equal(um_label(ctx, INT64_MAX, 2, &map, 8, &label, &count), UM_ERROR_SHAPE);
    assert_int_equal(um_distance_transform(ctx, 1 << 20, 1 << 20, &map, &value), UM_ERROR_SHAPE);
    assert_int_equal(um_filter_gauss(ctx, 1, 1, &value, 0, 0, 0, &value), UM_ERROR_ARGUMENT);
    assert_int_equal(um_filter_gauss(ctx, 1, 1, &value, NAN, 0, 0, &value), UM_ERROR_ARGUMENT);
    assert_int_equal(um_match_disc(ctx, 1, 1, &value, -1, &value), UM_ERROR_ARGUMENT);
    assert_int_equal(um_threshold(ctx, UM_THRESHOLD_YEN, &value, 1, 1, &value), UM_ERROR_ARGUMENT);
    assert_int_equal(um_threshold(ctx, UM_THRESHOLD_LI, &value, 0, 0, &value), UM_ERROR_VALUE);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_small_size),
                                       cmocka_unit_test(test_a_rectangle_has_the_moments_of_one),
                                       cmocka_unit_test(test_what_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
