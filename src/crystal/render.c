/* Spots on a detector: every pixel gets its part of the spot's area. */
#include "crystal_internal.h"

#include <math.h>
#include <stdlib.h>

double um_disc_radius(double convergence_mrad, double wavelength_A, double scale_per_A)
{
    return tan(convergence_mrad * 1e-3) / wavelength_A / scale_per_A;
}

void um_detector_place(const um_detector *detector, double x_per_A, double y_per_A, double *row, double *column)
{
    double turn = detector->rotation_deg * M_PI / 180.0, axis = detector->ellipse_deg * M_PI / 180.0;
    double x = x_per_A * cos(turn) - y_per_A * sin(turn), y = x_per_A * sin(turn) + y_per_A * cos(turn);
    double stretch = sqrt(detector->ellipse_ratio);
    double along = (x * cos(axis) + y * sin(axis)) * stretch, across = (y * cos(axis) - x * sin(axis)) / stretch;
    x = along * cos(axis) - across * sin(axis);
    y = along * sin(axis) + across * cos(axis);
    *column = detector->cx + x / detector->scale_per_A;
    *row = detector->cy - y / detector->scale_per_A;
}

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* Integral of sqrt(r^2 - x^2). */
static double chord_integral(double x, double r)
{
    return 0.5 * (x * sqrt(fmax(0.0, r * r - x * x)) + r * r * asin(clamp(x / r, -1.0, 1.0)));
}

/* Area that the disc of radius r around the origin shares with [x0, x1] x [y0, y1]. Between the places where the
 * circle crosses the lines y0 and y1, each bound is either a line or the circle. */
static double shared_area(double r, double x0, double x1, double y0, double y1)
{
    double cut[6], area = 0.0;
    int n = 0;
    x0 = clamp(x0, -r, r);
    x1 = clamp(x1, -r, r);
    cut[n++] = x0;
    const double lines[2] = {y0, y1};
    for (int side = -1; side <= 1; side += 2) {
        for (int i = 0; i < 2; i++) {
            double x = (double)side * sqrt(fmax(0.0, r * r - lines[i] * lines[i]));
            if (x > x0 && x < x1) {
                cut[n++] = x;
            }
        }
    }
    cut[n++] = x1;
    qsort(cut, (size_t)n, sizeof *cut, um_compare_f64);
    for (int i = 0; i + 1 < n; i++) {
        double middle = 0.5 * (cut[i] + cut[i + 1]), width = cut[i + 1] - cut[i];
        double half = sqrt(fmax(0.0, r * r - middle * middle));
        double chord = chord_integral(cut[i + 1], r) - chord_integral(cut[i], r);
        double top = fmin(y1, half), bottom = fmax(y0, -half);
        if (width > 0.0 && top > bottom) {
            area += (y1 < half ? y1 * width : chord) - (y0 > -half ? y0 * width : -chord);
        }
    }
    return fmax(0.0, area);
}

static void add_disc(const um_detector *d, double row, double column, double intensity, double *image)
{
    double r = d->radius_px;
    int64_t y0 = (int64_t)clamp(floor(row - r - 0.5), 0.0, (double)d->ky);
    int64_t y1 = (int64_t)clamp(ceil(row + r + 0.5), -1.0, (double)d->ky - 1.0);
    int64_t x0 = (int64_t)clamp(floor(column - r - 0.5), 0.0, (double)d->kx);
    int64_t x1 = (int64_t)clamp(ceil(column + r + 0.5), -1.0, (double)d->kx - 1.0);
    double height = intensity / (M_PI * r * r);
    for (int64_t y = y0; y <= y1; y++) {
        for (int64_t x = x0; x <= x1; x++) {
            double dy = (double)y - row, dx = (double)x - column;
            image[y * d->kx + x] += height * shared_area(r, dx - 0.5, dx + 0.5, dy - 0.5, dy + 0.5);
        }
    }
}

/* Part of a Gaussian of unit sum, cut at 6 sigma, between a and b. */
static double gaussian_part(double a, double b, double sigma)
{
    static const double most = 6.0;
    double root = sigma * sqrt(2.0);
    double from = clamp(a, -most * sigma, most * sigma), to = clamp(b, -most * sigma, most * sigma);
    return (erf(to / root) - erf(from / root)) / (2.0 * erf(most / sqrt(2.0)));
}

static void add_gaussian(const um_detector *d, double row, double column, double intensity, double *image)
{
    double r = 6.0 * d->sigma_px;
    int64_t y0 = (int64_t)clamp(floor(row - r - 0.5), 0.0, (double)d->ky);
    int64_t y1 = (int64_t)clamp(ceil(row + r + 0.5), -1.0, (double)d->ky - 1.0);
    int64_t x0 = (int64_t)clamp(floor(column - r - 0.5), 0.0, (double)d->kx);
    int64_t x1 = (int64_t)clamp(ceil(column + r + 0.5), -1.0, (double)d->kx - 1.0);
    for (int64_t y = y0; y <= y1; y++) {
        double dy = (double)y - row, of_row = intensity * gaussian_part(dy - 0.5, dy + 0.5, d->sigma_px);
        for (int64_t x = x0; x <= x1; x++) {
            double dx = (double)x - column;
            image[y * d->kx + x] += of_row * gaussian_part(dx - 0.5, dx + 0.5, d->sigma_px);
        }
    }
}

um_status um_pattern_render(um_context *ctx, const um_detector *detector, const um_spot *spots, size_t count,
                            double *image)
{
    const um_detector *d = detector;
    if (d->ky < 1 || d->kx < 1 || !(d->scale_per_A > 0.0) || !isfinite(d->scale_per_A)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a detector has at least one pixel, and a positive scale");
    }
    if (!(d->ellipse_ratio >= 0.1 && d->ellipse_ratio <= 10.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "an ellipse with axes in the ratio %g: it must lie in 0.1 .. 10",
                       d->ellipse_ratio);
    }
    bool disc = d->radius_px > 0.0;
    if (!(disc ? d->radius_px <= 1e5 : d->sigma_px > 0.0 && d->sigma_px <= 1e5)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "spots need a radius or a sigma in 0 .. 100000 px");
    }
    for (size_t i = 0; i < count; i++) {
        double row = 0.0, column = 0.0;
        um_detector_place(d, spots[i].x_per_A, spots[i].y_per_A, &row, &column);
        if (disc) {
            add_disc(d, row, column, spots[i].intensity, image);
        } else {
            add_gaussian(d, row, column, spots[i].intensity, image);
        }
    }
    return UM_OK;
}
