/* Gap statistic (Tibshirani, Walther & Hastie 2001): how much tighter the clusters are than those of points
 * without any, drawn evenly from the box of the features. */
#include "cluster_internal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

enum { REFERENCE_STARTS = 3 };

static um_status log_dispersion(const um_features *f, int64_t n, double *out)
{
    um_cluster_options o = um_cluster_defaults(UM_CLUSTER_KMEANS, n);
    um_clustering *c = NULL;
    o.starts = REFERENCE_STARTS;
    UM_TRY(um_cluster(f, &o, &c));
    *out = log(fmax(c->objective, DBL_MIN));
    um_clustering_free(c);
    return UM_OK;
}

static void find_box(const um_features *f, float *low, float *high)
{
    for (int64_t j = 0; j < f->dims; j++) {
        low[j] = FLT_MAX;
        high[j] = -FLT_MAX;
    }
    for (int64_t i = 0; i < f->count * f->dims; i++) {
        int64_t j = i % f->dims;
        low[j] = f->values[i] < low[j] ? f->values[i] : low[j];
        high[j] = f->values[i] > high[j] ? f->values[i] : high[j];
    }
}

/* Points of reference `b` into f, whose values have been looked at. */
static void scatter(um_features *f, int64_t b, const float *low, const float *high)
{
    um_random random = {um_context_seed(f->ctx), UM_STREAM_CLUSTER_REFERENCE};
    uint64_t counter = (uint64_t)b << 40;
    for (int64_t i = 0; i < f->count * f->dims; i++) {
        int64_t j = i % f->dims;
        double t = um_random_uniform(random, counter + (uint64_t)i);
        f->values[i] = (float)((double)low[j] + t * ((double)high[j] - (double)low[j]));
    }
}

static um_status add_references(um_features *sample, int64_t low_n, int64_t high_n,
                                int64_t references, const float *low, const float *high,
                                double *sum, double *square)
{
    for (int64_t b = 0; b < references; b++) {
        scatter(sample, b, low, high);
        for (int64_t n = low_n; n <= high_n; n++) {
            double value = 0;
            UM_TRY(log_dispersion(sample, n, &value));
            sum[n - low_n] += value;
            square[n - low_n] += value * value;
        }
    }
    return UM_OK;
}

static um_status compare(um_features *sample, int64_t low_n, int64_t high_n, int64_t references,
                         float *box, double *sums, double *gap, double *error)
{
    int64_t count = high_n - low_n + 1;
    double *square = sums + count;
    find_box(sample, box, box + sample->dims);
    for (int64_t i = 0; i < count; i++) {
        UM_TRY(log_dispersion(sample, low_n + i, &gap[i]));
    }
    UM_TRY(add_references(sample, low_n, high_n, references, box, box + sample->dims, sums, square));
    for (int64_t i = 0; i < count; i++) {
        double mean = sums[i] / (double)references;
        double variance = fmax(square[i] / (double)references - mean * mean, 0);
        gap[i] = mean - gap[i];
        error[i] = sqrt(variance * (1 + 1 / (double)references));
    }
    return UM_OK;
}

um_status um_gap(const um_features *f, int64_t low, int64_t high, int64_t references,
                 int64_t most, double *gap, double *error)
{
    if (low < 1 || high < low || high > f->count || high > most || references < 1) {
        return um_fail(f->ctx, UM_ERROR_ARGUMENT,
                       "gaps of %lld to %lld clusters against %lld references: 1 to %lld clusters and "
                       "one reference are possible",
                       (long long)low, (long long)high, (long long)references,
                       (long long)(f->count < most ? f->count : most));
    }
    um_features *sample = NULL;
    float *box = calloc(2 * (size_t)f->dims, sizeof *box);
    double *sums = calloc(2 * (size_t)(high - low + 1), sizeof *sums);
    um_status status = box != NULL && sums != NULL
                           ? um_features_sample(f, most, &sample)
                           : um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for references");
    if (status == UM_OK) {
        status = compare(sample, low, high, references, box, sums, gap, error);
    }
    um_features_free(sample);
    free(box);
    free(sums);
    return status;
}
