/* Held-out entries: block bi-cross-validation (Gabriel 2002; Owen & Perry 2009) of the bi-whitened values. Positions and
 * pixels are dealt into FOLDS groups each. Of fold f the entries of its positions at its pixels are held out; with A held out,
 *     X' = [A B; C D],    D ~ U S V',    A is told as (B V) S^-1 (U'C)
 * with the first k triplets of D, for all k at once. What is told has seen nothing of A. */
#include "choose_internal.h"
#include "pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDS = 5, ROUNDS = 5, ROWS_PER_ITEM = 256, OTHERS = 6 };

typedef struct folding {
    const um_scaled *whole; /* of the sample, bi-whitened */
    const um_sample *sample;
    const uint8_t *row_fold, *column_fold;
    um_scaled train; /* u and v are its own: 0 in the fold */
    um_subspace found;
    size_t fold, l;
    double *q;      /* l x m: U'C, in the columns of the fold */
    double *error;  /* l x rows: squares that k + 1 components leave */
    double **partial; /* per worker: l x m */
    double **row;     /* per worker: m and l */
} folding;

static void read_row(const folding *k, size_t r, double *values)
{
    const um_sample *sample = k->sample;
    size_t pattern = sample->m * um_dtype_size(sample->dtype);
    (void)um_pixel_kernels_get(um_context_isa(k->whole->ctx))
        ->widen[sample->dtype](values, (const char *)sample->data + sample->slot[r].row * pattern, sample->m);
    for (size_t j = 0; j < sample->m; j++) {
        values[j] = k->whole->v[j] > 0 ? values[j] * (double)k->whole->u[r] * (double)k->whole->v[j] : 0;
    }
}

static bool held_out(const folding *k, size_t j)
{
    return k->column_fold[j] == k->fold && k->whole->v[j] > 0;
}

/* U'C of some rows. */
static um_status add_rows(void *user, int64_t item, int worker)
{
    folding *k = user;
    size_t m = k->whole->m;
    double *values = k->row[worker];
    double *partial = k->partial[worker];
    size_t last = ((size_t)item + 1) * ROWS_PER_ITEM;
    last = last < k->sample->rows ? last : k->sample->rows;
    for (size_t r = (size_t)item * ROWS_PER_ITEM; r < last; r++) {
        if (k->row_fold[r] == k->fold || !(k->whole->u[r] > 0)) {
            continue;
        }
        read_row(k, r, values);
        for (size_t c = 0; c < k->l; c++) {
            double us = (double)k->found.us[r * k->found.count + c];
            for (size_t j = 0; j < m; j++) {
                partial[c * m + j] += us * values[j];
            }
        }
    }
    return UM_OK;
}

static um_status merge_rows(void *user, int64_t item, int worker)
{
    (void)item;
    folding *k = user;
    for (size_t i = 0; i < k->l * k->whole->m; i++) {
        k->q[i] += k->partial[worker][i];
    }
    memset(k->partial[worker], 0, k->l * k->whole->m * sizeof **k->partial);
    return UM_OK;
}

/* Of a row of the fold: its entries there, component after component. */
static um_status tell_row(void *user, int64_t item, int worker)
{
    folding *k = user;
    size_t r = (size_t)item;
    size_t m = k->whole->m;
    double *values = k->row[worker];
    double *p = values + m;
    if (k->row_fold[r] != k->fold || !(k->whole->u[r] > 0)) {
        return UM_OK;
    }
    read_row(k, r, values);
    for (size_t c = 0; c < k->l; c++) {
        double sum = 0;
        for (size_t j = 0; j < m; j++) { /* v of D is 0 in the fold */
            sum += values[j] * (double)k->found.v[c * k->whole->ld + j];
        }
        double sigma = k->found.sigma[c];
        p[c] = sigma > 0 ? sum / (sigma * sigma) : 0;
    }
    for (size_t c = 0; c < k->l; c++) {
        double squares = 0;
        const double *q = k->q + c * m;
        for (size_t j = 0; j < m; j++) {
            if (held_out(k, j)) {
                values[j] -= p[c] * q[j];
                squares += values[j] * values[j];
            }
        }
        k->error[c * k->sample->rows + r] = squares;
    }
    return UM_OK;
}

