/* FastICA and varimax of the leading components of a model. */
#include "unmix/ica.h"
#include "rotation.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *um_ica_method_name(um_ica_method method)
{
    return method == UM_ICA_VARIMAX ? "varimax" : "fastica";
}

um_ica_options um_ica_defaults(void)
{
    return (um_ica_options){.max_iterations = 1000, .tolerance = 1e-8};
}

typedef struct work {
    um_context *ctx;
    um_model *model;
    const um_ica_options *options;
    um_samples sources, others;  /* of which W is made, and the other side of the product */
    size_t k;
    double *memory;
    double *mean, *d;            /* k */
    double *square, *whiten;     /* k x k: E[s s'] of the sources; z = whiten (s - mean) */
    double *turn, *next, *b, *gx; /* k x k: rows in the whitened space, and scratch */
    double *dual;                /* k x k: W^-T */
} work;

/* ---- the space --------------------------------------------------------------------------------- */

static um_samples samples_of(um_context *ctx, um_model *model, size_t k, bool loadings)
{
    um_shape s = um_model_shape(model);
    size_t positions = (size_t)(s.ny * s.nx);
    size_t pixels = (size_t)(s.ky * s.kx);
    if (loadings) {
        return (um_samples){ctx, um_model_loadings(model), positions, k, (size_t)um_model_k(model), 1,
                            um_model_navigation_mask(model)};
    }
    return (um_samples){ctx, um_model_factors(model), pixels, k, 1, pixels,
                        um_model_signal_mask(model)};
}

static um_status begin(work *w)
{
    size_t k = w->k;
    UM_TRY(um_buffer_alloc(w->ctx, 2 * k + 7 * k * k, sizeof(double), "a rotation", &w->memory));
    w->mean = w->memory;
    w->d = w->mean + k;
    double **squares[] = {&w->square, &w->whiten, &w->turn, &w->next, &w->b, &w->gx, &w->dual};
    for (size_t i = 0; i < sizeof squares / sizeof *squares; i++) {
        *squares[i] = w->d + k + i * k * k;
    }
    return UM_OK;
}

/* The symmetric root of the inverse covariance, of components brought to one size: singular values span decades. */
static um_status whiten(work *w, int64_t *used)
{
    size_t k = w->k;
    bool centre = w->options->method == UM_ICA_FASTICA;
    UM_TRY(um_samples_mean(&w->sources, NULL, NULL, UM_CONTRAST_LINEAR, w->square, w->mean, used));
    for (size_t c = 0; c < k; c++) {
        double m = centre ? w->mean[c] : 0;
        w->d[c] = 1 / sqrt(w->square[c * k + c] - m * m);
    }
    for (size_t c = 0; c < k; c++) {
        for (size_t e = 0; e < k; e++) {
            double m = centre ? w->mean[c] * w->mean[e] : 0;
            w->whiten[c * k + e] = (w->square[c * k + e] - m) * w->d[c] * w->d[e];
        }
    }
    UM_TRY(um_inverse_root(w->ctx, w->whiten, k, 1e-10));
    for (size_t i = 0; i < k * k; i++) {
        w->whiten[i] *= w->d[i % k];
    }
    return UM_OK;
}

/* ---- the fixed point --------------------------------------------------------------------------- */

static um_status first_turn(work *w)
{
    size_t k = w->k;
    um_random random = {um_context_seed(w->ctx), UM_STREAM_ICA};
    for (size_t i = 0; i < k * k; i++) {
        double pair[2];
        um_random_normal2(random, i, pair);
        w->turn[i] = w->options->method == UM_ICA_FASTICA ? pair[0] : (i % (k + 1) == 0);
    }
    return um_polar(w->ctx, w->turn, k);
}

