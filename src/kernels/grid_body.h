/* Included once per instruction set with VARIANT (name of the table) defined, and VNNI where the sum of products
 * and its addition are one instruction. */
#include "grid_variants.h"
#include "kernels.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* WIDE: 16-bit numbers in a vector, half as many 32-bit ones. */
#if defined(__AVX512BW__)
enum { WIDE = 32, TILE_ROWS = 4, TILE_COMPONENTS = 6, COMPONENTS = 11 };
typedef __m512i vi;
#define V(f) _mm512_##f
#define LOAD(p) _mm512_loadu_si512((const void *)(p))
#define STORE(p, v) _mm512_storeu_si512((void *)(p), v)
#define LOAD_BYTES(p) _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define ZERO _mm512_setzero_si512()
#define OR _mm512_or_si512
#define AND _mm512_and_si512
typedef __m512 vf;
#else
enum { WIDE = 16, TILE_ROWS = 2, TILE_COMPONENTS = 5, COMPONENTS = 5 };
typedef __m256i vi;
#define V(f) _mm256_##f
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define LOAD_BYTES(p) _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define ZERO _mm256_setzero_si256()
#define OR _mm256_or_si256
#define AND _mm256_and_si256
typedef __m256 vf;
#endif
enum { HALF = WIDE / 2, MOST_PIXELS = 4096 * WIDE / 32, GROUP_PAIRS = 16, AHEAD = 64 };

typedef int32_t pair __attribute__((may_alias)); /* grid values of two rows */

/* sum += x0 h0 + x1 h1 in each 32-bit lane. In assembly: gcc 12 copies registers around the intrinsic. */
#if defined(VNNI)
#define ADD_PRODUCTS(sum, x, h) __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(h))
#else
#define ADD_PRODUCTS(sum, x, h) (sum) = V(add_epi32)(sum, V(madd_epi16)(x, h))
#endif

/* Loads once what several multiplications share; compilers would load it for each. */
INLINE vi load_once(const void *p)
{
    vi v = LOAD(p);
    __asm__("" : "+v"(v));
    return v;
}

INLINE size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

INLINE size_t even_share(size_t left, size_t most)
{
    size_t shares = (left + most - 1) / most;
    return (left + shares - 1) / shares;
}

INLINE double sum_lanes(vi v)
{
#if defined(__AVX512BW__)
    __m512i sum = _mm512_add_epi64(_mm512_cvtepi32_epi64(_mm512_castsi512_si256(v)),
                                   _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(v, 1)));
    return (double)_mm512_reduce_add_epi64(sum);
#else
    __m256i sum = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(v)),
                                   _mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1)));
    int64_t lanes[4];
    STORE(lanes, sum);
    return (double)((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]));
#endif
}

INLINE bool any_above_byte(vi v)
{
    vi high = V(srli_epi16)(v, 8);
#if defined(__AVX512BW__)
    return _mm512_test_epi16_mask(high, high) != 0;
#else
    return _mm256_testz_si256(high, high) == 0;
#endif
}

/* Interleaves two rows of WIDE values, so that 32-bit lanes hold the two of a pixel, pixels in order. */
INLINE void pair_words(vi x0, vi x1, vi out[2])
{
#if defined(__AVX512BW__)
    const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    x0 = _mm512_permutexvar_epi64(order, x0);
    x1 = _mm512_permutexvar_epi64(order, x1);
#else
    x0 = _mm256_permute4x64_epi64(x0, 0xd8);
    x1 = _mm256_permute4x64_epi64(x1, 0xd8);
#endif
    out[0] = V(unpacklo_epi16)(x0, x1);
    out[1] = V(unpackhi_epi16)(x0, x1);
}

