/* Streaming NMF: one exact pass (one read) per iteration.
 *
 * With H fixed the rows of W are independent, so a visit of a group of patterns computes A = X'H', moves
 * its rows of W by HALS, and accumulates B = W'X' and G = W'W; after the read, H moves by HALS on B and G.
 * H is extrapolated between passes with restart. Rows of H have unit norm.
 * The objective at (W, H) of a pass is exact: ||X'||^2 - 2<A,W> + <WG_H,W>. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROW_SWEEPS = 60, COMPONENT_SWEEPS = 60, COMPONENT_CHUNK = 1024 };
/* One sweep each and no extrapolation is the path of plain coordinate descent. Larger steps leave the
 * valley of a start: on scikit-learn's digits up to 1 % above its minimum, after 50 such passes never. */
enum { PLAIN_PASSES = 100 };
static const double SWEEP_STOP = 0.003;
/* ---- the rows of W ------------------------------------------------------------------------- */

typedef struct row_work {
    const um_scaled *scaled;
    um_nmf_state *state;
    double *g; /* H H' */
    int sweeps;
} row_work;

enum extra_sum { SUM_OBJECTIVE, SUM_GRADIENT, SUM_PRODUCT };

static double projected2(double w, double gradient)
{
    double p = w > 0 || gradient < 0 ? gradient : 0;
    return p * p;
}

/* Adds the objective terms w'Gw - 2a'w, the squared projected gradient and the squares of a. */
static void judge_rows(const row_work *k, const double *a, const double *w, size_t rows,
                       size_t count, double extra[4])
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < count; c++) {
            double gw = 0;
            for (size_t d = 0; d < count; d++) {
                gw += k->g[c * count + d] * w[d * UM_GROUP_ROWS + r];
            }
            double wc = w[c * UM_GROUP_ROWS + r];
            double ac = a[c * UM_GROUP_ROWS + r];
            extra[SUM_OBJECTIVE] += wc * (gw - 2 * ac);
            extra[SUM_GRADIENT] += projected2(wc, gw - ac);
            extra[SUM_PRODUCT] += ac * ac;
        }
    }
}

static void move_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                      double extra[4])
{
    row_work *k = user;
    um_nmf_state *state = k->state;
    size_t count = state->k;
    for (size_t c = 0; c < count; c++) {
        for (size_t r = 0; r < rows; r++) {
            w[c * UM_GROUP_ROWS + r] =
                (double)state->w[(size_t)position[r] * count + c] * state->scale[c];
        }
    }
    k->scaled->kernels->hals(count, rows, UM_GROUP_ROWS, k->g, a, w, k->sweeps, SWEEP_STOP);
    for (size_t c = 0; c < count; c++) {
        for (size_t r = 0; r < rows; r++) {
            float value = (float)w[c * UM_GROUP_ROWS + r];
            state->w[(size_t)position[r] * count + c] = value;
            w[c * UM_GROUP_ROWS + r] = (double)value;
        }
    }
    judge_rows(k, a, w, rows, count, extra);
}

typedef struct buffers {
    double *g_h, *g, *b, *h64;
} buffers;

/* ---- the components H ---------------------------------------------------------------------- */

typedef struct component_work {
    const um_scaled *scaled;
    size_t k;
    const double *g, *b;
    double *h; /* k x m */
    int sweeps;
} component_work;

static um_status move_chunk(void *user, int64_t chunk, int worker)
{
    (void)worker;
    component_work *w = user;
    size_t first = (size_t)chunk * COMPONENT_CHUNK;
    size_t width = w->scaled->m - first < COMPONENT_CHUNK ? w->scaled->m - first : COMPONENT_CHUNK;
    w->scaled->kernels->hals(w->k, width, w->scaled->m, w->g, w->b + first, w->h + first, w->sweeps,
                             SWEEP_STOP);
    return UM_OK;
}

double um_kkt_residual(const um_scaled *s, size_t k, const double *g, const double *b,
                       const float *h, double row_gradient2, double row_product2)
{
    double gradient2 = row_gradient2;
    double product2 = row_product2;
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            if (!(s->v[j] > 0)) {
                continue;
            }
            double gh = 0;
            for (size_t d = 0; d < k; d++) {
                gh += g[c * k + d] * (double)h[d * s->ld + j];
            }
            double bc = b[c * s->m + j];
            gradient2 += projected2((double)h[c * s->ld + j], gh - bc);
            product2 += bc * bc;
        }
    }
    return product2 > 0 ? sqrt(gradient2 / product2) : 0;
}

um_status um_nmf_move_components(um_scaled *s, size_t k, const double *g, const double *b,
                                 double *h, int sweeps)
{
    component_work work = {s, k, g, b, h, sweeps};
    int64_t chunks = (int64_t)((s->m + COMPONENT_CHUNK - 1) / COMPONENT_CHUNK);
    return um_pipeline_run(s->ctx, chunks, um_context_threads(s->ctx), move_chunk, NULL, &work);
}

static um_status move_components(um_scaled *s, um_nmf_state *state, const buffers *buf, int sweeps)
{
    for (size_t c = 0; c < state->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            buf->h64[c * s->m + j] = (double)state->h[c * s->ld + j];
        }
    }
    return um_nmf_move_components(s, state->k, buf->g, buf->b, buf->h64, sweeps);
}

/* Unit rows; what is divided out of H multiplies W when it is next taken up. */
void um_nmf_normalise(const um_scaled *s, um_nmf_state *state)
{
    for (size_t c = 0; c < state->k; c++) {
        float *h = state->h + c * s->ld;
        double norm2 = 0;
        for (size_t j = 0; j < s->m; j++) {
            norm2 += (double)h[j] * (double)h[j];
        }
        double norm = sqrt(norm2);
        state->scale[c] = norm;
        for (size_t j = 0; norm > 0 && j < s->m; j++) {
            h[j] = (float)((double)h[j] / norm);
        }
    }
}

