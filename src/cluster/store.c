/* Clusters as named arrays of a model. */
#include "cluster_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static um_status store_map(um_model *model, const um_features *f, const um_clustering *c,
                           double *map)
{
    um_shape s = um_model_shape(model);
    const int64_t shape[2] = {s.ny, s.nx};
    for (int64_t p = 0; p < s.ny * s.nx; p++) {
        map[p] = NAN;
    }
    for (int64_t i = 0; i < c->count; i++) {
        map[f->position[i]] = c->label[i];
    }
    return um_model_set_array(model, "cluster_map", 2, shape, map);
}

static double distance(const um_features *f, const um_clustering *c, int64_t point, int64_t cluster)
{
    double sum = 0;
    for (int64_t j = 0; j < c->dims; j++) {
        double d = (double)f->values[point * c->dims + j] - c->centers[cluster * c->dims + j];
        sum += d * d;
    }
    return sqrt(sum);
}

/* One row of n x N from the points: distances to the centre, or membership. */
static um_status store_rows(um_model *model, const um_features *f, const um_clustering *c,
                            const char *name, bool distances, double *rows)
{
    um_shape s = um_model_shape(model);
    int64_t positions = s.ny * s.nx;
    const int64_t shape[2] = {c->n, positions};
    for (int64_t i = 0; i < c->n; i++) {
        double *row = rows + i * positions;
        for (int64_t p = 0; p < positions; p++) {
            row[p] = NAN;
        }
        for (int64_t p = 0; p < c->count; p++) {
            row[f->position[p]] =
                distances ? distance(f, c, p, i) : (double)c->membership[p * c->n + i];
        }
    }
    return um_model_set_array(model, name, 2, shape, rows);
}

static um_status store_patterns(um_model *model, const um_clustering *c, const double *patterns)
{
    um_shape s = um_model_shape(model);
    int64_t pixels = s.ky * s.kx;
    const int64_t shape[2] = {c->n, pixels};
    UM_TRY(um_model_set_array(model, "cluster_centroid_signals", 2, shape, patterns));
    double *sums = NULL;
    UM_TRY(um_buffer_alloc(c->ctx, (size_t)(c->n * pixels), sizeof *sums, "patterns of clusters",
                           &sums));
    for (int64_t i = 0; i < c->n; i++) {
        for (int64_t q = 0; q < pixels; q++) {
            sums[i * pixels + q] = patterns[i * pixels + q] * (double)c->sizes[i];
        }
    }
    um_status status = um_model_set_array(model, "cluster_sum_signals", 2, shape, sums);
    um_buffer_free(c->ctx, sums);
    return status;
}

um_status um_cluster_store(um_model *model, const um_features *f, const um_clustering *c,
                           const double *patterns)
{
    um_shape s = um_model_shape(model);
    const int64_t center_shape[2] = {c->n, c->dims};
    double number = (double)c->n;
    double *rows = NULL;
    UM_TRY(um_buffer_alloc(c->ctx, (size_t)(c->n + 1) * (size_t)(s.ny * s.nx), sizeof *rows,
                           "maps of clusters", &rows));
    um_status status = store_map(model, f, c, rows);
    if (status == UM_OK) {
        status = store_rows(model, f, c, "cluster_distances", true, rows);
    }
    if (status == UM_OK && c->membership != NULL) {
        status = store_rows(model, f, c, "cluster_membership", false, rows);
    }
    for (int64_t i = 0; i < c->n; i++) {
        rows[i] = (double)c->sizes[i];
    }
    if (status == UM_OK) {
        status = um_model_set_array(model, "cluster_sizes", 1, &c->n, rows);
    }
    um_buffer_free(c->ctx, rows);
    UM_TRY(status);
    UM_TRY(um_model_set_array(model, "number_of_clusters", 0, NULL, &number));
    UM_TRY(um_model_set_array(model, "cluster_centroids", 2, center_shape, c->centers));
    return patterns != NULL ? store_patterns(model, c, patterns) : UM_OK;
}
