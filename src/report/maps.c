/* The sections with maps and patterns. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

um_figure um_figure_of(const um_facts *f, const double *values, bool pattern)
{
    const um_axis *y = &f->axes[pattern ? 2 : 0];
    const um_axis *x = &f->axes[pattern ? 3 : 1];
    um_figure figure = {
        .values = values,
        .ny = pattern ? f->shape.ky : f->shape.ny,
        .nx = pattern ? f->shape.kx : f->shape.nx,
        .style = {.low = NAN,
                  .high = NAN,
                  .scale = isfinite(x->scale) && x->scale != 0 ? fabs(x->scale) : 1,
                  .units = x->units,
                  .mask = pattern ? f->signal_mask : f->navigation_mask},
    };
    double step = fabs(y->scale / x->scale);
    if (strcmp(x->units, y->units) == 0 && step >= 0.2 && step <= 5) {
        figure.step_y = step;
    }
    return figure;
}

static void open_figure(um_html *html)
{
    um_html_put(html, "<figure>\n");
}

static void caption(um_html *html, const char *text)
{
    um_html_format(html, "<figcaption><b>Figure %d.</b> ", ++html->figures);
    um_html_text(html, text);
    um_html_put(html, "</figcaption>\n</figure>\n");
}

static um_status put_overview(um_html *html, const um_facts *f, const double *values, bool pattern,
                              const char *text)
{
    if (values == NULL) {
        return UM_OK;
    }
    um_figure figure = um_figure_of(f, values, pattern);
    figure.style.colors = pattern ? UM_COLORS_MAGMA : UM_COLORS_VIRIDIS;
    figure.style.log_scale = pattern;
    figure.style.low = pattern ? 0 : NAN;
    figure.style.color_bar = true;
    figure.style.color_label = "counts";
    figure.box_width = 330;
    figure.box_height = 330;
    bool line = figure.ny == 1 || figure.nx == 1;
    char told[160];
    snprintf(told, sizeof told, "%s%s%s", text, pattern && !line ? " Logarithmic." : "",
             figure.style.mask != NULL && !line ? " Hatched: masked, not used." : "");
    figure.alt = told;
    open_figure(html);
    UM_TRY(um_figure_picture(html, &figure));
    caption(html, told);
    return UM_OK;
}

um_status um_section_overview(um_html *html, const um_facts *f)
{
    const double *mean = um_facts_array(f, "mean_pattern", f->pixels);
    const double *most = um_facts_array(f, "max_pattern", f->pixels);
    const double *field = um_facts_array(f, "virtual_bright_field", f->positions);
    const double *sum = um_facts_array(f, "sum_map", f->positions);
    const double *dark = um_facts_array(f, "virtual_dark_field", f->positions);
    if (mean == NULL && most == NULL && dark == NULL && field == NULL && sum == NULL) {
        return UM_OK;
    }
    um_html_put(html, "<section>\n<h2>The scan</h2>\n<div class=\"figures\">\n");
    UM_TRY(put_overview(html, f, mean, true,
                        "Mean pattern."));
    UM_TRY(put_overview(html, f, most, true, "Maximum of every pixel over all positions."));
    UM_TRY(put_overview(html, f, field, false, "Virtual bright field."));
    UM_TRY(put_overview(html, f, dark, false, "Virtual dark field: the ring around the masked beam."));
    UM_TRY(put_overview(html, f, sum, false, "Counts of each pattern that were used."));
    um_html_put(html, "</div>\n</section>\n");
    return UM_OK;
}

/* ---- components --------------------------------------------------------------------------------- */

static double largest(const double *values, int64_t count, bool of_size)
{
    double most = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            most = fmax(most, of_size ? fabs(values[i]) : values[i]);
        }
    }
    return most;
}

static const char *pattern_label(const um_facts *f)
{
    const char *normalize = um_facts_text(f, "normalize");
    if (normalize == NULL) {
        return "intensity";
    }
    return strcmp(normalize, "sum") == 0   ? "share of the component's counts in each pixel"
           : strcmp(normalize, "max") == 0 ? "relative to the component's maximum"
                                           : "intensity (unit norm)";
}

