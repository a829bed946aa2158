/* Numbers of the scan and of the fit, as two small tables. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void open_row(um_html *html, const char *name)
{
    um_html_put(html, "<tr><th scope=\"row\">");
    um_html_text(html, name);
    um_html_put(html, "</th><td>");
}

static void close_row(um_html *html)
{
    um_html_put(html, "</td></tr>\n");
}

static void text_row(um_html *html, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        open_row(html, name);
        um_html_text(html, text);
        close_row(html);
    }
}

static void number_row(um_html *html, const char *name, double value, int digits, const char *unit)
{
    if (isfinite(value)) {
        char text[32];
        um_number_text(value, digits, text);
        open_row(html, name);
        um_html_put(html, text);
        um_html_put(html, unit);
        close_row(html);
    }
}

static void calibration_row(um_html *html, const char *name, const um_axis *y, const um_axis *x)
{
    if (y->units[0] == '\0' && x->units[0] == '\0') {
        return;
    }
    char units_y[32];
    char units_x[32];
    char step_y[32];
    char step_x[32];
    um_units_pretty(y->units, units_y);
    um_units_pretty(x->units, units_x);
    um_number_text(y->scale, 5, step_y);
    um_number_text(x->scale, 5, step_x);
    open_row(html, name);
    if (strcmp(step_y, step_x) == 0 && strcmp(units_y, units_x) == 0) {
        um_html_say(html, "%s %s", step_y, units_y);
    } else {
        um_html_say(html, "%s %s × %s %s (y × x)", step_y, units_y, step_x, units_x);
    }
    close_row(html);
}

static void mask_row(um_html *html, const char *name, int64_t masked, int64_t all)
{
    open_row(html, name);
    if (masked == 0) {
        um_html_put(html, "none");
    } else {
        um_html_format(html, "%lld of %lld (%.3g&nbsp;%%)", (long long)masked, (long long)all,
                       100 * (double)masked / (double)all);
    }
    close_row(html);
}

static void scan_table(um_html *html, const um_facts *f)
{
    const um_shape *s = &f->shape;
    json_t *input = json_object_get(f->provenance, "input");
    um_html_put(html, "<table>\n<caption>The scan</caption>\n<tbody>\n");
    text_row(html, "File", json_string_value(json_object_get(input, "path")));
    text_row(html, "Format", json_string_value(json_object_get(input, "format")));
    text_row(html, "Data type", json_string_value(json_object_get(input, "dtype")));
    open_row(html, "Positions");
    um_html_format(html, "%lld × %lld (y × x)", (long long)s->ny, (long long)s->nx);
    close_row(html);
    open_row(html, "Pattern");
    um_html_format(html, "%lld × %lld px (ky × kx)", (long long)s->ky, (long long)s->kx);
    close_row(html);
    calibration_row(html, "Step", &f->axes[0], &f->axes[1]);
    calibration_row(html, "Pixel", &f->axes[2], &f->axes[3]);
    mask_row(html, "Masked pixels", f->masked_pixels, f->pixels);
    mask_row(html, "Masked positions", f->masked_positions, f->positions);
    int64_t count = 0;
    const double *sum = um_facts_series(f, "sum_pattern", &count);
    double total = 0;
    for (int64_t i = 0; i < count; i++) {
        total += isfinite(sum[i]) ? sum[i] : 0;
    }
    int64_t used = f->positions - f->masked_positions;
    if (count == f->pixels && used > 0) {
        number_row(html, "Mean counts per pattern", total / (double)used, 4, "");
    }
    um_html_put(html, "</tbody>\n</table>\n");
}

static void excess_row(um_html *html, const um_facts *f)
{
    const json_t *excess = um_facts_find(f, "localised_excess");
    if (excess == NULL) {
        return;
    }
    open_row(html, "Localised residual");
    um_html_say(html, "%.0f positions, the strongest at y = %.0f, x = %.0f: a phase may be missing there",
                json_number_value(json_object_get(excess, "positions")),
                json_number_value(json_object_get(excess, "y")),
                json_number_value(json_object_get(excess, "x")));
    close_row(html);
}

static void second_pass_row(um_html *html, const um_facts *f)
{
    const json_t *second = um_facts_find(f, "second_pass");
    if (!json_is_object(second)) {
        return;
    }
    double added = json_number_value(json_object_get(second, "components"));
    open_row(html, "Second pass on the residual");
    if (added > 0) {
        um_html_say(html, "%.0f components added to %.0f; positions beyond counting noise: %.0f before, %.0f after; "
                          "weighted squares %.3g %% less",
                    added, json_number_value(json_object_get(second, "first")),
                    json_number_value(json_object_get(second, "positions_before")),
                    json_number_value(json_object_get(second, "positions_after")),
                    100 * json_number_value(json_object_get(second, "gain")));
    } else {
        um_html_say(html, "nothing added: the residual exceeds counting noise at %.0f positions, which have nothing "
                          "in common beyond noise",
                    json_number_value(json_object_get(second, "positions_before")));
    }
    close_row(html);
}

/* What a variant of the factorisation paid and did. */
static void variant_rows(um_html *html, const um_facts *f)
{
    double steps = um_facts_number(f, "variant_steps");
    number_row(html, "Cost of the variant: weighted squares above the plain fit",
               100 * um_facts_number(f, "fit_cost"), 3, "&nbsp;%");
    number_row(html, "Steps of the variant", steps, 6, "");
    if (um_facts_number(f, "removed") > 0) {
        number_row(html, "Components removed", um_facts_number(f, "removed"), 6, "");
        number_row(html, "What these can have gained by fitting noise alone, at most",
                   100 * um_facts_number(f, "removed_noise"), 3, "&nbsp;%");
    }
    number_row(html, "Kullback-Leibler divergence", um_facts_number(f, "divergence"), 7, "");
    second_pass_row(html, f);
}

