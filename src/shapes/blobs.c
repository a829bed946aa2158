/* Blobs: maxima in position and scale of the Laplacian of Gaussian, or of differences of Gaussians. */
#include "shapes_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct scales {
    um_context *ctx;
    int64_t ny, nx, count;
    const double *image;
    double *sigma;
    double *response; /* count x ny x nx */
} scales;

um_blob_options um_blob_defaults(void)
{
    return (um_blob_options){.least_sigma = 1, .most_sigma = 10, .steps = 10, .ratio = 1.6, .threshold = 0.2,
                             .overlap = 0.5};
}

/* ---- responses -------------------------------------------------------------------------------------- */

static um_status fill_log(scales *s, double *work)
{
    int64_t pixels = s->ny * s->nx;
    for (int64_t i = 0; i < s->count; i++) {
        double *to = s->response + i * pixels;
        double scale = s->sigma[i] * s->sigma[i];
        UM_TRY(um_check_cancel(s->ctx));
        UM_TRY(um_filter_gauss(s->ctx, s->ny, s->nx, s->image, s->sigma[i], 2, 0, to));
        UM_TRY(um_filter_gauss(s->ctx, s->ny, s->nx, s->image, s->sigma[i], 0, 2, work));
        for (int64_t p = 0; p < pixels; p++) {
            to[p] = -scale * (to[p] + work[p]);
        }
    }
    return UM_OK;
}

static um_status fill_dog(scales *s, double ratio, double *work)
{
    int64_t pixels = s->ny * s->nx;
    UM_TRY(um_filter_gauss(s->ctx, s->ny, s->nx, s->image, s->sigma[0], 0, 0, s->response));
    for (int64_t i = 0; i < s->count; i++) {
        double *to = s->response + i * pixels;
        UM_TRY(um_check_cancel(s->ctx));
        UM_TRY(um_filter_gauss(s->ctx, s->ny, s->nx, s->image, s->sigma[0] * pow(ratio, (double)(i + 1)), 0, 0, work));
        for (int64_t p = 0; p < pixels; p++) {
            double wider = work[p];
            double narrower = to[p];
            to[p] = (narrower - wider) / (ratio - 1);
            if (i + 1 < s->count) {
                to[p + pixels] = wider;
            }
        }
    }
    return UM_OK;
}

/* ---- maxima ----------------------------------------------------------------------------------------- */

/* Not below any of the 26 neighbours. */
static bool is_top(const scales *s, int64_t i, int64_t y, int64_t x)
{
    int64_t pixels = s->ny * s->nx;
    double v = s->response[i * pixels + y * s->nx + x];
    for (int64_t k = i > 0 ? i - 1 : 0; k <= i + 1 && k < s->count; k++) {
        for (int64_t ty = y > 0 ? y - 1 : 0; ty <= y + 1 && ty < s->ny; ty++) {
            for (int64_t tx = x > 0 ? x - 1 : 0; tx <= x + 1 && tx < s->nx; tx++) {
                if (s->response[k * pixels + ty * s->nx + tx] > v) {
                    return false;
                }
            }
        }
    }
    return true;
}

static um_status find_tops(const scales *s, double threshold, um_points *points)
{
    int64_t pixels = s->ny * s->nx;
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t i = 0; i < s->count; i++) {
            double v = s->response[i * pixels + p];
            if (v > threshold && is_top(s, i, p / s->nx, p % s->nx)) {
                UM_TRY(um_points_add(points, (um_point){(double)(p / s->nx), (double)(p % s->nx), v, s->sigma[i]}));
            }
        }
    }
    return um_points_sort(points);
}

/* ---- overlap ---------------------------------------------------------------------------------------- */

/* The part of the smaller of two discs that both cover. */
static double overlap_of(const um_point *a, const um_point *b)
{
    double ra = a->sigma * M_SQRT2;
    double rb = b->sigma * M_SQRT2;
    double d = hypot(a->y - b->y, a->x - b->x);
    double smaller = fmin(ra, rb);
    if (d >= ra + rb) {
        return 0;
    }
    if (d <= fabs(ra - rb)) {
        return 1;
    }
    double angle_a = acos(fmax(-1, fmin(1, (d * d + ra * ra - rb * rb) / (2 * d * ra))));
    double angle_b = acos(fmax(-1, fmin(1, (d * d + rb * rb - ra * ra) / (2 * d * rb))));
    double kite = (-d + ra + rb) * (d + ra - rb) * (d - ra + rb) * (d + ra + rb);
    double lens = ra * ra * angle_a + rb * rb * angle_b - 0.5 * sqrt(fmax(0, kite));
    return lens / (M_PI * smaller * smaller);
}

