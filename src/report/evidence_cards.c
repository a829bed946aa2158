/* The section about evidence: cards of the components, tests of the residual, the worst positions. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>

enum { PATTERN_PX = 290, MAP_PX = 225, WORST_PX = 210 }; /* two patterns, three maps or three patterns side by side */

static void caption(um_html *html, const char *text)
{
    um_html_put(html, "<figcaption>");
    um_html_text(html, text);
    um_html_put(html, "</figcaption>\n</figure>\n");
}

static um_status put(um_html *html, const um_facts *f, const double *values, bool pattern, um_colors colors,
                     double size, const char *text)
{
    um_figure figure = um_figure_of(f, values, pattern);
    figure.style.colors = colors;
    figure.style.log_scale = colors == UM_COLORS_MAGMA;
    figure.style.low = 0;
    figure.style.color_bar = true;
    figure.box_width = figure.box_height = size;
    figure.alt = text;
    um_html_put(html, "<figure>\n");
    UM_TRY(um_figure_picture(html, &figure));
    caption(html, text);
    return UM_OK;
}

/* Pairs that act as one crystal are told with the later component. */
static const um_merge *merge_of(const um_evidence *e, const um_suspicion *s)
{
    for (int64_t i = 0; i < e->merge_count; i++) {
        if (e->merges[i].first == s->with && e->merges[i].second == s->component) {
            return &e->merges[i];
        }
    }
    return NULL;
}

static void put_suspicions(um_html *html, const um_evidence *e, int64_t c)
{
    int64_t told = 0;
    um_html_put(html, "<ul>");
    for (int64_t i = 0; i < e->suspicion_count; i++) {
        const um_suspicion *s = &e->suspicions[i];
        if (s->component == c) {
            um_html_put(html, um_suspicion_is_fault(s->kind) ? "<li><strong>" : "<li>");
            um_html_say(html, "%s: ", um_suspicion_name(s->kind));
            um_html_put(html, um_suspicion_is_fault(s->kind) ? "</strong>" : "");
            um_html_say(html, "%s", s->reason);
            if (merge_of(e, s) != NULL) {
                um_html_format(html, " (merge %lld and %lld?)", (long long)s->with, (long long)s->component);
            }
            um_html_put(html, "</li>");
            told++;
        }
    }
    um_html_put(html, told > 0 ? "</ul>\n" : "<li>no suspicion</li></ul>\n");
}

/* ---- numbers ------------------------------------------------------------------------------------ */

static void cell(um_html *html, double value, int decimals)
{
    if (isfinite(value)) {
        um_html_format(html, "<td class=\"n\">%.*f</td>", decimals, value);
    } else {
        um_html_put(html, "<td class=\"n\">–</td>");
    }
}

static void put_numbers(um_html *html, const um_evidence *e)
{
    static const char *const heads[] = {"",       "%", "",      "noise %", "halves %", "noise %", "halves %",
                                        "halves", "noise", "with it %", "/ noise", "thickness", "tilt"};
    um_html_put(html, "<table class=\"dense\">\n<caption>How sure is each component?</caption>\n<thead><tr><td></td>"
                      "<th class=\"n\">counts</th><th class=\"n\">positions</th><th colspan=\"2\" class=\"n\">error of the map</th>"
                      "<th colspan=\"2\" class=\"n\">error of the pattern</th><th colspan=\"2\" class=\"n\">cosine of halves</th>"
                      "<th class=\"n\">starts</th><th class=\"n\">residual</th><th colspan=\"2\" class=\"n\">follows</th></tr>\n<tr>");
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        um_html_format(html, "<th class=\"n\">%s</th>", heads[i]);
    }
    um_html_put(html, "</tr></thead>\n<tbody>\n");
    for (int64_t c = 0; c < e->k; c++) {
        const um_card *d = &e->cards[c];
        um_html_format(html, "<tr><td class=\"n\">%lld</td>", (long long)c);
        cell(html, 100 * d->contribution, 2);
        um_html_format(html, "<td class=\"n\">%lld</td>", (long long)d->positions);
        cell(html, 100 * d->loading_error, 1);
        cell(html, 100 * d->half_loading_error, 1);
        cell(html, 100 * d->pattern_error, 2);
        cell(html, 100 * d->half_pattern_error, 2);
        cell(html, d->half_cosine, 3);
        cell(html, d->noise_cosine, 3);
        cell(html, 100 * d->start_share, 0);
        cell(html, d->residual, 3);
        cell(html, d->thickness_correlation, 2);
        cell(html, d->tilt_correlation, 2);
        um_html_put(html, "</tr>\n");
    }
    um_html_put(html, "</tbody>\n</table>\n<p>Counts: share of all. Positions: where the component is the strongest. Errors: standard error by the mean "
                      "there, from counting noise alone and from how fits to two independent halves of the counts differ. The "
                      "two are alike where the factorisation is settled; halves that differ more tell of too many components or of "
                      "several mixtures that fit alike. Cosine of halves: between the two patterns, beside what noise would leave "
                      "of 1; both in patterns weighted by noise. ");
    if (e->starts > 0) {
        um_html_format(html, "Starts: fits from %lld of %lld other starts are as good as the result; the part of them that has the component. ",
                       (long long)e->starts_alike, (long long)e->starts);
    }
    um_html_put(html, "Residual: squares left where it is, 1 = counting noise. Follows: correlation of its share, where it "
                      "is present, with the part of the counts that is scattered out of the direct beam (thickness), and with the centre of "
                      "what is scattered (tilt).</p>\n");
}

