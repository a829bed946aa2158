/* Names the components of a model. */
#include "identify_internal.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- settings from the model ------------------------------------------------------------------------------ */

static double number_in(json_t *object, const char *key, int depth)
{
    json_t *value = json_object_get(object, key), *inner = NULL;
    const char *name = NULL;
    if (json_is_number(value)) {
        return json_number_value(value);
    }
    json_object_foreach(object, name, inner)
    {
        double found = depth > 0 && json_is_object(inner) ? number_in(inner, key, depth - 1) : NAN;
        if (isfinite(found)) {
            return found;
        }
    }
    return NAN;
}

static double per_angstrom(const um_axis *axis)
{
    if (strcmp(axis->units, "1/\u00c5") == 0 || strcmp(axis->units, "1/A") == 0 || strcmp(axis->units, "$A^{-1}$") == 0 ||
        strcmp(axis->units, "\u00c5^{-1}") == 0 || strcmp(axis->units, "A^-1") == 0) {
        return fabs(axis->scale);
    }
    if (strcmp(axis->units, "1/nm") == 0 || strcmp(axis->units, "nm^-1") == 0) {
        return 0.1 * fabs(axis->scale);
    }
    return NAN;
}

static double zero_of(const um_axis *axis)
{
    double at = -axis->offset / axis->scale;
    return isfinite(at) && axis->offset != 0.0 && at > 0.0 && at < (double)axis->size - 1.0 ? at : (double)(axis->size / 2);
}

static void resolve(const um_model *model, um_identify_options *o)
{
    const um_axis *axes = um_model_axes(model);
    json_t *provenance = json_loads(um_model_provenance(model), 0, NULL);
    o->voltage_kV = isnan(o->voltage_kV) ? number_in(provenance, "voltage_kV", 3) : o->voltage_kV;
    o->precession_mrad = isnan(o->precession_mrad) ? number_in(provenance, "precession_mrad", 3) : o->precession_mrad;
    o->scale_per_A = isnan(o->scale_per_A) ? per_angstrom(&axes[3]) : o->scale_per_A;
    o->cy = isnan(o->cy) ? zero_of(&axes[2]) : o->cy;
    o->cx = isnan(o->cx) ? zero_of(&axes[3]) : o->cx;
    json_decref(provenance);
}

/* ---- spots ------------------------------------------------------------------------------------------------ */

/* From beyond the direct beam and its edge on. */
static um_status find_spots(um_context *ctx, um_model *model, const um_frame *frame, double g_min_px, um_found *found)
{
    int64_t k = um_model_k(model), pixels = frame->ky * frame->kx;
    double *pattern = NULL;
    um_status status = um_buffer_alloc(ctx, (size_t)pixels, sizeof *pattern, "a pattern", &pattern);
    for (int64_t c = 0; c < k && status == UM_OK; c++) {
        for (int64_t q = 0; q < pixels; q++) {
            pattern[q] = (double)um_model_factors(model)[c * pixels + q];
        }
        um_found_clear(&found[c]);
        status = um_spots_find(ctx, frame, pattern, fmax(g_min_px, 2.0 * frame->radius_px + 2.0), &found[c]);
    }
    um_buffer_free(ctx, pattern);
    return status;
}

