/* The exact pass that can be the last: W solved exactly for the given H, W'X and W'W, the projected gradient, and
 * every error of exactly this pair, in one read. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FALLBACK_SWEEPS = 500 };

/* ---- W by exact non-negative least squares --------------------------------------------------- */

typedef struct solve_work {
    const um_scaled *scaled;
    um_nmf_state *state;
    double *g;
    const um_subspace *subspace;
    const double *hv; /* k x count: H v' */
    float *missed;    /* n x 2k, the first half of each row; or NULL */
} solve_work;

/* What the low-rank image does not see of X' H' in row p. */
static void note_missed(const solve_work *s, size_t p, const double *a)
{
    size_t k = s->state->k;
    size_t l = s->subspace->count;
    const float *us = s->subspace->us + p * l;
    for (size_t c = 0; c < k; c++) {
        double seen = 0;
        for (size_t i = 0; i < l; i++) {
            seen += (double)us[i] * s->hv[c * l + i];
        }
        s->missed[p * 2 * k + c] = (float)(a[c] - seen);
    }
}

static void solve_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                       double extra[4])
{
    solve_work *s = user;
    um_nmf_state *state = s->state;
    size_t k = state->k;
    double row_a[UM_HALS_LARGEST];
    double row_w[UM_HALS_LARGEST];
    double *work = malloc(k * (k + 4) * sizeof *work);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < k; c++) {
            row_a[c] = a[c * UM_GROUP_ROWS + r];
            row_w[c] = (double)state->w[(size_t)position[r] * k + c] * state->scale[c];
        }
        if (work == NULL || !um_nnls(k, s->g, row_a, row_w, work)) {
            s->scaled->kernels->hals(k, 1, 1, s->g, row_a, row_w, FALLBACK_SWEEPS, 1e-9);
        }
        for (size_t c = 0; c < k; c++) {
            float value = s->g[c * k + c] > 0 ? (float)row_w[c] : 0;
            state->w[(size_t)position[r] * k + c] = value;
            w[c * UM_GROUP_ROWS + r] = (double)value;
        }
        for (size_t c = 0; c < k; c++) {
            double gradient = -row_a[c];
            for (size_t d = 0; d < k; d++) {
                gradient += s->g[c * k + d] * row_w[d];
            }
            if (row_w[c] > 0 || gradient < 0) {
                extra[0] += gradient * gradient;
            }
            extra[1] += row_a[c] * row_a[c];
            extra[2] += row_w[c] * (gradient - row_a[c]);
        }
        if (s->missed != NULL) {
            note_missed(s, (size_t)position[r], row_a);
        }
    }
    free(work);
}

/* H v', f64. */
static double *project_components(const um_scaled *s, const um_nmf_state *state,
                                  const um_subspace *sub)
{
    double *hv = calloc(state->k * sub->count + 1, sizeof *hv);
    for (size_t c = 0; hv != NULL && c < state->k; c++) {
        for (size_t i = 0; i < sub->count; i++) {
            double sum = 0;
            for (size_t j = 0; j < s->m; j++) {
                sum += (double)state->h[c * s->ld + j] * (double)sub->v[i * s->ld + j];
            }
            hv[c * sub->count + i] = sum;
        }
    }
    return hv;
}

um_status um_nmf_judge(um_scaled *s, um_nmf_state *state, um_residual *residual,
                       um_subspace *subspace, um_nmf_judged *out)
{
    size_t k = state->k;
    float *missed = subspace != NULL ? subspace->more_us : NULL;
    double *g = calloc(k * k, sizeof *g);
    double *hv = missed != NULL ? project_components(s, state, subspace) : NULL;
    um_status status = g != NULL && (hv != NULL || missed == NULL)
                           ? UM_OK
                           : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for G");
    if (status == UM_OK) {
        um_gram(state->h, k, s->ld, g);
        um_residual_begin(residual);
        solve_work work = {s, state, g, subspace, hv, missed};
        um_exact_pass pass = {.scaled = s,
                              .k = k,
                              .h = state->h,
                              .rows = solve_rows,
                              .user = &work,
                              .after = {&um_residual_visitor, residual},
                              .b = out->b,
                              .g = out->g};
        char stage[48];
        snprintf(stage, sizeof stage, "NMF pass %lld", (long long)state->passes + 1);
        status = um_exact_pass_run(&pass, stage);
        out->objective = residual->weighted;
        if (!s->norm2_exact) {
            s->norm2 = out->objective - pass.extra[2];
            s->norm2_exact = true;
        }
        out->kkt = um_kkt_residual(s, k, out->g, out->b, state->h, pass.extra[0], pass.extra[1]);
    }
    for (size_t c = 0; c < k; c++) {
        state->scale[c] = 1;
    }
    free(g);
    free(hv);
    return status;
}
