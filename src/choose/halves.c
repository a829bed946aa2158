/* Count splitting: of every count a fair coin decides which half it goes to. Poisson counts of mean m become two
 * independent Poisson counts of mean m/2 (Neufeld et al. 2024), so that one half judges what was fitted to the
 * other. The coins of a pixel of a pattern depend on the seed, the position and the pixel only. */
#include "choose_internal.h"
#include "pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 8, EDGE_DIRECTIONS = 12, EDGE_ROUNDS = 12, COINS = 128, MOST_COINS = 1 << 14 };

static uint32_t heads(const uint32_t words[4], uint32_t coins)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 4 && coins > 32 * i; i++) {
        uint32_t left = coins - 32 * i;
        uint32_t mask = left >= 32 ? UINT32_MAX : (UINT32_C(1) << left) - 1;
        sum += (uint32_t)__builtin_popcount(words[i] & mask);
    }
    return sum;
}

uint32_t um_thin(um_random random, uint64_t counter, uint32_t count)
{
    if (count > MOST_COINS) { /* the binomial law is normal to a part in `count` */
        double pair[2];
        um_random_normal2(random, counter, pair);
        double half = 0.5 * (double)count;
        return (uint32_t)fmin(fmax(rint(half + pair[0] * sqrt(0.5 * half)), 0), (double)count);
    }
    uint32_t sum = 0;
    for (uint64_t turn = 0; count > 0; turn++) {
        uint32_t coins = count < COINS ? count : COINS;
        uint32_t words[4];
        /* Further coins come from streams of their own, above every named one. */
        um_random_words((um_random){random.seed, random.stream + (turn << 32)}, counter, words);
        sum += heads(words, coins);
        count -= coins;
    }
    return sum;
}

/* ---- splitting rows --------------------------------------------------------------------------------- */

static void store(um_sample *sample, size_t row, size_t column, uint32_t count)
{
    size_t at = row * sample->m + column;
    if (sample->dtype == UM_U8) {
        ((uint8_t *)sample->data)[at] = (uint8_t)count;
    } else if (sample->dtype == UM_U16) {
        ((uint16_t *)sample->data)[at] = (uint16_t)count;
    } else {
        ((uint32_t *)sample->data)[at] = count;
    }
}

typedef struct splitting {
    const um_split *split;
    um_half *half;
    double **values; /* a row for each worker */
    uint32_t *most;  /* largest count of each row */
} splitting;

/* Counts of a row; what is excluded has none. */
static void read_row(const splitting *k, size_t r, double *values)
{
    const um_split *split = k->split;
    const um_sample *from = split->from;
    const um_pixel_kernels *kernels = um_pixel_kernels_get(um_context_isa(split->scaled->ctx));
    size_t pattern = from->m * um_dtype_size(from->dtype);
    (void)kernels->widen[from->dtype](values, (const char *)from->data + from->slot[r].row * pattern,
                                      from->m);
    for (size_t j = 0; j < from->m; j++) {
        double x = split->v[j] > 0 ? rint(values[j] / split->unit) : 0;
        values[j] = x > 0 ? fmin(x, 4e9) : 0;
    }
}

static um_status find_most(void *user, int64_t item, int worker)
{
    splitting *k = user;
    read_row(k, (size_t)item, k->values[worker]);
    for (size_t j = 0; j < k->split->from->m; j++) {
        uint32_t count = (uint32_t)k->values[worker][j];
        k->most[item] = count > k->most[item] ? count : k->most[item];
    }
    return UM_OK;
}

static um_status split_row(void *user, int64_t item, int worker)
{
    splitting *k = user;
    const um_split *split = k->split;
    size_t r = (size_t)item;
    um_random random = {um_context_seed(split->scaled->ctx), split->stream};
    uint64_t first = (uint64_t)split->from->slot[r].position * split->from->m;
    read_row(k, r, k->values[worker]);
    for (size_t j = 0; j < split->from->m; j++) {
        uint32_t count = (uint32_t)k->values[worker][j];
        if (count > 0) {
            uint32_t thin = um_thin(random, first + j, count);
            store(&k->half[0].sample, r, j, thin);
            store(&k->half[1].sample, r, j, count - thin);
            k->half[0].row[r] += (double)thin;
            k->half[1].row[r] += (double)(count - thin);
        }
    }
    return UM_OK;
}

static um_status make_half(const um_split *split, um_dtype dtype, um_half *out)
{
    um_context *ctx = split->scaled->ctx;
    size_t rows = split->from->rows;
    size_t m = split->from->m;
    out->sample = (um_sample){.dtype = dtype, .rows = rows, .room = rows, .m = m};
    UM_TRY(um_buffer_alloc(ctx, rows * m, um_dtype_size(dtype), "split counts", &out->sample.data));
    UM_TRY(um_buffer_alloc(ctx, rows, sizeof *out->sample.slot, "split counts", &out->sample.slot));
    UM_TRY(um_buffer_alloc(ctx, rows, sizeof *out->row, "split counts", &out->row));
    UM_TRY(um_buffer_alloc(ctx, m, sizeof *out->column, "split counts", &out->column));
    out->scaled = *split->scaled;
    out->scaled.own_sums = NULL;
    out->scaled.u = out->scaled.v = NULL;
    UM_TRY(um_buffer_alloc(ctx, rows, sizeof(float), "split counts", &out->scaled.u));
    UM_TRY(um_buffer_alloc(ctx, split->scaled->ld, sizeof(float), "split counts", &out->scaled.v));
    out->scaled.n = rows;
    out->scaled.dtype = dtype;
    for (size_t r = 0; r < rows; r++) {
        out->sample.slot[r] = (um_sample_slot){split->from->slot[r].position, r};
        out->scaled.u[r] = split->u[r] * (float)sqrt(2 * split->unit); /* half the counts: half the variance */
    }
    memcpy(out->scaled.v, split->v, m * sizeof(float));
    return UM_OK;
}

