/* Silhouettes of a sample: sums of distances to every cluster, never a matrix of them. */
#include "cluster_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct silhouette {
    const um_features *sample;
    const int32_t *label; /* of the sample's points */
    const double *size;   /* of each cluster in the sample */
    size_t n;
} silhouette;

static void add_distances(const silhouette *s, int64_t p, double *to)
{
    int64_t dims = s->sample->dims;
    const float *point = s->sample->values + p * dims;
    for (int64_t q = 0; q < s->sample->count; q++) {
        if (s->label[q] < 0) {
            continue;
        }
        const float *other = s->sample->values + q * dims;
        double sum = 0;
        for (int64_t j = 0; j < dims; j++) {
            double d = (double)point[j] - (double)other[j];
            sum += d * d;
        }
        to[s->label[q]] += sqrt(sum);
    }
}

/* Sums: of the silhouettes of each cluster. */
static void block(void *user, int64_t first, int64_t count, double *sums, double *to)
{
    const silhouette *s = user;
    for (int64_t p = first; p < first + count; p++) {
        if (s->label[p] < 0) {
            continue;
        }
        size_t own = (size_t)s->label[p];
        for (size_t c = 0; c < s->n; c++) {
            to[c] = 0;
        }
        add_distances(s, p, to);
        double b = INFINITY;
        for (size_t c = 0; c < s->n; c++) {
            b = c != own && s->size[c] > 0 ? fmin(b, to[c] / s->size[c]) : b;
        }
        double a = s->size[own] > 1 ? to[own] / (s->size[own] - 1) : 0;
        double larger = fmax(a, b);
        sums[own] += s->size[own] > 1 && larger > 0 ? (b - a) / larger : 0;
    }
}

static um_status measure(const um_features *sample, const int32_t *label, size_t n, double *mean,
                         double *of_cluster)
{
    double *size = calloc(2 * n + 1, sizeof *size);
    if (size == NULL) {
        return um_fail(sample->ctx, UM_ERROR_MEMORY, "no memory for silhouettes");
    }
    double *sums = size + n;
    double members = 0;
    int present = 0;
    for (int64_t p = 0; p < sample->count; p++) {
        if (label[p] >= 0) {
            present += size[label[p]]++ == 0;
            members++;
        }
    }
    silhouette s = {sample, label, size, n};
    um_points_job job = {sample, n, n, block, &s, sums};
    um_status status = present > 1 ? um_points_run(&job) : UM_OK;
    *mean = present > 1 ? 0 : NAN;
    for (size_t c = 0; c < n; c++) {
        *mean += present > 1 ? sums[c] / members : 0;
        if (of_cluster != NULL) {
            of_cluster[c] = present > 1 && size[c] > 0 ? sums[c] / size[c] : NAN;
        }
    }
    free(size);
    return status;
}

um_status um_silhouette(const um_features *f, const um_clustering *c, int64_t most, double *mean,
                        double *of_cluster)
{
    um_features *sample = NULL;
    int32_t *label = NULL;
    um_status status = um_features_sample(f, most, &sample);
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, (size_t)sample->count, sizeof *label,
                                 "labels of a sample", &label);
    }
    for (int64_t i = 0; status == UM_OK && i < sample->count; i++) {
        label[i] = c->label[sample->position[i]];
    }
    if (status == UM_OK) {
        status = measure(sample, label, (size_t)c->n, mean, of_cluster);
    }
    um_buffer_free(f->ctx, label);
    um_features_free(sample);
    return status;
}
