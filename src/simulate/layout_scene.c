/* A layout of end-member patterns as a scene: the library is the states, and weights are their fractions. */
#include "simulate_internal.h"

#include <stdlib.h>
#include <string.h>

/* Patterns of unit sum, and the sums that they had. */
static um_status take_patterns(um_context *ctx, const um_simulation *sim, um_scene *scene, double *sums)
{
    float *built_in = NULL;
    const float *patterns = sim->patterns;
    if (patterns == NULL) {
        UM_TRY(um_simulate_patterns(ctx, sim->states, sim->ky, sim->kx, um_context_seed(ctx), &built_in));
        patterns = built_in;
    }
    int64_t pixels = sim->ky * sim->kx;
    for (int64_t s = 0; s < sim->states; s++) {
        double sum = 0.0;
        for (int64_t q = 0; q < pixels; q++) {
            sum += (double)patterns[s * pixels + q];
        }
        for (int64_t q = 0; q < pixels; q++) {
            scene->pattern[s * pixels + q] = (float)((double)patterns[s * pixels + q] / sum);
        }
        sums[s] = sum;
    }
    free(built_in);
    return UM_OK;
}

/* Every state gets the same intensity or keeps its own; the scan's mean pattern is then brought to a sum of 1. */
static void scale_patterns(const um_simulation *sim, um_scene *scene, double *sums, double *counts)
{
    int64_t positions = sim->ny * sim->nx;
    int64_t pixels = sim->ky * sim->kx;
    bool equal = *counts > 0.0 && !sim->keep_intensities;
    double total = 0.0;
    for (int64_t s = 0; s < sim->states; s++) {
        sums[s] = equal ? 1.0 : sums[s];
    }
    for (int64_t i = 0; i < positions * sim->states; i++) {
        total += (double)scene->fraction[i] * sums[i % sim->states];
    }
    double mean = total / (double)positions;
    *counts = *counts > 0.0 ? *counts : mean;
    for (int64_t s = 0; s < sim->states; s++) {
        for (int64_t q = 0; q < pixels; q++) {
            float *value = &scene->pattern[s * pixels + q];
            *value = (float)((double)*value * (sums[s] / mean));
        }
    }
    memcpy(scene->state_pattern, scene->pattern, (size_t)(sim->states * pixels) * sizeof(float));
}

static um_status make_lists(um_context *ctx, um_scene *scene)
{
    int64_t positions = scene->ny * scene->nx;
    size_t entries = 0;
    for (int64_t i = 0; i < positions * scene->states; i++) {
        entries += scene->fraction[i] > 0.0F;
    }
    UM_TRY(um_buffer_alloc(ctx, (size_t)positions + 1, sizeof *scene->start, "lists of the states", &scene->start));
    UM_TRY(um_buffer_alloc(ctx, entries, sizeof *scene->which, "lists of the states", &scene->which));
    UM_TRY(um_buffer_alloc(ctx, entries, sizeof *scene->weight, "lists of the states", &scene->weight));
    uint64_t at = 0;
    for (int64_t p = 0; p < positions; p++) {
        for (int64_t s = 0; s < scene->states; s++) {
            float fraction = scene->fraction[p * scene->states + s];
            if (fraction > 0.0F) {
                scene->which[at] = (uint32_t)s;
                scene->weight[at++] = fraction;
            }
        }
        scene->start[p + 1] = at;
    }
    return UM_OK;
}

static void name_states(um_scene *scene)
{
    for (int64_t s = 0; s < scene->states; s++) {
        um_scene_state *state = &scene->state[s];
        snprintf(state->name, sizeof state->name, "pattern %lld", (long long)s);
        memcpy(state->phase, state->name, sizeof state->phase);
    }
}

static um_status describe(um_context *ctx, const um_simulation *sim, um_scene *scene)
{
    static const char *const layouts[] = {"voronoi", "stripes", "discs", "labels"};
    scene->parameters = um_format(
        "[simulate]\nsize = %lldx%lld\npattern-size = %lldx%lld\nstates = %lld\npatterns = %s\nlayout = %s\n"
        "regions = %lld\nborder = %.17g\nkeep-intensities = %s\nseed = %llu\n",
        (long long)sim->ny, (long long)sim->nx, (long long)sim->ky, (long long)sim->kx, (long long)sim->states,
        sim->patterns == NULL ? "built-in" : "given", layouts[sim->layout], (long long)sim->regions, sim->border_px,
        sim->keep_intensities ? "true" : "false", (unsigned long long)um_context_seed(ctx));
    return scene->parameters != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
}

static um_status fill(um_context *ctx, const um_simulation *sim, double *sums, um_scene *scene, double *counts)
{
    size_t values = (size_t)(sim->states * sim->ky * sim->kx);
    UM_TRY(um_buffer_alloc(ctx, values, sizeof *scene->pattern, "patterns of the states", &scene->pattern));
    UM_TRY(um_buffer_alloc(ctx, values, sizeof *scene->pattern, "patterns of the states", &scene->state_pattern));
    UM_TRY(um_buffer_alloc(ctx, (size_t)sim->states, sizeof *scene->state, "names of the states", &scene->state));
    UM_TRY(take_patterns(ctx, sim, scene, sums));
    UM_TRY(um_layout_fractions(ctx, sim, &scene->fraction));
    scale_patterns(sim, scene, sums, counts);
    name_states(scene);
    UM_TRY(make_lists(ctx, scene));
    return describe(ctx, sim, scene);
}

um_status um_layout_scene(um_context *ctx, const um_simulation *sim, double *counts, um_scene **out)
{
    um_scene *scene = calloc(1, sizeof *scene);
    double *sums = calloc((size_t)sim->states, sizeof *sums);
    if (scene == NULL || sums == NULL) {
        free(scene);
        free(sums);
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    *scene = (um_scene){.ny = sim->ny,
                        .nx = sim->nx,
                        .ky = sim->ky,
                        .kx = sim->kx,
                        .step_nm = sim->step_nm,
                        .pixel_per_A = sim->pixel_per_A,
                        .probe_px = sim->border_px,
                        .library = sim->states,
                        .states = sim->states};
    um_status status = fill(ctx, sim, sums, scene, counts);
    free(sums);
    if (status != UM_OK) {
        um_scene_free(ctx, scene);
        return status;
    }
    *out = scene;
    return UM_OK;
}
