#include "io_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gen_fixture.h"

static int make_scan(void **state)
{
    int failed = make(state);
    fixture *f = *state;
    gen_path(f->path, f->folder, "scan.npy");
    return failed;
}

static void store(fixture *f)
{
    gen_write(f->path, f->bytes.data, f->bytes.size);
    gen_clear(&f->bytes);
}

static void every_type_and_order(void **state)
{
    static const struct {
        const char *descr;
        um_dtype dtype;
        uint32_t limit;
    } cases[] = {
        {"|u1", UM_U8, 256},      {"|b1", UM_U8, 2},        {"|i1", UM_I8, 128},
        {"<u2", UM_U16, 65536},   {">u2", UM_U16, 65536},   {"<i2", UM_I16, 32768},
        {">i2", UM_I16, 32768},   {"<u4", UM_U32, 1u << 31}, {">u4", UM_U32, 1u << 31},
        {"<i4", UM_I32, 1u << 30}, {">i4", UM_I32, 1u << 30}, {"<f4", UM_F32, 1u << 20},
        {">f4", UM_F32, 1u << 20}, {"<f8", UM_F64, 1u << 31}, {">f8", UM_F64, 1u << 31},
    };
    fixture *f = *state;
    const int64_t shape[4] = {3, 4, 5, 6};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        gen_npy(&f->bytes, 1 + (int)(c % 3), cases[c].descr, 4, shape, cases[c].limit);
        store(f);
        um_source *source = NULL;
        assert_int_equal(um_source_open(f->ctx, f->path, NULL, &source), UM_OK);
        const um_source_info *info = um_source_get_info(source);
        assert_string_equal(info->format, "npy");
        assert_string_equal(info->path, f->path);
        assert_int_equal(info->dtype, cases[c].dtype);
        assert_int_equal(info->positions_present, 12);
        assert_int_equal(info->shape.ny * 1000 + info->shape.nx * 100, 3400);
        assert_int_equal(info->shape.ky * 10 + info->shape.kx, 56);
        assert_string_equal(um_source_metadata(source), "{}");
        um_array a = {.dtype = info->dtype, .ndim = 1, .shape = {2 * 2 * 30}};
        a.data = calloc(120, 8);
        assert_int_equal(um_source_read(source, (um_rect){1, 2, 2, 2}, a.data), UM_OK);
        for (int64_t i = 0; i < 120; i++) {
            int64_t p = (1 + i / 60) * 4 + 2 + i / 30 % 2;
            assert_true(um_array_get(&a, i) == gen_value(p, i % 30, cases[c].limit));
        }
        free(a.data);
        um_source_free(source);
    }
}

static um_status open_status(fixture *f, const um_open_options *options, um_shape *shape)
{
    um_source *source = NULL;
    um_status status = um_source_open(f->ctx, f->path, options, &source);
    assert_true((status == UM_OK) == (source != NULL));
    if (status == UM_OK && shape != NULL) {
        *shape = um_source_get_info(source)->shape;
    }
    if (status != UM_OK) {
        const char *message = um_context_message(f->ctx);
        assert_non_null(strstr(message, "scan.npy"));
        assert_null(strchr(message, '\n'));
    }
    um_source_free(source);
    return status;
}

static void fewer_dimensions_and_reshape(void **state)
{
    fixture *f = *state;
    um_shape s;
    const int64_t shape[3] = {12, 5, 6};
    gen_npy(&f->bytes, 1, "<u2", 3, shape, 256);
    store(f);
    assert_int_equal(open_status(f, NULL, &s), UM_OK);
    assert_true(s.ny == 1 && s.nx == 12 && s.ky == 5 && s.kx == 6);
    um_open_options options = {.scan_ny = 3, .scan_nx = 4};
    assert_int_equal(open_status(f, &options, &s), UM_OK);
    assert_true(s.ny == 3 && s.nx == 4);
    options.scan_ny = 4;
    assert_int_equal(open_status(f, &options, &s), UM_ERROR_SHAPE);
    assert_non_null(strstr(um_context_message(f->ctx), "--scan "));
    options = (um_open_options){.scan_ny = -3, .scan_nx = -4};
    assert_int_equal(open_status(f, &options, &s), UM_ERROR_SHAPE);
    gen_npy(&f->bytes, 2, "<f4", 2, shape, 256);
    store(f);
    assert_int_equal(open_status(f, NULL, &s), UM_OK);
    assert_true(s.ny == 1 && s.nx == 12 && s.ky == 1 && s.kx == 5);
    gen_npy(&f->bytes, 1, "<u2", 1, shape, 256);
    store(f);
    assert_int_equal(open_status(f, NULL, &s), UM_ERROR_SHAPE);
}

