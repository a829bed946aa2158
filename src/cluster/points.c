/* Sums over points in a fixed order, and what all methods ask of points. */
#include "cluster_internal.h"

#include <stdlib.h>
#include <string.h>

typedef struct run {
    const um_points_job *job;
    double *sums, *scratch; /* one each per worker */
} run;

int64_t um_points_blocks(int64_t count)
{
    return (count + UM_BLOCK_POINTS - 1) / UM_BLOCK_POINTS;
}

static um_status work(void *user, int64_t item, int worker)
{
    run *r = user;
    const um_points_job *job = r->job;
    int64_t first = item * UM_BLOCK_POINTS;
    int64_t left = job->features->count - first;
    double *sums = r->sums + (size_t)worker * job->sums;
    memset(sums, 0, job->sums * sizeof *sums);
    job->block(job->user, first, left < UM_BLOCK_POINTS ? left : UM_BLOCK_POINTS, sums,
               r->scratch + (size_t)worker * job->scratch);
    return UM_OK;
}

static um_status fold(void *user, int64_t item, int worker)
{
    (void)item;
    run *r = user;
    const double *sums = r->sums + (size_t)worker * r->job->sums;
    for (size_t i = 0; i < r->job->sums; i++) {
        r->job->total[i] += sums[i];
    }
    return UM_OK;
}

um_status um_points_run(const um_points_job *job)
{
    um_context *ctx = job->features->ctx;
    int threads = um_context_threads(ctx);
    int64_t blocks = um_points_blocks(job->features->count);
    threads = blocks < threads ? (int)blocks : threads;
    run r = {.job = job};
    um_status status = um_buffer_alloc(ctx, (size_t)threads * job->sums + 1, sizeof(double),
                                       "sums over points", &r.sums);
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, (size_t)threads * job->scratch + 1, sizeof(double),
                                 "scratch of a pass over points", &r.scratch);
    }
    if (status == UM_OK) {
        for (size_t i = 0; i < job->sums; i++) {
            job->total[i] = 0;
        }
        status = um_pipeline_run(ctx, blocks, threads, work, fold, &r);
    }
    um_buffer_free(ctx, r.sums);
    um_buffer_free(ctx, r.scratch);
    return status;
}

/* ---- distances ---------------------------------------------------------------------------------- */

void um_distances(const float *point, size_t dims, const double *centers_t, size_t k, double *d2)
{
    for (size_t c = 0; c < k; c++) {
        d2[c] = 0;
    }
    for (size_t j = 0; j < dims; j++) {
        double x = (double)point[j];
        const double *center = centers_t + j * k;
        for (size_t c = 0; c < k; c++) {
            double d = x - center[c];
            d2[c] += d * d;
        }
    }
}

void um_transpose(const double *rows, size_t count, size_t dims, double *columns)
{
    for (size_t c = 0; c < count; c++) {
        for (size_t j = 0; j < dims; j++) {
            columns[j * count + c] = rows[c * dims + j];
        }
    }
}

size_t um_nearest(const double *d2, size_t k)
{
    size_t best = 0;
    for (size_t c = 1; c < k; c++) {
        best = d2[c] < d2[best] ? c : best;
    }
    return best;
}

/* ---- samples and spread ------------------------------------------------------------------------- */

um_status um_features_sample(const um_features *f, int64_t most, um_features **out)
{
    um_random random = {um_context_seed(f->ctx), UM_STREAM_CLUSTER_SAMPLE};
    int64_t count = f->count < most ? f->count : most;
    UM_TRY(um_features_alloc(f->ctx, count, f->dims, out));
    double step = (double)f->count / (double)count;
    for (int64_t i = 0; i < count; i++) {
        int64_t p = i;
        if (count < f->count) { /* one from each of `count` equal stretches */
            p = (int64_t)(((double)i + um_random_uniform(random, (uint64_t)i)) * step);
            p = p < f->count ? p : f->count - 1;
        }
        (*out)->position[i] = p;
        memcpy((*out)->values + i * f->dims, f->values + p * f->dims,
               (size_t)f->dims * sizeof(float));
    }
    (*out)->scaling = f->scaling;
    return UM_OK;
}

static void add_moments(void *user, int64_t first, int64_t count, double *sums, double *scratch)
{
    (void)scratch;
    const um_features *f = user;
    for (int64_t p = first; p < first + count; p++) {
        for (int64_t j = 0; j < f->dims; j++) {
            double x = (double)f->values[p * f->dims + j];
            sums[j] += x;
            sums[f->dims + j] += x * x;
        }
    }
}

um_status um_features_spread(const um_features *f, double *spread)
{
    size_t d = (size_t)f->dims;
    double *total = calloc(2 * d, sizeof *total);
    if (total == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for sums over points");
    }
    um_points_job job = {f, 2 * d, 0, add_moments, (void *)f, total};
    um_status status = um_points_run(&job);
    *spread = 0;
    for (size_t j = 0; j < d; j++) {
        double mean = total[j] / (double)f->count;
        double variance = total[d + j] / (double)f->count - mean * mean;
        *spread += variance > 0 ? variance : 0;
    }
    free(total);
    return status;
}
