/* The exact pass on the low-rank image X' ~ us v, in memory: A = us (v H'), B = (W' us) v. With the leading
 * singular vectors of the scan it tells starts apart at a thousandth of the cost of a read (LAI-NMF; Zhou,
 * Cichocki & Xie 2012). */
#include "factor_internal.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_ITEM = 4096 };

typedef struct worker {
    float *b;   /* k x stride, packed: W' us */
    float *scratch;
    double *b64, *g;
    double *a, *panel_a, *panel_w;
    float *w;
    double extra[4];
} worker;

typedef struct lowrank {
    um_exact_pass *pass;
    const um_subspace *sub;
    size_t stride;
    float *hv;     /* k x stride, packed: H v' */
    double *b;     /* k x count */
    worker *workers;
} lowrank;

static void visit_rows(lowrank *job, worker *w, size_t first, size_t rows)
{
    um_exact_pass *pass = job->pass;
    const um_scaled *s = pass->scaled;
    size_t k = pass->k;
    size_t l = job->sub->count;
    const float *x = job->sub->us + first * l;
    int64_t position[UM_GROUP_ROWS];
    s->kernels->project[UM_F32](x, rows, l, job->hv, k, w->a, w->scratch);
    for (size_t r = 0; r < UM_GROUP_ROWS; r++) {
        position[r] = (int64_t)(first + r);
        for (size_t c = 0; c < k; c++) {
            w->panel_a[c * UM_GROUP_ROWS + r] = r < rows ? w->a[r * k + c] : 0;
            w->panel_w[c * UM_GROUP_ROWS + r] = 0;
        }
    }
    for (size_t r = 0; pass->missed_a != NULL && r < rows; r++) {
        for (size_t c = 0; c < k; c++) {
            w->panel_a[c * UM_GROUP_ROWS + r] += (double)pass->missed_a[(first + r) * k + c];
        }
    }
    pass->rows(pass->user, position, rows, w->panel_a, w->panel_w, w->extra);
    for (size_t c = 0; c < k; c++) {
        const double *wc = w->panel_w + c * UM_GROUP_ROWS;
        for (size_t r = 0; r < rows; r++) {
            w->w[r * k + c] = (float)wc[r];
        }
        for (size_t d = 0; d < k; d++) {
            const double *wd = w->panel_w + d * UM_GROUP_ROWS;
            for (size_t r = 0; r < rows; r++) {
                w->g[c * k + d] += wc[r] * wd[r];
            }
        }
    }
    memset(w->b, 0, k * job->stride * sizeof *w->b);
    s->kernels->accumulate[UM_F32](x, rows, l, w->w, k, w->b);
    for (size_t c = 0; c < k; c++) {
        for (size_t i = 0; i < l; i++) {
            w->b64[c * l + i] += (double)w->b[um_kernel_packed(k, c, i)];
        }
    }
}

static um_status work_item(void *user, int64_t item, int index)
{
    lowrank *job = user;
    worker *w = &job->workers[index];
    size_t n = job->pass->scaled->n;
    size_t first = (size_t)item * ROWS_PER_ITEM;
    size_t last = first + ROWS_PER_ITEM < n ? first + ROWS_PER_ITEM : n;
    for (size_t p = first; p < last; p += UM_GROUP_ROWS) {
        visit_rows(job, w, p, last - p < UM_GROUP_ROWS ? last - p : UM_GROUP_ROWS);
    }
    return UM_OK;
}

static um_status merge_item(void *user, int64_t item, int index)
{
    (void)item;
    lowrank *job = user;
    um_exact_pass *pass = job->pass;
    worker *w = &job->workers[index];
    size_t k = pass->k;
    size_t l = job->sub->count;
    for (size_t i = 0; i < k * l; i++) {
        job->b[i] += w->b64[i];
    }
    for (size_t i = 0; i < k * k; i++) {
        pass->g[i] += w->g[i];
    }
    for (int i = 0; i < 4; i++) {
        pass->extra[i] += w->extra[i];
    }
    memset(w->b64, 0, k * l * sizeof *w->b64);
    memset(w->g, 0, k * k * sizeof *w->g);
    memset(w->extra, 0, sizeof w->extra);
    return UM_OK;
}

