#include "bench_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_ITEM = 64 };

typedef struct maker {
    um_context *ctx;
    um_bench_patterns *x;
    double density;
    uint32_t *counts; /* of a row */
    uint32_t *start;
    uint16_t *column;
    void *value;
} maker;

/* splitmix64: numbers need be no better than uneven enough. */
static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void store(char *data, um_dtype dtype, size_t i, unsigned value)
{
    switch (dtype) {
    case UM_U8:
        ((uint8_t *)data)[i] = (uint8_t)value;
        break;
    case UM_U16:
        ((uint16_t *)data)[i] = (uint16_t)value;
        break;
    case UM_U32:
        ((uint32_t *)data)[i] = value;
        break;
    default:
        ((float *)data)[i] = (float)value;
        break;
    }
}

static void fill_row(const maker *k, size_t row)
{
    const um_bench_patterns *x = k->x;
    char *to = x->data + row * x->m * um_dtype_size(x->dtype);
    uint64_t state = row * 0x632be59bd9b4e019u;
    uint32_t limit = (uint32_t)(k->density * 65536.0);
    for (size_t j = 0; j < x->m; j += 2) {
        uint64_t bits = next(&state);
        for (size_t i = j; i < j + 2 && i < x->m; i++, bits >>= 32) {
            unsigned value = (bits & 0xffff) < limit ? 1 + (unsigned)(bits >> 16 & 7) : 0;
            k->counts[row] += value > 0;
            store(to, x->dtype, i, value);
        }
    }
}

static void compress_row(const maker *k, size_t row)
{
    const um_bench_patterns *x = k->x;
    const char *from = x->data + row * x->m * um_dtype_size(x->dtype);
    size_t at = k->start[row];
    for (size_t j = 0; j < x->m; j++) {
        unsigned value =
            x->dtype == UM_U8 ? ((const uint8_t *)from)[j] : ((const uint16_t *)from)[j];
        if (value > 0) {
            k->column[at] = (uint16_t)j;
            store(k->value, x->dtype, at++, value);
        }
    }
}

static um_status work(void *user, int64_t item, int worker)
{
    (void)worker;
    const maker *k = user;
    size_t first = (size_t)item * ROWS_PER_ITEM;
    for (size_t row = first; row < first + ROWS_PER_ITEM && row < k->x->n; row++) {
        if (k->column == NULL) {
            fill_row(k, row);
        } else {
            compress_row(k, row);
        }
    }
    return UM_OK;
}

static um_status run(maker *k)
{
    int64_t items = (int64_t)((k->x->n + ROWS_PER_ITEM - 1) / ROWS_PER_ITEM);
    return um_pipeline_run(k->ctx, items, um_context_threads(k->ctx), work, NULL, k);
}

static um_status compress(maker *k)
{
    um_bench_patterns *x = k->x;
    UM_TRY(um_buffer_alloc(k->ctx, x->n + 1, sizeof *k->start, "sparse rows", &k->start));
    x->sparse.start = k->start;
    size_t stored = 0;
    for (size_t r = 0; r < x->n; r++) {
        k->start[r] = (uint32_t)stored;
        stored += k->counts[r];
    }
    if (stored > UINT32_MAX) {
        return um_fail(k->ctx, UM_ERROR_ARGUMENT, "sparse rows: too many entries to time at once");
    }
    k->start[x->n] = (uint32_t)stored;
    UM_TRY(um_buffer_alloc(k->ctx, stored, um_dtype_size(x->dtype), "sparse rows", &k->value));
    x->sparse.value = k->value;
    UM_TRY(um_buffer_alloc(k->ctx, stored, sizeof *k->column, "sparse rows", &k->column));
    x->sparse.column = k->column;
    x->sparse.value_dtype = x->dtype;
    return run(k);
}

um_status um_bench_patterns_make(um_context *ctx, const um_bench_problem *problem,
                                 um_bench_patterns *out)
{
    *out = (um_bench_patterns){
        .n = (size_t)problem->patterns, .m = (size_t)problem->pixels, .dtype = problem->dtype};
    UM_TRY(um_buffer_alloc(ctx, out->n, out->m * um_dtype_size(out->dtype), "patterns to time",
                           &out->data));
    maker k = {.ctx = ctx, .x = out, .density = problem->density};
    UM_TRY(um_buffer_alloc(ctx, out->n, sizeof *k.counts, "entries of rows", &k.counts));
    um_status status = run(&k);
    if (status == UM_OK && problem->sparse) {
        status = compress(&k);
    }
    for (size_t r = 0; r < out->n; r++) {
        out->stored += k.counts[r];
    }
    um_buffer_free(ctx, k.counts);
    return status;
}

void um_bench_patterns_free(um_context *ctx, um_bench_patterns *x)
{
    um_buffer_free(ctx, x->data);
    um_buffer_free(ctx, (void *)x->sparse.start);
    um_buffer_free(ctx, (void *)x->sparse.column);
    um_buffer_free(ctx, (void *)x->sparse.value);
    *x = (um_bench_patterns){0};
}
