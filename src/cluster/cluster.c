/* One clustering by the method that is wanted, in order of size. */
#include "cluster_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *um_cluster_method_name(um_cluster_method method)
{
    static const char *const names[] = {
#define UM_CLUSTER_WORD(name, word) word,
        UM_CLUSTER_METHOD_LIST(UM_CLUSTER_WORD)
#undef UM_CLUSTER_WORD
    };
    return method >= 0 && method < UM_CLUSTER_METHODS ? names[method] : "?";
}

um_cluster_options um_cluster_defaults(um_cluster_method method, int64_t n)
{
    bool fuzzy = method == UM_CLUSTER_FUZZY || method == UM_CLUSTER_POSSIBILISTIC ||
                 method == UM_CLUSTER_GUSTAFSON_KESSEL;
    return (um_cluster_options){.method = method,
                                .n = n,
                                .starts = 10,
                                .max_iterations = fuzzy || method == UM_CLUSTER_GMM ? 1000 : 300,
                                .tolerance = fuzzy ? 1e-6 : 1e-4,
                                .batch = 1024,
                                .fuzziness = 2,
                                .ridge = 1e-6,
                                .exact = 10000,
                                .parts = 1024,
                                .neighbours = 10};
}

/* ---- results ------------------------------------------------------------------------------------ */

um_status um_clustering_resize(um_clustering *c)
{
    free(c->centers);
    free(c->sizes);
    c->centers = calloc((size_t)(c->n * c->dims) + 1, sizeof *c->centers);
    c->sizes = calloc((size_t)c->n + 1, sizeof *c->sizes);
    return c->centers != NULL && c->sizes != NULL
               ? UM_OK
               : um_fail(c->ctx, UM_ERROR_MEMORY, "no memory for clusters");
}

um_status um_clustering_create(const um_features *f, um_cluster_method method, int64_t n,
                               um_clustering **out)
{
    um_clustering *c = calloc(1, sizeof *c);
    *out = c;
    if (c == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for clusters");
    }
    *c = (um_clustering){
        .ctx = f->ctx, .method = method, .n = n, .count = f->count, .dims = f->dims,
        .log_likelihood = NAN, .bic = NAN, .aic = NAN};
    um_status status = um_clustering_resize(c);
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, (size_t)f->count, sizeof *c->label, "labels", &c->label);
    }
    if (status != UM_OK) {
        um_clustering_free(c);
        *out = NULL;
    }
    return status;
}

void um_clustering_free(um_clustering *c)
{
    if (c != NULL) {
        um_buffer_free(c->ctx, c->label);
        um_buffer_free(c->ctx, c->membership);
        free(c->centers);
        free(c->sizes);
        free(c);
    }
}

typedef struct averaging {
    const um_features *f;
    const um_clustering *clusters;
} averaging;

static void add_points(void *user, int64_t first, int64_t count, double *sums, double *scratch)
{
    (void)scratch;
    const averaging *a = user;
    int64_t width = a->f->dims + 1;
    for (int64_t p = first; p < first + count; p++) {
        int32_t label = a->clusters->label[p];
        for (int64_t j = 0; label >= 0 && j < a->f->dims; j++) {
            sums[label * width + j] += (double)a->f->values[p * a->f->dims + j];
        }
        if (label >= 0) {
            sums[label * width + width - 1] += 1;
        }
    }
}

static void add_squares(void *user, int64_t first, int64_t count, double *sums, double *scratch)
{
    (void)scratch;
    const averaging *a = user;
    for (int64_t p = first; p < first + count; p++) {
        int32_t label = a->clusters->label[p];
        for (int64_t j = 0; label >= 0 && j < a->f->dims; j++) {
            double d = (double)a->f->values[p * a->f->dims + j] -
                       a->clusters->centers[label * a->f->dims + j];
            sums[0] += d * d;
        }
    }
}

um_status um_clustering_centers(const um_features *f, um_clustering *c)
{
    int64_t width = f->dims + 1;
    double *total = calloc((size_t)(c->n * width) + 1, sizeof *total);
    if (total == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for centres");
    }
    averaging a = {f, c};
    um_points_job sum = {f, (size_t)(c->n * width), 0, add_points, &a, total};
    um_status status = um_points_run(&sum);
    for (int64_t i = 0; i < c->n * f->dims; i++) {
        double size = total[i / f->dims * width + f->dims];
        c->centers[i] = size > 0 ? total[i / f->dims * width + i % f->dims] / size : 0;
    }
    free(total);
    um_points_job squares = {f, 1, 0, add_squares, &a, &c->objective};
    return status == UM_OK ? um_points_run(&squares) : status;
}

