#include "image_internal.h"

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

/* CIELAB L*, independent of the space that the maps are computed in. */
static double lightness(const double linear[3])
{
    double y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return y > 0.008856 ? 116 * cbrt(y) - 16 : 903.3 * y;
}

static void to_linear(const uint8_t rgb[3], double linear[3])
{
    for (int i = 0; i < 3; i++) {
        double v = rgb[i] / 255.0;
        linear[i] = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
    }
}

static double lightness_of(um_colors colors, double t)
{
    uint8_t rgb[3];
    double linear[3];
    um_color(colors, t, rgb);
    to_linear(rgb, linear);
    return lightness(linear);
}

static void sequential_maps_get_lighter_evenly(void **state)
{
    (void)state;
    um_colors maps[] = {UM_COLORS_GRAY, UM_COLORS_VIRIDIS, UM_COLORS_MAGMA, UM_COLORS_CIVIDIS};
    for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
        double first = lightness_of(maps[m], 0);
        double last = lightness_of(maps[m], 1);
        assert_true(last - first > 60);
        for (int i = 1; i <= 32; i++) {
            double step = lightness_of(maps[m], i / 32.0) - lightness_of(maps[m], (i - 1) / 32.0);
            assert_true(step > 0.15 * (last - first) / 32);
            assert_true(step < 2.2 * (last - first) / 32);
        }
    }
}

/* Machado et al. 2009, severity 1: what people without red or green cones see. */
static const double BLIND[2][9] = {
    {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
    {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
};

static void maps_survive_colour_blindness(void **state)
{
    (void)state;
    um_colors maps[] = {UM_COLORS_VIRIDIS, UM_COLORS_MAGMA, UM_COLORS_CIVIDIS};
    for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
        for (int kind = 0; kind < 2; kind++) {
            double before = -1;
            for (int i = 0; i <= 32; i++) {
                uint8_t rgb[3];
                double linear[3];
                double seen[3];
                um_color(maps[m], i / 32.0, rgb);
                to_linear(rgb, linear);
                for (int r = 0; r < 3; r++) {
                    const double *row = BLIND[kind] + (ptrdiff_t)3 * r;
                    seen[r] = fmin(
                        fmax(row[0] * linear[0] + row[1] * linear[1] + row[2] * linear[2], 0), 1);
                }
                assert_true(lightness(seen) > before);
                before = lightness(seen);
            }
        }
    }
}

static void diverging_is_white_in_the_middle(void **state)
{
    (void)state;
    uint8_t rgb[3];
    um_color(UM_COLORS_DIVERGING, 0.5, rgb);
    assert_int_equal(rgb[0], 255);
    assert_int_equal(rgb[1], 255);
    assert_int_equal(rgb[2], 255);
    for (int i = 0; i < 16; i++) {
        double left = lightness_of(UM_COLORS_DIVERGING, i / 32.0);
        double right = lightness_of(UM_COLORS_DIVERGING, 1 - i / 32.0);
        assert_true(fabs(left - right) < 5); /* equal size reads as equal */
        assert_true(left < lightness_of(UM_COLORS_DIVERGING, (i + 1) / 32.0));
    }
    um_color(UM_COLORS_DIVERGING, 0, rgb);
    assert_true(rgb[2] > rgb[0] + 80);
    um_color(UM_COLORS_DIVERGING, 1, rgb);
    assert_true(rgb[0] > rgb[2] + 80);
    um_color(UM_COLORS_DIVERGING, NAN, rgb);
    assert_int_equal(rgb[0], 128);
}

static void scale_bars_are_round(void **state)
{
    (void)state;
    char label[48];
    assert_true(um_scale_bar_length(250, "nm", label) == 50);
    assert_string_equal(label, "50\u00A0nm");
    assert_true(um_scale_bar_length(12000, "nm", label) == 2000);
    assert_string_equal(label, "2\u00A0µm");
    assert_true(fabs(um_scale_bar_length(3.0, "1/Å", label) - 0.5) < 1e-12);
    assert_string_equal(label, "0.5\u00A0Å⁻¹");
    assert_true(um_scale_bar_length(100, "", label) == 20);
    assert_string_equal(label, "20\u00A0px");
    assert_true(um_scale_bar_length(0, "nm", label) == 0);
    assert_true(um_scale_bar_length(NAN, "nm", label) == 0);
    for (double extent = 1e-3; extent < 1e7; extent *= 1.37) {
        double length = um_scale_bar_length(extent, "nm", label);
        double front = length / pow(10, floor(log10(length) + 1e-9));
        assert_true(fabs(front - 1) < 1e-6 || fabs(front - 2) < 1e-6 || fabs(front - 5) < 1e-6);
        assert_true(length > 0.1 * extent && length < 0.35 * extent);
    }
}

static void numbers_are_short(void **state)
{
    (void)state;
    char text[32];
    um_number_text(0, 3, text);
    assert_string_equal(text, "0");
    um_number_text(1304983, 7, text);
    assert_string_equal(text, "1.304983×10⁶");
    um_number_text(304983, 3, text);
    assert_string_equal(text, "304983");
    um_number_text(-0.0321, 2, text);
    assert_string_equal(text, "−0.032");
    um_number_text(3.2e-5, 2, text);
    assert_string_equal(text, "3.2×10⁻⁵");
    um_number_text(9.999e-5, 2, text);
    assert_string_equal(text, "1×10⁻⁴");
    um_number_text(NAN, 2, text);
    assert_string_equal(text, "–");
}

static um_range range_between(double low, double high, bool log_scale)
{
    double ends[2] = {low, high};
    um_picture_style style = {.low = low,
                              .high = high,
                              .log_scale = log_scale,
                              .log_floor = log_scale ? 1e-4 * (high - low) : 0};
    return um_range_of(ends, 2, &style);
}

static void ticks_lie_inside_and_rise(void **state)
{
    (void)state;
    double ticks[UM_TICKS];
    double ends[][2] = {{0, 1}, {-3, 7}, {0, 1e-7}, {12.5, 13}, {0, 65535}, {-1e9, 1e9}};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        for (int log_scale = 0; log_scale < 2; log_scale++) {
            um_range range = range_between(ends[i][0], ends[i][1], log_scale != 0);
            int count = um_ticks_make(&range, 5, ticks);
            assert_in_range(count, 2, UM_TICKS);
            for (int t = 0; t < count; t++) {
                assert_true(ticks[t] >= ends[i][0] - 1e-9 * fabs(ends[i][0]));
                assert_true(ticks[t] <= ends[i][1] * (1 + 1e-9));
                assert_true(t == 0 || ticks[t] > ticks[t - 1]);
                char a[32];
                char b[32];
                um_tick_text(ticks, count, t, a);
                um_tick_text(ticks, count, t > 0 ? t - 1 : 1, b);
                assert_string_not_equal(a, b);
            }
        }
    }
}

