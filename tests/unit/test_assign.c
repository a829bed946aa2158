#include "base_internal.h"
#include "unmix/verify.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static um_context *new_context(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    return ctx;
}

/* Best total over every way to match, by trying them all: each row takes a free column or none, and
 * exactly min(rows, columns) are matched. */
static double best_by_trial(int64_t rows, int64_t columns, const double *gain, int64_t row,
                            unsigned taken, int64_t may_skip)
{
    if (row == rows) {
        return 0.0;
    }
    double best = -INFINITY;
    for (int64_t c = 0; c < columns; c++) {
        if ((taken >> c & 1U) == 0) {
            double rest =
                best_by_trial(rows, columns, gain, row + 1, taken | 1U << c, may_skip);
            best = fmax(best, gain[row * columns + c] + rest);
        }
    }
    if (may_skip > 0) {
        best = fmax(best, best_by_trial(rows, columns, gain, row + 1, taken, may_skip - 1));
    }
    return best;
}

static double total_of(int64_t rows, int64_t columns, const double *gain, const int64_t *assigned)
{
    double total = 0.0;
    int64_t matched = 0;
    unsigned taken = 0;
    for (int64_t r = 0; r < rows; r++) {
        if (assigned[r] < 0) {
            assert_int_equal(assigned[r], -1);
            continue;
        }
        assert_true(assigned[r] < columns);
        assert_int_equal(taken >> assigned[r] & 1U, 0);
        taken |= 1U << assigned[r];
        matched++;
        total += gain[r * columns + assigned[r]];
    }
    assert_int_equal(matched, rows < columns ? rows : columns);
    return total;
}

static void equals_trial_of_everything(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_random random = {7, UM_STREAM_TEST};
    uint64_t counter = 0;
    for (int trial = 0; trial < 400; trial++) {
        int64_t rows = 1 + (int64_t)(um_random_uniform(random, counter++) * 6.0);
        int64_t columns = 1 + (int64_t)(um_random_uniform(random, counter++) * 6.0);
        double gain[36];
        for (int64_t i = 0; i < rows * columns; i++) {
            double u = um_random_uniform(random, counter++);
            /* Every third trial has whole numbers, so that ties are common; some are negative. */
            gain[i] = trial % 3 == 0 ? floor(u * 4.0) : 2.0 * u - 0.7;
        }
        int64_t assigned[6];
        assert_int_equal(um_assign(ctx, rows, columns, gain, assigned), UM_OK);
        double best = best_by_trial(rows, columns, gain, 0, 0, rows > columns ? rows - columns : 0);
        assert_true(fabs(total_of(rows, columns, gain, assigned) - best) < 1e-12);
    }
    um_context_free(ctx);
}

/* A known permutation hidden in a large matrix of smaller gains comes back. */
static void finds_a_hidden_permutation(void **state)
{
    (void)state;
    enum { SIZE = 200 };
    um_context *ctx = new_context();
    um_random random = {11, UM_STREAM_TEST};
    double *gain = calloc((size_t)SIZE * SIZE, sizeof *gain);
    int64_t assigned[SIZE];
    assert_non_null(gain);
    for (int64_t r = 0; r < SIZE; r++) {
        for (int64_t c = 0; c < SIZE; c++) {
            gain[r * SIZE + c] = um_random_uniform(random, (uint64_t)(r * SIZE + c));
        }
        gain[r * SIZE + (r * 77 + 5) % SIZE] = 1.5;
    }
    assert_int_equal(um_assign(ctx, SIZE, SIZE, gain, assigned), UM_OK);
    for (int64_t r = 0; r < SIZE; r++) {
        assert_int_equal(assigned[r], (r * 77 + 5) % SIZE);
    }
    free(gain);
    um_context_free(ctx);
}

static void takes_edges_and_refuses_nonsense(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    int64_t assigned[2] = {9, 9};
    double gain[2] = {1.0, NAN};
    assert_int_equal(um_assign(ctx, 2, 0, gain, assigned), UM_OK);
    assert_int_equal(assigned[0], -1);
    assert_int_equal(assigned[1], -1);
    assert_int_equal(um_assign(ctx, 0, 2, gain, assigned), UM_OK);
    assert_int_equal(um_assign(ctx, 1, 2, gain, assigned), UM_ERROR_VALUE);
    assert_non_null(strstr(um_context_message(ctx), "column 1"));
    assert_int_equal(um_assign(ctx, -1, 2, gain, assigned), UM_ERROR_ARGUMENT);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_trial_of_everything),
        cmocka_unit_test(finds_a_hidden_permutation),
        cmocka_unit_test(takes_edges_and_refuses_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
