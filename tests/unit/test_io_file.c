/* Bytes through the page cache and past it, whatever the alignment of offset, length and memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096 };
enum { SIZE = 5 * 1024 * 1024 + 1234 }; /* more than two bounce buffers, not a whole block */

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 2654435761u >> 13);
}

typedef struct folder {
    um_context *ctx;
    um_file file;
    char path[64];
} folder;

/* The file on a disk, in no page cache, all of it to be read past the cache. */
static int setup(void **state)
{
    folder *f = calloc(1, sizeof *f);
    unsigned char *bytes = malloc(SIZE);
    assert_non_null(f);
    assert_non_null(bytes);
    snprintf(f->path, sizeof f->path, "./um-file-%ld", (long)getpid());
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = byte_at(i);
    }
    int fd = open(f->path, O_CREAT | O_TRUNC | O_RDWR, 0600);
    assert_int_equal(write(fd, bytes, SIZE), SIZE);
    assert_int_equal(fsync(fd), 0);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    free(bytes);
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    assert_true(um_file_open(f->ctx, f->path, &f->file));
    int64_t room = 0;
    um_file_take_room(&f->file, &room);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    folder *f = *state;
    um_file_close(&f->file);
    assert_int_equal(um_context_memory_in_use(f->ctx), 0);
    um_context_free(f->ctx);
    unlink(f->path);
    free(f);
    return 0;
}

static void drop(const folder *f)
{
    posix_fadvise(f->file.fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void check_read(folder *f, size_t shift, size_t count, int64_t offset)
{
    unsigned char *room = aligned_alloc(BLOCK, (count + shift) / BLOCK * BLOCK + 3 * BLOCK);
    assert_non_null(room);
    unsigned char *dst = room + BLOCK + shift;
    dst[-1] = dst[count] = 0xa5;
    assert_int_equal(um_file_read(&f->file, f->path, dst, count, offset), UM_OK);
    for (size_t i = 0; i < count; i++) {
        if (dst[i] != byte_at((size_t)offset + i)) {
            fail_msg("byte %zu of %zu at %lld is wrong", i, count, (long long)offset);
        }
    }
    assert_int_equal(dst[-1], 0xa5);
    assert_int_equal(dst[count], 0xa5);
    free(room);
}

static void any_alignment(void **state)
{
    folder *f = *state;
    static const struct {
        size_t shift, count;
        int64_t offset;
    } cases[] = {
        {0, 1 << 20, 0},
        {0, 1 << 20, 512},
        {0, 1 << 20, 128},
        {1, (1 << 20) + 1, 4095},
        {3, SIZE, 0},
        {0, SIZE - 128, 128},
        {5, 100000, SIZE - 100000},
        {0, 10, 77},
        {0, 65536, 4096},
        {7, 65537, 8191},
        {0, (2 << 20) + 512, 1 << 20},
    };
    for (int aligned_only = 0; aligned_only < 2; aligned_only++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            atomic_store(&f->file.aligned_only, aligned_only != 0);
            drop(f);
            check_read(f, cases[i].shift, cases[i].count, cases[i].offset);
        }
    }
}

static void partly_kept(void **state)
{
    folder *f = *state;
    f->file.kept = 1 << 20;
    drop(f);
    check_read(f, 0, 2 << 20, 1000);
    check_read(f, 0, 2 << 20, 2 << 20);
    um_file_will_read(&f->file, 0, SIZE + 100);
    check_read(f, 0, 2 << 20, 2 << 20);
}

static void pieces_with_gaps(void **state)
{
    folder *f = *state;
    static const struct {
        size_t bytes, stride;
        int64_t count, offset;
    } cases[] = {
        {1000, 1006, 5000, 4118},   {300000, 300384, 17, 384}, {3000000, 3000001, 1, 9},
        {2500000, 2500768, 2, 768}, {50000, 60000, 80, 7},     {1, 3, 200000, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bytes = cases[i].bytes;
        size_t total = bytes * (size_t)cases[i].count;
        for (int kept = 0; kept < 2; kept++) {
            unsigned char *dst = malloc(total);
            assert_non_null(dst);
            f->file.kept = kept * f->file.size;
            drop(f);
            assert_int_equal(um_file_gather(&f->file, f->path, dst, bytes, cases[i].stride,
                                            cases[i].count, cases[i].offset),
                             UM_OK);
            for (size_t j = 0; j < total; j++) {
                size_t at = (size_t)cases[i].offset + j / bytes * cases[i].stride + j % bytes;
                if (dst[j] != byte_at(at)) {
                    fail_msg("case %zu, kept %d: byte %zu is wrong", i, kept, j);
                }
            }
            free(dst);
        }
    }
}

static void past_the_end(void **state)
{
    folder *f = *state;
    unsigned char *dst = malloc(200000);
    assert_non_null(dst);
    assert_int_equal(um_file_read(&f->file, f->path, dst, 200000, SIZE - 199999),
                     UM_ERROR_TRUNCATED);
    assert_non_null(strstr(um_context_message(f->ctx), "ends at byte"));
    assert_int_equal(um_file_gather(&f->file, f->path, dst, 1000, 1001, 200, SIZE - 100000),
                     UM_ERROR_TRUNCATED);
    free(dst);
}

/* Without room for a bounce buffer it is read all the same. */
static void small_budget(void **state)
{
    folder *f = *state;
    um_context_set_memory(f->ctx, 100000);
    atomic_store(&f->file.aligned_only, true);
    drop(f);
    check_read(f, 1, 1 << 20, 4097);
    assert_int_equal(um_context_memory_in_use(f->ctx), 0);
}

static void room_is_shared(void **state)
{
    folder *f = *state;
    int64_t room = 1000;
    um_file_take_room(&f->file, &room);
    assert_int_equal(f->file.kept, 1000);
    assert_int_equal(room, 0);
    assert_true(um_file_room(f->ctx, 1000) == 1000);
    int64_t most = um_file_room(f->ctx, INT64_MAX);
    assert_true(most >= 0 && most < (int64_t)um_memory_available());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_alignment, setup, teardown),
        cmocka_unit_test_setup_teardown(partly_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(pieces_with_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(past_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(small_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(room_is_shared, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
