#include "base_internal.h"

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

static void budget_counts_and_refuses(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_context_set_memory(ctx, 1000000);
    void *a = NULL;
    void *b = NULL;
    assert_int_equal(um_buffer_alloc(ctx, 600000, 1, "first", &a), UM_OK);
    assert_int_equal((uintptr_t)a % 64, 0);
    assert_int_equal(um_buffer_alloc(ctx, 600000, 1, "second", &b), UM_ERROR_BUDGET);
    assert_null(b);
    assert_non_null(strstr(um_context_message(ctx), "second"));
    assert_non_null(strstr(um_context_message(ctx), "--memory 2M"));
    um_buffer_free(ctx, a);
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    assert_int_equal(um_context_memory_peak(ctx), 600000);
    assert_int_equal(um_buffer_alloc(ctx, SIZE_MAX, 2, "huge", &b), UM_ERROR_BUDGET);
    um_buffer_free(ctx, NULL);
    um_context_free(ctx);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    size_t n = 0;
    assert_true(um_mul4(65535, 65535, 10, 2, &n));
    assert_int_equal(n, (size_t)65535 * 65535 * 20);
    assert_false(um_mul4(1 << 30, 1 << 30, 1 << 30, 1, &n));
    assert_false(um_mul4(-1, 1, 1, 1, &n));
    assert_false(um_add_size(SIZE_MAX, 1, &n));
}

typedef struct order {
    int64_t next;
    int64_t result[64];
    int64_t fail_at;
    um_context *ctx;
} order;

static um_status square(void *user, int64_t item, int worker)
{
    order *o = user;
    assert_true(worker >= 0 && worker < 4);
    if (item == o->fail_at) {
        return um_fail(o->ctx, UM_ERROR_VALUE, "item %d is bad", (int)item);
    }
    o->result[item] = item * item;
    return UM_OK;
}

static um_status in_order(void *user, int64_t item, int worker)
{
    (void)worker;
    order *o = user;
    assert_int_equal(item, o->next);
    o->next++;
    return UM_OK;
}

static void pipeline_finishes_in_order(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    for (int threads = 1; threads <= 4; threads++) {
        order o = {.fail_at = -1, .ctx = ctx};
        assert_int_equal(um_pipeline_run(ctx, 64, threads, square, in_order, &o), UM_OK);
        assert_int_equal(o.next, 64);
        assert_int_equal(o.result[63], 63 * 63);
    }
    um_context_free(ctx);
}

static void pipeline_stops_at_failure_and_cancel(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    order o = {.fail_at = 9, .ctx = ctx};
    assert_int_equal(um_pipeline_run(ctx, 64, 3, square, in_order, &o), UM_ERROR_VALUE);
    assert_string_equal(um_context_message(ctx), "item 9 is bad");
    assert_true(o.next <= 9);
    um_context_cancel(ctx);
    order c = {.fail_at = -1, .ctx = ctx};
    assert_int_equal(um_pipeline_run(ctx, 64, 2, square, in_order, &c), UM_CANCELLED);
    assert_int_equal(c.next, 0);
    um_context_free(ctx);
}

/* Known answer of the authors of Random123 for Philox-4x32-10 with counter and key all zero. */
static void philox_known_answer(void **state)
{
    (void)state;
    uint32_t w[4];
    um_random_words((um_random){0, 0}, 0, w);
    assert_int_equal(w[0], 0x6627e8d5);
    assert_int_equal(w[1], 0xe169c58d);
    assert_int_equal(w[2], 0xbc57ac4c);
    assert_int_equal(w[3], 0x9b00dbd8);
}

static void check_poisson(double mean)
{
    um_random random = {7, UM_STREAM_TEST};
    const int n = 200000;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < n; i++) {
        double v = (double)um_random_poisson(random, (uint64_t)i, mean);
        sum += v;
        squares += v * v;
    }
    double m = sum / n;
    double variance = squares / n - m * m;
    /* Five standard errors; var of the sample variance of Poisson is (mu + 2 mu^2) / n. */
    assert_true(fabs(m - mean) < 5 * sqrt(mean / n));
    assert_true(fabs(variance - mean) < 5 * sqrt((mean + 2 * mean * mean) / n));
}

static void poisson_moments(void **state)
{
    (void)state;
    const double means[] = {0.01, 0.7, 4.0, 9.99, 10.0, 35.0, 1234.5};
    for (size_t i = 0; i < sizeof means / sizeof means[0]; i++) {
        check_poisson(means[i]);
    }
    assert_int_equal(um_random_poisson((um_random){1, 1}, 0, 0.0), 0);
    assert_int_equal(um_random_poisson((um_random){1, 1}, 0, NAN), 0);
}

/* Chi-square of small counts against the exact probabilities at a mean on each side of the switch. */
static void poisson_distribution(void **state)
{
    (void)state;
    const double means[] = {3.0, 12.0};
    for (int c = 0; c < 2; c++) {
        const int n = 100000;
        int histogram[64] = {0};
        for (int i = 0; i < n; i++) {
            uint64_t v = um_random_poisson((um_random){3, UM_STREAM_TEST}, (uint64_t)i, means[c]);
            histogram[v < 63 ? v : 63]++;
        }
        double chi2 = 0;
        double p = exp(-means[c]);
        int bins = 0;
        for (int v = 0; v < 60; v++) {
            if (p * n > 10) {
                chi2 += (histogram[v] - p * n) * (histogram[v] - p * n) / (p * n);
                bins++;
            }
            p *= means[c] / (v + 1);
        }
        assert_true(chi2 < bins + 5 * sqrt(2.0 * bins));
    }
}

static int progress_calls, progress_finished;

static void count_progress(void *user, const um_progress *progress)
{
    (void)user;
    progress_calls++;
    progress_finished += progress->finished;
    assert_true(progress->done <= progress->total);
}

static void progress_begins_and_ends(void **state)
{
    (void)state;
    um_context *ctx = new_context();
    um_context_set_progress(ctx, count_progress, NULL);
    um_progress_begin(ctx, "stage", "patterns", 100);
    for (int i = 0; i < 100; i++) {
        um_progress_add(ctx, 1);
    }
    um_progress_end(ctx);
    assert_true(progress_calls >= 2 && progress_calls <= 20);
    assert_int_equal(progress_finished, 1);
    um_context_free(ctx);
}

static void statuses_have_names(void **state)
{
    (void)state;
    assert_string_equal(um_status_name(UM_ERROR_SHAPE), "UM_ERROR_SHAPE");
    assert_string_equal(um_status_sentence(UM_OK), "done");
    um_context *ctx = new_context();
    assert_non_null(strstr(um_build_description(ctx), um_version()));
    assert_int_equal(um_fail(ctx, UM_ERROR_IO, "two\nlines"), UM_ERROR_IO);
    assert_string_equal(um_context_message(ctx), "two lines");
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget_counts_and_refuses),
        cmocka_unit_test(sizes_are_checked),
        cmocka_unit_test(pipeline_finishes_in_order),
        cmocka_unit_test(pipeline_stops_at_failure_and_cancel),
        cmocka_unit_test(philox_known_answer),
        cmocka_unit_test(poisson_moments),
        cmocka_unit_test(poisson_distribution),
        cmocka_unit_test(progress_begins_and_ends),
        cmocka_unit_test(statuses_have_names),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
