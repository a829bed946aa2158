/* Every variant against sums of 64-bit integers, bit for bit. */
#include "grid.h"
#include "kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct problem {
    um_dtype dtype;
    size_t rows, m, k;
    void *x;
    int64_t *x64;  /* rows x m */
    int16_t *h;    /* packed */
    int16_t *w;    /* in pairs of rows */
    int64_t *h64;  /* k x m */
    int64_t *w64;  /* rows x k */
    float *step, *b;
} problem;

/* What values are like: of a byte, of two, of two here and there, and the largest that there are. */
typedef enum kind { BYTES, WORDS, SOME_WORDS, LARGEST, KINDS } kind;

static uint64_t next(uint64_t *counter)
{
    double share = um_random_uniform((um_random){12, UM_STREAM_TEST}, (*counter)++);
    return (uint64_t)(share * 4294967296.0);
}

static int64_t value_of(um_dtype dtype, kind what, uint64_t *counter)
{
    int64_t most = dtype == UM_U8 ? 255 : 65535;
    uint64_t random = next(counter);
    switch (what) {
    case BYTES:
        return (int64_t)(random % 256);
    case WORDS:
        return (int64_t)(random % ((uint64_t)most + 1));
    case SOME_WORDS:
        return random % 97 == 0 ? most : (int64_t)(random % 4);
    default:
        return most;
    }
}

static int16_t factor_of(kind what, uint64_t *counter)
{
    uint64_t random = next(counter);
    return what == LARGEST ? UM_GRID_MOST : (int16_t)((int64_t)(random % 65535) - UM_GRID_MOST);
}

static size_t packed_size(size_t m, size_t k)
{
    return k * um_kernel_stride(m);
}

/* The end of x is the end of the allocation, so that a read beyond it is a finding of valgrind. */
static problem make(um_dtype dtype, kind what, size_t rows, size_t m, size_t k, uint64_t *counter)
{
    problem p = {.dtype = dtype, .rows = rows, .m = m, .k = k};
    p.x = malloc(rows * m * um_dtype_size(dtype));
    p.x64 = malloc(rows * m * sizeof *p.x64);
    p.h = calloc(packed_size(m, k), sizeof *p.h);
    p.h64 = malloc(k * m * sizeof *p.h64);
    p.w = calloc((rows + 1) / 2 * 2 * k, sizeof *p.w);
    p.w64 = malloc(rows * k * sizeof *p.w64);
    p.step = malloc(k * sizeof *p.step);
    p.b = calloc(packed_size(m, k), sizeof *p.b);
    for (size_t i = 0; i < rows * m; i++) {
        p.x64[i] = value_of(dtype, what, counter);
        if (dtype == UM_U8) {
            ((uint8_t *)p.x)[i] = (uint8_t)p.x64[i];
        } else {
            ((uint16_t *)p.x)[i] = (uint16_t)p.x64[i];
        }
    }
    for (size_t c = 0; c < k; c++) {
        p.step[c] = ldexpf(1, (int)(next(counter) % 40) - 20);
        for (size_t j = 0; j < m; j++) {
            p.h64[c * m + j] = p.h[um_grid_packed(k, c, j)] = factor_of(what, counter);
            p.b[um_kernel_packed(k, c, j)] = (float)(next(counter) % 1000);
        }
        for (size_t r = 0; r < rows; r++) {
            p.w64[r * k + c] = p.w[um_grid_pair(k, c, r)] = factor_of(what, counter);
        }
    }
    return p;
}

static void drop(problem *p)
{
    free(p->x);
    free(p->x64);
    free(p->h);
    free(p->h64);
    free(p->w);
    free(p->w64);
    free(p->step);
    free(p->b);
}

static void check_project(const um_grid_kernels *kernels, const problem *p)
{
    double *a = malloc(p->rows * p->k * sizeof *a);
    kernels->project[p->dtype](p->x, p->rows, p->m, p->h, p->k, a);
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t c = 0; c < p->k; c++) {
            int64_t sum = 0;
            for (size_t j = 0; j < p->m; j++) {
                sum += p->x64[r * p->m + j] * p->h64[c * p->m + j];
            }
            if (a[r * p->k + c] != (double)sum) {
                fail_msg("%zu x %zu, k %zu: got %.17g, expected %lld", p->rows, p->m, p->k,
                         a[r * p->k + c], (long long)sum);
            }
        }
    }
    free(a);
}

