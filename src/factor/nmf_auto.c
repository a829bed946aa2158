/* The automatic start: a few starts, each fitted to the low-rank image of the scan, which costs no read.
 *
 * Starts are told apart by their objective only where it differs by more than a valley of equal solutions
 * does (decision 9): within MARGIN of the best, the separable start is taken for its pure patterns. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANDOM_STARTS = 6,
    TRIAL_PASSES = 60,
    POLISH_PASSES = 400,
    SAMPLE_ROWS = UM_START_ROWS,
    BINNED_NEAREST = 3
};
/* With Poisson weights of the statistical floor, else of the objective. */
static const double MARGIN = 0.005, MARGIN_PLAIN = 1e-3, TRIAL_TOLERANCE = 1e-4;
static const double ALL_ROWS = 2e7; /* rows times passes of the last polish */
static const double POLISH = 0.25;  /* of the tolerance: passes here cost no read */

/* Fits one start; its objective. */
static um_status fit_start(um_scaled *s, const um_nmf_options *options, const um_subspace *subspace,
                           um_start start, uint64_t variant, um_nmf_state *state, double *objective)
{
    um_nmf_options own = *options;
    own.start = start;
    uint64_t seed = um_context_seed(s->ctx);
    /* Starts of one seed must not be those of the next. */
    um_context_set_seed(s->ctx, seed + variant * UINT64_C(0x9e3779b97f4a7c15));
    um_status status = um_nmf_start(s, &own, state, subspace);
    um_context_set_seed(s->ctx, seed);
    UM_TRY(status);
    um_nmf_normalise(s, state);
    const um_nmf_run run = {.scaled = s,
                            .subspace = subspace,
                            .tolerance = TRIAL_TOLERANCE,
                            .max_passes = TRIAL_PASSES};
    bool converged = false;
    UM_TRY(um_nmf_iterate(&run, state, &converged));
    *objective = state->history[state->passes - 1];
    um_debug(s->ctx, "start %d.%d: low-rank objective %.9g after %lld passes", (int)start,
             (int)variant, *objective * s->report * s->report, (long long)state->passes);
    return UM_OK;
}

/* Every stride-th row of the scan as a scan of its own: starts are told apart by a sample as well. */
typedef struct sample {
    um_scaled scaled;
    um_subspace subspace;
} sample;

static um_status take_sample(const um_scaled *s, const um_subspace *subspace, sample *out)
{
    size_t stride = s->n / SAMPLE_ROWS + 1;
    size_t count = subspace->count;
    out->scaled = *s;
    out->subspace = *subspace;
    out->scaled.n = (s->n + stride - 1) / stride;
    out->scaled.u = NULL;
    out->subspace.us = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, out->scaled.n, sizeof(float), "a sample", &out->scaled.u));
    UM_TRY(um_buffer_alloc(s->ctx, out->scaled.n * count, sizeof(float), "a sample",
                           &out->subspace.us));
    double norm2 = 0;
    for (size_t i = 0; i < out->scaled.n; i++) {
        const float *row = subspace->us + i * stride * count;
        out->scaled.u[i] = s->u[i * stride];
        memcpy(out->subspace.us + i * count, row, count * sizeof *row);
        for (size_t c = 0; c < count; c++) {
            norm2 += (double)row[c] * (double)row[c];
        }
    }
    out->subspace.norm2 = stride > 1 ? norm2 : subspace->norm2;
    return UM_OK;
}

static void free_sample(um_context *ctx, sample *out)
{
    um_buffer_free(ctx, out->scaled.u);
    um_buffer_free(ctx, out->subspace.us);
}

/* The first pass solves for loadings: they only have to be there. */
static void take_components(const um_scaled *s, const um_nmf_state *from, um_nmf_state *state)
{
    size_t k = state->k;
    memcpy(state->h, from->h, k * s->ld * sizeof *state->h);
    for (size_t p = 0; p < s->n; p++) {
        for (size_t c = 0; c < k; c++) {
            state->w[p * k + c] = s->u[p] > 0 ? 1 : 0;
        }
    }
}

static void swap_states(um_nmf_state *a, um_nmf_state *b)
{
    um_nmf_state keep = *a;
    *a = *b;
    *b = keep;
}

/* One start after the other: those of the scan, then those of its binned copy. */
typedef struct trial {
    um_start start;
    uint64_t variant;
    bool binned;
} trial;
enum { BINNED_STARTS = 4, STARTS = 2 + RANDOM_STARTS + BINNED_STARTS };

static trial trial_of(int i)
{
    const um_start starts[] = {UM_START_SEPARABLE, UM_START_NNDSVD, UM_START_RANDOM};
    bool binned = i >= 2 + RANDOM_STARTS;
    i -= binned ? 2 + RANDOM_STARTS : 0;
    int random = binned ? i : i - 1; /* number of the random start */
    bool named = i < (binned ? 1 : 2);
    return (trial){starts[named ? i : 2], named ? 0 : (uint64_t)(random + (binned ? 100 : 0)),
                   binned};
}

