#include "result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- overview ------------------------------------------------------------------------------- */

/* A copy that outlives the images. */
static double *copy_of(const double *values, int64_t count)
{
    double *copy = malloc((size_t)count * sizeof *copy);
    if (copy != NULL) {
        memcpy(copy, values, (size_t)count * sizeof *copy);
    }
    return copy;
}

/* The sums, the variance and the first virtual image: maps that nobody stores do not wait for the fit. */
static um_status keep_parts(cli *c, um_images *images, um_shape s, cli_overview *out)
{
    out->sums = images->sums;
    images->sums = NULL;
    out->variance_pattern = copy_of(images->variance_pattern, s.ky * s.kx);
    bool virtual = images->apertures > 0;
    if (virtual) {
        out->virtual_map = copy_of(images->virtual_map[0], s.ny * s.nx);
        out->bright = strcmp(images->aperture[0].name, "bright_field") == 0;
    }
    return out->variance_pattern != NULL && (!virtual || out->virtual_map != NULL)
               ? UM_OK
               : cli_fail(c, UM_ERROR_MEMORY, "no memory for the virtual image");
}

um_status cli_overview_aperture(void *user, const um_sums *sums, float *inside)
{
    cli_overview *overview = user;
    return um_aperture_overview(overview->matrix, sums, inside, &overview->pixels, &overview->bright);
}

um_status cli_overview_take(cli *c, um_matrix *matrix, um_sums **sums, double **virtual_map,
                            cli_overview *out)
{
    um_shape s = um_matrix_get_info(matrix)->shape;
    if (out->sums == NULL) {
        out->sums = *sums;
        *sums = NULL;
    }
    if (s.ky == 1 || s.kx == 1 || out->variance_pattern != NULL) {
        return UM_OK;
    }
    out->variance_pattern = calloc((size_t)(s.ky * s.kx), sizeof *out->variance_pattern);
    if (out->variance_pattern == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for a pattern");
    }
    double n = (double)out->sums->positions;
    for (int64_t i = 0; i < s.ky * s.kx && n > 0; i++) {
        double mean = out->sums->sum_pattern[i] / n;
        out->variance_pattern[i] = fmax(out->sums->square_pattern[i] / n - mean * mean, 0);
    }
    if (out->pixels > 0) {
        out->virtual_map = *virtual_map;
        *virtual_map = NULL;
    }
    return UM_OK;
}

um_status cli_overview_make(cli *c, cli_scan *scan, cli_overview *out)
{
    *out = (cli_overview){0};
    um_shape s = um_matrix_get_info(scan->matrix)->shape;
    if (s.ky == 1 || s.kx == 1) {
        return um_matrix_sums(scan->matrix, &out->sums);
    }
    um_images *images = NULL;
    um_status status = um_images_make(scan->matrix, NULL, 0, NAN, NAN, &images);
    if (status == UM_OK) {
        status = keep_parts(c, images, s, out);
    }
    um_images_free(images);
    return status;
}

void cli_overview_free(cli_overview *overview)
{
    um_sums_free(overview->sums);
    free(overview->variance_pattern);
    free(overview->virtual_map);
    *overview = (cli_overview){0};
}

um_status cli_overview_store(const cli_overview *overview, um_model *model)
{
    um_shape shape = um_model_shape(model);
    const int64_t pattern[2] = {shape.ky, shape.kx};
    const int64_t map[2] = {shape.ny, shape.nx};
    um_status status = UM_OK;
    if (overview->variance_pattern != NULL) {
        status = um_model_set_array(model, "variance_pattern", 2, pattern,
                                    overview->variance_pattern);
    }
    if (status == UM_OK && overview->virtual_map != NULL) {
        status = um_model_set_array(model,
                                    overview->bright ? "virtual_bright_field" : "virtual_dark_field",
                                    2, map, overview->virtual_map); /* dark where the beam is masked */
    }
    return status;
}

/* ---- provenance ----------------------------------------------------------------------------- */

json_t *cli_json_input(const um_source_info *info, const char *digest)
{
    return json_pack("{s:o, s:s, s:s, s:o, s:s}", "path", cli_json_text(info->path), "format",
                     info->format, "digest", digest, "shape", cli_json_shape(info->shape), "dtype",
                     um_dtype_name(info->dtype));
}

