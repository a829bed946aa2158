/* From a judged pair W, H to the result: components in the data's units, ordered, and their errors. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- normalised and ordered components in the data's units ----------------------------------- */

typedef struct ranked {
    bool later;          /* of a second pass */
    double contribution; /* sum(w_c) sum(h_c), counts */
    size_t component;
    double scale; /* divides h, multiplies w */
} ranked;

static int by_contribution(const void *a, const void *b)
{
    const ranked *x = a;
    const ranked *y = b;
    if (x->later != y->later) {
        return x->later ? 1 : -1;
    }
    if (x->contribution != y->contribution) {
        return x->contribution > y->contribution ? -1 : 1;
    }
    return x->component < y->component ? -1 : 1;
}

static double size_of_component(const um_scaled *s, const float *h, um_normalize normalize,
                                double *sum_out)
{
    double sum = 0;
    double most = 0;
    double squares = 0;
    for (size_t j = 0; j < s->m; j++) {
        double x = s->v[j] > 0 ? (double)h[j] / (double)s->v[j] : 0;
        sum += x;
        squares += x * x;
        most = fmax(most, x);
    }
    *sum_out = sum;
    switch (normalize) {
    case UM_NORMALIZE_MAX:
        return most;
    case UM_NORMALIZE_NORM:
        return sqrt(squares);
    case UM_NORMALIZE_SUM:
        break;
    }
    return sum;
}

static void rank_components(const um_scaled *s, const um_nmf_options *options,
                            const um_nmf_state *state, size_t first, ranked *rank)
{
    size_t k = state->k;
    for (size_t c = 0; c < k; c++) {
        double sum_w = 0;
        double sum_h = 0;
        for (size_t p = 0; p < s->n; p++) {
            sum_w += s->u[p] > 0 ? (double)state->w[p * k + c] / (double)s->u[p] : 0;
        }
        double size = size_of_component(s, state->h + c * s->ld, options->normalize, &sum_h);
        rank[c] = (ranked){c >= first, sum_w * sum_h, c, size > 0 ? size : 1};
    }
    qsort(rank, k, sizeof *rank, by_contribution);
}

static void fill_model(const um_scaled *s, const um_nmf_state *state, const ranked *rank,
                       um_model *model)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    size_t k = state->k;
    float *factors = um_model_factors(model);
    float *loadings = um_model_loadings(model);
    for (size_t i = 0; i < k; i++) {
        const float *h = state->h + rank[i].component * s->ld;
        for (size_t j = 0; j < s->m; j++) {
            bool off = info->signal_mask != NULL && info->signal_mask[j] != 0;
            double x = s->v[j] > 0 ? (double)h[j] / ((double)s->v[j] * rank[i].scale) : 0;
            factors[i * s->m + j] = off ? NAN : (float)x;
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        bool off = info->navigation_mask != NULL && info->navigation_mask[p] != 0;
        for (size_t i = 0; i < k; i++) {
            double x = s->u[p] > 0 ? (double)state->w[p * k + rank[i].component] * rank[i].scale /
                                         (double)s->u[p]
                                   : 0;
            loadings[p * k + i] = off ? NAN : (float)x;
        }
    }
}

/* ---- arrays and facts of the fit --------------------------------------------------------------- */

static um_status store_history(const um_scaled *s, um_loss loss, const um_nmf_state *state, const ranked *rank,
                               um_model *model)
{
    double scale = loss == UM_LOSS_KL ? 1 : s->report * s->report;
    for (int64_t i = 0; i < state->passes; i++) {
        state->history[i] *= scale;
    }
    int64_t k = (int64_t)state->k;
    double *share = calloc(state->k, sizeof *share);
    if (share == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for contributions");
    }
    double total = 0;
    for (size_t i = 0; i < state->k; i++) {
        total += rank[i].contribution;
    }
    for (size_t i = 0; i < state->k; i++) {
        share[i] = total > 0 ? rank[i].contribution / total : 0;
    }
    um_status status = um_model_set_array(model, "component_contribution", 1, &k, share);
    free(share);
    if (status == UM_OK) {
        status = um_model_set_array(model, "objective_history", 1, &state->passes, state->history);
    }
    if (status == UM_OK) {
        status = um_model_set_array(model, "kkt_history", 1, &state->passes, state->history_kkt);
    }
    return status;
}

/* 1 for components of the first fit, 2 for those of the second pass. */
static um_status store_passes(const um_scaled *s, um_nmf_result *r)
{
    int64_t k = um_model_k(r->model);
    double *pass = calloc((size_t)k, sizeof *pass);
    if (pass == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %lld components", (long long)k);
    }
    for (int64_t c = 0; c < k; c++) {
        pass[c] = c < r->second.first ? 1 : 2;
    }
    um_status status = um_model_set_array(r->model, "component_pass", 1, &k, pass);
    free(pass);
    return status;
}

/* Of what is beyond counting noise about the model. */
static um_status find_excess(const um_scaled *s, const um_nmf_state *state,
                             const um_residual *residual, um_nmf_result *r)
{
    double *score = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof *score, "a map", &score));
    um_status status = um_residual_excess(s, state, residual->map_weighted, score, &r->excess);
    um_buffer_free(s->ctx, score);
    return status;
}

static um_status store_errors(const um_scaled *s, const um_nmf_state *state,
                              um_residual *residual, um_nmf_result *r)
{
    r->frobenius_error = sqrt(residual->plain);
    r->relative_error = sqrt(residual->plain / s->sums->total_squares);
    r->weighted_error = sqrt(residual->weighted) * s->report;
    double entries = (double)s->noisy_rows * (double)s->noisy_columns;
    r->noise_ratio = s->weighted ? residual->weighted / entries : NAN;
    if (s->weighted) {
        UM_TRY(find_excess(s, state, residual, r));
    }
    return um_residual_store(residual, r->model);
}

um_status um_nmf_finish(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                        const um_subspace *subspace, um_residual *residual, um_nmf_result *r)
{
    size_t k = state->k;
    UM_TRY(um_model_of_scan(s, k, "NMF", &r->model));
    ranked *rank = calloc(k, sizeof *rank);
    if (rank == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
    }
    rank_components(s, options, state, r->second.components > 0 ? (size_t)r->second.first : k, rank);
    fill_model(s, state, rank, r->model);
    um_status status = store_history(s, options->loss, state, rank, r->model);
    free(rank);
    UM_TRY(status);
    double edge = um_noise_edge(s);
    if (subspace->count > 0) {
        UM_TRY(um_model_add_spectrum(s, subspace, r->model));
    } else if (s->weighted) { /* patterns were held: no singular values */
        UM_TRY(um_model_set_array(r->model, "noise_edge", 0, NULL, &edge));
    }
    if (r->second.components > 0) {
        UM_TRY(store_passes(s, r));
    }
    if (r->outlier_share != NULL) {
        const um_shape shape = um_matrix_get_info(s->matrix)->shape;
        const int64_t map[2] = {shape.ny, shape.nx};
        UM_TRY(um_model_set_array(r->model, "outlier_share", 2, map, r->outlier_share));
    }
    return store_errors(s, state, residual, r);
}
