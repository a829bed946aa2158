/* How numbers of phases change from condition to condition: points with 95 % bars. */
#include "report_internal.h"

#include <math.h>
#include <stddef.h>

enum { WIDTH = 440, HEIGHT = 300, LEFT = 72, RIGHT = 12, TOP = 12, BOTTOM = 46, TEXT_PX = 13, MARKERS = 4 };

typedef struct evolution {
    um_html *html;
    const um_measure *m;
    size_t offset; /* of the estimate in a row */
    double unit;   /* what a value is multiplied by */
    um_range range;
} evolution;

static um_estimate estimate_of(const evolution *e, int32_t condition, int32_t phase)
{
    const um_measure_row *row = &e->m->condition_row[condition * e->m->phases + phase];
    um_estimate v = *(const um_estimate *)((const char *)row + e->offset);
    v.value *= e->unit;
    v.low *= e->unit;
    v.high *= e->unit;
    return v;
}

static double place_x(const evolution *e, int32_t condition, int32_t phase)
{
    double step = (double)(WIDTH - LEFT - RIGHT) / e->m->conditions;
    double aside = e->m->phases > 1 ? (double)phase / (e->m->phases - 1) - 0.5 : 0;
    return LEFT + (condition + 0.5) * step + aside * fmin(0.4 * step, 12.0 * e->m->phases);
}

static double place_y(const evolution *e, double value)
{
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (value - e->range.low) / (e->range.high - e->range.low);
}

static bool find_range(evolution *e)
{
    double most = 0;
    bool any = false;
    for (int32_t i = 0; i < e->m->conditions; i++) {
        for (int32_t k = 0; k < e->m->phases; k++) {
            um_estimate v = estimate_of(e, i, k);
            if (isfinite(v.value) && !um_phase_is_matrix(e->m, k)) {
                any = true;
                /* A bar much longer than the values would hide them: it leaves the figure at the top. */
                most = fmax(most, isfinite(v.high) ? fmin(v.high, fmax(3 * v.value, most)) : v.value);
                most = fmax(most, v.value);
            }
        }
    }
    e->range = (um_range){.low = 0, .high = most > 0 ? 1.08 * most : 1, .gamma = 1};
    return any;
}

static void put_axes(evolution *e, const char *label)
{
    um_html *html = e->html;
    double ticks[UM_TICKS];
    int count = um_ticks_make(&e->range, 5, ticks);
    for (int i = 0; i < count; i++) {
        char text[32];
        um_tick_text(ticks, count, i, text);
        double y = place_y(e, ticks[i]);
        um_html_format(html, "<path d=\"M%d %.1fH%d\" stroke=\"#e2e2e7\"/><text x=\"%d\" y=\"%.1f\" font-size=\"%d\" "
                             "text-anchor=\"end\">%s</text>",
                       LEFT, y, WIDTH - RIGHT, LEFT - 6, y + 4.5, TEXT_PX, text);
    }
    um_html_format(html, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"#77777c\"/><text font-size=\"%d\" "
                         "text-anchor=\"middle\" transform=\"translate(12 %d) rotate(-90)\">",
                   LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT, TEXT_PX, (TOP + HEIGHT - BOTTOM) / 2);
    um_html_text(html, label);
    um_html_put(html, "</text>");
    for (int32_t i = 0; i < e->m->conditions; i++) {
        double x = LEFT + (i + 0.5) * (WIDTH - LEFT - RIGHT) / e->m->conditions;
        um_html_format(html, "<text x=\"%.1f\" y=\"%d\" font-size=\"%d\" text-anchor=\"middle\">", x, HEIGHT - BOTTOM + 18,
                       TEXT_PX);
        um_html_text(html, e->m->condition[i]);
        um_html_put(html, "</text>");
    }
}

