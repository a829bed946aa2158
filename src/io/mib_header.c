#include "mib_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_FIELDS = 512, FIELD = 64 };

/* Fields of a header between commas; those with a NUL (padding) are dropped. */
typedef struct fields {
    const char *start[MAX_FIELDS];
    size_t length[MAX_FIELDS];
    int count;
} fields;

static void split_fields(const char *bytes, size_t count, fields *out)
{
    const char *end = bytes + count;
    out->count = 0;
    for (const char *p = bytes; p < end && out->count < MAX_FIELDS;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma != NULL ? comma : end;
        size_t length = (size_t)(stop - p);
        if (memchr(p, '\0', length) == NULL) {
            out->start[out->count] = p;
            out->length[out->count++] = length;
        }
        p = stop + 1;
    }
}

/* Copies a field without the blanks around it. */
static void field_text(const fields *f, int i, char *text, size_t size)
{
    text[0] = '\0';
    if (i < 0 || i >= f->count) {
        return;
    }
    const char *p = f->start[i];
    size_t n = f->length[i];
    while (n > 0 && *p == ' ') {
        p++;
        n--;
    }
    while (n > 0 && p[n - 1] == ' ') {
        n--;
    }
    snprintf(text, size, "%.*s", (int)(n < size ? n : size - 1), p);
}

static bool field_int(const fields *f, int i, int64_t low, int64_t high, int64_t *out)
{
    char text[FIELD];
    char *end = NULL;
    field_text(f, i, text, sizeof text);
    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0' && *out >= low && *out <= high;
}

static double field_double(const fields *f, int i)
{
    char text[FIELD];
    char *end = NULL;
    field_text(f, i, text, sizeof text);
    double value = strtod(text, &end);
    return end != text ? value : -1.0;
}

static bool parse_type(const fields *f, um_mib_header *out)
{
    char text[FIELD];
    field_text(f, 6, text, sizeof text);
    out->kind = text[0];
    if ((text[0] != 'U' && text[0] != 'R') || strlen(text) != 3) {
        return false;
    }
    out->bits = (text[1] - '0') * 10 + (text[2] - '0');
    return out->bits == 1 || out->bits == 8 || out->bits == 16 || out->bits == 32 ||
           out->bits == 64;
}

static void parse_tail(const fields *f, um_mib_header *out)
{
    out->exposure_ns = -1.0;
    for (int i = f->count - 1; i >= 12; i--) {
        char text[FIELD];
        field_text(f, i, text, sizeof text);
        if (strcmp(text, "MQ1A") == 0) {
            int64_t depth = 0;
            field_text(f, i + 1, out->utc_time, sizeof out->utc_time);
            out->exposure_ns = field_double(f, i + 2);
            out->depth = field_int(f, i + 3, 1, 24, &depth) ? (int)depth : 0;
            return;
        }
    }
}

static void parse_thresholds(const fields *f, um_mib_header *out)
{
    for (int i = 0; i < 8 && 14 + i < f->count; i++) {
        char text[FIELD];
        char *end = NULL;
        field_text(f, 14 + i, text, sizeof text);
        double value = strtod(text, &end);
        if (end == text || *end != '\0') {
            return;
        }
        out->thresholds[out->thresholds_given++] = value;
    }
}

bool um_mib_header_parse(const char *bytes, size_t count, um_mib_header *out)
{
    fields f;
    int64_t chips = 0;
    *out = (um_mib_header){0};
    if (count < 20 || memcmp(bytes, "MQ1,", 4) != 0) {
        return false;
    }
    split_fields(bytes, count, &f);
    if (!field_int(&f, 1, 0, INT32_MAX, &out->sequence) ||
        !field_int(&f, 2, 64, UM_MIB_MAX_HEADER, &out->size) ||
        !field_int(&f, 3, 1, 64, &chips) || !field_int(&f, 4, 1, 65536, &out->width) ||
        !field_int(&f, 5, 1, 65536, &out->height) || !parse_type(&f, out)) {
        return false;
    }
    if ((size_t)out->size < count) { /* the caller may not have known where the header ends */
        split_fields(bytes, (size_t)out->size, &f);
    }
    out->chips = (int)chips;
    field_text(&f, 7, out->layout, sizeof out->layout);
    field_text(&f, 9, out->local_time, sizeof out->local_time);
    out->shutter_s = field_double(&f, 10);
    parse_thresholds(&f, out);
    parse_tail(&f, out);
    return true;
}

