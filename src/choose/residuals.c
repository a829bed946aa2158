/* Whether a fit of k components leaves more than counting noise at some of the positions. */
#include "choose_internal.h"
#include "evidence_internal.h"
#include "pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct testing {
    const um_scaled *white;
    const um_sample *sample;
    const um_path *path;
    double unit;
    double *sigmas; /* most x rows */
    float **work;   /* per worker: m */
    double **values;
} testing;

/* Squares of (x - mean) under the weights, beside their mean and variance for counts of that mean (value of a count:
 * unit), fitted or not: k of m parameters belong to the row. */
static double excess_of(const testing *t, const um_nmf_state *fit, size_t r, const double *values, float *restrict mean)
{
    const um_scaled *s = t->white;
    memset(mean, 0, s->m * sizeof *mean);
    size_t used = 0;
    for (size_t c = 0; c < fit->k; c++) {
        const float w = fit->w[r * fit->k + c];
        const float *restrict h = fit->h + c * s->ld;
        used += w > 0;
        for (size_t j = 0; j < s->m && w > 0; j++) {
            mean[j] += w * h[j];
        }
    }
    double squares = 0;
    double expected = 0;
    double variance = 0;
    for (size_t j = 0; j < s->m; j++) {
        if (s->v[j] > 0) {
            double weight = (double)s->u[r] * (double)s->v[j];
            double d = values[j] * weight - (double)mean[j];
            double noise = t->unit * weight * fmax((double)mean[j], 0); /* variance of the weighted value */
            squares += d * d;
            expected += noise;
            variance += noise * (2 * noise + t->unit * t->unit * weight * weight);
        }
    }
    double left = 1 - (double)used / (double)s->noisy_columns;
    return variance > 0 ? um_sigmas_above(squares, expected * left, sqrt(variance)) : NAN;
}

static um_status test_row(void *user, int64_t item, int worker)
{
    testing *t = user;
    size_t r = (size_t)item;
    const um_sample *sample = t->sample;
    size_t pattern = sample->m * um_dtype_size(sample->dtype);
    (void)um_pixel_kernels_get(um_context_isa(t->white->ctx))
        ->widen[sample->dtype](t->values[worker], (const char *)sample->data + sample->slot[r].row * pattern,
                               sample->m);
    for (size_t i = 0; i < t->path->most; i++) {
        t->sigmas[i * sample->rows + r] =
            t->white->u[r] > 0 ? excess_of(t, &t->path->fit[i], r, t->values[worker], t->work[worker]) : (double)NAN;
    }
    return UM_OK;
}

static um_status run(testing *t, double *beyond)
{
    um_context *ctx = t->white->ctx;
    size_t rows = t->sample->rows;
    double *scratch = NULL;
    UM_TRY(um_pipeline_run(ctx, (int64_t)rows, um_context_threads(ctx), test_row, NULL, t));
    UM_TRY(um_buffer_alloc(ctx, rows, sizeof *scratch, "residual tests", &scratch));
    for (size_t i = 0; i < t->path->most; i++) {
        beyond[i] = um_beyond_noise(t->sigmas + i * rows, (int64_t)rows, scratch);
    }
    um_buffer_free(ctx, scratch);
    return UM_OK;
}

um_status um_residual_tests(const um_scaled *white, const um_sample *sample, const um_path *path, double unit,
                            double *beyond)
{
    um_context *ctx = white->ctx;
    int threads = um_context_threads(ctx);
    testing t = {.white = white, .sample = sample, .path = path, .unit = unit};
    t.work = calloc((size_t)threads, sizeof *t.work);
    t.values = calloc((size_t)threads, sizeof *t.values);
    um_status status = t.work != NULL && t.values != NULL ? UM_OK
                                                          : um_fail(ctx, UM_ERROR_MEMORY, "no memory for %d workers", threads);
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, path->most * sample->rows, sizeof *t.sigmas, "residual tests", &t.sigmas);
    }
    for (int i = 0; i < threads && status == UM_OK; i++) {
        status = um_buffer_alloc(ctx, white->m, sizeof **t.work, "a pattern", &t.work[i]);
        status = status == UM_OK ? um_buffer_alloc(ctx, white->m, sizeof **t.values, "a pattern", &t.values[i]) : status;
    }
    if (status == UM_OK) {
        status = run(&t, beyond);
    }
    for (int i = 0; i < threads; i++) {
        um_buffer_free(ctx, t.work != NULL ? t.work[i] : NULL);
        um_buffer_free(ctx, t.values != NULL ? t.values[i] : NULL);
    }
    um_buffer_free(ctx, t.sigmas);
    free(t.work);
    free(t.values);
    return status;
}
