/* NanoMEGAS blockfile (ASTAR), little-endian: header of 240 bytes, a note, a virtual bright field image,
 * then one record per position: AA 55, u32 number, square pattern. */
#include "io_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HEADER = 240,
    RECORD = 6, /* bytes in front of a pattern */
    MAGIC_CLASSIC = 0x0102,
    MAGIC_NEW = 0x0103
};

typedef struct blo_header {
    unsigned magic, side, nx, ny, pixels_per_cm_100, rotation, scan_rotation_100;
    uint32_t image_offset, data_offset, energy_V, camera_length;
    double step_x_nm, step_y_nm, acquired; /* OLE date */
    char note[4096 - HEADER + 1];
    size_t note_size;
} blo_header;

static bool blo_recognise(const um_probe *probe, const um_open_options *options)
{
    (void)options;
    return probe->dataset == NULL && probe->head_size >= 6 && memcmp(probe->head, "IMGBLO", 6) == 0;
}

static uint64_t load_le(const unsigned char *p, int width)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++) {
        value |= (uint64_t)p[i] << (8 * i);
    }
    return value;
}

static double load_f64(const unsigned char *p)
{
    uint64_t bits = load_le(p, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void parse_header(const um_probe *probe, blo_header *out)
{
    const unsigned char *h = probe->head;
    out->magic = (unsigned)load_le(h + 6, 2);
    out->image_offset = (uint32_t)load_le(h + 8, 4);
    out->data_offset = (uint32_t)load_le(h + 12, 4);
    out->side = (unsigned)load_le(h + 20, 2);
    out->rotation = (unsigned)load_le(h + 22, 2);
    out->nx = (unsigned)load_le(h + 24, 2);
    out->ny = (unsigned)load_le(h + 26, 2);
    out->scan_rotation_100 = (unsigned)load_le(h + 28, 2);
    out->step_x_nm = load_f64(h + 30);
    out->step_y_nm = load_f64(h + 38);
    out->energy_V = (uint32_t)load_le(h + 46, 4);
    out->pixels_per_cm_100 = (unsigned)load_le(h + 50, 2);
    out->camera_length = (uint32_t)load_le(h + 52, 4);
    out->acquired = load_f64(h + 56);
    size_t end = out->image_offset < probe->head_size ? out->image_offset : probe->head_size;
    out->note_size = end > HEADER ? end - HEADER : 0;
    memcpy(out->note, h + HEADER, out->note_size);
    out->note[out->note_size] = '\0'; /* the note is NUL padded */
    out->note_size = strlen(out->note);
}

static bool mark_at(um_source *source, int fd, int64_t file_size, int64_t offset)
{
    unsigned char mark[2] = {0, 0};
    return offset + 2 <= file_size &&
           um_pread_all(source->ctx, source->path, fd, mark, 2, offset) == UM_OK &&
           mark[0] == 0xaa && mark[1] == 0x55;
}

/* Says how wide a pixel is: the note's word, checked against where the second record begins. */
static um_status find_width(um_context *ctx, const um_probe *probe, const blo_header *h, int fd,
                            um_source *source, int *width)
{
    int64_t pixels = (int64_t)h->side * h->side;
    int64_t offset = h->data_offset;
    int said = h->magic == MAGIC_NEW && strstr(h->note, "Bit Depth: 16") != NULL ? 2 : 1;
    if (!mark_at(source, fd, probe->file_size, offset)) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: no pattern record begins at byte %lld, where the header says so",
                       probe->path, (long long)offset);
    }
    *width = said;
    bool second = (int64_t)h->nx * h->ny > 1 &&
                  offset + RECORD + 2 * pixels + RECORD <= probe->file_size;
    if (second && !mark_at(source, fd, probe->file_size, offset + RECORD + pixels * said)) {
        *width = 3 - said;
        if (!mark_at(source, fd, probe->file_size, offset + RECORD + pixels * *width)) {
            return um_fail(ctx, UM_ERROR_FORMAT,
                           "%s: the second pattern record is not where patterns of %u x %u end",
                           probe->path, h->side, h->side);
        }
        um_warn(ctx, "%s: records are of %d-bit pixels although the header says %d", probe->path,
                8 * *width, 8 * said);
    }
    return UM_OK;
}

static double pixel_cm(const blo_header *h)
{
    return h->pixels_per_cm_100 > 0 ? 100.0 / h->pixels_per_cm_100 : 1.0;
}

static void add_time(json_t *metadata, double ole)
{
    static const double UNIX_EPOCH = 25569.0; /* 1970-01-01 in OLE days */
    char text[40];
    struct tm broken;
    if (!(ole > 1.0 && ole < 2958466.0)) {
        return;
    }
    time_t seconds = (time_t)llround((ole - UNIX_EPOCH) * 86400.0);
    if (gmtime_r(&seconds, &broken) != NULL &&
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &broken) > 0) {
        json_object_set_new(metadata, "acquired", json_string(text));
    }
}

