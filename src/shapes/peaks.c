/* Peaks of an image: local maxima, and maxima of enough height. */
#include "shapes_internal.h"

#include <math.h>

static bool is_flat(const double *image, int64_t pixels)
{
    for (int64_t p = 1; p < pixels; p++) {
        if (image[p] != image[0]) {
            return false;
        }
    }
    return true;
}

/* Drops points that lie nearer than `distance` to one before them that stays. */
static void thin_out(um_points *points, double distance)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < points->count; i++) {
        bool near = false;
        for (int64_t j = 0; j < kept && !near; j++) {
            double dy = fabs(points->at[i].y - points->at[j].y);
            double dx = fabs(points->at[i].x - points->at[j].x);
            near = fmax(dy, dx) < distance;
        }
        if (!near) {
            points->at[kept++] = points->at[i];
        }
    }
    points->count = kept;
}

um_status um_local_maxima(um_context *ctx, int64_t ny, int64_t nx, const double *image, int64_t distance,
                          double threshold, int64_t border, um_points **out)
{
    double *largest = NULL;
    um_points *points = NULL;
    *out = NULL;
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *largest, "local maxima", &largest));
    um_status status = um_filter_extreme(ctx, ny, nx, image, distance, false, largest);
    if (status == UM_OK) {
        status = um_points_create(ctx, &points);
    }
    bool flat = is_flat(image, ny * nx);
    for (int64_t p = 0; status == UM_OK && !flat && p < ny * nx; p++) {
        int64_t y = p / nx;
        int64_t x = p % nx;
        bool within = y >= border && x >= border && y < ny - border && x < nx - border;
        if (within && image[p] == largest[p] && image[p] > threshold) {
            status = um_points_add(points, (um_point){(double)y, (double)x, image[p], 0});
        }
    }
    if (status == UM_OK) {
        status = um_points_sort(points);
    }
    if (status == UM_OK && distance > 1) {
        thin_out(points, (double)distance);
    }
    um_buffer_free(ctx, largest);
    if (status != UM_OK) {
        um_points_free(points);
        return status;
    }
    *out = points;
    return UM_OK;
}

static um_status add_centres(int64_t ny, int64_t nx, const double *image, const int32_t *label, um_region *regions,
                             int64_t count, um_points *points)
{
    UM_TRY(um_regions_measure(points->ctx, ny, nx, label, count, regions));
    for (int64_t p = 0; p < ny * nx; p++) {
        um_region *r = label[p] > 0 ? &regions[label[p] - 1] : NULL;
        if (r != NULL && r->area > 0) {
            UM_TRY(um_points_add(points, (um_point){r->y, r->x, image[p], 0}));
            r->area = 0; /* told once */
        }
    }
    return um_points_sort(points);
}

um_status um_peaks_minmax(um_context *ctx, int64_t ny, int64_t nx, const double *image, int64_t half, double threshold,
                          um_points **out)
{
    double *largest = NULL;
    double *least = NULL;
    uint8_t *map = NULL;
    int32_t *label = NULL;
    um_region *regions = NULL;
    um_points *points = NULL;
    int64_t count = 0;
    *out = NULL;
    UM_TRY(um_shape_check(ctx, ny, nx));
    size_t pixels = (size_t)(ny * nx);
    um_status status = um_buffer_alloc(ctx, pixels, sizeof *largest, "peaks", &largest);
    status = status == UM_OK ? um_buffer_alloc(ctx, pixels, sizeof *least, "peaks", &least) : status;
    status = status == UM_OK ? um_buffer_alloc(ctx, pixels, 1, "peaks", &map) : status;
    status = status == UM_OK ? um_buffer_alloc(ctx, pixels, sizeof *label, "peaks", &label) : status;
    status = status == UM_OK ? um_filter_extreme(ctx, ny, nx, image, half, false, largest) : status;
    status = status == UM_OK ? um_filter_extreme(ctx, ny, nx, image, half, true, least) : status;
    for (size_t p = 0; status == UM_OK && p < pixels; p++) {
        map[p] = image[p] == largest[p] && largest[p] - least[p] > threshold;
    }
    status = status == UM_OK ? um_label(ctx, ny, nx, map, 4, label, &count) : status;
    status = status == UM_OK ? um_buffer_alloc(ctx, (size_t)count + 1, sizeof *regions, "peaks", &regions) : status;
    status = status == UM_OK ? um_points_create(ctx, &points) : status;
    status = status == UM_OK ? add_centres(ny, nx, image, label, regions, count, points) : status;
    void *buffers[] = {largest, least, map, label, regions};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        um_buffer_free(ctx, buffers[i]);
    }
    if (status != UM_OK) {
        um_points_free(points);
        return status;
    }
    *out = points;
    return UM_OK;
}
