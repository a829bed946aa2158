#include "measure_job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- words "NAME=VALUE" ------------------------------------------------------------------------- */

/* The value for `name` of a repeated option: the last "NAME=VALUE" of that name, else the last without a name. */
static const char *value_for(const cli *c, const char *option, const char *name)
{
    const char *general = NULL;
    const char *own = NULL;
    for (int i = 0; i < cli_count(c, option); i++) {
        const char *text = cli_text_at(c, option, i);
        const char *equals = strchr(text, '=');
        if (equals == NULL) {
            general = text;
        } else if (strlen(name) == (size_t)(equals - text) && strncmp(text, name, strlen(name)) == 0) {
            own = equals + 1;
        }
    }
    return own != NULL ? own : general;
}

/* "12h=aged.hspy" -> the condition, malloc'ed, and the path; a file of the whole name has none. */
static char *split_operand(const char *operand, const char **path)
{
    const char *equals = strchr(operand, '=');
    const char *slash = strchr(operand, '/');
    *path = operand;
    if (equals == NULL || equals == operand || (slash != NULL && slash < equals) || access(operand, F_OK) == 0) {
        return NULL;
    }
    *path = equals + 1;
    return cli_format("%.*s", (int)(equals - operand), operand);
}

/* ---- thickness ---------------------------------------------------------------------------------- */

static um_status read_map(cli *c, const char *path, um_shape shape, double **out)
{
    um_array *a = NULL;
    um_status status = um_array_read(c->ctx, path, &a);
    if (status != UM_OK) {
        return status;
    }
    int64_t n = shape.ny * shape.nx;
    bool fits = um_array_size(a) == n && (a->ndim < 2 || a->shape[a->ndim - 1] == shape.nx);
    *out = fits ? calloc((size_t)n, sizeof **out) : NULL;
    if (!fits) {
        status = cli_fail(c, UM_ERROR_SHAPE, "%s: is no map of %lld x %lld positions", path, (long long)shape.ny,
                          (long long)shape.nx);
    } else if (*out == NULL) {
        status = cli_fail(c, UM_ERROR_MEMORY, "no memory for a thickness map");
    }
    for (int64_t i = 0; status == UM_OK && i < n; i++) {
        (*out)[i] = um_array_get(a, i);
    }
    um_array_free(a);
    return status;
}

static um_status read_log_ratio(cli *c, const char *text, um_shape shape, double **out)
{
    const char *comma = strchr(text, ',');
    if (comma == NULL || comma == text || comma[1] == '\0' || !cli_given(c, "mean-free-path")) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--log-ratio takes two maps, ZERO,ALL, and needs --mean-free-path");
    }
    char *first = cli_format("%.*s", (int)(comma - text), text);
    double *zero = NULL;
    double *all = NULL;
    um_status status = first != NULL ? read_map(c, first, shape, &zero) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    status = status == UM_OK ? read_map(c, comma + 1, shape, &all) : status;
    if (status == UM_OK) {
        status = um_thickness_log_ratio(c->ctx, zero, all, shape.ny * shape.nx, cli_real(c, "mean-free-path"), all);
    }
    free(first);
    free(zero);
    if (status != UM_OK) {
        free(all);
        return status;
    }
    *out = all;
    return UM_OK;
}

static um_status read_thickness(cli *c, const char *condition, um_shape shape, um_measure_input *input, double **map)
{
    const char *given = value_for(c, "thickness", condition);
    const char *ratio = value_for(c, "log-ratio", condition);
    um_status status = UM_OK;
    input->thickness_nm = NAN;
    if (given != NULL && ratio != NULL) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--thickness and --log-ratio exclude each other");
    }
    if (given != NULL && !cli_parse_real(given, &input->thickness_nm)) {
        input->thickness_nm = NAN;
        status = read_map(c, given, shape, map);
    } else if (ratio != NULL) {
        status = read_log_ratio(c, ratio, shape, map);
    }
    input->thickness_map = *map;
    return status;
}

/* ---- scans -------------------------------------------------------------------------------------- */

static um_status add_model(cli *c, const char *operand, um_measure *m)
{
    const char *path = NULL;
    char *condition = split_operand(operand, &path);
    um_model *model = NULL;
    double *map = NULL;
    um_status status = cli_model_load(c, path, &model);
    if (status == UM_OK) {
        um_measure_input input = {.condition = condition, .path = path, .model = model};
        input.step_nm = cli_given(c, "step") ? cli_real(c, "step") : 0.0;
        status = read_thickness(c, condition != NULL ? condition : "all", um_model_shape(model), &input, &map);
        status = status == UM_OK ? um_measure_add(m, &input) : status;
    }
    um_model_free(model);
    free(map);
    free(condition);
    return status;
}

static um_status set_heights(cli *c, um_measure *m)
{
    static const char *const words[] = {"none", "diameter", "length", "width"};
    um_status status = UM_OK;
    for (int i = 0; i < cli_count(c, "height") && status == UM_OK; i++) {
        const char *text = cli_text_at(c, "height", i);
        const char *equals = strrchr(text, '=');
        const char *word = equals != NULL ? equals + 1 : text;
        char *phase = equals != NULL ? cli_format("%.*s", (int)(equals - text), text) : NULL;
        um_height_kind kind = UM_HEIGHT_NM;
        double nm = 0.0;
        for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
            kind = strcmp(word, words[k]) == 0 ? (um_height_kind)k : kind;
        }
        if (kind == UM_HEIGHT_NM && (!cli_parse_real(word, &nm) || nm < 0.0)) {
            status = cli_fail(c, UM_ERROR_ARGUMENT, "--height takes none, diameter, length, width or nm, not '%s'", word);
        } else {
            status = um_measure_set_height(m, phase, kind, nm);
        }
        free(phase);
    }
    return status;
}

um_status measure_job_make(cli *c, const char *const *operands, int count, um_measure **out)
{
    *out = NULL;
    um_measure *m = NULL;
    um_status status = um_measure_create(c->ctx, &m);
    for (int i = 0; i < count && status == UM_OK; i++) {
        status = add_model(c, operands[i], m);
    }
    status = status == UM_OK && count > 0 ? set_heights(c, m) : status;
    status = status == UM_OK ? um_measure_finish(m) : status;
    if (status != UM_OK) {
        um_measure_free(m);
        return status;
    }
    *out = m;
    return UM_OK;
}
