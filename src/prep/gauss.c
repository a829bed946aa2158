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
    int64_t m = i % (2 * n);
    m = m < 0 ? m + 2 * n : m;
    return m < n ? m : 2 * n - 1 - m;
}

enum { WIDTH = 32 }; /* columns at once: their sums stay in registers */

size_t um_gauss_room(const um_gauss *gauss, int64_t ky, int64_t kx)
{
    size_t panel = (size_t)(ky + 2 * gauss->radius) * WIDTH;
    size_t row = (size_t)(kx + 2 * gauss->radius) + WIDTH;
    return panel > row ? panel : row;
}

/* WIDTH sums: w[0]*p[i] + sum over j of w[j]*(p[i - j*stride] + p[i + j*stride]). The first `count`
 * go to dst. */
static inline void add_taps(const um_gauss *g, const float *p, int64_t stride, int64_t count,
                            float *dst)
{
    float sum[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
        sum[i] = g->weights[0] * p[i];
    }
    for (int64_t j = 1; j <= g->radius; j++) {
        const float *before = p - j * stride;
        const float *after = p + j * stride;
        float w = g->weights[j];
        for (int i = 0; i < WIDTH; i++) {
            sum[i] += w * (before[i] + after[i]);
        }
    }
    memcpy(dst, sum, (size_t)(count < WIDTH ? count : WIDTH) * sizeof *dst);
}

/* Columns first .. first+WIDTH-1, copied together with their mirror images so that they lie close.
 */
static inline void filter_down(const um_gauss *g, const float *src, int64_t ky, int64_t kx,
                               int64_t first, float *panel, float *dst)
{
    int64_t count = kx - first < WIDTH ? kx - first : WIDTH;
    for (int64_t y = -g->radius; y < ky + g->radius; y++) {
        float *to = panel + (y + g->radius) * WIDTH;
        const float *from = src + mirror(y, ky) * kx + first;
        for (int64_t i = 0; i < WIDTH; i++) {
            to[i] = i < count ? from[i] : 0.0F;
        }
    }
    for (int64_t y = 0; y < ky; y++) {
        add_taps(g, panel + (y + g->radius) * WIDTH, WIDTH, count, dst + y * kx + first);
    }
}

static inline void filter_across(const um_gauss *g, const float *line, int64_t kx, float *row,
                                 float *dst)
{
    for (int64_t i = 0; i < g->radius; i++) {
        row[i] = line[mirror(i - g->radius, kx)];
        row[g->radius + kx + i] = line[mirror(kx + i, kx)];
    }
    memcpy(row + g->radius, line, (size_t)kx * sizeof *row);
    memset(row + kx + 2 * g->radius, 0, WIDTH * sizeof *row);
    for (int64_t x = 0; x < kx; x += WIDTH) {
        add_taps(g, row + g->radius + x, 1, kx - x, dst + x);
    }
}

static inline void filter(const um_gauss *g, const float *src, int64_t ky, int64_t kx,
                          float *between, float *room, float *dst)
{
    for (int64_t x = 0; x < kx; x += WIDTH) {
        filter_down(g, src, ky, kx, x, room, between);
    }
    for (int64_t y = 0; y < ky; y++) {
        filter_across(g, between + y * kx, kx, room, dst + y * kx);
    }
}

#if defined(__x86_64__) && defined(__GNUC__)
/* Wider vectors, no fused multiply-add: the same bits as the plain variant. */
__attribute__((target("avx2"), flatten)) static void filter_avx2(const um_gauss *g,
                                                                 const float *src, int64_t ky,
                                                                 int64_t kx, float *between,
                                                                 float *room, float *dst)
{
    filter(g, src, ky, kx, between, room, dst);
}
#endif

void um_gauss_apply(const um_gauss *gauss, const float *src, int64_t ky, int64_t kx, float *between,
                    float *room, float *dst)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx2")) {
        filter_avx2(gauss, src, ky, kx, between, room, dst);
        return;
    }
#endif
    filter(gauss, src, ky, kx, between, room, dst);
}
