/* Where the states are: grains, stripes, overlapping discs or a label image, seen through a probe. */
#include "simulate_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct disc {
    double y, x, radius;
    int64_t state;
} disc;

static int64_t region_count(const um_simulation *sim)
{
    return sim->regions > 0 ? sim->regions : 4 * sim->states;
}

/* Regions with random centres; states in turn, so that each has its share of the regions. */
static um_status make_discs(um_context *ctx, const um_simulation *sim, disc **out)
{
    um_random random = {um_context_seed(ctx), UM_STREAM_LAYOUT};
    int64_t count = region_count(sim);
    int64_t shorter = sim->ny < sim->nx ? sim->ny : sim->nx;
    disc *discs = calloc((size_t)count, sizeof *discs);
    if (discs == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory for %lld regions",
                       (long long)count);
    }
    for (int64_t i = 0; i < count; i++) {
        uint64_t counter = 3 * (uint64_t)i;
        discs[i].y = um_random_uniform(random, counter) * (double)sim->ny - 0.5;
        discs[i].x = um_random_uniform(random, counter + 1) * (double)sim->nx - 0.5;
        double size = 0.05 + 0.10 * um_random_uniform(random, counter + 2);
        discs[i].radius = fmax(1.5, size * (double)shorter);
        discs[i].state = i % sim->states;
    }
    *out = discs;
    return UM_OK;
}

static double square_distance(const disc *d, int64_t y, int64_t x)
{
    double dy = (double)y - d->y;
    double dx = (double)x - d->x;
    return dy * dy + dx * dx;
}

static void fill_voronoi(const um_simulation *sim, const disc *discs, int64_t y, float *row)
{
    int64_t count = region_count(sim);
    for (int64_t x = 0; x < sim->nx; x++) {
        int64_t nearest = 0;
        double least = INFINITY;
        for (int64_t i = 0; i < count; i++) {
            double d = square_distance(&discs[i], y, x);
            if (d < least) {
                least = d;
                nearest = i;
            }
        }
        row[x * sim->states + discs[nearest].state] = 1.0F;
    }
}

/* State 0 is the matrix; where n discs lie over each other each has a share of 1/n. */
static void fill_discs(const um_simulation *sim, const disc *discs, int64_t y, float *row)
{
    int64_t count = region_count(sim);
    for (int64_t x = 0; x < sim->nx; x++) {
        float *share = row + x * sim->states;
        int64_t covering = 0;
        for (int64_t i = 0; i < count; i++) {
            if (square_distance(&discs[i], y, x) <= discs[i].radius * discs[i].radius) {
                share[discs[i].state] += 1.0F;
                covering++;
            }
        }
        if (covering == 0) {
            share[0] = 1.0F;
        }
        for (int64_t s = 0; s < sim->states && covering > 1; s++) {
            share[s] /= (float)covering;
        }
    }
}

static void fill_stripes(const um_simulation *sim, float *row)
{
    int64_t count = region_count(sim);
    for (int64_t x = 0; x < sim->nx; x++) {
        int64_t stripe = (int64_t)((double)x * (double)count / (double)sim->nx);
        row[x * sim->states + stripe % sim->states] = 1.0F;
    }
}

static um_status fill_labels(um_context *ctx, const um_simulation *sim, int64_t y, float *row)
{
    for (int64_t x = 0; x < sim->nx; x++) {
        int32_t label = sim->labels[y * sim->nx + x];
        if (label < 0 || label >= sim->states) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "label image: position (%lld, %lld) has label %d, but there are %lld "
                           "patterns: labels go from 0 to %lld",
                           (long long)y, (long long)x, (int)label, (long long)sim->states,
                           (long long)sim->states - 1);
        }
        row[x * sim->states + label] = 1.0F;
    }
    return UM_OK;
}

static um_status fill(um_context *ctx, const um_simulation *sim, const disc *discs,
                      float *fractions)
{
    for (int64_t y = 0; y < sim->ny; y++) {
        float *row = fractions + y * sim->nx * sim->states;
        switch (sim->layout) {
        case UM_LAYOUT_VORONOI:
            fill_voronoi(sim, discs, y, row);
            break;
        case UM_LAYOUT_STRIPES:
            fill_stripes(sim, row);
            break;
        case UM_LAYOUT_DISCS:
            fill_discs(sim, discs, y, row);
            break;
        case UM_LAYOUT_LABELS:
            UM_TRY(fill_labels(ctx, sim, y, row));
            break;
        }
        UM_TRY(um_check_cancel(ctx));
    }
    return UM_OK;
}