double um_count_at(const um_sample *sample, size_t at)
{
    return sample->dtype == UM_U8    ? (double)((const uint8_t *)sample->data)[at]
           : sample->dtype == UM_U16 ? (double)((const uint16_t *)sample->data)[at]
                                     : (double)((const uint32_t *)sample->data)[at];
}

static void sum_columns(um_half *half)
{
    const um_sample *sample = &half->sample;
    for (size_t r = 0; r < sample->rows; r++) {
        for (size_t j = 0; j < sample->m; j++) {
            half->column[j] += um_count_at(sample, r * sample->m + j);
        }
        half->total += half->row[r];
    }
}

/* The image of a half is found from random directions: those of all counts know the other half. */
static um_status find_image(const um_split *split, um_half *half)
{
    um_scaled *s = &half->scaled;
    float *o = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, split->directions * s->ld, sizeof *o, "directions", &o));
    um_random_basis(s, split->directions, o);
    um_sample_view view = {.scaled = *s, .sample = &half->sample, .sound = true};
    UM_TRY(um_subspace_rounds(s, split->directions, ROUNDS, um_sample_walk, &view, o, &half->image));
    s->norm2 = half->image.norm2;
    return UM_OK;
}

static um_status split_rows(splitting *k)
{
    const um_split *split = k->split;
    um_context *ctx = split->scaled->ctx;
    int64_t rows = (int64_t)split->from->rows;
    int threads = um_context_threads(ctx);
    UM_TRY(um_pipeline_run(ctx, rows, threads, find_most, NULL, k));
    uint32_t most = 0;
    for (int64_t r = 0; r < rows; r++) {
        most = k->most[r] > most ? k->most[r] : most;
    }
    um_dtype dtype = most <= UINT8_MAX ? UM_U8 : most <= UINT16_MAX ? UM_U16 : UM_U32;
    UM_TRY(make_half(split, dtype, &k->half[0]));
    UM_TRY(make_half(split, dtype, &k->half[1]));
    UM_TRY(um_pipeline_run(ctx, rows, threads, split_row, NULL, k));
    for (int h = 0; h < 2; h++) {
        sum_columns(&k->half[h]);
        UM_TRY(find_image(split, &k->half[h]));
    }
    return UM_OK;
}

um_status um_halves_make(const um_split *split, um_half half[2])
{
    um_context *ctx = split->scaled->ctx;
    int threads = um_context_threads(ctx);
    splitting k = {.split = split, .half = half};
    half[0] = half[1] = (um_half){.total = 0};
    k.values = calloc((size_t)threads, sizeof *k.values);
    k.most = calloc(split->from->rows, sizeof *k.most);
    bool made = k.values != NULL && k.most != NULL;
    for (int i = 0; made && i < threads; i++) {
        k.values[i] = malloc(split->from->m * sizeof *k.values[i]);
        made = k.values[i] != NULL;
    }
    um_status status = made ? split_rows(&k) : um_fail(ctx, UM_ERROR_MEMORY, "no memory for counts");
    for (int i = 0; k.values != NULL && i < threads; i++) {
        free(k.values[i]);
    }
    free(k.values);
    free(k.most);
    if (status != UM_OK) {
        um_halves_free(ctx, half);
    }
    return status;
}

um_status um_halves_edge(const um_half half[2], double *edge)
{
    um_scaled s = half[0].scaled;
    um_sample difference = half[0].sample;
    um_subspace found = {.count = 0};
    float *o = NULL;
    size_t size = difference.rows * difference.m;
    size_t l = EDGE_DIRECTIONS < difference.rows ? EDGE_DIRECTIONS : difference.rows;
    l = l < difference.m ? l : difference.m;
    difference.dtype = s.dtype = UM_F32;
    UM_TRY(um_buffer_alloc(s.ctx, size, sizeof(float), "split counts", &difference.data));
    float *x = difference.data;
    for (size_t i = 0; i < size; i++) {
        x[i] = (float)(um_count_at(&half[0].sample, i) - um_count_at(&half[1].sample, i));
    }
    um_status status = um_buffer_alloc(s.ctx, l * s.ld, sizeof *o, "directions", &o);
    if (status == UM_OK) {
        um_random_basis(&s, l, o);
        um_sample_view view = {.scaled = s, .sample = &difference, .sound = true};
        status = um_subspace_rounds(&s, l, EDGE_ROUNDS, um_sample_walk, &view, o, &found);
    }
    if (status == UM_OK) { /* its variance is twice that of a half */
        *edge = found.sigma[0] / sqrt(2) / um_white_edge_of(difference.rows, s.noisy_columns);
    }
    um_subspace_free(s.ctx, &found);
    um_buffer_free(s.ctx, difference.data);
    return status;
}

void um_halves_free(um_context *ctx, um_half half[2])
{
    for (int h = 0; h < 2; h++) {
        um_buffer_free(ctx, half[h].sample.data);
        um_buffer_free(ctx, half[h].sample.slot);
        um_buffer_free(ctx, half[h].row);
        um_buffer_free(ctx, half[h].column);
        um_buffer_free(ctx, half[h].scaled.u);
        um_buffer_free(ctx, half[h].scaled.v);
        um_subspace_free(ctx, &half[h].image);
        half[h] = (um_half){.total = 0};
    }
}
