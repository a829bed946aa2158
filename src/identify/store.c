/* An identification as part of its model: provenance and maps. */
#include "identify_internal.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static json_t *real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text(const char *value)
{
    json_t *string = json_string(value);
    return string != NULL ? string : json_string("?"); /* a name that is no UTF-8 */
}

static json_t *zone_of(const um_match *m)
{
    char zone[48];
    snprintf(zone, sizeof zone, "[%d %d %d]", m->zone[0], m->zone[1], m->zone[2]);
    return m->phase >= 0 ? json_string(zone) : json_null();
}

static json_t *component_json(const um_identification *id, int64_t c)
{
    const um_identified *i = &id->component[c];
    const um_match *m = &i->best;
    bool named = i->verdict == UM_VERDICT_PHASE;
    json_t *o = json_pack("{s:I, s:s, s:o, s:s}", "component", (json_int_t)c, "verdict", um_verdict_word(i->verdict), "phase",
                          named ? text(id->phase[m->phase]) : json_null(), "reason", i->reason);
    json_object_set_new(o, "nearest", m->phase >= 0 ? text(id->phase[m->phase]) : json_null());
    json_object_set_new(o, "zone", zone_of(m));
    json_object_set_new(o, "off_zone_mrad", m->phase >= 0 ? real(m->off_zone_mrad) : json_null());
    json_object_set_new(o, "rotation_deg", m->phase >= 0 ? real(m->rotation_deg) : json_null());
    json_object_set_new(o, "euler_deg", json_pack("[f, f, f]", m->euler_deg[0], m->euler_deg[1], m->euler_deg[2]));
    json_object_set_new(o, "orientation", named ? json_integer(i->orientation) : json_null());
    json_object_set_new(o, "score", real(m->score));
    json_object_set_new(o, "runner_up", i->runner_up.phase >= 0 ? text(id->phase[i->runner_up.phase]) : json_null());
    json_object_set_new(o, "runner_up_score", i->runner_up.phase >= 0 ? real(i->runner_up.score) : json_null());
    json_object_set_new(o, "margin", real(i->margin));
    json_object_set_new(o, "chance", real(i->chance));
    json_object_set_new(o, "matched", json_integer(m->matched));
    json_object_set_new(o, "spots", json_integer((json_int_t)i->spots));
    json_object_set_new(o, "explained", real(m->explained));
    json_object_set_new(o, "seen", real(m->seen));
    json_object_set_new(o, "scale", m->phase >= 0 ? real(m->scale) : json_null());
    json_object_set_new(o, "halo_per_A", real(i->halo_per_A));
    json_t *scores = json_array();
    for (size_t p = 0; p < id->phases; p++) {
        json_array_append_new(scores, real(i->score_of[p]));
    }
    json_object_set_new(o, "scores", scores);
    return o;
}

static json_t *calibration_json(const um_identification *id)
{
    const um_identify_options *h = &id->options;
    return json_pack("{s:f, s:[f, f], s:f, s:f, s:f, s:o, s:o, s:[o, o], s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:i}", "scale_per_A",
                     id->scale_per_A, "center", id->cy, id->cx, "voltage_kV", id->voltage_kV, "precession_mrad",
                     id->precession_mrad, "thickness_nm", h->thickness_nm, "scale_found", real(id->scale), "scale_spread",
                     real(id->scale_spread), "center_shift_px", real(id->shift_y), real(id->shift_x), "ellipse_ratio",
                     real(id->ellipse_ratio), "ellipse_deg", real(id->ellipse_deg), "scale_tolerance", h->scale_tolerance,
                     "center_tolerance_px", h->center_tolerance, "ellipse_tolerance", h->ellipse_tolerance, "step_deg",
                     h->step_deg, "false_rate", h->false_rate, "null_patterns", h->null_patterns);
}

static json_t *relations_json(const um_identification *id)
{
    json_t *list = json_array();
    for (size_t i = 0; i < id->relations; i++) {
        const um_relation *r = &id->relation[i];
        json_array_append_new(list, json_pack("{s:[I, I], s:f, s:[f, f, f]}", "components", (json_int_t)r->a, (json_int_t)r->b,
                                              "angle_deg", r->angle_deg, "axis", r->axis[0], r->axis[1], r->axis[2]));
    }
    return list;
}

static um_status set_provenance(um_context *ctx, const um_identification *id, um_model *model)
{
    json_t *all = json_loads(um_model_provenance(model), 0, NULL), *list = json_array(), *phases = json_array();
    all = json_is_object(all) ? all : json_object();
    for (int64_t c = 0; c < id->k; c++) {
        json_array_append_new(list, component_json(id, c));
    }
    for (size_t p = 0; p < id->phases; p++) {
        json_array_append_new(phases, text(id->phase[p]));
    }
    bool fine = json_object_set_new(all, "identification", list) == 0;
    fine = json_object_set_new(all, "phases", phases) == 0 && fine;
    fine = json_object_set_new(all, "calibration", calibration_json(id)) == 0 && fine;
    fine = json_object_set_new(all, "orientations", relations_json(id)) == 0 && fine;
    char *json = fine ? json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    json_decref(all);
    um_status status = json != NULL ? um_model_set_provenance(model, json)
                                    : um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory for the provenance");
    free(json);
    return status;
}

