/* Chunks read and decoded outside the HDF5 library, in the thread that wants them. */
#include "hdf5_internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* H5Dget_chunk_info() of HDF5 1.10 walks all chunks before the one asked for, so a list of addresses costs the
 * square of their number: worth it for few where we cannot read the index ourselves. More are fetched by the
 * library, as they lie, one by one, and still decoded here. */
enum { LISTED_CHUNKS = 2048 };

static const size_t ROW_BYTES = (size_t)8 << 20;

/* Two buffers to decode with, and the chunks of a row where there are slots for more than one; which chunks they
 * were last used for. */
typedef struct scratch {
    struct scratch *next;
    um_bytes data, other;
    int64_t held;
    unsigned char *row;
    int64_t holds[UM_H5_MOST_SLOTS];
} scratch;

struct um_h5_chunks {
    um_source *source;
    hid_t dataset;
    um_h5_layout layout;
    um_chunk_pipeline pipeline;
    um_h5_grid grid;
    size_t chunk_bytes;
    um_h5_chunk_shape shape;
    int slots; /* chunks side by side along kx that are decoded before they are taken apart */
    unsigned char fill[16];
    um_file *file; /* NULL: chunks are fetched by the library */
    um_h5_chunk_entry *entries; /* by place in the grid; NULL when the library is to fetch them */
    bool looked;                /* for the entries */
    pthread_mutex_t lock;
    scratch *spare;
};

/* ---- scratch -------------------------------------------------------------------------------- */

/* Chunks have powers of two of bytes: without a gap their rows would want the same places in the cache. */
static size_t slot_bytes(const um_h5_chunks *c)
{
    enum { GAP = 5 * 64 };
    return c->chunk_bytes + GAP;
}

static void scratch_free(um_h5_chunks *c, scratch *s)
{
    um_buffer_free(c->source->ctx, s->data.data);
    um_buffer_free(c->source->ctx, s->other.data);
    um_buffer_free(c->source->ctx, s->row);
    free(s);
}

static um_status scratch_take(um_h5_chunks *c, scratch **out)
{
    pthread_mutex_lock(&c->lock);
    scratch *s = c->spare;
    if (s != NULL) {
        c->spare = s->next;
    }
    pthread_mutex_unlock(&c->lock);
    *out = s;
    if (s != NULL) {
        return UM_OK;
    }
    um_context *ctx = c->source->ctx;
    s = calloc(1, sizeof *s);
    if (s == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to decode a chunk", c->source->path);
    }
    s->held = -1;
    memset(s->holds, -1, sizeof s->holds);
    s->data.capacity = s->other.capacity = um_chunk_capacity(c->chunk_bytes);
    um_status status = um_buffer_alloc(ctx, s->data.capacity, 1, "a chunk of the scan file",
                                       &s->data.data);
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, s->other.capacity, 1, "a chunk of the scan file",
                                 &s->other.data);
    }
    if (status == UM_OK && c->slots > 1) {
        status = um_buffer_alloc(ctx, slot_bytes(c), (size_t)c->slots, "chunks of the scan file", &s->row);
    }
    if (status != UM_OK) {
        scratch_free(c, s);
        return status;
    }
    *out = s;
    return UM_OK;
}

static void scratch_give(um_h5_chunks *c, scratch *s)
{
    pthread_mutex_lock(&c->lock);
    s->next = c->spare;
    c->spare = s;
    pthread_mutex_unlock(&c->lock);
}

/* ---- one chunk ------------------------------------------------------------------------------ */

static um_status damaged(um_h5_chunks *c, int64_t index, const char *what)
{
    return um_fail(c->source->ctx, UM_ERROR_FORMAT, "%s: chunk %lld: %s", c->source->path,
                   (long long)index, what);
}

static void fill_chunk(const um_h5_chunks *c, unsigned char *dst)
{
    size_t width = c->layout.stored_size;
    static const unsigned char zeros[16] = {0};
    if (memcmp(c->fill, zeros, sizeof zeros) == 0) {
        memset(dst, 0, c->chunk_bytes);
        return;
    }
    for (size_t i = 0; i + width <= c->chunk_bytes; i += width) {
        memcpy(dst + i, c->fill, width);
    }
}

