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

/* A NanoMEGAS blockfile; pattern p, pixel q hold gen_value(p, q, limit). Zero-initialise, set the rest. */
typedef struct gen_blo {
    unsigned nx, ny, side;
    unsigned magic;  /* 0 = 0x0102 */
    int bits;        /* 0 = 8; 16 adds the note's line */
    bool no_note;    /* 16 bit without the note's line */
    bool gamma_on;
    unsigned sdp;    /* 100 x pixels per cm */
    double step_nm;
    int64_t records; /* 0 = nx*ny */
    uint32_t limit;
} gen_blo;
void gen_blo_file(gen_bytes *out, const gen_blo *blo);

/* A Merlin file; pattern p (counted from `first_pattern`), pixel q of the delivered pattern hold
 * gen_value(p, q, limit). */
typedef struct gen_mib {
    bool raw, quad, no_mq1a, empty_thresholds;
    int bits;            /* processed pixel type: 8, 16, 32 */
    int depth;           /* counter depth: 1, 6, 12, 24 */
    int64_t rows, width; /* processed pattern; raw: rows per chip, width ignored */
    int64_t frames, first_pattern;
    int64_t line;        /* > 0: the gap after each `line` frames is longer */
    int64_t peak_line, peak_first; /* > 0: frames peak_first + i * peak_line have 20 times the exposure */
    uint32_t limit;
} gen_mib;
void gen_mib_shape(const gen_mib *mib, int64_t *ky, int64_t *kx);
void gen_mib_file(gen_bytes *out, const gen_mib *mib);
/* A side file: lines are "key:\tvalue\n" already. */
void gen_mib_side(gen_bytes *out, const char *lines);

#endif
