/* Points from loadings: which positions, and on what scale. */
#include "cluster_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *um_feature_scaling_name(um_feature_scaling scaling)
{
    static const char *const names[] = {"auto", "none", "sum", "norm", "standard", "whiten"};
    return names[scaling];
}

um_status um_features_alloc(um_context *ctx, int64_t count, int64_t dims, um_features **out)
{
    um_features *f = calloc(1, sizeof *f);
    *out = f;
    if (f == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for points");
    }
    *f = (um_features){.ctx = ctx, .count = count, .dims = dims, .scaling = UM_FEATURES_NONE};
    size_t size = 0;
    um_status status =
        um_mul4(count, dims, 1, 1, &size)
            ? um_buffer_alloc(ctx, size, sizeof(float), "the points to cluster", &f->values)
            : um_fail(ctx, UM_ERROR_SHAPE, "%lld points of %lld features cannot be held",
                      (long long)count, (long long)dims);
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, (size_t)count, sizeof(int64_t), "the points to cluster",
                                 &f->position);
    }
    if (status != UM_OK) {
        um_features_free(f);
        *out = NULL;
    }
    return status;
}

void um_features_free(um_features *features)
{
    if (features != NULL) {
        um_buffer_free(features->ctx, features->values);
        um_buffer_free(features->ctx, features->position);
        free(features);
    }
}

/* ---- scaling ------------------------------------------------------------------------------------ */

static um_status divide_rows(um_features *f, bool norm)
{
    for (int64_t p = 0; p < f->count; p++) {
        float *row = f->values + p * f->dims;
        double size = 0;
        for (int64_t j = 0; j < f->dims; j++) {
            double x = (double)row[j];
            if (!norm && x < 0) {
                return um_fail(f->ctx, UM_ERROR_VALUE,
                               "position %lld has a negative loading (%g), which is no fraction: "
                               "use --scaling norm",
                               (long long)f->position[p], x);
            }
            size += norm ? x * x : x;
        }
        size = norm ? sqrt(size) : size;
        for (int64_t j = 0; j < f->dims && size > 0; j++) {
            row[j] = (float)((double)row[j] / size);
        }
    }
    return UM_OK;
}

/* Mean (d) and lower half of the covariance (d x d) of the points. */
static void measure(const um_features *f, double *mean, double *covariance)
{
    size_t d = (size_t)f->dims;
    double n = (double)f->count;
    for (int64_t p = 0; p < f->count; p++) {
        for (size_t j = 0; j < d; j++) {
            mean[j] += (double)f->values[p * f->dims + j] / n;
        }
    }
    for (int64_t p = 0; p < f->count; p++) {
        const float *row = f->values + p * f->dims;
        for (size_t i = 0; i < d; i++) {
            double x = ((double)row[i] - mean[i]) / n;
            for (size_t j = 0; j <= i; j++) {
                covariance[i * d + j] += x * ((double)row[j] - mean[j]);
            }
        }
    }
}

/* Cholesky factor in place of the lower half; a pivot that is nothing beside its variance becomes infinite, which
 * leaves its direction out. */
static void factorise(double *a, size_t d)
{
    for (size_t i = 0; i < d; i++) {
        double variance = a[i * d + i];
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * d + j];
            for (size_t e = 0; e < j; e++) {
                sum -= a[i * d + e] * a[j * d + e];
            }
            if (i == j) {
                a[i * d + i] = sum > 1e-9 * variance ? sqrt(sum) : INFINITY;
            } else {
                a[i * d + j] = isinf(a[j * d + j]) ? 0 : sum / a[j * d + j];
            }
        }
    }
}

static void solve_rows(um_features *f, const double *mean, const double *factor, double *y)
{
    size_t d = (size_t)f->dims;
    for (int64_t p = 0; p < f->count; p++) {
        float *row = f->values + p * f->dims;
        for (size_t i = 0; i < d; i++) {
            double sum = (double)row[i] - mean[i];
            for (size_t j = 0; j < i; j++) {
                sum -= factor[i * d + j] * y[j];
            }
            y[i] = sum / factor[i * d + i];
        }
        for (size_t i = 0; i < d; i++) {
            row[i] = (float)y[i];
        }
    }
}

static um_status even_out(um_features *f, bool whiten)
{
    size_t d = (size_t)f->dims;
    double *mean = calloc(2 * d + d * d, sizeof *mean);
    if (mean == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for a covariance");
    }
    double *covariance = mean + 2 * d;
    measure(f, mean, covariance);
    for (size_t i = 0; i < d && !whiten; i++) {
        for (size_t j = 0; j < i; j++) {
            covariance[i * d + j] = 0;
        }
    }
    factorise(covariance, d);
    solve_rows(f, mean, covariance, mean + d);
    free(mean);
    return UM_OK;
}

