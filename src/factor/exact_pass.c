/* One read of the scan: A = X'H', rows of W, W'X' and W'W in one visit of each group of patterns. */
#include "factor_internal.h"

#include <stdlib.h>
#include <string.h>

/* f32 sums over patterns are carried into f64 after so many groups (1024 patterns). */
enum { FLUSH_GROUPS = 32 };

typedef struct pass_state {
    float *b32;       /* since the last flush: packed k x ld, or m x stride of sparse rows */
    double *b64;      /* packed k x ld, of the segment up to the last flush */
    double *g;        /* k x k */
    double *a;        /* rows x k from the kernel */
    double *panel_a, *panel_w;
    float *w;         /* rows x k, times u */
    int16_t *pairs;   /* the same on a grid, by pairs of rows */
    float *step;      /* k: of the grid */
    float *scratch;
    double extra[4], norm2;
    int groups;       /* since the last flush */
    bool sparse;      /* what b32 holds */
    bool flushed;     /* b64 is not zero */
    void *before, *after; /* states of the companions */
} pass_state;

struct um_exact_run {
    um_exact_pass *pass;
    size_t stride; /* of sparse factors */
    bool sparse;   /* tiles may be sparse rows */
    float *hv;     /* h times v, packed k x ld */
    int16_t *grid; /* the same as multiples of `step`, or NULL */
    double *step;
    float *ht;     /* the same m x stride; only for sparse rows */
    float *v2;     /* v squared */
};

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

static bool takes_sparse(const um_companion *c)
{
    return c->visitor == NULL || c->visitor->sparse;
}

/* ---- the visitor --------------------------------------------------------------------------------- */

static size_t sums_size(const um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t dense = run->pass->k * s->ld;
    size_t sparse = run->sparse ? s->m * run->stride : 0;
    return dense > sparse ? dense : sparse;
}

static void state_stop(void *user, void *state)
{
    um_exact_run *run = user;
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
        free(st->pairs);
        free(st->step);
        free(st->scratch);
        free(st);
    }
}

static um_status state_start(void *user, void **state)
{
    um_exact_run *run = user;
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    pass_state *st = calloc(1, sizeof *st);
    if (st == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    *state = st;
    UM_TRY(um_buffer_alloc(s->ctx, sums_size(run), sizeof(float), "W'X of a worker", &st->b32));
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(double), "W'X of a worker", &st->b64));
    st->g = calloc(k * k, sizeof *st->g);
    st->a = calloc(k * UM_GROUP_ROWS, sizeof *st->a);
    st->panel_a = calloc(k * UM_GROUP_ROWS, sizeof *st->panel_a);
    st->panel_w = calloc(k * UM_GROUP_ROWS, sizeof *st->panel_w);
    st->w = calloc(k * UM_GROUP_ROWS, sizeof *st->w);
    st->pairs = calloc(k * UM_GROUP_ROWS, sizeof *st->pairs);
    st->step = calloc(k, sizeof *st->step);
    st->scratch = aligned_alloc(64, k * UM_GROUP_ROWS * UM_KERNEL_PACK * sizeof *st->scratch);
    if (st->g == NULL || st->a == NULL || st->panel_a == NULL || st->panel_w == NULL ||
        st->w == NULL || st->pairs == NULL || st->step == NULL || st->scratch == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    UM_TRY(start_companion(&run->pass->before, &st->before));
    return start_companion(&run->pass->after, &st->after);
}

/* Carries b32 into b64. */
static void flush(const um_exact_run *run, pass_state *st)
{
    size_t k = run->pass->k;
    const um_scaled *s = run->pass->scaled;
    if (st->sparse) {
        for (size_t j = 0; j < s->m; j++) {
            for (size_t c = 0; c < k; c++) {
                st->b64[um_kernel_packed(k, c, j)] += (double)st->b32[j * run->stride + c];
            }
        }
        memset(st->b32, 0, s->m * run->stride * sizeof *st->b32);
    } else {
        for (size_t i = 0; i < k * s->ld; i++) {
            st->b64[i] += (double)st->b32[i];
        }
        memset(st->b32, 0, k * s->ld * sizeof *st->b32);
    }
    st->groups = 0;
    st->flushed = true;
}

void um_panel_gram(const double *w, size_t k, double *g)
{
    for (size_t c = 0; c < k; c++) {
        const double *wc = w + c * UM_GROUP_ROWS;
        for (size_t d = c; d < k; d++) {
            const double *wd = w + d * UM_GROUP_ROWS;
            double sum[8] = {0};
            for (size_t r = 0; r < UM_GROUP_ROWS; r += 8) {
                for (size_t i = 0; i < 8; i++) {
                    sum[i] += wc[r + i] * wd[r + i];
                }
            }
            g[c * k + d] += ((sum[0] + sum[4]) + (sum[1] + sum[5])) +
                            ((sum[2] + sum[6]) + (sum[3] + sum[7]));
        }
    }
}

