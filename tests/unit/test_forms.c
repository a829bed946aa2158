/* Forms of patterns in memory: each gives back every bit, and a matrix hands out the same whichever is used. */
#include "matrix_internal.h"
#include "prep_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return *state >> 8;
}

static void set_value(um_dtype dtype, void *data, size_t i, double value)
{
    switch (dtype) {
    case UM_U8: ((uint8_t *)data)[i] = (uint8_t)value; break;
    case UM_U16: ((uint16_t *)data)[i] = (uint16_t)value; break;
    case UM_U32: ((uint32_t *)data)[i] = (uint32_t)value; break;
    case UM_I8: ((int8_t *)data)[i] = (int8_t)value; break;
    case UM_I16: ((int16_t *)data)[i] = (int16_t)value; break;
    case UM_I32: ((int32_t *)data)[i] = (int32_t)value; break;
    case UM_F32: ((float *)data)[i] = (float)value; break;
    default: ((double *)data)[i] = value; break;
    }
}

static um_isa best_isa(void)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_isa best = um_context_isa(ctx);
    um_context_free(ctx);
    return best;
}

/* Encodes and decodes in every form that can hold the values, into a buffer of the size told, with
 * guard bytes after it. */
static int round_trip_with(um_isa isa, um_dtype dtype, const void *data, size_t rows, size_t values)
{
    um_form_facts facts;
    um_form_measure(um_pixel_kernels_get(isa), dtype, data, values, &facts);
    int forms = 0;
    for (um_form form = UM_FORM_RAW; form < UM_FORM_COUNT; form++) {
        size_t bytes = um_form_size(form, dtype, rows, &facts);
        if (bytes == SIZE_MAX) {
            continue;
        }
        size_t size = um_dtype_size(dtype);
        uint8_t *to = malloc(bytes + 64);
        uint8_t *back = malloc(values * size + 64);
        memset(to + bytes, 0xa5, 64);
        memset(back, 0x5a, values * size + 64);
        um_form_encode(um_pixel_kernels_get(isa), form, dtype, data, rows, &facts, to);
        if (form == UM_FORM_RAW) {
            memcpy(back, to, values * size);
        } else {
            um_form_decode(form, dtype, to, rows, values, back);
        }
        assert_memory_equal(back, data, values * size);
        for (size_t i = 0; i < 64; i++) {
            assert_int_equal(to[bytes + i], 0xa5);
            assert_int_equal(back[values * size + i], 0x5a);
        }
        free(to);
        free(back);
        forms++;
    }
    return forms;
}

/* With every set of instructions that is there. */
static int round_trip(um_dtype dtype, const void *data, size_t rows, size_t values)
{
    int forms = round_trip_with(UM_ISA_SCALAR, dtype, data, rows, values);
    for (int isa = UM_ISA_SCALAR + 1; isa <= (int)best_isa(); isa++) {
        assert_int_equal(round_trip_with((um_isa)isa, dtype, data, rows, values), forms);
    }
    return forms;
}

/* Every value that a form can meet, at every place of a vector, and lengths that leave all remainders. */
static void test_every_value_comes_back(void **state)
{
    (void)state;
    uint32_t random = 1;
    void *data = malloc(70000 * sizeof(double));
    for (um_dtype dtype = 0; dtype < UM_DTYPE_COUNT; dtype++) {
        uint32_t most = dtype == UM_I8 ? 127 : dtype == UM_U8 ? 255 : dtype == UM_I16 ? 32767 : 65535;
        for (size_t i = 0; i <= most; i++) {
            set_value(dtype, data, i, (double)i);
        }
        assert_true(round_trip(dtype, data, 1, most + 1) >= 3);
        for (size_t count = 1; count < 700; count += 1 + count / 40) {
            for (int kind = 0; kind < 5; kind++) {
                /* zeros; few ones; up to 14; a few larger; everything */
                static const uint32_t tops[] = {1, 2, 15, 17, 70000};
                for (size_t i = 0; i < count; i++) {
                    uint32_t top = tops[kind] < most + 1 ? tops[kind] : most + 1;
                    uint32_t v = next_random(&random) % top;
                    v = kind == 1 && next_random(&random) % 9 != 0 ? 0 : v;
                    set_value(dtype, data, i, v);
                }
                assert_true(round_trip(dtype, data, 1, count) >= 3);
                assert_true(count % 7 != 0 || round_trip(dtype, data, 7, count) >= 3);
            }
        }
    }
    free(data);
}

