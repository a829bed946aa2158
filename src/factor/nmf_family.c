/* Iterations of a variant from the plain fit: W, then H, with H extrapolated as in the plain fit and taken back when
 * the objective rose. */
#include "nmf_family.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_BACK = 4, PART_STEPS = 200 };
static const double TOLERANCE = 1e-5; /* of the objective, over LOOK_BACK steps */
static const double ROUNDING = 1e-9;

bool um_family_wanted(const um_nmf_options *o)
{
    return o->sparse_loadings > 0 || o->sparse_patterns > 0 || o->orthogonal > 0 || o->relevance ||
           o->smooth > 0 || o->dips > 0 || o->robust > 0 || o->probe_px > 0 || o->fixed_file != NULL;
}

um_status um_family_check(um_context *ctx, const um_nmf_options *o)
{
    const double strengths[] = {o->sparse_loadings, o->sparse_patterns, o->orthogonal, o->smooth,
                                o->dips, o->robust, o->probe_px};
    for (size_t i = 0; i < sizeof strengths / sizeof strengths[0]; i++) {
        if (!(strengths[i] >= 0 && strengths[i] <= 1e6)) {
            return um_fail(ctx, UM_ERROR_ARGUMENT,
                           "the strength of a variant must lie between 0 and 1e6, not %g",
                           strengths[i]);
        }
    }
    if (o->second_pass != 0 && (um_family_wanted(o) || o->loss != UM_LOSS_FROBENIUS)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "a second pass goes on from the plain fit: leave out --loss kl and variants, or the "
                       "second pass");
    }
    if (!um_family_wanted(o)) {
        return UM_OK;
    }
    if (o->loss != UM_LOSS_FROBENIUS) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "variants of the factorisation are of squared errors: leave out --loss kl");
    }
    if (o->probe_px > 0 && o->smooth > 0) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "--probe and --smooth exclude each other");
    }
    if ((o->probe_px > 0 || o->smooth > 0) && (o->orthogonal > 0 || o->robust > 0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "--probe and --smooth exclude --orthogonal and --robust");
    }
    if (o->robust > 0 && o->relevance) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "--robust and --ard exclude each other");
    }
    if (o->fixed_file != NULL && o->relevance) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "--ard may remove components: leave out --fixed");
    }
    if (o->resume) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "a variant of the factorisation cannot be resumed: leave out --resume");
    }
    return UM_OK;
}

static bool couples_positions(const um_nmf_options *o)
{
    return o->smooth > 0 || o->probe_px > 0;
}

size_t um_family_bytes(const um_nmf_options *o, size_t n, size_t m, size_t k)
{
    if (!um_family_wanted(o)) {
        return 0;
    }
    size_t bytes = (2 * k + 1) * m * sizeof(double);
    bytes += o->robust > 0 ? um_robust_bytes(n, m, k) : 0;
    bytes += couples_positions(o) ? n * k * sizeof(float) : 0;
    return bytes + (o->probe_px > 0 ? um_probe_bytes(n, k) : 0);
}

static um_status family_create(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                               um_family *f)
{
    size_t k = state->k;
    *f = (um_family){.scaled = s, .options = options, .state = state};
    UM_TRY(um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "W'X", &f->b));
    UM_TRY(um_buffer_alloc(s->ctx, (k + 1) * s->m, sizeof(double), "components", &f->h64));
    if (couples_positions(options)) {
        UM_TRY(um_buffer_alloc(s->ctx, s->n * k, sizeof(float), "X'H'", &f->a));
    }
    if (options->probe_px > 0) {
        UM_TRY(um_probe_create(s, k, options->probe_px, &f->probe));
    }
    if (options->robust > 0) {
        UM_TRY(um_robust_create(f, options->robust, &f->robust));
        f->outlier_share = calloc(s->n, sizeof *f->outlier_share);
        if (f->outlier_share == NULL) {
            return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a map");
        }
    }
    f->fixed = calloc(k, sizeof *f->fixed);
    f->lasso = calloc(k, sizeof *f->lasso);
    f->w_sum = calloc(k, sizeof *f->w_sum);
    f->energy = calloc(k, sizeof *f->energy);
    f->h_norm = calloc(k, sizeof *f->h_norm);
    f->g_h = calloc(k * k, sizeof *f->g_h);
    f->g = calloc(k * k, sizeof *f->g);
    f->g_move = calloc(k * k, sizeof *f->g_move);
    f->work = calloc(2 * k * k, sizeof *f->work);
    bool all = f->fixed != NULL && f->lasso != NULL && f->w_sum != NULL && f->energy != NULL &&
               f->h_norm != NULL && f->g_h != NULL && f->g != NULL && f->g_move != NULL &&
               f->work != NULL;
    return all ? UM_OK : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
}

static void family_free(um_family *f)
{
    um_context *ctx = f->scaled->ctx;
    um_buffer_free(ctx, f->b);
    um_buffer_free(ctx, f->h64);
    um_buffer_free(ctx, f->a);
    um_probe_free(ctx, f->probe);
    um_robust_free(ctx, f->robust);
    free(f->outlier_share);
    free(f->fixed);
    free(f->lasso);
    free(f->w_sum);
    free(f->energy);
    free(f->h_norm);
    free(f->g_h);
    free(f->g);
    free(f->g_move);
    free(f->work);
}

