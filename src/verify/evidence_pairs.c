/* Suspicions about pairs of components: one crystal in two components, moved copies, trails of the detector. */
#include "evidence_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REACH = 6 /* px of shift that are tried */, RING = 3, BEAM = 4, LEAST_REFLECTIONS = 4,
       LEAST_MAP = 8 /* positions of a map that can be told from its neighbour */ };
static const double SAME_PATTERN = 0.98, SAME_REFLECTIONS = 0.75, SAME_WHEN_MOVED = 0.75, GAIN_OF_MOVE = 0.15;

/* ---- patterns ----------------------------------------------------------------------------------- */

/* Cosine in the weighted space, where what all patterns share counts little; norms without what noise adds. */
static double weighted_cosine(const um_inquiry *q, int64_t a, int64_t b)
{
    double ab = 0;
    double aa = 0;
    double bb = 0;
    const double *error = q->out->pattern_error;
    for (int64_t j = 0; j < q->m; j++) {
        double d = q->contrast[j];
        double ea = error[a * q->m + j];
        double eb = error[b * q->m + j];
        ab += d * um_h(q, a, j) * um_h(q, b, j);
        aa += d * (um_h(q, a, j) * um_h(q, a, j) - (isfinite(ea) ? ea * ea : 0));
        bb += d * (um_h(q, b, j) * um_h(q, b, j) - (isfinite(eb) ? eb * eb : 0));
    }
    return aa > 0 && bb > 0 ? fmin(ab / sqrt(aa * bb), 1) : NAN;
}

/* Patterns of unit sum. */
static double unit(const um_inquiry *q, int64_t c, int64_t j)
{
    return q->pattern_sum[c] > 0 ? um_h(q, c, j) / q->pattern_sum[c] : 0;
}

/* A reflection of c: the largest value around, well above the level around it, and no part of the direct beam. */
static bool is_reflection(const um_inquiry *q, int64_t c, int64_t j)
{
    int64_t kx = q->shape.kx;
    int64_t y = j / kx;
    int64_t x = j % kx;
    double value = unit(q, c, j);
    double error = q->pattern_sum[c] > 0 ? q->out->pattern_error[c * q->m + j] / q->pattern_sum[c] : 0;
    if (y < 1 || x < 1 || y + 1 >= q->shape.ky || x + 1 >= kx || !(value > 4 * error) ||
        (llabs(y - q->beam / kx) <= BEAM && llabs(x - q->beam % kx) <= BEAM)) {
        return false;
    }
    double ring = 0;
    int count = 0;
    for (int64_t v = y - RING; v <= y + RING; v++) {
        for (int64_t u = x - RING; u <= x + RING; u++) {
            if (v < 0 || u < 0 || v >= q->shape.ky || u >= kx) {
                continue;
            }
            double at = unit(q, c, v * kx + u);
            if (llabs(v - y) <= 1 && llabs(u - x) <= 1 && at > value) {
                return false;
            }
            if (llabs(v - y) == RING || llabs(u - x) == RING) {
                ring += at;
                count++;
            }
        }
    }
    return count > 0 && value - ring / count > 4 * error && value > 1.5 * ring / count;
}

static bool reflection_near(const uint8_t *reflection, const um_inquiry *q, int64_t j)
{
    for (int64_t v = j / q->shape.kx - 1; v <= j / q->shape.kx + 1; v++) {
        for (int64_t u = j % q->shape.kx - 1; u <= j % q->shape.kx + 1; u++) {
            if (v >= 0 && u >= 0 && v < q->shape.ky && u < q->shape.kx && reflection[v * q->shape.kx + u]) {
                return true;
            }
        }
    }
    return false;
}

/* Part of the reflections of a, by intensity, at which b has one too; those that others have as well do not count.
 * NaN where that is fewer than LEAST_REFLECTIONS. */
