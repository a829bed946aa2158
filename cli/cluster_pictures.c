/* Maps of clusters as files for other programs. */
#include "cluster_job.h"

#include <math.h>
#include <stdlib.h>

enum { MAP_PX = 512 };

static um_status draw_labels(cluster_job *job, const char *folder, const double *map)
{
    um_shape s = um_model_shape(job->model);
    uint8_t *pixels = NULL;
    int64_t height = 0;
    int64_t width = 0;
    char *path = cli_format("%s/labels.png", folder);
    um_status status =
        path != NULL ? um_labels_render(job->c->ctx, map, s.ny, s.nx, MAP_PX, &pixels, &height, &width)
                     : cli_fail(job->c, UM_ERROR_MEMORY, "no memory for a name");
    if (status == UM_OK) {
        status = um_png_write(job->c->ctx, path, height, width, 3, pixels);
        json_array_append_new(job->files, cli_json_text(path));
    }
    free(pixels);
    free(path);
    return status;
}

static um_status write_maps(cluster_job *job, const char *folder, const char *name, int64_t pages,
                            const float *maps)
{
    um_shape s = um_model_shape(job->model);
    const um_axis *x = &um_model_axes(job->model)[1];
    char *path = cli_format("%s/%s.tif", folder, name);
    if (path == NULL) {
        return cli_fail(job->c, UM_ERROR_MEMORY, "no memory for a name");
    }
    um_status status =
        um_tiff_write(job->c->ctx, path, pages, s.ny, s.nx, maps, x->scale, x->units);
    json_array_append_new(job->files, cli_json_text(path));
    free(path);
    return status;
}

um_status cluster_job_draw(cluster_job *job)
{
    const char *folder = cli_text(job->c, "pictures");
    const um_clustering *k = job->clusters;
    um_shape s = um_model_shape(job->model);
    int64_t positions = s.ny * s.nx;
    if (folder == NULL) {
        return UM_OK;
    }
    int64_t pages = k->membership != NULL ? k->n : 1;
    float *maps = malloc((size_t)(positions * pages) * sizeof *maps);
    um_status status = maps != NULL ? cli_check_folder(job->c, folder)
                                    : cli_fail(job->c, UM_ERROR_MEMORY, "no memory for maps");
    const double *map = um_model_array(job->model, "cluster_map")->data;
    if (status == UM_OK) {
        status = draw_labels(job, folder, map);
    }
    for (int64_t p = 0; status == UM_OK && p < positions; p++) {
        maps[p] = (float)map[p];
    }
    if (status == UM_OK) {
        status = write_maps(job, folder, "labels", 1, maps);
    }
    for (int64_t i = 0; status == UM_OK && i < positions * pages; i++) {
        maps[i] = NAN;
    }
    for (int64_t p = 0; status == UM_OK && k->membership != NULL && p < k->count; p++) {
        for (int64_t c = 0; c < k->n; c++) {
            maps[c * positions + job->features->position[p]] = k->membership[p * k->n + c];
        }
    }
    if (status == UM_OK && k->membership != NULL) {
        status = write_maps(job, folder, "membership", pages, maps);
    }
    free(maps);
    return status;
}
