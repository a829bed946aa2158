/* What is compressed by runs comes out of zlib and of libdeflate as it went in. */
#include "base_internal.h"
#include "chunk_internal.h"

#include <libdeflate.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { MOST = 1 << 20 };
static unsigned char data[MOST], packed[MOST + MOST / 4], seen[MOST];

/* The packed size; 0: not worth it. */
static size_t round_trip(size_t size)
{
    size_t n = um_deflate_runs(data, size, packed, sizeof packed);
    if (n == 0) {
        return 0;
    }
    uLongf length = sizeof seen;
    memset(seen, 0xee, sizeof seen);
    assert_int_equal(uncompress(seen, &length, packed, n), Z_OK);
    assert_true(length == size && memcmp(seen, data, size) == 0);
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    assert_non_null(d);
    memset(seen, 0xee, sizeof seen);
    assert_int_equal(libdeflate_zlib_decompress(d, packed, n, seen, size, NULL), LIBDEFLATE_SUCCESS);
    assert_memory_equal(seen, data, size);
    libdeflate_free_decompressor(d);
    return n;
}

/* Bytes that are not zero with this chance, by a distribution whose rarest are 2^-rarest. */
static void fill(size_t size, double chance, int rarest, uint64_t key)
{
    const um_random random = {key, 1};
    for (size_t i = 0; i < size; i++) {
        data[i] = 0;
        if (um_random_uniform(random, 2 * i) < chance) {
            double u = um_random_uniform(random, 2 * i + 1);
            for (int k = 0; k < rarest && u < 0.5; k++, u *= 2.0) {
                data[i]++;
            }
            data[i]++;
        }
    }
}

static void test_sparse_counts_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 24; i++) {
        size_t size = ((size_t)1 << (i % 11 + 9)) + (size_t)i;
        fill(size, 0.002 * (1 + i / 3), 30, (uint64_t)i + 1);
        size_t n = round_trip(size);
        assert_true(n > 0 && n < size / 2 + 128);
    }
}

static void test_runs_of_every_length_come_back(void **state)
{
    (void)state;
    size_t at = 0;
    for (int length = 0; length < 600; length++) {
        memset(data + at, length % 2 == 0 ? 0 : 255, (size_t)length);
        at += (size_t)length;
        data[at++] = (unsigned char)(length % 251);
    }
    assert_true(round_trip(at) > 0);
    memset(data, 7, MOST);
    assert_true(round_trip(MOST) > 0 && round_trip(MOST) < MOST / 200);
    for (size_t size = 6; size < 300; size++) {
        assert_true(round_trip(size) > 0 || size < 12);
    }
}

/* Frequencies of Fibonacci want codes of more than 15 bits. */
static void test_long_codes_are_kept_short(void **state)
{
    (void)state;
    size_t at = 0, a = 1, b = 1;
    for (int symbol = 1; symbol < 19; symbol++) {
        for (size_t i = 0; i < a && at + 40 < MOST; i++) {
            data[at++] = (unsigned char)symbol;
            memset(data + at, 0, 9 + i % 23);
            at += 9 + i % 23;
        }
        size_t next = a + b;
        a = b;
        b = next;
    }
    assert_true(round_trip(at) > 0);
}

static void test_what_has_no_runs_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < MOST; i++) {
        data[i] = (unsigned char)(i * 37);
    }
    assert_int_equal(um_deflate_runs(data, MOST, packed, sizeof packed), 0);
    assert_int_equal(um_deflate_runs(data, 0, packed, sizeof packed), 0);
    memset(data, 0, MOST); /* no room */
    fill(MOST, 0.1, 30, 3);
    for (size_t room = 0; room < 3000; room += 7) {
        assert_int_equal(um_deflate_runs(data, MOST, packed, room), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sparse_counts_come_back),
        cmocka_unit_test(test_runs_of_every_length_come_back),
        cmocka_unit_test(test_long_codes_are_kept_short),
        cmocka_unit_test(test_what_has_no_runs_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
