/* What relevance determination leaves: components without counts go, and those with one pattern become one. */
#include "nmf_family.h"

#include <math.h>
#include <string.h>

static const double ALIKE = 0.99;  /* correlation of patterns, in units of noise (Shiga et al. 2016) */
static const double EMPTY = 1e-6;  /* of all loadings */

static double correlation(const um_scaled *s, const float *a, const float *b)
{
    double sa = 0;
    double sb = 0;
    double aa = 0;
    double bb = 0;
    double ab = 0;
    double n = 0;
    for (size_t j = 0; j < s->m; j++) {
        if (s->v[j] > 0) {
            n++;
            sa += (double)a[j];
            sb += (double)b[j];
            aa += (double)a[j] * (double)a[j];
            bb += (double)b[j] * (double)b[j];
            ab += (double)a[j] * (double)b[j];
        }
    }
    double va = aa - sa * sa / n;
    double vb = bb - sb * sb / n;
    return va > 0 && vb > 0 ? (ab - sa * sb / n) / sqrt(va * vb) : 0;
}

/* Component c takes the loadings of d, or loses nothing when d is empty; the last one moves to d. */
static void remove_component(um_family *f, size_t c, size_t d)
{
    um_nmf_state *state = f->state;
    const um_scaled *s = f->scaled;
    size_t k = state->k;
    size_t last = k - 1;
    for (size_t p = 0; p < s->n; p++) {
        float *w = state->w + p * k;
        for (size_t e = 0; e < k; e++) {
            w[e] = (float)((double)w[e] * state->scale[e]);
        }
        if (c != d) {
            w[c] += w[d];
        }
        w[d] = w[last];
        memmove(state->w + p * last, w, last * sizeof *w);
    }
    for (size_t e = 0; e < k; e++) {
        state->scale[e] = 1;
    }
    memmove(state->h + d * s->ld, state->h + last * s->ld, s->ld * sizeof *state->h);
    memmove(state->h_last + d * s->ld, state->h_last + last * s->ld, s->ld * sizeof *state->h_last);
    f->w_sum[d] = f->w_sum[last];
    state->k = last;
    f->solves = 0; /* g is of other components */
}

static bool prune_one(um_family *f)
{
    const um_nmf_state *state = f->state;
    const um_scaled *s = f->scaled;
    double total = 0;
    for (size_t c = 0; c < state->k; c++) {
        total += f->w_sum[c];
    }
    for (size_t c = 0; c < state->k; c++) {
        if (!(f->w_sum[c] > EMPTY * total) || !(state->scale[c] > 0)) {
            remove_component(f, c, c);
            return true;
        }
        for (size_t d = c + 1; d < state->k; d++) {
            if (correlation(s, state->h_last + c * s->ld, state->h_last + d * s->ld) > ALIKE) {
                remove_component(f, c, d);
                return true;
            }
        }
    }
    return false;
}

size_t um_family_prune(um_family *f)
{
    size_t removed = 0;
    while (f->state->k > 1 && prune_one(f)) {
        removed++;
    }
    if (removed > 0) {
        memcpy(f->state->h, f->state->h_last, f->state->k * f->scaled->ld * sizeof(float));
    }
    return removed;
}
