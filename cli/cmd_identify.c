/* unmix identify: which crystals are the components? */
#include "identify_text.h"
#include "result.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const cli_option options[] = {
    {.name = "cif", .letter = 'c', .kind = CLI_FILE, .value = "FILE|DIR|NAME", .repeat = true,
     .help = "A candidate: a CIF, a folder of them, or a built-in structure by its name; default all that are built in."},
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "The result with its names: .hspy or .npz."},
    {.name = "voltage", .kind = CLI_REAL, .value = "KV", .least = 20, .most = 5000,
     .help = "Accelerating voltage in kV; default that of the result, else 200."},
    {.name = "precession", .kind = CLI_REAL, .value = "MRAD", .least = 0, .most = 100,
     .help = "Half angle of the precession cone in mrad; default that of the result, else 17.5."},
    {.name = "thickness", .kind = CLI_REAL, .value = "NM", .preset = "50", .least = 0.1, .most = 10000,
     .help = "Thickness in nm: reflections are 1/(2 thickness) wide."},
    {.name = "pixel", .kind = CLI_REAL, .value = "PER_A", .least = 1e-6, .most = 1,
     .help = "Size of a detector pixel in 1/\u00c5; default that of the axes."},
    {.name = "beam", .kind = CLI_TEXT, .value = "cy,cx",
     .help = "Direct beam, px; default where the axes are 0, else the middle pixel."},
    {.name = "scale-tolerance", .kind = CLI_REAL, .value = "PART", .preset = "0.03", .least = 0, .most = 0.2,
     .help = "How far the size of a pixel may be off."},
    {.name = "center-tolerance", .kind = CLI_REAL, .value = "PX", .preset = "2", .least = 0, .most = 10,
     .help = "How far the direct beam may be off."},
    {.name = "ellipse-tolerance", .kind = CLI_REAL, .value = "PART", .preset = "0.02", .least = 0, .most = 0.2,
     .help = "How much longer one axis of what should be a circle may be; 0 = none."},
    {.name = "zone", .letter = 'z', .kind = CLI_TEXT, .value = "u,v,w", .repeat = true,
     .help = "Compare directions near this zone axis only."},
    {.name = "near", .kind = CLI_REAL, .value = "DEG", .preset = "5", .least = 0.1, .most = 90,
     .help = "How near to --zone."},
    {.name = "step", .kind = CLI_REAL, .value = "DEG", .preset = "2", .least = 0.25, .most = 10,
     .help = "Between directions of the library."},
    {.name = "least-g", .kind = CLI_REAL, .value = "PER_A", .preset = "0.1", .least = 0, .most = 2,
     .help = "Reflections nearer to the beam do not count."},
    {.name = "spot", .kind = CLI_REAL, .value = "PX", .preset = "1", .least = 0.1, .most = 20,
     .help = "How far a spot may lie from its reflection (standard deviation)."},
    {.name = "false-rate", .kind = CLI_REAL, .value = "P", .preset = "0.01", .least = 1e-9, .most = 0.99,
     .help = "Chance that a pattern which no candidate explains gets a name."},
    {.name = "null", .kind = CLI_INTEGER, .value = "N", .preset = "40", .least = 0, .most = 10000,
     .help = "Stretched patterns per component that this chance is found from; 0 = always give a name."},
    {.name = "cache", .kind = CLI_FOLDER, .value = "DIR",
     .help = "Where libraries of patterns are kept; default unmix/libraries in $XDG_CACHE_HOME or ~/.cache."},
    {.name = "no-cache", .kind = CLI_SWITCH, .help = "Keep no libraries."},
    {.name = "report", .kind = CLI_FILE, .value = "FILE.html",
     .help = "Where the report goes; default: beside the first result."},
    {.name = "no-report", .kind = CLI_SWITCH, .help = "Write no report."},
    {.name = "lazy-safe", .kind = CLI_SWITCH,
     .help = "Store factors so that HyperSpy can plot them after a lazy load."},
    {0}};

enum { MOST_CANDIDATES = 2000, MOST_ZONES = 64, MOST_STACK = 256 };

typedef struct job {
    cli *c;
    um_candidate *candidate;
    size_t count;
    int zone[MOST_ZONES][3];
    char *cache, *report;
    um_model *model;
    um_identification *found;
    json_t *files;
} job;

/* ---- candidates ------------------------------------------------------------------------------------------- */

