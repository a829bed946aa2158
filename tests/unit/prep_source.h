/* A scan in memory, for the tests of prep: any type, any shape of block. */
#ifndef PREP_SOURCE_H
#define PREP_SOURCE_H

#include "io_internal.h"

#include <stdlib.h>
#include <string.h>

static um_status memory_read(um_source *source, um_rect rect, void *dst)
{
    const um_source_info *info = &source->info;
    size_t pattern = (size_t)(info->shape.ky * info->shape.kx) * um_dtype_size(info->dtype);
    for (int64_t y = 0; y < rect.ny; y++) {
        const char *from = (const char *)source->state +
                           (size_t)((rect.y0 + y) * info->shape.nx + rect.x0) * pattern;
        memcpy((char *)dst + (size_t)(y * rect.nx) * pattern, from, (size_t)rect.nx * pattern);
    }
    return UM_OK;
}

static void memory_close(um_source *source)
{
    source->state = NULL;
}

static const um_source_ops memory_ops = {memory_read, memory_close, NULL, NULL, NULL};

/* `data` is borrowed. */
static um_source *memory_source(um_context *ctx, um_dtype dtype, um_shape shape, const void *data)
{
    um_source *source = calloc(1, sizeof *source);
    source->ctx = ctx;
    source->path = strdup("memory");
    source->ops = &memory_ops;
    source->state = (void *)(uintptr_t)data;
    source->metadata = json_object();
    source->info = (um_source_info){
        .path = source->path,
        .format = "memory",
        .dtype = dtype,
        .shape = shape,
        .block_ny = 1,
        .block_nx = shape.nx,
        .positions_present = shape.ny * shape.nx,
    };
    const char *names[4] = {"y", "x", "ky", "kx"};
    const int64_t sizes[4] = {shape.ny, shape.nx, shape.ky, shape.kx};
    for (int i = 0; i < 4; i++) {
        snprintf(source->info.axes[i].name, sizeof source->info.axes[i].name, "%s", names[i]);
        source->info.axes[i].scale = 1;
        source->info.axes[i].size = sizes[i];
        source->info.axes[i].navigate = i < 2;
    }
    return source;
}

/* Everything a matrix delivers as f64, in output order; positions left out stay NaN. malloc'ed. */
typedef struct gather_job {
    double *out;
    size_t pixels;
} gather_job;

static um_status gather_visit(void *user, void *state, const um_tile *tile)
{
    (void)state;
    gather_job *job = user;
    um_array array = {.dtype = tile->dtype,
                      .ndim = 1,
                      .shape = {(int64_t)(tile->rows * job->pixels)},
                      .data = (void *)(uintptr_t)tile->data};
    for (size_t r = 0; r < tile->rows; r++) {
        for (size_t i = 0; i < job->pixels; i++) {
            job->out[(size_t)tile->position[r] * job->pixels + i] =
                um_array_get(&array, (int64_t)(r * job->pixels + i));
        }
    }
    return UM_OK;
}

__attribute__((unused)) static double *gather(um_matrix *matrix)
{
    static const um_visitor visitor = {.visit = gather_visit};
    const um_shape s = um_matrix_get_info(matrix)->shape;
    gather_job job = {.pixels = (size_t)(s.ky * s.kx)};
    size_t count = (size_t)(s.ny * s.nx) * job.pixels;
    job.out = malloc(count * sizeof *job.out);
    memset(job.out, 0xff, count * sizeof *job.out); /* NaN */
    if (um_matrix_pass(matrix, "gathering", &visitor, &job) != UM_OK) {
        free(job.out);
        return NULL;
    }
    return job.out;
}

#endif
