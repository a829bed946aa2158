/* Places of reflections in the scan's largest values, and the dark-field image of each. */
#include "vdf.h"

#include "prep_internal.h"
#include "unmix/image.h"

#include <math.h>
#include <stdlib.h>

static const double ABOVE = 8;        /* robust standard deviations of the response of the whole pattern */
enum { MOST_VECTORS = 400 };

static int by_size(const void *a, const void *b)
{
    return um_compare_f64(a, b);
}

/* Roots of the largest values less what is usual at their distance from the beam: reflections of small crystals are in the
 * maximum, not in the mean, and roots of counts are equally noisy everywhere. */
static um_status make_image(um_vdf *v, const um_sums *sums, double *image)
{
    int64_t rings = (int64_t)hypot((double)v->shape.ky, (double)v->shape.kx) + 2;
    double *room = calloc((size_t)v->pixels, sizeof *room);
    double *level = calloc((size_t)rings, sizeof *level);
    if (room == NULL || level == NULL) {
        free(room);
        free(level);
        return um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for a pattern");
    }
    for (int64_t ring = 0; ring < rings; ring++) {
        size_t n = 0;
        for (int64_t q = 0; q < v->pixels; q++) {
            double r = hypot((double)(q / v->shape.kx) - v->beam[0], (double)(q % v->shape.kx) - v->beam[1]);
            if (um_kept(v->pixel_mask, q) && (int64_t)r == ring) {
                room[n++] = sqrt(fmax(0, sums->max_pattern[q]));
            }
        }
        qsort(room, n, sizeof *room, by_size);
        level[ring] = n > 0 ? room[n / 2] : 0;
    }
    for (int64_t q = 0; q < v->pixels; q++) {
        double r = hypot((double)(q / v->shape.kx) - v->beam[0], (double)(q % v->shape.kx) - v->beam[1]);
        bool outside = um_kept(v->pixel_mask, q) && r > v->beam[2];
        image[q] = outside ? sqrt(fmax(0, sums->max_pattern[q])) - level[(int64_t)r] : 0;
    }
    free(level);
    free(room);
    return UM_OK;
}

/* Centre of mass of what stands above 0 within 2 px. */
static void refine(const um_vdf *v, const double *image, um_point *p)
{
    double sum = 0;
    double y = 0;
    double x = 0;
    for (int64_t i = (int64_t)p->y - 2; i <= (int64_t)p->y + 2; i++) {
        for (int64_t j = (int64_t)p->x - 2; j <= (int64_t)p->x + 2; j++) {
            bool there = i >= 0 && j >= 0 && i < v->shape.ky && j < v->shape.kx;
            double w = there && hypot((double)i - p->y, (double)j - p->x) < 2.5 ? fmax(0, image[i * v->shape.kx + j]) : 0;
            sum += w;
            y += w * (double)i;
            x += w * (double)j;
        }
    }
    p->y = sum > 0 ? y / sum : p->y;
    p->x = sum > 0 ? x / sum : p->x;
}

static um_status pick(um_vdf *v, const double *image)
{
    double *smooth = NULL;
    double *room = NULL;
    size_t n = (size_t)v->pixels;
    UM_TRY(um_buffer_alloc(v->ctx, n, sizeof *smooth, "a pattern", &smooth));
    um_status status = um_buffer_alloc(v->ctx, n, sizeof *room, "a pattern", &room);
    status = status == UM_OK ? um_filter_gauss(v->ctx, v->shape.ky, v->shape.kx, image, 1, 0, 0, smooth) : status;
    for (size_t i = 0; status == UM_OK && i < n; i++) {
        room[i] = fabs(smooth[i]);
    }
    double level = status == UM_OK ? ABOVE * 1.4826 * um_median(room, n) : 0;
    if (status == UM_OK) {
        status = um_local_maxima(v->ctx, v->shape.ky, v->shape.kx, smooth, 2, level, 2, &v->vectors);
    }
    int64_t kept = 0;
    for (int64_t i = 0; status == UM_OK && i < v->vectors->count && kept < MOST_VECTORS; i++) {
        um_point p = v->vectors->at[i];
        if (hypot(p.y - v->beam[0], p.x - v->beam[1]) > v->beam[2] + 2) {
            refine(v, image, &p);
            v->vectors->at[kept++] = p;
        }
    }
    if (status == UM_OK) {
        v->vectors->count = kept;
    }
    um_buffer_free(v->ctx, room);
    um_buffer_free(v->ctx, smooth);
    return status;
}

