/* unmix svd: singular values and vectors of a scan, streamed. */
#include "forecast.h"
#include "result.h"

#include <math.h>
#include <stdlib.h>

static const cli_option options[] = {
    {.name = "k", .letter = 'k', .kind = CLI_INTEGER, .value = "K", .least = 1,
     .help = "Components to keep; default 20, or fewer where the data have fewer."},
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "The result: .hspy (HyperSpy opens and plots it) or .npz."},
    {.name = "weights", .kind = CLI_CHOICE, .value = "auto|poisson|none", .preset = "auto",
     .help = "Weight by the Poisson noise of counts (Keenan and Kotula 2004); auto = for counts "
             "only."},
    {.name = "power-iterations", .kind = CLI_INTEGER, .value = "N", .least = 0, .most = 50,
     .help = "Extra reads of the scan; default: until the values are stable."},
    {.name = "oversampling", .kind = CLI_INTEGER, .value = "N", .least = 1, .most = 1000,
     .help = "Extra random directions; default 10 + K/2."},
    {.name = "scree", .kind = CLI_FILE, .value = "FILE.svg",
     .help = "Draw the scree curve with its elbow and the edge of the noise."},
    {.name = "plan", .kind = CLI_SWITCH,
     .help = "Only tell the peak memory that the run would take; write nothing."},
    CLI_LAZY_SAFE_OPTION,
    {0}};

enum { DEFAULT_K = 20 };

static int64_t above_edge(const um_svd_result *r)
{
    int64_t n = 0;
    while (n < r->count && isfinite(r->noise_edge) && r->singular_values[n] > r->noise_edge) {
        n++;
    }
    return n;
}

static json_t *as_json(cli *c, const cli_scan *scan, const um_svd_result *r, int64_t planned,
                       json_t *files)
{
    json_t *values = json_array();
    for (int64_t i = 0; i < um_model_k(r->model); i++) {
        json_array_append_new(values, cli_json_real(r->singular_values[i]));
    }
    return json_pack(
        "{s:o, s:o, s:I, s:o, s:o, s:b, s:I, s:I, s:f, s:I, s:I, s:O}", "singular_values", values,
        "total_variance", cli_json_real(r->total_variance), "elbow", (json_int_t)r->elbow,
        "noise_edge", cli_json_real(r->noise_edge), "above_noise",
        isfinite(r->noise_edge) ? json_integer((json_int_t)above_edge(r)) : json_null(), "weighted",
        (int)r->weighted, "passes", (json_int_t)um_matrix_passes(scan->matrix), "k",
        (json_int_t)um_model_k(r->model), "seconds", cli_seconds() - c->started, "peak_bytes",
        (json_int_t)cli_peak_bytes(), "planned_bytes", (json_int_t)planned, "files", files);
}

static void say(cli *c, const cli_scan *scan, const um_svd_result *r)
{
    char time[32];
    char memory[32];
    cli_say(c, "%4s  %14s  %10s  %10s", "", "singular value", "variance", "cumulated");
    double sum = 0;
    for (int64_t i = 0; i < um_model_k(r->model); i++) {
        double share = r->singular_values[i] * r->singular_values[i] / r->total_variance;
        sum += share;
        cli_say(c, "%4lld  %14.7g  %9.4f%%  %9.4f%%", (long long)i + 1, r->singular_values[i],
                100 * share, 100 * sum);
    }
    cli_say(c, "\ntotal variance %.9g%s", r->total_variance,
            r->weighted ? " (Poisson weighted)" : "");
    cli_say(c, "elbow          %lld components", (long long)r->elbow);
    if (isfinite(r->noise_edge)) {
        int64_t n = above_edge(r);
        cli_say(c, "above noise    %s%lld components (edge %.6g)", n == r->count ? "at least " : "",
                (long long)n, r->noise_edge);
    }
    cli_say(c, "%lld reads of the scan, %s, peak memory %s",
            (long long)um_matrix_passes(scan->matrix),
            cli_seconds_text(cli_seconds() - c->started, time),
            cli_bytes_text((double)cli_peak_bytes(), memory));
}

static um_status write_scree(cli *c, const um_svd_result *r, json_t *files)
{
    const char *path = cli_text(c, "scree");
    if (path == NULL) {
        return UM_OK;
    }
    char *svg =
        cli_scree_svg(r->singular_values, r->count, r->total_variance, r->elbow, r->noise_edge);
    um_status status = svg != NULL ? cli_write_text(c, path, svg)
                                   : cli_fail(c, UM_ERROR_MEMORY, "no memory for the drawing");
    free(svg);
    json_array_append_new(files, cli_json_text(path));
    return status;
}