/* Addresses of all chunks as the library lists them, where they are few. */
static bool list_by_library(um_h5_chunks *c)
{
    hsize_t count = 0;
    hid_t space = H5Dget_space(c->dataset);
    bool ok = H5Dget_num_chunks(c->dataset, space, &count) >= 0 && count <= LISTED_CHUNKS;
    for (hsize_t i = 0; ok && i < count; i++) {
        hsize_t offset[UM_H5_MAX_RANK];
        haddr_t address = HADDR_UNDEF;
        hsize_t size = 0;
        unsigned mask = 0;
        ok = H5Dget_chunk_info(c->dataset, space, i, offset, &mask, &address, &size) >= 0 &&
             address != HADDR_UNDEF && size <= UINT32_MAX;
        hsize_t index = 0;
        for (int d = 0; ok && d < c->layout.rank; d++) {
            index = index * c->grid.places[d] + offset[d] / c->grid.chunk[d];
            ok = offset[d] < c->layout.size[d];
        }
        if (ok) {
            c->entries[index] = (um_h5_chunk_entry){address, (uint32_t)size, mask};
        }
    }
    H5Sclose(space);
    return ok;
}

/* Room for the list comes with opening, so that who plans a pass sees it. */
static void make_entries(um_h5_chunks *c)
{
    um_context *ctx = c->source->ctx;
    size_t budget = um_context_memory(ctx);
    size_t used = um_context_memory_in_use(ctx);
    size_t bytes = 0;
    if (c->file == NULL || !um_mul_size(c->grid.total, sizeof *c->entries, &bytes) ||
        bytes > budget / 16 || used >= budget || bytes > (budget - used) / 4 ||
        um_buffer_alloc(ctx, bytes, 1, "the list of chunks", &c->entries) != UM_OK) {
        c->entries = NULL;
    }
}

/* Where the chunks are: looked for when the first is wanted. Without, the library fetches them. */
static void find_chunks(um_h5_chunks *c)
{
    um_context *ctx = c->source->ctx;
    pthread_mutex_lock(&c->lock);
    if (!c->looked && c->entries != NULL) {
        um_h5_guard guard;
        um_h5_enter(&guard);
        bool found = um_h5_index_read(c->dataset, c->file, &c->grid, c->entries);
        if (!found) {
            memset(c->entries, 0, c->grid.total * sizeof *c->entries);
            found = list_by_library(c);
        }
        um_h5_leave(&guard);
        if (!found) {
            um_buffer_free(ctx, c->entries);
            c->entries = NULL;
        }
    }
    c->looked = true;
    pthread_mutex_unlock(&c->lock);
}

/* The stored bytes through the library. Size 0: never written. */
static um_status fetch_by_library(um_h5_chunks *c, int64_t index, um_bytes *data, unsigned *mask)
{
    hsize_t offset[UM_H5_MAX_RANK];
    hsize_t rest = (hsize_t)index;
    for (int i = c->layout.rank - 1; i >= 0; i--) {
        offset[i] = rest % c->grid.places[i] * c->grid.chunk[i];
        rest /= c->grid.places[i];
    }
    um_h5_guard guard;
    um_h5_enter(&guard);
    hsize_t size = 0;
    uint32_t skipped = 0;
    bool ok = H5Dget_chunk_storage_size(c->dataset, offset, &size) >= 0;
    if (!ok) { /* damaged, or never written: this asks all chunks in turn, but tells */
        haddr_t address = 0;
        size = 0;
        ok = H5Dget_chunk_info_by_coord(c->dataset, offset, &skipped, &address, &size) >= 0 &&
             address == HADDR_UNDEF;
    }
    bool fits = size <= data->capacity;
    if (ok && fits && size > 0) {
        ok = H5Dread_chunk(c->dataset, H5P_DEFAULT, offset, &skipped, data->data) >= 0;
    }
    um_h5_leave(&guard);
    if (!ok || !fits) {
        return damaged(c, index, ok ? "it is larger than its values: the file is damaged"
                                    : "HDF5 cannot read it: the file is damaged or cut off");
    }
    data->size = (size_t)size;
    *mask = skipped;
    return UM_OK;
}

static um_status fetch(um_h5_chunks *c, int64_t index, um_bytes *data, unsigned *mask)
{
    if (c->entries == NULL) {
        return fetch_by_library(c, index, data, mask);
    }
    const um_h5_chunk_entry *entry = &c->entries[index];
    data->size = (size_t)entry->size;
    *mask = entry->mask;
    if (entry->size > data->capacity) {
        return damaged(c, index, "it is larger than its values: the file is damaged");
    }
    if (entry->address > (uint64_t)c->file->size ||
        entry->size > (uint64_t)c->file->size - entry->address) {
        return um_fail(c->source->ctx, UM_ERROR_TRUNCATED,
                       "%s: chunk %lld lies behind the end of the file: copy the file again",
                       c->source->path, (long long)index);
    }
    return um_file_read(c->file, c->source->path, data->data, data->size,
                        (int64_t)entry->address);
}

