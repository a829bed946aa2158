/* Scores of a result against a known truth. */
#include "verify_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

um_score_options um_score_defaults(void)
{
    return (um_score_options){.least_fraction = 0.1, .least_positions = 2, .probe_px = NAN};
}

static um_status check_shapes(um_context *ctx, const um_model *result, const um_model *truth)
{
    um_shape r = um_model_shape(result);
    um_shape t = um_model_shape(truth);
    if (r.ny != t.ny || r.nx != t.nx || r.ky != t.ky || r.kx != t.kx) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "the result has %lldx%lld positions of %lldx%lld pixels, the truth %lldx%lld "
                       "of %lldx%lld: score a result made without cropping and binning",
                       (long long)r.ny, (long long)r.nx, (long long)r.ky, (long long)r.kx,
                       (long long)t.ny, (long long)t.nx, (long long)t.ky, (long long)t.kx);
    }
    return UM_OK;
}

static um_status check_options(um_context *ctx, const um_score_options *o)
{
    if (!(o->least_fraction > 0.0 && o->least_fraction <= 1.0) || o->least_positions < 1 ||
        (!isnan(o->probe_px) && !(o->probe_px >= 0.0))) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "score: the least fraction is in (0, 1], the least positions 1 or more, the probe 0 or more");
    }
    return UM_OK;
}

static um_status take_particles(um_model *truth, um_comparison *c)
{
    c->particles = um_model_array(truth, "particles");
    if (c->particles == NULL) {
        return UM_OK;
    }
    if (c->particles->ndim != 2 || c->particles->shape[1] < 9) {
        return um_fail(c->ctx, UM_ERROR_SHAPE, "truth: particles is no table of 9 columns or more");
    }
    const int64_t columns = c->particles->shape[1];
    for (int64_t i = 0; i < um_array_size(c->particles); i++) {
        double value = um_array_get(c->particles, i);
        bool of_state = i % columns == 0;
        if (!isfinite(value) || (of_state && !(value >= 0.0 && value < (double)c->truth.k))) {
            return um_fail(c->ctx, UM_ERROR_VALUE, "truth: particles: row %lld, column %lld is %g",
                           (long long)(i / columns), (long long)(i % columns), value);
        }
    }
    return UM_OK;
}

static um_status take_arrays(um_model *truth, um_comparison *c)
{
    c->labels = um_model_array(truth, "labels");
    if (c->labels != NULL && um_array_size(c->labels) != c->positions) {
        return um_fail(c->ctx, UM_ERROR_SHAPE, "truth: labels for %lld positions instead of %lld",
                       (long long)um_array_size(c->labels), (long long)c->positions);
    }
    c->fractions = um_model_array(truth, "fractions");
    if (c->fractions != NULL && um_array_size(c->fractions) != c->positions * c->truth.k) {
        return um_fail(c->ctx, UM_ERROR_SHAPE, "truth: %lld fractions instead of %lld positions x %lld states",
                       (long long)um_array_size(c->fractions), (long long)c->positions, (long long)c->truth.k);
    }
    return take_particles(truth, c);
}

/* Particles that the result itself tells of: unmix segment. */
static um_status take_segments(um_model *result, um_comparison *c)
{
    c->segments = um_model_array(result, "segments");
    c->parts = um_model_array(result, "fractions");
    if (c->segments == NULL || c->parts == NULL || strcmp(um_model_method(result), "SEGMENT") != 0) {
        c->segments = c->parts = NULL;
        return UM_OK;
    }
    int64_t values = c->result.k * c->positions;
    if (um_array_size(c->segments) != values || um_array_size(c->parts) != values) {
        return um_fail(c->ctx, UM_ERROR_SHAPE, "the result has segments or fractions that are no maps of its %lld classes",
                       (long long)c->result.k);
    }
    for (int64_t i = 0; i < values; i++) {
        double id = um_array_get(c->segments, i);
        double part = um_array_get(c->parts, i);
        if (!(id >= 0 && id <= (double)values && id == floor(id)) || !(part >= 0 && part <= 1.0001)) {
            return um_fail(c->ctx, UM_ERROR_VALUE, "the result has segment %g with fraction %g at position %lld of class %lld",
                           id, part, (long long)(i % c->positions), (long long)(i / c->positions));
        }
        c->most_segment = id > (double)c->most_segment ? (int64_t)id : c->most_segment;
    }
    return UM_OK;
}

static void take_steps(const um_model *truth, um_comparison *c)
{
    const um_axis *axes = um_model_axes(truth);
    bool calibrated = true;
    for (int i = 0; i < 2; i++) {
        c->step_nm[i] = fabs(axes[i].scale);
        calibrated = calibrated && strcmp(axes[i].units, "nm") == 0 && c->step_nm[i] > 0.0;
    }
    if (!calibrated) {
        c->step_nm[0] = c->step_nm[1] = NAN;
    }
}

