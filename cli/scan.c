#include "scan.h"

#include <stdlib.h>
#include <string.h>

/* "NYxNX" with positive numbers. */
static bool parse_scan_shape(const char *text, int64_t *ny, int64_t *nx)
{
    const char *by = strchr(text, 'x');
    char first[32];
    if (by == NULL || by - text >= (ptrdiff_t)sizeof first) {
        return false;
    }
    snprintf(first, sizeof first, "%.*s", (int)(by - text), text);
    return cli_parse_integer(first, ny) && cli_parse_integer(by + 1, nx) && *ny > 0 && *nx > 0;
}

static void open_and_close(um_context *ctx, const char *path, const void *how)
{
    um_source *source = NULL;
    if (um_source_open(ctx, path, how, &source) == UM_OK) {
        um_source_free(source);
    }
}

um_status cli_scan_open(cli *c, const char *path, cli_scan *scan)
{
    *scan = (cli_scan){.path = path};
    um_open_options options = {
        .allow_short = cli_given(c, "allow-short"),
        .growing = c->growing,
        .raw = cli_text(c, "raw"),
    };
    const char *shape = cli_text(c, "scan");
    if (shape != NULL && !parse_scan_shape(shape, &options.scan_ny, &options.scan_nx)) {
        return cli_fail(c, UM_ERROR_ARGUMENT,
                        "--scan takes rows x columns of the scan, such as 64x128, not '%s'", shape);
    }
    um_status status = cli_rehearse(c, path, open_and_close, &options);
    return status == UM_OK ? um_source_open(c->ctx, path, &options, &scan->source) : status;
}

um_status cli_scan_recipe(cli *c, cli_scan *scan)
{
    um_status status = um_recipe_create(c->ctx, &scan->recipe);
    if (status == UM_OK && cli_given(c, "recipe")) {
        status = um_recipe_read(scan->recipe, cli_text(c, "recipe"));
    }
    size_t count = 0;
    const um_recipe_key *keys = um_recipe_keys(&count);
    for (size_t k = 0; k < count && status == UM_OK; k++) {
        int times = cli_count(c, keys[k].key);
        for (int i = 0; i < times && status == UM_OK; i++) {
            const char *text = cli_text_at(c, keys[k].key, i);
            status = um_recipe_set(scan->recipe, keys[k].key, text);
        }
    }
    return status;
}

um_status cli_scan_bind(cli *c, cli_scan *scan)
{
    return um_matrix_open(c->ctx, scan->source, scan->recipe, &scan->matrix);
}

um_status cli_scan_prepare(cli *c, const char *path, cli_scan *scan)
{
    um_status status = cli_scan_open(c, path, scan);
    if (status == UM_OK) {
        status = cli_scan_recipe(c, scan);
    }
    return status == UM_OK ? cli_scan_bind(c, scan) : status;
}

void cli_scan_close(cli_scan *scan)
{
    um_matrix_free(scan->matrix);
    um_recipe_free(scan->recipe);
    um_source_free(scan->source);
    *scan = (cli_scan){0};
}

json_t *cli_json_shape(um_shape s)
{
    return json_pack("[I, I, I, I]", (json_int_t)s.ny, (json_int_t)s.nx, (json_int_t)s.ky,
                     (json_int_t)s.kx);
}

json_t *cli_json_axes(const um_axis axes[4])
{
    json_t *list = json_array();
    for (int i = 0; i < 4; i++) {
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o, s:s, s:I, s:b}", "name", axes[i].name, "scale",
                            cli_json_real(axes[i].scale), "offset", cli_json_real(axes[i].offset),
                            "units", axes[i].units, "size", (json_int_t)axes[i].size, "navigate",
                            (int)axes[i].navigate));
    }
    return list;
}

json_t *cli_json_object(const char *text)
{
    json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL;
    if (!json_is_object(object)) {
        json_decref(object);
        return json_object();
    }
    return object;
}
