/* Recipes as text; crops, bins, masks and sums against sums written out here. */
#include "prep_internal.h"
#include "prep_source.h"
#include "unmix/prep.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    um_context *ctx;
    um_recipe *recipe;
    um_source *source;
    um_matrix *matrix;
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    assert_int_equal(um_recipe_create(f->ctx, &f->recipe), UM_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    um_matrix_free(f->matrix);
    um_source_free(f->source);
    um_recipe_free(f->recipe);
    um_context_free(f->ctx);
    free(f);
    return 0;
}

static void set(fixture *f, const char *key, const char *value)
{
    if (um_recipe_set(f->recipe, key, value) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
}

static void open_matrix(fixture *f)
{
    um_matrix_free(f->matrix);
    f->matrix = NULL;
    if (um_matrix_open(f->ctx, f->source, f->recipe, &f->matrix) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
}

/* 5 x 7 positions of 6 x 9 pixels: nothing is square. */
enum { NY = 5, NX = 7, KY = 6, KX = 9 };
static uint16_t scan_u16[NY][NX][KY][KX];
static uint8_t scan_u8[NY][NX][KY][KX];

static void fill_scans(void)
{
    uint32_t v = 1;
    for (int i = 0; i < NY * NX * KY * KX; i++) {
        v = v * 1664525u + 1013904223u;
        (&scan_u16[0][0][0][0])[i] = (uint16_t)(v >> 16);
        (&scan_u8[0][0][0][0])[i] = (uint8_t)(v >> 24);
    }
}

static void test_identity(void **state)
{
    fixture *f = *state;
    fill_scans();
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, scan_u16);
    open_matrix(f);
    const um_matrix_info *info = um_matrix_get_info(f->matrix);
    assert_int_equal(info->dtype, UM_U16);
    assert_true(info->counts);
    assert_null(info->signal_mask);
    assert_null(info->navigation_mask);
    double *all = gather(f->matrix);
    for (int i = 0; i < NY * NX * KY * KX; i++) {
        assert_true(all[i] == (double)(&scan_u16[0][0][0][0])[i]);
    }
    free(all);
    assert_int_equal(um_matrix_passes(f->matrix), 1);
}

static void test_crop(void **state)
{
    fixture *f = *state;
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, scan_u16);
    f->source->info.axes[1].scale = 2;
    f->source->info.axes[3].scale = 0.5;
    f->source->info.axes[3].offset = -1;
    set(f, "crop-scan", "1:4,2:");
    set(f, "crop-signal", ":5,3:9");
    open_matrix(f);
    const um_matrix_info *info = um_matrix_get_info(f->matrix);
    assert_int_equal(info->shape.ny, 3);
    assert_int_equal(info->shape.nx, 5);
    assert_int_equal(info->shape.ky, 5);
    assert_int_equal(info->shape.kx, 6);
    assert_int_equal(info->dtype, UM_U16);
    assert_true(info->axes[1].offset == 4.0);
    assert_true(info->axes[3].offset == 0.5);
    double *all = gather(f->matrix);
    for (int y = 0; y < 3; y++) {
        for (int x = 0; x < 5; x++) {
            for (int a = 0; a < 5; a++) {
                for (int b = 0; b < 6; b++) {
                    double got = all[((y * 5 + x) * 5 + a) * 6 + b];
                    assert_true(got == (double)scan_u16[1 + y][2 + x][a][3 + b]);
                }
            }
        }
    }
    free(all);
}

/* Sums of 3x3 detector bins and 2x2 positions: far beyond the range of u8 and u16. */
static void check_bins(fixture *f, const double *values)
{
    const um_matrix_info *info = um_matrix_get_info(f->matrix);
    assert_int_equal(info->dtype, UM_F32);
    assert_true(info->counts);
    assert_int_equal(info->shape.ny, 2);
    assert_int_equal(info->shape.nx, 3);
    assert_int_equal(info->shape.ky, 2);
    assert_int_equal(info->shape.kx, 3);
    double *all = gather(f->matrix);
    for (int i = 0; i < 2 * 3 * 2 * 3; i++) {
        int y = i / 18;
        int x = i / 6 % 3;
        int a = i / 3 % 2;
        int b = i % 3;
        double sum = 0;
        for (int j = 0; j < 2 * 2 * 3 * 3; j++) {
            int py = 2 * y + j / 18;
            int px = 2 * x + j / 9 % 2;
            int ka = 3 * a + j / 3 % 3;
            int kb = 3 * b + j % 3;
            sum += values[((py * NX + px) * KY + ka) * KX + kb];
        }
        assert_true(all[i] == sum);
    }
    free(all);
}

