/* What follows thickness and tilt, measured at each position beside the model: the part of the counts that is scattered out
 * of the direct beam, and where the centre of what is scattered lies. */
#include "evidence_internal.h"
#include "prep_internal.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_POSITIONS = 50 };
static const double PRESENT = 0.05; /* share of the counts of a position */

um_status um_proxies_make(um_context *ctx, const um_model *model, const double *mean, um_proxies *out)
{
    um_shape s = um_model_shape(model);
    *out = (um_proxies){.ctx = ctx, .shape = s, .mask = um_model_signal_mask(model)};
    um_beam beam;
    UM_TRY(um_beam_measure(ctx, mean, out->mask, s.ky, s.kx, &beam));
    out->found = beam.found && beam.central;
    out->y = beam.y;
    out->x = beam.x;
    out->radius_px = beam.radius_px + 1;
    return um_buffer_alloc(ctx, (size_t)(s.ny * s.nx), sizeof *out->at, "what follows thickness and tilt", &out->at);
}

void um_proxies_free(um_proxies *proxies)
{
    um_buffer_free(proxies->ctx, proxies->at);
    proxies->at = NULL;
}

void um_proxies_add(um_proxies *proxies, int64_t position, const um_array *pattern)
{
    int64_t kx = proxies->shape.kx;
    double all = 0;
    double outside = 0;
    double my = 0;
    double mx = 0;
    for (int64_t j = 0; j < proxies->shape.ky * kx; j++) {
        double value = um_used(proxies->mask, j) ? um_array_get(pattern, j) : 0;
        double v = (double)(j / kx) - proxies->y;
        double u = (double)(j % kx) - proxies->x;
        if (value > 0) {
            all += value;
        }
        if (value > 0 && v * v + u * u > proxies->radius_px * proxies->radius_px) {
            outside += value;
            my += value * v;
            mx += value * u;
        }
    }
    um_proxy *to = &proxies->at[position];
    to->scattered = all > 0 ? outside / all : NAN;
    to->y = outside > 0 ? my / outside : NAN;
    to->x = outside > 0 ? mx / outside : NAN;
}

/* Sums of a, b, c (share, two proxies) over positions. */
typedef struct moments {
    double n, sum[3], product[3][3];
} moments;

static void add(moments *m, const double value[3])
{
    m->n += 1;
    for (int i = 0; i < 3; i++) {
        m->sum[i] += value[i];
        for (int k = 0; k < 3; k++) {
            m->product[i][k] += value[i] * value[k];
        }
    }
}

static double covariance(const moments *m, int i, int k)
{
    return m->product[i][k] / m->n - m->sum[i] * m->sum[k] / (m->n * m->n);
}

static double correlation(const moments *m, int i, int k)
{
    double a = covariance(m, i, i);
    double b = covariance(m, k, k);
    return a > 0 && b > 0 ? covariance(m, i, k) / sqrt(a * b) : NAN;
}

/* Of value 0 with the best mixture of values 1 and 2. */
static double multiple_correlation(const moments *m)
{
    double y = correlation(m, 0, 1);
    double x = correlation(m, 0, 2);
    double yx = correlation(m, 1, 2);
    double left = 1 - yx * yx;
    return left > 1e-9 ? sqrt(fmin(fmax((y * y + x * x - 2 * y * x * yx) / left, 0), 1)) : fmax(fabs(y), fabs(x));
}

/* Share of the modelled counts of a position; sum: of each pattern. */
static double share_of(const float *w, const double *sum, int64_t k, int64_t c)
{
    double all = 0;
    for (int64_t d = 0; d < k; d++) {
        all += w[d] > 0 ? (double)w[d] * sum[d] : 0;
    }
    return all > 0 && w[c] > 0 ? (double)w[c] * sum[c] / all : 0;
}

um_status um_proxies_tell(const um_proxies *proxies, um_model *model, um_evidence *e)
{
    double *sum = calloc((size_t)e->k, sizeof *sum);
    if (sum == NULL) {
        return um_fail(proxies->ctx, UM_ERROR_MEMORY, "no memory for %lld components", (long long)e->k);
    }
    const float *h = um_model_factors(model);
    const float *w = um_model_loadings(model);
    for (int64_t i = 0; i < e->k * e->pixels; i++) {
        sum[i / e->pixels] += h[i] > 0 ? (double)h[i] : 0;
    }
    for (int64_t c = 0; c < e->k && proxies->found; c++) {
        moments thickness = {.n = 0};
        moments tilt = {.n = 0};
        for (int64_t p = 0; p < e->positions; p++) {
            const um_proxy *at = &proxies->at[p];
            double share = share_of(w + p * e->k, sum, e->k, c);
            if (share > PRESENT && isfinite(at->scattered)) {
                add(&thickness, (double[3]){share, at->scattered, 0});
            }
            if (share > PRESENT && isfinite(at->y)) {
                add(&tilt, (double[3]){share, at->y, at->x});
            }
        }
        um_card *card = &e->cards[c];
        card->thickness_correlation = thickness.n >= LEAST_POSITIONS ? correlation(&thickness, 0, 1) : NAN;
        card->tilt_correlation = tilt.n >= LEAST_POSITIONS ? multiple_correlation(&tilt) : NAN;
    }
    free(sum);
    return UM_OK;
}
