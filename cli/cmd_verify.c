/* unmix verify: how sure is a result, and is it real? */
#include "scan.h"
#include "spotcheck.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_option options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT.html",
     .help = "Where the page goes; default: RESULT-verify.html beside the result."},
    {.name = "no-page", .kind = CLI_SWITCH, .help = "Write no page."},
    {.name = "save", .kind = CLI_FILE, .value = "OUT",
     .help = "The result once more (.hspy or .npz) with the arrays loading_error, pattern_error, fraction_low, "
             "fraction_high, residual_sigmas and residual_pattern_sigmas."},
    {.name = "no-scan", .kind = CLI_SWITCH,
     .help = "Do not read the scan, not even where it lies at the path that the result names."},
    {.name = "spotcheck", .kind = CLI_INTEGER, .value = "N", .least = 1,
     .help = "RESULT is of unmix segment: draw N of its particles at random (by --seed, of every phase its share), list where "
             "they are for high-resolution imaging, with an empty column verdict, and do nothing else."},
    {.name = "spots", .kind = CLI_FILE, .value = "OUT.csv",
     .help = "Where that list goes; default: RESULT-spotcheck.csv beside the result."},
    {.name = "verdicts", .kind = CLI_FILE, .value = "FILE.csv",
     .help = "The list with verdicts (yes, no, or nothing where it was not looked at): tell what part of the particles is "
             "right, with Wilson's 95 % interval, and do nothing else."},
    {.name = "no-refit", .kind = CLI_SWITCH,
     .help = "Do not fit again: no halves of the counts, no other starts."},
    {0}};

/* ---- the scan ------------------------------------------------------------------------------- */

/* "key = value" lines of the result's own recipe. */
static um_status apply_recipe(um_recipe *recipe, const char *text)
{
    um_status status = UM_OK;
    for (const char *line = text; *line != '\0' && status == UM_OK;) {
        size_t length = strcspn(line, "\n");
        char *copy = cli_format("%.*s", (int)length, line);
        char *equals = copy != NULL ? strstr(copy, " = ") : NULL;
        if (equals != NULL) {
            *equals = '\0';
            status = um_recipe_set(recipe, copy, equals + 3);
        }
        free(copy);
        line += length + (line[length] != '\0');
    }
    return status;
}

static um_status read_scan(cli *c, um_model *model, um_evidence *evidence)
{
    json_t *provenance = cli_json_object(um_model_provenance(model));
    const char *found = json_string_value(json_object_get(json_object_get(provenance, "input"), "path"));
    const char *recipe = json_string_value(json_object_get(provenance, "recipe"));
    const char *path = c->operands > 1 ? c->operand[1] : found;
    bool wanted = !cli_given(c, "no-scan") && path != NULL;
    um_status status = UM_OK;
    if (wanted && (c->operands > 1 || access(path, R_OK) == 0)) {
        cli_scan scan = {0};
        status = cli_scan_open(c, path, &scan);
        status = status == UM_OK ? cli_scan_recipe(c, &scan) : status;
        if (status == UM_OK && recipe != NULL && um_recipe_text(scan.recipe)[0] == '\0') {
            status = apply_recipe(scan.recipe, recipe);
        }
        status = status == UM_OK ? cli_scan_bind(c, &scan) : status;
        status = status == UM_OK ? um_evidence_read(c->ctx, model, scan.matrix, evidence) : status;
        status = status == UM_OK && !cli_given(c, "no-refit") ? um_evidence_refit(scan.matrix, model, evidence) : status;
        if (status != UM_OK && status != UM_CANCELLED && c->operands < 2) {
            cli_warn(c, "the scan is left out: %s", um_context_message(c->ctx));
            status = UM_OK;
        }
        cli_scan_close(&scan);
    }
    json_decref(provenance);
    return status;
}

/* ---- what is told --------------------------------------------------------------------------- */

static json_t *suspicions_json(const um_evidence *e, int64_t component)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < e->suspicion_count; i++) {
        const um_suspicion *s = &e->suspicions[i];
        if (s->component == component) {
            json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:o}", "kind", um_suspicion_word(s->kind), "reason",
                                                  s->reason, "fault", (int)um_suspicion_is_fault(s->kind), "with",
                                                  s->with >= 0 ? json_integer((json_int_t)s->with) : json_null()));
        }
    }
    return list;
}