static void test_bin_never_overflows(void **state)
{
    fixture *f = *state;
    static double values[NY * NX * KY * KX];
    static uint16_t full[NY * NX * KY * KX];
    set(f, "bin-scan", "2");
    set(f, "bin-signal", "3");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < NY * NX * KY * KX; i++) {
            full[i] = 65535;
            values[i] = round == 0   ? (double)(&scan_u8[0][0][0][0])[i]
                        : round == 1 ? (double)(&scan_u16[0][0][0][0])[i]
                                     : 65535.0;
        }
        um_source_free(f->source);
        f->source = memory_source(f->ctx, round == 0 ? UM_U8 : UM_U16, (um_shape){NY, NX, KY, KX},
                                  round == 0   ? (const void *)scan_u8
                                  : round == 1 ? (const void *)scan_u16
                                               : (const void *)full);
        open_matrix(f);
        check_bins(f, values);
    }
    assert_non_null(strstr(um_matrix_report(f->matrix), "dropped_by_binning"));
}

/* METHODS 3: masks keep C order (ky, kx) on detectors that are not square, and bins of masked
 * pixels are masked. */
static void test_signal_masks(void **state)
{
    fixture *f = *state;
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, scan_u16);
    set(f, "mask-disc", "1,7,1.5");
    set(f, "mask-rectangle", "4:6,0:2");
    open_matrix(f);
    const uint8_t *mask = um_matrix_get_info(f->matrix)->signal_mask;
    assert_non_null(mask);
    for (int a = 0; a < KY; a++) {
        for (int b = 0; b < KX; b++) {
            bool want = (a - 1) * (a - 1) + (b - 7) * (b - 7) < 2.25 || (a >= 4 && b < 2);
            assert_int_equal(mask[a * KX + b], want);
        }
    }
    assert_int_equal(um_matrix_get_info(f->matrix)->dtype, UM_U16);
    set(f, "bin-signal", "2");
    open_matrix(f);
    mask = um_matrix_get_info(f->matrix)->signal_mask;
    double *all = gather(f->matrix);
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 4; b++) {
            bool want = (a <= 1 && b >= 3) || (a == 2 && b == 0);
            assert_int_equal(mask[a * 4 + b], want);
            if (want) {
                assert_true(all[a * 4 + b] == 0.0);
            }
        }
    }
    free(all);
}

static void test_beam_mask_finds_the_beam(void **state)
{
    fixture *f = *state;
    static float values[2][3][20][30];
    for (int p = 0; p < 6; p++) {
        for (int i = 0; i < 600; i++) {
            double dy = i / 30 - 6.0;
            double dx = i % 30 - 21.0;
            values[p / 3][p % 3][i / 30][i % 30] = (float)(1000 * exp(-(dy * dy + dx * dx) / 8));
        }
        values[p / 3][p % 3][15][3] = 1e6F; /* a hot pixel is no beam */
    }
    f->source = memory_source(f->ctx, UM_F32, (um_shape){2, 3, 20, 30}, values);
    set(f, "mask-beam", "3");
    set(f, "mask-outside", "10");
    open_matrix(f);
    assert_int_equal(um_matrix_passes(f->matrix), 1);
    const uint8_t *mask = um_matrix_get_info(f->matrix)->signal_mask;
    for (int i = 0; i < 600; i++) {
        double r = hypot(i / 30 - 6.0, i % 30 - 21.0);
        if (fabs(r - 3) > 0.1 && fabs(r - 10) > 0.1) {
            assert_int_equal(mask[i], r < 3 || r >= 10);
        }
    }
}

