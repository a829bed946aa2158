/* What the HDF5 files share: the lock, values of attributes, where the data lie, how they are laid
 * out. Every function here except um_h5_enter() and the chunk codecs wants the lock held. */
#ifndef UM_HDF5_INTERNAL_H
#define UM_HDF5_INTERNAL_H

#include "chunk_internal.h"
#include "io_internal.h"

#include <hdf5.h>

/* The HDF5 library is entered by one thread of the process at a time and prints nothing while we are
 * in it; the error handler of the host program is put back on leaving. */
typedef struct um_h5_guard {
    H5E_auto2_t handler;
    void *handler_data;
} um_h5_guard;
void um_h5_enter(um_h5_guard *guard);
void um_h5_leave(um_h5_guard *guard);
/* Innermost reason on HDF5's error stack, "" if none. */
void um_h5_reason(char *text, size_t size);

/* Before what is open in a written file, and it, are closed: whether all of it is on the disk. With `ok`
 * false the file is given up. libhdf5 cannot close a file that it cannot write, and crashes over it when
 * the process ends; so on failure the rest goes to memory that is thrown away, and closing works. On
 * failure the reason goes to text, unless one is there. */
bool um_h5_end_writing(hid_t file, bool ok, char *text, size_t size);

/* For reading, without file locks; negative on failure. */
hid_t um_h5_open_file(const char *path);

/* ---- values (hdf5_value.c) ------------------------------------------------------------------ */

/* As much of a UTF-8 text as fits, never half a character. */
void um_h5_copy_text(char *dst, size_t size, const char *text);
/* Text of a string attribute (fixed or variable length, Latin-1 made UTF-8), or a number printed.
 * False, and dst = "", when absent or of another kind; HyperSpy's "_None_" counts as absent. */
bool um_h5_attr_text(hid_t object, const char *name, char *dst, size_t size);
/* Text of any length, malloc'ed; NULL when absent. */
char *um_h5_attr_long_text(hid_t object, const char *name);
/* Number of a scalar or one-element attribute: integer, float, boolean enum or numeric text. */
bool um_h5_attr_number(hid_t object, const char *name, double *out);
/* Same for a scalar dataset. */
bool um_h5_dataset_number(hid_t group, const char *name, double *out);
bool um_h5_dataset_text(hid_t group, const char *name, char *dst, size_t size);
/* All attributes, small datasets and subgroups of a group, as a bounded JSON object; HyperSpy's name
 * prefixes are undone. Never NULL unless memory ends. */
json_t *um_h5_group_json(hid_t group);
/* Path exists as a link that resolves. */
bool um_h5_exists(hid_t location, const char *path);

/* ---- layout of the array -------------------------------------------------------------------- */

/* How stored elements become delivered ones. */
typedef enum um_h5_convert {
    UM_H5_SAME,
    UM_H5_SWAP,       /* big-endian */
    UM_H5_I64_TO_F64, /* exact below 2^53, checked */
    UM_H5_U64_TO_F64,
    UM_H5_HALF,       /* to f32; arrays in one piece are left to H5Dread */
    UM_H5_LIBRARY     /* odd precisions: H5Dread converts */
} um_h5_convert;

enum { UM_H5_MAX_RANK = 8 };

/* A numeric dataset seen as (dy, dx, ky, kx): dim[i] is the dataset's dimension of logical axis i or
 * -1 (length 1). Dimensions of the dataset that no axis uses have length 1. */
typedef struct um_h5_layout {
    int rank;
    hsize_t size[UM_H5_MAX_RANK];
    int dim[4];
    int64_t extent[4];
    um_dtype dtype; /* delivered */
    size_t stored_size;
    um_h5_convert convert;
    bool big_endian; /* of 64-bit integers and half floats */
} um_h5_layout;

/* Fills dtype, stored_size and convert. False when the type is not a number we take. */
bool um_h5_element_type(hid_t type, um_h5_layout *layout);
/* Rank and sizes of a dataset. False when it is not a simple array of 1..8 dimensions. */
bool um_h5_extent(hid_t dataset, um_h5_layout *layout);

/* ---- finding and calibrating (hdf5_find.c, hdf5_axes.c) -------------------------------------- */

typedef struct um_h5_found {
    hid_t dataset;
    char *path;         /* of the dataset in the file */
    const char *format; /* "hspy", "emd", "fpd", "hdf5" */
} um_h5_found;
um_status um_h5_find(um_context *ctx, const um_probe *probe, hid_t file, um_h5_found *found);

/* Chooses which dimensions are scan and which are detector, and calibrates info.axes. */
um_status um_h5_calibrate(um_context *ctx, const um_probe *probe, hid_t file,
                          const um_h5_found *found, um_h5_layout *layout, um_axis axes[4]);

/* ---- reading (hdf5_read.c, hdf5_chunks.c) ---------------------------------------------------- */

/* Takes over file, dataset and layout as the state of the source. */
um_status um_h5_reader_attach(um_source *source, hid_t file, hid_t dataset,
                              const um_h5_layout *layout);

