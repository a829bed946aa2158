/* um_nmf: spectrum, start, passes, result. */
#include "nmf_family.h"
#include "nmf_kl.h"

#include <math.h>
#include <stdlib.h>

um_nmf_options um_nmf_defaults(int64_t k)
{
    return (um_nmf_options){.k = k,
                            .start = UM_START_AUTO,
                            .tolerance = -1,
                            .max_passes = 500,
                            .checkpoint_seconds = 30};
}

static um_status check_options(const um_scaled *s, const um_nmf_options *options)
{
    int64_t most = s->rows < s->columns ? s->rows : s->columns;
    if (most > UM_HALS_LARGEST) {
        most = UM_HALS_LARGEST;
    }
    if (options->k < 1 || options->k > most) {
        return um_fail(s->ctx, UM_ERROR_ARGUMENT, "-k %lld: 1 to %lld components are possible here",
                       (long long)options->k, (long long)most);
    }
    if (isnan(options->tolerance) || options->max_passes < 1) {
        return um_fail(s->ctx, UM_ERROR_ARGUMENT,
                       "the tolerance must be a number and at least one pass is needed");
    }
    if (options->loss == UM_LOSS_FROBENIUS && options->stop == UM_STOP_FLOOR && options->start != UM_START_AUTO) {
        return um_fail(s->ctx, UM_ERROR_ARGUMENT, "a stop at the floor needs the automatic start");
    }
    if (options->second_pass != 0 && !s->weighted) {
        return um_fail(s->ctx, UM_ERROR_ARGUMENT,
                       "a second pass needs to know the noise: it is for counts with Poisson weights");
    }
    if (s->sums->negative > 0) {
        return um_fail(s->ctx, UM_ERROR_VALUE,
                       "%lld values are negative (least %g): NMF needs non-negative data; pass "
                       "--negative clip to set them to zero",
                       (long long)s->sums->negative, s->sums->minimum);
    }
    return UM_OK;
}

um_status um_nmf_judge_pair(um_scaled *s, um_nmf_state *state, um_residual *residual)
{
    size_t k = state->k;
    um_nmf_judged at = {0};
    UM_TRY(um_buffer_alloc(s->ctx, k * s->m, sizeof *at.b, "W'X", &at.b));
    at.g = calloc(k * k, sizeof *at.g);
    um_status status = at.g != NULL ? um_nmf_judge(s, state, residual, NULL, &at)
                                    : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for G");
    state->kkt = at.kkt;
    um_buffer_free(s->ctx, at.b);
    free(at.g);
    return status;
}

/* Passes from a start that is far off or given: each moves W and H once. */
static um_status many_passes(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                             um_residual *residual, um_nmf_result *r)
{
    const um_nmf_run run = {
        .scaled = s,
        .tolerance = options->tolerance >= 0 ? options->tolerance : UM_NMF_TOLERANCE,
        .max_passes = options->max_passes,
        .checkpoint = options->checkpoint != NULL ? options : NULL,
        .plain = options->start == UM_START_FILE && um_has_suffix(options->start_file, ".npz")};
    UM_TRY(um_nmf_iterate(&run, state, &r->converged));
    r->stopped = r->converged ? "the projected gradient is within the tolerance" : NULL;
    r->passes++;
    return um_nmf_judge_pair(s, state, residual);
}

/* Patterns that are all held, as the state of a fit that needs its loadings only. */
static um_status hold_patterns(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                               um_nmf_result *r)
{
    if (s->sums == NULL) {
        um_sums *sums = NULL;
        UM_TRY(um_matrix_sums(s->matrix, &sums));
        s->own_sums = sums;
        r->passes++;
        UM_TRY(um_scaled_settle(s, sums));
    }
    UM_TRY(check_options(s, options));
    UM_TRY(um_nmf_state_create(s, (size_t)options->k, options->max_passes, state));
    for (size_t c = 0; c < state->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double h = (double)options->held[c * s->m + j];
            state->h[c * s->ld + j] = s->v[j] > 0 && h > 0 ? (float)(h * (double)s->v[j]) : 0;
        }
    }
    um_nmf_normalise(s, state);
    return UM_OK;
}

static um_status find_loadings(um_scaled *s, um_nmf_state *state, um_residual *residual,
                               um_nmf_result *r)
{
    UM_TRY(um_nmf_judge_pair(s, state, residual));
    state->history[0] = residual->weighted;
    state->history_kkt[0] = state->kkt;
    state->passes = 1;
    r->converged = true;
    r->stopped = "the patterns were held";
    return UM_OK;
}

static um_status prepare(um_scaled *s, const um_nmf_options *options, um_subspace *subspace,
                         um_nmf_state *state, um_nmf_result *r)
{
    size_t k = (size_t)options->k;
    bool few = options->start == UM_START_AUTO && options->loss == UM_LOSS_FROBENIUS;
    /* The spectrum is evidence in every report, and the start of the NNDSVD family. */
    um_subspace_purpose purpose =
        um_nmf_saves_reads(s, options) ? UM_SUBSPACE_FEW_READS : UM_SUBSPACE_START;
    UM_TRY(um_subspace_find(s, k, -1, 0, purpose, subspace));
    r->passes += subspace->passes;
    r->more_reads = subspace->reason;
    UM_TRY(check_options(s, options));
    UM_TRY(um_nmf_state_create(s, k, options->max_passes, state));
    bool resumed = false;
    if (options->checkpoint != NULL && options->resume) {
        UM_TRY(um_nmf_checkpoint_load(s, options, state, &resumed));
    }
    if (!resumed) {
        UM_TRY(um_nmf_start(s, options, state, subspace));
        um_nmf_normalise(s, state);
    }
    if (!few) { /* only the values are still of use */
        um_buffer_free(s->ctx, subspace->us);
        um_buffer_free(s->ctx, subspace->v);
        subspace->us = NULL;
        subspace->v = NULL;
    }
    return UM_OK;
}

