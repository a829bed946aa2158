/* What one set of counts tells: the positions of the sample, and the binned scan. */
#include "choose_internal.h"

#include <math.h>
#include <stdlib.h>

enum { BEYOND = 4, BINNED_ROUNDS = 2, LEAST_RANK = 3 };

/* ---- one set of counts: positions of the scan, or squares of the binned one --------------------------- */

typedef struct evidence {
    um_half half[2];
    um_path full, path[2];
    double *deviance; /* most x rows */
    double *mean, *error; /* most */
    um_held_out_choice choice;
} evidence;

static void free_evidence(um_context *ctx, evidence *e)
{
    um_path_free(ctx, &e->full);
    for (int h = 0; h < 2; h++) {
        um_path_free(ctx, &e->path[h]);
    }
    um_halves_free(ctx, e->half);
    free(e->deviance);
    free(e->mean);
    free(e->error);
}

/* Beyond what stands clear of the noise, and some more, fits only follow the noise. */
static size_t thorough(const um_choosing *c)
{
    const um_choose_result *r = c->result;
    return (size_t)(r->above > r->above_binned ? r->above : r->above_binned) + BEYOND;
}

int64_t um_above_edge(const um_white *white, double unit, double edge)
{
    double least = sqrt(unit) * um_white_edge(&white->scaled) * um_white_margin(&white->scaled) *
                   fmax(1, edge);
    size_t above = 0;
    while (above < white->image.count && white->image.sigma[above] > least) {
        above++;
    }
    return (int64_t)above;
}

static um_status make_halves(const um_split *split, const um_white *white, evidence *e, int64_t *above)
{
    double edge = 1;
    UM_TRY(um_halves_make(split, e->half));
    UM_TRY(um_halves_edge(e->half, &edge));
    um_debug(split->scaled->ctx, "noise of the halves reaches %.4f of the edge", edge);
    *above = um_above_edge(white, split->unit, edge);
    return UM_OK;
}

static um_status fit_halves(um_choosing *c, const um_split *split, size_t most, evidence *e)
{
    um_context *ctx = c->scaled.ctx;
    for (int h = 0; h < 2; h++) {
        UM_TRY(um_path_fit(&e->half[h].scaled, &e->half[h].image, most, thorough(c), &e->path[h]));
    }
    UM_TRY(um_held_out(e->half, e->path, &e->deviance));
    e->mean = calloc(most, sizeof *e->mean);
    e->error = calloc(most, sizeof *e->error);
    if (e->mean == NULL || e->error == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %zu fits", most);
    }
    size_t rows = split->from->rows;
    e->choice = um_held_out_choose(e->deviance, rows, 2 * rows * (size_t)c->scaled.noisy_columns, most,
                                   e->mean, e->error);
    return UM_OK;
}

static size_t most_here(const um_choosing *c, size_t rows)
{
    size_t most = c->brief && thorough(c) < c->most ? thorough(c) : c->most;
    most = rows > 1 && rows - 1 < most ? rows - 1 : most;
    return most;
}

static void fill_rows(um_choosing *c, const evidence *e, const um_path *full)
{
    for (int64_t i = 0; i < c->result->rows; i++) {
        um_choose_row *row = &c->result->row[i];
        if (row->k > (int64_t)full->most) {
            continue;
        }
        row->objective = full->objective[row->k - 1] / full->objective[0];
        if (c->result->split) {
            row->deviance = e->mean[row->k - 1];
            row->error = e->error[row->k - 1];
        }
    }
}

static um_status agreement(um_choosing *c, evidence *e)
{
    for (int64_t i = 0; i < c->result->rows; i++) {
        um_choose_row *row = &c->result->row[i];
        um_agreement found;
        if (row->k > (int64_t)e->full.most) {
            continue;
        }
        UM_TRY(um_agree(&c->white.scaled, (size_t)row->k, &e->full, e->path, &found));
        row->median_cosine = found.median;
        row->worst_cosine = found.worst;
        row->start_cosine = found.starts;
        row->silhouette = found.silhouette;
    }
    return UM_OK;
}

