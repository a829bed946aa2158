#include "rotation.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

/* ---- means over samples ------------------------------------------------------------------------ */

typedef struct totals {
    double *gx, *d, *x, *y;
    int64_t used;
} totals;

typedef struct job {
    const um_samples *samples;
    const double *b, *mean;
    um_contrast contrast;
    double *all; /* of the workers: gx, d, x, y one after another */
    totals *worker;
    totals sum;
} job;

static size_t room(size_t k)
{
    return k * k + 3 * k;
}

static totals lay_out(double *memory, size_t k)
{
    return (totals){memory, memory + k * k, memory + k * k + k, memory + k * k + 2 * k, 0};
}

static bool take_sample(const job *j, size_t i, double *x)
{
    const um_samples *s = j->samples;
    if (s->mask != NULL && s->mask[i] != 0) {
        return false;
    }
    for (size_t c = 0; c < s->k; c++) {
        double value = (double)s->values[i * s->step + c * s->stride];
        if (!isfinite(value)) {
            return false;
        }
        x[c] = value - (j->mean != NULL ? j->mean[c] : 0);
    }
    return true;
}

static double bend(um_contrast contrast, double y, double *d)
{
    double g = y;
    switch (contrast) {
    case UM_CONTRAST_TANH:
        g = tanh(y);
        *d += 1 - g * g;
        return g;
    case UM_CONTRAST_CUBE:
        *d += y * y;
        return y * y * y;
    case UM_CONTRAST_SQUARE:
        g = y * y;
        *d += g * g;
        return g;
    default:
        *d += y;
        return g;
    }
}

static void add_sample(const job *j, totals *t)
{
    size_t k = j->samples->k;
    for (size_t c = 0; c < k; c++) {
        double y = j->b == NULL ? t->x[c] : 0;
        for (size_t e = 0; j->b != NULL && e < k; e++) {
            y += j->b[c * k + e] * t->x[e];
        }
        double g = bend(j->contrast, y, &t->d[c]);
        for (size_t e = 0; e < k; e++) {
            t->gx[c * k + e] += g * t->x[e];
        }
    }
    t->used++;
}

static um_status sum_block(void *user, int64_t item, int worker)
{
    job *j = user;
    totals *t = &j->worker[worker];
    size_t first = (size_t)item * BLOCK;
    size_t end = first + BLOCK < j->samples->count ? first + BLOCK : j->samples->count;
    memset(t->gx, 0, room(j->samples->k) * sizeof(double));
    t->used = 0;
    for (size_t i = first; i < end; i++) {
        if (take_sample(j, i, t->x)) {
            add_sample(j, t);
        }
    }
    return UM_OK;
}

static um_status add_block(void *user, int64_t item, int worker)
{
    (void)item;
    job *j = user;
    const totals *t = &j->worker[worker];
    size_t k = j->samples->k;
    for (size_t i = 0; i < k * k + k; i++) {
        j->sum.gx[i] += t->gx[i]; /* d follows gx */
    }
    j->sum.used += t->used;
    return UM_OK;
}

um_status um_samples_mean(const um_samples *samples, const double *b, const double *mean,
                          um_contrast contrast, double *gx, double *d, int64_t *used)
{
    um_context *ctx = samples->ctx;
    size_t k = samples->k;
    int64_t blocks = (int64_t)((samples->count + BLOCK - 1) / BLOCK);
    int threads = um_context_threads(ctx) < blocks ? um_context_threads(ctx) : (int)blocks;
    job j = {.samples = samples, .b = b, .mean = mean, .contrast = contrast};
    UM_TRY(um_buffer_alloc(ctx, room(k) * (size_t)(threads + 1), sizeof(double), "sums of a rotation",
                           &j.all));
    j.worker = calloc((size_t)threads, sizeof *j.worker);
    um_status status = j.worker != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "no memory for sums");
    for (int i = 0; i < threads && status == UM_OK; i++) {
        j.worker[i] = lay_out(j.all + room(k) * (size_t)i, k);
    }
    j.sum = lay_out(j.all + room(k) * (size_t)threads, k);
    if (status == UM_OK) {
        status = um_pipeline_run(ctx, blocks, threads, sum_block, add_block, &j);
    }
    if (status == UM_OK && j.sum.used == 0) {
        status = um_fail(ctx, UM_ERROR_VALUE, "nothing to rotate: everything is excluded");
    }
    for (size_t i = 0; status == UM_OK && i < k * k; i++) {
        gx[i] = j.sum.gx[i] / (double)j.sum.used;
    }
    for (size_t i = 0; status == UM_OK && i < k; i++) {
        d[i] = j.sum.d[i] / (double)j.sum.used;
    }
    *used = j.sum.used;
    free(j.worker);
    um_buffer_free(ctx, j.all);
    return status;
}

/* ---- small matrices ---------------------------------------------------------------------------- */

void um_square_product(const double *a, const double *b, bool transposed, size_t k, double *out)
{
    for (size_t i = 0; i < k; i++) {
        for (size_t j = 0; j < k; j++) {
            double sum = 0;
            for (size_t e = 0; e < k; e++) {
                sum += a[i * k + e] * (transposed ? b[j * k + e] : b[e * k + j]);
            }
            out[i * k + j] = sum;
        }
    }
}

um_status um_inverse_root(um_context *ctx, double *c, size_t k, double least)
{
    double *values = malloc((k + 2 * k * k) * sizeof *values);
    if (values == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a rotation");
    }
    double *vectors = values + k;
    double *scaled = vectors + k * k;
    memcpy(vectors, c, k * k * sizeof *c);
    bool found = LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', (lapack_int)k, vectors, (lapack_int)k,
                               values) == 0;
    found = found && values[0] > least * values[k - 1] && values[k - 1] > 0; /* ascending; false for NaN */
    for (size_t i = 0; found && i < k; i++) {
        for (size_t e = 0; e < k; e++) {
            scaled[i * k + e] = vectors[i * k + e] / sqrt(values[e]);
        }
    }
    if (found) {
        um_square_product(scaled, vectors, true, k, c);
    }
    free(values);
    return found ? UM_OK
                 : um_fail(ctx, UM_ERROR_NUMERIC,
                           "the %zu components depend on each other and cannot be rotated: use fewer "
                           "(-k)",
                           k);
}

um_status um_polar(um_context *ctx, double *a, size_t k)
{
    double *square = malloc(2 * k * k * sizeof *square);
    if (square == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a rotation");
    }
    um_square_product(a, a, true, k, square);
    um_status status = um_inverse_root(ctx, square, k, 0);
    if (status == UM_OK) {
        um_square_product(square, a, false, k, square + k * k);
        memcpy(a, square + k * k, k * k * sizeof *a);
    }
    free(square);
    return status;
}
