/* The .blo sink: see blo.c for the layout. Records go to their places as they come; the virtual bright field image, which
 * lies before them, is written in the end. */
#include "io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    HEADER = 240,
    IMAGE_AT = 0x1000,
    RECORD = 6,
    FLAGS = 131135, /* what is seen in files of instruments; not known what it means */
    MOST_ALONG = 65535,
    RECORDS_AT_ONCE = 128
};
static const double BRIGHT_FIELD = 0.05; /* radius of the disc of the virtual image over the side of a pattern */
static const double NOMINAL_PIXEL_CM = 0.01;

typedef struct blo_sink {
    int fd;
    int64_t data_at, first_row, rows; /* rows of a pattern that the disc has; */
    int64_t *from, *count;            /* and its pixels in each */
    uint64_t unit;                    /* of the sums, so that 32 bits hold those of any disc */
    uint32_t *image;                  /* ny*nx sums over the disc */
} blo_sink;

/* ---- header --------------------------------------------------------------------------------- */

static void store_le(unsigned char *p, uint64_t value, int width)
{
    for (int i = 0; i < width; i++) {
        p[i] = (unsigned char)(value >> (8 * i));
    }
}

static void store_f64(unsigned char *p, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    store_le(p, bits, 8);
}

/* Length of one unit in nm or 1/nm; 0 = none that is known. */
static double unit_nm(const char *units)
{
    static const struct {
        const char *name;
        double nm;
    } known[] = {{"nm", 1.0},  {"Å", 0.1},    {"A", 0.1},     {"um", 1e3},    {"µm", 1e3},     {"m", 1e9},
                 {"1/nm", 1.0}, {"1/Å", 10.0}, {"1/A", 10.0}, {"nm^-1", 1.0}, {"A^-1", 10.0}, {"$A^{-1}$", 10.0}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(units, known[i].name) == 0) {
            return known[i].nm;
        }
    }
    return 0.0;
}

/* The first of these keys anywhere in the metadata, in V; 0 = none. */
static double find_energy(json_t *object)
{
    const char *key = NULL;
    json_t *value = NULL;
    double energy = 0.0;
    json_object_foreach(object, key, value) {
        if (json_is_number(value) && strcmp(key, "beam_energy_V") == 0) {
            return json_number_value(value);
        }
        if (json_is_number(value) && (strcmp(key, "voltage_kV") == 0 || strcmp(key, "beam_energy") == 0)) {
            return 1e3 * json_number_value(value);
        }
        if (json_is_object(value) && (energy = find_energy(value)) > 0.0) {
            return energy;
        }
    }
    return 0.0;
}

static double energy_of(const char *metadata)
{
    json_t *root = metadata != NULL ? json_loads(metadata, 0, NULL) : NULL;
    double energy = find_energy(root);
    json_decref(root);
    return energy > 0.0 && energy < 1e7 ? energy : 0.0;
}

static double wavelength_nm(double energy_V)
{
    return 1.2264259 / sqrt(energy_V * (1.0 + 0.97847561e-6 * energy_V));
}

/* Pixel at the camera and camera length. Of reciprocal units only their ratio is known: a pixel of 0.1 mm is assumed. */
static void put_camera(unsigned char *h, const um_axis *axis, double energy_V)
{
    double pixel_cm = 0.0, length_mm = 0.0, per_nm = axis->scale * unit_nm(axis->units);
    if (strcmp(axis->units, "cm") == 0) {
        pixel_cm = axis->scale;
    } else if (strcmp(axis->units, "mm") == 0) {
        pixel_cm = 0.1 * axis->scale;
    } else if (axis->units[0] != '\0' && per_nm > 0.0 && energy_V > 0.0) {
        pixel_cm = NOMINAL_PIXEL_CM;
        length_mm = 10.0 * pixel_cm / (per_nm * wavelength_nm(energy_V));
    }
    double sdp = pixel_cm > 0.0 ? round(100.0 / pixel_cm) : 0.0;
    store_le(h + 46, (uint64_t)llround(energy_V), 4);
    store_le(h + 50, sdp >= 1.0 && sdp <= MOST_ALONG ? (uint64_t)sdp : 0, 2);
    store_le(h + 52, length_mm > 0.0 && length_mm < 1e8 ? (uint64_t)llround(10.0 * length_mm) : 0, 4);
}

/* An uncalibrated step is 1, because other programs take a step of 0 at its word. */
static double step_nm(const um_axis *axis)
{
    double step = axis->scale * unit_nm(axis->units);
    return axis->units[0] != '\0' && step > 0.0 && isfinite(step) ? step : 1.0;
}

