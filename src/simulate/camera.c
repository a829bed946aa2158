#include "camera.h"

#include <math.h>
#include <stdlib.h>

static const double LEAST_GLOW = 1e-3;

static double highest(const um_instrument *i)
{
    double top = um_dtype_is_integer(i->dtype) ? ldexp(1.0, 8 * (int)um_dtype_size(i->dtype)) - 1.0 : INFINITY;
    if (i->bits > 0) {
        top = fmin(top, ldexp(1.0, i->bits) - 1.0);
    }
    if (i->saturation > 0.0) {
        top = fmin(top, i->saturation);
    }
    return um_dtype_is_integer(i->dtype) ? floor(top) : top;
}

/* A pixel is hot, dead or well by one random number of its own. */
static um_status choose_pixels(um_context *ctx, um_camera *c)
{
    const um_random random = {c->seed, UM_STREAM_DETECTOR};
    const um_instrument *i = &c->instrument;
    int64_t pixels = c->shape.ky * c->shape.kx;
    if (i->hot <= 0.0 && i->dead <= 0.0) {
        return UM_OK;
    }
    c->hot = calloc((size_t)pixels, sizeof *c->hot);
    c->dead = calloc((size_t)pixels, sizeof *c->dead);
    if (c->hot == NULL || c->dead == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory for a list of pixels");
    }
    for (int64_t q = 0; q < pixels; q++) {
        double u = um_random_uniform(random, 2 * (uint64_t)q);
        if (u < i->hot) {
            double level = 0.5 + um_random_uniform(random, 2 * (uint64_t)q + 1);
            c->hot[c->hots++] = (um_hot_pixel){q, level * i->hot_counts};
        } else if (u >= 1.0 - i->dead) {
            c->dead[c->deads++] = q;
        }
    }
    return UM_OK;
}

um_status um_camera_create(um_context *ctx, const um_instrument *instrument, um_shape shape, um_camera **out)
{
    um_camera *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    *c = (um_camera){.instrument = *instrument, .shape = shape, .seed = um_context_seed(ctx),
                     .top = highest(instrument), .glow = {1.0}};
    for (int i = 0; i < 4; i++) {
        c->shifts = c->shifts || instrument->descan_px[i / 2][i % 2] != 0.0;
    }
    c->shifts = c->shifts || instrument->descan_jitter_px > 0.0;
    while (c->afterglow < UM_AFTERGLOW_MOST && c->glow[c->afterglow] * instrument->afterglow >= LEAST_GLOW) {
        c->glow[c->afterglow + 1] = c->glow[c->afterglow] * instrument->afterglow;
        c->afterglow++;
    }
    um_status status = choose_pixels(ctx, c);
    if (status != UM_OK) {
        um_camera_free(c);
        return status;
    }
    *out = c;
    return UM_OK;
}

void um_camera_free(um_camera *camera)
{
    if (camera != NULL) {
        free(camera->hot);
        free(camera->dead);
        free(camera);
    }
}

/* From -1/2 to 1/2 over the scan. */
static double along(int64_t i, int64_t n)
{
    return n > 1 ? (double)i / (double)(n - 1) - 0.5 : 0.0;
}

um_shift um_camera_shift(const um_camera *c, int64_t y, int64_t x)
{
    const double(*plane)[2] = c->instrument.descan_px;
    double jitter[2] = {0.0, 0.0};
    if (c->instrument.descan_jitter_px > 0.0) {
        um_random_normal2((um_random){c->seed, UM_STREAM_DESCAN}, (uint64_t)(y * c->shape.nx + x), jitter);
    }
    int64_t by[2];
    for (int i = 0; i < 2; i++) {
        double px = plane[i][0] * along(y, c->shape.ny) + plane[i][1] * along(x, c->shape.nx) +
                    jitter[i] * c->instrument.descan_jitter_px;
        by[i] = llround(px * 65536.0);
    }
    /* Arithmetic shifts, so that the fractions are never negative. */
    return (um_shift){.dy = by[0] >> 16, .dx = by[1] >> 16, .fy = (uint32_t)(by[0] & 0xffff),
                      .fx = (uint32_t)(by[1] & 0xffff)};
}

double um_camera_hot_counts(const um_camera *c, size_t i, int64_t position)
{
    if (!c->instrument.noise) {
        return c->hot[i].counts;
    }
    uint64_t key = (uint64_t)position * c->hots + i;
    return (double)um_random_poisson((um_random){c->seed, UM_STREAM_HOT}, key, c->hot[i].counts);
}

static void store_value(um_dtype dtype, void *values, int64_t i, double value)
{
    switch (dtype) {
    case UM_U8:
        ((uint8_t *)values)[i] = (uint8_t)value;
        break;
    case UM_U16:
        ((uint16_t *)values)[i] = (uint16_t)value;
        break;
    case UM_U32:
        ((uint32_t *)values)[i] = (uint32_t)value;
        break;
    default:
        ((float *)values)[i] = (float)value;
        break;
    }
}

int64_t um_camera_store(const um_camera *c, int64_t position, const double *signal, void *values)
{
    const um_instrument *ins = &c->instrument;
    const um_random random = {c->seed, UM_STREAM_READ};
    const bool whole = um_dtype_is_integer(ins->dtype);
    int64_t pixels = c->shape.ky * c->shape.kx;
    uint64_t key = (uint64_t)position * (uint64_t)((pixels + 1) / 2);
    double noise[2] = {0.0, 0.0};
    int64_t full = 0;
    for (int64_t q = 0; q < pixels; q++) {
        double value = ins->gain * signal[q] + ins->offset;
        if (ins->read_noise > 0.0) {
            if (q % 2 == 0) {
                um_random_normal2(random, key + (uint64_t)(q / 2), noise);
            }
            value += ins->read_noise * noise[q % 2];
        }
        if (whole) {
            value = value > 0.0 ? floor(value + 0.5) : 0.0;
        }
        full += value >= c->top;
        store_value(ins->dtype, values, q, value < c->top ? value : c->top);
    }
    for (size_t i = 0; i < c->deads; i++) {
        store_value(ins->dtype, values, c->dead[i], 0.0);
    }
    return full;
}

bool um_camera_stores_counts(const um_camera *c)
{
    const um_instrument *i = &c->instrument;
    return i->noise && um_dtype_is_integer(i->dtype) && i->gain == 1.0 && i->offset == 0.0 &&
           i->read_noise <= 0.0 && c->afterglow == 0;
}