static void log_scale_shows_four_decades(void **state)
{
    (void)state;
    um_range range = range_between(0, 1000, true);
    assert_true(um_range_fraction(&range, 0) == 0);
    assert_true(um_range_fraction(&range, 1000) == 1);
    assert_true(fabs(um_range_fraction(&range, 10) - 0.5) < 0.01);
    assert_true(isnan(um_range_fraction(&range, NAN)));
    assert_true(um_range_fraction(&range, 1e9) == 1);
    double values[100]; /* a background of 5 under one spot of 1000 is dark, and zero darker */
    for (int i = 0; i < 100; i++) {
        values[i] = i == 0 ? 1000 : i == 1 ? 0 : 5;
    }
    um_picture_style style = {.low = 0, .high = NAN, .log_scale = true};
    range = um_range_of(values, 100, &style);
    assert_true(range.floor == 5);
    assert_true(um_range_fraction(&range, 5) > 0.1 && um_range_fraction(&range, 5) < 0.2);
}

static const uint8_t *pixel(const uint8_t *pixels, int64_t width, int64_t y, int64_t x)
{
    return pixels + 3 * (y * width + x);
}

static void values_land_where_they_belong(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    double values[6] = {0, 1, 2, 3, 4, 5};
    uint8_t mask[6] = {0, 0, 0, 0, 1, 0};
    um_picture_style style = {.colors = UM_COLORS_VIRIDIS,
                              .low = NAN,
                              .high = NAN,
                              .mask = mask,
                              .min_size_px = 60};
    uint8_t *pixels = NULL;
    int64_t height = 0;
    int64_t width = 0;
    assert_int_equal(um_picture_render(ctx, values, 2, 3, &style, &pixels, &height, &width), UM_OK);
    int64_t pad_x = (width - 60) / 2;
    int64_t pad_y = (height - 40) / 2;
    assert_int_equal(width - 60, height - 40); /* the same border, cells 20 px wide and high */
    for (int i = 0; i < 6; i++) {
        const uint8_t *p = pixel(pixels, width, pad_y + i / 3 * 20 + 10, pad_x + i % 3 * 20 + 10);
        uint8_t rgb[3];
        um_color(UM_COLORS_VIRIDIS, i / 5.0, rgb);
        if (mask[i] != 0) {
            assert_int_equal(p[0], p[1]); /* neutral */
        } else {
            for (int c = 0; c < 3; c++) {
                assert_in_range(p[c] + 2, rgb[c], rgb[c] + 4);
            }
        }
    }
    free(pixels);
    um_context_free(ctx);
}

