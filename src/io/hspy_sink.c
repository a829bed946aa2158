/* The .hspy sink: a chunked, compressed array written as the rectangles come. */
#include "hdf5_internal.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 1 << 20 };

typedef struct hspy_sink {
    hid_t file, experiment, dataset;
} hspy_sink;

static void choose_chunk(um_shape s, size_t width, hsize_t chunk[4])
{
    const hsize_t room = CHUNK_BYTES / width;
    hsize_t left = room;
    const int64_t sizes[4] = {s.ny, s.nx, s.ky, s.kx};
    for (int i = 3; i >= 0; i--) {
        hsize_t size = (hsize_t)sizes[i];
        /* A pattern stays whole unless it is far larger than a chunk should be. */
        hsize_t limit = i >= 2 ? 64 * room : left;
        chunk[i] = size < limit ? size : limit;
        left = left / chunk[i] > 0 ? left / chunk[i] : 1;
    }
}

static um_status failure(um_sink *sink)
{
    char reason[200];
    um_h5_reason(reason, sizeof reason);
    return um_fail(sink->ctx, UM_ERROR_IO, "%s: HDF5 cannot write this file (%s)", sink->path,
                   reason);
}

static bool close_all(hspy_sink *h)
{
    bool ok = true;
    if (h->dataset >= 0) {
        ok = H5Dclose(h->dataset) >= 0;
    }
    if (h->experiment >= 0) {
        ok = H5Gclose(h->experiment) >= 0 && ok;
    }
    if (h->file >= 0) {
        ok = H5Fclose(h->file) >= 0 && ok;
    }
    return ok;
}

static um_status write_rect(um_sink *sink, um_rect rect, const void *patterns)
{
    hspy_sink *h = sink->state;
    hsize_t start[4] = {(hsize_t)rect.y0, (hsize_t)rect.x0, 0, 0};
    hsize_t count[4] = {(hsize_t)rect.ny, (hsize_t)rect.nx, (hsize_t)sink->shape.ky,
                        (hsize_t)sink->shape.kx};
    um_h5_guard guard;
    um_h5_enter(&guard);
    hid_t space = H5Dget_space(h->dataset);
    hid_t memory = H5Screate_simple(4, count, NULL);
    bool ok = H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              H5Dwrite(h->dataset, um_h5_native_type(sink->dtype), memory, space, H5P_DEFAULT,
                       patterns) >= 0;
    um_status status = ok ? UM_OK : failure(sink);
    H5Sclose(memory);
    H5Sclose(space);
    um_h5_leave(&guard);
    return status;
}

static um_status finish(um_sink *sink)
{
    hspy_sink *h = sink->state;
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = close_all(h) ? UM_OK : failure(sink);
    um_h5_leave(&guard);
    free(h);
    sink->state = NULL;
    return status;
}

static void abandon(um_sink *sink)
{
    hspy_sink *h = sink->state;
    um_h5_guard guard;
    um_h5_enter(&guard);
    close_all(h);
    um_h5_leave(&guard);
    free(h);
    sink->state = NULL;
}

static hid_t create_dataset(const hspy_sink *h, const um_sink_spec *spec)
{
    const hsize_t size[4] = {(hsize_t)spec->shape.ny, (hsize_t)spec->shape.nx,
                             (hsize_t)spec->shape.ky, (hsize_t)spec->shape.kx};
    hsize_t chunk[4];
    choose_chunk(spec->shape, um_dtype_size(spec->dtype), chunk);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(4, size, NULL);
    H5Pset_chunk(creation, 4, chunk);
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 1);
    hid_t dataset = H5Dcreate2(h->experiment, "data", um_h5_native_type(spec->dtype), space,
                               H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(creation);
    return dataset;
}

static um_status create(um_context *ctx, const um_sink_spec *spec, um_sink *sink)
{
    static const um_sink_ops ops = {write_rect, finish, abandon};
    hspy_sink *h = malloc(sizeof *h);
    if (h == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to write it", sink->path);
    }
    *h = (hspy_sink){-1, -1, -1};
    um_hspy_head head = {spec->title, spec->shape, spec->axes, spec->metadata};
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = um_hspy_begin(ctx, sink->part, &head, false, &h->file, &h->experiment);
    if (status == UM_OK) {
        h->dataset = create_dataset(h, spec);
        if (h->dataset < 0) {
            status = failure(sink);
            close_all(h);
        }
    }
    um_h5_leave(&guard);
    if (status != UM_OK) {
        free(h);
        return status;
    }
    sink->ops = &ops;
    sink->state = h;
    return UM_OK;
}

const um_sink_format um_sink_format_hspy = {".hspy", create};