/* `count` elements, also in place where they keep their size. False where a 64-bit integer has no exact double. */
bool um_h5_convert_run(const um_h5_layout *layout, const void *src, void *dst, size_t count);
um_status um_h5_too_wide(um_source *source);

/* The chunks of an array, in C order of their places. */
typedef struct um_h5_grid {
    int rank;
    hsize_t chunk[UM_H5_MAX_RANK];  /* elements of a chunk */
    hsize_t places[UM_H5_MAX_RANK]; /* chunks along each dimension */
    size_t total;                   /* product of places */
} um_h5_grid;
typedef struct um_h5_chunk_entry {
    uint64_t address;
    uint32_t size; /* 0: never written, all fill value */
    uint32_t mask;
} um_h5_chunk_entry;
/* Fills `entries` (zeroed, grid->total of them) from the file; false when the index is of a kind that we do not
 * read or looks damaged. The user block must be empty. */
bool um_h5_index_read(hid_t dataset, const um_file *file, const um_h5_grid *grid,
                      um_h5_chunk_entry *entries);

/* How the values of a chunk lie, by logical axis. */
typedef struct um_h5_chunk_shape {
    int64_t extent[4];
    size_t stride[4]; /* in elements */
    bool in_order;    /* y, x, ky, kx */
} um_h5_chunk_shape;
/* The part of one axis that a chunk and a region share: in the chunk, in the region, how long. */
typedef struct um_h5_overlap {
    int64_t from, to, count;
} um_h5_overlap;
enum { UM_H5_MOST_SLOTS = 32 };
/* Takes `count` decoded chunks that lie side by side along kx apart, pattern by pattern, into a region of
 * `size`: o[0..2] are what they all share with it, across[i] what chunk i does along kx. False where a 64-bit
 * integer has no exact double. */
bool um_h5_scatter(const um_h5_chunk_shape *shape, const um_h5_layout *layout, int count,
                   const unsigned char *const *chunks, const um_h5_overlap o[3], const um_h5_overlap *across,
                   const int64_t size[4], unsigned char *dst);

/* A chunked array whose chunks we decode ourselves; NULL when something about it is unusual. file is
 * for plain reading, NULL to fetch chunks by the library. Opening wants the lock, reading takes it. */
typedef struct um_h5_chunks um_h5_chunks;
um_h5_chunks *um_h5_chunks_open(um_source *source, hid_t dataset, const um_h5_layout *layout,
                                um_file *file);
/* Bytes of the budget that a thread in um_h5_chunks_read() takes. */
size_t um_h5_chunks_scratch(const um_h5_chunks *chunks);
/* Frees what no thread is using. */
void um_h5_chunks_rest(um_h5_chunks *chunks);
void um_h5_chunks_close(um_h5_chunks *chunks);
const int64_t *um_h5_chunks_extent(const um_h5_chunks *chunks); /* by logical axis */
/* The block start..start+size of the array by logical axis, each chunk decoded once. Thread-safe. */
um_status um_h5_chunks_read(um_h5_chunks *chunks, const int64_t start[4], const int64_t size[4],
                            void *dst);

/* The block will be read soon: a hint. */
void um_h5_chunks_will_read(um_h5_chunks *chunks, const int64_t start[4], const int64_t size[4]);

/* The filters of a dataset; false when there is one that we do not decode. */
bool um_h5_pipeline(hid_t creation, um_chunk_pipeline *pipeline);
/* Whether every stored chunk decodes to its full size: release 1.10 of the library reads past the end of
 * chunks that do not. True for what is not chunked; false when chunks are larger or more than that. */
bool um_h5_chunks_sound(hid_t dataset, size_t most_bytes, hsize_t most_chunks);
enum { UM_H5_SMALL_CHUNK = 1 << 20, UM_H5_FEW_CHUNKS = 256 };

/* ---- writing HyperSpy files (hspy_write.c) --------------------------------------------------- */

/* False when HDF5 refused. Strings are variable-length UTF-8, booleans HyperSpy's enum. */
bool um_h5_put_text(hid_t object, const char *name, const char *text);
bool um_h5_put_bool(hid_t object, const char *name, bool value);
bool um_h5_put_int(hid_t object, const char *name, int64_t value);
bool um_h5_put_number(hid_t object, const char *name, double value);
hid_t um_h5_bool_type(void);
hid_t um_h5_native_type(um_dtype dtype);
/* Chunked (gzip-4 + shuffle), as HyperSpy writes. mem_type says what data holds. */
bool um_h5_put_array(hid_t group, const char *name, hid_t file_type, hid_t mem_type, int ndim,
                     const hsize_t *shape, const void *data);
/* Creates the file and everything of it but `data`; hands out the experiment's group. */
typedef struct um_hspy_head {
    const char *title; /* may be NULL */
    um_shape shape;
    const um_axis *axes;
    const char *original; /* JSON text kept as original_metadata/unmix, may be NULL */
} um_hspy_head;
/* newest_layout allows attributes of any size, at the price of readers older than HDF5 1.10. */
um_status um_hspy_begin(um_context *ctx, const char *part, const um_hspy_head *head,
                        bool newest_layout, hid_t *file, hid_t *experiment);

#endif
