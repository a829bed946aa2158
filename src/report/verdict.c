/* The top of the page: what the result is worth, in plain words. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put_percent(um_html *html, double fraction)
{
    char text[32];
    um_number_text(100 * fraction, 3, text);
    um_html_format(html, "%s&nbsp;%%", text);
}

static void put_number(um_html *html, double value, int digits)
{
    char text[32];
    um_number_text(value, digits, text);
    um_html_put(html, text);
}

static void say_fit(um_html *html, const um_facts *f)
{
    double error = um_facts_number(f, "relative_error");
    double passes = um_facts_number(f, "passes");
    json_t *converged = um_facts_find(f, "converged");
    um_html_put(html, "<p><strong>");
    if (json_is_boolean(converged)) {
        um_html_put(html, json_is_true(converged) ? "Converged" : "Not converged");
    } else {
        um_html_text(html, um_model_method(f->model));
    }
    um_html_format(html, ": %lld component%s", (long long)f->k, f->k == 1 ? "" : "s");
    if (isfinite(error)) {
        um_html_put(html, " explain ");
        put_percent(html, 1 - error * error);
        um_html_put(html, " of the squared signal");
    }
    um_html_put(html, ".</strong></p>\n<p>");
    if (isfinite(error)) {
        um_html_put(html, "Relative error ");
        put_percent(html, error);
        um_html_put(html, isfinite(passes) ? ", " : ". ");
    }
    if (isfinite(passes)) {
        um_html_format(html, "%s%.0f passes over the scan. ", isfinite(error) ? "after " : "After ",
                       passes);
    }
    if (isfinite(f->ratio_median)) {
        um_html_put(html, "The residual is ");
        put_number(html, f->ratio_median, 3);
        um_html_put(html, " times what counting noise alone gives (median over positions); ");
        if (f->beyond_noise < 0.02 && f->ratio_above > 0.05) {
            um_html_put(html, "more than 1.2 times as much is left at ");
            put_percent(html, f->ratio_above);
            um_html_put(html, " of them.");
        } else if (f->beyond_noise < 0.02) {
            um_html_put(html, "nothing beyond counting noise is left in it.");
        } else {
            put_percent(html, f->beyond_noise);
            um_html_put(html, " of the squared residual is beyond counting noise.");
        }
    }
    double weighted = um_facts_number(f, "noise_ratio");
    if (isfinite(weighted)) {
        um_html_put(html, " Weighted as counts, the squared residual is ");
        put_number(html, weighted, 4);
        um_html_put(html, " times what counting noise gives.");
    }
    um_html_put(html, "</p>\n");
}

static void say_score(um_html *html, const um_facts *f)
{
    const um_score *score = f->options->score;
    if (score == NULL) {
        return;
    }
    int64_t found = 0, there = 0;
    double worst = 1;
    for (int64_t s = 0; s < score->states; s++) {
        if (!score->state[s].absent) {
            there++;
            found += score->cosine[s] >= 0.99;
            worst = fmin(worst, score->cosine[s]);
        }
    }
    um_html_format(html,
                   "<p>Against the known truth: <strong>%lld of %lld</strong> states are found "
                   "with a cosine of at least 0.99 (worst %.3f); <strong>%.2f&nbsp;%%</strong> of "
                   "the positions get the right label (calling everything the commonest state: "
                   "%.1f&nbsp;%%).</p>\n",
                   (long long)found, (long long)there, worst, 100 * score->label_accuracy,
                   100 * score->baseline);
}

/* ---- what to be careful about -------------------------------------------------------------------- */

/* Masks are told in pixels before binning, patterns come after it. */
static double pixels_per_bin(const um_facts *f)
{
    static const char key[] = "bin-signal = ";
    const char *recipe = json_string_value(json_object_get(f->provenance, "recipe"));
    const char *found = recipe != NULL ? strstr(recipe, key) : NULL;
    double bin = found != NULL ? strtod(found + sizeof key - 1, NULL) : 1;
    return bin >= 1 ? bin : 1;
}

static void warn_beam(um_html *html, const um_facts *f)
{
    const um_beam *b = &f->beam;
    um_html_put(html, "<li><b>The direct beam is not masked.</b> It holds ");
    put_percent(html, b->share);
    um_html_put(html, " of all counts and ");
    put_percent(html, b->share_of_squares);
    um_html_put(html, " of their squares");
    if (b->next_peak > 0) {
        um_html_put(html, ", and is ");
        put_number(html, b->peak / b->next_peak, 2);
        um_html_put(html, " times as high as the highest reflection");
    }
    um_html_put(html, ": the fit describes the beam before the specimen, and its components are "
                      "worse separated for it.");
    if (f->cosine_all > 0 && f->cosine_all - f->cosine_outside > 0.02) {
        um_html_format(html,
                       " It makes them alike: the mean cosine between their patterns is %.2f with "
                       "the beam and %.2f outside it.",
                       f->cosine_all, f->cosine_outside);
    }
    um_html_format(html, " Run again with <code>--mask-beam&nbsp;%.0f</code>.</li>\n",
                   (ceil(2 * b->radius_px) + 1) * pixels_per_bin(f));
}

