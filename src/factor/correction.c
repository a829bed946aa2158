/* What an exact pass at (W, H) adds to the low-rank image L of X'.
 *
 * The pass knows X' H' and W' X' without error. With P = X' - L, the smallest image that agrees with both is
 *     L + (P H')(H H')^-1 H + W (W'W)^-1 (W' P)(1 - H'(H H')^-1 H):
 * 2k directions more. It is a matrix, so fits to it have an objective, are free of scale, and at (W, H) have that of
 * the scan and its gradient; what remains unseen is of second order in how far the fit moves. */
#include "factor_internal.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double CUT = 1e-7; /* of eigenvalues of a Gram matrix of unit diagonal: equal components */

um_status um_correction_create(um_scaled *s, um_subspace *sub, size_t k)
{
    sub->more = 0;
    UM_TRY(um_buffer_alloc(s->ctx, s->n * 2 * k, sizeof(float), "what the low-rank image misses",
                           &sub->more_us));
    return um_buffer_alloc(s->ctx, 2 * k * s->ld, sizeof(float), "what the low-rank image misses",
                           &sub->more_v);
}

um_status um_invert_gram(um_context *ctx, size_t k, double *g)
{
    double *unit = calloc(k + k + k * k, sizeof *unit);
    if (unit == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
    }
    double *value = unit + k;
    double *vector = value + k;
    for (size_t c = 0; c < k; c++) {
        unit[c] = g[c * k + c] > 0 ? 1 / sqrt(g[c * k + c]) : 0;
    }
    for (size_t i = 0; i < k * k; i++) {
        vector[i] = g[i] * unit[i / k] * unit[i % k];
    }
    lapack_int n = (lapack_int)k;
    um_status status = UM_OK;
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', n, vector, n, value) != 0) {
        status = um_fail(ctx, UM_ERROR_NUMERIC,
                         "the eigenvalues of a %zu x %zu matrix did not converge", k, k);
    }
    for (size_t i = 0; status == UM_OK && i < k * k; i++) {
        double sum = 0;
        for (size_t e = 0; e < k; e++) {
            double inverse = value[e] > CUT * value[k - 1] ? 1 / value[e] : 0;
            sum += vector[i / k * k + e] * inverse * vector[i % k * k + e];
        }
        g[i] = sum * unit[i / k] * unit[i % k];
    }
    free(unit);
    return status;
}

/* to (k x ld, f32) = inverse (k x k) times from (k x m). */
static void multiply(const um_scaled *s, size_t k, const double *inverse, const double *from,
                     float *to)
{
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double sum = 0;
            for (size_t d = 0; d < k; d++) {
                sum += inverse[c * k + d] * from[d * s->m + j];
            }
            to[c * s->ld + j] = (float)sum;
        }
    }
}

static void show_loadings(void *user, const int64_t *position, size_t rows, const double *a,
                          double *w, double extra[4])
{
    (void)a;
    (void)extra;
    const um_nmf_state *state = user;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < state->k; c++) {
            w[c * UM_GROUP_ROWS + r] = (double)state->w[(size_t)position[r] * state->k + c];
        }
    }
}

/* Keeps W beside the noted rows; cross (k x k) = W' P H'. */
static void keep_loadings(const um_scaled *s, um_subspace *sub, const um_nmf_state *state,
                          double *cross)
{
    size_t k = state->k;
    for (size_t p = 0; p < s->n; p++) {
        float *row = sub->more_us + p * 2 * k;
        const float *w = state->w + p * k;
        memcpy(row + k, w, k * sizeof *row);
        for (size_t c = 0; c < k; c++) {
            for (size_t d = 0; w[c] > 0 && d < k; d++) {
                cross[c * k + d] += (double)w[c] * (double)row[d];
            }
        }
    }
}

/* b (k x m), which holds W'L, becomes W'P less what the first half of the correction shows of it. */
static void find_unseen(const um_scaled *s, const um_subspace *sub, size_t k, const double *exact,
                        const double *cross, double *b)
{
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double seen = b[c * s->m + j];
            for (size_t d = 0; d < k; d++) {
                seen += cross[c * k + d] * (double)sub->more_v[d * s->ld + j];
            }
            b[c * s->m + j] = s->v[j] > 0 ? exact[c * s->m + j] - seen : 0;
        }
    }
}

static um_status make(um_scaled *s, um_subspace *sub, const um_nmf_state *state,
                      const um_nmf_judged *at, double *b, double *g, double *cross)
{
    size_t k = state->k;
    um_exact_pass pass = {.scaled = s,
                          .k = k,
                          .h = state->h,
                          .rows = show_loadings,
                          .user = (void *)state,
                          .b = b,
                          .g = g};
    for (size_t i = 0; i < k * s->m; i++) {
        b[i] = (double)state->h[i / s->m * s->ld + i % s->m];
    }
    um_gram(state->h, k, s->ld, g);
    UM_TRY(um_invert_gram(s->ctx, k, g));
    multiply(s, k, g, b, sub->more_v);
    keep_loadings(s, sub, state, cross);
    UM_TRY(um_lowrank_pass_run(&pass, sub));
    find_unseen(s, sub, k, at->b, cross, b);
    memcpy(g, at->g, k * k * sizeof *g);
    UM_TRY(um_invert_gram(s->ctx, k, g));
    multiply(s, k, g, b, sub->more_v + k * s->ld);
    sub->more = 2 * k;
    return UM_OK;
}

um_status um_correction_make(um_scaled *s, um_subspace *sub, const um_nmf_state *state,
                             const um_nmf_judged *at)
{
    size_t k = state->k;
    double *b = NULL;
    double *g = calloc(2 * k * k, sizeof *g);
    sub->more = 0;
    um_status status = g != NULL ? um_buffer_alloc(s->ctx, k * s->m, sizeof *b, "W'X", &b)
                                 : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for G");
    if (status == UM_OK) {
        status = make(s, sub, state, at, b, g, g + k * k);
    }
    um_buffer_free(s->ctx, b);
    free(g);
    return status;
}

void um_correction_restore(const um_scaled *s, const um_subspace *sub, um_nmf_state *state)
{
    size_t k = state->k;
    for (size_t p = 0; p < s->n; p++) {
        memcpy(state->w + p * k, sub->more_us + p * 2 * k + k, k * sizeof *state->w);
    }
    for (size_t c = 0; c < k; c++) {
        state->scale[c] = 1;
    }
}
