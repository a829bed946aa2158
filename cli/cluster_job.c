#include "cluster_job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SCORES = 20, FEWEST_SCORES = 2 };

/* ---- points ------------------------------------------------------------------------------------- */

/* Singular vectors that are no noise: above its edge, or before the elbow where there is none. */
static int64_t useful(const um_svd_result *svd)
{
    int64_t n = svd->elbow;
    if (isfinite(svd->noise_edge)) {
        for (n = 0; n < svd->count && svd->singular_values[n] > svd->noise_edge; n++) {
        }
    }
    int64_t k = um_model_k(svd->model);
    n = n > FEWEST_SCORES ? n : FEWEST_SCORES;
    return n < k ? n : k;
}

static int64_t rank_of(const um_matrix_info *info)
{
    int64_t rows = 0;
    int64_t columns = 0;
    for (int64_t p = 0; p < info->shape.ny * info->shape.nx; p++) {
        rows += info->navigation_mask == NULL || info->navigation_mask[p] == 0;
    }
    for (int64_t q = 0; q < info->shape.ky * info->shape.kx; q++) {
        columns += info->signal_mask == NULL || info->signal_mask[q] == 0;
    }
    return rows < columns ? rows : columns;
}

static um_status decompose(cluster_job *job)
{
    cli *c = job->c;
    um_status status = cli_scan_prepare(c, c->operand[0], &job->scan);
    if (status == UM_OK) {
        status = cli_overview_make(c, &job->scan, &job->overview);
    }
    if (status != UM_OK) {
        return status;
    }
    int64_t rank = rank_of(um_matrix_get_info(job->scan.matrix));
    um_svd_options svd = {
        .k = cli_given(c, "components") ? cli_integer(c, "components")
             : rank < MOST_SCORES      ? rank
                                       : MOST_SCORES,
        .weights = (um_weights)cli_choice(c, "weights"),
        .power_iterations = -1,
        .sums = job->overview.sums,
    };
    status = um_svd(job->scan.matrix, &svd, &job->svd);
    if (status == UM_OK) {
        job->model = job->svd->model;
        job->dims = cli_given(c, "components") ? svd.k : useful(job->svd);
        status = cli_overview_store(&job->overview, job->model);
    }
    return status;
}

/* Whether IN is a result; then it is loaded. A .hspy file that holds no decomposition is a scan. */
static um_status load(cluster_job *job, bool *is_result)
{
    cli *c = job->c;
    const char *path = c->operand[0];
    *is_result = cli_has_suffix(path, ".npz");
    if (!*is_result && !cli_has_suffix(path, ".hspy")) {
        return UM_OK;
    }
    um_status status = cli_model_load(c, path, &job->model);
    if (status == UM_OK) {
        *is_result = true;
        job->dims = cli_integer(c, "components");
    } else if (status == UM_ERROR_FORMAT && !*is_result) {
        status = UM_OK;
    }
    return status;
}

static um_status open_patterns(cluster_job *job)
{
    cli *c = job->c;
    if (!cli_given(c, "patterns")) {
        return UM_OK;
    }
    um_status status = cli_scan_prepare(c, cli_text(c, "patterns"), &job->scan);
    if (status != UM_OK) {
        return status;
    }
    um_shape a = um_model_shape(job->model);
    um_shape b = um_matrix_get_info(job->scan.matrix)->shape;
    if (a.ny != b.ny || a.nx != b.nx || a.ky != b.ky || a.kx != b.kx) {
        return cli_fail(c, UM_ERROR_SHAPE,
                        "--patterns %s is %lldx%lldx%lldx%lld after preparation and the result "
                        "%lldx%lldx%lldx%lld: prepare it as the result's scan was",
                        job->scan.path, (long long)b.ny, (long long)b.nx, (long long)b.ky,
                        (long long)b.kx, (long long)a.ny, (long long)a.nx, (long long)a.ky,
                        (long long)a.kx);
    }
    return UM_OK;
}

um_status cluster_job_points(cluster_job *job)
{
    bool is_result = false;
    um_status status = load(job, &is_result);
    if (status == UM_OK && is_result) {
        status = open_patterns(job);
    } else if (status == UM_OK && cli_given(job->c, "patterns")) {
        status = cli_fail(job->c, UM_ERROR_ARGUMENT,
                          "--patterns: %s is a scan, whose patterns are at hand: leave it out",
                          job->c->operand[0]);
    } else if (status == UM_OK) {
        status = decompose(job);
    }
    if (status == UM_OK) {
        status = um_features_from_model(job->c->ctx, job->model, job->dims,
                                        (um_feature_scaling)cli_choice(job->c, "scaling"),
                                        &job->features);
    }
    return status;
}

