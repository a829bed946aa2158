#include "io_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gen_fixture.h"

static um_array *read_part(fixture *f, const char *part)
{
    char spec[600];
    um_array *array = NULL;
    snprintf(spec, sizeof spec, "%s%s%s", f->path, part != NULL ? ":" : "",
             part != NULL ? part : "");
    assert_int_equal(um_array_read(f->ctx, spec, &array), UM_OK);
    return array;
}

static um_status status_of(fixture *f, const char *part)
{
    char spec[600];
    um_array *array = NULL;
    snprintf(spec, sizeof spec, "%s%s%s", f->path, part != NULL ? ":" : "",
             part != NULL ? part : "");
    um_status status = um_array_read(f->ctx, spec, &array);
    if (status != UM_OK) {
        assert_null(array);
        assert_null(strchr(um_context_message(f->ctx), '\n'));
        assert_non_null(strstr(um_context_message(f->ctx), f->folder));
    }
    um_array_free(array);
    return status;
}

static void store(fixture *f, const char *name)
{
    gen_path(f->path, f->folder, name);
    gen_write(f->path, f->bytes.data, f->bytes.size);
    gen_clear(&f->bytes);
}

/* Reads a file back, so that tests can cut and bend it. */
static void load(fixture *f)
{
    unsigned char buffer[4096];
    size_t n;
    FILE *file = fopen(f->path, "rb");
    assert_non_null(file);
    gen_clear(&f->bytes);
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0) {
        gen_put(&f->bytes, buffer, n);
    }
    fclose(file);
}

static void npy_of_any_dimension(void **state)
{
    fixture *f = *state;
    const int64_t shape[6] = {2, 3, 1, 2, 2, 3};
    double data[72];
    for (int i = 0; i < 72; i++) {
        data[i] = sqrt(i);
    }
    gen_path(f->path, f->folder, "a:b.npy"); /* a colon in the name is no member */
    for (int ndim = 0; ndim <= 6; ndim++) {
        assert_int_equal(um_npy_write(f->ctx, f->path, UM_F64, ndim, shape, data), UM_OK);
        um_array *a = read_part(f, NULL);
        assert_int_equal(a->ndim, ndim);
        assert_int_equal(a->dtype, UM_F64);
        assert_memory_equal(a->shape, shape, (size_t)ndim * sizeof shape[0]);
        assert_memory_equal(a->data, data, (size_t)um_array_size(a) * sizeof data[0]);
        um_array_free(a);
    }
    const int64_t bad[2] = {-1, 2};
    assert_int_equal(um_npy_write(f->ctx, f->path, UM_F64, 2, bad, data), UM_ERROR_SHAPE);
}

static void fortran_and_wide_integers(void **state)
{
    fixture *f = *state;
    gen_npy_head(&f->bytes, 1, "{'descr': '>i8', 'fortran_order': True, 'shape': (2, 3), }");
    for (int i = 0; i < 6; i++) {
        gen_put_be(&f->bytes, (uint64_t)(i - 3), 8);
    }
    store(f, "f.npy");
    um_array *a = read_part(f, NULL);
    const double expected[6] = {-3, -1, 1, -2, 0, 2};
    assert_int_equal(a->dtype, UM_F64);
    assert_memory_equal(a->data, expected, sizeof expected);
    um_array_free(a);
    gen_npy_head(&f->bytes, 1, "{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }");
    gen_put_fill(&f->bytes, 0xff, 8);
    store(f, "g.npy");
    assert_int_equal(status_of(f, NULL), UM_ERROR_UNSUPPORTED);
    gen_npy_head(&f->bytes, 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }");
    gen_put_fill(&f->bytes, 0, 64);
    store(f, "h.npy");
    assert_int_equal(status_of(f, NULL), UM_ERROR_TRUNCATED);
}

