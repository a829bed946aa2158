/* Refuses scenes that are not what scene.h says, before anything is written. */
#include "simulate_internal.h"

#include <math.h>

static um_status check_sizes(um_context *ctx, const um_scene *s)
{
    size_t bytes = 0;
    bool good = s->ny > 0 && s->nx > 0 && s->ky > 0 && s->kx > 0 && s->library > 0 && s->states > 0 &&
                um_mul4(s->ny, s->nx, s->ky, s->kx, &bytes) && um_mul_size(bytes, 8, &bytes) &&
                bytes <= (size_t)INT64_MAX && um_mul4(s->ny, s->nx, s->states, 8, &bytes) &&
                um_mul4(s->library, s->ky, s->kx, 8, &bytes) && s->ny * s->nx <= (int64_t)UINT32_MAX;
    if (!good) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "scene: %lldx%lld positions of %lldx%lld pixels with %lld patterns of %lld states is not "
                       "possible",
                       (long long)s->ny, (long long)s->nx, (long long)s->ky, (long long)s->kx,
                       (long long)s->library, (long long)s->states);
    }
    return UM_OK;
}

static um_status check_patterns(um_context *ctx, const char *what, int64_t count, int64_t pixels,
                                const float *pattern)
{
    for (int64_t i = 0; i < count * pixels; i++) {
        if (!(pattern[i] >= 0.0F && isfinite(pattern[i]))) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "scene: %s %lld has %g in pixel %lld: patterns must be finite and not negative", what,
                           (long long)(i / pixels), (double)pattern[i], (long long)(i % pixels));
        }
    }
    return UM_OK;
}

static um_status check_lists(um_context *ctx, const um_scene *s)
{
    for (int64_t p = 0; p < s->ny * s->nx; p++) {
        bool good = s->start[p] <= s->start[p + 1];
        for (uint64_t i = s->start[p]; good && i < s->start[p + 1]; i++) {
            good = s->which[i] < s->library && s->weight[i] >= 0.0F && isfinite(s->weight[i]);
        }
        if (!good) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "scene: the list of position (%lld, %lld) names no pattern of the library, or a weight "
                           "that is negative or not finite",
                           (long long)(p / s->nx), (long long)(p % s->nx));
        }
    }
    return UM_OK;
}

um_status um_scene_check(um_context *ctx, const um_scene *scene)
{
    UM_TRY(check_sizes(ctx, scene));
    int64_t pixels = scene->ky * scene->kx;
    UM_TRY(check_patterns(ctx, "library pattern", scene->library, pixels, scene->pattern));
    UM_TRY(check_patterns(ctx, "the pattern of state", scene->states, pixels, scene->state_pattern));
    return check_lists(ctx, scene);
}
