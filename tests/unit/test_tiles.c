/* Products in tiles against plain loops in integers and f64; and that groups do not show in each other's sums. */
#include "kernels.h"
#include "tiles.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef enum kind { SMALL, FULL, LARGEST } kind; /* counts that fit a byte, that do not, and the most there can be */

typedef struct problem {
    um_dtype dtype;
    size_t m, k, ld;
    int planes;
    um_tile_batch batch;
    uint16_t *x16[UM_TILE_BATCH]; /* rows x m */
    int32_t *h;                   /* k x m */
    float *w[UM_TILE_BATCH];      /* rows x k */
    int8_t *tiles;
    uint16_t *parts;
    uint8_t *room; /* of groups that go alone */
} problem;

static uint64_t counter;

static double next(void)
{
    return um_random_uniform((um_random){17, UM_STREAM_TEST}, counter++);
}

static uint16_t value_of(um_dtype dtype, kind what)
{
    double most = dtype == UM_U8 ? 255 : what == SMALL ? 200 : 65535;
    return what == LARGEST ? (uint16_t)most : next() < 0.5 ? 0 : (uint16_t)(most * next() + 0.5);
}

/* The end of a group is the end of its allocation, so that a read beyond it is a finding of valgrind. */
static problem make(um_dtype dtype, kind what, const size_t *rows, size_t count, size_t m, size_t k, int planes)
{
    problem p = {.dtype = dtype, .m = m, .k = k, .ld = um_kernel_stride(m), .planes = planes,
                 .batch.count = count};
    for (size_t g = 0; g < count; g++) {
        void *x = malloc(rows[g] * m * um_dtype_size(dtype));
        p.x16[g] = malloc(rows[g] * m * sizeof *p.x16[g]);
        for (size_t i = 0; i < rows[g] * m; i++) {
            p.x16[g][i] = value_of(dtype, what);
            if (dtype == UM_U8) {
                ((uint8_t *)x)[i] = (uint8_t)p.x16[g][i];
            } else {
                ((uint16_t *)x)[i] = p.x16[g][i];
            }
        }
        p.batch.x[g] = x;
        p.batch.rows[g] = rows[g];
        p.w[g] = calloc(rows[g] * k, sizeof *p.w[g]);
        for (size_t i = 0; i < rows[g] * k; i++) {
            p.w[g][i] = (float)(next() < 0.3 ? 0 : what == LARGEST ? 1 : exp(8 * next() - 4));
        }
    }
    double most = planes == 2 ? 32639 : 2139062143;
    p.h = calloc(k * m, sizeof *p.h);
    p.tiles = aligned_alloc(64, um_tile_h_size(m, k, planes));
    memset(p.tiles, 0, um_tile_h_size(m, k, planes));
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < m; j++) {
            double h = what == LARGEST ? (c % 2 == 0 ? 1 : -1) : 2 * next() - 1;
            p.h[c * m + j] = (int32_t)(most * h);
            um_tile_put(p.tiles, k, planes, c, j, p.h[c * m + j]);
        }
    }
    size_t room = (count * um_tile_room(dtype, m) / 64 + 1) * 64;
    p.batch.room = aligned_alloc(64, room);
    p.room = aligned_alloc(64, room);
    p.parts = aligned_alloc(64, count * um_tile_w_size(k) * sizeof *p.parts);
    for (size_t g = 0; g < count; g++) {
        um_tile_split(p.w[g], rows[g], k, p.parts + g * um_tile_w_size(k));
    }
    return p;
}

static void drop(problem *p)
{
    for (size_t g = 0; g < p->batch.count; g++) {
        free((void *)p->batch.x[g]);
        free(p->x16[g]);
        free(p->w[g]);
    }
    free(p->h);
    free(p->tiles);
    free(p->parts);
    free(p->batch.room);
    free(p->room);
}

static void check_project(const um_tile_kernels *kernels, const problem *p)
{
    size_t group = UM_TILE_ROWS * p->k;
    double *a = malloc(p->batch.count * group * sizeof *a);
    double *alone = malloc(group * sizeof *alone);
    int32_t *sums = aligned_alloc(64, um_tile_sums(p->k, p->planes) * sizeof *sums);
    kernels->project[p->dtype](&p->batch, p->m, p->tiles, p->k, p->planes, sums, a);
    for (size_t g = 0; g < p->batch.count; g++) {
        const um_tile_batch one = {1, {p->batch.x[g]}, {p->batch.rows[g]}, p->room};
        kernels->project[p->dtype](&one, p->m, p->tiles, p->k, p->planes, sums, alone);
        assert_memory_equal(alone, a + g * group, p->batch.rows[g] * p->k * sizeof *a);
        for (size_t r = 0; r < p->batch.rows[g]; r++) {
            for (size_t c = 0; c < p->k; c++) {
                int64_t sum = 0;
                int64_t size = 0;
                for (size_t j = 0; j < p->m; j++) {
                    int64_t product = (int64_t)p->x16[g][r * p->m + j] * p->h[c * p->m + j];
                    sum += product;
                    size += product < 0 ? -product : product;
                }
                double got = a[g * group + r * p->k + c];
                /* Exact up to 2^53. */
                if (fabs(got - (double)sum) > (size < (int64_t)1 << 52 ? 0 : 0x1p-50 * (double)size)) {
                    fail_msg("m %zu k %zu planes %d: got %.17g, expected %.17g", p->m, p->k, p->planes, got,
                             (double)sum);
                }
            }
        }
    }
    free(a);
    free(alone);
    free(sums);
}

