/* K-means: greedy k-means++ starts and Lloyd's iteration. */
#include "cluster_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { START_POINTS = 32768, MOST_TRIALS = 32 };

/* ---- k-means++ ---------------------------------------------------------------------------------- */

typedef struct seeding {
    const um_features *f;
    size_t trials;
    double *candidates_t; /* dims x trials */
    double *nearest;      /* of each point: squared distance to the nearest centre so far */
    double *block;        /* sum of those, per block */
} seeding;

static void try_candidates(void *user, int64_t first, int64_t count, double *sums, double *d2)
{
    seeding *s = user;
    size_t dims = (size_t)s->f->dims;
    for (int64_t p = first; p < first + count; p++) {
        um_distances(s->f->values + p * s->f->dims, dims, s->candidates_t, s->trials, d2);
        for (size_t c = 0; c < s->trials; c++) {
            sums[c] += d2[c] < s->nearest[p] ? d2[c] : s->nearest[p];
        }
    }
}

/* Takes the one candidate that is there as a centre. */
static void take_candidate(void *user, int64_t first, int64_t count, double *sums, double *d2)
{
    seeding *s = user;
    double sum = 0;
    for (int64_t p = first; p < first + count; p++) {
        um_distances(s->f->values + p * s->f->dims, (size_t)s->f->dims, s->candidates_t, 1, d2);
        s->nearest[p] = d2[0] < s->nearest[p] ? d2[0] : s->nearest[p];
        sum += s->nearest[p];
    }
    s->block[first / UM_BLOCK_POINTS] = sum;
    sums[0] += sum;
}

/* The point at which the running sum of squared distances passes t. */
static int64_t draw(const seeding *s, double t)
{
    int64_t blocks = um_points_blocks(s->f->count);
    int64_t b = 0;
    while (b + 1 < blocks && t >= s->block[b]) {
        t -= s->block[b++];
    }
    int64_t p = b * UM_BLOCK_POINTS;
    int64_t end = p + UM_BLOCK_POINTS < s->f->count ? p + UM_BLOCK_POINTS : s->f->count;
    while (p + 1 < end && t >= s->nearest[p]) {
        t -= s->nearest[p++];
    }
    return p;
}

static um_status add_center(seeding *s, int64_t point, double *center, double *potential)
{
    for (int64_t j = 0; j < s->f->dims; j++) {
        center[j] = (double)s->f->values[point * s->f->dims + j];
    }
    memcpy(s->candidates_t, center, (size_t)s->f->dims * sizeof *center);
    um_points_job job = {s->f, 1, 1, take_candidate, s, potential};
    return um_points_run(&job);
}

/* The best of several points drawn by their squared distances. */
static um_status choose(seeding *s, um_random random, uint64_t counter, double potential,
                        int64_t *best)
{
    int64_t candidate[MOST_TRIALS];
    double sums[MOST_TRIALS];
    for (size_t c = 0; c < s->trials; c++) {
        candidate[c] = draw(s, um_random_uniform(random, counter + c) * potential);
        for (int64_t j = 0; j < s->f->dims; j++) {
            s->candidates_t[(size_t)j * s->trials + c] =
                (double)s->f->values[candidate[c] * s->f->dims + j];
        }
    }
    um_points_job job = {s->f, s->trials, s->trials, try_candidates, s, sums};
    UM_TRY(um_points_run(&job));
    *best = candidate[um_nearest(sums, s->trials)];
    return UM_OK;
}

static um_status seed(seeding *s, int64_t n, int64_t start, double *centers)
{
    um_random random = {um_context_seed(s->f->ctx), UM_STREAM_CLUSTER};
    uint64_t counter = (uint64_t)start << 32;
    int64_t point = (int64_t)(um_random_uniform(random, counter++) * (double)s->f->count);
    double potential = 0;
    for (int64_t p = 0; p < s->f->count; p++) {
        s->nearest[p] = DBL_MAX;
    }
    for (int64_t c = 0; c < n; c++) {
        if (c > 0) {
            UM_TRY(choose(s, random, counter, potential, &point));
            counter += s->trials;
        }
        UM_TRY(add_center(s, point, centers + c * s->f->dims, &potential));
    }
    return UM_OK;
}

