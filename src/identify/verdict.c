/* What is said of a pattern, and why. */
#include "identify_internal.h"

#include <math.h>
#include <stdlib.h>

static const double same_deg = 5.0; /* orientations nearer than this are one */

const char *um_verdict_word(um_verdict verdict)
{
    static const char *const words[] = {"phase", "unknown", "amorphous", "background"};
    return words[verdict];
}

const um_fit *um_naming_fit(const um_naming *w, int64_t c, size_t p)
{
    return &w->fit[c * (int64_t)w->job.phases + (int64_t)p];
}

bool um_naming_is_named(const um_naming *w, int64_t c)
{
    const um_identified *i = &w->out->component[c];
    return isfinite(i->chance) && i->chance <= w->job.how.false_rate;
}

static int32_t best_phase(const um_naming *w, int64_t c, int32_t but)
{
    int32_t best = -1;
    for (size_t p = 0; p < w->job.phases; p++) {
        double score = um_naming_fit(w, c, p)->pairing.score;
        if ((int32_t)p != but && score > 0.0 && (best < 0 || score > um_naming_fit(w, c, (size_t)best)->pairing.score)) {
            best = (int32_t)p;
        }
    }
    return best;
}

double um_naming_highest(const um_fit *fit, size_t phases)
{
    double best = 0.0;
    for (size_t p = 0; p < phases; p++) {
        best = fmax(best, fit[p].pairing.score);
    }
    return best;
}

void um_naming_ask_chance(um_naming *w)
{
    int64_t n = w->job.how.null_patterns;
    for (int64_t c = 0; c < w->out->k; c++) {
        double score = um_naming_highest(w->fit + c * (int64_t)w->job.phases, w->job.phases);
        w->out->component[c].chance =
            w->found[c].count >= UM_LEAST_SPOTS && n >= 2 ? um_null_chance(w->null_score + c * n, n, score) : NAN;
    }
}

static const char *name_of(const um_naming *w, int32_t phase)
{
    return w->job.candidate[phase].name;
}

static void say_why(const um_naming *w, int64_t c, double free_rival, int32_t rival)
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

static um_status list_spots(const um_naming *w, int64_t c, const um_fit *fit)
{
    um_identified *i = &w->out->component[c];
    const um_found *found = &w->found[c];
    um_mark_spot marks[UM_MOST_MARKS];
    um_pairing pairs = {0};
    um_scene_of scene = {.frame = &w->job.frame, .spot = found->spot, .spots = found->count,
                         .sigma_px = w->job.how.spot_px};
    const um_frame *f = &w->job.frame;
    i->spot = calloc((size_t)found->count + 1, sizeof *i->spot);
    i->reflection = calloc(UM_MOST_MARKS, sizeof *i->reflection);
    if (i->spot == NULL || i->reflection == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    int64_t n = 0;
    um_scene_measure(&scene);
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

um_status um_naming_judge(um_naming *w, int64_t c, const double *free_score)
{
    um_identified *i = &w->out->component[c];
    const um_found *found = &w->found[c];
    int32_t best = best_phase(w, c, -1), second = best_phase(w, c, best), rival = -1;
    i->best.phase = i->runner_up.phase = -1;
    i->orientation = -1;
    i->halo_per_A = found->halo_px * w->job.how.scale_per_A;
    for (size_t p = 0; p < w->job.phases; p++) {
        i->score_of[p] = um_naming_fit(w, c, p)->pairing.score;
        if ((int32_t)p != best && free_score[p] > 0.0 && (rival < 0 || free_score[p] > free_score[rival])) {
            rival = (int32_t)p;
        }
    }
    if (best >= 0) {
        um_match_tell(&w->job, best, um_naming_fit(w, c, (size_t)best), &i->best);
    }
    if (second >= 0) {
        um_match_tell(&w->job, second, um_naming_fit(w, c, (size_t)second), &i->runner_up);
    }
    i->margin = i->best.score - i->runner_up.score;
    if (found->count < UM_LEAST_SPOTS) {
        i->verdict = isfinite(found->halo_px) ? UM_VERDICT_AMORPHOUS : UM_VERDICT_BACKGROUND;
    } else {
        bool asked = w->job.how.null_patterns >= 2;
        i->verdict = best >= 0 && (!asked || um_naming_is_named(w, c)) ? UM_VERDICT_PHASE : UM_VERDICT_UNKNOWN;
    }
    say_why(w, c, rival >= 0 ? free_score[rival] : 0.0, rival);
    return list_spots(w, c, best >= 0 ? um_naming_fit(w, c, (size_t)best) : NULL);
}

void um_naming_tell_calibration(um_naming *w)
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

um_status um_naming_relate(um_naming *w)
{
    um_identification *out = w->out;
    out->relation = calloc((size_t)(out->k * (out->k - 1) / 2 + 1), sizeof *out->relation);
    if (out->relation == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    for (int64_t b = 0; b < out->k; b++) {
        um_identified *ib = &out->component[b];
        int32_t next = 0;
        for (int64_t a = 0; a < b && ib->verdict == UM_VERDICT_PHASE; a++) {
            const um_identified *ia = &out->component[a];
            if (ia->verdict != UM_VERDICT_PHASE || ia->best.phase != ib->best.phase) {
                continue;
            }
            um_relation *r = &out->relation[out->relations++];
            *r = (um_relation){.a = a, .b = b};
            r->angle_deg = um_laue_angle(&w->job.library[ia->best.phase].laue, &ia->best.orientation, &ib->best.orientation, r->axis);
            next = ia->orientation >= next ? ia->orientation + 1 : next;
            ib->orientation = ib->orientation < 0 && r->angle_deg < same_deg ? ia->orientation : ib->orientation;
        }
        if (ib->verdict == UM_VERDICT_PHASE && ib->orientation < 0) {
            ib->orientation = next;
        }
    }
    return UM_OK;
}

