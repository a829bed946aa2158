/* One read of the scan: A = X'H', rows of W, W'X' and W'W in one visit of each group of patterns. */
#include "factor_internal.h"

#include <stdlib.h>
#include <string.h>

/* f32 sums over patterns are carried into f64 after so many groups (512 patterns). */
enum { FLUSH_GROUPS = 16 };

typedef struct pass_state {
    float *b32;  /* k x ld, since the last flush */
    double *b64; /* k x m, of the segment */
    double *g;   /* k x k */
    double *a;   /* rows x k from the kernel, then k x rows */
    double *panel_a, *panel_w;
    float *w; /* rows x k, times u */
    double extra[4], norm2;
    int groups;           /* since the last flush */
    void *before, *after; /* states of the companions */
} pass_state;

typedef struct pass_run {
    um_exact_pass *pass;
    float *hv; /* h times v: k x ld */
    float *v2; /* v squared */
} pass_run;

/* ---- visitors that see the same tiles ----------------------------------------------------------- */

static void stop_companion(const um_companion *c, void *state)
{
    if (c->visitor != NULL && state != NULL && c->visitor->stop != NULL) {
        c->visitor->stop(c->user, state);
    }
}

static um_status start_companion(const um_companion *c, void **state)
{
    return c->visitor != NULL && c->visitor->start != NULL ? c->visitor->start(c->user, state)
                                                           : UM_OK;
}

static um_status visit_companion(const um_companion *c, void *state, const um_tile *tile)
{
    return c->visitor != NULL ? c->visitor->visit(c->user, state, tile) : UM_OK;
}

static um_status merge_companion(const um_companion *c, void *state)
{
    return c->visitor != NULL && c->visitor->merge != NULL ? c->visitor->merge(c->user, state)
                                                           : UM_OK;
}

/* ---- the visitor --------------------------------------------------------------------------------- */

static void state_stop(void *user, void *state)
{
    pass_run *run = user;
    um_context *ctx = run->pass->scaled->ctx;
    pass_state *st = state;
    if (st != NULL) {
        stop_companion(&run->pass->before, st->before);
        stop_companion(&run->pass->after, st->after);
        um_buffer_free(ctx, st->b32);
        um_buffer_free(ctx, st->b64);
        free(st->g);
        free(st->a);
        free(st->panel_a);
        free(st->panel_w);
        free(st->w);
        free(st);
    }
}

static um_status state_start(void *user, void **state)
{
    pass_run *run = user;
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    pass_state *st = calloc(1, sizeof *st);
    if (st == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    *state = st;
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "W'X of a worker", &st->b32));
    UM_TRY(um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "W'X of a worker", &st->b64));
    st->g = calloc(k * k, sizeof *st->g);
    st->a = calloc(k * UM_GROUP_ROWS, sizeof *st->a);
    st->panel_a = calloc(k * UM_GROUP_ROWS, sizeof *st->panel_a);
    st->panel_w = calloc(k * UM_GROUP_ROWS, sizeof *st->panel_w);
    st->w = calloc(k * UM_GROUP_ROWS, sizeof *st->w);
    if (st->g == NULL || st->a == NULL || st->panel_a == NULL || st->panel_w == NULL ||
        st->w == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    UM_TRY(start_companion(&run->pass->before, &st->before));
    return start_companion(&run->pass->after, &st->after);
}

static void flush(const um_scaled *s, size_t k, pass_state *st)
{
    for (size_t c = 0; c < k; c++) {
        const float *from = st->b32 + c * s->ld;
        double *to = st->b64 + c * s->m;
        for (size_t j = 0; j < s->m; j++) {
            to[j] += (double)from[j];
        }
    }
    memset(st->b32, 0, k * s->ld * sizeof *st->b32);
    st->groups = 0;
}

static void add_gram(pass_state *st, size_t k, size_t rows)
{
    for (size_t c = 0; c < k; c++) {
        const double *wc = st->panel_w + c * UM_GROUP_ROWS;
        for (size_t d = c; d < k; d++) {
            const double *wd = st->panel_w + d * UM_GROUP_ROWS;
            double sum = 0;
            for (size_t r = 0; r < rows; r++) {
                sum += wc[r] * wd[r];
            }
            st->g[c * k + d] += sum;
        }
    }
}

