/* Parts of clustering. */
#ifndef UM_CLUSTER_INTERNAL_H
#define UM_CLUSTER_INTERNAL_H

#include "base_internal.h"
#include "unmix/cluster.h"

/* ---- passes over points ----------------------------------------------------------------------- */

enum { UM_BLOCK_POINTS = 2048 };

/* Sums over all points: block() adds those of points first .. first+count-1 to `sums` (zeroed); blocks are folded
 * into `total` in their order. `scratch` is the worker's own. */
typedef struct um_points_job {
    const um_features *features;
    size_t sums, scratch; /* doubles */
    void (*block)(void *user, int64_t first, int64_t count, double *sums, double *scratch);
    void *user;
    double *total; /* `sums` of them: overwritten */
} um_points_job;
um_status um_points_run(const um_points_job *job);
int64_t um_points_blocks(int64_t count);

/* An even random sample of `most` points (all when there are no more), in their order; position is then the index
 * of the point that was taken. */
um_status um_features_sample(const um_features *features, int64_t most, um_features **out);
um_status um_features_alloc(um_context *ctx, int64_t count, int64_t dims, um_features **out);
/* Sum over features of the variances. */
um_status um_features_spread(const um_features *features, double *spread);

/* Squared distances of one point to k centres; centers_t is dims x k. */
void um_distances(const float *point, size_t dims, const double *centers_t, size_t k, double *d2);
void um_transpose(const double *rows, size_t count, size_t dims, double *columns);
size_t um_nearest(const double *d2, size_t k);

/* ---- results ---------------------------------------------------------------------------------- */

um_status um_clustering_create(const um_features *features, um_cluster_method method, int64_t n,
                               um_clustering **out);
/* Room for another number of clusters, n, that a method found itself. */
um_status um_clustering_resize(um_clustering *clustering);
/* Centres from labels, and the sum of squared distances to them as the objective. */
um_status um_clustering_centers(const um_features *features, um_clustering *clustering);
/* Sizes from labels; clusters into order of size, ties as they were. */
um_status um_clustering_sort(um_clustering *clustering);

/* ---- methods: each fills labels, centres, objective ------------------------------------------- */

/* Greedy k-means++; `start` numbers the random numbers. centers: n x dims. */
um_status um_kmeans_seed(const um_features *features, int64_t n, int64_t start, double *centers);
/* Lloyd from `centers`, which it moves. label: count. */
um_status um_kmeans_iterate(const um_features *features, const um_cluster_options *options,
                            double *centers, int32_t *label, double *inertia, int64_t *iterations,
                            bool *converged);
/* Labels and objective of centres as they are. */
um_status um_kmeans_label(const um_features *features, int64_t n, double *centers, int32_t *label,
                          double *inertia);
/* The best of the starts on a sample. */
um_status um_kmeans_start(const um_features *features, const um_cluster_options *options,
                          double *centers);
um_status um_cluster_kmeans(const um_features *features, const um_cluster_options *options,
                            um_clustering *out);
um_status um_cluster_mixture(const um_features *features, const um_cluster_options *options,
                             um_clustering *out);
um_status um_cluster_fuzzy(const um_features *features, const um_cluster_options *options,
                           um_clustering *out);
um_status um_cluster_ward(const um_features *features, const um_cluster_options *options,
                          um_clustering *out);
um_status um_cluster_hdbscan(const um_features *features, const um_cluster_options *options,
                             um_clustering *out);
um_status um_cluster_minibatch(const um_features *features, const um_cluster_options *options,
                               um_clustering *out);

#endif
