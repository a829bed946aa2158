/* Rectangles of scan positions out of an HDF5 array. */
#include "hdf5_internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct reader {
    um_source *source;
    hid_t file, dataset, memory_type;
    um_h5_layout layout;
    size_t pattern_bytes; /* delivered */
    bool reshaped;        /* the scan shape is not the array's own */
    um_h5_chunks *chunks; /* NULL unless we decode them */
    int filter;           /* of the array that nobody here undoes, or 0 */
    bool unsound;         /* chunks that only the library could read, and may not be as long as it takes them */
    um_file *file_bytes;  /* of the file that holds the array, NULL if it is not to be read plainly */
    int64_t address;      /* of an array that lies in one piece, else -1 */
} reader;

/* A block of the array: scan positions in the array's own (y, x), all detector pixels. */
typedef struct region {
    int64_t y0, x0, ny, nx;
} region;

/* ---- by the library ------------------------------------------------------------------------- */

/* Number of a filter that we do not undo; 0 if there is none. HDF5 1.10 trusts what a filter gives to be a
 * whole chunk and reads past the end of less, so it is not asked to undo what we cannot check. */
static int foreign_filter(hid_t dataset)
{
    hid_t creation = H5Dget_create_plist(dataset);
    int foreign = 0;
    int count = creation >= 0 ? H5Pget_nfilters(creation) : 0;
    for (int i = 0; i < count && foreign == 0; i++) {
        unsigned flags = 0;
        size_t values = 0;
        int id = H5Pget_filter2(creation, (unsigned)i, &flags, &values, NULL, 0, NULL, NULL);
        foreign = id >= 0 && !um_chunk_filter_known(id) ? id : 0;
    }
    if (creation >= 0) {
        H5Pclose(creation);
    }
    return foreign;
}

static int filters(hid_t dataset)
{
    hid_t creation = H5Dget_create_plist(dataset);
    int count = creation >= 0 ? H5Pget_nfilters(creation) : 0;
    if (creation >= 0) {
        H5Pclose(creation);
    }
    return count;
}

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

static um_status convert_in_place(reader *r, void *dst, size_t count, um_h5_layout layout)
{
    return um_h5_convert_run(&layout, dst, dst, count) ? UM_OK : um_h5_too_wide(r->source);
}

static size_t elements_of(const reader *r, region g)
{
    return (size_t)(g.ny * g.nx) * (r->pattern_bytes / um_dtype_size(r->layout.dtype));
}

static um_status read_by_library(reader *r, region g, void *dst)
{
    if (r->filter != 0) {
        return um_fail(r->source->ctx, UM_ERROR_UNSUPPORTED,
                       "%s: compressed with HDF5 filter %d, which unmix cannot undo: rewrite the file "
                       "with gzip (h5repack -f GZIP=1) where that filter is installed",
                       r->source->path, r->filter);
    }
    if (r->unsound) {
        return um_fail(r->source->ctx, UM_ERROR_UNSUPPORTED,
                       "%s: its chunks are compressed, of an unusual number type or layout, and damaged or "
                       "too many to check: rewrite the array as float32 or uint16",
                       r->source->path);
    }
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = select_and_read(r, g, dst) ? UM_OK : library_failure(r);
    um_h5_leave(&guard);
    UM_TRY(status);
    um_h5_layout layout = r->layout;
    layout.big_endian = UM_HOST_BIG_ENDIAN;
    if (layout.convert == UM_H5_SWAP || layout.convert == UM_H5_HALF) {
        return UM_OK; /* the library has done it */
    }
    return convert_in_place(r, dst, elements_of(r, g), layout);
}

/* ---- past the library ----------------------------------------------------------------------- */

static um_status read_plainly(reader *r, region g, unsigned char *dst)
{
    int64_t width = r->layout.extent[1];
    int64_t bytes = (int64_t)r->pattern_bytes;
    if (g.nx == width) { /* whole rows lie one after another */
        g = (region){0, g.y0 * width, 1, g.ny * width};
        width = g.nx;
    }
    unsigned char *to = dst;
    for (int64_t y = 0; y < g.ny; y++) {
        int64_t first = (g.y0 + y) * width + g.x0;
        UM_TRY(um_file_read(r->file_bytes, r->source->path, to, (size_t)(g.nx * bytes),
                            r->address + first * bytes));
        to += g.nx * bytes;
    }
    return convert_in_place(r, dst, elements_of(r, g), r->layout);
}

