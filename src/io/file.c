#include "file.h"

#include "io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* PAGE: what every disk and file system takes as alignment. SMALL: reads that are not worth going past the
 * cache, or telling the system of. */
enum { PAGE = 4096, SMALL = 64 << 10, BOUNCE = 2 << 20, AHEAD = 512 << 10 };

/* ---- opening -------------------------------------------------------------------------------- */

int64_t um_file_room(um_context *ctx, int64_t total)
{
    size_t used = um_context_memory_in_use(ctx);
    size_t budget = um_context_memory(ctx);
    int64_t available = (int64_t)um_memory_available();
    int64_t ours = budget > used ? (int64_t)(budget - used) : 0;
    int64_t room = available - (ours < available ? ours : available);
    room -= room / 8;
    /* What does not fit as a whole leaves room for what others keep there. */
    return total <= room ? total : room / 4 * 3;
}

bool um_file_open(um_context *ctx, const char *path, um_file *file)
{
    struct stat status;
    *file = (um_file){.ctx = ctx, .past = -1, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (file->fd < 0) {
        return false;
    }
    if (fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file->fd);
        file->fd = -1;
        errno = errno != 0 ? errno : EINVAL;
        return false;
    }
    file->kept = file->size = status.st_size;
    /* The kernel's own guess of what comes next is confused by several threads: we tell it instead. */
    posix_fadvise(file->fd, 0, 0, POSIX_FADV_RANDOM);
    return true;
}

void um_file_take_room(um_file *file, int64_t *room)
{
    file->kept = file->size < *room ? file->size : *room;
    *room -= file->kept;
    if (file->kept < file->size && file->past < 0) {
        char name[32];
        snprintf(name, sizeof name, "/proc/self/fd/%d", file->fd);
        file->past = open(name, O_RDONLY | O_CLOEXEC | O_DIRECT);
    }
}

void um_file_close(um_file *file)
{
    if (file->fd >= 0) {
        close(file->fd);
    }
    if (file->past >= 0) {
        close(file->past);
    }
    for (int i = 0; i < UM_FILE_SPARE; i++) {
        um_buffer_free(file->ctx, atomic_exchange(&file->spare[i], NULL));
    }
    file->fd = file->past = -1;
}

/* ---- through the page cache ----------------------------------------------------------------- */

/* In pieces, because one call brings no more than the kernel's window for the disk. */
static void bring(const um_file *file, int64_t offset, int64_t count)
{
    for (int64_t done = 0; done < count; done += AHEAD) {
        (void)readahead(file->fd, offset + done,
                        (size_t)(count - done < AHEAD ? count - done : AHEAD));
    }
}

/* Whether all pages of the range are in the page cache; false where the system cannot tell. */
static bool in_cache(const um_file *file, int64_t offset, int64_t count)
{
#ifndef SYS_cachestat
    enum { SYS_cachestat = 451 }; /* on all machines since Linux 6.5 */
#endif
    uint64_t range[2] = {(uint64_t)offset, (uint64_t)count};
    uint64_t pages[5] = {0}; /* in the cache, dirty, being written, evicted, lately evicted */
    if (syscall(SYS_cachestat, file->fd, range, pages, 0) != 0) {
        return false;
    }
    int64_t first = offset / PAGE;
    int64_t last = (offset + count - 1) / PAGE;
    return pages[0] * (uint64_t)sysconf(_SC_PAGESIZE) >= (uint64_t)(last - first + 1) * PAGE;
}

/* Whether the range is to be read past the page cache. */
static bool goes_past(const um_file *file, int64_t offset, int64_t count)
{
    return file->past >= 0 && offset >= file->kept && count >= SMALL &&
           !in_cache(file, offset, count);
}

void um_file_will_read(const um_file *file, int64_t offset, int64_t count)
{
    if (offset >= 0 && offset < file->size && count > 0) {
        count = count < file->size - offset ? count : file->size - offset;
        if (!goes_past(file, offset, count)) {
            bring(file, offset, count);
        }
    }
}

/* ---- past it -------------------------------------------------------------------------------- */

/* Straight to where the bytes are wanted, what is before and after them in their blocks aside. False when
 * that did not bring everything: then it is read another way, which also finds what to say. */
static bool read_straight(um_file *file, void *dst, size_t count, int64_t offset)
{
    _Alignas(4096) unsigned char aside[2 * PAGE];
    size_t before = (size_t)(offset % PAGE);
    size_t after = (PAGE - (before + count) % PAGE) % PAGE;
    struct iovec parts[3] = {{aside, before}, {dst, count}, {aside + PAGE, after}};
    int skip = before == 0;
    ssize_t n = preadv(file->past, parts + skip, 3 - skip - (after == 0),
                       (off_t)(offset - (int64_t)before));
    if (n < 0 && errno == EINVAL) {
        atomic_store(&file->aligned_only, true);
    }
    return n >= 0 && (size_t)n >= before + count;
}

static unsigned char *take_bounce(um_file *file)
{
    void *buffer = NULL;
    for (int i = 0; i < UM_FILE_SPARE; i++) {
        buffer = atomic_exchange(&file->spare[i], NULL);
        if (buffer != NULL) {
            return buffer;
        }
    }
    size_t used = um_context_memory_in_use(file->ctx);
    if (um_context_memory(file->ctx) < used + BOUNCE + PAGE ||
        um_buffer_alloc(file->ctx, BOUNCE + PAGE, 1, "reading", &buffer) != UM_OK) {
        return NULL;
    }
    return buffer;
}