static void fit_table(um_html *html, const um_facts *f)
{
    um_html_put(html, "<table>\n<caption>The fit</caption>\n<tbody>\n");
    open_row(html, "Method");
    um_html_say(html, "%s, k = %lld", um_model_method(f->model), (long long)f->k);
    close_row(html);
    /* What was done, not what was asked for: "auto" tells a reader nothing. */
    bool weighted = um_model_array(f->model, "noise_edge") != NULL;
    text_row(html, "Weights", weighted ? "Poisson (Keenan and Kotula)" : "none");
    text_row(html, "Start", um_facts_text(f, "start"));
    text_row(html, "Components scaled to", um_facts_text(f, "normalize"));
    number_row(html, "Error ‖X − WH‖, data units", um_facts_number(f, "frobenius_error"), 6, "");
    number_row(html, "Relative error", 100 * um_facts_number(f, "relative_error"), 4, "&nbsp;%");
    number_row(html, "Weighted error", um_facts_number(f, "weighted_error"), 6, "");
    number_row(html, "Weighted squares / counting noise", um_facts_number(f, "noise_ratio"), 5, "");
    number_row(html, "Residual / counting noise", f->ratio_median, 4, " (median)");
    number_row(html, "Projected gradient (KKT), relative", um_facts_number(f, "kkt"), 2, "");
    variant_rows(html, f);
    number_row(html, "Iterations", um_facts_number(f, "iterations"), 6, "");
    number_row(html, "Passes", um_facts_number(f, "passes"), 6, "");
    text_row(html, "To be ended by the", um_facts_text(f, "stop"));
    text_row(html, "Stopped because", um_facts_text(f, "stopped"));
    excess_row(html, f);
    text_row(html, "More reads, because", um_facts_text(f, "more_reads"));
    number_row(html, "Lower bound of the weighted error (singular values)",
               um_facts_number(f, "lower_bound"), 6, "");
    number_row(html, "Statistical floor k (1/N + 1/M)", um_facts_number(f, "floor"), 3, "");
    number_row(html, "Reads of the scan", um_facts_number(f, "reads"), 6, "");
    number_row(html, "Time", um_facts_number(f, "seconds"), 3, "&nbsp;s");
    number_row(html, "Peak memory", um_facts_number(f, "peak_bytes") / 1e6, 4, "&nbsp;MB");
    number_row(html, "Seed", um_facts_number(f, "seed"), 15, "");
    um_html_put(html, "</tbody>\n</table>\n");
}

void um_section_summary(um_html *html, const um_facts *f)
{
    um_html_put(html, "<section>\n<h2>Summary</h2>\n<div class=\"pair\">\n");
    scan_table(html, f);
    fit_table(html, f);
    um_html_put(html, "</div>\n</section>\n");
}

