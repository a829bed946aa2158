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
    FIRST_PASSES = 10,
    TRIAL_PASSES = 60,
    POLISH_PASSES = 200,
    SAMPLE_ROWS = UM_START_ROWS,
    BINNED_NEAREST = 3
};
/* With Poisson weights of the statistical floor, else of the objective. */
static const double MARGIN = 0.01, MARGIN_PLAIN = 1e-3;
static const double ALL_ROWS = 1e7; /* rows times passes of the last polish */
/* A fit ends when a few passes gain less than this of what is worth a pass. */
static const double TRIAL_GAIN = 2e-3, POLISH_GAIN = 1e-3, POLISH_TURN = 2e-3;

/* Up to `passes` of them in all. */
static um_status fit_image(um_scaled *s, const um_subspace *subspace, um_nmf_state *state,
                           int64_t passes, double gain, double turn)
{
    const um_nmf_run run = {.scaled = s,
                            .subspace = subspace,
                            .gain = gain * um_nmf_unit(s, state->k, s->norm2 - subspace->norm2),
                            .turn = turn,
                            .max_passes = passes};
    bool converged = false;
    return um_nmf_iterate(&run, state, &converged);
}

static double objective_of(const um_nmf_state *state)
{
    return state->history[state->passes - 1];
}

/* The first passes from one start. */
static um_status begin_start(um_scaled *s, const um_nmf_options *options,
                             const um_subspace *subspace, um_start start, uint64_t variant,
                             int64_t passes, um_nmf_state *state)
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
    UM_TRY(fit_image(s, subspace, state, passes, TRIAL_GAIN, INFINITY));
    um_debug(s->ctx, "start %d.%d: low-rank objective %.9g after %lld passes", (int)start,
             (int)variant, objective_of(state) * s->report * s->report, (long long)state->passes);
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
    out->scaled.noisy_rows = s->noisy_rows / (int64_t)stride;
    for (size_t i = 0; i < out->scaled.n; i++) {
        const float *row = subspace->us + i * stride * count;
        out->scaled.u[i] = s->u[i * stride];
        memcpy(out->subspace.us + i * count, row, count * sizeof *row);
        for (size_t c = 0; c < count; c++) {
            norm2 += (double)row[c] * (double)row[c];
        }
    }
    out->subspace.norm2 = stride > 1 ? norm2 : subspace->norm2;
    out->scaled.norm2 = out->subspace.norm2 +
                        fmax(0, s->norm2 - subspace->norm2) * (double)out->scaled.n / (double)s->n;
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
static um_status begin_binned(const um_nmf_options *options, um_binned *binned,
                              const um_subspace *sub, trial t, sample *part, um_nmf_state *state)
{
    um_scaled *s = &um_binned_view(binned)->scaled;
    um_nmf_state own;
    um_status status = um_nmf_state_create(s, state->k, TRIAL_PASSES, &own);
    if (status == UM_OK) {
        status = begin_start(s, options, sub, t.start, t.variant, TRIAL_PASSES, &own);
    }
    if (status == UM_OK) {
        take_components(&part->scaled, &own, state);
        um_nmf_normalise(&part->scaled, state);
        status = fit_image(&part->scaled, &part->subspace, state, FIRST_PASSES, TRIAL_GAIN, INFINITY);
    }
    um_nmf_state_free(s->ctx, &own);
    return status;
}

/* The first is the separable start, which stays; of the others the best stay, the lowest objective first. */
typedef struct field {
    um_nmf_state state[UM_SURVIVORS + 1];
    int count;
} field;

static void enter(um_context *ctx, field *f, um_nmf_state *state)
{
    int i = f->count++;
    f->state[i] = *state;
    for (; i > 1 && objective_of(&f->state[i]) < objective_of(&f->state[i - 1]); i--) {
        swap_states(&f->state[i], &f->state[i - 1]);
    }
    if (f->count > UM_SURVIVORS) {
        um_nmf_state_free(ctx, &f->state[--f->count]);
    }
}

