/* Normalised cross-correlation with a disc (Lewis 1995), summed directly: frames are small. */
#include "shapes_internal.h"

#include <math.h>

/* Sums over the frame around a pixel; what lies beyond the border counts as 0. */
static double correlate(int64_t ny, int64_t nx, const double *image, int64_t half, double square, double discs,
                        int64_t p)
{
    double sum = 0;
    double squares = 0;
    double inside = 0;
    for (int64_t dy = -half; dy <= half; dy++) {
        int64_t y = p / nx + dy;
        for (int64_t dx = -half; dx <= half && y >= 0 && y < ny; dx++) {
            int64_t x = p % nx + dx;
            double v = x >= 0 && x < nx ? image[y * nx + x] : 0;
            sum += v;
            squares += v * v;
            inside += (double)(dy * dy + dx * dx) <= square ? v : 0;
        }
    }
    double n = (double)((2 * half + 1) * (2 * half + 1));
    double spread = squares - sum * sum / n;
    double of_disc = discs - discs * discs / n;
    /* A frame whose values are equal but for rounding has no pattern. */
    return spread > 1e-12 * squares ? (inside - sum * discs / n) / sqrt(spread * of_disc) : 0;
}

um_status um_match_disc(um_context *ctx, int64_t ny, int64_t nx, const double *image, double radius, double *out)
{
    UM_TRY(um_shape_check(ctx, ny, nx));
    if (!(radius >= 0 && radius <= 1000)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a disc of radius %g px: it takes 0 to 1000", radius);
    }
    int64_t half = (int64_t)ceil(radius) + 1;
    double discs = 0;
    for (int64_t i = -half; i <= half; i++) {
        for (int64_t j = -half; j <= half; j++) {
            discs += (double)(i * i + j * j) <= radius * radius;
        }
    }
    for (int64_t y = 0; y < ny; y++) {
        UM_TRY(um_check_cancel(ctx));
        for (int64_t p = y * nx; p < (y + 1) * nx; p++) {
            out[p] = correlate(ny, nx, image, half, radius * radius, discs, p);
        }
    }
    return UM_OK;
}