/* A cell; a dash where the score has no meaning. */
static void put_score(um_html *html, double score)
{
    um_html_put(html, "<td class=\"n\">");
    if (isfinite(score)) {
        um_html_format(html, "%.4f", score);
    } else {
        um_html_put(html, "&ndash;");
    }
    um_html_put(html, "</td>");
}

void um_section_score(um_html *html, const um_facts *f)
{
    const um_score *s = f->options->score;
    if (s == NULL) {
        return;
    }
    um_html_put(html, "<section>\n<h2>Against the known truth</h2>\n<table>\n<caption>Each true state "
                      "is matched to one component by optimal assignment on the cosine of their "
                      "patterns over pixels that are not masked; a position's label is its "
                      "strongest component.</caption>\n<thead><tr><th>State</th><th class=\"n\">"
                      "Component</th><th class=\"n\">Cosine</th><th class=\"n\">Positions</th>"
                      "<th class=\"n\">Precision</th><th class=\"n\">Recall</th><th class=\"n\">"
                      "F1</th></tr></thead>\n<tbody>\n");
    for (int64_t i = 0; i < s->states; i++) {
        const um_class_score *c = &s->classes[i];
        um_html_format(html, "<tr><th scope=\"row\">%lld</th><td class=\"n\">", (long long)i);
        if (s->component_of[i] >= 0) {
            um_html_format(html, "%lld", (long long)s->component_of[i]);
        } else {
            um_html_put(html, "none");
        }
        um_html_format(html, "</td><td class=\"n\">%.4f</td><td class=\"n\">%lld</td>", s->cosine[i],
                       (long long)c->positions);
        put_score(html, c->precision);
        put_score(html, c->recall);
        put_score(html, c->f1);
        um_html_put(html, "</tr>\n");
    }
    um_html_format(html,
                   "</tbody>\n</table>\n<p>Positions labelled correctly: %.2f&nbsp;%% (calling "
                   "everything the commonest state gives %.2f&nbsp;%%). Root-mean-square error of "
                   "the fractions: %.4f.</p>\n</section>\n",
                   100 * s->label_accuracy, 100 * s->baseline, s->fraction_rms);
}

static void pretty_json(um_html *html, const char *title, json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY |
                                       JSON_REAL_PRECISION(9));
    if (text != NULL) {
        um_html_format(html, "<details>\n<summary>%s</summary>\n<pre>", title);
        um_html_text(html, text);
        um_html_put(html, "</pre>\n</details>\n");
        free(text);
    }
}

static void preformatted(um_html *html, const char *title, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        um_html_format(html, "<h3>%s</h3>\n<pre class=\"short\">", title);
        um_html_text(html, text);
        um_html_put(html, "</pre>\n");
    }
}

/* "command" is a line, or a list of lines. */
static void put_commands(um_html *html, json_t *command)
{
    if (json_is_string(command)) {
        preformatted(html, "Commands", json_string_value(command));
    }
    if (json_array_size(command) == 0) {
        return;
    }
    um_html_put(html, "<h3>Commands</h3>\n<pre class=\"short\">");
    for (size_t i = 0; i < json_array_size(command); i++) {
        um_html_text(html, json_string_value(json_array_get(command, i)));
        um_html_put(html, "\n");
    }
    um_html_put(html, "</pre>\n");
}

void um_section_provenance(um_html *html, const um_facts *f)
{
    um_html_put(html, "<section>\n<h2>How to reproduce</h2>\n");
    put_commands(html, json_object_get(f->provenance, "command"));
    preformatted(html, "Recipe",
                 json_string_value(json_object_get(f->provenance, "recipe")));
    json_t *input = json_object_get(f->provenance, "input");
    const char *digest = json_string_value(json_object_get(input, "digest"));
    if (digest != NULL) {
        um_html_put(html, "<p>Digest of the input (SHA-256): <code class=\"wrap\">");
        um_html_text(html, digest);
        um_html_put(html, "</code></p>\n");
    }
    um_html_put(html, "<p>The same file, recipe, options and seed give the same bytes, for any "
                      "number of threads and any memory budget.</p>\n");
    json_t *prep = json_object_get(f->provenance, "prep");
    if (json_object_size(prep) > 0) {
        pretty_json(html, "What the preparation learned from the data", prep);
    }
    if (json_object_size(f->provenance) > 0) {
        pretty_json(html, "Everything that is known of this result (provenance)", f->provenance);
    }
    um_html_put(html, "</section>\n");
}
