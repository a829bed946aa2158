#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen_check.h"
#include "io_internal.h"

static const gen_blo usual = {.nx = 3, .ny = 2, .side = 6, .sdp = 6226, .step_nm = 12.8, .limit = 256};

static void eight_and_sixteen_bit(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    for (int turn = 0; turn < 4; turn++) {
        gen_blo blo = usual;
        blo.bits = turn < 1 ? 8 : 16;
        blo.magic = turn < 1 ? 0x0102 : 0x0103;
        blo.no_note = turn == 2; /* the second record tells */
        blo.magic = turn == 3 ? 0x0777 : blo.magic;
        blo.limit = turn < 1 ? 256 : 65536;
        gen_blo_file(&f->bytes, &blo);
        store(f, "scan.blo");
        assert_int_equal(open_status(f, NULL, &source), UM_OK);
        const um_source_info *info = um_source_get_info(source);
        assert_string_equal(info->format, "blo");
        assert_int_equal(info->dtype, turn < 1 ? UM_U8 : UM_U16);
        assert_true(info->shape.ny == 2 && info->shape.nx == 3);
        assert_true(info->shape.ky == 6 && info->shape.kx == 6);
        check_content(source, 0, blo.limit);
        um_source_free(source);
    }
}

static void calibration_and_note(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    gen_blo blo = usual;
    gen_blo_file(&f->bytes, &blo);
    store(f, "scan.blo");
    assert_int_equal(open_status(f, NULL, &source), UM_OK);
    const um_source_info *info = um_source_get_info(source);
    assert_true(info->axes[0].scale == 12.8 && info->axes[1].scale == 12.8);
    assert_string_equal(info->axes[1].units, "nm");
    assert_true(fabs(info->axes[3].scale - 0.016061676839061997) < 1e-16);
    assert_string_equal(info->axes[2].units, "cm");
    const char *text = um_source_metadata(source);
    assert_non_null(strstr(text, "\"beam_energy_V\":200000"));
    assert_non_null(strstr(text, "Precession angle : 0.8°\\n"));
    assert_non_null(strstr(text, "\"acquired\":\"2015-12-01T15:36:00\""));
    um_source_free(source);
    blo.sdp = 0;
    blo.step_nm = NAN;
    gen_blo_file(&f->bytes, &blo);
    store(f, "plain.blo");
    assert_int_equal(open_status(f, NULL, &source), UM_OK);
    info = um_source_get_info(source);
    assert_true(info->axes[0].scale == 1.0 && info->axes[2].scale == 1.0);
    assert_string_equal(info->axes[0].units, "");
    um_source_free(source);
}

static void interrupted_scan(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    gen_blo blo = usual;
    blo.records = 4;
    gen_blo_file(&f->bytes, &blo);
    gen_put_fill(&f->bytes, 0xaa, 17); /* part of a fifth record */
    store(f, "scan.blo");
    assert_int_equal(refused(f, NULL), UM_ERROR_TRUNCATED);
    assert_non_null(strstr(um_context_message(f->ctx), "4 patterns"));
    assert_non_null(strstr(um_context_message(f->ctx), "--allow-short"));
    um_open_options options = {.allow_short = true};
    assert_int_equal(open_status(f, &options, &source), UM_OK);
    assert_int_equal(um_source_get_info(source)->positions_present, 4);
    check_content(source, 0, 256);
    um_source_free(source);
    options = (um_open_options){.scan_ny = 2, .scan_nx = 2};
    assert_int_equal(open_status(f, &options, &source), UM_OK);
    check_content(source, 0, 256);
    um_source_free(source);
}

static void extra_bytes_at_the_end(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    gen_blo_file(&f->bytes, &usual);
    gen_put_fill(&f->bytes, 1, 1000);
    store(f, "scan.blo");
    assert_int_equal(open_status(f, NULL, &source), UM_OK);
    assert_int_equal(um_source_get_info(source)->positions_present, 6);
    check_content(source, 0, 256);
    um_source_free(source);
}

static void put16(fixture *f, size_t at, unsigned value)
{
    f->bytes.data[at] = (unsigned char)value;
    f->bytes.data[at + 1] = (unsigned char)(value >> 8);
}

