/* unmix info: what a scan file holds, and how fast it reads here. */
#include "scan.h"

#include <stdlib.h>
#include <string.h>

enum { METADATA_LINES = 40, VALUE_WIDTH = 100, LONGEST_LIST = 8 };

typedef struct reading {
    double bytes, seconds; /* of the timed read */
} reading;

static const cli_option options[] = {
    {.name = "no-timing", .kind = CLI_SWITCH, .help = "Do not read patterns to measure the speed."},
    {0}};

static int64_t pattern_bytes(const um_source_info *info)
{
    return info->shape.ky * info->shape.kx * (int64_t)um_dtype_size(info->dtype);
}

/* Reads blocks spread over the scan for a short while. */
static um_status time_read(cli *c, um_source *source, reading *out)
{
    const double longest = 0.25;
    const int64_t most_bytes = (int64_t)64 << 20;
    const um_source_info *info = um_source_get_info(source);
    int64_t pattern = pattern_bytes(info);
    int64_t block_nx = info->block_nx < info->shape.nx ? info->block_nx : info->shape.nx;
    int64_t block_ny = info->block_ny < info->shape.ny ? info->block_ny : info->shape.ny;
    while (block_ny > 1 && block_ny * block_nx * pattern > most_bytes) {
        block_ny = (block_ny + 1) / 2;
    }
    while (block_nx > 1 && block_ny * block_nx * pattern > most_bytes) {
        block_nx = (block_nx + 1) / 2;
    }
    int64_t bytes = block_ny * block_nx * pattern;
    if (bytes > 4 * most_bytes || (size_t)bytes > um_context_memory(c->ctx)) {
        return UM_OK;
    }
    void *buffer = malloc((size_t)bytes);
    if (buffer == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for a block of patterns");
    }
    enum { PLACES = 16 };
    um_status status = UM_OK;
    double start = cli_seconds();
    for (int i = 0; i < PLACES && status == UM_OK && cli_seconds() - start < longest; i++) {
        int64_t by = (info->shape.ny / block_ny - 1) * i / (PLACES - 1);
        int64_t bx = (info->shape.nx / block_nx - 1) * (i * 7 % PLACES) / (PLACES - 1);
        um_rect rect = {by * block_ny, bx * block_nx, block_ny, block_nx};
        status = um_source_read(source, rect, buffer);
        out->bytes += (double)bytes;
    }
    out->seconds = cli_seconds() - start;
    free(buffer);
    return status;
}

static json_t *as_json(const um_source_info *info, const char *metadata, const reading *read)
{
    double total = (double)(info->shape.ny * info->shape.nx) * (double)pattern_bytes(info);
    json_t *object = json_pack("{s:o, s:s, s:o, s:s, s:o, s:o, s:I, s:[I, I], s:I}", "path",
                               cli_json_text(info->path), "format", info->format, "shape",
                               cli_json_shape(info->shape), "dtype", um_dtype_name(info->dtype),
                               "axes", cli_json_axes(info->axes), "metadata",
                               cli_json_object(metadata), "bytes", (json_int_t)total, "block_shape",
                               (json_int_t)info->block_ny, (json_int_t)info->block_nx,
                               "positions_present", (json_int_t)info->positions_present);
    if (object != NULL && read->bytes > 0 && read->seconds > 0) {
        double rate = read->bytes / read->seconds;
        json_object_set_new(object, "bytes_per_second", cli_json_real(rate));
        json_object_set_new(object, "seconds_per_read", cli_json_real(total / rate));
    }
    return object;
}

static void say_value(cli *c, const char *name, const json_t *value)
{
    char *text = json_is_string(value)
                     ? strdup(json_string_value(value))
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
    if (text == NULL) {
        return;
    }
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 127) {
            *p = ' ';
        }
    }
    size_t length = strlen(text);
    bool cut = length > VALUE_WIDTH;
    size_t shown = cut ? VALUE_WIDTH : length;
    while (cut && shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80) {
        shown--; /* not inside a UTF-8 character */
    }
    cli_say(c, "  %s: %.*s%s", name, (int)shown, text, cut ? "..." : "");
    free(text);
}

/* One line per leaf, "Acquisition_instrument.TEM.beam_energy: 200". */
static void say_metadata(cli *c, const char *prefix, const json_t *object, int *lines)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)object, key, value)
    {
        char *name = cli_format("%s%s%s", prefix, prefix[0] != '\0' ? "." : "", key);
        if (name == NULL) {
            return;
        }
        if (json_is_object(value)) {
            say_metadata(c, name, value, lines);
        } else if (json_array_size(value) <= LONGEST_LIST) { /* 0 for what is no list */
            if (*lines < METADATA_LINES) {
                say_value(c, name, value);
            }
            *lines += 1;
        }
        free(name);
    }
}

