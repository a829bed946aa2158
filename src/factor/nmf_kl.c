/* Non-negative factorisation under the Poisson likelihood.
 *
 * A pass solves the rows of W for the H it is taken with, so its divergence is a function of H alone; H then moves by
 * the multiplicative (EM) step, which never raises it, and is extrapolated. When an extrapolated H turns out worse
 * than the best so far, the next pass is taken at the plain step, and the momentum starts again.
 *
 * Multiplicative steps cannot leave zero: the start is mixed with a little of the mean pattern, and where a step
 * goes up it goes up by a share of that pattern besides. A start with zeros else ends up to 3 % above the minimum. */
#include "nmf_kl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SWEEPS = 60, SWEEPS = 4, LAST_SWEEPS = 500, LOOK_BACK = 4 };
static const double MIX = 0.03;
static const double SWEEP_STOP = 1e-4, FIRST_STOP = 1e-6, LAST_STOP = 1e-7;
static const double TOLERANCE = 1e-4;
static const double ROUNDING = 1e-7; /* of sums of single precision */
static const double KEEP = 0.1;   /* of a step, at least, where extrapolation would go below zero */
static const double ENOUGH = 0.1; /* of what fitting noise gains */

/* Rows of H in counts get sum one; what is divided out multiplies W when it is next taken up. */
static double sum_of(const um_scaled *s, const float *h)
{
    double sum = 0;
    for (size_t j = 0; j < s->m; j++) {
        sum += s->v[j] > 0 ? (double)h[j] / (double)s->v[j] : 0;
    }
    return sum;
}

static void begin(um_scaled *s, const um_nmf_options *options, um_nmf_state *state, um_kl_pass *pass)
{
    size_t k = state->k;
    for (size_t c = 0; c < k; c++) {
        float *h = state->h + c * s->ld;
        double sum = sum_of(s, h);
        for (size_t j = 0; j < s->m; j++) {
            double mean = s->sums->sum_pattern[j] / s->sums->total * (double)s->v[j];
            h[j] = s->v[j] > 0 ? (float)(((sum > 0 ? (double)h[j] / sum : 0) + MIX * mean) / (1 + MIX))
                               : 0;
        }
        state->scale[c] *= sum;
    }
    memcpy(state->h_last, state->h, k * s->ld * sizeof *state->h);
    pass->mix = MIX;
    if (options->start == UM_START_AUTO) { /* which leaves no loadings */
        memset(state->w, 0, s->n * k * sizeof *state->w);
        pass->mix = 1;
    }
    state->safe = INFINITY;
    state->gain = MIX;
}

/* b becomes the plain step of H in counts, of sum one, with the share of all counts that it moves. */
static double plain_step(const um_kl_pass *pass)
{
    const um_scaled *s = pass->scaled;
    um_nmf_state *state = pass->state;
    double moved = 0;
    for (size_t c = 0; c < state->k; c++) {
        double *b = pass->b + c * s->m;
        const float *h = pass->h + c * s->ld;
        double sum = 0;
        for (size_t j = 0; j < s->m; j++) {
            double ratio = pass->w_sum[c] > 0 ? b[j] / pass->w_sum[c] : 1;
            double least = state->gain * s->sums->sum_pattern[j] / s->sums->total;
            double to = (double)h[j] * ratio + least * fmin(1, fmax(0, ratio - 1));
            moved += fabs(to - (double)h[j]) * pass->w_sum[c];
            b[j] = to;
            sum += to;
        }
        for (size_t j = 0; sum > 0 && j < s->m; j++) {
            b[j] /= sum;
        }
        state->scale[c] = sum > 0 ? sum : 1;
    }
    return moved;
}

/* The plain step becomes the last solution; the next pass is taken beyond it. */
static void extrapolate(const um_kl_pass *pass)
{
    const um_scaled *s = pass->scaled;
    um_nmf_state *state = pass->state;
    double beta = state->momentum / (state->momentum + 3);
    for (size_t c = 0; c < state->k; c++) {
        const double *to = pass->b + c * s->m;
        for (size_t j = 0; j < s->m; j++) {
            size_t i = c * s->ld + j;
            double step = to[j] * (double)s->v[j];
            double ahead = step + beta * (step - (double)state->h_last[i]);
            state->h_last[i] = (float)step;
            state->h[i] = (float)fmax(ahead, KEEP * step);
        }
    }
    state->momentum++;
}

