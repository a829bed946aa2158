/* Errors at exactly the given factors while a tile is in cache: maps and patterns of the residual, plain and
 * weighted. Patterns are taken element by element; of sparse rows only what is stored is, and what W H is elsewhere
 * is a closed form of W'W and H H'. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct residual_state {
    double *sum_d, *sum_d2;
    double plain, weighted;
    float *w;
    double *w_sum, *w_gram; /* k, k x k: of the rows that were sparse */
} residual_state;

static void residual_stop(void *user, void *state)
{
    um_residual *run = user;
    residual_state *st = state;
    if (st != NULL) {
        um_buffer_free(run->scaled->ctx, st->sum_d);
        um_buffer_free(run->scaled->ctx, st->sum_d2);
        free(st->w);
        free(st->w_sum);
        free(st->w_gram);
        free(st);
    }
}

static um_status residual_start(void *user, void **state)
{
    um_residual *run = user;
    const um_scaled *s = run->scaled;
    residual_state *st = calloc(1, sizeof *st);
    if (st == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    *state = st;
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual of a worker", &st->sum_d));
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual of a worker", &st->sum_d2));
    size_t k = run->state->k;
    st->w = calloc(k * UM_GROUP_ROWS, sizeof *st->w);
    st->w_sum = calloc(k, sizeof *st->w_sum);
    st->w_gram = calloc(k * k, sizeof *st->w_gram);
    return st->w != NULL && st->w_sum != NULL && st->w_gram != NULL
               ? UM_OK
               : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
}

static double quadratic_form(size_t k, const double *gram, const float *w)
{
    double sum = 0;
    for (size_t c = 0; c < k; c++) {
        double of_row = 0;
        for (size_t d = 0; d < k; d++) {
            of_row += gram[c * k + d] * (double)w[d];
        }
        sum += (double)w[c] * of_row;
    }
    return sum;
}

static void visit_sparse(const um_residual *run, residual_state *st, const um_tile *tile,
                         double *plain, double *weighted)
{
    size_t k = run->state->k;
    run->scaled->kernels->residual_sparse(tile->sparse, tile->rows, st->w, run->ht, run->stride, k,
                                          run->on, run->v2, plain, weighted, st->sum_d,
                                          st->sum_d2);
    for (size_t r = 0; r < tile->rows; r++) {
        const float *w = st->w + r * k;
        plain[r] += quadratic_form(k, run->gram, w);
        weighted[r] += quadratic_form(k, run->gram_v2, w);
        for (size_t c = 0; c < k; c++) {
            st->w_sum[c] += (double)w[c];
            for (size_t d = 0; d < k; d++) {
                st->w_gram[c * k + d] += (double)w[c] * (double)w[d];
            }
        }
    }
}

static um_status residual_visit(void *user, void *state, const um_tile *tile)
{
    um_residual *run = user;
    residual_state *st = state;
    const um_scaled *s = run->scaled;
    size_t k = run->state->k;
    for (size_t r = 0; r < tile->rows; r++) {
        size_t p = (size_t)tile->position[r];
        double u = (double)s->u[p];
        for (size_t c = 0; c < k; c++) {
            st->w[r * k + c] = u > 0 ? (float)((double)run->state->w[p * k + c] / u) : 0;
        }
    }
    double plain[UM_GROUP_ROWS];
    double weighted[UM_GROUP_ROWS];
    if (tile->sparse != NULL) {
        visit_sparse(run, st, tile, plain, weighted);
    } else {
        s->kernels->residual[tile->dtype](tile->data, tile->rows, s->m, st->w, run->h, s->ld, k,
                                          run->on, run->v2, plain, weighted, st->sum_d, st->sum_d2);
    }
    for (size_t r = 0; r < tile->rows; r++) {
        size_t p = (size_t)tile->position[r];
        double u = (double)s->u[p];
        run->map[p] = plain[r];
        run->map_weighted[p] = u * u * weighted[r];
        st->plain += plain[r];
        st->weighted += run->map_weighted[p];
    }
    if (run->inside != NULL) {
        double sum[UM_GROUP_ROWS];
        _Alignas(64) float scratch[UM_GROUP_ROWS * UM_KERNEL_PACK];
        if (tile->sparse != NULL) {
            s->kernels->sums_sparse(tile->sparse, tile->rows, run->inside, sum);
        } else {
            s->kernels->project[tile->dtype](tile->data, tile->rows, s->m, run->inside, 1, sum,
                                             scratch);
        }
        for (size_t r = 0; r < tile->rows; r++) {
            run->virtual_map[tile->position[r]] = sum[r];
        }
    }
    return UM_OK;
}

/* The sums per pixel of on (0 - w h) over the rows that were sparse. */
static void add_elsewhere(const um_residual *run, residual_state *st)
{
    size_t k = run->state->k;
    for (size_t j = 0; j < run->scaled->m; j++) {
        const float *h = run->ht + j * run->stride;
        double sum = 0;
        for (size_t c = 0; c < k; c++) {
            sum += st->w_sum[c] * (double)h[c];
        }
        st->sum_d[j] -= sum;
        st->sum_d2[j] += quadratic_form(k, st->w_gram, h);
    }
    memset(st->w_sum, 0, k * sizeof *st->w_sum);
    memset(st->w_gram, 0, k * k * sizeof *st->w_gram);
}

static um_status residual_merge(void *user, void *state)
{
    um_residual *run = user;
    residual_state *st = state;
    size_t m = run->scaled->m;
    if (run->ht != NULL) {
        add_elsewhere(run, st);
    }
    for (size_t j = 0; j < m; j++) {
        run->sum_d[j] += st->sum_d[j];
        run->sum_d2[j] += st->sum_d2[j];
    }
    run->plain += st->plain;
    run->weighted += st->weighted;
    memset(st->sum_d, 0, m * sizeof *st->sum_d);
    memset(st->sum_d2, 0, m * sizeof *st->sum_d2);
    st->plain = 0;
    st->weighted = 0;
    return UM_OK;
}

const um_visitor um_residual_visitor = {.start = residual_start,
                                        .visit = residual_visit,
                                        .merge = residual_merge,
                                        .stop = residual_stop,
                                        .sparse = true};

um_status um_residual_create(const um_scaled *s, const um_nmf_state *state, um_residual *run)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    *run = (um_residual){.scaled = s, .state = state};
    UM_TRY(um_buffer_alloc(s->ctx, state->k * s->ld, sizeof(float), "components", &run->h));
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "pixel weights", &run->on));
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "pixel weights", &run->v2));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "residual map", &run->map));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "residual map", &run->map_weighted));
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual pattern", &run->sum_d));
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual pattern", &run->sum_d2));
    for (size_t j = 0; j < s->m; j++) {
        run->on[j] = info->signal_mask == NULL || info->signal_mask[j] == 0;
        run->v2[j] = s->v[j] * s->v[j];
    }
    bool sparse = false;
    UM_TRY(um_matrix_decide_sparse(s->matrix, 0, &sparse));
    if (sparse) {
        run->stride = um_kernel_sparse_stride(state->k);
        UM_TRY(um_buffer_alloc(s->ctx, s->m * run->stride, sizeof(float), "components", &run->ht));
        UM_TRY(um_buffer_alloc(s->ctx, 2 * state->k * state->k, sizeof(double), "H H'", &run->gram));
        run->gram_v2 = run->gram + state->k * state->k;
    }
    return UM_OK;
}

