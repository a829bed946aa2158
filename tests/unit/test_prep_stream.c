/* The stream itself: the same bits for any threads, budget and way to read; budgets kept and
 * refused; progress, cancel and failures of visitors. */
#include "prep_internal.h"
#include "prep_source.h"
#include "unmix/prep.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { NY = 13, NX = 22, KY = 24, KX = 19, COUNT = NY * NX * KY * KX };

static float values_f32[COUNT];
static uint16_t values_u16[COUNT];

static int fill(void **state)
{
    (void)state;
    uint32_t v = 7;
    for (int i = 0; i < COUNT; i++) {
        v = v * 1664525u + 1013904223u;
        int y = i / KX % KY;
        int x = i % KX;
        double r2 = pow(y - 11.2 + 0.1 * (i / (KY * KX) % 5), 2) + pow(x - 9.4, 2);
        double value = 400 * exp(-r2 / 6) + (v >> 20) * 1e-3;
        values_f32[i] = (float)value;
        values_u16[i] = (uint16_t)value;
    }
    return 0;
}

typedef struct result {
    double *all;
    um_sums *sums;
    char *report;
    size_t count, peak;
} result;

static void free_result(result *r)
{
    free(r->all);
    um_sums_free(r->sums);
    free(r->report);
}

static um_source *open_source(um_context *ctx, bool integer, int block)
{
    um_source *source =
        memory_source(ctx, integer ? UM_U16 : UM_F32, (um_shape){NY, NX, KY, KX},
                      integer ? (const void *)values_u16 : (const void *)values_f32);
    if (block > 0) {
        source->info.block_ny = block;
        source->info.block_nx = block + 1;
    }
    return source;
}

static um_status run(const char *const (*steps)[2], bool integer, int block, int threads,
                     size_t memory, result *r)
{
    um_context *ctx = NULL;
    um_recipe *recipe = NULL;
    um_matrix *matrix = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_context_set_threads(ctx, threads);
    um_context_set_memory(ctx, memory);
    um_source *source = open_source(ctx, integer, block);
    assert_int_equal(um_recipe_create(ctx, &recipe), UM_OK);
    for (size_t i = 0; steps != NULL && steps[i][0] != NULL; i++) {
        assert_int_equal(um_recipe_set(recipe, steps[i][0], steps[i][1]), UM_OK);
    }
    um_status status = um_matrix_open(ctx, source, recipe, &matrix);
    *r = (result){0};
    if (status == UM_OK) {
        status = um_matrix_sums(matrix, &r->sums);
    }
    if (status == UM_OK) {
        const um_shape s = um_matrix_get_info(matrix)->shape;
        r->count = (size_t)(s.ny * s.nx * s.ky * s.kx);
        r->all = gather(matrix);
        r->report = um_strdup(um_matrix_report(matrix));
        assert_non_null(r->all);
    }
    r->peak = um_context_memory_peak(ctx);
    if (status != UM_OK) {
        assert_int_equal(status, UM_ERROR_BUDGET);
        assert_non_null(strstr(um_context_message(ctx), "--memory"));
    }
    um_matrix_free(matrix);
    assert_int_equal(um_context_memory_in_use(ctx), 0);
    um_recipe_free(recipe);
    um_source_free(source);
    um_context_free(ctx);
    return status;
}

static void assert_same(const result *a, const result *b)
{
    size_t map = (size_t)a->sums->positions;
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->all, b->all, a->count * sizeof *a->all);
    assert_string_equal(a->report, b->report);
    assert_memory_equal(&a->sums->total, &b->sums->total, 4 * sizeof(double));
    assert_int_equal(b->sums->positions, map);
}

static const char *const nothing[][2] = {{NULL, NULL}};
static const char *const bins[][2] = {{"crop-scan", "1:,3:"},   {"bin-scan", "3"},
                                      {"bin-signal", "4"},      {"mask-beam", "3"},
                                      {"crop-signal", "2:,1:"}, {NULL, NULL}};
static const char *const heavy[][2] = {{"center", "com:6,plane,mask"},
                                       {"hot-pixels", "8"},
                                       {"background", "dog:1,3"},
                                       {"bin-scan", "2"},
                                       {"navigation-threshold", "total:>1.2"},
                                       {"mask-auto", "0.3"},
                                       {NULL, NULL}};

static void test_same_bits(void **state)
{
    (void)state;
    static const char *const(*const recipes[])[2] = {nothing, bins, heavy};
    for (int which = 0; which < 6; which++) {
        const char *const(*steps)[2] = recipes[which / 2];
        bool integer = which % 2 == 1;
        for (int block = 0; block <= 4; block += 4) {
            result first = {0};
            assert_int_equal(run(steps, integer, block, 1, 64 << 20, &first), UM_OK);
            for (int threads = 1; threads <= 3; threads++) {
                for (size_t memory = 200000; memory < (32 << 20); memory *= 5) {
                    result other = {0};
                    if (run(steps, integer, block, threads, memory, &other) == UM_OK) {
                        assert_same(&first, &other);
                        assert_true(other.peak <= memory);
                    } else {
                        assert_true(memory < 400000);
                    }
                    free_result(&other);
                }
            }
            free_result(&first);
        }
    }
}

/* From nothing on: refused until one worker fits, then it works, whatever was asked for. */
static void test_tiny_budgets(void **state)
{
    (void)state;
    size_t least[2] = {0, 0};
    for (int threads = 1; threads <= 8; threads += 7) {
        for (size_t memory = 2000; least[threads > 1] == 0; memory += memory / 8) {
            result r = {0};
            if (run(bins, true, 0, threads, memory, &r) == UM_OK) {
                least[threads > 1] = memory;
                assert_true(r.peak <= memory);
            }
            free_result(&r);
            assert_true(memory < (1 << 20));
        }
    }
    assert_int_equal(least[0], least[1]); /* eight threads need no more than one */
}

