/* unmix nmf --each: a fit of several scans together, as one result per scan with the same components. */
#include "nmf_job.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *bare_name(um_source *scan)
{
    const char *path = um_source_get_info(scan)->path;
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static size_t stem_length(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && dot != name ? (size_t)(dot - name) : strlen(name);
}

static char *file_of(const nmf_job *job, um_source *scan, const char *suffix)
{
    const char *name = bare_name(scan);
    const char *folder = cli_text(job->c, "each");
    return cli_format("%s/%.*s%s", folder, (int)stem_length(name), name, suffix);
}

/* ---- before the fit ------------------------------------------------------------------------------ */

static um_status check_names(const nmf_job *job)
{
    um_source *a = NULL;
    um_source *b = NULL;
    for (int i = 0; (a = um_source_part(job->scan.source, i)) != NULL; i++) {
        size_t length = stem_length(bare_name(a));
        for (int k = 0; k < i && (b = um_source_part(job->scan.source, k)) != NULL; k++) {
            if (length == stem_length(bare_name(b)) &&
                strncmp(bare_name(a), bare_name(b), length) == 0) {
                return cli_fail(job->c, UM_ERROR_ARGUMENT,
                                "--each: %s and %s would be one result: give their scans other names",
                                um_source_get_info(a)->path, um_source_get_info(b)->path);
            }
        }
    }
    return UM_OK;
}

um_status nmf_each_check(nmf_job *job)
{
    cli *c = job->c;
    um_shape scan = um_source_get_info(job->scan.source)->shape;
    um_shape used = um_matrix_get_info(job->scan.matrix)->shape;
    if (um_source_part(job->scan.source, 1) == NULL) {
        return cli_fail(c, UM_ERROR_ARGUMENT,
                        "--each: %s is one scan: name several as '*.hspy' or @list.txt", job->scan.path);
    }
    if (scan.ny != used.ny || scan.nx != used.nx) {
        return cli_fail(c, UM_ERROR_ARGUMENT,
                        "--each: the preparation makes %lld x %lld positions out of %lld x %lld, which belong to "
                        "no one scan any more: crop or bin the scans before (unmix prep)",
                        (long long)used.ny, (long long)used.nx, (long long)scan.ny, (long long)scan.nx);
    }
    um_status status = check_names(job);
    const char *folder = cli_text(c, "each");
    if (status == UM_OK && !c->force && cli_folder_in_use(folder)) {
        status = cli_fail(c, UM_ERROR_EXISTS, "%s: is not empty: pass --force to replace files in it", folder);
    }
    return status == UM_OK ? cli_check_parent(c, folder) : status;
}

/* ---- after it ------------------------------------------------------------------------------------ */

/* Share of the counts of the model that each component has. */
static um_status store_shares(cli *c, um_model *model)
{
    um_shape s = um_model_shape(model);
    int64_t k = um_model_k(model);
    double *share = calloc((size_t)k, sizeof *share);
    double total = 0;
    if (share == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for shares");
    }
    for (int64_t i = 0; i < k; i++) {
        const float *h = um_model_factors(model) + i * s.ky * s.kx;
        double pattern = 0;
        double map = 0;
        for (int64_t q = 0; q < s.ky * s.kx; q++) {
            pattern += isnan(h[q]) ? 0 : (double)h[q];
        }
        for (int64_t p = 0; p < s.ny * s.nx; p++) {
            float w = um_model_loadings(model)[p * k + i];
            map += isnan(w) ? 0 : (double)w;
        }
        share[i] = pattern * map;
        total += share[i];
    }
    for (int64_t i = 0; i < k && total > 0; i++) {
        share[i] /= total;
    }
    um_status status = um_model_set_array(model, "component_contribution", 1, &k, share);
    free(share);
    return status;
}

/* The facts of the joint fit stay; which scan this is comes beside them. */
static um_status tell_origin(nmf_job *job, um_source *scan, int index, um_model *model)
{
    cli *c = job->c;
    char digest[65];
    um_status status = um_source_digest(scan, digest);
    if (status != UM_OK) {
        return status;
    }
    const um_source_info *info = um_source_get_info(scan);
    json_t *object = cli_json_object(um_model_provenance(model));
    json_t *joint = json_pack("{s:O, s:i}", "input", json_object_get(object, "input"), "scan", index);
    json_object_set_new(object, "joint", joint);
    json_object_set_new(object, "input", cli_json_input(info, digest));
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(15));
    json_decref(object);
    status = text != NULL ? um_model_set_provenance(model, text)
                          : cli_fail(c, UM_ERROR_MEMORY, "no memory for the provenance");
    free(text);
    return status;
}

