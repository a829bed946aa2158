/* The .hspy sink: a chunked array; chunks are compressed here and handed to HDF5 as they are to lie. */
#include "hdf5_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20, LARGEST_PATTERN_CHUNK = 64 << 20 };

/* A block of whole patterns that are compressed together: one chunk, or several when a pattern is so
 * large that it is cut between detector rows (then a cell is one pattern). */
typedef struct cell {
    unsigned char *data;
    int64_t missing; /* positions */
} cell;

typedef struct hspy_sink {
    hid_t file, experiment, dataset;
    um_chunk_pipeline pipeline;
    int64_t cell_ny, cell_nx, chunk_ky;
    int64_t cells_y, cells_x;
    size_t pattern_bytes, cell_bytes, chunk_bytes;
    cell *cells;
    um_bytes data, other; /* for the codecs */
} hspy_sink;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- geometry and filters ------------------------------------------------------------------- */

static void choose_cells(hspy_sink *h, um_shape s, size_t width)
{
    size_t row = (size_t)s.kx * width;
    h->pattern_bytes = row * (size_t)s.ky;
    int64_t patterns = h->pattern_bytes < CHUNK_BYTES ? CHUNK_BYTES / (int64_t)h->pattern_bytes : 1;
    h->chunk_ky = s.ky;
    if (h->pattern_bytes > LARGEST_PATTERN_CHUNK) {
        h->chunk_ky = row < LARGEST_PATTERN_CHUNK ? LARGEST_PATTERN_CHUNK / (int64_t)row : 1;
    }
    h->cell_nx = least(patterns, s.nx);
    h->cell_ny = least(patterns / h->cell_nx, s.ny);
    h->cells_x = (s.nx + h->cell_nx - 1) / h->cell_nx;
    h->cells_y = (s.ny + h->cell_ny - 1) / h->cell_ny;
    h->cell_bytes = (size_t)(h->cell_ny * h->cell_nx) * h->pattern_bytes;
    h->chunk_bytes = (size_t)(h->cell_ny * h->cell_nx * h->chunk_ky) * row;
}

static um_chunk_filter *add_filter(um_chunk_pipeline *pipeline, int id)
{
    um_chunk_filter *filter = &pipeline->filters[pipeline->count++];
    *filter = (um_chunk_filter){.id = id};
    return filter;
}

static void add_shuffle(um_chunk_pipeline *pipeline, unsigned width)
{
    if (width > 1) {
        um_chunk_filter *f = add_filter(pipeline, UM_FILTER_SHUFFLE);
        f->value_count = 1;
        f->values[0] = width;
    }
}

/* gzip is the default because every HDF5 reads it. */
static bool choose_filters(hspy_sink *h, const char *name, unsigned width)
{
    um_chunk_pipeline *p = &h->pipeline;
    if (name == NULL || strcmp(name, "gzip") == 0) {
        add_shuffle(p, width);
        um_chunk_filter *f = add_filter(p, UM_FILTER_DEFLATE);
        f->value_count = 1;
        f->values[0] = 1;
    } else if (strcmp(name, "lz4") == 0) {
        add_shuffle(p, width);
        add_filter(p, UM_FILTER_LZ4);
    } else if (strcmp(name, "blosc") == 0) {
        const unsigned values[7] = {2, 2, width, (unsigned)h->chunk_bytes, 5, 1, 1};
        um_chunk_filter *f = add_filter(p, UM_FILTER_BLOSC);
        f->value_count = 7;
        memcpy(f->values, values, sizeof values);
    } else if (strcmp(name, "bitshuffle") == 0) {
        const unsigned values[5] = {0, 3, width, 0, 2};
        um_chunk_filter *f = add_filter(p, UM_FILTER_BITSHUFFLE);
        f->value_count = 5;
        memcpy(f->values, values, sizeof values);
    } else {
        return strcmp(name, "none") == 0;
    }
    return true;
}

/* ---- writing -------------------------------------------------------------------------------- */

#define WRITE_FAILED "%s: HDF5 cannot write this file (%s)"

static um_status failure(um_sink *sink)
{
    char reason[200];
    um_h5_reason(reason, sizeof reason);
    return um_fail(sink->ctx, UM_ERROR_IO, WRITE_FAILED, sink->path, reason);
}

