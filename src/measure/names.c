/* What the classes of a model are called: by identification where there is one, else by their number. */
#include "measure_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static um_status find_phase(um_measure *m, const char *name, bool named, int32_t *out)
{
    for (int32_t i = 0; i < m->phases; i++) {
        if (strcmp(m->phase[i].name, name) == 0) {
            *out = i;
            return UM_OK;
        }
    }
    um_measure_phase *grown = realloc(m->phase, (size_t)(m->phases + 1) * sizeof *grown);
    char *copy = um_strdup(name);
    if (grown != NULL) {
        m->phase = grown;
    }
    if (grown == NULL || copy == NULL) {
        free(copy);
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory for names of phases");
    }
    m->phase[m->phases] = (um_measure_phase){.name = copy, .named = named};
    *out = m->phases++;
    return UM_OK;
}

static um_status leave_out(um_measure *m, int64_t component, const char *verdict)
{
    char *line = um_format("class %lld: %s", (long long)component, verdict);
    for (int32_t i = 0; line != NULL && i < m->left_out_count; i++) {
        if (strcmp(m->left_out[i], line) == 0) { /* the same class in another scan */
            free(line);
            return UM_OK;
        }
    }
    char **grown = realloc(m->left_out, (size_t)(m->left_out_count + 1) * sizeof *grown);
    if (grown != NULL) {
        m->left_out = grown;
    }
    if (line == NULL || grown == NULL) {
        free(line);
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory for names of phases");
    }
    m->left_out[m->left_out_count++] = line;
    return UM_OK;
}

/* The entry of a component, which says its number or stands at its place. */
static const json_t *entry_of(const json_t *list, int64_t component)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const json_t *number = json_object_get(entry, "component");
        if (json_is_integer(number) && json_integer_value(number) == component) {
            return entry;
        }
    }
    return NULL;
}

static um_status name_one(um_measure *m, const json_t *list, int64_t component, int32_t *out)
{
    const json_t *entry = entry_of(list, component);
    const char *verdict = json_string_value(json_object_get(entry, "verdict"));
    const char *phase = json_string_value(json_object_get(entry, "phase"));
    *out = -1;
    if (verdict != NULL && (strcmp(verdict, "background") == 0 || strcmp(verdict, "amorphous") == 0)) {
        return leave_out(m, component, verdict);
    }
    if (verdict != NULL && strcmp(verdict, "phase") == 0 && phase != NULL && phase[0] != '\0') {
        return find_phase(m, phase, true, out);
    }
    char *name = um_format("class %lld%s", (long long)component, verdict != NULL ? " (unknown)" : "");
    um_status status = name != NULL ? find_phase(m, name, false, out)
                                    : um_fail(m->ctx, UM_ERROR_MEMORY, "no memory for names of phases");
    free(name);
    return status;
}

um_status um_measure_name_phases(um_measure *m, um_model *model, int32_t *phase_of)
{
    json_t *provenance = json_loads(um_model_provenance(model), 0, NULL);
    const json_t *list = json_object_get(provenance, "identification");
    um_status status = UM_OK;
    for (int64_t c = 0; c < um_model_k(model) && status == UM_OK; c++) {
        status = name_one(m, list, c, &phase_of[c]);
    }
    json_decref(provenance);
    return status;
}
