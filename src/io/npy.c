/* NumPy .npy as a scan: source and sink. */
#include "io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool npy_recognise(const um_probe *probe, const um_open_options *options)
{
    (void)options;
    return probe->dataset == NULL && um_npy_recognise(probe->head, probe->head_size);
}

static um_status read_header(um_context *ctx, const um_probe *probe, int fd, um_npy_header *header)
{
    size_t size = um_npy_header_size(probe->head, probe->head_size);
    if (size <= probe->head_size || (int64_t)size > probe->file_size) {
        return um_npy_parse(ctx, probe->path, probe->head, probe->head_size, header);
    }
    void *bytes = malloc(size);
    if (bytes == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for its header", probe->path);
    }
    um_status status = um_pread_all(ctx, probe->path, fd, bytes, size, 0);
    if (status == UM_OK) {
        status = um_npy_parse(ctx, probe->path, bytes, size, header);
    }
    free(bytes);
    return status;
}

/* Gives an array of 2 or 3 dimensions its leading ones. */
static um_status scan_of_array(um_context *ctx, const um_probe *probe, const um_npy_header *header,
                               um_shape *out)
{
    const int64_t *s = header->shape;
    switch (header->ndim) {
    case 2:
        *out = (um_shape){1, s[0], 1, s[1]};
        break;
    case 3:
        *out = (um_shape){1, s[0], s[1], s[2]};
        break;
    case 4:
        *out = (um_shape){s[0], s[1], s[2], s[3]};
        break;
    default:
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "%s: has %d dimensions: a scan has 4 (y, x, ky, kx), 3 (n, ky, kx) or "
                       "2 (n, pixels)",
                       probe->path, header->ndim);
    }
    if (header->data_size == 0) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: holds no elements: one of its sizes is 0",
                       probe->path);
    }
    return UM_OK;
}

static um_status check_layout(um_context *ctx, const um_probe *probe, const um_npy_header *header)
{
    if (header->fortran) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: is stored in Fortran order: save numpy.ascontiguousarray(a) instead",
                       probe->path);
    }
    return UM_OK;
}

static um_status npy_open(um_context *ctx, const um_probe *probe, const um_open_options *options,
                          um_source *source)
{
    um_npy_header header;
    um_source_info *info = &source->info;
    um_frames *frames = NULL;
    source->ops = &um_frames_ops;
    UM_TRY(um_frames_open(ctx, probe, source, &frames));
    UM_TRY(read_header(ctx, probe, frames->file->fd, &header));
    UM_TRY(um_npy_dtype(ctx, probe->path, &header, &info->dtype));
    UM_TRY(check_layout(ctx, probe, &header));
    UM_TRY(scan_of_array(ctx, probe, &header, &info->shape));
    frames->offset = header.data_offset;
    frames->stride = info->shape.ky * info->shape.kx * header.width;
    frames->big_endian = header.width > 1 && header.big_endian;
    int64_t whole = info->shape.ny * info->shape.nx;
    int64_t present = (probe->file_size - frames->offset) / frames->stride;
    if (present < whole && !options->allow_short && !options->growing) {
        return um_fail(ctx, UM_ERROR_TRUNCATED,
                       "%s: ends after %lld of %lld patterns: copy the file again or pass "
                       "--allow-short",
                       probe->path, (long long)present, (long long)whole);
    }
    present = present < whole ? present : whole;
    UM_TRY(um_scan_shape(ctx, probe, options, info->shape.ny, info->shape.nx, present, source));
    um_axes_default(info->axes, info->shape);
    info->block_ny = 1;
    info->block_nx = info->shape.nx;
    return UM_OK;
}

const um_reader um_format_npy = {"npy", npy_recognise, npy_open};

/* ---- sink ----------------------------------------------------------------------------------- */

typedef struct npy_sink {
    int fd;
    int64_t offset;
} npy_sink;

