/* The .hspy sink: a chunked array. Who completes a chunk compresses it, and it waits until those before it in the scan
 * have been handed to HDF5, so that the file has one order whatever the number of writers. */
#include "hdf5_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_PATTERN_CHUNK = 64 << 20, BENCH_SHARE = 16, BENCHES_PER_THREAD = 8 };

/* Where a chunk is compressed, and waits: the two buffers of the codecs. */
typedef struct bench {
    um_bytes data, other;
} bench;

/* A block of whole patterns that are compressed together: one chunk, or several when a pattern is so
 * large that it is cut between detector rows (then a cell is one pattern). */
typedef struct cell {
    unsigned char *data;
    int64_t missing; /* positions */
    bench *waiting;  /* compressed */
    bool stored;
} cell;

typedef struct hspy_sink {
    hid_t file, experiment, dataset;
    pthread_mutex_t lock; /* of all that changes: below */
    pthread_cond_t bench_freed;
    um_chunk_pipeline pipeline;
    int64_t cell_ny, cell_nx, chunk_ky;
    int64_t cells_y, cells_x;
    size_t pattern_bytes, cell_bytes, chunk_bytes;
    cell *cells;
    bench *benches;
    bench **idle;
    int bench_count, idle_count, busy; /* the rest holds chunks that wait */
    int64_t next;                      /* first cell that is not stored */
} hspy_sink;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- geometry and filters ------------------------------------------------------------------- */

