/* Background: difference of Gaussians, median of rings; what is left is never below zero. */
#include "steps.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rings ---------------------------------------------------------------------------------- */

static int64_t ring_of(const um_prep *prep, int64_t i)
{
    double dy = (double)(i / prep->kx) - prep->learned->beam_y;
    double dx = (double)(i % prep->kx) - prep->learned->beam_x;
    return (int64_t)(sqrt(dy * dy + dx * dx) + 0.5);
}

/* Sorts pixels by ring; pixels that hold nothing real are in none. */
static um_status make_rings(um_prep *prep)
{
    um_rings *rings = &prep->learned->rings;
    const uint8_t *bars = prep->learned->bars;
    int64_t pixels = prep->ky * prep->kx;
    int64_t least = ring_of(prep, 0);
    int64_t most = least;
    for (int64_t i = 1; i < pixels; i++) {
        int64_t ring = ring_of(prep, i);
        least = ring < least ? ring : least;
        most = ring > most ? ring : most;
    }
    rings->count = most - least + 1; /* none that lie between a beam outside and the pattern */
    rings->first = calloc((size_t)rings->count + 1, sizeof *rings->first);
    rings->order = calloc((size_t)pixels, sizeof *rings->order);
    rings->ring = calloc((size_t)pixels, sizeof *rings->ring);
    int32_t *next = calloc((size_t)rings->count, sizeof *next);
    if (rings->first == NULL || rings->order == NULL || rings->ring == NULL || next == NULL) {
        free(next);
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "background: no memory");
    }
    for (int64_t i = 0; i < pixels; i++) {
        rings->ring[i] = (int32_t)(ring_of(prep, i) - least);
        rings->first[rings->ring[i] + 1] += bars == NULL || bars[i] == 0;
    }
    for (int64_t r = 0; r < rings->count; r++) {
        rings->most = rings->first[r + 1] > rings->most ? rings->first[r + 1] : rings->most;
        rings->first[r + 1] += rings->first[r];
        next[r] = rings->first[r];
    }
    for (int64_t i = 0; i < pixels; i++) {
        if (bars == NULL || bars[i] == 0) {
            rings->order[next[rings->ring[i]]++] = (int32_t)i;
        }
    }
    free(next);
    return UM_OK;
}

/* Puts the k-th smallest at k, nothing greater before it. Values that are not numbers: any order.
 */