/* H for sparse rows, and what W H adds to the errors where nothing is stored. */
static void transpose(um_residual *run)
{
    size_t k = run->state->k;
    memset(run->gram, 0, 2 * k * k * sizeof *run->gram);
    for (size_t j = 0; j < run->scaled->m; j++) {
        float *h = run->ht + j * run->stride;
        for (size_t c = 0; c < k; c++) {
            h[c] = run->on[j] * run->h[c * run->scaled->ld + j];
        }
        for (size_t c = 0; c < k; c++) {
            for (size_t d = 0; d < k; d++) {
                double product = (double)h[c] * (double)h[d];
                run->gram[c * k + d] += product;
                run->gram_v2[c * k + d] += product * (double)run->v2[j];
            }
        }
    }
}

void um_residual_begin(um_residual *run)
{
    const um_scaled *s = run->scaled;
    for (size_t c = 0; c < run->state->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double v = (double)s->v[j];
            run->h[c * s->ld + j] = v > 0 ? (float)((double)run->state->h[c * s->ld + j] / v) : 0;
        }
    }
    if (run->ht != NULL) {
        transpose(run);
    }
    memset(run->sum_d, 0, s->m * sizeof *run->sum_d);
    memset(run->sum_d2, 0, s->m * sizeof *run->sum_d2);
    run->plain = run->weighted = 0;
}