static um_status leave_out_entries(um_choosing *c, const um_white *part, size_t most)
{
    um_choose_result *r = c->result;
    size_t rows = c->sample.rows;
    size_t rank = rows < part->scaled.m ? rows : part->scaled.m;
    if (rank < LEAST_RANK * most) {
        return UM_OK; /* too few are left to tell from */
    }
    double *squares = NULL;
    double *mean = calloc(2 * most, sizeof *mean);
    um_status status = mean != NULL ? um_buffer_alloc(part->scaled.ctx, most * rows, sizeof *squares,
                                                      "held-out entries", &squares)
                                    : um_fail(part->scaled.ctx, UM_ERROR_MEMORY, "no memory for %zu fits", most);
    if (status == UM_OK) {
        status = um_held_out_entries(&part->scaled, &c->sample, most, squares);
    }
    if (status == UM_OK) {
        um_held_out_choice found = um_held_out_choose(squares, rows, 1, most, mean, mean + most);
        r->held_out_entries = found.fewest;
        r->held_out_entries_best = found.best;
        for (int64_t i = 0; i < r->rows; i++) {
            um_choose_row *row = &r->row[i];
            if (row->k <= (int64_t)most && mean[0] > 0) {
                row->entry_error = mean[row->k - 1] / mean[0];
                row->entry_spread = mean[most + (size_t)row->k - 1] / mean[0];
            }
        }
    }
    um_buffer_free(part->scaled.ctx, squares);
    free(mean);
    return status;
}

static um_status test_residuals(um_choosing *c, const um_white *part, const um_path *full)
{
    um_choose_result *r = c->result;
    double *beyond = calloc(full->most, sizeof *beyond);
    um_status status = beyond != NULL ? um_residual_tests(&part->scaled, &c->sample, full, c->unit, beyond)
                                      : um_fail(part->scaled.ctx, UM_ERROR_MEMORY, "no memory for %zu fits",
                                                full->most);
    for (int64_t i = 0; i < r->rows && status == UM_OK; i++) {
        if (r->row[i].k <= (int64_t)full->most) {
            r->row[i].beyond_noise = beyond[r->row[i].k - 1];
        }
    }
    free(beyond);
    return status;
}

static um_status judge_positions(um_choosing *c, const um_white *part, evidence *e)
{
    um_choose_result *r = c->result;
    size_t most = most_here(c, c->sample.rows);
    um_scaled s = part->scaled;
    const um_split split = {.scaled = &part->scaled,
                            .from = &c->sample,
                            .u = part->scaled.u,
                            .v = part->scaled.v,
                            .unit = c->unit,
                            .stream = UM_STREAM_SPLIT,
                            .directions = part->image.count};
    r->sampled = (int64_t)c->sample.rows;
    if (r->split) {
        UM_TRY(make_halves(&split, &c->white, e, &r->above));
    }
    UM_TRY(um_path_fit(&s, &part->image, most, thorough(c), &e->full));
    if (r->split) {
        UM_TRY(fit_halves(c, &split, most, e));
        r->held_out = e->choice.fewest;
        r->held_out_best = e->choice.best;
        UM_TRY(agreement(c, e));
        UM_TRY(leave_out_entries(c, part, most));
        UM_TRY(test_residuals(c, part, &e->full));
    }
    fill_rows(c, e, &e->full);
    return UM_OK;
}

um_status um_look_at_positions(um_choosing *c)
{
    um_context *ctx = c->scaled.ctx;
    um_white part = {0};
    evidence e = {0};
    um_status status = um_white_at(&c->white, &c->sample, &part);
    if (status == UM_OK) {
        status = judge_positions(c, &part, &e);
    }
    free_evidence(ctx, &e);
    um_white_free(ctx, &part);
    return status;
}

/* ---- the binned scan ---------------------------------------------------------------------------------- */