/* Lists are cut at 65,536 values: large values on both sides of each cut. */
static void test_long_groups(void **state)
{
    (void)state;
    const size_t count = 3 * 65536 + 77;
    uint16_t *data = calloc(count, sizeof *data);
    for (size_t i = 65536 - 3; i < count; i += i % 65536 == 2 ? 65536 - 5 : 1) {
        data[i] = (uint16_t)(15 + i % 60000);
    }
    assert_int_equal(round_trip(UM_U16, data, 1, count), 2); /* raw, packed: too wide for sparse rows */
    data[0] = 14;
    assert_int_equal(round_trip(UM_U16, data, 7, count), 3); /* and sparse rows of 28 k columns */
    free(data);
}

/* What is no count from 0 to 65535 is held as it is. */
static void test_what_cannot_be_smaller(void **state)
{
    (void)state;
    static const double odd[] = {-1, 65536, 0.5, -0.0, NAN, INFINITY};
    for (um_dtype dtype = 0; dtype < UM_DTYPE_COUNT; dtype++) {
        for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
            bool whole = i < 2;
            bool fits = dtype == UM_F32 || dtype == UM_F64 || dtype == UM_I32 ||
                        (i == 0 && (dtype == UM_I8 || dtype == UM_I16)) || (i == 1 && dtype == UM_U32);
            if ((!whole && um_dtype_is_integer(dtype)) || !fits) {
                continue;
            }
            double data[300] = {0};
            set_value(dtype, data, 177, odd[i]);
            assert_int_equal(round_trip(dtype, data, 1, 300), 1);
        }
    }
}

static void test_sparse_rows(void **state)
{
    (void)state;
    const uint16_t data[3][5] = {{0, 7, 0, 0, 300}, {0}, {1, 0, 0, 0, 0}};
    um_form_facts facts;
    um_form_measure(um_pixel_kernels_get(best_isa()), UM_U16, data, 15, &facts);
    assert_int_equal(facts.nonzero, 3);
    assert_int_equal(facts.large, 1);
    assert_int_equal(facts.most, 300);
    uint64_t room[32];
    assert_true(um_form_size(UM_FORM_SPARSE, UM_U16, 3, &facts) <= sizeof room);
    um_form_encode(um_pixel_kernels_get(best_isa()), UM_FORM_SPARSE, UM_U16, data, 3, &facts, room);
    um_sparse_rows x = um_form_rows(room, 3);
    const uint32_t start[] = {0, 2, 2, 3};
    const uint16_t column[] = {1, 4, 0};
    const uint16_t value[] = {7, 300, 1};
    assert_memory_equal(x.start, start, sizeof start);
    assert_memory_equal(x.column, column, sizeof column);
    assert_int_equal(x.value_dtype, UM_U16);
    assert_memory_equal(x.value, value, sizeof value);
}

/* ---- through a matrix ----------------------------------------------------------------------- */

enum { NY = 41, NX = 50, KY = 30, KX = 31, PIXELS = KY * KX };
enum { COUNT = NY * NX * PIXELS };
static uint16_t counts16[COUNT];
static uint8_t counts8[COUNT];

/* A checksum per position of what is handed out, dense or sparse, and how it came. */
typedef struct seen {
    uint64_t *sums; /* by position */
    int64_t dense, sparse;
    size_t pixels;
    bool cancel;
    um_context *ctx;
} seen;

static double value_at(um_dtype dtype, const void *data, size_t i)
{
    um_array array = {.dtype = dtype, .ndim = 1, .shape = {(int64_t)i + 1},
                      .data = (void *)(uintptr_t)data};
    return um_array_get(&array, (int64_t)i);
}

static um_status see(void *user, void *state, const um_tile *tile)
{
    (void)state;
    seen *s = user;
    for (size_t r = 0; r < tile->rows; r++) {
        uint64_t sum = 1;
        if (tile->sparse != NULL) {
            const um_sparse_rows *x = tile->sparse;
            for (uint32_t i = x->start[r]; i < x->start[r + 1]; i++) {
                sum += (uint64_t)(value_at(x->value_dtype, x->value, i) * 8) * (x->column[i] + 1000003U);
            }
        }
        for (size_t i = 0; tile->sparse == NULL && i < s->pixels; i++) {
            sum += (uint64_t)(value_at(tile->dtype, tile->data, r * s->pixels + i) * 8) * (i + 1000003U);
        }
        s->sums[tile->position[r]] = sum;
    }
    __atomic_add_fetch(tile->sparse != NULL ? &s->sparse : &s->dense, 1, __ATOMIC_RELAXED);
    if (s->cancel) {
        um_context_cancel(s->ctx);
    }
    return UM_OK;
}

typedef struct scene {
    um_context *ctx;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix;
    uint64_t sums[NY * NX];
    seen seen;
} scene;

static int64_t reads; /* patterns read from the source */
static um_status counting_read(um_source *source, um_rect rect, void *dst)
{
    __atomic_add_fetch(&reads, rect.ny * rect.nx, __ATOMIC_RELAXED);
    return memory_read(source, rect, dst);
}