/* ---- order -------------------------------------------------------------------------------------- */

typedef struct sized {
    int64_t size, index;
} sized;

static int larger_first(const void *a, const void *b)
{
    const sized *x = a;
    const sized *y = b;
    if (x->size != y->size) {
        return x->size > y->size ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

static void reorder(um_clustering *c, const sized *order, int32_t *rank, double *centers,
                    float *row)
{
    size_t width = (size_t)c->dims * sizeof *centers;
    memcpy(centers, c->centers, (size_t)c->n * width);
    for (int64_t i = 0; i < c->n; i++) {
        rank[order[i].index] = (int32_t)i;
        c->sizes[i] = order[i].size;
        memcpy(c->centers + i * c->dims, centers + order[i].index * c->dims, width);
    }
    for (int64_t p = 0; p < c->count; p++) {
        c->label[p] = c->label[p] < 0 ? -1 : rank[c->label[p]];
        float *membership = c->membership != NULL ? c->membership + p * c->n : NULL;
        for (int64_t i = 0; membership != NULL && i < c->n; i++) {
            row[i] = membership[order[i].index];
        }
        if (membership != NULL) {
            memcpy(membership, row, (size_t)c->n * sizeof *row);
        }
    }
}

um_status um_clustering_sort(um_clustering *c)
{
    size_t n = (size_t)c->n + 1;
    sized *order = calloc(n, sizeof *order);
    int32_t *rank = calloc(n, sizeof *rank);
    float *row = calloc(n, sizeof *row);
    double *centers = calloc(n * (size_t)c->dims, sizeof *centers);
    bool fits = order != NULL && rank != NULL && row != NULL && centers != NULL;
    for (int64_t i = 0; fits && i < c->n; i++) {
        order[i] = (sized){0, i};
    }
    for (int64_t p = 0; fits && p < c->count; p++) {
        if (c->label[p] >= 0) {
            order[c->label[p]].size++;
        }
    }
    if (fits) {
        qsort(order, (size_t)c->n, sizeof *order, larger_first);
        reorder(c, order, rank, centers, row);
    }
    free(order);
    free(rank);
    free(row);
    free(centers);
    return fits ? UM_OK : um_fail(c->ctx, UM_ERROR_MEMORY, "no memory to order clusters");
}

/* ---- dispatch ----------------------------------------------------------------------------------- */

typedef um_status (*method_fn)(const um_features *, const um_cluster_options *, um_clustering *);

um_status um_cluster(const um_features *f, const um_cluster_options *o, um_clustering **out)
{
    static const method_fn methods[UM_CLUSTER_METHODS] = {
        [UM_CLUSTER_KMEANS] = um_cluster_kmeans,
        [UM_CLUSTER_MINIBATCH] = um_cluster_minibatch,
        [UM_CLUSTER_GMM] = um_cluster_mixture,
        [UM_CLUSTER_FUZZY] = um_cluster_fuzzy,
        [UM_CLUSTER_POSSIBILISTIC] = um_cluster_fuzzy,
        [UM_CLUSTER_GUSTAFSON_KESSEL] = um_cluster_fuzzy,
        [UM_CLUSTER_WARD] = um_cluster_ward,
        [UM_CLUSTER_HDBSCAN] = um_cluster_hdbscan,
    };
    *out = NULL;
    if (o->method < 0 || o->method >= UM_CLUSTER_METHODS || methods[o->method] == NULL) {
        return um_fail(f->ctx, UM_ERROR_ARGUMENT, "clustering by %s needs patterns, not points alone",
                       um_cluster_method_name(o->method));
    }
    int64_t n = o->method == UM_CLUSTER_HDBSCAN ? 0 : o->n;
    if (o->method != UM_CLUSTER_HDBSCAN && (n < 1 || n > f->count)) {
        return um_fail(f->ctx, UM_ERROR_ARGUMENT, "%lld clusters: 1 to %lld are possible here",
                       (long long)o->n, (long long)f->count);
    }
    um_clustering *c = NULL;
    UM_TRY(um_clustering_create(f, o->method, n, &c));
    um_status status = methods[o->method](f, o, c);
    if (status == UM_OK) {
        status = um_clustering_sort(c);
    }
    if (status != UM_OK) {
        um_clustering_free(c);
        return status;
    }
    *out = c;
    return UM_OK;
}
