/* Properties of labelled regions, from their moments. */
#include "shapes_internal.h"

#include <math.h>

/* Sums over the pixels of a region, from its box: whole numbers stay exact. */
typedef struct moments {
    double y, x, yy, xx, yx;
} moments;

static void find_boxes(int64_t ny, int64_t nx, const int32_t *label, int64_t count, um_region *regions)
{
    for (int64_t p = 0; p < ny * nx; p++) {
        if (label[p] < 1 || label[p] > count) {
            continue;
        }
        um_region *r = &regions[label[p] - 1];
        int64_t y = p / nx;
        int64_t x = p % nx;
        if (r->area++ == 0) {
            r->y0 = y;
            r->x0 = x;
            r->x1 = x + 1;
        }
        r->y1 = y + 1;
        r->x0 = x < r->x0 ? x : r->x0;
        r->x1 = x + 1 > r->x1 ? x + 1 : r->x1;
    }
}

static void sum_moments(int64_t ny, int64_t nx, const int32_t *label, int64_t count, const um_region *regions,
                        moments *sums)
{
    for (int64_t p = 0; p < ny * nx; p++) {
        if (label[p] < 1 || label[p] > count) {
            continue;
        }
        const um_region *r = &regions[label[p] - 1];
        moments *m = &sums[label[p] - 1];
        double y = (double)(p / nx - r->y0);
        double x = (double)(p % nx - r->x0);
        m->y += y;
        m->x += x;
        m->yy += y * y;
        m->xx += x * x;
        m->yx += y * x;
    }
}

static void finish(int64_t ny, int64_t nx, const moments *m, um_region *r)
{
    double n = (double)r->area;
    double vy = fmax(0, m->yy / n - m->y / n * (m->y / n));
    double vx = fmax(0, m->xx / n - m->x / n * (m->x / n));
    double c = m->yx / n - m->y / n * (m->x / n);
    double middle = 0.5 * (vy + vx);
    double half = 0.5 * hypot(vy - vx, 2 * c);
    r->y = (double)r->y0 + m->y / n;
    r->x = (double)r->x0 + m->x / n;
    r->equivalent_diameter = sqrt(4 * n / M_PI);
    r->major_axis = 4 * sqrt(middle + half);
    r->minor_axis = 4 * sqrt(fmax(0, middle - half));
    /* The picture's y points down: upwards is -y, hence the sign of the covariance. */
    double angle = half > 1e-12 * middle ? 0.5 * atan2(-2 * c, vx - vy) * 180 / M_PI : 0;
    r->orientation_deg = angle <= -90 ? angle + 180 : angle;
    r->at_border = r->y0 == 0 || r->x0 == 0 || r->y1 == ny || r->x1 == nx;
}

um_status um_regions_measure(um_context *ctx, int64_t ny, int64_t nx, const int32_t *label, int64_t count,
                             um_region *regions)
{
    moments *sums = NULL;
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(um_buffer_alloc(ctx, (size_t)count + 1, sizeof *sums, "properties of regions", &sums));
    for (int64_t i = 0; i < count; i++) {
        regions[i] = (um_region){0};
    }
    find_boxes(ny, nx, label, count, regions);
    sum_moments(ny, nx, label, count, regions, sums);
    for (int64_t i = 0; i < count; i++) {
        if (regions[i].area > 0) {
            finish(ny, nx, &sums[i], &regions[i]);
        }
    }
    um_buffer_free(ctx, sums);
    return UM_OK;
}