/* Decodes a chunk to s->data, or to `into` (chunk_bytes of it) when that is not NULL. */
static um_status load_chunk(um_h5_chunks *c, int64_t index, scratch *s, unsigned char *into)
{
    if (s->held == index) {
        if (into != NULL) {
            memcpy(into, s->data.data, c->chunk_bytes);
        }
        return UM_OK;
    }
    s->held = -1;
    unsigned mask = 0;
    UM_TRY(fetch(c, index, &s->data, &mask));
    if (s->data.size == 0) {
        fill_chunk(c, into != NULL ? into : s->data.data);
    } else {
        const char *wrong = um_chunk_decode(&c->pipeline, mask, &s->data, &s->other, c->chunk_bytes, into);
        if (wrong != NULL) {
            return damaged(c, index, wrong);
        }
    }
    s->held = into == NULL ? index : -1;
    return UM_OK;
}

/* ---- a region ------------------------------------------------------------------------------- */

static um_h5_overlap meet(int64_t chunk_start, int64_t chunk_size, int64_t start, int64_t count)
{
    int64_t first = chunk_start > start ? chunk_start : start;
    int64_t end = chunk_start + chunk_size < start + count ? chunk_start + chunk_size : start + count;
    return (um_h5_overlap){first - chunk_start, first - start, end - first};
}

/* Where the chunk's values lie in one piece of the region, in the chunk's own order; NULL if they do not. */
static unsigned char *whole_in_region(const um_h5_chunks *c, const um_h5_overlap o[4],
                                      const int64_t size[4], unsigned char *dst)
{
    bool piece = c->shape.in_order && c->layout.stored_size == um_dtype_size(c->layout.dtype);
    bool inner = false; /* behind the first axis of more than one */
    int64_t to = 0;
    for (int axis = 0; axis < 4; axis++) {
        piece = piece && o[axis].count == c->shape.extent[axis] && (!inner || size[axis] == o[axis].count);
        inner = inner || o[axis].count > 1;
        to = to * size[axis] + o[axis].to;
    }
    return piece ? dst + (size_t)to * c->layout.stored_size : NULL;
}

static int64_t grid_index(const um_h5_chunks *c, const int64_t at[4])
{
    hsize_t place[UM_H5_MAX_RANK] = {0};
    for (int axis = 0; axis < 4; axis++) {
        if (c->layout.dim[axis] >= 0) {
            place[c->layout.dim[axis]] = (hsize_t)at[axis];
        }
    }
    hsize_t index = 0;
    for (int i = 0; i < c->layout.rank; i++) {
        index = index * c->grid.places[i] + place[i];
    }
    return (int64_t)index;
}

/* Moves `at` to the next chunk between first and last; false after the last. */
static bool next_chunk(int64_t at[4], const int64_t first[4], const int64_t last[4])
{
    for (int axis = 3; axis >= 0; axis--) {
        if (at[axis] < last[axis]) {
            at[axis]++;
            return true;
        }
        at[axis] = first[axis];
    }
    return false;
}

void um_h5_chunks_will_read(um_h5_chunks *c, const int64_t start[4], const int64_t size[4])
{
    int64_t first[4];
    int64_t last[4];
    int64_t at[4];
    um_h5_chunk_entry run = {0}; /* chunks that lie one after another */
    uint64_t bytes = 0;
    find_chunks(c);
    if (c->entries == NULL) {
        return;
    }
    for (int axis = 0; axis < 4; axis++) {
        first[axis] = at[axis] = start[axis] / c->shape.extent[axis];
        last[axis] = (start[axis] + size[axis] - 1) / c->shape.extent[axis];
    }
    do {
        const um_h5_chunk_entry entry = c->entries[grid_index(c, at)];
        if (bytes > 0 && entry.address != run.address + bytes) {
            um_file_will_read(c->file, (int64_t)run.address, (int64_t)bytes);
            bytes = 0;
        }
        run = bytes == 0 ? entry : run;
        bytes += entry.size;
    } while (next_chunk(at, first, last));
    um_file_will_read(c->file, (int64_t)run.address, (int64_t)bytes);
}

/* Decodes the chunk to slot number `slot`, or straight to its place in dst where it lies there in one piece;
 * *from: where its values are now, NULL when they are in dst. */
