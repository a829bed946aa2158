/* Weights under which counting noise has unit variance in every row and column, by Sinkhorn iteration on the
 * low-rank image (Landa, Zhang & Kluger 2022), and the singular values under them. */
#include "choose_internal.h"
#include "pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SINKHORN = 12, GAIN_ROUNDS = 3 };
/* Of the image of one component: less is taken for an artefact of the truncation. */
static const double FLOOR = 0.1;
/* Counts that a pixel or position is credited with: one lone count must not look like a state. */
static const double CREDIT = 4;

double um_white_edge_of(size_t rows, int64_t columns)
{
    return sqrt((double)rows) + sqrt((double)columns);
}

double um_white_edge(const um_scaled *s)
{
    return um_white_edge_of((size_t)s->noisy_rows, s->noisy_columns);
}

/* Largest eigenvalue of noise: (sqrt N + sqrt M)^2 + t (sqrt N + sqrt M) (1/sqrt N + 1/sqrt M)^(1/3), where t follows
 * the law of Tracy and Widom (Johnstone 2001); 3.27 is exceeded once in a thousand scans. */
double um_white_margin(const um_scaled *s)
{
    double n = sqrt((double)s->noisy_rows);
    double m = sqrt((double)s->noisy_columns);
    return sqrt(1 + 3.27 * cbrt(1 / n + 1 / m) / (n + m));
}

/* Sums of the noise-free image over rows or columns are dot products in the r leading directions. */
typedef struct sinkhorn {
    const um_scaled *s;
    const um_subspace *sub;
    size_t r;
    double *p, *q; /* squared weights of rows (n) and pixels (m) */
    double *t;     /* r */
} sinkhorn;

static void fit_rows(sinkhorn *k)
{
    const um_scaled *s = k->s;
    double rank_one = 0;
    memset(k->t, 0, k->r * sizeof *k->t);
    for (size_t j = 0; j < s->m; j++) {
        if (!(s->v[j] > 0)) {
            continue;
        }
        rank_one += k->q[j] * s->sums->sum_pattern[j];
        for (size_t c = 0; c < k->r; c++) {
            k->t[c] += k->q[j] * (double)(k->sub->v[c * s->ld + j] / s->v[j]);
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        double sum = 0;
        for (size_t c = 0; s->u[i] > 0 && c < k->r; c++) {
            sum += (double)k->sub->us[i * k->sub->count + c] * k->t[c] / (double)s->u[i];
        }
        double least = FLOOR * s->sums->sum_map[i] * rank_one / s->sums->total;
        double credit = CREDIT * rank_one / s->sums->total;
        k->p[i] = s->u[i] > 0 ? (double)s->noisy_columns / (fmax(sum, least) + credit) : 0;
    }
}

static void fit_columns(sinkhorn *k)
{
    const um_scaled *s = k->s;
    double rank_one = 0;
    memset(k->t, 0, k->r * sizeof *k->t);
    for (size_t i = 0; i < s->n; i++) {
        if (!(s->u[i] > 0)) {
            continue;
        }
        rank_one += k->p[i] * s->sums->sum_map[i];
        for (size_t c = 0; c < k->r; c++) {
            k->t[c] += k->p[i] * (double)(k->sub->us[i * k->sub->count + c] / s->u[i]);
        }
    }
    for (size_t j = 0; j < s->m; j++) {
        double sum = 0;
        for (size_t c = 0; s->v[j] > 0 && c < k->r; c++) {
            sum += k->t[c] * (double)(k->sub->v[c * s->ld + j] / s->v[j]);
        }
        double least = FLOOR * s->sums->sum_pattern[j] * rank_one / s->sums->total;
        double credit = CREDIT * rank_one / s->sums->total;
        k->q[j] = s->v[j] > 0 ? (double)s->noisy_rows / (fmax(sum, least) + credit) : 0;
    }
}

static size_t count_above(const um_subspace *sub, double edge)
{
    size_t above = 0;
    while (above < sub->count && sub->sigma[above] > edge) {
        above++;
    }
    return above;
}

/* How many directions stand above noise of this gain; at least one. */
static size_t count_leading(const um_scaled *s, const um_subspace *sub, double gain)
{
    size_t above = count_above(sub, sqrt(gain) * um_white_edge(s) * um_white_margin(s));
    return above > 0 ? above : 1;
}

/* Squares that the r leading directions leave of a sample, by the counts that these directions tell: the median of
 * pixels, since the direct beam is fitted with its noise, and so are pixels that few positions light up. */
static double leftover_gain(const um_scaled *s, const um_subspace *sub, const um_sample *sample, size_t r,
                            double *x, double *mean)
{
    bool (*widen)(double *, const void *, size_t) =
        um_pixel_kernels_get(um_context_isa(s->ctx))->widen[sample->dtype];
    size_t pattern = sample->m * um_dtype_size(sample->dtype);
    double *left = mean + s->m;
    double *told = left + s->m;
    memset(left, 0, 2 * s->m * sizeof *left);
    for (size_t i = 0; i < sample->rows; i++) {
        size_t p = (size_t)sample->slot[i].position;
        if (!(s->u[p] > 0)) {
            continue;
        }
        (void)widen(x, (const char *)sample->data + sample->slot[i].row * pattern, s->m);
        memset(mean, 0, s->m * sizeof *mean);
        for (size_t c = 0; c < r; c++) {
            double w = (double)sub->us[p * sub->count + c] / (double)s->u[p];
            for (size_t j = 0; j < s->m; j++) {
                mean[j] += w * (double)sub->v[c * s->ld + j];
            }
        }
        for (size_t j = 0; j < s->m; j++) {
            if (s->v[j] > 0) {
                double m = mean[j] / (double)s->v[j];
                left[j] += (x[j] - m) * (x[j] - m);
                told[j] += m;
            }
        }
    }
    double n = (double)s->noisy_rows;
    double m = (double)s->noisy_columns;
    double k = (double)r;
    double freedom = (n - k) * (m - k) / (n * m);
    size_t count = 0;
    for (size_t j = 0; j < s->m; j++) {
        if (told[j] > 0) {
            x[count++] = left[j] / told[j];
        }
    }
    return count > 0 && freedom > 0 ? fmax(1e-12, um_median(x, count) / freedom) : 1;
}

um_status um_gain(const um_scaled *s, const um_subspace *sub, const um_sample *sample, double *gain)
{
    double *x = calloc(4 * s->m, sizeof *x);
    if (x == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a pattern");
    }
    *gain = 1;
    for (int round = 0; round < GAIN_ROUNDS; round++) {
        *gain = leftover_gain(s, sub, sample, count_leading(s, sub, *gain), x, x + s->m);
    }
    free(x);
    return UM_OK;
}

/* ---- singular triplets under the new weights --------------------------------------------------------- */

/* Visits the values once more: the low-rank image under these weights is an oblique projection of them, whose
 * singular values noise may raise above the edge; those of X' projected on what it is multiplied with cannot be
 * larger than its own. */
static um_status visit_again(const um_scaled *s, const um_subspace *sub, const um_visits *visits,
                             um_white *out)
{
    float *o = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, sub->count * s->ld, sizeof *o, "directions", &o));
    for (size_t j = 0; j < s->m; j++) {
        float ratio = s->v[j] > 0 ? out->scaled.v[j] / s->v[j] : 0;
        for (size_t c = 0; c < sub->count; c++) {
            o[c * s->ld + j] = sub->v[c * s->ld + j] * ratio;
        }
    }
    return um_subspace_rounds(&out->scaled, sub->count, visits->rounds, visits->walk, visits->walker, o,
                              &out->image);
}