um_status um_vdf_find_vectors(um_vdf *v)
{
    um_sums *sums = NULL;
    double *image = NULL;
    um_beam beam = {0};
    UM_TRY(um_matrix_sums(v->matrix, &sums));
    um_status status = UM_OK;
    if (!um_mask_center(v->pixel_mask, v->shape.ky, v->shape.kx, &beam)) {
        status = um_beam_measure(v->ctx, sums->sum_pattern, v->pixel_mask, v->shape.ky, v->shape.kx, &beam);
    }
    v->beam[0] = isfinite(v->options->beam_y) ? v->options->beam_y : beam.y;
    v->beam[1] = isfinite(v->options->beam_x) ? v->options->beam_x : beam.x;
    v->beam[2] = isfinite(v->options->beam_radius_px) ? v->options->beam_radius_px : beam.radius_px;
    status = status == UM_OK ? um_buffer_alloc(v->ctx, (size_t)v->pixels, sizeof *image, "a pattern", &image) : status;
    status = status == UM_OK ? make_image(v, sums, image) : status;
    status = status == UM_OK ? pick(v, image) : status;
    um_buffer_free(v->ctx, image);
    um_sums_free(sums);
    if (status == UM_OK && v->vectors->count == 0) {
        status = um_fail(v->ctx, UM_ERROR_VALUE, "no reflection stands out of the largest values of the scan: there is nothing to segment");
    }
    return status;
}

/* ---- dark-field images ------------------------------------------------------------------------------ */

static double pixels_in(const um_vdf *v, const um_aperture *a)
{
    double n = 0;
    for (int64_t q = 0; q < v->pixels; q++) {
        double r = hypot((double)(q / v->shape.kx) - a->cy, (double)(q % v->shape.kx) - a->cx);
        n += um_kept(v->pixel_mask, q) && r >= a->inner_px && r < a->outer_px;
    }
    return n;
}

/* A disc about each vector, and a ring around that for the background. */
um_status um_vdf_make_images(um_vdf *v)
{
    int n = (int)v->vectors->count;
    double radius = fmax(2, v->beam[2] > 0 ? fmin(v->beam[2], 4) : 2);
    um_aperture *aperture = calloc(2 * (size_t)n, sizeof *aperture);
    um_images *images = NULL;
    if (aperture == NULL) {
        return um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for dark-field images");
    }
    for (int i = 0; i < n; i++) {
        const um_point *p = &v->vectors->at[i];
        aperture[2 * i] = (um_aperture){"spot", UM_APERTURE_ANNULUS, p->y, p->x, 0, radius, 0, 0};
        aperture[2 * i + 1] = (um_aperture){"around", UM_APERTURE_ANNULUS, p->y, p->x, radius + 0.5, radius + 2.5, 0, 0};
    }
    um_status status = um_images_make(v->matrix, aperture, 2 * n, v->beam[0], v->beam[1], &images);
    if (status == UM_OK) {
        status = um_buffer_alloc(v->ctx, (size_t)n, (size_t)v->positions * sizeof(double), "dark-field images", &v->net);
    }
    for (int i = 0; status == UM_OK && i < n; i++) {
        double part = pixels_in(v, &aperture[2 * i]) / fmax(1, pixels_in(v, &aperture[2 * i + 1]));
        for (int64_t p = 0; p < v->positions; p++) {
            double net = images->virtual_map[2 * i][p] - part * images->virtual_map[2 * i + 1][p];
            v->net[i * v->positions + p] = isfinite(net) ? fmax(0, net) : 0;
        }
    }
    um_images_free(images);
    free(aperture);
    return status;
}