static um_status take_chunk(um_h5_chunks *c, scratch *s, int slot, const int64_t at[4], const um_h5_overlap o[4],
                            const int64_t size[4], unsigned char *dst, const unsigned char **from)
{
    int64_t index = grid_index(c, at);
    unsigned char *into = whole_in_region(c, o, size, dst);
    *from = NULL;
    if (into != NULL) {
        UM_TRY(load_chunk(c, index, s, into));
        bool fits = c->layout.convert == UM_H5_SAME ||
                    um_h5_convert_run(&c->layout, into, into, c->chunk_bytes / c->layout.stored_size);
        return fits ? UM_OK : um_h5_too_wide(c->source);
    }
    if (c->slots == 1) {
        UM_TRY(load_chunk(c, index, s, NULL));
        *from = s->data.data;
        return UM_OK;
    }
    unsigned char *place = s->row + (size_t)slot * slot_bytes(c);
    *from = place;
    if (s->holds[slot] == index) {
        return UM_OK;
    }
    s->holds[slot] = -1;
    UM_TRY(load_chunk(c, index, s, place));
    s->holds[slot] = index;
    return UM_OK;
}

/* Chunks first[3]..last[3] of one row of chunks along kx: all are decoded before they are taken apart, so that
 * each pattern is written in one go. */
static um_status read_row(um_h5_chunks *c, scratch *s, const int64_t row[4], int64_t count, const int64_t start[4],
                          const int64_t size[4], unsigned char *dst)
{
    const unsigned char *from[UM_H5_MOST_SLOTS];
    um_h5_overlap o[4];
    um_h5_overlap across[UM_H5_MOST_SLOTS];
    int used = 0;
    for (int axis = 0; axis < 3; axis++) {
        o[axis] = meet(row[axis] * c->shape.extent[axis], c->shape.extent[axis], start[axis], size[axis]);
    }
    for (int i = 0; i < (int)count; i++) {
        const int64_t at[4] = {row[0], row[1], row[2], row[3] + i};
        o[3] = meet(at[3] * c->shape.extent[3], c->shape.extent[3], start[3], size[3]);
        UM_TRY(take_chunk(c, s, i, at, o, size, dst, &from[used]));
        across[used] = o[3];
        used += from[used] != NULL;
    }
    bool fits = um_h5_scatter(&c->shape, &c->layout, used, from, o, across, size, dst);
    return fits ? UM_OK : um_h5_too_wide(c->source);
}

um_status um_h5_chunks_read(um_h5_chunks *c, const int64_t start[4], const int64_t size[4], void *dst)
{
    int64_t first[4];
    int64_t last[4];
    for (int axis = 0; axis < 4; axis++) {
        first[axis] = start[axis] / c->shape.extent[axis];
        last[axis] = (start[axis] + size[axis] - 1) / c->shape.extent[axis];
    }
    int64_t end = last[3] + 1;
    int64_t at[4] = {first[0], first[1], first[2], first[3]};
    last[3] = first[3]; /* rows of chunks */
    scratch *s = NULL;
    find_chunks(c);
    UM_TRY(scratch_take(c, &s));
    um_status status = UM_OK;
    do {
        for (at[3] = first[3]; status == UM_OK && at[3] < end; at[3] += c->slots) {
            int64_t count = end - at[3] < c->slots ? end - at[3] : c->slots;
            status = read_row(c, s, at, count, start, size, dst);
        }
        at[3] = first[3];
    } while (status == UM_OK && next_chunk(at, first, last));
    scratch_give(c, s);
    return status;
}

/* ---- opening -------------------------------------------------------------------------------- */

bool um_h5_pipeline(hid_t creation, um_chunk_pipeline *pipeline)
{
    int count = H5Pget_nfilters(creation);
    if (count < 0 || count > UM_CHUNK_MAX_FILTERS) {
        return false;
    }
    pipeline->count = count;
    for (int i = 0; i < count; i++) {
        um_chunk_filter *f = &pipeline->filters[i];
        unsigned flags = 0;
        size_t values = UM_CHUNK_MAX_VALUES;
        f->id = H5Pget_filter2(creation, (unsigned)i, &flags, &values, f->values, 0, NULL, NULL);
        if (!um_chunk_filter_known(f->id)) {
            return false;
        }
        f->value_count = values < UM_CHUNK_MAX_VALUES ? (unsigned)values : UM_CHUNK_MAX_VALUES;
    }
    return true;
}

