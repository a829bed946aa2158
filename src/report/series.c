/* The page about measured scans. */
#include "report_internal.h"

#include <math.h>
#include <string.h>

/* ---- tables ------------------------------------------------------------------------------------- */

/* Three digits; no powers of ten for what people count. */
static const char *digits(double value, char text[32])
{
    if (fabs(value) >= 1000 && fabs(value) < 1e7) {
        double step = pow(10, floor(log10(fabs(value))) - 2);
        snprintf(text, 32, "%.0f", round(value / step) * step);
    } else {
        um_number_text(value, 3, text);
    }
    return text;
}

static void cell(um_html *html, um_estimate e, double unit)
{
    char t[3][32];
    if (!isfinite(e.value)) {
        um_html_put(html, "<td class=\"n\">–</td>");
        return;
    }
    um_html_format(html, "<td class=\"n\">%s", digits(e.value * unit, t[0]));
    if (isfinite(e.low)) {
        um_html_format(html, "<br><small style=\"white-space:nowrap\">%s – %s%s</small>", digits(e.low * unit, t[1]),
                       isfinite(e.high) ? digits(e.high * unit, t[2]) : "?", e.scatter ? " *" : "");
    }
    um_html_put(html, "</td>");
}

static void put_row(um_html *html, const um_measure *m, const um_measure_row *r)
{
    um_html_put(html, "<tr><td>");
    um_html_text(html, r->scan < 0 ? m->condition[r->condition] : m->scan[r->scan].name);
    um_html_put(html, "</td><td>");
    um_html_text(html, m->phase[r->phase].name);
    um_html_format(html, "</td><td class=\"n\">%lld", (long long)r->particles);
    if (r->cut > 0) {
        um_html_format(html, "<br><small>%lld cut</small>", (long long)r->cut);
    }
    um_html_put(html, "</td>");
    cell(html, r->per_um2, 1);
    cell(html, r->per_um3, 1);
    cell(html, r->area_fraction, 100);
    cell(html, r->volume_fraction, 100);
    cell(html, r->length_nm, 1);
    cell(html, r->width_nm, 1);
    um_html_put(html, "</tr>\n");
}

static void put_table(um_html *html, const um_measure *m, const um_measure_row *rows, int64_t count, const char *first,
                      const char *title)
{
    bool scatter = false;
    um_html_format(html, "<table>\n<caption>%s; 95 %% intervals below the numbers</caption>\n<thead><tr><th>%s</th><th>phase</th><th "
                         "class=\"n\">particles</th><th class=\"n\">per µm²</th><th class=\"n\">per µm³</th><th "
                         "class=\"n\">area, %%</th><th class=\"n\">volume, %%</th><th class=\"n\">length, nm</th><th "
                         "class=\"n\">width, nm</th></tr></thead>\n<tbody>\n",
                   title, first);
    for (int64_t i = 0; i < count; i++) {
        put_row(html, m, &rows[i]);
        scatter = scatter || rows[i].per_um2.scatter || rows[i].area_fraction.scatter;
    }
    um_html_put(html, "</tbody>\n</table>\n");
    if (scatter) {
        um_html_put(html, "<p>* scans of this condition differ by more than counting: the interval is that of their scatter.</p>\n");
    }
}

static void put_tables(um_html *html, const um_measure *m)
{
    um_html_put(html, "<section>\n<h2>Numbers</h2>\n");
    put_table(html, m, m->condition_row, m->condition_rows, "condition", "What each condition holds");
    if (m->scans > m->conditions) {
        um_html_put(html, "<details><summary>Scan by scan</summary>\n");
        put_table(html, m, m->scan_row, m->scan_rows, "scan", "What each scan holds");
        um_html_put(html, "</details>\n");
    }
    um_html_put(html, "<p>A particle at one border counts one half, at two that meet a quarter, at opposite ones nothing. Lengths and "
                      "widths are those of particles that no border cuts. Intervals hold what counting so few particles leaves "
                      "open; they hold nothing of particles that the segmentation missed, joined or split.</p>\n");
    for (int32_t i = 0; i < m->left_out_count; i++) {
        um_html_put(html, "<p>Not counted: ");
        um_html_text(html, m->left_out[i]);
        um_html_put(html, "</p>\n");
    }
    um_html_put(html, "</section>\n");
}

/* ---- the rest ----------------------------------------------------------------------------------- */