/* Compresses and stores `bytes` of values as the chunk at (y, x, ky). */
static um_status put_chunk(um_sink *sink, const hsize_t offset[4], const unsigned char *values,
                           size_t bytes)
{
    hspy_sink *h = sink->state;
    memcpy(h->data.data, values, bytes);
    memset(h->data.data + bytes, 0, h->chunk_bytes - bytes);
    h->data.size = h->chunk_bytes;
    const char *wrong = um_chunk_encode(&h->pipeline, &h->data, &h->other);
    if (wrong != NULL) {
        return um_fail(sink->ctx, UM_ERROR_INTERNAL, "%s: a chunk: %s", sink->path, wrong);
    }
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = H5Dwrite_chunk(h->dataset, H5P_DEFAULT, 0, offset, h->data.size,
                                      h->data.data) >= 0
                           ? UM_OK
                           : failure(sink);
    um_h5_leave(&guard);
    return status;
}

static um_status put_cell(um_sink *sink, int64_t cy, int64_t cx, const unsigned char *values)
{
    hspy_sink *h = sink->state;
    hsize_t offset[4] = {(hsize_t)(cy * h->cell_ny), (hsize_t)(cx * h->cell_nx), 0, 0};
    for (int64_t ky = 0; ky < sink->shape.ky; ky += h->chunk_ky) {
        offset[2] = (hsize_t)ky;
        size_t at = (size_t)ky * (size_t)sink->shape.kx * um_dtype_size(sink->dtype);
        size_t left = h->cell_bytes - at;
        UM_TRY(put_chunk(sink, offset, values + at, left < h->chunk_bytes ? left : h->chunk_bytes));
    }
    return UM_OK;
}

/* Adds what `rect` has of a cell, and stores the cell once it is whole. */
static um_status write_cell(um_sink *sink, int64_t cy, int64_t cx, um_rect rect,
                            const unsigned char *patterns)
{
    hspy_sink *h = sink->state;
    int64_t y0 = cy * h->cell_ny;
    int64_t x0 = cx * h->cell_nx;
    int64_t y_end = least(y0 + h->cell_ny, sink->shape.ny);
    int64_t x_end = least(x0 + h->cell_nx, sink->shape.nx);
    cell *c = &h->cells[cy * h->cells_x + cx];
    if (c->data == NULL) {
        c->missing = (y_end - y0) * (x_end - x0);
        UM_TRY(um_buffer_alloc(sink->ctx, h->cell_bytes, 1, "patterns waiting for their chunk",
                               &c->data));
    }
    int64_t from_y = y0 > rect.y0 ? y0 : rect.y0;
    int64_t from_x = x0 > rect.x0 ? x0 : rect.x0;
    y_end = least(y_end, rect.y0 + rect.ny);
    x_end = least(x_end, rect.x0 + rect.nx);
    for (int64_t y = from_y; y < y_end; y++) {
        const unsigned char *src = patterns + (size_t)((y - rect.y0) * rect.nx + from_x - rect.x0) *
                                                  h->pattern_bytes;
        memcpy(c->data + (size_t)((y - y0) * h->cell_nx + from_x - x0) * h->pattern_bytes, src,
               (size_t)(x_end - from_x) * h->pattern_bytes);
    }
    c->missing -= (y_end - from_y) * (x_end - from_x);
    if (c->missing > 0) {
        return UM_OK;
    }
    um_status status = put_cell(sink, cy, cx, c->data);
    um_buffer_free(sink->ctx, c->data);
    c->data = NULL;
    return status;
}