static void give_bounce(um_file *file, void *buffer)
{
    for (int i = 0; i < UM_FILE_SPARE && buffer != NULL; i++) {
        buffer = atomic_exchange(&file->spare[i], buffer);
    }
    um_buffer_free(file->ctx, buffer);
}

typedef struct pieces {
    unsigned char *dst;
    size_t bytes, stride;
    int64_t count, offset;
} pieces;

/* Copies what the `n` bytes at `at` of the file hold of the pieces. */
static void pick(const pieces *p, const unsigned char *from, int64_t n, int64_t at)
{
    int64_t stride = (int64_t)p->stride;
    int64_t i = at > p->offset ? (at - p->offset) / stride : 0;
    for (; i < p->count; i++) {
        int64_t start = p->offset + i * stride;
        int64_t end = start + (int64_t)p->bytes;
        if (start >= at + n) {
            break;
        }
        int64_t first = start > at ? start : at;
        int64_t stop = end < at + n ? end : at + n;
        if (first < stop) {
            memcpy(p->dst + (size_t)i * p->bytes + (size_t)(first - start), from + (first - at),
                   (size_t)(stop - first));
        }
    }
}

/* Through an aligned buffer; false when that did not bring everything. */
static bool read_bounced(um_file *file, const pieces *p)
{
    unsigned char *buffer = take_bounce(file);
    if (buffer == NULL) {
        return false;
    }
    unsigned char *aligned = buffer + (PAGE - (uintptr_t)buffer % PAGE) % PAGE;
    int64_t end = p->offset + (p->count - 1) * (int64_t)p->stride + (int64_t)p->bytes;
    int64_t at = p->offset / PAGE * PAGE;
    while (at < end) {
        int64_t want = (end - at + PAGE - 1) / PAGE * PAGE;
        ssize_t n = pread(file->past, aligned, (size_t)(want < BOUNCE ? want : BOUNCE), (off_t)at);
        if (n <= 0 || (n % PAGE != 0 && at + n < end)) {
            break;
        }
        pick(p, aligned, n, at);
        at += n;
    }
    give_bounce(file, buffer);
    return at >= end;
}

/* ---- reading -------------------------------------------------------------------------------- */

um_status um_file_read(um_file *file, const char *path, void *dst, size_t count, int64_t offset)
{
    if (goes_past(file, offset, (int64_t)count)) {
        pieces one = {dst, count, count, 1, offset};
        if (!atomic_load(&file->aligned_only) && read_straight(file, dst, count, offset)) {
            return UM_OK;
        }
        if (read_bounced(file, &one)) {
            return UM_OK;
        }
    }
    if (count >= SMALL) {
        bring(file, offset, (int64_t)count);
    }
    return um_pread_all(file->ctx, path, file->fd, dst, count, offset);
}

/* Pieces with gaps through the page cache, up to BATCH of them by one call: the gaps go to `trash`. */
enum { BATCH = 256, GAP = 4096 };

static um_status read_batch(const um_file *file, const char *path, const pieces *p)
{
    unsigned char trash[GAP];
    struct iovec parts[2 * BATCH];
    size_t gap = p->stride - p->bytes;
    int n = 0;
    for (int64_t i = 0; i < p->count; i++) {
        parts[n++] = (struct iovec){p->dst + (size_t)i * p->bytes, p->bytes};
        if (i + 1 < p->count && gap > 0) {
            parts[n++] = (struct iovec){trash, gap};
        }
    }
    size_t whole = (size_t)(p->count - 1) * p->stride + p->bytes;
    ssize_t got = preadv(file->fd, parts, n, (off_t)p->offset);
    if (got >= 0 && (size_t)got == whole) {
        return UM_OK;
    }
    for (int64_t i = 0; i < p->count;
         i++) { /* a short or failed call: one by one, with the message */
        UM_TRY(um_pread_all(file->ctx, path, file->fd, p->dst + (size_t)i * p->bytes, p->bytes,
                            p->offset + i * (int64_t)p->stride));
    }
    return UM_OK;
}

um_status um_file_gather(um_file *file, const char *path, void *dst, size_t bytes, size_t stride,
                         int64_t count, int64_t offset)
{
    pieces all = {dst, bytes, stride, count, offset};
    int64_t whole = (count - 1) * (int64_t)stride + (int64_t)bytes;
    if (stride == bytes) {
        return um_file_read(file, path, dst, (size_t)whole, offset);
    }
    bool near = stride - bytes <= GAP;
    if (near && goes_past(file, offset, whole) && read_bounced(file, &all)) {
        return UM_OK;
    }
    if (near) {
        bring(file, offset, whole);
    }
    int64_t batch = near ? BATCH : 1;
    for (int64_t i = 0; i < count; i += batch) {
        pieces some = {all.dst + (size_t)i * bytes, bytes, stride,
                       count - i < batch ? count - i : batch, offset + i * (int64_t)stride};
        UM_TRY(read_batch(file, path, &some));
    }
    return UM_OK;
}