static void write_npz(fixture *f)
{
    um_npz *npz = NULL;
    const int64_t shape[2] = {2, 3};
    const float values[6] = {1, 2, 3, 4, 5, NAN};
    const uint8_t flags[3] = {1, 0, 1};
    gen_path(f->path, f->folder, "r.npz");
    assert_int_equal(um_npz_create(f->ctx, f->path, true, &npz), UM_OK);
    assert_int_equal(um_npz_add(npz, "factors", UM_F32, 2, shape, values), UM_OK);
    assert_int_equal(um_npz_add_bool(npz, "mask", 1, shape + 1, flags), UM_OK);
    assert_int_equal(um_npz_add_int(npz, "output_dimension", -5), UM_OK);
    assert_int_equal(um_npz_add_text(npz, "units", "1/Å"), UM_OK);
    assert_int_equal(um_npz_add_text(npz, "empty", ""), UM_OK);
    assert_int_equal(um_npz_add(npz, "mask", UM_F32, 2, shape, values), UM_ERROR_ARGUMENT);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(um_npz_commit(npz), UM_OK);
    um_npz_free(npz);
}

static void npz_members(void **state)
{
    fixture *f = *state;
    write_npz(f);
    um_array *a = read_part(f, "factors");
    assert_int_equal(a->dtype, UM_F32);
    assert_true(a->ndim == 2 && a->shape[0] == 2 && a->shape[1] == 3);
    assert_true(um_array_get(a, 4) == 5.0 && isnan(um_array_get(a, 5)));
    um_array_free(a);
    a = read_part(f, "mask.npy");
    assert_true(a->dtype == UM_U8 && um_array_get(a, 0) == 1.0 && um_array_get(a, 1) == 0.0);
    um_array_free(a);
    a = read_part(f, "output_dimension");
    assert_true(a->ndim == 0 && um_array_get(a, 0) == -5.0);
    um_array_free(a);
    assert_int_equal(status_of(f, "units"), UM_ERROR_UNSUPPORTED);
    assert_int_equal(status_of(f, "nothing"), UM_ERROR_ARGUMENT);
    assert_non_null(strstr(um_context_message(f->ctx), "factors, mask"));
    assert_int_equal(status_of(f, NULL), UM_ERROR_ARGUMENT);
    um_npz *npz = NULL;
    assert_int_equal(um_npz_create(f->ctx, f->path, false, &npz), UM_ERROR_EXISTS);
    assert_int_equal(um_npz_create(f->ctx, f->path, true, &npz), UM_OK);
    um_npz_free(npz);
    assert_int_equal(access(f->path, F_OK), 0);
}

static void npz_cut_and_bent(void **state)
{
    fixture *f = *state;
    write_npz(f);
    load(f);
    gen_bytes whole = f->bytes;
    f->bytes = (gen_bytes){0};
    for (size_t size = 0; size < whole.size; size += 7) {
        gen_put(&f->bytes, whole.data, size);
        store(f, "cut.npz");
        assert_int_not_equal(status_of(f, "factors"), UM_OK);
    }
    int refused = 0;
    for (size_t at = 0; at < whole.size; at++) { /* no crash, whatever the byte */
        gen_put(&f->bytes, whole.data, whole.size);
        f->bytes.data[at] ^= 0xff;
        store(f, "bent.npz");
        refused += status_of(f, "factors") != UM_OK;
    }
    assert_true(refused > 100);
    gen_clear(&whole);
}

static void npz_of_same_arrays_has_same_bytes(void **state)
{
    fixture *f = *state;
    write_npz(f);
    load(f);
    gen_bytes first = f->bytes;
    f->bytes = (gen_bytes){0};
    unlink(f->path);
    write_npz(f);
    load(f);
    assert_int_equal(first.size, f->bytes.size);
    assert_memory_equal(first.data, f->bytes.data, first.size);
    gen_clear(&first);
}

