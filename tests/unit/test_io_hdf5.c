#include "hdf5_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static um_context *ctx;
static char folder[] = "/tmp/unmix_hdf5_XXXXXX";
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

static um_sink_spec scan_spec(um_shape shape, um_dtype dtype)
{
    um_sink_spec spec = {.shape = shape, .dtype = dtype, .title = "a/b", .overwrite = true};
    um_axes_default(spec.axes, shape);
    um_axis_set(&spec.axes[0], "y", 2.5, 10, "nm");
    um_axis_set(&spec.axes[1], "x", 2.5, 20, "nm");
    um_axis_set(&spec.axes[2], "ky", 0.01, -0.2, "1/Å");
    um_axis_set(&spec.axes[3], "kx", 0.01, -0.3, "1/Å");
    spec.metadata = "{\"dose\":3}";
    return spec;
}

/* Value of pixel q of position p: never the same for neighbours, above 8 bits. */
static uint16_t value_at(int64_t p, int64_t q)
{
    return (uint16_t)(p * 131 + q * 7 + (p * q) % 5);
}

static void fill(uint16_t *dst, um_rect rect, um_shape s)
{
    for (int64_t y = 0; y < rect.ny; y++) {
        for (int64_t x = 0; x < rect.nx; x++) {
            for (int64_t q = 0; q < s.ky * s.kx; q++) {
                *dst++ = value_at((rect.y0 + y) * s.nx + rect.x0 + x, q);
            }
        }
    }
}

static void write_scan(const char *file, um_shape s, const char *compression, int64_t step)
{
    um_sink_spec spec = scan_spec(s, UM_U16);
    spec.compression = compression;
    um_sink *sink = NULL;
    assert_int_equal(um_sink_create(ctx, file, &spec, &sink), UM_OK);
    uint16_t *buffer = malloc((size_t)(step * step * s.ky * s.kx) * 2);
    for (int64_t y = 0; y < s.ny; y += step) {
        for (int64_t x = 0; x < s.nx; x += step) {
            um_rect r = {y, x, y + step > s.ny ? s.ny - y : step, x + step > s.nx ? s.nx - x : step};
            fill(buffer, r, s);
            assert_int_equal(um_sink_write(sink, r, buffer), UM_OK);
        }
    }
    free(buffer);
    assert_int_equal(um_sink_commit(sink), UM_OK);
    um_sink_free(sink);
}

static void expect_rect(um_source *source, um_rect rect)
{
    um_shape s = um_source_get_info(source)->shape;
    size_t count = (size_t)(rect.ny * rect.nx * s.ky * s.kx);
    uint16_t *got = malloc(count * 2);
    uint16_t *want = malloc(count * 2);
    fill(want, rect, s);
    assert_int_equal(um_source_read(source, rect, got), UM_OK);
    assert_memory_equal(got, want, count * 2);
    free(got);
    free(want);
}

static void sink_and_source_agree(void **state)
{
    (void)state;
    static const char *const compressions[] = {NULL, "none", "gzip", "lz4", "blosc",
                                               "bitshuffle"};
    const um_shape s = {5, 7, 6, 11};
    const char *file = in_folder("scan.hspy");
    for (size_t i = 0; i < sizeof compressions / sizeof *compressions; i++) {
        write_scan(file, s, compressions[i], 3);
        um_source *source = NULL;
        assert_int_equal(um_source_open(ctx, file, NULL, &source), UM_OK);
        const um_source_info *info = um_source_get_info(source);
        assert_string_equal(info->format, "hspy");
        assert_int_equal(info->dtype, UM_U16);
        assert_memory_equal(&info->shape, &s, sizeof s);
        assert_string_equal(info->axes[2].units, "1/Å");
        assert_true(info->axes[3].offset == -0.3 && info->axes[0].scale == 2.5);
        assert_true(info->axes[1].navigate && !info->axes[2].navigate);
        assert_non_null(strstr(um_source_metadata(source), "\"unmix\":{\"dose\":3}"));
        expect_rect(source, (um_rect){0, 0, 5, 7});
        expect_rect(source, (um_rect){1, 2, 3, 4});
        expect_rect(source, (um_rect){4, 6, 1, 1});
        um_source_free(source);
    }
    /* The same array as a stack of another shape. */
    um_open_options options = {.scan_ny = 7, .scan_nx = 5};
    um_source *source = NULL;
    assert_int_equal(um_source_open(ctx, file, &options, &source), UM_OK);
    assert_int_equal(um_source_get_info(source)->shape.ny, 7);
    expect_rect(source, (um_rect){0, 0, 7, 5});
    expect_rect(source, (um_rect){2, 1, 4, 3});
    um_source_free(source);
    unlink(file);
}