static um_status put_card(um_html *html, const um_facts *f, int64_t c, double *map)
{
    const um_evidence *e = f->options->evidence;
    const um_card *card = &e->cards[c];
    um_html_format(html, "<div class=\"card\">\n<h3>Component %lld <span>%.2f&nbsp;%% of all counts</span></h3>\n", (long long)c,
                   100 * card->contribution);
    put_suspicions(html, e, c);
    um_html_put(html, "<div class=\"figures\">\n");
    UM_TRY(put(html, f, f->pattern + c * f->pixels, true, UM_COLORS_MAGMA, PATTERN_PX, "Pattern"));
    UM_TRY(put(html, f, e->pattern_error + c * f->pixels, true, UM_COLORS_MAGMA, PATTERN_PX, "Its standard error"));
    um_html_put(html, "</div>\n<div class=\"figures\">\n");
    UM_TRY(put(html, f, f->loading + c * f->positions, false, UM_COLORS_VIRIDIS, MAP_PX, "Loading"));
    for (int64_t p = 0; p < f->positions; p++) {
        map[p] = e->loading_error[p * f->k + c];
    }
    UM_TRY(put(html, f, map, false, UM_COLORS_VIRIDIS, MAP_PX, "Its standard error"));
    for (int64_t p = 0; p < f->positions; p++) {
        map[p] = e->fraction_high[p * f->k + c] - e->fraction_low[p * f->k + c];
    }
    UM_TRY(put(html, f, map, false, UM_COLORS_VIRIDIS, MAP_PX, "Width of the 90 % interval of its share of the counts"));
    um_html_put(html, "</div>\n</div>\n");
    return UM_OK;
}

static um_status put_worst(um_html *html, const um_facts *f)
{
    const um_evidence *e = f->options->evidence;
    double *values = NULL;
    UM_TRY(um_buffer_alloc(html->ctx, (size_t)f->pixels, sizeof *values, "a figure", &values));
    um_status status = UM_OK;
    um_html_put(html, "<h3>The worst positions</h3>\n<p>Measured, modelled, and the difference in units of counting "
                      "noise (red: more than modelled).</p>\n");
    for (int64_t i = 0; i < e->worst_count && status == UM_OK; i++) {
        const um_worst *w = &e->worst[i];
        um_html_format(html, "<p>y %lld, x %lld: %.1f standard deviations above counting noise.</p>\n",
                       (long long)w->y, (long long)w->x, w->sigmas);
        if (w->measured == NULL) {
            continue;
        }
        um_html_put(html, "<div class=\"figures\">\n");
        const float *both[2] = {w->measured, w->model};
        for (int side = 0; side < 2 && status == UM_OK; side++) {
            for (int64_t j = 0; j < f->pixels; j++) {
                values[j] = (double)both[side][j];
            }
            status = put(html, f, values, true, UM_COLORS_MAGMA, WORST_PX, side == 0 ? "Measured" : "Modelled");
        }
        for (int64_t j = 0; j < f->pixels; j++) {
            values[j] = ((double)w->measured[j] - (double)w->model[j]) / sqrt(fmax((double)w->model[j], 1));
        }
        um_figure figure = um_figure_of(f, values, true);
        figure.style.colors = UM_COLORS_DIVERGING;
        figure.style.low = -6;
        figure.style.high = 6;
        figure.style.color_bar = true;
        figure.box_width = figure.box_height = WORST_PX;
        figure.alt = "Difference";
        um_html_put(html, "<figure>\n");
        status = status == UM_OK ? um_figure_picture(html, &figure) : status;
        caption(html, "Difference / noise");
        um_html_put(html, "</div>\n");
    }
    um_buffer_free(html->ctx, values);
    return status;
}

static um_status put_fit(um_html *html, const um_facts *f)
{
    const um_evidence *e = f->options->evidence;
    if (e->afterglow > 0) {
        um_html_put(html, "<p>");
        um_html_say(html, "Afterglow: %s.", e->afterglow_reason);
        um_html_put(html, "</p>\n");
    }
    if (!isfinite(e->positions_beyond_noise)) {
        um_html_put(html, "<p>The result has no weighted residual map: its residual is not tested.</p>\n");
        return UM_OK;
    }
    um_html_format(html, "<p>The residual exceeds counting noise at %.2f&nbsp;%% of the positions and %.2f&nbsp;%% of the "
                         "pixels, at a false discovery rate of 1&nbsp;%%.</p>\n",
                   100 * e->positions_beyond_noise, 100 * e->pixels_beyond_noise);
    if (e->unmodelled) {
        um_html_put(html, "<p>");
        um_html_say(html, "Not in the model? %s.", e->unmodelled_reason);
        um_html_put(html, "</p>\n");
    }
    um_html_put(html, "<div class=\"figures\">\n");
    UM_TRY(put(html, f, e->position_sigmas, false, UM_COLORS_VIRIDIS, 300,
               "Excess of the residual of each position in standard deviations of counting noise"));
    UM_TRY(put(html, f, e->pixel_sigmas, true, UM_COLORS_VIRIDIS, 300, "The same of each pixel"));
    um_html_put(html, "</div>\n");
    return put_worst(html, f);
}

um_status um_section_evidence(um_html *html, const um_facts *f)
{
    const um_evidence *e = f->options->evidence;
    if (e == NULL) {
        return UM_OK;
    }
    um_html_put(html, "<section>\n<h2>Is it real?</h2>\n");
    put_numbers(html, e);
    double *map = NULL;
    UM_TRY(um_buffer_alloc(html->ctx, (size_t)f->positions, sizeof *map, "a figure", &map));
    um_status status = UM_OK;
    for (int64_t c = 0; c < f->k && status == UM_OK; c++) {
        status = put_card(html, f, c, map);
    }
    um_buffer_free(html->ctx, map);
    UM_TRY(status);
    UM_TRY(put_fit(html, f));
    um_html_put(html, "</section>\n");
    return UM_OK;
}
