/* Maps and patterns as SVG: the data an embedded PNG enlarged by a whole factor, everything written a
 * vector, so that print is sharp. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST_PX = 640, SHARP_PX = 360, TEXT_PX = 13, BAR_PX = 12, STOPS = 24, LEAST_BAND_PX = 26 };

typedef struct small {
    double *values;
    uint8_t *mask;
    int64_t ny, nx, factor; /* factor: values averaged per side */
} small;

/* Averages blocks of large maps: a page shows no more than LARGEST_PX of them anyway. */
static um_status shrink(um_context *ctx, const um_figure *f, small *s)
{
    int64_t side = f->ny > f->nx ? f->ny : f->nx;
    s->factor = (side + LARGEST_PX - 1) / LARGEST_PX;
    s->ny = (f->ny + s->factor - 1) / s->factor;
    s->nx = (f->nx + s->factor - 1) / s->factor;
    UM_TRY(um_buffer_alloc(ctx, (size_t)(s->ny * s->nx), sizeof(double), "a figure", &s->values));
    UM_TRY(um_buffer_alloc(ctx, (size_t)(s->ny * s->nx), 1, "a figure", &s->mask));
    for (int64_t y = 0; y < s->ny; y++) {
        for (int64_t x = 0; x < s->nx; x++) {
            double sum = 0;
            int64_t count = 0;
            for (int64_t v = y * s->factor; v < (y + 1) * s->factor && v < f->ny; v++) {
                for (int64_t u = x * s->factor; u < (x + 1) * s->factor && u < f->nx; u++) {
                    int64_t i = v * f->nx + u;
                    if (isfinite(f->values[i]) &&
                        (f->style.mask == NULL || f->style.mask[i] == 0)) {
                        sum += f->values[i];
                        count++;
                    }
                }
            }
            s->values[y * s->nx + x] = count > 0 ? sum / (double)count : NAN;
            s->mask[y * s->nx + x] = count == 0;
        }
    }
    return UM_OK;
}

static um_status encode(um_html *html, const um_figure *f, const um_range *range)
{
    small s = {0};
    um_canvas canvas = {0};
    uint8_t *png = NULL;
    size_t bytes = 0;
    um_status status = shrink(html->ctx, f, &s);
    if (status == UM_OK) {
        int64_t side = s.ny > s.nx ? s.ny : s.nx;
        int factor = side < SHARP_PX ? (int)((SHARP_PX + side - 1) / side) : 1;
        canvas.height = s.ny * factor;
        canvas.width = s.nx * factor;
        status = um_buffer_alloc(html->ctx, (size_t)(3 * canvas.height * canvas.width), 1,
                                 "a figure", &canvas.pixels);
        if (status == UM_OK) {
            um_raster_draw(&canvas, 0, 0, s.values, s.ny, s.nx, factor, factor, s.mask, range,
                           f->style.colors);
            status = um_png_encode(html->ctx, canvas.height, canvas.width, 3, canvas.pixels, &png,
                                   &bytes);
        }
    }
    if (status == UM_OK) {
        um_html_base64(html, png, bytes);
    }
    free(png);
    um_buffer_free(html->ctx, canvas.pixels);
    um_buffer_free(html->ctx, s.values);
    um_buffer_free(html->ctx, s.mask);
    return status;
}

static void put_gradient(um_html *html, int id, um_colors colors, bool upward)
{
    um_html_format(html, "<linearGradient id=\"g%d\" x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"0\">", id,
                   upward ? 0 : 1, upward ? 1 : 0);
    for (int i = 0; i <= STOPS; i++) {
        uint8_t rgb[3];
        um_color(colors, (double)i / STOPS, rgb);
        um_html_format(html, "<stop offset=\"%.4g\" stop-color=\"#%02x%02x%02x\"/>",
                       (double)i / STOPS, rgb[0], rgb[1], rgb[2]);
    }
    um_html_put(html, "</linearGradient>");
}