static void test_short_file_excludes_missing(void **state)
{
    fixture *f = *state;
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, scan_u16);
    f->source->info.positions_present = 2 * NX + 3;
    set(f, "crop-scan", "1:5,1:7");
    open_matrix(f);
    const uint8_t *mask = um_matrix_get_info(f->matrix)->navigation_mask;
    assert_non_null(mask);
    for (int y = 0; y < 4; y++) {
        for (int x = 0; x < 6; x++) {
            assert_int_equal(mask[y * 6 + x], (y + 1) * NX + x + 1 >= 2 * NX + 3);
        }
    }
    um_sums *sums = NULL;
    assert_int_equal(um_matrix_sums(f->matrix, &sums), UM_OK);
    assert_int_equal(sums->positions, 6 + 2);
    um_sums_free(sums);
}

static void test_sums(void **state)
{
    fixture *f = *state;
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, scan_u16);
    set(f, "mask-disc", "2,3,2");
    open_matrix(f);
    um_sums *sums = NULL;
    assert_int_equal(um_matrix_sums(f->matrix, &sums), UM_OK);
    const uint8_t *mask = um_matrix_get_info(f->matrix)->signal_mask;
    double total = 0;
    double squares = 0;
    double least = INFINITY;
    double most = -INFINITY;
    for (int p = 0; p < NY * NX; p++) {
        double row = 0;
        double row2 = 0;
        for (int q = 0; q < KY * KX; q++) {
            double v = (&scan_u16[0][0][0][0])[p * KY * KX + q];
            if (mask[q] == 0) {
                row += v;
                row2 += v * v;
                least = fmin(least, v);
                most = fmax(most, v);
            }
        }
        assert_true(sums->sum_map[p] == row);
        assert_true(sums->square_map[p] == row2);
        total += row;
        squares += row2;
    }
    for (int q = 0; q < KY * KX; q++) {
        double column = 0;
        double column2 = 0;
        double greatest = 0;
        for (int p = 0; p < NY * NX && mask[q] == 0; p++) {
            double v = (&scan_u16[0][0][0][0])[p * KY * KX + q];
            column += v;
            column2 += v * v;
            greatest = fmax(greatest, v);
        }
        assert_true(sums->sum_pattern[q] == column);
        assert_true(sums->square_pattern[q] == column2);
        assert_true(sums->max_pattern[q] == greatest);
    }
    assert_true(sums->total == total);
    assert_true(sums->total_squares == squares);
    assert_true(sums->minimum == least);
    assert_true(sums->maximum == most);
    assert_int_equal(sums->positions, NY * NX);
    assert_int_equal(sums->not_finite + sums->negative, 0);
    assert_int_equal(sums->first_bad_position, -1);
    um_sums_free(sums);
}

static void test_sums_count_bad_values(void **state)
{
    fixture *f = *state;
    static float values[40][3][5];
    for (int p = 0; p < 40; p++) {
        for (int i = 0; i < 15; i++) {
            values[p][i / 5][i % 5] = 1;
        }
    }
    values[30][1][1] = NAN;
    values[17][2][4] = -2;
    values[17][2][3] = INFINITY;
    values[3][0][0] = NAN; /* under the mask */
    f->source = memory_source(f->ctx, UM_F32, (um_shape){4, 10, 3, 5}, values);
    set(f, "mask-rectangle", "0:1,0:1");
    open_matrix(f);
    um_sums *sums = NULL;
    assert_int_equal(um_matrix_sums(f->matrix, &sums), UM_OK);
    assert_int_equal(sums->not_finite, 2);
    assert_int_equal(sums->negative, 1);
    assert_int_equal(sums->first_bad_position, 17);
    assert_int_equal(sums->first_bad_pixel, 13);
    assert_true(sums->total == 40.0 * 14 - 3 - 2);
    um_sums_free(sums);
    set(f, "negative", "clip");
    set(f, "not-a-number", "zero");
    open_matrix(f);
    assert_int_equal(um_matrix_sums(f->matrix, &sums), UM_OK);
    assert_int_equal(sums->not_finite + sums->negative, 0);
    assert_true(sums->total == 40.0 * 14 - 3);
    um_sums_free(sums);
}