static void open_scene(scene *s, um_dtype dtype, size_t memory, int threads,
                       const char *const (*steps)[2])
{
    static um_source_ops ops;
    memset(s, 0, sizeof *s);
    assert_int_equal(um_context_create(&s->ctx), UM_OK);
    um_context_set_threads(s->ctx, threads);
    um_context_set_memory(s->ctx, memory);
    s->source = memory_source(s->ctx, dtype, (um_shape){NY, NX, KY, KX},
                              dtype == UM_U8 ? (const void *)counts8 : (const void *)counts16);
    ops = *s->source->ops;
    ops.read = counting_read;
    s->source->ops = &ops;
    assert_int_equal(um_recipe_create(s->ctx, &s->recipe), UM_OK);
    for (size_t i = 0; steps != NULL && steps[i][0] != NULL; i++) {
        assert_int_equal(um_recipe_set(s->recipe, steps[i][0], steps[i][1]), UM_OK);
    }
    assert_int_equal(um_matrix_open(s->ctx, s->source, s->recipe, &s->matrix), UM_OK);
    const um_shape shape = um_matrix_get_info(s->matrix)->shape;
    s->seen = (seen){.sums = s->sums, .pixels = (size_t)(shape.ky * shape.kx), .ctx = s->ctx};
}

static void close_scene(scene *s)
{
    um_matrix_free(s->matrix);
    assert_int_equal(um_context_memory_in_use(s->ctx), 0);
    assert_true(um_context_memory_peak(s->ctx) <= um_context_memory(s->ctx));
    um_recipe_free(s->recipe);
    um_source_free(s->source);
    um_context_free(s->ctx);
}

static um_status pass_over(scene *s, bool sparse)
{
    const um_visitor visitor = {.visit = see, .sparse = sparse};
    memset(s->sums, 0, sizeof s->sums);
    s->seen.dense = s->seen.sparse = 0;
    reads = 0;
    return um_matrix_pass(s->matrix, "looking", &visitor, &s->seen);
}

/* Share of entries that are not zero, share of the rest that is large. */
static void fill_counts(double density, double large)
{
    uint32_t random = 5;
    for (int i = 0; i < COUNT; i++) {
        bool on = next_random(&random) < density * (1 << 24);
        bool high = next_random(&random) < large * (1 << 24);
        uint32_t v = on ? 1 + next_random(&random) % (high ? 200 : 14) : 0;
        counts8[i] = (uint8_t)v;
        counts16[i] = (uint16_t)(high && v > 14 ? v * 300 : v);
    }
}

static const char *const masked[][2] = {{"crop-scan", "1:,2:49"}, {"crop-signal", "1:,:30"},
                                        {"navigation-threshold", "total:>0.995"}, {NULL, NULL}};
static const char *const binned[][2] = {{"bin-scan", "2"}, {"bin-signal", "2"}, {NULL, NULL}};

/* Whatever stays in memory, and in whatever form, visitors see the same; what is held is not read. */
static void test_same_for_any_budget(void **state)
{
    (void)state;
    static const char *const(*const recipes[])[2] = {NULL, masked, binned};
    static const double densities[][2] = {{0.03, 0.1}, {0.5, 0.02}, {0.9, 0.9}};
    for (int which = 0; which < 3 * 3 * 2; which++) {
        const double *density = densities[which % 3];
        um_dtype dtype = which / 3 % 2 == 0 ? UM_U8 : UM_U16;
        fill_counts(density[0], density[1]);
        static uint64_t expected[NY * NX];
        bool decided = false;
        bool wholly = false;
        bool partly = false;
        for (size_t memory = 400000; memory < (24U << 20); memory += memory / 2) {
            scene s;
            open_scene(&s, dtype, memory, 1 + which % 2, recipes[which / 6]);
            bool small = density[0] < 0.08 && um_matrix_get_info(s.matrix)->dtype == dtype;
            int64_t all = s.source->info.shape.ny * s.source->info.shape.nx;
            um_status kept = um_matrix_keep(s.matrix, 100000);
            for (int i = 0; kept == UM_OK && i < 5; i++) {
                bool sparse = i == 1 || i == 3;
                kept = pass_over(&s, sparse);
                if (kept != UM_OK) {
                    break;
                }
                assert_true(i == 0 || !wholly || reads == 0);
                wholly = i > 0 && reads == 0;
                partly |= i > 0 && reads > 0 && reads < all * 9 / 10;
                assert_true(small && sparse ? s.seen.dense == 0 : s.seen.sparse == 0);
                if (!decided) {
                    memcpy(expected, s.sums, sizeof expected);
                }
                assert_memory_equal(s.sums, expected, sizeof expected);
                decided = true;
            }
            wholly = kept == UM_OK && wholly;
            assert_true(kept == UM_OK || (kept == UM_ERROR_BUDGET && memory < 1000000));
            close_scene(&s);
            if (memory > (16U << 20)) {
                assert_true(wholly);
            }
            wholly = false;
        }
        assert_true(decided);
        assert_true(partly || which % 3 == 0 || which / 6 == 2); /* small ones soon fit */
    }
}