um_status um_kmeans_seed(const um_features *f, int64_t n, int64_t start, double *centers)
{
    size_t trials = 2 + (size_t)log((double)n);
    seeding s = {.f = f, .trials = trials < MOST_TRIALS ? trials : MOST_TRIALS};
    um_status status = um_buffer_alloc(f->ctx, (size_t)f->count, sizeof(double),
                                       "distances of points", &s.nearest);
    s.candidates_t = calloc((size_t)f->dims * s.trials, sizeof(double));
    s.block = calloc((size_t)um_points_blocks(f->count), sizeof(double));
    if (status == UM_OK && (s.candidates_t == NULL || s.block == NULL)) {
        status = um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for centres");
    }
    if (status == UM_OK) {
        status = seed(&s, n, start, centers);
    }
    um_buffer_free(f->ctx, s.nearest);
    free(s.candidates_t);
    free(s.block);
    return status;
}

/* ---- Lloyd -------------------------------------------------------------------------------------- */

typedef struct lloyd {
    const um_features *f;
    size_t k;
    double *centers_t; /* dims x k */
    int32_t *label;
    float *distance; /* squared, of each point to its centre */
} lloyd;

/* Sums: k x dims of points, k counts, inertia, labels that changed. */
static void assign(void *user, int64_t first, int64_t count, double *sums, double *d2)
{
    lloyd *l = user;
    size_t dims = (size_t)l->f->dims;
    double *counts = sums + l->k * dims;
    for (int64_t p = first; p < first + count; p++) {
        const float *point = l->f->values + p * l->f->dims;
        um_distances(point, dims, l->centers_t, l->k, d2);
        size_t c = um_nearest(d2, l->k);
        for (size_t j = 0; j < dims; j++) {
            sums[c * dims + j] += (double)point[j];
        }
        counts[c] += 1;
        counts[l->k] += d2[c];
        counts[l->k + 1] += l->label[p] != (int32_t)c;
        l->label[p] = (int32_t)c;
        l->distance[p] = (float)d2[c];
    }
}

/* A centre without points takes the farthest point from its cluster. */
static void refill(lloyd *l, double *sums, double *counts)
{
    size_t dims = (size_t)l->f->dims;
    for (size_t c = 0; c < l->k; c++) {
        int64_t far = 0;
        for (int64_t p = 1; counts[c] == 0 && p < l->f->count; p++) {
            far = l->distance[p] > l->distance[far] ? p : far;
        }
        if (counts[c] > 0 || !(l->distance[far] > 0)) {
            continue;
        }
        size_t from = (size_t)l->label[far];
        for (size_t j = 0; j < dims; j++) {
            double x = (double)l->f->values[far * l->f->dims + (int64_t)j];
            sums[from * dims + j] -= x;
            sums[c * dims + j] = x;
        }
        counts[from] -= 1;
        counts[c] = 1;
        l->distance[far] = 0;
    }
}

static double move(const lloyd *l, const double *sums, const double *counts, double *centers)
{
    size_t dims = (size_t)l->f->dims;
    double moved = 0;
    for (size_t c = 0; c < l->k; c++) {
        for (size_t j = 0; counts[c] > 0 && j < dims; j++) {
            double mean = sums[c * dims + j] / counts[c];
            double step = mean - centers[c * dims + j];
            moved += step * step;
            centers[c * dims + j] = mean;
        }
    }
    return moved;
}