static void warn_alike(um_html *html, const um_facts *f)
{
    if (f->is_svd) {
        return;
    }
    um_alike_put(html, f->pattern_cosine, f->k,
                 "<li><b>Components with nearly the same pattern:</b> ",
                 ". One crystal may be split by bending or thickness, k may be too large, or a part "
                 "that all share (beam, background) dominates.</li>\n");
}

/* Weighted as counts, singular values below sqrt(N) + sqrt(M) cannot be told from noise. */
static void warn_k(um_html *html, const um_facts *f)
{
    int64_t count = 0;
    int64_t edges = 0;
    const double *values = um_facts_series(f, "singular_values", &count);
    const double *edge = um_facts_series(f, "noise_edge", &edges);
    if (values == NULL || edge == NULL || !(edge[0] > 0)) {
        return;
    }
    int64_t above = 0;
    while (above < count && values[above] > edge[0]) {
        above++;
    }
    if (above < f->k) {
        um_html_format(html,
                       "<li><b>k = %lld is more than the data hold.</b> Only %lld singular value%s "
                       "above the edge of counting noise: some components are noise, or one state "
                       "split in several.</li>\n",
                       (long long)f->k, (long long)above, above == 1 ? " stands" : "s stand");
    }
}

static void warn_convergence(um_html *html, const um_facts *f)
{
    double kkt = um_facts_number(f, "kkt");
    double tolerance = um_facts_number(f, "tolerance");
    um_html_put(html, "<li><b>Not converged.</b> The factorisation stopped before its gradient "
                      "fell to the tolerance");
    if (isfinite(kkt) && isfinite(tolerance)) {
        um_html_put(html, " (");
        put_number(html, kkt, 2);
        um_html_put(html, " of that of the empty model, asked for ");
        put_number(html, tolerance, 2);
        um_html_put(html, ")");
    }
    um_html_put(html, ". Run longer with <code>--max-passes</code>.</li>\n");
}

static void warn_residual(um_html *html, const um_facts *f)
{
    um_html_put(html, "<li><b>The residual holds more than counting noise.</b> ");
    put_percent(html, f->ratio_above);
    um_html_put(html, " of the positions are more than 1.2 times above it, and ");
    put_percent(html, f->beyond_noise);
    um_html_put(html, " of the squared residual is beyond it: a state may be missing (larger k), "
                      "patterns may move or bend inside a component, or the detector adds noise of "
                      "its own. See the residual maps.</li>\n");
}

/* Warnings of the run, one text each; nothing that the report itself says is repeated. */
static void repeat_warnings(um_html *html, const um_facts *f)
{
    json_t *warnings = um_facts_find(f, "warnings");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const char *text = json_string_value(json_array_get(warnings, i));
        if (text != NULL && strncmp(text, "not converged", 13) != 0) {
            um_html_put(html, "<li>");
            um_html_text(html, text);
            um_html_put(html, "</li>\n");
        }
    }
}

static void put_warnings(um_html *html, const um_facts *f)
{
    if (f->beam_open) {
        warn_beam(html, f);
    }
    if (json_is_false(um_facts_find(f, "converged"))) {
        warn_convergence(html, f);
    }
    warn_alike(html, f);
    warn_k(html, f);
    if (f->beyond_noise > 0.1 || f->ratio_above > 0.05) {
        warn_residual(html, f);
    }
    repeat_warnings(html, f);
}

void um_section_verdict(um_html *html, const um_facts *f)
{
    um_html_put(html, "<section class=\"verdict\" aria-label=\"Verdict\">\n");
    say_fit(html, f);
    say_score(html, f);
    um_html_put(html, "</section>\n");
    um_html warnings = {.ctx = html->ctx};
    put_warnings(&warnings, f);
    if (warnings.size > 0) {
        um_html_put(html, "<section class=\"verdict attention\">\n<h3>What to be careful about</h3>"
                          "\n<ul>\n");
        um_html_put(html, warnings.text);
        um_html_put(html, "</ul>\n</section>\n");
    }
    html->failed = html->failed || warnings.failed;
    um_html_free(&warnings);
}