typedef struct tally {
    int calls, finished;
    int64_t last, total;
} tally;

static void count_progress(void *user, const um_progress *progress)
{
    tally *t = user;
    t->calls++;
    t->finished += progress->finished;
    t->last = progress->done;
    t->total = progress->total;
}

static void test_progress_counts_patterns(void **state)
{
    (void)state;
    um_context *ctx = NULL;
    um_matrix *matrix = NULL;
    tally t = {0};
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_context_set_progress(ctx, count_progress, &t);
    um_source *source = open_source(ctx, true, 0);
    assert_int_equal(um_matrix_open(ctx, source, NULL, &matrix), UM_OK);
    free(gather(matrix));
    assert_true(t.calls >= 2);
    assert_int_equal(t.finished, 1);
    assert_int_equal(t.last, NY * NX);
    assert_int_equal(t.total, NY * NX);
    um_matrix_free(matrix);
    um_source_free(source);
    um_context_free(ctx);
}

typedef struct trouble {
    um_context *ctx;
    int started, stopped, visits;
    bool cancel;
} trouble;

static um_status trouble_start(void *user, void **state)
{
    trouble *t = user;
    t->started++;
    *state = t;
    return UM_OK;
}

static um_status trouble_visit(void *user, void *state, const um_tile *tile)
{
    (void)state;
    trouble *t = user;
    assert_true(tile->rows >= 1 && tile->rows <= UM_GROUP_ROWS);
    if (++t->visits < 3) {
        return UM_OK;
    }
    if (t->cancel) {
        um_context_cancel(t->ctx);
        return UM_OK;
    }
    return um_fail(t->ctx, UM_ERROR_VALUE, "enough");
}

static void trouble_stop(void *user, void *state)
{
    (void)state;
    trouble *t = user;
    t->stopped++;
}

static void test_failures_stop_cleanly(void **state)
{
    (void)state;
    static const um_visitor visitor = {
        .start = trouble_start, .visit = trouble_visit, .stop = trouble_stop};
    for (int cancel = 0; cancel < 2; cancel++) {
        trouble t = {.cancel = cancel == 1};
        um_matrix *matrix = NULL;
        assert_int_equal(um_context_create(&t.ctx), UM_OK);
        um_context_set_threads(t.ctx, 1);
        um_source *source = open_source(t.ctx, true, 2);
        assert_int_equal(um_matrix_open(t.ctx, source, NULL, &matrix), UM_OK);
        um_status status = um_matrix_pass(matrix, "failing", &visitor, &t);
        assert_int_equal(status, cancel == 1 ? UM_CANCELLED : UM_ERROR_VALUE);
        assert_int_equal(t.started, t.stopped);
        assert_int_equal(um_matrix_passes(matrix), 0);
        assert_int_equal(um_context_memory_in_use(t.ctx), 0);
        um_matrix_free(matrix);
        um_source_free(source);
        um_context_free(t.ctx);
    }
}

/* A rectangle of positions holds what a pass shows of them. */
static void test_rectangles(void **state)
{
    (void)state;
    const char *steps[][2] = {{NULL, NULL}, {"crop-scan", "2:12,3:21"}, {"bin-scan", "2"}, {"bin-signal", "2"}};
    for (int i = 0; i < 4; i++) {
        um_context *ctx = NULL;
        um_recipe *recipe = NULL;
        um_matrix *matrix = NULL;
        assert_int_equal(um_context_create(&ctx), UM_OK);
        um_source *source = open_source(ctx, true, 0);
        assert_int_equal(um_recipe_create(ctx, &recipe), UM_OK);
        for (int j = 1; j <= i; j++) {
            assert_int_equal(um_recipe_set(recipe, steps[j][0], steps[j][1]), UM_OK);
        }
        assert_int_equal(um_matrix_open(ctx, source, recipe, &matrix), UM_OK);
        const um_matrix_info *info = um_matrix_get_info(matrix);
        size_t pixels = (size_t)(info->shape.ky * info->shape.kx);
        const um_rect rect = {1, 2, 3, 4};
        double *all = gather(matrix);
        double reads = um_matrix_reads(matrix);
        um_array array = {.dtype = info->dtype, .ndim = 1, .shape = {12 * (int64_t)pixels}};
        array.data = malloc(12 * pixels * um_dtype_size(info->dtype));
        assert_int_equal(um_matrix_read_rect(matrix, rect, array.data), UM_OK);
        for (size_t p = 0; p < 12; p++) {
            size_t at = (1 + p / 4) * (size_t)info->shape.nx + 2 + p % 4;
            for (size_t q = 0; q < pixels; q++) {
                double value = um_array_get(&array, (int64_t)(p * pixels + q));
                assert_memory_equal(&value, &all[at * pixels + q], sizeof value);
            }
        }
        double positions = (double)(info->shape.ny * info->shape.nx);
        assert_true(fabs(um_matrix_reads(matrix) - reads - 12 / positions) < 1e-12);
        free(array.data);
        free(all);
        um_matrix_free(matrix);
        um_recipe_free(recipe);
        um_source_free(source);
        assert_int_equal(um_context_memory_in_use(ctx), 0);
        um_context_free(ctx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_tiny_budgets),
        cmocka_unit_test(test_rectangles),
        cmocka_unit_test(test_progress_counts_patterns),
        cmocka_unit_test(test_failures_stop_cleanly),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
