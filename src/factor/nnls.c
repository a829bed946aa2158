/* Exact non-negative least squares in few unknowns: block principal pivoting (Kim & Park, SIAM J. Sci.
 * Comput. 33, 2011) with the single-variable rule as the way out of cycles. */
#include "factor_internal.h"

#include <math.h>
#include <string.h>

enum { FULL_EXCHANGES = 3 };

/* Solves G_FF x_F = a_F for the free set by Cholesky; x elsewhere 0. False when G_FF is singular. */
static bool solve_free(size_t k, const double *g, const double *a, const unsigned char *free_set,
                       double *x, double *factor)
{
    size_t index[UM_HALS_LARGEST];
    size_t n = 0;
    for (size_t c = 0; c < k; c++) {
        x[c] = 0;
        if (free_set[c]) {
            index[n++] = c;
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = g[index[i] * k + index[j]];
            for (size_t e = 0; e < j; e++) {
                sum -= factor[i * k + e] * factor[j * k + e];
            }
            if (i == j) {
                if (!(sum > 1e-13 * g[index[i] * k + index[i]])) {
                    return false;
                }
                factor[i * k + i] = sqrt(sum);
            } else {
                factor[i * k + j] = sum / factor[j * k + j];
            }
        }
    }
    double y[UM_HALS_LARGEST];
    for (size_t i = 0; i < n; i++) {
        double sum = a[index[i]];
        for (size_t e = 0; e < i; e++) {
            sum -= factor[i * k + e] * y[e];
        }
        y[i] = sum / factor[i * k + i];
    }
    for (size_t i = n; i-- > 0;) {
        double sum = y[i];
        for (size_t e = i + 1; e < n; e++) {
            sum -= factor[e * k + i] * y[e];
        }
        y[i] = sum / factor[i * k + i];
        x[index[i]] = y[i];
    }
    return true;
}

bool um_nnls(size_t k, const double *g, const double *a, double *w, double *work)
{
    double *factor = work; /* k x k */
    double *x = work + k * k;
    double *gradient = x + k;
    double *tolerance = gradient + k;
    unsigned char free_set[UM_HALS_LARGEST];
    for (size_t c = 0; c < k; c++) {
        free_set[c] = w[c] > 0 && g[c * k + c] > 0;
        tolerance[c] = 1e-12 * (fabs(a[c]) + sqrt(g[c * k + c]) * 1e-6);
    }
    size_t fewest = k + 1;
    int exchanges = FULL_EXCHANGES;
    const int most = 5 * (int)k + 20;
    for (int iteration = 0; iteration < most; iteration++) {
        if (!solve_free(k, g, a, free_set, x, factor)) {
            return false;
        }
        size_t bad = 0;
        size_t last_bad = 0;
        for (size_t c = 0; c < k; c++) {
            double sum = -a[c];
            for (size_t d = 0; d < k; d++) {
                sum += g[c * k + d] * x[d];
            }
            gradient[c] = sum;
            if (g[c * k + c] > 0 && (free_set[c] ? x[c] < 0 : sum < -tolerance[c])) {
                bad++;
                last_bad = c;
            }
        }
        if (bad == 0) {
            memcpy(w, x, k * sizeof *w);
            return true;
        }
        if (bad < fewest) {
            fewest = bad;
            exchanges = FULL_EXCHANGES;
        } else {
            exchanges--;
        }
        for (size_t c = 0; c < k; c++) {
            bool is_bad =
                g[c * k + c] > 0 && (free_set[c] ? x[c] < 0 : gradient[c] < -tolerance[c]);
            if (is_bad && (exchanges >= 0 || c == last_bad)) {
                free_set[c] = !free_set[c];
            }
        }
    }
    return false;
}
