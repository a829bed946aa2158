/* How a format joins io: one file, one row in the table of formats. */
#ifndef UM_IO_INTERNAL_H
#define UM_IO_INTERNAL_H

#include "base_internal.h"
#include "file.h"
#include "unmix/io.h"

#include <jansson.h>
#include <stdatomic.h>

#define UM_HOST_BIG_ENDIAN (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

/* A file while its format is being found. */
typedef struct um_probe {
    const char *path;         /* of the file alone */
    const char *dataset;      /* after "file:" or NULL */
    unsigned char head[4096]; /* first bytes */
    size_t head_size;
    int64_t file_size;
    bool part; /* of a scan in several files that the user named: no others belong to it */
} um_probe;

/* Formats are asked in the order of the table; the first that recognises the head opens the file. */
typedef struct um_reader {
    const char *name;
    bool (*recognise)(const um_probe *probe, const um_open_options *options);
    /* Fills source->info (path excepted), metadata, ops and state. On failure it has set the message;
     * close() is called whenever state was set. Must check every size against probe->file_size before
     * anything is allocated by it. */
    um_status (*open)(um_context *ctx, const um_probe *probe, const um_open_options *options,
                      um_source *source);
} um_reader;

typedef struct um_source_ops {
    /* rect lies inside the shape and inside the positions present. Thread-safe. */
    um_status (*read)(um_source *source, um_rect rect, void *dst);
    void (*close)(um_source *source);
    void (*will_read)(um_source *source, um_rect rect); /* NULL: does nothing */
    um_source *(*part)(um_source *source, int index); /* of several files; NULL after the last. NULL: one file */
    void (*rest)(um_source *source); /* frees what no read is using; thread-safe. NULL: nothing is kept */
} um_source_ops;

struct um_source {
    um_context *ctx;
    um_source_info info;
    char *path;
    json_t *metadata; /* object; made by the format */
    char *metadata_text;
    const um_source_ops *ops;
    void *state;
    int64_t *room; /* while it is opened as a part: what all parts may yet keep in the page cache */
};

/* Says that a rectangle will be read soon: the system begins to bring its bytes, and this returns at once.
 * A hint, for the part after the one being read; needs no thread of its own. Thread-safe. */
void um_source_will_read(um_source *source, um_rect rect);
/* Frees the scratch that is kept between reads: before a pass is planned, so that it is not counted twice. */
void um_source_rest(um_source *source);

/* A scan in several files (parts.c). Whether a spec names one; opens source->path as one. */
bool um_parts_named(const char *spec);
um_status um_parts_open(um_context *ctx, const um_open_options *options, um_source *source);
/* um_source_open() for a part of such a scan. */
um_status um_source_open_part(um_context *ctx, const char *path, const um_open_options *options,
                              int64_t *room, um_source **out);
/* Decides how much of a file of the source goes through the page cache. */
void um_source_take_room(um_source *source, um_file *file);

extern const um_reader um_format_hdf5; /* hspy, emd, fpd and any dataset */
extern const um_reader um_format_blo;
extern const um_reader um_format_mib;
extern const um_reader um_format_npy;
extern const um_reader um_format_raw;

/* Sink formats by suffix; the same contract as sources. create() finds sink->part as an empty file and
 * sets ops and state. Exactly one of finish and abandon is called when state was set; both release the
 * state, finish also when it fails. */
typedef struct um_sink_ops {
    um_status (*write)(um_sink *sink, um_rect rect, const void *patterns); /* by several threads at once */
    um_status (*finish)(um_sink *sink); /* flush and close PART; the caller renames */
    void (*abandon)(um_sink *sink);     /* close without care; the caller removes PART */
} um_sink_ops;

struct um_sink {
    um_context *ctx;
    char *path, *part;
    um_shape shape;
    um_dtype dtype;
    const um_sink_ops *ops;
    void *state;
    int64_t block_ny, block_nx; /* what is best written at once: set before create() */
    atomic_int_fast64_t positions_written;
    bool finished, complete, committed; /* tried to, did, and got its name */
};

typedef struct um_sink_format {
    const char *suffix;
    um_status (*create)(um_context *ctx, const um_sink_spec *spec, um_sink *sink);
} um_sink_format;
extern const um_sink_format um_sink_format_blo;
extern const um_sink_format um_sink_format_hspy;
extern const um_sink_format um_sink_format_npy;

/* ---- shared helpers of the readers ---------------------------------------------------------- */

