/* Files of known content for unit tests and fuzz seeds, written without any of the readers' code. */
#ifndef UM_GEN_FILES_H
#define UM_GEN_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes under construction. */
typedef struct gen_bytes {
    unsigned char *data;
    size_t size, capacity;
} gen_bytes;

void gen_put(gen_bytes *bytes, const void *data, size_t count);
void gen_put_text(gen_bytes *bytes, const char *text); /* without the NUL */
void gen_put_fill(gen_bytes *bytes, int value, size_t count);
void gen_put_le(gen_bytes *bytes, uint64_t value, int width);
void gen_put_be(gen_bytes *bytes, uint64_t value, int width);
void gen_clear(gen_bytes *bytes);

/* A folder that is removed with all that is in it. Its name holds blanks and non-ASCII letters. */
void gen_folder_make(char folder[256]);
void gen_folder_remove(const char *folder);
/* FOLDER/NAME into path. */
void gen_path(char path[512], const char *folder, const char *name);
void gen_write(const char *path, const void *data, size_t count);

/* What every generated scan holds at position p, pixel q: a number below `limit` (a power of 2). */
uint32_t gen_value(int64_t p, int64_t q, uint32_t limit);

/* NumPy header and data: descr such as "<u2" or ">f4"; element i of the flat array is
 * gen_value(i / pixels, i % pixels, limit), with pixels = product of the last two sizes. */
void gen_npy(gen_bytes *out, int version, const char *descr, int ndim, const int64_t *shape,
             uint32_t limit);
/* Any dictionary text. */
void gen_npy_head(gen_bytes *out, int version, const char *dictionary);

#endif
