/* Each step against what it must give on patterns whose answer is known on paper. */
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
    double *all;
    const um_matrix_info *info;
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
    free(f->all);
    um_matrix_free(f->matrix);
    um_source_free(f->source);
    um_recipe_free(f->recipe);
    assert_int_equal(um_context_memory_in_use(f->ctx), 0);
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

/* Opens and gathers everything. */
static void run(fixture *f)
{
    um_matrix_free(f->matrix);
    f->matrix = NULL;
    free(f->all);
    f->all = NULL;
    if (um_matrix_open(f->ctx, f->source, f->recipe, &f->matrix) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
    f->info = um_matrix_get_info(f->matrix);
    f->all = gather(f->matrix);
    if (f->all == NULL) {
        fail_msg("%s", um_context_message(f->ctx));
    }
}

enum { NY = 2, NX = 3, KY = 17, KX = 24, PIXELS = KY * KX };
static const um_shape shape = {NY, NX, KY, KX};
static float scan[NY * NX][KY][KX];
static uint16_t counts[NY * NX][KY][KX];

static void fill(float (*value)(int p, int y, int x))
{
    for (int i = 0; i < NY * NX * PIXELS; i++) {
        float v = value(i / PIXELS, i / KX % KY, i % KX);
        (&scan[0][0][0])[i] = v;
        (&counts[0][0][0])[i] = (uint16_t)v;
    }
}

static float constant(int p, int y, int x)
{
    (void)y;
    (void)x;
    return (float)(3 + p);
}

/* A beam of 3x3 pixels with a bright middle, moved by whole pixels from (8, 11). */
static const int moves[NY * NX][2] = {{0, 0}, {1, -2}, {-3, 2}, {2, 2}, {0, 3}, {-1, -1}};
static float beam(int p, int y, int x)
{
    int dy = abs(y - 8 - moves[p][0]);
    int dx = abs(x - 11 - moves[p][1]);
    return dy > 1 || dx > 1 ? 0 : dy == 0 && dx == 0 ? 100 : 40;
}

static void test_backgrounds_of_a_constant_are_zero(void **state)
{
    fixture *f = *state;
    static const char *const methods[] = {"dog:1,4", "radial-median", "h-dome:2c"};
    fill(constant);
    for (int i = 0; i < 3; i++) {
        um_source_free(f->source);
        f->source = memory_source(f->ctx, UM_U16, shape, counts);
        set(f, "background", methods[i]);
        set(f, "beam-center", "8,11.5");
        run(f);
        assert_int_equal(f->info->dtype, UM_F32);
        assert_false(f->info->counts);
        for (int p = 0; p < NY * NX * PIXELS; p++) {
            /* h-dome: all of a plateau is dome, h high */
            assert_true(fabs(f->all[p] - (i == 2 ? 2 : 0)) < 1e-5);
        }
    }
}

static void test_center_moves_whole_pixels_exactly(void **state)
{
    fixture *f = *state;
    static const char *const methods[] = {"com:4", "cross-correlation:2,6"};
    fill(beam);
    f->source = memory_source(f->ctx, UM_U16, shape, counts);
    for (int m = 0; m < 2; m++) {
        set(f, "center", methods[m]);
        run(f);
        int64_t ny = 0;
        int64_t nx = 0;
        const float *positions = um_matrix_beam_positions(f->matrix, &ny, &nx);
        assert_int_equal(ny, NY);
        assert_int_equal(nx, NX);
        assert_true(f->info->counts);
        for (int p = 0; p < NY * NX; p++) {
            assert_true(fabs((double)positions[2 * p] - 8 - moves[p][0]) < 1e-3);
            assert_true(fabs((double)positions[2 * p + 1] - 11 - moves[p][1]) < 1e-3);
            const double *image = f->all + p * PIXELS;
            double sum = 0;
            for (int i = 0; i < PIXELS; i++) {
                sum += image[i];
            }
            assert_true(fabs(sum - 420) < 1e-2);
            /* the middle of 24 columns is 11.5: half of the bright pixel to each side */
            assert_true(fabs(image[8 * KX + 11] - 70) < 0.2);
            assert_true(fabs(image[8 * KX + 12] - 70) < 0.2);
            assert_true(fabs(image[8 * KX + 10] - 20) < 0.2);
        }
        assert_int_equal(um_matrix_passes(f->matrix), 2);
        assert_true(f->info->axes[2].offset == -8.0);
        assert_true(f->info->axes[3].offset == -11.5);
    }
}

static void test_center_margin_can_be_excluded(void **state)
{
    fixture *f = *state;
    fill(beam);
    f->source = memory_source(f->ctx, UM_U16, shape, counts);
    set(f, "center", "com:4,mask");
    run(f);
    const uint8_t *mask = f->info->signal_mask;
    assert_non_null(mask);
    /* moves -3..2 down: rows 0..2 and the last two come from outside at some position */
    for (int y = 0; y < KY; y++) {
        assert_int_equal(mask[y * KX + 12], y < 3 || y >= KY - 2);
    }
}

static void test_center_without_beam(void **state)
{
    fixture *f = *state;
    fill(beam);
    memset(counts[4], 0, sizeof counts[4]);
    f->source = memory_source(f->ctx, UM_U16, shape, counts);
    set(f, "center", "com:4");
    run(f);
    int64_t ny = 0;
    int64_t nx = 0;
    assert_true(isnan(um_matrix_beam_positions(f->matrix, &ny, &nx)[8]));
    for (int i = 0; i < PIXELS; i++) {
        assert_true(f->all[4 * PIXELS + i] == 0.0);
    }
    um_source_free(f->source);
    memset(counts, 0, sizeof counts);
    f->source = memory_source(f->ctx, UM_U16, shape, counts);
    um_matrix *matrix = NULL;
    assert_int_equal(um_matrix_open(f->ctx, f->source, f->recipe, &matrix), UM_ERROR_VALUE);
    assert_non_null(strstr(um_context_message(f->ctx), "--beam-center"));
}

static void test_friedel_pairs(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < NY * NX * PIXELS; i++) {
        (&counts[0][0][0])[i] = (uint16_t)(i * 37 % 65536);
    }
    f->source = memory_source(f->ctx, UM_U16, shape, counts);
    set(f, "friedel", NULL);
    set(f, "beam-center", "8,11.5");
    run(f);
    assert_null(f->info->signal_mask); /* about the middle every pixel has its partner */
    assert_true(f->info->counts);
    for (int p = 0; p < NY * NX; p++) {
        for (int i = 0; i < PIXELS; i++) {
            double want =
                (double)(&counts[p][0][0])[i] + (double)(&counts[p][0][0])[PIXELS - 1 - i];
            assert_true(f->all[p * PIXELS + i] == want);
        }
    }
    set(f, "friedel", "no");
    run(f);
    assert_int_equal(f->info->dtype, UM_U16);
}

