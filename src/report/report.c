/* One page about one result: written to PATH.part, then named. */
#include "report_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static void put_title(um_html *html, const um_facts *f)
{
    const char *path = json_string_value(
        json_object_get(json_object_get(f->provenance, "input"), "path"));
    if (f->options->title != NULL && f->options->title[0] != '\0') {
        um_html_text(html, f->options->title);
    } else {
        um_html_say(html, "%s of %s", um_model_method(f->model),
                    path != NULL ? last_part(path) : "a scan");
    }
}

static void put_head(um_html *html, const um_facts *f)
{
    um_html_open(html);
    put_title(html, f);
    um_html_style(html);
    put_title(html, f);
    um_html_format(html, "</h1>\n<p class=\"lead\">%lld × %lld positions, patterns of %lld × %lld px",
                   (long long)f->shape.ny, (long long)f->shape.nx, (long long)f->shape.ky,
                   (long long)f->shape.kx);
    const char *path =
        json_string_value(json_object_get(json_object_get(f->provenance, "input"), "path"));
    if (path != NULL) {
        um_html_put(html, " · ");
        um_html_text(html, path);
    }
    um_html_put(html, "</p>\n");
    for (int i = 0; i < f->options->note_count; i++) {
        um_html_put(html, "<p>");
        um_html_text(html, f->options->notes[i]);
        um_html_put(html, "</p>\n");
    }
    um_html_put(html, "</header>\n<main>\n");
}

static void put_foot(um_html *html, const um_facts *f)
{
    const char *build = um_facts_text(f, "build");
    const char *version = um_facts_text(f, "version");
    um_html_put(html, "</main>\n<footer>");
    if (build != NULL) { /* begins with name and version */
        um_html_text(html, build);
    } else {
        um_html_say(html, "unmix %s", version != NULL ? version : um_version());
    }
    um_html_put(html, " · colours are safe for colour blindness and rise evenly in lightness, so that "
                      "they also read in black and white</footer>\n</body>\n</html>\n");
}

static um_status compose(um_html *html, const um_facts *f)
{
    put_head(html, f);
    bool segmented = strcmp(um_model_method(f->model), "SEGMENT") == 0;
    UM_TRY(um_section_segments(html, f));
    if (!segmented) { /* its verdict is about the fit that it was made from */
        um_section_verdict(html, f);
    }
    UM_TRY(um_section_evidence(html, f));
    um_section_summary(html, f);
    um_section_score(html, f);
    um_section_choice(html, f);
    UM_TRY(um_section_clusters(html, f));
    UM_TRY(um_section_overview(html, f));
    UM_TRY(um_section_components(html, f));
    um_section_similarity(html, f);
    um_section_fit(html, f);
    UM_TRY(um_section_residual(html, f));
    um_section_provenance(html, f);
    put_foot(html, f);
    return html->failed ? um_fail(html->ctx, UM_ERROR_MEMORY, "no memory for the report") : UM_OK;
}

um_status um_report_write(um_context *ctx, um_model *model, const char *path,
                          const um_report_options *options)
{
    static const um_report_options DEFAULTS = {0};
    um_facts *facts = NULL;
    um_html html = {.ctx = ctx};
    um_status status = um_facts_make(ctx, model, options != NULL ? options : &DEFAULTS, &facts);
    if (status == UM_OK) {
        status = compose(&html, facts);
    }
    if (status == UM_OK) {
        status = um_html_save(&html, path, facts->options->overwrite);
    }
    um_html_free(&html);
    um_facts_free(facts);
    return status;
}