static void choose_cells(hspy_sink *h, const um_sink *sink, size_t width)
{
    const um_shape s = sink->shape;
    size_t row = (size_t)s.kx * width;
    h->pattern_bytes = row * (size_t)s.ky;
    h->chunk_ky = s.ky;
    if (h->pattern_bytes > LARGEST_PATTERN_CHUNK) {
        h->chunk_ky = row < LARGEST_PATTERN_CHUNK ? LARGEST_PATTERN_CHUNK / (int64_t)row : 1;
    }
    h->cell_nx = sink->block_nx;
    h->cell_ny = sink->block_ny;
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

/* ---- benches; with the lock held ------------------------------------------------------------ */

static um_status store_chunk(um_sink *sink, int64_t index, int64_t ky, const bench *b)
{
    hspy_sink *h = sink->state;
    const hsize_t offset[4] = {(hsize_t)(index / h->cells_x * h->cell_ny), (hsize_t)(index % h->cells_x * h->cell_nx),
                               (hsize_t)ky, 0};
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = H5Dwrite_chunk(h->dataset, H5P_DEFAULT, 0, offset, b->data.size, b->data.data) >= 0
                           ? UM_OK
                           : failure(sink);
    um_h5_leave(&guard);
    return status;
}

static void give_bench(hspy_sink *h, bench *b)
{
    h->idle[h->idle_count++] = b;
    pthread_cond_signal(&h->bench_freed);
}

static um_status store_waiting(um_sink *sink, int64_t index)
{
    hspy_sink *h = sink->state;
    cell *c = &h->cells[index];
    um_status status = store_chunk(sink, index, 0, c->waiting);
    give_bench(h, c->waiting);
    c->waiting = NULL;
    c->stored = true;
    return status;
}

/* Stores the cells whose turn it is. */
static um_status advance(um_sink *sink)
{
    hspy_sink *h = sink->state;
    um_status status = UM_OK;
    while (status == UM_OK && h->next < h->cells_y * h->cells_x) {
        if (h->cells[h->next].waiting != NULL) {
            status = store_waiting(sink, h->next);
        }
        if (!h->cells[h->next].stored) {
            break;
        }
        h->next++;
    }
    return status;
}

/* A bench to work at. Others may be far ahead of the cell whose turn it is: then the first that waits is stored. */
static um_status take_bench(um_sink *sink, bench **out)
{
    hspy_sink *h = sink->state;
    while (h->idle_count == 0) {
        if (h->busy > 0) {
            pthread_cond_wait(&h->bench_freed, &h->lock);
            continue;
        }
        int64_t first = h->next;
        while (h->cells[first].waiting == NULL) {
            first++;
        }
        UM_TRY(store_waiting(sink, first));
    }
    h->busy++;
    *out = h->idle[--h->idle_count];
    return UM_OK;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static um_status encode(um_sink *sink, bench *b, const unsigned char *values, size_t bytes)
{
    hspy_sink *h = sink->state;
    memcpy(b->data.data, values, bytes);
    memset(b->data.data + bytes, 0, h->chunk_bytes - bytes);
    b->data.size = h->chunk_bytes;
    const char *wrong = um_chunk_encode(&h->pipeline, &b->data, &b->other);
    return wrong == NULL ? UM_OK
                         : um_fail(sink->ctx, UM_ERROR_INTERNAL, "%s: a chunk: %s", sink->path, wrong);
}

/* A pattern in several chunks, which do not wait. */
static um_status put_large(um_sink *sink, int64_t index, bench *b, const unsigned char *values)
{
    hspy_sink *h = sink->state;
    size_t row = (size_t)sink->shape.kx * um_dtype_size(sink->dtype);
    for (int64_t ky = 0; ky < sink->shape.ky; ky += h->chunk_ky) {
        size_t at = (size_t)ky * row, left = h->cell_bytes - at;
        UM_TRY(encode(sink, b, values + at, left < h->chunk_bytes ? left : h->chunk_bytes));
        pthread_mutex_lock(&h->lock);
        um_status status = store_chunk(sink, index, ky, b);
        pthread_mutex_unlock(&h->lock);
        UM_TRY(status);
    }
    return UM_OK;
}

static um_status put_cell(um_sink *sink, int64_t index, const unsigned char *values, size_t bytes)
{
    hspy_sink *h = sink->state;
    const bool large = h->chunk_ky < sink->shape.ky;
    bench *b = NULL;
    pthread_mutex_lock(&h->lock);
    um_status status = take_bench(sink, &b);
    pthread_mutex_unlock(&h->lock);
    UM_TRY(status);
    status = large ? put_large(sink, index, b, values) : encode(sink, b, values, bytes);
    pthread_mutex_lock(&h->lock);
    h->busy--;
    if (status != UM_OK || large) {
        h->cells[index].stored = true;
        give_bench(h, b);
    } else {
        h->cells[index].waiting = b;
        pthread_cond_signal(&h->bench_freed); /* a chunk that waits can make room too */
    }
    um_status later = advance(sink);
    pthread_mutex_unlock(&h->lock);
    return status != UM_OK ? status : later;
}

typedef struct range {
    int64_t from_y, end_y, from_x, end_x;
} range;

/* Copies what `rect` has of a cell; *whole is the cell's patterns once they are all there, then the caller's. */
static um_status fill_cell(um_sink *sink, cell *c, int64_t y0, int64_t x0, const range *r, um_rect rect,
                           const unsigned char *patterns, unsigned char **whole)
{
    hspy_sink *h = sink->state;
    if (c->data == NULL) {
        c->missing = (least(y0 + h->cell_ny, sink->shape.ny) - y0) * (least(x0 + h->cell_nx, sink->shape.nx) - x0);
        UM_TRY(um_buffer_alloc(sink->ctx, h->cell_bytes, 1, "patterns waiting for their chunk", &c->data));
    }
    for (int64_t y = r->from_y; y < r->end_y; y++) {
        const unsigned char *src =
            patterns + (size_t)((y - rect.y0) * rect.nx + r->from_x - rect.x0) * h->pattern_bytes;
        memcpy(c->data + (size_t)((y - y0) * h->cell_nx + r->from_x - x0) * h->pattern_bytes, src,
               (size_t)(r->end_x - r->from_x) * h->pattern_bytes);
    }
    c->missing -= (r->end_y - r->from_y) * (r->end_x - r->from_x);
    if (c->missing == 0) {
        *whole = c->data;
        c->data = NULL;
    }
    return UM_OK;
}

/* Adds what `rect` has of a cell, and puts the cell once it is whole. */
static um_status write_cell(um_sink *sink, int64_t cy, int64_t cx, um_rect rect, const unsigned char *patterns)
{
    hspy_sink *h = sink->state;
    int64_t index = cy * h->cells_x + cx, y0 = cy * h->cell_ny, x0 = cx * h->cell_nx;
    const range r = {y0 > rect.y0 ? y0 : rect.y0, least(y0 + h->cell_ny, rect.y0 + rect.ny),
                     x0 > rect.x0 ? x0 : rect.x0, least(x0 + h->cell_nx, rect.x0 + rect.nx)};
    const bool as_they_are = rect.nx == h->cell_nx || r.end_y == r.from_y + 1;
    if (as_they_are && r.end_x - r.from_x == h->cell_nx && r.from_y == y0 &&
        r.end_y == least(y0 + h->cell_ny, sink->shape.ny)) {
        const unsigned char *src = patterns + (size_t)((y0 - rect.y0) * rect.nx + x0 - rect.x0) * h->pattern_bytes;
        return put_cell(sink, index, src, (size_t)((r.end_y - y0) * h->cell_nx) * h->pattern_bytes);
    }
    unsigned char *whole = NULL;
    pthread_mutex_lock(&h->lock);
    um_status status = fill_cell(sink, &h->cells[index], y0, x0, &r, rect, patterns, &whole);
    pthread_mutex_unlock(&h->lock);
    if (whole != NULL) {
        status = put_cell(sink, index, whole, h->cell_bytes);
        um_buffer_free(sink->ctx, whole);
    }
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

static void free_benches(um_context *ctx, hspy_sink *h)
{
    for (int i = 0; i < h->bench_count; i++) {
        um_buffer_free(ctx, h->benches[i].data.data);
        um_buffer_free(ctx, h->benches[i].other.data);
    }
    free(h->benches);
    free(h->idle);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->bench_freed);
}

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
    free_benches(sink->ctx, h);
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
    bool ok = H5Pset_chunk(creation, 4, chunk) >= 0 && H5Pset_obj_track_times(creation, false) >= 0;
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

/* One bench, or several for each thread where they take but a part of what is free. */
static um_status allocate(um_context *ctx, hspy_sink *h)
{
    const size_t capacity = um_chunk_capacity(h->chunk_bytes);
    const int most = BENCHES_PER_THREAD * um_context_threads(ctx);
    UM_TRY(um_buffer_alloc(ctx, (size_t)(h->cells_y * h->cells_x), sizeof(cell), "a list of chunks", &h->cells));
    h->benches = calloc((size_t)most, sizeof *h->benches);
    h->idle = calloc((size_t)most, sizeof(bench *));
    if (h->benches == NULL || h->idle == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory to compress chunks");
    }
    size_t room = (um_context_memory(ctx) - um_context_memory_in_use(ctx)) / BENCH_SHARE;
    for (int i = 0; i < most && (i == 0 || (size_t)(i + 1) * 2 * capacity <= room); i++) {
        bench *b = &h->benches[h->bench_count++];
        b->data.capacity = b->other.capacity = capacity;
        UM_TRY(um_buffer_alloc(ctx, capacity, 1, "a chunk to write", &b->data.data));
        UM_TRY(um_buffer_alloc(ctx, capacity, 1, "a chunk to write", &b->other.data));
        h->idle[h->idle_count++] = b;
    }
    return UM_OK;
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
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->bench_freed, NULL);
    unsigned width = (unsigned)um_dtype_size(spec->dtype);
    choose_cells(h, sink, width);
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
