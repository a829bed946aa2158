/* What the command line and the spec file of unmix simulate say. */
#include "simulate.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const cli_option simulate_options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "SCAN",
     .help = "The scan to write, .hspy, .npy or .blo (square patterns, --dtype u8)."},
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
    {.name = "set", .kind = CLI_TEXT, .repeat = true, .value = "NAME=VALUE",
     .help = "A parameter of the specimen; --list shows them."},
    {.name = "list", .kind = CLI_SWITCH,
     .help = "Show the built-in specimens, or the parameters of the one named, and end."},
    {.name = "compression", .kind = CLI_CHOICE, .value = "none|gzip|lz4|blosc|bitshuffle",
     .help = "Of the chunks of a .hspy scan; default that of the format."},
    {.name = "probe", .kind = CLI_REAL, .value = "NM", .least = 0,
     .help = "Full width at half maximum of the Gaussian probe in nm, which blurs every map; default 0 = a point."},
    {.name = "spread", .kind = CLI_REAL, .value = "PX", .least = 0,
     .help = "Point spread of the camera: standard deviation in detector pixels."},
    {.name = "inelastic", .kind = CLI_REAL, .value = "F", .least = 0, .most = 1,
     .help = "Fraction of the electrons that is spread about every beam."},
    {.name = "inelastic-width", .kind = CLI_REAL, .value = "PER_A", .least = 0,
     .help = "Standard deviation of that spread in 1/\u00c5; default 0.3."},
    {.name = "descan", .kind = CLI_TEXT, .value = "YY,YX,XY,XX",
     .help = "Shift of the pattern over the whole scan in px: of y along y, of y along x, of x along y, of x along x."},
    {.name = "descan-jitter", .kind = CLI_REAL, .value = "PX", .least = 0,
     .help = "Standard deviation of the pattern's shift from position to position, in px."},
    {.name = "afterglow", .kind = CLI_REAL, .value = "F", .least = 0, .most = 0.5,
     .help = "Part of a signal that the detector still shows at the next position of the row."},
    {.name = "gain", .kind = CLI_REAL, .value = "G", .help = "Stored value per electron; default 1."},
    {.name = "offset", .kind = CLI_REAL, .value = "V", .help = "Stored value of no electrons."},
    {.name = "read-noise", .kind = CLI_REAL, .value = "V", .least = 0,
     .help = "Standard deviation of Gaussian read noise, in stored values."},
    {.name = "saturation", .kind = CLI_REAL, .value = "V", .least = 0,
     .help = "Largest stored value; default what --bits and --dtype hold."},
    {.name = "bits", .kind = CLI_INTEGER, .value = "N", .least = 0, .most = 32,
     .help = "Of the digitiser, such as 12; default all of --dtype."},
    {.name = "hot", .kind = CLI_REAL, .value = "F", .least = 0, .most = 0.5, .help = "Fraction of hot pixels."},
    {.name = "hot-counts", .kind = CLI_REAL, .value = "N", .least = 0,
     .help = "Mean counts that a hot pixel adds; default 20."},
    {.name = "dead", .kind = CLI_REAL, .value = "F", .least = 0, .most = 0.5, .help = "Fraction of dead pixels."},
    {0}};
_Static_assert(sizeof simulate_options / sizeof simulate_options[0] == SIMULATE_KEYS + 1, "count of options");


