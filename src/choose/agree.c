/* Whether components come back: matched one to one between the halves of the counts and between starts. */
#include "choose_internal.h"
#include "unmix/verify.h"

#include <math.h>
#include <stdlib.h>

enum { FITS = 4 }; /* halves, all counts, all counts from another start */

void um_pattern_cosines(const um_scaled *s, size_t k, const float *a, const float *b, double *out)
{
    for (size_t c = 0; c < k; c++) {
        for (size_t d = 0; d < k; d++) {
            double ab = 0;
            double aa = 0;
            double bb = 0;
            for (size_t j = 0; j < s->m; j++) {
                double x = (double)a[c * s->ld + j];
                double y = (double)b[d * s->ld + j];
                ab += x * y;
                aa += x * x;
                bb += y * y;
            }
            out[c * k + d] = aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
        }
    }
}

typedef struct matching {
    const um_scaled *s;
    size_t k;
    const float *h[FITS];
    int fits;
    double *cosine;    /* k x k of two fits */
    int64_t *assigned; /* fits x k: component of each fit that belongs to cluster c of the first */
    double *closeness; /* k: to the match */
} matching;

static um_status match(matching *m, int a, int b)
{
    um_pattern_cosines(m->s, m->k, m->h[a], m->h[b], m->cosine);
    int64_t *to = m->assigned + (size_t)b * m->k;
    UM_TRY(um_assign(m->s->ctx, (int64_t)m->k, (int64_t)m->k, m->cosine, to));
    for (size_t c = 0; c < m->k; c++) {
        m->closeness[c] = m->cosine[c * m->k + (size_t)to[c]];
    }
    return UM_OK;
}

/* Distance 1 - cosine of member `a` of cluster c to the members of cluster d in the other fits, mean. */
static double distance(matching *m, int fit, size_t c, size_t d)
{
    double sum = 0;
    const float *x = m->h[fit] + (size_t)m->assigned[(size_t)fit * m->k + c] * m->s->ld;
    int counted = 0;
    for (int other = 0; other < m->fits; other++) {
        if (other == fit && c == d) {
            continue;
        }
        const float *y = m->h[other] + (size_t)m->assigned[(size_t)other * m->k + d] * m->s->ld;
        double cosine = 0;
        um_pattern_cosines(m->s, 1, x, y, &cosine);
        sum += 1 - cosine;
        counted++;
    }
    return counted > 0 ? sum / counted : 0;
}

/* Least over clusters of the mean silhouette of their members (Rousseeuw 1987). */
static double silhouette(matching *m)
{
    double least = 1;
    for (size_t c = 0; c < m->k; c++) {
        double mean = 0;
        for (int fit = 0; fit < m->fits; fit++) {
            double own = distance(m, fit, c, c);
            double nearest = INFINITY;
            for (size_t d = 0; d < m->k; d++) {
                nearest = d != c ? fmin(nearest, distance(m, fit, c, d)) : nearest;
            }
            double most = fmax(own, nearest);
            mean += most > 0 ? (nearest - own) / most / m->fits : 0;
        }
        least = fmin(least, mean);
    }
    return least;
}

static um_status compare(matching *m, um_agreement *out)
{
    for (size_t c = 0; c < m->k; c++) {
        m->assigned[c] = (int64_t)c;
    }
    for (int fit = m->fits - 1; fit >= 1; fit--) {
        UM_TRY(match(m, 0, fit));
        if (fit == 1) {
            out->worst = INFINITY;
            for (size_t c = 0; c < m->k; c++) {
                out->worst = fmin(out->worst, m->closeness[c]);
            }
            out->median = um_median(m->closeness, m->k);
        }
    }
    if (m->k > 1) {
        out->silhouette = silhouette(m);
    }
    if (m->fits == FITS) { /* the last column is of no use any more */
        UM_TRY(match(m, 2, 3));
        out->starts = INFINITY;
        for (size_t c = 0; c < m->k; c++) {
            out->starts = fmin(out->starts, m->closeness[c]);
        }
    }
    return UM_OK;
}

um_status um_agree(const um_scaled *s, size_t k, const um_path *full, const um_path half[2],
                   um_agreement *out)
{
    *out = (um_agreement){NAN, NAN, NAN, NAN};
    matching m = {.s = s, .k = k, .fits = full->other[k - 1].h != NULL ? FITS : FITS - 1};
    m.h[0] = half[0].fit[k - 1].h;
    m.h[1] = half[1].fit[k - 1].h;
    m.h[2] = full->fit[k - 1].h;
    m.h[3] = full->other[k - 1].h;
    m.cosine = calloc(k * k, sizeof *m.cosine);
    m.assigned = calloc(FITS * k, sizeof *m.assigned);
    m.closeness = calloc(k, sizeof *m.closeness);
    um_status status = m.cosine != NULL && m.assigned != NULL && m.closeness != NULL
                           ? compare(&m, out)
                           : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
    free(m.cosine);
    free(m.assigned);
    free(m.closeness);
    return status;
}