void um_residual_free(um_residual *run)
{
    if (run->scaled == NULL) {
        return;
    }
    um_context *ctx = run->scaled->ctx;
    um_buffer_free(ctx, run->h);
    um_buffer_free(ctx, run->ht);
    um_buffer_free(ctx, run->gram);
    um_buffer_free(ctx, run->inside);
    free(run->virtual_map);
    um_buffer_free(ctx, run->on);
    um_buffer_free(ctx, run->v2);
    um_buffer_free(ctx, run->map);
    um_buffer_free(ctx, run->map_weighted);
    um_buffer_free(ctx, run->sum_d);
    um_buffer_free(ctx, run->sum_d2);
}

/* Maps are told relative to each pattern: rms residual, what Poisson noise of the counts would give, and
 * the weighted residual per pixel, 1 when there is nothing but counting noise. */
um_status um_residual_store(um_residual *run, um_model *model)
{
    const um_scaled *s = run->scaled;
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    const int64_t map_shape[2] = {info->shape.ny, info->shape.nx};
    const int64_t pattern_shape[2] = {info->shape.ky, info->shape.kx};
    double *expected = calloc(s->n, sizeof *expected);
    if (expected == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a map");
    }
    for (size_t p = 0; p < s->n; p++) {
        double squares = s->sums->square_map[p];
        bool off = info->navigation_mask != NULL && info->navigation_mask[p] != 0;
        run->map[p] = off ? NAN : (squares > 0 ? sqrt(run->map[p] / squares) : 0);
        expected[p] = off ? NAN : (squares > 0 ? sqrt(s->sums->sum_map[p] / squares) : 0);
        run->map_weighted[p] = off ? NAN : run->map_weighted[p] / (double)s->noisy_columns;
    }
    for (size_t j = 0; j < s->m; j++) {
        bool off = info->signal_mask != NULL && info->signal_mask[j] != 0;
        run->sum_d[j] = off ? NAN : run->sum_d[j] / (double)s->rows;
        run->sum_d2[j] = off ? NAN : sqrt(run->sum_d2[j] / (double)s->rows);
    }
    um_status status = um_model_set_array(model, "residual_map", 2, map_shape, run->map);
    if (status == UM_OK && info->counts) {
        status = um_model_set_array(model, "residual_map_expected", 2, map_shape, expected);
    }
    if (status == UM_OK && s->weighted) {
        status =
            um_model_set_array(model, "residual_map_weighted", 2, map_shape, run->map_weighted);
    }
    if (status == UM_OK) {
        status = um_model_set_array(model, "residual_pattern", 2, pattern_shape, run->sum_d);
    }
    if (status == UM_OK) {
        status = um_model_set_array(model, "residual_pattern_rms", 2, pattern_shape, run->sum_d2);
    }
    free(expected);
    return status;
}
