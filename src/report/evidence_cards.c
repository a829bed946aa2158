/* The section about evidence: cards of the components, tests of the residual, the worst positions. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>

enum { CARD_PX = 150, WORST_PX = 130 };

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

static void put_suspicions(um_html *html, const um_evidence *e, int64_t c)
{
    int64_t told = 0;
    um_html_put(html, "<ul>");
    for (int64_t i = 0; i < e->suspicion_count; i++) {
        const um_suspicion *s = &e->suspicions[i];
        if (s->component == c) {
            um_html_put(html, "<li>");
            um_html_say(html, "%s: %s", um_suspicion_word(s->kind), s->reason);
            um_html_put(html, "</li>");
            told++;
        }
    }
    um_html_put(html, told > 0 ? "</ul>\n" : "<li>no suspicion</li></ul>\n");
}

static um_status put_card(um_html *html, const um_facts *f, int64_t c, double *map)
{
    const um_evidence *e = f->options->evidence;
    const um_card *card = &e->cards[c];
    um_html_format(html, "<h3>Component %lld</h3>\n<p>%.2f&nbsp;%% of all counts; strongest at %lld positions, where "
                         "its loading has a standard error of %.2g&nbsp;%%; its pattern of %.2g&nbsp;%%",
                   (long long)c, 100 * card->contribution, (long long)card->positions, 100 * card->loading_error,
                   100 * card->pattern_error);
    if (isfinite(card->residual)) {
        um_html_format(html, "; leaves %.3f of counting noise", card->residual);
    }
    if (isfinite(card->signal_correlation)) {
        um_html_format(html, "; its share against the counts of the position: correlation %.2f",
                       card->signal_correlation);
    }
    um_html_put(html, ".</p>\n");
    put_suspicions(html, e, c);
    um_html_put(html, "<div class=\"figures\">\n");
    UM_TRY(put(html, f, f->pattern + c * f->pixels, true, UM_COLORS_MAGMA, CARD_PX, "Pattern"));
    UM_TRY(put(html, f, e->pattern_error + c * f->pixels, true, UM_COLORS_MAGMA, CARD_PX, "Its standard error"));
    UM_TRY(put(html, f, f->loading + c * f->positions, false, UM_COLORS_VIRIDIS, CARD_PX, "Loading"));
    for (int64_t p = 0; p < f->positions; p++) {
        map[p] = e->loading_error[p * f->k + c];
    }
    UM_TRY(put(html, f, map, false, UM_COLORS_VIRIDIS, CARD_PX, "Its standard error"));
    for (int64_t p = 0; p < f->positions; p++) {
        map[p] = e->fraction_high[p * f->k + c] - e->fraction_low[p * f->k + c];
    }
    UM_TRY(put(html, f, map, false, UM_COLORS_VIRIDIS, CARD_PX, "Width of the 90 % interval of its share"));
    um_html_put(html, "</div>\n");
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
    um_html_put(html, "<section>\n<h2>Is it real?</h2>\n<p>Standard errors are those of counting noise alone; the "
                      "intervals of the shares add the range over which factorisations fit alike.</p>\n");
    for (int64_t i = 0; i < e->merge_count; i++) {
        um_html_put(html, "<p>");
        um_html_say(html, "Merge %lld and %lld? Component %lld shows %s.", (long long)e->merges[i].first,
                    (long long)e->merges[i].second, (long long)e->merges[i].second, e->merges[i].reason);
        um_html_put(html, "</p>\n");
    }
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
