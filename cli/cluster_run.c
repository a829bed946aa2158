/* unmix cluster: the clustering itself. */
#include "cluster_job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TURNED_PARTS = 48 };

static um_status parse_number(cluster_job *job, int64_t *n)
{
    cli *c = job->c;
    const char *text = cli_text(c, "clusters");
    *n = 0;
    if (strcmp(text, "auto") == 0) {
        const char *range = cli_text(c, "range");
        long long low = 0;
        long long high = 0;
        char rest = 0;
        if (sscanf(range, "%lld..%lld%c", &low, &high, &rest) != 2 || low < 2 || high < low ||
            high > 1000) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--range takes A..B with 2 <= A <= B <= 1000, not '%s'",
                            range);
        }
        if (low > job->features->count) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--range %s: there are only %lld positions to cluster", range,
                            (long long)job->features->count);
        }
        job->low = low;
        job->high = high < job->features->count ? high : job->features->count;
        return UM_OK;
    }
    return cli_parse_integer(text, n) && *n > 0
               ? UM_OK
               : cli_fail(c, UM_ERROR_ARGUMENT, "-n takes a number of clusters or auto, not '%s'",
                          text);
}

/* The start that the user names: n x dims numbers. */
static um_status read_centers(cluster_job *job, um_cluster_options *options, um_array **array,
                              double **centers)
{
    cli *c = job->c;
    const char *path = cli_text(c, "centers");
    if (path == NULL) {
        return UM_OK;
    }
    um_status status = um_array_read(c->ctx, path, array);
    if (status != UM_OK) {
        return status;
    }
    if ((*array)->ndim != 2 || (*array)->shape[1] != job->features->dims || options->n != (*array)->shape[0]) {
        return cli_fail(c, UM_ERROR_SHAPE, "--centers %s: is not %lld x %lld, one row per cluster of -n",
                        path, (long long)options->n, (long long)job->features->dims);
    }
    int64_t count = um_array_size(*array);
    *centers = calloc((size_t)count + 1, sizeof **centers);
    if (*centers == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for centres");
    }
    for (int64_t i = 0; i < count; i++) {
        (*centers)[i] = um_array_get(*array, i);
    }
    options->centers = *centers;
    return UM_OK;
}

static um_status cluster(cluster_job *job, um_cluster_options *options)
{
    cli *c = job->c;
    um_status status = UM_OK;
    if (job->high > 0) {
        job->rows = calloc((size_t)(job->high - job->low + 1), sizeof *job->rows);
        status = job->rows != NULL ? um_cluster_choose(job->features, options, job->low, job->high,
                                                       cli_integer(c, "sample"), job->rows,
                                                       &job->clusters)
                                   : cli_fail(c, UM_ERROR_MEMORY, "no memory for a table");
    } else {
        status = um_cluster(job->features, options, &job->clusters);
    }
    return status;
}

static um_status measure_gaps(cluster_job *job)
{
    int64_t references = cli_integer(job->c, "gap");
    int64_t count = job->high - job->low + 1;
    if (references == 0 || job->rows == NULL) {
        return UM_OK;
    }
    job->gap = calloc(2 * (size_t)count, sizeof *job->gap);
    if (job->gap == NULL) {
        return cli_fail(job->c, UM_ERROR_MEMORY, "no memory for gaps");
    }
    job->gap_error = job->gap + count;
    return um_gap(job->features, job->low, job->high, references, cli_integer(job->c, "sample"),
                  job->gap, job->gap_error);
}

static um_status measure(cluster_job *job)
{
    job->silhouette_of = calloc((size_t)job->clusters->n + 1, sizeof(double));
    return job->silhouette_of != NULL
               ? um_silhouette(job->features, job->clusters, cli_integer(job->c, "sample"),
                               &job->silhouette, job->silhouette_of)
               : cli_fail(job->c, UM_ERROR_MEMORY, "no memory for silhouettes");
}

/* ---- patterns that are turned ------------------------------------------------------------------- */

