/* Curves, histograms and small matrices as SVG. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 13, MOST_POINTS = 900 };

typedef struct plot {
    um_html *html;
    const um_chart *chart;
    double left, right, top, bottom; /* of the axes */
    double x0, x1;                   /* values at left and right */
    um_range range;                  /* of y */
} plot;

static void put_text(um_html *html, double x, double y, const char *anchor, const char *text)
{
    um_html_format(html,
                   "<text class=\"halo\" x=\"%.1f\" y=\"%.1f\" font-size=\"%d\" "
                   "text-anchor=\"%s\">",
                   x, y, TEXT, anchor);
    um_html_text(html, text);
    um_html_put(html, "</text>");
}

static void open_svg(um_html *html, double width, double height, const char *alt)
{
    um_html_format(html,
                   "<svg width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" "
                   "aria-label=\"",
                   width, height, width, height);
    um_html_text(html, alt);
    um_html_put(html, "\">");
}

/* On a log axis values run as their decimal logarithm. */
static double axis_value(const plot *p, double y)
{
    return p->chart->log_y ? (y > 0 ? log10(y) : NAN) : y;
}

static double place_x(const plot *p, double x)
{
    double span = p->x1 > p->x0 ? p->x1 - p->x0 : 1;
    return p->left + (p->right - p->left) * (x - p->x0) / span;
}

static double place_y(const plot *p, double y)
{
    double t = (axis_value(p, y) - p->range.low) / (p->range.high - p->range.low);
    return p->bottom - (p->bottom - p->top) * t;
}

static void find_ranges(plot *p)
{
    const um_chart *c = p->chart;
    double low = INFINITY;
    double high = -INFINITY;
    p->x0 = INFINITY;
    p->x1 = -INFINITY;
    for (int s = 0; s < c->series_count; s++) {
        const um_series *series = &c->series[s];
        p->x0 = fmin(p->x0, series->x0);
        p->x1 = fmax(p->x1, series->x0 + (double)(series->count - 1) + (series->steps ? 1 : 0));
        for (int64_t i = 0; i < series->count; i++) {
            double v = axis_value(p, series->y[i]);
            if (isfinite(v)) {
                low = fmin(low, v);
                high = fmax(high, v);
            }
        }
    }
    for (int m = 0; m < c->mark_count; m++) {
        double v = axis_value(p, c->marks[m].at);
        if (c->marks[m].horizontal && isfinite(v)) {
            low = fmin(low, v);
            high = fmax(high, v);
        }
    }
    if (c->zero && !c->log_y) {
        low = fmin(low, 0);
    }
    if (low > high) {
        low = 0;
        high = 1;
    }
    double margin = high > low ? 0.06 * (high - low) : fmax(0.1 * fabs(high), 0.1);
    p->range.low = c->zero && low == 0 ? 0 : low - margin;
    p->range.high = high + margin;
    p->range.gamma = 1;
}

/* Ticks of y; on a log axis at decades, or at 1-2-5 where the axis spans little. */
static int ticks_of_y(const plot *p, double ticks[UM_TICKS])
{
    if (!p->chart->log_y) {
        return um_ticks_make(&p->range, 5, ticks);
    }
    static const double STEPS[] = {1, 2, 5};
    int first = (int)floor(p->range.low);
    int last = (int)ceil(p->range.high);
    int stride = (last - first) / 7 + 1;
    bool between = last - first <= 2;
    int count = 0;
    for (int power = first; power <= last; power += stride) {
        for (int i = 0; i < (between ? 3 : 1); i++) {
            double value = STEPS[i] * pow(10, power);
            double v = log10(value);
            if (v >= p->range.low && v <= p->range.high && count < UM_TICKS) {
                ticks[count++] = value;
            }
        }
    }
    if (count < 2) {
        ticks[0] = pow(10, p->range.low);
        ticks[1] = pow(10, p->range.high);
        count = 2;
    }
    return count;
}

static void draw_y_axis(plot *p, const double *ticks, int count)
{
    um_html *html = p->html;
    for (int i = 0; i < count; i++) {
        double y = place_y(p, ticks[i]);
        char text[32];
        if (p->chart->log_y) {
            um_number_text(ticks[i], 1 + (count == 2), text);
        } else {
            um_tick_text(ticks, count, i, text);
        }
        um_html_format(html, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#e2e2e7\"/>", p->left, y,
                       p->right);
        put_text(html, p->left - 6, y + 4.5, "end", text);
    }
    if (p->chart->label_y != NULL && p->chart->label_y[0] != '\0') {
        um_html_format(html,
                       "<text font-size=\"%d\" text-anchor=\"middle\" "
                       "transform=\"translate(%d %.1f) rotate(-90)\">",
                       TEXT, TEXT - 1, 0.5 * (p->top + p->bottom));
        um_html_text(html, p->chart->label_y);
        um_html_put(html, "</text>");
    }
}

