/* unmix simulate: a scan with a known answer, and the answer. */
#include "cli.h"

#include <ini.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "SCAN",
     .help = "The scan to write, .hspy or .npy."},
    {.name = "truth", .kind = CLI_FILE, .value = "TRUTH",
     .help = "Where to write the exact answer, .hspy or .npz: patterns, expected counts, labels, "
             "fractions."},
    {.name = "patterns", .kind = CLI_FILE, .value = "FILE",
     .help = "End members as a stack of images: .npy, .npz:name, .hspy, .h5:/path, .tif; default "
             "built-in spot patterns."},
    {.name = "layout", .kind = CLI_TEXT, .value = "voronoi|stripes|discs|FILE", .preset = "voronoi",
     .help = "Where the states are: grains, stripes, overlapping discs in state 0, or a label image."},
    {.name = "size", .kind = CLI_TEXT, .value = "NYxNX", .preset = "64x96",
     .help = "Scan positions, rows x columns; a label image brings its own."},
    {.name = "pattern-size", .kind = CLI_TEXT, .value = "KYxKX", .preset = "96x96",
     .help = "Pixels of the built-in patterns."},
    {.name = "states", .kind = CLI_INTEGER, .value = "N", .preset = "5", .least = 1, .most = 1000,
     .help = "Number of built-in patterns."},
    {.name = "regions", .kind = CLI_INTEGER, .value = "N", .preset = "0", .least = 0,
     .help = "Grains, stripes or discs; 0 = four per state."},
    {.name = "border", .kind = CLI_REAL, .value = "PX", .preset = "0.7", .least = 0,
     .help = "Standard deviation of the probe, in scan positions, which mixes states at borders."},
    {.name = "counts", .kind = CLI_REAL, .value = "N", .preset = "10000", .least = 0,
     .help = "Mean counts per pattern; 0 = the patterns as they are, without noise."},
    {.name = "keep-intensities", .kind = CLI_SWITCH,
     .help = "Keep the relative intensities of --patterns: --counts is then the mean over the scan."},
    {.name = "no-noise", .kind = CLI_SWITCH, .help = "Write expected counts instead of Poisson counts."},
    {.name = "dtype", .kind = CLI_TEXT, .value = "u8|u16|u32|f32", .preset = "u16",
     .help = "Type of the values; integers saturate."},
    {.name = "step", .kind = CLI_REAL, .value = "NM", .preset = "5", .least = 0,
     .help = "Distance of scan positions in nm; 0 = not calibrated."},
    {.name = "pixel", .kind = CLI_REAL, .value = "PER_A", .least = 0,
     .help = "Size of a detector pixel in 1/\u00c5; default that of the patterns, else 0.025; 0 = not "
             "calibrated."},
    {0}};

enum { KEYS = sizeof options / sizeof options[0] - 1 };

/* What the command line and the spec file say, as text; the command line wins. */
typedef struct settings {
    cli *c;
    const char *spec; /* path, or NULL */
    char *text[KEYS]; /* from the spec; malloc'ed */
    bool any_key;
    char error[256];
} settings;

typedef struct inputs {
    um_simulation sim;
    um_instrument instrument;
    float *patterns;
    int32_t *labels;
} inputs;

