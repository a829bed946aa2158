/* Separable Gaussian filter in f32: rows as vectors down, shifted rows across. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

um_status um_gauss_make(um_context *ctx, double sigma_px, um_gauss *out)
{
    out->radius = (int64_t)(4 * sigma_px + 0.5);
    out->weights = calloc((size_t)out->radius + 1, sizeof *out->weights);
    if (out->weights == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a Gaussian");
    }
    double sum = 0;
    for (int64_t i = 0; i <= out->radius; i++) {
        double z = (double)i / sigma_px;
        sum += (i == 0 ? 1 : 2) * exp(-0.5 * z * z);
    }
    for (int64_t i = 0; i <= out->radius; i++) {
        double z = (double)i / sigma_px;
        out->weights[i] = (float)(exp(-0.5 * z * z) / sum);
    }
    return UM_OK;
}

/* d c b a | a b c d | d c b a, as often as needed. */
static int64_t mirror(int64_t i, int64_t n)
{
    if (i >= 0 && i < n) {
        return i;
    }
    if (i >= -n && i < 2 * n) { /* without a division: there are many of these */
        return i < 0 ? -1 - i : 2 * n - 1 - i;
    }
    int64_t m = i % (2 * n);
    m = m < 0 ? m + 2 * n : m;
    return m < n ? m : 2 * n - 1 - m;
}

enum { WIDTH = UM_TAP_WIDTH }; /* columns at once: their sums stay in registers */

/* A panel or a row with its mirror images, and the filtered panel. */
size_t um_gauss_room(const um_gauss *gauss, int64_t ky, int64_t kx)
{
    size_t panel = (size_t)(2 * ky + 2 * gauss->radius) * WIDTH;
    size_t row = (size_t)(2 * kx + 2 * gauss->radius) + 3 * WIDTH;
    return panel > row ? panel : row;
}

/* Up to WIDTH values; most often all, and then the size is known when this is compiled. */
static void copy_some(float *restrict dst, const float *restrict src, int64_t count)
{
    if (count == WIDTH) {
        memcpy(dst, src, WIDTH * sizeof *dst);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        dst[i] = src[i];
    }
}

/* Columns first .. first+WIDTH-1, copied together with their mirror images so that they lie close.
 */
static void filter_down(const um_pixel_kernels *kernels, const um_gauss *g, const float *src,
                        int64_t ky, int64_t kx, int64_t first, float *panel, float *dst)
{
    int64_t count = kx - first < WIDTH ? kx - first : WIDTH;
    float *filtered = panel + (ky + 2 * g->radius) * WIDTH;
    for (int64_t y = -g->radius; y < ky + g->radius; y++) {
        float *to = panel + (y + g->radius) * WIDTH;
        copy_some(to, src + mirror(y, ky) * kx + first, count);
        for (int64_t i = count; i < WIDTH; i++) {
            to[i] = 0;
        }
    }
    kernels->symmetric_taps(g->weights, (size_t)g->radius, panel + g->radius * WIDTH, WIDTH, WIDTH,
                            (size_t)ky, filtered);
    for (int64_t y = 0; y < ky; y++) {
        copy_some(dst + y * kx + first, filtered + y * WIDTH, count);
    }
}

static void filter_across(const um_pixel_kernels *kernels, const um_gauss *g, const float *line,
                          int64_t kx, float *row, float *dst)
{
    int64_t wide = (kx + WIDTH - 1) / WIDTH * WIDTH;
    float *filtered = row + wide + 2 * g->radius;
    for (int64_t i = 0; i < g->radius; i++) {
        row[i] = line[mirror(i - g->radius, kx)];
        row[g->radius + kx + i] = line[mirror(kx + i, kx)];
    }
    memcpy(row + g->radius, line, (size_t)kx * sizeof *row);
    for (int64_t i = kx; i < wide; i++) {
        row[i + 2 * g->radius] = 0;
    }
    kernels->symmetric_taps(g->weights, (size_t)g->radius, row + g->radius, 1, WIDTH,
                            (size_t)(wide / WIDTH), filtered);
    memcpy(dst, filtered, (size_t)kx * sizeof *dst);
}

void um_gauss_apply(const um_pixel_kernels *kernels, const um_gauss *gauss, const float *src,
                    int64_t ky, int64_t kx, float *between, float *room, float *dst)
{
    for (int64_t x = 0; x < kx; x += WIDTH) {
        filter_down(kernels, gauss, src, ky, kx, x, room, between);
    }
    for (int64_t y = 0; y < ky; y++) {
        filter_across(kernels, gauss, between + y * kx, kx, room, dst + y * kx);
    }
}