static double reflections_in(const um_inquiry *q, const uint8_t *reflections, int64_t a, int64_t b)
{
    double own = 0;
    double found = 0;
    int count = 0;
    for (int64_t j = 0; j < q->m; j++) {
        if (!reflections[a * q->m + j]) {
            continue;
        }
        double others = 0;
        for (int64_t c = 0; c < q->k; c++) {
            others = c != a && c != b ? fmax(others, unit(q, c, j)) : others;
        }
        if (unit(q, a, j) > 2 * others) {
            count++;
            own += unit(q, a, j);
            found += reflection_near(reflections + b * q->m, q, j) ? unit(q, a, j) : 0;
        }
    }
    return count >= LEAST_REFLECTIONS ? found / own : NAN;
}

/* ---- moved copies ------------------------------------------------------------------------------- */

typedef struct shifted_cosine {
    double best, at_rest;
    int64_t dy, dx;
} shifted_cosine;

/* Root of what exceeds its error: noise-stabilised, zero where nothing is certain. */
static void root_pattern(const um_inquiry *q, int64_t c, double *root)
{
    double squares = 0;

    for (int64_t j = 0; j < q->m; j++) {
        double error = q->out->pattern_error[c * q->m + j];
        root[j] = sqrt(fmax(um_h(q, c, j) - (isfinite(error) ? 2 * error : 0), 0));
        squares += root[j] * root[j];
    }
    for (int64_t j = 0; j < q->m && squares > 0; j++) {
        root[j] /= sqrt(squares);
    }
}

static shifted_cosine best_shift(const um_inquiry *q, const double *a, const double *b)
{
    shifted_cosine out = {.best = -1};
    int64_t ky = q->shape.ky;
    int64_t kx = q->shape.kx;
    for (int64_t dy = -REACH; dy <= REACH; dy++) {
        for (int64_t dx = -REACH; dx <= REACH; dx++) {
            double sum = 0;
            for (int64_t y = dy < 0 ? -dy : 0; y < ky && y + dy < ky; y++) {
                for (int64_t x = dx < 0 ? -dx : 0; x < kx && x + dx < kx; x++) {
                    sum += a[y * kx + x] * b[(y + dy) * kx + x + dx];
                }
            }
            if (dy == 0 && dx == 0) {
                out.at_rest = sum;
            }
            if (sum > out.best) {
                out.best = sum;
                out.dy = dy;
                out.dx = dx;
            }
        }
    }
    return out;
}

/* ---- maps --------------------------------------------------------------------------------------- */

