/* How a pattern reaches the detector: a part of it spread widely by inelastic scattering, and all of it by the point
 * spread of the camera. Both are Gaussians integrated over pixels; what they carry over the edge is lost. */
#include "counts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct spread {
    int64_t radius; /* 0: does nothing */
    float *weight;  /* of distance 0 .. radius */
} spread;

struct um_optics {
    um_optics_spec spec;
    spread camera, diffuse;
};

enum { CUT = 6 }; /* standard deviations; what is left out is below 2e-9 */

static um_status make_spread(um_context *ctx, double sigma_px, int64_t most, spread *out)
{
    if (!(sigma_px > 0.0)) {
        return UM_OK;
    }
    int64_t radius = (int64_t)fmin(ceil(CUT * sigma_px), (double)most);
    out->weight = calloc((size_t)radius + 1, sizeof *out->weight);
    if (out->weight == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory for a point spread");
    }
    out->radius = radius;
    for (int64_t i = 0; i <= radius; i++) {
        double below = ((double)i - 0.5) / (sigma_px * sqrt(2.0));
        double above = ((double)i + 0.5) / (sigma_px * sqrt(2.0));
        out->weight[i] = (float)(i == 0 ? erf(above) : 0.5 * (erfc(below) - erfc(above)));
    }
    return UM_OK;
}

um_status um_optics_create(um_context *ctx, const um_optics_spec *spec, um_optics **out)
{
    *out = NULL;
    bool diffuse = spec->inelastic > 0.0 && spec->inelastic_px > 0.0;
    if (!diffuse && !(spec->spread_px > 0.0)) {
        return UM_OK;
    }
    um_optics *optics = calloc(1, sizeof *optics);
    if (optics == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory for a point spread");
    }
    optics->spec = *spec;
    int64_t most = spec->ky > spec->kx ? spec->ky : spec->kx;
    um_status status = make_spread(ctx, spec->spread_px, most, &optics->camera);
    if (status == UM_OK && diffuse) {
        status = make_spread(ctx, spec->inelastic_px, most, &optics->diffuse);
    }
    if (status != UM_OK) {
        um_optics_free(optics);
        return status;
    }
    *out = optics;
    return UM_OK;
}

void um_optics_free(um_optics *optics)
{
    if (optics != NULL) {
        free(optics->camera.weight);
        free(optics->diffuse.weight);
        free(optics);
    }
}

static void add_scaled(const float *restrict src, float weight, int64_t count, float *restrict dst)
{
    for (int64_t i = 0; i < count; i++) {
        dst[i] += weight * src[i];
    }
}

/* dst += src moved by `by` along the whole array, clipped to its ends. */
static void add_moved(const float *src, float weight, int64_t by, int64_t count, float *dst)
{
    if (by >= count || -by >= count) {
        return;
    }
    if (by >= 0) {
        add_scaled(src, weight, count - by, dst + by);
    } else {
        add_scaled(src - by, weight, count + by, dst);
    }
}

static void apply_spread(const spread *s, int64_t ky, int64_t kx, const float *src, float *dst, float *scratch)
{
    size_t bytes = (size_t)(ky * kx) * sizeof *dst;
    memset(scratch, 0, bytes);
    memset(dst, 0, bytes);
    for (int64_t j = -s->radius; j <= s->radius; j++) {
        add_moved(src, s->weight[j < 0 ? -j : j], j * kx, ky * kx, scratch);
    }
    for (int64_t y = 0; y < ky; y++) {
        for (int64_t j = -s->radius; j <= s->radius; j++) {
            add_moved(scratch + y * kx, s->weight[j < 0 ? -j : j], j, kx, dst + y * kx);
        }
    }
}

void um_optics_apply(const um_optics *optics, const float *src, float *dst, float *scratch)
{
    int64_t ky = optics->spec.ky;
    int64_t kx = optics->spec.kx;
    float *mixed = scratch + ky * kx;
    float share = (float)optics->spec.inelastic;
    const float *from = src;
    if (optics->diffuse.radius > 0) {
        apply_spread(&optics->diffuse, ky, kx, src, dst, scratch);
        for (int64_t q = 0; q < ky * kx; q++) {
            mixed[q] = (1.0F - share) * src[q] + share * dst[q];
        }
        from = mixed;
    }
    if (optics->camera.radius > 0) {
        apply_spread(&optics->camera, ky, kx, from, dst, scratch);
    } else {
        memcpy(dst, from, (size_t)(ky * kx) * sizeof *dst);
    }
}
