/* unmix ica: independent components, or simple structure, of the leading singular vectors. */
#include "result.h"

#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "k", .letter = 'k', .kind = CLI_INTEGER, .value = "K", .least = 1,
     .help = "Number of components; default: what the singular values give evidence for."},
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "The result: .hspy (HyperSpy opens it; plot_bss_results() shows it) or .npz."},
    {.name = "method", .kind = CLI_CHOICE, .value = "fastica|varimax", .preset = "fastica",
     .help = "fastica = as independent as possible; varimax = few large values, the others small."},
    {.name = "on", .kind = CLI_CHOICE, .value = "loadings|patterns", .preset = "patterns",
     .help = "Of what that is asked: of the maps, or of the patterns (as HyperSpy does by default)."},
    {.name = "weights", .kind = CLI_CHOICE, .value = "auto|poisson|none", .preset = "auto",
     .help = "Weights of the singular values (Keenan and Kotula 2004); auto = Poisson for counts only."},
    {.name = "tolerance", .kind = CLI_REAL, .value = "T", .preset = "1e-8",
     .help = "Stop when no component turns by more than 1 - cos = T in an iteration."},
    {.name = "max-iterations", .kind = CLI_INTEGER, .value = "N", .least = 1, .most = 1000000,
     .preset = "1000", .help = "Stop after N iterations in any case; they read nothing."},
    CLI_REPORT_OPTIONS,
    CLI_LAZY_SAFE_OPTION,
    {0}};

enum { LOOKED_AT = 20 }; /* components of the SVD when -k is not given */

typedef struct ica_job {
    cli *c;
    cli_scan scan;
    cli_overview overview;
    um_svd_result *svd;
    um_ica_result *ica;
    char *report;
    json_t *files;
} ica_job;

/* ---- finding -------------------------------------------------------------------------------------- */

static int64_t most_components(const ica_job *job)
{
    um_shape s = um_matrix_get_info(job->scan.matrix)->shape;
    int64_t positions = job->overview.sums->positions;
    int64_t pixels = 0;
    for (int64_t q = 0; q < s.ky * s.kx; q++) {
        pixels += job->overview.sums->sum_pattern[q] != 0;
    }
    return positions < pixels ? positions : pixels;
}

static um_status decompose(ica_job *job)
{
    cli *c = job->c;
    int64_t most = most_components(job);
    um_svd_options svd = {.k = most < LOOKED_AT ? most : LOOKED_AT,
                          .weights = (um_weights)cli_choice(c, "weights"),
                          .power_iterations = -1,
                          .sums = job->overview.sums};
    if (cli_given(c, "k")) {
        svd.k = cli_integer(c, "k");
    }
    return um_svd(job->scan.matrix, &svd, &job->svd);
}

static um_status rotate(ica_job *job)
{
    cli *c = job->c;
    um_ica_options ica = um_ica_defaults();
    ica.method = (um_ica_method)cli_choice(c, "method");
    ica.on_loadings = cli_choice(c, "on") == 0;
    ica.tolerance = cli_real(c, "tolerance");
    ica.max_iterations = cli_integer(c, "max-iterations");
    if (!cli_given(c, "k")) {
        const char *reason = NULL;
        int64_t k = cli_evident_k(job->svd, um_matrix_get_info(job->scan.matrix), &reason);
        ica.k = k < um_model_k(job->svd->model) ? k : um_model_k(job->svd->model);
        cli_note(c, "-k was not given: k = %lld (%s)", (long long)ica.k, reason);
    }
    return um_ica(c->ctx, job->svd->model, &ica, &job->ica);
}

/* ---- keeping -------------------------------------------------------------------------------------- */

/* Of the turned components, in the place of the singular vectors' share. */
static um_status store_shares(const um_ica_result *r, um_model *model)
{
    double total = 0;
    for (int64_t i = 0; i < r->k; i++) {
        total += r->strength[i] * r->strength[i];
    }
    double *share = calloc((size_t)r->k, sizeof *share);
    if (share == NULL) {
        return UM_ERROR_MEMORY;
    }
    for (int64_t i = 0; i < r->k; i++) {
        share[i] = r->strength[i] * r->strength[i] / total;
    }
    um_status status = um_model_set_array(model, "component_contribution", 1, &r->k, share);
    free(share);
    return status;
}

static um_status save(ica_job *job)
{
    cli *c = job->c;
    const um_ica_result *r = job->ica;
    um_model *model = job->svd->model;
    json_t *facts = json_pack("{s:s, s:s, s:s, s:I, s:b, s:o}", "method", "SVD", "bss_algorithm",
                              um_ica_method_name(r->method), "weights", job->svd->weighted ? "poisson" : "none",
                              "iterations", (json_int_t)r->iterations, "converged", (int)r->converged,
                              "change", cli_json_real(r->change));
    um_status status = cli_overview_store(&job->overview, model);
    if (status != UM_OK) {
        json_decref(facts);
        return status;
    }
    status = cli_set_provenance(c, &job->scan, model, facts);
    if (status == UM_OK) {
        status = cli_save_models(c, model, cli_given(c, "lazy-safe"), NULL, job->files);
    }
    if (status == UM_OK && job->report != NULL) {
        um_report_options report = {.overwrite = c->force};
        status = um_model_turn(c->ctx, model); /* the page shows what was asked for */
        status = status == UM_OK ? store_shares(r, model) : status;
        if (status == UM_OK) {
            status = um_report_write(c->ctx, model, job->report, &report);
            json_array_append_new(job->files, cli_json_text(job->report));
        }
    }
    return status;
}

