/* K-means by batches of random points (Sculley 2010). */
#include "cluster_internal.h"

#include <math.h>
#include <stdlib.h>

enum { PATIENCE = 10 };

typedef struct batches {
    const um_features *f;
    size_t k;
    double *centers, *centers_t, *counts, *d2;
    int64_t *point;  /* of the batch */
    size_t *nearest; /* centre of each */
} batches;

/* Assigns a batch with the centres as they are, then moves them; the mean squared distance before. */
static double take_batch(batches *b, um_random random, uint64_t counter, int64_t size)
{
    size_t dims = (size_t)b->f->dims;
    double inertia = 0;
    um_transpose(b->centers, b->k, dims, b->centers_t);
    for (int64_t i = 0; i < size; i++) {
        double t = um_random_uniform(random, counter + (uint64_t)i);
        b->point[i] = (int64_t)(t * (double)b->f->count);
        um_distances(b->f->values + b->point[i] * b->f->dims, dims, b->centers_t, b->k, b->d2);
        b->nearest[i] = um_nearest(b->d2, b->k);
        inertia += b->d2[b->nearest[i]];
    }
    for (int64_t i = 0; i < size; i++) {
        size_t c = b->nearest[i];
        double rate = 1 / ++b->counts[c];
        for (size_t j = 0; j < dims; j++) {
            double x = (double)b->f->values[b->point[i] * b->f->dims + (int64_t)j];
            b->centers[c * dims + j] += rate * (x - b->centers[c * dims + j]);
        }
    }
    return inertia / (double)size;
}

static um_status run(batches *b, const um_cluster_options *o, um_clustering *out)
{
    um_random random = {um_context_seed(b->f->ctx), UM_STREAM_CLUSTER_BATCH};
    int64_t size = o->batch < b->f->count ? o->batch : b->f->count;
    int64_t epoch = (b->f->count + size - 1) / size;
    double share = fmin(1, 2.0 * (double)size / (double)(b->f->count + 1));
    double smooth = INFINITY;
    double lowest = INFINITY;
    int stale = 0;
    um_progress_begin(b->f->ctx, "mini-batch k-means", "batches", 0);
    um_status status = UM_OK;
    int64_t done = 0;
    while (status == UM_OK && done < o->max_iterations * epoch && stale < PATIENCE) {
        double inertia = take_batch(b, random, (uint64_t)(done * size), size);
        smooth = done == 0 ? inertia : smooth + share * (inertia - smooth);
        stale = smooth < lowest ? 0 : stale + 1;
        lowest = fmin(lowest, smooth);
        done++;
        um_progress_add(b->f->ctx, 1);
        status = um_check_cancel(b->f->ctx);
    }
    um_progress_end(b->f->ctx);
    out->iterations = done;
    out->converged = stale >= PATIENCE;
    return status;
}

/* One k-means++ start, of a sample: batches do the rest. */
static um_status start(const um_features *f, const um_cluster_options *o, double *centers)
{
    if (o->centers != NULL) {
        return um_kmeans_start(f, o, centers);
    }
    um_features *sample = NULL;
    UM_TRY(um_features_sample(f, 8 * o->n > 8192 ? 8 * o->n : 8192, &sample));
    um_status status = um_kmeans_seed(sample, o->n, 0, centers);
    um_features_free(sample);
    return status;
}

um_status um_cluster_minibatch(const um_features *f, const um_cluster_options *o,
                               um_clustering *out)
{
    size_t k = (size_t)o->n;
    size_t dims = (size_t)f->dims;
    batches b = {.f = f, .k = k, .centers = out->centers};
    b.centers_t = calloc(k * dims, sizeof(double));
    b.counts = calloc(k, sizeof(double));
    b.d2 = calloc(k, sizeof(double));
    b.point = calloc((size_t)o->batch, sizeof *b.point);
    b.nearest = calloc((size_t)o->batch, sizeof *b.nearest);
    bool fits = b.centers_t && b.counts && b.d2 && b.point && b.nearest;
    um_status status = fits ? start(f, o, out->centers)
                            : um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for batches");
    if (status == UM_OK) {
        status = run(&b, o, out);
    }
    free(b.centers_t);
    free(b.counts);
    free(b.d2);
    free(b.point);
    free(b.nearest);
    return status == UM_OK ? um_kmeans_label(f, out->n, out->centers, out->label, &out->objective) : status;
}
