/* From a good start to the result in few reads.
 *
 * Each read is an exact pass that can be the last (nmf_judge.c). If it is not, its A = X'H' and B = W'X' tell what
 * the low-rank image misses at this very pair; added as constants, they make a low-rank fit that agrees with the
 * scan there to first order, and its solution is where the next read is taken. B and G also give the best H for
 * this W, whose objective is known without a read: when the fit turns out worse than that, it is undone.
 *
 * Enough is when the objective cannot fall by more than noise-fitting does: with Poisson weights the k(N + M)
 * parameters take k(1/N + 1/M) of it. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIT_PASSES = 200, COMPONENT_SWEEPS = 200, CAUTIOUS_PASSES = 3 };
static const double FIT_ROWS =
    2e7;                          /* rows times passes of one fit: it must cost less than a read */
static const double ENOUGH = 0.1; /* of the statistical floor */
static const double AHEAD = 4;    /* what is left beyond the step that is known, in such steps */
static const double FIT_TOLERANCE = 0.1;

double um_nmf_floor(const um_scaled *s, size_t k)
{
    return s->weighted ? (double)k * (1 / (double)s->noisy_rows + 1 / (double)s->noisy_columns) : 0;
}

bool um_nmf_saves_reads(const um_scaled *s, const um_nmf_options *options)
{
    const double small_scan = 1e8; /* values */
    bool large = (double)s->n * (double)s->m > small_scan;
    return options->start == UM_START_AUTO &&
           (options->stop == UM_STOP_FLOOR || (options->stop == UM_STOP_AUTO && large));
}

um_stop um_nmf_stop_rule(const um_scaled *s, const um_nmf_options *options)
{
    bool forced = options->stop == UM_STOP_FLOOR;
    return s->weighted && um_nmf_saves_reads(s, options) && (forced || options->tolerance < 0)
               ? UM_STOP_FLOOR
               : UM_STOP_TOLERANCE;
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

/* ---- the low-rank fit that agrees with the scan at (W, H) ------------------------------------------ */

static void show_loadings(void *user, const int64_t *position, size_t rows, const double *a,
                          double *w, double extra[4])
{
    (void)a;
    (void)extra;
    const um_nmf_state *state = user;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < state->k; c++) {
            w[c * UM_GROUP_ROWS + r] = (double)state->w[(size_t)position[r] * state->k + c];
        }
    }
}

/* b becomes what the low-rank image misses of it. */
static um_status find_missed(um_scaled *s, const um_subspace *sub, um_nmf_state *state,
                             um_nmf_judged *at)
{
    size_t k = state->k;
    double *b = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, k * s->m, sizeof *b, "W'X", &b));
    double *g = calloc(k * k, sizeof *g);
    um_status status = g != NULL ? UM_OK : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for G");
    if (status == UM_OK) {
        um_exact_pass pass = {.scaled = s,
                              .k = k,
                              .h = state->h,
                              .rows = show_loadings,
                              .user = state,
                              .b = b,
                              .g = g};
        status = um_lowrank_pass_run(&pass, sub);
    }
    for (size_t i = 0; status == UM_OK && i < k * s->m; i++) {
        at->b[i] = s->v[i % s->m] > 0 ? at->b[i] - b[i] : 0;
    }
    um_buffer_free(s->ctx, b);
    free(g);
    return status;
}

static um_status fit_corrected(um_scaled *s, const um_subspace *sub, um_nmf_state *state,
                               um_nmf_judged *at, double tolerance)
{
    UM_TRY(find_missed(s, sub, state, at));
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
                                .missed_a = at->missed,
                                .missed_b = at->b,
                                .tolerance = tolerance,
                                .max_passes = passes};
        bool converged = false;
        status = um_nmf_iterate(&run, &inner, &converged);
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

static bool is_enough(const um_scaled *s, const um_nmf_options *options, const um_nmf_state *state,
                      um_nmf_result *r)
{
    double tolerance = options->tolerance >= 0 ? options->tolerance : UM_NMF_TOLERANCE;
    if (state->kkt <= tolerance) {
        r->stopped = "the projected gradient is within the tolerance";
        return true;
    }
    r->remaining = AHEAD * state->gain;
    if (um_nmf_stop_rule(s, options) == UM_STOP_FLOOR &&
        r->remaining < ENOUGH * um_nmf_floor(s, state->k)) {
        r->stopped = "what could still be gained is below the statistical floor";
        return true;
    }
    return false;
}

static um_status one_pass(um_scaled *s, const um_nmf_options *options, const um_subspace *sub,
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
    if (!undo) {
        UM_TRY(take_safe_step(s, state, at));
        r->converged = is_enough(s, options, state, r);
    }
    um_debug(s->ctx, "exact pass %lld: objective %.9g, KKT residual %.3g, step %.3g of the floor%s",
             (long long)state->passes, at->objective * s->report * s->report, at->kkt,
             s->weighted ? state->gain / um_nmf_floor(s, state->k) : state->gain,
             undo ? ": undone" : "");
    if (r->converged || state->passes >= options->max_passes) {
        return UM_OK;
    }
    if (undo) {
        state->cautious = CAUTIOUS_PASSES;
    }
    if (undo || state->cautious > 0) {
        state->cautious--;
        go_to_safe_step(s, state);
        return UM_OK;
    }
    return fit_corrected(s, sub, state, at, FIT_TOLERANCE * fmin(at->kkt, UM_NMF_TOLERANCE));
}

um_status um_nmf_few_passes(um_scaled *s, const um_nmf_options *options, const um_subspace *sub,
                            um_nmf_state *state, um_residual *residual, um_nmf_result *r)
{
    um_nmf_judged at = {0};
    size_t k = state->k;
    um_status status = um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "W'X", &at.b);
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, s->n * k, sizeof(float), "what the low-rank image misses",
                                 &at.missed);
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
    um_buffer_free(s->ctx, at.b);
    um_buffer_free(s->ctx, at.missed);
    free(at.g);
    return status;
}