static um_status iterate(work *w, double *change)
{
    size_t k = w->k;
    bool fast = w->options->method == UM_ICA_FASTICA;
    int64_t used = 0;
    um_square_product(w->turn, w->whiten, false, k, w->b);
    UM_TRY(um_samples_mean(&w->sources, w->b, fast ? w->mean : NULL,
                           fast ? UM_CONTRAST_TANH : UM_CONTRAST_CUBE, w->gx, w->d, &used));
    um_square_product(w->gx, w->whiten, true, k, w->next);
    for (size_t i = 0; i < k * k; i++) {
        w->next[i] -= w->d[i / k] * w->turn[i];
    }
    UM_TRY(um_polar(w->ctx, w->next, k));
    *change = 0;
    for (size_t c = 0; c < k; c++) {
        double cosine = 0;
        for (size_t e = 0; e < k; e++) {
            cosine += w->next[c * k + e] * w->turn[c * k + e];
        }
        *change = fmax(*change, fabs(1 - fabs(cosine)));
    }
    memcpy(w->turn, w->next, k * k * sizeof *w->turn);
    return UM_OK;
}

static um_status solve(work *w, um_ica_result *r)
{
    UM_TRY(whiten(w, &r->samples));
    UM_TRY(first_turn(w));
    um_progress_begin(w->ctx, um_ica_method_name(r->method), "iterations", w->options->max_iterations);
    um_status status = UM_OK;
    while (status == UM_OK && !r->converged && r->iterations < w->options->max_iterations) {
        status = iterate(w, &r->change);
        r->converged = status == UM_OK && r->change < w->options->tolerance;
        r->iterations++;
        um_progress_add(w->ctx, 1);
    }
    um_progress_end(w->ctx);
    um_square_product(w->turn, w->whiten, false, w->k, r->matrix);
    return status;
}

/* ---- order, sign, size ------------------------------------------------------------------------- */

static um_status invert(work *w, const double *matrix)
{
    size_t k = w->k;
    lapack_int n = (lapack_int)k;
    lapack_int *pivot = malloc(k * sizeof *pivot);
    if (pivot == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "no memory for a rotation");
    }
    /* W' X = 1. */
    for (size_t i = 0; i < k * k; i++) {
        w->b[i] = matrix[(i % k) * k + i / k];
        w->dual[i] = i % (k + 1) == 0;
    }
    bool solved = LAPACKE_dgesv(LAPACK_ROW_MAJOR, n, n, w->b, n, pivot, w->dual, n) == 0;
    free(pivot);
    return solved ? UM_OK : um_fail(w->ctx, UM_ERROR_NUMERIC, "the rotation cannot be inverted");
}

/* a' S a of each row of A. */
static void row_squares(const double *a, const double *s, size_t k, double *out)
{
    for (size_t c = 0; c < k; c++) {
        out[c] = 0;
        for (size_t i = 0; i < k * k; i++) {
            out[c] += a[c * k + i / k] * s[i] * a[c * k + i % k];
        }
    }
}

static um_status measure(work *w, um_ica_result *r)
{
    size_t k = w->k;
    int64_t used = 0;
    double *variance = w->next;
    UM_TRY(um_samples_mean(&w->sources, r->matrix, w->mean, UM_CONTRAST_SQUARE, w->gx, r->kurtosis, &used));
    for (size_t i = 0; i < k * k; i++) {
        w->gx[i] = w->square[i] - w->mean[i / k] * w->mean[i % k];
    }
    row_squares(r->matrix, w->gx, k, variance);
    for (size_t c = 0; c < k; c++) {
        r->kurtosis[c] = r->kurtosis[c] / (variance[c] * variance[c]) - 3;
    }
    row_squares(r->matrix, w->square, k, r->strength);
    UM_TRY(um_samples_mean(&w->others, NULL, NULL, UM_CONTRAST_LINEAR, w->gx, w->d, &used));
    row_squares(w->dual, w->gx, k, variance);
    for (size_t c = 0; c < k; c++) {
        r->strength[c] =
            sqrt(r->strength[c] * (double)r->samples) * sqrt(variance[c] * (double)used);
    }
    return UM_OK;
}

static void swap_rows(double *a, size_t size, size_t i, size_t j)
{
    for (size_t e = 0; e < size; e++) {
        double swap = a[i * size + e];
        a[i * size + e] = a[j * size + e];
        a[j * size + e] = swap;
    }
}

static void order(work *w, um_ica_result *r)
{
    size_t k = w->k;
    for (size_t i = 0; i < k; i++) {
        size_t best = i;
        for (size_t j = i + 1; j < k; j++) {
            best = r->strength[j] > r->strength[best] ? j : best;
        }
        swap_rows(r->matrix, k, i, best);
        swap_rows(w->dual, k, i, best);
        swap_rows(r->strength, 1, i, best);
        swap_rows(r->kurtosis, 1, i, best);
    }
}

