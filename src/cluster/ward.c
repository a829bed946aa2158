/* Ward's linkage by chains of nearest neighbours (Murtagh 1983) on centroids, so that no distances are kept. */
#include "linkage.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 512 };

typedef struct chain {
    int64_t count, room, dims; /* clusters left; columns */
    double *column;            /* dims x room: centroids */
    double *size;
    int64_t *leaf;  /* one of each cluster */
    int64_t *link;  /* the chain, as columns */
    int64_t length;
} chain;

/* What joining a and b adds to the sum of squares. */
static double cost(const chain *w, int64_t a, int64_t b)
{
    double sum = 0;
    for (int64_t j = 0; j < w->dims; j++) {
        double d = w->column[j * w->room + a] - w->column[j * w->room + b];
        sum += d * d;
    }
    return sum * w->size[a] * w->size[b] / (w->size[a] + w->size[b]);
}

/* The cheapest partner of a; of equal ones `wanted` (or -1), then the first. */
static int64_t cheapest(const chain *w, int64_t a, int64_t wanted, double *least)
{
    double sum[LANES];
    int64_t best = wanted;
    *least = wanted >= 0 ? cost(w, a, wanted) : DBL_MAX;
    for (int64_t first = 0; first < w->count; first += LANES) {
        int64_t n = w->count - first < LANES ? w->count - first : LANES;
        memset(sum, 0, sizeof sum);
        for (int64_t j = 0; j < w->dims; j++) {
            const double *column = w->column + j * w->room + first;
            double x = w->column[j * w->room + a];
            for (int64_t i = 0; i < n; i++) {
                double d = x - column[i];
                sum[i] += d * d;
            }
        }
        for (int64_t i = 0; i < n; i++) {
            double s = w->size[first + i];
            double c = sum[i] * w->size[a] * s / (w->size[a] + s);
            if (c < *least && first + i != a) {
                *least = c;
                best = first + i;
            }
        }
    }
    return best;
}

/* a takes b up; the last column moves into the place of b. */
static void join(chain *w, int64_t a, int64_t b)
{
    double total = w->size[a] + w->size[b];
    int64_t last = w->count - 1;
    for (int64_t j = 0; j < w->dims; j++) {
        double *column = w->column + j * w->room;
        column[a] = (w->size[a] * column[a] + w->size[b] * column[b]) / total;
        column[b] = column[last];
    }
    w->size[a] = total;
    w->size[b] = w->size[last];
    w->leaf[b] = w->leaf[last];
    for (int64_t i = 0; i < w->length; i++) {
        w->link[i] = w->link[i] == last ? b : w->link[i];
    }
    w->count = last;
}

static um_status run(um_context *ctx, chain *w, um_merge *merges)
{
    for (int64_t done = 0; w->count > 1;) {
        if (w->length == 0) {
            w->link[w->length++] = 0;
        }
        int64_t a = w->link[w->length - 1];
        int64_t before = w->length > 1 ? w->link[w->length - 2] : -1;
        double least = 0;
        int64_t b = cheapest(w, a, before, &least);
        if (b != before) {
            w->link[w->length++] = b;
            continue;
        }
        merges[done++] = (um_merge){w->leaf[a], w->leaf[b], sqrt(2 * least)};
        w->length -= 2;
        join(w, a < b ? a : b, a < b ? b : a);
        um_progress_add(ctx, 1);
        UM_TRY(um_check_cancel(ctx));
    }
    return UM_OK;
}

