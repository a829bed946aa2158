/* The exact pass on a low-rank image of X' in memory: A = us (v H'), B = (W' us) v. With the leading singular
 * vectors of the scan it tells starts apart at a thousandth of the cost of a read (LAI-NMF; Zhou, Cichocki & Xie
 * 2012); with what an exact pass adds to them (correction.c) it agrees with the scan where that pass was taken. */
#include "factor_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_ITEM = 2048, FLUSH_GROUPS = 8, BLOCKS = 3 };

/* Directions that are stored together. */
typedef struct block {
    size_t count, stride;
    const float *us, *v;
    float *hv; /* packed k x stride: H v' */
    double *b; /* packed k x stride: W' us */
} block;

typedef struct worker {
    float *b[BLOCKS];    /* packed, since the last flush */
    double *b64[BLOCKS]; /* packed, of the item */
    float *scratch;
    double *g, *a, *panel_a, *panel_w;
    float *w;
    double extra[4];
} worker;

typedef struct lowrank {
    um_exact_pass *pass;
    block block[BLOCKS];
    int blocks;
    worker *workers;
} lowrank;

/* ---- rows --------------------------------------------------------------------------------------- */

static void project_rows(const lowrank *job, worker *w, size_t first, size_t rows)
{
    size_t k = job->pass->k;
    memset(w->panel_a, 0, k * UM_GROUP_ROWS * sizeof *w->panel_a);
    for (int i = 0; i < job->blocks; i++) {
        const block *b = &job->block[i];
        job->pass->scaled->kernels->project[UM_F32](b->us + first * b->count, rows, b->count, b->hv, k,
                                                    w->a, w->scratch);
        for (size_t r = 0; r < rows; r++) {
            for (size_t c = 0; c < k; c++) {
                w->panel_a[c * UM_GROUP_ROWS + r] += w->a[r * k + c];
            }
        }
    }
}

static void visit_rows(const lowrank *job, worker *w, size_t first, size_t rows)
{
    um_exact_pass *pass = job->pass;
    size_t k = pass->k;
    int64_t position[UM_GROUP_ROWS];
    for (size_t r = 0; r < UM_GROUP_ROWS; r++) {
        position[r] = (int64_t)(first + r);
    }
    project_rows(job, w, first, rows);
    memset(w->panel_w, 0, k * UM_GROUP_ROWS * sizeof *w->panel_w);
    pass->rows(pass->user, position, rows, w->panel_a, w->panel_w, w->extra);
    for (size_t c = 0; c < k; c++) {
        for (size_t r = 0; r < rows; r++) {
            w->w[r * k + c] = (float)w->panel_w[c * UM_GROUP_ROWS + r];
        }
    }
    um_panel_gram(w->panel_w, k, w->g);
    for (int i = 0; i < job->blocks; i++) {
        const block *b = &job->block[i];
        pass->scaled->kernels->accumulate[UM_F32](b->us + first * b->count, rows, b->count, w->w, k,
                                                  w->b[i]);
    }
}

static void flush(const lowrank *job, worker *w)
{
    for (int i = 0; i < job->blocks; i++) {
        size_t size = job->pass->k * job->block[i].stride;
        for (size_t j = 0; j < size; j++) {
            w->b64[i][j] += (double)w->b[i][j];
        }
        memset(w->b[i], 0, size * sizeof *w->b[i]);
    }
}

static um_status work_item(void *user, int64_t item, int index)
{
    lowrank *job = user;
    worker *w = &job->workers[index];
    size_t n = job->pass->scaled->n;
    size_t first = (size_t)item * ROWS_PER_ITEM;
    size_t last = first + ROWS_PER_ITEM < n ? first + ROWS_PER_ITEM : n;
    int groups = 0;
    for (size_t p = first; p < last; p += UM_GROUP_ROWS) {
        visit_rows(job, w, p, last - p < UM_GROUP_ROWS ? last - p : UM_GROUP_ROWS);
        if (++groups % FLUSH_GROUPS == 0) {
            flush(job, w);
        }
    }
    flush(job, w);
    return UM_OK;
}

