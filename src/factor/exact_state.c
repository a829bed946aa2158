/* What a worker of the exact pass gathers, and how it joins the results. */
#include "exact_internal.h"

#include <stdlib.h>
#include <string.h>

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

static um_status merge_companion(const um_companion *c, void *state)
{
    return c->visitor != NULL && c->visitor->merge != NULL ? c->visitor->merge(c->user, state)
                                                           : UM_OK;
}

/* ---- sums ---------------------------------------------------------------------------------------- */

static size_t sums_size(const um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t dense = run->pass->k * s->ld;
    size_t sparse = run->sparse ? s->m * run->stride : 0;
    return dense > sparse ? dense : sparse;
}

void um_exact_state_stop(void *user, void *state)
{
    um_exact_run *run = user;
    um_context *ctx = run->pass->scaled->ctx;
    um_exact_state *st = state;
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
        free(st->sums);
        free(st->parts);
        um_buffer_free(ctx, st->bytes);
        free(st);
    }
}

/* Scratch of the tile kernels. */
static um_status start_tiles(const um_exact_run *run, um_exact_state *st)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    size_t room = um_tile_room(s->dtype, s->m);
    if (run->tiles == NULL) {
        return UM_OK;
    }
    if (room > 0) {
        UM_TRY(um_buffer_alloc(s->ctx, run->batch, room, "bytes of groups", &st->bytes));
    }
    st->sums = aligned_alloc(64, um_tile_sums(k, run->planes) * sizeof *st->sums);
    st->parts = aligned_alloc(64, UM_TILE_BATCH * um_tile_w_size(k) * sizeof *st->parts);
    return st->sums != NULL && st->parts != NULL
               ? UM_OK
               : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
}

um_status um_exact_state_start(void *user, void **state)
{
    um_exact_run *run = user;
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    um_exact_state *st = calloc(1, sizeof *st);
    if (st == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    *state = st;
    UM_TRY(um_buffer_alloc(s->ctx, sums_size(run), sizeof(float), "W'X of a worker", &st->b32));
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(double), "W'X of a worker", &st->b64));
    st->g = calloc(k * k, sizeof *st->g);
    st->a = calloc(run->room * k * UM_GROUP_ROWS, sizeof *st->a);
    st->panel_a = calloc(k * UM_GROUP_ROWS, sizeof *st->panel_a);
    st->panel_w = calloc(k * UM_GROUP_ROWS, sizeof *st->panel_w);
    st->w = calloc(run->room * k * UM_GROUP_ROWS, sizeof *st->w);
    st->pairs = calloc(k * UM_GROUP_ROWS, sizeof *st->pairs);
    st->step = calloc(k, sizeof *st->step);
    st->scratch = aligned_alloc(64, k * UM_GROUP_ROWS * UM_KERNEL_PACK * sizeof *st->scratch);
    if (st->g == NULL || st->a == NULL || st->panel_a == NULL || st->panel_w == NULL ||
        st->w == NULL || st->pairs == NULL || st->step == NULL || st->scratch == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    UM_TRY(start_tiles(run, st));
    UM_TRY(start_companion(&run->pass->before, &st->before));
    return start_companion(&run->pass->after, &st->after);
}

void um_exact_flush(const um_exact_run *run, um_exact_state *st)
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

/* Adds what the segment gathered to B, and clears it: one sweep, because merges wait for each other. */
static void merge_sums(const um_exact_run *run, um_exact_state *st)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    double *b = run->pass->b;
    if (st->sparse && st->groups > 0) {
        um_exact_flush(run, st);
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

um_status um_exact_state_merge(const um_exact_run *run, um_exact_state *st)
{
    um_exact_pass *pass = run->pass;
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