static void put_text(um_html *html, double x, double y, const char *anchor, const char *text)
{
    um_html_format(html, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" text-anchor=\"%s\">", x, y,
                   TEXT_PX, anchor);
    um_html_text(html, text);
    um_html_put(html, "</text>");
}

static void put_rect(um_html *html, double x, double y, double width, double height,
                     const char *attributes)
{
    um_html_format(html, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" %s/>", x, y,
                   width, height, attributes);
}

static void put_color_bar(um_html *html, const um_figure *f, const um_range *range, double x,
                          double height)
{
    int id = html->ids++;
    put_gradient(html, id, f->style.colors, true);
    um_html_format(html,
                   "<rect x=\"%.1f\" y=\"1\" width=\"%d\" height=\"%.1f\" fill=\"url(#g%d)\" "
                   "stroke=\"#77777c\" stroke-width=\"0.8\"/>",
                   x, BAR_PX, height, id);
    double ticks[UM_TICKS];
    int count = um_ticks_make(range, (int)fmax(height / 60, 3), ticks);
    double last = INFINITY;
    for (int i = 0; i < count; i++) {
        double y = 1 + height * (1 - um_range_fraction(range, ticks[i]));
        if (last - y < TEXT_PX) {
            continue;
        }
        last = y;
        char text[32];
        um_tick_text(ticks, count, i, text);
        um_html_format(html, "<path d=\"M%.1f %.1fh4\" stroke=\"#77777c\"/>", x + BAR_PX, y);
        put_text(html, x + BAR_PX + 7, y + 4.5, "start", text);
    }
}

static double color_bar_room(const um_figure *f, const um_range *range, double height)
{
    if (!f->style.color_bar || range->empty) {
        return 0;
    }
    double ticks[UM_TICKS];
    int count = um_ticks_make(range, (int)fmax(height / 60, 3), ticks);
    double widest = 0;
    for (int i = 0; i < count; i++) {
        char text[32];
        um_tick_text(ticks, count, i, text);
        widest = fmax(widest, um_text_width(text, TEXT_PX * 1.2));
    }
    bool labelled = f->style.color_label != NULL && f->style.color_label[0] != '\0';
    return 10 + BAR_PX + 9 + widest + (labelled ? TEXT_PX + 6 : 0);
}

static void open_svg(um_html *html, double width, double height, const char *alt)
{
    um_html_format(html,
                   "<svg width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.1f %.1f\" role=\"img\" "
                   "aria-label=\"",
                   width, height, width, height);
    um_html_text(html, alt);
    um_html_put(html, "\">");
}

static void put_scale_bar(um_html *html, const um_figure *f, double width, double y)
{
    char label[48];
    double extent = f->style.scale * (double)f->nx;
    double length = um_scale_bar_length(extent, f->style.units, label);
    put_rect(html, 1, y, fmax(length / extent * width, 1), 4, "fill=\"#1c1c1e\"");
    put_text(html, 1, y + 6 + TEXT_PX, "start", label);
}

static void picture_size(const um_figure *f, double *width, double *height)
{
    double box_width = f->box_width > 0 ? f->box_width : 300;
    double box_height = f->box_height > 0 ? f->box_height : 300;
    double step = f->step_y > 0 && isfinite(f->step_y) ? f->step_y : 1;
    double tall = (double)f->ny * step;
    double unit = fmin(box_width / (double)f->nx, box_height / tall);
    *width = fmax(unit * (double)f->nx, LEAST_BAND_PX);
    *height = fmax(unit * tall, LEAST_BAND_PX);
}