static um_status one_fold(folding *k, size_t fold)
{
    um_context *ctx = k->whole->ctx;
    int threads = um_context_threads(ctx);
    size_t rows = k->sample->rows;
    float *o = NULL;
    k->fold = fold;
    for (size_t r = 0; r < rows; r++) {
        k->train.u[r] = k->row_fold[r] == fold ? 0 : k->whole->u[r];
    }
    for (size_t j = 0; j < k->whole->m; j++) {
        k->train.v[j] = k->column_fold[j] == fold ? 0 : k->whole->v[j];
    }
    size_t directions = k->l + OTHERS;
    UM_TRY(um_buffer_alloc(ctx, directions * k->whole->ld, sizeof *o, "directions", &o));
    um_random_basis(&k->train, directions, o);
    um_sample_view view = {.scaled = k->train, .sample = k->sample, .sound = true};
    UM_TRY(um_subspace_rounds(&k->train, directions, ROUNDS, um_sample_walk, &view, o, &k->found));
    memset(k->q, 0, k->l * k->whole->m * sizeof *k->q);
    int64_t items = (int64_t)((rows + ROWS_PER_ITEM - 1) / ROWS_PER_ITEM);
    um_status status = um_pipeline_run(ctx, items, threads, add_rows, merge_rows, k);
    if (status == UM_OK) {
        status = um_pipeline_run(ctx, (int64_t)rows, threads, tell_row, NULL, k);
    }
    um_subspace_free(ctx, &k->found);
    k->found = (um_subspace){.count = 0};
    return status;
}

static um_status make_room(folding *k)
{
    um_context *ctx = k->whole->ctx;
    size_t m = k->whole->m;
    int threads = um_context_threads(ctx);
    UM_TRY(um_buffer_alloc(ctx, k->sample->rows, sizeof(float), "row weights", &k->train.u));
    UM_TRY(um_buffer_alloc(ctx, k->whole->ld, sizeof(float), "pixel weights", &k->train.v));
    UM_TRY(um_buffer_alloc(ctx, k->l * m, sizeof *k->q, "held-out entries", &k->q));
    k->partial = calloc((size_t)threads, sizeof *k->partial);
    k->row = calloc((size_t)threads, sizeof *k->row);
    if (k->partial == NULL || k->row == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %d workers", threads);
    }
    for (int i = 0; i < threads; i++) {
        UM_TRY(um_buffer_alloc(ctx, k->l * m, sizeof **k->partial, "held-out entries", &k->partial[i]));
        UM_TRY(um_buffer_alloc(ctx, m + k->l, sizeof **k->row, "held-out entries", &k->row[i]));
    }
    return UM_OK;
}

static void free_room(folding *k)
{
    um_context *ctx = k->whole->ctx;
    for (int i = 0; i < um_context_threads(ctx); i++) {
        um_buffer_free(ctx, k->partial != NULL ? k->partial[i] : NULL);
        um_buffer_free(ctx, k->row != NULL ? k->row[i] : NULL);
    }
    free(k->partial);
    free(k->row);
    um_buffer_free(ctx, k->q);
    um_buffer_free(ctx, k->train.u);
    um_buffer_free(ctx, k->train.v);
}

/* Depends on the seed, and on the position or pixel only. */
static void deal(um_context *ctx, uint64_t first, size_t count, uint8_t *fold)
{
    const um_random random = {um_context_seed(ctx), UM_STREAM_ENTRIES};
    for (size_t i = 0; i < count; i++) {
        fold[i] = (uint8_t)(um_random_uniform(random, first + i) * FOLDS);
    }
}

um_status um_held_out_entries(const um_scaled *white, const um_sample *sample, size_t most, double *error)
{
    um_context *ctx = white->ctx;
    size_t rows = sample->rows;
    uint8_t *fold = NULL;
    UM_TRY(um_buffer_alloc(ctx, rows + white->m, 1, "held-out entries", &fold));
    deal(ctx, 0, white->m, fold);
    for (size_t r = 0; r < rows; r++) {
        deal(ctx, (UINT64_C(1) << 40) + (uint64_t)sample->slot[r].position, 1, fold + white->m + r);
    }
    folding k = {.whole = white, .sample = sample, .column_fold = fold, .row_fold = fold + white->m, .l = most,
                 .train = *white, .error = error};
    k.train.u = k.train.v = NULL;
    k.train.own_sums = NULL;
    um_status status = make_room(&k);
    for (size_t f = 0; f < FOLDS && status == UM_OK; f++) {
        status = um_check_cancel(ctx);
        status = status == UM_OK ? one_fold(&k, f) : status;
    }
    free_room(&k);
    um_buffer_free(ctx, fold);
    return status;
}