static void fill_result(const um_scaled *s, const um_nmf_options *options,
                        const um_nmf_state *state, const um_subspace *subspace,
                        const um_residual *residual, um_nmf_result *r)
{
    r->iterations = state->passes;
    r->passes += state->passes;
    r->kkt = state->kkt;
    r->weighted = s->weighted;
    r->floor = um_nmf_floor(s, state->k);
    r->loss = options->loss;
    r->stop = options->loss == UM_LOSS_KL ? um_nmf_kl_stop_rule(options)
                                          : um_nmf_stop_rule(s, options);
    if (r->stopped == NULL) {
        r->stopped = "the largest number of passes is reached";
    }
    double least = s->norm2;
    for (size_t c = 0; c < state->k && c < subspace->count; c++) {
        least -= subspace->sigma[c] * subspace->sigma[c];
    }
    r->lower_bound = options->loss == UM_LOSS_KL || subspace->count == 0
                         ? NAN
                         : sqrt(fmax(0, fmin(least, residual->weighted))) * s->report;
}

static um_status open_aperture(um_scaled *s, const um_nmf_options *options, um_residual *residual)
{
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "an aperture", &residual->inside));
    UM_TRY(options->choose_aperture(options->aperture_user, s->sums, residual->inside));
    residual->virtual_map = malloc(s->n * sizeof *residual->virtual_map);
    if (residual->virtual_map == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a map");
    }
    for (size_t p = 0; p < s->n; p++) {
        residual->virtual_map[p] = NAN; /* where no pattern is visited */
    }
    return UM_OK;
}

static um_status iterate(um_scaled *s, const um_nmf_options *options, um_subspace *subspace,
                         um_nmf_state *state, um_residual *residual, um_nmf_result *r)
{
    if (options->held != NULL) {
        return find_loadings(s, state, residual, r);
    }
    if (options->loss == UM_LOSS_KL) {
        return um_nmf_kl_passes(s, options, state, residual, r);
    }
    UM_TRY(options->start == UM_START_AUTO
               ? um_nmf_few_passes(s, options, subspace, state, residual, r)
               : many_passes(s, options, state, residual, r));
    if (options->second_pass != 0) {
        return um_nmf_second_pass(s, options, state, residual, r);
    }
    return um_family_wanted(options) ? um_nmf_family_passes(s, options, state, residual, r) : UM_OK;
}

static um_status run_nmf(um_scaled *s, const um_nmf_options *options, um_nmf_result *r)
{
    um_nmf_state state = {0};
    um_subspace subspace = {.count = 0};
    um_residual residual = {0};
    r->remaining = r->divergence = r->fit_cost = NAN;
    um_status status = options->held != NULL ? hold_patterns(s, options, &state, r)
                                             : prepare(s, options, &subspace, &state, r);
    if (status == UM_OK) {
        status = um_residual_create(s, &state, &residual);
    }
    if (status == UM_OK && options->choose_aperture != NULL) {
        status = open_aperture(s, options, &residual);
    }
    if (status == UM_OK) {
        status = iterate(s, options, &subspace, &state, &residual, r);
    }
    if (status == UM_OK) {
        r->virtual_map = residual.virtual_map;
        residual.virtual_map = NULL;
        fill_result(s, options, &state, &subspace, &residual, r);
        status = um_nmf_finish(s, options, &state, &subspace, &residual, r);
    }
    um_residual_free(&residual);
    um_nmf_state_free(s->ctx, &state);
    um_subspace_free(s->ctx, &subspace);
    return status;
}

um_status um_nmf(um_matrix *matrix, const um_nmf_options *options, um_nmf_result **out)
{
    um_context *ctx = um_matrix_get_context(matrix);
    *out = NULL;
    double start = um_seconds();
    UM_TRY(um_family_check(ctx, options));
    UM_TRY(um_nmf_reserve(matrix, options));
    um_nmf_result *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a result");
    }
    um_scaled s;
    um_status status = um_scaled_init(&s, matrix, options->weights, options->sums);
    if (status == UM_OK) {
        status = run_nmf(&s, options, r);
    }
    r->sums = s.own_sums;
    s.own_sums = NULL;
    um_scaled_free(&s);
    r->seconds = um_seconds() - start;
    if (status != UM_OK) {
        um_nmf_result_free(r);
        return status;
    }
    *out = r;
    return UM_OK;
}

void um_nmf_result_free(um_nmf_result *result)
{
    if (result == NULL) {
        return;
    }
    um_model_free(result->model);
    um_sums_free(result->sums);
    free(result->virtual_map);
    free(result->outlier_share);
    free(result);
}