static void test_recipe_text_round_trip(void **state)
{
    fixture *f = *state;
    assert_string_equal(um_recipe_text(f->recipe), "");
    set(f, "bin-signal", "4");
    set(f, "mask-disc", "1,2,3");
    set(f, "mask-disc", " 4,5,6 ; 7,8,9 "); /* " ;" would be a comment in the file */
    char path[] = "/tmp/unmix_recipe_XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs(um_recipe_text(f->recipe), file);
    fclose(file);
    um_recipe *again = NULL;
    assert_int_equal(um_recipe_create(f->ctx, &again), UM_OK);
    assert_int_equal(um_recipe_read(again, path), UM_OK);
    assert_string_equal(um_recipe_text(f->recipe), um_recipe_text(again));
    assert_non_null(strstr(um_recipe_text(again), "mask-disc = 1,2,3\nmask-disc = 4,5,6\n"));
    assert_non_null(strstr(um_recipe_text(again), "7,8,9\n"));
    assert_int_equal(um_recipe_set(again, "dark", "a ;b.npy"), UM_ERROR_ARGUMENT);
    um_recipe_free(again);
    file = fopen(path, "w");
    fputs("[prep]\nbin-signal = 2\nbin-sginal = 3\n", file);
    fclose(file);
    assert_int_equal(um_recipe_read(f->recipe, path), UM_ERROR_ARGUMENT);
    assert_non_null(strstr(um_context_message(f->ctx), "line 3"));
    assert_non_null(strstr(um_context_message(f->ctx), "bin-sginal"));
    file = fopen(path, "w");
    fputs("bin-signal = 2\n", file);
    fclose(file);
    assert_int_equal(um_recipe_read(f->recipe, path), UM_ERROR_FORMAT);
    unlink(path);
}

static void test_recipe_refuses(void **state)
{
    fixture *f = *state;
    static const char *const bad[][2] = {
        {"crop-scan", "4:2,0:3"},    {"crop-scan", "1:2"},
        {"crop-scan", "a:b,c:d"},    {"crop-scan", "-1:4,:"},
        {"bin-scan", "0"},           {"bin-scan", "2.5"},
        {"bin-signal", ""},          {"mask-beam", "-3"},
        {"mask-beam", "nan"},        {"mask-disc", "1,2"},
        {"mask-annulus", "1,2,5,4"}, {"mask-rectangle", "1:2"},
        {"negative", "maybe"},       {"no-such-key", "1"},
        {"beam-center", "3"},        {"bin-scan", "99999999999999999999"},
        {"beam-center", "1e18,4"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(um_recipe_set(f->recipe, bad[i][0], bad[i][1]), UM_ERROR_ARGUMENT);
        assert_non_null(strstr(um_context_message(f->ctx), bad[i][0]));
    }
    assert_string_equal(um_recipe_text(f->recipe), "");
}

static void test_bind_refuses(void **state)
{
    fixture *f = *state;
    static const char *const bad[][2] = {
        {"crop-scan", "0:6,0:3"}, {"crop-signal", "0:1,0:10"}, {"bin-scan", "6"},
        {"bin-signal", "7"},      {"mask-disc", "3,3,99"},     {"mask-rectangle", "0:7,0:1"},
    };
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, scan_u16);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        um_recipe *recipe = NULL;
        assert_int_equal(um_recipe_create(f->ctx, &recipe), UM_OK);
        assert_int_equal(um_recipe_set(recipe, bad[i][0], bad[i][1]), UM_OK);
        um_matrix *matrix = NULL;
        um_status status = um_matrix_open(f->ctx, f->source, recipe, &matrix);
        assert_true(status == UM_ERROR_SHAPE || status == UM_ERROR_VALUE);
        assert_null(matrix);
        assert_true(um_context_message(f->ctx)[0] != '\0');
        um_recipe_free(recipe);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_identity),
        TEST(test_crop),
        TEST(test_bin_never_overflows),
        TEST(test_signal_masks),
        TEST(test_beam_mask_finds_the_beam),
        TEST(test_short_file_excludes_missing),
        TEST(test_sums),
        TEST(test_sums_count_bad_values),
        TEST(test_recipe_text_round_trip),
        TEST(test_recipe_refuses),
        TEST(test_bind_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
