/* Built-in specimens. */
#include "simulate.h"

#include <stdlib.h>
#include <string.h>

/* Options that lay out end members, and mean nothing for a specimen. */
static const char *const of_layouts[] = {"patterns", "layout", "states", "regions", "border", "keep-intensities"};

static um_status refuse_layout(const simulate_settings *s)
{
    for (size_t i = 0; i < sizeof of_layouts / sizeof of_layouts[0]; i++) {
        if (cli_given(s->c, of_layouts[i])) {
            return cli_fail(s->c, UM_ERROR_ARGUMENT,
                            "--%s is for layouts of end members: see 'unmix simulate %s --list' for what --set takes",
                            of_layouts[i], s->kind);
        }
    }
    return UM_OK;
}

static um_status add(simulate_settings *s, const char *name, const char *value)
{
    char *text = cli_format("%s", value);
    if (text == NULL || !simulate_add_parameter(s, name, text)) {
        free(text);
        return cli_fail(s->c, UM_ERROR_MEMORY, "no memory");
    }
    return UM_OK;
}

/* --size 64x128 is short for --set ny=64 --set nx=128, and the like. */
static um_status add_size(simulate_settings *s, const char *option, const char *rows, const char *columns)
{
    int64_t size[2];
    if (!cli_given(s->c, option)) {
        return UM_OK;
    }
    um_status status = simulate_size(s, option, &size[0], &size[1]);
    for (int i = 0; status == UM_OK && i < 2; i++) {
        char *text = cli_format("%lld", (long long)size[i]);
        status = add(s, i == 0 ? rows : columns, text != NULL ? text : "");
        free(text);
    }
    return status;
}

static um_status add_number(simulate_settings *s, const char *option, const char *name)
{
    return cli_given(s->c, option) ? add(s, name, cli_text(s->c, option)) : UM_OK;
}

static um_status add_sets(simulate_settings *s)
{
    for (int i = 0; i < cli_count(s->c, "set"); i++) {
        char *name = cli_format("%s", cli_text_at(s->c, "set", i));
        char *equals = name != NULL ? strchr(name, '=') : NULL;
        um_status status = UM_OK;
        if (equals == NULL) {
            status = cli_fail(s->c, UM_ERROR_ARGUMENT, "--set takes NAME=VALUE such as nx=200, not '%s'",
                              cli_text_at(s->c, "set", i));
        } else {
            *equals = '\0';
            status = add(s, name, equals + 1);
        }
        free(name);
        if (status != UM_OK) {
            return status;
        }
    }
    return UM_OK;
}

um_status simulate_specimen(simulate_settings *s, const um_instrument *instrument, const um_scene_files *files,
                            simulate_made *made)
{
    um_status status = refuse_layout(s);
    status = status == UM_OK ? add_size(s, "size", "ny", "nx") : status;
    status = status == UM_OK ? add_size(s, "pattern-size", "ky", "kx") : status;
    status = status == UM_OK ? add_number(s, "step", "step_nm") : status;
    status = status == UM_OK ? add_number(s, "pixel", "pixel_per_A") : status;
    status = status == UM_OK ? add_sets(s) : status;
    um_scene *scene = NULL;
    if (status == UM_OK) {
        status = um_specimen_build(s->c->ctx, s->kind, s->parameters, (const char *const *)s->key,
                                   (const char *const *)s->value, &scene);
    }
    if (status == UM_OK) {
        *made = (simulate_made){.shape = {scene->ny, scene->nx, scene->ky, scene->kx},
                                .states = scene->states,
                                .particles = (int64_t)scene->particles};
        status = um_scene_write(s->c->ctx, scene, instrument, files);
    }
    um_scene_free(s->c->ctx, scene);
    return status;
}

static um_status list_kinds(const simulate_settings *s)
{
    json_t *array = json_array();
    const um_specimen_kind *kind = NULL;
    for (size_t i = 0; (kind = um_specimen_kind_at(i)) != NULL; i++) {
        cli_say(s->c, "%-16s %s", kind->name, kind->summary);
        json_array_append_new(array, json_pack("{s:s, s:s}", "name", kind->name, "summary", kind->summary));
    }
    if (s->c->json) {
        return cli_print_json(s->c, json_pack("{s:o}", "specimens", array));
    }
    json_decref(array);
    cli_say(s->c, "\n'unmix simulate NAME --list' shows the parameters of one.");
    return UM_OK;
}

static um_status list_parameters(const simulate_settings *s, const um_specimen_kind *kind)
{
    json_t *array = json_array();
    cli_say(s->c, "%s: %s\n", kind->name, kind->summary);
    for (size_t i = 0; i < kind->parameters; i++) {
        const um_specimen_parameter *p = &kind->parameter[i];
        cli_say(s->c, "%-18s %10s %-8s %s%s%s", p->name, p->preset, p->unit, p->help,
                p->choices != NULL ? ": " : "", p->choices != NULL ? p->choices : "");
        json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s}", "name", p->name, "preset", p->preset, "unit",
                                               p->unit, "help", p->help));
    }
    if (s->c->json) {
        return cli_print_json(s->c, json_pack("{s:s, s:o}", "specimen", kind->name, "parameters", array));
    }
    json_decref(array);
    return UM_OK;
}

um_status simulate_list(const simulate_settings *s)
{
    const um_specimen_kind *kind = s->kind != NULL ? um_specimen_find(s->kind) : NULL;
    if (s->kind != NULL && kind == NULL) {
        return cli_fail(s->c, UM_ERROR_ARGUMENT, "%s: no such specimen: see 'unmix simulate --list'", s->kind);
    }
    return kind != NULL ? list_parameters(s, kind) : list_kinds(s);
}
