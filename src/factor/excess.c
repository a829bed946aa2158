/* Places where a residual map exceeds the rest: what a missed phase looks like. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A box mean counts from so many of its positions on. */
enum { HALF = 1, LEAST = 4, LEAST_BOXES = 64 };
static const double ONE_SIGMA_BELOW = 0.1587;

double um_excess_box(int64_t ny, int64_t nx, const double *map, const double *spread, double level,
                     int64_t position)
{
    int64_t y = position / nx;
    int64_t x = position % nx;
    double sum = 0;
    double variance = 0;
    double most = -INFINITY;
    double spread_of_most = 0;
    int used = 0;
    for (int64_t i = y - HALF; i <= y + HALF; i++) {
        for (int64_t j = x - HALF; j <= x + HALF; j++) {
            size_t p = (size_t)(i * nx + j);
            if (i < 0 || j < 0 || i >= ny || j >= nx || !isfinite(map[p]) || !isfinite(spread[p])) {
                continue;
            }
            sum += map[p] - level;
            variance += spread[p] * spread[p];
            used++;
            if (map[p] - level > most) {
                most = map[p] - level;
                spread_of_most = spread[p];
            }
        }
    }
    sum -= used > 0 ? most : 0;
    variance -= spread_of_most * spread_of_most;
    return used >= LEAST && variance > 0 ? sum / sqrt(variance) : NAN;
}

/* Sorted finite values; their number. */
static size_t sort_finite(const double *values, size_t n, double *sorted)
{
    size_t count = 0;
    for (size_t p = 0; p < n; p++) {
        if (isfinite(values[p])) {
            sorted[count++] = values[p];
        }
    }
    qsort(sorted, count, sizeof *sorted, um_compare_f64);
    return count;
}

static void find(int64_t ny, int64_t nx, const double *map, const double *spread, double *score,
                 double *sorted, um_excess *out)
{
    size_t n = (size_t)(ny * nx);
    size_t count = sort_finite(map, n, sorted);
    double level = count > 0 ? sorted[count / 2] : 0;
    for (size_t p = 0; p < n; p++) {
        score[p] = um_excess_box(ny, nx, map, spread, level, (int64_t)p);
    }
    count = sort_finite(score, n, sorted);
    if (count < LEAST_BOXES) {
        return;
    }
    /* What is wrong everywhere alike is no place: the width is measured on the side without excess. */
    double middle = sorted[count / 2];
    double width = fmax(1, middle - sorted[(size_t)(ONE_SIGMA_BELOW * (double)count)]);
    double most = UM_EXCESS_SIGMAS;
    for (size_t p = 0; p < n; p++) {
        score[p] = (score[p] - middle) / width;
        out->positions += score[p] > UM_EXCESS_SIGMAS;
        if (score[p] > most) {
            most = score[p];
            out->y = (int64_t)p / nx;
            out->x = (int64_t)p % nx;
            out->sigmas = score[p];
        }
    }
}

/* As um_find_excess(); score (n): of each position, in standard deviations. */
static um_status score_map(um_context *ctx, int64_t ny, int64_t nx, const double *map, const double *spread,
                           double *score, um_excess *out)
{
    double *sorted = NULL;
    *out = (um_excess){.y = -1, .x = -1};
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *sorted, "a map", &sorted));
    find(ny, nx, map, spread, score, sorted, out);
    um_buffer_free(ctx, sorted);
    return UM_OK;
}

um_status um_find_excess(um_context *ctx, int64_t ny, int64_t nx, const double *map,
                         const double *spread, um_excess *out)
{
    double *score = NULL;
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *score, "a map", &score));
    um_status status = score_map(ctx, ny, nx, map, spread, score, out);
    um_buffer_free(ctx, score);
    return status;
}

/* Sums over the pixels, for all pairs of components. */
typedef struct moments {
    double *one;    /* k: v h */
    double *three;  /* k: v^3 h */
    double *square; /* k x k: v^2 h h' */
} moments;

static void take_moments(const um_scaled *s, const um_nmf_state *state, moments *sum)
{
    size_t k = state->k;
    for (size_t c = 0; c < k; c++) {
        const float *h = state->h + c * s->ld;
        for (size_t j = 0; j < s->m; j++) {
            double vh = (double)s->v[j] * (double)h[j];
            sum->one[c] += vh;
            sum->three[c] += (double)s->v[j] * (double)s->v[j] * vh;
            for (size_t d = 0; vh > 0 && d <= c; d++) {
                sum->square[c * k + d] += vh * (double)s->v[j] * (double)state->h[d * s->ld + j];
            }
        }
    }
}

/* A Poisson count of expectation e has a squared deviation of mean e and variance 2 e^2 + e; weighted by u^2 v^2, where
 * u v e = w h. */
static void expect_row(const um_scaled *s, const um_nmf_state *state, const moments *sum, size_t p,
                       double *mean, double *spread)
{
    size_t k = state->k;
    const float *w = state->w + p * k;
    double u = (double)s->u[p];
    double first = 0;
    double linear = 0;
    double square = 0;
    for (size_t c = 0; c < k; c++) {
        double wc = (double)w[c];
        first += wc * sum->one[c];
        linear += wc * sum->three[c];
        for (size_t d = 0; wc > 0 && d <= c; d++) {
            square += (d < c ? 2 : 1) * wc * (double)w[d] * sum->square[c * k + d];
        }
    }
    double columns = (double)s->noisy_columns;
    *mean = u > 0 ? u * first / columns : NAN;
    *spread = u > 0 ? sqrt(2 * u * u * square + u * u * u * linear) / columns : NAN;
}

um_status um_residual_expected(const um_scaled *s, const um_nmf_state *state, double *mean,
                               double *spread)
{
    size_t k = state->k;
    double *work = calloc(2 * k + k * k, sizeof *work);
    if (work == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
    }
    moments sum = {work, work + k, work + 2 * k};
    take_moments(s, state, &sum);
    for (size_t p = 0; p < s->n; p++) {
        expect_row(s, state, &sum, p, &mean[p], &spread[p]);
    }
    free(work);
    return UM_OK;
}

um_status um_residual_beyond(const um_scaled *s, const um_nmf_state *state, const double *map_weighted,
                             double **beyond, double **spread)
{
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof **beyond, "a map", beyond));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof **spread, "a map", spread));
    UM_TRY(um_residual_expected(s, state, *beyond, *spread));
    for (size_t p = 0; p < s->n; p++) {
        (*beyond)[p] = map_weighted[p] / (double)s->noisy_columns - (*beyond)[p];
    }
    return UM_OK;
}

um_status um_residual_excess(const um_scaled *s, const um_nmf_state *state, const double *map_weighted,
                             double *score, um_excess *out)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    double *beyond = NULL;
    double *spread = NULL;
    um_status status = um_residual_beyond(s, state, map_weighted, &beyond, &spread);
    if (status == UM_OK) {
        status = score_map(s->ctx, info->shape.ny, info->shape.nx, beyond, spread, score, out);
    }
    um_buffer_free(s->ctx, beyond);
    um_buffer_free(s->ctx, spread);
    return status;
}