static um_status write_rect(um_sink *sink, um_rect rect, const void *patterns)
{
    hspy_sink *h = sink->state;
    int64_t last_y = (rect.y0 + rect.ny - 1) / h->cell_ny;
    int64_t last_x = (rect.x0 + rect.nx - 1) / h->cell_nx;
    for (int64_t cy = rect.y0 / h->cell_ny; cy <= last_y; cy++) {
        for (int64_t cx = rect.x0 / h->cell_nx; cx <= last_x; cx++) {
            UM_TRY(write_cell(sink, cy, cx, rect, patterns));
        }
    }
    return UM_OK;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static bool close_all(um_sink *sink, hspy_sink *h, bool keep)
{
    bool ok = keep;
    char reason[200] = "";
    um_h5_guard guard;
    um_h5_enter(&guard);
    if (h->file >= 0) {
        ok = um_h5_end_writing(h->file, ok, reason, sizeof reason);
    }
    if (h->dataset >= 0) {
        ok = H5Dclose(h->dataset) >= 0 && ok;
    }
    if (h->experiment >= 0) {
        ok = H5Gclose(h->experiment) >= 0 && ok;
    }
    if (h->file >= 0) {
        ok = H5Fclose(h->file) >= 0 && ok;
    }
    if (!ok && keep) {
        (void)um_fail(sink->ctx, UM_ERROR_IO, WRITE_FAILED, sink->path, reason);
    }
    um_h5_leave(&guard);
    for (int64_t i = 0; h->cells != NULL && i < h->cells_y * h->cells_x; i++) {
        um_buffer_free(sink->ctx, h->cells[i].data);
    }
    um_buffer_free(sink->ctx, h->cells);
    um_buffer_free(sink->ctx, h->data.data);
    um_buffer_free(sink->ctx, h->other.data);
    free(h);
    sink->state = NULL;
    return ok;
}

static um_status finish(um_sink *sink)
{
    return close_all(sink, sink->state, true) ? UM_OK : UM_ERROR_IO;
}

static void abandon(um_sink *sink)
{
    close_all(sink, sink->state, false);
}

static hid_t create_dataset(const hspy_sink *h, const um_sink_spec *spec)
{
    const um_shape s = spec->shape;
    const hsize_t size[4] = {(hsize_t)s.ny, (hsize_t)s.nx, (hsize_t)s.ky, (hsize_t)s.kx};
    const hsize_t chunk[4] = {(hsize_t)h->cell_ny, (hsize_t)h->cell_nx, (hsize_t)h->chunk_ky,
                              (hsize_t)s.kx};
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(4, size, NULL);
    bool ok = H5Pset_chunk(creation, 4, chunk) >= 0;
    for (int i = 0; ok && i < h->pipeline.count; i++) {
        const um_chunk_filter *f = &h->pipeline.filters[i];
        /* Optional, because this HDF5 need not have the filter: it only keeps what we compressed. */
        ok = f->id == UM_FILTER_SHUFFLE   ? H5Pset_shuffle(creation) >= 0
             : f->id == UM_FILTER_DEFLATE ? H5Pset_deflate(creation, f->values[0]) >= 0
                                          : H5Pset_filter(creation, f->id, H5Z_FLAG_OPTIONAL,
                                                          f->value_count, f->values) >= 0;
    }
    hid_t dataset = ok ? H5Dcreate2(h->experiment, "data", um_h5_native_type(spec->dtype), space,
                                    H5P_DEFAULT, creation, H5P_DEFAULT)
                       : -1;
    H5Sclose(space);
    H5Pclose(creation);
    return dataset;
}

static um_status allocate(um_context *ctx, hspy_sink *h)
{
    h->data.capacity = h->other.capacity = um_chunk_capacity(h->chunk_bytes);
    UM_TRY(um_buffer_alloc(ctx, (size_t)(h->cells_y * h->cells_x), sizeof(cell), "a list of chunks",
                           &h->cells));
    UM_TRY(um_buffer_alloc(ctx, h->data.capacity, 1, "a chunk to write", &h->data.data));
    return um_buffer_alloc(ctx, h->other.capacity, 1, "a chunk to write", &h->other.data);
}

static um_status create(um_context *ctx, const um_sink_spec *spec, um_sink *sink)
{
    static const um_sink_ops ops = {write_rect, finish, abandon};
    hspy_sink *h = calloc(1, sizeof *h);
    if (h == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to write it", sink->path);
    }
    h->file = h->experiment = h->dataset = -1;
    sink->ops = &ops;
    sink->state = h; /* from here on abandon() clears up */
    unsigned width = (unsigned)um_dtype_size(spec->dtype);
    choose_cells(h, spec->shape, width);
    if (!choose_filters(h, spec->compression, width)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "%s: compression %s is unknown: use none, gzip, lz4, blosc or bitshuffle",
                       sink->path, spec->compression);
    }
    UM_TRY(allocate(ctx, h));
    um_hspy_head head = {spec->title, spec->shape, spec->axes, spec->metadata};
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = um_hspy_begin(ctx, sink->part, &head, false, &h->file, &h->experiment);
    if (status == UM_OK) {
        h->dataset = create_dataset(h, spec);
        status = h->dataset >= 0 ? UM_OK : failure(sink);
    }
    um_h5_leave(&guard);
    return status;
}

const um_sink_format um_sink_format_hspy = {".hspy", create};