static void draw_x_axis(plot *p)
{
    um_html *html = p->html;
    um_range range = {.low = p->x0, .high = p->x1, .gamma = 1};
    double ticks[UM_TICKS];
    int count = p->x1 > p->x0 ? um_ticks_make(&range, (int)((p->right - p->left) / 60), ticks) : 0;
    double ends[1] = {p->x0};
    for (int i = 0; i < (count > 0 ? count : 1); i++) {
        const double *at = count > 0 ? ticks : ends;
        if (at[i] != floor(at[i])) {
            continue; /* positions and components are whole numbers */
        }
        double x = place_x(p, at[i]);
        char text[32];
        um_tick_text(at, count > 0 ? count : 1, i, text);
        um_html_format(html, "<path d=\"M%.1f %.1fv4\" stroke=\"#77777c\"/>", x, p->bottom);
        put_text(html, x, p->bottom + 18, "middle", text);
    }
    um_html_format(html, "<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#77777c\"/>",
                   p->left, p->top, p->bottom, p->right);
    if (p->chart->label_x != NULL) {
        put_text(html, 0.5 * (p->left + p->right), p->bottom + 35, "middle", p->chart->label_x);
    }
}

/* Extremes of each bin of points: no peak is lost when there are more points than pixels. */
static void put_path(plot *p, const um_series *s)
{
    int64_t bin = (s->count + MOST_POINTS - 1) / MOST_POINTS;
    bool drawing = false;
    um_html_put(p->html, "<path fill=\"none\" stroke-width=\"1.6\" stroke-linejoin=\"round\" d=\"");
    for (int64_t first = 0; first < s->count; first += bin) {
        int64_t low = -1;
        int64_t high = -1;
        for (int64_t i = first; i < first + bin && i < s->count; i++) {
            if (!isfinite(axis_value(p, s->y[i]))) {
                continue;
            }
            low = low < 0 || s->y[i] < s->y[low] ? i : low;
            high = high < 0 || s->y[i] > s->y[high] ? i : high;
        }
        if (low < 0) {
            drawing = false;
            continue;
        }
        int64_t order[2] = {low < high ? low : high, low < high ? high : low};
        for (int j = 0; j < (low == high ? 1 : 2); j++) {
            double x = place_x(p, s->x0 + (double)order[j]);
            double y = place_y(p, s->y[order[j]]);
            um_html_format(p->html, "%c%.1f %.1f", drawing ? 'L' : 'M', x, y);
            if (s->steps) {
                um_html_format(p->html, "H%.1f", place_x(p, s->x0 + (double)order[j] + 1));
            }
            drawing = true;
        }
    }
    um_html_format(p->html, "\" stroke=\"%s\"/>", s->color);
}

static void put_points(plot *p, const um_series *s)
{
    for (int64_t i = 0; i < s->count; i++) {
        if (isfinite(axis_value(p, s->y[i]))) {
            um_html_format(p->html, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>",
                           place_x(p, s->x0 + (double)i), place_y(p, s->y[i]), s->color);
        }
    }
}

/* Lines of later marks start below the labels of earlier ones. */
static void put_mark_line(plot *p, const um_mark *m, int row)
{
    if (m->horizontal) {
        um_html_format(p->html,
                       "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#9a3d00\" stroke-width=\"1.2\" "
                       "stroke-dasharray=\"6 4\"/>",
                       p->left, place_y(p, m->at), p->right);
    } else {
        um_html_format(p->html,
                       "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#9a3d00\" stroke-width=\"1.2\" "
                       "stroke-dasharray=\"2 3\"/>",
                       place_x(p, m->at), p->top + 17 * row, p->bottom);
    }
}

static void put_mark_label(plot *p, const um_mark *m, int row)
{
    if (m->horizontal) {
        put_text(p->html, p->right - 4, place_y(p, m->at) - 6, "end", m->label);
        return;
    }
    double x = place_x(p, m->at);
    bool flip = x > 0.6 * p->right;
    put_text(p->html, flip ? x - 6 : x + 6, p->top + 12 + 17 * row, flip ? "end" : "start",
             m->label);
}