static um_status merge_item(void *user, int64_t item, int index)
{
    (void)item;
    lowrank *job = user;
    um_exact_pass *pass = job->pass;
    worker *w = &job->workers[index];
    size_t k = pass->k;
    for (int i = 0; i < job->blocks; i++) {
        size_t size = k * job->block[i].stride;
        for (size_t j = 0; j < size; j++) {
            job->block[i].b[j] += w->b64[i][j];
        }
        memset(w->b64[i], 0, size * sizeof *w->b64[i]);
    }
    for (size_t i = 0; i < k * k; i++) {
        pass->g[i] += w->g[i];
    }
    for (int i = 0; i < 4; i++) {
        pass->extra[i] += w->extra[i];
    }
    memset(w->g, 0, k * k * sizeof *w->g);
    memset(w->extra, 0, sizeof w->extra);
    return UM_OK;
}

static void free_worker(worker *w)
{
    for (int i = 0; i < BLOCKS; i++) {
        free(w->b[i]);
        free(w->b64[i]);
    }
    free(w->scratch);
    free(w->g);
    free(w->a);
    free(w->panel_a);
    free(w->panel_w);
    free(w->w);
}

static bool make_worker(const lowrank *job, worker *w)
{
    size_t k = job->pass->k;
    bool made = true;
    for (int i = 0; i < job->blocks; i++) {
        w->b[i] = calloc(k * job->block[i].stride, sizeof *w->b[i]);
        w->b64[i] = calloc(k * job->block[i].stride, sizeof *w->b64[i]);
        made = made && w->b[i] != NULL && w->b64[i] != NULL;
    }
    w->scratch = aligned_alloc(64, k * UM_GROUP_ROWS * UM_KERNEL_PACK * sizeof *w->scratch);
    w->g = calloc(k * k, sizeof *w->g);
    w->a = calloc(k * UM_GROUP_ROWS, sizeof *w->a);
    w->panel_a = calloc(k * UM_GROUP_ROWS, sizeof *w->panel_a);
    w->panel_w = calloc(k * UM_GROUP_ROWS, sizeof *w->panel_w);
    w->w = calloc(k * UM_GROUP_ROWS, sizeof *w->w);
    return made && w->scratch != NULL && w->g != NULL && w->a != NULL && w->panel_a != NULL &&
           w->panel_w != NULL && w->w != NULL;
}

/* ---- the steps as long as a pattern: H v', and B = b v ------------------------------------------ */

typedef struct patterns {
    float *packed; /* k x ld */
    float *scratch, *w;
    double *a;
} patterns;

static bool make_patterns(const um_exact_pass *pass, patterns *x)
{
    size_t k = pass->k;
    x->packed = calloc(k * pass->scaled->ld, sizeof *x->packed);
    x->scratch = aligned_alloc(64, k * UM_GROUP_ROWS * UM_KERNEL_PACK * sizeof *x->scratch);
    x->a = calloc(k * UM_GROUP_ROWS, sizeof *x->a);
    x->w = calloc(k * UM_GROUP_ROWS, sizeof *x->w);
    return x->packed != NULL && x->scratch != NULL && x->a != NULL && x->w != NULL;
}

static void free_patterns(patterns *x)
{
    free(x->packed);
    free(x->scratch);
    free(x->a);
    free(x->w);
}

static void project_components(lowrank *job, patterns *x)
{
    const um_scaled *s = job->pass->scaled;
    size_t k = job->pass->k;
    for (size_t j = 0; j < s->m; j += UM_KERNEL_PACK) {
        size_t width = s->m - j < UM_KERNEL_PACK ? s->m - j : UM_KERNEL_PACK;
        for (size_t c = 0; c < k; c++) {
            memcpy(x->packed + um_kernel_packed(k, c, j), job->pass->h + c * s->ld + j,
                   width * sizeof *x->packed);
        }
    }
    for (int n = 0; n < job->blocks; n++) {
        const block *b = &job->block[n];
        for (size_t i = 0; i < b->count; i += UM_GROUP_ROWS) {
            size_t rows = b->count - i < UM_GROUP_ROWS ? b->count - i : UM_GROUP_ROWS;
            s->kernels->project[UM_F32](b->v + i * s->ld, rows, s->ld, x->packed, k, x->a,
                                        x->scratch);
            for (size_t r = 0; r < rows; r++) {
                for (size_t c = 0; c < k; c++) {
                    b->hv[um_kernel_packed(k, c, i + r)] = (float)x->a[r * k + c];
                }
            }
        }
    }
}