static void lying_headers(void **state)
{
    fixture *f = *state;
    static const struct {
        size_t at;
        unsigned value;
        um_status status;
    } cases[] = {
        {20, 0, UM_ERROR_FORMAT},        /* side */
        {20, 65535, UM_ERROR_TRUNCATED}, /* 4 GiB per pattern */
        {20, 5, UM_ERROR_FORMAT},        /* records are not where they should be */
        {24, 0, UM_ERROR_SHAPE},         /* nx */
        {24, 65535, UM_ERROR_TRUNCATED}, /* more positions than records */
        {14, 65535, UM_ERROR_TRUNCATED}, /* data offset of 4 GiB */
        {12, 4000, UM_ERROR_FORMAT},     /* no record there */
        {12, 100, UM_ERROR_FORMAT},      /* inside the header */
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        gen_blo_file(&f->bytes, &usual);
        put16(f, cases[c].at, cases[c].value);
        store(f, "lie.blo");
        assert_int_equal(refused(f, NULL), cases[c].status);
    }
    um_open_options all = {.allow_short = true};
    gen_blo_file(&f->bytes, &usual);
    put16(f, 24, 65535);
    put16(f, 26, 65535);
    store(f, "lie.blo"); /* 65535 x 65535 x 36: above 32 bit, and short */
    assert_int_equal(refused(f, &all), UM_OK);
    poke(f, &all);
}

static void cut_and_bent(void **state)
{
    fixture *f = *state;
    gen_bytes whole = {0};
    um_open_options all = {.allow_short = true};
    gen_blo_file(&whole, &usual);
    for (size_t size = 0; size < whole.size; size += size < 4090 ? 61 : 1) {
        gen_put(&f->bytes, whole.data, size);
        store(f, "cut.blo");
        assert_int_not_equal(refused(f, NULL), UM_OK);
        poke(f, &all);
    }
    for (size_t at = 0; at < 300; at++) {
        gen_put(&f->bytes, whole.data, whole.size);
        f->bytes.data[at] ^= 0xff;
        store(f, "bent.blo");
        poke(f, NULL);
        poke(f, &all);
    }
    gen_clear(&whole);
}

static um_sink_spec blo_spec(um_shape shape)
{
    um_sink_spec spec = {.shape = shape, .dtype = UM_U8, .overwrite = true,
                         .metadata = "{\"simulation\":{\"voltage_kV\":200.0}}"};
    um_axes_default(spec.axes, shape);
    um_axis_set(&spec.axes[0], "y", 40.0, 0.0, "Å");
    um_axis_set(&spec.axes[1], "x", 3.5, 0.0, "nm");
    um_axis_set(&spec.axes[2], "ky", 0.0325, 0.0, "1/Å");
    um_axis_set(&spec.axes[3], "kx", 0.0325, 0.0, "1/Å");
    return spec;
}

/* Rectangles in any order; the virtual image is the disc in the middle, scaled to 255; the camera length gives the
 * calibration back: pixel = scale * wavelength * length. */