static int key_index(const char *name)
{
    for (int i = 0; i < KEYS; i++) {
        if (strcmp(options[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static const char *setting(const settings *s, const char *name)
{
    const char *of_spec = s->text[key_index(name)];
    return of_spec != NULL && !cli_given(s->c, name) ? of_spec : cli_text(s->c, name);
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
    settings *s = user;
    int i = strcmp(section, "simulate") == 0 ? key_index(name) : -1;
    if (i < 0) {
        snprintf(s->error, sizeof s->error,
                 "[%s] %s: not known here: a spec has one section [simulate] with the long options "
                 "of this command as keys",
                 section, name);
        return 0;
    }
    s->any_key = true;
    free(s->text[i]);
    s->text[i] = cli_format("%s", value);
    return s->text[i] != NULL;
}

static um_status read_spec(settings *s)
{
    if (s->spec == NULL) {
        return UM_OK;
    }
    FILE *file = NULL;
    um_status status = cli_open_text(s->c, s->spec, &file);
    if (status != UM_OK) {
        return status;
    }
    int line = ini_parse_file(file, take_key, s);
    fclose(file);
    if (line != 0) {
        return cli_fail(s->c, UM_ERROR_FORMAT, "%s: line %d: %s", s->spec, line,
                        s->error[0] != '\0' ? s->error : "is not 'key = value' or '[section]'");
    }
    if (!s->any_key) {
        return cli_fail(s->c, UM_ERROR_FORMAT,
                        "%s: sets nothing: put the long options under a line '[simulate]'", s->spec);
    }
    return UM_OK;
}

static um_status take_size(const settings *s, const char *name, int64_t *rows, int64_t *columns)
{
    const char *text = setting(s, name);
    const char *by = strchr(text, 'x');
    char first[32] = "";
    if (by != NULL && by - text < (ptrdiff_t)sizeof first) {
        snprintf(first, sizeof first, "%.*s", (int)(by - text), text);
    }
    if (by == NULL || !cli_parse_integer(first, rows) || !cli_parse_integer(by + 1, columns) ||
        *rows < 1 || *columns < 1) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "%s takes rows x columns such as 64x128, not '%s'",
                        name, text);
    }
    return UM_OK;
}

static um_status take_real(const settings *s, const char *name, double *out)
{
    const char *text = setting(s, name);
    if (!cli_parse_real(text, out) || *out < 0.0) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "%s takes a number that is not negative, not '%s'",
                        name, text);
    }
    return UM_OK;
}

static um_status take_integer(const settings *s, const char *name, int64_t *out)
{
    const char *text = setting(s, name);
    if (!cli_parse_integer(text, out) || *out < 0) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "%s takes a whole number, not '%s'", name, text);
    }
    return UM_OK;
}

/* A switch: given, or true in the spec. */
static um_status take_switch(const settings *s, const char *name, bool *on)
{
    const char *text = s->text[key_index(name)];
    *on = cli_given(s->c, name);
    if (text == NULL || *on) {
        return UM_OK;
    }
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "%s: %s takes true or false, not '%s'", s->spec, name,
                        text);
    }
    *on = strcmp(text, "true") == 0;
    return UM_OK;
}

/* The pixel size of a calibrated file of patterns, else the preset. */
static double pixel_of_patterns(cli *c, const char *path)
{
    const double preset = 0.025;
    um_source *source = NULL;
    double pixel = preset;
    if (path == NULL || cli_has_suffix(path, ".tif") || strstr(path, ".npz") != NULL ||
        um_source_open(c->ctx, path, NULL, &source) != UM_OK) {
        return preset;
    }
    const um_axis *axis = &um_source_get_info(source)->axes[3];
    if (strcmp(axis->units, "1/\u00c5") == 0) {
        pixel = axis->scale;
    } else if (strcmp(axis->units, "1/nm") == 0) {
        pixel = axis->scale / 10.0;
    }
    um_source_free(source);
    return pixel > 0.0 && isfinite(pixel) ? pixel : preset;
}

static um_status take_patterns(const settings *s, inputs *in)
{
    um_array *array = NULL;
    const char *path = setting(s, "patterns");
    if (path == NULL) {
        in->sim.pixel_per_A = 0.025;
        return UM_OK;
    }
    um_status status = um_array_read(s->c->ctx, path, &array);
    if (status != UM_OK) {
        return status;
    }
    /* A stack (k, ky, kx), with any axes of length one in front; or one image. */
    int first = 0;
    while (array->ndim - first > 3 && array->shape[first] == 1) {
        first++;
    }
    int dims = array->ndim - first;
    if (dims != 2 && dims != 3) {
        status = cli_fail(s->c, UM_ERROR_SHAPE,
                          "%s: has %d axes: end members are a stack of images (k, ky, kx)", path,
                          array->ndim);
        um_array_free(array);
        return status;
    }
    int64_t size = um_array_size(array);
    in->sim.states = dims == 3 ? array->shape[first] : 1;
    in->sim.ky = array->shape[array->ndim - 2];
    in->sim.kx = array->shape[array->ndim - 1];
    in->patterns = malloc((size_t)(size > 0 ? size : 1) * sizeof *in->patterns);
    if (in->patterns == NULL) {
        um_array_free(array);
        return cli_fail(s->c, UM_ERROR_MEMORY, "%s: no memory", path);
    }
    for (int64_t i = 0; i < size; i++) {
        in->patterns[i] = (float)um_array_get(array, i);
    }
    in->sim.patterns = in->patterns;
    in->sim.pixel_per_A = pixel_of_patterns(s->c, path);
    um_array_free(array);
    return UM_OK;
}