/* The options of the command itself, by name; a repeated one as a list. */
static json_t *options_json(const cli *c)
{
    json_t *object = json_object();
    for (size_t i = 0; i < c->groups[0].count; i++) {
        const cli_option *o = &c->groups[0].options[i];
        int count = cli_count(c, o->name);
        if (count == 0 && o->preset == NULL) {
            continue;
        }
        if (o->kind == CLI_SWITCH) {
            json_object_set_new(object, o->name, json_true());
        } else if (count <= 1) {
            json_object_set_new(object, o->name, cli_json_text(cli_text(c, o->name)));
        } else {
            json_t *list = json_array();
            for (int k = 0; k < count; k++) {
                json_array_append_new(list, cli_json_text(cli_text_at(c, o->name, k)));
            }
            json_object_set_new(object, o->name, list);
        }
    }
    return object;
}

um_status cli_set_provenance(cli *c, cli_scan *scan, um_model *model, json_t *facts)
{
    char digest[65];
    um_status status = um_source_digest(scan->source, digest);
    if (status != UM_OK) {
        json_decref(facts);
        return status;
    }
    json_t *object = cli_json_object(um_model_provenance(model));
    char *command = cli_command_line(c->argc, c->argv);
    json_t *ours = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:I, s:f, s:I}", "input",
        cli_json_input(um_source_get_info(scan->source), digest), "recipe",
        cli_json_text(um_recipe_text(scan->recipe)), "prep",
        cli_json_object(um_matrix_report(scan->matrix)), "options", options_json(c), "command",
        cli_json_text(command != NULL ? command : ""), "version", um_version(), "build",
        um_build_description(c->ctx), "seed", (json_int_t)um_context_seed(c->ctx), "seconds",
        cli_seconds() - c->started, "peak_bytes", (json_int_t)cli_peak_bytes());
    free(command);
    bool fine = ours != NULL && json_object_update(object, ours) == 0;
    fine = fine && (facts == NULL || json_object_update(object, facts) == 0);
    char *text = fine ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(ours);
    json_decref(facts);
    json_decref(object);
    status = text != NULL ? um_model_set_provenance(model, text)
                          : cli_fail(c, UM_ERROR_MEMORY, "no memory for the provenance");
    free(text);
    return status;
}

/* ---- saving --------------------------------------------------------------------------------- */

um_status cli_check_models(cli *c)
{
    int count = cli_count(c, "output");
    if (count == 0) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "-o OUT is needed: result.hspy or result.npz");
    }
    um_status status = UM_OK;
    for (int i = 0; i < count && status == UM_OK; i++) {
        status = cli_check_output(c, cli_text_at(c, "output", i), CLI_MODEL_SUFFIXES);
        for (int k = 0; k < i && status == UM_OK; k++) {
            if (strcmp(cli_text_at(c, "output", i), cli_text_at(c, "output", k)) == 0) {
                status = cli_fail(c, UM_ERROR_ARGUMENT, "%s: is given twice",
                                  cli_text_at(c, "output", i));
            }
        }
    }
    return status;
}

um_status cli_choose_report(cli *c, char **path)
{
    *path = NULL;
    if (cli_given(c, "no-report")) {
        return cli_given(c, "report")
                   ? cli_fail(c, UM_ERROR_ARGUMENT, "--report and --no-report exclude each other")
                   : UM_OK;
    }
    *path = cli_given(c, "report") ? cli_format("%s", cli_text(c, "report"))
                                   : cli_with_suffix(cli_text_at(c, "output", 0), ".html");
    return *path != NULL ? cli_check_output(c, *path, ".html .htm")
                         : cli_fail(c, UM_ERROR_MEMORY, "no memory");
}

um_status cli_save_models(cli *c, const um_model *model, bool lazy_safe, const char *link,
                          json_t *files)
{
    int count = cli_count(c, "output");
    for (int i = 0; i < count; i++) {
        const char *path = cli_text_at(c, "output", i);
        um_save_options options = {
            .data_link = link, .overwrite = c->force, .lazy_safe = lazy_safe};
        um_status status = um_model_save(c->ctx, model, path, &options);
        if (status != UM_OK) {
            return status;
        }
        json_array_append_new(files, cli_json_text(path));
    }
    return UM_OK;
}

char *cli_data_link(cli *c, const cli_scan *scan)
{
    static const char *const formats[] = {"hspy", "hdf5", "emd", "fpd"};
    const um_source_info *info = um_source_get_info(scan->source);
    bool linkable = false;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        linkable = linkable || strcmp(info->format, formats[i]) == 0;
    }
    if (!linkable || um_recipe_text(scan->recipe)[0] != '\0' || cli_given(c, "scan")) {
        cli_fail(c, UM_ERROR_ARGUMENT, "--link-data needs an HDF5 scan without preparation: %s is "
                                       "%s%s",
                 scan->path, info->format, linkable ? ", prepared or reshaped" : "");
        return NULL;
    }
    char *link = cli_format("%s", scan->path);
    if (link == NULL) {
        cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    return link;
}
