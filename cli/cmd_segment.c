/* unmix segment: crystals and their particles. */
#include "result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "The segmented result: .hspy or .npz."},
    {.name = "route", .kind = CLI_CHOICE, .value = "auto|nmf|vdf", .preset = "auto",
     .help = "From components, or from virtual dark fields of a scan; auto = by what IN is."},
    {.name = "like", .kind = CLI_FILE, .value = "MODEL",
     .help = "Take classes and levels from this segmented result: for several scans of one joint fit."},
    {.name = "alike", .kind = CLI_REAL, .value = "R", .preset = "0.75", .least = 0.01, .most = 1.5,
     .help = "Components are one crystal from this correlation of reflections plus half that of maps on."},
    {.name = "least-reflections", .kind = CLI_REAL, .value = "F", .preset = "0.02", .least = 0, .most = 1,
     .help = "A component is background when less of its counts outside the beam is in reflections."},
    {.name = "least-continuity", .kind = CLI_REAL, .value = "R", .preset = "0.25", .least = -1, .most = 1,
     .help = "A component is noise when the loadings of neighbours are less correlated."},
    {.name = "least-share", .kind = CLI_REAL, .value = "F", .preset = "0.005", .least = 0, .most = 1,
     .help = "A class with a smaller share of all counts in reflections is dropped."},
    {.name = "smooth", .kind = CLI_REAL, .value = "PX", .preset = "1", .least = 0, .most = 100,
     .help = "Gaussian over the map of a class before its threshold, in scan positions."},
    {.name = "threshold", .kind = CLI_CHOICE, .value = "otsu|li|triangle|isodata|yen", .preset = "li",
     .help = "How the level that parts crystal from not is found in the map of a class."},
    {.name = "close", .kind = CLI_REAL, .value = "PX", .preset = "0", .least = 0, .most = 100,
     .help = "Close gaps up to twice so many positions wide, as of fringes that reach the border of a crystal."},
    {.name = "neck", .kind = CLI_REAL, .value = "F", .preset = "0.9", .least = 0, .most = 1,
     .help = "Cut a region where it is narrower than this part of the smaller of its two lobes; 0 = never."},
    {.name = "least-size", .kind = CLI_INTEGER, .value = "N", .preset = "6", .least = 1, .most = 1e9,
     .help = "Smaller particles are dropped, in scan positions."},
    {.name = "least-contrast", .kind = CLI_REAL, .value = "F", .preset = "0.15", .least = 0, .most = 1,
     .help = "Particles fainter than this part of the strongest of their class are dropped."},
    {.name = "overlap", .kind = CLI_REAL, .value = "F", .preset = "0.5", .least = 0.01, .most = 1,
     .help = "vdf: parts of dark fields are one crystal when they share this part of their positions."},
    {.name = "least-vectors", .kind = CLI_INTEGER, .value = "N", .preset = "1", .least = 1, .most = 1000,
     .help = "vdf: reflections that have to show a crystal."},
    {.name = "cover", .kind = CLI_REAL, .value = "F", .preset = "0.4", .least = 0.01, .most = 1,
     .help = "vdf: a position is in a crystal when this part of its reflections show it."},
    {.name = "same-vectors", .kind = CLI_REAL, .value = "F", .preset = "0.5", .least = 0.01, .most = 1,
     .help = "vdf: crystals that share this part of their reflections are one class."},
    {.name = "beam", .kind = CLI_TEXT, .value = "cy,cx[,r]",
     .help = "The direct beam in px of the patterns; default: found."},
    {.name = "report", .kind = CLI_FILE, .value = "FILE.html",
     .help = "Where the report goes; default: beside the first result."},
    {.name = "no-report", .kind = CLI_SWITCH, .help = "Write no report."},
    {.name = "lazy-safe", .kind = CLI_SWITCH,
     .help = "Store factors so that HyperSpy can plot them after a lazy load."},
    {0}};

typedef struct segment_job {
    cli *c;
    cli_scan scan;
    um_model *model, *like, *out;
    char *report;
    json_t *files;
} segment_job;