static const char *loading_label(const um_facts *f)
{
    const char *normalize = um_facts_text(f, "normalize");
    return normalize != NULL && strcmp(normalize, "sum") == 0 ? "counts" : "loading";
}

static um_status put_component(um_html *html, const um_facts *f, int64_t c, const um_range *range)
{
    const double *pattern = f->pattern + c * f->pixels;
    const double *loading = f->loading + c * f->positions;
    const double *pass = um_facts_array(f, "component_pass", f->k);
    bool strip = f->shape.ny == 1 || f->shape.nx > 3 * f->shape.ny;
    char share[32];
    char alt[96];
    um_number_text(100 * f->share[c], 3, share);
    um_html_format(html,
                   "<article class=\"component%s\">\n<h3>Component %lld <span>· %s&nbsp;%% of %s%s"
                   "</span></h3>\n",
                   strip ? " strip" : "", (long long)c, share,
                   f->is_svd ? "the variance" : "the modelled counts",
                   pass != NULL && pass[c] > 1 ? " · second pass" : "");
    um_figure p = um_figure_of(f, pattern, true);
    p.style.colors = f->is_svd ? UM_COLORS_DIVERGING : UM_COLORS_MAGMA;
    p.style.high = f->is_svd ? largest(pattern, f->pixels, true) : range->high;
    p.style.low = f->is_svd ? -p.style.high : 0;
    p.style.log_scale = !f->is_svd;
    p.style.log_floor = range->floor;
    p.style.color_bar = f->is_svd;
    p.box_width = f->shape.ky == 1 ? 560 : 250;
    p.box_height = 250;
    snprintf(alt, sizeof alt, "Pattern of component %lld", (long long)c);
    p.alt = alt;
    open_figure(html);
    UM_TRY(um_figure_picture(html, &p));
    um_html_put(html, "</figure>\n");
    um_figure w = um_figure_of(f, loading, false);
    w.style.colors = f->is_svd ? UM_COLORS_DIVERGING : UM_COLORS_VIRIDIS;
    w.style.high = largest(loading, f->positions, f->is_svd);
    w.style.low = f->is_svd ? -w.style.high : 0;
    w.style.color_bar = true;
    w.style.color_label = loading_label(f);
    w.box_width = strip ? 800 : 270;
    w.box_height = 250;
    snprintf(alt, sizeof alt, "Loading map of component %lld", (long long)c);
    w.alt = alt;
    open_figure(html);
    UM_TRY(um_figure_picture(html, &w));
    um_html_put(html, "</figure>\n");
    if (!f->is_svd) {
        open_figure(html);
        um_chart_histogram(html, loading, f->positions, w.style.high, 220, 150, loading_label(f),
                           "Histogram of the loadings");
        um_html_put(html, "</figure>\n");
    }
    um_html_put(html, "</article>\n");
    return UM_OK;
}

/* Loading times pattern sum, by the modelled sum at each position: all maps on one scale. */
static um_status put_fractions(um_html *html, const um_facts *f)
{
    bool line = f->shape.ny == 1 || f->shape.nx == 1;
    if (f->is_svd || f->k < 2 || line) {
        return UM_OK;
    }
    double *total = NULL;
    double *fraction = NULL;
    um_status status = um_buffer_alloc(html->ctx, (size_t)f->positions, sizeof(double), "a map",
                                       &total);
    if (status == UM_OK) {
        status =
            um_buffer_alloc(html->ctx, (size_t)f->positions, sizeof(double), "a map", &fraction);
    }
    um_html_put(html, "<h3>Fractions, all on one scale</h3>\n<figure>\n<div class=\"grid\">\n");
    for (int round = 0; round < 2; round++) {
        for (int64_t c = 0; status == UM_OK && c < f->k; c++) {
            double sum = 0;
            for (int64_t q = 0; q < f->pixels; q++) {
                double h = f->pattern[c * f->pixels + q];
                sum += isfinite(h) ? h : 0;
            }
            for (int64_t i = 0; i < f->positions; i++) {
                double part = sum * f->loading[c * f->positions + i];
                total[i] += round == 0 ? part : 0;
                fraction[i] = total[i] > 0 ? part / total[i] : NAN;
            }
            if (round == 0) {
                continue;
            }
            um_figure w = um_figure_of(f, fraction, false);
            w.style.colors = UM_COLORS_VIRIDIS;
            w.style.low = 0;
            w.style.high = 1;
            w.style.scale = c == 0 ? w.style.scale : 0;
            w.box_width = 150;
            w.box_height = 150;
            char alt[64];
            snprintf(alt, sizeof alt, "Fraction map of component %lld", (long long)c);
            w.alt = alt;
            um_html_format(html, "<div><span>%lld</span>", (long long)c);
            status = um_figure_picture(html, &w);
            um_html_put(html, "</div>\n");
        }
    }
    um_html_put(html, "</div>\n");
    um_range range = {.low = 0, .high = 1, .gamma = 1};
    um_figure_color_bar(html, &range, UM_COLORS_VIRIDIS,
                        "share of the modelled counts at each position", 300);
    caption(html, "Share of each position's modelled counts that each component takes.");
    um_buffer_free(html->ctx, total);
    um_buffer_free(html->ctx, fraction);
    return status;
}