void um_chart_draw(um_html *html, const um_chart *chart)
{
    plot p = {.html = html, .chart = chart, .top = 8, .right = chart->width - 10};
    p.bottom = chart->height - (chart->label_x != NULL ? 42 : 24);
    find_ranges(&p);
    double ticks[UM_TICKS];
    int count = ticks_of_y(&p, ticks);
    double widest = 0;
    for (int i = 0; i < count; i++) {
        char text[32];
        if (chart->log_y) {
            um_number_text(ticks[i], 1 + (count == 2), text);
        } else {
            um_tick_text(ticks, count, i, text);
        }
        widest = fmax(widest, um_text_width(text, 1.15 * TEXT));
    }
    bool labelled = chart->label_y != NULL && chart->label_y[0] != '\0';
    p.left = widest + 10 + (labelled ? TEXT + 8 : 0);
    open_svg(html, chart->width, chart->height, chart->alt);
    draw_y_axis(&p, ticks, count);
    draw_x_axis(&p);
    for (int i = 0; i < chart->mark_count; i++) {
        put_mark_line(&p, &chart->marks[i], i);
    }
    for (int i = 0; i < chart->series_count; i++) {
        put_path(&p, &chart->series[i]);
        if (chart->series[i].points) {
            put_points(&p, &chart->series[i]);
        }
    }
    for (int i = 0; i < chart->mark_count; i++) {
        put_mark_label(&p, &chart->marks[i], i);
    }
    um_html_put(html, "</svg>\n");
}

void um_chart_histogram(um_html *html, const double *values, int64_t count, double high, double width,
                        double height, const char *label_x, const char *alt)
{
    enum { BINS = 32 };
    double bin[BINS] = {0};
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            int b = high > 0 ? (int)fmin(fmax(values[i] / high * BINS, 0), BINS - 1) : 0;
            bin[b]++;
            most = fmax(most, bin[b]);
        }
    }
    open_svg(html, width, height, alt);
    double left = 6;
    double right = width - 12;
    double bottom = height - 40;
    double step = (right - left) / BINS;
    for (int b = 0; b < BINS; b++) {
        double t = bin[b] > 0 ? (0.05 + 0.95 * log(bin[b]) / log(fmax(most, 2))) : 0;
        double tall = t * (bottom - 6);
        if (tall > 0) {
            um_html_format(html,
                           "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                           "fill=\"#5b87b2\"/>",
                           left + b * step, bottom - tall, step - 0.8, tall);
        }
    }
    um_html_format(html, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#77777c\"/>", left, bottom, right);
    um_range range = {.low = 0, .high = high > 0 ? high : 1, .gamma = 1};
    double ticks[UM_TICKS];
    int ticked = um_ticks_make(&range, 3, ticks);
    double last = -INFINITY;
    for (int i = 0; i < ticked; i++) {
        char text[32];
        um_tick_text(ticks, ticked, i, text);
        double x = left + (right - left) * ticks[i] / range.high;
        double half = 0.5 * um_text_width(text, TEXT);
        x = fmin(fmax(x, half), width - half);
        if (x - half < last + 8) {
            continue;
        }
        last = x + half;
        put_text(html, x, bottom + 16, "middle", text);
    }
    put_text(html, 0.5 * (left + right), bottom + 34, "middle", label_x);
    um_html_put(html, "</svg>\n");
}

void um_chart_matrix(um_html *html, const double *values, int64_t k, const char *alt)
{
    double cell = fmin(fmax(400 / (double)k, 20), 44);
    bool numbers = cell >= 30;
    double left = 30;
    double top = 22;
    open_svg(html, left + cell * (double)k + 2, top + cell * (double)k + 2, alt);
    for (int64_t i = 0; i < k; i++) {
        double middle = ((double)i + 0.5) * cell;
        char number[24];
        snprintf(number, sizeof number, "%lld", (long long)i);
        put_text(html, left - 6, top + middle + 4.5, "end", number);
        put_text(html, left + middle, top - 6, "middle", number);
        for (int64_t j = 0; j < k; j++) {
            double v = fmin(fmax(fabs(values[i * k + j]), 0), 1);
            int shade = (int)lround(255 - 200 * (isfinite(v) ? v : 0));
            um_html_format(html,
                           "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                           "fill=\"rgb(%d,%d,%d)\" stroke=\"#fff\"/>",
                           left + (double)j * cell, top + (double)i * cell, cell, cell, shade,
                           (shade + 255) / 2 - (255 - shade) / 6, 255 - (255 - shade) / 3);
            if (numbers && i != j && isfinite(values[i * k + j])) {
                um_html_format(html,
                               "<text x=\"%.1f\" y=\"%.1f\" font-size=\"12\" "
                               "text-anchor=\"middle\" style=\"fill:%s\">%.2f</text>",
                               left + ((double)j + 0.5) * cell, top + middle + 4,
                               v > 0.7 ? "#fff" : "#1c1c1e", values[i * k + j]);
            }
        }
    }
    um_html_put(html, "</svg>\n");
}
