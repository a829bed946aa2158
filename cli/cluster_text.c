/* What unmix cluster tells. */
#include "cluster_job.h"

#include <math.h>

static json_t *table_json(const cluster_job *job)
{
    json_t *table = json_array();
    for (int64_t i = 0; job->rows != NULL && i <= job->high - job->low; i++) {
        const um_cluster_row *r = &job->rows[i];
        json_array_append_new(
            table, json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "n", (json_int_t)r->n, "objective",
                             cli_json_real(r->objective), "silhouette",
                             cli_json_real(r->silhouette), "bic", cli_json_real(r->bic), "aic",
                             cli_json_real(r->aic), "gap", cli_json_real(job->gap ? job->gap[i] : NAN),
                             "gap_error", cli_json_real(job->gap ? job->gap_error[i] : NAN),
                             "converged", (int)r->converged));
    }
    return table;
}

static json_t *as_json(const cluster_job *job)
{
    const um_clustering *k = job->clusters;
    json_t *counts = json_array();
    json_t *silhouettes = json_array();
    int64_t noise = k->count;
    for (int64_t i = 0; i < k->n; i++) {
        noise -= k->sizes[i];
        json_array_append_new(counts, json_integer((json_int_t)k->sizes[i]));
        json_array_append_new(silhouettes, cli_json_real(job->silhouette_of[i]));
    }
    return json_pack("{s:I, s:s, s:s, s:I, s:o, s:I, s:I, s:o, s:o, s:o, s:I, s:b, s:o, s:o, s:o, s:f, s:I, s:O}",
                     "n", (json_int_t)k->n, "method", um_cluster_method_name(k->method), "scaling",
                     um_feature_scaling_name(job->features->scaling), "features",
                     (json_int_t)k->dims, "labels_counts", counts, "noise", (json_int_t)noise,
                     "positions", (json_int_t)k->count, "silhouette",
                     cli_json_real(job->silhouette), "silhouette_of", silhouettes, "objective",
                     cli_json_real(k->objective), "iterations", (json_int_t)k->iterations,
                     "converged", (int)k->converged, "bic", cli_json_real(k->bic), "aic",
                     cli_json_real(k->aic), "table", table_json(job), "seconds",
                     cli_seconds() - job->c->started, "peak_bytes", (json_int_t)cli_peak_bytes(),
                     "files", job->files);
}

static void say_table(const cluster_job *job)
{
    cli *c = job->c;
    bool mixture = isfinite(job->clusters->bic);
    cli_say(c, "%8s  %14s  %10s%s%s", "clusters", "objective", "silhouette",
            mixture ? "           BIC" : "", job->gap ? "               gap" : "");
    for (int64_t i = 0; i <= job->high - job->low; i++) {
        const um_cluster_row *r = &job->rows[i];
        char bic[32] = "";
        char gap[48] = "";
        if (job->gap != NULL) {
            snprintf(gap, sizeof gap, "  %7.4f +- %.4f", job->gap[i], job->gap_error[i]);
        }
        if (mixture) {
            snprintf(bic, sizeof bic, "  %12.6g", r->bic);
        }
        cli_say(c, "%8lld  %14.6g  %10.4f%s%s%s%s", (long long)r->n, r->objective, r->silhouette, bic, gap,
                r->n == job->clusters->n ? "  <- taken" : "",
                r->converged ? "" : "  (not converged)");
    }
    cli_say(c, " ");
}

static void say_clusters(const cluster_job *job)
{
    cli *c = job->c;
    const um_clustering *k = job->clusters;
    int64_t noise = k->count;
    cli_say(c, "%8s  %10s  %7s  %10s", "cluster", "positions", "share", "silhouette");
    for (int64_t i = 0; i < k->n; i++) {
        noise -= k->sizes[i];
        cli_say(c, "%8lld  %10lld  %6.2f%%  %10.4f", (long long)i, (long long)k->sizes[i],
                100 * (double)k->sizes[i] / (double)k->count, job->silhouette_of[i]);
    }
    if (noise > 0) {
        cli_say(c, "%8s  %10lld  %6.2f%%", "noise", (long long)noise,
                100 * (double)noise / (double)k->count);
    }
}

um_status cluster_job_tell(cluster_job *job)
{
    cli *c = job->c;
    const um_clustering *k = job->clusters;
    if (c->json) {
        return cli_print_json(c, as_json(job));
    }
    char time[32];
    char memory[32];
    if (job->rows != NULL) {
        say_table(job);
    }
    say_clusters(job);
    cli_say(c, "\n%s in %lld features (%s): %s after %lld iterations, silhouette %.4f",
            um_cluster_method_name(k->method), (long long)k->dims,
            um_feature_scaling_name(job->features->scaling),
            k->converged ? "converged" : "not converged", (long long)k->iterations,
            job->silhouette);
    cli_say(c, "%s, peak memory %s", cli_seconds_text(cli_seconds() - c->started, time),
            cli_bytes_text((double)cli_peak_bytes(), memory));
    for (size_t i = 0; i < json_array_size(job->files); i++) {
        cli_say(c, "wrote %s", json_string_value(json_array_get(job->files, i)));
    }
    return UM_OK;
}
