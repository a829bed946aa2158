/* unmix/io.h - scan files in, results out.
 *
 * A scan is a 4-D array (ny, nx, ky, kx) in C order: scan position (y, x), detector pixel (ky, kx).
 * Files of fewer dimensions are given leading ones: a 3-D array (n, ky, kx) is a line or stack of n
 * patterns (1, n, ky, kx); a 2-D array (n, m) is n positions of m pixels (1, n, 1, m).
 * No row or column is ever flipped or transposed against what the file stores. */
#ifndef UNMIX_IO_H
#define UNMIX_IO_H

#include "unmix/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_shape {
    int64_t ny, nx, ky, kx;
} um_shape;

/* value of index i = offset + scale * i, in `units`. Axes come in array order y, x, ky, kx. */
typedef struct um_axis {
    char name[32];
    char units[32]; /* "" = pixels, else as stored: "nm", "1/nm", "1/Å", ... (UTF-8) */
    double scale, offset;
    int64_t size;
    bool navigate;
} um_axis;

/* A rectangle of scan positions: rows y0 .. y0+ny-1, columns x0 .. x0+nx-1. */
typedef struct um_rect {
    int64_t y0, x0, ny, nx;
} um_rect;

/* Facts about files that do not tell themselves; zero-initialise, set what is known. */
typedef struct um_open_options {
    int64_t scan_ny, scan_nx; /* 0 = from the file. Reshapes the stack of patterns */
    bool allow_short;         /* accept a file that ends early: missing positions read as zero;
                                 see info.positions_present */
    bool growing;             /* the same of a file that is still being written: no warning that some are missing */
    const char *raw;          /* description of a flat file: "dtype=u16,ky=256,kx=256[,header=BYTES]
                                 [,frame_header=BYTES][,frame_footer=BYTES][,endian=big|little]" */
} um_open_options;

typedef struct um_source_info {
    const char *path;   /* as given, without the dataset part */
    const char *format; /* short name: "hspy", "hdf5", "emd", "fpd", "blo", "mib", "npy", "raw", "parts" */
    um_dtype dtype;     /* of what um_source_read() delivers, native endian */
    um_shape shape;
    um_axis axes[4];
    int64_t block_ny, block_nx; /* rectangle of positions that is cheapest to read at once (the chunk
                                   of a chunked file); 1 x nx where patterns lie one after another */
    size_t scratch_bytes;       /* of the memory budget that each thread in um_source_read() takes beyond
                                   dst, to decode; kept for the next read */
    int64_t positions_present;  /* < ny*nx when allow_short took a short file: first ones in C order */
} um_source_info;

typedef struct um_source um_source;

/* Opens a scan; the format is found from the content, never from the name alone. "file.h5:/path" names
 * a dataset. "part_*.npy" (a pattern as of the shell) and "@list.txt" (a text file with a name per line,
 * taken from its folder) name a scan in several files: parts of equal width follow one another by rows,
 * else by positions; patterns must be alike; files found by a pattern come in the order of the numbers
 * in their names. Reads headers only. The context must outlive the source.
 * Errors: UM_ERROR_IO, _FORMAT, _TRUNCATED, _UNSUPPORTED, _SHAPE, each with a line that says what to
 * do. */
UM_CHECK UM_API um_status um_source_open(um_context *ctx, const char *path,
                                         const um_open_options *options, um_source **out);
UM_API void um_source_free(um_source *source);
UM_API const um_source_info *um_source_get_info(const um_source *source);
/* The file's metadata as one JSON object (UTF-8), owned by the source. Never NULL. */
UM_API const char *um_source_metadata(const um_source *source);

/* Part i of a scan in several files, in their order (borrowed); NULL after the last, and for a single file. */
UM_API um_source *um_source_part(um_source *source, int i);

/* Reads the patterns of a rectangle into dst: rect.ny * rect.nx patterns in row-major order, each
 * ky*kx values of info.dtype, native endian. Thread-safe. Cost: the bytes covered (whole chunks for
 * chunked files). */
UM_CHECK UM_API um_status um_source_read(um_source *source, um_rect rect, void *dst);

/* SHA-256 of the file's bytes as 64 hex digits; for a file above 64 MiB, of its size (8 bytes, little
 * endian), its first 4 MiB, 64 evenly spaced blocks of 64 KiB and its last 4 MiB. For provenance. Of a scan in several files, of the
 * digests of these as text. */
UM_CHECK UM_API um_status um_source_digest(um_source *source, char hex[65]);

/* ---- sinks ---------------------------------------------------------------------------------- */

typedef struct um_sink_spec {
    um_shape shape;
    um_dtype dtype;
    um_axis axes[4];
    const char *title;       /* may be NULL */
    const char *metadata;    /* JSON object to keep with the data, may be NULL */
    const char *compression; /* of .hspy: NULL = "gzip", "none", "lz4", "blosc", "bitshuffle" */
    bool overwrite;          /* replace an existing file */
} um_sink_spec;