static um_status draw_raster(um_html *html, const um_figure *f)
{
    um_range range = um_range_of(f->values, f->ny * f->nx, &f->style);
    double width = 0;
    double height = 0;
    picture_size(f, &width, &height);
    double right = color_bar_room(f, &range, height);
    bool scaled = f->style.scale > 0;
    double total_width = width + 2 + right;
    open_svg(html, fmax(total_width, scaled ? 60 : 0), height + 2 + (scaled ? 30 : 0), f->alt);
    um_html_format(html,
                   "<image x=\"1\" y=\"1\" width=\"%.1f\" height=\"%.1f\" "
                   "preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
                   "href=\"data:image/png;base64,",
                   width, height);
    UM_TRY(encode(html, f, &range));
    um_html_put(html, "\"/>");
    put_rect(html, 0.6, 0.6, width + 0.8, height + 0.8,
             "fill=\"none\" stroke=\"#77777c\" stroke-width=\"0.8\"");
    if (right > 0) {
        put_color_bar(html, f, &range, width + 12, height);
    }
    if (right > 0 && f->style.color_label != NULL && f->style.color_label[0] != '\0') {
        um_html_format(html,
                       "<text font-size=\"%d\" text-anchor=\"middle\" "
                       "transform=\"translate(%.1f %.1f) rotate(-90)\">",
                       TEXT_PX, total_width - 4, 1 + height / 2);
        um_html_text(html, f->style.color_label);
        um_html_put(html, "</text>");
    }
    if (scaled) {
        put_scale_bar(html, f, width, height + 8);
    }
    um_html_put(html, "</svg>\n");
    return UM_OK;
}

/* One row or column: its shape is a curve, not a strip of colours. */
static um_status draw_profile(um_html *html, const um_figure *f)
{
    int64_t count = f->ny * f->nx;
    double *values = NULL;
    UM_TRY(um_buffer_alloc(html->ctx, (size_t)count, sizeof(double), "a profile", &values));
    for (int64_t i = 0; i < count; i++) {
        bool off = f->style.mask != NULL && f->style.mask[i] != 0;
        values[i] = off ? NAN : f->values[i];
    }
    um_series series = {
        .y = values, .count = count, .color = "#174a7c", .steps = count <= 256};
    um_chart chart = {.width = f->box_width > 0 ? f->box_width + 60 : 360,
                      .height = 170,
                      .label_x = f->ny == 1 ? "column" : "row",
                      .label_y = f->style.color_label,
                      .alt = f->alt,
                      .zero = f->style.colors != UM_COLORS_DIVERGING,
                      .series = &series,
                      .series_count = 1};
    um_chart_draw(html, &chart);
    um_buffer_free(html->ctx, values);
    return UM_OK;
}

um_status um_figure_picture(um_html *html, const um_figure *figure)
{
    bool line = (figure->ny == 1 || figure->nx == 1) && figure->ny * figure->nx > 1;
    return line ? draw_profile(html, figure) : draw_raster(html, figure);
}

void um_figure_color_bar(um_html *html, const um_range *range, um_colors colors, const char *label,
                         double width)
{
    int id = html->ids++;
    open_svg(html, width + 40, 52, label);
    put_gradient(html, id, colors, false);
    put_text(html, 20, 12, "start", label);
    um_html_format(html,
                   "<rect x=\"20\" y=\"18\" width=\"%.1f\" height=\"%d\" fill=\"url(#g%d)\" "
                   "stroke=\"#77777c\" stroke-width=\"0.8\"/>",
                   width, BAR_PX, id);
    double ticks[UM_TICKS];
    int count = um_ticks_make(range, 6, ticks);
    double last = -INFINITY;
    for (int i = 0; i < count; i++) {
        double x = 20 + width * um_range_fraction(range, ticks[i]);
        char text[32];
        um_tick_text(ticks, count, i, text);
        double half = 0.6 * um_text_width(text, TEXT_PX);
        if (x - half < last + 6) {
            continue;
        }
        last = x + half;
        um_html_format(html, "<path d=\"M%.1f %dv4\" stroke=\"#77777c\"/>", x, 18 + BAR_PX);
        put_text(html, x, 18 + BAR_PX + 17, "middle", text);
    }
    um_html_put(html, "</svg>\n");
}