/* Twice: the discs that are found first tell their size. */
static um_status find_all_spots(um_context *ctx, um_model *model, double g_min_px, um_frame *frame, um_found *found)
{
    int64_t k = um_model_k(model), n = 0;
    double *radius = calloc((size_t)k, UM_MOST_DISCS * sizeof *radius);
    double least = 0.8, most = 0.06 * (double)(frame->ky < frame->kx ? frame->ky : frame->kx);
    if (radius == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    frame->radius_px = 1.2;
    um_status status = find_spots(ctx, model, frame, g_min_px, found);
    for (int64_t c = 0; c < k; c++) {
        for (int i = 0; i < found[c].discs; i++) {
            radius[n++] = found[c].disc_px[i];
        }
    }
    if (status == UM_OK && n > 0) {
        frame->radius_px = fmin(fmax(um_median(radius, (size_t)n), least), most);
        status = find_spots(ctx, model, frame, g_min_px, found);
    }
    free(radius);
    return status;
}

/* ---- all against all -------------------------------------------------------------------------------------- */

static um_status compare(void *user, int64_t item, int worker)
{
    um_naming *w = user;
    int64_t per = w->with_null ? w->job.how.null_patterns + 1 : 1, c = item / per, draw = item % per - 1;
    const um_found *found = &w->found[c];
    um_blob_spot spots[UM_MOST_SPOTS];
    int64_t count = found->count;
    um_fit *fit = draw < 0 ? w->fit + c * (int64_t)w->job.phases : w->worker[worker].fit;
    UM_TRY(um_check_cancel(w->ctx));
    w->worker[worker].score = 0.0;
    if (count < UM_LEAST_SPOTS) {
        return UM_OK;
    }
    memcpy(spots, found->spot, (size_t)count * sizeof *spots);
    if (draw >= 0) {
        um_random random = {um_context_seed(w->ctx), UM_STREAM_IDENTIFY};
        count = um_null_draw(random, c, draw, &w->job.frame, found->spot, count, spots);
    }
    um_identify_spots(&w->job, w->worker[worker].polar, &w->bounds, spots, count, fit);
    w->worker[worker].score = um_naming_highest(fit, w->job.phases);
    return UM_OK;
}

static um_status keep(void *user, int64_t item, int worker)
{
    um_naming *w = user;
    int64_t per = w->with_null ? w->job.how.null_patterns + 1 : 1, draw = item % per - 1;
    if (draw >= 0) {
        w->null_score[item / per * w->job.how.null_patterns + draw] = w->worker[worker].score;
    }
    um_progress_add(w->ctx, 1);
    return UM_OK;
}

static um_status compare_all(um_naming *w, bool with_null)
{
    um_context *ctx = w->ctx;
    int threads = um_context_threads(ctx) < UM_NAMING_WORKERS ? um_context_threads(ctx) : UM_NAMING_WORKERS;
    um_status status = UM_OK;
    w->with_null = with_null;
    for (int i = 0; i < threads && status == UM_OK; i++) {
        status = um_polar_create(ctx, &w->job.beam, w->bounds.scale, w->job.how.spot_px, w->bounds.scale_tolerance,
                                 &w->worker[i].polar);
        w->worker[i].fit = calloc(w->job.phases, sizeof *w->worker[i].fit);
        if (status == UM_OK && w->worker[i].fit == NULL) {
            status = um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
        }
    }
    if (status == UM_OK) {
        int64_t items = w->out->k * (with_null ? w->job.how.null_patterns + 1 : 1);
        um_progress_begin(ctx, with_null ? "comparing with candidates" : "comparing once more", "patterns", items);
        status = um_pipeline_run(ctx, items, threads, compare, keep, w);
        um_progress_end(ctx);
    }
    for (int i = 0; i < threads; i++) {
        um_polar_free(w->worker[i].polar);
        free(w->worker[i].fit);
        w->worker[i].polar = NULL;
        w->worker[i].fit = NULL;
    }
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static um_status prepare(um_naming *w, size_t count)
{
    um_identification *out = w->out;
    size_t k = (size_t)out->k;
    out->phases = count;
    out->component = calloc(k, sizeof *out->component);
    out->phase = calloc(count, sizeof *out->phase);
    out->directions = calloc(count, sizeof *out->directions);
    w->fit = calloc(k * count, sizeof *w->fit);
    w->null_score = calloc(k * (size_t)w->job.how.null_patterns + 1, sizeof *w->null_score);
    if (out->component == NULL || out->phase == NULL || out->directions == NULL || w->fit == NULL ||
        w->null_score == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    for (size_t c = 0; c < k; c++) {
        out->component[c].score_of = calloc(count, sizeof(double));
        if (out->component[c].score_of == NULL) {
            return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
        }
    }
    for (size_t p = 0; p < count; p++) {
        snprintf(out->phase[p], sizeof out->phase[p], "%s", w->job.candidate[p].name);
        out->directions[p] = (size_t)w->job.library[p].views;
    }
    out->options = w->job.how;
    out->scale_per_A = w->job.how.scale_per_A;
    out->cy = w->job.how.cy;
    out->cx = w->job.how.cx;
    out->voltage_kV = w->job.how.voltage_kV;
    out->precession_mrad = w->job.how.precession_mrad;
    return UM_OK;
}

static um_status name_all(um_naming *w)
{
    size_t all = (size_t)w->out->k * w->job.phases;
    double *free_score = calloc(all, sizeof *free_score);
    if (free_score == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    w->bounds = w->job.bounds;
    um_center_find(w->found, w->out->k, w->job.how.center_tolerance, &w->bounds.center_x, &w->bounds.center_y);
    w->bounds.center = fmin(w->bounds.center, 1.0);
    um_status status = compare_all(w, w->job.how.null_patterns > 0);
    if (status == UM_OK) {
        um_naming_ask_chance(w);
        for (size_t i = 0; i < all; i++) {
            free_score[i] = w->fit[i].pairing.score;
        }
        status = um_naming_agree(w);
    }
    status = status == UM_OK ? compare_all(w, false) : status;
    for (int64_t c = 0; c < w->out->k && status == UM_OK; c++) {
        status = um_naming_judge(w, c, free_score + (size_t)c * w->job.phases);
    }
    if (status == UM_OK) {
        um_naming_tell_calibration(w);
        status = um_naming_relate(w);
    }
    free(free_score);
    return status;
}

static um_status begin(um_naming *w, const um_candidate *candidates, size_t count, um_identify_options *how)
{
    um_shape shape = um_model_shape(w->model);
    um_frame frame = {.ky = shape.ky, .kx = shape.kx, .mask = um_model_signal_mask(w->model)};
    resolve(w->model, how);
    frame.cy = how->cy;
    frame.cx = how->cx;
    UM_TRY(um_identify_check(w->ctx, count, how, &frame));
    w->found = calloc((size_t)w->out->k, sizeof *w->found);
    if (w->found == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    UM_TRY(find_all_spots(w->ctx, w->model, how->g_min_per_A / how->scale_per_A, &frame, w->found));
    UM_TRY(um_identify_begin(w->ctx, candidates, count, how, &frame, &w->job));
    return prepare(w, count);
}

um_status um_identify_model(um_context *ctx, um_model *model, const um_candidate *candidates, size_t count,
                            const um_identify_options *options, um_identification **out)
{
    um_identify_options how = options != NULL ? *options : um_identify_defaults();
    um_naming w = {.ctx = ctx, .model = model, .out = calloc(1, sizeof *w.out)};
    *out = NULL;
    if (w.out == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    w.out->k = um_model_k(model);
    um_status status = begin(&w, candidates, count, &how);
    status = status == UM_OK ? name_all(&w) : status;
    um_identify_end(&w.job);
    for (int64_t c = 0; c < w.out->k && w.found != NULL; c++) {
        um_found_clear(&w.found[c]);
    }
    free(w.found);
    free(w.fit);
    free(w.null_score);
    if (status != UM_OK) {
        um_identification_free(w.out);
        return status;
    }
    *out = w.out;
    return UM_OK;
}

void um_identification_free(um_identification *identification)
{
    if (identification == NULL) {
        return;
    }
    for (int64_t c = 0; c < identification->k && identification->component != NULL; c++) {
        free(identification->component[c].spot);
        free(identification->component[c].reflection);
        free(identification->component[c].score_of);
    }
    free(identification->component);
    free(identification->phase);
    free(identification->directions);
    free(identification->relation);
    free(identification);
}