um_status um_ward_merges(um_context *ctx, const double *points, const double *size, int64_t count,
                         int64_t dims, um_merge *merges)
{
    chain w = {.count = count, .room = count, .dims = dims};
    um_status status = um_buffer_alloc(ctx, (size_t)(count * dims), sizeof(double),
                                       "centroids of a linkage", &w.column);
    w.size = malloc((size_t)count * sizeof *w.size);
    w.leaf = malloc((size_t)count * sizeof *w.leaf);
    w.link = malloc(((size_t)count + 1) * sizeof *w.link);
    if (status == UM_OK && (w.size == NULL || w.leaf == NULL || w.link == NULL)) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "no memory for a linkage");
    }
    if (status == UM_OK) {
        um_transpose(points, (size_t)count, (size_t)dims, w.column);
        memcpy(w.size, size, (size_t)count * sizeof *size);
        for (int64_t i = 0; i < count; i++) {
            w.leaf[i] = i;
        }
        um_progress_begin(ctx, "Ward's linkage", "merges", count - 1);
        status = run(ctx, &w, merges);
        um_progress_end(ctx);
    }
    if (status == UM_OK) {
        status = um_merges_sort(ctx, merges, count - 1);
    }
    um_buffer_free(ctx, w.column);
    free(w.size);
    free(w.leaf);
    free(w.link);
    return status;
}

/* ---- the method ----------------------------------------------------------------------------------- */

/* Points of many positions stand for these: centres of mini-batch k-means; part: of each point. */
static um_status condense(const um_features *f, const um_cluster_options *o, um_clustering **parts)
{
    um_cluster_options small = um_cluster_defaults(UM_CLUSTER_MINIBATCH, o->parts);
    small.batch = 8 * o->parts;
    return um_cluster(f, &small, parts);
}

static um_status cut(const um_features *f, const um_cluster_options *o, const double *points,
                     const double *size, int64_t leaves, int32_t *label)
{
    um_merge *merges = NULL;
    UM_TRY(um_buffer_alloc(f->ctx, (size_t)leaves, sizeof *merges, "merges", &merges));
    um_status status = um_ward_merges(f->ctx, points, size, leaves, f->dims, merges);
    if (status == UM_OK && um_merges_cut(merges, leaves, o->n, INFINITY, label) < 0) {
        status = um_fail(f->ctx, UM_ERROR_MEMORY, "no memory to cut a linkage");
    }
    um_buffer_free(f->ctx, merges);
    return status;
}

static um_status all_points(const um_features *f, const um_cluster_options *o, int32_t *label)
{
    double *points = NULL;
    UM_TRY(um_buffer_alloc(f->ctx, (size_t)(f->count * (f->dims + 1)), sizeof *points,
                           "points of a linkage", &points));
    double *size = points + f->count * f->dims;
    for (int64_t i = 0; i < f->count * f->dims; i++) {
        points[i] = (double)f->values[i];
    }
    for (int64_t p = 0; p < f->count; p++) {
        size[p] = 1;
    }
    um_status status = cut(f, o, points, size, f->count, label);
    um_buffer_free(f->ctx, points);
    return status;
}

static um_status by_parts(const um_features *f, const um_cluster_options *o, int32_t *label)
{
    um_clustering *parts = NULL;
    UM_TRY(condense(f, o, &parts));
    int64_t leaves = 0; /* the largest come first: those without points are the last */
    while (leaves < parts->n && parts->sizes[leaves] > 0) {
        leaves++;
    }
    if (o->n > leaves) {
        um_clustering_free(parts);
        return um_fail(f->ctx, UM_ERROR_ARGUMENT,
                       "%lld clusters from %lld parts that stand for %lld points: take more parts, or more points one "
                       "by one", (long long)o->n, (long long)leaves, (long long)f->count);
    }
    double *size = calloc((size_t)leaves, sizeof *size);
    int32_t *group = calloc((size_t)leaves, sizeof *group);
    um_status status = size != NULL && group != NULL
                           ? UM_OK
                           : um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for a linkage");
    for (int64_t i = 0; status == UM_OK && i < leaves; i++) {
        size[i] = (double)parts->sizes[i];
    }
    if (status == UM_OK) {
        status = cut(f, o, parts->centers, size, leaves, group);
    }
    for (int64_t p = 0; status == UM_OK && p < f->count; p++) {
        label[p] = group[parts->label[p]];
    }
    free(size);
    free(group);
    um_clustering_free(parts);
    return status;
}

um_status um_cluster_ward(const um_features *f, const um_cluster_options *o, um_clustering *out)
{
    UM_TRY(f->count <= o->exact ? all_points(f, o, out->label) : by_parts(f, o, out->label));
    out->converged = true;
    return um_clustering_centers(f, out);
}