/* ---- patterns --------------------------------------------------------------------------------------- */

/* Patterns here and twice in the model, maps of distances and membership in the model and as pictures: not
 * buffers of the budget, but many clusters must not pass it. */
static um_status check_memory(cluster_job *job)
{
    const um_clustering *k = job->clusters;
    um_shape s = um_model_shape(job->model);
    double maps = k->membership != NULL ? 2.5 : 1;
    double bytes = (double)k->n * sizeof(double) *
                   (3 * (double)(s.ky * s.kx) + maps * (double)(s.ny * s.nx));
    double needed = bytes + (double)um_context_memory_in_use(job->c->ctx);
    return needed <= (double)um_context_memory(job->c->ctx)
               ? UM_OK
               : cli_fail(job->c, UM_ERROR_BUDGET,
                          "patterns and maps of %lld clusters need --memory %.0fM: take fewer clusters or parts",
                          (long long)k->n, ceil(needed / 1e6));
}

um_status cluster_job_patterns(cluster_job *job)
{
    um_shape s = um_model_shape(job->model);
    if (job->patterns != NULL) {
        return UM_OK;
    }
    um_status status = check_memory(job);
    if (status != UM_OK) {
        return status;
    }
    job->patterns = calloc((size_t)(job->clusters->n * s.ky * s.kx) + 1, sizeof(double));
    if (job->patterns == NULL) {
        return cli_fail(job->c, UM_ERROR_MEMORY, "no memory for the patterns of clusters");
    }
    return job->scan.matrix != NULL
               ? um_cluster_patterns(job->scan.matrix, job->features, job->clusters,
                                     job->overview.sums, job->patterns)
               : um_cluster_model_patterns(job->model, job->features, job->clusters, job->patterns);
}

/* ---- saving ------------------------------------------------------------------------------------- */

static json_t *facts(const cluster_job *job)
{
    const um_clustering *k = job->clusters;
    return json_pack("{s:s, s:I, s:I, s:s, s:o, s:b, s:o, s:o}", "method",
                     um_cluster_method_name(k->method), "n", (json_int_t)k->n, "features",
                     (json_int_t)k->dims, "scaling",
                     um_feature_scaling_name(job->features->scaling), "objective",
                     cli_json_real(k->objective), "converged", (int)k->converged, "silhouette",
                     cli_json_real(job->silhouette), "input", cli_json_text(job->c->operand[0]));
}

/* What is known of a result stays; the clusters are told beside it. */
static um_status add_provenance(cluster_job *job, json_t *found)
{
    cli *c = job->c;
    if (job->svd != NULL) {
        return cli_set_provenance(c, &job->scan, job->model,
                                  json_pack("{s:s, s:o}", "method", "SVD", "cluster", found));
    }
    json_t *object = cli_json_object(um_model_provenance(job->model));
    json_object_set_new(found, "seed", json_integer((json_int_t)um_context_seed(c->ctx)));
    char *command = cli_command_line(c->argc, c->argv);
    json_object_set_new(found, "command", cli_json_text(command != NULL ? command : ""));
    free(command);
    json_object_set_new(object, "cluster", found);
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(object);
    um_status status = text != NULL ? um_model_set_provenance(job->model, text)
                                    : cli_fail(c, UM_ERROR_MEMORY, "no memory for the provenance");
    free(text);
    return status;
}

um_status cluster_job_save(cluster_job *job)
{
    cli *c = job->c;
    um_status status = um_cluster_store(job->model, job->features, job->clusters, job->patterns);
    if (status == UM_OK) {
        status = um_model_set_array(job->model, "cluster_silhouette", 1, &job->clusters->n,
                                    job->silhouette_of);
    }
    if (status == UM_OK) {
        status = add_provenance(job, facts(job));
    }
    if (status == UM_OK) {
        status = cli_save_models(c, job->model, cli_given(c, "lazy-safe"), NULL, job->files);
    }
    if (status == UM_OK && job->report != NULL) {
        um_report_options report = {.overwrite = c->force};
        status = um_report_write(c->ctx, job->model, job->report, &report);
        json_array_append_new(job->files, cli_json_text(job->report));
    }
    return status;
}

void cluster_job_free(cluster_job *job)
{
    if (job->svd != NULL) {
        um_svd_result_free(job->svd);
    } else {
        um_model_free(job->model);
    }
    um_features_free(job->features);
    um_clustering_free(job->clusters);
    cli_overview_free(&job->overview);
    cli_scan_close(&job->scan);
    json_decref(job->files);
    free(job->rows);
    free(job->gap);
    free(job->silhouette_of);
    free(job->patterns);
    free(job->report);
}
