/* Pictures of maps and patterns: colours, hatch, scale bar, colour bar, title. Nothing is drawn over
 * the data; everything else stands beside it, dark on white. */
#include "image_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LUT_SIZE = 1024, HATCH_PITCH_PX = 9, LARGEST_SIDE = 16384 };
static const double LOG_FLOOR = 1e-4;
static const uint8_t INK[3] = {28, 28, 30};
static const uint8_t FRAME[3] = {120, 120, 124};

/* ---- value -> colour ---------------------------------------------------------------------------- */

static void find_extremes(const double *values, int64_t count, const uint8_t *mask, double *low,
                          double *high)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && (mask == NULL || mask[i] == 0)) {
            *low = fmin(*low, values[i]);
            *high = fmax(*high, values[i]);
        }
    }
}

/* What a tenth of the values above `low` stay below, measured from `low`; 0 if there are none. */
static double background_of(const double *values, int64_t count, const uint8_t *mask, double low)
{
    double *sorted = malloc((size_t)count * sizeof *sorted);
    size_t used = 0;
    for (int64_t i = 0; sorted != NULL && i < count; i++) {
        if (values[i] > low && isfinite(values[i]) && (mask == NULL || mask[i] == 0)) {
            sorted[used++] = values[i] - low;
        }
    }
    double background = 0;
    if (used > 0) {
        qsort(sorted, used, sizeof *sorted, um_compare_f64);
        background = sorted[used / 10];
    }
    free(sorted);
    return background;
}

um_range um_range_of(const double *values, int64_t count, const um_picture_style *style)
{
    um_range range = {style->low, style->high, 0, style->gamma > 0 ? style->gamma : 1, false};
    double low = 0;
    double high = 0;
    find_extremes(values, count, style->mask, &low, &high);
    range.empty = low > high;
    if (range.empty) {
        low = 0;
        high = 1;
    }
    if (isnan(range.low)) {
        range.low = low;
    }
    if (isnan(range.high)) {
        range.high = high;
    }
    if (!(range.high > range.low)) { /* one value everywhere: show it against zero */
        double value = range.high;
        range.low = fmin(value, 0);
        range.high = value == 0 ? 1 : fmax(value, 0);
    }
    if (style->log_scale) {
        double span = range.high - range.low;
        range.floor = style->log_floor > 0
                          ? style->log_floor
                          : fmax(LOG_FLOOR * span,
                                 background_of(values, count, style->mask, range.low));
        range.floor = fmin(range.floor, 0.5 * span);
    }
    return range;
}

double um_range_fraction(const um_range *range, double value)
{
    if (isnan(value)) {
        return NAN;
    }
    double above = fmin(fmax(value, range->low), range->high) - range->low;
    double span = range->high - range->low;
    double t = above / span;
    if (range->floor > 0) {
        t = log10(above / range->floor + 1) / log10(span / range->floor + 1);
    }
    return range->gamma == 1 ? t : pow(t, range->gamma);
}

static void put(um_canvas *canvas, int64_t x, int64_t y, const uint8_t rgb[3])
{
    if (x >= 0 && y >= 0 && x < canvas->width && y < canvas->height) {
        memcpy(canvas->pixels + 3 * (y * canvas->width + x), rgb, 3);
    }
}

static void fill(um_canvas *canvas, int64_t x0, int64_t y0, int64_t width, int64_t height,
                 const uint8_t rgb[3])
{
    for (int64_t y = y0; y < y0 + height; y++) {
        for (int64_t x = x0; x < x0 + width; x++) {
            put(canvas, x, y, rgb);
        }
    }
}

static void hatch(um_canvas *canvas, int64_t x0, int64_t y0, int64_t width, int64_t height)
{
    static const uint8_t GROUND[3] = {236, 236, 238};
    static const uint8_t LINE[3] = {150, 150, 156};
    for (int64_t y = y0; y < y0 + height; y++) {
        for (int64_t x = x0; x < x0 + width; x++) {
            put(canvas, x, y, (x + y) % HATCH_PITCH_PX < 2 ? LINE : GROUND);
        }
    }
}

void um_raster_draw(um_canvas *canvas, int64_t x0, int64_t y0, const double *values, int64_t ny,
                    int64_t nx, int fy, int fx, const uint8_t *mask, const um_range *range,
                    um_colors colors)
{
    uint8_t lut[LUT_SIZE][3];
    for (int i = 0; i < LUT_SIZE; i++) {
        um_color(colors, (double)i / (LUT_SIZE - 1), lut[i]);
    }
    for (int64_t y = 0; y < ny; y++) {
        for (int64_t x = 0; x < nx; x++) {
            int64_t i = y * nx + x;
            double t = um_range_fraction(range, values[i]);
            if (isnan(t) || (mask != NULL && mask[i] != 0)) {
                hatch(canvas, x0 + x * fx, y0 + y * fy, fx, fy);
            } else {
                fill(canvas, x0 + x * fx, y0 + y * fy, fx, fy, lut[lround(t * (LUT_SIZE - 1))]);
            }
        }
    }
}