/* What was held is given back when its memory is asked for, and read again. */
static void test_memory_is_given_back(void **state)
{
    (void)state;
    fill_counts(0.5, 0.02);
    scene s;
    void *much = NULL;
    open_scene(&s, UM_U8, 16U << 20, 2, NULL);
    assert_int_equal(um_matrix_keep(s.matrix, 0), UM_OK);
    assert_int_equal(pass_over(&s, false), UM_OK);
    assert_int_equal(pass_over(&s, false), UM_OK);
    assert_int_equal(reads, 0);
    uint64_t *expected = malloc(sizeof s.sums);
    memcpy(expected, s.sums, sizeof s.sums);
    size_t held = um_context_memory_in_use(s.ctx);
    assert_true(held > 1000000);
    assert_int_equal(um_buffer_alloc(s.ctx, (16U << 20) - held + 500000, 1, "a lot", &much), UM_OK);
    assert_true(um_context_memory_in_use(s.ctx) < 16U << 20);
    um_buffer_free(s.ctx, much);
    assert_int_equal(um_buffer_alloc(s.ctx, 15U << 20, 1, "most", &much), UM_OK);
    assert_int_equal(pass_over(&s, false), UM_OK);
    assert_true(reads > NY * NX / 2);
    assert_memory_equal(s.sums, expected, sizeof s.sums);
    um_buffer_free(s.ctx, much);
    assert_int_equal(um_buffer_alloc(s.ctx, 17U << 20, 1, "too much", &much), UM_ERROR_BUDGET);
    free(expected);
    close_scene(&s);
}

static void test_plan_of_what_is_held(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        scene s;
        fill_counts(0.5, 0.02);
        open_scene(&s, UM_U16, packed == 1 ? 3000000 : 32U << 20, 1, NULL);
        assert_int_equal(um_matrix_keep(s.matrix, 200000), UM_OK);
        size_t planned = um_matrix_memory(s.matrix);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(pass_over(&s, false), UM_OK);
        }
        double used = (double)um_context_memory_peak(s.ctx);
        assert_true(reads == 0 || packed == 1);
        assert_true(fabs(used - (double)planned) < 0.1 * used);
        close_scene(&s);
    }
}

static void test_cancel_and_failures(void **state)
{
    (void)state;
    fill_counts(0.5, 0.02);
    scene s;
    open_scene(&s, UM_U8, 8U << 20, 2, NULL);
    assert_int_equal(um_matrix_keep(s.matrix, 0), UM_OK);
    s.seen.cancel = true;
    assert_int_equal(pass_over(&s, false), UM_CANCELLED);
    um_context_reset(s.ctx);
    s.seen.cancel = false;
    assert_int_equal(pass_over(&s, false), UM_OK);
    uint64_t *expected = malloc(sizeof s.sums);
    memcpy(expected, s.sums, sizeof s.sums);
    assert_int_equal(pass_over(&s, false), UM_OK);
    assert_memory_equal(s.sums, expected, sizeof s.sums);
    assert_int_equal(reads, 0);
    free(expected);
    close_scene(&s);
}

/* A sample takes about its share, the same for any threads and budget, and keeps nothing. */
static void test_samples(void **state)
{
    (void)state;
    fill_counts(0.5, 0.02);
    static uint64_t expected[NY * NX];
    for (int i = 0; i < 4; i++) {
        scene s;
        open_scene(&s, UM_U8, i < 2 ? 1000000 : 32U << 20, 1 + i % 2, NULL);
        const um_visitor visitor = {.visit = see};
        reads = 0;
        assert_int_equal(um_matrix_sample(s.matrix, "sampling", 0.1, &visitor, &s.seen), UM_OK);
        assert_true(reads > NY * NX / 15 && reads < NY * NX / 7);
        assert_true(fabs(um_matrix_visits(s.matrix) - (double)reads / (NY * NX)) < 1e-12);
        assert_int_equal(um_matrix_passes(s.matrix), 0);
        if (i == 0) {
            memcpy(expected, s.sums, sizeof expected);
        }
        assert_memory_equal(s.sums, expected, sizeof expected);
        close_scene(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_comes_back),
        cmocka_unit_test(test_long_groups),
        cmocka_unit_test(test_what_cannot_be_smaller),
        cmocka_unit_test(test_sparse_rows),
        cmocka_unit_test(test_same_for_any_budget),
        cmocka_unit_test(test_memory_is_given_back),
        cmocka_unit_test(test_plan_of_what_is_held),
        cmocka_unit_test(test_cancel_and_failures),
        cmocka_unit_test(test_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
