/* The page about how many components a scan gives evidence for. */
#include "report_internal.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

static const char BLUE[] = "#174a7c", ORANGE[] = "#c26a00";

/* ---- the figure --------------------------------------------------------------------------------- */

static void draw(um_html *html, const um_choose_result *r, um_chart *c, bool edge)
{
    char label[32];
    um_mark marks[2] = {{(double)r->recommended, label, false}, {1, "edge of counting noise", true}};
    snprintf(label, sizeof label, "k = %lld", (long long)r->recommended);
    c->width = 290;
    c->height = 250;
    c->marks = marks;
    c->mark_count = edge ? 2 : 1;
    c->label_x = "number of components";
    um_chart_draw(html, c);
}

static double *column(um_html *html, const um_choose_result *r, size_t offset)
{
    double *values = calloc((size_t)r->rows, sizeof *values);
    if (values == NULL) {
        html->failed = true;
        return NULL;
    }
    for (int64_t i = 0; i < r->rows; i++) {
        values[i] = *(const double *)((const char *)&r->row[i] + offset);
    }
    return values;
}

static void two_curves(um_html *html, const um_choose_result *r, const double *first,
                       const double *second, um_chart *c, bool edge)
{
    um_series series[2] = {
        {.y = first, .count = r->rows, .x0 = (double)r->row[0].k, .color = BLUE, .points = true},
        {.y = second, .count = r->rows, .x0 = (double)r->row[0].k, .color = ORANGE, .points = true}};
    c->series = series;
    c->series_count = 2;
    if (first != NULL && second != NULL) {
        draw(html, r, c, edge);
    }
}

/* Above the least of them, as a share. */
static void above_least(double *values, int64_t count)
{
    double least = INFINITY;
    for (int64_t i = 0; values != NULL && i < count; i++) {
        least = isfinite(values[i]) ? fmin(least, values[i]) : least;
    }
    for (int64_t i = 0; values != NULL && i < count; i++) {
        double above = values[i] / least - 1;
        values[i] = above > 0 ? above : NAN;
    }
}

static void put_figure(um_html *html, const um_choose_result *r)
{
    double *scan = column(html, r, offsetof(um_choose_row, singular_value));
    double *binned = column(html, r, offsetof(um_choose_row, binned_value));
    double *deviance = column(html, r, offsetof(um_choose_row, deviance));
    double *coarse = column(html, r, offsetof(um_choose_row, binned_deviance));
    double *median = column(html, r, offsetof(um_choose_row, median_cosine));
    double *worst = column(html, r, offsetof(um_choose_row, worst_cosine));
    above_least(deviance, r->rows);
    above_least(coarse, r->rows);
    um_html_put(html, "<section>\n<h2>Evidence for the number of components</h2>\n<figure>\n<div class=\"figures\">\n");
    um_chart spectrum = {.label_y = "singular value / edge", .log_y = true,
                         .alt = "Singular values in units of the edge of counting noise"};
    two_curves(html, r, scan, binned, &spectrum, true);
    if (r->split) {
        um_chart held_out = {.label_y = "held-out deviance above its least", .log_y = true,
                             .alt = "Deviance of the held-out half of the counts, above its least"};
        two_curves(html, r, deviance, coarse, &held_out, false);
        um_chart agreement = {.label_y = "cosine of the halves' components",
                              .alt = "Median and worst cosine of components matched between halves"};
        two_curves(html, r, median, worst, &agreement, false);
    }
    um_html_format(html, "</div>\n<figcaption><b>Figure %d.</b> ", ++html->figures);
    um_html_put(html,
                "Left: singular values, weighted so that counting noise is alike everywhere, the k-th at k; noise stays below the line. "
                "Middle: how much worse than the best k a model of one half of the counts tells the other "
                "half (the best itself is off the logarithmic axis). Blue: all positions that were split, "
                "orange: the scan summed over small squares. Right: median (blue) and worst (orange) cosine "
                "between components of the two halves, matched one to one.</figcaption>\n</figure>\n");
    free(scan);
    free(binned);
    free(deviance);
    free(coarse);
    free(median);
    free(worst);
}

/* ---- the table ---------------------------------------------------------------------------------- */

static void cell(um_html *html, double value, int digits)
{
    if (isfinite(value)) {
        um_html_format(html, "<td class=\"n\">%.*f</td>", digits, value);
    } else {
        um_html_put(html, "<td class=\"n\">–</td>");
    }
}

