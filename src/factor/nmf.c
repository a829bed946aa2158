/* um_nmf: spectrum, start, passes, result. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>

um_nmf_options um_nmf_defaults(int64_t k)
{
    return (um_nmf_options){.k = k,
                            .start = UM_START_AUTO,
                            .tolerance = 1e-5,
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
    if (!(options->tolerance >= 0) || options->max_passes < 1) {
        return um_fail(s->ctx, UM_ERROR_ARGUMENT,
                       "the tolerance must not be negative and at least one pass is needed");
    }
    if (s->sums->negative > 0) {
        return um_fail(s->ctx, UM_ERROR_VALUE,
                       "%lld values are negative (least %g): NMF needs non-negative data; pass "
                       "--negative clip to set them to zero",
                       (long long)s->sums->negative, s->sums->minimum);
    }
    return UM_OK;
}

static um_status run_nmf(um_scaled *s, const um_nmf_options *options, um_nmf_result *r)
{
    um_context *ctx = s->ctx;
    size_t k = (size_t)options->k;
    um_nmf_state state;
    um_subspace subspace = {.count = 0};
    bool resumed = false;
    /* The spectrum is evidence in every report, and the start of the NNDSVD family. */
    um_status status = um_subspace_find(
        s, k, -1, 0, options->start == UM_START_AUTO ? UM_SUBSPACE_FEW_READS : UM_SUBSPACE_START,
        &subspace);
    r->passes += subspace.passes;
    if (status == UM_OK) {
        status = check_options(s, options);
    }
    if (status == UM_OK) {
        status = um_nmf_state_create(s, k, options->max_passes, &state);
    } else {
        um_subspace_free(ctx, &subspace);
        return status;
    }
    if (status == UM_OK && options->checkpoint != NULL && options->resume) {
        status = um_nmf_checkpoint_load(s, options, &state, &resumed);
    }
    if (status == UM_OK && !resumed) {
        status = um_nmf_start(s, options, &state, &subspace);
        um_nmf_normalise(s, &state);
    }
    um_buffer_free(ctx, subspace.us);
    um_buffer_free(ctx, subspace.v);
    subspace.us = NULL;
    subspace.v = NULL;
    if (status == UM_OK) {
        const um_nmf_run run = {.scaled = s,
                                .tolerance = options->tolerance,
                                .max_passes = options->max_passes,
                                .checkpoint = options->checkpoint != NULL ? options : NULL,
                                .plain = options->start == UM_START_FILE &&
                                         um_has_suffix(options->start_file, ".npz")};
        status = um_nmf_iterate(&run, &state, &r->converged);
    }
    r->iterations = state.passes;
    r->passes += state.passes;
    r->kkt = state.kkt;
    r->weighted = s->weighted;
    if (status == UM_OK) {
        status = um_nmf_finish(s, options, &state, &subspace, r);
    }
    um_nmf_state_free(ctx, &state);
    um_subspace_free(ctx, &subspace);
    return status;
}

um_status um_nmf(um_matrix *matrix, const um_nmf_options *options, um_nmf_result **out)
{
    um_context *ctx = um_matrix_get_context(matrix);
    *out = NULL;
    double start = um_seconds();
    UM_TRY(um_require_k(matrix, options->k, UM_HALS_LARGEST));
    size_t own = um_nmf_plan(matrix, options);
    UM_TRY(um_budget_require(ctx, own, "the factorisation"));
    UM_TRY(um_matrix_keep(matrix, own));
    um_nmf_result *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a result");
    }
    um_scaled s;
    um_status status = um_scaled_init(&s, matrix, options->weights, options->sums);
    if (status == UM_OK) {
        status = run_nmf(&s, options, r);
    }
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
    free(result);
}
