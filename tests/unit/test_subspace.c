/* Streamed singular values against LAPACK on the dense scaled matrix, masks and weights together. */
#include "factor_internal.h"
#include "gen_files.h"
#include "prep_source.h"

#include <lapacke.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NY = 13, NX = 17, KY = 7, KX = 11, N = NY * NX, M = KY * KX, VALUES = 6 };

typedef struct fixture {
    um_context *ctx;
    um_source *source;
    um_recipe *recipe;
    um_matrix *matrix;
    uint16_t data[N * M];
} fixture;

static void setup(fixture *f, bool masked)
{
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    um_random random = {3, UM_STREAM_TEST};
    for (int p = 0; p < N; p++) {
        for (int q = 0; q < M; q++) {
            double mean = 2 + 30 * (p % 5 == q % 5) + 20 * (q % 7 == p / 40) + 0.05 * q;
            f->data[p * M + q] =
                (uint16_t)um_random_poisson(random, (uint64_t)(p * M + q), q == 20 ? 0 : mean);
        }
    }
    memset(f->data + 30 * M, 0, M * sizeof *f->data); /* a position without counts */
    f->source = memory_source(f->ctx, UM_U16, (um_shape){NY, NX, KY, KX}, f->data);
    assert_int_equal(um_recipe_create(f->ctx, &f->recipe), UM_OK);
    if (masked) {
        uint8_t navigation[N] = {0};
        for (int p = 0; p < N; p += 9) {
            navigation[p] = 1;
        }
        gen_bytes file = {0};
        gen_npy_head(&file, 1, "{'descr': '|u1', 'fortran_order': False, 'shape': (13, 17), }");
        gen_put(&file, navigation, sizeof navigation);
        gen_write("subspace_mask.npy", file.data, file.size);
        gen_clear(&file);
        assert_int_equal(um_recipe_set(f->recipe, "mask-outside", "4.5"), UM_OK);
        assert_int_equal(um_recipe_set(f->recipe, "navigation-mask", "subspace_mask.npy"), UM_OK);
    }
    if (um_matrix_open(f->ctx, f->source, f->recipe, &f->matrix) != UM_OK) {
        fail_msg("%s", um_context_message(f->ctx));
    }
}

static void teardown(fixture *f)
{
    um_matrix_free(f->matrix);
    um_recipe_free(f->recipe);
    um_source_free(f->source);
    um_context_free(f->ctx);
    remove("subspace_mask.npy");
}

/* x / sqrt(a b) over what is not excluded, 0/0 = 0, straight from the definition. */
static double *dense(const fixture *f, bool weighted)
{
    const um_matrix_info *info = um_matrix_get_info(f->matrix);
    double *x = calloc(N * M, sizeof *x);
    double a[N] = {0};
    double b[M] = {0};
    for (int p = 0; p < N; p++) {
        for (int q = 0; q < M; q++) {
            bool on = (info->navigation_mask == NULL || !info->navigation_mask[p]) &&
                      (info->signal_mask == NULL || !info->signal_mask[q]);
            x[p * M + q] = on ? f->data[p * M + q] : 0;
            a[p] += x[p * M + q];
            b[q] += x[p * M + q];
        }
    }
    for (int p = 0; weighted && p < N; p++) {
        for (int q = 0; q < M; q++) {
            x[p * M + q] = a[p] * b[q] > 0 ? x[p * M + q] / sqrt(a[p] * b[q]) : 0;
        }
    }
    return x;
}

static void equals_lapack(bool masked, um_weights weights)
{
    fixture *f = calloc(1, sizeof *f);
    setup(f, masked);
    um_scaled s;
    assert_int_equal(um_scaled_init(&s, f->matrix, weights, NULL), UM_OK);
    um_subspace sub;
    assert_int_equal(um_subspace_find(&s, VALUES, -1, 0, UM_SUBSPACE_RESULT, &sub), UM_OK);

    double *x = dense(f, weights == UM_WEIGHTS_POISSON);
    double norm2 = 0;
    for (int i = 0; i < N * M; i++) {
        norm2 += x[i] * x[i];
    }
    double sigma[M];
    double *u = calloc(N * M, sizeof *u);
    double *vt = calloc(M * M, sizeof *vt);
    double work[M];
    assert_int_equal(
        LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'S', 'S', N, M, x, M, sigma, u, M, vt, M, work), 0);
    assert_true(fabs(s.norm2 * s.report * s.report / norm2 - 1) < 1e-6);
    for (int c = 0; c < VALUES; c++) {
        assert_true(fabs(sub.sigma[c] * s.report / sigma[c] - 1) < 1e-5);
    }
    /* The leading, well separated right vector and its projections agree but for the sign. */
    double dot = 0;
    double dot_u = 0;
    for (int q = 0; q < M; q++) {
        dot += (double)sub.v[q] * vt[q];
    }
    for (int p = 0; p < N; p++) {
        dot_u += (double)sub.us[(size_t)p * sub.count] * s.report * u[p * M];
    }
    assert_true(fabs(fabs(dot) - 1) < 1e-5);
    assert_true(fabs(fabs(dot_u) / sigma[0] - 1) < 1e-5);
    um_subspace_free(f->ctx, &sub);
    um_scaled_free(&s);
    free(x);
    free(u);
    free(vt);
    teardown(f);
    free(f);
}

static void plain(void **state)
{
    (void)state;
    equals_lapack(false, UM_WEIGHTS_NONE);
}

static void weighted(void **state)
{
    (void)state;
    equals_lapack(false, UM_WEIGHTS_POISSON);
}

static void masked(void **state)
{
    (void)state;
    equals_lapack(true, UM_WEIGHTS_NONE);
}

static void masked_and_weighted(void **state)
{
    (void)state;
    equals_lapack(true, UM_WEIGHTS_POISSON);
}

static void same_bits(void **state)
{
    (void)state;
    float *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        fixture *f = calloc(1, sizeof *f);
        setup(f, true);
        um_context_set_threads(f->ctx, threads);
        um_scaled s;
        assert_int_equal(um_scaled_init(&s, f->matrix, UM_WEIGHTS_POISSON, NULL), UM_OK);
        um_subspace sub;
        assert_int_equal(um_subspace_find(&s, VALUES, 2, 0, UM_SUBSPACE_RESULT, &sub), UM_OK);
        assert_int_equal(sub.passes, 3);
        if (first == NULL) {
            first = malloc(N * sub.count * sizeof *first);
            memcpy(first, sub.us, N * sub.count * sizeof *first);
        }
        assert_memory_equal(first, sub.us, N * sub.count * sizeof *first);
        um_subspace_free(f->ctx, &sub);
        um_scaled_free(&s);
        teardown(f);
        free(f);
    }
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(weighted),
        cmocka_unit_test(masked),
        cmocka_unit_test(masked_and_weighted),
        cmocka_unit_test(same_bits),
    };
    return cmocka_run_group_tests_name("subspace", tests, NULL, NULL);
}
