/* One visit under the Poisson likelihood: rows of W by Newton steps for the H that is held, the divergence at that
 * pair, and W'(X / WH), which moves H. WH is needed only where X is not zero: sum(WH) = sum(W) sum(H). */
#include "nmf_kl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSH_GROUPS = 32, LIST_PAD = 16 };

typedef struct kl_state {
    float *b32;  /* m x stride, since the last flush */
    double *b64; /* m x k, of the segment up to the last flush */
    uint32_t *column;
    float *x, *y, *ratio, *panel;
    double *row;   /* k: one row of W, counts */
    float *row32;  /* stride */
    double *w_sum; /* k */
    double divergence, moved, counts;
    int groups;
    void *after;
} kl_state;

static size_t padded(size_t m)
{
    return (m + 1 + LIST_PAD - 1) / LIST_PAD * LIST_PAD;
}

static void state_stop(void *user, void *state)
{
    um_kl_pass *pass = user;
    um_context *ctx = pass->scaled->ctx;
    kl_state *st = state;
    if (st == NULL) {
        return;
    }
    if (st->after != NULL && pass->after.visitor->stop != NULL) {
        pass->after.visitor->stop(pass->after.user, st->after);
    }
    um_buffer_free(ctx, st->b32);
    um_buffer_free(ctx, st->b64);
    um_buffer_free(ctx, st->column);
    um_buffer_free(ctx, st->x);
    um_buffer_free(ctx, st->y);
    um_buffer_free(ctx, st->ratio);
    um_buffer_free(ctx, st->panel);
    free(st->row);
    free(st->row32);
    free(st->w_sum);
    free(st);
}

static um_status state_start(void *user, void **state)
{
    um_kl_pass *pass = user;
    const um_scaled *s = pass->scaled;
    size_t k = pass->state->k;
    size_t room = padded(s->m);
    kl_state *st = calloc(1, sizeof *st);
    if (st == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    *state = st;
    UM_TRY(um_buffer_alloc(s->ctx, s->m * pass->stride, sizeof(float), "sums of a worker", &st->b32));
    UM_TRY(um_buffer_alloc(s->ctx, s->m * k, sizeof(double), "sums of a worker", &st->b64));
    UM_TRY(um_buffer_alloc(s->ctx, room, sizeof(uint32_t), "a pattern", &st->column));
    UM_TRY(um_buffer_alloc(s->ctx, room, sizeof(float), "a pattern", &st->x));
    UM_TRY(um_buffer_alloc(s->ctx, room, sizeof(float), "a pattern", &st->y));
    UM_TRY(um_buffer_alloc(s->ctx, room, sizeof(float), "a pattern", &st->ratio));
    UM_TRY(um_buffer_alloc(s->ctx, k * room, sizeof(float), "components at a pattern", &st->panel));
    st->row = calloc(k, sizeof *st->row);
    st->row32 = calloc(pass->stride, sizeof *st->row32);
    st->w_sum = calloc(k, sizeof *st->w_sum);
    if (st->row == NULL || st->row32 == NULL || st->w_sum == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    return pass->after.visitor != NULL && pass->after.visitor->start != NULL
               ? pass->after.visitor->start(pass->after.user, &st->after)
               : UM_OK;
}

size_t um_kl_pass_bytes(size_t m, size_t ld, size_t k)
{
    size_t stride = um_kernel_sparse_stride(k);
    size_t worker = m * (stride * sizeof(float) + k * sizeof(double)) +
                    padded(m) * (4 + k) * sizeof(float);
    return worker + k * ld * sizeof(float) + k * m * sizeof(double);
}

/* The entries of row r above zero that are not excluded. */
static size_t list_row(const um_kl_pass *pass, const um_tile *tile, size_t r, kl_state *st)
{
    const um_scaled *s = pass->scaled;
    size_t n = 0;
    if (tile->sparse == NULL) {
        const char *row = (const char *)tile->data + r * s->m * um_dtype_size(tile->dtype);
        n = s->kernels->kl_list[tile->dtype](row, s->m, s->v, st->column, st->x);
    } else {
        const um_sparse_rows *rows = tile->sparse;
        for (size_t i = rows->start[r]; i < rows->start[r + 1]; i++) {
            st->column[n] = rows->column[i];
            st->x[n] = rows->value_dtype == UM_U8 ? (float)((const uint8_t *)rows->value)[i]
                                                  : (float)((const uint16_t *)rows->value)[i];
            n += s->v[rows->column[i]] > 0;
        }
    }
    for (size_t i = n; i % LIST_PAD != 0 || i == n; i++) { /* at least what an append left behind */
        st->x[i] = 0;
    }
    return n;
}

static void visit_row(um_kl_pass *pass, const um_tile *tile, size_t r, kl_state *st)
{
    const um_scaled *s = pass->scaled;
    const um_kernels *kernels = s->kernels;
    um_nmf_state *state = pass->state;
    size_t k = state->k;
    size_t room = padded(s->m);
    size_t p = (size_t)tile->position[r];
    float *stored = state->w + p * k;
    double u = (double)s->u[p];
    if (!(u > 0)) {
        memset(stored, 0, k * sizeof *stored);
        return;
    }
    size_t n = list_row(pass, tile, r, st);
    double total = 0;
    double least = INFINITY;
    for (size_t i = 0; i < n; i++) {
        total += (double)st->x[i];
        least = fmin(least, (double)st->x[i]);
    }
    for (size_t c = 0; c < k; c++) {
        st->row[c] = (double)stored[c] * state->scale[c] / u;
        if (pass->mix > 0) {
            st->row[c] += pass->mix * total / (double)k;
        }
    }
    kernels->kl_gather(pass->h, s->ld, k, st->column, n, st->panel, room);
    st->moved += kernels->kl_solve(k, n, st->panel, room, st->x, pass->h_sum, 1 / sqrt(least), st->row,
                                   st->y, pass->sweeps, pass->stop);
    double modelled = 0;
    for (size_t c = 0; c < k; c++) {
        stored[c] = (float)(st->row[c] * u);
        st->row32[c] = (float)st->row[c];
        st->w_sum[c] += st->row[c];
        modelled += st->row[c] * pass->h_sum[c];
    }
    double divergence = kernels->kl_ratio(n, st->x, st->y, st->ratio) - total + modelled;
    pass->map[p] = divergence;
    st->divergence += divergence;
    st->counts += total;
    kernels->kl_spread(st->column, st->ratio, n, st->row32, pass->stride, st->b32);
}

static void flush(const um_kl_pass *pass, kl_state *st)
{
    size_t k = pass->state->k;
    for (size_t j = 0; j < pass->scaled->m; j++) {
        for (size_t c = 0; c < k; c++) {
            st->b64[j * k + c] += (double)st->b32[j * pass->stride + c];
        }
    }
    memset(st->b32, 0, pass->scaled->m * pass->stride * sizeof *st->b32);
    st->groups = 0;
}

static um_status visit(void *user, void *state, const um_tile *tile)
{
    um_kl_pass *pass = user;
    kl_state *st = state;
    for (size_t r = 0; r < tile->rows; r++) {
        visit_row(pass, tile, r, st);
    }
    if (++st->groups == FLUSH_GROUPS) {
        flush(pass, st);
    }
    return pass->after.visitor != NULL ? pass->after.visitor->visit(pass->after.user, st->after, tile)
                                       : UM_OK;
}

static um_status merge(void *user, void *state)
{
    um_kl_pass *pass = user;
    kl_state *st = state;
    size_t k = pass->state->k;
    size_t m = pass->scaled->m;
    flush(pass, st);
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < m; j++) {
            pass->b[c * m + j] += st->b64[j * k + c];
        }
        pass->w_sum[c] += st->w_sum[c];
    }
    memset(st->b64, 0, m * k * sizeof *st->b64);
    memset(st->w_sum, 0, k * sizeof *st->w_sum);
    pass->divergence += st->divergence;
    pass->moved += st->moved;
    pass->counts += st->counts;
    st->divergence = st->moved = st->counts = 0;
    return pass->after.visitor != NULL && pass->after.visitor->merge != NULL
               ? pass->after.visitor->merge(pass->after.user, st->after)
               : UM_OK;
}