/* What the binned copy ends with from a start of its own is the start. */
static um_status fit_binned(const um_nmf_options *options, um_binned *binned,
                            const um_subspace *sub, trial t, sample *part, um_nmf_state *state,
                            double *objective)
{
    um_scaled *s = &um_binned_view(binned)->scaled;
    um_nmf_state own;
    um_status status = um_nmf_state_create(s, state->k, TRIAL_PASSES, &own);
    if (status == UM_OK) {
        status = fit_start(s, options, sub, t.start, t.variant, &own, objective);
    }
    if (status == UM_OK) {
        take_components(&part->scaled, &own, state);
        const um_nmf_run run = {.scaled = &part->scaled,
                                .subspace = &part->subspace,
                                .tolerance = TRIAL_TOLERANCE,
                                .max_passes = TRIAL_PASSES};
        bool converged = false;
        um_nmf_normalise(&part->scaled, state);
        status = um_nmf_iterate(&run, state, &converged);
    }
    if (status == UM_OK) {
        *objective = state->history[state->passes - 1];
        um_debug(s->ctx, "the same of all positions: %.9g after %lld passes",
                 *objective * s->report * s->report, (long long)state->passes);
    }
    um_nmf_state_free(s->ctx, &own);
    return status;
}

/* Fits all starts; the chosen one in *chosen, which the caller frees. What lies outside the subspace no
 * start can explain, but it counts in how much they differ. */
static um_status try_starts(um_scaled *s, const um_nmf_options *options, sample *part,
                            um_binned *binned, const um_subspace *coarse, double outside,
                            um_nmf_state *chosen)
{
    size_t k = chosen->k;
    double limit = INFINITY;
    double margin = s->weighted ? MARGIN * um_nmf_floor(s, k) : MARGIN_PLAIN;
    int starts = binned != NULL && coarse->count >= k ? STARTS : STARTS - BINNED_STARTS;
    for (int i = 0; i < starts; i++) {
        const trial t = trial_of(i);
        um_nmf_state state;
        double objective = 0;
        um_status status = um_nmf_state_create(&part->scaled, k, POLISH_PASSES, &state);
        if (status == UM_OK && t.binned) {
            status = fit_binned(options, binned, coarse, t, part, &state, &objective);
        } else if (status == UM_OK) {
            status = fit_start(&part->scaled, options, &part->subspace, t.start, t.variant, &state,
                               &objective);
        }
        if (status == UM_OK && objective + outside < limit) {
            limit = (objective + outside) * (i == 0 ? 1 - margin : 1);
            swap_states(chosen, &state);
        }
        um_nmf_state_free(s->ctx, &state);
        UM_TRY(status);
        um_progress_add(s->ctx, 1);
    }
    return chosen->h != NULL ? UM_OK
                             : um_fail(s->ctx, UM_ERROR_NUMERIC,
                                       "the automatic start: no objective is finite: pass --start");
}

/* Passes beyond those of the state count elsewhere. */
static um_status polish_on_all_rows(um_scaled *s, const um_nmf_options *options,
                                    const um_subspace *subspace, um_nmf_state *state)
{
    int64_t passes = (int64_t)(ALL_ROWS / (double)s->n);
    um_nmf_state inner = *state;
    passes = passes < 8 ? 8 : passes > POLISH_PASSES ? POLISH_PASSES : passes;
    inner.history = calloc((size_t)passes + 1, sizeof *inner.history);
    inner.history_kkt = calloc((size_t)passes + 1, sizeof *inner.history_kkt);
    um_status status = UM_OK;
    if (inner.history == NULL || inner.history_kkt == NULL) {
        status = um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for the automatic start");
    }
    if (status == UM_OK) {
        memcpy(inner.h_last, inner.h, state->k * s->ld * sizeof *inner.h);
        const um_nmf_run run = {
            .scaled = s,
            .subspace = subspace,
            .tolerance = POLISH * (options->tolerance >= 0 ? options->tolerance : UM_NMF_TOLERANCE),
            .max_passes = passes};
        bool converged = false;
        status = um_nmf_iterate(&run, &inner, &converged);
    }
    free(inner.history);
    free(inner.history_kkt);
    return status;
}

um_status um_nmf_start_auto(um_scaled *s, const um_nmf_options *options,
                            const um_subspace *subspace, um_nmf_state *state)
{
    sample part;
    um_nmf_state chosen = {.k = state->k};
    um_subspace coarse = {.count = 0};
    um_status status = take_sample(s, subspace, &part);
    if (status == UM_OK && subspace->binned != NULL) {
        um_binned_settle(subspace->binned);
        status = um_binned_subspace(subspace->binned, subspace->count, subspace->v, &coarse);
        coarse.nearest = BINNED_NEAREST;
    }
    if (status == UM_OK) {
        double share = (double)part.scaled.n / (double)s->n;
        double outside = share * fmax(0, s->norm2 - subspace->norm2);
        um_progress_begin(s->ctx, "starts", "starts",
                          subspace->binned != NULL ? STARTS : STARTS - BINNED_STARTS);
        status = try_starts(s, options, &part, subspace->binned, &coarse, outside, &chosen);
        um_progress_end(s->ctx);
    }
    if (status == UM_OK) {
        const um_nmf_run polish = {
            .scaled = &part.scaled,
            .subspace = &part.subspace,
            .tolerance = POLISH * (options->tolerance >= 0 ? options->tolerance : UM_NMF_TOLERANCE),
            .max_passes = POLISH_PASSES};
        bool converged = false;
        status = um_nmf_iterate(&polish, &chosen, &converged);
    }
    if (status == UM_OK) {
        take_components(s, &chosen, state);
    }
    um_subspace_free(s->ctx, &coarse);
    um_nmf_state_free(s->ctx, &chosen);
    free_sample(s->ctx, &part);
    if (status == UM_OK && s->n > SAMPLE_ROWS) {
        status = polish_on_all_rows(s, options, subspace, state);
    }
    return status;
}