static um_status read_beam(cli *c, um_segment_options *o)
{
    const char *text = cli_text(c, "beam");
    double value[3] = {NAN, NAN, NAN};
    char rest = 0;
    if (text == NULL) {
        return UM_OK;
    }
    int n = sscanf(text, "%lf,%lf,%lf%c", &value[0], &value[1], &value[2], &rest);
    if ((n != 2 && n != 3) || !isfinite(value[0]) || !isfinite(value[1]) || (n == 3 && !(value[2] >= 0 && value[2] < 1e6))) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--beam takes cy,cx or cy,cx,radius in px, not '%s'", text);
    }
    o->beam_y = value[0];
    o->beam_x = value[1];
    o->beam_radius_px = n == 3 ? value[2] : NAN;
    return UM_OK;
}

static um_segment_options choose(const segment_job *job)
{
    cli *c = job->c;
    um_segment_options o = um_segment_defaults();
    o.alike = cli_real(c, "alike");
    o.least_reflections = cli_real(c, "least-reflections");
    o.least_continuity = cli_real(c, "least-continuity");
    o.least_share = cli_real(c, "least-share");
    o.smooth_px = cli_real(c, "smooth");
    o.threshold = (um_threshold_method)cli_choice(c, "threshold");
    o.close_px = cli_real(c, "close");
    o.neck = cli_real(c, "neck");
    o.least_size = cli_integer(c, "least-size");
    o.least_contrast = cli_real(c, "least-contrast");
    o.overlap = cli_real(c, "overlap");
    o.least_vectors = cli_integer(c, "least-vectors");
    o.cover = cli_real(c, "cover");
    o.same_vectors = cli_real(c, "same-vectors");
    o.like = job->like;
    return o;
}

/* ---- telling ---------------------------------------------------------------------------------------- */

/* Particles and positions of each class. */
static json_t *class_rows(const um_model *model, json_t *merged)
{
    const um_array *segments = um_model_array(model, "segments");
    um_shape s = um_model_shape(model);
    int64_t positions = s.ny * s.nx;
    json_t *rows = json_array();
    double before = 0;
    for (int64_t c = 0; c < um_model_k(model); c++) {
        double last = before;
        int64_t area = 0;
        for (int64_t i = 0; i < positions; i++) {
            double label = um_array_get(segments, c * positions + i);
            last = label > last ? label : last;
            area += label > 0;
        }
        json_array_append_new(rows, json_pack("{s:I, s:I, s:I, s:O}", "class", (json_int_t)c, "particles",
                                              (json_int_t)(last - before), "positions", (json_int_t)area, "components",
                                              json_array_get(merged, (size_t)c)));
        before = last;
    }
    return rows;
}

static json_t *as_json(segment_job *job)
{
    json_t *provenance = json_loads(um_model_provenance(job->out), 0, NULL);
    json_t *told = json_object_get(provenance, "segmentation");
    json_t *object = json_pack("{s:I, s:O, s:O, s:O, s:o, s:f, s:I, s:O}", "k", (json_int_t)um_model_k(job->out), "route",
                               json_object_get(told, "route"), "particles", json_object_get(told, "particles"), "dropped",
                               json_object_get(told, "dropped"), "classes",
                               class_rows(job->out, json_object_get(told, "merged")), "seconds",
                               cli_seconds() - job->c->started, "peak_bytes", (json_int_t)cli_peak_bytes(), "files",
                               job->files);
    json_decref(provenance);
    return object;
}