static json_t *fit_json(const um_evidence *e)
{
    json_t *worst = json_array();
    for (int64_t i = 0; i < e->worst_count; i++) {
        const um_worst *w = &e->worst[i];
        json_array_append_new(worst, json_pack("{s:I, s:I, s:o, s:o, s:o}", "y", (json_int_t)w->y, "x",
                                               (json_int_t)w->x, "residual", cli_json_real(w->residual), "expected",
                                               cli_json_real(w->expected), "sigmas", cli_json_real(w->sigmas)));
    }
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:f, s:o, s:o, s:o, s:b, s:o, s:o}", "refit_positions",
                     (json_int_t)e->refit_positions, "starts", (json_int_t)e->starts, "starts_alike",
                     (json_int_t)e->starts_alike, "row_correlation", cli_json_real(e->row_correlation), "afterglow_reason",
                     e->afterglow > 0 ? json_string(e->afterglow_reason) : json_null(), "afterglow",
                     e->afterglow, "positions_beyond_noise",
                     cli_json_real(e->positions_beyond_noise), "pixels_beyond_noise",
                     cli_json_real(e->pixels_beyond_noise), "dispersion", cli_json_real(e->dispersion), "unmodelled",
                     (int)e->unmodelled, "unmodelled_reason",
                     e->unmodelled ? json_string(e->unmodelled_reason) : json_null(), "worst", worst);
}

static json_t *card_json(const um_evidence *e, int64_t i)
{
    const um_card *card = &e->cards[i];
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"contribution", card->contribution},
                   {"standard_error", card->loading_error},
                   {"pattern_error", card->pattern_error},
                   {"residual", card->residual},
                   {"signal_correlation", card->signal_correlation},
                   {"thickness_correlation", card->thickness_correlation},
                   {"tilt_correlation", card->tilt_correlation},
                   {"half_cosine", card->half_cosine},
                   {"noise_cosine", card->noise_cosine},
                   {"half_standard_error", card->half_loading_error},
                   {"half_pattern_error", card->half_pattern_error},
                   {"start_cosine", card->start_cosine},
                   {"start_share", card->start_share}};
    json_t *object = json_pack("{s:I, s:I, s:o}", "index", (json_int_t)i, "positions", (json_int_t)card->positions,
                               "suspicions", suspicions_json(e, i));
    for (size_t n = 0; object != NULL && n < sizeof numbers / sizeof numbers[0]; n++) {
        json_object_set_new(object, numbers[n].key, cli_json_real(numbers[n].value));
    }
    return object;
}

static json_t *evidence_json(const um_evidence *e, json_t *files)
{
    json_t *components = json_array();
    json_t *merges = json_array();
    for (int64_t i = 0; i < e->k; i++) {
        json_array_append_new(components, card_json(e, i));
    }
    for (int64_t i = 0; i < e->merge_count; i++) {
        json_array_append_new(merges, json_pack("{s:[I, I], s:s}", "components", (json_int_t)e->merges[i].first,
                                                (json_int_t)e->merges[i].second, "reason", e->merges[i].reason));
    }
    return json_pack("{s:o, s:o, s:o, s:O}", "components", components, "fit", fit_json(e), "merges", merges, "files",
                     files);
}

static void say_suspicions(cli *c, const um_evidence *e)
{
    for (int64_t i = 0; i < e->suspicion_count; i++) {
        const um_suspicion *s = &e->suspicions[i];
        cli_say(c, "component %lld: %s: %s", (long long)s->component, um_suspicion_word(s->kind), s->reason);
        for (int64_t m = 0; m < e->merge_count && s->with >= 0; m++) {
            if (e->merges[m].second == s->component && e->merges[m].first == s->with) {
                cli_say(c, "             merge %lld and %lld?", (long long)s->with, (long long)s->component);
            }
        }
    }
    if (e->suspicion_count == 0) {
        cli_say(c, "no component is under suspicion");
    }
}

static void say_components(cli *c, const um_evidence *e)
{
    char t[7][24];
    cli_say(c, "%9s  %8s  %18s  %18s  %8s  %9s  %9s", "", "share of", "error of loadings", "error of patterns", "residual",
            "cosine of", "starts");
    cli_say(c, "%9s  %8s  %9s %8s  %9s %8s  %8s  %9s  %9s  %9s", "component", "counts %", "noise %", "halves %", "noise %",
            "halves %", "/ noise", "halves", "with it %", "positions");
    for (int64_t i = 0; i < e->k; i++) {
        const um_card *d = &e->cards[i];
        cli_say(c, "%9lld  %8.2f  %9s %8s  %9s %8s  %8s  %9s  %9s  %9lld", (long long)i, 100 * d->contribution,
                cli_number(100 * d->loading_error, 2, t[0]), cli_number(100 * d->half_loading_error, 2, t[1]),
                cli_number(100 * d->pattern_error, 2, t[2]), cli_number(100 * d->half_pattern_error, 2, t[3]),
                cli_number(d->residual, 3, t[4]), cli_number(d->half_cosine, 4, t[5]),
                cli_number(100 * d->start_share, 0, t[6]), (long long)d->positions);
    }
    if (e->refit_positions > 0) {
        cli_say(c, "fitted again on %lld positions; %lld of %lld other starts fit as well", (long long)e->refit_positions,
                (long long)e->starts_alike, (long long)e->starts);
    }
}

