/* The separable start: successive projection (Araujo et al. 2001; Gillis & Vavasis 2014) on the rows as the
 * leading singular vectors see them, each vertex smoothed over its nearest rows (Nadisic, Gillis & Kervazo
 * 2021). Picks the purest positions of the scan, which is where the flat valley of solutions that share
 * a background is left on the right side. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEAREST = 20 };
static const double FAINT = 0.1; /* of the median row sum: too noisy to be a vertex */

typedef struct simplex {
    size_t n, k, nearest;
    double *point;    /* n x k: rows over their denoised sums; faint rows are zero */
    double *residual; /* n x k: what the vertices found do not span */
} simplex;

/* Denoised sum of each row: its coordinates times the sums of the singular vectors. */
static um_status make_points(const um_scaled *s, const um_subspace *sub, simplex *x)
{
    double *one = calloc(x->k, sizeof *one);
    double *sum = calloc(2 * x->n, sizeof *sum);
    if (one == NULL || sum == NULL) {
        free(one);
        free(sum);
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for the separable start");
    }
    for (size_t c = 0; c < x->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            one[c] += (double)sub->v[c * s->ld + j];
        }
    }
    double *sorted = sum + x->n;
    size_t count = 0;
    for (size_t p = 0; p < x->n; p++) {
        for (size_t c = 0; c < x->k; c++) {
            sum[p] += (double)sub->us[p * sub->count + c] * one[c];
        }
        if (sum[p] > 0) {
            sorted[count++] = sum[p];
        }
    }
    qsort(sorted, count, sizeof *sorted, um_compare_f64);
    double least = count > 0 ? FAINT * sorted[count / 2] : 0;
    for (size_t p = 0; p < x->n; p++) {
        for (size_t c = 0; sum[p] > least && c < x->k; c++) {
            x->point[p * x->k + c] = (double)sub->us[p * sub->count + c] / sum[p];
        }
    }
    memcpy(x->residual, x->point, x->n * x->k * sizeof *x->point);
    free(one);
    free(sum);
    return UM_OK;
}

static double squared(const double *a, const double *b, size_t k)
{
    double sum = 0;
    for (size_t c = 0; c < k; c++) {
        double d = a[c] - (b != NULL ? b[c] : 0);
        sum += d * d;
    }
    return sum;
}

static size_t farthest(const simplex *x)
{
    size_t best = 0;
    double most = -1;
    for (size_t p = 0; p < x->n; p++) {
        double distance = squared(x->residual + p * x->k, NULL, x->k);
        if (distance > most) {
            most = distance;
            best = p;
        }
    }
    return best;
}

/* Mean of the NEAREST points around point `center`, itself among them. */
static void smooth_vertex(const simplex *x, size_t center, double *vertex)
{
    size_t near[NEAREST];
    double distance[NEAREST];
    size_t found = 0;
    const double *at = x->point + center * x->k;
    for (size_t p = 0; p < x->n; p++) {
        const double *point = x->point + p * x->k;
        if (squared(point, NULL, x->k) <= 0) {
            continue;
        }
        double d = squared(point, at, x->k);
        if (found == x->nearest && d >= distance[found - 1]) {
            continue;
        }
        size_t i = found < x->nearest ? found++ : x->nearest - 1;
        for (; i > 0 && distance[i - 1] > d; i--) {
            distance[i] = distance[i - 1];
            near[i] = near[i - 1];
        }
        distance[i] = d;
        near[i] = p;
    }
    memset(vertex, 0, x->k * sizeof *vertex);
    for (size_t i = 0; i < found; i++) {
        for (size_t c = 0; c < x->k; c++) {
            vertex[c] += x->point[near[i] * x->k + c] / (double)found;
        }
    }
}

/* Takes the direction of `vertex` beyond the earlier ones (rows of basis) out of every residual. */
static void project_off(simplex *x, double *basis, size_t found, const double *vertex)
{
    double *direction = basis + found * x->k;
    memcpy(direction, vertex, x->k * sizeof *direction);
    for (int twice = 0; twice < 2; twice++) {
        for (size_t b = 0; b < found; b++) {
            double dot = 0;
            for (size_t c = 0; c < x->k; c++) {
                dot += direction[c] * basis[b * x->k + c];
            }
            for (size_t c = 0; c < x->k; c++) {
                direction[c] -= dot * basis[b * x->k + c];
            }
        }
    }
    double norm = sqrt(squared(direction, NULL, x->k));
    for (size_t c = 0; c < x->k; c++) {
        direction[c] = norm > 0 ? direction[c] / norm : 0;
    }
    for (size_t p = 0; p < x->n; p++) {
        double *r = x->residual + p * x->k;
        double dot = 0;
        for (size_t c = 0; c < x->k; c++) {
            dot += r[c] * direction[c];
        }
        for (size_t c = 0; c < x->k; c++) {
            r[c] -= dot * direction[c];
        }
    }
}

static um_status find_vertices(um_scaled *s, const um_subspace *sub, simplex *x,
                               um_nmf_state *state)
{
    size_t k = x->k;
    double *basis = calloc(k * k + k, sizeof *basis);
    if (basis == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for the separable start");
    }
    double *vertex = basis + k * k;
    for (size_t i = 0; i < k; i++) {
        smooth_vertex(x, farthest(x), vertex);
        project_off(x, basis, i, vertex);
        for (size_t j = 0; j < s->m; j++) {
            double sum = 0;
            for (size_t c = 0; c < k; c++) {
                sum += vertex[c] * (double)sub->v[c * s->ld + j];
            }
            state->h[i * s->ld + j] = sum > 0 ? (float)sum : 0;
        }
    }
    free(basis);
    return UM_OK;
}

/* Loadings only have to be of the right size: the first pass solves for them. */
um_status um_nmf_start_separable(um_scaled *s, const um_subspace *sub, um_nmf_state *state)
{
    simplex x = {
        .n = s->n, .k = state->k, .nearest = sub->nearest > 0 ? sub->nearest : NEAREST};
    UM_TRY(um_buffer_alloc(s->ctx, x.n * x.k, sizeof(double), "the separable start", &x.point));
    um_status status =
        um_buffer_alloc(s->ctx, x.n * x.k, sizeof(double), "the separable start", &x.residual);
    if (status == UM_OK) {
        status = make_points(s, sub, &x);
    }
    if (status == UM_OK) {
        status = find_vertices(s, sub, &x, state);
    }
    um_buffer_free(s->ctx, x.point);
    um_buffer_free(s->ctx, x.residual);
    for (size_t p = 0; status == UM_OK && p < s->n; p++) {
        for (size_t c = 0; c < state->k; c++) {
            state->w[p * state->k + c] = s->u[p] > 0 ? 1 : 0;
        }
    }
    return status;
}
