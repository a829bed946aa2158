/* Filters in double precision for single images. What streams over a scan has f32 kernels of its own (prep/gauss.c). */
#include "shapes_internal.h"

#include <math.h>
#include <stdlib.h>

/* Weights -radius .. radius of a sampled Gaussian of unit sum, or of its derivative. */
static double *make_weights(double sigma, int order, int64_t *radius)
{
    int64_t r = (int64_t)(4 * sigma + 0.5);
    double *w = calloc((size_t)(2 * r + 1), sizeof *w);
    double sum = 0;
    for (int64_t i = -r; w != NULL && i <= r; i++) {
        w[i + r] = exp(-0.5 * (double)(i * i) / (sigma * sigma));
        sum += w[i + r];
    }
    for (int64_t i = -r; w != NULL && i <= r; i++) {
        double x = (double)i;
        double s2 = sigma * sigma;
        double factor = order == 0 ? 1 : order == 1 ? -x / s2 : x * x / (s2 * s2) - 1 / s2;
        w[i + r] *= factor / sum;
    }
    *radius = r;
    return w;
}

/* Convolves lines of n values that lie `step` apart; line i begins at i * next. */
static void filter_lines(const double *w, int64_t radius, const double *src, int64_t lines, int64_t next, int64_t n,
                         int64_t step, double *padded, double *dst)
{
    for (int64_t line = 0; line < lines; line++) {
        for (int64_t i = -radius; i < n + radius; i++) {
            padded[i + radius] = src[line * next + um_mirror(i, n) * step];
        }
        for (int64_t i = 0; i < n; i++) {
            double sum = 0;
            for (int64_t j = -radius; j <= radius; j++) {
                sum += w[radius - j] * padded[i + radius + j]; /* a convolution: the weights run backwards */
            }
            dst[line * next + i * step] = sum;
        }
    }
}

um_status um_filter_gauss(um_context *ctx, int64_t ny, int64_t nx, const double *image, double sigma, int order_y,
                          int order_x, double *out)
{
    UM_TRY(um_shape_check(ctx, ny, nx));
    if (!(sigma > 0 && sigma < 1e4) || order_y < 0 || order_y > 2 || order_x < 0 || order_x > 2) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a Gaussian of sigma %g px and orders %d, %d: 0 < sigma < 1e4, orders 0 to 2",
                       sigma, order_y, order_x);
    }
    int64_t radius = 0;
    double *down = make_weights(sigma, order_y, &radius);
    double *across = make_weights(sigma, order_x, &radius);
    double *padded = malloc((size_t)((ny > nx ? ny : nx) + 2 * radius) * sizeof *padded);
    double *between = NULL;
    um_status status = down != NULL && across != NULL && padded != NULL
                           ? um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *between, "a filter", &between)
                           : um_fail(ctx, UM_ERROR_MEMORY, "no memory for a filter");
    if (status == UM_OK) {
        filter_lines(down, radius, image, nx, 1, ny, nx, padded, between);
        filter_lines(across, radius, between, ny, nx, nx, 1, padded, out);
    }
    um_buffer_free(ctx, between);
    free(padded);
    free(across);
    free(down);
    return status;
}

/* Largest value within `half` of each of n values, in linear time: a queue of places whose values fall. */
static void extreme_line(const double *src, int64_t n, int64_t step, int64_t half, double sign, int64_t *queue,
                         double *dst)
{
    int64_t head = 0;
    int64_t tail = 0;
    for (int64_t i = 0; i < n + half; i++) {
        if (i < n) {
            while (tail > head && sign * src[queue[tail - 1] * step] <= sign * src[i * step]) {
                tail--;
            }
            queue[tail++] = i;
        }
        if (i >= half) {
            while (queue[head] < i - 2 * half) {
                head++;
            }
            dst[(i - half) * step] = src[queue[head] * step];
        }
    }
}

um_status um_filter_extreme(um_context *ctx, int64_t ny, int64_t nx, const double *image, int64_t half, bool least,
                            double *out)
{
    double *between = NULL;
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *between, "a filter", &between));
    int64_t longest = ny > nx ? ny : nx;
    half = half < longest ? half : longest;
    int64_t *queue = malloc((size_t)longest * sizeof *queue);
    um_status status = queue != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "no memory for a filter");
    for (int64_t x = 0; status == UM_OK && x < nx; x++) {
        extreme_line(image + x, ny, nx, half, least ? -1 : 1, queue, between + x);
    }
    for (int64_t y = 0; status == UM_OK && y < ny; y++) {
        extreme_line(between + y * nx, nx, 1, half, least ? -1 : 1, queue, out + y * nx);
    }
    free(queue);
    um_buffer_free(ctx, between);
    return status;
}

um_status um_filter_sobel(um_context *ctx, int64_t ny, int64_t nx, const double *image, double *out)
{
    UM_TRY(um_shape_check(ctx, ny, nx));
    for (int64_t p = 0; p < ny * nx; p++) {
        double v[3][3];
        for (int64_t i = 0; i < 9; i++) {
            int64_t y = um_mirror(p / nx + i / 3 - 1, ny);
            int64_t x = um_mirror(p % nx + i % 3 - 1, nx);
            v[i / 3][i % 3] = image[y * nx + x];
        }
        double down = v[2][0] + 2 * v[2][1] + v[2][2] - v[0][0] - 2 * v[0][1] - v[0][2];
        double across = v[0][2] + 2 * v[1][2] + v[2][2] - v[0][0] - 2 * v[1][0] - v[2][0];
        out[p] = sqrt((down * down + across * across) / 2) / 4;
    }
    return UM_OK;
}
