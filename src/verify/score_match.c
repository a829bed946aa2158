/* Which component stands for which state. */
#include "verify_internal.h"

#include <math.h>
#include <stdlib.h>

static void sum_factors(const um_comparison *c, um_side *s)
{
    for (int64_t i = 0; i < s->k; i++) {
        double sum = 0.0;
        for (int64_t q = 0; q < c->pixels; q++) {
            double value = (double)s->factors[i * c->pixels + q];
            sum += um_compared(c->pixel_mask, q) && isfinite(value) ? value : 0.0;
        }
        s->sums[i] = sum;
    }
}

static double cosine(const um_comparison *c, const float *a, const float *b)
{
    double ab = 0.0;
    double aa = 0.0;
    double bb = 0.0;
    for (int64_t q = 0; q < c->pixels; q++) {
        if (um_compared(c->pixel_mask, q) && isfinite(a[q]) && isfinite(b[q])) {
            ab += (double)a[q] * (double)b[q];
            aa += (double)a[q] * (double)a[q];
            bb += (double)b[q] * (double)b[q];
        }
    }
    return aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : 0.0;
}

static void find_nearest(um_comparison *c, const double *gain)
{
    um_score *score = c->score;
    for (int64_t r = 0; r < c->result.k; r++) {
        int64_t best = 0;
        for (int64_t t = 1; t < c->truth.k; t++) {
            best = gain[t * c->result.k + r] > gain[best * c->result.k + r] ? t : best;
        }
        score->nearest_state[r] = best;
        score->nearest_cosine[r] = gain[best * c->result.k + r];
        score->state_of[r] = best;
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        int64_t r = score->component_of[t];
        score->cosine[t] = r >= 0 ? gain[t * c->result.k + r] : 0.0;
        if (r >= 0) {
            score->state_of[r] = t;
        }
    }
}

um_status um_score_match(um_comparison *c)
{
    sum_factors(c, &c->result);
    sum_factors(c, &c->truth);
    double *gain = calloc((size_t)(c->truth.k * c->result.k), sizeof *gain);
    if (gain == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        for (int64_t r = 0; r < c->result.k; r++) {
            gain[t * c->result.k + r] = cosine(c, c->truth.factors + t * c->pixels,
                                               c->result.factors + r * c->pixels);
        }
    }
    um_status status = um_assign(c->ctx, c->truth.k, c->result.k, gain, c->score->component_of);
    if (status == UM_OK) {
        find_nearest(c, gain);
    }
    free(gain);
    return status;
}
