/* Every variant and dtype against plain loops in f64. */
#include "kernels_variants.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct problem {
    um_dtype dtype;
    size_t rows, m, k, ld;
    void *x;
    double *x64; /* rows x m */
    float *h, *w, *on, *v;
} problem;

static double random_value(uint64_t *counter)
{
    return um_random_uniform((um_random){11, UM_STREAM_TEST}, (*counter)++);
}

static void store(void *x, um_dtype dtype, size_t i, double value)
{
    switch (dtype) {
    case UM_U8:
        ((uint8_t *)x)[i] = (uint8_t)value;
        break;
    case UM_U16:
        ((uint16_t *)x)[i] = (uint16_t)value;
        break;
    case UM_U32:
        ((uint32_t *)x)[i] = (uint32_t)value;
        break;
    case UM_I8:
        ((int8_t *)x)[i] = (int8_t)value;
        break;
    case UM_I16:
        ((int16_t *)x)[i] = (int16_t)value;
        break;
    case UM_I32:
        ((int32_t *)x)[i] = (int32_t)value;
        break;
    case UM_F32:
        ((float *)x)[i] = (float)value;
        break;
    default:
        ((double *)x)[i] = value;
        break;
    }
}

/* The end of x is the end of the allocation, so that a read beyond it is a finding of the sanitizers. */
static problem make(um_dtype dtype, size_t rows, size_t m, size_t k, uint64_t *counter)
{
    problem p = {.dtype = dtype, .rows = rows, .m = m, .k = k, .ld = um_kernel_stride(m)};
    p.x = malloc(rows * m * um_dtype_size(dtype));
    p.x64 = malloc(rows * m * sizeof *p.x64);
    p.h = calloc(k * p.ld, sizeof *p.h);
    p.w = calloc(rows * k, sizeof *p.w);
    p.on = calloc(p.ld, sizeof *p.on);
    p.v = calloc(p.ld, sizeof *p.v);
    bool is_signed = dtype == UM_I8 || dtype == UM_I16 || dtype == UM_I32;
    for (size_t i = 0; i < rows * m; i++) {
        double value = floor(120 * random_value(counter));
        if (is_signed) {
            value -= 60;
        } else if (dtype == UM_U32 && i % 7 == 0) {
            value = 4294967040.0; /* the largest u32 that f32 holds: beyond int32 */
        } else if (dtype == UM_U8 && i % 5 == 0) {
            value = 255;
        }
        p.x64[i] = value;
        store(p.x, dtype, i, value);
    }
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < m; j++) {
            p.h[c * p.ld + j] = (float)random_value(counter);
        }
    }
    for (size_t i = 0; i < rows * k; i++) {
        p.w[i] = (float)random_value(counter);
    }
    for (size_t j = 0; j < m; j++) {
        p.on[j] = j % 3 != 1;
        p.v[j] = p.on[j] * (float)random_value(counter);
    }
    return p;
}

static void drop(problem *p)
{
    free(p->x);
    free(p->x64);
    free(p->h);
    free(p->w);
    free(p->on);
    free(p->v);
}

static void close_to(double got, double expected, double magnitude)
{
    if (!(fabs(got - expected) <= 1e-5 * magnitude)) {
        fail_msg("got %.10g, expected %.10g (magnitude %.3g)", got, expected, magnitude);
    }
}

static float *pack(const problem *p)
{
    float *packed = calloc(p->k * p->ld, sizeof *packed);
    for (size_t c = 0; c < p->k; c++) {
        for (size_t j = 0; j < p->m; j++) {
            packed[um_kernel_packed(p->k, c, j)] = p->h[c * p->ld + j];
        }
    }
    return packed;
}