static void select_kth(float *v, int64_t n, int64_t k)
{
    int64_t low = 0;
    int64_t high = n - 1;
    while (low < high) {
        float pivot = v[(low + high) / 2];
        int64_t i = low;
        int64_t j = high;
        while (i <= j) {
            while (i < high && v[i] < pivot) {
                i++;
            }
            while (j > low && v[j] > pivot) {
                j--;
            }
            if (i <= j) {
                float t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (k <= j) {
            high = j;
        } else if (k >= i) {
            low = i;
        } else {
            return;
        }
    }
}

static float median(float *v, int64_t n)
{
    select_kth(v, n, n / 2);
    float upper = v[n / 2];
    if (n % 2 == 1) {
        return upper;
    }
    float lower = v[0];
    for (int64_t i = 1; i < n / 2; i++) {
        lower = v[i] > lower ? v[i] : lower;
    }
    return 0.5F * (lower + upper);
}

/* The k-th smallest (from 0) by halving the range of values: each step counts what is below its middle in
 * one sweep and draws both ends in to values that are there. */
static float kth_smallest(const um_prep *prep, const float *v, size_t padded, size_t k, float low,
                          float high)
{
    while (low < high) {
        float middle = low + 0.5F * (high - low);
        float below = 0;
        float above = 0;
        middle = middle < high ? middle : low;
        if (prep->kernels->split(v, padded, middle, &below, &above) > k) {
            high = below;
        } else {
            low = above;
        }
    }
    return low;
}

/* Of n values in v, which has room for UM_RANK_LANES more; the same as `median` for finite values. */
static float ring_median(const um_prep *prep, float *v, int64_t n)
{
    size_t padded = (size_t)(n + UM_RANK_LANES - 1) / UM_RANK_LANES * UM_RANK_LANES;
    float high = 0;
    float low = 0;
    for (int64_t i = n; i < (int64_t)padded; i++) {
        v[i] = INFINITY;
    }
    float unused = 0;
    bool finite = prep->kernels->split(v, padded, -INFINITY, &unused, &low) == 0 &&
                  prep->kernels->split(v, padded, FLT_MAX, &high, &unused) == (size_t)n;
    if (!finite) {
        return median(v, n);
    }
    float upper = kth_smallest(prep, v, padded, (size_t)n / 2, low, high);
    return n % 2 == 1 ? upper
                      : 0.5F * (upper + kth_smallest(prep, v, padded, (size_t)n / 2 - 1, low, upper));
}

/* c holds the values of one ring, then room for its padding; b the levels of all rings. */
static void subtract_rings(const um_prep *prep, const um_scratch *s)
{
    const um_rings *rings = &prep->learned->rings;
    const uint8_t *bars = prep->learned->bars;
    for (int64_t r = 0; r < rings->count; r++) {
        const int32_t *order = rings->order + rings->first[r];
        int64_t n = rings->first[r + 1] - rings->first[r];
        for (int64_t i = 0; i < n; i++) {
            s->c[i] = s->a[order[i]];
        }
        s->b[r] = n > 0 ? ring_median(prep, s->c, n) : 0;
    }
    for (int64_t i = 0; i < prep->ky * prep->kx; i++) {
        float v = s->a[i] - s->b[rings->ring[i]];
        s->a[i] = v < 0 ? 0 : v;
    }
    for (int64_t i = 0; bars != NULL && i < prep->ky * prep->kx; i++) {
        s->a[i] = bars[i] != 0 ? 0 : s->a[i];
    }
}

/* The greatest value above zero, in lanes that do not wait for each other. */
static float greatest(const float *values, int64_t n)
{
    enum { LANES = 16 };
    float lane[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int64_t l = 0; l < LANES; l++) {
            lane[l] = values[i + l] > lane[l] ? values[i + l] : lane[l];
        }
    }
    for (int64_t i = whole; i < n; i++) {
        lane[0] = values[i] > lane[0] ? values[i] : lane[0];
    }
    for (int64_t l = 1; l < LANES; l++) {
        lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
    }
    return lane[0];
}

/* ---- the step ------------------------------------------------------------------------------- */

um_status um_learn_background(um_prep *prep)
{
    const um_recipe *r = prep->recipe;
    if (r->background == UM_BACKGROUND_DOG) {
        UM_TRY(um_gauss_make(prep->ctx, r->background_value[0], &prep->learned->narrow));
        return um_gauss_make(prep->ctx, r->background_value[1], &prep->learned->wide);
    }
    return r->background == UM_BACKGROUND_RADIAL ? make_rings(prep) : UM_OK;
}

static void difference_of_gaussians(const um_prep *prep, const um_scratch *s)
{
    const um_learned *learned = prep->learned;
    um_gauss_apply(prep->kernels, &learned->narrow, s->a, prep->ky, prep->kx, s->b, s->room, s->c);
    um_gauss_apply(prep->kernels, &learned->wide, s->a, prep->ky, prep->kx, s->b, s->room, s->a);
    for (int64_t i = 0; i < prep->ky * prep->kx; i++) {
        float v = s->c[i] - s->a[i];
        s->a[i] = v < 0 ? 0 : v;
    }
}

void um_apply_background(const um_prep *prep, const um_scratch *s)
{
    const um_recipe *r = prep->recipe;
    float height = (float)r->background_value[0];
    switch (r->background) {
    case UM_BACKGROUND_DOG:
        difference_of_gaussians(prep, s);
        break;
    case UM_BACKGROUND_RADIAL:
        subtract_rings(prep, s);
        break;
    case UM_BACKGROUND_HDOME:
        if (!r->background_counts) {
            height *= greatest(s->a, prep->ky * prep->kx);
        }
        um_apply_hdome(prep, height, s);
        break;
    case UM_BACKGROUND_NONE:
        break;
    }
}