static um_status take_labels(const settings *s, const char *path, inputs *in)
{
    um_array *array = NULL;
    um_status status = um_array_read(s->c->ctx, path, &array);
    if (status != UM_OK) {
        return status;
    }
    int64_t size = um_array_size(array);
    if (array->ndim < 2 ||
        size != array->shape[array->ndim - 2] * array->shape[array->ndim - 1]) {
        status = cli_fail(s->c, UM_ERROR_SHAPE, "%s: a label image has two axes (y, x)", path);
        um_array_free(array);
        return status;
    }
    in->sim.ny = array->shape[array->ndim - 2];
    in->sim.nx = array->shape[array->ndim - 1];
    in->labels = malloc((size_t)(size > 0 ? size : 1) * sizeof *in->labels);
    if (in->labels == NULL) {
        status = cli_fail(s->c, UM_ERROR_MEMORY, "%s: no memory", path);
    }
    for (int64_t i = 0; i < size && status == UM_OK; i++) {
        double label = um_array_get(array, i);
        if (!(label >= 0.0 && label <= 1e6 && floor(label) == label)) {
            status = cli_fail(s->c, UM_ERROR_VALUE,
                              "%s: label %g at (%lld, %lld): labels are whole numbers from 0", path,
                              label, (long long)(i / in->sim.nx), (long long)(i % in->sim.nx));
        } else {
            in->labels[i] = (int32_t)label;
        }
    }
    um_array_free(array);
    in->sim.layout = UM_LAYOUT_LABELS;
    in->sim.labels = in->labels;
    return status;
}

static um_status take_layout(const settings *s, inputs *in)
{
    static const char *const names[] = {"voronoi", "stripes", "discs"};
    const char *text = setting(s, "layout");
    um_status status = take_size(s, "size", &in->sim.ny, &in->sim.nx);
    if (status != UM_OK) {
        return status;
    }
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            in->sim.layout = (um_layout)i;
            return UM_OK;
        }
    }
    return take_labels(s, text, in);
}

static um_status take_all(const settings *s, inputs *in)
{
    um_simulation *sim = &in->sim;
    um_instrument *instrument = &in->instrument;
    *sim = um_simulation_defaults();
    *instrument = um_instrument_defaults();
    um_status status = take_size(s, "pattern-size", &sim->ky, &sim->kx);
    status = status == UM_OK ? take_integer(s, "states", &sim->states) : status;
    status = status == UM_OK ? take_patterns(s, in) : status;
    status = status == UM_OK ? take_layout(s, in) : status;
    status = status == UM_OK ? take_integer(s, "regions", &sim->regions) : status;
    status = status == UM_OK ? take_real(s, "border", &sim->border_px) : status;
    status = status == UM_OK ? take_real(s, "counts", &instrument->counts) : status;
    status = status == UM_OK ? take_real(s, "step", &sim->step_nm) : status;
    bool no_noise = false;
    status = status == UM_OK ? take_switch(s, "no-noise", &no_noise) : status;
    status = status == UM_OK ? take_switch(s, "keep-intensities", &sim->keep_intensities) : status;
    instrument->noise = !no_noise;
    if (status == UM_OK && setting(s, "pixel") != NULL) {
        status = take_real(s, "pixel", &sim->pixel_per_A);
    }
    if (status == UM_OK && !um_dtype_parse(setting(s, "dtype"), &instrument->dtype)) {
        status = cli_fail(s->c, UM_ERROR_ARGUMENT, "dtype takes u8, u16, u32 or f32, not '%s'",
                          setting(s, "dtype"));
    }
    return status;
}

