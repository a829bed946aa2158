#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen_check.h"

static const gen_mib usual = {
    .bits = 16, .depth = 12, .rows = 4, .width = 6, .frames = 6, .limit = 4096};

static void open_frames(fixture *f, const gen_mib *mib, const char *name, um_source **source)
{
    gen_mib_file(&f->bytes, mib);
    store(f, name);
    assert_int_equal(open_status(f, NULL, source), UM_OK);
}

static void every_mode(void **state)
{
    static const struct {
        gen_mib mib;
        um_dtype dtype;
    } cases[] = {
        {{.bits = 8, .depth = 1, .rows = 5, .width = 7, .limit = 2}, UM_U8},
        {{.bits = 8, .depth = 6, .rows = 5, .width = 7, .limit = 64}, UM_U8},
        {{.bits = 16, .depth = 12, .rows = 5, .width = 7, .limit = 4096}, UM_U16},
        {{.bits = 32, .depth = 24, .rows = 5, .width = 7, .limit = 1 << 24}, UM_U32},
        {{.bits = 16, .quad = true, .depth = 12, .rows = 8, .width = 514, .limit = 4096}, UM_U16},
        {{.bits = 16, .no_mq1a = true, .rows = 5, .width = 7, .limit = 4096}, UM_U16},
        {{.raw = true, .depth = 1, .rows = 256, .limit = 2}, UM_U8},
        {{.raw = true, .depth = 6, .rows = 256, .limit = 64}, UM_U8},
        {{.raw = true, .depth = 12, .rows = 256, .limit = 4096}, UM_U16},
        {{.raw = true, .depth = 24, .rows = 256, .limit = 1 << 24}, UM_U32},
        {{.raw = true, .quad = true, .depth = 1, .rows = 256, .limit = 2}, UM_U8},
        {{.raw = true, .quad = true, .depth = 6, .rows = 64, .limit = 64}, UM_U8},
        {{.raw = true, .quad = true, .depth = 12, .rows = 32, .limit = 4096}, UM_U16},
        {{.raw = true, .depth = 12, .rows = 64, .empty_thresholds = true, .limit = 4096}, UM_U16},
    };
    fixture *f = *state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        um_source *source = NULL;
        gen_mib mib = cases[c].mib;
        int64_t ky = 0;
        int64_t kx = 0;
        mib.frames = 4;
        gen_mib_shape(&mib, &ky, &kx);
        open_frames(f, &mib, "mode.mib", &source);
        const um_source_info *info = um_source_get_info(source);
        assert_string_equal(info->format, "mib");
        assert_int_equal(info->dtype, cases[c].dtype);
        assert_true(info->shape.ky == ky && info->shape.kx == kx);
        assert_int_equal(info->shape.ny * info->shape.nx, 4);
        check_content(source, 0, mib.limit);
        um_source_free(source);
    }
}

static void unreadable_modes(void **state)
{
    fixture *f = *state;
    gen_mib quad24 = {.raw = true, .quad = true, .depth = 24, .rows = 4, .frames = 1, .limit = 2};
    gen_mib_file(&f->bytes, &quad24);
    store(f, "quad24.mib");
    assert_int_equal(refused(f, NULL), UM_ERROR_UNSUPPORTED);
    gen_mib no_depth = {.raw = true, .no_mq1a = true, .depth = 12, .rows = 4, .frames = 1, .limit = 2};
    gen_mib_file(&f->bytes, &no_depth);
    store(f, "depth.mib");
    assert_int_equal(refused(f, NULL), UM_ERROR_FORMAT);
    gen_mib wide = {.bits = 64, .depth = 24, .rows = 4, .width = 4, .frames = 1, .limit = 2};
    gen_mib_file(&f->bytes, &wide);
    store(f, "wide.mib");
    assert_int_equal(refused(f, NULL), UM_ERROR_UNSUPPORTED);
    gen_mib_side(&f->bytes, "ScanX:\t4\n");
    store(f, "wide.hdr");
    assert_int_equal(refused(f, NULL), UM_ERROR_UNSUPPORTED);
    assert_non_null(strstr(um_context_message(f->ctx), ".mib"));
}