static int dark_pixels(const uint8_t *pixels, int64_t width, int64_t y0, int64_t y1)
{
    int count = 0;
    for (int64_t y = y0; y < y1; y++) {
        for (int64_t x = 0; x < width; x++) {
            count += pixel(pixels, width, y, x)[0] < 60;
        }
    }
    return count;
}

static void scale_bar_has_the_length_it_says(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    double *values = calloc(100 * 100, sizeof *values);
    um_picture_style style = {
        .low = 0, .high = 1, .scale = 2.5, .units = "nm", .min_size_px = 300};
    uint8_t *pixels = NULL;
    int64_t height = 0;
    int64_t width = 0;
    style.colors = UM_COLORS_DIVERGING; /* no black in the map */
    assert_int_equal(um_picture_render(ctx, values, 100, 100, &style, &pixels, &height, &width),
                     UM_OK);
    int64_t longest = 0; /* black run: 50 nm = 20 values = 60 px */
    for (int64_t y = 310; y < height; y++) {
        int64_t run = 0;
        for (int64_t x = 0; x < width; x++) {
            run = pixel(pixels, width, y, x)[0] == 28 ? run + 1 : 0;
            longest = run > longest ? run : longest;
        }
    }
    assert_int_equal(longest, 60);
    assert_true(dark_pixels(pixels, width, height - 32, height) > 50); /* its label */
    free(pixels);
    free(values);
    um_context_free(ctx);
}

static void odd_shapes_are_drawn(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    double *values = calloc(4000, sizeof *values);
    for (int i = 0; i < 4000; i++) {
        values[i] = i % 17 == 3 ? NAN : i % 5 == 0 ? INFINITY : (double)i;
    }
    int64_t shapes[][2] = {{1, 1}, {1, 1797}, {1797, 1}, {1, 64}, {3, 1000}, {63, 63}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        um_picture_style style = {.low = NAN,
                                  .high = NAN,
                                  .log_scale = i % 2 == 0,
                                  .scale = 1,
                                  .units = "",
                                  .color_bar = true,
                                  .color_label = "counts",
                                  .title = "a title with a bad byte \xff and \xe2\x82"};
        uint8_t *pixels = NULL;
        int64_t height = 0;
        int64_t width = 0;
        assert_int_equal(um_picture_render(ctx, values, shapes[i][0], shapes[i][1], &style, &pixels,
                                           &height, &width),
                         UM_OK);
        assert_true(height >= 32 && width >= 32);
        free(pixels);
    }
    uint8_t *pixels = NULL;
    int64_t n = 0;
    um_picture_style plain = {.low = NAN, .high = NAN, .color_bar = true};
    values[0] = NAN;
    assert_int_equal(um_picture_render(ctx, values, 1, 1, &plain, &pixels, &n, &n), UM_OK);
    free(pixels);
    assert_int_equal(um_picture_render(ctx, values, 0, 4, &plain, &pixels, &n, &n), UM_ERROR_SHAPE);
    assert_null(pixels);
    free(values);
    um_context_free(ctx);
}

static void text_is_as_wide_as_it_measures(void **state)
{
    (void)state;
    um_canvas canvas = {malloc((size_t)3 * 60 * 600), 60, 600};
    const uint8_t black[3] = {0, 0, 0};
    const char *samples[] = {"0.5 Å⁻¹", "3.2×10⁻⁵", "Component 12 (%)", "glyphs|µ"};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        memset(canvas.pixels, 255, (size_t)3 * 60 * 600);
        um_text_draw(&canvas, 10, 40, 24, false, samples[i], black);
        double width = um_text_width(samples[i], 24);
        int64_t left = 600;
        int64_t right = 0;
        for (int64_t y = 0; y < 60; y++) {
            for (int64_t x = 0; x < 600; x++) {
                if (pixel(canvas.pixels, 600, y, x)[0] < 128) {
                    left = x < left ? x : left;
                    right = x > right ? x : right;
                }
            }
        }
        assert_true(left >= 10 && (double)left < 16);
        assert_true((double)right < 10 + width && (double)right > 10 + width - 6);
    }
    free(canvas.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequential_maps_get_lighter_evenly),
        cmocka_unit_test(maps_survive_colour_blindness),
        cmocka_unit_test(diverging_is_white_in_the_middle),
        cmocka_unit_test(scale_bars_are_round),
        cmocka_unit_test(numbers_are_short),
        cmocka_unit_test(ticks_lie_inside_and_rise),
        cmocka_unit_test(log_scale_shows_four_decades),
        cmocka_unit_test(values_land_where_they_belong),
        cmocka_unit_test(scale_bar_has_the_length_it_says),
        cmocka_unit_test(odd_shapes_are_drawn),
        cmocka_unit_test(text_is_as_wide_as_it_measures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