static um_status npy_sink_write(um_sink *sink, um_rect rect, const void *patterns)
{
    npy_sink *state = sink->state;
    size_t bytes = (size_t)(sink->shape.ky * sink->shape.kx) * um_dtype_size(sink->dtype);
    bool rows_join = rect.nx == sink->shape.nx;
    int64_t runs = rows_join ? 1 : rect.ny;
    size_t run = (size_t)(rows_join ? rect.ny * rect.nx : rect.nx) * bytes;
    for (int64_t i = 0; i < runs; i++) {
        int64_t first = (rect.y0 + i) * sink->shape.nx + rect.x0;
        UM_TRY(um_pwrite_all(sink->ctx, sink->part, state->fd,
                             (const char *)patterns + (size_t)i * run, run,
                             state->offset + first * (int64_t)bytes));
    }
    return UM_OK;
}

static um_status npy_sink_finish(um_sink *sink)
{
    npy_sink *state = sink->state;
    int result = close(state->fd);
    free(state);
    sink->state = NULL;
    if (result != 0) {
        return um_fail(sink->ctx, UM_ERROR_IO, "%s: cannot be closed: %s", sink->part,
                       strerror(errno));
    }
    return UM_OK;
}

static void npy_sink_abandon(um_sink *sink)
{
    npy_sink *state = sink->state;
    close(state->fd);
    free(state);
    sink->state = NULL;
}

static const um_sink_ops npy_sink_ops = {npy_sink_write, npy_sink_finish, npy_sink_abandon};

static um_status npy_sink_create(um_context *ctx, const um_sink_spec *spec, um_sink *sink)
{
    char descr[8];
    char *header = NULL;
    size_t size = 0;
    const int64_t shape[4] = {spec->shape.ny, spec->shape.nx, spec->shape.ky, spec->shape.kx};
    npy_sink *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to write it", sink->path);
    }
    state->fd = open(sink->part, O_WRONLY | O_CLOEXEC);
    if (state->fd < 0) {
        free(state);
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", sink->part, strerror(errno));
    }
    sink->state = state;
    sink->ops = &npy_sink_ops;
    um_npy_descr(spec->dtype, descr);
    UM_TRY(um_npy_make_header(ctx, descr, 4, shape, &header, &size));
    state->offset = (int64_t)size;
    um_status status = um_pwrite_all(ctx, sink->part, state->fd, header, size, 0);
    free(header);
    return status;
}

const um_sink_format um_sink_format_npy = {".npy", npy_sink_create};

/* ---- one array ------------------------------------------------------------------------------ */

static um_status write_array(um_context *ctx, const char *part, um_dtype dtype, int ndim,
                             const int64_t *shape, const void *data, size_t bytes)
{
    char descr[8];
    char *header = NULL;
    size_t size = 0;
    um_npy_descr(dtype, descr);
    UM_TRY(um_npy_make_header(ctx, descr, ndim, shape, &header, &size));
    int fd = open(part, O_WRONLY | O_CLOEXEC);
    um_status status = UM_OK;
    if (fd < 0) {
        status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", part, strerror(errno));
    } else {
        status = um_pwrite_all(ctx, part, fd, header, size, 0);
        if (status == UM_OK) {
            status = um_pwrite_all(ctx, part, fd, data, bytes, (int64_t)size);
        }
        if (close(fd) != 0 && status == UM_OK) {
            status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be closed: %s", part, strerror(errno));
        }
    }
    free(header);
    return status;
}

um_status um_npy_write(um_context *ctx, const char *path, um_dtype dtype, int ndim,
                       const int64_t *shape, const void *data)
{
    size_t bytes = um_dtype_size(dtype);
    char *part = NULL;
    bool good = ndim >= 0 && ndim <= 6;
    for (int i = 0; good && i < ndim; i++) {
        good = shape[i] >= 0 && um_mul_size(bytes, (size_t)shape[i], &bytes) &&
               bytes < (size_t)INT64_MAX / 2;
    }
    if (!good) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: the array's shape is not possible", path);
    }
    UM_TRY(um_part_begin(ctx, path, true, &part));
    um_status status = write_array(ctx, part, dtype, ndim, shape, data, bytes);
    if (status == UM_OK) {
        status = um_part_commit(ctx, part, path);
    } else {
        unlink(part);
    }
    free(part);
    return status;
}