static void check_accumulate(const um_grid_kernels *kernels, const problem *p)
{
    size_t size = packed_size(p->m, p->k);
    float *b = malloc(size * sizeof *b);
    memcpy(b, p->b, size * sizeof *b);
    kernels->accumulate[p->dtype](p->x, p->rows, p->m, p->w, p->k, p->step, b);
    for (size_t c = 0; c < p->k; c++) {
        for (size_t j = 0; j < p->m; j++) {
            int64_t low = 0;
            int64_t high = 0;
            for (size_t r = 0; r < p->rows; r++) {
                low += p->w64[r * p->k + c] * (p->x64[r * p->m + j] & 255);
                high += p->w64[r * p->k + c] * (p->x64[r * p->m + j] >> 8);
            }
            float expected = p->b[um_kernel_packed(p->k, c, j)] + p->step[c] * (float)low;
            expected += 256 * p->step[c] * (float)high;
            if (b[um_kernel_packed(p->k, c, j)] != expected) {
                fail_msg("%zu x %zu, k %zu: got %.9g, expected %.9g", p->rows, p->m, p->k,
                         (double)b[um_kernel_packed(p->k, c, j)], (double)expected);
            }
        }
    }
    free(b);
}

static void check(um_isa isa, size_t rows, size_t m, size_t k, uint64_t *counter)
{
    const um_grid_kernels *kernels = um_grid_kernels_get(isa);
    for (kind what = 0; what < KINDS; what++) {
        for (int wide = 0; wide < 2; wide++) {
            problem p = make(wide ? UM_U16 : UM_U8, what, rows, m, k, counter);
            check_project(kernels, &p);
            check_accumulate(kernels, &p);
            drop(&p);
        }
    }
}

static um_isa best_isa(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_isa isa = um_context_isa(ctx);
    um_context_free(ctx);
    return isa;
}

static void sums_are_exact_in_every_variant(void **state)
{
    (void)state;
    static const size_t sizes[][3] = {{1, 1, 1},   {2, 31, 2},  {3, 32, 3},  {5, 33, 5},
                                      {32, 64, 7}, {31, 95, 6}, {4, 100, 12}, {7, 257, 23}};
    uint64_t counter = 0;
    for (int isa = UM_ISA_SCALAR; isa <= (int)best_isa(); isa++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            check((um_isa)isa, sizes[i][0], sizes[i][1], sizes[i][2], &counter);
        }
        for (size_t rows = 1; rows <= 32; rows++) {
            check((um_isa)isa, rows, 40, 1 + rows % 3, &counter);
        }
        for (size_t k = 1; k <= 40; k++) {
            check((um_isa)isa, 5, 35, k, &counter);
        }
    }
}

/* As many of the largest products as are summed in 32 bits, and more. */
static void largest_sums_do_not_overflow(void **state)
{
    (void)state;
    uint64_t counter = 0;
    for (int isa = UM_ISA_SCALAR; isa <= (int)best_isa(); isa++) {
        for (int wide = 0; wide < 2; wide++) {
            problem p = make(wide ? UM_U16 : UM_U8, LARGEST, 32, 8192 + 17, 2, &counter);
            check_project(um_grid_kernels_get((um_isa)isa), &p);
            check_accumulate(um_grid_kernels_get((um_isa)isa), &p);
            drop(&p);
        }
    }
}

static void steps_are_the_least_powers_of_two(void **state)
{
    (void)state;
    static const double largest[] = {1e-30, 0.3, 1, 32639, 32639.5, 32640, 65278, 1e20};
    for (size_t i = 0; i < sizeof largest / sizeof largest[0]; i++) {
        int exponent;
        double step = um_grid_step(largest[i]);
        assert_true(frexp(step, &exponent) == 0.5);
        assert_true(step * UM_GRID_MOST >= largest[i]);
        assert_true(step / 2 * UM_GRID_MOST < largest[i]);
        assert_true(fabs(um_grid_round(-largest[i], step) * step + largest[i]) <= step / 2);
    }
    assert_true(um_grid_step(32639) == 1);
    assert_true(um_grid_step(0) == 1);
    assert_int_equal(um_grid_round(40000, 1), UM_GRID_MOST);
    assert_int_equal(um_grid_round(-40000, 1), -UM_GRID_MOST);
    assert_int_equal(um_grid_round(-2.6, 1), -3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_exact_in_every_variant),
        cmocka_unit_test(largest_sums_do_not_overflow),
        cmocka_unit_test(steps_are_the_least_powers_of_two),
    };
    return cmocka_run_group_tests_name("grid", tests, NULL, NULL);
}