static void expect_scan(fixture *f, const gen_mib *mib, const char *side, int64_t ny, int64_t nx,
                        int64_t first, const char *how)
{
    um_source *source = NULL;
    if (side != NULL) {
        gen_mib_side(&f->bytes, side);
        store(f, "scan.hdr");
    }
    open_frames(f, mib, "scan.mib", &source);
    const um_source_info *info = um_source_get_info(source);
    assert_int_equal(info->shape.ny, ny);
    assert_int_equal(info->shape.nx, nx);
    assert_non_null(strstr(um_source_metadata(source), how));
    check_content(source, first, mib->limit);
    um_source_free(source);
    gen_path(f->path, f->folder, "scan.hdr");
    unlink(f->path);
}

static void scan_shape_in_order(void **state)
{
    fixture *f = *state;
    gen_mib mib = usual;
    mib.frames = 12;
    const char *both = "ScanX:\t4\r\nScanY:\t3\r\nFrames in Acquisition (Number):\t12\r\n"
                       "Frames per Trigger (Number):\t6\r\n";
    expect_scan(f, &mib, both, 3, 4, 0, "ScanX");
    expect_scan(f, &mib,
                "Frames in Acquisition (Number):\t12\nFrames per Trigger (Number):\t6\n", 2, 6, 0,
                "frames per trigger");
    expect_scan(f, &mib, "Frames in Acquisition (Number):\t0\n", 1, 12, 0, "continuous");
    mib.line = 3;
    expect_scan(f, &mib,
                "Frames in Acquisition (Number):\t12\nFrames per Trigger (Number):\t1\n", 4, 3, 0,
                "time stamps");
    mib.no_mq1a = true; /* the older header has times too */
    expect_scan(f, &mib, NULL, 4, 3, 0, "time stamps");
    mib.no_mq1a = false;
    mib.line = 0;
    expect_scan(f, &mib, NULL, 1, 12, 0, "stack");
    mib.peak_line = 3;
    expect_scan(f, &mib, NULL, 4, 3, 0, "longer exposures");
    mib.frames = 14;
    mib.peak_first = 2;
    expect_scan(f, &mib, NULL, 4, 3, 2, "longer exposures");
    mib.peak_line = 0;
    mib.frames = 9;
    expect_scan(f, &mib, NULL, 3, 3, 0, "square root");
}

static void interrupted_scan(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    gen_mib mib = usual;
    mib.frames = 9;
    expect_scan(f, &mib, "ScanX:\t4\nScanY:\t3\n", 2, 4, 0, "ScanX");
    gen_mib_side(&f->bytes, "ScanX:\t4\nScanY:\t3\n");
    store(f, "scan.hdr");
    gen_mib_file(&f->bytes, &mib);
    f->bytes.size -= 11; /* frame 8 is cut */
    store(f, "scan.mib");
    um_open_options options = {.allow_short = true};
    assert_int_equal(open_status(f, &options, &source), UM_OK);
    assert_int_equal(um_source_get_info(source)->shape.ny, 3);
    assert_int_equal(um_source_get_info(source)->positions_present, 8);
    check_content(source, 0, mib.limit);
    um_source_free(source);
    options = (um_open_options){.scan_ny = 3, .scan_nx = 3};
    assert_int_equal(refused(f, &options), UM_ERROR_SHAPE);
    options = (um_open_options){.scan_ny = 4, .scan_nx = 2};
    assert_int_equal(open_status(f, &options, &source), UM_OK);
    check_content(source, 0, mib.limit);
    um_source_free(source);
}

