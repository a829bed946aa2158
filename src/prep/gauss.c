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

enum { WIDTH = 32 };

/* dst[i] = w0*middle[i] + sum over j of w[j]*(before[j][i] + after[j][i]), i < WIDTH. */
static inline void add_taps(const um_gauss *g, const float *const *before, const float *const *after,
                            const float *middle, int64_t first, float *dst)
{
    float sum[WIDTH];
    for (int i = 0; i < WIDTH; i++) {
        sum[i] = g->weights[0] * middle[first + i];
    }
    for (int64_t j = 1; j <= g->radius; j++) {
        const float *a = before[j] + first;
        const float *b = after[j] + first;
        float w = g->weights[j];
        for (int i = 0; i < WIDTH; i++) {
            sum[i] += w * (a[i] + b[i]);
        }
    }
    memcpy(dst + first, sum, sizeof sum);
}

static inline void add_taps_rest(const um_gauss *g, const float *const *before,
                                 const float *const *after, const float *middle, int64_t first,
                                 int64_t count, float *dst)
{
    for (int64_t i = first; i < count; i++) {
        float sum = g->weights[0] * middle[i];
        for (int64_t j = 1; j <= g->radius; j++) {
            sum += g->weights[j] * (before[j][i] + after[j][i]);
        }
        dst[i] = sum;
    }
}

static inline void filter_line(const um_gauss *g, const float *const *before,
                               const float *const *after, const float *middle, int64_t count,
                               float *dst)
{
    int64_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) {
        add_taps(g, before, after, middle, i, dst);
    }
    add_taps_rest(g, before, after, middle, i, count, dst);
}

enum { MOST_TAPS = 512 };

static inline void filter(const um_gauss *g, const float *src, int64_t ky, int64_t kx, float *between,
                          float *row, float *dst)
{
    const float *before[MOST_TAPS + 1];
    const float *after[MOST_TAPS + 1];
    for (int64_t y = 0; y < ky; y++) {
        for (int64_t j = 1; j <= g->radius; j++) {
            before[j] = src + mirror(y - j, ky) * kx;
            after[j] = src + mirror(y + j, ky) * kx;
        }
        filter_line(g, before, after, src + y * kx, kx, between + y * kx);
    }
    for (int64_t j = 1; j <= g->radius; j++) {
        before[j] = row + g->radius - j;
        after[j] = row + g->radius + j;
    }
    for (int64_t y = 0; y < ky; y++) {
        const float *line = between + y * kx;
        for (int64_t i = 0; i < g->radius; i++) {
            row[i] = line[mirror(i - g->radius, kx)];
            row[g->radius + kx + i] = line[mirror(kx + i, kx)];
        }
        memcpy(row + g->radius, line, (size_t)kx * sizeof *row);
        filter_line(g, before, after, row + g->radius, kx, dst + y * kx);
    }
}

#if defined(__x86_64__) && defined(__GNUC__)
/* Wider vectors, no fused multiply-add: the same bits as the plain variant. */
__attribute__((target("avx2"), flatten)) static void filter_avx2(const um_gauss *g, const float *src,
                                                                 int64_t ky, int64_t kx,
                                                                 float *between, float *row,
                                                                 float *dst)
{
    filter(g, src, ky, kx, between, row, dst);
}
#endif

void um_gauss_apply(const um_gauss *gauss, const float *src, int64_t ky, int64_t kx, float *between,
                    float *row, float *dst)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx2")) {
        filter_avx2(gauss, src, ky, kx, between, row, dst);
        return;
    }
#endif
    filter(gauss, src, ky, kx, between, row, dst);
}