static void put_title(um_html *html, const um_measure *m, const um_series_page *page)
{
    if (page->title != NULL && page->title[0] != '\0') {
        um_html_text(html, page->title);
    } else {
        um_html_say(html, "Particles of %d scan%s", (int)m->scans, m->scans == 1 ? "" : "s");
    }
}

static void put_head(um_html *html, const um_measure *m, const um_series_page *page)
{
    um_html_open(html);
    put_title(html, m, page);
    um_html_style(html);
    put_title(html, m, page);
    um_html_format(html, "</h1>\n<p class=\"lead\">%d condition%s, %d scan%s, %d phase%s, %lld particles</p>\n</header>\n<main>\n",
                   (int)m->conditions, m->conditions == 1 ? "" : "s", (int)m->scans, m->scans == 1 ? "" : "s", (int)m->phases,
                   m->phases == 1 ? "" : "s", (long long)m->particles);
    if (page->note_count > 0) {
        um_html_put(html, "<section class=\"verdict attention\">\n<h3>What limits this result</h3>\n<ul>\n");
        for (int i = 0; i < page->note_count; i++) {
            um_html_put(html, "<li>");
            um_html_text(html, page->notes[i]);
            um_html_put(html, "</li>\n");
        }
        um_html_put(html, "</ul>\n</section>\n");
    }
}

static void put_paragraphs(um_html *html, const char *text)
{
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        size_t length = end != NULL ? (size_t)(end - text) : strlen(text);
        um_html_put(html, "<p>");
        um_html_say(html, "%.*s", (int)length, text);
        um_html_put(html, "</p>\n");
        text += length;
        text += strspn(text, "\n");
    }
}

static void put_methods(um_html *html, const um_series_page *page)
{
    if (page->methods != NULL) {
        um_html_put(html, "<section>\n<h2>Methods, for a paper</h2>\n");
        put_paragraphs(html, page->methods);
        if (page->parameters != NULL) {
            um_html_put(html, "<details><summary>Every parameter of every stage</summary>\n<pre>");
            um_html_text(html, page->parameters);
            um_html_put(html, "</pre></details>\n");
        }
        um_html_put(html, "</section>\n");
    }
}

static void put_end(um_html *html, const um_series_page *page)
{
    if (page->file_count > 0) {
        um_html_put(html, "<section>\n<h2>Files</h2>\n<ul>\n");
        for (int i = 0; i < page->file_count; i++) {
            um_html_put(html, "<li><a href=\"");
            um_html_text(html, page->files[i]);
            um_html_put(html, "\">");
            um_html_text(html, page->files[i]);
            um_html_put(html, "</a></li>\n");
        }
        um_html_put(html, "</ul>\n</section>\n");
    }
    if (page->command != NULL) {
        um_html_put(html, "<section>\n<h2>To make this again</h2>\n<pre class=\"short\">");
        um_html_text(html, page->command);
        um_html_put(html, "</pre>\n</section>\n");
    }
    um_html_format(html, "</main>\n<footer>unmix %s</footer>\n</body>\n</html>\n", um_version());
}

static um_status put_model(um_html *html, const um_series_page *page)
{
    um_facts *facts = NULL;
    const um_report_options options = {.evidence = page->evidence};
    if (page->model == NULL) {
        return UM_OK;
    }
    um_status status = um_facts_make(html->ctx, page->model, &options, &facts);
    status = status == UM_OK ? um_section_evidence(html, facts) : status;
    um_facts_free(facts);
    return status;
}

static um_status compose(um_html *html, const um_measure *m, const um_series_page *page)
{
    put_head(html, m, page);
    if (m->scans > 0) {
        put_tables(html, m);
        um_section_evolution(html, m);
        UM_TRY(um_section_phase_maps(html, m));
        um_section_sizes(html, m);
    }
    UM_TRY(put_model(html, page));
    put_methods(html, page);
    put_end(html, page);
    return html->failed ? um_fail(html->ctx, UM_ERROR_MEMORY, "no memory for the page") : UM_OK;
}

um_status um_report_series(um_context *ctx, const um_measure *measure, const char *path, const um_series_page *page)
{
    um_html html = {.ctx = ctx};
    um_status status = compose(&html, measure, page);
    if (status == UM_OK) {
        status = um_html_save(&html, path, page->overwrite);
    }
    um_html_free(&html);
    return status;
}