static um_status visit(void *user, void *state, const um_tile *tile)
{
    pass_run *run = user;
    um_exact_pass *pass = run->pass;
    const um_scaled *s = pass->scaled;
    const um_kernels *kernels = s->kernels;
    pass_state *st = state;
    size_t k = pass->k;
    UM_TRY(visit_companion(&pass->before, st->before, tile));
    kernels->project[tile->dtype](tile->data, tile->rows, s->m, run->hv, s->ld, k, st->a);
    for (size_t c = 0; c < k; c++) {
        double *a = st->panel_a + c * UM_GROUP_ROWS;
        for (size_t r = 0; r < tile->rows; r++) {
            a[r] = st->a[r * k + c] * (double)s->u[tile->position[r]];
        }
        for (size_t r = tile->rows; r < UM_GROUP_ROWS; r++) {
            a[r] = 0;
        }
    }
    memset(st->panel_w, 0, k * UM_GROUP_ROWS * sizeof *st->panel_w);
    pass->rows(pass->user, tile->position, tile->rows, st->panel_a, st->panel_w, st->extra);
    for (size_t c = 0; c < k; c++) {
        const double *w = st->panel_w + c * UM_GROUP_ROWS;
        for (size_t r = 0; r < tile->rows; r++) {
            st->w[r * k + c] = (float)(w[r] * (double)s->u[tile->position[r]]);
        }
    }
    add_gram(st, k, tile->rows);
    kernels->accumulate[tile->dtype](tile->data, tile->rows, s->m, st->w, k, st->b32, s->ld);
    if (pass->want_norm2) {
        double q[UM_GROUP_ROWS];
        kernels->squares[tile->dtype](tile->data, tile->rows, s->m, run->v2, q);
        for (size_t r = 0; r < tile->rows; r++) {
            double u = (double)s->u[tile->position[r]];
            st->norm2 += u * u * q[r];
        }
    }
    if (++st->groups == FLUSH_GROUPS) {
        flush(s, k, st);
    }
    return visit_companion(&pass->after, st->after, tile);
}

static um_status merge(void *user, void *state)
{
    pass_run *run = user;
    um_exact_pass *pass = run->pass;
    const um_scaled *s = pass->scaled;
    pass_state *st = state;
    size_t k = pass->k;
    flush(s, k, st);
    for (size_t i = 0; i < k * s->m; i++) {
        pass->b[i] += st->b64[i];
    }
    for (size_t i = 0; i < k * k; i++) {
        pass->g[i] += st->g[i];
    }
    for (int i = 0; i < 4; i++) {
        pass->extra[i] += st->extra[i];
    }
    pass->norm2 += st->norm2;
    memset(st->b64, 0, k * s->m * sizeof *st->b64);
    memset(st->g, 0, k * k * sizeof *st->g);
    memset(st->extra, 0, sizeof st->extra);
    st->norm2 = 0;
    UM_TRY(merge_companion(&pass->before, st->before));
    return merge_companion(&pass->after, st->after);
}

/* W'X was gathered without the pixel weights, and only the upper half of W'W. */
static void complete(um_exact_pass *pass)
{
    const um_scaled *s = pass->scaled;
    size_t k = pass->k;
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            /* Excluded pixels may hold anything. */
            pass->b[c * s->m + j] = s->v[j] > 0 ? pass->b[c * s->m + j] * (double)s->v[j] : 0;
        }
        for (size_t d = 0; d < c; d++) {
            pass->g[c * k + d] = pass->g[d * k + c];
        }
    }
}

um_status um_exact_pass_run(um_exact_pass *pass, const char *stage)
{
    const um_scaled *s = pass->scaled;
    size_t k = pass->k;
    pass_run run = {.pass = pass};
    memset(pass->b, 0, k * s->m * sizeof *pass->b);
    memset(pass->g, 0, k * k * sizeof *pass->g);
    memset(pass->extra, 0, sizeof pass->extra);
    pass->norm2 = 0;
    um_status status =
        um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "weighted components", &run.hv);
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, s->ld, sizeof(float), "squared pixel weights", &run.v2);
    }
    if (status == UM_OK) {
        for (size_t c = 0; c < k; c++) {
            for (size_t j = 0; j < s->m; j++) {
                run.hv[c * s->ld + j] = pass->h[c * s->ld + j] * s->v[j];
            }
        }
        for (size_t j = 0; j < s->m; j++) {
            run.v2[j] = s->v[j] * s->v[j];
        }
        const um_visitor visitor = {
            .start = state_start, .visit = visit, .merge = merge, .stop = state_stop};
        status = pass->walk != NULL ? pass->walk(pass->walker, &visitor, &run)
                                    : um_matrix_pass(s->matrix, stage, &visitor, &run);
    }
    if (status == UM_OK && pass->settle != NULL) {
        status = pass->settle(pass->user);
    }
    if (status == UM_OK) {
        complete(pass);
    }
    um_buffer_free(s->ctx, run.hv);
    um_buffer_free(s->ctx, run.v2);
    return status;
}

void um_gram(const float *h, size_t k, size_t ld, double *g)
{
    for (size_t c = 0; c < k; c++) {
        for (size_t d = c; d < k; d++) {
            double sum = 0;
            for (size_t j = 0; j < ld; j++) {
                sum += (double)h[c * ld + j] * (double)h[d * ld + j];
            }
            g[c * k + d] = sum;
            g[d * k + c] = sum;
        }
    }
}
