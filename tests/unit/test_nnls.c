/* Block principal pivoting against all active sets. */
#include "factor_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LARGEST = 6 };

static double objective(size_t k, const double *g, const double *a, const double *w)
{
    double sum = 0;
    for (size_t i = 0; i < k; i++) {
        double gw = 0;
        for (size_t j = 0; j < k; j++) {
            gw += g[i * k + j] * w[j];
        }
        sum += w[i] * (0.5 * gw - a[i]);
    }
    return sum;
}

/* Solution on one support by Gaussian elimination with pivoting; false when it is not feasible. */
static bool on_support(size_t k, const double *g, const double *a, unsigned support, double *w)
{
    double matrix[LARGEST][LARGEST + 1];
    size_t index[LARGEST];
    size_t n = 0;
    for (size_t c = 0; c < k; c++) {
        w[c] = 0;
        if (support >> c & 1) {
            index[n++] = c;
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            matrix[i][j] = g[index[i] * k + index[j]];
        }
        matrix[i][n] = a[index[i]];
    }
    for (size_t p = 0; p < n; p++) {
        size_t best = p;
        for (size_t i = p + 1; i < n; i++) {
            best = fabs(matrix[i][p]) > fabs(matrix[best][p]) ? i : best;
        }
        for (size_t j = 0; j <= n; j++) {
            double swap = matrix[p][j];
            matrix[p][j] = matrix[best][j];
            matrix[best][j] = swap;
        }
        for (size_t i = 0; i < n; i++) {
            double f = i == p ? 0 : matrix[i][p] / matrix[p][p];
            for (size_t j = p; j <= n; j++) {
                matrix[i][j] -= f * matrix[p][j];
            }
        }
    }
    for (size_t i = 0; i < n; i++) {
        w[index[i]] = matrix[i][n] / matrix[i][i];
        if (w[index[i]] < 0) {
            return false;
        }
    }
    return true;
}

static void equals_the_best_support(void **state)
{
    (void)state;
    um_random random = {5, UM_STREAM_TEST};
    uint64_t counter = 0;
    double work[LARGEST * (LARGEST + 4)];
    for (int trial = 0; trial < 500; trial++) {
        size_t k = 1 + (size_t)trial % LARGEST;
        double root[LARGEST * LARGEST];
        double g[LARGEST * LARGEST];
        double a[LARGEST];
        double w[LARGEST];
        for (size_t i = 0; i < k * k; i++) {
            root[i] = um_random_uniform(random, counter++);
        }
        for (size_t i = 0; i < k; i++) {
            for (size_t j = 0; j < k; j++) {
                g[i * k + j] = 0;
                for (size_t e = 0; e < k; e++) {
                    g[i * k + j] += root[e * k + i] * root[e * k + j];
                }
            }
            g[i * k + i] += 0.01;
            a[i] = 2 * um_random_uniform(random, counter++) - 0.7;
            w[i] = um_random_uniform(random, counter++) > 0.5;
        }
        double best = 0;
        for (unsigned support = 0; support < 1u << k; support++) {
            double candidate[LARGEST];
            if (on_support(k, g, a, support, candidate)) {
                best = fmin(best, objective(k, g, a, candidate));
            }
        }
        assert_true(um_nnls(k, g, a, w, work));
        for (size_t c = 0; c < k; c++) {
            assert_true(w[c] >= 0);
        }
        assert_true(fabs(objective(k, g, a, w) - best) <= 1e-9 * (1 + fabs(best)));
    }
}

static void a_dead_component_stays_zero(void **state)
{
    (void)state;
    const double g[4] = {2, 0, 0, 0};
    const double a[2] = {3, 0};
    double w[2] = {1, 1};
    double work[12];
    assert_true(um_nnls(2, g, a, w, work));
    assert_true(fabs(w[0] - 1.5) < 1e-12);
    assert_true(w[1] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_best_support),
        cmocka_unit_test(a_dead_component_stays_zero),
    };
    return cmocka_run_group_tests_name("nnls", tests, NULL, NULL);
}
