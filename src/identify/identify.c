/* Names the components of a model. */
#include "identify_internal.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SPOTS = 4, MOST_WORKERS = 64 };
static const double same_deg = 5.0; /* orientations nearer than this are one */

const char *um_verdict_word(um_verdict verdict)
{
    static const char *const words[] = {"phase", "unknown", "amorphous", "background"};
    return words[verdict];
}

typedef struct work {
    um_context *ctx;
    um_identify_job job;
    um_model *model;
    um_identification *out;
    um_found *found;    /* k */
    um_fit *fit;        /* k x phases */
    double *null_score; /* k x null patterns */
    um_bounds bounds;   /* of this round */
    bool with_null;
    struct {
        um_polar *polar;
        um_fit *fit;
        double score;
    } worker[MOST_WORKERS];
} work;

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

static double highest(const um_fit *fit, size_t phases)
{
    double best = 0.0;
    for (size_t p = 0; p < phases; p++) {
        best = fmax(best, fit[p].pairing.score);
    }
    return best;
}

static um_status compare(void *user, int64_t item, int worker)
{
    work *w = user;
    int64_t per = w->with_null ? w->job.how.null_patterns + 1 : 1, c = item / per, draw = item % per - 1;
    const um_found *found = &w->found[c];
    um_blob_spot spots[UM_MOST_SPOTS];
    int64_t count = found->count;
    um_fit *fit = draw < 0 ? w->fit + c * (int64_t)w->job.phases : w->worker[worker].fit;
    UM_TRY(um_check_cancel(w->ctx));
    w->worker[worker].score = 0.0;
    if (count < LEAST_SPOTS) {
        return UM_OK;
    }
    memcpy(spots, found->spot, (size_t)count * sizeof *spots);
    if (draw >= 0) {
        um_random random = {um_context_seed(w->ctx), UM_STREAM_IDENTIFY};
        count = um_null_draw(random, c, draw, &w->job.frame, found->spot, count, spots);
    }
    um_identify_spots(&w->job, w->worker[worker].polar, &w->bounds, spots, count, fit);
    w->worker[worker].score = highest(fit, w->job.phases);
    return UM_OK;
}

static um_status keep(void *user, int64_t item, int worker)
{
    work *w = user;
    int64_t per = w->with_null ? w->job.how.null_patterns + 1 : 1, draw = item % per - 1;
    if (draw >= 0) {
        w->null_score[item / per * w->job.how.null_patterns + draw] = w->worker[worker].score;
    }
    um_progress_add(w->ctx, 1);
    return UM_OK;
}

