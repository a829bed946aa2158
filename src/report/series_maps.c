/* Maps of measured scans: which phase is where, and where crystals lie above each other. */
#include "io_internal.h"
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>

enum { MAP_PX = 400, SHARP_PX = 400, LARGEST_PX = 800 };
static const double MATRIX_SHARE = 0.8; /* of all positions */
static const uint8_t overlap_color[4][3] = {{0xF2, 0xF2, 0xF4}, {0x9E, 0xC9, 0xE2}, {0xE6, 0x9F, 0x00}, {0x8C, 0x1C, 0x13}};

void um_phase_color(int32_t phase, char text[8])
{
    uint8_t rgb[3];
    um_label_color(phase, rgb);
    snprintf(text, 8, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
}

bool um_phase_is_matrix(const um_measure *m, int32_t phase)
{
    double covered = 0;
    double all = 0;
    for (int32_t i = 0; i < m->scans; i++) {
        const um_measure_scan *s = &m->scan[i];
        covered += phase < s->phases ? (double)s->covered[phase] : 0;
        all += (double)s->positions;
    }
    return covered > MATRIX_SHARE * all;
}

static void put_key(um_html *html, const char *color, const char *text)
{
    um_html_format(html, "<span><svg width=\"12\" height=\"12\" style=\"display:inline\"><rect width=\"12\" height=\"12\" "
                         "fill=\"%s\"/></svg> ",
                   color);
    um_html_text(html, text);
    um_html_put(html, "</span>\n");
}

void um_phase_legend(um_html *html, const um_measure *m)
{
    um_html_put(html, "<p class=\"grid\">");
    for (int32_t i = 0; i < m->phases; i++) {
        char color[8];
        um_phase_color(i, color);
        put_key(html, um_phase_is_matrix(m, i) ? "#bbbbbb" : color, m->phase[i].name);
    }
    um_html_put(html, "</p>\n");
}

/* ---- pixels ------------------------------------------------------------------------------------- */

typedef struct painter {
    const um_measure *m;
    const um_measure_scan *s;
    double dark, bright; /* of the backdrop */
    double *full;        /* by phase: the fraction that is drawn in full colour */
} painter;

/* Values below and above which a fiftieth of the backdrop lies. */
static um_status find_backdrop(um_context *ctx, painter *p)
{
    int64_t n = p->s->ny * p->s->nx;
    int64_t count = 0;
    double *sorted = NULL;
    if (p->s->backdrop == NULL) {
        return UM_OK;
    }
    UM_TRY(um_buffer_alloc(ctx, (size_t)n, sizeof(double), "a figure", &sorted));
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(p->s->backdrop[i])) {
            sorted[count++] = (double)p->s->backdrop[i];
        }
    }
    qsort(sorted, (size_t)count, sizeof *sorted, um_compare_f64);
    if (count > 0) {
        p->dark = sorted[count / 50];
        p->bright = sorted[count - 1 - count / 50];
    }
    um_buffer_free(ctx, sorted);
    return UM_OK;
}

static um_status find_full(um_context *ctx, painter *p)
{
    int64_t n = p->s->ny * p->s->nx;
    double *values = NULL;
    UM_TRY(um_buffer_alloc(ctx, (size_t)n, sizeof(double), "a figure", &values));
    for (int32_t phase = 0; phase < p->s->phases; phase++) {
        size_t count = 0;
        for (int64_t i = 0; i < n; i++) {
            float f = p->s->phase_fraction[phase * n + i];
            if (f > 0.0F) {
                values[count++] = (double)f;
            }
        }
        p->full[phase] = 2 * um_median(values, count);
    }
    um_buffer_free(ctx, values);
    return UM_OK;
}

static void paint_phases(const painter *p, int64_t i, uint8_t rgb[3])
{
    int64_t n = p->s->ny * p->s->nx;
    double grey = 0.94;
    if (p->s->backdrop != NULL && p->bright > p->dark) {
        double t = ((double)p->s->backdrop[i] - p->dark) / (p->bright - p->dark);
        grey = isfinite(t) ? 0.5 + 0.5 * fmin(fmax(t, 0), 1) : 0.94;
    }
    double mix[3] = {0};
    double weights = 0;
    double strength = 0;
    for (int32_t phase = 0; phase < p->s->phases; phase++) {
        double f = (double)p->s->phase_fraction[phase * n + i];
        if (!(f > 0) || um_phase_is_matrix(p->m, phase)) {
            continue;
        }
        uint8_t color[3];
        um_label_color(phase, color);
        double a = 0.45 + 0.55 * fmin(1, p->full[phase] > 0 ? f / p->full[phase] : 1);
        for (int k = 0; k < 3; k++) {
            mix[k] += a * color[k];
        }
        weights += a;
        strength = fmax(strength, a);
    }
    for (int k = 0; k < 3; k++) {
        double value = (1 - strength) * 255 * grey + (weights > 0 ? strength * mix[k] / weights : 0);
        rgb[k] = (uint8_t)lround(fmin(fmax(value, 0), 255));
    }
}

static void paint_overlap(const painter *p, int64_t i, uint8_t rgb[3])
{
    int level = p->s->overlap[i] < 3 ? p->s->overlap[i] : 3;
    for (int k = 0; k < 3; k++) {
        rgb[k] = overlap_color[level][k];
    }
}

/* ---- figures ------------------------------------------------------------------------------------ */