static int key_index(const char *name)
{
    for (int i = 0; i < SIMULATE_KEYS; i++) {
        if (strcmp(simulate_options[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *simulate_text(const simulate_settings *s, const char *name)
{
    const char *of_spec = s->text[key_index(name)];
    return of_spec != NULL && !cli_given(s->c, name) ? of_spec : cli_text(s->c, name);
}

bool simulate_add_parameter(simulate_settings *s, const char *name, char *value)
{
    size_t bytes = (size_t)(s->parameters + 1) * sizeof *s->key;
    char **key = realloc(s->key, bytes);
    s->key = key != NULL ? key : s->key;
    char **texts = key != NULL ? realloc(s->value, bytes) : NULL;
    s->value = texts != NULL ? texts : s->value;
    char *copy = texts != NULL ? cli_format("%s", name) : NULL;
    if (copy == NULL) {
        return false;
    }
    s->key[s->parameters] = copy;
    s->value[s->parameters++] = value;
    return true;
}

void simulate_settings_free(simulate_settings *s)
{
    for (int i = 0; i < SIMULATE_KEYS; i++) {
        free(s->text[i]);
    }
    for (int i = 0; i < s->parameters; i++) {
        free(s->key[i]);
        free(s->value[i]);
    }
    free(s->key);
    free(s->value);
    free(s->kind);
}

/* A parameter of the specimen, or which specimen. */
static int take_parameter(simulate_settings *s, const char *name, const char *value)
{
    char *text = cli_format("%s", value);
    if (strcmp(name, "kind") == 0) {
        free(s->kind);
        s->kind = text;
        return text != NULL;
    }
    if (text == NULL || !simulate_add_parameter(s, name, text)) {
        free(text);
        return 0;
    }
    return 1;
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
    simulate_settings *s = user;
    s->any_key = true;
    if (strcmp(section, "specimen") == 0) {
        return take_parameter(s, name, value);
    }
    bool known = strcmp(section, "simulate") == 0 || strcmp(section, "instrument") == 0;
    int i = known && strcmp(name, "set") != 0 && strcmp(name, "list") != 0 ? key_index(name) : -1;
    if (i < 0) {
        snprintf(s->error, sizeof s->error,
                 "[%s] %s: not known here: a spec has sections [simulate] and [instrument] with the long options "
                 "of this command as keys, and [specimen] with kind = NAME and its parameters",
                 section, name);
        return 0;
    }
    free(s->text[i]);
    s->text[i] = cli_format("%s", value);
    return s->text[i] != NULL;
}

um_status simulate_read_spec(simulate_settings *s)
{
    if (s->spec == NULL || um_specimen_find(s->spec) != NULL) {
        s->kind = s->spec != NULL ? cli_format("%s", s->spec) : NULL;
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

um_status simulate_size(const simulate_settings *s, const char *name, int64_t *rows, int64_t *columns)
{
    const char *text = simulate_text(s, name);
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

um_status simulate_real(const simulate_settings *s, const char *name, double *out)
{
    const char *text = simulate_text(s, name);
    if (!cli_parse_real(text, out) || *out < 0.0) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "%s takes a number that is not negative, not '%s'",
                        name, text);
    }
    return UM_OK;
}

um_status simulate_integer(const simulate_settings *s, const char *name, int64_t *out)
{
    const char *text = simulate_text(s, name);
    if (!cli_parse_integer(text, out) || *out < 0) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "%s takes a whole number, not '%s'", name, text);
    }
    return UM_OK;
}

/* A switch: given, or true in the spec. */
um_status simulate_switch(const simulate_settings *s, const char *name, bool *on)
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

/* Real numbers of the instrument whose option is not given keep their preset. */
static um_status take_camera(const simulate_settings *s, um_instrument *i)
{
    struct {
        const char *name;
        double *value;
    } reals[] = {{"counts", &i->counts},
                 {"probe", &i->probe_nm},
                 {"spread", &i->spread_px},
                 {"inelastic", &i->inelastic},
                 {"inelastic-width", &i->inelastic_per_A},
                 {"descan-jitter", &i->descan_jitter_px},
                 {"afterglow", &i->afterglow},
                 {"gain", &i->gain},
                 {"read-noise", &i->read_noise},
                 {"saturation", &i->saturation},
                 {"hot", &i->hot},
                 {"hot-counts", &i->hot_counts},
                 {"dead", &i->dead}};
    um_status status = UM_OK;
    for (size_t n = 0; status == UM_OK && n < sizeof reals / sizeof reals[0]; n++) {
        if (simulate_text(s, reals[n].name) != NULL) {
            status = simulate_real(s, reals[n].name, reals[n].value);
        }
    }
    const char *offset = simulate_text(s, "offset");
    if (status == UM_OK && offset != NULL && !cli_parse_real(offset, &i->offset)) {
        status = cli_fail(s->c, UM_ERROR_ARGUMENT, "offset takes a number, not '%s'", offset);
    }
    int64_t bits = 0;
    if (status == UM_OK && simulate_text(s, "bits") != NULL) {
        status = simulate_integer(s, "bits", &bits);
        i->bits = bits <= 32 ? (int)bits : 33;
    }
    return status;
}

static um_status take_descan(const simulate_settings *s, um_instrument *i)
{
    const char *text = simulate_text(s, "descan");
    int used = 0;
    if (text != NULL &&
        (sscanf(text, "%lf,%lf,%lf,%lf%n", &i->descan_px[0][0], &i->descan_px[0][1], &i->descan_px[1][0],
                &i->descan_px[1][1], &used) != 4 ||
         text[used] != '\0')) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "descan takes four numbers such as 1,0,0,-2, not '%s'", text);
    }
    return UM_OK;
}

um_status simulate_instrument(const simulate_settings *s, um_instrument *instrument)
{
    *instrument = um_instrument_defaults();
    um_status status = take_camera(s, instrument);
    status = status == UM_OK ? take_descan(s, instrument) : status;
    bool no_noise = false;
    status = status == UM_OK ? simulate_switch(s, "no-noise", &no_noise) : status;
    instrument->noise = !no_noise;
    if (status == UM_OK && !um_dtype_parse(simulate_text(s, "dtype"), &instrument->dtype)) {
        status = cli_fail(s->c, UM_ERROR_ARGUMENT, "dtype takes u8, u16, u32 or f32, not '%s'",
                          simulate_text(s, "dtype"));
    }
    return status;
}