/* Of equal sizes the first, the stronger one, goes: as scikit-image has it. */
static void prune(um_points *points, double overlap)
{
    for (int64_t i = 0; i < points->count; i++) {
        for (int64_t j = i + 1; j < points->count; j++) {
            um_point *a = &points->at[i];
            um_point *b = &points->at[j];
            if (a->sigma > 0 && b->sigma > 0 && overlap_of(a, b) > overlap) {
                *(a->sigma > b->sigma ? &b->sigma : &a->sigma) = 0;
            }
        }
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < points->count; i++) {
        if (points->at[i].sigma > 0) {
            points->at[kept++] = points->at[i];
        }
    }
    points->count = kept;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static um_status check(um_context *ctx, const um_blob_options *o, bool differences)
{
    bool good = o->least_sigma > 0 && o->most_sigma >= o->least_sigma && o->most_sigma < 1e4;
    good = good && (differences ? o->ratio > 1.01 : o->steps >= 1 && o->steps <= 1000);
    return good ? UM_OK
                : um_fail(ctx, UM_ERROR_ARGUMENT,
                          "blobs of sigma %g to %g px, %lld steps, ratio %g: sigmas above 0 in order, 1 to 1000 steps, "
                          "ratio above 1.01",
                          o->least_sigma, o->most_sigma, (long long)o->steps, o->ratio);
}

static um_status find(um_context *ctx, int64_t ny, int64_t nx, const double *image, const um_blob_options *o,
                      bool differences, um_points **out)
{
    scales s = {.ctx = ctx, .ny = ny, .nx = nx, .image = image, .count = o->steps};
    double *work = NULL;
    um_points *points = NULL;
    *out = NULL;
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(check(ctx, o, differences));
    if (differences) {
        s.count = (int64_t)(log(o->most_sigma / o->least_sigma) / log(o->ratio) + 1);
    }
    size_t values = (size_t)(ny * nx);
    if (!um_mul_size(values, (size_t)s.count, &values)) {
        return um_fail(ctx, UM_ERROR_BUDGET, "blobs at %lld scales of so large an image", (long long)s.count);
    }
    s.sigma = calloc((size_t)s.count, sizeof *s.sigma);
    um_status status = s.sigma != NULL ? um_buffer_alloc(ctx, values, sizeof *s.response, "blobs", &s.response)
                                       : um_fail(ctx, UM_ERROR_MEMORY, "no memory for blobs");
    status = status == UM_OK ? um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *work, "blobs", &work) : status;
    for (int64_t i = 0; status == UM_OK && i < s.count; i++) {
        double step = s.count > 1 ? (o->most_sigma - o->least_sigma) / (double)(s.count - 1) : 0;
        s.sigma[i] = differences ? o->least_sigma * pow(o->ratio, (double)i) : o->least_sigma + step * (double)i;
    }
    status = status != UM_OK ? status : differences ? fill_dog(&s, o->ratio, work) : fill_log(&s, work);
    status = status == UM_OK ? um_points_create(ctx, &points) : status;
    status = status == UM_OK ? find_tops(&s, o->threshold, points) : status;
    if (status == UM_OK) {
        prune(points, o->overlap);
        *out = points;
    } else {
        um_points_free(points);
    }
    um_buffer_free(ctx, work);
    um_buffer_free(ctx, s.response);
    free(s.sigma);
    return status;
}

um_status um_blobs_log(um_context *ctx, int64_t ny, int64_t nx, const double *image, const um_blob_options *options,
                       um_points **out)
{
    return find(ctx, ny, nx, image, options, false, out);
}

um_status um_blobs_dog(um_context *ctx, int64_t ny, int64_t nx, const double *image, const um_blob_options *options,
                       um_points **out)
{
    return find(ctx, ny, nx, image, options, true, out);
}