/* Circle, square, triangle, diamond: told apart without colours. */
static void put_marker(um_html *html, int32_t phase, double x, double y, const char *color)
{
    static const char *const shapes[MARKERS] = {"a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0", "m0.5 -4h8v8h-8z",
                                                "m-0.5 4h10l-5 -9z", "l4.5 -5.5l4.5 5.5l-4.5 5.5z"};
    um_html_format(html, "<path d=\"M%.1f %.1f%s\" fill=\"%s\" stroke=\"#1c1c1e\" stroke-width=\"0.8\"/>", x - 4.5, y,
                   shapes[phase % MARKERS], color);
}

static void put_phase(evolution *e, int32_t phase)
{
    um_html *html = e->html;
    char color[8];
    um_phase_color(phase, color);
    um_html_format(html, "<path fill=\"none\" stroke-width=\"1.4\" stroke=\"%s\" d=\"", color);
    bool drawing = false;
    for (int32_t i = 0; i < e->m->conditions; i++) {
        double value = estimate_of(e, i, phase).value;
        if (isfinite(value)) {
            um_html_format(html, "%c%.1f %.1f", drawing ? 'L' : 'M', place_x(e, i, phase), place_y(e, value));
        }
        drawing = isfinite(value);
    }
    um_html_put(html, "\"/>");
    for (int32_t i = 0; i < e->m->conditions; i++) {
        um_estimate v = estimate_of(e, i, phase);
        double x = place_x(e, i, phase);
        if (isfinite(v.low) && isfinite(v.high)) {
            um_html_format(html, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\" stroke-width=\"2\"%s/>", x, place_y(e, v.low),
                           place_y(e, fmin(v.high, e->range.high)), color,
                           v.scatter ? " stroke-dasharray=\"4 3\"" : "");
        }
        if (isfinite(v.value)) {
            put_marker(html, phase, x, place_y(e, v.value), color);
        }
    }
}

static void put_evolution(um_html *html, const um_measure *m, size_t offset, double unit, const char *label)
{
    evolution e = {.html = html, .m = m, .offset = offset, .unit = unit};
    if (!find_range(&e)) {
        return;
    }
    um_html_format(html, "<figure>\n<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
                   HEIGHT, WIDTH, HEIGHT);
    um_html_text(html, label);
    um_html_put(html, "\">");
    put_axes(&e, label);
    for (int32_t k = 0; k < m->phases; k++) {
        if (!um_phase_is_matrix(m, k)) {
            put_phase(&e, k);
        }
    }
    um_html_format(html, "</svg>\n<figcaption><b>Figure %d.</b> ", ++html->figures);
    um_html_say(html, "%s.", label);
    um_html_put(html, "</figcaption>\n</figure>\n");
}

static bool has_volume(const um_measure *m)
{
    for (int64_t i = 0; i < m->condition_rows; i++) {
        if (isfinite(m->condition_row[i].per_um3.value)) {
            return true;
        }
    }
    return false;
}

void um_section_evolution(um_html *html, const um_measure *m)
{
    um_html_format(html, "<section>\n<h2>%s</h2>\n<p>Bars hold 95 %%: counting statistics where drawn through, the scatter between "
                         "scans where dashed.</p>\n",
                   m->conditions > 1 ? "From condition to condition" : "Numbers and fractions");
    um_phase_legend(html, m);
    um_html_put(html, "<div class=\"figures\">\n");
    bool volume = has_volume(m);
    put_evolution(html, m, volume ? offsetof(um_measure_row, per_um3) : offsetof(um_measure_row, per_um2), 1,
                  volume ? "particles per µm³" : "particles per µm²");
    put_evolution(html, m, volume ? offsetof(um_measure_row, volume_fraction) : offsetof(um_measure_row, area_fraction), 100,
                  volume ? "fraction of volume, %" : "fraction of area, %");
    put_evolution(html, m, offsetof(um_measure_row, count_fraction), 100, "share of all particles, %");
    put_evolution(html, m, offsetof(um_measure_row, length_nm), 1, "mean length, nm");
    um_html_put(html, "</div>\n</section>\n");
}