static um_status make_binned(um_choosing *c)
{
    um_scaled *s = &c->scaled;
    if (c->subspace.binned == NULL) {
        UM_TRY(um_binned_create(s, um_subspace_bytes(s->n, s->m, c->subspace.count),
                                &c->subspace.binned));
        if (c->subspace.binned == NULL) {
            return UM_OK;
        }
        UM_TRY(um_matrix_pass(s->matrix, "binned scan", &um_binned_visitor, c->subspace.binned));
    }
    c->binned = c->subspace.binned;
    um_binned_settle(c->binned);
    return UM_OK;
}

/* Sums of rows of the binned scan; those of pixels are the scan's. */
static um_status binned_sums(const um_sample_view *view, um_sums *sums)
{
    const um_scaled *s = &view->scaled;
    *sums = *s->sums;
    sums->sum_map = calloc(s->n, sizeof *sums->sum_map);
    if (sums->sum_map == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a binned scan");
    }
    const uint32_t *x = view->sample->data;
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = 0; j < s->m; j++) {
            sums->sum_map[i] += s->v[j] > 0 ? (double)x[i * s->m + j] : 0;
        }
    }
    return UM_OK;
}

static void fill_binned(um_choosing *c, const um_white *white, double unit, const evidence *e)
{
    um_choose_result *r = c->result;
    double edge = sqrt(unit) * um_white_edge(&white->scaled);
    for (int64_t i = 0; i < r->rows; i++) {
        um_choose_row *row = &r->row[i];
        if (row->k <= (int64_t)white->image.count) {
            row->binned_value = white->image.sigma[row->k - 1] / edge;
        }
        if (r->split && row->k <= (int64_t)e->path[0].most) {
            row->binned_deviance = e->mean[row->k - 1];
            row->binned_error = e->error[row->k - 1];
        }
    }
    if (r->split) {
        r->held_out_binned = e->choice.fewest;
        r->held_out_binned_best = e->choice.best;
    }
}

static um_status judge_binned(um_choosing *c, um_sample_view *view, um_white *white, evidence *e)
{
    double unit = c->unit * um_binned_unit(c->binned);
    um_subspace found;
    UM_TRY(um_binned_subspace(c->binned, c->subspace.count, c->subspace.v, &found));
    const um_visits visits = {BINNED_ROUNDS, um_sample_walk, view};
    um_status status = um_whiten(&view->scaled, &found, unit, &visits, white);
    um_subspace_free(c->scaled.ctx, &found);
    UM_TRY(status);
    c->result->above_binned = um_above_edge(white, unit, 1);
    if (c->result->split) {
        const um_split split = {.scaled = &white->scaled,
                                .from = view->sample,
                                .u = white->scaled.u,
                                .v = white->scaled.v,
                                .unit = unit,
                                .stream = UM_STREAM_SPLIT_BINNED,
                                .directions = white->image.count};
        UM_TRY(make_halves(&split, white, e, &c->result->above_binned));
        UM_TRY(fit_halves(c, &split, most_here(c, view->sample->rows), e));
    }
    fill_binned(c, white, unit, e);
    return UM_OK;
}

um_status um_look_at_binned(um_choosing *c)
{
    um_context *ctx = c->scaled.ctx;
    UM_TRY(make_binned(c));
    if (c->binned == NULL) {
        return UM_OK;
    }
    c->result->binned_side = (int64_t)um_binned_positions(c->binned);
    um_sample_view *view = um_binned_view(c->binned);
    const um_sums *scan = view->scaled.sums;
    um_sums sums = {.sum_map = NULL};
    um_white white = {0};
    evidence e = {0};
    um_status status = binned_sums(view, &sums);
    view->scaled.sums = &sums;
    if (status == UM_OK) {
        status = judge_binned(c, view, &white, &e);
    }
    view->scaled.sums = scan;
    free(sums.sum_map);
    free_evidence(ctx, &e);
    um_white_free(ctx, &white);
    return status;
}