static void tiff_pages(void **state)
{
    fixture *f = *state;
    float data[3 * 4 * 5];
    for (int i = 0; i < 60; i++) {
        data[i] = (float)i * 0.25f - 3.0f;
    }
    gen_path(f->path, f->folder, "s.tif");
    for (int64_t pages = 1; pages <= 3; pages += 2) {
        assert_int_equal(um_tiff_write(f->ctx, f->path, pages, 4, 5, data, 0.02, "1/Å"), UM_OK);
        um_array *a = read_part(f, NULL);
        assert_int_equal(a->dtype, UM_F32);
        assert_int_equal(a->ndim, pages == 1 ? 2 : 3);
        assert_int_equal(a->shape[a->ndim - 2], 4);
        assert_int_equal(a->shape[a->ndim - 1], 5);
        assert_memory_equal(a->data, data, (size_t)pages * 20 * sizeof *data);
        um_array_free(a);
    }
    assert_int_equal(um_tiff_write(f->ctx, f->path, 0, 4, 5, data, 1, ""), UM_ERROR_SHAPE);
    load(f);
    gen_bytes whole = f->bytes;
    f->bytes = (gen_bytes){0};
    for (size_t size = 0; size < whole.size; size += 3) {
        gen_put(&f->bytes, whole.data, size);
        store(f, "cut.tif");
        if (status_of(f, NULL) == UM_OK) { /* only the last page's description was cut */
            um_array *a = read_part(f, NULL);
            assert_memory_equal(a->data, data, sizeof data);
            um_array_free(a);
            assert_true(size > 3 * 80);
        }
    }
    for (size_t at = 0; at < whole.size; at++) {
        gen_put(&f->bytes, whole.data, whole.size);
        f->bytes.data[at] ^= 0xff;
        store(f, "bent.tif");
        (void)status_of(f, NULL);
    }
    gen_clear(&whole);
}

static void png_luminance(void **state)
{
    fixture *f = *state;
    uint8_t rgb[2 * 3 * 3];
    for (int i = 0; i < 6; i++) {
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = (uint8_t)(50 * i);
    }
    rgb[0] = 255; /* pure red */
    rgb[1] = rgb[2] = 0;
    gen_path(f->path, f->folder, "p.png");
    assert_int_equal(um_png_write(f->ctx, f->path, 2, 3, 3, rgb), UM_OK);
    um_array *a = read_part(f, NULL);
    assert_true(a->dtype == UM_U8 && a->ndim == 2 && a->shape[0] == 2 && a->shape[1] == 3);
    assert_int_equal(um_array_get(a, 0), 54);
    for (int i = 1; i < 6; i++) {
        assert_int_equal(um_array_get(a, i), 50 * i);
    }
    um_array_free(a);
    assert_int_equal(um_png_write(f->ctx, f->path, 2, 3, 2, rgb), UM_ERROR_ARGUMENT);
    load(f);
    gen_bytes whole = f->bytes;
    f->bytes = (gen_bytes){0};
    for (size_t size = 0; size < whole.size - 12; size++) {
        gen_put(&f->bytes, whole.data, size);
        store(f, "cut.png");
        assert_true(status_of(f, NULL) != UM_OK || size > whole.size - 24);
    }
    gen_clear(&whole);
}

static void scans_are_arrays_too(void **state)
{
    fixture *f = *state;
    um_array *array = NULL;
    gen_path(f->path, f->folder, "none.npy");
    assert_int_equal(um_array_read(f->ctx, f->path, &array), UM_ERROR_IO);
    assert_int_equal(um_array_read(f->ctx, f->folder, &array), UM_ERROR_FORMAT);
    gen_put_text(&f->bytes, "just some text");
    store(f, "t.txt");
    assert_int_equal(status_of(f, NULL), UM_ERROR_UNSUPPORTED);
    um_context_set_memory(f->ctx, 1000);
    const int64_t shape[2] = {100, 100};
    gen_npy(&f->bytes, 1, "<u2", 2, shape, 256);
    store(f, "big.npy");
    assert_int_equal(status_of(f, NULL), UM_ERROR_BUDGET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(npy_of_any_dimension, make, unmake),
        cmocka_unit_test_setup_teardown(fortran_and_wide_integers, make, unmake),
        cmocka_unit_test_setup_teardown(npz_members, make, unmake),
        cmocka_unit_test_setup_teardown(npz_cut_and_bent, make, unmake),
        cmocka_unit_test_setup_teardown(npz_of_same_arrays_has_same_bytes, make, unmake),
        cmocka_unit_test_setup_teardown(tiff_pages, make, unmake),
        cmocka_unit_test_setup_teardown(png_luminance, make, unmake),
        cmocka_unit_test_setup_teardown(scans_are_arrays_too, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