static um_status add(job *j, const char *name, um_crystal *crystal)
{
    if (j->count == MOST_CANDIDATES) {
        um_crystal_free(crystal);
        return cli_fail(j->c, UM_ERROR_ARGUMENT, "--cif: more than %d structures", (int)MOST_CANDIDATES);
    }
    um_candidate *x = &j->candidate[j->count++];
    snprintf(x->name, sizeof x->name, "%s", name);
    x->crystal = crystal;
    for (size_t i = 0; i + 1 < j->count; i++) {
        if (strcmp(j->candidate[i].name, x->name) == 0) {
            return cli_fail(j->c, UM_ERROR_ARGUMENT, "--cif: two candidates are called '%s': rename a file", x->name);
        }
    }
    return UM_OK;
}

static um_status add_built_in(job *j, const char *name)
{
    um_crystal *crystal = NULL;
    um_status status = um_structure_make(j->c->ctx, name, &crystal);
    return status == UM_OK ? add(j, crystal->name, crystal) : status;
}

static um_status add_file(job *j, const char *path)
{
    um_crystal *crystal = NULL;
    const char *slash = strrchr(path, '/');
    char *stem = cli_with_suffix(slash != NULL ? slash + 1 : path, "");
    um_status status = stem != NULL ? um_crystal_load(j->c->ctx, path, &crystal)
                                    : cli_fail(j->c, UM_ERROR_MEMORY, "no memory");
    status = status == UM_OK ? add(j, stem, crystal) : status;
    free(stem);
    return status;
}

static int is_cif(const struct dirent *entry)
{
    return cli_has_suffix(entry->d_name, ".cif");
}

/* Files of a folder that hold no structure are left out with a warning. */
static um_status add_folder(job *j, const char *folder)
{
    struct dirent **list = NULL;
    int n = scandir(folder, &list, is_cif, alphasort);
    um_status status = n > 0 ? UM_OK : cli_fail(j->c, UM_ERROR_ARGUMENT, "--cif %s: no .cif files in it", folder);
    size_t before = j->count;
    for (int i = 0; i < n; i++) {
        char *path = cli_format("%s/%s", folder, list[i]->d_name);
        if (status == UM_OK) {
            status = path != NULL ? add_file(j, path) : cli_fail(j->c, UM_ERROR_MEMORY, "no memory");
            if (status == UM_ERROR_FORMAT || status == UM_ERROR_UNSUPPORTED) {
                cli_warn(j->c, "left out: %s", um_context_message(j->c->ctx));
                status = UM_OK;
            }
        }
        free(path);
        free(list[i]);
    }
    free(list);
    if (status == UM_OK && j->count == before) {
        status = cli_fail(j->c, UM_ERROR_FORMAT, "--cif %s: none of its files holds a structure", folder);
    }
    return status;
}

static bool is_built_in(const char *word)
{
    const char *name = NULL;
    for (size_t i = 0; (name = um_structure_name(i)) != NULL; i++) {
        if (strcmp(name, word) == 0) {
            return true;
        }
    }
    return false;
}

static um_status take_candidates(job *j)
{
    um_status status = UM_OK;
    int given = cli_count(j->c, "cif");
    const char *name = NULL;
    j->candidate = calloc(MOST_CANDIDATES, sizeof *j->candidate);
    if (j->candidate == NULL) {
        return cli_fail(j->c, UM_ERROR_MEMORY, "no memory");
    }
    for (size_t i = 0; given == 0 && status == UM_OK && (name = um_structure_name(i)) != NULL; i++) {
        status = add_built_in(j, name);
    }
    for (int i = 0; i < given && status == UM_OK; i++) {
        struct stat stat_of;
        const char *word = cli_text_at(j->c, "cif", i);
        if (is_built_in(word)) {
            status = add_built_in(j, word);
        } else if (stat(word, &stat_of) == 0 && S_ISDIR(stat_of.st_mode)) {
            status = add_folder(j, word);
        } else {
            status = add_file(j, word);
        }
    }
    return status;
}

/* ---- settings --------------------------------------------------------------------------------------------- */

