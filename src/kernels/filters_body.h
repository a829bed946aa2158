/* Loops in f32 over one prepared pattern; a part of pixels_body.h. */
#include <math.h>
#include <string.h>

#if defined(__SSE4_1__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
enum { TAP_LANES = 16, TAP_VECTORS = 2, TAP_LINES = 2 };
#elif defined(__AVX2__)
enum { TAP_LANES = 8, TAP_VECTORS = 4, TAP_LINES = 1 };
#else
enum { TAP_LANES = 4, TAP_VECTORS = 4, TAP_LINES = 1 };
#endif
enum { TAP_SHARE = TAP_LANES * TAP_VECTORS }; /* of UM_TAP_WIDTH: sums that stay in registers */
typedef float tap_vector __attribute__((vector_size(4 * TAP_LANES), aligned(4)));

INLINE void tap_share(const float *weights, size_t radius, const float *p, size_t stride, size_t step,
                      size_t lines, float *dst)
{
    tap_vector sum[TAP_LINES * TAP_VECTORS];
    for (size_t n = 0; n < lines; n++) {
        for (size_t i = 0; i < TAP_VECTORS; i++) {
            sum[n * TAP_VECTORS + i] =
                weights[0] * *(const tap_vector *)(p + n * step + i * TAP_LANES);
        }
    }
    for (size_t j = 1; j <= radius; j++) {
        const float *before = p - j * stride;
        const float *after = p + j * stride;
        for (size_t n = 0; n < lines; n++) {
            for (size_t i = 0; i < TAP_VECTORS; i++) {
                size_t at = n * step + i * TAP_LANES;
                sum[n * TAP_VECTORS + i] += weights[j] * (*(const tap_vector *)(before + at) +
                                                          *(const tap_vector *)(after + at));
            }
        }
    }
    for (size_t n = 0; n < lines; n++) {
        memcpy(dst + n * UM_TAP_WIDTH, sum + n * TAP_VECTORS, TAP_SHARE * sizeof *dst);
    }
}

static void symmetric_taps(const float *weights, size_t radius, const float *src, size_t stride,
                           size_t step, size_t lines, float *dst)
{
    size_t whole = lines / TAP_LINES * TAP_LINES;
    for (size_t first = 0; first < UM_TAP_WIDTH; first += TAP_SHARE) {
        for (size_t line = 0; line < whole; line += TAP_LINES) {
            tap_share(weights, radius, src + line * step + first, stride, step, TAP_LINES,
                      dst + line * UM_TAP_WIDTH + first);
        }
        for (size_t line = whole; line < lines; line++) {
            tap_share(weights, radius, src + line * step + first, stride, step, 1,
                      dst + line * UM_TAP_WIDTH + first);
        }
    }
}

/* Of n values (a multiple of RANK_LANES): how many are at most `level`, the greatest of them, and the least
 * that is above. */
enum { RANK_LANES = UM_RANK_LANES };
static size_t split(const float *restrict values, size_t n, float level, float *below, float *above)
{
    uint32_t count[RANK_LANES] = {0};
    float most[RANK_LANES];
    float least[RANK_LANES];
    for (size_t l = 0; l < RANK_LANES; l++) {
        most[l] = -INFINITY;
        least[l] = INFINITY;
    }
    for (size_t i = 0; i < n; i += RANK_LANES) {
        for (size_t l = 0; l < RANK_LANES; l++) {
            float v = values[i + l];
            float low = v <= level ? v : -INFINITY;
            float high = v <= level ? INFINITY : v;
            count[l] += v <= level;
            most[l] = low > most[l] ? low : most[l];
            least[l] = high < least[l] ? high : least[l];
        }
    }
    size_t total = 0;
    *below = -INFINITY;
    *above = INFINITY;
    for (size_t l = 0; l < RANK_LANES; l++) {
        total += count[l];
        *below = most[l] > *below ? most[l] : *below;
        *above = least[l] < *above ? least[l] : *above;
    }
    return total;
}

/* ---- dilation under a limit ----------------------------------------------------------------- */

INLINE int32_t greater(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Along a row each value waits for the one before it: this chain is all that its time consists of. */
INLINE void spread_along(const int32_t *restrict limit, int32_t *restrict value, size_t n, bool back)
{
#if defined(__SSE4_1__)
    __m128i carry = _mm_set1_epi32(INT32_MIN);
    for (size_t k = 0; k < n; k++) {
        size_t i = back ? n - 1 - k : k;
        carry = _mm_max_epi32(carry, _mm_cvtsi32_si128(value[i]));
        carry = _mm_min_epi32(carry, _mm_cvtsi32_si128(limit[i]));
        value[i] = _mm_cvtsi128_si32(carry);
    }
#else
    int32_t carry = INT32_MIN;
    for (size_t k = 0; k < n; k++) {
        size_t i = back ? n - 1 - k : k;
        carry = greater(carry, value[i]);
        carry = carry < limit[i] ? carry : limit[i];
        value[i] = carry;
    }
#endif
}

static void spread_row(const int32_t *restrict limit, int32_t *restrict value,
                       const int32_t *restrict before, size_t n, bool back)
{
    if (before != NULL && n == 1) {
        value[0] = greater(value[0], before[0]);
    } else if (before != NULL) {
        value[0] = greater(value[0], greater(before[0], before[1]));
        for (size_t i = 1; i + 1 < n; i++) {
            int32_t v = greater(before[i - 1], greater(before[i], before[i + 1]));
            value[i] = greater(value[i], v);
        }
        value[n - 1] = greater(value[n - 1], greater(before[n - 1], before[n - 2]));
    }
    if (back) {
        spread_along(limit, value, n, true);
    } else {
        spread_along(limit, value, n, false);
    }
}

static void mark_spreading(const int32_t *restrict limit, const int32_t *restrict value,
                           const int32_t *restrict next_limit, const int32_t *restrict next, size_t n,
                           uint8_t *restrict marks)
{
    for (size_t i = 0; i + 1 < n; i++) {
        marks[i] = (uint8_t)((value[i + 1] < value[i]) & (value[i + 1] < limit[i + 1]));
    }
    marks[n - 1] = 0;
    if (next == NULL) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        marks[i] |= (uint8_t)((next[i] < value[i]) & (next[i] < next_limit[i]));
    }
    for (size_t i = 1; i < n; i++) {
        marks[i] |= (uint8_t)((next[i - 1] < value[i]) & (next[i - 1] < next_limit[i - 1]));
    }
    for (size_t i = 0; i + 1 < n; i++) {
        marks[i] |= (uint8_t)((next[i + 1] < value[i]) & (next[i + 1] < next_limit[i + 1]));
    }
}