static um_status show(const settings *s, const um_simulation *sim, const um_instrument *instrument,
                      double seconds)
{
    cli *c = s->c;
    um_shape shape = {sim->ny, sim->nx, sim->ky, sim->kx};
    const char *scan = setting(s, "output");
    const char *truth = setting(s, "truth");
    double patterns = (double)(sim->ny * sim->nx);
    if (c->json) {
        return cli_print_json(
            c, json_pack("{s:o, s:o, s:[I,I,I,I], s:s, s:I, s:f, s:f, s:I, s:f, s:f, s:I}", "path",
                         cli_json_text(scan), "truth",
                         truth != NULL ? cli_json_text(truth) : json_null(), "shape", (json_int_t)shape.ny, (json_int_t)shape.nx,
                         (json_int_t)shape.ky, (json_int_t)shape.kx, "dtype",
                         um_dtype_name(instrument->dtype), "states", (json_int_t)sim->states, "counts",
                         instrument->counts, "border_px", sim->border_px, "seed",
                         (json_int_t)um_context_seed(c->ctx), "seconds", seconds,
                         "patterns_per_second", patterns / seconds, "peak_bytes",
                         (json_int_t)cli_peak_bytes()));
    }
    char text[32];
    double bytes = patterns * (double)(sim->ky * sim->kx) * (double)um_dtype_size(instrument->dtype);
    cli_say(c, "scan      %s", scan);
    cli_say(c, "shape     %lld x %lld positions, %lld x %lld pixels, %s, %s", (long long)shape.ny,
            (long long)shape.nx, (long long)shape.ky, (long long)shape.kx,
            um_dtype_name(instrument->dtype), cli_bytes_text(bytes, text));
    cli_say(c, "states    %lld", (long long)sim->states);
    if (instrument->counts > 0.0) {
        cli_say(c, "counts    %g per pattern%s", instrument->counts,
                instrument->noise ? "" : ", without noise");
    }
    if (truth != NULL) {
        cli_say(c, "truth     %s", truth);
    }
    cli_say(c, "time      %s, %.0f patterns/s", cli_seconds_text(seconds, text), patterns / seconds);
    return UM_OK;
}

static um_status simulate(const settings *s)
{
    cli *c = s->c;
    const char *scan = setting(s, "output");
    const char *truth = setting(s, "truth");
    inputs in = {0};
    if (scan == NULL) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "say where the scan goes: -o SCAN.hspy");
    }
    if (truth != NULL && strcmp(scan, truth) == 0) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "%s: scan and truth need two names", scan);
    }
    um_status status = cli_check_output(c, scan, ".hspy .npy");
    if (status == UM_OK && truth != NULL) {
        status = cli_check_output(c, truth, ".hspy .npz");
    }
    if (status == UM_OK) {
        status = take_all(s, &in);
    }
    double start = cli_seconds();
    if (status == UM_OK) {
        const um_scene_files files = {.scan = scan, .truth = truth, .overwrite = c->force};
        status = um_simulate(c->ctx, &in.sim, &in.instrument, &files);
    }
    if (status == UM_OK) {
        status = show(s, &in.sim, &in.instrument, cli_seconds() - start);
    }
    free(in.patterns);
    free(in.labels);
    return status;
}

static um_status run(cli *c)
{
    settings s = {.c = c, .spec = c->operands > 0 ? c->operand[0] : NULL};
    um_status status = read_spec(&s);
    if (status == UM_OK) {
        status = simulate(&s);
    }
    for (int i = 0; i < KEYS; i++) {
        free(s.text[i]);
    }
    return status;
}

const cli_command cli_command_simulate = {
    .name = "simulate",
    .summary = "make a scan with a known answer",
    .operands = "[SPEC.ini]",
    .description =
        "Writes a scan whose answer is known exactly: end-member patterns laid out over the scan, mixed "
        "at borders by a Gaussian probe, with Poisson noise. The truth holds the noise-free patterns "
        "(unit sum), the expected counts of each state at each position, the label (strongest state) "
        "and the fractions; 'unmix score' compares a result with it.\n\n"
        "Every state has --counts in a pattern, however strong the end members are; with "
        "--keep-intensities only the mean pattern has. The same seed gives the same bytes for any number of threads.\n\n"
        "SPEC.ini holds the same settings in a section [simulate], the long options as keys "
        "(border = 0.7, no-noise = true); options on the command line win.",
    .examples = "unmix simulate -o scan.hspy --truth truth.hspy # built-in crystals in Voronoi grains\n"
                "unmix simulate -o scan.hspy --truth truth.hspy --patterns ends.npy --size 64x128 "
                "--counts 3e4 # your own end members\n"
                "unmix simulate specimen.ini -o scan.npy --seed 3 # from a spec file\n",
    .options = options,
    .least_operands = 0,
    .most_operands = 1,
    .run = run,
};