static void check_project(const um_kernels *kernels, const problem *p)
{
    double *a = malloc(p->rows * p->k * sizeof *a);
    float *packed = pack(p);
    float *scratch = aligned_alloc(64, p->rows * p->k * UM_KERNEL_PACK * sizeof *scratch);
    kernels->project[p->dtype](p->x, p->rows, p->m, packed, p->k, a, scratch);
    double *alone = malloc(p->k * sizeof *alone);
    for (size_t r = 0; r < p->rows; r++) {
        const char *row = (const char *)p->x + r * p->m * um_dtype_size(p->dtype);
        kernels->project[p->dtype](row, 1, p->m, packed, p->k, alone, scratch);
        assert_memory_equal(alone, a + r * p->k, p->k * sizeof *alone);
    }
    free(alone);
    free(packed);
    free(scratch);
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->k; c++) {
            double sum = 0;
            double magnitude = 1e-30;
            for (size_t j = 0; j < p->m; j++) {
                double term = p->x64[r * p->m + j] * (double)p->h[c * p->ld + j];
                sum += term;
                magnitude += fabs(term);
            }
            close_to(a[r * p->k + c], sum, magnitude);
        }
    }
    free(a);
}

static void check_accumulate(const um_kernels *kernels, const problem *p)
{
    float *b = malloc(p->k * p->ld * sizeof *b);
    for (size_t i = 0; i < p->k * p->ld; i++) {
        b[i] = 1;
    }
    kernels->accumulate[p->dtype](p->x, p->rows, p->m, p->w, p->k, b);
    for (size_t c = 0; c < p->k; c++) {
        for (size_t j = 0; j < p->m; j++) {
            double sum = 1;
            double magnitude = 1;
            for (size_t r = 0; r < p->rows; r++) {
                double term = (double)p->w[r * p->k + c] * p->x64[r * p->m + j];
                sum += term;
                magnitude += fabs(term);
            }
            close_to((double)b[um_kernel_packed(p->k, c, j)], sum, magnitude);
        }
    }
    free(b);
}

static void check_residual(const um_kernels *kernels, const problem *p)
{
    double *plain = malloc(p->rows * sizeof *plain);
    double *weighted = malloc(p->rows * sizeof *weighted);
    double *d1 = calloc(p->m, sizeof *d1);
    double *d2 = calloc(p->m, sizeof *d2);
    double *e1 = calloc(p->m, sizeof *e1);
    double *e2 = calloc(p->m, sizeof *e2);
    double *top = calloc(p->m, sizeof *top);
    kernels->residual[p->dtype](p->x, p->rows, p->m, p->w, p->h, p->ld, p->k, p->on, p->v, plain,
                                weighted, d1, d2);
    for (size_t r = 0; r < p->rows; r++) {
        double sum = 0;
        double sum_v = 0;
        for (size_t j = 0; j < p->m; j++) {
            double d = p->x64[r * p->m + j];
            for (size_t c = 0; c < p->k; c++) {
                d -= (double)p->w[r * p->k + c] * (double)p->h[c * p->ld + j];
            }
            d *= (double)p->on[j];
            sum += d * d;
            sum_v += (double)p->v[j] * d * d;
            e1[j] += d;
            e2[j] += d * d;
            top[j] += fabs(d);
        }
        close_to(plain[r], sum, sum + 1e-3);
        close_to(weighted[r], sum_v, sum_v + 1e-3);
    }
    for (size_t j = 0; j < p->m; j++) {
        close_to(d1[j], e1[j], top[j] + 1);
        close_to(d2[j], e2[j], e2[j] + 1e-3);
    }
    free(plain);
    free(weighted);
    free(d1);
    free(d2);
    free(e1);
    free(e2);
    free(top);
}

static void check_squares(const um_kernels *kernels, const problem *p)
{
    double *q = malloc(p->rows * sizeof *q);
    kernels->squares[p->dtype](p->x, p->rows, p->m, p->v, q);
    for (size_t r = 0; r < p->rows; r++) {
        double sum = 0;
        for (size_t j = 0; j < p->m; j++) {
            sum += (double)p->v[j] * p->x64[r * p->m + j] * p->x64[r * p->m + j];
        }
        close_to(q[r], sum, sum + 1e-30);
    }
    free(q);
}