static void short_file_reads_zeros(void **state)
{
    fixture *f = *state;
    const int64_t shape[4] = {3, 4, 2, 3};
    gen_npy(&f->bytes, 1, "<u2", 4, shape, 256);
    f->bytes.size -= 5 * 12 + 3; /* positions 0..5 are whole, 6 is cut */
    store(f);
    assert_int_equal(open_status(f, NULL, NULL), UM_ERROR_TRUNCATED);
    um_open_options options = {.allow_short = true};
    um_source *source = NULL;
    assert_int_equal(um_source_open(f->ctx, f->path, &options, &source), UM_OK);
    assert_int_equal(um_source_get_info(source)->positions_present, 6);
    uint16_t data[12 * 6];
    for (int64_t x0 = 0; x0 < 4; x0++) {
        for (int64_t nx = 1; x0 + nx <= 4; nx++) {
            memset(data, 0xff, sizeof data);
            assert_int_equal(um_source_read(source, (um_rect){0, x0, 3, nx}, data), UM_OK);
            for (int64_t i = 0; i < 3 * nx * 6; i++) {
                int64_t p = i / 6 / nx * 4 + x0 + i / 6 % nx;
                assert_int_equal(data[i], p < 6 ? gen_value(p, i % 6, 256) : 0);
            }
        }
    }
    assert_int_equal(um_source_read(source, (um_rect){0, 0, 4, 1}, data), UM_ERROR_ARGUMENT);
    assert_int_equal(um_source_read(source, (um_rect){INT64_MAX, 0, 1, 1}, data),
                     UM_ERROR_ARGUMENT);
    assert_int_equal(um_source_read(source, (um_rect){-1, 0, 1, 1}, data), UM_ERROR_ARGUMENT);
    um_source_free(source);
}

static void hostile_headers(void **state)
{
    static const struct {
        const char *text;
        um_status status;
    } cases[] = {
        {"{'descr': '<u2', 'fortran_order': True, 'shape': (2, 2), }", UM_ERROR_UNSUPPORTED},
        {"{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }", UM_ERROR_UNSUPPORTED},
        {"{'descr': '<c8', 'fortran_order': False, 'shape': (2, 2), }", UM_ERROR_UNSUPPORTED},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }", UM_ERROR_UNSUPPORTED},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (2, 2), }", UM_ERROR_UNSUPPORTED},
        {"{'descr': '<U5', 'fortran_order': False, 'shape': (2, 2), }", UM_ERROR_UNSUPPORTED},
        {"{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (2, 2), }", UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'shape': (2, 2), }", UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'descr': '<u2', 'shape': (2, 2), }", UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, -2), }", UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2 2), }", UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2), } x", UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2", UM_ERROR_FORMAT},
        {"{'descr': '<u2", UM_ERROR_FORMAT},
        {"", UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (0, 2, 2), }", UM_ERROR_SHAPE},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (), }", UM_ERROR_SHAPE},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (1,1,1,2,2), }", UM_ERROR_SHAPE},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (65536,65536,65536,65536), }",
         UM_ERROR_SHAPE},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (99999999999999999999,2), }",
         UM_ERROR_FORMAT},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (4294967296, 4, 65536, 2), }",
         UM_ERROR_TRUNCATED},
        {"{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2), }", UM_OK},
        {"{\"shape\": (2L, 2L,), 'fortran_order':False,'descr':'<u2'}", UM_OK},
    };
    fixture *f = *state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        gen_npy_head(&f->bytes, 1, cases[c].text);
        gen_put_fill(&f->bytes, 1, 8);
        store(f);
        assert_int_equal(open_status(f, NULL, NULL), cases[c].status);
    }
}

static void truncated_everywhere(void **state)
{
    fixture *f = *state;
    const int64_t shape[2] = {2, 2};
    for (size_t size = 0; size < 136; size++) {
        gen_npy(&f->bytes, 1, "<u2", 2, shape, 256);
        assert_int_equal(f->bytes.size, 136);
        f->bytes.size = size;
        store(f);
        assert_int_not_equal(open_status(f, NULL, NULL), UM_OK);
    }
    gen_npy_head(&f->bytes, 2, "{}");
    f->bytes.data[10] = 0xff;
    f->bytes.data[11] = 0xff;
    store(f);
    assert_int_equal(open_status(f, NULL, NULL), UM_ERROR_FORMAT);
}

static void what_is_no_file(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    assert_int_equal(um_source_open(f->ctx, f->folder, NULL, &source), UM_ERROR_UNSUPPORTED);
    assert_int_equal(um_source_open(f->ctx, "/dev/null", NULL, &source), UM_ERROR_UNSUPPORTED);
    assert_int_equal(um_source_open(f->ctx, f->path, NULL, &source), UM_ERROR_IO);
    assert_null(source);
    gen_write(f->path, "hello", 5);
    assert_int_equal(open_status(f, NULL, NULL), UM_ERROR_UNSUPPORTED);
}