/* One line of `size` positions `step` floats apart, each with `states` fractions. */
typedef struct line {
    int64_t size, step, states;
    int64_t radius;
    const double *kernel; /* of distance 0 .. radius */
    float *copy;
} line;

static void blur_line(const line *l, float *values)
{
    for (int64_t i = 0; i < l->size; i++) {
        memcpy(l->copy + i * l->states, values + i * l->step, (size_t)l->states * sizeof(float));
    }
    for (int64_t i = 0; i < l->size; i++) {
        int64_t first = i > l->radius ? i - l->radius : 0;
        int64_t last = i + l->radius < l->size ? i + l->radius : l->size - 1;
        double inside = 0.0;
        for (int64_t j = first; j <= last; j++) {
            inside += l->kernel[j > i ? j - i : i - j];
        }
        for (int64_t s = 0; s < l->states; s++) {
            double sum = 0.0;
            for (int64_t j = first; j <= last; j++) {
                sum += l->kernel[j > i ? j - i : i - j] * (double)l->copy[j * l->states + s];
            }
            values[i * l->step + s] = (float)(sum / inside);
        }
    }
}

um_status um_kernel_make(um_context *ctx, double sigma_px, int64_t most, um_kernel *out)
{
    out->radius = (int64_t)fmin(ceil(4.0 * sigma_px), (double)most);
    out->weight = calloc((size_t)out->radius + 1, sizeof *out->weight);
    if (out->weight == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory to mix the borders");
    }
    for (int64_t i = 0; i <= out->radius; i++) {
        out->weight[i] = exp(-0.5 * (double)(i * i) / (sigma_px * sigma_px));
    }
    return UM_OK;
}

um_status um_layout_blur(um_context *ctx, int64_t ny, int64_t nx, int64_t states, double sigma_px,
                         float *fractions)
{
    if (!(sigma_px > 0.0)) {
        return UM_OK;
    }
    int64_t longer = ny > nx ? ny : nx;
    um_kernel kernel = {0};
    UM_TRY(um_kernel_make(ctx, sigma_px, longer, &kernel));
    float *copy = calloc((size_t)(longer * states), sizeof *copy);
    um_status status = UM_OK;
    if (copy == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory to mix the borders");
        goto cleanup;
    }
    line along_x = {nx, states, states, kernel.radius, kernel.weight, copy};
    for (int64_t y = 0; y < ny && status == UM_OK; y++) {
        blur_line(&along_x, fractions + y * nx * states);
        status = um_check_cancel(ctx);
    }
    line along_y = {ny, nx * states, states, kernel.radius, kernel.weight, copy};
    for (int64_t x = 0; x < nx && status == UM_OK; x++) {
        blur_line(&along_y, fractions + x * states);
        status = um_check_cancel(ctx);
    }
cleanup:
    free(kernel.weight);
    free(copy);
    return status;
}

um_status um_layout_fractions(um_context *ctx, const um_simulation *sim, float **fractions)
{
    size_t count = 0;
    if (!um_mul4(sim->ny, sim->nx, sim->states, 1, &count)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "simulation: a scan of %lldx%lld is not possible",
                       (long long)sim->ny, (long long)sim->nx);
    }
    float *shares = NULL;
    disc *discs = NULL;
    UM_TRY(um_buffer_alloc(ctx, count, sizeof *shares, "fractions of the states", &shares));
    um_status status = make_discs(ctx, sim, &discs);
    if (status == UM_OK) {
        status = fill(ctx, sim, discs, shares);
    }
    if (status == UM_OK) {
        status = um_layout_blur(ctx, sim->ny, sim->nx, sim->states, sim->border_px, shares);
    }
    free(discs);
    if (status != UM_OK) {
        um_buffer_free(ctx, shares);
        return status;
    }
    *fractions = shares;
    return UM_OK;
}
