/* Reading the bytes of a file as fast as the disk gives them.
 *
 * Files that fit into the memory that nobody needs are read through the page cache, so that the next pass
 * and the next command find them there. Of larger ones the first part is; the rest is read past the cache
 * (O_DIRECT), which takes a tenth of the processor time and throws nobody's pages out, this file's own
 * included. Where the system refuses that, everything goes through the cache. What another program has left in
 * the cache is taken from there. */
#ifndef UM_FILE_H
#define UM_FILE_H

#include "base_internal.h"

#include <stdatomic.h>

enum { UM_FILE_SPARE = 4 };

typedef struct um_file {
    um_context *ctx;
    int fd;                   /* through the page cache */
    int past;                 /* past it; -1 where the system refuses */
    int64_t size;             /* when it was opened */
    int64_t kept;             /* bytes from the start that are read through the page cache */
    atomic_bool aligned_only; /* the system wants buffers aligned like disk blocks */
    _Atomic(void *) spare[UM_FILE_SPARE]; /* bounce buffers */
} um_file;

/* Bytes from the start of `total` bytes of files that should go through the page cache. */
int64_t um_file_room(um_context *ctx, int64_t total);
/* Opens a file with room for `kept` bytes; file->fd stays -1 on failure, with errno set. */
bool um_file_open(um_context *ctx, const char *path, um_file *file);
void um_file_close(um_file *file);
/* Takes from *room what this file may keep in the page cache. */
void um_file_take_room(um_file *file, int64_t *room);
/* `count` bytes from `offset` on; path for messages. Thread-safe. */
um_status um_file_read(um_file *file, const char *path, void *dst, size_t count, int64_t offset);
/* `count` pieces of `bytes`, `stride` bytes apart. */
um_status um_file_gather(um_file *file, const char *path, void *dst, size_t bytes, size_t stride,
                         int64_t count, int64_t offset);
/* The range will be read soon: starts to bring it into the page cache where it will be read from there. */
void um_file_will_read(const um_file *file, int64_t offset, int64_t count);

#endif