um_stop um_nmf_kl_stop_rule(const um_nmf_options *options)
{
    return options->stop == UM_STOP_FLOOR || (options->stop == UM_STOP_AUTO && options->tolerance < 0)
               ? UM_STOP_FLOOR
               : UM_STOP_TOLERANCE;
}

/* Whether what more passes bring is less than fitting noise brings: k (N + M) / 2 by likelihood ratios. */
static bool below_floor(const um_scaled *s, const um_nmf_state *state, double *remaining)
{
    if (state->passes <= LOOK_BACK) {
        return false;
    }
    double now = state->history[state->passes - 1];
    double gain = state->history[state->passes - 1 - LOOK_BACK] - now;
    double noise = 0.5 * (double)state->k * (double)(s->noisy_rows + s->noisy_columns);
    *remaining = gain / now;
    return gain >= 0 && gain < ENOUGH * noise;
}

static um_status one_pass(um_kl_pass *pass, const um_nmf_options *options, um_nmf_result *r)
{
    um_nmf_state *state = pass->state;
    const um_scaled *s = pass->scaled;
    char stage[48];
    snprintf(stage, sizeof stage, "NMF pass %lld", (long long)state->passes + 1);
    /* After a restart the rows are those of a worse H. */
    pass->sweeps = state->momentum > 0 ? SWEEPS : FIRST_SWEEPS;
    pass->stop = state->momentum > 0 ? SWEEP_STOP : FIRST_STOP;
    UM_TRY(um_kl_pass_run(pass, stage));
    double divergence = pass->divergence;
    bool worse = divergence > state->safe * (1 + ROUNDING);
    double moved = plain_step(pass) + pass->moved;
    state->kkt = moved / pass->counts;
    state->history[state->passes] = divergence;
    state->history_kkt[state->passes] = state->kkt;
    state->passes++;
    um_debug(s->ctx, "pass %lld: divergence %.9g, counts moved %.3g%s", (long long)state->passes,
             divergence, state->kkt, worse ? ": undone" : "");
    if (worse && state->momentum > 0) {
        state->momentum = 0;
        memcpy(state->h, state->h_last, state->k * s->ld * sizeof *state->h);
        return UM_OK;
    }
    state->gain *= worse ? 0.5 : 1;
    state->safe = fmin(state->safe, divergence);
    double tolerance = options->tolerance >= 0 ? options->tolerance : TOLERANCE;
    if (state->kkt <= tolerance) {
        r->converged = true;
        r->stopped = "a step moves fewer counts than the tolerance";
    } else if (um_nmf_kl_stop_rule(options) == UM_STOP_FLOOR &&
               below_floor(s, state, &r->remaining)) {
        r->converged = true;
        r->stopped = "what the last passes gained is below the statistical floor";
    }
    extrapolate(pass);
    return UM_OK;
}

/* The last visit: W to its minimum for h_last, and all errors of this pair. */
static um_status judge(um_kl_pass *pass, um_residual *residual, um_nmf_result *r)
{
    um_nmf_state *state = pass->state;
    const um_scaled *s = pass->scaled;
    memcpy(state->h, state->h_last, state->k * s->ld * sizeof *state->h);
    um_residual_begin(residual);
    pass->after = (um_companion){&um_residual_visitor, residual};
    pass->sweeps = LAST_SWEEPS;
    pass->stop = LAST_STOP;
    UM_TRY(um_kl_pass_run(pass, "NMF, last pass"));
    r->passes++;
    r->divergence = pass->divergence;
    state->kkt = (plain_step(pass) + pass->moved) / pass->counts;
    for (size_t c = 0; c < state->k; c++) {
        state->scale[c] = 1;
    }
    return UM_OK;
}

um_status um_nmf_kl_passes(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                           um_residual *residual, um_nmf_result *r)
{
    um_kl_pass pass = {0};
    um_status status = um_kl_pass_create(s, state, &pass);
    if (status == UM_OK && state->passes == 0) {
        begin(s, options, state, &pass);
    }
    double last_saved = um_seconds();
    while (status == UM_OK && !r->converged && state->passes < options->max_passes) {
        status = one_pass(&pass, options, r);
        if (status == UM_OK && !r->converged) {
            status = um_nmf_save_when_due(s, options, state, &last_saved);
        }
    }
    if (status == UM_OK) {
        status = judge(&pass, residual, r);
    }
    um_kl_pass_free(&pass);
    return status;
}