static um_status read_region(reader *r, region g, unsigned char *dst)
{
    if (r->chunks != NULL) {
        const int64_t start[4] = {g.y0, g.x0, 0, 0};
        const int64_t size[4] = {g.ny, g.nx, r->layout.extent[2], r->layout.extent[3]};
        return um_h5_chunks_read(r->chunks, start, size, dst);
    }
    return r->address >= 0 ? read_plainly(r, g, dst) : read_by_library(r, g, dst);
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

static void will_read(um_source *source, um_rect rect)
{
    const reader *r = source->state;
    int64_t nx = source->info.shape.nx;
    int64_t first = rect.y0 * nx + rect.x0;
    int64_t end = first + (rect.ny - 1) * nx + rect.nx;
    if (r->chunks != NULL && !r->reshaped) {
        const int64_t start[4] = {rect.y0, rect.x0, 0, 0};
        const int64_t size[4] = {rect.ny, rect.nx, r->layout.extent[2], r->layout.extent[3]};
        um_h5_chunks_will_read(r->chunks, start, size);
    } else if (r->address >= 0 && (rect.ny == 1 || rect.nx == nx)) {
        um_file_will_read(r->file_bytes, r->address + first * (int64_t)r->pattern_bytes,
                          (end - first) * (int64_t)r->pattern_bytes);
    }
}

static void rest(um_source *source)
{
    const reader *r = source->state;
    if (r->chunks != NULL) {
        um_h5_chunks_rest(r->chunks);
    }
}

static void close_reader(um_source *source)
{
    reader *r = source->state;
    um_h5_guard guard;
    um_h5_chunks_close(r->chunks);
    if (r->file_bytes != NULL) {
        um_file_close(r->file_bytes);
        free(r->file_bytes);
    }
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

/* The file that holds the array (a link may have led elsewhere), if its bytes lie where HDF5 says. */
static um_file *open_plain(um_source *source, hid_t dataset)
{
    hid_t file = H5Iget_file_id(dataset);
    if (file < 0) {
        return NULL;
    }
    um_file *plain = NULL;
    hsize_t user_block = 1;
    hid_t creation = H5Fget_create_plist(file);
    hid_t access = H5Fget_access_plist(file);
    char name[4096];
    ssize_t length = H5Fget_name(file, name, sizeof name);
    if (creation >= 0 && access >= 0 && H5Pget_userblock(creation, &user_block) >= 0 &&
        user_block == 0 && H5Pget_driver(access) == H5FD_SEC2 && length > 0 &&
        (size_t)length < sizeof name) {
        plain = calloc(1, sizeof *plain);
    }
    if (plain != NULL && !um_file_open(source->ctx, name, plain)) {
        free(plain);
        plain = NULL;
    }
    if (plain != NULL) {
        um_source_take_room(source, plain);
    }
    H5Pclose(creation);
    H5Pclose(access);
    H5Fclose(file);
    return plain;
}

/* Where an array in one piece begins; -1 for every other kind of storage. */
static int64_t plain_address(const reader *r)
{
    hid_t creation = H5Dget_create_plist(r->dataset);
    bool plain = creation >= 0 && H5Pget_layout(creation) == H5D_CONTIGUOUS &&
                 H5Pget_external_count(creation) == 0 && r->layout.convert != UM_H5_LIBRARY &&
                 r->layout.convert != UM_H5_HALF;
    if (creation >= 0) {
        H5Pclose(creation);
    }
    haddr_t address = plain && r->file_bytes != NULL ? H5Dget_offset(r->dataset) : HADDR_UNDEF;
    return address != HADDR_UNDEF && address <= (haddr_t)INT64_MAX / 2 ? (int64_t)address : -1;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What is cheapest to read at once: a chunk's scan positions, or a row. */
static void set_block(const reader *r, um_source_info *info)
{
    info->block_ny = 1;
    info->block_nx = info->shape.nx;
    if (r->chunks == NULL) {
        return;
    }
    const int64_t *extent = um_h5_chunks_extent(r->chunks);
    if (!r->reshaped) {
        info->block_ny = least(extent[0], info->shape.ny);
        info->block_nx = least(extent[1], info->shape.nx);
    } else {
        int64_t rows = extent[0] * (extent[0] > 1 ? r->layout.extent[1] : extent[1]) / info->shape.nx;
        info->block_ny = rows < 1 ? 1 : least(rows, info->shape.ny);
    }
}

um_status um_h5_reader_attach(um_source *source, hid_t file, hid_t dataset,
                              const um_h5_layout *layout)
{
    static const um_source_ops ops = {read_rect, close_reader, will_read, NULL, rest};
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
    r->file_bytes = open_plain(source, dataset);
    r->address = plain_address(r);
    r->filter = foreign_filter(dataset);
    r->chunks = um_h5_chunks_open(source, dataset, layout, r->file_bytes);
    r->unsound = r->chunks == NULL && r->filter == 0 && filters(dataset) > 0 &&
                 !um_h5_chunks_sound(dataset, UM_H5_SMALL_CHUNK, UM_H5_FEW_CHUNKS);
    set_block(r, info);
    info->scratch_bytes = r->chunks != NULL ? um_h5_chunks_scratch(r->chunks) : 0;
    source->ops = &ops;
    source->state = r;
    return UM_OK;
}