static void sink_writes_what_is_read(void **state)
{
    enum { NY = 5, NX = 300, SIDE = 9, PIXELS = SIDE * SIDE };
    static uint8_t all[NY * NX * PIXELS], back[NY * NX * PIXELS], file[4096 + NY * NX];
    fixture *f = *state;
    um_sink_spec spec = blo_spec((um_shape){NY, NX, SIDE, SIDE});
    um_sink *sink = NULL;
    for (int64_t p = 0; p < NY * NX; p++) {
        for (int64_t q = 0; q < PIXELS; q++) {
            all[p * PIXELS + q] = (uint8_t)gen_value(p, q, 256);
        }
    }
    gen_path(f->path, f->folder, "out.blo");
    assert_int_equal(um_sink_create(f->ctx, f->path, &spec, &sink), UM_OK);
    assert_int_equal(um_sink_write(sink, (um_rect){2, 0, 3, NX}, all + 2 * NX * PIXELS), UM_OK);
    for (int64_t y = 0; y < 2; y++) {
        assert_int_equal(um_sink_write(sink, (um_rect){y, 100, 1, 200}, all + (y * NX + 100) * PIXELS), UM_OK);
        assert_int_equal(um_sink_write(sink, (um_rect){y, 0, 1, 100}, all + y * NX * PIXELS), UM_OK);
    }
    assert_int_equal(um_sink_commit(sink), UM_OK);
    um_sink_free(sink);
    um_source *source = NULL;
    assert_int_equal(open_status(f, NULL, &source), UM_OK);
    const um_source_info *info = um_source_get_info(source);
    assert_string_equal(info->format, "blo");
    assert_true(info->shape.ny == NY && info->shape.nx == NX && info->shape.ky == SIDE);
    assert_true(info->axes[0].scale == 4.0 && info->axes[1].scale == 3.5);
    assert_non_null(strstr(um_source_metadata(source), "\"beam_energy_V\":200000"));
    assert_non_null(strstr(um_source_metadata(source), "Detector pixel : 0.0325 1/A"));
    const char *length = strstr(um_source_metadata(source), "\"camera_length_mm\":");
    assert_non_null(length);
    double length_mm = strtod(strchr(length, ':') + 1, NULL);
    assert_true(fabs(length_mm * 0.0325 * 0.0250793 / 0.1 - 1.0) < 1e-3); /* 0.1 mm pixels */
    assert_int_equal(um_source_read(source, (um_rect){0, 0, NY, NX}, back), UM_OK);
    assert_memory_equal(all, back, sizeof all);
    um_source_free(source);
    FILE *stream = fopen(f->path, "rb");
    assert_non_null(stream);
    assert_int_equal(fread(file, 1, sizeof file, stream), sizeof file);
    fclose(stream);
    double most = 0.0, sum[NY * NX] = {0};
    for (int64_t p = 0; p < NY * NX; p++) {
        static const int64_t disc[] = {31, 39, 40, 41, 49}; /* a radius of one pixel about (4, 4) */
        for (int i = 0; i < 5; i++) {
            sum[p] += all[p * PIXELS + disc[i]];
        }
        most = fmax(most, sum[p]);
    }
    for (int64_t p = 0; p < NY * NX; p++) {
        assert_true(fabs((double)file[4096 + p] - 255.0 * sum[p] / most) <= 0.5 + 1e-9);
    }
    assert_int_equal(um_context_memory_in_use(f->ctx), 0);
}

static void sink_refuses_what_has_no_place(void **state)
{
    fixture *f = *state;
    static const struct {
        um_shape shape;
        um_dtype dtype;
        const char *advice;
    } bad[] = {{{2, 2, 4, 4}, UM_U16, "--dtype u8"},
               {{2, 2, 4, 5}, UM_U8, "crop the detector"},
               {{1, 65536, 4, 4}, UM_U8, "65535"},
               {{65536, 1, 4, 4}, UM_U8, "65535"}};
    gen_path(f->path, f->folder, "no.blo");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        um_sink_spec spec = blo_spec(bad[i].shape);
        um_sink *sink = NULL;
        spec.dtype = bad[i].dtype;
        assert_int_equal(um_sink_create(f->ctx, f->path, &spec, &sink), UM_ERROR_UNSUPPORTED);
        assert_null(sink);
        assert_non_null(strstr(um_context_message(f->ctx), bad[i].advice));
        assert_int_equal(access(f->path, F_OK), -1);
    }
    um_sink_spec spec = blo_spec((um_shape){2, 2, 4, 4});
    um_sink *sink = NULL;
    assert_int_equal(um_sink_create(f->ctx, f->path, &spec, &sink), UM_OK);
    um_sink_free(sink); /* given up */
    assert_int_equal(access(f->path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(eight_and_sixteen_bit, make, unmake),
        cmocka_unit_test_setup_teardown(calibration_and_note, make, unmake),
        cmocka_unit_test_setup_teardown(interrupted_scan, make, unmake),
        cmocka_unit_test_setup_teardown(extra_bytes_at_the_end, make, unmake),
        cmocka_unit_test_setup_teardown(lying_headers, make, unmake),
        cmocka_unit_test_setup_teardown(cut_and_bent, make, unmake),
        cmocka_unit_test_setup_teardown(sink_writes_what_is_read, make, unmake),
        cmocka_unit_test_setup_teardown(sink_refuses_what_has_no_place, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
