/* What readers of files with evenly spaced patterns share. */
#include "io_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void um_axis_set(um_axis *axis, const char *name, double scale, double offset, const char *units)
{
    snprintf(axis->name, sizeof axis->name, "%s", name);
    snprintf(axis->units, sizeof axis->units, "%s", units);
    axis->scale = scale;
    axis->offset = offset;
}

void um_axes_default(um_axis axes[4], um_shape shape)
{
    static const char *const names[4] = {"y", "x", "ky", "kx"};
    const int64_t sizes[4] = {shape.ny, shape.nx, shape.ky, shape.kx};
    for (int i = 0; i < 4; i++) {
        axes[i] = (um_axis){.size = sizes[i], .navigate = i < 2};
        um_axis_set(&axes[i], names[i], 1.0, 0.0, "");
    }
}

um_status um_pread_all(um_context *ctx, const char *path, int fd, void *dst, size_t count,
                       int64_t offset)
{
    unsigned char *p = dst;
    while (count > 0) {
        ssize_t n = pread(fd, p, count, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return um_fail(ctx, UM_ERROR_IO, "%s: cannot be read at byte %lld: %s", path,
                           (long long)offset, strerror(errno));
        }
        if (n == 0) {
            return um_fail(ctx, UM_ERROR_TRUNCATED,
                           "%s: ends at byte %lld, before its data: has it been cut while in use?",
                           path, (long long)offset);
        }
        p += n;
        count -= (size_t)n;
        offset += n;
    }
    return UM_OK;
}

static void swap16(unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint16_t v;
        memcpy(&v, p + 2 * i, 2);
        v = __builtin_bswap16(v);
        memcpy(p + 2 * i, &v, 2);
    }
}

static void swap32(unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t v;
        memcpy(&v, p + 4 * i, 4);
        v = __builtin_bswap32(v);
        memcpy(p + 4 * i, &v, 4);
    }
}

static void swap64(unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t v;
        memcpy(&v, p + 8 * i, 8);
        v = __builtin_bswap64(v);
        memcpy(p + 8 * i, &v, 8);
    }
}

void um_swap_bytes(void *data, size_t count, size_t width)
{
    if (width == 2) {
        swap16(data, count);
    } else if (width == 4) {
        swap32(data, count);
    } else if (width == 8) {
        swap64(data, count);
    }
}

um_status um_frames_run(um_source *source, const char *path, um_frames *frames, int64_t first,
                        int64_t count, void *dst)
{
    const um_source_info *info = &source->info;
    size_t width = um_dtype_size(info->dtype);
    size_t pixels = (size_t)(info->shape.ky * info->shape.kx);
    UM_TRY(um_file_gather(frames->file, path, dst, pixels * width, (size_t)frames->stride, count,
                          frames->offset + first * frames->stride));
    if (frames->big_endian != UM_HOST_BIG_ENDIAN) {
        um_swap_bytes(dst, (size_t)count * pixels, width);
    }
    return UM_OK;
}

static um_status read_rect(um_source *source, um_rect rect, void *dst)
{
    um_frames *frames = source->state;
    const um_source_info *info = &source->info;
    size_t bytes = (size_t)(info->shape.ky * info->shape.kx) * um_dtype_size(info->dtype);
    bool rows_join = rect.nx == info->shape.nx;
    int64_t runs = rows_join ? 1 : rect.ny;
    int64_t count = rows_join ? rect.ny * rect.nx : rect.nx;
    for (int64_t i = 0; i < runs; i++) {
        int64_t first = (rect.y0 + i) * info->shape.nx + rect.x0;
        UM_TRY(um_frames_run(source, source->path, frames, first, count,
                             (unsigned char *)dst + (size_t)(i * count) * bytes));
    }
    return UM_OK;
}

static void will_read(um_source *source, um_rect rect)
{
    const um_frames *frames = source->state;
    bool rows_join = rect.nx == source->info.shape.nx;
    int64_t runs = rows_join ? 1 : rect.ny;
    int64_t count = rows_join ? rect.ny * rect.nx : rect.nx;
    for (int64_t i = 0; i < runs; i++) {
        int64_t first = (rect.y0 + i) * source->info.shape.nx + rect.x0;
        um_file_will_read(frames->file, frames->offset + first * frames->stride, count * frames->stride);
    }
}

um_status um_frames_open(um_context *ctx, const um_probe *probe, um_source *source,
                         um_frames **frames)
{
    *frames = NULL;
    um_frames *state = calloc(1, sizeof *state);
    um_file *file = calloc(1, sizeof *file);
    if (state == NULL || file == NULL) {
        free(state);
        free(file);
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to open it", probe->path);
    }
    if (!um_file_open(ctx, probe->path, file)) {
        free(state);
        free(file);
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", probe->path, strerror(errno));
    }
    um_source_take_room(source, file);
    state->file = file;
    source->state = state;
    *frames = state;
    return UM_OK;
}

static void close_frames(um_source *source)
{
    um_frames *state = source->state;
    um_file_close(state->file);
    free(state->file);
    free(state);
    source->state = NULL;
}

const um_source_ops um_frames_ops = {read_rect, close_frames, will_read, NULL, NULL};