static void say_fit(cli *c, const um_evidence *e)
{
    if (e->afterglow > 0) {
        cli_say(c, "afterglow: %s", e->afterglow_reason);
    }
    if (!isfinite(e->positions_beyond_noise)) {
        cli_say(c, "the result has no weighted residual map (no Poisson weights): its residual is not tested");
        return;
    }
    cli_say(c, "residual beyond counting noise: %.2f %% of positions, %.2f %% of pixels (false discovery rate 1 %%)",
            100 * e->positions_beyond_noise, 100 * e->pixels_beyond_noise);
    if (e->unmodelled) {
        cli_say(c, "unmodelled: %s", e->unmodelled_reason);
    }
}

/* ---- the command ---------------------------------------------------------------------------- */

static um_status write_page(cli *c, um_model *model, const um_evidence *evidence, const char *path, json_t *files)
{
    if (path == NULL) {
        return UM_OK;
    }
    um_report_options report = {.evidence = evidence, .overwrite = c->force};
    um_status status = um_report_write(c->ctx, model, path, &report);
    json_array_append_new(files, cli_json_text(path));
    return status;
}

static um_status save(cli *c, um_model *model, const um_evidence *evidence, json_t *files)
{
    const char *path = cli_text(c, "save");
    if (path == NULL) {
        return UM_OK;
    }
    um_save_options how = {.overwrite = c->force};
    um_status status = um_evidence_store(evidence, model);
    status = status == UM_OK ? um_model_save(c->ctx, model, path, &how) : status;
    json_array_append_new(files, cli_json_text(path));
    return status;
}

static um_status verify(cli *c, const char *page)
{
    um_model *model = NULL;
    um_evidence *evidence = NULL;
    json_t *files = json_array();
    um_status status = cli_model_load(c, c->operand[0], &model);
    status = status == UM_OK ? um_evidence_make(c->ctx, model, &evidence) : status;
    status = status == UM_OK ? read_scan(c, model, evidence) : status;
    status = status == UM_OK ? write_page(c, model, evidence, page, files) : status;
    status = status == UM_OK ? save(c, model, evidence, files) : status;
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, evidence_json(evidence, files));
    } else if (status == UM_OK) {
        say_components(c, evidence);
        say_suspicions(c, evidence);
        say_fit(c, evidence);
        for (size_t i = 0; i < json_array_size(files); i++) {
            cli_say(c, "wrote %s", json_string_value(json_array_get(files, i)));
        }
    }
    json_decref(files);
    um_evidence_free(evidence);
    um_model_free(model);
    return status;
}

static um_status run(cli *c)
{
    if (cli_given(c, "no-page") && cli_given(c, "output")) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--output and --no-page exclude each other");
    }
    if (cli_given(c, "no-scan") && c->operands > 1) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "%s: --no-scan excludes a scan: leave one of them out", c->operand[1]);
    }
    if (cli_given(c, "verdicts") || cli_given(c, "spotcheck")) {
        if (cli_given(c, "verdicts") && cli_given(c, "spotcheck")) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--spotcheck and --verdicts exclude each other");
        }
        return cli_given(c, "verdicts") ? spotcheck_read(c) : spotcheck_draw(c);
    }
    char *page = NULL;
    if (cli_given(c, "output")) {
        page = cli_format("%s", cli_text(c, "output"));
    } else if (!cli_given(c, "no-page")) {
        page = cli_with_suffix(c->operand[0], "-verify.html");
    }
    um_status status = page != NULL ? cli_check_output(c, page, ".html .htm") : UM_OK;
    if (status == UM_OK && cli_given(c, "save")) {
        status = cli_check_output(c, cli_text(c, "save"), ".hspy .npz");
    }
    status = status == UM_OK ? verify(c, page) : status;
    free(page);
    return status;
}

const cli_command cli_command_verify = {
    .name = "verify",
    .summary = "tell how sure a result is, and what in it may not be real",
    .operands = "RESULT [SCAN]",
    .description =
        "A card for every component of RESULT (.hspy or .npz of unmix nmf): what it contributes, the standard errors of "
        "its map and pattern by counting noise, the residual that it leaves, and suspicions with their reason: the same "
        "pattern twice, one crystal split in two by bending, a moved copy, the detector's afterglow, hot pixels, background, "
        "a film, thickness. For the whole fit: the positions and pixels whose residual exceeds counting noise, at a false "
        "discovery rate of 1 %, and whether something is not in the model.\n\n"
        "The scan is not needed. Where it lies at the path that RESULT names, or is given, one read shows the ten worst "
        "positions as measured and as modelled, and finds afterglow by the noise of neighbours; --no-scan leaves that out. "
        "Preparation options are those that RESULT was made with unless some are given.\n\n"
        "Standard errors are those of counting noise alone; the intervals of fractions add the range over which "
        "factorisations fit alike.",
    .examples = "unmix verify result.hspy # cards, and the page result-verify.html\n"
                "unmix verify result.hspy --no-page --json # for scripts\n"
                "unmix verify result.npz scan.hspy --save errors.npz # with maps of the standard errors\n"
                "unmix verify segmented.hspy --spotcheck 60 # which particles to look at with another method\n"
                "unmix verify segmented.hspy --verdicts segmented-spotcheck.csv # what part of them is right\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 2,
    .reads = CLI_READS_SCAN,
    .run = run,
};
