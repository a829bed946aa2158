/* unmix score --json. */
#include "score_text.h"

static json_t *list(const double *values, int n)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(array, cli_json_real(values[i]));
    }
    return array;
}

static json_t *particles_json(const um_particle_score *p)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:[o, o], s:o}", "particles",
                     (json_int_t)p->particles, "regions", (json_int_t)p->regions, "hits", (json_int_t)p->hits, "faint",
                     (json_int_t)p->faint, "merged", (json_int_t)p->merged, "precision", cli_json_real(p->precision),
                     "recall", cli_json_real(p->recall), "density_true_per_um2", cli_json_real(p->density_true),
                     "density_found_per_um2", cli_json_real(p->density_found), "density_found_95_per_um2",
                     cli_json_real(p->density_found_low), cli_json_real(p->density_found_high), "density_error",
                     cli_json_real(p->density_error));
}

static json_t *class_json(const um_class_score *class)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "positions", (json_int_t)class->positions, "called",
                     (json_int_t)class->called, "precision", cli_json_real(class->precision), "recall",
                     cli_json_real(class->recall), "f1", cli_json_real(class->f1), "iou", cli_json_real(class->iou),
                     "precision_within", list(class->precision_within, UM_SCORE_TOLERANCES), "recall_within",
                     list(class->recall_within, UM_SCORE_TOLERANCES));
}

static json_t *view_json(const um_score_view *view)
{
    if (view->count == 0) {
        return json_null();
    }
    json_t *classes = json_array();
    for (int64_t i = 0; i < view->count; i++) {
        const um_fraction_score *f = &view->fractions[i];
        json_t *class = class_json(&view->classes[i]);
        json_t *more = json_pack("{s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "name", cli_json_text(view->name[i]),
                                 "background", (int)view->background[i], "fraction_true", cli_json_real(f->mean_true),
                                 "fraction_found", cli_json_real(f->mean_found), "fraction_bias",
                                 cli_json_real(f->mean_found - f->mean_true), "fraction_rms", cli_json_real(f->rms),
                                 "particles",
                                 view->particles != NULL && !view->background[i] ? particles_json(&view->particles[i])
                                                                                 : json_null());
        json_object_update(class, more);
        json_decref(more);
        json_array_append_new(classes, class);
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "accuracy", list(view->accuracy, UM_SCORE_TOLERANCES),
                     "baseline", list(view->baseline, UM_SCORE_TOLERANCES), "baseline_background",
                     list(view->baseline_background, UM_SCORE_TOLERANCES), "fraction_rms",
                     cli_json_real(view->fraction_rms), "classes", classes, "particles",
                     view->particles != NULL ? particles_json(&view->particles[view->count]) : json_null());
}

static json_t *state_json(const um_score *score, int64_t t)
{
    const um_state_score *state = &score->state[t];
    json_t *object = class_json(&score->classes[t]);
    json_t *more = json_pack("{s:o, s:o, s:b, s:b, s:b, s:I, s:f, s:o, s:I, s:I, s:o, s:o, s:o}", "name",
                             cli_json_text(state->name), "phase",
                             state->phase[0] != '\0' ? cli_json_text(state->phase) : json_null(), "background",
                             (int)state->background, "geometry_only", (int)state->geometry_only, "absent",
                             (int)state->absent, "component",
                             (json_int_t)score->component_of[t], "cosine", score->cosine[t], "dip",
                             cli_json_real(state->dip), "shared_reflections", (json_int_t)state->shared,
                             "shared_missing", (json_int_t)state->shared_missing, "beyond_cut_off_true",
                             cli_json_real(state->beyond_true), "beyond_cut_off_found",
                             cli_json_real(state->beyond_found), "sharpness", cli_json_real(state->sharpness));
    json_object_update(object, more);
    json_decref(more);
    return object;
}

static json_t *crystals_json(const um_crystal_score *x)
{
    if (x == NULL) {
        return json_null();
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "particles", (json_int_t)x->particles, "found",
                     (json_int_t)x->found, "hits", (json_int_t)x->hits, "faint", (json_int_t)x->faint, "right_state",
                     (json_int_t)x->right_state, "precision", cli_json_real(x->precision), "recall",
                     cli_json_real(x->recall), "f1", cli_json_real(x->f1), "iou", cli_json_real(x->iou));
}

json_t *cli_score_json(const um_score *score)
{
    json_t *cosine = json_array();
    json_t *classes = json_array();
    json_t *match = json_array();
    json_t *nearest = json_array();
    for (int64_t t = 0; t < score->states; t++) {
        json_array_append_new(cosine, cli_json_real(score->cosine[t]));
        json_array_append_new(match, json_integer((json_int_t)score->component_of[t]));
        json_array_append_new(classes, state_json(score, t));
    }
    for (int64_t r = 0; r < score->components; r++) {
        json_array_append_new(nearest, json_pack("{s:I, s:f, s:I}", "state", (json_int_t)score->nearest_state[r],
                                                 "cosine", score->nearest_cosine[r], "counted_for",
                                                 (json_int_t)score->state_of[r]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:[i, i, i], s:f, s:I, s:o, s:o, s:o}",
                     "cosine", cosine, "per_class", classes, "component_of", match, "nearest", nearest,
                     "label_accuracy", cli_json_real(score->label_accuracy), "baseline",
                     cli_json_real(score->baseline), "fraction_rms", cli_json_real(score->fraction_rms), "states",
                     (json_int_t)score->states, "components", (json_int_t)score->components, "by_state",
                     view_json(&score->by_state), "by_phase", view_json(&score->by_phase), "tolerances_px", 0, 1, 2,
                     "least_fraction", score->least_fraction, "least_positions", (json_int_t)score->least_positions,
                     "probe_px", cli_json_real(score->probe_px), "cut_off_per_px",
                     cli_json_real(score->cut_off_per_px), "crystals", crystals_json(score->crystals));
}
