/* Sums of counts in every variant against plain loops in 64-bit integers, and the sums of a scan that
 * passes 32 bits. */
#include "pixels.h"
#include "prep_internal.h"
#include "prep_source.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static um_isa best_isa(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_isa isa = um_context_isa(ctx);
    um_context_free(ctx);
    return isa;
}

static uint64_t value_at(um_dtype dtype, const void *x, size_t i)
{
    return dtype == UM_U8 ? ((const uint8_t *)x)[i] : ((const uint16_t *)x)[i];
}

static void fill_counts(um_dtype dtype, void *x, size_t count, uint64_t counter)
{
    uint64_t span = dtype == UM_U8 ? 256 : 65536;
    for (size_t i = 0; i < count; i++) {
        double u = um_random_uniform((um_random){5, UM_STREAM_TEST}, counter + i);
        uint64_t v = i % 7 == 0 ? span - 1 : (uint64_t)(u * (double)span);
        if (dtype == UM_U8) {
            ((uint8_t *)x)[i] = (uint8_t)v;
        } else {
            ((uint16_t *)x)[i] = (uint16_t)v;
        }
    }
}

/* The ends of x and keep are the ends of their allocations. */
static void compare_counts(um_isa isa, um_dtype dtype, size_t rows, size_t m)
{
    size_t size = um_dtype_size(dtype);
    void *x = malloc(rows * m * size);
    uint8_t *keep = malloc(m * size);
    fill_counts(dtype, x, rows * m, rows * 1000 + m);
    for (size_t i = 0; i < m; i++) {
        memset(keep + i * size, i % 5 == 3 ? 0 : 0xff, size);
    }
    um_count_sums s = {.sum = calloc(m, 4), .low = calloc(m, 4), .high = calloc(m, 4),
                       .max = calloc(m, size), .least = UINT32_MAX};
    uint64_t total[32] = {0};
    uint64_t squares[32] = {0};
    um_pixel_kernels_get(isa)->count[dtype](x, rows, m, keep, &s, total, squares);
    uint64_t least = UINT32_MAX;
    for (size_t r = 0; r < rows; r++) {
        uint64_t want = 0;
        uint64_t want_squares = 0;
        for (size_t i = 0; i < m; i++) {
            uint64_t v = value_at(dtype, x, r * m + i);
            if (i % 5 != 3) {
                want += v;
                want_squares += v * v;
                least = v < least ? v : least;
            }
        }
        assert_int_equal(total[r], want);
        assert_int_equal(squares[r], want_squares);
    }
    assert_int_equal(s.least, least);
    for (size_t i = 0; i < m; i++) {
        uint64_t sum = 0;
        uint64_t square = 0;
        uint64_t most = 0;
        for (size_t r = 0; r < rows; r++) {
            uint64_t v = value_at(dtype, x, r * m + i);
            sum += v;
            square += v * v;
            most = v > most ? v : most;
        }
        assert_int_equal(s.sum[i], sum);
        assert_int_equal(s.low[i] + ((uint64_t)s.high[i] << 16), square);
        assert_int_equal(value_at(dtype, s.max, i), most);
    }
    free(s.sum);
    free(s.low);
    free(s.high);
    free(s.max);
    free(keep);
    free(x);
}

static void test_counts(void **state)
{
    (void)state;
    const size_t rows[] = {1, 3, 6, 32};
    const size_t pixels[] = {1, 63, 1024, 2085};
    for (um_isa isa = UM_ISA_SCALAR; isa <= best_isa(); isa++) {
        for (size_t i = 0; i < 16; i++) {
            compare_counts(isa, UM_U8, rows[i / 4], pixels[i % 4]);
            compare_counts(isa, UM_U16, rows[i / 4], pixels[i % 4]);
        }
    }
}