static void say(segment_job *job)
{
    cli *c = job->c;
    json_t *object = as_json(job);
    size_t i = 0;
    json_t *row = NULL;
    cli_say(c, "%5s  %9s  %9s  %s", "class", "particles", "positions", "components");
    json_array_foreach(json_object_get(object, "classes"), i, row)
    {
        char *members = json_dumps(json_object_get(row, "components"), JSON_COMPACT);
        cli_say(c, "%5lld  %9lld  %9lld  %s", (long long)json_integer_value(json_object_get(row, "class")),
                (long long)json_integer_value(json_object_get(row, "particles")),
                (long long)json_integer_value(json_object_get(row, "positions")), members != NULL ? members : "");
        free(members);
    }
    json_array_foreach(json_object_get(object, "dropped"), i, row)
    {
        cli_say(c, "dropped component %lld: %s (%.1f %% of its counts outside the beam are in reflections)",
                (long long)json_integer_value(json_object_get(row, "component")),
                json_string_value(json_object_get(row, "reason")),
                100 * json_number_value(json_object_get(row, "reflections")));
    }
    cli_say(c, "\n%lld particles in %lld classes", (long long)json_integer_value(json_object_get(object, "particles")),
            (long long)um_model_k(job->out));
    for (i = 0; i < json_array_size(job->files); i++) {
        cli_say(c, "wrote %s", json_string_value(json_array_get(job->files, i)));
    }
    json_decref(object);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static um_status save(segment_job *job)
{
    cli *c = job->c;
    um_status status = cli_save_models(c, job->out, cli_given(c, "lazy-safe"), NULL, job->files);
    if (status == UM_OK && job->report != NULL) {
        um_report_options report = {.overwrite = c->force};
        status = um_report_write(c->ctx, job->out, job->report, &report);
        json_array_append_new(job->files, cli_json_text(job->report));
    }
    return status;
}

enum { ROUTE_AUTO, ROUTE_NMF, ROUTE_VDF };

/* A .hspy file may be a result or a scan: it is a result when it holds a decomposition. */
static um_status load(segment_job *job)
{
    cli *c = job->c;
    const char *path = c->operand[0];
    int route = cli_choice(c, "route");
    bool may_be_result = cli_has_suffix(path, ".npz") || cli_has_suffix(path, ".hspy");
    um_status status = UM_ERROR_FORMAT;
    if (route == ROUTE_NMF || (route == ROUTE_AUTO && may_be_result)) {
        status = cli_model_load(c, path, &job->model);
    }
    bool is_scan = route == ROUTE_VDF || (route == ROUTE_AUTO && status == UM_ERROR_FORMAT);
    return is_scan ? cli_scan_prepare(c, path, &job->scan) : status;
}

static um_status segment(segment_job *job, const um_segment_options *o)
{
    cli *c = job->c;
    if (job->model != NULL) {
        return um_segment_model(c->ctx, job->model, o, &job->out);
    }
    if (o->like != NULL) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--like takes classes of components over: it goes with a result, not with a scan");
    }
    um_status status = um_segment_scan(c->ctx, job->scan.matrix, o, &job->out);
    return status == UM_OK ? cli_set_provenance(c, &job->scan, job->out, NULL) : status;
}

static um_status run(cli *c)
{
    segment_job job = {.c = c, .files = json_array()};
    um_status status = cli_check_models(c);
    status = status == UM_OK ? cli_choose_report(c, &job.report) : status;
    status = status == UM_OK ? load(&job) : status;
    if (status == UM_OK && cli_given(c, "like")) {
        status = cli_model_load(c, cli_text(c, "like"), &job.like);
    }
    um_segment_options o = choose(&job);
    status = status == UM_OK ? read_beam(c, &o) : status;
    status = status == UM_OK ? segment(&job, &o) : status;
    status = status == UM_OK ? save(&job) : status;
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, as_json(&job));
    } else if (status == UM_OK) {
        say(&job);
    }
    um_model_free(job.out);
    um_model_free(job.like);
    um_model_free(job.model);
    cli_scan_close(&job.scan);
    json_decref(job.files);
    free(job.report);
    return status;
}

const cli_command cli_command_segment = {
    .name = "segment",
    .summary = "find crystals and their particles, from components or dark fields",
    .operands = "IN -o OUT",
    .description =
        "From the components of a factorisation to crystals. Components without reflections (film, background, the beam "
        "alone) are dropped; those whose reflections and maps are alike are merged into one class; the map of each class, in "
        "counts of its reflections, is cut by a threshold and, at necks, by a watershed of distances into particles. Crystals "
        "above one another keep their positions: one position may belong to several.\n\n"
        "From a scan (route vdf) the places of reflections are found in the largest value of every pixel; the dark-field image of "
        "each is cut into particles in the same way, and those that lie at the same place are one crystal.\n\n"
        "OUT holds the classes as components (patterns, and counts as loadings) and the arrays `segments` (number of the "
        "particle, per class and position) and `fractions`. The report shows them; unmix score compares them with a truth. "
        "docs/segment.md tells what each step does.",
    .examples = "unmix segment result.hspy -o segments.hspy # with a report\n"
                "unmix segment scan.hspy -o dark.hspy # by virtual dark fields\n"
                "unmix segment b.hspy --like segments.hspy -o b_segments.hspy # the same classes in another scan\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
