/* A second pass on what the first fit leaves unexplained: where the residual exceeds counting noise, further
 * components are fitted with the first ones held.
 *
 * The positions are gathered in one visit and worked on in memory, so a rare phase is not outweighed by the noise of
 * all others. A component is added as long as the leading singular value of their residual exceeds that of the same
 * residual with random signs, which keep the noise of every entry and destroy what entries have in common (sign flips,
 * Hong, Sheng and Dobriban 2020). All components added are then fitted together. The last visit solves the loadings of
 * all components at all positions. */
#include "second_pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_AUTO = 8, MOST_ROWS = 4096 };
static const size_t SAMPLE_BYTES = (size_t)32 << 20;
static const double EXCEEDS = 5;   /* standard deviations of counting noise */
static const double ONE_SIGMA_BELOW = 0.1587;

size_t um_second_pass_most(const um_nmf_options *options)
{
    return options->second_pass < 0 ? MOST_AUTO : (size_t)options->second_pass;
}

static size_t sample_room(size_t n, size_t pattern)
{
    size_t room = SAMPLE_BYTES / pattern > UM_SECOND_LEAST_ROWS ? SAMPLE_BYTES / pattern : UM_SECOND_LEAST_ROWS;
    room = room < MOST_ROWS ? room : MOST_ROWS;
    return room < n ? room : n;
}

size_t um_second_pass_bytes(const um_nmf_options *options, size_t n, size_t m, size_t ld, size_t k,
                            size_t pattern)
{
    if (options->second_pass == 0) {
        return 0;
    }
    size_t all = k + um_second_pass_most(options);
    size_t rows = sample_room(n, pattern);
    size_t maps = n * (3 * sizeof(double) + sizeof(int32_t));
    size_t taken = rows * (pattern + sizeof(um_sample_slot) + (all + 1) * sizeof(float));
    size_t flat = um_second_residual_room(rows, m) * (m * sizeof(float) + UM_SECOND_DIRECTIONS * sizeof(float)) +
                  UM_SECOND_DIRECTIONS * (ld * sizeof(float) + 2 * m * sizeof(double));
    size_t fit = all * (2 * ld * sizeof(float) + 2 * m * sizeof(double));
    size_t whole = all * (4 * ld + n) * sizeof(float); /* beside the state of the first fit */
    return maps + taken + (flat > fit ? flat : fit) + whole;
}

/* ---- which positions ----------------------------------------------------------------------------- */

static um_status score_positions(um_second *x, const um_nmf_state *state, const um_residual *residual)
{
    um_scaled *s = x->scaled;
    const um_shape shape = um_matrix_get_info(s->matrix)->shape;
    double *beyond = NULL;
    double *spread = NULL;
    um_status status = um_residual_beyond(s, state, residual->map_weighted, &beyond, &spread);
    for (size_t p = 0; status == UM_OK && p < s->n; p++) {
        double box = um_excess_box(shape.ny, shape.nx, beyond, spread, 0, (int64_t)p);
        x->score[p] = s->u[p] > 0 && spread[p] > 0 ? fmax(beyond[p] / spread[p], box) : NAN;
    }
    um_buffer_free(s->ctx, beyond);
    um_buffer_free(s->ctx, spread);
    return status;
}

static size_t count_above(const um_second *x, double limit)
{
    size_t count = 0;
    for (size_t p = 0; p < x->scaled->n; p++) {
        count += x->score[p] > limit;
    }
    return count;
}

/* From which score on a position stands out of the map: where all are worse than noise, only the worst of them. */
static um_status standing_out(const um_second *x, double *limit)
{
    um_context *ctx = x->scaled->ctx;
    double *sorted = NULL;
    UM_TRY(um_buffer_alloc(ctx, x->scaled->n, sizeof *sorted, "a map", &sorted));
    size_t count = 0;
    for (size_t p = 0; p < x->scaled->n; p++) {
        if (isfinite(x->score[p])) {
            sorted[count++] = x->score[p];
        }
    }
    qsort(sorted, count, sizeof *sorted, um_compare_f64);
    double middle = count > 0 ? sorted[count / 2] : 0;
    double below = count > 0 ? sorted[(size_t)(ONE_SIGMA_BELOW * (double)count)] : 0;
    *limit = fmax(0, middle) + EXCEEDS * fmax(1, middle - below);
    um_buffer_free(ctx, sorted);
    return UM_OK;
}

/* ---- gathering them ------------------------------------------------------------------------------ */

static um_status gather_rows(void *user, void *state, const um_tile *tile)
{
    (void)state;
    um_second *x = user;
    size_t pattern = x->sample.m * um_dtype_size(x->sample.dtype);
    for (size_t r = 0; r < tile->rows; r++) {
        int32_t row = x->row[tile->position[r]];
        if (row >= 0) {
            memcpy((char *)x->sample.data + (size_t)row * pattern,
                   (const char *)tile->data + r * pattern, pattern);
        }
    }
    return UM_OK;
}

/* Every so many-th of the positions above the limit, as many as there is room for. */
static void choose_rows(um_second *x, size_t count)
{
    size_t room = x->sample.room;
    size_t seen = 0;
    for (size_t p = 0; p < x->scaled->n; p++) {
        x->row[p] = -1;
        if (x->score[p] > x->limit) {
            size_t at = count > room ? seen * room / count : seen;
            size_t before = count > room && seen > 0 ? (seen - 1) * room / count : at;
            if (seen == 0 || count <= room || at != before) {
                x->sample.slot[at] = (um_sample_slot){(int64_t)p, at};
                x->row[p] = (int32_t)at;
                x->sample.rows = at + 1;
            }
            seen++;
        }
    }
}

