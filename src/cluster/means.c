/* The mean pattern of each cluster, weighted by membership: of the scan in one read, or of its model. */
#include "cluster_internal.h"
#include "factor_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Share of a point in a cluster. */
static double share(const um_clustering *c, int64_t point, int64_t cluster)
{
    return c->membership != NULL ? (double)c->membership[point * c->n + cluster]
                                 : (double)(c->label[point] == (int32_t)cluster);
}

typedef struct weights {
    const um_clustering *clusters;
    int64_t *point; /* of each position; -1 = none */
} weights;

static void give_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                      double extra[4])
{
    (void)a;
    (void)extra;
    const weights *s = user;
    for (size_t r = 0; r < rows; r++) {
        int64_t point = s->point[position[r]];
        for (int64_t c = 0; point >= 0 && c < s->clusters->n; c++) {
            w[c * UM_GROUP_ROWS + r] = share(s->clusters, point, c);
        }
    }
}

static void divide(const um_clustering *c, int64_t pixels, double *patterns)
{
    for (int64_t i = 0; i < c->n; i++) {
        double total = 0;
        for (int64_t p = 0; p < c->count; p++) {
            total += share(c, p, i);
        }
        for (int64_t q = 0; q < pixels && total > 0; q++) {
            patterns[i * pixels + q] /= total;
        }
    }
}

static um_status sum_up(um_scaled *scaled, weights *s, const um_features *f, double *patterns)
{
    size_t k = (size_t)s->clusters->n;
    float *h = NULL;
    double *g = calloc(k * k, sizeof *g);
    um_status status = g != NULL ? UM_OK
                                 : um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for patterns");
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, k * scaled->ld, sizeof *h, "patterns of clusters", &h);
    }
    if (status == UM_OK) {
        um_exact_pass pass = {.scaled = scaled, .k = k, .h = h, .rows = give_rows, .user = s,
                              .b = patterns, .g = g};
        memset(patterns, 0, k * scaled->m * sizeof *patterns);
        status = um_exact_pass_run(&pass, "patterns of clusters");
    }
    um_buffer_free(f->ctx, h);
    free(g);
    return status;
}

um_status um_cluster_patterns(um_matrix *matrix, const um_features *f, const um_clustering *c,
                              const um_sums *sums, double *patterns)
{
    um_sums *own = NULL;
    um_scaled scaled = {.ctx = f->ctx};
    weights s = {.clusters = c};
    um_status status = sums != NULL ? UM_OK : um_matrix_sums(matrix, &own);
    if (status == UM_OK) {
        status = um_scaled_init(&scaled, matrix, UM_WEIGHTS_NONE, sums != NULL ? sums : own);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, scaled.n, sizeof *s.point, "points of positions", &s.point);
    }
    for (size_t p = 0; status == UM_OK && p < scaled.n; p++) {
        s.point[p] = -1;
    }
    for (int64_t i = 0; status == UM_OK && i < f->count; i++) {
        if (f->position[i] >= (int64_t)scaled.n) {
            status = um_fail(f->ctx, UM_ERROR_SHAPE,
                             "the points are of more positions than the %zu of the scan: take the "
                             "scan and the preparation that the result was made from",
                             scaled.n);
            break;
        }
        s.point[f->position[i]] = i;
    }
    if (status == UM_OK) {
        status = sum_up(&scaled, &s, f, patterns);
    }
    if (status == UM_OK) {
        divide(c, (int64_t)scaled.m, patterns);
    }
    um_buffer_free(f->ctx, s.point);
    um_scaled_free(&scaled);
    um_sums_free(own);
    return status;
}

um_status um_cluster_model_patterns(um_model *model, const um_features *f, const um_clustering *c,
                                    double *patterns)
{
    um_shape shape = um_model_shape(model);
    int64_t pixels = shape.ky * shape.kx;
    int64_t k = um_model_k(model);
    const float *loadings = um_model_loadings(model);
    const float *factors = um_model_factors(model);
    double *sum = calloc((size_t)k, sizeof *sum);
    if (sum == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for patterns");
    }
    memset(patterns, 0, (size_t)(c->n * pixels) * sizeof *patterns);
    for (int64_t i = 0; i < c->n; i++) {
        memset(sum, 0, (size_t)k * sizeof *sum);
        for (int64_t p = 0; p < c->count; p++) {
            double w = share(c, p, i);
            const float *row = loadings + f->position[p] * k;
            for (int64_t j = 0; w > 0 && j < k; j++) {
                sum[j] += isfinite(row[j]) ? w * (double)row[j] : 0;
            }
        }
        for (int64_t j = 0; j < k; j++) {
            for (int64_t q = 0; q < pixels; q++) {
                float h = factors[j * pixels + q];
                patterns[i * pixels + q] += isfinite(h) ? sum[j] * (double)h : 0;
            }
        }
    }
    free(sum);
    divide(c, pixels, patterns);
    return UM_OK;
}

um_status um_cluster_beam(um_model *model, const um_clustering *c, const double *patterns,
                          double center[2])
{
    um_shape s = um_model_shape(model);
    const uint8_t *mask = um_model_signal_mask(model);
    um_beam beam = {0};
    int64_t pixels = s.ky * s.kx;
    double *mean = calloc((size_t)pixels, sizeof *mean);
    if (mean == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "no memory for a pattern");
    }
    for (int64_t i = 0; i < c->n; i++) {
        for (int64_t q = 0; q < pixels; q++) {
            mean[q] += patterns[i * pixels + q] * (double)c->sizes[i];
        }
    }
    um_status status = UM_OK;
    if (mask == NULL || !um_mask_center(mask, s.ky, s.kx, &beam)) {
        status = um_beam_measure(c->ctx, mean, mask, s.ky, s.kx, &beam);
    }
    center[0] = beam.y;
    center[1] = beam.x;
    free(mean);
    return status;
}