/* h64 with unit rows becomes the last solution; the next step is taken beyond it. */
static void extrapolate(um_family *f)
{
    um_nmf_state *state = f->state;
    const um_scaled *s = f->scaled;
    double beta = state->momentum / (state->momentum + 3);
    for (size_t c = 0; c < state->k; c++) {
        const double *h = f->h64 + c * s->m;
        double norm2 = 0;
        for (size_t j = 0; j < s->m; j++) {
            norm2 += h[j] * h[j];
        }
        double norm = norm2 > 0 ? sqrt(norm2) : 1;
        state->scale[c] = norm2 > 0 ? norm : 0;
        for (size_t j = 0; j < s->m; j++) {
            size_t i = c * s->ld + j;
            double to = h[j] / norm;
            double ahead = to + beta * (to - (double)state->h_last[i]);
            state->h_last[i] = (float)to;
            state->h[i] = f->fixed[c] ? (float)to : (float)fmax(0, ahead);
        }
    }
    state->momentum++;
}

static um_status iterate(um_family *f, int64_t most, um_nmf_result *r)
{
    um_nmf_state *state = f->state;
    double *history = calloc((size_t)most + 1, sizeof *history);
    if (history == NULL) {
        return um_fail(f->scaled->ctx, UM_ERROR_MEMORY, "no memory for %lld passes", (long long)most);
    }
    double tolerance = f->options->tolerance >= 0 ? f->options->tolerance : TOLERANCE;
    double best = INFINITY;
    int64_t since = 0; /* steps with the components that there are */
    um_status status = UM_OK;
    r->converged = false;
    for (int64_t i = 0; status == UM_OK && !r->converged && i < most; i++) {
        status = um_family_solve(f, NULL);
        if (status != UM_OK) {
            break;
        }
        double objective = um_family_objective(f);
        bool worse = objective > best + ROUNDING * fabs(best);
        history[since++] = objective;
        um_debug(f->scaled->ctx, "step %lld: objective %.9g%s", (long long)i + 1, objective,
                 worse ? ": undone" : "");
        if (worse && state->momentum > 0) {
            state->momentum = 0;
            memcpy(state->h, state->h_last, state->k * f->scaled->ld * sizeof *state->h);
            continue;
        }
        best = fmin(best, objective);
        double gain = since > LOOK_BACK ? history[since - 1 - LOOK_BACK] - objective : INFINITY;
        r->converged = gain >= 0 && gain <= tolerance * fabs(objective);
        um_family_move(f);
        extrapolate(f);
        if (f->options->relevance && um_family_prune(f) > 0) {
            best = INFINITY;
            since = 0;
            state->momentum = 0;
            r->converged = false;
        }
    }
    free(history);
    return status;
}

um_status um_family_fit_more(um_sample_view *view, um_nmf_state *state, size_t held, double *squares)
{
    const um_nmf_options plain = um_nmf_defaults((int64_t)state->k);
    um_nmf_result told = {0};
    um_family f;
    um_status status = family_create(&view->scaled, &plain, state, &f);
    if (status == UM_OK) {
        f.part = view;
        f.noise2 = 1;
        for (size_t c = 0; c < held; c++) {
            f.fixed[c] = true;
        }
        state->momentum = 0;
        memcpy(state->h_last, state->h, state->k * view->scaled.ld * sizeof *state->h);
        status = held < state->k ? iterate(&f, PART_STEPS, &told) : UM_OK;
    }
    if (status == UM_OK) {
        memcpy(state->h, state->h_last, state->k * view->scaled.ld * sizeof *state->h);
        status = um_family_solve(&f, NULL);
        *squares = f.squares;
    }
    family_free(&f);
    return status;
}

um_status um_nmf_family_passes(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                               um_residual *residual, um_nmf_result *r)
{
    um_family f;
    size_t before = state->k;
    double plain = residual->weighted;
    um_status status = family_create(s, options, state, &f);
    if (status == UM_OK && options->fixed_file != NULL) {
        status = um_family_fix(&f);
    }
    if (status == UM_OK) {
        double entries = (double)s->noisy_rows * (double)s->noisy_columns;
        f.noise2 = s->weighted ? 1 : plain / entries;
        state->momentum = 0;
        memcpy(state->h_last, state->h, state->k * s->ld * sizeof *state->h);
        status = iterate(&f, options->max_passes, r);
    }
    if (status == UM_OK) {
        memcpy(state->h, state->h_last, state->k * s->ld * sizeof *state->h);
        status = um_family_solve(&f, residual);
    }
    if (status == UM_OK) {
        r->stopped = r->converged ? "the objective stands still" : NULL;
        r->passes += f.visits;
        r->variant_steps = f.solves;
        r->removed = (int64_t)(before - state->k);
        r->fit_cost = residual->weighted / plain - 1;
        double edge = sqrt((double)s->noisy_rows) + sqrt((double)s->noisy_columns);
        r->removed_noise = (double)r->removed * edge * edge * f.noise2 / plain;
        state->kkt = NAN;
        r->outlier_share = f.outlier_share;
        f.outlier_share = NULL;
    }
    family_free(&f);
    return status;
}