static um_status take_zones(job *j, um_identify_options *o)
{
    int count = cli_count(j->c, "zone");
    if (count > MOST_ZONES) {
        return cli_fail(j->c, UM_ERROR_ARGUMENT, "--zone: at most %d", (int)MOST_ZONES);
    }
    for (int i = 0; i < count; i++) {
        char rest = 0;
        int *z = j->zone[i];
        const char *text = cli_text_at(j->c, "zone", i);
        if (sscanf(text, "%d,%d,%d%c", &z[0], &z[1], &z[2], &rest) != 3 || (z[0] == 0 && z[1] == 0 && z[2] == 0) ||
            abs(z[0]) > 50 || abs(z[1]) > 50 || abs(z[2]) > 50) {
            return cli_fail(j->c, UM_ERROR_ARGUMENT, "--zone takes three whole numbers u,v,w, not '%s'", text);
        }
    }
    o->zone = (const int(*)[3])j->zone;
    o->zones = (size_t)count;
    return UM_OK;
}

static char *cache_folder(cli *c)
{
    const char *given = cli_text(c, "cache"), *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cli_given(c, "no-cache")) {
        return NULL;
    }
    if (given != NULL) {
        return cli_format("%s", given);
    }
    if (base != NULL && base[0] == '/') {
        return cli_format("%s/unmix/libraries", base);
    }
    return home != NULL && home[0] == '/' ? cli_format("%s/.cache/unmix/libraries", home) : NULL;
}

static um_status take_settings(job *j, um_identify_options *o)
{
    cli *c = j->c;
    *o = um_identify_defaults();
    o->voltage_kV = cli_given(c, "voltage") ? cli_real(c, "voltage") : NAN;
    o->precession_mrad = cli_given(c, "precession") ? cli_real(c, "precession") : NAN;
    o->scale_per_A = cli_given(c, "pixel") ? cli_real(c, "pixel") : NAN;
    o->thickness_nm = cli_real(c, "thickness");
    o->scale_tolerance = cli_real(c, "scale-tolerance");
    o->center_tolerance = cli_real(c, "center-tolerance");
    o->ellipse_tolerance = cli_real(c, "ellipse-tolerance");
    o->near_deg = cli_real(c, "near");
    o->step_deg = cli_real(c, "step");
    o->g_min_per_A = cli_real(c, "least-g");
    o->spot_px = cli_real(c, "spot");
    o->false_rate = cli_real(c, "false-rate");
    o->null_patterns = (int)cli_integer(c, "null");
    o->cache = j->cache = cache_folder(c);
    if (cli_given(c, "beam")) {
        char rest = 0;
        if (sscanf(cli_text(c, "beam"), "%lf,%lf%c", &o->cy, &o->cx, &rest) != 2) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--beam takes cy,cx, not '%s'", cli_text(c, "beam"));
        }
    }
    return take_zones(j, o);
}

/* ---- the model -------------------------------------------------------------------------------------------- */

static void copy_mask(const uint8_t *from, int64_t count, float *factors, int64_t k)
{
    for (int64_t i = 0; i < k * count && from != NULL; i++) {
        factors[i] = from[i % count] != 0 ? NAN : factors[i];
    }
}

static um_status visit_pattern(void *user, void *state, const um_tile *tile)
{
    um_model *model = user;
    um_shape s = um_model_shape(model);
    int64_t pixels = s.ky * s.kx, k = um_model_k(model);
    (void)state;
    for (size_t r = 0; r < tile->rows; r++) {
        int64_t p = tile->position[r];
        float *to = um_model_factors(model) + p * pixels;
        const um_array row = {.dtype = tile->dtype, .ndim = 1, .shape = {pixels},
                              .data = (char *)(uintptr_t)tile->data + r * (size_t)pixels * um_dtype_size(tile->dtype)};
        for (int64_t q = 0; q < pixels; q++) {
            to[q] = (float)um_array_get(&row, q);
        }
        um_model_loadings(model)[p * k + p] = 1.0F;
    }
    return UM_OK;
}

/* A scan of few positions: each pattern is a component of its own. */
static um_status take_stack(job *j)
{
    cli *c = j->c;
    cli_scan scan = {0};
    um_status status = cli_scan_prepare(c, c->operand[0], &scan);
    if (status == UM_OK) {
        const um_matrix_info *info = um_matrix_get_info(scan.matrix);
        int64_t n = info->shape.ny * info->shape.nx;
        um_model_spec spec = {.k = n, .shape = info->shape, .method = "patterns"};
        memcpy(spec.axes, info->axes, sizeof spec.axes);
        const um_visitor look = {.visit = visit_pattern};
        if (n > MOST_STACK) {
            status = cli_fail(c, UM_ERROR_ARGUMENT,
                              "%s: is no result, and %lld patterns are more than the %d that are named one by one: run unmix nmf "
                              "first",
                              c->operand[0], (long long)n, (int)MOST_STACK);
        }
        status = status == UM_OK ? um_model_create(c->ctx, &spec, &j->model) : status;
        status = status == UM_OK ? um_matrix_pass(scan.matrix, "patterns", &look, j->model) : status;
        if (status == UM_OK && info->signal_mask != NULL) {
            status = um_model_set_signal_mask(j->model, info->signal_mask);
            copy_mask(info->signal_mask, info->shape.ky * info->shape.kx, um_model_factors(j->model), n);
        }
        status = status == UM_OK ? cli_set_provenance(c, &scan, j->model, NULL) : status;
    }
    cli_scan_close(&scan);
    return status;
}