/* What the fields have no room for, in Latin-1. */
static void put_note(unsigned char *h, const um_sink_spec *spec)
{
    const um_axis *scan = &spec->axes[1], *detector = &spec->axes[3];
    const char *units = unit_nm(detector->units) == 10.0 ? "1/A" : detector->units;
    bool ascii = true;
    for (const char *p = units; *p != '\0'; p++) {
        ascii = ascii && (unsigned char)*p < 128;
    }
    snprintf((char *)h + HEADER, IMAGE_AT - HEADER, "Written by unmix\r\nScan step : %s\r\nDetector pixel : %.9g %s\r\n",
             unit_nm(scan->units) > 0.0 ? "as in the header" : "not known", detector->scale,
             units[0] == '\0' || !ascii ? "(not calibrated)" : units);
}

static um_status put_header(um_sink *sink, const um_sink_spec *spec)
{
    blo_sink *b = sink->state;
    unsigned char h[IMAGE_AT] = "IMGBLO";
    store_le(h + 6, 0x0102, 2);
    store_le(h + 8, IMAGE_AT, 4);
    store_le(h + 12, (uint64_t)b->data_at, 4);
    store_le(h + 16, FLAGS, 4);
    store_le(h + 20, (uint64_t)spec->shape.kx, 2);
    store_le(h + 24, (uint64_t)spec->shape.nx, 2);
    store_le(h + 26, (uint64_t)spec->shape.ny, 2);
    store_f64(h + 30, step_nm(&spec->axes[1]));
    store_f64(h + 38, step_nm(&spec->axes[0]));
    put_camera(h, &spec->axes[3], energy_of(spec->metadata));
    put_note(h, spec);
    return um_pwrite_all(sink->ctx, sink->part, b->fd, h, sizeof h, 0);
}

/* ---- records -------------------------------------------------------------------------------- */

static void choose_disc(blo_sink *b, int64_t side)
{
    double radius = fmax(1.0, BRIGHT_FIELD * (double)side);
    int64_t middle = side / 2, reach = (int64_t)radius, pixels = 0;
    b->first_row = middle > reach ? middle - reach : 0;
    for (int64_t y = b->first_row; y < side && y <= middle + reach; y++) {
        int64_t half = (int64_t)sqrt(radius * radius - (double)((y - middle) * (y - middle)));
        int64_t from = middle > half ? middle - half : 0, last = middle + half < side ? middle + half : side - 1;
        b->from[b->rows] = y * side + from;
        b->count[b->rows++] = last - from + 1;
        pixels += last - from + 1;
    }
    b->unit = (uint64_t)pixels * UINT8_MAX / UINT32_MAX + 1;
}

static uint32_t bright_field(const blo_sink *b, const uint8_t *pattern)
{
    uint64_t sum = 0;
    for (int64_t r = 0; r < b->rows; r++) {
        uint32_t row = 0;
        for (int64_t i = 0; i < b->count[r]; i++) {
            row += pattern[b->from[r] + i];
        }
        sum += row;
    }
    return (uint32_t)(sum / b->unit);
}

static um_status write_vector(um_sink *sink, struct iovec *part, int parts, int64_t offset)
{
    blo_sink *b = sink->state;
    while (parts > 0) {
        ssize_t n = pwritev(b->fd, part, parts, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return um_fail(sink->ctx, UM_ERROR_IO, "%s: cannot be written at byte %lld: %s", sink->part,
                           (long long)offset, n < 0 ? strerror(errno) : "no space");
        }
        offset += n;
        for (; parts > 0 && (size_t)n >= part->iov_len; part++, parts--) {
            n -= (ssize_t)part->iov_len;
        }
        if (parts > 0) {
            part->iov_base = (char *)part->iov_base + n;
            part->iov_len -= (size_t)n;
        }
    }
    return UM_OK;
}

/* Consecutive positions, with the mark and number of each. */
static um_status write_records(um_sink *sink, int64_t position, int64_t count, const uint8_t *patterns)
{
    blo_sink *b = sink->state;
    size_t pixels = (size_t)(sink->shape.ky * sink->shape.kx);
    unsigned char mark[RECORDS_AT_ONCE][RECORD];
    struct iovec part[2 * RECORDS_AT_ONCE];
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *pattern = patterns + (size_t)i * pixels;
        memcpy(mark[i], "\xaa\x55", 2);
        store_le(mark[i] + 2, (uint64_t)(position + i), 4);
        part[2 * i] = (struct iovec){mark[i], RECORD};
        part[2 * i + 1] = (struct iovec){(void *)(uintptr_t)pattern, pixels};
        b->image[position + i] = bright_field(b, pattern);
    }
    return write_vector(sink, part, (int)(2 * count), b->data_at + position * (RECORD + (int64_t)pixels));
}

