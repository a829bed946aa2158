/* From a good start to the result in few reads.
 *
 * Each read is an exact pass that can be the last (nmf_judge.c). What it tells corrects the low-rank image
 * (correction.c), and a fit to that, which costs no read, tells what is still to be gained and how far components
 * would turn: if that is little, the judged pair is the result, else the next read is taken where the fit ends. B and
 * G also give the best H for this W, whose objective is known without a read: when a fit turns out worse than that,
 * it is undone.
 *
 * Enough is when the objective cannot fall by more than noise-fitting does: with Poisson weights the k(N + M)
 * parameters take k(1/N + 1/M) of it. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIT_PASSES = 200, COMPONENT_SWEEPS = 200, CAUTIOUS_PASSES = 3 };
static const double FIT_ROWS =
    2e7; /* rows times passes of one fit: it must cost less than a read */

/* When a fit is good enough; gains in shares of the statistical floor, turns in radians in the scaled space. */
typedef struct strictness {
    double enough, turn;
    int turn_passes;          /* reads for the sake of the turn alone */
    double fit_gain, fit_turn; /* of the fits between reads */
    double move_gain;          /* that a component must promise at a place that stands out: seen there, little in all */
    int moves;                 /* such components at most */
} strictness;
static const strictness LARGE = {0.1, 0.1, 1, 2e-4, 5e-3, 1e-2, 1};
static const strictness SMALL = {0.01, 0.02, 8, 2e-4, 5e-4, 1e-3, 3};

double um_nmf_floor(const um_scaled *s, size_t k)
{
    return s->weighted ? (double)k * (1 / (double)s->noisy_rows + 1 / (double)s->noisy_columns) : 0;
}

static bool is_large(const um_scaled *s)
{
    const double small_scan = 1e8; /* values */
    return (double)s->n * (double)s->m > small_scan;
}

bool um_nmf_saves_reads(const um_scaled *s, const um_nmf_options *options)
{
    bool tight = options->tolerance >= 0 || options->stop == UM_STOP_TOLERANCE;
    return options->start == UM_START_AUTO &&
           (options->stop == UM_STOP_FLOOR || is_large(s) || !tight);
}

um_stop um_nmf_stop_rule(const um_scaled *s, const um_nmf_options *options)
{
    bool forced = options->stop == UM_STOP_FLOOR;
    bool possible = s->weighted && options->start == UM_START_AUTO;
    return possible && (forced || (options->stop == UM_STOP_AUTO && options->tolerance < 0))
               ? UM_STOP_FLOOR
               : UM_STOP_TOLERANCE;
}

double um_nmf_unit(const um_scaled *s, size_t k, double objective)
{
    return s->weighted ? (double)k * (double)(s->noisy_rows + s->noisy_columns) : 1e-3 * objective;
}

/* -2<B,H> + <G,HH'>: the objective but for ||X'||^2. H is k x m, f64. */
static double quadratic(const um_scaled *s, size_t k, const double *g, const double *b,
                        const double *h)
{
    double sum = 0;
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double gh = 0;
            for (size_t d = 0; d < k; d++) {
                gh += g[c * k + d] * h[d * s->m + j];
            }
            sum += h[c * s->m + j] * (gh - 2 * b[c * s->m + j]);
        }
    }
    return sum;
}

/* ---- the safe step ------------------------------------------------------------------------------- */

/* The best H for this W into h_last, with the objective that it has; W keeps its scale. */
static um_status take_safe_step(um_scaled *s, um_nmf_state *state, const um_nmf_judged *at)
{
    size_t k = state->k;
    double *h = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, k * s->m, sizeof *h, "components", &h));
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            h[c * s->m + j] = (double)state->h[c * s->ld + j];
        }
    }
    double before = quadratic(s, k, at->g, at->b, h);
    um_status status = um_nmf_move_components(s, k, at->g, at->b, h, COMPONENT_SWEEPS);
    double after = quadratic(s, k, at->g, at->b, h);
    state->safe = at->objective + fmin(0, after - before);
    state->gain = fmax(0, before - after) / at->objective;
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            state->h_last[c * s->ld + j] = (float)h[c * s->m + j];
        }
    }
    um_buffer_free(s->ctx, h);
    return status;
}

/* ---- the fit to the corrected image -------------------------------------------------------------- */

typedef struct fit_outlook {
    double gain; /* relative decrease of the objective to where the fit ends */
    double turn; /* largest turn of a component on the way there */
    double objective; /* there, of the image */
} fit_outlook;

