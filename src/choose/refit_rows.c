/* The positions that are fitted again, and their patterns in memory. */
#include "refit_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 4096, LEVELS = 1024 };
static const size_t BYTES = (size_t)128 << 20;

size_t um_refit_rows(size_t n, size_t m)
{
    size_t most = BYTES / (m * sizeof(uint32_t));
    most = most > ROWS ? ROWS : most < 2 ? 2 : most;
    return n < most ? n : most;
}

double um_refit_counts(const um_refit *r, size_t position, size_t c)
{
    double w = (double)um_model_loadings(r->model)[position * r->k + c];
    return w > 0 ? w * r->total[c] : 0;
}

int64_t um_refit_strongest(const um_refit *r, size_t position)
{
    size_t best = 0;
    for (size_t c = 1; c < r->k; c++) {
        best = um_refit_counts(r, position, c) > um_refit_counts(r, position, best) ? c : best;
    }
    return (int64_t)best;
}

/* ---- choosing ------------------------------------------------------------------------------------ */

/* Marks `wanted` of the positions that `candidate` lists, evenly. */
static size_t mark_evenly(const size_t *candidate, size_t candidates, size_t wanted, uint8_t *chosen)
{
    size_t marked = 0;
    for (size_t i = 0; i < candidates; i++) {
        bool take = wanted >= candidates || (i + 1) * wanted / candidates > i * wanted / candidates;
        marked += take && !chosen[candidate[i]];
        chosen[candidate[i]] |= take;
    }
    return marked;
}

static size_t level_of(const um_refit *r, size_t position, size_t c, double all)
{
    double share = all > 0 ? um_refit_counts(r, position, c) / all : 0;
    return (size_t)(share * (LEVELS - 1));
}

/* Positions where the share of c is largest. all: counts of each position in the model. */
static size_t list_strongest(const um_refit *r, size_t c, size_t wanted, const double *all, size_t *list)
{
    size_t count[LEVELS] = {0};
    for (size_t p = 0; p < r->scaled.n; p++) {
        count[level_of(r, p, c, all[p])] += all[p] > 0;
    }
    size_t level = LEVELS - 1;
    for (size_t above = count[level]; level > 1 && above < wanted; above += count[level]) {
        level--;
    }
    size_t listed = 0;
    for (size_t p = 0; p < r->scaled.n; p++) {
        if (all[p] > 0 && level_of(r, p, c, all[p]) >= level) {
            list[listed++] = p;
        }
    }
    return listed;
}

/* all, list: room for n each. */
static void choose_rows(const um_refit *r, size_t most, double *all, size_t *list, uint8_t *chosen)
{
    size_t n = r->scaled.n;
    size_t left = most;
    for (size_t p = 0; p < n; p++) {
        for (size_t c = 0; c < r->k && r->scaled.u[p] > 0; c++) {
            all[p] += um_refit_counts(r, p, c);
        }
    }
    for (size_t c = 0; c < r->k && most < n; c++) {
        size_t wanted = most / (2 * r->k);
        left -= mark_evenly(list, list_strongest(r, c, wanted, all, list), wanted, chosen);
    }
    size_t others = 0;
    for (size_t p = 0; p < n; p++) {
        if (r->scaled.u[p] > 0 && !chosen[p]) {
            list[others++] = p;
        }
    }
    (void)mark_evenly(list, others, left, chosen);
}

/* ---- reading ------------------------------------------------------------------------------------- */

typedef struct taking {
    um_sample *sample;
    const int64_t *row; /* of each position, or -1 */
} taking;

static um_status take(void *user, void *state, const um_tile *tile)
{
    (void)state;
    const taking *t = user;
    size_t pattern = t->sample->m * um_dtype_size(t->sample->dtype);
    for (size_t i = 0; i < tile->rows; i++) {
        int64_t row = t->row[tile->position[i]];
        if (row >= 0) { /* rows differ, so workers never write to the same one */
            memcpy((char *)t->sample->data + (size_t)row * pattern, (const char *)tile->data + i * pattern,
                   pattern);
        }
    }
    return UM_OK;
}

static um_status read_rows(um_refit *r, const uint8_t *chosen, int64_t *row)
{
    um_context *ctx = r->scaled.ctx;
    um_sample *sample = &r->sample;
    *sample = (um_sample){.dtype = r->scaled.dtype, .m = r->scaled.m};
    for (size_t p = 0; p < r->scaled.n; p++) {
        row[p] = chosen[p] ? (int64_t)sample->rows++ : -1;
    }
    if (sample->rows < 2) {
        return um_fail(ctx, UM_ERROR_VALUE, "fewer than two positions hold anything: nothing to fit again");
    }
    sample->room = sample->rows;
    UM_TRY(um_buffer_alloc(ctx, sample->rows, sample->m * um_dtype_size(sample->dtype), "a sample of the scan",
                           &sample->data));
    UM_TRY(um_buffer_alloc(ctx, sample->rows, sizeof *sample->slot, "a sample of the scan", &sample->slot));
    for (size_t p = 0; p < r->scaled.n; p++) {
        if (row[p] >= 0) {
            sample->slot[row[p]] = (um_sample_slot){(int64_t)p, (size_t)row[p]};
        }
    }
    taking t = {sample, row};
    const um_visitor visitor = {.visit = take};
    return um_matrix_pass(r->scaled.matrix, "positions to fit again", &visitor, &t);
}

um_status um_refit_take(um_refit *r)
{
    um_context *ctx = r->scaled.ctx;
    size_t n = r->scaled.n;
    double *all = NULL;
    size_t *list = NULL;
    uint8_t *chosen = NULL;
    int64_t *row = NULL;
    um_status status = um_buffer_alloc(ctx, n, sizeof *all, "a choice of positions", &all);
    status = status == UM_OK ? um_buffer_alloc(ctx, n, sizeof *list, "a choice of positions", &list) : status;
    status = status == UM_OK ? um_buffer_alloc(ctx, n, 1, "a choice of positions", &chosen) : status;
    status = status == UM_OK ? um_buffer_alloc(ctx, n, sizeof *row, "a choice of positions", &row) : status;
    if (status == UM_OK) {
        choose_rows(r, um_refit_rows(n, r->scaled.m), all, list, chosen);
        status = read_rows(r, chosen, row);
    }
    um_buffer_free(ctx, all);
    um_buffer_free(ctx, list);
    um_buffer_free(ctx, chosen);
    um_buffer_free(ctx, row);
    return status;
}
