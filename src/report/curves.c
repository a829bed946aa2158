/* The sections with curves: scree, convergence, likeness of components. */
#include "report_internal.h"

#include "unmix/factor.h"

#include <math.h>
#include <stdlib.h>

static void caption(um_html *html, const char *text)
{
    um_html_format(html, "<figcaption><b>Figure %d.</b> ", ++html->figures);
    um_html_put(html, text);
    um_html_put(html, "</figcaption>\n</figure>\n");
}

static int64_t count_above(const double *values, int64_t count, double edge)
{
    int64_t above = 0;
    while (above < count && values[above] > edge) {
        above++;
    }
    return above;
}

static void put_scree(um_html *html, const um_facts *f, const double *values, int64_t count)
{
    int64_t elbow = um_scree_elbow(values, count);
    int64_t edges = 0;
    const double *edge = um_facts_series(f, "noise_edge", &edges);
    bool edged = edge != NULL && isfinite(edge[0]) && edge[0] > 0;
    char at_k[48];
    char at_elbow[48];
    snprintf(at_k, sizeof at_k, "k = %lld", (long long)f->k);
    snprintf(at_elbow, sizeof at_elbow, "elbow at %lld", (long long)elbow);
    um_mark marks[3];
    int marked = 0;
    marks[marked++] = (um_mark){(double)f->k, at_k, false};
    if (elbow > 0 && elbow != f->k) {
        marks[marked++] = (um_mark){(double)elbow, at_elbow, false};
    } else if (elbow == f->k) {
        snprintf(at_k, sizeof at_k, "k = %lld, the elbow", (long long)f->k);
    }
    if (edged) {
        marks[marked++] = (um_mark){edge[0], "edge of counting noise", true};
    }
    um_series series = {.y = values, .count = count, .x0 = 1, .color = "#174a7c", .points = true};
    um_chart chart = {.width = 445,
                      .height = 290,
                      .label_x = "component",
                      .label_y = "singular value",
                      .alt = "Scree curve: singular values on a logarithmic axis",
                      .log_y = true,
                      .series = &series,
                      .series_count = 1,
                      .marks = marks,
                      .mark_count = marked};
    um_html_put(html, "<figure>\n");
    um_chart_draw(html, &chart);
    char text[256];
    if (edged) {
        int64_t above = count_above(values, count, edge[0]);
        snprintf(text, sizeof text,
                 "Singular values of the weighted data. %lld%s stand above the edge of counting "
                 "noise; the elbow is at %lld.",
                 (long long)above, above == count ? " or more" : "", (long long)elbow);
    } else if (elbow > 0) {
        snprintf(text, sizeof text, "Singular values. The elbow is at %lld.", (long long)elbow);
    } else {
        snprintf(text, sizeof text, "Singular values.");
    }
    caption(html, text);
}

/* How far each pass was above the best value: a straight fall is steady convergence. */
static void put_history(um_html *html, const double *history, int64_t count)
{
    double *excess = calloc((size_t)count, sizeof *excess);
    if (excess == NULL) {
        html->failed = true;
        return;
    }
    double best = INFINITY;
    for (int64_t i = 0; i < count; i++) {
        best = history[i] < best ? history[i] : best;
    }
    for (int64_t i = 0; i < count; i++) {
        double above = best > 0 ? history[i] / best - 1 : NAN;
        excess[i] = above > 1e-12 ? above : NAN;
    }
    um_series series = {
        .y = excess, .count = count, .x0 = 1, .color = "#174a7c", .points = count <= 60};
    um_chart chart = {.width = 445,
                      .height = 290,
                      .label_x = "pass",
                      .label_y = "objective above its end",
                      .alt = "Convergence: objective above its final value by pass",
                      .log_y = true,
                      .series = &series,
                      .series_count = 1};
    um_html_put(html, "<figure>\n");
    um_chart_draw(html, &chart);
    caption(html, "Convergence: how far the objective was above its final value after each pass.");
    free(excess);
}

void um_section_fit(um_html *html, const um_facts *f)
{
    int64_t count = 0;
    int64_t passes = 0;
    const double *values = um_facts_series(f, "singular_values", &count);
    const double *history = um_facts_series(f, "objective_history", &passes);
    if (count < 2 && passes < 3) {
        return;
    }
    um_html_put(html, "<section>\n<h2>How many components, and did it converge</h2>\n"
                      "<div class=\"figures\">\n");
    if (count >= 2) {
        put_scree(html, f, values, count);
    }
    if (passes >= 3) {
        put_history(html, history, passes);
    }
    um_html_put(html, "</div>\n</section>\n");
}

static void name_groups(um_html *html, const um_facts *f)
{
    um_html list = {.ctx = html->ctx};
    int told = um_alike_put(&list, f->pattern_cosine, f->k, "<li>Nearly the same pattern: ",
                            ".</li>\n");
    told += um_alike_put(&list, f->loading_cosine, f->k,
                         "<li>Nearly the same map, so perhaps one phase in parts: ", ".</li>\n");
    if (told > 0) {
        um_html_put(html, "<ul>\n");
        um_html_put(html, list.text);
        um_html_put(html, "</ul>\n");
    } else {
        um_html_put(html, "<p>No two components are alike (no cosine above 0.9).</p>\n");
    }
    html->failed = html->failed || list.failed;
    um_html_free(&list);
}

void um_section_similarity(um_html *html, const um_facts *f)
{
    if (f->k < 2 || f->is_svd) {
        return;
    }
    um_html_put(html, "<section>\n<h2>Are components alike?</h2>\n");
    name_groups(html, f);
    um_html_put(html, "<div class=\"figures\">\n<figure>\n");
    um_chart_matrix(html, f->pattern_cosine, f->k, "Cosines between patterns");
    caption(html, "Cosine between patterns (1: the same).");
    um_html_put(html, "<figure>\n");
    um_chart_matrix(html, f->loading_cosine, f->k, "Cosines between loading maps");
    caption(html, "Cosine between loading maps.");
    um_html_put(html, "</div>\n</section>\n");
}
