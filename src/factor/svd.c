#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCREE_POINTS = 20 };

int64_t um_scree_elbow(const double *sigma, int64_t count)
{
    if (count < 3) {
        return count > 0 ? 1 : 0;
    }
    int64_t last = count - 1 < SCREE_POINTS ? count - 1 : SCREE_POINTS;
    const double least = 1e-30;
    double first = log(fmax(sigma[0] * sigma[0], least));
    double slope = (log(fmax(sigma[last] * sigma[last], least)) - first) / (double)last;
    int64_t best = 0;
    double farthest = -1;
    for (int64_t i = 0; i < last; i++) {
        double below = fabs(log(fmax(sigma[i] * sigma[i], least)) - first - slope * (double)i);
        if (below > farthest) {
            farthest = below;
            best = i;
        }
    }
    return best + 1;
}

um_status um_model_add_spectrum(const um_scaled *s, const um_subspace *subspace, um_model *model)
{
    int64_t count = (int64_t)subspace->shown;
    double *values = calloc(subspace->shown, sizeof *values);
    if (values == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for singular values");
    }
    for (size_t i = 0; i < subspace->shown; i++) {
        values[i] = subspace->sigma[i] * s->report;
    }
    um_status status = um_model_set_array(model, "singular_values", 1, &count, values);
    free(values);
    double total = s->norm2 * s->report * s->report;
    double edge = um_noise_edge(s);
    if (status == UM_OK) {
        status = um_model_set_array(model, "total_variance", 0, NULL, &total);
    }
    if (status == UM_OK && s->weighted) {
        status = um_model_set_array(model, "noise_edge", 0, NULL, &edge);
    }
    return status;
}

um_status um_model_of_scan(const um_scaled *s, size_t k, const char *method, um_model **out)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    um_model_spec spec = {.k = (int64_t)k, .shape = info->shape, .method = method};
    memcpy(spec.axes, info->axes, sizeof spec.axes);
    UM_TRY(um_model_create(s->ctx, &spec, out));
    um_model *model = *out;
    if (info->signal_mask != NULL) {
        UM_TRY(um_model_set_signal_mask(model, info->signal_mask));
    }
    if (info->navigation_mask != NULL) {
        UM_TRY(um_model_set_navigation_mask(model, info->navigation_mask));
    }
    const int64_t pattern[2] = {info->shape.ky, info->shape.kx};
    const int64_t map[2] = {info->shape.ny, info->shape.nx};
    const um_sums *sums = s->sums;
    UM_TRY(um_model_set_array(model, "sum_pattern", 2, pattern, sums->sum_pattern));
    UM_TRY(um_model_set_array(model, "max_pattern", 2, pattern, sums->max_pattern));
    UM_TRY(um_model_set_array(model, "sum_map", 2, map, sums->sum_map));
    double *mean = malloc(s->m * sizeof *mean);
    if (mean == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a pattern");
    }
    for (size_t j = 0; j < s->m; j++) {
        mean[j] = sums->sum_pattern[j] / (double)sums->positions;
    }
    um_status status = um_model_set_array(model, "mean_pattern", 2, pattern, mean);
    free(mean);
    return status;
}

/* X ~ (X'v_c / u) (v_c / v)': the triplets undone to the data's units. Zero weight gives zero. */
static void fill_model(const um_scaled *s, const um_subspace *subspace, um_model *model)
{
    size_t k = (size_t)um_model_k(model);
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    float *factors = um_model_factors(model);
    float *loadings = um_model_loadings(model);
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            bool off = info->signal_mask != NULL && info->signal_mask[j] != 0;
            float v = s->v[j];
            factors[c * s->m + j] = off ? NAN : (v > 0 ? subspace->v[c * s->ld + j] / v : 0);
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        bool off = info->navigation_mask != NULL && info->navigation_mask[p] != 0;
        float u = s->u[p];
        for (size_t c = 0; c < k; c++) {
            loadings[p * k + c] =
                off ? NAN : (u > 0 ? subspace->us[p * subspace->count + c] / u : 0);
        }
    }
}

static um_status fill_variance(const um_scaled *s, const um_subspace *subspace, um_model *model)
{
    int64_t k = um_model_k(model);
    double *values = calloc((size_t)k, sizeof *values);
    if (values == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for variances");
    }
    double scale = s->report * s->report;
    for (int64_t c = 0; c < k; c++) {
        values[c] = subspace->sigma[c] * subspace->sigma[c] * scale;
    }
    um_status status = um_model_set_array(model, "explained_variance", 1, &k, values);
    for (int64_t c = 0; c < k; c++) {
        values[c] /= s->norm2 * scale;
    }
    if (status == UM_OK) {
        status = um_model_set_array(model, "explained_variance_ratio", 1, &k, values);
    }
    free(values);
    return status;
}

static um_status run_svd(um_scaled *s, const um_svd_options *options, um_svd_result *r)
{
    um_context *ctx = s->ctx;
    int64_t rank = s->rows < s->columns ? s->rows : s->columns;
    if (options->k > rank) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "-k %lld: 1 to %lld components are possible here",
                       (long long)options->k, (long long)rank);
    }
    um_subspace subspace;
    UM_TRY(um_subspace_find(s, (size_t)options->k, options->power_iterations, options->oversampling,
                            UM_SUBSPACE_RESULT, &subspace));
    r->count = (int64_t)subspace.count;
    r->passes = subspace.passes;
    r->total_variance = s->norm2 * s->report * s->report;
    r->weighted = s->weighted;
    r->noise_edge = um_noise_edge(s);
    r->singular_values = calloc(subspace.count, sizeof *r->singular_values);
    um_status status = r->singular_values != NULL
                           ? um_model_of_scan(s, (size_t)options->k, "SVD", &r->model)
                           : um_fail(ctx, UM_ERROR_MEMORY, "no memory for singular values");
    if (status == UM_OK) {
        for (size_t i = 0; i < subspace.count; i++) {
            r->singular_values[i] = subspace.sigma[i] * s->report;
        }
        r->elbow = um_scree_elbow(r->singular_values, r->count);
        fill_model(s, &subspace, r->model);
        status = um_model_add_spectrum(s, &subspace, r->model);
    }
    if (status == UM_OK) {
        status = fill_variance(s, &subspace, r->model);
    }
    um_subspace_free(ctx, &subspace);
    return status;
}

um_status um_svd(um_matrix *matrix, const um_svd_options *options, um_svd_result **out)
{
    um_context *ctx = um_matrix_get_context(matrix);
    *out = NULL;
    double start = um_seconds();
    UM_TRY(um_svd_reserve(matrix, options));
    um_svd_result *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a result");
    }
    um_scaled s;
    um_status status = um_scaled_init(&s, matrix, options->weights, options->sums);
    if (status == UM_OK) {
        status = run_svd(&s, options, r);
    }
    r->sums = s.own_sums;
    s.own_sums = NULL;
    um_scaled_free(&s);
    r->seconds = um_seconds() - start;
    if (status != UM_OK) {
        um_svd_result_free(r);
        return status;
    }
    *out = r;
    return UM_OK;
}

void um_svd_result_free(um_svd_result *result)
{
    if (result == NULL) {
        return;
    }
    um_model_free(result->model);
    um_sums_free(result->sums);
    free(result->singular_values);
    free(result);
}