static void expand(lowrank *job, patterns *x)
{
    const um_scaled *s = job->pass->scaled;
    size_t k = job->pass->k;
    memset(x->packed, 0, k * s->ld * sizeof *x->packed);
    for (int n = 0; n < job->blocks; n++) {
        const block *b = &job->block[n];
        for (size_t i = 0; i < b->count; i += UM_GROUP_ROWS) {
            size_t rows = b->count - i < UM_GROUP_ROWS ? b->count - i : UM_GROUP_ROWS;
            for (size_t r = 0; r < rows; r++) {
                for (size_t c = 0; c < k; c++) {
                    x->w[r * k + c] = (float)b->b[um_kernel_packed(k, c, i + r)];
                }
            }
            s->kernels->accumulate[UM_F32](b->v + i * s->ld, rows, s->ld, x->w, k, x->packed);
        }
    }
    for (size_t j = 0; j < s->m; j += UM_KERNEL_PACK) {
        size_t width = s->m - j < UM_KERNEL_PACK ? s->m - j : UM_KERNEL_PACK;
        for (size_t c = 0; c < k; c++) {
            const float *from = x->packed + um_kernel_packed(k, c, j);
            for (size_t i = 0; i < width; i++) {
                job->pass->b[c * s->m + j + i] = (double)from[i];
            }
        }
    }
}

/* ---- a pass --------------------------------------------------------------------------------------- */

static bool make_blocks(lowrank *job, const um_subspace *sub)
{
    job->block[0] = (block){.count = sub->count, .us = sub->us, .v = sub->v};
    job->block[1] = (block){.count = sub->more, .us = sub->more_us, .v = sub->more_v};
    job->blocks = sub->more > 0 ? 2 : 1;
    if (sub->place_us != NULL) {
        job->block[job->blocks++] = (block){.count = 1, .us = sub->place_us, .v = sub->place_v};
    }
    bool made = true;
    for (int i = 0; i < job->blocks; i++) {
        block *b = &job->block[i];
        b->stride = um_kernel_stride(b->count);
        b->hv = calloc(job->pass->k * b->stride, sizeof *b->hv);
        b->b = calloc(job->pass->k * b->stride, sizeof *b->b);
        made = made && b->hv != NULL && b->b != NULL;
    }
    return made;
}

um_status um_lowrank_pass_run(um_exact_pass *pass, const um_subspace *sub)
{
    const um_scaled *s = pass->scaled;
    int threads = um_context_threads(s->ctx);
    lowrank job = {.pass = pass};
    patterns x = {0};
    bool made = make_blocks(&job, sub) && make_patterns(pass, &x);
    job.workers = calloc((size_t)threads, sizeof *job.workers);
    made = made && job.workers != NULL;
    for (int i = 0; made && i < threads; i++) {
        made = make_worker(&job, &job.workers[i]);
    }
    um_status status = made ? UM_OK : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for workers");
    if (status == UM_OK) {
        memset(pass->g, 0, pass->k * pass->k * sizeof *pass->g);
        memset(pass->extra, 0, sizeof pass->extra);
        project_components(&job, &x);
        int64_t items = (int64_t)((s->n + ROWS_PER_ITEM - 1) / ROWS_PER_ITEM);
        status = um_pipeline_run(s->ctx, items, threads, work_item, merge_item, &job);
    }
    if (status == UM_OK) {
        expand(&job, &x);
        um_complete_gram(pass->g, pass->k);
    }
    for (int i = 0; job.workers != NULL && i < threads; i++) {
        free_worker(&job.workers[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(job.block[i].hv);
        free(job.block[i].b);
    }
    free(job.workers);
    free_patterns(&x);
    return status;
}