static void test_affine_identity_and_turn(void **state)
{
    fixture *f = *state;
    static float square[1][1][5][5];
    for (int i = 0; i < 25; i++) {
        square[0][0][i / 5][i % 5] = (float)(i * i);
    }
    f->source = memory_source(f->ctx, UM_F32, (um_shape){1, 1, 5, 5}, square);
    set(f, "affine", "1,1");
    run(f);
    assert_null(f->info->signal_mask);
    for (int i = 0; i < 25; i++) {
        assert_true(f->all[i] == (double)(i * i));
    }
    set(f, "affine", "0,1,-1,0"); /* y' = x, x' = -y */
    run(f);
    for (int i = 0; i < 25; i++) {
        int y = i / 5 - 2;
        int x = i % 5 - 2;
        assert_true(fabs(f->all[(x + 2) * 5 - y + 2] - i * i) < 1e-4);
    }
    set(f, "affine", "0.5,1"); /* squeezed: rows 0 and 4 come from outside */
    run(f);
    for (int i = 0; i < 25; i++) {
        assert_int_equal(f->info->signal_mask[i], i / 5 == 0 || i / 5 == 4);
    }
}

#define CHECK_REPAIR(type, stored)                                                                 \
    do {                                                                                           \
        static type data[NY * NX][KY][KX];                                                         \
        for (int i = 0; i < NY * NX * PIXELS; i++) {                                               \
            (&data[0][0][0])[i] = (type)(20 + i % 3);                                              \
        }                                                                                          \
        for (int p = 0; p < NY * NX; p++) {                                                        \
            data[p][0][0] = 120;                                                                   \
            data[p][9][13] = 0;                                                                    \
        }                                                                                          \
        f->source = memory_source(f->ctx, stored, shape, data);                                    \
        run(f);                                                                                    \
        assert_int_equal(f->info->dtype, (stored) == UM_F64 ? UM_F32 : (stored));                  \
        for (int p = 0; p < NY * NX; p++) {                                                        \
            for (int i = 0; i < PIXELS; i++) {                                                     \
                bool bad = i == 0 || i == 9 * KX + 13;                                             \
                double got = f->all[p * PIXELS + i];                                               \
                assert_true(bad ? fabs(got - 21) <= 1 : got == (double)(&data[p][0][0])[i]);       \
            }                                                                                      \
        }                                                                                          \
        um_source_free(f->source);                                                                 \
        f->source = NULL;                                                                          \
    } while (0)