void um_complete_gram(double *g, size_t k)
{
    for (size_t c = 0; c < k; c++) {
        for (size_t d = 0; d < c; d++) {
            g[c * k + d] = g[d * k + c];
        }
    }
}

static void add_squares(const um_exact_run *run, pass_state *st, const um_tile *tile)
{
    const um_scaled *s = run->pass->scaled;
    double q[UM_GROUP_ROWS];
    if (tile->sparse != NULL) {
        s->kernels->squares_sparse(tile->sparse, tile->rows, run->v2, q);
    } else {
        s->kernels->squares[tile->dtype](tile->data, tile->rows, s->m, run->v2, q);
    }
    for (size_t r = 0; r < tile->rows; r++) {
        double u = (double)s->u[tile->position[r]];
        st->norm2 += u * u * q[r];
    }
}

/* A = X' H' of a group. */
static void project(const um_exact_run *run, pass_state *st, const um_tile *tile)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    if (st->sparse) {
        s->kernels->project_sparse(tile->sparse, tile->rows, run->ht, run->stride, k, st->a);
    } else if (run->grid != NULL) {
        s->grid->project[tile->dtype](tile->data, tile->rows, s->m, run->grid, k, st->a);
    } else {
        s->kernels->project[tile->dtype](tile->data, tile->rows, s->m, run->hv, k, st->a,
                                         st->scratch);
    }
    for (size_t c = 0; c < k; c++) {
        double *a = st->panel_a + c * UM_GROUP_ROWS;
        double step = run->grid != NULL ? run->step[c] : 1;
        for (size_t r = 0; r < tile->rows; r++) {
            a[r] = st->a[r * k + c] * step * (double)s->u[tile->position[r]];
        }
        memset(a + tile->rows, 0, (UM_GROUP_ROWS - tile->rows) * sizeof *a);
    }
}

/* B += W' X. */
static void accumulate(const um_exact_run *run, pass_state *st, const um_tile *tile)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    if (run->grid != NULL) {
        s->grid->accumulate[tile->dtype](tile->data, tile->rows, s->m, st->pairs, k, st->step, st->b32);
        return;
    }
    for (size_t c = 0; c < k; c++) {
        const double *w = st->panel_w + c * UM_GROUP_ROWS;
        for (size_t r = 0; r < tile->rows; r++) {
            st->w[r * k + c] = (float)(w[r] * (double)s->u[tile->position[r]]);
        }
    }
    if (st->sparse) {
        s->kernels->accumulate_sparse(tile->sparse, tile->rows, st->w, k, st->b32, run->stride);
    } else {
        s->kernels->accumulate[tile->dtype](tile->data, tile->rows, s->m, st->w, k, st->b32);
    }
}

static um_status visit(void *user, void *state, const um_tile *tile)
{
    um_exact_run *run = user;
    um_exact_pass *pass = run->pass;
    const um_scaled *s = pass->scaled;
    pass_state *st = state;
    size_t k = pass->k;
    UM_TRY(visit_companion(&pass->before, st->before, tile));
    if (st->sparse != (tile->sparse != NULL)) {
        flush(run, st);
        st->sparse = tile->sparse != NULL;
    }
    project(run, st, tile);
    memset(st->panel_w, 0, k * UM_GROUP_ROWS * sizeof *st->panel_w);
    pass->rows(pass->user, tile->position, tile->rows, st->panel_a, st->panel_w, st->extra);
    if (run->grid != NULL) {
        um_grid_rows(s, tile->position, tile->rows, k, st->panel_w, st->pairs, st->step);
    }
    if (pass->took != NULL) {
        pass->took(pass->user, tile->position, tile->rows, st->panel_w);
    }
    um_panel_gram(st->panel_w, k, st->g);
    accumulate(run, st, tile);
    if (pass->want_norm2) {
        add_squares(run, st, tile);
    }
    if (++st->groups == FLUSH_GROUPS) {
        flush(run, st);
    }
    return visit_companion(&pass->after, st->after, tile);
}

/* Adds what the segment gathered to B, and clears it: one sweep, because merges wait for each other. */
static void merge_sums(const um_exact_run *run, pass_state *st)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    double *b = run->pass->b;
    if (st->sparse && st->groups > 0) {
        flush(run, st);
    }
    for (size_t j0 = 0; j0 < s->m; j0 += UM_KERNEL_PACK) {
        size_t count = s->m - j0 < UM_KERNEL_PACK ? s->m - j0 : UM_KERNEL_PACK;
        for (size_t c = 0; c < k; c++) {
            double *to = b + c * s->m + j0;
            double *whole = st->b64 + um_kernel_packed(k, c, j0);
            float *part = st->b32 + um_kernel_packed(k, c, j0);
            for (size_t i = 0; !st->sparse && st->groups > 0 && i < count; i++) {
                to[i] += (double)part[i];
            }
            for (size_t i = 0; st->flushed && i < count; i++) {
                to[i] += whole[i];
            }
        }
    }
    if (st->groups > 0) {
        memset(st->b32, 0, k * s->ld * sizeof *st->b32);
    }
    if (st->flushed) {
        memset(st->b64, 0, k * s->ld * sizeof *st->b64);
    }
    st->groups = 0;
    st->flushed = false;
}