um_status um_section_components(um_html *html, const um_facts *f)
{
    double high = largest(f->pattern, f->k * f->pixels, false);
    um_html_put(html, "<section>\n<h2>Components</h2>\n");
    um_picture_style style = {.low = 0, .high = high, .log_scale = !f->is_svd};
    um_range range = um_range_of(f->pattern, f->k * f->pixels, &style);
    if (!f->is_svd && f->shape.ky > 1) {
        um_html_put(html, "<p>All patterns share one logarithmic colour scale; each loading map has "
                          "its own, from zero. Hatched: masked. Histograms count positions on a "
                          "logarithmic height.</p>\n");
        um_figure_color_bar(html, &range, UM_COLORS_MAGMA, pattern_label(f), 420);
    } else if (f->is_svd) {
        um_html_put(html, "<p>Red is positive, blue negative; every map is scaled to its own largest "
                          "magnitude.</p>\n");
    }
    for (int64_t c = 0; c < f->k; c++) {
        UM_TRY(put_component(html, f, c, &range));
    }
    UM_TRY(put_fractions(html, f));
    um_html_put(html, "</section>\n");
    return UM_OK;
}

/* ---- residual ----------------------------------------------------------------------------------- */

/* The size that all but one in two hundred values stay below, measured from `center`. */
static double usual_size(um_html *html, const double *values, int64_t count, double center)
{
    double *sorted = NULL;
    if (um_buffer_alloc(html->ctx, (size_t)count, sizeof(double), "a map", &sorted) != UM_OK) {
        return NAN;
    }
    size_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            sorted[used++] = fabs(values[i] - center);
        }
    }
    qsort(sorted, used, sizeof *sorted, um_compare_f64);
    double size = used > 0 ? sorted[(used - 1) * 199 / 200] : NAN;
    um_buffer_free(html->ctx, sorted);
    return size;
}

static um_status put_diverging(um_html *html, const um_facts *f, const double *values, bool pattern,
                               double center, double least, const char *label, const char *text)
{
    um_figure figure = um_figure_of(f, values, pattern);
    int64_t count = figure.ny * figure.nx;
    double size = usual_size(html, values, count, center);
    size = isfinite(size) && size > least ? size : least;
    figure.style.colors = UM_COLORS_DIVERGING;
    figure.style.low = center - size;
    figure.style.high = center + size;
    figure.style.color_bar = true;
    figure.style.color_label = label;
    figure.box_width = 330;
    figure.box_height = 330;
    figure.alt = text;
    open_figure(html);
    UM_TRY(um_figure_picture(html, &figure));
    caption(html, text);
    return UM_OK;
}

static um_status put_plain(um_html *html, const um_facts *f, const double *values, const char *text)
{
    um_figure figure = um_figure_of(f, values, false);
    figure.style.colors = UM_COLORS_VIRIDIS;
    figure.style.low = 0;
    figure.style.color_bar = true;
    figure.box_width = 330;
    figure.box_height = 330;
    figure.alt = text;
    open_figure(html);
    UM_TRY(um_figure_picture(html, &figure));
    caption(html, text);
    return UM_OK;
}