/* ---- telling -------------------------------------------------------------------------------------- */

static json_t *numbers(const double *values, int64_t count)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < count; i++) {
        json_array_append_new(list, cli_json_real(values[i]));
    }
    return list;
}

static json_t *as_json(const ica_job *job)
{
    const um_ica_result *r = job->ica;
    return json_pack("{s:I, s:s, s:s, s:b, s:I, s:o, s:I, s:o, s:o, s:b, s:I, s:f, s:I, s:O}", "k",
                     (json_int_t)r->k, "method", um_ica_method_name(r->method), "on",
                     r->on_loadings ? "loadings" : "patterns", "converged", (int)r->converged,
                     "iterations", (json_int_t)r->iterations, "change", cli_json_real(r->change),
                     "samples", (json_int_t)r->samples, "strength", numbers(r->strength, r->k),
                     "kurtosis", numbers(r->kurtosis, r->k), "weighted", (int)job->svd->weighted,
                     "passes", (json_int_t)um_matrix_passes(job->scan.matrix), "seconds",
                     cli_seconds() - job->c->started, "peak_bytes", (json_int_t)cli_peak_bytes(), "files",
                     job->files);
}

static void say(const ica_job *job)
{
    cli *c = job->c;
    const um_ica_result *r = job->ica;
    char time[32];
    char memory[32];
    cli_say(c, "%9s  %14s  %9s", "component", "strength", "kurtosis");
    for (int64_t i = 0; i < r->k; i++) {
        cli_say(c, "%9lld  %14.7g  %9.2f", (long long)i, r->strength[i], r->kurtosis[i]);
    }
    cli_say(c, "\n%s on %lld %s: %s in %lld iterations (last turn 1 - cos = %.2g)",
            um_ica_method_name(r->method), (long long)r->samples,
            r->on_loadings ? "positions" : "pixels", r->converged ? "converged" : "did not converge",
            (long long)r->iterations, r->change);
    cli_say(c, "%lld reads of the scan, %s, peak memory %s",
            (long long)um_matrix_passes(job->scan.matrix),
            cli_seconds_text(cli_seconds() - c->started, time),
            cli_bytes_text((double)cli_peak_bytes(), memory));
    for (size_t i = 0; i < json_array_size(job->files); i++) {
        cli_say(c, "wrote %s", json_string_value(json_array_get(job->files, i)));
    }
}

/* ---- the whole ------------------------------------------------------------------------------------ */

static um_status check(ica_job *job)
{
    cli *c = job->c;
    um_status status = cli_check_models(c);
    if (status != UM_OK) {
        return status;
    }
    if (!(cli_real(c, "tolerance") > 0)) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--tolerance must be above 0, not %s",
                        cli_text(c, "tolerance"));
    }
    return cli_choose_report(c, &job->report);
}

static um_status run(cli *c)
{
    ica_job job = {.c = c, .files = json_array()};
    um_status status = check(&job);
    if (status == UM_OK) {
        status = cli_scan_prepare(c, c->operand[0], &job.scan);
    }
    if (status == UM_OK) {
        status = cli_overview_make(c, &job.scan, &job.overview);
    }
    if (status == UM_OK) {
        status = decompose(&job);
    }
    if (status == UM_OK) {
        status = rotate(&job);
    }
    if (status == UM_OK) {
        status = save(&job);
    }
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, as_json(&job));
    } else if (status == UM_OK) {
        say(&job);
    }
    um_ica_result_free(job.ica);
    um_svd_result_free(job.svd);
    cli_overview_free(&job.overview);
    cli_scan_close(&job.scan);
    json_decref(job.files);
    free(job.report);
    return status;
}

const cli_command cli_command_ica = {
    .name = "ica",
    .summary = "turn the singular vectors into independent components",
    .operands = "IN -o OUT",
    .description =
        "Independent component analysis of a scan: the K leading singular vectors (unmix svd) are mixed "
        "anew so that their maps, or patterns, are as independent as possible. fastica is the fixed-point "
        "iteration with the contrast log cosh and all components at once; varimax turns an orthonormal "
        "basis until each component has few large values. Neither changes the model K components make "
        "together, and neither reads the scan again.\n\n"
        "Components have signs: they tell what varies independently and are not fractions of phases; "
        "unmix nmf gives those. They are ordered by strength = |map| |pattern|, and the "
        "largest value of each pattern is positive. Kurtosis is that of the map (or pattern) in excess of "
        "a Gaussian's: what is near 0 is noise, or a mixture.\n\n"
        "OUT holds the singular vectors as decomposition and the independent components as HyperSpy's "
        "blind source separation: bss_factors, bss_loadings, unmixing_matrix.",
    .examples = "unmix ica scan.hspy -k 6 -o ica.hspy # independent patterns, with a report\n"
                "unmix ica scan.hspy --method varimax --on loadings -o v.npz # simple maps\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