static um_status take_model(job *j)
{
    const char *path = j->c->operand[0];
    bool npz = cli_has_suffix(path, ".npz");
    if (!npz && !cli_has_suffix(path, ".hspy")) {
        return take_stack(j);
    }
    um_status status = cli_model_load(j->c, path, &j->model);
    return status == UM_ERROR_FORMAT && !npz ? take_stack(j) : status;
}

/* ---- the command ------------------------------------------------------------------------------------------ */

static um_status save(job *j)
{
    cli *c = j->c;
    um_status status = um_identification_store(c->ctx, j->found, j->model);
    status = status == UM_OK ? cli_save_models(c, j->model, cli_given(c, "lazy-safe"), NULL, j->files) : status;
    if (status == UM_OK && j->report != NULL) {
        um_report_options report = {.overwrite = c->force};
        status = um_report_write(c->ctx, j->model, j->report, &report);
        json_array_append_new(j->files, cli_json_text(j->report));
    }
    return status;
}

static um_status tell(job *j)
{
    cli *c = j->c;
    if (c->json) {
        json_t *object = cli_identify_json(j->found);
        json_object_set_new(object, "seconds", json_real(cli_seconds() - c->started));
        json_object_set_new(object, "peak_bytes", json_integer((json_int_t)cli_peak_bytes()));
        json_object_set(object, "files", j->files);
        return cli_print_json(c, object);
    }
    cli_identify_say(c, j->found);
    return UM_OK;
}

static um_status run(cli *c)
{
    job j = {.c = c, .files = json_array()};
    um_identify_options how;
    bool saves = cli_count(c, "output") > 0;
    um_status status = saves ? cli_check_models(c) : UM_OK;
    if (status == UM_OK && (saves || cli_given(c, "report"))) {
        status = cli_choose_report(c, &j.report);
    }
    status = status == UM_OK ? take_settings(&j, &how) : status;
    status = status == UM_OK ? take_candidates(&j) : status;
    status = status == UM_OK ? take_model(&j) : status;
    if (status == UM_OK) {
        status = um_identify_model(c->ctx, j.model, j.candidate, j.count, &how, &j.found);
    }
    status = status == UM_OK ? save(&j) : status;
    status = status == UM_OK ? tell(&j) : status;
    for (size_t i = 0; i < j.count; i++) {
        um_crystal_free((um_crystal *)(uintptr_t)j.candidate[i].crystal);
    }
    free(j.candidate);
    um_identification_free(j.found);
    um_model_free(j.model);
    json_decref(j.files);
    free(j.cache);
    free(j.report);
    return status;
}

const cli_command cli_command_identify = {
    .name = "identify",
    .summary = "name the components of a result by their diffraction patterns",
    .operands = "IN",
    .description =
        "Compares the pattern of each component with patterns computed from crystal structures in all orientations, and says "
        "which structure it is, seen along which zone axis, turned by how much, how well it fits, what comes next, and "
        "by how much. IN is a result (of unmix nmf, cluster, ...) or a scan of at most 256 patterns, each of which is named.\n\n"
        "A name is given only where the score is higher than lattices that are none of the candidates reach, but for a "
        "part of --false-rate; else the answer is 'unknown'. Patterns without spots are 'amorphous' or 'background'.\n\n"
        "Size of a pixel, centre and ellipse are refined within their tolerances, first for each component, then for all "
        "together: they come from one microscope. Structures that differ by less than the size of a pixel is known "
        "cannot be told apart; the reason then says so.",
    .examples = "unmix identify result.hspy # against all built-in structures\n"
                "unmix identify result.hspy --cif structures/ --cif al -o named.hspy # own candidates; result and page\n"
                "unmix identify patterns.hspy --cif Ag.cif --cif al --mask-beam 10 # single patterns\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
