/* A scan with a known answer from end-member patterns: their layout as a scene, which goes through an instrument. */
#include "camera.h"
#include "simulate_internal.h"

#include <math.h>

um_simulation um_simulation_defaults(void)
{
    return (um_simulation){.ny = 64,
                           .nx = 96,
                           .states = 5,
                           .ky = 96,
                           .kx = 96,
                           .layout = UM_LAYOUT_VORONOI,
                           .border_px = 0.7,
                           .step_nm = 5.0,
                           .pixel_per_A = 0.025};
}

static um_status check_patterns(um_context *ctx, const um_simulation *sim)
{
    int64_t pixels = sim->ky * sim->kx;
    for (int64_t s = 0; sim->patterns != NULL && s < sim->states; s++) {
        double sum = 0.0;
        for (int64_t q = 0; q < pixels; q++) {
            float value = sim->patterns[s * pixels + q];
            if (!isfinite(value) || value < 0.0F) {
                return um_fail(ctx, UM_ERROR_VALUE,
                               "end-member pattern %lld, pixel (%lld, %lld): %g cannot be a number "
                               "of counts: patterns must be finite and not negative",
                               (long long)s, (long long)(q / sim->kx), (long long)(q % sim->kx),
                               (double)value);
            }
            sum += (double)value;
        }
        if (!(sum > 0.0)) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "end-member pattern %lld is empty: every pattern needs some intensity",
                           (long long)s);
        }
    }
    return UM_OK;
}

static um_status check(um_context *ctx, const um_simulation *sim)
{
    size_t bytes = 0;
    int64_t positions = 0;
    if (sim->ny < 1 || sim->nx < 1 || sim->ky < 1 || sim->kx < 1 || sim->states < 1 ||
        !um_mul4(sim->ny, sim->nx, sim->ky, sim->kx, &bytes) || !um_mul_size(bytes, 8, &bytes) ||
        bytes > (size_t)INT64_MAX) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "simulation: %lldx%lld positions of %lldx%lld pixels with %lld states is "
                       "not possible: give at least one of each",
                       (long long)sim->ny, (long long)sim->nx, (long long)sim->ky,
                       (long long)sim->kx, (long long)sim->states);
    }
    positions = sim->ny * sim->nx;
    if (positions > (int64_t)UINT32_MAX || sim->regions < 0 || sim->regions > positions) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "simulation: %lld regions in %lld positions: give 1 to the number of "
                       "positions, at most %u positions",
                       (long long)sim->regions, (long long)positions, UINT32_MAX);
    }
    if (!(sim->border_px >= 0.0 && isfinite(sim->border_px)) ||
        !(sim->step_nm >= 0.0) || !(sim->pixel_per_A >= 0.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "simulation: border %g px, step %g nm, pixel %g per A: none may "
                       "be negative or not finite",
                       sim->border_px, sim->step_nm, sim->pixel_per_A);
    }
    if (sim->layout == UM_LAYOUT_LABELS && sim->labels == NULL) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "simulation: a layout by labels needs a label image");
    }
    return check_patterns(ctx, sim);
}

um_status um_simulate(um_context *ctx, const um_simulation *simulation, const um_instrument *instrument,
                      const um_scene_files *files)
{
    um_scene *scene = NULL;
    um_instrument own = *instrument;
    UM_TRY(check(ctx, simulation));
    UM_TRY(um_instrument_check(ctx, instrument));
    UM_TRY(um_layout_scene(ctx, simulation, &own.counts, &scene));
    own.noise = own.noise && instrument->counts > 0.0;
    um_status status = um_scene_write(ctx, scene, &own, files);
    um_scene_free(ctx, scene);
    return status;
}