bool um_mib_time_parse(const char *text, double *days, double *seconds)
{
    int y = 0;
    int mo = 0;
    int d = 0;
    int h = 0;
    int mi = 0;
    char sep = '\0';
    int used = 0;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%n", &y, &mo, &d, &sep, &h, &mi, &used) != 6 ||
        used == 0 || (sep != 'T' && sep != ' ')) {
        return false;
    }
    char *end = NULL;
    double s = strtod(text + used, &end);
    if (end == text + used || !(s >= 0.0 && s < 61.0)) {
        return false;
    }
    /* Only differences within a scan matter: any count of days that grows by one a day, except over
     * the end of a month, where one odd gap does no harm. */
    *days = 372.0 * y + 31.0 * mo + d;
    *seconds = 3600.0 * h + 60.0 * mi + s;
    return true;
}

/* ---- layouts -------------------------------------------------------------------------------- */

static um_status processed_layout(um_context *ctx, const char *path, const um_mib_header *header,
                                  um_mib_layout *out)
{
    switch (header->bits) {
    case 8:
        out->dtype = UM_U8;
        break;
    case 16:
        out->dtype = UM_U16;
        break;
    case 32:
        out->dtype = UM_U32;
        break;
    default:
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: holds processed frames of %d-bit pixels: record U08, U16 or U32", path,
                       header->bits);
    }
    out->ky = header->height;
    out->kx = header->width;
    out->image = out->ky * out->kx * (int64_t)um_dtype_size(out->dtype);
    return UM_OK;
}

/* Bytes of a stored raw image: 24-bit counters are two 12-bit images beside each other in `width`. */
static um_status raw_layout(um_context *ctx, const char *path, const um_mib_header *header,
                            um_mib_layout *out)
{
    bool single = strcmp(header->layout, "1x1") == 0 && header->chips == 1;
    out->quad = strncmp(header->layout, "2x2", 3) == 0 && header->chips == 4;
    int64_t doubled = header->depth == 24 ? 2 : 1;
    int64_t expected = doubled * (out->quad ? 1024 : 256);
    if ((!single && !out->quad) || (out->quad && header->depth == 24)) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: raw frames of layout %s with %d-bit counters are not readable: let the "
                       "Merlin software save processed frames",
                       path, header->layout, header->depth);
    }
    if (header->depth != 1 && header->depth != 6 && header->depth != 12 && header->depth != 24) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: raw frames need a counter depth of 1, 6, 12 or 24 in their header, not "
                       "%d",
                       path, header->depth);
    }
    if (header->width != expected) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: raw frames of layout %s and %d bit are %lld pixels wide in the file, "
                       "but the header says %lld",
                       path, header->layout, header->depth, (long long)expected,
                       (long long)header->width);
    }
    out->depth = header->depth;
    out->raw_width = header->width / doubled;
    out->raw_height = header->height;
    out->kx = out->quad ? 512 : 256;
    out->ky = out->quad ? 2 * header->height : header->height;
    int64_t pixels = out->raw_width * out->raw_height;
    out->dtype = header->depth <= 6 ? UM_U8 : header->depth == 12 ? UM_U16 : UM_U32;
    out->image = header->depth == 1    ? pixels / 8
                 : header->depth == 6  ? pixels
                 : header->depth == 12 ? 2 * pixels
                                       : 4 * pixels;
    return UM_OK;
}

um_status um_mib_layout_find(um_context *ctx, const char *path, const um_mib_header *header,
                             um_mib_layout *out)
{
    *out = (um_mib_layout){.header = header->size};
    return header->kind == 'R' ? raw_layout(ctx, path, header, out)
                               : processed_layout(ctx, path, header, out);
}
