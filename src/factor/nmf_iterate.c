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

enum { ROW_SWEEPS = 60, COMPONENT_SWEEPS = 60, IMAGE_SWEEPS = 10, COMPONENT_CHUNK = 1024, KKT_CHUNK = 512, LATE_PASSES = 6 };
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
    bool judge; /* whether the sums below are wanted */
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
    for (size_t c = 0; c < count; c++) {
        double gw[UM_GROUP_ROWS] = {0};
        for (size_t d = 0; d < count; d++) {
            double g = k->g[c * count + d];
            const double *wd = w + d * UM_GROUP_ROWS;
            for (size_t r = 0; r < UM_GROUP_ROWS; r++) {
                gw[r] += g * wd[r];
            }
        }
        for (size_t r = 0; r < rows; r++) {
            double wc = w[c * UM_GROUP_ROWS + r];
            double ac = a[c * UM_GROUP_ROWS + r];
            extra[SUM_OBJECTIVE] += wc * (gw[r] - 2 * ac);
            extra[SUM_GRADIENT] += projected2(wc, gw[r] - ac);
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
    if (k->judge) {
        judge_rows(k, a, w, rows, count, extra);
    }
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

/* Adds those of pixels j to j + width of component c. */
static void judge_pixels(const um_scaled *s, size_t k, const double *g, const double *b,
                         const float *h, size_t c, size_t j, double sums[2])
{
    double gh[KKT_CHUNK] = {0};
    size_t width = s->m - j < KKT_CHUNK ? s->m - j : KKT_CHUNK;
    for (size_t d = 0; d < k; d++) {
        double gcd = g[c * k + d];
        const float *hd = h + d * s->ld + j;
        for (size_t i = 0; i < width; i++) {
            gh[i] += gcd * (double)hd[i];
        }
    }
    for (size_t i = 0; i < width; i++) {
        if (s->v[j + i] > 0) {
            double bc = b[c * s->m + j + i];
            sums[0] += projected2((double)h[c * s->ld + j + i], gh[i] - bc);
            sums[1] += bc * bc;
        }
    }
}

double um_kkt_residual(const um_scaled *s, size_t k, const double *g, const double *b,
                       const float *h, double row_gradient2, double row_product2)
{
    double sums[2] = {row_gradient2, row_product2};
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j += KKT_CHUNK) {
            judge_pixels(s, k, g, b, h, c, j, sums);
        }
    }
    return sums[1] > 0 ? sqrt(sums[0] / sums[1]) : 0;
}

/* -2<B,H> + <G,HH'>: the objective but for ||X'||^2; gram = HH'. */
static double quadratic(const um_scaled *s, size_t k, const double *g, const double *b,
                        const float *h, const double *gram)
{
    double sum = 0;
    for (size_t c = 0; c < k; c++) {
        double dot[8] = {0};
        for (size_t j = 0; j + 8 <= s->m; j += 8) {
            for (size_t i = 0; i < 8; i++) {
                dot[i] += b[c * s->m + j + i] * (double)h[c * s->ld + j + i];
            }
        }
        for (size_t j = s->m / 8 * 8; j < s->m; j++) {
            dot[0] += b[c * s->m + j] * (double)h[c * s->ld + j];
        }
        sum -= 2 * (((dot[0] + dot[4]) + (dot[1] + dot[5])) + ((dot[2] + dot[6]) + (dot[3] + dot[7])));
        for (size_t d = 0; d < k; d++) {
            sum += g[c * k + d] * gram[c * k + d];
        }
    }
    return sum;
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
    state->turned = 0;
    for (size_t c = 0; c < state->k; c++) {
        double moved2 = 0;
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
            moved2 += (h[j] - last) * (h[j] - last);
        }
        state->turned = fmax(state->turned, sqrt(moved2));
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

/* Whether the last passes over an image were not worth it. */
static bool is_late(const um_nmf_run *run, const um_nmf_state *state)
{
    if (state->passes <= LATE_PASSES || state->turned > run->turn) {
        return false;
    }
    double recent = INFINITY;
    double before = INFINITY;
    for (int64_t i = 0; i < state->passes; i++) {
        double *least = i < state->passes - LATE_PASSES ? &before : &recent;
        *least = fmin(*least, state->history[i]);
    }
    return before - recent < run->gain;
}

static um_status image_pass(const um_nmf_run *run, um_nmf_state *state, um_exact_pass *pass,
                            const buffers *buf, bool *converged)
{
    um_scaled *s = run->scaled;
    size_t k = state->k;
    UM_TRY(um_lowrank_pass_run(pass, run->subspace));
    double objective = s->norm2 + quadratic(s, k, buf->g, buf->b, state->h, buf->g_h);
    state->history[state->passes] = fmax(0, objective);
    state->passes++;
    *converged = is_late(run, state);
    um_debug(s->ctx, "low-rank pass %lld: objective %.9g, largest turn %.2g",
             (long long)state->passes, objective * s->report * s->report, state->turned);
    return UM_OK;
}

static um_status scan_pass(const um_nmf_run *run, um_nmf_state *state, um_exact_pass *pass,
                           const buffers *buf, bool *converged)
{
    um_scaled *s = run->scaled;
    char stage[48];
    snprintf(stage, sizeof stage, "NMF pass %lld", (long long)state->passes + 1);
    UM_TRY(um_exact_pass_run(pass, stage));
    if (pass->want_norm2) {
        s->norm2 = pass->norm2;
        s->norm2_exact = true;
    }
    double objective = fmax(0, s->norm2 + pass->extra[SUM_OBJECTIVE]);
    state->kkt = um_kkt_residual(s, state->k, buf->g, buf->b, state->h, pass->extra[SUM_GRADIENT],
                                 pass->extra[SUM_PRODUCT]);
    state->history[state->passes] = objective;
    state->history_kkt[state->passes] = state->kkt;
    state->passes++;
    *converged = state->kkt <= run->tolerance;
    um_debug(s->ctx, "pass %lld: objective %.9g, KKT residual %.3g", (long long)state->passes,
             objective * s->report * s->report, state->kkt);
    return UM_OK;
}

static um_status one_pass(const um_nmf_run *run, um_nmf_state *state, const buffers *buf,
                          bool *converged)
{
    um_scaled *s = run->scaled;
    size_t k = state->k;
    const bool exact = run->subspace == NULL;
    um_gram(state->h, k, s->ld, buf->g_h);
    const bool plain = run->plain && state->passes < PLAIN_PASSES;
    row_work rows = {s, state, buf->g_h, plain ? 1 : exact ? ROW_SWEEPS : IMAGE_SWEEPS, exact};
    um_exact_pass pass = {.scaled = s,
                          .k = k,
                          .h = state->h,
                          .rows = move_rows,
                          .user = &rows,
                          .want_norm2 = exact && !s->norm2_exact,
                          .b = buf->b,
                          .g = buf->g};
    UM_TRY(exact ? scan_pass(run, state, &pass, buf, converged)
                 : image_pass(run, state, &pass, buf, converged));
    for (size_t c = 0; c < k; c++) {
        state->scale[c] = 1;
    }
    if (!*converged) {
        UM_TRY(move_components(s, state, buf, plain ? 1 : exact ? COMPONENT_SWEEPS : IMAGE_SWEEPS));
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
