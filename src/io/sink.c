#include "io_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const um_sink_format *const formats[] = {
    &um_sink_format_blo,
    &um_sink_format_hspy,
    &um_sink_format_npy,
};

static const um_sink_format *find_format(const char *path)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (um_has_suffix(path, formats[i]->suffix)) {
            return formats[i];
        }
    }
    return NULL;
}

static um_status check_spec(um_context *ctx, const char *path, const um_sink_spec *spec)
{
    um_shape s = spec->shape;
    size_t bytes = 0;
    if (s.ny <= 0 || s.nx <= 0 || s.ky <= 0 || s.kx <= 0 ||
        !um_mul4(s.ny, s.nx, s.ky, s.kx, &bytes) ||
        !um_mul_size(bytes, um_dtype_size(spec->dtype), &bytes) ||
        bytes > (size_t)INT64_MAX / 2) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: cannot hold %lld x %lld x %lld x %lld values", path,
                       (long long)s.ny, (long long)s.nx, (long long)s.ky, (long long)s.kx);
    }
    return UM_OK;
}

/* Whole rows, or a run of one: small enough to be in the cache when it is stored. */
static void choose_block(um_sink *sink)
{
    enum { BLOCK_BYTES = 1 << 20 };
    const um_shape s = sink->shape;
    int64_t pattern = s.ky * s.kx * (int64_t)um_dtype_size(sink->dtype);
    int64_t patterns = pattern < BLOCK_BYTES ? BLOCK_BYTES / pattern : 1;
    sink->block_nx = patterns < s.nx ? patterns : s.nx;
    sink->block_ny = patterns / sink->block_nx < s.ny ? patterns / sink->block_nx : s.ny;
}

um_status um_sink_create(um_context *ctx, const char *path, const um_sink_spec *spec, um_sink **out)
{
    *out = NULL;
    const um_sink_format *format = find_format(path);
    if (format == NULL) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: the suffix names no scan format that unmix writes: use .hspy, .npy or .blo",
                       path);
    }
    UM_TRY(check_spec(ctx, path, spec));
    um_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL || (sink->path = um_strdup(path)) == NULL) {
        free(sink);
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to write it", path);
    }
    sink->ctx = ctx;
    sink->shape = spec->shape;
    sink->dtype = spec->dtype;
    choose_block(sink);
    um_status status = um_part_begin(ctx, path, spec->overwrite, &sink->part);
    if (status == UM_OK) {
        status = format->create(ctx, spec, sink);
    }
    if (status != UM_OK) {
        um_sink_free(sink);
        return status;
    }
    *out = sink;
    return UM_OK;
}

um_status um_sink_write(um_sink *sink, um_rect rect, const void *patterns)
{
    um_shape s = sink->shape;
    if (sink->finished || rect.y0 < 0 || rect.x0 < 0 || rect.ny < 0 || rect.nx < 0 ||
        rect.ny > s.ny || rect.nx > s.nx || rect.y0 > s.ny - rect.ny || rect.x0 > s.nx - rect.nx) {
        return um_fail(sink->ctx, UM_ERROR_ARGUMENT,
                       "%s: rows %lld+%lld, columns %lld+%lld are outside the scan of %lld x %lld",
                       sink->path, (long long)rect.y0, (long long)rect.ny, (long long)rect.x0,
                       (long long)rect.nx, (long long)s.ny, (long long)s.nx);
    }
    if (rect.ny == 0 || rect.nx == 0) {
        return UM_OK;
    }
    UM_TRY(sink->ops->write(sink, rect, patterns));
    atomic_fetch_add(&sink->positions_written, rect.ny * rect.nx);
    return UM_OK;
}

void um_sink_block(const um_sink *sink, int64_t *ny, int64_t *nx)
{
    *ny = sink->block_ny;
    *nx = sink->block_nx;
}

um_status um_sink_finish(um_sink *sink)
{
    int64_t positions = sink->shape.ny * sink->shape.nx;
    int64_t written = atomic_load(&sink->positions_written);
    if (sink->finished || written != positions) {
        return um_fail(sink->ctx, UM_ERROR_INTERNAL, "%s: %lld of %lld positions were written",
                       sink->path, (long long)written, (long long)positions);
    }
    sink->finished = true;
    UM_TRY(sink->ops->finish(sink));
    sink->complete = true;
    return UM_OK;
}

um_status um_sink_commit(um_sink *sink)
{
    if (!sink->complete) {
        UM_TRY(um_sink_finish(sink));
    }
    UM_TRY(um_part_commit(sink->ctx, sink->part, sink->path));
    sink->committed = true;
    return UM_OK;
}

void um_sink_free(um_sink *sink)
{
    if (sink == NULL) {
        return;
    }
    if (sink->state != NULL && !sink->finished) {
        sink->ops->abandon(sink);
    }
    if (sink->part != NULL && !sink->committed) {
        unlink(sink->part);
    }
    free(sink->part);
    free(sink->path);
    free(sink);
}
