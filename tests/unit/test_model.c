#include "model_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static um_context *ctx;
static char folder[] = "/tmp/unmix_model_XXXXXX";
static char path[256];

static const char *in_folder(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int start(void **state)
{
    (void)state;
    return um_context_create(&ctx) == UM_OK && mkdtemp(folder) != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    um_context_free(ctx);
    return rmdir(folder);
}

static um_model *make_model(int64_t k, um_shape s, bool masks)
{
    um_model_spec spec = {.k = k, .shape = s, .method = "NMF"};
    um_axes_default(spec.axes, s);
    um_axis_set(&spec.axes[0], "y", 2.5, 1, "nm");
    um_axis_set(&spec.axes[3], "kx", 0.0267283, -1.4, "1/Å");
    um_model *m = NULL;
    assert_int_equal(um_model_create(ctx, &spec, &m), UM_OK);
    int64_t pixels = s.ky * s.kx;
    int64_t positions = s.ny * s.nx;
    uint8_t *signal = calloc((size_t)pixels, 1);
    uint8_t *navigation = calloc((size_t)positions, 1);
    signal[1 * s.kx + 2] = masks;
    navigation[0 * s.nx + 1] = masks;
    for (int64_t c = 0; c < k; c++) {
        for (int64_t q = 0; q < pixels; q++) {
            um_model_factors(m)[c * pixels + q] = signal[q] ? NAN : (float)(100 * c + q) + 0.25f;
        }
        for (int64_t p = 0; p < positions; p++) {
            um_model_loadings(m)[p * k + c] = navigation[p] ? NAN : (float)(1000 * c - p) / 3.0f;
        }
    }
    assert_int_equal(um_model_set_signal_mask(m, signal), UM_OK);
    assert_int_equal(um_model_set_navigation_mask(m, navigation), UM_OK);
    free(signal);
    free(navigation);
    const double values[6] = {1, 2.5, -3, 1e300, NAN, 0.1};
    const int64_t shape[2] = {2, 3};
    assert_int_equal(um_model_set_array(m, "singular_values", 1, (int64_t[]){3}, values), UM_OK);
    assert_int_equal(um_model_set_array(m, "total_variance", 0, NULL, &values[5]), UM_OK);
    assert_int_equal(um_model_set_array(m, "sum_pattern", 2, shape, values), UM_OK);
    assert_int_equal(um_model_set_provenance(
                         m, "{\"seed\":18446744073709551,\"options\":{\"weights\":\"poisson\"},"
                            "\"input\":\"Gr\\u00fc\\u00dfe \\u4e2d.hspy\"}"),
                     UM_OK);
    return m;
}

static void expect_same_mask(const uint8_t *a, const uint8_t *b, int64_t count)
{
    assert_int_equal(a != NULL, b != NULL);
    if (a != NULL) {
        assert_memory_equal(a, b, (size_t)count);
    }
}

static void expect_same(um_model *a, um_model *b)
{
    assert_int_equal(a->k, b->k);
    assert_memory_equal(&a->shape, &b->shape, sizeof a->shape);
    for (int i = 0; i < 4; i++) {
        assert_string_equal(a->axes[i].name, b->axes[i].name);
        assert_string_equal(a->axes[i].units, b->axes[i].units);
        assert_true(a->axes[i].scale == b->axes[i].scale);
        assert_true(a->axes[i].offset == b->axes[i].offset);
        assert_int_equal(a->axes[i].size, b->axes[i].size);
        assert_int_equal(a->axes[i].navigate, b->axes[i].navigate);
    }
    assert_string_equal(a->method, b->method);
    int64_t pixels = um_model_pixels(a);
    int64_t positions = um_model_positions(a);
    assert_memory_equal(a->factors, b->factors, (size_t)(a->k * pixels) * 4);
    assert_memory_equal(a->loadings, b->loadings, (size_t)(a->k * positions) * 4);
    expect_same_mask(a->signal_mask, b->signal_mask, pixels);
    expect_same_mask(a->navigation_mask, b->navigation_mask, positions);
    assert_int_equal(um_model_array_count(a), um_model_array_count(b));
    for (int i = 0; i < um_model_array_count(a); i++) {
        const um_array *x = a->arrays[i].array;
        const um_array *y = um_model_array(b, um_model_array_name(a, i));
        assert_non_null(y);
        assert_int_equal(x->ndim, y->ndim);
        assert_memory_equal(x->shape, y->shape, (size_t)x->ndim * sizeof *x->shape);
        assert_memory_equal(x->data, y->data, (size_t)um_array_size(x) * 8);
    }
    json_t *p = json_loads(um_model_provenance(a), 0, NULL);
    json_t *q = json_loads(um_model_provenance(b), 0, NULL);
    assert_true(json_equal(p, q));
    json_decref(p);
    json_decref(q);
}

static void files_keep_everything(void **state)
{
    (void)state;
    const um_shape shapes[] = {{3, 4, 5, 6}, {1, 2, 3, 7}, {7, 2, 2, 3}};
    const char *const names[] = {"a.hspy", "a.npz", "lazy.hspy"};
    for (size_t f = 0; f < 3; f++) {
        for (size_t i = 0; i < 3; i++) {
            const char *file = in_folder(names[f]);
            um_model *m = make_model((int64_t)i + 1, shapes[i], i != 1);
            um_save_options options = {.overwrite = i > 0, .lazy_safe = f == 2};
            assert_int_equal(um_model_save(ctx, m, file, &options), UM_OK);
            um_model *back = NULL;
            assert_int_equal(um_model_load(ctx, file, &back), UM_OK);
            expect_same(m, back);
            um_model_free(back);
            um_model_free(m);
        }
        unlink(in_folder(names[f]));
    }
    assert_int_equal(um_context_memory_in_use(ctx), 0);
}

static void saving_blanks_what_masks_exclude(void **state)
{
    (void)state;
    um_model *m = make_model(2, (um_shape){3, 4, 5, 6}, true);
    m->factors[1 * 6 + 2] = 7; /* an engine that left something there */
    const char *file = in_folder("b.npz");
    assert_int_equal(um_model_save(ctx, m, file, NULL), UM_OK);
    um_model *back = NULL;
    assert_int_equal(um_model_load(ctx, file, &back), UM_OK);
    assert_true(isnan(back->factors[1 * 6 + 2]));
    assert_false(isnan(back->factors[1 * 6 + 3]));
    assert_true(isnan(back->loadings[1 * 2]));
    um_model_free(back);
    um_model_free(m);
    unlink(file);
}

static void refusals_are_clear(void **state)
{
    (void)state;
    um_model *m = make_model(2, (um_shape){2, 4, 5, 6}, false);
    assert_null(um_model_signal_mask(m));
    double one = 1;
    assert_int_equal(um_model_set_array(m, "factors", 0, NULL, &one), UM_ERROR_ARGUMENT);
    assert_int_equal(um_model_set_array(m, "a/b", 0, NULL, &one), UM_ERROR_ARGUMENT);
    assert_int_equal(um_model_set_provenance(m, "[1]"), UM_ERROR_ARGUMENT);
    assert_int_equal(um_model_set_provenance(m, "{"), UM_ERROR_ARGUMENT);
    uint8_t all[30];
    memset(all, 1, sizeof all);
    assert_int_equal(um_model_set_signal_mask(m, all), UM_ERROR_VALUE);
    assert_int_equal(um_model_save(ctx, m, in_folder("x.txt"), NULL), UM_ERROR_UNSUPPORTED);
    const char *file = in_folder("c.hspy");
    assert_int_equal(um_model_save(ctx, m, file, NULL), UM_OK);
    assert_int_equal(um_model_save(ctx, m, file, NULL), UM_ERROR_EXISTS);
    unlink(file);
    um_model_free(m);
    um_model_spec spec = {.k = 0, .shape = {1, 1, 1, 1}};
    assert_int_equal(um_model_create(ctx, &spec, &m), UM_ERROR_SHAPE);
    assert_int_equal(um_model_load(ctx, in_folder("none.hspy"), &m), UM_ERROR_IO);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_keep_everything),
        cmocka_unit_test(saving_blanks_what_masks_exclude),
        cmocka_unit_test(refusals_are_clear),
    };
    return cmocka_run_group_tests_name("model", tests, start, stop);
}