/* The closed form for zeros and what the stored values add are the errors of the whole rows. */
static void check_residual_sparse(const um_kernels *kernels, const problem *p,
                                  const um_sparse_rows *x, const float *ht, size_t stride)
{
    double *plain = malloc(p->rows * sizeof *plain);
    double *weighted = malloc(p->rows * sizeof *weighted);
    double *sums = malloc(p->rows * sizeof *sums);
    double *d1 = calloc(p->m, sizeof *d1);
    double *d2 = calloc(p->m, sizeof *d2);
    kernels->residual_sparse(x, p->rows, p->w, ht, stride, p->k, p->on, p->v, plain, weighted, d1,
                             d2);
    kernels->sums_sparse(x, p->rows, p->v, sums);
    double *e1 = calloc(p->m, sizeof *e1);
    double *e2 = calloc(p->m, sizeof *e2);
    double *top = calloc(p->m, sizeof *top);
    for (size_t r = 0; r < p->rows; r++) {
        double sum = 0;
        double sum_v = 0;
        double sum_x = 0;
        double size = 0;
        for (size_t j = 0; j < p->m; j++) {
            double on = (double)p->on[j];
            double y = 0;
            for (size_t c = 0; c < p->k; c++) {
                y += (double)p->w[r * p->k + c] * (double)p->h[c * p->ld + j];
            }
            double xj = p->x64[r * p->m + j];
            double more = on * ((xj - y) * (xj - y) - y * y);
            sum += more;
            sum_v += (double)p->v[j] * more;
            sum_x += (double)p->v[j] * xj;
            size += xj * xj + y * y;
            e1[j] += xj > 0 ? on * xj : 0;
            e2[j] += more;
            top[j] += xj * xj + y * y;
        }
        close_to(plain[r], sum, size + 1e-3);
        close_to(weighted[r], sum_v, size + 1e-3);
        close_to(sums[r], sum_x, sum_x + 1e-30);
    }
    for (size_t j = 0; j < p->m; j++) {
        close_to(d1[j], e1[j], e1[j] + 1e-30);
        close_to(d2[j], e2[j], top[j] + 1e-3);
    }
    free(plain);
    free(weighted);
    free(sums);
    free(d1);
    free(d2);
    free(e1);
    free(e2);
    free(top);
}

/* The first row is empty; others hold three columns of four or so. */
static void check_sparse(const um_kernels *kernels, um_dtype dtype, size_t rows, size_t m, size_t k,
                         uint64_t *counter)
{
    problem p = make(dtype, rows, m, k, counter);
    size_t stride = um_kernel_sparse_stride(k);
    uint32_t *start = calloc(rows + 1, sizeof *start);
    uint16_t *column = malloc(rows * m * sizeof *column);
    void *value = malloc(rows * m * um_dtype_size(dtype));
    float *ht = calloc(m * stride, sizeof *ht);
    float *bt = calloc(m * stride, sizeof *bt);
    double *a = malloc(rows * k * sizeof *a);
    uint32_t stored = 0;
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < m; j++) {
            if (r > 0 && random_value(counter) < 0.75) {
                column[stored] = (uint16_t)j;
                store(value, dtype, stored++, p.x64[r * m + j]);
            } else {
                p.x64[r * m + j] = 0;
            }
        }
        start[r + 1] = stored;
    }
    for (size_t j = 0; j < m; j++) {
        for (size_t c = 0; c < k; c++) {
            ht[j * stride + c] = p.h[c * p.ld + j];
        }
    }
    const um_sparse_rows x = {start, column, value, dtype};
    kernels->project_sparse(&x, rows, ht, stride, k, a);
    kernels->accumulate_sparse(&x, rows, p.w, k, bt, stride);
    check_residual_sparse(kernels, &p, &x, ht, stride);
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < k; c++) {
            double sum = 0;
            for (size_t j = 0; j < m; j++) {
                sum += p.x64[r * m + j] * (double)p.h[c * p.ld + j];
            }
            close_to(a[r * k + c], sum, sum + 1e-30);
        }
    }
    for (size_t j = 0; j < m; j++) {
        for (size_t c = 0; c < stride; c++) {
            double sum = 0;
            for (size_t r = 0; c < k && r < rows; r++) {
                sum += p.x64[r * m + j] * (double)p.w[r * k + c];
            }
            close_to((double)bt[j * stride + c], sum, sum);
        }
    }
    free(start);
    free(column);
    free(value);
    free(ht);
    free(bt);
    free(a);
    drop(&p);
}