/* Cosine of the map of a with that of b taken `shift` positions later in the row. */
static double map_cosine(const um_inquiry *q, int64_t a, int64_t b, int64_t shift)
{
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (int64_t y = 0; y < q->shape.ny; y++) {
        for (int64_t x = 1; x + 1 < q->shape.nx; x++) {
            int64_t p = y * q->shape.nx + x;
            double wa = um_w(q, p, a);
            double wb = um_w(q, p + shift, b);
            ab += wa * wb;
            aa += wa * wa;
            bb += wb * wb;
        }
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static bool trails(const um_inquiry *q, int64_t a, int64_t b)
{
    double later = map_cosine(q, a, b, 1);
    return later > 0.5 && later > map_cosine(q, a, b, 0) + 0.2 && later > map_cosine(q, a, b, -1) + 0.2;
}

/* ---- a pair ------------------------------------------------------------------------------------- */

/* What is the matter with a pair; strength: a larger one is told first, 0 = nothing. */
typedef struct finding {
    um_suspicion suspicion;
    double strength;
    bool same_crystal;
} finding;

static finding found(um_suspicion_kind kind, int64_t component, int64_t with, double strength)
{
    return (finding){.suspicion = {.kind = kind, .component = component, .with = with}, .strength = strength,
                     .same_crystal = kind == UM_SUSPECT_DUPLICATE || kind == UM_SUSPECT_SPLIT};
}

static finding one_pattern_twice(const um_inquiry *q, int64_t a, int64_t b, double cosine)
{
    bool large = q->out->cards[a].positions >= LEAST_MAP && q->out->cards[b].positions >= LEAST_MAP;
    bool later = large && trails(q, a, b);
    if (later || (large && trails(q, b, a))) {
        finding f = found(UM_SUSPECT_AFTERGLOW, later ? b : a, later ? a : b, 2 + cosine);
        snprintf(f.suspicion.reason, sizeof f.suspicion.reason,
                 "the pattern of component %lld (cosine %.3f) with its map one position later in the row",
                 (long long)f.suspicion.with, cosine);
        return f;
    }
    finding f = found(UM_SUSPECT_DUPLICATE, b, a, 2 + cosine);
    snprintf(f.suspicion.reason, sizeof f.suspicion.reason,
             "the pattern of component %lld within what tells patterns apart (weighted cosine %.3f)", (long long)a,
             cosine);
    return f;
}

static finding judge_pair(const um_inquiry *q, int64_t a, int64_t b, const double *root, const uint8_t *reflections)
{
    double cosine = weighted_cosine(q, a, b);
    if (cosine > SAME_PATTERN) {
        return one_pattern_twice(q, a, b, cosine);
    }
    shifted_cosine move = best_shift(q, root + a * q->m, root + b * q->m);
    if ((move.dy != 0 || move.dx != 0) && move.best > SAME_WHEN_MOVED && move.best > move.at_rest + GAIN_OF_MOVE) {
        finding f = found(UM_SUSPECT_SHIFTED, b, a, 1 + move.best);
        snprintf(f.suspicion.reason, sizeof f.suspicion.reason,
                 "the pattern of component %lld moved by %lld px in y and %lld in x (cosine %.2f moved, %.2f as it is): "
                 "patterns are not centred",
                 (long long)a, (long long)move.dy, (long long)move.dx, move.best, move.at_rest);
        return f;
    }
    double common = fmin(reflections_in(q, reflections, a, b), reflections_in(q, reflections, b, a));
    if (common > SAME_REFLECTIONS) {
        finding f = found(UM_SUSPECT_SPLIT, b, a, common);
        snprintf(f.suspicion.reason, sizeof f.suspicion.reason,
                 "%.0f %% of the reflections that it and component %lld do not share with others are at the same places, in "
                 "other ratios (weighted cosine %.2f): one crystal that bends or changes thickness",
                 100 * common, (long long)a, cosine);
        return f;
    }
    return (finding){0};
}

static um_status merge(um_inquiry *q, const um_suspicion *s)
{
    um_evidence *e = q->out;
    um_merge *grown = realloc(e->merges, (size_t)(e->merge_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return um_fail(q->ctx, UM_ERROR_MEMORY, "no memory for merges");
    }
    e->merges = grown;
    grown[e->merge_count] = (um_merge){.first = s->with, .second = s->component};
    memcpy(grown[e->merge_count++].reason, s->reason, sizeof s->reason);
    return UM_OK;
}

/* Each component is told with the one partner that speaks most. */
static um_status judge_all(um_inquiry *q, const double *root, const uint8_t *reflections)
{
    for (int64_t b = 1; b < q->k; b++) {
        finding best = {0};
        UM_TRY(um_check_cancel(q->ctx));
        for (int64_t a = 0; a < b; a++) {
            finding f = judge_pair(q, a, b, root, reflections);
            best = f.strength > best.strength ? f : best;
        }
        const um_suspicion *s = &best.suspicion;
        if (best.strength > 0) {
            UM_TRY(um_suspect(q->out, s->kind, s->component, s->with, "%s", s->reason));
        }
        if (best.strength > 0 && best.same_crystal) {
            UM_TRY(merge(q, s));
        }
    }
    return UM_OK;
}

um_status um_suspect_pairs(um_inquiry *q)
{
    double *root = NULL;
    uint8_t *reflections = NULL;
    UM_TRY(um_buffer_alloc(q->ctx, (size_t)(q->k * q->m), sizeof *root, "patterns", &root));
    um_status status = um_buffer_alloc(q->ctx, (size_t)(q->k * q->m), 1, "patterns", &reflections);
    for (int64_t c = 0; c < q->k && status == UM_OK; c++) {
        root_pattern(q, c, root + c * q->m);
        for (int64_t j = 0; j < q->m; j++) {
            reflections[c * q->m + j] = is_reflection(q, c, j);
        }
    }
    if (status == UM_OK) {
        status = judge_all(q, root, reflections);
    }
    um_buffer_free(q->ctx, reflections);
    um_buffer_free(q->ctx, root);
    return status;
}
