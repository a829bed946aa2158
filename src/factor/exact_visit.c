/* One visit of each group: A = X'H', rows of W, W'X' and W'W. */
#include "exact_internal.h"

#include <string.h>

static um_status visit_companion(const um_companion *c, void *state, const um_tile *tile)
{
    return c->visitor != NULL ? c->visitor->visit(c->user, state, tile) : UM_OK;
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

static void add_squares(const um_exact_run *run, um_exact_state *st, const um_tile *tile)
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

/* A of a waiting group in the scaled space, component by component. */
static void take_panel(const um_exact_run *run, um_exact_state *st, size_t group)
{
    const um_scaled *s = run->pass->scaled;
    const um_tile *tile = &st->pending[group].tile;
    size_t k = run->pass->k;
    const double *from = st->a + group * UM_GROUP_ROWS * k;
    for (size_t c = 0; c < k; c++) {
        double *a = st->panel_a + c * UM_GROUP_ROWS;
        double step = run->step != NULL ? run->step[c] : 1;
        for (size_t r = 0; r < tile->rows; r++) {
            a[r] = from[r * k + c] * step * (double)s->u[tile->position[r]];
        }
        memset(a + tile->rows, 0, (UM_GROUP_ROWS - tile->rows) * sizeof *a);
    }
}

static void visit_rows(const um_exact_run *run, um_exact_state *st, size_t group)
{
    um_exact_pass *pass = run->pass;
    const um_tile *tile = &st->pending[group].tile;
    size_t k = pass->k;
    take_panel(run, st, group);
    memset(st->panel_w, 0, k * UM_GROUP_ROWS * sizeof *st->panel_w);
    pass->rows(pass->user, tile->position, tile->rows, st->panel_a, st->panel_w, st->extra);
    um_exact_take_rows(run, st, group);
    if (pass->took != NULL) {
        pass->took(pass->user, tile->position, tile->rows, st->panel_w);
    }
    um_panel_gram(st->panel_w, k, st->g);
}

static int flush_groups(const um_exact_state *st)
{
    return st->sparse ? UM_SPARSE_FLUSH_GROUPS : UM_FLUSH_GROUPS;
}

/* Works on all that wait. What comes out does not depend on how many do. */
static um_status work(const um_exact_run *run, um_exact_state *st)
{
    const um_exact_pass *pass = run->pass;
    size_t count = st->waiting;
    if (count == 0) {
        return UM_OK;
    }
    for (size_t g = 0; g < count; g++) {
        UM_TRY(visit_companion(&pass->before, st->before, &st->pending[g].tile));
    }
    um_exact_project(run, st);
    for (size_t g = 0; g < count; g++) {
        visit_rows(run, st, g);
    }
    um_exact_accumulate(run, st);
    for (size_t g = 0; g < count; g++) {
        if (pass->want_norm2) {
            add_squares(run, st, &st->pending[g].tile);
        }
        UM_TRY(visit_companion(&pass->after, st->after, &st->pending[g].tile));
    }
    st->waiting = 0;
    st->groups += (int)count;
    if (st->groups == flush_groups(st)) {
        um_exact_flush(run, st);
    }
    return UM_OK;
}

static um_status drain(void *user, void *state)
{
    return work(user, state);
}

static um_status visit(void *user, void *state, const um_tile *tile)
{
    const um_exact_run *run = user;
    um_exact_state *st = state;
    if (st->sparse != (tile->sparse != NULL)) {
        UM_TRY(work(run, st));
        um_exact_flush(run, st);
        st->sparse = tile->sparse != NULL;
    }
    um_pending *p = &st->pending[st->waiting++];
    memcpy(p->position, tile->position, tile->rows * sizeof *p->position);
    p->tile = *tile;
    p->tile.position = p->position;
    if (tile->sparse != NULL) {
        p->sparse = *tile->sparse;
        p->tile.sparse = &p->sparse;
    }
    bool last = st->groups + (int)st->waiting == flush_groups(st);
    size_t most = st->sparse ? UM_SPARSE_BATCH : run->batch;
    return last || st->waiting == most ? work(run, st) : UM_OK;
}

static um_status merge(void *user, void *state)
{
    UM_TRY(work(user, state));
    return um_exact_state_merge(user, state);
}

const um_visitor um_exact_visitor = {.start = um_exact_state_start,
                                     .visit = visit,
                                     .drain = drain,
                                     .merge = merge,
                                     .stop = um_exact_state_stop,
                                     .sparse = true};
