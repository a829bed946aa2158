/* A state that a start has lost is found again by the place where the residual stands out, whatever the threads and
 * interruptions; where components are too few nothing is moved and nothing read for it. */
#include "factor_internal.h"
#include "prep_source.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { NY = 8, NX = 2000, KY = 8, KX = 8, N = NY * NX, M = KY * KX, Y0 = 3, X0 = 1200, SIDE = 3 };
static const char *const CHECKPOINT = "test_missed_checkpoint.npz";

static double pattern(int state, int q)
{
    return 1 + 8 * (q % 13 == 4 * state) + 5 * (q % 17 == 5 * state + 1);
}

typedef struct fixture {
    um_context *ctx;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix;
    um_scaled scaled;
    um_subspace subspace;
    um_nmf_state state;
    um_residual residual;
    um_nmf_options options;
    um_nmf_result result;
    uint16_t data[N * M];
} fixture;

/* Two states in smooth shares and a third in a square, of which the low-rank image shows nothing, as when a sample has
 * missed it; the corners of patterns masked. The stop at the floor, as for long scans. */
static fixture *setup(int threads, int64_t k)
{
    fixture *f = calloc(1, sizeof *f);
    const um_random random = {5, UM_STREAM_TEST};
    for (int i = 0; i < N * M; i++) {
        int y = i / M / NX;
        int x = i / M % NX;
        bool in = y >= Y0 && y < Y0 + SIDE && x >= X0 && x < X0 + SIDE;
        double share = (double)x / (NX - 1);
        double mean = in ? pattern(2, i % M) : share * pattern(0, i % M) + (1 - share) * pattern(1, i % M);
        f->data[i] = (uint16_t)um_random_poisson(random, (uint64_t)i, 200 * mean / M);
    }
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    um_context_set_threads(f->ctx, threads);
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, f->data);
    assert_int_equal(um_recipe_create(f->ctx, &f->recipe), UM_OK);
    assert_int_equal(um_recipe_set(f->recipe, "mask-outside", "4.5"), UM_OK);
    assert_int_equal(um_matrix_open(f->ctx, f->source, f->recipe, &f->matrix), UM_OK);
    um_scaled *s = &f->scaled;
    f->options = um_nmf_defaults(k);
    f->options.stop = UM_STOP_FLOOR;
    assert_int_equal(um_scaled_init(s, f->matrix, UM_WEIGHTS_POISSON, NULL), UM_OK);
    assert_int_equal(um_subspace_find(s, (size_t)k, -1, 0, UM_SUBSPACE_FEW_READS, &f->subspace), UM_OK);
    assert_int_equal(um_nmf_state_create(s, (size_t)k, f->options.max_passes, &f->state), UM_OK);
    assert_int_equal(um_residual_create(s, &f->state, &f->residual), UM_OK);
    for (size_t i = 0; i < N * f->subspace.count; i++) {
        f->subspace.us[i] *= i % f->subspace.count < 2 ? 1 : 0;
    }
    return f;
}

/* The first two states, and a flat pattern. */
static void lose_the_third(fixture *f)
{
    for (size_t c = 0; c < f->state.k; c++) {
        for (int j = 0; j < M; j++) {
            f->state.h[c * f->scaled.ld + (size_t)j] = (float)(c < 2 ? pattern((int)c, j) : 1) * f->scaled.v[j];
        }
    }
    for (size_t i = 0; i < N * f->state.k; i++) {
        f->state.w[i] = 1;
    }
    um_nmf_normalise(&f->scaled, &f->state);
}

