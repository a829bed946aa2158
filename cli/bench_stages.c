/* What is made in one visit of every pattern, against one read of the same file. */
#include "bench.h"

#include <math.h>
#include <string.h>

typedef struct stage {
    const char *name;
    const char *key, *value; /* of the recipe, or NULL */
    um_status (*work)(bench *b, um_matrix *matrix, int64_t *reads, double *columns);
} stage;

static um_status work_nothing(bench *b, um_matrix *matrix, int64_t *reads, double *columns)
{
    (void)b;
    (void)columns;
    *reads = um_matrix_passes(matrix); /* opening measured the beam */
    return UM_OK;
}

static um_status work_sums(bench *b, um_matrix *matrix, int64_t *reads, double *columns)
{
    (void)b;
    (void)columns;
    um_sums *sums = NULL;
    um_status status = um_matrix_sums(matrix, &sums);
    um_sums_free(sums);
    *reads = um_matrix_passes(matrix);
    return status;
}

/* A bright field and an annular series, means, variances and centres of mass. */
static um_status work_images(bench *b, um_matrix *matrix, int64_t *reads, double *columns)
{
    (void)b;
    (void)columns;
    um_images *images = NULL;
    const um_shape *shape = &um_matrix_get_info(matrix)->shape;
    um_status status = um_images_make(matrix, NULL, 0, 0.5 * (double)(shape->ky - 1),
                                      0.5 * (double)(shape->kx - 1), &images);
    um_images_free(images);
    *reads = um_matrix_passes(matrix);
    return status;
}

static um_status work_svd(bench *b, um_matrix *matrix, int64_t *reads, double *columns)
{
    um_svd_options how = {.k = b->k, .power_iterations = 2};
    um_svd_result *result = NULL;
    um_status status = um_svd(matrix, &how, &result);
    if (status == UM_OK) {
        *reads = result->passes;
        *columns = (double)(b->k + 10 + b->k / 2);
        um_svd_result_free(result);
    }
    return status;
}

static const stage stages[] = {
    {"sums", NULL, NULL, work_sums},
    {"virtual images", NULL, NULL, work_images},
    {"beam, centre of mass", "center", "com", work_nothing},
    {"beam, correlation", "center", "cross-correlation", work_nothing},
    {"background, dog", "background", "dog:1,4", work_sums},
    {"background, radial", "background", "radial-median", work_sums},
    {"svd", NULL, NULL, work_svd},
};

static um_status run_once(bench *b, const stage *s, um_source *source, double *seconds, int64_t *reads,
                          double *columns)
{
    um_recipe *recipe = NULL;
    um_matrix *matrix = NULL;
    um_status status = um_recipe_create(b->c->ctx, &recipe);
    if (status == UM_OK && s->key != NULL) {
        status = um_recipe_set(recipe, s->key, s->value);
    }
    double start = cli_seconds();
    status = status == UM_OK ? um_matrix_open(b->c->ctx, source, recipe, &matrix) : status;
    status = status == UM_OK ? s->work(b, matrix, reads, columns) : status;
    *seconds = cli_seconds() - start;
    um_matrix_free(matrix);
    um_recipe_free(recipe);
    return status;
}

static um_status measure(bench *b, const bench_scan *scan, const bench_file_limits *file, const stage *s,
                         um_source *source, json_t *list)
{
    double best = INFINITY, columns = 0.0;
    int64_t reads = 0;
    for (int i = 0; i < (b->quick ? 1 : 3); i++) {
        double seconds = 0.0;
        um_status status = run_once(b, s, source, &seconds, &reads, &columns);
        if (status != UM_OK) {
            return status;
        }
        best = fmin(best, seconds);
    }
    double bytes = (double)reads * bench_scan_bytes(scan), rate = bytes / best / 1e9;
    double disk = file->bytes / file->cold_seconds / 1e9, cached = file->bytes / file->cached_seconds / 1e9;
    json_t *row = json_pack(
        "{s:s, s:f, s:I, s:f, s:f, s:f, s:f, s:s}", "name", s->name, "seconds", best, "reads",
        (json_int_t)reads, "patterns_per_second", (double)reads * bench_scan_patterns(scan) / best, "GBps",
        rate, "of_file_read", rate / disk, "of_cached_read", rate / cached, "bound_by",
        rate >= disk ? "disk" : "processor");
    if (columns > 0.0) {
        /* 4 operations a value, read and column: X V and (X V)' X. */
        double values = bytes / (double)um_dtype_size(scan->dtype);
        double flops = 4.0 * values * columns / best / 1e9;
        json_object_set_new(row, "GFLOPS", json_real(flops));
        json_object_set_new(row, "of_f32_fma", json_real(flops / b->limits.f32_fma_GFLOPS[1]));
    }
    json_array_append_new(list, row);
    return UM_OK;
}

um_status bench_stages(bench *b, bench_scan *scan)
{
    um_source *source = NULL;
    bench_file_limits file;
    json_t *list = json_array();
    json_object_set_new(b->report, "stages", list);
    um_status status = bench_scan_make(b, scan);
    status = status == UM_OK ? bench_file(b->c, scan->path, true, &file) : status;
    status = status == UM_OK ? um_source_open(b->c->ctx, scan->path, NULL, &source) : status;
    if (status == UM_OK) {
        json_object_set_new(b->report, "stage_scan",
                            json_pack("{s:[I,I,I,I], s:s, s:f, s:f, s:f}", "shape", (json_int_t)scan->ny,
                                      (json_int_t)scan->nx, (json_int_t)scan->ky, (json_int_t)scan->kx,
                                      "dtype", um_dtype_name(scan->dtype), "bytes", bench_scan_bytes(scan),
                                      "file_read_GBps", file.bytes / file.cold_seconds / 1e9,
                                      "file_cached_GBps", file.bytes / file.cached_seconds / 1e9));
    }
    for (size_t i = 0; status == UM_OK && i < sizeof stages / sizeof *stages; i++) {
        status = measure(b, scan, &file, &stages[i], source, list);
    }
    um_source_free(source);
    bench_scan_drop(b, scan);
    return status;
}
