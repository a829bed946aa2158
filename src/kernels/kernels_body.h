/* Included once per instruction set with LANES (floats per vector), PROJECT_ROWS, PROJECT_COMPONENTS
 * and ACCUMULATE_COMPONENTS (register blocking) and VARIANT (name of the table) defined. Vectors are GCC's
 * portable ones, so every variant is this text. */

#include "kernels.h"

#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum { COLUMN_BLOCK = 2048, RESIDUAL_BLOCK = 256, ACCUMULATE_VECTORS = 2 };
enum { SPARSE_BLOCK = 2048, SPARSE_CHAINS = 4, SPARSE_VECTORS = 4 };

typedef float vf __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t vi __attribute__((vector_size(4 * LANES), aligned(4)));

#define INLINE static inline __attribute__((always_inline))

INLINE float sum_lanes(vf v)
{
    float half[LANES];
    memcpy(half, &v, sizeof half);
    for (int n = LANES / 2; n > 0; n /= 2) {
        for (int i = 0; i < n; i++) {
            half[i] += half[i + n];
        }
    }
    return half[0];
}

INLINE size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The next share of `left` components when at most `most` fit in registers: as even as possible. */
INLINE size_t even_share(size_t left, size_t most)
{
    size_t shares = (left + most - 1) / most;
    return (left + shares - 1) / shares;
}

/* Register blocks need constant trip counts: one case per number of components. */
#define COMPONENT_CASES_TO_3(X) X(1) X(2) X(3)
#define COMPONENT_CASES_4_5(X) X(4) X(5)
#define COMPONENT_CASES_6_10(X) X(6) X(7) X(8) X(9) X(10)

/* Small integers go through int32, which has a direct conversion on every instruction set. */
#define THROUGH_INT(v) __builtin_convertvector(__builtin_convertvector(v, vi), vf)
#define DIRECT(v) __builtin_convertvector(v, vf)

/* gcc 12 widens bytes with generic vectors by way of memory; say the instruction instead. */
#if defined(__AVX512F__)
#define LOAD_U8(p)                                                                                 \
    (vf) _mm512_cvtepi32_ps(                                                                       \
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#define LOAD_I8(p)                                                                                 \
    (vf) _mm512_cvtepi32_ps(                                                                       \
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))))
#elif defined(__AVX2__)
#define LOAD_U8(p)                                                                                 \
    (vf) _mm256_cvtepi32_ps(                                                                       \
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#define LOAD_I8(p)                                                                                 \
    (vf) _mm256_cvtepi32_ps(                                                                       \
        _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p))))
#endif

#define T uint8_t
#define NAME(f) f##_u8
#define TO_FLOAT THROUGH_INT
#ifdef LOAD_U8
#define LOAD(p) LOAD_U8(p)
#endif
#include "kernels_typed.h"

#define T uint16_t
#define NAME(f) f##_u16
#define TO_FLOAT THROUGH_INT
#include "kernels_typed.h"

#define T uint32_t
#define NAME(f) f##_u32
#define TO_FLOAT DIRECT
#include "kernels_typed.h"

#define T int8_t
#define NAME(f) f##_i8
#define TO_FLOAT THROUGH_INT
#ifdef LOAD_I8
#define LOAD(p) LOAD_I8(p)
#endif
#include "kernels_typed.h"

#define T int16_t
#define NAME(f) f##_i16
#define TO_FLOAT THROUGH_INT
#include "kernels_typed.h"

#define T int32_t
#define NAME(f) f##_i32
#define TO_FLOAT DIRECT
#include "kernels_typed.h"

#define T float
#define NAME(f) f##_f32
#define TO_FLOAT(v) (v)
#include "kernels_typed.h"

#define T double
#define NAME(f) f##_f64
#define TO_FLOAT DIRECT
#include "kernels_typed.h"

#define T uint8_t
#define NAME(f) f##_u8
#include "kernels_sparse.h"

#define T uint16_t
#define NAME(f) f##_u16
#include "kernels_sparse.h"

