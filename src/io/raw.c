/* A flat file of evenly spaced patterns, described by the user. */
#include "io_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct description {
    um_dtype dtype;
    bool has_dtype, big_endian;
    int64_t ky, kx, header, frame_header, frame_footer;
} description;

static bool raw_recognise(const um_probe *probe, const um_open_options *options)
{
    (void)probe;
    return options->raw != NULL;
}

static bool parse_number(const char *text, int64_t *out)
{
    int64_t value = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' ||
            __builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(*text - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

static bool set_entry(description *d, const char *key, const char *value)
{
    const struct {
        const char *key;
        int64_t *number;
    } numbers[] = {{"ky", &d->ky},
                   {"kx", &d->kx},
                   {"header", &d->header},
                   {"frame_header", &d->frame_header},
                   {"frame_footer", &d->frame_footer}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(key, numbers[i].key) == 0) {
            return parse_number(value, numbers[i].number);
        }
    }
    if (strcmp(key, "dtype") == 0) {
        d->has_dtype = um_dtype_parse(value, &d->dtype);
        return d->has_dtype;
    }
    d->big_endian = strcmp(value, "big") == 0;
    return strcmp(key, "endian") == 0 && (d->big_endian || strcmp(value, "little") == 0);
}

/* Cuts "key=value" at `entry`, blanks around the parts taken off. */
static bool split_entry(char *entry, char **key, char **value)
{
    char *equals = strchr(entry, '=');
    if (equals == NULL) {
        return false;
    }
    *equals = '\0';
    char *parts[2] = {entry, equals + 1};
    for (int i = 0; i < 2; i++) {
        while (isspace((unsigned char)*parts[i])) {
            parts[i]++;
        }
        size_t n = strlen(parts[i]);
        while (n > 0 && isspace((unsigned char)parts[i][n - 1])) {
            parts[i][--n] = '\0';
        }
    }
    *key = parts[0];
    *value = parts[1];
    return true;
}

static um_status parse_description(um_context *ctx, const char *path, const char *raw,
                                   description *out)
{
    char *text = um_strdup(raw);
    um_status status = UM_OK;
    *out = (description){0};
    if (text == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to open it", path);
    }
    char *rest = text;
    for (char *entry = strsep(&rest, ","); entry != NULL && status == UM_OK;
         entry = strsep(&rest, ",")) {
        char *key = entry;
        char *value = NULL;
        if (!split_entry(entry, &key, &value) || !set_entry(out, key, value)) {
            status = um_fail(ctx, UM_ERROR_ARGUMENT,
                             "%s: raw description '%s': '%s' is not understood: write "
                             "dtype=u16,ky=256,kx=256[,header=BYTES][,frame_header=BYTES]"
                             "[,frame_footer=BYTES][,endian=big|little] with dtype u8 u16 u32 i8 "
                             "i16 i32 f32 f64",
                             path, raw, key);
        }
    }
    free(text);
    if (status == UM_OK && (!out->has_dtype || out->ky <= 0 || out->kx <= 0)) {
        status = um_fail(ctx, UM_ERROR_ARGUMENT,
                         "%s: raw description '%s' needs dtype, ky and kx: write "
                         "dtype=u16,ky=256,kx=256",
                         path, raw);
    }
    return status;
}

/* Bytes from one pattern to the next; false on overflow. */
static bool frame_stride(const description *d, size_t *stride)
{
    return um_mul4(d->ky, d->kx, (int64_t)um_dtype_size(d->dtype), 1, stride) &&
           um_add_size(*stride, (size_t)d->frame_header, stride) &&
           um_add_size(*stride, (size_t)d->frame_footer, stride) &&
           *stride <= (size_t)INT64_MAX / 2 && d->header <= INT64_MAX / 4 &&
           d->frame_header <= INT64_MAX / 4;
}

static um_status raw_open(um_context *ctx, const um_probe *probe, const um_open_options *options,
                          um_source *source)
{
    description d;
    size_t stride = 0;
    um_frames *frames = NULL;
    um_source_info *info = &source->info;
    UM_TRY(parse_description(ctx, probe->path, options->raw, &d));
    if (!frame_stride(&d, &stride)) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: raw description '%s' is impossibly large",
                       probe->path, options->raw);
    }
    int64_t body = probe->file_size - d.header;
    int64_t patterns = body > 0 ? body / (int64_t)stride : 0;
    if (patterns == 0) {
        return um_fail(ctx, UM_ERROR_TRUNCATED,
                       "%s: has %lld bytes but header and one pattern of '%s' need %lld: check the "
                       "description",
                       probe->path, (long long)probe->file_size, options->raw,
                       (long long)(d.header + (int64_t)stride));
    }
    if (body % (int64_t)stride != 0) {
        um_warn(ctx, "%s: %lld bytes after the last whole pattern are left out: check ky, kx, dtype "
                     "and header",
                probe->path, (long long)(body % (int64_t)stride));
    }
    info->dtype = d.dtype;
    info->shape = (um_shape){1, patterns, d.ky, d.kx};
    UM_TRY(um_scan_shape(ctx, probe, options, 1, patterns, patterns, source));
    source->ops = &um_frames_ops;
    UM_TRY(um_frames_open(ctx, probe, source, &frames));
    frames->offset = d.header + d.frame_header;
    frames->stride = (int64_t)stride;
    frames->big_endian = d.big_endian;
    um_axes_default(info->axes, info->shape);
    info->block_ny = 1;
    info->block_nx = info->shape.nx;
    source->metadata = json_pack("{s:s}", "raw", options->raw);
    return UM_OK;
}

const um_reader um_format_raw = {"raw", raw_recognise, raw_open};