/* H in counts, and its sums. */
static void take_components(um_kl_pass *pass)
{
    const um_scaled *s = pass->scaled;
    for (size_t c = 0; c < pass->state->k; c++) {
        double sum = 0;
        for (size_t j = 0; j < s->m; j++) {
            double v = (double)s->v[j];
            float h = v > 0 ? (float)((double)pass->state->h[c * s->ld + j] / v) : 0;
            pass->h[c * s->ld + j] = h;
            sum += (double)h;
        }
        pass->h_sum[c] = sum;
        pass->w_sum[c] = 0;
    }
}

um_status um_kl_pass_create(um_scaled *s, um_nmf_state *state, um_kl_pass *pass)
{
    size_t k = state->k;
    *pass = (um_kl_pass){.scaled = s, .state = state, .stride = um_kernel_sparse_stride(k)};
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "components", &pass->h));
    UM_TRY(um_buffer_alloc(s->ctx, k * s->m, sizeof(double), "sums over patterns", &pass->b));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "a map", &pass->map));
    pass->h_sum = calloc(k, sizeof *pass->h_sum);
    pass->w_sum = calloc(k, sizeof *pass->w_sum);
    return pass->h_sum != NULL && pass->w_sum != NULL
               ? UM_OK
               : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
}

um_status um_kl_pass_run(um_kl_pass *pass, const char *stage)
{
    const um_scaled *s = pass->scaled;
    take_components(pass);
    memset(pass->b, 0, pass->state->k * s->m * sizeof *pass->b);
    pass->divergence = pass->moved = pass->counts = 0;
    const um_visitor visitor = {.start = state_start, .visit = visit, .merge = merge,
                                .stop = state_stop,
                                .sparse = pass->after.visitor == NULL || pass->after.visitor->sparse};
    um_status status = um_matrix_pass(s->matrix, stage, &visitor, pass);
    for (size_t c = 0; c < pass->state->k; c++) {
        pass->state->scale[c] = 1;
    }
    pass->mix = 0;
    return status;
}

void um_kl_pass_free(um_kl_pass *pass)
{
    if (pass->scaled == NULL) {
        return;
    }
    um_context *ctx = pass->scaled->ctx;
    um_buffer_free(ctx, pass->h);
    um_buffer_free(ctx, pass->b);
    um_buffer_free(ctx, pass->map);
    free(pass->h_sum);
    free(pass->w_sum);
}