static um_status merge(void *user, void *state)
{
    um_exact_run *run = user;
    um_exact_pass *pass = run->pass;
    pass_state *st = state;
    size_t k = pass->k;
    merge_sums(run, st);
    for (size_t i = 0; i < k * k; i++) {
        pass->g[i] += st->g[i];
    }
    for (int i = 0; i < 4; i++) {
        pass->extra[i] += st->extra[i];
    }
    pass->norm2 += st->norm2;
    memset(st->g, 0, k * k * sizeof *st->g);
    memset(st->extra, 0, sizeof st->extra);
    st->norm2 = 0;
    UM_TRY(merge_companion(&pass->before, st->before));
    return merge_companion(&pass->after, st->after);
}

const um_visitor um_exact_visitor = {.start = state_start, .visit = visit, .merge = merge,
                                     .stop = state_stop, .sparse = true};

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
    }
    um_complete_gram(pass->g, k);
}

static void run_free(um_exact_run *run)
{
    if (run != NULL) {
        um_context *ctx = run->pass->scaled->ctx;
        um_buffer_free(ctx, run->hv);
        um_buffer_free(ctx, run->ht);
        um_buffer_free(ctx, run->grid);
        free(run->step);
        um_buffer_free(ctx, run->v2);
        free(run);
    }
}

static um_status put_on_grid(um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    run->step = calloc(k, sizeof *run->step);
    if (run->step == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a pass");
    }
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof *run->grid, "weighted components", &run->grid));
    um_grid_components(s, k, run->pass->h, run->grid, run->step);
    return UM_OK;
}

static um_status make_factors(um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "squared pixel weights", &run->v2));
    for (size_t j = 0; j < s->m; j++) {
        run->v2[j] = s->v[j] * s->v[j];
    }
    if (run->pass->on_grid && !run->sparse && s->grid->project[s->dtype] != NULL) {
        return put_on_grid(run);
    }
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "weighted components", &run->hv));
    if (run->sparse) {
        UM_TRY(um_buffer_alloc(s->ctx, s->m * run->stride, sizeof(float), "weighted components",
                               &run->ht));
    }
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            float h = run->pass->h[c * s->ld + j] * s->v[j];
            run->hv[um_kernel_packed(k, c, j)] = h;
            if (run->sparse) {
                run->ht[j * run->stride + c] = h;
            }
        }
    }
    return UM_OK;
}

um_status um_exact_run_begin(um_exact_pass *pass, bool sparse, um_exact_run **out)
{
    const um_scaled *s = pass->scaled;
    size_t k = pass->k;
    memset(pass->b, 0, k * s->m * sizeof *pass->b);
    memset(pass->g, 0, k * k * sizeof *pass->g);
    memset(pass->extra, 0, sizeof pass->extra);
    pass->norm2 = 0;
    um_exact_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a pass");
    }
    run->pass = pass;
    run->sparse = sparse;
    run->stride = um_kernel_sparse_stride(k);
    um_status status = make_factors(run);
    if (status != UM_OK) {
        run_free(run);
        return status;
    }
    *out = run;
    return UM_OK;
}

um_status um_exact_run_end(um_exact_run *run, um_status status)
{
    um_exact_pass *pass = run->pass;
    if (status == UM_OK && pass->settle != NULL) {
        status = pass->settle(pass->user);
    }
    if (status == UM_OK) {
        complete(pass);
    }
    run_free(run);
    return status;
}

um_status um_exact_pass_run(um_exact_pass *pass, const char *stage)
{
    um_exact_run *run = NULL;
    bool sparse = false;
    if (pass->walk == NULL && takes_sparse(&pass->before) && takes_sparse(&pass->after)) {
        UM_TRY(um_matrix_decide_sparse(pass->scaled->matrix, &sparse));
    }
    UM_TRY(um_exact_run_begin(pass, sparse, &run));
    um_visitor visitor = um_exact_visitor;
    visitor.sparse = sparse;
    um_status status = pass->walk != NULL
                           ? pass->walk(pass->walker, &visitor, run)
                           : um_matrix_pass(pass->scaled->matrix, stage, &visitor, run);
    return um_exact_run_end(run, status);
}

void um_gram(const float *h, size_t k, size_t ld, double *g)
{
    for (size_t c = 0; c < k; c++) {
        for (size_t d = c; d < k; d++) {
            double sum[8] = {0};
            for (size_t j = 0; j < ld; j += 8) { /* ld is a multiple of UM_KERNEL_PACK */
                for (size_t i = 0; i < 8; i++) {
                    sum[i] += (double)h[c * ld + j + i] * (double)h[d * ld + j + i];
                }
            }
            g[c * k + d] = ((sum[0] + sum[4]) + (sum[1] + sum[5])) +
                           ((sum[2] + sum[6]) + (sum[3] + sum[7]));
        }
    }
    um_complete_gram(g, k);
}