static void project_sparse(const um_sparse_rows *x, size_t rows, const float *ht, size_t stride,
                           size_t k, double *a)
{
    if (x->value_dtype == UM_U8) {
        project_sparse_u8(x, rows, ht, stride, k, a);
    } else {
        project_sparse_u16(x, rows, ht, stride, k, a);
    }
}

static void accumulate_sparse(const um_sparse_rows *x, size_t rows, const float *w, size_t k,
                              float *bt, size_t stride)
{
    if (x->value_dtype == UM_U8) {
        accumulate_sparse_u8(x, rows, w, k, bt, stride);
    } else {
        accumulate_sparse_u16(x, rows, w, k, bt, stride);
    }
}

/* One panel of at most UM_HALS_PANEL columns held contiguously. */
static void hals_panel(size_t k, const double *g, const double *a, double *w, int sweeps,
                       double stop)
{
    double first = 0;
    for (int s = 0; s < sweeps; s++) {
        double moved = 0;
        for (size_t c = 0; c < k; c++) {
            double diagonal = g[c * k + c];
            if (!(diagonal > 0)) {
                continue;
            }
            double gradient[UM_HALS_PANEL];
            memcpy(gradient, a + c * UM_HALS_PANEL, sizeof gradient);
            for (size_t d = 0; d < k; d++) {
                double gcd = g[c * k + d];
                const double *wd = w + d * UM_HALS_PANEL;
                for (int r = 0; r < UM_HALS_PANEL; r++) {
                    gradient[r] -= gcd * wd[r];
                }
            }
            double inverse = 1.0 / diagonal;
            double *wc = w + c * UM_HALS_PANEL;
            double step2[UM_HALS_PANEL];
            for (int r = 0; r < UM_HALS_PANEL; r++) {
                double value = wc[r] + gradient[r] * inverse;
                value = value > 0 ? value : 0;
                step2[r] = (value - wc[r]) * (value - wc[r]);
                wc[r] = value;
            }
            double sum = 0;
            for (int r = 0; r < UM_HALS_PANEL; r++) {
                sum += step2[r];
            }
            moved += sum * diagonal;
        }
        if (s == 0) {
            first = moved;
        }
        if (moved <= stop * stop * first) {
            break;
        }
    }
}

static void hals(size_t k, size_t n, size_t stride, const double *g, const double *a, double *w,
                 int sweeps, double stop)
{
    double pa[UM_HALS_LARGEST * UM_HALS_PANEL];
    double pw[UM_HALS_LARGEST * UM_HALS_PANEL];
    for (size_t j = 0; j < n; j += UM_HALS_PANEL) {
        size_t width = min_size(UM_HALS_PANEL, n - j);
        for (size_t c = 0; c < k; c++) {
            memset(pa + c * UM_HALS_PANEL, 0, UM_HALS_PANEL * sizeof *pa);
            memset(pw + c * UM_HALS_PANEL, 0, UM_HALS_PANEL * sizeof *pw);
            memcpy(pa + c * UM_HALS_PANEL, a + c * stride + j, width * sizeof *pa);
            memcpy(pw + c * UM_HALS_PANEL, w + c * stride + j, width * sizeof *pw);
        }
        hals_panel(k, g, pa, pw, sweeps, stop);
        for (size_t c = 0; c < k; c++) {
            memcpy(w + c * stride + j, pw + c * UM_HALS_PANEL, width * sizeof *pw);
        }
    }
}

#define ALL_TYPES(f)                                                                               \
    {                                                                                              \
        [UM_U8] = f##_u8, [UM_U16] = f##_u16, [UM_U32] = f##_u32, [UM_I8] = f##_i8,                \
        [UM_I16] = f##_i16, [UM_I32] = f##_i32, [UM_F32] = f##_f32, [UM_F64] = f##_f64             \
    }

const um_kernels VARIANT = {
    .project = ALL_TYPES(project),
    .accumulate = ALL_TYPES(accumulate),
    .squares = ALL_TYPES(squares),
    .residual = ALL_TYPES(residual),
    .project_sparse = project_sparse,
    .accumulate_sparse = accumulate_sparse,
    .hals = hals,
};
