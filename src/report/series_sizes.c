/* Histograms of sizes: one column per phase, one row per condition, one axis for a phase. */
#include "report_internal.h"

#include <math.h>

enum { WIDTH = 300, ROW = 62, TOP = 6, BOTTOM = 38, LEFT = 4, BINS = 24, TEXT_PX = 12 };

static double largest_of(const um_measure *m, int32_t phase)
{
    double most = 0;
    for (int64_t i = 0; i < m->particles; i++) {
        const um_measured *p = &m->particle[i];
        if (p->phase == phase && isfinite(p->length_nm)) {
            most = fmax(most, p->length_nm);
        }
    }
    return most;
}

static double fill_bins(const um_measure *m, int32_t phase, int32_t condition, double high, double bins[BINS])
{
    double most = 0;
    for (int i = 0; i < BINS; i++) {
        bins[i] = 0;
    }
    for (int64_t i = 0; i < m->particles; i++) {
        const um_measured *p = &m->particle[i];
        if (p->phase == phase && m->scan[p->scan].condition == condition && p->border == 0) {
            int b = (int)fmin(p->length_nm / high * BINS, BINS - 1);
            bins[b]++;
            most = fmax(most, bins[b]);
        }
    }
    return most;
}

static void put_row(um_html *html, const um_measure *m, int32_t phase, int32_t condition, double high)
{
    double bins[BINS];
    char color[8];
    double most = fill_bins(m, phase, condition, high, bins);
    double step = (double)(WIDTH - 2 * LEFT) / BINS;
    double floor_y = TOP + (condition + 1) * ROW - 4;
    um_phase_color(phase, color);
    for (int i = 0; i < BINS; i++) {
        double tall = most > 0 ? bins[i] / most * (ROW - 26) : 0;
        if (tall > 0) {
            um_html_format(html, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" stroke=\"#1c1c1e\" "
                                 "stroke-width=\"0.4\"/>",
                           LEFT + i * step, floor_y - tall, step - 0.8, tall, color);
        }
    }
    um_html_format(html, "<path d=\"M%d %.1fH%d\" stroke=\"#77777c\"/><text class=\"halo\" x=\"%d\" y=\"%.1f\" font-size=\"%d\" "
                         "text-anchor=\"end\">",
                   LEFT, floor_y, WIDTH - LEFT, WIDTH - LEFT, floor_y - ROW + 18, TEXT_PX);
    um_html_say(html, "%s: most %.0f", m->condition[condition], most);
    um_html_put(html, "</text>");
}

static void put_phase(um_html *html, const um_measure *m, int32_t phase)
{
    double high = 1.05 * largest_of(m, phase);
    int height = TOP + m->conditions * ROW + BOTTOM;
    um_html_format(html, "<figure>\n<svg width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
                   height, WIDTH, height);
    um_html_say(html, "Lengths of particles of %s", m->phase[phase].name);
    um_html_put(html, "\">");
    for (int32_t i = 0; i < m->conditions; i++) {
        put_row(html, m, phase, i, high);
    }
    um_range range = {.low = 0, .high = high, .gamma = 1};
    double ticks[UM_TICKS];
    int count = um_ticks_make(&range, 5, ticks);
    for (int i = 0; i < count; i++) {
        char text[32];
        um_tick_text(ticks, count, i, text);
        um_html_format(html, "<text x=\"%.1f\" y=\"%d\" font-size=\"%d\" text-anchor=\"middle\">%s</text>",
                       LEFT + (WIDTH - 2 * LEFT) * ticks[i] / high, height - BOTTOM + 14, TEXT_PX, text);
    }
    um_html_format(html, "<text x=\"%d\" y=\"%d\" font-size=\"%d\" text-anchor=\"middle\">length, nm</text></svg>\n<figcaption><b>Figure "
                         "%d.</b> ",
                   WIDTH / 2, height - 6, TEXT_PX + 1, ++html->figures);
    um_html_say(html, "%s: lengths of particles that no border cuts.", m->phase[phase].name);
    um_html_put(html, "</figcaption>\n</figure>\n");
}

void um_section_sizes(um_html *html, const um_measure *m)
{
    bool any = false;
    for (int32_t i = 0; i < m->phases; i++) {
        if (largest_of(m, i) > 0 && !um_phase_is_matrix(m, i)) {
            if (!any) {
                um_html_put(html, "<section>\n<h2>Sizes</h2>\n<div class=\"figures\">\n");
            }
            any = true;
            put_phase(html, m, i);
        }
    }
    um_html_put(html, any ? "</div>\n</section>\n" : "");
}