static void split_files(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *name;
        int64_t first, frames;
    } parts[] = {{"run_10.mib", 0, 5}, {"run_2.mib", 5, 5}, {"run_1.MIB", 10, 2}};
    for (int raw = 0; raw < 2; raw++) {
        gen_mib mib = usual;
        mib.raw = raw == 1;
        mib.rows = raw == 1 ? 8 : 4;
        for (int i = 0; i < 3; i++) { /* order by sequence number, whatever the names say */
            mib.first_pattern = parts[i].first;
            mib.frames = parts[i].frames;
            gen_mib_file(&f->bytes, &mib);
            store(f, parts[i].name);
        }
        mib.first_pattern = 0; /* another acquisition with the same prefix */
        mib.frames = 3;
        gen_mib_file(&f->bytes, &mib);
        store(f, "run_3.mib");
        um_open_options options = {.scan_ny = 3, .scan_nx = 4};
        um_source *source = NULL;
        for (int i = 0; i < 3; i++) {
            gen_path(f->path, f->folder, parts[i].name);
            assert_int_equal(open_status(f, &options, &source), UM_OK);
            assert_non_null(strstr(um_source_metadata(source),
                                   "[\"run_10.mib\",\"run_2.mib\",\"run_1.MIB\"]"));
            check_content(source, 0, mib.limit);
            um_source_free(source);
        }
        gen_path(f->path, f->folder, "run_3.mib");
        assert_int_equal(open_status(f, NULL, &source), UM_OK);
        assert_int_equal(um_source_get_info(source)->shape.nx, 3);
        um_source_free(source);
    }
}

static void metadata_of_frames(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    gen_mib mib = usual;
    gen_mib_side(&f->bytes, "Chip ID:\tW556_\xb5\n");
    store(f, "m.hdr");
    open_frames(f, &mib, "m.mib", &source);
    const char *text = um_source_metadata(source);
    assert_non_null(strstr(text, "\"acquired\":\"2021-05-07T16:51:10.905800928Z\""));
    assert_non_null(strstr(text, "\"exposure_s\":0.001"));
    assert_non_null(strstr(text, "\"counter_depth\":12"));
    assert_non_null(strstr(text, "\"thresholds_keV\":[40.0,511.0,"));
    assert_non_null(strstr(text, "\"Chip ID\":\"W556_µ\""));
    um_source_free(source);
}

static void hostile_headers(void **state)
{
    fixture *f = *state;
    static const struct {
        size_t at;
        const char *text;
        um_status status;
    } cases[] = {
        {11, "99999", UM_ERROR_FORMAT},    /* header size above what can be */
        {11, "09999", UM_ERROR_TRUNCATED}, /* header larger than the file */
        {11, "00000", UM_ERROR_FORMAT},
        {11, "-0384", UM_ERROR_FORMAT},
        {11, "00383", UM_ERROR_FORMAT}, /* frames are not that long */
        {20, "9999", UM_ERROR_TRUNCATED},
        {20, "0000", UM_ERROR_FORMAT},
        {20, "ab.1", UM_ERROR_FORMAT},
        {25, "0003", UM_ERROR_FORMAT},
        {30, "X16", UM_ERROR_FORMAT},
        {30, "U01", UM_ERROR_UNSUPPORTED},
        {30, "R64", UM_ERROR_FORMAT}, /* 6 pixels wide raw frames */
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        gen_mib_file(&f->bytes, &usual);
        memcpy(f->bytes.data + cases[c].at, cases[c].text, strlen(cases[c].text));
        store(f, "lie.mib");
        assert_int_equal(refused(f, NULL), cases[c].status);
    }
}

static void cut_and_bent(void **state)
{
    fixture *f = *state;
    gen_mib mib = usual;
    gen_bytes whole = {0};
    mib.frames = 4;
    gen_mib_file(&whole, &mib);
    for (size_t size = 0; size < whole.size; size += 5) {
        gen_put(&f->bytes, whole.data, size);
        store(f, "cut.mib");
        assert_true((refused(f, NULL) == UM_OK) == (size >= 384 + 48));
        poke(f, NULL);
    }
    for (size_t at = 0; at < 2 * (384 + 48); at++) {
        gen_put(&f->bytes, whole.data, whole.size);
        f->bytes.data[at] ^= at % 2 ? 0xff : 0x09;
        store(f, "bent.mib");
        poke(f, NULL);
    }
    gen_clear(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_mode, make, unmake),
        cmocka_unit_test_setup_teardown(unreadable_modes, make, unmake),
        cmocka_unit_test_setup_teardown(scan_shape_in_order, make, unmake),
        cmocka_unit_test_setup_teardown(interrupted_scan, make, unmake),
        cmocka_unit_test_setup_teardown(split_files, make, unmake),
        cmocka_unit_test_setup_teardown(metadata_of_frames, make, unmake),
        cmocka_unit_test_setup_teardown(hostile_headers, make, unmake),
        cmocka_unit_test_setup_teardown(cut_and_bent, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