/* From the new solution h64 and the last one to where the next pass is taken. Restarts when the move just
 * made points against the momentum (O'Donoghue & Candes 2015): unlike a rise of the objective, that shows
 * well above rounding. */
static void extrapolate(const um_scaled *s, um_nmf_state *state, double *h64, bool plain)
{
    double against = 0;
    for (size_t c = 0; c < state->k; c++) {
        double *h = h64 + c * s->m;
        double norm2 = 0;
        for (size_t j = 0; j < s->m; j++) {
            norm2 += h[j] * h[j];
        }
        state->scale[c] = sqrt(norm2);
        for (size_t j = 0; norm2 > 0 && j < s->m; j++) {
            h[j] /= state->scale[c];
            double from = (double)state->h[c * s->ld + j];
            double last = (double)state->h_last[c * s->ld + j];
            against += (from - h[j]) * (h[j] - last);
        }
    }
    bool first = state->passes < 2 || plain;
    state->momentum = first || against > 0 ? 0 : state->momentum + 1;
    double beta = state->momentum / (state->momentum + 3);
    for (size_t c = 0; c < state->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            size_t i = c * s->ld + j;
            double h = h64[c * s->m + j];
            double ahead = h + beta * (h - (double)state->h_last[i]);
            state->h_last[i] = (float)h;
            state->h[i] = ahead > 0 ? (float)ahead : 0;
        }
    }
}

/* ---- iterations ---------------------------------------------------------------------------- */

static um_status one_pass(const um_nmf_run *run, um_nmf_state *state, const buffers *buf,
                          bool *converged)
{
    um_scaled *s = run->scaled;
    size_t k = state->k;
    um_gram(state->h, k, s->ld, buf->g_h);
    const bool plain = run->plain && state->passes < PLAIN_PASSES;
    row_work rows = {s, state, buf->g_h, plain ? 1 : ROW_SWEEPS};
    um_exact_pass pass = {.scaled = s,
                          .k = k,
                          .h = state->h,
                          .rows = move_rows,
                          .user = &rows,
                          .want_norm2 = run->subspace == NULL && !s->norm2_exact,
                          .missed_a = run->missed_a,
                          .missed_b = run->missed_b,
                          .b = buf->b,
                          .g = buf->g};
    double norm2 = s->norm2;
    if (run->subspace != NULL) {
        UM_TRY(um_lowrank_pass_run(&pass, run->subspace));
        norm2 = run->subspace->norm2;
    } else {
        char stage[48];
        snprintf(stage, sizeof stage, "NMF pass %lld", (long long)state->passes + 1);
        UM_TRY(um_exact_pass_run(&pass, stage));
        if (pass.want_norm2) {
            norm2 = s->norm2 = pass.norm2;
            s->norm2_exact = true;
        }
    }
    for (size_t c = 0; c < k; c++) {
        state->scale[c] = 1;
    }
    double objective = fmax(0, norm2 + pass.extra[SUM_OBJECTIVE]);
    state->kkt = um_kkt_residual(s, k, buf->g, buf->b, state->h, pass.extra[SUM_GRADIENT],
                                 pass.extra[SUM_PRODUCT]);
    state->history[state->passes] = objective;
    state->history_kkt[state->passes] = state->kkt;
    state->passes++;
    *converged = state->kkt <= run->tolerance;
    um_debug(s->ctx, "%s %lld: objective %.9g, KKT residual %.3g",
             run->subspace != NULL ? "low-rank pass" : "pass", (long long)state->passes,
             objective * s->report * s->report, state->kkt);
    if (!*converged) {
        UM_TRY(move_components(s, state, buf, plain ? 1 : COMPONENT_SWEEPS));
        extrapolate(s, state, buf->h64, plain);
    }
    return UM_OK;
}

um_status um_nmf_save_when_due(um_scaled *s, const um_nmf_options *options,
                               const um_nmf_state *state, double *last)
{
    if (options == NULL || options->checkpoint == NULL ||
        um_seconds() - *last < options->checkpoint_seconds) {
        return UM_OK;
    }
    UM_TRY(um_nmf_checkpoint_save(s, options, state));
    *last = um_seconds();
    return UM_OK;
}

um_status um_nmf_iterate(const um_nmf_run *run, um_nmf_state *state, bool *converged)
{
    const um_scaled *s = run->scaled;
    size_t k = state->k;
    buffers buf = {0};
    um_status status = um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "W'X", &buf.b);
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "components", &buf.h64);
    }
    buf.g = calloc(k * k, sizeof *buf.g);
    buf.g_h = calloc(k * k, sizeof *buf.g_h);
    if (status == UM_OK && (buf.g == NULL || buf.g_h == NULL)) {
        status = um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
    }
    double last_saved = um_seconds();
    *converged = false;
    while (status == UM_OK && !*converged && state->passes < run->max_passes) {
        status = one_pass(run, state, &buf, converged);
        if (status == UM_OK && !*converged) {
            status = um_nmf_save_when_due(run->scaled, run->checkpoint, state, &last_saved);
        }
    }
    if (!*converged) {
        memcpy(state->h, state->h_last, k * s->ld * sizeof *state->h); /* not beyond the solution */
    }
    um_buffer_free(s->ctx, buf.b);
    um_buffer_free(s->ctx, buf.h64);
    free(buf.g);
    free(buf.g_h);
    return status;
}
