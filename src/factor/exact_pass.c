/* One read of the scan: A = X'H', rows of W, W'X' and W'W in one visit of each group of patterns. */
#include "exact_internal.h"

#include <stdlib.h>
#include <string.h>

/* W'X was gathered without the pixel weights, and only the upper half of W'W. */
static void complete(um_exact_pass *pass)
{
    const um_scaled *s = pass->scaled;
    size_t k = pass->k;
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            /* Excluded pixels may hold anything. */
            pass->b[c * s->m + j] = s->v[j] > 0 ? pass->b[c * s->m + j] * (double)s->v[j] : 0;
        }
    }
    um_complete_gram(pass->g, k);
}

static void run_free(um_exact_run *run)
{
    if (run != NULL) {
        um_context *ctx = run->pass->scaled->ctx;
        um_buffer_free(ctx, run->hv);
        um_buffer_free(ctx, run->ht);
        um_buffer_free(ctx, run->grid);
        um_buffer_free(ctx, run->tiles);
        free(run->step);
        um_buffer_free(ctx, run->v2);
        free(run);
    }
}

um_status um_exact_run_begin(um_exact_pass *pass, bool sparse, um_exact_run **out)
{
    const um_scaled *s = pass->scaled;
    size_t k = pass->k;
    memset(pass->b, 0, k * s->m * sizeof *pass->b);
    memset(pass->g, 0, k * k * sizeof *pass->g);
    memset(pass->extra, 0, sizeof pass->extra);
    pass->norm2 = 0;
    um_exact_run *run = calloc(1, sizeof *run);
    if (run == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a pass");
    }
    run->pass = pass;
    run->sparse = sparse;
    run->batch = 1;
    run->room = sparse ? UM_SPARSE_BATCH : UM_TILE_BATCH;
    run->stride = um_kernel_sparse_stride(k);
    um_status status = um_exact_make_factors(run);
    if (status != UM_OK) {
        run_free(run);
        return status;
    }
    *out = run;
    return UM_OK;
}

static bool takes_sparse(const um_companion *c)
{
    return c->visitor == NULL || c->visitor->sparse;
}

um_status um_exact_run_end(um_exact_run *run, um_status status)
{
    um_exact_pass *pass = run->pass;
    if (status == UM_OK && pass->settle != NULL) {
        status = pass->settle(pass->user);
    }
    if (status == UM_OK) {
        complete(pass);
    }
    run_free(run);
    return status;
}

um_status um_exact_pass_run(um_exact_pass *pass, const char *stage)
{
    um_exact_run *run = NULL;
    bool sparse = false;
    if (pass->walk == NULL && takes_sparse(&pass->before) && takes_sparse(&pass->after)) {
        /* Errors of all values cost so much more than those of stored ones that they decide. */
        size_t k = pass->after.visitor != NULL ? 0 : pass->k;
        UM_TRY(um_matrix_decide_sparse(pass->scaled->matrix, k, &sparse));
    }
    UM_TRY(um_exact_run_begin(pass, sparse, &run));
    um_visitor visitor = um_exact_visitor;
    visitor.sparse = sparse;
    um_status status = pass->walk != NULL
                           ? pass->walk(pass->walker, &visitor, run)
                           : um_matrix_pass(pass->scaled->matrix, stage, &visitor, run);
    return um_exact_run_end(run, status);
}

void um_gram(const float *h, size_t k, size_t ld, double *g)
{
    for (size_t c = 0; c < k; c++) {
        for (size_t d = c; d < k; d++) {
            double sum[8] = {0};
            for (size_t j = 0; j < ld; j += 8) { /* ld is a multiple of UM_KERNEL_PACK */
                for (size_t i = 0; i < 8; i++) {
                    sum[i] += (double)h[c * ld + j + i] * (double)h[d * ld + j + i];
                }
            }
            g[c * k + d] = ((sum[0] + sum[4]) + (sum[1] + sum[5])) +
                           ((sum[2] + sum[6]) + (sum[3] + sum[7]));
        }
    }
    um_complete_gram(g, k);
}