static void fix_signs(work *w, um_ica_result *r)
{
    size_t k = w->k;
    const um_samples *patterns = w->options->on_loadings ? &w->others : &w->sources;
    const double *turn = w->options->on_loadings ? w->dual : r->matrix;
    memset(w->d, 0, k * sizeof *w->d);
    for (size_t q = 0; q < patterns->count; q++) {
        for (size_t c = 0; c < k; c++) {
            double y = 0;
            for (size_t e = 0; e < k; e++) {
                y += turn[c * k + e] * (double)patterns->values[q + e * patterns->stride];
            }
            w->d[c] = fabs(y) > fabs(w->d[c]) ? y : w->d[c]; /* false for NaN */
        }
    }
    for (size_t i = 0; i < k * k; i++) {
        double sign = w->d[i / k] < 0 ? -1 : 1;
        r->matrix[i] *= sign;
        w->dual[i] *= sign;
    }
}

static um_status store(const work *w, const um_ica_result *r)
{
    const int64_t shape[2] = {r->k, r->k};
    const double on_loadings = r->on_loadings;
    UM_TRY(um_model_set_array(w->model, "bss_matrix", 2, shape, r->matrix));
    UM_TRY(um_model_set_array(w->model, "bss_mixing", 2, shape, w->dual));
    return um_model_set_array(w->model, "bss_on_loadings", 0, NULL, &on_loadings);
}

/* ---- the whole --------------------------------------------------------------------------------- */

static um_status check(um_context *ctx, const um_model *model, const um_ica_options *o)
{
    int64_t most = um_model_k(model);
    if (o->k < 0 || o->k > most) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%lld components to rotate: the model has 1 to %lld",
                       (long long)o->k, (long long)most);
    }
    if (o->max_iterations < 1 || !(o->tolerance > 0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "a rotation needs at least one iteration and a tolerance above 0, not %lld and %g",
                       (long long)o->max_iterations, o->tolerance);
    }
    return UM_OK;
}

static um_status run(work *w, um_ica_result *r)
{
    UM_TRY(begin(w));
    UM_TRY(solve(w, r));
    UM_TRY(invert(w, r->matrix));
    UM_TRY(measure(w, r));
    order(w, r);
    fix_signs(w, r);
    if (!r->converged) {
        um_warn(w->ctx, "%s did not converge in %lld iterations (the last turned a component by 1 - cos = %.2g): "
                        "components that are close to Gaussian cannot be told apart; use fewer (-k)",
                um_ica_method_name(r->method), (long long)r->iterations, r->change);
    }
    return store(w, r);
}

um_status um_ica(um_context *ctx, um_model *model, const um_ica_options *options, um_ica_result **out)
{
    *out = NULL;
    double start = um_seconds();
    UM_TRY(check(ctx, model, options));
    size_t k = (size_t)(options->k > 0 ? options->k : um_model_k(model));
    work w = {.ctx = ctx, .model = model, .options = options, .k = k,
              .sources = samples_of(ctx, model, k, options->on_loadings),
              .others = samples_of(ctx, model, k, !options->on_loadings)};
    um_ica_result *r = calloc(1, sizeof *r);
    double *numbers = calloc(k * k + 2 * k, sizeof *numbers);
    um_status status = UM_OK;
    if (r == NULL || numbers == NULL) {
        free(numbers);
        free(r);
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a result");
    }
    *r = (um_ica_result){.method = options->method, .on_loadings = options->on_loadings,
                         .k = (int64_t)k, .matrix = numbers, .strength = numbers + k * k,
                         .kurtosis = numbers + k * k + k};
    status = run(&w, r);
    um_buffer_free(ctx, w.memory);
    r->seconds = um_seconds() - start;
    if (status != UM_OK) {
        um_ica_result_free(r);
        return status;
    }
    *out = r;
    return UM_OK;
}

void um_ica_result_free(um_ica_result *result)
{
    if (result != NULL) {
        free(result->matrix); /* strength and kurtosis lie behind it */
        free(result);
    }
}
