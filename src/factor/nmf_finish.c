/* From the state of the last pass to the result: W exact for the returned H, components in the data's
 * units, ordered, and every error evaluated directly at exactly those f32 factors. */
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FALLBACK_SWEEPS = 500 };

/* ---- W by exact non-negative least squares --------------------------------------------------- */

typedef struct solve_work {
    const um_scaled *scaled;
    um_nmf_state *state;
    double *g;
} solve_work;

static void solve_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                       double extra[4])
{
    solve_work *s = user;
    um_nmf_state *state = s->state;
    size_t k = state->k;
    double row_a[UM_HALS_LARGEST];
    double row_w[UM_HALS_LARGEST];
    double *work = malloc(k * (k + 4) * sizeof *work);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < k; c++) {
            row_a[c] = a[c * UM_GROUP_ROWS + r];
            row_w[c] = (double)state->w[(size_t)position[r] * k + c] * state->scale[c];
        }
        if (work == NULL || !um_nnls(k, s->g, row_a, row_w, work)) {
            s->scaled->kernels->hals(k, 1, 1, s->g, row_a, row_w, FALLBACK_SWEEPS, 1e-9);
        }
        for (size_t c = 0; c < k; c++) {
            float value = s->g[c * k + c] > 0 ? (float)row_w[c] : 0;
            state->w[(size_t)position[r] * k + c] = value;
            w[c * UM_GROUP_ROWS + r] = (double)value;
        }
        for (size_t c = 0; c < k; c++) {
            double gradient = -row_a[c];
            for (size_t d = 0; d < k; d++) {
                gradient += s->g[c * k + d] * row_w[d];
            }
            if (row_w[c] > 0 || gradient < 0) {
                extra[0] += gradient * gradient;
            }
            extra[1] += row_a[c] * row_a[c];
        }
    }
    free(work);
}

static um_status solve_loadings(um_scaled *s, um_nmf_state *state, um_nmf_result *r)
{
    size_t k = state->k;
    double *b = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, k * s->m, sizeof *b, "W'X", &b));
    double *g = calloc(2 * k * k, sizeof *g);
    um_status status = g != NULL ? UM_OK : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for G");
    if (status == UM_OK) {
        um_gram(state->h, k, s->ld, g);
        solve_work work = {s, state, g};
        um_exact_pass pass = {.scaled = s,
                              .k = k,
                              .h = state->h,
                              .rows = solve_rows,
                              .user = &work,
                              .b = b,
                              .g = g + k * k};
        status = um_exact_pass_run(&pass, "final loadings");
        r->passes++;
        r->kkt = um_kkt_residual(s, k, pass.g, b, state->h, pass.extra[0], pass.extra[1]);
    }
    um_buffer_free(s->ctx, b);
    free(g);
    return status;
}

/* ---- normalised and ordered components in the data's units ----------------------------------- */

typedef struct ranked {
    double contribution; /* sum(w_c) sum(h_c), counts */
    size_t component;
    double scale; /* divides h, multiplies w */
} ranked;

static int by_contribution(const void *a, const void *b)
{
    const ranked *x = a;
    const ranked *y = b;
    if (x->contribution != y->contribution) {
        return x->contribution > y->contribution ? -1 : 1;
    }
    return x->component < y->component ? -1 : 1;
}

static double size_of_component(const um_scaled *s, const float *h, um_normalize normalize,
                                double *sum_out)
{
    double sum = 0;
    double most = 0;
    double squares = 0;
    for (size_t j = 0; j < s->m; j++) {
        double x = s->v[j] > 0 ? (double)h[j] / (double)s->v[j] : 0;
        sum += x;
        squares += x * x;
        most = fmax(most, x);
    }
    *sum_out = sum;
    switch (normalize) {
    case UM_NORMALIZE_MAX:
        return most;
    case UM_NORMALIZE_NORM:
        return sqrt(squares);
    case UM_NORMALIZE_SUM:
        break;
    }
    return sum;
}

