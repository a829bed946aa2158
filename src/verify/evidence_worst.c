/* The worst positions as they were measured: one read, most of which is passed by. */
#include "evidence_internal.h"

#include <stdlib.h>

typedef struct worst_reader {
    um_context *ctx;
    um_evidence *evidence;
    int64_t nx;
} worst_reader;

/* Places differ, so workers never write to the same one. */
static um_status visit(void *user, void *state, const um_tile *tile)
{
    (void)state;
    const worst_reader *reader = user;
    um_evidence *e = reader->evidence;
    for (size_t r = 0; r < tile->rows; r++) {
        for (int64_t i = 0; i < e->worst_count; i++) {
            um_worst *worst = &e->worst[i];
            if (worst->y * reader->nx + worst->x != tile->position[r]) {
                continue;
            }
            size_t m = (size_t)e->pixels;
            um_array row = {.dtype = tile->dtype, .ndim = 1, .shape = {e->pixels},
                            .data = (char *)(uintptr_t)tile->data + r * m * um_dtype_size(tile->dtype)};
            for (int64_t j = 0; j < e->pixels; j++) {
                worst->measured[j] = (float)um_array_get(&row, j);
            }
        }
    }
    return UM_OK;
}

static um_status fill_model(um_context *ctx, um_model *model, um_evidence *e)
{
    const float *h = um_model_factors(model);
    const float *w = um_model_loadings(model);
    for (int64_t i = 0; i < e->worst_count; i++) {
        um_worst *worst = &e->worst[i];
        int64_t p = worst->y * um_model_shape(model).nx + worst->x;
        worst->measured = calloc((size_t)e->pixels, sizeof *worst->measured);
        worst->model = calloc((size_t)e->pixels, sizeof *worst->model);
        if (worst->measured == NULL || worst->model == NULL) {
            return um_fail(ctx, UM_ERROR_MEMORY, "no memory for patterns");
        }
        for (int64_t j = 0; j < e->pixels; j++) {
            double sum = 0;
            for (int64_t c = 0; c < e->k; c++) {
                sum += (double)w[p * e->k + c] * (double)h[c * e->pixels + j];
            }
            worst->model[j] = (float)sum;
        }
    }
    return UM_OK;
}

um_status um_evidence_read_worst(um_context *ctx, um_model *model, um_matrix *matrix, um_evidence *evidence)
{
    um_shape a = um_model_shape(model);
    um_shape b = um_matrix_get_info(matrix)->shape;
    if (a.ny != b.ny || a.nx != b.nx || a.ky != b.ky || a.kx != b.kx) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "the scan as prepared is %lldx%lldx%lldx%lld, the result %lldx%lldx%lldx%lld: give the preparation "
                       "options that the result was made with",
                       (long long)b.ny, (long long)b.nx, (long long)b.ky, (long long)b.kx, (long long)a.ny,
                       (long long)a.nx, (long long)a.ky, (long long)a.kx);
    }
    if (evidence->worst_count == 0) {
        return UM_OK;
    }
    UM_TRY(fill_model(ctx, model, evidence));
    worst_reader reader = {.ctx = ctx, .evidence = evidence, .nx = a.nx};
    const um_visitor visitor = {.visit = visit};
    return um_matrix_pass(matrix, "reading the worst positions", &visitor, &reader);
}