static bool take_geometry(um_h5_chunks *c, hid_t creation)
{
    const um_h5_layout *layout = &c->layout;
    if (H5Pget_chunk(creation, UM_H5_MAX_RANK, c->grid.chunk) != layout->rank) {
        return false;
    }
    size_t strides[UM_H5_MAX_RANK];
    size_t elements = 1;
    c->grid.rank = layout->rank;
    c->grid.total = 1;
    for (int i = layout->rank - 1; i >= 0; i--) {
        strides[i] = elements;
        if (c->grid.chunk[i] == 0 || !um_mul_size(elements, (size_t)c->grid.chunk[i], &elements)) {
            return false;
        }
        c->grid.places[i] = (layout->size[i] + c->grid.chunk[i] - 1) / c->grid.chunk[i];
        if (!um_mul_size(c->grid.total, (size_t)c->grid.places[i], &c->grid.total)) {
            return false;
        }
    }
    for (int axis = 0; axis < 4; axis++) {
        int d = layout->dim[axis];
        c->shape.extent[axis] = d >= 0 ? (int64_t)c->grid.chunk[d] : 1;
        c->shape.stride[axis] = d >= 0 ? strides[d] : 0;
    }
    size_t expected = 1;
    c->shape.in_order = true;
    for (int axis = 3; axis >= 0; axis--) {
        c->shape.in_order = c->shape.in_order && (c->shape.extent[axis] == 1 || c->shape.stride[axis] == expected);
        expected *= (size_t)c->shape.extent[axis];
    }
    c->shape.in_order = c->shape.in_order && expected == elements;
    return um_mul_size(elements, layout->stored_size, &c->chunk_bytes) &&
           c->chunk_bytes <= (size_t)UINT32_MAX;
}

static bool take_fill(um_h5_chunks *c, hid_t creation)
{
    H5D_fill_value_t defined = H5D_FILL_VALUE_UNDEFINED;
    hid_t type = H5Dget_type(c->dataset);
    bool ok = type >= 0 && H5Pfill_value_defined(creation, &defined) >= 0;
    if (ok && defined != H5D_FILL_VALUE_UNDEFINED) {
        ok = H5Pget_fill_value(creation, type, c->fill) >= 0;
    }
    H5Tclose(type);
    return ok;
}

/* Chunks along kx, as many as a processor's cache and a small part of the budget hold; 1 where a pattern has no
 * more. */
static int choose_slots(const um_h5_chunks *c)
{
    size_t most = um_context_memory(c->source->ctx) / 128;
    most = most < ROW_BYTES ? most : ROW_BYTES;
    int d = c->layout.dim[3];
    size_t slots = d >= 0 ? (size_t)c->grid.places[d] : 1;
    slots = slots < UM_H5_MOST_SLOTS ? slots : UM_H5_MOST_SLOTS;
    slots = c->chunk_bytes < most / slots ? slots : most / (c->chunk_bytes + 1);
    return slots > 1 ? (int)slots : 1;
}

um_h5_chunks *um_h5_chunks_open(um_source *source, hid_t dataset, const um_h5_layout *layout,
                                um_file *file)
{
    hid_t creation = H5Dget_create_plist(dataset);
    um_h5_chunks *c = calloc(1, sizeof *c);
    unsigned options = 0;
    bool ok = c != NULL && creation >= 0 && layout->convert != UM_H5_LIBRARY &&
              layout->stored_size <= 8 && H5Pget_layout(creation) == H5D_CHUNKED &&
              um_h5_pipeline(creation, &c->pipeline) &&
              H5Pget_chunk_opts(creation, &options) >= 0 && options == 0;
    if (ok) {
        c->source = source;
        c->dataset = dataset;
        c->layout = *layout;
        c->file = file;
        ok = take_geometry(c, creation) && take_fill(c, creation);
    }
    if (creation >= 0) {
        H5Pclose(creation);
    }
    if (!ok) {
        free(c);
        return NULL;
    }
    pthread_mutex_init(&c->lock, NULL);
    c->slots = choose_slots(c);
    make_entries(c);
    return c;
}

void um_h5_chunks_rest(um_h5_chunks *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->spare != NULL) {
        scratch *s = c->spare;
        c->spare = s->next;
        scratch_free(c, s);
    }
    pthread_mutex_unlock(&c->lock);
}

void um_h5_chunks_close(um_h5_chunks *c)
{
    if (c == NULL) {
        return;
    }
    um_h5_chunks_rest(c);
    pthread_mutex_destroy(&c->lock);
    um_buffer_free(c->source->ctx, c->entries);
    free(c);
}

size_t um_h5_chunks_scratch(const um_h5_chunks *c)
{
    return 2 * um_chunk_capacity(c->chunk_bytes) + (c->slots > 1 ? (size_t)c->slots * slot_bytes(c) : 0);
}

const int64_t *um_h5_chunks_extent(const um_h5_chunks *c)
{
    return c->shape.extent;
}
