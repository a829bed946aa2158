/* Optimal assignment by shortest augmenting paths with dual prices (Jonker & Volgenant 1987). */
#include "base_internal.h"
#include "unmix/verify.h"

#include <math.h>
#include <stdlib.h>

/* The side with fewer members ("small") is matched completely; the other has one column extra, the
 * last, from which each path starts. Cost = -gain; reduced cost = cost - price_s - price_l >= 0. */
typedef struct matching {
    int64_t small, large;
    int64_t small_stride, large_stride; /* steps in gain */
    const double *gain;
    double *price_small, *price_large;
    int64_t *owner;    /* of each large: the small matched to it, -1 if free */
    int64_t *previous; /* large before this one on the shortest path */
    double *distance;
    bool *done;
} matching;

static double reduced_cost(const matching *m, int64_t s, int64_t l)
{
    return -m->gain[s * m->small_stride + l * m->large_stride] - m->price_small[s] -
           m->price_large[l];
}

/* Relaxes every column from the one just reached; gives the nearest that is not done yet. */
static int64_t relax(matching *m, int64_t reached)
{
    int64_t nearest = -1;
    int64_t s = m->owner[reached];
    for (int64_t l = 0; l < m->large; l++) {
        if (m->done[l]) {
            continue;
        }
        double d = m->distance[reached] + reduced_cost(m, s, l);
        if (d < m->distance[l]) {
            m->distance[l] = d;
            m->previous[l] = reached;
        }
        if (nearest < 0 || m->distance[l] < m->distance[nearest]) {
            nearest = l;
        }
    }
    return nearest;
}

static void augment(matching *m, int64_t s)
{
    const int64_t root = m->large;
    for (int64_t l = 0; l < m->large; l++) {
        m->distance[l] = INFINITY;
        m->previous[l] = root;
        m->done[l] = false;
    }
    m->owner[root] = s;
    m->distance[root] = 0.0;
    m->done[root] = true;
    int64_t at = root;
    do {
        at = relax(m, at);
        m->done[at] = true;
    } while (m->owner[at] >= 0);
    double length = m->distance[at];
    for (int64_t l = 0; l <= m->large; l++) {
        if (m->done[l] && l != at) {
            m->price_small[m->owner[l]] += length - m->distance[l];
            if (l != root) {
                m->price_large[l] -= length - m->distance[l];
            }
        }
    }
    while (at != root) {
        int64_t before = m->previous[at];
        m->owner[at] = m->owner[before];
        at = before;
    }
}

static um_status check_gains(um_context *ctx, int64_t rows, int64_t columns, const double *gain)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < columns; c++) {
            if (!isfinite(gain[r * columns + c])) {
                return um_fail(ctx, UM_ERROR_VALUE,
                               "assignment: the gain of row %lld, column %lld is not finite",
                               (long long)r, (long long)c);
            }
        }
    }
    return UM_OK;
}

um_status um_assign(um_context *ctx, int64_t rows, int64_t columns, const double *gain,
                    int64_t *assigned)
{
    size_t count = 0;
    if (!um_mul4(rows, columns, (int64_t)sizeof(double), 1, &count)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "assignment: %lld x %lld is not a possible size",
                       (long long)rows, (long long)columns);
    }
    UM_TRY(check_gains(ctx, rows, columns, gain));
    bool by_row = rows <= columns;
    matching m = {.small = by_row ? rows : columns,
                  .large = by_row ? columns : rows,
                  .small_stride = by_row ? columns : 1,
                  .large_stride = by_row ? 1 : columns,
                  .gain = gain};
    size_t large = (size_t)m.large + 1;
    m.price_small = calloc((size_t)m.small + 1, sizeof *m.price_small);
    m.price_large = calloc(large, sizeof *m.price_large);
    m.distance = calloc(large, sizeof *m.distance);
    m.owner = calloc(large, sizeof *m.owner);
    m.previous = calloc(large, sizeof *m.previous);
    m.done = calloc(large, sizeof *m.done);
    um_status status = UM_OK;
    if (m.price_small == NULL || m.price_large == NULL || m.distance == NULL || m.owner == NULL ||
        m.previous == NULL || m.done == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "assignment: no memory for %lld x %lld",
                         (long long)rows, (long long)columns);
        goto cleanup;
    }
    for (int64_t l = 0; l < m.large; l++) {
        m.owner[l] = -1;
    }
    for (int64_t s = 0; s < m.small; s++) {
        augment(&m, s);
    }
    for (int64_t r = 0; r < rows; r++) {
        assigned[r] = by_row ? -1 : m.owner[r];
    }
    for (int64_t l = 0; by_row && l < m.large; l++) {
        if (m.owner[l] >= 0) {
            assigned[m.owner[l]] = l;
        }
    }
cleanup:
    free(m.price_small);
    free(m.price_large);
    free(m.distance);
    free(m.owner);
    free(m.previous);
    free(m.done);
    return status;
}