static um_status finish(cli *c, cli_scan *scan, const cli_overview *overview, um_svd_result *r,
                        int64_t planned)
{
    json_t *files = json_array();
    json_t *facts =
        json_pack("{s:s, s:I, s:o, s:b}", "method", "SVD", "elbow", (json_int_t)r->elbow,
                  "noise_edge", cli_json_real(r->noise_edge), "weighted", (int)r->weighted);
    um_status status = cli_overview_store(overview, r->model);
    if (status == UM_OK) {
        status = cli_set_provenance(c, scan, r->model, facts);
    } else {
        json_decref(facts);
    }
    if (status == UM_OK) {
        status = cli_save_models(c, r->model, cli_given(c, "lazy-safe"), NULL, files);
    }
    if (status == UM_OK) {
        status = write_scree(c, r, files);
    }
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, as_json(c, scan, r, planned, files));
    } else if (status == UM_OK) {
        say(c, scan, r);
        for (size_t i = 0; i < json_array_size(files); i++) {
            cli_say(c, "wrote %s", json_string_value(json_array_get(files, i)));
        }
    }
    json_decref(files);
    return status;
}

static int64_t default_k(const um_matrix_info *info)
{
    int64_t n = info->shape.ny * info->shape.nx;
    int64_t m = info->shape.ky * info->shape.kx;
    int64_t k = n < m ? n : m;
    for (int64_t q = 0, used = 0; info->signal_mask != NULL && q < m; q++) {
        used += info->signal_mask[q] == 0;
        k = q == m - 1 && used < k ? used : k;
    }
    for (int64_t p = 0, used = 0; info->navigation_mask != NULL && p < n; p++) {
        used += info->navigation_mask[p] == 0;
        k = p == n - 1 && used < k ? used : k;
    }
    return k < DEFAULT_K ? k : DEFAULT_K;
}

static um_svd_options svd_options(const cli *c, const cli_scan *scan)
{
    return (um_svd_options){
        .k = cli_given(c, "k") ? cli_integer(c, "k") : default_k(um_matrix_get_info(scan->matrix)),
        .weights = (um_weights)cli_choice(c, "weights"),
        .power_iterations =
            cli_given(c, "power-iterations") ? (int)cli_integer(c, "power-iterations") : -1,
        .oversampling = (int)cli_integer(c, "oversampling"),
        .sums_before = true,
    };
}

static um_status forecast(cli *c, const cli_scan *scan, const um_svd_options *svd, int64_t *planned)
{
    size_t peak = 0;
    um_status status = um_svd_forecast(scan->matrix, svd, &peak);
    *planned = status == UM_OK ? cli_forecast_resident(c, peak) : 0;
    return status;
}

static um_status tell_plan(cli *c)
{
    cli_scan scan = {0};
    um_status status = cli_scan_prepare(c, c->operand[0], &scan);
    if (status == UM_OK) {
        const um_svd_options svd = svd_options(c, &scan);
        int64_t planned = 0;
        status = forecast(c, &scan, &svd, &planned);
        if (status == UM_OK) {
            status = cli_tell_plan(c, &scan, svd.k, um_svd_plan(scan.matrix, &svd), planned);
        }
    }
    cli_scan_close(&scan);
    return status;
}

static um_status run(cli *c)
{
    if (cli_given(c, "plan")) {
        return tell_plan(c);
    }
    cli_scan scan = {0};
    cli_overview overview = {0};
    um_svd_options svd;
    um_svd_result *result = NULL;
    int64_t planned = 0;
    um_status status = cli_check_models(c);
    if (status == UM_OK && cli_given(c, "scree")) {
        status = cli_check_output(c, cli_text(c, "scree"), ".svg");
    }
    if (status == UM_OK) {
        status = cli_scan_prepare(c, c->operand[0], &scan);
    }
    if (status == UM_OK) {
        svd = svd_options(c, &scan);
        status = forecast(c, &scan, &svd, &planned);
    }
    if (status == UM_OK) {
        status = cli_overview_make(c, &scan, &overview);
        svd.sums = overview.sums;
    }
    if (status == UM_OK) {
        status = um_svd(scan.matrix, &svd, &result);
    }
    if (status == UM_OK) {
        status = finish(c, &scan, &overview, result, planned);
    }
    um_svd_result_free(result);
    cli_overview_free(&overview);
    cli_scan_close(&scan);
    return status;
}

const cli_command cli_command_svd = {
    .name = "svd",
    .summary = "compute singular values and vectors, and the scree curve",
    .operands = "IN -o OUT",
    .description =
        "Singular value decomposition of the matrix positions x pixels, without centring, in a "
        "few streamed reads. With Poisson weights each entry is divided by the square root of "
        "(row sum x column sum), so that counting noise is even; the weights are undone on the "
        "vectors that are stored, and the singular values are those of the weighted matrix.\n\n"
        "The elbow is the point of the scree curve farthest from its chord. With Poisson weights, "
        "values above sqrt(positions) + sqrt(pixels) cannot be counting noise.",
    .examples = "unmix svd scan.hspy -o svd.hspy --scree scree.svg # 20 components and a drawing\n"
                "unmix svd scan.hspy -k 8 -o svd.npz --weights none # plain SVD\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
