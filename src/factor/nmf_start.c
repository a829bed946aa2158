/* Where the factorisation starts: NNDSVD (Boutsidis & Gallopoulos 2008) and its filled forms, seeded
 * random numbers, or the user's own patterns. (The separable start is in separable.c.) */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LARGEST = 1e15; /* of a start: products stay inside the range of f32 */

/* Mean of X' over what is not excluded. */
static double scaled_mean(const um_scaled *s)
{
    double total = 0;
    for (size_t j = 0; j < s->m; j++) {
        total += (double)s->v[j] * s->sums->sum_pattern[j];
    }
    /* Row weights average out to within a constant: only a level is wanted. */
    double u = 0;
    for (size_t p = 0; p < s->n; p++) {
        u += (double)s->u[p];
    }
    return total * (u / (double)s->rows) / ((double)s->rows * (double)s->columns);
}

/* One side of a singular triplet, positive or negative part. */
static double part(float value, bool positive)
{
    return positive ? (value > 0 ? (double)value : 0) : (value < 0 ? -(double)value : 0);
}

static void nndsvd_component(const um_scaled *s, const um_subspace *sub, size_t c,
                             um_nmf_state *state)
{
    double v2[2] = {0, 0};
    double u2[2] = {0, 0};
    for (int side = 0; side < 2; side++) {
        for (size_t j = 0; j < s->m; j++) {
            double x = part(sub->v[c * s->ld + j], side == 0);
            v2[side] += x * x;
        }
        for (size_t p = 0; p < s->n; p++) {
            double x = part(sub->us[p * sub->count + c], side == 0);
            u2[side] += x * x;
        }
    }
    /* The leading pair is of one sign but for noise; then positive = larger. */
    bool positive = v2[0] * u2[0] >= v2[1] * u2[1];
    size_t k = state->k;
    double nv = v2[positive ? 0 : 1];
    double nu = u2[positive ? 0 : 1];
    double balance = nv > 0 && nu > 0 ? sqrt(sqrt(nu / nv)) : 1; /* both norms become the same */
    for (size_t j = 0; j < s->m; j++) {
        state->h[c * s->ld + j] = (float)(part(sub->v[c * s->ld + j], positive) * balance);
    }
    for (size_t p = 0; p < s->n; p++) {
        state->w[p * k + c] = (float)(part(sub->us[p * sub->count + c], positive) / balance);
    }
}

/* Zeros of h (and of w) at pixels that count become `level`, or level times |N(0,1)|. */
static void fill_zeros(const um_scaled *s, um_nmf_state *state, double level, bool random)
{
    um_random stream = {um_context_seed(s->ctx), UM_STREAM_FILL};
    for (size_t c = 0; c < state->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            float *h = &state->h[c * s->ld + j];
            if (s->v[j] > 0 && *h <= 0) {
                double pair[2] = {1, 1};
                if (random) {
                    um_random_normal2(stream, c * s->m + j, pair);
                }
                *h = (float)(level * fabs(pair[0]));
            }
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        for (size_t c = 0; c < state->k; c++) {
            float *w = &state->w[p * state->k + c];
            if (s->u[p] > 0 && *w <= 0) {
                double pair[2] = {1, 1};
                if (random) {
                    um_random_normal2(stream, (uint64_t)1 << 62 | (p * state->k + c), pair);
                }
                *w = (float)(level * fabs(pair[0]));
            }
        }
    }
}

static void random_start(const um_scaled *s, um_nmf_state *state)
{
    um_random stream = {um_context_seed(s->ctx), UM_STREAM_NMF_START};
    double level = sqrt(scaled_mean(s) / (double)state->k);
    for (size_t c = 0; c < state->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double pair[2];
            um_random_normal2(stream, c * s->m + j, pair);
            state->h[c * s->ld + j] = s->v[j] > 0 ? (float)(level * fabs(pair[0])) : 0;
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        for (size_t c = 0; c < state->k; c++) {
            double pair[2];
            um_random_normal2(stream, (uint64_t)1 << 62 | (p * state->k + c), pair);
            state->w[p * state->k + c] = s->u[p] > 0 ? (float)(level * fabs(pair[0])) : 0;
        }
    }
}

