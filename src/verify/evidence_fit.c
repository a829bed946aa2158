/* Where the residual exceeds counting noise, told with control of multiple tests; the places to look at. */
#include "evidence_internal.h"

#include "unmix/factor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double FALSE_DISCOVERIES = 0.01;
static const double STANDS_OUT = 6; /* standard deviations of a single position */

/* Standard deviations of a sum of squares above its mean, as those of a scaled chi-square of the same mean and variance
 * (Wilson & Hilferty 1931): long upper tails of few counts count less than they would for a normal variate. */
double um_sigmas_above(double observed, double mean, double spread)
{
    if (!(mean > 0) || !(spread > 0) || !isfinite(observed)) {
        return NAN;
    }
    double t = 2 * (spread / mean) * (spread / mean) / 18; /* 2 / (9 nu), nu = 2 mean^2 / spread^2 */
    return (cbrt(fmax(observed, 0) / mean) - (1 - t)) / sqrt(t);
}

/* Fraction of the finite values that a false discovery rate lets call large; 0 of none. Sorts `scratch`. */
double um_beyond_noise(const double *sigmas, int64_t count, double *scratch)
{
    size_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(sigmas[i])) {
            scratch[used++] = 0.5 * erfc(sigmas[i] / sqrt(2.0));
        }
    }
    qsort(scratch, used, sizeof *scratch, um_compare_f64);
    size_t called = 0;
    for (size_t i = 0; i < used; i++) {
        called = scratch[i] <= FALSE_DISCOVERIES * (double)(i + 1) / (double)used ? i + 1 : called;
    }
    return used > 0 ? (double)called / (double)used : 0;
}

static double median_ratio(const double *observed, const double *expected, int64_t count, double *scratch)
{
    size_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(observed[i]) && expected[i] > 0) {
            scratch[used++] = observed[i] / expected[i];
        }
    }
    return used > 0 ? um_median(scratch, used) : NAN;
}

static void find_worst(um_inquiry *q, const double *observed)
{
    um_evidence *e = q->out;
    for (int64_t p = 0; p < q->n; p++) {
        double z = e->position_sigmas[p];
        int64_t at = isfinite(z) ? e->worst_count : UM_WORST;
        while (at > 0 && isfinite(z) && e->worst[at - 1].sigmas < z) {
            at--;
        }
        if (at >= UM_WORST || !isfinite(z)) {
            continue;
        }
        int64_t last = e->worst_count < UM_WORST ? e->worst_count++ : UM_WORST - 1;
        memmove(&e->worst[at + 1], &e->worst[at], (size_t)(last - at) * sizeof e->worst[0]);
        e->worst[at] = (um_worst){.y = p / q->shape.nx, .x = p % q->shape.nx, .residual = observed[p],
                                  .expected = q->expected[p], .sigmas = z};
    }
}

/* Single positions far beyond noise, or neighbours that are together (um_find_excess). beyond: positions, overwritten. */
static um_status tell_unmodelled(um_inquiry *q, const double *observed, double *beyond_noise)
{
    um_evidence *e = q->out;
    int64_t places = 0;
    for (int64_t p = 0; p < q->n; p++) {
        places += e->position_sigmas[p] > STANDS_OUT;
        beyond_noise[p] = observed[p] - q->expected[p];
    }
    um_excess excess = {0};
    UM_TRY(um_find_excess(q->ctx, q->shape.ny, q->shape.nx, beyond_noise, q->spread, &excess));
    e->unmodelled = places > 0 || excess.positions > 0;
    if (places > 0) {
        snprintf(e->unmodelled_reason, sizeof e->unmodelled_reason,
                 "the residual of %lld positions exceeds counting noise by more than %.0f standard deviations, most (%.3g) "
                 "at y %lld, x %lld: something there is not in the model",
                 (long long)places, STANDS_OUT, e->worst[0].sigmas, (long long)e->worst[0].y,
                 (long long)e->worst[0].x);
    } else if (excess.positions > 0) {
        snprintf(e->unmodelled_reason, sizeof e->unmodelled_reason,
                 "the mean residual over 3 x 3 positions stands out at %lld places, most (%.3g standard deviations) at y "
                 "%lld, x %lld: something there is not in the model",
                 (long long)excess.positions, excess.sigmas, (long long)excess.y, (long long)excess.x);
    }
    return UM_OK;
}

/* Residual that each component leaves: the map averaged with its share. */
static void residual_by_component(um_inquiry *q, const double *observed)
{
    for (int64_t c = 0; c < q->k; c++) {
        double sum = 0;
        double weight = 0;
        for (int64_t p = 0; p < q->n; p++) {
            double share = um_share(q, p, c);
            if (isfinite(observed[p]) && q->expected[p] > 0 && share > 0) {
                sum += share * observed[p] / q->expected[p];
                weight += share;
            }
        }
        q->out->cards[c].residual = weight > 0 ? sum / weight : NAN;
    }
}

um_status um_evidence_fit(um_inquiry *q, um_model *model)
{
    um_evidence *e = q->out;
    const double *map = um_evidence_array(model, "residual_map_weighted", q->n);
    const double *rms = um_evidence_array(model, "residual_pattern_rms", q->m);
    double *scratch = NULL;
    int64_t most = q->n > q->m ? q->n : q->m;
    UM_TRY(um_buffer_alloc(q->ctx, (size_t)most, sizeof *scratch, "residual tests", &scratch));
    um_status status = UM_OK;
    e->positions_beyond_noise = e->pixels_beyond_noise = e->dispersion = NAN;
    for (int64_t p = 0; p < q->n; p++) {
        e->position_sigmas[p] = map != NULL ? um_sigmas_above(map[p], q->expected[p], q->spread[p]) : NAN;
    }
    for (int64_t j = 0; j < q->m; j++) {
        bool told = rms != NULL && map != NULL;
        e->pixel_sigmas[j] = told ? um_sigmas_above(rms[j] * rms[j], q->expected_q[j], q->spread_q[j]) : NAN;
    }
    if (map != NULL) {
        e->dispersion = median_ratio(map, q->expected, q->n, scratch);
        e->positions_beyond_noise = um_beyond_noise(e->position_sigmas, q->n, scratch);
        residual_by_component(q, map);
        find_worst(q, map);
        status = tell_unmodelled(q, map, scratch);
    }
    if (map != NULL && rms != NULL) {
        e->pixels_beyond_noise = um_beyond_noise(e->pixel_sigmas, q->m, scratch);
    }
    um_buffer_free(q->ctx, scratch);
    return status;
}
