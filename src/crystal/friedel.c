/* How much opposite reflections of a pattern differ: what a mistilt does to it and precession undoes. */
#include "crystal_internal.h"

#include <math.h>
#include <stdlib.h>

static int by_index(const void *a, const void *b)
{
    const um_spot *p = *(const um_spot *const *)a, *q = *(const um_spot *const *)b;
    for (int i = 0; i < 3; i++) {
        if (p->hkl[i] != q->hkl[i]) {
            return p->hkl[i] < q->hkl[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The part of the cone's half swing at which a spot's Bragg condition lies; 1 and more: it is never met. */
static double place_on_cone(const um_spot *spot, double precession_mrad)
{
    double swing = hypot(spot->x_per_A, spot->y_per_A) * tan(precession_mrad * 1e-3);
    return swing > 0.0 ? fabs(spot->s_per_A) / swing : INFINITY;
}

static void add_pair(const um_spot *a, const um_spot *b, double precession_mrad, um_friedel *f, double sums[4])
{
    static const double edge = 0.95; /* beyond, the rocking curve is wider than what is left of the sweep */
    double of_a = place_on_cone(a, precession_mrad), of_b = place_on_cone(b, precession_mrad);
    f->pairs++;
    sums[0] += fabs(a->intensity - b->intensity);
    sums[1] += a->intensity + b->intensity;
    if (of_a < edge && of_b < edge) {
        double corrected_a = a->intensity * sqrt(1.0 - of_a * of_a), corrected_b = b->intensity * sqrt(1.0 - of_b * of_b);
        f->swept++;
        sums[2] += fabs(corrected_a - corrected_b);
        sums[3] += corrected_a + corrected_b;
    }
}

um_status um_friedel_compare(um_context *ctx, const um_spot *spots, size_t count, double precession_mrad,
                             double within_per_A, um_friedel *out)
{
    double sums[4] = {0};
    *out = (um_friedel){.within_per_A = within_per_A};
    const um_spot **sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory to compare %zu spots", count);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &spots[i];
    }
    qsort(sorted, count, sizeof *sorted, by_index);
    for (size_t i = 0; i < count; i++) {
        const um_spot *spot = sorted[i];
        const um_spot opposite = {.hkl = {-spot->hkl[0], -spot->hkl[1], -spot->hkl[2]}}, *key = &opposite;
        if (spot->g_per_A > within_per_A || by_index(&spot, &key) < 0) {
            continue; /* each pair once */
        }
        const um_spot **found = bsearch(&key, sorted, count, sizeof *sorted, by_index);
        if (found != NULL) {
            add_pair(spot, *found, precession_mrad, out, sums);
        }
    }
    free(sorted);
    out->difference = sums[1] > 0.0 ? sums[0] / sums[1] : NAN;
    out->corrected = sums[3] > 0.0 ? sums[2] / sums[3] : NAN;
    return UM_OK;
}