static um_status read_start(um_scaled *s, const char *path, const char *name, um_array **out)
{
    if (um_has_suffix(path, ".npz")) {
        char *spec = um_format("%s:%s", path, name);
        if (spec == NULL) {
            return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a name");
        }
        um_status status = um_array_read(s->ctx, spec, out);
        free(spec);
        return status;
    }
    return um_array_read(s->ctx, path, out);
}

/* Patterns (k, ...) with ky*kx values each, or HyperSpy's (ky*kx, k) of an .npz. */
static um_status start_patterns(um_scaled *s, const char *path, const um_array *array,
                                um_nmf_state *state)
{
    int64_t size = um_array_size(array);
    size_t k = state->k;
    if (array->ndim < 1 || size != (int64_t)(k * s->m)) {
        return um_fail(s->ctx, UM_ERROR_SHAPE,
                       "%s: the start has %lld values, but %zu components of %zu pixels are needed",
                       path, (long long)size, k, s->m);
    }
    bool by_pixel = array->ndim == 2 && array->shape[0] == (int64_t)s->m &&
                    array->shape[1] == (int64_t)k && um_has_suffix(path, ".npz");
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double x = um_array_get(array, (int64_t)(by_pixel ? j * k + c : c * s->m + j));
            if (s->v[j] > 0 && !(x >= 0 && x <= LARGEST)) {
                return um_fail(
                    s->ctx, UM_ERROR_VALUE,
                    "%s: the start must lie between 0 and 1e15, but component %zu has %g at "
                    "pixel %zu",
                    path, c, x, j);
            }
            state->h[c * s->ld + j] = s->v[j] > 0 ? (float)(x * (double)s->v[j]) : 0;
        }
    }
    return UM_OK;
}

static um_status start_loadings(um_scaled *s, const char *path, const um_array *array,
                                um_nmf_state *state)
{
    size_t k = state->k;
    if (um_array_size(array) != (int64_t)(s->n * k)) {
        return um_fail(
            s->ctx, UM_ERROR_SHAPE,
            "%s: loadings have %lld values, but %zu positions of %zu components are needed", path,
            (long long)um_array_size(array), s->n, k);
    }
    for (size_t p = 0; p < s->n; p++) {
        for (size_t c = 0; c < k; c++) {
            double x = um_array_get(array, (int64_t)(p * k + c));
            state->w[p * k + c] =
                s->u[p] > 0 && x > 0 && x <= LARGEST ? (float)(x * (double)s->u[p]) : 0;
        }
    }
    return UM_OK;
}

static um_status file_start(um_scaled *s, const char *path, um_nmf_state *state)
{
    if (path == NULL) {
        return um_fail(s->ctx, UM_ERROR_ARGUMENT, "a start from a file needs the file");
    }
    um_array *array = NULL;
    UM_TRY(read_start(s, path, "factors", &array));
    um_status status = start_patterns(s, path, array, state);
    um_array_free(array);
    if (status == UM_OK && um_has_suffix(path, ".npz")) {
        UM_TRY(read_start(s, path, "loadings", &array));
        status = start_loadings(s, path, array, state);
        um_array_free(array);
    }
    return status;
}

um_status um_nmf_start(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                       const um_subspace *subspace)
{
    if (options->start == UM_START_AUTO) {
        return um_nmf_start_auto(s, options, subspace, state);
    }
    if (options->start == UM_START_FILE) {
        return file_start(s, options->start_file, state);
    }
    if (options->start == UM_START_RANDOM) {
        random_start(s, state);
        return UM_OK;
    }
    if (options->start == UM_START_SEPARABLE) {
        return um_nmf_start_separable(s, subspace, state);
    }
    for (size_t c = 0; c < state->k && c < subspace->count; c++) {
        nndsvd_component(s, subspace, c, state);
    }
    double level = scaled_mean(s);
    if (options->start == UM_START_NNDSVDA) {
        fill_zeros(s, state, level, false);
    } else if (options->start == UM_START_NNDSVDAR) {
        fill_zeros(s, state, level / 100, true);
    }
    return UM_OK;
}