static um_status begin_starts(um_scaled *s, const um_nmf_options *options, sample *part,
                              um_binned *binned, const um_subspace *coarse, size_t k, field *f)
{
    int starts = binned != NULL && coarse->count >= k ? STARTS : STARTS - BINNED_STARTS;
    for (int i = 0; i < starts; i++) {
        const trial t = trial_of(i);
        um_nmf_state state;
        um_status status = um_nmf_state_create(&part->scaled, k, POLISH_PASSES, &state);
        if (status == UM_OK && t.binned) {
            status = begin_binned(options, binned, coarse, t, part, &state);
        } else if (status == UM_OK) {
            status = begin_start(&part->scaled, options, &part->subspace, t.start, t.variant,
                                 FIRST_PASSES, &state);
        }
        if (status != UM_OK || !isfinite(objective_of(&state))) {
            um_nmf_state_free(s->ctx, &state);
            UM_TRY(status);
            continue;
        }
        enter(s->ctx, f, &state);
        um_progress_add(s->ctx, 1);
    }
    return f->count > 0 ? UM_OK
                        : um_fail(s->ctx, UM_ERROR_NUMERIC,
                                  "the automatic start: no objective is finite: pass --start");
}

/* Begins all starts, goes on with the best; the chosen one in *chosen, which the caller frees. */
static um_status try_starts(um_scaled *s, const um_nmf_options *options, sample *part,
                            um_binned *binned, const um_subspace *coarse, um_nmf_state *chosen)
{
    size_t k = chosen->k;
    field f = {.count = 0};
    int best = 0;
    double limit = INFINITY;
    um_status status = begin_starts(s, options, part, binned, coarse, k, &f);
    for (int i = 0; status == UM_OK && i < f.count; i++) {
        status = fit_image(&part->scaled, &part->subspace, &f.state[i], TRIAL_PASSES, TRIAL_GAIN,
                           INFINITY);
        double objective = objective_of(&f.state[i]);
        um_debug(s->ctx, "survivor %d: %.9g after %lld passes", i,
                 objective * s->report * s->report, (long long)f.state[i].passes);
        if (status == UM_OK && objective < limit) {
            double margin = s->weighted ? MARGIN * um_nmf_floor(s, k) : MARGIN_PLAIN;
            limit = objective * (i == 0 ? 1 - margin : 1);
            best = i;
        }
    }
    if (status == UM_OK) {
        swap_states(chosen, &f.state[best]);
    }
    for (int i = 0; i < f.count; i++) {
        um_nmf_state_free(s->ctx, &f.state[i]);
    }
    return status;
}

/* Passes beyond those of the state count elsewhere. */
static um_status polish_on_all_rows(um_scaled *s, const um_subspace *subspace, um_nmf_state *state)
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
        status = fit_image(s, subspace, &inner, passes, POLISH_GAIN, POLISH_TURN);
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
        um_binned_view(subspace->binned)->scaled.norm2 = coarse.norm2;
    }
    if (status == UM_OK) {
        um_progress_begin(s->ctx, "starts", "starts",
                          subspace->binned != NULL ? STARTS : STARTS - BINNED_STARTS);
        status = try_starts(s, options, &part, subspace->binned, &coarse, &chosen);
        um_progress_end(s->ctx);
    }
    if (status == UM_OK) {
        status = fit_image(&part.scaled, &part.subspace, &chosen, POLISH_PASSES, POLISH_GAIN,
                           POLISH_TURN);
    }
    if (status == UM_OK) {
        take_components(s, &chosen, state);
    }
    um_subspace_free(s->ctx, &coarse);
    um_nmf_state_free(s->ctx, &chosen);
    free_sample(s->ctx, &part);
    if (status == UM_OK && s->n > SAMPLE_ROWS) {
        status = polish_on_all_rows(s, subspace, state);
    }
    return status;
}
