/* Background: difference of Gaussians, median of rings; what is left is never below zero. */
#include "steps.h"

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
    for (int64_t i = 0; i < pixels; i++) {
        int64_t ring = ring_of(prep, i);
        rings->count = ring + 1 > rings->count ? ring + 1 : rings->count;
    }
    rings->first = calloc((size_t)rings->count + 1, sizeof *rings->first);
    rings->order = calloc((size_t)pixels, sizeof *rings->order);
    int32_t *next = calloc((size_t)rings->count, sizeof *next);
    if (rings->first == NULL || rings->order == NULL || next == NULL) {
        free(next);
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "background: no memory");
    }
    for (int64_t i = 0; i < pixels; i++) {
        rings->first[ring_of(prep, i) + 1] += bars == NULL || bars[i] == 0;
    }
    for (int64_t r = 0; r < rings->count; r++) {
        rings->most = rings->first[r + 1] > rings->most ? rings->first[r + 1] : rings->most;
        rings->first[r + 1] += rings->first[r];
        next[r] = rings->first[r];
    }
    for (int64_t i = 0; i < pixels; i++) {
        if (bars == NULL || bars[i] == 0) {
            rings->order[next[ring_of(prep, i)]++] = (int32_t)i;
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

static void subtract_rings(const um_prep *prep, const um_scratch *s)
{
    const um_rings *rings = &prep->learned->rings;
    memset(s->b, 0, (size_t)(prep->ky * prep->kx) * sizeof *s->b);
    for (int64_t r = 0; r < rings->count; r++) {
        const int32_t *order = rings->order + rings->first[r];
        int64_t n = rings->first[r + 1] - rings->first[r];
        if (n == 0) {
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            s->c[i] = s->a[order[i]];
        }
        float level = median(s->c, n);
        for (int64_t i = 0; i < n; i++) {
            float v = s->a[order[i]] - level;
            s->b[order[i]] = v < 0 ? 0 : v;
        }
    }
    memcpy(s->a, s->b, (size_t)(prep->ky * prep->kx) * sizeof *s->a);
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
    um_gauss_apply(&learned->narrow, s->a, prep->ky, prep->kx, s->b, s->room, s->c);
    um_gauss_apply(&learned->wide, s->a, prep->ky, prep->kx, s->b, s->room, s->a);
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
            float most = 0;
            for (int64_t i = 0; i < prep->ky * prep->kx; i++) {
                most = s->a[i] > most ? s->a[i] : most;
            }
            height *= most;
        }
        um_apply_hdome(s->a, height, prep->ky, prep->kx, s);
        break;
    case UM_BACKGROUND_NONE:
        break;
    }
}