static void say_info(cli *c, const um_source_info *info, const char *metadata, const reading *read)
{
    char text[32];
    char text2[32];
    double total = (double)(info->shape.ny * info->shape.nx) * (double)pattern_bytes(info);
    cli_say(c, "%s", info->path);
    cli_say(c, "format       %s", info->format);
    cli_say(c, "scan         %lld x %lld positions (y, x)", (long long)info->shape.ny,
            (long long)info->shape.nx);
    cli_say(c, "patterns     %lld x %lld pixels (ky, kx)", (long long)info->shape.ky,
            (long long)info->shape.kx);
    cli_say(c, "values       %s, %s in memory", um_dtype_name(info->dtype),
            cli_bytes_text(total, text));
    if (info->positions_present < info->shape.ny * info->shape.nx) {
        cli_say(c, "present      %lld of %lld positions", (long long)info->positions_present,
                (long long)(info->shape.ny * info->shape.nx));
    }
    cli_say(c, "read at once %lld x %lld positions", (long long)info->block_ny,
            (long long)info->block_nx);
    if (read->bytes > 0 && read->seconds > 0) {
        double rate = read->bytes / read->seconds;
        cli_say(c, "one read     %s with one thread (%s/s, measured now)",
                total / rate < 1e-3 ? "under 1 ms" : cli_seconds_text(total / rate, text),
                cli_bytes_text(rate, text2));
    }
    cli_say(c, "\n%-8s %8s  %-14s %-14s %s", "axis", "size", "scale", "offset", "units");
    for (int i = 0; i < 4; i++) {
        const um_axis *a = &info->axes[i];
        cli_say(c, "%-8s %8lld  %-14.8g %-14.8g %s%s", a->name, (long long)a->size, a->scale,
                a->offset, a->units[0] != '\0' ? a->units : "px",
                a->navigate ? "" : "  (detector)");
    }
    json_t *object = cli_json_object(metadata);
    if (json_object_size(object) > 0) {
        int lines = 0;
        cli_say(c, "\nmetadata");
        say_metadata(c, "", object, &lines);
        if (lines > METADATA_LINES) {
            cli_say(c, "  ... and %d more: --json shows everything, long lists too",
                    lines - METADATA_LINES);
        }
    }
    json_decref(object);
}

/* What the recipe makes of the scan; only when there is a recipe, since binding may read the data.
 */
static um_status prepared(cli *c, cli_scan *scan, json_t *object)
{
    um_status status = cli_scan_bind(c, scan);
    if (status != UM_OK) {
        return status;
    }
    const um_matrix_info *info = um_matrix_get_info(scan->matrix);
    if (c->json) {
        json_object_set_new(object, "prepared",
                            json_pack("{s:o, s:s, s:o, s:b, s:o}", "shape",
                                      cli_json_shape(info->shape), "dtype",
                                      um_dtype_name(info->dtype), "axes", cli_json_axes(info->axes),
                                      "counts", (int)info->counts, "learned",
                                      cli_json_object(um_matrix_report(scan->matrix))));
    }
    cli_say(c, "\nprepared     %lld x %lld positions of %lld x %lld pixels, %s",
            (long long)info->shape.ny, (long long)info->shape.nx, (long long)info->shape.ky,
            (long long)info->shape.kx, um_dtype_name(info->dtype));
    return UM_OK;
}

static um_status show(cli *c, cli_scan *scan, const reading *read)
{
    const um_source_info *info = um_source_get_info(scan->source);
    const char *metadata = um_source_metadata(scan->source);
    json_t *object = NULL;
    um_status status = UM_OK;
    if (c->json) {
        object = as_json(info, metadata, read);
    } else {
        say_info(c, info, metadata, read);
    }
    if (um_recipe_text(scan->recipe)[0] != '\0') {
        status = prepared(c, scan, object);
    }
    if (status != UM_OK || !c->json) {
        json_decref(object);
        return status;
    }
    return cli_print_json(c, object);
}

static um_status run(cli *c)
{
    cli_scan scan;
    reading read = {0};
    um_status status = cli_scan_open(c, c->operand[0], &scan);
    if (status == UM_OK) {
        status = cli_scan_recipe(c, &scan);
    }
    if (status == UM_OK && !cli_given(c, "no-timing")) {
        status = time_read(c, scan.source, &read);
    }
    if (status == UM_OK) {
        status = show(c, &scan, &read);
    }
    cli_scan_close(&scan);
    return status;
}

const cli_command cli_command_info = {
    .name = "info",
    .summary = "show shape, calibration, metadata and reading speed of a scan",
    .operands = "FILE",
    .description =
        "Shows what a scan file holds: format, shape, type of the values, calibration of the four "
        "axes, metadata, and how long one read of all patterns takes, measured by a short timed "
        "read.\n\n"
        "FILE is a scan in any format that unmix reads, found from its content. FILE.h5:/path "
        "names a dataset in an HDF5 file. A 2-D array is taken as positions x pixels, a 3-D array "
        "as a line or stack of patterns: --scan NYxNX gives a stack its shape. With preparation "
        "options, the prepared shape is shown as well.",
    .examples = "unmix info scan.hspy # for people\n"
                "unmix info --json scan.mib --scan 256x256 # for programs\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