/* ---- layout ------------------------------------------------------------------------------------- */

typedef struct layout {
    int fy, fx;                 /* enlarging */
    double em;                  /* text size, px */
    int64_t pad;                /* white border */
    int64_t x0, y0, width, height; /* of the data */
    int64_t bar_x, bar_width;   /* colour bar, as high as the data */
    double bar_px;              /* length of the scale bar; 0 = none */
    char bar_label[48];
    um_range range;
    double ticks[UM_TICKS];
    int tick_count;
    double tick_width;
    int64_t total_width, total_height;
} layout;

static void choose_enlarging(int64_t ny, int64_t nx, int min_size, layout *l)
{
    int64_t size = min_size > 0 ? min_size : 256;
    int64_t side = ny > nx ? ny : nx;
    int factor = side < size ? (int)((size + side - 1) / side) : 1;
    l->fy = l->fx = factor;
    /* A line of values becomes a band that can be seen. */
    enum { BAND_PX = 32 };
    if (ny * factor < BAND_PX && nx > ny) {
        l->fy = (int)((BAND_PX + ny - 1) / ny);
    }
    if (nx * factor < BAND_PX && ny > nx) {
        l->fx = (int)((BAND_PX + nx - 1) / nx);
    }
    l->width = nx * l->fx;
    l->height = ny * l->fy;
}

static void place_color_bar(const um_picture_style *style, layout *l, int64_t *right)
{
    if (!style->color_bar || l->range.empty) {
        return;
    }
    int about = (int)fmin(fmax((double)l->height / (2.6 * l->em), 3), 6);
    l->tick_count = um_ticks_make(&l->range, about, l->ticks);
    for (int i = 0; i < l->tick_count; i++) {
        char text[32];
        um_tick_text(l->ticks, l->tick_count, i, text);
        l->tick_width = fmax(l->tick_width, um_text_width(text, l->em));
    }
    l->bar_x = *right + (int64_t)(0.8 * l->em);
    l->bar_width = (int64_t)(0.9 * l->em);
    *right = l->bar_x + l->bar_width + (int64_t)(0.5 * l->em + l->tick_width);
    if (style->color_label != NULL && style->color_label[0] != '\0') {
        *right += (int64_t)(1.5 * l->em);
    }
}

static void make_layout(const double *values, int64_t ny, int64_t nx,
                        const um_picture_style *style, layout *l)
{
    *l = (layout){.range = um_range_of(values, ny * nx, style)};
    choose_enlarging(ny, nx, style->min_size_px, l);
    int64_t side = l->width > l->height ? l->width : l->height;
    l->em = fmin(fmax(0.045 * (double)side, 15), 30);
    l->pad = (int64_t)(0.8 * l->em);
    bool titled = style->title != NULL && style->title[0] != '\0';
    l->x0 = l->pad;
    l->y0 = l->pad + (titled ? (int64_t)(1.5 * l->em) : 0);
    int64_t right = l->x0 + l->width;
    int64_t bottom = l->y0 + l->height;
    if (style->scale > 0) {
        double length = um_scale_bar_length(style->scale * (double)nx, style->units, l->bar_label);
        l->bar_px = length / style->scale * l->fx;
        if (l->bar_px > 0) {
            bottom += (int64_t)(2.3 * l->em);
        }
    }
    place_color_bar(style, l, &right);
    if (titled) {
        right = (int64_t)fmax((double)right,
                              (double)l->x0 + um_text_width(style->title, 1.1 * l->em));
    }
    right = (int64_t)fmax((double)right, (double)l->x0 + um_text_width(l->bar_label, l->em));
    l->total_width = right + l->pad;
    l->total_height = bottom + l->pad;
}

static void frame(um_canvas *canvas, int64_t x, int64_t y, int64_t width, int64_t height)
{
    fill(canvas, x - 1, y - 1, width + 2, 1, FRAME);
    fill(canvas, x - 1, y + height, width + 2, 1, FRAME);
    fill(canvas, x - 1, y - 1, 1, height + 2, FRAME);
    fill(canvas, x + width, y - 1, 1, height + 2, FRAME);
}