static um_status compare_all(work *w, bool with_null)
{
    um_context *ctx = w->ctx;
    int threads = um_context_threads(ctx) < MOST_WORKERS ? um_context_threads(ctx) : MOST_WORKERS;
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

/* ---- calibration ------------------------------------------------------------------------------------------ */

static const um_fit *fit_of(const work *w, int64_t c, size_t p)
{
    return &w->fit[c * (int64_t)w->job.phases + (int64_t)p];
}

static int32_t best_phase(const work *w, int64_t c, int32_t but)
{
    int32_t best = -1;
    for (size_t p = 0; p < w->job.phases; p++) {
        double score = fit_of(w, c, p)->pairing.score;
        if ((int32_t)p != but && score > 0.0 && (best < 0 || score > fit_of(w, c, (size_t)best)->pairing.score)) {
            best = (int32_t)p;
        }
    }
    return best;
}

static bool is_named(const work *w, int64_t c)
{
    const um_identified *i = &w->out->component[c];
    return isfinite(i->chance) && i->chance <= w->job.how.false_rate;
}

/* What a common scale is worth: of each component the best score among candidates that want about that scale. */
static double worth(const work *w, double log_scale)
{
    static const double same = 0.004;
    double sum = 0.0, given = log(w->job.bounds.scale);
    for (int64_t c = 0; c < w->out->k; c++) {
        double best = 0.0;
        for (size_t p = 0; p < w->job.phases && is_named(w, c); p++) {
            const um_fit *f = fit_of(w, c, p);
            double off = f->geometry.scale > 0.0 ? (log(f->geometry.scale) - log_scale) / same : 100.0;
            best = fmax(best, f->pairing.score * exp(-0.5 * off * off));
        }
        sum += best;
    }
    double away = (log_scale - given) / fmax(w->job.bounds.scale_tolerance, 1e-9);
    return sum * exp(-0.5 * away * away);
}

static double middle(double *values, int64_t count, double preset)
{
    return count > 0 ? um_median(values, (size_t)count) : preset;
}

/* One microscope: scale, centre and ellipse that the named components share, with what is left to each of them. */
static um_status agree(work *w)
{
    int64_t k = w->out->k, n = 0;
    double best = 0.0, chosen = log(w->job.bounds.scale);
    double *values = calloc((size_t)(5 * k), sizeof *values);
    if (values == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    for (int64_t c = 0; c < k; c++) {
        for (size_t p = 0; p < w->job.phases && is_named(w, c); p++) {
            double scale = fit_of(w, c, p)->geometry.scale, now = scale > 0.0 ? worth(w, log(scale)) : 0.0;
            if (now > best) {
                best = now;
                chosen = log(scale);
            }
        }
    }
    for (int64_t c = 0; c < k; c++) {
        const um_fit *mine = NULL;
        for (size_t p = 0; p < w->job.phases && is_named(w, c); p++) {
            const um_fit *f = fit_of(w, c, p);
            bool near = f->geometry.scale > 0.0 && fabs(log(f->geometry.scale) - chosen) < 0.01;
            mine = near && (mine == NULL || f->pairing.score > mine->pairing.score) ? f : mine;
        }
        if (mine != NULL) {
            const um_geometry *g = &mine->geometry;
            values[n] = log(g->scale);
            values[k + n] = g->tx;
            values[2 * k + n] = g->ty;
            values[3 * k + n] = g->exx;
            values[4 * k + n] = g->exy;
            n++;
        }
    }
    if (n > 0) {
        static const double scale_left = 0.003, center_left = 0.5, strain_left = 0.003;
        w->bounds = (um_bounds){.scale = exp(middle(values, n, chosen)),
                                .scale_tolerance = fmin(scale_left, w->bounds.scale_tolerance),
                                .center = fmin(center_left, w->bounds.center),
                                .strain = fmin(strain_left, w->bounds.strain),
                                .center_x = middle(values + k, n, 0.0), .center_y = middle(values + 2 * k, n, 0.0),
                                .strain_x = middle(values + 3 * k, n, 0.0), .strain_y = middle(values + 4 * k, n, 0.0)};
    }
    free(values);
    return UM_OK;
}

/* ---- verdicts --------------------------------------------------------------------------------------------- */

static void ask_chance(work *w)
{
    int64_t n = w->job.how.null_patterns;
    for (int64_t c = 0; c < w->out->k; c++) {
        double score = highest(w->fit + c * (int64_t)w->job.phases, w->job.phases);
        w->out->component[c].chance =
            w->found[c].count >= LEAST_SPOTS && n >= 2 ? um_null_chance(w->null_score + c * n, n, score) : NAN;
    }
}

static const char *name_of(const work *w, int32_t phase)
{
    return w->job.candidate[phase].name;
}

static void say_why(const work *w, int64_t c, double free_rival, int32_t rival)
{
    um_identified *i = &w->out->component[c];
    char *text = i->reason;
    size_t size = sizeof i->reason;
    switch (i->verdict) {
    case UM_VERDICT_BACKGROUND:
        snprintf(text, size, "%lld spots above the background, and no ring", (long long)w->found[c].count);
        break;
    case UM_VERDICT_AMORPHOUS:
        snprintf(text, size, "%lld spots above the background, and a diffuse ring at %.3f 1/\u00c5", (long long)w->found[c].count,
                 i->halo_per_A);
        break;
    case UM_VERDICT_UNKNOWN:
        snprintf(text, size, "the best, %s at %.3f, is no better than what lattices that are none of the candidates reach in %.2g of "
                             "all cases",
                 i->best.phase >= 0 ? name_of(w, i->best.phase) : "nothing", i->best.score, i->chance);
        break;
    case UM_VERDICT_PHASE:
        if (rival >= 0 && free_rival > i->best.score - 0.02 && i->margin > 0.02) {
            snprintf(text, size, "only the size of a pixel tells it from %s, which would fit as well (%.3f) with another",
                     name_of(w, rival), free_rival);
        } else if (i->runner_up.phase >= 0 && i->margin < 0.02) {
            snprintf(text, size, "%s fits nearly as well (%.3f): this pattern does not tell them apart",
                     name_of(w, i->runner_up.phase), i->runner_up.score);
        } else {
            snprintf(text, size, "%d of %lld spots with %.0f %% of their strength; %.0f %% of the strength expected is seen",
                     i->best.matched, (long long)w->found[c].count, 100.0 * i->best.explained, 100.0 * i->best.seen);
        }
        break;
    }
}

static um_status list_spots(const work *w, int64_t c, const um_fit *fit)
{
    um_identified *i = &w->out->component[c];
    const um_found *found = &w->found[c];
    um_mark_spot marks[UM_MOST_MARKS];
    um_pairing pairs = {0};
    um_scene_of scene = {.frame = &w->job.frame, .spot = found->spot, .spots = found->count, .norm = 1.0,
                         .sigma_px = w->job.how.spot_px};
    const um_frame *f = &w->job.frame;
    i->spot = calloc((size_t)found->count + 1, sizeof *i->spot);
    i->reflection = calloc(UM_MOST_MARKS, sizeof *i->reflection);
    if (i->spot == NULL || i->reflection == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    int64_t n = 0;
    if (fit != NULL) {
        const um_geometry *g = &fit->geometry;
        n = um_marks_make(w->job.library[i->best.phase].reflections, &w->job.beam, &fit->orientation, 0.003, marks, UM_MOST_MARKS);
        um_pair(&scene, g, marks, n, &pairs);
        for (int64_t m = 0; m < n; m++) {
            if (pairs.expected[m]) {
                um_identify_spot *r = &i->reflection[i->reflections++];
                double x = g->tx + g->scale * (marks[m].x * (1.0 + g->exx) + marks[m].y * g->exy);
                double y = g->ty + g->scale * (marks[m].x * g->exy + marks[m].y * (1.0 - g->exx));
                *r = (um_identify_spot){.row = f->cy - y, .column = f->cx + x, .amplitude = marks[m].amplitude / marks[0].amplitude,
                                        .hkl = {marks[m].hkl[0], marks[m].hkl[1], marks[m].hkl[2]}};
                for (int64_t s = 0; s < found->count; s++) {
                    r->paired = r->paired || pairs.mark_of[s] == m;
                }
            }
        }
    }
    i->spots = (size_t)found->count;
    for (int64_t s = 0; s < found->count; s++) {
        i->spot[s] = (um_identify_spot){.row = f->cy - found->spot[s].y, .column = f->cx + found->spot[s].x,
                                        .amplitude = found->spot[s].amplitude / found->spot[0].amplitude,
                                        .paired = fit != NULL && pairs.mark_of[s] >= 0};
    }
    return UM_OK;
}

static um_status judge(work *w, int64_t c, const double *free_score)
{
    um_identified *i = &w->out->component[c];
    const um_found *found = &w->found[c];
    int32_t best = best_phase(w, c, -1), second = best_phase(w, c, best), rival = -1;
    i->best.phase = i->runner_up.phase = -1;
    i->orientation = -1;
    i->halo_per_A = found->halo_px * w->job.how.scale_per_A;
    for (size_t p = 0; p < w->job.phases; p++) {
        i->score_of[p] = fit_of(w, c, p)->pairing.score;
        if ((int32_t)p != best && free_score[p] > 0.0 && (rival < 0 || free_score[p] > free_score[rival])) {
            rival = (int32_t)p;
        }
    }
    if (best >= 0) {
        um_match_tell(&w->job, best, fit_of(w, c, (size_t)best), &i->best);
    }
    if (second >= 0) {
        um_match_tell(&w->job, second, fit_of(w, c, (size_t)second), &i->runner_up);
    }
    i->margin = i->best.score - i->runner_up.score;
    if (found->count < LEAST_SPOTS) {
        i->verdict = isfinite(found->halo_px) ? UM_VERDICT_AMORPHOUS : UM_VERDICT_BACKGROUND;
    } else {
        bool asked = w->job.how.null_patterns >= 2;
        i->verdict = best >= 0 && (!asked || is_named(w, c)) ? UM_VERDICT_PHASE : UM_VERDICT_UNKNOWN;
    }
    say_why(w, c, rival >= 0 ? free_score[rival] : 0.0, rival);
    return list_spots(w, c, best >= 0 ? fit_of(w, c, (size_t)best) : NULL);
}

static void tell_calibration(work *w)
{
    um_identification *out = w->out;
    double low = INFINITY, high = 0.0;
    int64_t n = 0;
    for (int64_t c = 0; c < out->k; c++) {
        const um_identified *i = &out->component[c];
        if (i->verdict == UM_VERDICT_PHASE) {
            low = fmin(low, i->best.scale);
            high = fmax(high, i->best.scale);
            n++;
        }
    }
    out->scale = n > 0 ? w->job.bounds.scale / w->bounds.scale : NAN;
    out->scale_spread = n > 0 ? high / low - 1.0 : NAN;
    out->shift_x = n > 0 ? w->bounds.center_x : NAN;
    out->shift_y = n > 0 ? -w->bounds.center_y : NAN;
    double strain = hypot(w->bounds.strain_x, w->bounds.strain_y);
    out->ellipse_ratio = n > 0 ? (1.0 + strain) / (1.0 - strain) : NAN;
    out->ellipse_deg = n > 0 && strain > 0.0 ? 90.0 / M_PI * atan2(w->bounds.strain_y, w->bounds.strain_x) : NAN;
}

static um_status relate(work *w)
{
    um_identification *out = w->out;
    int32_t next = 0;
    out->relation = calloc((size_t)(out->k * (out->k - 1) / 2 + 1), sizeof *out->relation);
    if (out->relation == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    for (int64_t b = 0; b < out->k; b++) {
        um_identified *ib = &out->component[b];
        for (int64_t a = 0; a < b && ib->verdict == UM_VERDICT_PHASE; a++) {
            const um_identified *ia = &out->component[a];
            if (ia->verdict != UM_VERDICT_PHASE || ia->best.phase != ib->best.phase) {
                continue;
            }
            um_relation *r = &out->relation[out->relations++];
            *r = (um_relation){.a = a, .b = b};
            r->angle_deg = um_laue_angle(&w->job.library[ia->best.phase].laue, &ia->best.orientation, &ib->best.orientation, r->axis);
            ib->orientation = ib->orientation < 0 && r->angle_deg < same_deg ? ia->orientation : ib->orientation;
        }
        if (ib->verdict == UM_VERDICT_PHASE && ib->orientation < 0) {
            ib->orientation = next++;
        }
    }
    return UM_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------------- */

static um_status prepare(work *w, size_t count)
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

static um_status name_all(work *w)
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
        ask_chance(w);
        for (size_t i = 0; i < all; i++) {
            free_score[i] = w->fit[i].pairing.score;
        }
        status = agree(w);
    }
    status = status == UM_OK ? compare_all(w, false) : status;
    for (int64_t c = 0; c < w->out->k && status == UM_OK; c++) {
        status = judge(w, c, free_score + (size_t)c * w->job.phases);
    }
    if (status == UM_OK) {
        tell_calibration(w);
        status = relate(w);
    }
    free(free_score);
    return status;
}

static um_status begin(work *w, const um_candidate *candidates, size_t count, um_identify_options *how)
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
    work w = {.ctx = ctx, .model = model, .out = calloc(1, sizeof *w.out)};
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