static um_status scale(um_features *f, um_feature_scaling scaling)
{
    f->scaling = scaling;
    switch (scaling) {
    case UM_FEATURES_SUM:
    case UM_FEATURES_NORM:
        return divide_rows(f, scaling == UM_FEATURES_NORM);
    case UM_FEATURES_STANDARD:
    case UM_FEATURES_WHITEN:
        return even_out(f, scaling == UM_FEATURES_WHITEN);
    default:
        return UM_OK;
    }
}

/* ---- making ------------------------------------------------------------------------------------- */

static bool usable(const float *row, int64_t dims)
{
    for (int64_t j = 0; j < dims; j++) {
        if (!isfinite(row[j])) {
            return false;
        }
    }
    return true;
}

static int64_t count_usable(um_model *model, int64_t dims)
{
    um_shape s = um_model_shape(model);
    const uint8_t *mask = um_model_navigation_mask(model);
    int64_t count = 0;
    for (int64_t p = 0; p < s.ny * s.nx; p++) {
        count += (mask == NULL || mask[p] == 0) &&
                 usable(um_model_loadings(model) + p * um_model_k(model), dims);
    }
    return count;
}

/* The sum of each component's pattern over what is not excluded; 1 for components with signs. */
static void pattern_sums(um_model *model, int64_t dims, double *sums)
{
    um_shape s = um_model_shape(model);
    const uint8_t *mask = um_model_signal_mask(model);
    for (int64_t c = 0; c < dims; c++) {
        const float *h = um_model_factors(model) + c * s.ky * s.kx;
        sums[c] = 0;
        for (int64_t q = 0; q < s.ky * s.kx; q++) {
            bool on = (mask == NULL || mask[q] == 0) && isfinite(h[q]);
            sums[c] += on ? (double)h[q] : 0;
        }
    }
}

static void take_rows(um_model *model, const double *weight, um_features *f)
{
    um_shape s = um_model_shape(model);
    const uint8_t *mask = um_model_navigation_mask(model);
    int64_t next = 0;
    for (int64_t p = 0; p < s.ny * s.nx; p++) {
        const float *row = um_model_loadings(model) + p * um_model_k(model);
        if ((mask != NULL && mask[p]) || !usable(row, f->dims)) {
            continue;
        }
        f->position[next] = p;
        for (int64_t j = 0; j < f->dims; j++) {
            f->values[next * f->dims + j] = (float)((double)row[j] * (weight ? weight[j] : 1));
        }
        next++;
    }
}

um_status um_features_from_model(um_context *ctx, um_model *model, int64_t dims,
                                 um_feature_scaling scaling, um_features **out)
{
    *out = NULL;
    bool has_signs = strcmp(um_model_method(model), "SVD") == 0;
    dims = dims > 0 && dims < um_model_k(model) ? dims : um_model_k(model);
    if (scaling == UM_FEATURES_AUTO) {
        scaling = has_signs ? UM_FEATURES_NORM : UM_FEATURES_SUM;
    }
    int64_t count = count_usable(model, dims);
    if (count == 0) {
        return um_fail(ctx, UM_ERROR_VALUE, "nothing to cluster: every position is excluded");
    }
    double *sums = calloc((size_t)dims, sizeof *sums);
    if (sums == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for sums");
    }
    pattern_sums(model, dims, sums);
    um_status status = um_features_alloc(ctx, count, dims, out);
    if (status == UM_OK) {
        take_rows(model, has_signs ? NULL : sums, *out);
        status = scale(*out, scaling);
    }
    free(sums);
    if (status != UM_OK) {
        um_features_free(*out);
        *out = NULL;
    }
    return status;
}

um_status um_features_from_rows(um_context *ctx, const float *rows, int64_t count, int64_t dims,
                                um_feature_scaling scaling, um_features **out)
{
    UM_TRY(um_features_alloc(ctx, count, dims, out));
    memcpy((*out)->values, rows, (size_t)(count * dims) * sizeof *rows);
    for (int64_t p = 0; p < count; p++) {
        (*out)->position[p] = p;
    }
    um_status status = scale(*out, scaling == UM_FEATURES_AUTO ? UM_FEATURES_NONE : scaling);
    if (status != UM_OK) {
        um_features_free(*out);
        *out = NULL;
    }
    return status;
}
