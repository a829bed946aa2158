/* Positions left out by the level of a virtual image: vacuum, holes, thick parts. */
#include "steps.h"
#include "unmix/shapes.h"

#include <math.h>
#include <stdlib.h>

typedef struct level_job {
    const um_prep *prep;
    double *map;         /* in.ny*in.nx */
    const float *weight; /* 1 inside the aperture */
} level_job;

static um_status level_start(void *user, void **state)
{
    level_job *job = user;
    return um_buffer_alloc(job->prep->ctx, (size_t)(job->prep->ky * job->prep->kx), sizeof(float),
                           "a virtual image", state);
}

static void level_stop(void *user, void *state)
{
    level_job *job = user;
    um_buffer_free(job->prep->ctx, state);
}

static um_status level_visit(void *user, void *state, const um_tile *tile)
{
    level_job *job = user;
    float *pattern = state;
    size_t pixels = (size_t)(job->prep->ky * job->prep->kx);
    for (size_t r = 0; r < tile->rows; r++) {
        const char *row = (const char *)tile->data + r * pixels * um_dtype_size(tile->dtype);
        job->prep->kernels->to_f32[tile->dtype](pattern, row, pixels);
        double sum = 0;
        for (size_t i = 0; i < pixels; i++) {
            sum += job->weight[i] != 0 ? (double)pattern[i] : 0;
        }
        job->map[tile->position[r]] = sum;
    }
    return UM_OK;
}

static um_status exclude(um_prep *prep, const double *map)
{
    const um_recipe *r = prep->recipe;
    uint8_t *mask = prep->learned->navigation;
    size_t positions = (size_t)(prep->layout.in.ny * prep->layout.in.nx);
    double *sorted = calloc(positions, sizeof *sorted);
    if (sorted == NULL) {
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "navigation-threshold: no memory");
    }
    size_t n = 0;
    for (size_t i = 0; i < positions; i++) {
        if (mask[i] == 0 && isfinite(map[i])) {
            sorted[n++] = map[i];
        }
    }
    if (n == 0) {
        free(sorted);
        return um_fail(prep->ctx, UM_ERROR_VALUE, "navigation-threshold: no position has a value");
    }
    qsort(sorted, n, sizeof *sorted, um_compare_f64);
    double level = r->threshold_factor * sorted[n / 2];
    um_status status = UM_OK;
    if (isnan(r->threshold_factor)) {
        status = um_threshold(prep->ctx, UM_THRESHOLD_OTSU, sorted, (int64_t)n, 0, &level);
    }
    free(sorted);
    UM_TRY(status);
    int64_t excluded = 0;
    for (size_t i = 0; i < positions; i++) {
        bool out = mask[i] == 0 && (r->threshold_above ? map[i] > level : map[i] < level);
        mask[i] = mask[i] != 0 || out;
        excluded += out;
    }
    json_object_set_new(prep->report, "navigation_threshold",
                        json_pack("{s:f,s:I}", "level", level, "excluded", (json_int_t)excluded));
    return UM_OK;
}

um_status um_learn_threshold(um_prep *prep, um_source *source)
{
    static const um_visitor visitor = {
        .start = level_start, .visit = level_visit, .stop = level_stop};
    const um_recipe *r = prep->recipe;
    if (!um_recipe_has(r, UM_KEY_NAVIGATION_THRESHOLD)) {
        return UM_OK;
    }
    int64_t pixels = prep->ky * prep->kx;
    size_t positions = (size_t)(prep->layout.in.ny * prep->layout.in.nx);
    float *weight = calloc((size_t)pixels, sizeof *weight);
    double *map = calloc(positions, sizeof *map);
    um_status status = UM_OK;
    if (weight == NULL || map == NULL) {
        status = um_fail(prep->ctx, UM_ERROR_MEMORY, "navigation-threshold: no memory");
    }
    for (int64_t i = 0; status == UM_OK && i < pixels; i++) {
        double dy = (double)(i / prep->kx) - prep->learned->beam_y;
        double dx = (double)(i % prep->kx) - prep->learned->beam_x;
        bool inside = isinf(r->threshold_radius_px) || hypot(dy, dx) < r->threshold_radius_px;
        weight[i] = inside ? 1 : 0;
    }
    if (status == UM_OK) {
        level_job job = {prep, map, weight};
        status = um_prep_inner_pass(prep, source, UM_LEVEL_PREPARED,
                                    "finding positions to leave out", &visitor, &job);
    }
    if (status == UM_OK && prep->learned->navigation == NULL) {
        prep->learned->navigation = calloc(positions, 1);
        if (prep->learned->navigation == NULL) {
            status = um_fail(prep->ctx, UM_ERROR_MEMORY, "navigation-threshold: no memory");
        }
    }
    if (status == UM_OK) {
        status = exclude(prep, map);
    }
    free(weight);
    free(map);
    return status;
}