static void compare_sums(um_isa isa, um_dtype dtype, size_t ky, size_t kx)
{
    const um_pixel_kernels *kernels = um_pixel_kernels_get(isa);
    size_t size = um_dtype_size(dtype);
    size_t m = ky * kx;
    void *x = malloc(m * size);
    uint8_t *keep = malloc(m * size);
    fill_counts(dtype, x, m, m);
    uint64_t want[3] = {0};
    for (size_t i = 0; i < m; i++) {
        bool kept = i % 11 != 2;
        uint64_t v = kept ? value_at(dtype, x, i) : 0;
        memset(keep + i * size, kept ? 0xff : 0, size);
        want[0] += v;
        want[1] += v * (i / kx);
        want[2] += v * (i % kx);
    }
    uint64_t got[3];
    kernels->moments[dtype](x, keep, ky, kx, got);
    assert_memory_equal(got, want, sizeof got);
    assert_int_equal(kernels->masked_sum[dtype](x, keep, m), want[0]);
    free(x);
    free(keep);
}

static void test_sums_of_a_pattern(void **state)
{
    (void)state;
    const size_t shapes[][2] = {{1, 1}, {3, 64}, {300, 65}, {520, 130}, {2, 9000}};
    for (um_isa isa = UM_ISA_SCALAR; isa <= best_isa(); isa++) {
        for (size_t i = 0; i < 5; i++) {
            compare_sums(isa, UM_U8, shapes[i][0], shapes[i][1]);
            compare_sums(isa, UM_U16, shapes[i][0], shapes[i][1]);
        }
    }
}

/* Taps, ranks and dilation of every variant against their definitions. */
static void compare_filters(um_isa isa)
{
    enum { LINES = 5, STRIDE = 40, RADIUS = 6, N = 64 };
    const um_pixel_kernels *kernels = um_pixel_kernels_get(isa);
    const um_random random = {9, UM_STREAM_TEST};
    float src[(LINES + 2 * RADIUS) * STRIDE];
    float got[LINES * UM_TAP_WIDTH];
    float weights[RADIUS + 1];
    for (size_t i = 0; i < sizeof src / sizeof *src; i++) {
        src[i] = (float)um_random_uniform(random, i);
    }
    for (size_t i = 0; i <= RADIUS; i++) {
        weights[i] = 1 / (float)(2 + i);
    }
    const float *middle = src + RADIUS * STRIDE;
    kernels->symmetric_taps(weights, RADIUS, middle, STRIDE, STRIDE, LINES, got);
    for (size_t i = 0; i < LINES * UM_TAP_WIDTH; i++) {
        const float *p = middle + i / UM_TAP_WIDTH * STRIDE + i % UM_TAP_WIDTH;
        double want = (double)(weights[0] * p[0]);
        for (int j = 1; j <= RADIUS; j++) {
            want += (double)weights[j] * ((double)p[-j * STRIDE] + (double)p[j * STRIDE]);
        }
        assert_float_equal(got[i], want, 1e-5);
    }
    float below = 0;
    float above = 0;
    size_t count = kernels->split(src, N, 0.4F, &below, &above);
    size_t want_count = 0;
    float want_below = -1;
    float want_above = 2;
    for (size_t i = 0; i < N; i++) {
        want_count += src[i] <= 0.4F;
        want_below = src[i] <= 0.4F && src[i] > want_below ? src[i] : want_below;
        want_above = src[i] > 0.4F && src[i] < want_above ? src[i] : want_above;
    }
    assert_int_equal(count, want_count);
    assert_true(below == want_below && above == want_above);
}

static int32_t at_or_least(const int32_t *row, int64_t i, int64_t n)
{
    return row == NULL || i < 0 || i >= n ? INT32_MIN : row[i];
}