/* Default axes: names y x ky kx, scale 1, offset 0, units "" (pixels). Sizes from shape. */
void um_axes_default(um_axis axes[4], um_shape shape);
void um_axis_set(um_axis *axis, const char *name, double scale, double offset, const char *units);
/* Applies options->scan_* (or keeps ny, nx), checks ny*nx against `patterns` found in the file, and
 * positions_present / allow_short. Sets info.shape.ny/nx, positions_present. The message tells shapes
 * that would fit. */
um_status um_scan_shape(um_context *ctx, const um_probe *probe, const um_open_options *options,
                        int64_t ny, int64_t nx, int64_t patterns, um_source *source);
um_status um_pread_all(um_context *ctx, const char *path, int fd, void *dst, size_t count,
                       int64_t offset);
void um_swap_bytes(void *data, size_t count, size_t width);

/* Patterns at offset + p*stride of one file, `width`-byte pixels, optionally big-endian: what .blo,
 * .mib (processed), .npy and flat raw files share. */
typedef struct um_frames {
    um_file *file;
    int64_t offset, stride; /* bytes */
    bool big_endian;
} um_frames;
extern const um_source_ops um_frames_ops; /* of sources whose state is a um_frames */
/* Patterns first .. first+count-1 of one file (path for messages), native endian. */
um_status um_frames_run(um_source *source, const char *path, um_frames *frames, int64_t first,
                        int64_t count, void *dst);
/* Opens the file for such a reader: source->state becomes the um_frames, with the file set. */
um_status um_frames_open(um_context *ctx, const um_probe *probe, um_source *source,
                         um_frames **frames);

/* PATH.part made as an empty file (name in *part, the caller frees it), refusing an existing PATH unless
 * overwrite; and the end of it: fsync, rename, fsync of the folder. A failed commit removes PART; the
 * caller that gives up earlier unlinks it. */
um_status um_part_begin(um_context *ctx, const char *path, bool overwrite, char **part);
um_status um_part_commit(um_context *ctx, const char *part, const char *path);
um_status um_pwrite_all(um_context *ctx, const char *path, int fd, const void *bytes, size_t count,
                        int64_t offset);
/* A whole small file at once, through PART. */
um_status um_file_write(um_context *ctx, const char *path, bool overwrite, const void *bytes,
                        size_t count);

/* Latin-1 text of instrument headers as a JSON string; trailing blanks and control letters go. */
json_t *um_json_latin1(const char *text, size_t count);

/* "file:rest" where only the part before some ':' is a file: *file (the caller frees it) and *part inside
 * spec, NULL when spec as a whole exists or nothing fits. */
um_status um_path_split(um_context *ctx, const char *spec, char **file, const char **part);

/* ---- the NumPy header ----------------------------------------------------------------------- */

typedef struct um_npy_header {
    char kind;  /* 'u', 'i', 'f', 'b' */
    int width;  /* bytes: 1, 2, 4, 8 */
    bool big_endian, fortran;
    int ndim; /* 0..6 */
    int64_t shape[6];
    int64_t data_offset; /* from the start of the npy */
    size_t data_size;    /* product of shape and width */
} um_npy_header;

bool um_npy_recognise(const void *bytes, size_t count);
/* Parses the header that `bytes` start with; `name` is for messages. Needs all of the header:
 * um_npy_header_size() tells its size from the first 12 bytes, 0 if they are no npy of sane size. */
size_t um_npy_header_size(const void *bytes, size_t count);
um_status um_npy_parse(um_context *ctx, const char *name, const void *bytes, size_t count,
                       um_npy_header *out);
/* The element type as um_dtype (bool as UM_U8), or a refusal with advice. */
um_status um_npy_dtype(um_context *ctx, const char *name, const um_npy_header *header,
                       um_dtype *out);
/* Makes a version 1 header, padded to a multiple of 64, for a descr such as "<u2"; malloc'ed. */
um_status um_npy_make_header(um_context *ctx, const char *descr, int ndim, const int64_t *shape,
                             char **bytes, size_t *count);
/* "<u2", "|u1", ... of a dtype in host order. */
void um_npy_descr(um_dtype dtype, char descr[8]);

/* ---- whole arrays --------------------------------------------------------------------------- */

#define UM_ARRAY_LIMIT ((size_t)1 << 30)
/* Zeroed array within UM_ARRAY_LIMIT and the budget; `name` is for messages. */
um_status um_array_make(um_context *ctx, const char *name, um_dtype dtype, int ndim,
                        const int64_t *shape, um_array **out);
um_status um_png_read(um_context *ctx, const char *path, um_array **out);
um_status um_tiff_read(um_context *ctx, const char *path, um_array **out); /* 1 page: 2-D, else 3-D */

#endif