static um_status center_of_rotation(cluster_job *job, double center[2])
{
    cli *c = job->c;
    const char *text = cli_text(c, "beam");
    char rest = 0;
    if (text != NULL && (sscanf(text, "%lf,%lf%c", &center[0], &center[1], &rest) != 2 ||
                         !isfinite(center[0]) || !isfinite(center[1]))) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--beam takes cy,cx in px, not '%s'", text);
    }
    return text != NULL ? UM_OK
                        : um_cluster_beam(job->model, job->clusters, job->patterns, center);
}

/* The pattern of each cluster becomes that of its largest part, the first with its number. */
static um_status keep_largest(cluster_job *job, const int32_t *group, const um_clustering *merged)
{
    um_shape s = um_model_shape(job->model);
    size_t pixels = (size_t)(s.ky * s.kx);
    double *kept = calloc((size_t)merged->n * pixels + 1, sizeof *kept);
    if (kept == NULL) {
        return cli_fail(job->c, UM_ERROR_MEMORY, "no memory for patterns");
    }
    for (int64_t i = job->clusters->n - 1; i >= 0; i--) {
        memcpy(kept + (size_t)group[i] * pixels, job->patterns + (size_t)i * pixels,
               pixels * sizeof *kept);
    }
    free(job->patterns);
    job->patterns = kept;
    return UM_OK;
}

static um_status join_turned(cluster_job *job, um_cluster_options *options)
{
    cli *c = job->c;
    double center[2] = {0, 0};
    um_clustering *merged = NULL;
    int64_t n = job->high > 0 ? 0 : options->n;
    int64_t parts = cli_given(c, "parts") ? cli_integer(c, "parts") : TURNED_PARTS;
    options->method = UM_CLUSTER_KMEANS;
    options->n = parts < job->features->count ? parts : job->features->count;
    options->centers = NULL;
    job->high = 0;
    int32_t *group = calloc((size_t)options->n, sizeof *group);
    um_status status = group != NULL ? um_cluster(job->features, options, &job->clusters)
                                     : cli_fail(c, UM_ERROR_MEMORY, "no memory for parts");
    if (status == UM_OK) {
        status = cluster_job_patterns(job);
    }
    if (status == UM_OK) {
        status = center_of_rotation(job, center);
    }
    if (status == UM_OK) {
        status = um_cluster_merge_turned(job->features, job->clusters, job->patterns,
                                         um_model_shape(job->model),
                                         um_model_signal_mask(job->model), center, n,
                                         cli_real(c, "correlation"), group, &merged);
    }
    if (status == UM_OK) {
        status = keep_largest(job, group, merged);
    }
    if (status == UM_OK) {
        um_clustering_free(job->clusters);
        job->clusters = merged;
    } else {
        um_clustering_free(merged);
    }
    free(group);
    return status;
}

um_status cluster_job_run(cluster_job *job)
{
    cli *c = job->c;
    um_cluster_options options =
        um_cluster_defaults((um_cluster_method)cli_choice(c, "method"), 0);
    um_array *array = NULL;
    double *centers = NULL;
    options.starts = cli_integer(c, "starts");
    options.exact = cli_integer(c, "exact");
    if (cli_given(c, "parts")) {
        options.parts = cli_integer(c, "parts");
    }
    options.least_size = cli_given(c, "least-size") ? cli_integer(c, "least-size") : 0;
    options.neighbours = cli_integer(c, "neighbours");
    options.fuzziness = cli_real(c, "fuzziness");
    options.diagonal = cli_choice(c, "covariance") == 1;
    options.ridge = cli_real(c, "ridge");
    if (cli_given(c, "max-iterations")) {
        options.max_iterations = cli_integer(c, "max-iterations");
    }
    options.batch = cli_integer(c, "batch");
    if (cli_given(c, "tolerance")) {
        options.tolerance = cli_real(c, "tolerance");
    }
    um_status status =
        options.method == UM_CLUSTER_HDBSCAN ? UM_OK : parse_number(job, &options.n);
    if (status == UM_OK) {
        status = read_centers(job, &options, &array, &centers);
    }
    if (status == UM_OK) {
        status = options.method == UM_CLUSTER_ROTATION ? join_turned(job, &options)
                                                       : cluster(job, &options);
    }
    if (status == UM_OK) {
        status = measure(job);
    }
    if (status == UM_OK) {
        status = measure_gaps(job);
    }
    um_array_free(array);
    free(centers);
    return status;
}
