#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen_check.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(eight_and_sixteen_bit, make, unmake),
        cmocka_unit_test_setup_teardown(calibration_and_note, make, unmake),
        cmocka_unit_test_setup_teardown(interrupted_scan, make, unmake),
        cmocka_unit_test_setup_teardown(extra_bytes_at_the_end, make, unmake),
        cmocka_unit_test_setup_teardown(lying_headers, make, unmake),
        cmocka_unit_test_setup_teardown(cut_and_bent, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