static void rank_components(const um_scaled *s, const um_nmf_options *options,
                            const um_nmf_state *state, ranked *rank)
{
    size_t k = state->k;
    for (size_t c = 0; c < k; c++) {
        double sum_w = 0;
        double sum_h = 0;
        for (size_t p = 0; p < s->n; p++) {
            sum_w += s->u[p] > 0 ? (double)state->w[p * k + c] / (double)s->u[p] : 0;
        }
        double size = size_of_component(s, state->h + c * s->ld, options->normalize, &sum_h);
        rank[c] = (ranked){sum_w * sum_h, c, size > 0 ? size : 1};
    }
    qsort(rank, k, sizeof *rank, by_contribution);
}

static void fill_model(const um_scaled *s, const um_nmf_state *state, const ranked *rank,
                       um_model *model)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    size_t k = state->k;
    float *factors = um_model_factors(model);
    float *loadings = um_model_loadings(model);
    for (size_t i = 0; i < k; i++) {
        const float *h = state->h + rank[i].component * s->ld;
        for (size_t j = 0; j < s->m; j++) {
            bool off = info->signal_mask != NULL && info->signal_mask[j] != 0;
            double x = s->v[j] > 0 ? (double)h[j] / ((double)s->v[j] * rank[i].scale) : 0;
            factors[i * s->m + j] = off ? NAN : (float)x;
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        bool off = info->navigation_mask != NULL && info->navigation_mask[p] != 0;
        for (size_t i = 0; i < k; i++) {
            double x = s->u[p] > 0 ? (double)state->w[p * k + rank[i].component] * rank[i].scale /
                                         (double)s->u[p]
                                   : 0;
            loadings[p * k + i] = off ? NAN : (float)x;
        }
    }
}

/* ---- errors at the returned factors ----------------------------------------------------------- */

typedef struct residual_run {
    const um_scaled *scaled;
    um_model *model;
    float *h, *on, *v2;
    double *map, *map_weighted; /* n: sums of squares of each pattern */
    double *sum_d, *sum_d2;     /* m */
    double plain, weighted;
} residual_run;

typedef struct residual_state {
    double *sum_d, *sum_d2;
    double plain, weighted;
    float *w;
} residual_state;

static void residual_stop(void *user, void *state)
{
    residual_run *run = user;
    residual_state *st = state;
    if (st != NULL) {
        um_buffer_free(run->scaled->ctx, st->sum_d);
        um_buffer_free(run->scaled->ctx, st->sum_d2);
        free(st->w);
        free(st);
    }
}

static um_status residual_start(void *user, void **state)
{
    residual_run *run = user;
    const um_scaled *s = run->scaled;
    residual_state *st = calloc(1, sizeof *st);
    if (st == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
    }
    *state = st;
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual of a worker", &st->sum_d));
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual of a worker", &st->sum_d2));
    st->w = calloc((size_t)um_model_k(run->model) * UM_GROUP_ROWS, sizeof *st->w);
    return st->w != NULL ? UM_OK : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a worker");
}

static um_status residual_visit(void *user, void *state, const um_tile *tile)
{
    residual_run *run = user;
    residual_state *st = state;
    const um_scaled *s = run->scaled;
    size_t k = (size_t)um_model_k(run->model);
    const float *loadings = um_model_loadings(run->model);
    for (size_t r = 0; r < tile->rows; r++) {
        memcpy(st->w + r * k, loadings + (size_t)tile->position[r] * k, k * sizeof *st->w);
    }
    double plain[UM_GROUP_ROWS];
    double weighted[UM_GROUP_ROWS];
    s->kernels->residual[tile->dtype](tile->data, tile->rows, s->m, st->w, run->h, s->ld, k,
                                      run->on, run->v2, plain, weighted, st->sum_d, st->sum_d2);
    for (size_t r = 0; r < tile->rows; r++) {
        size_t p = (size_t)tile->position[r];
        double u = (double)s->u[p];
        run->map[p] = plain[r];
        run->map_weighted[p] = u * u * weighted[r];
        st->plain += plain[r];
        st->weighted += run->map_weighted[p];
    }
    return UM_OK;
}

