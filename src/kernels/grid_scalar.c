/* What the sums of grid.h are. */
#include "grid_variants.h"
#include "kernels.h"

enum { BLOCK = UM_GRID_PACK };

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void add(const int32_t *low, const int32_t *high, size_t count, float step, float *b, size_t j,
                size_t k)
{
    for (size_t i = 0; i < count; i++) {
        float *to = b + um_kernel_packed(k, 0, j + i);
        *to += step * (float)low[i];
        *to += 256 * step * (float)high[i];
    }
}

/* The packed columns of component c from j on, `count` of them, are of one pack. */
#define DEFINE(T, suffix, SUM)                                                                     \
    static void project_##suffix(const void *data, size_t rows, size_t m, const int16_t *h,       \
                                 size_t k, double *a)                                              \
    {                                                                                              \
        for (size_t r = 0; r < rows; r++) {                                                        \
            const T *x = (const T *)data + r * m;                                                  \
            for (size_t c = 0; c < k; c++) {                                                       \
                int64_t sum = 0;                                                                   \
                for (size_t j = 0; j < m; j += BLOCK) {                                            \
                    const int16_t *hc = h + um_grid_packed(k, c, j);                               \
                    SUM part = 0;                                                                  \
                    for (size_t i = 0; i < min_size(BLOCK, m - j); i++) {                          \
                        part += (SUM)((int32_t)x[j + i] * (int32_t)hc[i]);                         \
                    }                                                                              \
                    sum += (int64_t)part;                                                          \
                }                                                                                  \
                a[r * k + c] = (double)sum;                                                        \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
                                                                                                   \
    static void accumulate_##suffix(const void *data, size_t rows, size_t m, const int16_t *w,    \
                                    size_t k, const float *step, float *b)                         \
    {                                                                                              \
        const T *x = data;                                                                         \
        for (size_t j = 0; j < m; j += BLOCK) {                                                    \
            size_t count = min_size(BLOCK, m - j);                                                 \
            for (size_t c = 0; c < k; c++) {                                                       \
                int32_t low[BLOCK] = {0};                                                          \
                int32_t high[BLOCK] = {0};                                                         \
                for (size_t r = 0; r < rows; r++) {                                                \
                    int32_t wc = w[um_grid_pair(k, c, r)];                                         \
                    const T *xr = x + r * m + j;                                                   \
                    for (size_t i = 0; i < count; i++) {                                           \
                        low[i] += wc * (xr[i] & 255);                                              \
                    }                                                                              \
                    for (size_t i = 0; sizeof(T) > 1 && i < count; i++) {                          \
                        high[i] += wc * (xr[i] >> 8);                                              \
                    }                                                                              \
                }                                                                                  \
                add(low, high, count, step[c], b + c * UM_KERNEL_PACK, j, k);                      \
            }                                                                                      \
        }                                                                                          \
    }

DEFINE(uint8_t, u8, int32_t)
DEFINE(uint16_t, u16, int64_t)

const um_grid_kernels um_grid_scalar = {
    .project = {[UM_U8] = project_u8, [UM_U16] = project_u16},
    .accumulate = {[UM_U8] = accumulate_u8, [UM_U16] = accumulate_u16},
};
