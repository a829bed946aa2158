/* Factors on the grid of grid.h. With X' = diag(u) X diag(v) it is H v and u W that are rounded, since these are
 * what the counts as stored are multiplied by. */
#include "factor_internal.h"

#include <math.h>

enum { FINER_STEPS = 16 };

/* Squared error, in the scaled space, of a component on a grid of this step: rounding, and what lies beyond the
 * ends of the grid. */
static double grid_error(const um_scaled *s, const float *h, double step)
{
    double most = step * UM_GRID_MOST;
    double error = 0;
    for (size_t j = 0; j < s->m; j++) {
        double v = (double)s->v[j];
        if (v > 0) {
            double beyond = fabs((double)h[j]) - most / v;
            beyond = beyond > 0 ? beyond : 0;
            error += beyond * beyond + step * step / 12 / (v * v);
        }
    }
    return error;
}

/* Pixels with few counts have large v and so large numbers, that matter no more than others: what is best may
 * be to cut them off. */
static double best_step(const um_scaled *s, const float *h)
{
    double largest = 0;
    for (size_t j = 0; j < s->m; j++) {
        largest = fmax(largest, fabs((double)h[j] * (double)s->v[j]));
    }
    double step = um_grid_step(largest);
    double error = grid_error(s, h, step);
    for (int i = 0; i < FINER_STEPS; i++) {
        double finer = grid_error(s, h, step / 2);
        if (!(finer < error)) {
            break;
        }
        step /= 2;
        error = finer;
    }
    return step;
}

void um_grid_components(const um_scaled *s, size_t k, const float *h, int16_t *packed, double *step)
{
    for (size_t c = 0; c < k; c++) {
        const float *hc = h + c * s->ld;
        step[c] = best_step(s, hc);
        for (size_t j = 0; j < s->m; j++) {
            packed[um_grid_packed(k, c, j)] =
                um_grid_round((double)hc[j] * (double)s->v[j], step[c]);
        }
    }
}

void um_grid_rows(const um_scaled *s, const int64_t *position, size_t rows, size_t k, double *w,
                  int16_t *pairs, float *step)
{
    for (size_t c = 0; c < k; c++) {
        double *wc = w + c * UM_GROUP_ROWS;
        double largest = 0;
        for (size_t r = 0; r < rows; r++) {
            largest = fmax(largest, fabs(wc[r] * (double)s->u[position[r]]));
        }
        double by = um_grid_step(largest);
        for (size_t r = 0; r < rows; r++) {
            double u = (double)s->u[position[r]];
            int16_t multiple = um_grid_round(wc[r] * u, by);
            pairs[um_grid_pair(k, c, r)] = multiple;
            wc[r] = u > 0 ? (double)(float)(multiple * by / u) : 0;
        }
        if (rows % 2 == 1) {
            pairs[um_grid_pair(k, c, rows)] = 0;
        }
        step[c] = (float)by;
    }
}
