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

/* States that are nowhere in what is compared: no component can stand for them, whatever it looks like. */
static void find_absent(um_comparison *c)
{
    bool any = false;
    for (int64_t t = 0; t < c->truth.k; t++) {
        bool there = false;
        for (int64_t p = 0; p < c->positions && !there; p++) {
            there = um_compared(c->position_mask, p) && c->truth.loadings[p * c->truth.k + t] > 0.0F;
        }
        c->score->state[t].absent = !there;
        any = any || there;
    }
    for (int64_t t = 0; t < c->truth.k && !any; t++) {
        c->score->state[t].absent = false;
    }
}

static void find_nearest(um_comparison *c, const double *gain)
{
    um_score *score = c->score;
    for (int64_t r = 0; r < c->result.k; r++) {
        int64_t best = -1;
        for (int64_t t = 0; t < c->truth.k; t++) {
            bool better = best < 0 || gain[t * c->result.k + r] > gain[best * c->result.k + r];
            best = better && !c->score->state[t].absent ? t : best;
        }
        score->nearest_state[r] = best;
        score->nearest_cosine[r] = gain[best * c->result.k + r];
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        int64_t r = score->state[t].absent ? -1 : score->component_of[t];
        score->component_of[t] = r;
        score->cosine[t] = r >= 0 ? gain[t * c->result.k + r] : 0.0;
    }
}

um_status um_score_match(um_comparison *c)
{
    sum_factors(c, &c->result);
    sum_factors(c, &c->truth);
    find_absent(c);
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
    double *wanted = calloc((size_t)(c->truth.k * c->result.k), sizeof *wanted);
    um_status status = wanted != NULL ? UM_OK : um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    for (int64_t i = 0; i < c->truth.k * c->result.k && status == UM_OK; i++) {
        wanted[i] = c->score->state[i / c->result.k].absent ? -1.0 : gain[i];
    }
    if (status == UM_OK) {
        status = um_assign(c->ctx, c->truth.k, c->result.k, wanted, c->score->component_of);
    }
    free(wanted);
    if (status == UM_OK) {
        find_nearest(c, gain);
    }
    c->alike = gain;
    return status;
}