/* How much of component c is at position p. */
static double amount(um_model *model, const um_array *fractions, const double *sums, int64_t positions, int64_t p, int64_t c)
{
    double value = fractions != NULL ? um_array_get(fractions, c * positions + p)
                                     : (double)um_model_loadings(model)[p * um_model_k(model) + c] * sums[c];
    return isfinite(value) ? value : 0.0;
}

static um_status set_map(um_context *ctx, const um_identification *id, um_model *model, const double *index)
{
    um_shape s = um_model_shape(model);
    int64_t positions = s.ny * s.nx, pixels = s.ky * s.kx;
    const int64_t shape[2] = {s.ny, s.nx};
    const um_array *fractions = um_model_array(model, "fractions");
    fractions = fractions != NULL && um_array_size(fractions) == id->k * positions && fractions->ndim == 3 &&
                        fractions->shape[0] == id->k
                    ? fractions
                    : NULL;
    double *map = NULL, *sums = calloc((size_t)id->k, sizeof *sums);
    um_status status = sums != NULL ? um_buffer_alloc(ctx, (size_t)positions, sizeof *map, "a map of phases", &map)
                                    : um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
    for (int64_t i = 0; i < id->k * pixels && status == UM_OK; i++) {
        double v = (double)um_model_factors(model)[i];
        sums[i / pixels] += isfinite(v) ? v : 0.0;
    }
    for (int64_t p = 0; p < positions && status == UM_OK; p++) {
        double most = 0.0;
        map[p] = -1.0;
        for (int64_t c = 0; c < id->k; c++) {
            double now = amount(model, fractions, sums, positions, p, c);
            if (now > most) {
                most = now;
                map[p] = index[c];
            }
        }
    }
    status = status == UM_OK ? um_model_set_array(model, "phase_map", 2, shape, map) : status;
    um_buffer_free(ctx, map);
    free(sums);
    return status;
}

/* Rows of component, row, column, amplitude, paired, and h, k, l of reflections. */
static um_status set_spots(um_context *ctx, const um_identification *id, um_model *model, bool reflections)
{
    const char *name = reflections ? "identified_reflections" : "identified_spots";
    int64_t shape[2] = {0, reflections ? 8 : 5}, row = 0;
    double *table = NULL;
    for (int64_t c = 0; c < id->k; c++) {
        shape[0] += (int64_t)(reflections ? id->component[c].reflections : id->component[c].spots);
    }
    UM_TRY(um_buffer_alloc(ctx, (size_t)(shape[0] * shape[1]) + 1, sizeof *table, "a table of spots", &table));
    for (int64_t c = 0; c < id->k; c++) {
        const um_identified *i = &id->component[c];
        const um_identify_spot *list = reflections ? i->reflection : i->spot;
        for (size_t n = 0; n < (reflections ? i->reflections : i->spots); n++, row++) {
            const double values[8] = {(double)c, list[n].row, list[n].column, list[n].amplitude, list[n].paired ? 1.0 : 0.0,
                                      (double)list[n].hkl[0], (double)list[n].hkl[1], (double)list[n].hkl[2]};
            memcpy(table + row * shape[1], values, (size_t)shape[1] * sizeof *table);
        }
    }
    um_status status = um_model_set_array(model, name, 2, shape, table);
    um_buffer_free(ctx, table);
    return status;
}

um_status um_identification_store(um_context *ctx, const um_identification *identification, um_model *model)
{
    const um_identification *id = identification;
    if (um_model_k(model) != id->k) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "identify: the model has %lld components, not the %lld that were named",
                       (long long)um_model_k(model), (long long)id->k);
    }
    double *index = calloc((size_t)id->k, sizeof *index);
    if (index == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    for (int64_t c = 0; c < id->k; c++) {
        index[c] = id->component[c].verdict == UM_VERDICT_PHASE ? (double)id->component[c].best.phase : -1.0;
    }
    um_status status = um_model_set_array(model, "phase_index", 1, &id->k, index);
    status = status == UM_OK ? set_map(ctx, id, model, index) : status;
    status = status == UM_OK ? set_spots(ctx, id, model, false) : status;
    status = status == UM_OK ? set_spots(ctx, id, model, true) : status;
    status = status == UM_OK ? set_provenance(ctx, id, model) : status;
    free(index);
    return status;
}
