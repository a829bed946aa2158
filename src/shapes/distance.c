/* Exact Euclidean distances: Meijster, Roerdink and Hesselink (2000). Down the columns first, then along each row the
 * lower envelope of the parabolas that the columns make. Squares of distances are whole numbers, so nothing is rounded. */
#include "shapes_internal.h"

#include <math.h>

/* Distance down or up the column to the nearest pixel outside; ny + nx where there is none: farther than any. */
static void measure_columns(int64_t ny, int64_t nx, const uint8_t *map, int32_t *gap)
{
    const int32_t none = (int32_t)(ny + nx);
    for (int64_t x = 0; x < nx; x++) {
        int32_t run = none;
        for (int64_t y = 0; y < ny; y++) {
            run = map[y * nx + x] == 0 ? 0 : run < none ? run + 1 : none;
            gap[y * nx + x] = run;
        }
        for (int64_t y = ny - 2; y >= 0; y--) {
            int32_t below = gap[(y + 1) * nx + x];
            if (below + 1 < gap[y * nx + x]) {
                gap[y * nx + x] = below + 1;
            }
        }
    }
}

static int64_t parabola(const int32_t *gap, int64_t at, int64_t x)
{
    return (x - at) * (x - at) + (int64_t)gap[at] * gap[at];
}

/* The first x from which the parabola at `right` lies below that at `left`. */
static int64_t crossing(const int32_t *gap, int64_t left, int64_t right)
{
    int64_t over = right * right - left * left + (int64_t)gap[right] * gap[right] - (int64_t)gap[left] * gap[left];
    int64_t twice = 2 * (right - left);
    return over >= 0 ? over / twice : -((-over + twice - 1) / twice);
}

static void measure_row(int64_t nx, const int32_t *gap, int32_t none, int32_t *place, int32_t *from, double *out)
{
    int64_t top = 0;
    place[0] = 0;
    from[0] = 0;
    for (int64_t x = 1; x < nx; x++) {
        while (top >= 0 && parabola(gap, place[top], from[top]) > parabola(gap, x, from[top])) {
            top--;
        }
        if (top < 0) {
            top = 0;
            place[0] = (int32_t)x;
            continue;
        }
        int64_t begin = 1 + crossing(gap, place[top], x);
        if (begin < nx) {
            top++;
            place[top] = (int32_t)x;
            from[top] = (int32_t)begin;
        }
    }
    for (int64_t x = nx - 1; x >= 0; x--) {
        out[x] = gap[place[top]] >= none ? INFINITY : sqrt((double)parabola(gap, place[top], x));
        top -= x == from[top] && top > 0;
    }
}

um_status um_distance_transform(um_context *ctx, int64_t ny, int64_t nx, const uint8_t *map, double *distance)
{
    int32_t *gap = NULL;
    int32_t *envelope = NULL;
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *gap, "a distance transform", &gap));
    um_status status = um_buffer_alloc(ctx, (size_t)nx * 2, sizeof *envelope, "a distance transform", &envelope);
    if (status == UM_OK) {
        measure_columns(ny, nx, map, gap);
        for (int64_t y = 0; y < ny; y++) {
            measure_row(nx, gap + y * nx, (int32_t)(ny + nx), envelope, envelope + nx, distance + y * nx);
        }
    }
    um_buffer_free(ctx, gap);
    um_buffer_free(ctx, envelope);
    return status;
}

um_status um_dilate(um_context *ctx, int64_t ny, int64_t nx, const uint8_t *map, double radius, uint8_t *out)
{
    double *distance = NULL;
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *distance, "a dilation", &distance));
    for (int64_t p = 0; p < ny * nx; p++) {
        out[p] = map[p] == 0;
    }
    um_status status = um_distance_transform(ctx, ny, nx, out, distance);
    for (int64_t p = 0; status == UM_OK && p < ny * nx; p++) {
        out[p] = distance[p] <= radius;
    }
    um_buffer_free(ctx, distance);
    return status;
}