static um_status save_one(nmf_job *job, um_source *scan, um_model *model, json_t *told)
{
    cli *c = job->c;
    const char *first = cli_text_at(c, "output", 0);
    char *path = file_of(job, scan, strrchr(first, '.'));
    char *page = job->report != NULL ? file_of(job, scan, ".html") : NULL;
    um_save_options save = {.overwrite = c->force, .lazy_safe = cli_given(c, "lazy-safe")};
    um_status status = path != NULL && (page != NULL || job->report == NULL)
                           ? um_model_save(c->ctx, model, path, &save)
                           : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    if (status == UM_OK) {
        json_object_set_new(told, "file", cli_json_text(path));
        json_array_append_new(job->files, cli_json_text(path));
    }
    if (status == UM_OK && page != NULL) {
        um_report_options report = {.overwrite = c->force, .title = bare_name(scan)};
        status = um_report_write(c->ctx, model, page, &report);
        json_array_append_new(job->files, cli_json_text(page));
    }
    free(path);
    free(page);
    return status;
}

static json_t *told_of(um_source *scan, um_model *model)
{
    const um_array *share = um_model_array(model, "component_contribution");
    json_t *list = json_array();
    for (int64_t i = 0; i < um_model_k(model); i++) {
        json_array_append_new(list, cli_json_real(um_array_get(share, i)));
    }
    return json_pack("{s:o, s:o, s:o}", "scan", cli_json_text(um_source_get_info(scan)->path), "shape",
                     cli_json_shape(um_source_get_info(scan)->shape), "shares", list);
}

um_status nmf_each_store(nmf_job *job)
{
    cli *c = job->c;
    um_source *scan = NULL;
    int64_t first = 0;
    um_status status = cli_check_folder(c, cli_text(c, "each"));
    job->each = json_array();
    for (int i = 0; status == UM_OK && (scan = um_source_part(job->scan.source, i)) != NULL; i++) {
        const um_source_info *info = um_source_get_info(scan);
        um_model *model = NULL;
        status = um_model_slice(c->ctx, job->result->model, first, info->shape.ny, info->shape.nx,
                                info->axes, &model);
        if (status == UM_OK) {
            status = store_shares(c, model);
        }
        if (status == UM_OK) {
            status = tell_origin(job, scan, i, model);
        }
        if (status == UM_OK) {
            json_t *told = told_of(scan, model);
            status = save_one(job, scan, model, told);
            json_array_append_new(job->each, told);
        }
        um_model_free(model);
        first += info->shape.ny * info->shape.nx;
    }
    return status;
}

/* ---- telling ------------------------------------------------------------------------------------- */

void nmf_each_say(const nmf_job *job)
{
    size_t i;
    json_t *told;
    cli_say(job->c, "\nshare of counts of each component in each scan");
    json_array_foreach(job->each, i, told) {
        char line[400] = "";
        size_t k;
        json_t *share;
        json_array_foreach(json_object_get(told, "shares"), k, share) {
            size_t used = strlen(line);
            snprintf(line + used, sizeof line - used, " %7.2f%%", 100 * json_number_value(share));
        }
        cli_say(job->c, "%s  %s", line, json_string_value(json_object_get(told, "scan")));
    }
}