static um_status iterate(lloyd *l, const um_cluster_options *o, double *centers, double *total,
                         double *inertia, int64_t *iterations, bool *converged)
{
    size_t size = l->k * (size_t)l->f->dims + l->k + 2;
    double *counts = total + l->k * (size_t)l->f->dims;
    um_points_job job = {l->f, size, l->k, assign, l, total};
    double spread = 0;
    UM_TRY(um_features_spread(l->f, &spread));
    bool still = false;
    for (*iterations = 0, *converged = false; *iterations < o->max_iterations && !*converged;
         (*iterations)++) {
        um_transpose(centers, l->k, (size_t)l->f->dims, l->centers_t);
        UM_TRY(um_points_run(&job));
        *converged = still && counts[l->k + 1] == 0;
        if (!*converged) {
            refill(l, total, counts);
            still = move(l, total, counts, centers) <= o->tolerance * o->tolerance * spread;
        }
        um_progress_add(l->f->ctx, 1);
    }
    /* Labels and objective of the centres as they are. */
    um_transpose(centers, l->k, (size_t)l->f->dims, l->centers_t);
    UM_TRY(um_points_run(&job));
    *inertia = counts[l->k];
    return UM_OK;
}

um_status um_kmeans_iterate(const um_features *f, const um_cluster_options *o, double *centers,
                            int32_t *label, double *inertia, int64_t *iterations, bool *converged)
{
    size_t k = (size_t)o->n;
    size_t dims = (size_t)f->dims;
    lloyd l = {.f = f, .k = k, .label = label};
    double *total = calloc(k * dims + k + 2, sizeof *total);
    l.centers_t = calloc(k * dims, sizeof(double));
    um_status status = um_buffer_alloc(f->ctx, (size_t)f->count, sizeof(float),
                                       "distances of points", &l.distance);
    if (status == UM_OK && (total == NULL || l.centers_t == NULL)) {
        status = um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for centres");
    }
    for (int64_t p = 0; p < f->count; p++) {
        label[p] = -1;
    }
    if (status == UM_OK) {
        um_progress_begin(f->ctx, "k-means", "iterations", 0);
        status = iterate(&l, o, centers, total, inertia, iterations, converged);
        um_progress_end(f->ctx);
    }
    um_buffer_free(f->ctx, l.distance);
    free(l.centers_t);
    free(total);
    return status;
}

um_status um_kmeans_label(const um_features *f, int64_t n, double *centers, int32_t *label,
                          double *inertia)
{
    const um_cluster_options o = {.n = n};
    int64_t iterations = 0;
    bool converged = false;
    return um_kmeans_iterate(f, &o, centers, label, inertia, &iterations, &converged);
}

/* ---- starts ------------------------------------------------------------------------------------- */

static um_status best_start(const um_features *f, const um_cluster_options *o, int32_t *label,
                            double *trial, double *best)
{
    size_t size = (size_t)(o->n * f->dims) * sizeof *best;
    double lowest = INFINITY;
    for (int64_t s = 0; s < o->starts; s++) {
        double inertia = 0;
        int64_t iterations = 0;
        bool converged = false;
        UM_TRY(um_kmeans_seed(f, o->n, s, trial));
        UM_TRY(um_kmeans_iterate(f, o, trial, label, &inertia, &iterations, &converged));
        if (inertia < lowest) {
            lowest = inertia;
            memcpy(best, trial, size);
        }
    }
    return UM_OK;
}

um_status um_kmeans_start(const um_features *f, const um_cluster_options *o, double *centers)
{
    if (o->centers != NULL) {
        memcpy(centers, o->centers, (size_t)(o->n * f->dims) * sizeof *centers);
        return UM_OK;
    }
    um_features *sample = NULL;
    int32_t *label = NULL;
    double *trial = calloc((size_t)(o->n * f->dims), sizeof *trial);
    int64_t most = START_POINTS > 8 * o->n ? START_POINTS : 8 * o->n;
    um_status status = trial != NULL ? um_features_sample(f, most, &sample)
                                     : um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for centres");
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, (size_t)sample->count, sizeof *label, "labels", &label);
    }
    if (status == UM_OK) {
        status = best_start(sample, o, label, trial, centers);
    }
    um_buffer_free(f->ctx, label);
    um_features_free(sample);
    free(trial);
    return status;
}

um_status um_cluster_kmeans(const um_features *f, const um_cluster_options *o, um_clustering *out)
{
    UM_TRY(um_kmeans_start(f, o, out->centers));
    return um_kmeans_iterate(f, o, out->centers, out->label, &out->objective, &out->iterations,
                             &out->converged);
}