/* Any number of threads may read at once, also where chunks come through the library. */
static um_status read_row(void *user, int64_t item, int worker)
{
    (void)worker;
    um_source *source = user;
    um_shape s = um_source_get_info(source)->shape;
    um_rect rect = {item % s.ny, item % 3, 1, s.nx - item % 3};
    size_t count = (size_t)(rect.nx * s.ky * s.kx);
    uint16_t *got = malloc(count * 2);
    uint16_t *want = malloc(count * 2);
    fill(want, rect, s);
    um_status status = um_source_read(source, rect, got);
    if (status == UM_OK && memcmp(got, want, count * 2) != 0) {
        status = um_fail(ctx, UM_ERROR_INTERNAL, "row %d differs", (int)item);
    }
    free(got);
    free(want);
    return status;
}

/* One pattern to a chunk, so that there are more chunks than are listed when the file is opened. */
static void write_many_chunks(const char *file, um_shape s)
{
    const hsize_t size[4] = {(hsize_t)s.ny, (hsize_t)s.nx, (hsize_t)s.ky, (hsize_t)s.kx};
    const hsize_t chunk[4] = {1, 1, size[2], size[3]};
    uint16_t *values = malloc((size_t)(s.ny * s.nx * s.ky * s.kx) * 2);
    fill(values, (um_rect){0, 0, s.ny, s.nx}, s);
    um_h5_guard guard;
    um_h5_enter(&guard);
    hid_t f = H5Fcreate(file, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(4, size, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 4, chunk);
    H5Pset_deflate(creation, 1);
    hid_t d = H5Dcreate2(f, "scan", H5T_NATIVE_UINT16, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    assert_true(H5Dwrite(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    H5Dclose(d);
    H5Pclose(creation);
    H5Sclose(space);
    H5Fclose(f);
    um_h5_leave(&guard);
    free(values);
}

static void threads_read_the_same(void **state)
{
    (void)state;
    const char *file = in_folder("threads.hspy");
    for (int i = 0; i < 2; i++) {
        um_shape s = i == 0 ? (um_shape){40, 7, 6, 11} : (um_shape){60, 40, 3, 5};
        if (i == 0) {
            write_scan(file, s, "gzip", 8);
        } else {
            write_many_chunks(file, s);
        }
        um_source *source = NULL;
        assert_int_equal(um_source_open(ctx, file, NULL, &source), UM_OK);
        assert_int_equal(um_pipeline_run(ctx, 80, 4, read_row, NULL, source), UM_OK);
        um_source_free(source);
        unlink(file);
    }
    assert_int_equal(um_context_memory_in_use(ctx), 0);
}

static void unknown_compression_is_refused(void **state)
{
    (void)state;
    const char *file = in_folder("no.hspy");
    um_sink_spec spec = scan_spec((um_shape){2, 2, 4, 4}, UM_U16);
    spec.compression = "rar";
    um_sink *sink = NULL;
    assert_int_equal(um_sink_create(ctx, file, &spec, &sink), UM_ERROR_ARGUMENT);
    assert_non_null(strstr(um_context_message(ctx), "bitshuffle"));
    assert_int_not_equal(access(file, F_OK), 0);
    assert_int_equal(um_context_memory_in_use(ctx), 0);
}

static void abandoned_sink_leaves_nothing(void **state)
{
    (void)state;
    const char *file = in_folder("gone.hspy");
    um_sink_spec spec = scan_spec((um_shape){2, 2, 4, 4}, UM_U16);
    um_sink *sink = NULL;
    assert_int_equal(um_sink_create(ctx, file, &spec, &sink), UM_OK);
    um_sink_free(sink);
    assert_int_not_equal(access(file, F_OK), 0);
}

enum { STRIP = 100 }; /* positions: 8 strips of 200 kB to five chunks of 1 MB */
typedef struct writing {
    um_sink *sink;
    um_shape shape;
    bool backwards;
    int64_t items;
} writing;

static um_status write_strip(void *user, int64_t item, int worker)
{
    (void)worker;
    writing *w = user;
    int64_t strip = w->backwards ? w->items - 1 - item : item, across = w->shape.nx / STRIP;
    um_rect r = {strip / across, strip % across * STRIP, 1, STRIP};
    uint16_t *buffer = malloc((size_t)(STRIP * w->shape.ky * w->shape.kx) * 2);
    fill(buffer, r, w->shape);
    um_status status = um_sink_write(w->sink, r, buffer);
    free(buffer);
    return status;
}

static char *bytes_of(const char *file, size_t *size)
{
    FILE *stream = fopen(file, "rb");
    assert_non_null(stream);
    fseek(stream, 0, SEEK_END);
    *size = (size_t)ftell(stream);
    rewind(stream);
    char *bytes = malloc(*size);
    assert_int_equal(fread(bytes, 1, *size, stream), *size);
    fclose(stream);
    return bytes;
}

/* Threads that write at once leave the bytes that one leaves, and so does who comes backwards as far as benches go;
 * with few of them (memory) the order may differ but the values do not. */
static void many_writers_leave_one_file(void **state)
{
    (void)state;
    static const struct {
        int threads;
        bool backwards;
        size_t memory;
    } runs[] = {{1, false, 0}, {3, false, 0}, {2, true, 0}, {1, false, 24 << 20}, {2, true, 24 << 20}};
    const um_shape s = {6, 400, 40, 26};
    const char *file = in_folder("strips.hspy");
    char *first = NULL;
    size_t first_size = 0;
    size_t memory = um_context_memory(ctx);
    int threads = um_context_threads(ctx);
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        um_sink_spec spec = scan_spec(s, UM_U16);
        spec.compression = "lz4";
        writing w = {.shape = s, .backwards = runs[i].backwards, .items = s.ny * s.nx / STRIP};
        um_context_set_threads(ctx, 2);
        um_context_set_memory(ctx, runs[i].memory > 0 ? runs[i].memory : memory);
        assert_int_equal(um_sink_create(ctx, file, &spec, &w.sink), UM_OK);
        assert_int_equal(um_pipeline_run(ctx, w.items, runs[i].threads, write_strip, NULL, &w), UM_OK);
        assert_int_equal(um_sink_commit(w.sink), UM_OK);
        um_sink_free(w.sink);
        um_source *source = NULL;
        assert_int_equal(um_source_open(ctx, file, NULL, &source), UM_OK);
        expect_rect(source, (um_rect){0, 0, s.ny, s.nx});
        um_source_free(source);
        size_t size = 0;
        char *bytes = bytes_of(file, &size);
        assert_true(i == 0 || size == first_size);
        assert_true(i == 0 || i == 4 || memcmp(bytes, first, size) == 0);
        free(i == 0 ? NULL : bytes);
        first = i == 0 ? bytes : first;
        first_size = size;
    }
    free(first);
    unlink(file);
    um_context_set_memory(ctx, memory);
    um_context_set_threads(ctx, threads);
    assert_int_equal(um_context_memory_in_use(ctx), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sink_and_source_agree),
        cmocka_unit_test(threads_read_the_same),
        cmocka_unit_test(many_writers_leave_one_file),
        cmocka_unit_test(unknown_compression_is_refused),
        cmocka_unit_test(abandoned_sink_leaves_nothing),
    };
    return cmocka_run_group_tests_name("io_hdf5", tests, start, stop);
}