um_status um_whiten(const um_scaled *s, const um_subspace *sub, double gain, const um_visits *visits,
                    um_white *out)
{
    sinkhorn k = {.s = s, .sub = sub, .r = count_leading(s, sub, gain)};
    *out = (um_white){.scaled = *s};
    out->scaled.u = NULL;
    out->scaled.v = NULL;
    out->scaled.own_sums = NULL;
    k.p = calloc(s->n, sizeof *k.p);
    k.q = calloc(s->m, sizeof *k.q);
    k.t = calloc(sub->count, sizeof *k.t);
    um_status status = k.p != NULL && k.q != NULL && k.t != NULL
                           ? UM_OK
                           : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for weights");
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, s->n, sizeof(float), "row weights", &out->scaled.u);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, s->ld, sizeof(float), "pixel weights", &out->scaled.v);
    }
    if (status == UM_OK) {
        for (size_t j = 0; j < s->m; j++) {
            k.q[j] = (double)s->v[j] * (double)s->v[j];
        }
        for (int round = 0; round < SINKHORN; round++) {
            fit_rows(&k);
            fit_columns(&k);
        }
        for (size_t i = 0; i < s->n; i++) {
            out->scaled.u[i] = (float)sqrt(k.p[i]);
        }
        for (size_t j = 0; j < s->m; j++) {
            out->scaled.v[j] = (float)sqrt(k.q[j]);
        }
        status = visit_again(s, sub, visits, out);
    }
    free(k.p);
    free(k.q);
    free(k.t);
    if (status != UM_OK) {
        um_white_free(s->ctx, out);
    }
    return status;
}

void um_white_free(um_context *ctx, um_white *white)
{
    um_buffer_free(ctx, white->scaled.u);
    um_buffer_free(ctx, white->scaled.v);
    um_subspace_free(ctx, &white->image);
    white->scaled.u = white->scaled.v = NULL;
}

um_status um_white_at(const um_white *white, const um_sample *at, um_white *out)
{
    um_context *ctx = white->scaled.ctx;
    size_t l = white->image.count;
    *out = *white;
    out->scaled.u = NULL;
    out->scaled.v = NULL;
    out->image = (um_subspace){.count = l, .shown = l};
    out->scaled.n = at->rows;
    UM_TRY(um_buffer_alloc(ctx, at->rows, sizeof(float), "row weights", &out->scaled.u));
    UM_TRY(um_buffer_alloc(ctx, white->scaled.ld, sizeof(float), "pixel weights", &out->scaled.v));
    UM_TRY(um_buffer_alloc(ctx, at->rows * l, sizeof(float), "an image", &out->image.us));
    UM_TRY(um_buffer_alloc(ctx, l * white->scaled.ld, sizeof(float), "an image", &out->image.v));
    memcpy(out->scaled.v, white->scaled.v, white->scaled.ld * sizeof(float));
    memcpy(out->image.v, white->image.v, l * white->scaled.ld * sizeof(float));
    for (size_t r = 0; r < at->rows; r++) {
        size_t p = (size_t)at->slot[r].position;
        out->scaled.u[r] = white->scaled.u[p];
        memcpy(out->image.us + r * l, white->image.us + p * l, l * sizeof(float));
        for (size_t c = 0; c < l; c++) {
            double x = (double)out->image.us[r * l + c];
            out->image.norm2 += x * x;
        }
    }
    return UM_OK;
}
