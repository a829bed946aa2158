/* unmix prep: applies a recipe, stores the prepared scan and what was learned on the way. */
#include "store.h"

#include <stdlib.h>

static const cli_option options[] = {
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT",
     .help = "The prepared scan: .hspy, .npy, .blo, .npz or .tif."},
    {.name = "report", .kind = CLI_FILE, .value = "FILE",
     .help = "Write what the recipe learned from the data as JSON: hot and dead pixels, beam "
             "shifts and outliers, sizes of masks."},
    {.name = "save-recipe", .kind = CLI_FILE, .value = "FILE",
     .help = "Write the recipe as an INI file for --recipe."},
    {.name = "compression", .kind = CLI_CHOICE, .value = "none|gzip|lz4|blosc|bitshuffle",
     .help = "Compression of .hspy files; default: that of the writer."},
    {0}};

/* Side files of the masks: the stored scan has no place for them. */
typedef struct mask_files {
    char *signal, *navigation;
} mask_files;

static um_status write_mask(cli *c, const char *path, const uint8_t *mask, int64_t ny, int64_t nx)
{
    const int64_t shape[2] = {ny, nx};
    return um_npy_write(c->ctx, path, UM_U8, 2, shape, mask);
}

static um_status write_masks(cli *c, const um_matrix_info *info, const mask_files *files)
{
    um_status status = UM_OK;
    if (info->signal_mask != NULL) {
        status = write_mask(c, files->signal, info->signal_mask, info->shape.ky, info->shape.kx);
    }
    if (status == UM_OK && info->navigation_mask != NULL) {
        status = write_mask(c, files->navigation, info->navigation_mask, info->shape.ny,
                            info->shape.nx);
    }
    return status;
}

static um_status write_side_files(cli *c, cli_scan *scan, const mask_files *files)
{
    um_status status = write_masks(c, um_matrix_get_info(scan->matrix), files);
    if (status == UM_OK && cli_given(c, "report")) {
        json_t *report = cli_json_object(um_matrix_report(scan->matrix));
        char *text = json_dumps(report, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
        json_decref(report);
        status = text != NULL ? cli_write_text(c, cli_text(c, "report"), text)
                              : cli_fail(c, UM_ERROR_MEMORY, "no memory for the report");
        free(text);
    }
    if (status == UM_OK && cli_given(c, "save-recipe")) {
        status = cli_write_text(c, cli_text(c, "save-recipe"), um_recipe_text(scan->recipe));
    }
    return status;
}

static um_status tell(cli *c, cli_scan *scan, const char *path, const cli_stored *stored,
                      const mask_files *files)
{
    const um_matrix_info *info = um_matrix_get_info(scan->matrix);
    double seconds = cli_seconds() - c->started;
    if (c->json) {
        json_t *object = json_pack(
            "{s:o, s:o, s:s, s:I, s:o, s:o, s:f, s:I, s:I}", "path", cli_json_text(path), "shape",
            cli_json_shape(info->shape), "dtype", um_dtype_name(stored->dtype), "bytes",
            (json_int_t)stored->bytes, "recipe", cli_json_text(um_recipe_text(scan->recipe)),
            "learned", cli_json_object(um_matrix_report(scan->matrix)), "seconds", seconds,
            "passes", (json_int_t)um_matrix_passes(scan->matrix), "peak_bytes",
            (json_int_t)cli_peak_bytes());
        if (object != NULL && info->signal_mask != NULL) {
            json_object_set_new(object, "signal_mask", cli_json_text(files->signal));
        }
        if (object != NULL && info->navigation_mask != NULL) {
            json_object_set_new(object, "navigation_mask", cli_json_text(files->navigation));
        }
        return cli_print_json(c, object);
    }
    char size[32];
    char time[32];
    cli_say(c, "%s: %lld x %lld positions of %lld x %lld pixels, %s, %s, in %s", path,
            (long long)info->shape.ny, (long long)info->shape.nx, (long long)info->shape.ky,
            (long long)info->shape.kx, um_dtype_name(stored->dtype),
            cli_bytes_text((double)stored->bytes, size), cli_seconds_text(seconds, time));
    if (info->signal_mask != NULL) {
        cli_say(c, "excluded pixels: pass --signal-mask %s with it", files->signal);
    }
    if (info->navigation_mask != NULL) {
        cli_say(c, "excluded positions: pass --navigation-mask %s with it", files->navigation);
    }
    return UM_OK;
}

static um_status check_outputs(cli *c, const char *path, const mask_files *files)
{
    um_status status = cli_check_output(c, path, CLI_SCAN_SUFFIXES);
    const char *const others[] = {cli_text(c, "report"), cli_text(c, "save-recipe"), files->signal,
                                  files->navigation};
    for (size_t i = 0; i < sizeof others / sizeof others[0] && status == UM_OK; i++) {
        status = others[i] != NULL ? cli_check_output(c, others[i], NULL) : UM_OK;
    }
    return status;
}

static um_status prepare(cli *c, const char *path, const mask_files *files)
{
    um_status status = check_outputs(c, path, files);
    if (status != UM_OK) {
        return status;
    }
    cli_store_options store = {.path = path, .compression = cli_text(c, "compression")};
    cli_stored stored = {0};
    cli_scan scan;
    status = cli_scan_prepare(c, c->operand[0], &scan);
    if (status == UM_OK && um_recipe_text(scan.recipe)[0] == '\0') {
        cli_warn(c, "no preparation was asked for: this is a copy");
    }
    if (status == UM_OK) {
        status = cli_store(c, &scan, &store, &stored);
    }
    if (status == UM_OK) {
        status = write_side_files(c, &scan, files);
    }
    if (status == UM_OK) {
        status = tell(c, &scan, path, &stored, files);
    }
    cli_scan_close(&scan);
    return status;
}

static um_status run(cli *c)
{
    const char *path = cli_text(c, "output");
    if (path == NULL) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "-o OUT is needed: where the prepared scan goes");
    }
    mask_files files = {cli_with_suffix(path, ".signal_mask.npy"),
                        cli_with_suffix(path, ".navigation_mask.npy")};
    um_status status = files.signal != NULL && files.navigation != NULL
                           ? prepare(c, path, &files)
                           : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    free(files.signal);
    free(files.navigation);
    return status;
}

const cli_command cli_command_prep = {
    .name = "prep",
    .summary = "apply a recipe to a scan and store the result",
    .operands = "IN -o OUT",
    .description =
        "Crops, bins, repairs, centres and cleans the patterns of a scan as the preparation "
        "options or a recipe file say, in one stream, and stores the prepared scan. The "
        "factorising commands take the same options and need no stored scan; prep is for looking "
        "at what the recipe does.\n\n"
        "Masks are written beside OUT as .signal_mask.npy and .navigation_mask.npy (1 = "
        "excluded), for --signal-mask and --navigation-mask.",
    .examples = "unmix prep scan.hspy -o centred.hspy --center com --report learned.json # centre "
                "the beam\n"
                "unmix prep scan.hspy -o small.hspy --recipe recipe.ini # a recipe from a file\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
