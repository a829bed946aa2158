/* The scan as a thing: finds the format, checks every request, keeps path and metadata. */
#include "io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* raw comes first because a description overrules what the bytes look like. */
static const um_reader *const formats[] = {
    &um_format_raw,
    &um_format_hdf5,
    &um_format_blo,
    &um_format_mib,
    &um_format_npy,
};

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

um_status um_path_split(um_context *ctx, const char *spec, char **file, const char **part)
{
    *part = NULL;
    *file = um_strdup(spec);
    if (*file == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for its name", spec);
    }
    struct stat status;
    if (stat(spec, &status) == 0) {
        return UM_OK;
    }
    for (char *colon = strchr(*file, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
        *colon = '\0';
        if (is_file(*file)) {
            *part = spec + (colon - *file) + 1;
            return UM_OK;
        }
        *colon = ':';
    }
    return UM_OK;
}

static um_status read_head(um_context *ctx, um_probe *probe)
{
    struct stat status;
    if (stat(probe->path, &status) != 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", probe->path, strerror(errno));
    }
    if (S_ISDIR(status.st_mode)) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "%s: is a folder: name a scan file in it",
                       probe->path);
    }
    if (!S_ISREG(status.st_mode)) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "%s: is a device or pipe: name a file",
                       probe->path);
    }
    if (status.st_size == 0) {
        return um_fail(ctx, UM_ERROR_TRUNCATED, "%s: is empty (0 bytes)", probe->path);
    }
    int fd = open(probe->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", probe->path, strerror(errno));
    }
    probe->file_size = status.st_size;
    probe->head_size = sizeof probe->head;
    if (probe->file_size < (int64_t)sizeof probe->head) {
        probe->head_size = (size_t)probe->file_size;
    }
    um_status result = um_pread_all(ctx, probe->path, fd, probe->head, probe->head_size, 0);
    close(fd);
    return result;
}

static um_status finish_open(um_context *ctx, um_source *source)
{
    um_source_info *info = &source->info;
    size_t bytes = 0;
    if (info->shape.ky <= 0 || info->shape.kx <= 0 ||
        !um_mul4(info->shape.ny, info->shape.nx, info->shape.ky, info->shape.kx, &bytes) ||
        !um_mul_size(bytes, um_dtype_size(info->dtype), &bytes) || bytes > (size_t)INT64_MAX) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: a scan of %lld x %lld x %lld x %lld is not possible",
                       source->path, (long long)info->shape.ny, (long long)info->shape.nx,
                       (long long)info->shape.ky, (long long)info->shape.kx);
    }
    if (source->metadata == NULL) {
        source->metadata = json_object();
    }
    source->metadata_text = json_dumps(source->metadata, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (source->metadata_text == NULL) {
        source->metadata_text = um_strdup("{}");
    }
    return source->metadata_text != NULL
               ? UM_OK
               : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for metadata", source->path);
}

static um_status open_file(um_context *ctx, um_probe *probe, const um_open_options *options,
                           um_source *source)
{
    UM_TRY(read_head(ctx, probe));
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (formats[i]->recognise(probe, options)) {
            source->info.format = formats[i]->name;
            UM_TRY(formats[i]->open(ctx, probe, options, source));
            return finish_open(ctx, source);
        }
    }
    return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                   "%s: is no scan file that unmix knows (HDF5, blo, mib, npy): for a flat file "
                   "pass --raw dtype=u16,ky=256,kx=256 --scan NYxNX",
                   probe->path);
}

static um_status open_source(um_context *ctx, const char *path, const um_open_options *options,
                             int64_t *room, um_source **out)
{
    static const um_open_options none = {0};
    *out = NULL;
    um_source *source = calloc(1, sizeof *source);
    if (source == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to open it", path);
    }
    source->ctx = ctx;
    source->room = room;
    options = options != NULL ? options : &none;
    um_probe probe = {.part = room != NULL};
    um_status status = UM_OK;
    if (room == NULL && um_parts_named(path)) {
        source->path = um_strdup(path);
        source->info.format = "parts";
        status = source->path != NULL ? um_parts_open(ctx, options, source)
                                      : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory", path);
        status = status == UM_OK ? finish_open(ctx, source) : status;
    } else {
        status = um_path_split(ctx, path, &source->path, &probe.dataset);
        probe.path = source->path;
        status = status == UM_OK ? open_file(ctx, &probe, options, source) : status;
    }
    source->info.path = source->path;
    source->room = NULL;
    if (status != UM_OK) {
        um_source_free(source);
        return status;
    }
    *out = source;
    return UM_OK;
}