typedef void (*paint_fn)(const painter *p, int64_t i, uint8_t rgb[3]);

/* Enlarged by a whole factor, or every n-th position of a large scan. */
static um_status put_image(um_html *html, const painter *p, paint_fn paint, double width, double height, const char *alt)
{
    int64_t side = p->s->ny > p->s->nx ? p->s->ny : p->s->nx;
    int64_t factor = side < SHARP_PX ? (SHARP_PX + side - 1) / side : 1;
    int64_t stride = (side + LARGEST_PX - 1) / LARGEST_PX;
    int64_t rows = (p->s->ny + stride - 1) / stride * factor;
    int64_t columns = (p->s->nx + stride - 1) / stride * factor;
    uint8_t *pixels = NULL;
    uint8_t *png = NULL;
    size_t size = 0;
    UM_TRY(um_buffer_alloc(html->ctx, (size_t)(3 * rows * columns), 1, "a figure", &pixels));
    for (int64_t y = 0; y < rows; y++) {
        for (int64_t x = 0; x < columns; x++) {
            int64_t from = y / factor * stride * p->s->nx + x / factor * stride;
            paint(p, from, pixels + 3 * (y * columns + x));
        }
    }
    um_status status = um_png_encode(html->ctx, rows, columns, 3, pixels, &png, &size);
    if (status == UM_OK) {
        um_html_format(html, "<svg width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"", width,
                       height + 26, width, height + 26);
        um_html_text(html, alt);
        um_html_format(html, "\"><image width=\"%.1f\" height=\"%.1f\" preserveAspectRatio=\"none\" "
                             "style=\"image-rendering:pixelated\" href=\"data:image/png;base64,",
                       width, height);
        um_html_base64(html, png, size);
        um_html_put(html, "\"/>");
    }
    free(png);
    um_buffer_free(html->ctx, pixels);
    return status;
}

static um_status put_map(um_html *html, const painter *p, paint_fn paint, const char *what)
{
    const um_measure_scan *s = p->s;
    bool calibrated = isfinite(s->step_x_nm) && isfinite(s->step_y_nm);
    double step = calibrated ? fmin(fmax(s->step_y_nm / s->step_x_nm, 0.2), 5) : 1;
    double scale = MAP_PX / fmax((double)s->nx, (double)s->ny * step);
    double width = fmax((double)s->nx * scale, 4);
    double height = fmax((double)s->ny * step * scale, 4);
    char label[48];
    double extent = (double)s->nx * (calibrated ? s->step_x_nm : 1);
    double bar = um_scale_bar_length(extent, calibrated ? "nm" : "px", label);
    um_html_put(html, "<figure>\n");
    UM_TRY(put_image(html, p, paint, width, height, what));
    double length = bar / extent * width;
    um_html_format(html, "<path d=\"M0 %.1fh%.1f\" stroke=\"#1c1c1e\" stroke-width=\"3\"/><text x=\"%.1f\" y=\"%.1f\" "
                         "font-size=\"13\">",
                   height + 14, length, length + 6, height + 18.5);
    um_html_text(html, label);
    um_html_format(html, "</text></svg>\n<figcaption><b>Figure %d.</b> ", ++html->figures);
    um_html_say(html, "%s, %s: %s", s->condition_name, s->name, what);
    um_html_put(html, "</figcaption>\n</figure>\n");
    return UM_OK;
}

static um_status put_scan(um_html *html, const um_measure *m, int32_t i)
{
    painter p = {.m = m, .s = &m->scan[i]};
    p.full = calloc((size_t)m->phases + 1, sizeof *p.full);
    um_status status = p.full != NULL ? find_backdrop(html->ctx, &p) : um_fail(html->ctx, UM_ERROR_MEMORY, "no memory");
    status = status == UM_OK ? find_full(html->ctx, &p) : status;
    status = status == UM_OK ? put_map(html, &p, paint_phases, "phases.") : status;
    status = status == UM_OK ? put_map(html, &p, paint_overlap, "crystals above each other.") : status;
    free(p.full);
    return status;
}

um_status um_section_phase_maps(um_html *html, const um_measure *m)
{
    static const char *const keys[4] = {"none", "one", "two", "three or more"};
    um_html_put(html, "<section>\n<h2>Where the phases are</h2>\n<p>Colours of phases that share a position are mixed by how much "
                      "of each is there; full colour stands for twice the median fraction of the phase in that scan. Below "
                      "them, in grey, is the field as the scan shows it");
    um_html_put(html, ". Beside it: how many crystals lie in the beam, the matrix included where it is segmented.</p>\n");
    um_phase_legend(html, m);
    um_html_put(html, "<p class=\"grid\"><span>crystals in the beam:</span>\n");
    for (int i = 0; i < 4; i++) {
        char color[8];
        snprintf(color, sizeof color, "#%02x%02x%02x", overlap_color[i][0], overlap_color[i][1], overlap_color[i][2]);
        put_key(html, color, keys[i]);
    }
    um_html_put(html, "</p>\n");
    for (int32_t i = 0; i < m->scans; i++) {
        um_html_put(html, "<div class=\"figures\" style=\"margin-bottom:18px\">\n");
        UM_TRY(put_scan(html, m, i));
        um_html_put(html, "</div>\n");
    }
    um_html_put(html, "</section>\n");
    return UM_OK;
}