typedef struct um_sink um_sink;

/* Creates PATH.part in the format of the suffix (.hspy, .npy, .blo); um_sink_commit() syncs it and gives
 * it its name, um_sink_free() without commit removes it. A .blo holds square u8 patterns of at most
 * 65535 positions along each axis; others are refused with what to do. Rectangles may come in any order,
 * once each, and um_sink_write() may be called by several threads at once: each compresses what it brings.
 * Memory: .blo 4 bytes per position; .hspy 24 bytes per chunk, chunks that are not whole yet, and up to 8
 * per thread that are being compressed or wait for an earlier one (2 MB each, or two chunks; at most 1/16 of what
 * is free). Chunks lie in the file in the order of the scan, so that it has the same bytes for any number of
 * threads, as long as writers are not further apart than that. */
UM_CHECK UM_API um_status um_sink_create(um_context *ctx, const char *path,
                                         const um_sink_spec *spec, um_sink **out);
UM_CHECK UM_API um_status um_sink_write(um_sink *sink, um_rect rect, const void *patterns);
/* The positions that are best written at once: rectangles at multiples of these are whole chunks. */
UM_API void um_sink_block(const um_sink *sink, int64_t *ny, int64_t *nx);
UM_CHECK UM_API um_status um_sink_commit(um_sink *sink);
/* Optional, before um_sink_commit(): brings all that was written to PATH.part and closes it, so that a full disk is told
 * before another file that belongs to the scan gets its name. */
UM_CHECK UM_API um_status um_sink_finish(um_sink *sink);
UM_API void um_sink_free(um_sink *sink);

/* ---- small arrays --------------------------------------------------------------------------- */

/* A whole array in memory (masks, starts, truths, results), C order. */
typedef struct um_array {
    um_dtype dtype;
    int ndim; /* 0..6 */
    int64_t shape[6];
    void *data;
} um_array;

UM_API void um_array_free(um_array *array);
UM_API int64_t um_array_size(const um_array *array);
/* Element i as double, whatever the dtype. */
UM_API double um_array_get(const um_array *array, int64_t i);
/* Reads "a.npy", "a.npz:name", "a.hspy" (its data), "a.h5:/path", "a.tif" (stack -> 3-D), "a.png"
 * (grey or RGB -> luminance). Booleans come as UM_U8, 64-bit integers (labels) as UM_F64 when they are
 * exact. Fortran order is put into C order. Refuses more than 1 GiB. */
UM_CHECK UM_API um_status um_array_read(um_context *ctx, const char *spec, um_array **out);
/* Writes one array as .npy (overwrites; atomic). */
UM_CHECK UM_API um_status um_npy_write(um_context *ctx, const char *path, um_dtype dtype, int ndim,
                                       const int64_t *shape, const void *data);

/* A NumPy .npz under construction (stored, not compressed; zip64 when needed); atomic like a sink. */
typedef struct um_npz um_npz;
UM_CHECK UM_API um_status um_npz_create(um_context *ctx, const char *path, bool overwrite,
                                        um_npz **out);
UM_CHECK UM_API um_status um_npz_add(um_npz *npz, const char *name, um_dtype dtype, int ndim,
                                     const int64_t *shape, const void *data);
UM_CHECK UM_API um_status um_npz_add_bool(um_npz *npz, const char *name, int ndim,
                                          const int64_t *shape, const uint8_t *data);
UM_CHECK UM_API um_status um_npz_add_int(um_npz *npz, const char *name, int64_t value); /* 0-d int64 */
UM_CHECK UM_API um_status um_npz_add_text(um_npz *npz, const char *name, const char *utf8); /* 0-d U */
UM_CHECK UM_API um_status um_npz_commit(um_npz *npz);
UM_API void um_npz_free(um_npz *npz);

/* 32-bit float TIFF, one page per image of ny x nx; ImageJ and most programs read the calibration:
 * pixel size `scale` per pixel in `units`. Atomic. */
UM_CHECK UM_API um_status um_tiff_write(um_context *ctx, const char *path, int64_t pages, int64_t ny,
                                        int64_t nx, const float *data, double scale,
                                        const char *units);
/* 8-bit RGB (channels 3) or RGBA (4) PNG. Atomic. um_png_encode returns malloc'ed bytes. */
UM_CHECK UM_API um_status um_png_write(um_context *ctx, const char *path, int64_t height,
                                       int64_t width, int channels, const uint8_t *pixels);
UM_CHECK UM_API um_status um_png_encode(um_context *ctx, int64_t height, int64_t width, int channels,
                                        const uint8_t *pixels, uint8_t **bytes, size_t *count);

#ifdef __cplusplus
}
#endif
#endif