/* Largest angle between rows of h and those of `from`, which have unit length. */
static double largest_turn(const um_scaled *s, size_t k, const float *h, const float *from)
{
    double turn = 0;
    for (size_t c = 0; c < k; c++) {
        double dot = 0;
        double norm2 = 0;
        for (size_t j = 0; j < s->m; j++) {
            double x = (double)h[c * s->ld + j];
            dot += x * (double)from[c * s->ld + j];
            norm2 += x * x;
        }
        turn = fmax(turn, norm2 > 0 ? acos(fmin(1, dot / sqrt(norm2))) : 0);
    }
    return turn;
}

static um_status fit_corrected(um_scaled *s, const um_subspace *sub, const strictness *strict,
                               const um_nmf_judged *at, um_nmf_state *state, fit_outlook *outlook)
{
    int64_t passes = (int64_t)(FIT_ROWS / (double)s->n);
    passes = passes < 8 ? 8 : passes > FIT_PASSES ? FIT_PASSES : passes;
    um_nmf_state inner = *state;
    inner.passes = 0;
    inner.momentum = 0;
    UM_TRY(um_buffer_alloc(s->ctx, state->k * s->ld, sizeof(float), "components", &inner.h_last));
    inner.history = calloc((size_t)passes + 1, sizeof *inner.history);
    inner.history_kkt = calloc((size_t)passes + 1, sizeof *inner.history_kkt);
    um_status status = UM_OK;
    if (inner.history == NULL || inner.history_kkt == NULL) {
        status = um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a fit");
    }
    if (status == UM_OK) {
        memcpy(inner.h_last, state->h, state->k * s->ld * sizeof *inner.h_last);
        const um_nmf_run run = {.scaled = s,
                                .subspace = sub,
                                .gain = strict->fit_gain * um_nmf_unit(s, state->k, at->objective),
                                .turn = strict->fit_turn,
                                .max_passes = passes};
        bool converged = false;
        status = um_nmf_iterate(&run, &inner, &converged);
    }
    if (status == UM_OK) {
        double last = inner.history[inner.passes - 1];
        outlook->objective = last;
        outlook->gain = fmax(0, inner.history[0] - last) / at->objective;
        outlook->turn = largest_turn(s, state->k, state->h, at->h);
        um_debug(s->ctx, "fit to the corrected image: %lld passes, gain %.3g of the floor, turn %.3g",
                 (long long)inner.passes,
                 s->weighted ? outlook->gain / um_nmf_floor(s, state->k) : outlook->gain,
                 outlook->turn);
    }
    um_buffer_free(s->ctx, inner.h_last);
    free(inner.history);
    free(inner.history_kkt);
    return status;
}

/* ---- passes -------------------------------------------------------------------------------------- */

/* Unit rows; the loadings take what is divided out when they are next taken up. */
static void go_to_safe_step(const um_scaled *s, um_nmf_state *state)
{
    memcpy(state->h, state->h_last, state->k * s->ld * sizeof *state->h);
    um_nmf_normalise(s, state);
}

static bool is_within_tolerance(const um_nmf_options *options, const um_nmf_state *state,
                                um_nmf_result *r)
{
    double tolerance = options->tolerance >= 0 ? options->tolerance : UM_NMF_TOLERANCE;
    if (state->kkt > tolerance) {
        return false;
    }
    r->stopped = "the projected gradient is within the tolerance";
    return true;
}

/* Also counts reads that are made for the turn alone. */
static bool is_enough(const um_scaled *s, const strictness *strict, fit_outlook outlook,
                      um_nmf_state *state, um_nmf_result *r)
{
    r->remaining = fmax(outlook.gain, state->gain);
    if (r->remaining >= strict->enough * um_nmf_floor(s, state->k)) {
        return false;
    }
    if (outlook.turn > strict->turn && state->turn_passes < strict->turn_passes) {
        state->turn_passes++;
        return false;
    }
    r->stopped = "what could still be gained is below the statistical floor";
    return true;
}

static const strictness *strictness_of(const um_scaled *s, const um_nmf_options *options)
{
    return is_large(s) || options->stop == UM_STOP_FLOOR ? &LARGE : &SMALL;
}

/* Where the next read is taken, if one is needed. */
static um_status look_ahead(um_scaled *s, const um_nmf_options *options, um_subspace *sub,
                            um_nmf_state *state, um_nmf_judged *at, um_nmf_result *r)
{
    const strictness *strict = strictness_of(s, options);
    fit_outlook outlook = {0};
    memcpy(at->h, state->h, state->k * s->ld * sizeof *at->h);
    UM_TRY(um_correction_make(s, sub, state, at));
    UM_TRY(fit_corrected(s, sub, strict, at, state, &outlook));
    if (um_nmf_stop_rule(s, options) == UM_STOP_FLOOR && is_enough(s, strict, outlook, state, r)) {
        memcpy(state->h, at->h, state->k * s->ld * sizeof *at->h);
        um_correction_restore(s, sub, state);
        r->converged = true;
    }
    return UM_OK;
}

/* ---- a state that was missed --------------------------------------------------------------------- */