static um_status write_rect(um_sink *sink, um_rect rect, const void *patterns)
{
    const size_t pixels = (size_t)(sink->shape.ky * sink->shape.kx);
    const uint8_t *from = patterns;
    for (int64_t y = 0; y < rect.ny; y++) {
        for (int64_t x = 0; x < rect.nx; x += RECORDS_AT_ONCE) {
            int64_t count = rect.nx - x < RECORDS_AT_ONCE ? rect.nx - x : RECORDS_AT_ONCE;
            int64_t position = (rect.y0 + y) * sink->shape.nx + rect.x0 + x;
            UM_TRY(write_records(sink, position, count, from + (size_t)(y * rect.nx + x) * pixels));
        }
    }
    return UM_OK;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

static um_status write_image(um_sink *sink)
{
    blo_sink *b = sink->state;
    const int64_t positions = sink->shape.ny * sink->shape.nx;
    uint32_t most = 1;
    uint8_t *bytes = (uint8_t *)b->image; /* in place: no value is read after it is overwritten */
    for (int64_t p = 0; p < positions; p++) {
        most = b->image[p] > most ? b->image[p] : most;
    }
    for (int64_t p = 0; p < positions; p++) {
        bytes[p] = (uint8_t)((255.0 * (double)b->image[p]) / (double)most + 0.5);
    }
    return um_pwrite_all(sink->ctx, sink->part, b->fd, bytes, (size_t)positions, IMAGE_AT);
}

/* 0, or why the file could not be closed. */
static int release(um_sink *sink)
{
    blo_sink *b = sink->state;
    int reason = b->fd >= 0 && close(b->fd) != 0 ? errno : 0;
    um_buffer_free(sink->ctx, b->image);
    free(b->from);
    free(b->count);
    free(b);
    sink->state = NULL;
    return reason;
}

static um_status finish(um_sink *sink)
{
    um_status status = write_image(sink);
    int reason = release(sink);
    if (status == UM_OK && reason != 0) {
        status = um_fail(sink->ctx, UM_ERROR_IO, "%s: cannot be closed: %s", sink->part, strerror(reason));
    }
    return status;
}

static void abandon(um_sink *sink)
{
    release(sink);
}

static um_status check_spec(um_context *ctx, const um_sink *sink, const um_sink_spec *spec)
{
    const um_shape s = spec->shape;
    if (spec->dtype != UM_U8) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: a blockfile holds u8 values and these are %s: pass --dtype u8 (larger values become 255), or "
                       "write .hspy or .npy",
                       sink->path, um_dtype_name(spec->dtype));
    }
    if (s.ky != s.kx || s.kx > MOST_ALONG) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: a blockfile holds square patterns of up to %d pixels a side and these are %lld x %lld: "
                       "crop the detector, or write .hspy or .npy",
                       sink->path, MOST_ALONG, (long long)s.ky, (long long)s.kx);
    }
    if (s.ny > MOST_ALONG || s.nx > MOST_ALONG || s.ny * s.nx > (int64_t)UINT32_MAX - 2 * IMAGE_AT) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: a blockfile holds up to %d rows of up to %d positions and this scan is %lld x %lld: crop it, "
                       "or write .hspy or .npy",
                       sink->path, MOST_ALONG, MOST_ALONG, (long long)s.ny, (long long)s.nx);
    }
    return UM_OK;
}

static um_status create(um_context *ctx, const um_sink_spec *spec, um_sink *sink)
{
    static const um_sink_ops ops = {write_rect, finish, abandon};
    UM_TRY(check_spec(ctx, sink, spec));
    blo_sink *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to write it", sink->path);
    }
    b->fd = -1;
    sink->ops = &ops;
    sink->state = b; /* from here on abandon() clears up */
    b->from = calloc((size_t)spec->shape.ky, sizeof *b->from);
    b->count = calloc((size_t)spec->shape.ky, sizeof *b->count);
    if (b->from == NULL || b->count == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to write it", sink->path);
    }
    choose_disc(b, spec->shape.kx);
    int64_t positions = spec->shape.ny * spec->shape.nx;
    b->data_at = IMAGE_AT + positions;
    UM_TRY(um_buffer_alloc(ctx, (size_t)positions, sizeof *b->image, "the virtual image of a blockfile", &b->image));
    b->fd = open(sink->part, O_WRONLY | O_CLOEXEC);
    if (b->fd < 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", sink->part, strerror(errno));
    }
    return put_header(sink, spec);
}

const um_sink_format um_sink_format_blo = {".blo", create};