static um_status residual_merge(void *user, void *state)
{
    residual_run *run = user;
    residual_state *st = state;
    size_t m = run->scaled->m;
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

/* Maps are told relative to each pattern: rms residual, what Poisson noise of the counts would give, and
 * the weighted residual per pixel, 1 when there is nothing but counting noise. */
static um_status store_maps(residual_run *run)
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
    um_model *model = run->model;
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

static um_status make_residual_run(residual_run *run)
{
    const um_scaled *s = run->scaled;
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    size_t k = (size_t)um_model_k(run->model);
    UM_TRY(um_buffer_alloc(s->ctx, k * s->ld, sizeof(float), "components", &run->h));
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "pixel weights", &run->on));
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "pixel weights", &run->v2));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "residual map", &run->map));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "residual map", &run->map_weighted));
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual pattern", &run->sum_d));
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof(double), "residual pattern", &run->sum_d2));
    const float *factors = um_model_factors(run->model);
    for (size_t j = 0; j < s->m; j++) {
        bool on = info->signal_mask == NULL || info->signal_mask[j] == 0;
        run->on[j] = on;
        run->v2[j] = s->v[j] * s->v[j];
        for (size_t c = 0; on && c < k; c++) {
            run->h[c * s->ld + j] = factors[c * s->m + j];
        }
    }
    return UM_OK;
}

static um_status evaluate(um_scaled *s, um_nmf_result *r)
{
    residual_run run = {.scaled = s, .model = r->model};
    um_status status = make_residual_run(&run);
    if (status == UM_OK) {
        const um_visitor visitor = {.start = residual_start,
                                    .visit = residual_visit,
                                    .merge = residual_merge,
                                    .stop = residual_stop};
        status = um_matrix_pass(s->matrix, "residuals", &visitor, &run);
        r->passes++;
    }
    if (status == UM_OK) {
        r->frobenius_error = sqrt(run.plain);
        r->relative_error = sqrt(run.plain / s->sums->total_squares);
        r->weighted_error = sqrt(run.weighted) * s->report;
        double entries = (double)s->noisy_rows * (double)s->noisy_columns;
        r->noise_ratio = s->weighted ? run.weighted / entries : NAN;
        status = store_maps(&run);
    }
    um_buffer_free(s->ctx, run.h);
    um_buffer_free(s->ctx, run.on);
    um_buffer_free(s->ctx, run.v2);
    um_buffer_free(s->ctx, run.map);
    um_buffer_free(s->ctx, run.map_weighted);
    um_buffer_free(s->ctx, run.sum_d);
    um_buffer_free(s->ctx, run.sum_d2);
    return status;
}

/* ---- arrays and facts of the fit --------------------------------------------------------------- */

static um_status store_history(const um_scaled *s, const um_nmf_state *state, const ranked *rank,
                               um_model *model)
{
    double scale = s->report * s->report;
    for (int64_t i = 0; i < state->passes; i++) {
        state->history[i] *= scale;
    }
    int64_t k = (int64_t)state->k;
    double *share = calloc(state->k, sizeof *share);
    if (share == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for contributions");
    }
    double total = 0;
    for (size_t i = 0; i < state->k; i++) {
        total += rank[i].contribution;
    }
    for (size_t i = 0; i < state->k; i++) {
        share[i] = total > 0 ? rank[i].contribution / total : 0;
    }
    um_status status = um_model_set_array(model, "component_contribution", 1, &k, share);
    free(share);
    if (status == UM_OK) {
        status = um_model_set_array(model, "objective_history", 1, &state->passes, state->history);
    }
    if (status == UM_OK) {
        status = um_model_set_array(model, "kkt_history", 1, &state->passes, state->history_kkt);
    }
    return status;
}

um_status um_nmf_finish(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                        const um_subspace *subspace, um_nmf_result *r)
{
    size_t k = state->k;
    UM_TRY(solve_loadings(s, state, r));
    UM_TRY(um_model_of_scan(s, k, "NMF", &r->model));
    ranked *rank = calloc(k, sizeof *rank);
    if (rank == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
    }
    rank_components(s, options, state, rank);
    fill_model(s, state, rank, r->model);
    um_status status = store_history(s, state, rank, r->model);
    free(rank);
    UM_TRY(status);
    if (subspace->count > 0) {
        UM_TRY(um_model_add_spectrum(s, subspace, r->model));
    }
    return evaluate(s, r);
}