static void check_all(um_isa isa)
{
    static const size_t sizes[][3] = {{1, 1, 1},    {3, 7, 2},      {4, 16, 5},
                                      {5, 31, 3},   {32, 33, 4},    {7, 100, 11},
                                      {2, 2049, 6}, {32, 4130, 13}, {6, 64, 21}};
    const um_kernels *kernels = um_kernels_get(isa);
    uint64_t counter = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int dtype = 0; dtype < UM_DTYPE_COUNT; dtype++) {
            problem p = make((um_dtype)dtype, sizes[i][0], sizes[i][1], sizes[i][2], &counter);
            check_project(kernels, &p);
            check_accumulate(kernels, &p);
            check_residual(kernels, &p);
            check_squares(kernels, &p);
            drop(&p);
        }
        check_sparse(kernels, UM_U8, sizes[i][0], sizes[i][1], sizes[i][2], &counter);
        check_sparse(kernels, UM_U16, sizes[i][0], sizes[i][1], 4 * sizes[i][2], &counter);
    }
}

static void scalar_variant(void **state)
{
    (void)state;
    check_all(UM_ISA_SCALAR);
}

static um_isa best(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_isa isa = um_context_isa(ctx);
    um_context_free(ctx);
    return isa;
}

static void avx2_variant(void **state)
{
    (void)state;
    if (best() >= UM_ISA_AVX2) {
        check_all(UM_ISA_AVX2);
    } else {
        print_message("# no AVX2 on this CPU: that variant was not tested\n");
    }
}

static void avx512_variant(void **state)
{
    (void)state;
    if (best() >= UM_ISA_AVX512) {
        check_all(UM_ISA_AVX512);
    } else {
        print_message("# no AVX-512 on this CPU: that variant was not tested\n");
    }
}

/* Descent reaches the solution of well-conditioned problems, is monotone in sweeps, respects strides. */
static void hals_reaches_the_minimum(void **state)
{
    (void)state;
    enum { K = 4, N = 70, STRIDE = 90 };
    uint64_t counter = 99;
    double g[K * K];
    double root[K * K];
    for (int i = 0; i < K * K; i++) {
        root[i] = random_value(&counter);
    }
    for (int i = 0; i < K; i++) {
        for (int j = 0; j < K; j++) {
            g[i * K + j] = i == j;
            for (int e = 0; e < K; e++) {
                g[i * K + j] += root[e * K + i] * root[e * K + j];
            }
        }
    }
    static double a[K * STRIDE];
    static double w[K * STRIDE];
    for (int i = 0; i < K * STRIDE; i++) {
        a[i] = 4 * random_value(&counter) - 1.5;
        w[i] = i % STRIDE < N ? 1 : 77;
    }
    um_kernels_get(best())->hals(K, N, STRIDE, g, a, w, 400, 0);
    for (int j = 0; j < STRIDE; j++) {
        for (int c = 0; c < K; c++) {
            double wc = w[c * STRIDE + j];
            if (j >= N) {
                assert_true(wc == 77);
                continue;
            }
            double gradient = -a[c * STRIDE + j];
            for (int d = 0; d < K; d++) {
                gradient += g[c * K + d] * w[d * STRIDE + j];
            }
            assert_true(wc >= 0);
            assert_true(wc > 0 ? fabs(gradient) < 1e-9 : gradient > -1e-9);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_variant),
        cmocka_unit_test(avx2_variant),
        cmocka_unit_test(avx512_variant),
        cmocka_unit_test(hals_reaches_the_minimum),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}