/* Rms residual of each pixel by the root of its mean: what counting noise would give. */
static um_status put_pixel_ratio(um_html *html, const um_facts *f, const double *rms,
                                 const double *mean)
{
    double *ratio = NULL;
    UM_TRY(um_buffer_alloc(html->ctx, (size_t)f->pixels, sizeof(double), "a pattern", &ratio));
    for (int64_t i = 0; i < f->pixels; i++) {
        ratio[i] = mean[i] > 0 ? rms[i] / sqrt(mean[i]) : NAN;
    }
    um_status status = put_diverging(html, f, ratio, true, 1, 0.1, "times counting noise",
                                     "Residual of each pixel by what counting noise alone gives (1, "
                                     "white).");
    um_buffer_free(html->ctx, ratio);
    return status;
}

static void put_worst(um_html *html, const um_facts *f, const double *map, const char *what)
{
    enum { WORST = 6 };
    int64_t worst[WORST];
    int found = 0;
    for (int64_t i = 0; i < f->positions; i++) {
        if (!isfinite(map[i])) {
            continue;
        }
        int at = found < WORST ? found++ : WORST;
        while (at > 0 && map[i] > map[worst[at - 1]]) {
            if (at < WORST) {
                worst[at] = worst[at - 1];
            }
            at--;
        }
        if (at < WORST) {
            worst[at] = i;
        }
    }
    if (found == 0) {
        return;
    }
    um_html_format(html,
                   "<table>\n<caption>Positions that are described worst</caption>\n<thead><tr>"
                   "<th class=\"n\">y</th><th class=\"n\">x</th><th class=\"n\">%s</th></tr>"
                   "</thead>\n<tbody>\n",
                   what);
    for (int i = 0; i < found; i++) {
        um_html_format(html,
                       "<tr><td class=\"n\">%lld</td><td class=\"n\">%lld</td><td class=\"n\">%.4g"
                       "</td></tr>\n",
                       (long long)(worst[i] / f->shape.nx), (long long)(worst[i] % f->shape.nx),
                       map[worst[i]]);
    }
    um_html_put(html, "</tbody>\n</table>\n");
}

um_status um_section_residual(um_html *html, const um_facts *f)
{
    const double *map = um_facts_array(f, "residual_map", f->positions);
    const double *pattern = um_facts_array(f, "residual_pattern", f->pixels);
    const double *rms = um_facts_array(f, "residual_pattern_rms", f->pixels);
    const double *mean = um_facts_array(f, "mean_pattern", f->pixels);
    if (map == NULL && pattern == NULL) {
        return UM_OK;
    }
    um_html_put(html, "<section>\n<h2>What the components do not explain</h2>\n"
                      "<div class=\"figures\">\n");
    if (f->noise_ratio != NULL) {
        UM_TRY(put_diverging(html, f, f->noise_ratio, false, 1, 0.05, "times counting noise",
                             "Residual of each pattern by what counting noise alone gives (1, "
                             "white). Red: structure is left."));
    } else if (map != NULL) {
        UM_TRY(put_plain(html, f, map, "Relative root-mean-square residual of each pattern."));
    }
    if (pattern != NULL) {
        UM_TRY(put_diverging(html, f, pattern, true, 0, 1e-12, "counts per pattern",
                             "Mean residual (data minus model). Red: the model is too low."));
    }
    if (rms != NULL && mean != NULL && f->noise_ratio != NULL) {
        UM_TRY(put_pixel_ratio(html, f, rms, mean));
    }
    const double *outliers = um_facts_array(f, "outlier_share", f->positions);
    if (outliers != NULL) {
        UM_TRY(put_plain(html, f, outliers, "Share of each pattern's counts that was taken for outliers."));
    }
    um_html_put(html, "</div>\n");
    if (f->noise_ratio != NULL) {
        put_worst(html, f, f->noise_ratio, "residual / counting noise");
    } else if (map != NULL) {
        put_worst(html, f, map, "relative residual");
    }
    um_html_put(html, "</section>\n");
    return UM_OK;
}