static float *ones(size_t count)
{
    float *b = aligned_alloc(64, (count + 15) / 16 * 64);
    for (size_t i = 0; i < count; i++) {
        b[i] = 1;
    }
    return b;
}

static void check_accumulate(const um_tile_kernels *kernels, const problem *p)
{
    size_t size = p->k * p->ld;
    float *b = ones(size);
    float *one_by_one = ones(size);
    double *a = malloc(p->batch.count * UM_TILE_ROWS * p->k * sizeof *a);
    int32_t *sums = aligned_alloc(64, um_tile_sums(p->k, p->planes) * sizeof *sums);
    kernels->project[p->dtype](&p->batch, p->m, p->tiles, p->k, p->planes, sums, a);
    kernels->accumulate[p->dtype](&p->batch, p->m, p->parts, p->k, UM_TILE_PARTS, b);
    for (size_t g = 0; g < p->batch.count; g++) {
        const um_tile_batch one = {1, {p->batch.x[g]}, {p->batch.rows[g]}, p->room};
        kernels->project[p->dtype](&one, p->m, p->tiles, p->k, p->planes, sums, a);
        kernels->accumulate[p->dtype](&one, p->m, p->parts + g * um_tile_w_size(p->k), p->k, UM_TILE_PARTS,
                                      one_by_one);
    }
    assert_memory_equal(b, one_by_one, size * sizeof *b);
    for (size_t c = 0; c < p->k; c++) {
        for (size_t j = 0; j < p->ld; j++) {
            double sum = 1;
            for (size_t g = 0; g < p->batch.count && j < p->m; g++) {
                for (size_t r = 0; r < p->batch.rows[g]; r++) {
                    sum += (double)p->x16[g][r * p->m + j] * (double)p->w[g][r * p->k + c];
                }
            }
            double got = (double)b[um_kernel_packed(p->k, c, j)];
            if (!(fabs(got - sum) <= 1e-5 * sum)) {
                fail_msg("m %zu k %zu: got %.9g, expected %.9g", p->m, p->k, got, sum);
            }
        }
    }
    free(b);
    free(one_by_one);
    free(a);
    free(sums);
}

static const um_tile_kernels *kernels_of_this_machine(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_isa isa = um_context_isa(ctx);
    um_context_free(ctx);
    return um_tile_kernels_get(isa);
}

static void check(const um_tile_kernels *kernels, kind what, const size_t *rows, size_t count, size_t m, size_t k)
{
    for (int wide = 0; wide < 2; wide++) {
        for (int planes = 2; planes <= 4; planes += 2) {
            problem p = make(wide ? UM_U16 : UM_U8, what, rows, count, m, k, planes);
            check_project(kernels, &p);
            check_accumulate(kernels, &p);
            drop(&p);
        }
    }
}

static void sums_are_right(void **state)
{
    (void)state;
    const um_tile_kernels *kernels = kernels_of_this_machine();
    static const size_t rows[][UM_TILE_BATCH] = {{32}, {32, 32}, {32, 7}, {1}, {31, 32}, {17, 5}};
    static const size_t count[] = {1, 2, 2, 1, 2, 2};
    static const size_t pixels[] = {1, 31, 64, 65, 97, 200, 1024, 1100};
    if (kernels == NULL) {
        print_message("# no tiles on this CPU: not tested\n");
        return;
    }
    for (size_t i = 0; i < sizeof pixels / sizeof pixels[0]; i++) {
        for (size_t n = 0; n < sizeof count / sizeof count[0]; n++) {
            check(kernels, (kind)(n % 2), rows[n], count[n], pixels[i], 1 + (i * 5 + n * 3) % 11);
        }
    }
    for (size_t k = 1; k <= 40; k++) {
        check(kernels, FULL, rows[2], 2, 130, k);
    }
}

static void largest_sums_do_not_overflow(void **state)
{
    (void)state;
    const um_tile_kernels *kernels = kernels_of_this_machine();
    static const size_t rows[][2] = {{32, 0}, {3, 2}};
    if (kernels == NULL) {
        print_message("# no tiles on this CPU: not tested\n");
        return;
    }
    for (size_t n = 0; n < 2; n++) {
        check(kernels, LARGEST, rows[n], n + 1, 65536 + 70, 2);
    }
}

static void steps_hold_what_they_must(void **state)
{
    (void)state;
    static const double largest[] = {1e-30, 0.3, 1, 2139062143.0, 2139062144.0, 1e20};
    for (size_t i = 0; i < sizeof largest / sizeof largest[0]; i++) {
        int exponent;
        double step = um_tile_step(largest[i]);
        assert_true(frexp(step, &exponent) == 0.5);
        assert_true(step * 2139062143.0 >= largest[i] && step / 2 * 2139062143.0 < largest[i]);
    }
    assert_true(um_tile_step(0) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_right),
        cmocka_unit_test(largest_sums_do_not_overflow),
        cmocka_unit_test(steps_hold_what_they_must),
    };
    return cmocka_run_group_tests_name("tiles", tests, NULL, NULL);
}
