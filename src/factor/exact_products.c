/* The products of an exact pass, X H' and W'X, by the kernels that suit its patterns. */
#include "exact_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cutting words to bytes costs as much as it spares with fewer components. */
enum { FEWEST_OF_WORDS = 6 };

/* ---- H ------------------------------------------------------------------------------------------- */

static um_status make_steps(um_exact_run *run)
{
    run->step = calloc(run->pass->k, sizeof *run->step);
    return run->step != NULL
               ? UM_OK
               : um_fail(run->pass->scaled->ctx, UM_ERROR_MEMORY, "no memory for a pass");
}

static um_status put_on_grid(um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof *run->grid, "weighted components", &run->grid));
    um_grid_components(s, k, run->pass->h, run->grid, run->step);
    return UM_OK;
}

/* To what four bytes hold. */
static void cut_components(um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    for (size_t c = 0; c < k; c++) {
        const float *h = run->pass->h + c * s->ld;
        double largest = 0;
        for (size_t j = 0; j < s->m; j++) {
            largest = fmax(largest, fabs((double)(h[j] * s->v[j])));
        }
        run->step[c] = um_tile_step(largest);
        for (size_t j = 0; j < s->m; j++) {
            double multiple = nearbyint((double)(h[j] * s->v[j]) / run->step[c]);
            um_tile_put(run->tiles, k, run->planes, c, j, (int32_t)multiple);
        }
    }
}

static um_status put_in_tiles(um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
    run->planes = run->pass->on_grid ? 2 : 4;
    size_t bytes = um_tile_h_size(s->m, k, run->planes);
    UM_TRY(um_buffer_alloc(s->ctx, bytes, 1, "weighted components", &run->tiles));
    run->batch = s->dtype == UM_U8 ? UM_TILE_BATCH : 1; /* the copy of words wants room, too */
    if (!run->pass->on_grid) {
        cut_components(run);
        return UM_OK;
    }
    UM_TRY(put_on_grid(run));
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            um_tile_put(run->tiles, k, run->planes, c, j, run->grid[um_grid_packed(k, c, j)]);
        }
    }
    um_buffer_free(s->ctx, run->grid);
    run->grid = NULL;
    return UM_OK;
}

static um_status put_as_floats(um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    size_t k = run->pass->k;
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

um_status um_exact_make_factors(um_exact_run *run)
{
    const um_scaled *s = run->pass->scaled;
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "squared pixel weights", &run->v2));
    for (size_t j = 0; j < s->m; j++) {
        run->v2[j] = s->v[j] * s->v[j];
    }
    bool worth = s->dtype == UM_U8 || run->pass->k >= FEWEST_OF_WORDS;
    if (!run->sparse && worth && s->tiles != NULL && s->tiles->project[s->dtype] != NULL) {
        UM_TRY(make_steps(run));
        return put_in_tiles(run);
    }
    if (run->pass->on_grid && !run->sparse && s->grid->project[s->dtype] != NULL) {
        UM_TRY(make_steps(run));
        return put_on_grid(run);
    }
    return put_as_floats(run);
}

/* ---- products ----------------------------------------------------------------------------------- */

static um_tile_batch batch_of(const um_exact_state *st)
{
    um_tile_batch batch = {.count = st->waiting, .room = st->bytes};
    for (size_t g = 0; g < st->waiting; g++) {
        batch.x[g] = st->pending[g].tile.data;
        batch.rows[g] = st->pending[g].tile.rows;
    }
    return batch;
}

static void project_sparse(const um_exact_run *run, um_exact_state *st)
{
    size_t k = run->pass->k;
    for (size_t g = 0; g < st->waiting; g++) {
        const um_tile *tile = &st->pending[g].tile;
        run->pass->scaled->kernels->project_sparse(tile->sparse, tile->rows, run->ht, run->stride, k,
                                                   st->a + g * UM_GROUP_ROWS * k);
    }
}

void um_exact_project(const um_exact_run *run, um_exact_state *st)
{
    const um_scaled *s = run->pass->scaled;
    const um_tile *tile = &st->pending[0].tile;
    size_t k = run->pass->k;
    if (st->sparse) {
        project_sparse(run, st);
    } else if (run->tiles != NULL) {
        um_tile_batch batch = batch_of(st);
        s->tiles->project[tile->dtype](&batch, s->m, run->tiles, k, run->planes, st->sums, st->a);
    } else if (run->grid != NULL) {
        s->grid->project[tile->dtype](tile->data, tile->rows, s->m, run->grid, k, st->a);
    } else {
        s->kernels->project[tile->dtype](tile->data, tile->rows, s->m, run->hv, k, st->a,
                                         st->scratch);
    }
}

void um_exact_take_rows(const um_exact_run *run, um_exact_state *st, size_t group)
{
    const um_scaled *s = run->pass->scaled;
    const um_tile *tile = &st->pending[group].tile;
    size_t k = run->pass->k;
    float *to = st->w + group * UM_GROUP_ROWS * k;
    bool rounded = run->pass->on_grid && run->step != NULL;
    if (rounded) {
        um_grid_rows(s, tile->position, tile->rows, k, st->panel_w, st->pairs, st->step);
    }
    if (run->grid != NULL) {
        return;
    }
    for (size_t c = 0; c < k; c++) {
        const double *w = st->panel_w + c * UM_GROUP_ROWS;
        for (size_t r = 0; r < tile->rows; r++) {
            to[r * k + c] = rounded ? (float)st->pairs[um_grid_pair(k, c, r)] * st->step[c]
                                    : (float)(w[r] * (double)s->u[tile->position[r]]);
        }
    }
    if (run->tiles != NULL) {
        um_tile_split(to, tile->rows, k, st->parts + group * um_tile_w_size(k));
    }
}

static void accumulate_sparse(const um_exact_run *run, um_exact_state *st)
{
    size_t k = run->pass->k;
    for (size_t g = 0; g < st->waiting; g++) {
        const um_tile *tile = &st->pending[g].tile;
        run->pass->scaled->kernels->accumulate_sparse(
            tile->sparse, tile->rows, st->w + g * UM_GROUP_ROWS * k, k, st->b32, run->stride);
    }
}

void um_exact_accumulate(const um_exact_run *run, um_exact_state *st)
{
    const um_scaled *s = run->pass->scaled;
    const um_tile *tile = &st->pending[0].tile;
    size_t k = run->pass->k;
    if (st->sparse) {
        accumulate_sparse(run, st);
    } else if (run->tiles != NULL) {
        um_tile_batch batch = batch_of(st);
        s->tiles->accumulate[tile->dtype](&batch, s->m, st->parts, k, run->pass->on_grid ? 2 : 3, st->b32);
    } else if (run->grid != NULL) {
        s->grid->accumulate[tile->dtype](tile->data, tile->rows, s->m, st->pairs, k, st->step,
                                         st->b32);
    } else {
        s->kernels->accumulate[tile->dtype](tile->data, tile->rows, s->m, st->w, k, st->b32);
    }
}