static void test_bad_pixels_in_every_type(void **state)
{
    fixture *f = *state;
    set(f, "hot-pixels", "10");
    CHECK_REPAIR(uint8_t, UM_U8);
    CHECK_REPAIR(uint16_t, UM_U16);
    CHECK_REPAIR(uint32_t, UM_U32);
    CHECK_REPAIR(int8_t, UM_I8);
    CHECK_REPAIR(int16_t, UM_I16);
    CHECK_REPAIR(int32_t, UM_I32);
    CHECK_REPAIR(float, UM_F32);
    CHECK_REPAIR(double, UM_F64);
}

static void test_dark_and_gain(void **state)
{
    fixture *f = *state;
    char dark[] = "/tmp/unmix_dark_XXXXXX.npy";
    char gain[] = "/tmp/unmix_gain_XXXXXX.npy";
    float image[KY][KX];
    close(mkstemps(dark, 4));
    close(mkstemps(gain, 4));
    const int64_t size[2] = {KY, KX};
    for (int i = 0; i < PIXELS; i++) {
        image[i / KX][i % KX] = (float)(i % 5);
    }
    assert_int_equal(um_npy_write(f->ctx, dark, UM_F32, 2, size, image), UM_OK);
    for (int i = 0; i < PIXELS; i++) {
        image[i / KX][i % KX] = (float)(1 + i % 2);
    }
    assert_int_equal(um_npy_write(f->ctx, gain, UM_F32, 2, size, image), UM_OK);
    fill(constant);
    f->source = memory_source(f->ctx, UM_U16, shape, counts);
    set(f, "dark", dark);
    set(f, "gain", gain);
    set(f, "crop-signal", "3:,2:");
    run(f);
    assert_false(f->info->counts);
    bool negative = false;
    for (int i = 0; i < (KY - 3) * (KX - 2); i++) {
        int q = (i / (KX - 2) + 3) * KX + i % (KX - 2) + 2;
        assert_true(f->all[i] == (3.0 - q % 5) * (1 + q % 2));
        negative = negative || f->all[i] < 0;
    }
    assert_true(negative); /* never wraps, and clipped only when asked for */
    set(f, "negative", "clip");
    run(f);
    for (int i = 0; i < (KY - 3) * (KX - 2); i++) {
        assert_true(f->all[i] >= 0);
    }
    unlink(dark);
    unlink(gain);
}

/* METHODS 3: a navigation mask keeps C order (y, x) on scans that are not square. */
static void test_navigation_mask_order(void **state)
{
    fixture *f = *state;
    char path[] = "/tmp/unmix_where_XXXXXX.npy";
    close(mkstemps(path, 4));
    static uint8_t data[4][6][2][3];
    uint8_t where[4][6] = {{0}};
    where[1][4] = where[2][0] = 1;
    const int64_t size[2] = {4, 6};
    assert_int_equal(um_npy_write(f->ctx, path, UM_U8, 2, size, where), UM_OK);
    for (int i = 0; i < 24 * 6; i++) {
        (&data[0][0][0][0])[i] = (uint8_t)i;
    }
    f->source = memory_source(f->ctx, UM_U8, (um_shape){4, 6, 2, 3}, data);
    set(f, "navigation-mask", path);
    run(f);
    assert_memory_equal(f->info->navigation_mask, where, sizeof where);
    for (int p = 0; p < 24; p++) {
        assert_int_equal(isnan(f->all[p * 6]) != 0, (&where[0][0])[p]);
    }
    set(f, "bin-scan", "2");
    run(f);
    const uint8_t want[6] = {0, 0, 1, 1, 0, 0};
    assert_memory_equal(f->info->navigation_mask, want, sizeof want);
    unlink(path);
}