static um_status gather(um_second *x, size_t count)
{
    um_scaled *s = x->scaled;
    um_sample *sample = &x->sample;
    *sample = (um_sample){.dtype = um_matrix_get_info(s->matrix)->dtype, .m = s->m};
    size_t pattern = s->m * um_dtype_size(sample->dtype);
    sample->room = sample_room(count, pattern);
    UM_TRY(um_buffer_alloc(s->ctx, sample->room, pattern, "unexplained patterns", &sample->data));
    UM_TRY(um_buffer_alloc(s->ctx, sample->room, sizeof *sample->slot, "unexplained patterns",
                           &sample->slot));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof *x->row, "positions", &x->row));
    choose_rows(x, count);
    const um_visitor visitor = {.visit = gather_rows};
    UM_TRY(um_matrix_pass(s->matrix, "unexplained patterns", &visitor, x));
    x->view = (um_sample_view){.scaled = *s, .sample = sample, .sound = true};
    x->view.scaled.u = NULL;
    x->view.scaled.n = sample->rows;
    x->view.scaled.rows = x->view.scaled.noisy_rows = (int64_t)sample->rows;
    UM_TRY(um_buffer_alloc(s->ctx, sample->rows, sizeof(float), "row weights", &x->view.scaled.u));
    for (size_t i = 0; i < sample->rows; i++) {
        x->view.scaled.u[i] = s->u[sample->slot[i].position];
    }
    return UM_OK;
}

static void let_go(um_second *x)
{
    um_context *ctx = x->scaled->ctx;
    um_sample_free(ctx, &x->sample);
    um_sample_free(ctx, &x->residual);
    um_buffer_free(ctx, x->row);
    um_buffer_free(ctx, x->view.scaled.u);
    um_buffer_free(ctx, x->flat.scaled.u);
    um_buffer_free(ctx, x->flat.scaled.v);
    um_nmf_state_free(ctx, &x->part);
    um_buffer_free(ctx, x->kept);
    x->row = NULL;
    x->kept = NULL;
    x->view = x->flat = (um_sample_view){0};
    x->part = (um_nmf_state){0};
}

/* ---- the whole scan ------------------------------------------------------------------------------ */

static um_status extend(um_second *x, um_nmf_state *state, um_residual *residual)
{
    um_scaled *s = x->scaled;
    size_t k = x->first + x->found;
    um_nmf_state more;
    um_status status = um_nmf_state_create(s, k, 0, &more);
    float *h = NULL;
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, k * s->ld, sizeof *h, "components", &h);
    }
    if (status != UM_OK) {
        um_nmf_state_free(s->ctx, &more);
        return status;
    }
    memcpy(more.h, state->h, x->first * s->ld * sizeof *more.h);
    memcpy(more.h + x->first * s->ld, x->kept + x->first * s->ld, x->found * s->ld * sizeof *more.h);
    for (size_t p = 0; p < s->n; p++) {
        memcpy(more.w + p * k, state->w + p * x->first, x->first * sizeof *more.w);
    }
    double *history[2] = {more.history, more.history_kkt};
    more.history = state->history;
    more.history_kkt = state->history_kkt;
    more.passes = state->passes;
    state->history = history[0];
    state->history_kkt = history[1];
    um_nmf_state_free(s->ctx, state);
    *state = more;
    um_buffer_free(s->ctx, residual->h);
    residual->h = h;
    return UM_OK;
}

static um_status work_on(um_second *x, um_nmf_state *state, um_second_pass *out)
{
    size_t count = count_above(x, x->limit);
    if (count < UM_SECOND_LEAST_ROWS) {
        return UM_OK;
    }
    UM_TRY(gather(x, count));
    UM_TRY(um_second_add(x, state));
    out->taken = (int64_t)count;
    out->components = (int64_t)x->found;
    out->pixels = (int64_t)x->pixels;
    return UM_OK;
}

um_status um_nmf_second_pass(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                             um_residual *residual, um_nmf_result *r)
{
    um_second_pass *out = &r->second;
    um_second x = {.scaled = s, .first = state->k, .most = um_second_pass_most(options)};
    size_t possible = (size_t)(s->noisy_rows < s->noisy_columns ? s->noisy_rows : s->noisy_columns);
    possible = possible < UM_HALS_LARGEST ? possible : UM_HALS_LARGEST;
    x.most = x.first + x.most <= possible ? x.most : possible > x.first ? possible - x.first : 0;
    *out = (um_second_pass){.first = (int64_t)x.first, .squares_before = residual->weighted};
    double limits[2] = {0, EXCEEDS};
    um_status status = um_buffer_alloc(s->ctx, s->n, sizeof *x.score, "a map", &x.score);
    if (status == UM_OK) {
        status = score_positions(&x, state, residual);
    }
    if (status == UM_OK) {
        status = standing_out(&x, &limits[0]);
    }
    out->before = status == UM_OK ? (int64_t)count_above(&x, EXCEEDS) : 0;
    /* What stands out of the map first; else all that is more than noise. */
    for (int i = 0; status == UM_OK && i < 2 && out->components == 0 && x.most > 0; i++) {
        x.limit = limits[i];
        let_go(&x);
        if (i == 0 || limits[1] < limits[0]) {
            status = work_on(&x, state, out);
        }
    }
    if (status == UM_OK && out->components > 0) {
        status = extend(&x, state, residual);
        status = status == UM_OK ? um_nmf_judge_pair(s, state, residual) : status;
        status = status == UM_OK ? score_positions(&x, state, residual) : status;
        r->passes += 2;
    }
    out->after = status == UM_OK ? (int64_t)count_above(&x, EXCEEDS) : 0;
    out->squares_after = residual->weighted;
    let_go(&x);
    um_buffer_free(s->ctx, x.score);
    return status;
}
