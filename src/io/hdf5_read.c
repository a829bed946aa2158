/* Rectangles of scan positions out of an HDF5 array. */
#include "hdf5_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct reader {
    um_source *source;
    hid_t file, dataset, memory_type;
    um_h5_layout layout;
    size_t pattern_bytes; /* delivered */
    bool reshaped;        /* the scan shape is not the array's own */
} reader;

/* A block of the array: scan positions in the array's own (y, x), all detector pixels. */
typedef struct region {
    int64_t y0, x0, ny, nx;
} region;

/* ---- by the library ------------------------------------------------------------------------- */

static um_status library_failure(reader *r)
{
    char reason[200];
    um_h5_reason(reason, sizeof reason);
    return um_fail(r->source->ctx, UM_ERROR_FORMAT, "%s: HDF5 cannot read the array (%s)",
                   r->source->path, reason[0] != '\0' ? reason : "no reason given");
}

static bool select_and_read(const reader *r, region g, void *dst)
{
    hsize_t start[UM_H5_MAX_RANK];
    hsize_t count[UM_H5_MAX_RANK];
    int64_t first[4] = {g.y0, g.x0, 0, 0};
    int64_t length[4] = {g.ny, g.nx, r->layout.extent[2], r->layout.extent[3]};
    for (int i = 0; i < r->layout.rank; i++) {
        start[i] = 0;
        count[i] = 1;
    }
    hsize_t total = 1;
    for (int axis = 0; axis < 4; axis++) {
        int d = r->layout.dim[axis];
        if (d >= 0) {
            start[d] = (hsize_t)first[axis];
            count[d] = (hsize_t)length[axis];
        }
        total *= (hsize_t)length[axis];
    }
    hid_t space = H5Dget_space(r->dataset);
    hid_t memory = H5Screate_simple(1, &total, NULL);
    bool ok = space >= 0 && memory >= 0 &&
              H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
              H5Dread(r->dataset, r->memory_type, memory, space, H5P_DEFAULT, dst) >= 0;
    H5Sclose(memory);
    H5Sclose(space);
    return ok;
}

/* 64-bit integers in place to doubles; false at the first that a double cannot hold. */
static bool widen(um_h5_convert convert, void *values, size_t count)
{
    const int64_t limit = (int64_t)1 << 53;
    unsigned char *bytes = values;
    for (size_t i = 0; i < count; i++) {
        int64_t value;
        memcpy(&value, bytes + 8 * i, sizeof value);
        bool fits = convert == UM_H5_I64_TO_F64 ? value >= -limit && value <= limit
                                                : (uint64_t)value <= (uint64_t)limit;
        if (!fits) {
            return false;
        }
        double real = (double)value;
        memcpy(bytes + 8 * i, &real, sizeof real);
    }
    return true;
}

static um_status widen_region(reader *r, void *dst, size_t count)
{
    um_h5_convert convert = r->layout.convert;
    if ((convert == UM_H5_I64_TO_F64 || convert == UM_H5_U64_TO_F64) && !widen(convert, dst, count)) {
        return um_fail(r->source->ctx, UM_ERROR_VALUE,
                       "%s: a 64-bit integer above 2^53 has no exact float64: store the array as "
                       "uint32 or float64",
                       r->source->path);
    }
    return UM_OK;
}

static um_status read_by_library(reader *r, region g, unsigned char *dst)
{
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = select_and_read(r, g, dst) ? UM_OK : library_failure(r);
    um_h5_leave(&guard);
    UM_TRY(status);
    size_t pixels = r->pattern_bytes / um_dtype_size(r->layout.dtype);
    return widen_region(r, dst, (size_t)(g.ny * g.nx) * pixels);
}

static um_status read_region(reader *r, region g, unsigned char *dst)
{
    return read_by_library(r, g, dst);
}

/* ---- the scan ------------------------------------------------------------------------------- */

/* `count` patterns from number `first` on, in the array's own order. */
static um_status read_run(reader *r, int64_t first, int64_t count, unsigned char *dst)
{
    int64_t nx = r->layout.extent[1];
    while (count > 0) {
        int64_t y = first / nx;
        int64_t x = first % nx;
        region g = {y, x, 1, count < nx - x ? count : nx - x};
        if (x == 0 && count >= nx) {
            g.ny = count / nx;
        }
        UM_TRY(read_region(r, g, dst));
        int64_t done = g.ny * g.nx;
        first += done;
        count -= done;
        dst += (size_t)done * r->pattern_bytes;
    }
    return UM_OK;
}

static um_status read_rect(um_source *source, um_rect rect, void *dst)
{
    reader *r = source->state;
    if (!r->reshaped) {
        return read_region(r, (region){rect.y0, rect.x0, rect.ny, rect.nx}, dst);
    }
    int64_t nx = source->info.shape.nx;
    if (rect.nx == nx) {
        return read_run(r, rect.y0 * nx, rect.ny * nx, dst);
    }
    for (int64_t y = 0; y < rect.ny; y++) {
        UM_TRY(read_run(r, (rect.y0 + y) * nx + rect.x0, rect.nx,
                        (unsigned char *)dst + (size_t)(y * rect.nx) * r->pattern_bytes));
    }
    return UM_OK;
}

static void close_reader(um_source *source)
{
    reader *r = source->state;
    um_h5_guard guard;
    um_h5_enter(&guard);
    H5Tclose(r->memory_type);
    H5Dclose(r->dataset);
    H5Fclose(r->file);
    um_h5_leave(&guard);
    free(r);
    source->state = NULL;
}

/* What H5Dread is to deliver; enums and bit fields do not convert, they are taken as they lie. */
static hid_t memory_type(hid_t dataset, const um_h5_layout *layout)
{
    if (layout->convert == UM_H5_I64_TO_F64 || layout->convert == UM_H5_U64_TO_F64) {
        return H5Tcopy(layout->convert == UM_H5_I64_TO_F64 ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64);
    }
    hid_t type = H5Dget_type(dataset);
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_ENUM || class == H5T_BITFIELD) {
        return type;
    }
    H5Tclose(type);
    return H5Tcopy(um_h5_native_type(layout->dtype));
}

um_status um_h5_reader_attach(um_source *source, hid_t file, hid_t dataset,
                              const um_h5_layout *layout)
{
    static const um_source_ops ops = {read_rect, close_reader};
    reader *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return um_fail(source->ctx, UM_ERROR_MEMORY, "%s: no memory to open it", source->path);
    }
    um_source_info *info = &source->info;
    r->source = source;
    r->file = file;
    r->dataset = dataset;
    r->layout = *layout;
    r->memory_type = memory_type(dataset, layout);
    r->pattern_bytes =
        (size_t)(layout->extent[2] * layout->extent[3]) * um_dtype_size(layout->dtype);
    r->reshaped =
        info->shape.ny != layout->extent[0] || info->shape.nx != layout->extent[1];
    info->block_ny = 1;
    info->block_nx = info->shape.nx;
    source->ops = &ops;
    source->state = r;
    return UM_OK;
}