static void test_method_values_are_checked(void **state)
{
    fixture *f = *state;
    static const char *const bad[][2] = {
        {"center", "middle"},
        {"center", "com:0"},
        {"center", "com:5,6"},
        {"center", "com,tilt"},
        {"background", "dog:3,1"},
        {"background", "dog:1"},
        {"background", "h-dome:2"},
        {"background", "h-dome:-1c"},
        {"background", "median"},
        {"affine", "1,2,3"},
        {"affine", "1,2,2,4"},
        {"affine", "0,1"},
        {"hot-pixels", "-3"},
        {"hot-pixels", ""},
        {"mask-auto", "1.5"},
        {"navigation-threshold", "bf"},
        {"navigation-threshold", "bf:0.2"},
        {"navigation-threshold", "bf-3:<1"},
        {"navigation-threshold", "total:<x"},
        {"friedel", "maybe"},
        {"mask-disc", "1,2,3;4"},
        {"center", "com:nan"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(um_recipe_set(f->recipe, bad[i][0], bad[i][1]), UM_ERROR_ARGUMENT);
        assert_non_null(strstr(um_context_message(f->ctx), bad[i][0]));
    }
    fill(constant);
    f->source = memory_source(f->ctx, UM_U16, shape, counts);
    run(f); /* nothing of them stuck */
    assert_null(f->info->signal_mask);
    assert_int_equal(f->info->dtype, UM_U16);
}

/* Detectors of one pixel, one row and one column go through every step. */
static void test_smallest_detectors(void **state)
{
    fixture *f = *state;
    static const um_shape shapes[] = {{2, 2, 1, 1}, {1, 3, 1, 9}, {3, 1, 9, 1}, {1, 1, 2, 2}};
    static const char *const steps[][2] = {
        {"center", "com"},
        {"center", "cross-correlation:3,2,plane"},
        {"background", "dog:1,50"},
        {"background", "h-dome:0.5"},
        {"background", "radial-median"},
        {"friedel", "yes"},
        {"affine", "1,1"},
        {"hot-pixels", "5"},
        {"navigation-threshold", "total:>1.5"},
    };
    static const float data[81] = {5, 1, 2, 3, 4, 3, 2, 1, 1};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            um_recipe *recipe = NULL;
            um_matrix *matrix = NULL;
            f->source = memory_source(f->ctx, UM_F32, shapes[s], data);
            assert_int_equal(um_recipe_create(f->ctx, &recipe), UM_OK);
            assert_int_equal(um_recipe_set(recipe, steps[i][0], steps[i][1]), UM_OK);
            um_status status = um_matrix_open(f->ctx, f->source, recipe, &matrix);
            if (status == UM_OK) {
                double *all = gather(matrix);
                assert_non_null(all);
                free(all);
            } else {
                assert_int_equal(status, UM_ERROR_VALUE); /* nothing left, no beam */
            }
            um_matrix_free(matrix);
            um_recipe_free(recipe);
            um_source_free(f->source);
            f->source = NULL;
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_backgrounds_of_a_constant_are_zero),
        TEST(test_center_moves_whole_pixels_exactly),
        TEST(test_center_margin_can_be_excluded),
        TEST(test_center_without_beam),
        TEST(test_friedel_pairs),
        TEST(test_affine_identity_and_turn),
        TEST(test_bad_pixels_in_every_type),
        TEST(test_dark_and_gain),
        TEST(test_navigation_mask_order),
        TEST(test_method_values_are_checked),
        TEST(test_smallest_detectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