/* The same of bytes, widened. */
INLINE void pair_bytes(const uint8_t *p0, const uint8_t *p1, vi out[2])
{
#if defined(__AVX512BW__)
    __m256i x0 = _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)(const void *)p0), 0xd8);
    __m256i x1 = _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)(const void *)p1), 0xd8);
    out[0] = _mm512_cvtepu8_epi16(_mm256_unpacklo_epi8(x0, x1));
    out[1] = _mm512_cvtepu8_epi16(_mm256_unpackhi_epi8(x0, x1));
#else
    __m128i x0 = _mm_loadu_si128((const __m128i *)(const void *)p0);
    __m128i x1 = _mm_loadu_si128((const __m128i *)(const void *)p1);
    out[0] = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x0, x1));
    out[1] = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(x0, x1));
#endif
}

/* Register blocks need constant trip counts: one case per number of components. */
#define CASES_TO_5(X) X(1) X(2) X(3) X(4) X(5)
#if defined(__AVX512BW__)
#define TILE_CASES(X) CASES_TO_5(X) X(6)
#define COMPONENT_CASES(X) CASES_TO_5(X) X(6) X(7) X(8) X(9) X(10) X(11)
#else
#define TILE_CASES CASES_TO_5
#define COMPONENT_CASES CASES_TO_5
#endif

/* What is in `out` of all pairs of rows of a group, added to nc components of WIDE columns. */
INLINE void add_pairs(const vi *pairs, size_t count, const pair *w, size_t k, const float *step,
                      float scale, const int nc, const float *ahead, float *b)
{
    vi sum[COMPONENTS][2];
#pragma GCC unroll 16
    for (int c = 0; c < nc; c++) {
        sum[c][0] = ZERO;
        sum[c][1] = ZERO;
    }
    for (size_t p = 0; p < count; p++) {
        vi x0 = load_once(pairs + 2 * p);
        vi x1 = load_once(pairs + 2 * p + 1);
        __builtin_prefetch(ahead + p * UM_KERNEL_PACK, 1, 3);
        __builtin_prefetch(ahead + (k + p) * UM_KERNEL_PACK, 1, 3);
#pragma GCC unroll 16
        for (int c = 0; c < nc; c++) {
            vi wc = V(set1_epi32)(w[p * k + (size_t)c]);
            ADD_PRODUCTS(sum[c][0], x0, wc);
            ADD_PRODUCTS(sum[c][1], x1, wc);
        }
    }
#pragma GCC unroll 16
    for (int c = 0; c < nc; c++) {
        vf by = V(set1_ps)(scale * step[c]);
#pragma GCC unroll 16
        for (int v = 0; v < 2; v++) {
            float *to = b + (size_t)(v * HALF / UM_KERNEL_PACK) * k * UM_KERNEL_PACK +
                        c * UM_KERNEL_PACK + v * HALF % UM_KERNEL_PACK;
            V(storeu_ps)(to, V(fmadd_ps)(V(cvtepi32_ps)(sum[c][v]), by, V(loadu_ps)(to)));
        }
    }
}

#define ADD_CASE(n)                                                                                \
    case n:                                                                                        \
        add_pairs(pairs, count, w + c, k, step + c, scale, n, bc + 2 * k * UM_KERNEL_PACK, bc);    \
        break;

static void add_columns(const vi *pairs, size_t count, const pair *w, size_t k, const float *step,
                        float scale, float *b)
{
    size_t nc = 0;
    for (size_t c = 0; c < k; c += nc) {
        float *bc = b + c * UM_KERNEL_PACK;
        nc = even_share(k - c, COMPONENTS);
        switch (nc) {
            COMPONENT_CASES(ADD_CASE)
        default:
            break;
        }
    }
}

#define T uint8_t
#define NAME(f) f##_u8
#define BYTES
#include "grid_typed.h"

#define T uint16_t
#define NAME(f) f##_u16
#include "grid_typed.h"

const um_grid_kernels VARIANT = {
    .project = {[UM_U8] = project_u8, [UM_U16] = project_u16},
    .accumulate = {[UM_U8] = accumulate_u8, [UM_U16] = accumulate_u16},
};
