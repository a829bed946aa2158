/* Intervals of the fractions: counting noise, and what the factorisation leaves open.
 *
 * Where component d is found wherever c is, the pattern of c may as well contain that of d: adding m of d to c and
 * taking m w_c from w_d fits alike while the loadings stay what noise lets them be. So a fraction is known only as a
 * range, and counting noise adds to both of its ends: Imbens & Manski (2004), Econometrica 72, 1845. */
#include "evidence_internal.h"

#include <math.h>
#include <stdlib.h>

enum { STEPS = 64, LEAST_PURE = 8 };
static const double CONFIDENCE = 0.90, PURE = 0.9, STEP = 1.0 / 16;

/* c with Phi(c + width) - Phi(-c) = CONFIDENCE. */
static double critical(double width)
{
    double low = 1;
    double high = 2;
    for (int i = 0; i < 40; i++) {
        double c = (low + high) / 2;
        double inside = 0.5 * erfc(-(c + width) / sqrt(2.0)) - 0.5 * erfc(c / sqrt(2.0));
        *(inside < CONFIDENCE ? &low : &high) = c;
    }
    return low;
}

/* open[c*k + d]: what d usually has at positions that c dominates, by the share of c. */
static um_status find_open(const um_inquiry *q, double *open)
{
    int64_t k = q->k;
    double *ratio = NULL;
    UM_TRY(um_buffer_alloc(q->ctx, (size_t)q->n, sizeof *ratio, "fractions", &ratio));
    for (int64_t c = 0; c < k; c++) {
        for (int64_t d = 0; d < k; d++) {
            size_t used = 0;
            for (int64_t p = 0; p < q->n && d != c; p++) {
                double share = um_share(q, p, c);
                if (share >= PURE) {
                    ratio[used++] = um_share(q, p, d) / share;
                }
            }
            open[c * k + d] = used >= LEAST_PURE ? um_median(ratio, used) : 0;
        }
    }
    um_buffer_free(q->ctx, ratio);
    return UM_OK;
}

um_status um_evidence_open_make(um_inquiry *q)
{
    UM_TRY(um_buffer_alloc(q->ctx, (size_t)(q->k * q->k + STEPS), sizeof *q->open, "fractions", &q->open));
    for (int i = 0; i < STEPS; i++) {
        q->open[q->k * q->k + i] = critical(i * STEP);
    }
    return find_open(q, q->open);
}

static double critical_of(const um_inquiry *q, double width)
{
    double at = width / STEP;
    const double *table = q->open + q->k * q->k;
    if (!(at < STEPS - 1)) {
        return table[STEPS - 1];
    }
    int i = (int)at;
    return table[i] + (at - i) * (table[i + 1] - table[i]);
}

/* Standard error of f_c = w_c s_c / sum_d w_d s_d by first-order propagation of the covariance of w. */
static double share_error(const um_inquiry *q, int64_t p, const double *covariance, double total, int64_t c)
{
    int64_t k = q->k;
    double fraction = um_w(q, p, c) * q->pattern_sum[c] / total;
    double variance = 0;
    double hidden = 0; /* what components that are zero here may hide */
    for (int64_t a = 0; a < k; a++) {
        double ga = ((a == c ? q->pattern_sum[c] : 0) - fraction * q->pattern_sum[a]) / total;
        for (int64_t b = 0; b < k; b++) {
            double gb = ((b == c ? q->pattern_sum[c] : 0) - fraction * q->pattern_sum[b]) / total;
            variance += ga * covariance[a * k + b] * gb;
        }
        double other = q->out->loading_error[p * k + a] * q->pattern_sum[a] / total;
        hidden += um_w(q, p, a) <= 0 && isfinite(other) ? (a == c ? 1 : fraction * fraction) * other * other : 0;
    }
    return sqrt(fmax(variance, 0) + hidden);
}

void um_evidence_fraction_interval(um_inquiry *q, int64_t p, const double *covariance)
{
    int64_t k = q->k;
    double total = 0;
    bool known = true; /* equal patterns leave loadings, and so fractions, without an error */
    for (int64_t c = 0; c < k; c++) {
        total += um_w(q, p, c) * q->pattern_sum[c];
        known = known && (um_w(q, p, c) <= 0 || isfinite(q->out->loading_error[p * k + c]));
    }
    for (int64_t c = 0; c < k; c++) {
        double *low = &q->out->fraction_low[p * k + c];
        double *high = &q->out->fraction_high[p * k + c];
        if (!(total > 0) || !known) {
            *low = *high = NAN;
            continue;
        }
        double fraction = um_w(q, p, c) * q->pattern_sum[c] / total;
        double less = 0;
        double more = 0;
        for (int64_t d = 0; d < k; d++) {
            less += d != c ? um_w(q, p, d) * q->pattern_sum[d] / total * q->open[d * k + c] : 0;
            more += d != c ? fraction * q->open[c * k + d] : 0;
        }
        double error = share_error(q, p, covariance, total, c);
        double z = critical_of(q, error > 0 ? (less + more) / error : 0);
        *low = fmax(fraction - less - z * error, 0);
        *high = fmin(fraction + more + z * error, 1);
    }
}