static void put_table(um_html *html, const um_choose_result *r)
{
    static const char *const heads[] = {"k",     "scan",   "binned", "scan",   "±",          "binned",
                                        "entries", "median", "worst",  "starts", "silhouette", "noise %"};
    um_html_put(html, "<table class=\"dense\">\n<caption>Every number of components</caption>\n<thead><tr><td></td>"
                      "<th colspan=\"2\" class=\"n\">singular value</th><th colspan=\"3\" class=\"n\">held-out deviance</th>"
                      "<th class=\"n\">held-out</th><th colspan=\"2\" class=\"n\">cosine of halves</th><th class=\"n\">cosine of</th>"
                      "<td></td><th class=\"n\">beyond</th></tr>\n<tr>");
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        um_html_format(html, "<th class=\"n\">%s</th>", heads[i]);
    }
    um_html_put(html, "</tr></thead>\n<tbody>\n");
    for (int64_t i = 0; i < r->rows; i++) {
        const um_choose_row *row = &r->row[i];
        bool chosen = row->k == r->recommended;
        um_html_format(html, "<tr><td class=\"n\">%s%lld%s</td>", chosen ? "<strong>" : "",
                       (long long)row->k, chosen ? "</strong>" : "");
        cell(html, row->singular_value, 3);
        cell(html, row->binned_value, 3);
        cell(html, row->deviance, 6);
        cell(html, row->error, 6);
        cell(html, row->binned_deviance, 5);
        cell(html, row->entry_error, 5);
        cell(html, row->median_cosine, 3);
        cell(html, row->worst_cosine, 3);
        cell(html, row->start_cosine, 3);
        cell(html, row->silhouette, 2);
        cell(html, 100 * row->beyond_noise, 1);
        um_html_put(html, "</tr>\n");
    }
    um_html_put(html, "</tbody>\n</table>\n<p>Singular value: by the edge of counting noise, of the scan and of the scan summed over "
                      "small squares. Held-out deviance: how badly one half of the counts tells the other, per value; ± is the "
                      "standard error of its difference from the best. Held-out entries: squared error of entries left out of the fit, by that of one "
                      "component. Cosine of starts: the worst, between two starts. Silhouette: near 1 where the components of halves and starts "
                      "fall into as many tight groups, below 0 where they do not. Beyond noise: positions whose residual counting "
                      "noise does not explain.</p>\n</section>\n");
}

static void put_answer(um_html *html, const um_choose_result *r)
{
    um_html_put(html, "<section class=\"verdict\">\n<p><strong>");
    if (r->structure) {
        bool open = r->more && r->recommended == r->high;
        um_html_format(html, "%lld%s components", (long long)r->recommended, open ? " or more" : "");
        if (r->low < r->high) {
            um_html_format(html, "; the evidence allows %lld to %lld%s", (long long)r->low, (long long)r->high,
                           r->more ? " and more" : "");
        }
    } else {
        um_html_put(html, "No structure: one pattern and counting noise describe every position");
    }
    um_html_put(html, "</strong></p>\n<p>");
    um_html_format(html, "Why: ");
    um_html_text(html, r->why);
    um_html_put(html, ".</p>\n");
    if (r->counts) {
        um_html_format(html, "<p>Variance of a value by its mean (gain): %.4g%s.", r->gain,
                       r->split ? "" : "; counts cannot be split, so nothing is held out");
        um_html_format(html, " Singular values above noise: %lld", (long long)r->above);
        if (r->above_binned >= 0) {
            um_html_format(html, ", of the scan summed over %lld × %lld positions %lld",
                           (long long)r->binned_side, (long long)r->binned_side,
                           (long long)r->above_binned);
        }
        um_html_put(html, ".</p>\n");
    }
    um_html_put(html, "</section>\n");
}

static void put_reading(um_html *html, const um_choice_page *page)
{
    um_html_put(html,
                "<section>\n<h2>How to read this</h2>\n<p>The number is that of distinguishable patterns, not "
                "of phases. A crystal that bends, or is thicker in places, has several patterns, and takes "
                "several components; two orientations that differ by less than noise take one. So a number "
                "larger than that of the phases is no error: look at the components, and group those of one "
                "crystal afterwards.</p>\n"
                "<p>A component whose worst cosine is far below the others comes back in neither half: either "
                "there are too few counts to see it in half of them, or it is not there. Beyond the "
                "number that the counts support the worst cosine falls and the held-out deviance "
                "rises.</p>\n</section>\n");
    if (page->command != NULL) {
        um_html_put(html, "<section>\n<h2>To make this again</h2>\n<pre class=\"short\">");
        um_html_text(html, page->command);
        um_html_put(html, "</pre>\n</section>\n");
    }
}

void um_section_choice(um_html *html, const um_facts *f)
{
    const um_choose_result *r = f->options->choice;
    if (r != NULL) {
        put_figure(html, r);
        put_table(html, r);
    }
}

static void put_page(um_html *html, const um_choose_result *r, const um_choice_page *page)
{
    um_html_open(html);
    um_html_say(html, "How many components: %s", page->scan);
    um_html_style(html);
    um_html_say(html, "How many components: %s", page->scan);
    um_html_format(html,
                   "</h1>\n<p class=\"lead\">%lld × %lld positions, patterns of %lld × %lld px</p>\n"
                   "</header>\n<main>\n",
                   (long long)page->shape.ny, (long long)page->shape.nx, (long long)page->shape.ky,
                   (long long)page->shape.kx);
    put_answer(html, r);
    put_figure(html, r);
    put_table(html, r);
    put_reading(html, page);
    um_html_format(html, "</main>\n<footer>unmix %s</footer>\n</body>\n</html>\n", um_version());
}

um_status um_report_choice(um_context *ctx, const um_choose_result *result, const char *path,
                           const um_choice_page *page)
{
    um_html html = {.ctx = ctx};
    put_page(&html, result, page);
    um_status status =
        html.failed ? um_fail(ctx, UM_ERROR_MEMORY, "no memory for the page") : UM_OK;
    if (status == UM_OK) {
        status = um_html_save(&html, path, page->overwrite);
    }
    um_html_free(&html);
    return status;
}
