/* What the truth says of its states: names, phases, flags; and of the probe. */
#include "verify_internal.h"

#include <jansson.h>
#include <math.h>

/* The object that describes the simulation; old truths have it, without states. */
static json_t *description(json_t *provenance)
{
    json_t *inner = json_object_get(provenance, "simulation");
    return json_is_object(inner) ? inner : provenance;
}

static void copy_text(const json_t *object, const char *key, char text[UM_SCORE_NAME])
{
    const char *value = json_string_value(json_object_get(object, key));
    if (value != NULL && value[0] != '\0') {
        snprintf(text, UM_SCORE_NAME, "%s", value);
    }
}

static um_status read_states(um_comparison *c, const json_t *states)
{
    for (int64_t t = 0; t < c->truth.k; t++) {
        snprintf(c->score->state[t].name, UM_SCORE_NAME, "state %lld", (long long)t);
    }
    if (states == NULL) {
        return UM_OK;
    }
    if (!json_is_array(states) || (int64_t)json_array_size(states) != c->truth.k) {
        return um_fail(c->ctx, UM_ERROR_FORMAT, "truth: its provenance names %zu states, but it holds %lld patterns",
                       json_array_size(states), (long long)c->truth.k);
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        const json_t *object = json_array_get(states, (size_t)t);
        um_state_score *state = &c->score->state[t];
        copy_text(object, "name", state->name);
        snprintf(state->phase, sizeof state->phase, "%s", state->name);
        copy_text(object, "phase", state->phase);
        state->background = json_is_true(json_object_get(object, "background"));
        state->geometry_only = json_is_true(json_object_get(object, "geometry_only"));
    }
    return UM_OK;
}

um_status um_score_read_truth(um_comparison *c, const um_model *truth)
{
    json_t *provenance = json_loads(um_model_provenance(truth), 0, NULL);
    const json_t *simulation = description(provenance);
    um_status status = read_states(c, json_object_get(simulation, "states"));
    c->score->probe_px = c->options.probe_px;
    if (isnan(c->score->probe_px)) {
        const json_t *probe = json_object_get(simulation, "probe_px");
        probe = probe != NULL ? probe : json_object_get(simulation, "border_px"); /* what old truths call it */
        c->score->probe_px = json_is_number(probe) ? json_number_value(probe) : NAN;
    }
    json_decref(provenance);
    return status;
}
