#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen_check.h"
#include "sha256.h"

/* `gap` bytes in front of and behind each pattern of 4 x 5. */
static void write_raw(fixture *f, size_t header, size_t front, size_t behind, bool big, int width,
                      uint32_t limit)
{
    gen_put_fill(&f->bytes, 0xee, header);
    for (int64_t p = 0; p < 6; p++) {
        gen_put_fill(&f->bytes, 0xdd, front);
        for (int64_t q = 0; q < 20; q++) {
            if (big) {
                gen_put_be(&f->bytes, gen_value(p, q, limit), width);
            } else {
                gen_put_le(&f->bytes, gen_value(p, q, limit), width);
            }
        }
        gen_put_fill(&f->bytes, 0xcc, behind);
    }
    store(f, "flat.bin");
}

static void layouts(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *raw;
        size_t header, front, behind;
        bool big;
        int width;
        uint32_t limit;
        um_dtype dtype;
    } cases[] = {
        {"dtype=u16,ky=4,kx=5", 0, 0, 0, false, 2, 65536, UM_U16},
        {"dtype=uint16, kx=5 ,ky=4,endian=big", 0, 0, 0, true, 2, 65536, UM_U16},
        {"dtype=u4,ky=4,kx=5,header=100,frame_header=7", 100, 7, 0, false, 4, 1u << 31, UM_U32},
        {"dtype=i32,ky=4,kx=5,frame_footer=9,endian=little", 0, 0, 9, false, 4, 1 << 20, UM_I32},
        {"dtype=u8,ky=4,kx=5,header=1,frame_header=5000,frame_footer=2", 1, 5000, 2, false, 1, 256,
         UM_U8},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        um_source *source = NULL;
        um_open_options options = {.raw = cases[c].raw, .scan_ny = 2, .scan_nx = 3};
        write_raw(f, cases[c].header, cases[c].front, cases[c].behind, cases[c].big, cases[c].width,
                  cases[c].limit);
        assert_int_equal(open_status(f, &options, &source), UM_OK);
        assert_string_equal(um_source_get_info(source)->format, "raw");
        assert_int_equal(um_source_get_info(source)->dtype, cases[c].dtype);
        check_content(source, 0, cases[c].limit);
        um_source_free(source);
        options.scan_ny = options.scan_nx = 0;
        assert_int_equal(open_status(f, &options, &source), UM_OK);
        assert_int_equal(um_source_get_info(source)->shape.nx, 6);
        check_content(source, 0, cases[c].limit);
        um_source_free(source);
    }
}

static void bad_descriptions(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *raw;
        um_status status;
    } cases[] = {
        {"", UM_ERROR_ARGUMENT},
        {"dtype=u16", UM_ERROR_ARGUMENT},
        {"dtype=u16,ky=4", UM_ERROR_ARGUMENT},
        {"dtype=u64,ky=4,kx=5", UM_ERROR_ARGUMENT},
        {"dtype=u16,ky=-4,kx=5", UM_ERROR_ARGUMENT},
        {"dtype=u16,ky=4,kx=0", UM_ERROR_ARGUMENT},
        {"dtype=u16,ky=4,kx=5,endian=middle", UM_ERROR_ARGUMENT},
        {"dtype=u16,ky=4,kx=5,colour=red", UM_ERROR_ARGUMENT},
        {"dtype=u16,ky=4,kx=99999999999999999999", UM_ERROR_ARGUMENT},
        {"dtype=u16,ky=4294967296,kx=4294967296", UM_ERROR_SHAPE},
        {"dtype=u16,ky=4,kx=5,header=9223372036854775807", UM_ERROR_SHAPE},
        {"dtype=u16,ky=4,kx=5,header=240", UM_ERROR_TRUNCATED},
        {"dtype=u16,ky=65536,kx=65536", UM_ERROR_TRUNCATED},
        {"dtype=u16,ky=4,kx=5,header=220", UM_ERROR_TRUNCATED},
        {"dtype=u16,ky=4,kx=5,header=200", UM_OK},
    };
    write_raw(f, 0, 0, 0, false, 2, 256);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        um_open_options options = {.raw = cases[c].raw};
        assert_int_equal(refused(f, &options), cases[c].status);
    }
}

static void file_that_shrinks_while_read(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    um_open_options options = {.raw = "dtype=u16,ky=4,kx=5,frame_header=2"};
    uint16_t data[120];
    write_raw(f, 0, 2, 0, false, 2, 256);
    assert_int_equal(open_status(f, &options, &source), UM_OK);
    assert_int_equal(truncate(f->path, 100), 0);
    assert_int_equal(um_source_read(source, (um_rect){0, 0, 1, 6}, data), UM_ERROR_TRUNCATED);
    assert_int_equal(um_source_read(source, (um_rect){0, 0, 1, 2}, data), UM_OK);
    um_source_free(source);
}

/* Vectors of FIPS 180-4 and NIST's examples. */
static void sha256_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int repeat;
        const char *hex;
    } cases[] = {
        {"", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        um_sha256 sha;
        char hex[65];
        um_sha256_begin(&sha);
        for (int i = 0; i < cases[c].repeat; i++) {
            um_sha256_add(&sha, cases[c].text, strlen(cases[c].text));
        }
        um_sha256_end(&sha, hex);
        assert_string_equal(hex, cases[c].hex);
    }
    for (size_t n = 0; n < 200; n++) { /* however the bytes come */
        unsigned char bytes[200];
        char whole[65];
        char parts[65];
        um_sha256 sha;
        memset(bytes, (int)n, sizeof bytes);
        um_sha256_begin(&sha);
        um_sha256_add(&sha, bytes, n);
        um_sha256_end(&sha, whole);
        um_sha256_begin(&sha);
        um_sha256_add(&sha, bytes, n / 3);
        um_sha256_add(&sha, bytes, n - n / 3);
        um_sha256_end(&sha, parts);
        assert_string_equal(whole, parts);
    }
}

static void digest_names_the_bytes(void **state)
{
    fixture *f = *state;
    um_source *source = NULL;
    char hex[65];
    char again[65];
    um_open_options options = {.raw = "dtype=u8,ky=1,kx=3"};
    gen_put_text(&f->bytes, "abc");
    store(f, "abc.bin");
    assert_int_equal(open_status(f, &options, &source), UM_OK);
    assert_int_equal(um_source_digest(source, hex), UM_OK);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    /* A large file: sampled, yet its size and its ends count. */
    assert_int_equal(truncate(f->path, (off_t)100 << 20), 0);
    assert_int_equal(um_source_digest(source, hex), UM_OK);
    assert_int_equal(truncate(f->path, ((off_t)100 << 20) + 1), 0);
    assert_int_equal(um_source_digest(source, again), UM_OK);
    assert_string_not_equal(hex, again);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(um_source_digest(source, again), UM_ERROR_IO);
    um_source_free(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(layouts, make, unmake),
        cmocka_unit_test_setup_teardown(bad_descriptions, make, unmake),
        cmocka_unit_test_setup_teardown(file_that_shrinks_while_read, make, unmake),
        cmocka_unit_test(sha256_vectors),
        cmocka_unit_test_setup_teardown(digest_names_the_bytes, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