static void run(fixture *f)
{
    f->result = (um_nmf_result){0};
    um_buffer_free(f->ctx, f->subspace.more_us);
    um_buffer_free(f->ctx, f->subspace.more_v);
    if (um_nmf_few_passes(&f->scaled, &f->options, &f->subspace, &f->state, &f->residual, &f->result) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
}

static void teardown(fixture *f)
{
    um_residual_free(&f->residual);
    um_nmf_state_free(f->ctx, &f->state);
    um_subspace_free(f->ctx, &f->subspace);
    um_scaled_free(&f->scaled);
    um_matrix_free(f->matrix);
    um_recipe_free(f->recipe);
    um_source_free(f->source);
    assert_int_equal(um_context_memory_in_use(f->ctx), 0);
    um_context_free(f->ctx);
    free(f);
}

/* Cosine of the component that is most like the third state, over the pixels that are used. */
static double likeness(const fixture *f)
{
    double best = 0;
    for (size_t c = 0; c < f->state.k; c++) {
        double dot = 0;
        double own = 0;
        double true2 = 0;
        for (int j = 0; j < M; j++) {
            double v = (double)f->scaled.v[j];
            double h = v > 0 ? (double)f->state.h[c * f->scaled.ld + (size_t)j] / v : 0;
            double t = v > 0 ? pattern(2, j) : 0;
            dot += h * t;
            own += h * h;
            true2 += t * t;
        }
        best = fmax(best, own > 0 ? dot / sqrt(own * true2) : 0);
    }
    return best;
}

static void a_lost_state_is_found_again(void **state)
{
    (void)state;
    fixture *f = setup(2, 3);
    lose_the_third(f);
    f->state.moving = 2; /* as if it had been tried: this is what is lost without */
    run(f);
    assert_true(f->result.converged && likeness(f) < 0.9 && f->state.moved < 1);
    double lost = f->residual.weighted;
    teardown(f);
    f = setup(2, 3);
    lose_the_third(f);
    run(f);
    assert_true(f->result.converged && f->state.moved > 0);
    assert_true(likeness(f) > 0.95 && f->residual.weighted < lost);
    assert_non_null(strstr(f->result.more_reads, "went there"));
    teardown(f);
}

static void too_few_components_are_left_alone(void **state)
{
    (void)state;
    fixture *f = setup(2, 2);
    lose_the_third(f);
    double before = um_matrix_visits(f->matrix);
    run(f);
    assert_true(f->result.converged && f->state.moved < 1 && f->result.more_reads == NULL);
    um_excess found;
    double score[N];
    assert_int_equal(um_residual_excess(&f->scaled, &f->state, f->residual.map_weighted, score, &found), UM_OK);
    assert_true(found.positions > 0 && labs((long)found.y - Y0 - 1) <= 1 && labs((long)found.x - X0 - 1) <= 1);
    assert_true(fabs(um_matrix_visits(f->matrix) - before - (double)f->state.passes) < 1e-9);
    teardown(f);
}

static void same_bits(void **state)
{
    (void)state;
    fixture *one = setup(1, 3);
    lose_the_third(one);
    run(one);
    fixture *other = setup(3, 3);
    lose_the_third(other);
    other->options.checkpoint = CHECKPOINT;
    other->options.checkpoint_seconds = 0;
    int64_t whole = other->options.max_passes;
    for (int64_t passes = 2; !other->result.converged && passes <= one->state.passes + 1; passes++) {
        other->options.max_passes = passes; /* stopped before every pass in turn, and taken up from the file */
        run(other);
        other->options.max_passes = whole;
        bool found = false;
        if (!other->result.converged) {
            assert_int_equal(um_nmf_checkpoint_load(&other->scaled, &other->options, &other->state, &found), UM_OK);
            assert_true(found);
        }
    }
    assert_true(other->result.converged && other->state.moved == one->state.moved);
    assert_memory_equal(one->state.h, other->state.h, 3 * one->scaled.ld * sizeof(float));
    assert_memory_equal(one->state.w, other->state.w, N * 3 * sizeof(float));
    remove(CHECKPOINT);
    teardown(one);
    teardown(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_lost_state_is_found_again),
                                       cmocka_unit_test(too_few_components_are_left_alone),
                                       cmocka_unit_test(same_bits)};
    return cmocka_run_group_tests_name("missed", tests, NULL, NULL);
}