static json_t *describe(const blo_header *h, int width)
{
    json_t *m = json_object();
    json_object_set_new(m, "magic", json_integer(h->magic));
    json_object_set_new(m, "beam_energy_V", json_integer(h->energy_V));
    json_object_set_new(m, "camera_length_mm", json_real(0.1 * h->camera_length));
    json_object_set_new(m, "pixel_size_cm", json_real(pixel_cm(h)));
    json_object_set_new(m, "pattern_rotation", json_integer(h->rotation));
    json_object_set_new(m, "scan_rotation_deg", json_real(h->scan_rotation_100 / 100.0));
    json_object_set_new(m, "data_offset", json_integer(h->data_offset));
    json_object_set_new(m, "bits", json_integer(8 * width));
    json_object_set_new(m, "note", um_json_latin1(h->note, h->note_size));
    add_time(m, h->acquired);
    return m;
}

/* A step that is no positive number is as good as none. */
static void set_step(um_axis *axis, const char *name, double step, const char *units)
{
    if (isfinite(step) && step > 0.0) {
        um_axis_set(axis, name, step, 0.0, units);
    }
}

static void set_axes(um_source_info *info, const blo_header *h)
{
    um_axes_default(info->axes, info->shape);
    set_step(&info->axes[0], "y", h->step_y_nm, "nm");
    set_step(&info->axes[1], "x", h->step_x_nm, "nm");
    if (h->pixels_per_cm_100 > 0) {
        um_axis_set(&info->axes[2], "ky", pixel_cm(h), 0.0, "cm");
        um_axis_set(&info->axes[3], "kx", pixel_cm(h), 0.0, "cm");
    }
}

static void warn_about(um_context *ctx, const um_probe *probe, const blo_header *h)
{
    if (h->magic != MAGIC_CLASSIC && h->magic != MAGIC_NEW) {
        um_warn(ctx, "%s: blockfile version 0x%04x is not known; read like 0x0102", probe->path,
                h->magic);
    }
    const char *gamma = strstr(h->note, "Camera gamma");
    if (gamma != NULL && strcspn(gamma, "\r\n") >= 3 &&
        memmem(gamma, strcspn(gamma, "\r\n"), ": on", 4) != NULL) {
        um_warn(ctx, "%s: taken with camera gamma on: intensities are not linear", probe->path);
    }
}

static um_status check_header(um_context *ctx, const um_probe *probe, const blo_header *h)
{
    if (h->side == 0) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: its header says that patterns are 0 pixels wide",
                       probe->path);
    }
    if (h->data_offset < HEADER) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: its header places patterns at byte %u, inside it",
                       probe->path, h->data_offset);
    }
    if ((int64_t)h->data_offset + RECORD + (int64_t)h->side * h->side > probe->file_size) {
        return um_fail(ctx, UM_ERROR_TRUNCATED,
                       "%s: has %lld bytes and ends before its first pattern (%u x %u at byte %u)",
                       probe->path, (long long)probe->file_size, h->side, h->side, h->data_offset);
    }
    return UM_OK;
}

static um_status blo_open(um_context *ctx, const um_probe *probe, const um_open_options *options,
                          um_source *source)
{
    blo_header h = {0};
    um_frames *frames = NULL;
    um_source_info *info = &source->info;
    int width = 1;
    if (probe->head_size < HEADER) {
        return um_fail(ctx, UM_ERROR_TRUNCATED, "%s: ends inside its header of %d bytes",
                       probe->path, HEADER);
    }
    parse_header(probe, &h);
    UM_TRY(check_header(ctx, probe, &h));
    source->ops = &um_frames_ops;
    UM_TRY(um_frames_open(ctx, probe, source, &frames));
    UM_TRY(find_width(ctx, probe, &h, frames->file->fd, source, &width));
    frames->offset = (int64_t)h.data_offset + RECORD;
    frames->stride = RECORD + (int64_t)h.side * h.side * width;
    int64_t records = (probe->file_size - h.data_offset) / frames->stride;
    info->dtype = width == 2 ? UM_U16 : UM_U8;
    info->shape = (um_shape){h.ny, h.nx, h.side, h.side};
    int64_t expected = (int64_t)h.ny * h.nx;
    if (expected > 0 && records > expected && options->scan_ny == 0) {
        records = expected; /* bytes after the last record are allowed */
    }
    UM_TRY(um_scan_shape(ctx, probe, options, h.ny, h.nx, records, source));
    warn_about(ctx, probe, &h);
    set_axes(info, &h);
    info->block_ny = 1;
    info->block_nx = info->shape.nx;
    source->metadata = describe(&h, width);
    return UM_OK;
}

const um_reader um_format_blo = {"blo", blo_recognise, blo_open};