static void draw_color_bar(um_canvas *canvas, const um_picture_style *style, const layout *l)
{
    for (int64_t y = 0; y < l->height; y++) {
        uint8_t rgb[3];
        double t = 1 - ((double)y + 0.5) / (double)l->height;
        um_color(style->colors, t, rgb);
        fill(canvas, l->bar_x, l->y0 + y, l->bar_width, 1, rgb);
    }
    frame(canvas, l->bar_x, l->y0, l->bar_width, l->height);
    int64_t tick_x = l->bar_x + l->bar_width;
    double lowest = (double)l->total_height;
    for (int i = 0; i < l->tick_count; i++) {
        double t = um_range_fraction(&l->range, l->ticks[i]);
        double y = (double)l->y0 + (1 - t) * (double)l->height;
        if (lowest - y < 1.1 * l->em) {
            continue; /* would touch the text below */
        }
        lowest = y;
        fill(canvas, tick_x, (int64_t)fmin(y, (double)(l->y0 + l->height - 1)), 4, 1, FRAME);
        char text[32];
        um_tick_text(l->ticks, l->tick_count, i, text);
        um_text_draw(canvas, (double)tick_x + 0.4 * l->em, y + 0.35 * l->em, l->em, false, text,
                     INK);
    }
    if (style->color_label != NULL && style->color_label[0] != '\0') {
        char label[32];
        um_units_pretty(style->color_label, label);
        double length = um_text_width(label, l->em);
        double x = (double)tick_x + 0.5 * l->em + l->tick_width + 1.2 * l->em;
        double y = (double)l->y0 + 0.5 * ((double)l->height + length);
        um_text_draw(canvas, x, fmin(y, (double)l->total_height), l->em, true, label, INK);
    }
}

static void draw_all(um_canvas *canvas, const double *values, int64_t ny, int64_t nx,
                     const um_picture_style *style, const layout *l)
{
    um_raster_draw(canvas, l->x0, l->y0, values, ny, nx, l->fy, l->fx, style->mask, &l->range,
                   style->colors);
    frame(canvas, l->x0, l->y0, l->width, l->height);
    if (style->title != NULL && style->title[0] != '\0') {
        um_text_draw(canvas, (double)l->x0, (double)l->y0 - 0.75 * l->em, 1.1 * l->em, false,
                     style->title, INK);
    }
    if (l->bar_width > 0) {
        draw_color_bar(canvas, style, l);
    }
    if (l->bar_px > 0) {
        int64_t y = l->y0 + l->height + (int64_t)(0.6 * l->em);
        int64_t thick = (int64_t)fmax(round(0.25 * l->em), 3);
        fill(canvas, l->x0, y, (int64_t)round(fmax(l->bar_px, 1)), thick, INK);
        um_text_draw(canvas, (double)l->x0 - 0.1 * l->em, (double)(y + thick) + 1.15 * l->em, l->em,
                     false, l->bar_label, INK);
    }
}

um_status um_picture_render(um_context *ctx, const double *values, int64_t ny, int64_t nx,
                            const um_picture_style *style, uint8_t **pixels, int64_t *height,
                            int64_t *width)
{
    *pixels = NULL;
    if (ny < 1 || nx < 1 || ny > LARGEST_SIDE || nx > INT32_MAX) {
        return um_fail(ctx, UM_ERROR_SHAPE, "a picture of %lld x %lld values cannot be drawn",
                       (long long)ny, (long long)nx);
    }
    layout l;
    make_layout(values, ny, nx, style, &l);
    size_t bytes = 0;
    if (!um_mul4(l.total_height, l.total_width, 3, 1, &bytes) || bytes > (size_t)1 << 30) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "a picture of %lld x %lld values is too large: crop or bin", (long long)ny,
                       (long long)nx);
    }
    um_canvas canvas = {malloc(bytes), l.total_height, l.total_width};
    if (canvas.pixels == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a picture");
    }
    memset(canvas.pixels, 255, bytes);
    draw_all(&canvas, values, ny, nx, style, &l);
    *pixels = canvas.pixels;
    *height = canvas.height;
    *width = canvas.width;
    return UM_OK;
}

um_status um_picture_write(um_context *ctx, const char *path, const double *values, int64_t ny,
                           int64_t nx, const um_picture_style *style)
{
    uint8_t *pixels = NULL;
    int64_t height = 0;
    int64_t width = 0;
    UM_TRY(um_picture_render(ctx, values, ny, nx, style, &pixels, &height, &width));
    um_status status = um_png_write(ctx, path, height, width, 3, pixels);
    free(pixels);
    return status;
}
