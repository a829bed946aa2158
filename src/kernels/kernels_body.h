/* Included once per instruction set with LANES (floats per vector), PROJECT_ROWS, PROJECT_COMPONENTS and COMPONENTS
 * (register blocking), PROJECT_CASES and COMPONENT_CASES (up to them) and VARIANT (name of the table) defined. Vectors are GCC's
 * portable ones, so every variant is this text. */

#include "kernels.h"

#include <math.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

enum { PROJECT_BLOCK = 1024, CARRY_COLUMNS = 4096, COLUMN_BLOCK = 2048, RESIDUAL_BLOCK = 256 };
enum { ACCUMULATE_VECTORS = 2, ACCUMULATE_AHEAD = 64 };
enum { SPARSE_BLOCK = 2048, SPARSE_CHAINS = 4, SPARSE_VECTORS = 4 };

typedef float vf __attribute__((vector_size(4 * LANES), aligned(4)));
typedef int32_t vi __attribute__((vector_size(4 * LANES), aligned(4)));

#define INLINE static inline __attribute__((always_inline))

INLINE float sum_lanes(vf v)
{
#if LANES == 16
    typedef float v8 __attribute__((vector_size(32)));
    v8 eight = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
               __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
#elif LANES == 8
#define eight v
#endif
#if LANES >= 8
    typedef float v4 __attribute__((vector_size(16)));
    v4 four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
              __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
#undef eight
#else
    vf four = v;
#endif
    return (four[0] + four[2]) + (four[1] + four[3]);
}

/* sum_lanes() of four vectors, with the same additions. */
INLINE void sum_lanes4(const vf v[4], float sums[4])
{
    typedef float v4 __attribute__((vector_size(16)));
    v4 four[4];
    for (int i = 0; i < 4; i++) {
#if LANES == 16
        typedef float v8 __attribute__((vector_size(32)));
        v8 eight = __builtin_shufflevector(v[i], v[i], 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v[i], v[i], 8, 9, 10, 11, 12, 13, 14, 15);
#elif LANES == 8
        vf eight = v[i];
#endif
#if LANES >= 8
        four[i] = __builtin_shufflevector(eight, eight, 0, 1, 2, 3) +
                  __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
#else
        memcpy(&four[i], &v[i], sizeof four[i]);
#endif
    }
    v4 low = __builtin_shufflevector(four[0], four[1], 0, 4, 1, 5) +
             __builtin_shufflevector(four[0], four[1], 2, 6, 3, 7);
    v4 high = __builtin_shufflevector(four[2], four[3], 0, 4, 1, 5) +
              __builtin_shufflevector(four[2], four[3], 2, 6, 3, 7);
    v4 all = __builtin_shufflevector(low, high, 0, 1, 4, 5) +
             __builtin_shufflevector(low, high, 2, 3, 6, 7);
    memcpy(sums, &all, sizeof all);
}

/* One number in all lanes: a load, not arithmetic. */
INLINE vf spread(float x)
{
#if LANES == 16
    return (vf){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#elif LANES == 8
    return (vf){x, x, x, x, x, x, x, x};
#else
    return (vf){x, x, x, x};
#endif
}

/* Loads once what several multiplications share; compilers would load it for each. */
INLINE vf load_once(const float *p)
{
    vf v = *(const vf *)p;
#if defined(__AVX512F__)
    __asm__("" : "+v"(v));
#elif defined(__SSE2__)
    __asm__("" : "+x"(v));
#endif
    return v;
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
#define CASES_TO_3(X) X(1) X(2) X(3)
#define CASES_TO_5(X) CASES_TO_3(X) X(4) X(5)
#define CASES_TO_6(X) CASES_TO_5(X) X(6)
#define CASES_TO_11(X) CASES_TO_6(X) X(7) X(8) X(9) X(10) X(11)

/* The vector of column j, a multiple of LANES, in a packed matrix of k components. */
#define PACKED(h, j, k) ((h) + (j) / UM_KERNEL_PACK * UM_KERNEL_PACK * (k) + (j) % UM_KERNEL_PACK)

/* Adds up the lanes of n sums, and clears them. */
static void carry(size_t n, float *partial, double *a)
{
    for (size_t i = 0; i < n; i++) {
        a[i] += (double)sum_lanes(*(const vf *)(partial + i * LANES));
    }
    memset(partial, 0, n * LANES * sizeof *partial);
}

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

#include "kernels_kl.h"

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

static void squares_sparse(const um_sparse_rows *x, size_t rows, const float *v, double *q)
{
    if (x->value_dtype == UM_U8) {
        squares_sparse_u8(x, rows, v, q);
    } else {
        squares_sparse_u16(x, rows, v, q);
    }
}

static void sums_sparse(const um_sparse_rows *x, size_t rows, const float *v, double *q)
{
    if (x->value_dtype == UM_U8) {
        sums_sparse_u8(x, rows, v, q);
    } else {
        sums_sparse_u16(x, rows, v, q);
    }
}

static void residual_sparse(const um_sparse_rows *x, size_t rows, const float *w, const float *ht,
                            size_t stride, size_t k, const float *on, const float *v, double *plain,
                            double *weighted, double *sum_d, double *sum_d2)
{
    if (x->value_dtype == UM_U8) {
        residual_sparse_u8(x, rows, w, ht, stride, k, on, v, plain, weighted, sum_d, sum_d2);
    } else {
        residual_sparse_u16(x, rows, w, ht, stride, k, on, v, plain, weighted, sum_d, sum_d2);
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

static float burn(long loops)
{
    vf sum[UM_KERNEL_BURN_CHAINS];
    vf x = (vf){0} + 1e-9F;
    vf y = (vf){0} + 0.999999F;
    for (int i = 0; i < UM_KERNEL_BURN_CHAINS; i++) {
        sum[i] = (vf){0} + (float)i;
    }
    __asm__("" : "+x"(x), "+x"(y)); /* not constants */
    for (long n = 0; n < loops; n++) {
        for (int i = 0; i < UM_KERNEL_BURN_CHAINS; i++) {
            sum[i] = sum[i] * y + x;
        }
    }
    float total = 0;
    for (int i = 0; i < UM_KERNEL_BURN_CHAINS; i++) {
        total += sum_lanes(sum[i]);
    }
    return total;
}

static uint64_t sweep(const void *bytes, size_t count)
{
    const char *p = bytes;
    vi sum[4] = {{0}};
    size_t step = sizeof sum;
    for (size_t i = 0; i + step <= count; i += step) {
        for (size_t n = 0; n < 4; n++) {
            sum[n] ^= *(const vi *)(const void *)(p + i + n * sizeof(vi));
        }
    }
    vi total = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
    return (uint64_t)(uint32_t)total[0];
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
    .squares_sparse = squares_sparse,
    .sums_sparse = sums_sparse,
    .residual_sparse = residual_sparse,
    .kl_list = ALL_TYPES(kl_list),
    .kl_gather = kl_gather,
    .kl_solve = kl_solve,
    .kl_ratio = kl_ratio,
    .kl_spread = kl_spread,
    .hals = hals,
    .burn = burn,
    .sweep = sweep,
};