static um_status create_score(um_context *ctx, int64_t states, int64_t components, um_score **out)
{
    um_score *score = calloc(1, sizeof *score);
    if (score == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    size_t n = (size_t)states;
    size_t k = (size_t)components;
    *score = (um_score){.states = states,
                        .components = components,
                        .component_of = calloc(n, sizeof *score->component_of),
                        .cosine = calloc(n, sizeof *score->cosine),
                        .classes = calloc(n, sizeof *score->classes),
                        .state = calloc(n, sizeof *score->state),
                        .nearest_state = calloc(k, sizeof *score->nearest_state),
                        .nearest_cosine = calloc(k, sizeof *score->nearest_cosine),
                        .state_of = calloc(k, sizeof *score->state_of)};
    if (score->component_of == NULL || score->cosine == NULL || score->classes == NULL || score->state == NULL ||
        score->nearest_state == NULL || score->nearest_cosine == NULL || score->state_of == NULL) {
        um_score_free(score);
        return um_fail(ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    *out = score;
    return UM_OK;
}

/* Classes in the order of their first state: each state for itself, or the states of one phase together. */
static int64_t group_states(const um_score *score, bool by_phase, int64_t *class_of)
{
    int64_t count = 0;
    for (int64_t t = 0; t < score->states; t++) {
        class_of[t] = -1;
        for (int64_t s = 0; s < t && by_phase && class_of[t] < 0; s++) {
            if (strcmp(score->state[s].phase, score->state[t].phase) == 0) {
                class_of[t] = class_of[s];
            }
        }
        class_of[t] = class_of[t] < 0 ? count++ : class_of[t];
    }
    return count;
}

static um_status make_view(um_comparison *c, bool by_phase, int64_t *class_of, um_score_view *view)
{
    const um_score *score = c->score;
    view->count = group_states(score, by_phase, class_of);
    size_t n = (size_t)view->count + 1; /* particles: one more for all of them */
    view->name = calloc(n, sizeof *view->name);
    view->background = calloc(n, sizeof *view->background);
    view->classes = calloc(n, sizeof *view->classes);
    view->fractions = calloc(n, sizeof *view->fractions);
    view->particles = c->particles != NULL ? calloc(n, sizeof *view->particles) : NULL;
    if (view->name == NULL || view->background == NULL || view->classes == NULL || view->fractions == NULL ||
        (c->particles != NULL && view->particles == NULL)) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    for (int64_t t = score->states - 1; t >= 0; t--) {
        const um_state_score *state = &score->state[t];
        int64_t i = class_of[t];
        memcpy(view->name[i], by_phase ? state->phase : state->name, UM_SCORE_NAME);
    }
    for (int64_t i = 0; i < view->count; i++) {
        view->background[i] = true;
    }
    for (int64_t t = 0; t < score->states; t++) {
        view->background[class_of[t]] = view->background[class_of[t]] && score->state[t].background;
    }
    return um_score_view_make(c, view->count, class_of, view);
}

static um_status make_views(um_comparison *c)
{
    int64_t *class_of = calloc((size_t)c->truth.k, sizeof *class_of);
    if (class_of == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    um_status status = make_view(c, false, class_of, &c->score->by_state);
    if (status == UM_OK && c->score->state[0].phase[0] != '\0') {
        status = make_view(c, true, class_of, &c->score->by_phase);
    }
    free(class_of);
    return status;
}

static um_status score_all(um_comparison *c, const um_model *truth)
{
    c->result.sums = calloc((size_t)c->result.k, sizeof *c->result.sums);
    c->truth.sums = calloc((size_t)c->truth.k, sizeof *c->truth.sums);
    c->unit = calloc((size_t)c->truth.k, sizeof *c->unit);
    if (c->result.sums == NULL || c->truth.sums == NULL || c->unit == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    UM_TRY(um_score_read_truth(c, truth));
    UM_TRY(um_score_match(c));
    UM_TRY(um_score_fractions(c));
    UM_TRY(um_score_one_to_one(c));
    UM_TRY(make_views(c));
    UM_TRY(um_score_dips(c));
    return um_score_sharpness(c);
}

um_status um_score_model(um_context *ctx, um_model *result, um_model *truth, const um_score_options *options,
                         um_score **out)
{
    UM_TRY(check_shapes(ctx, result, truth));
    um_shape shape = um_model_shape(result);
    um_comparison c = {.ctx = ctx,
                       .options = options != NULL ? *options : um_score_defaults(),
                       .shape = shape,
                       .positions = shape.ny * shape.nx,
                       .pixels = shape.ky * shape.kx,
                       .pixel_mask = um_model_signal_mask(result),
                       .position_mask = um_model_navigation_mask(result),
                       .result = {um_model_k(result), um_model_factors(result),
                                  um_model_loadings(result), NULL},
                       .truth = {um_model_k(truth), um_model_factors(truth), um_model_loadings(truth),
                                 NULL}};
    UM_TRY(check_options(ctx, &c.options));
    UM_TRY(take_arrays(truth, &c));
    UM_TRY(take_segments(result, &c));
    take_steps(truth, &c);
    UM_TRY(create_score(ctx, c.truth.k, c.result.k, &c.score));
    c.score->least_fraction = c.options.least_fraction;
    c.score->least_positions = c.options.least_positions;
    um_status status = score_all(&c, truth);
    if (status == UM_OK) {
        *out = c.score;
        c.score = NULL;
    }
    free(c.result.sums);
    free(c.truth.sums);
    free(c.alike);
    free(c.unit);
    um_buffer_free(ctx, c.found);
    um_buffer_free(ctx, c.share);
    um_score_free(c.score);
    return status;
}

void um_score_free(um_score *score)
{
    if (score != NULL) {
        um_score_view_clear(&score->by_state);
        um_score_view_clear(&score->by_phase);
        free(score->component_of);
        free(score->cosine);
        free(score->classes);
        free(score->state);
        free(score->nearest_state);
        free(score->nearest_cosine);
        free(score->state_of);
        free(score->crystals);
        free(score);
    }
}