static void compare_spreading(um_isa isa, int64_t n, bool back, bool alone)
{
    const um_pixel_kernels *kernels = um_pixel_kernels_get(isa);
    const um_random random = {10, UM_STREAM_TEST};
    int32_t *row[4]; /* limit, value, limit and value of the row before */
    for (int r = 0; r < 4; r++) {
        row[r] = malloc((size_t)n * sizeof *row[r]);
        for (int64_t i = 0; i < n; i++) {
            row[r][i] = (int32_t)(um_random_uniform(random, (uint64_t)(r * n + i)) * 200) - 100;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        row[1][i] = row[1][i] < row[0][i] ? row[1][i] : row[0][i];
        row[3][i] = row[3][i] < row[2][i] ? row[3][i] : row[2][i];
    }
    const int32_t *before = alone ? NULL : row[3];
    int32_t *want = malloc((size_t)n * sizeof *want);
    for (int64_t k = 0; k < n; k++) {
        int64_t i = back ? n - 1 - k : k;
        int32_t v = k > 0 ? want[back ? i + 1 : i - 1] : INT32_MIN;
        for (int64_t j = i - 1; j <= i + 1; j++) {
            v = at_or_least(before, j, n) > v ? at_or_least(before, j, n) : v;
        }
        v = row[1][i] > v ? row[1][i] : v;
        want[i] = v < row[0][i] ? v : row[0][i];
    }
    kernels->spread_row(row[0], row[1], before, (size_t)n, back);
    assert_memory_equal(row[1], want, (size_t)n * sizeof *want);
    uint8_t *marks = malloc((size_t)n);
    kernels->mark_spreading(row[0], row[1], alone ? NULL : row[2], before, (size_t)n, marks);
    for (int64_t i = 0; i < n; i++) {
        bool mark = i + 1 < n && row[1][i + 1] < row[1][i] && row[1][i + 1] < row[0][i + 1];
        for (int64_t j = i - 1; !alone && j <= i + 1; j++) {
            mark = mark || (j >= 0 && j < n && row[3][j] < row[1][i] && row[3][j] < row[2][j]);
        }
        assert_int_equal(marks[i], mark);
    }
    for (int r = 0; r < 4; r++) {
        free(row[r]);
    }
    free(want);
    free(marks);
}

static void test_filters(void **state)
{
    (void)state;
    for (um_isa isa = UM_ISA_SCALAR; isa <= best_isa(); isa++) {
        compare_filters(isa);
        for (int i = 0; i < 4; i++) {
            compare_spreading(isa, 1, i % 2 == 1, i / 2 == 1);
            compare_spreading(isa, 2, i % 2 == 1, i / 2 == 1);
            compare_spreading(isa, 77, i % 2 == 1, i / 2 == 1);
        }
    }
}

/* The greatest values as often as a kernel promises to hold, and a scan of more positions than that. */
static void test_no_overflow(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    um_matrix *matrix = NULL;
    um_sums *sums = NULL;
    const um_shape shape = {300, 300, 1, 2};
    size_t count = 2 * 300 * 300;
    uint16_t *data = malloc(count * sizeof *data);
    memset(data, 0xff, count * sizeof *data);
    data[17] = 3;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_source *source = memory_source(ctx, UM_U16, shape, data);
    assert_int_equal(um_matrix_open(ctx, source, NULL, &matrix), UM_OK);
    assert_int_equal(um_matrix_sums(matrix, &sums), UM_OK);
    double all = 65535.0 * 90000.0;
    assert_true(sums->sum_pattern[0] == all);
    assert_true(sums->sum_pattern[1] == all - 65532.0);
    assert_true(sums->square_pattern[0] == 65535.0 * all);
    assert_true(sums->square_pattern[1] == 65535.0 * all - 65535.0 * 65535.0 + 9.0);
    assert_true(sums->minimum == 3 && sums->maximum == 65535);
    assert_true(sums->square_map[1] == 2 * 65535.0 * 65535.0);
    um_sums_free(sums);
    um_matrix_free(matrix);
    um_source_free(source);
    um_context_free(ctx);
    free(data);
}

static void many_random_words_are_the_single_ones(void **state)
{
    (void)state;
    enum { BATCHES = 3, LANES = UM_RANDOM_LANES };
    const um_random random = {0x123456789abcdefULL, 7};
    const uint64_t first = 0xfffffff5ULL; /* counters pass 32 bits */
    for (int isa = UM_ISA_SCALAR; isa <= (int)best_isa(); isa++) {
        uint32_t words[BATCHES * 4 * LANES];
        um_pixel_kernels_get((um_isa)isa)->random_words(random.seed, random.stream, first, BATCHES, words);
        for (uint64_t i = 0; i < BATCHES * LANES; i++) {
            uint32_t single[4];
            um_random_words(random, first + i, single);
            for (uint64_t j = 0; j < 4; j++) {
                assert_int_equal(words[(i / LANES * 4 + j) * LANES + i % LANES], single[j]);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_random_words_are_the_single_ones),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_sums_of_a_pattern),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_no_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