static void sink_writes_what_is_read(void **state)
{
    fixture *f = *state;
    um_sink_spec spec = {.shape = {3, 4, 2, 3}, .dtype = UM_I32};
    um_axes_default(spec.axes, spec.shape);
    um_sink *sink = NULL;
    int32_t all[12 * 6];
    for (int i = 0; i < 72; i++) {
        all[i] = (int32_t)gen_value(i / 6, i % 6, 1u << 20) - (1 << 19);
    }
    assert_int_equal(um_sink_create(f->ctx, f->path, &spec, &sink), UM_OK);
    assert_int_equal(um_sink_write(sink, (um_rect){1, 0, 2, 4}, all + 24), UM_OK);
    assert_int_equal(um_sink_write(sink, (um_rect){0, 2, 1, 2}, all + 12), UM_OK);
    assert_int_equal(um_sink_commit(sink), UM_ERROR_INTERNAL); /* two positions are missing */
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(um_sink_write(sink, (um_rect){0, 3, 1, 2}, all), UM_ERROR_ARGUMENT);
    assert_int_equal(um_sink_write(sink, (um_rect){0, 0, 1, 2}, all), UM_OK);
    assert_int_equal(um_sink_commit(sink), UM_OK);
    um_sink_free(sink);
    um_source *source = NULL;
    int32_t back[12 * 6];
    assert_int_equal(um_source_open(f->ctx, f->path, NULL, &source), UM_OK);
    assert_int_equal(um_source_get_info(source)->dtype, UM_I32);
    assert_int_equal(um_source_read(source, (um_rect){0, 0, 3, 4}, back), UM_OK);
    assert_memory_equal(all, back, sizeof all);
    um_source_free(source);
    assert_int_equal(um_sink_create(f->ctx, f->path, &spec, &sink), UM_ERROR_EXISTS);
    spec.overwrite = true;
    assert_int_equal(um_sink_create(f->ctx, f->path, &spec, &sink), UM_OK);
    um_sink_free(sink); /* given up: the old file stays, no .part */
    assert_int_equal(access(f->path, F_OK), 0);
    char part[600];
    snprintf(part, sizeof part, "%s.part", f->path);
    assert_int_equal(access(part, F_OK), -1);
    spec.shape.kx = INT64_MAX;
    assert_int_equal(um_sink_create(f->ctx, f->path, &spec, &sink), UM_ERROR_SHAPE);
    assert_int_equal(um_sink_create(f->ctx, "x.jpg", &spec, &sink), UM_ERROR_UNSUPPORTED);
    assert_int_equal(um_sink_create(f->ctx, "/nonexistent/x.npy", &spec, &sink), UM_ERROR_SHAPE);
    spec.shape.kx = 3;
    assert_int_equal(um_sink_create(f->ctx, "/nonexistent/x.npy", &spec, &sink), UM_ERROR_IO);
}

static void dtype_names(void **state)
{
    (void)state;
    um_dtype dtype;
    for (int i = 0; i < UM_DTYPE_COUNT; i++) {
        assert_true(um_dtype_parse(um_dtype_name((um_dtype)i), &dtype));
        assert_int_equal(dtype, i);
    }
    assert_true(um_dtype_parse("u2", &dtype) && dtype == UM_U16);
    assert_true(um_dtype_parse("u16", &dtype) && dtype == UM_U16);
    assert_true(um_dtype_parse("f4", &dtype) && dtype == UM_F32);
    assert_true(um_dtype_parse("u8", &dtype) && dtype == UM_U8);
    assert_false(um_dtype_parse("complex64", &dtype));
    assert_false(um_dtype_parse("", &dtype));
    assert_false(um_dtype_parse("uint64", &dtype));
    assert_int_equal(um_dtype_size(UM_F64), 8);
    assert_false(um_dtype_is_integer(UM_F32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtype_names),
        cmocka_unit_test_setup_teardown(every_type_and_order, make_scan, unmake),
        cmocka_unit_test_setup_teardown(fewer_dimensions_and_reshape, make_scan, unmake),
        cmocka_unit_test_setup_teardown(short_file_reads_zeros, make_scan, unmake),
        cmocka_unit_test_setup_teardown(hostile_headers, make_scan, unmake),
        cmocka_unit_test_setup_teardown(truncated_everywhere, make_scan, unmake),
        cmocka_unit_test_setup_teardown(what_is_no_file, make_scan, unmake),
        cmocka_unit_test_setup_teardown(sink_writes_what_is_read, make_scan, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