um_status um_source_open(um_context *ctx, const char *path, const um_open_options *options,
                         um_source **out)
{
    return open_source(ctx, path, options, NULL, out);
}

um_status um_source_open_part(um_context *ctx, const char *path, const um_open_options *options,
                              int64_t *room, um_source **out)
{
    return open_source(ctx, path, options, room, out);
}

void um_source_take_room(um_source *source, um_file *file)
{
    int64_t own = source->room != NULL ? 0 : um_file_room(source->ctx, file->size);
    um_file_take_room(file, source->room != NULL ? source->room : &own);
}

void um_source_free(um_source *source)
{
    if (source == NULL) {
        return;
    }
    if (source->state != NULL) {
        source->ops->close(source);
    }
    json_decref(source->metadata);
    free(source->metadata_text);
    free(source->path);
    free(source);
}

const um_source_info *um_source_get_info(const um_source *source)
{
    return &source->info;
}

const char *um_source_metadata(const um_source *source)
{
    return source->metadata_text;
}

um_source *um_source_part(um_source *source, int i)
{
    return source->ops->part != NULL && i >= 0 ? source->ops->part(source, i) : NULL;
}

/* Reads where positions may be absent at the end: whole rows, the row that breaks off, zeros. */
static um_status read_short(um_source *source, um_rect rect, unsigned char *dst, size_t bytes)
{
    int64_t nx = source->info.shape.nx;
    int64_t whole = source->info.positions_present / nx; /* rows that are complete */
    int64_t rest = source->info.positions_present % nx;
    int64_t ny = whole - rect.y0;
    ny = ny < 0 ? 0 : ny > rect.ny ? rect.ny : ny;
    memset(dst, 0, (size_t)(rect.ny * rect.nx) * bytes);
    if (ny > 0) {
        um_rect full = {rect.y0, rect.x0, ny, rect.nx};
        UM_TRY(source->ops->read(source, full, dst));
    }
    int64_t columns = rest - rect.x0;
    columns = columns > rect.nx ? rect.nx : columns;
    if (ny < rect.ny && rect.y0 + ny == whole && columns > 0) {
        um_rect last = {whole, rect.x0, 1, columns};
        UM_TRY(source->ops->read(source, last, dst + (size_t)(ny * rect.nx) * bytes));
    }
    return UM_OK;
}

static bool inside(const um_source *source, um_rect rect)
{
    um_shape s = source->info.shape;
    return rect.y0 >= 0 && rect.x0 >= 0 && rect.ny >= 0 && rect.nx >= 0 && rect.ny <= s.ny &&
           rect.nx <= s.nx && rect.y0 <= s.ny - rect.ny && rect.x0 <= s.nx - rect.nx;
}

void um_source_will_read(um_source *source, um_rect rect)
{
    if (source->ops->will_read != NULL && inside(source, rect) && rect.ny > 0 && rect.nx > 0) {
        source->ops->will_read(source, rect);
    }
}

void um_source_rest(um_source *source)
{
    if (source->ops->rest != NULL) {
        source->ops->rest(source);
    }
}

um_status um_source_read(um_source *source, um_rect rect, void *dst)
{
    const um_source_info *info = &source->info;
    um_shape s = info->shape;
    if (!inside(source, rect)) {
        return um_fail(source->ctx, UM_ERROR_ARGUMENT,
                       "%s: rows %lld+%lld, columns %lld+%lld are outside the scan of %lld x %lld",
                       source->path, (long long)rect.y0, (long long)rect.ny, (long long)rect.x0,
                       (long long)rect.nx, (long long)s.ny, (long long)s.nx);
    }
    if (rect.ny == 0 || rect.nx == 0) {
        return UM_OK;
    }
    size_t bytes = (size_t)(s.ky * s.kx) * um_dtype_size(info->dtype);
    int64_t last = (rect.y0 + rect.ny - 1) * s.nx + rect.x0 + rect.nx - 1;
    if (last < info->positions_present) {
        return source->ops->read(source, rect, dst);
    }
    return read_short(source, rect, dst, bytes);
}