static void free_worker(worker *w)
{
    free(w->b);
    free(w->scratch);
    free(w->b64);
    free(w->g);
    free(w->a);
    free(w->panel_a);
    free(w->panel_w);
    free(w->w);
}

static bool make_worker(const lowrank *job, worker *w)
{
    size_t k = job->pass->k;
    w->b = calloc(k * job->stride, sizeof *w->b);
    w->scratch = aligned_alloc(64, k * UM_GROUP_ROWS * UM_KERNEL_PACK * sizeof *w->scratch);
    w->b64 = calloc(k * job->sub->count, sizeof *w->b64);
    w->g = calloc(k * k, sizeof *w->g);
    w->a = calloc(k * UM_GROUP_ROWS, sizeof *w->a);
    w->panel_a = calloc(k * UM_GROUP_ROWS, sizeof *w->panel_a);
    w->panel_w = calloc(k * UM_GROUP_ROWS, sizeof *w->panel_w);
    w->w = calloc(k * UM_GROUP_ROWS, sizeof *w->w);
    return w->b != NULL && w->scratch != NULL && w->b64 != NULL && w->g != NULL && w->a != NULL && w->panel_a != NULL &&
           w->panel_w != NULL && w->w != NULL;
}

/* hv = H v', and at the end B = b v: the only steps as long as a pattern. */
static void project_components(lowrank *job)
{
    const um_scaled *s = job->pass->scaled;
    for (size_t c = 0; c < job->pass->k; c++) {
        for (size_t i = 0; i < job->sub->count; i++) {
            double sum = 0;
            for (size_t j = 0; j < s->m; j++) {
                sum += (double)job->pass->h[c * s->ld + j] * (double)job->sub->v[i * s->ld + j];
            }
            job->hv[um_kernel_packed(job->pass->k, c, i)] = (float)sum;
        }
    }
}

static void expand(lowrank *job)
{
    const um_scaled *s = job->pass->scaled;
    if (job->pass->missed_b != NULL) {
        memcpy(job->pass->b, job->pass->missed_b, job->pass->k * s->m * sizeof(double));
    } else {
        memset(job->pass->b, 0, job->pass->k * s->m * sizeof(double));
    }
    for (size_t c = 0; c < job->pass->k; c++) {
        double *b = job->pass->b + c * s->m;
        for (size_t i = 0; i < job->sub->count; i++) {
            double factor = job->b[c * job->sub->count + i];
            const float *v = job->sub->v + i * s->ld;
            for (size_t j = 0; j < s->m; j++) {
                b[j] += factor * (double)v[j];
            }
        }
    }
}

um_status um_lowrank_pass_run(um_exact_pass *pass, const um_subspace *sub)
{
    const um_scaled *s = pass->scaled;
    int threads = um_context_threads(s->ctx);
    lowrank job = {.pass = pass, .sub = sub, .stride = um_kernel_stride(sub->count)};
    job.hv = calloc(pass->k * job.stride, sizeof *job.hv);
    job.b = calloc(pass->k * sub->count, sizeof *job.b);
    job.workers = calloc((size_t)threads, sizeof *job.workers);
    bool made = job.hv != NULL && job.b != NULL && job.workers != NULL;
    for (int i = 0; made && i < threads; i++) {
        made = make_worker(&job, &job.workers[i]);
    }
    um_status status = made ? UM_OK : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for workers");
    if (status == UM_OK) {
        memset(pass->g, 0, pass->k * pass->k * sizeof *pass->g);
        memset(pass->extra, 0, sizeof pass->extra);
        project_components(&job);
        int64_t items = (int64_t)((s->n + ROWS_PER_ITEM - 1) / ROWS_PER_ITEM);
        status = um_pipeline_run(s->ctx, items, threads, work_item, merge_item, &job);
    }
    if (status == UM_OK) {
        expand(&job);
    }
    for (int i = 0; job.workers != NULL && i < threads; i++) {
        free_worker(&job.workers[i]);
    }
    free(job.workers);
    free(job.hv);
    free(job.b);
    return status;
}