/* The pair is the result, unless a component that goes where the residual stands out does better on the image; whether it
 * does so on the scan the next pass tells. */
static um_status look_for_missed(um_scaled *s, const um_nmf_options *options, um_subspace *sub, um_nmf_state *state,
                                 const um_residual *residual, um_nmf_judged *at, um_nmf_result *r)
{
    const strictness *strict = strictness_of(s, options);
    fit_outlook outlook = {.objective = INFINITY};
    bool replaced = false;
    if (!s->weighted || state->moving > 1 || state->moved >= strict->moves) {
        return UM_OK;
    }
    memcpy(at->h, state->h, state->k * s->ld * sizeof *at->h);
    UM_TRY(um_correction_make(s, sub, state, at));
    UM_TRY(um_missed_replace(s, sub, state, residual, at->g, &replaced));
    if (replaced) {
        UM_TRY(fit_corrected(s, sub, strict, at, state, &outlook));
    }
    um_missed_end(s->ctx, sub);
    double gain = 1 - outlook.objective / at->objective;
    if (replaced) {
        um_debug(s->ctx, "it gains %.3g of the floor on the image", gain / um_nmf_floor(s, state->k));
    }
    if (gain > strict->move_gain * um_nmf_floor(s, state->k)) {
        state->moving = 1;
        state->turn_passes = 0;
        r->converged = false;
        r->stopped = NULL;
        return UM_OK;
    }
    memcpy(state->h, at->h, state->k * s->ld * sizeof *at->h);
    um_correction_restore(s, sub, state);
    return UM_OK;
}

/* ---- the loop ------------------------------------------------------------------------------------ */

static um_status one_pass(um_scaled *s, const um_nmf_options *options, um_subspace *sub,
                          um_nmf_state *state, um_residual *residual, um_nmf_judged *at,
                          um_nmf_result *r)
{
    UM_TRY(um_nmf_judge(s, state, residual, sub, at));
    double safe = state->safe;
    bool failed = state->passes > 0 && at->objective > safe * (1 + 1e-9);
    state->kkt = at->kkt;
    state->history[state->passes] = at->objective;
    state->history_kkt[state->passes] = at->kkt;
    state->passes++;
    bool undo = failed && state->cautious <= 0;
    if (state->moving == 1) {
        state->moved += undo ? 0 : 1;
        state->moving = undo ? 2 : 0;
    }
    if (!undo) {
        UM_TRY(take_safe_step(s, state, at));
        r->converged = is_within_tolerance(options, state, r);
    }
    um_debug(s->ctx, "exact pass %lld: objective %.9g, KKT residual %.3g, step %.3g of the floor%s",
             (long long)state->passes, at->objective * s->report * s->report, at->kkt,
             s->weighted ? state->gain / um_nmf_floor(s, state->k) : state->gain,
             undo ? ": undone" : "");
    if (state->passes >= options->max_passes) {
        return UM_OK;
    }
    if (r->converged) {
        return look_for_missed(s, options, sub, state, residual, at, r);
    }
    if (undo) {
        state->cautious = CAUTIOUS_PASSES;
    }
    if (undo || state->cautious > 0) {
        state->cautious--;
        go_to_safe_step(s, state);
        return UM_OK;
    }
    UM_TRY(look_ahead(s, options, sub, state, at, r));
    return r->converged ? look_for_missed(s, options, sub, state, residual, at, r) : UM_OK;
}

static const char *reason_of_moves(const um_nmf_state *state)
{
    return state->moved > 0    ? "the residual stood out at a place: a component that did little went there"
           : state->moving > 0 ? "the residual stands out at a place: a component that went there did no better"
                               : NULL;
}

um_status um_nmf_few_passes(um_scaled *s, const um_nmf_options *options, um_subspace *sub,
                            um_nmf_state *state, um_residual *residual, um_nmf_result *r)
{
    um_nmf_judged at = {0};
    size_t k = state->k;
    um_status status = um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "W'X", &at.b);
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "components", &at.h);
    }
    if (status == UM_OK) {
        status = um_correction_create(s, sub, k);
    }
    at.g = calloc(k * k, sizeof *at.g);
    if (status == UM_OK && at.g == NULL) {
        status = um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for G");
    }
    double last_saved = um_seconds();
    while (status == UM_OK && !r->converged && state->passes < options->max_passes) {
        status = um_nmf_save_when_due(s, options, state, &last_saved);
        if (status == UM_OK) {
            status = one_pass(s, options, sub, state, residual, &at, r);
        }
    }
    const char *moves = reason_of_moves(state);
    r->more_reads = moves != NULL ? moves : r->more_reads;
    um_buffer_free(s->ctx, at.b);
    um_buffer_free(s->ctx, at.h);
    free(at.g);
    return status;
}
