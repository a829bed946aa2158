/* Intervals of counts, weighted counts and proportions, and the distributions that they take. */
#include "unmix/measure.h"

#include <math.h>

static const double TAIL = 0.025, NORMAL_POINT = 1.959963984540054;
enum { MOST_TERMS = 1000000, MOST_HALVINGS = 200 };

/* ---- gamma distribution ----------------------------------------------------------------------- */

/* Regularised incomplete gamma function P(a, x), or 1 - P where `upper`: its series below a + 1, else Legendre's
 * continued fraction by Lentz's method (Abramowitz and Stegun 6.5.29, 6.5.31). */
static double gamma_part(double a, double x, bool upper)
{
    if (x <= 0.0) {
        return upper ? 1.0 : 0.0;
    }
    double front = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1.0) {
        double term = 1.0 / a;
        double sum = term;
        for (int n = 1; n < MOST_TERMS && term > 1e-17 * sum; n++) {
            term *= x / (a + n);
            sum += term;
        }
        return upper ? 1.0 - front * sum : front * sum;
    }
    const double tiny = 1e-300;
    double b = x + 1.0 - a;
    double c = 1.0 / tiny;
    double d = 1.0 / b;
    double h = d;
    for (int n = 1; n < MOST_TERMS; n++) {
        double an = -(double)n * ((double)n - a);
        b += 2.0;
        d = 1.0 / fmax(an * d + b, tiny);
        c = fmax(b + an / c, tiny);
        h *= d * c;
        if (fabs(d * c - 1.0) < 1e-16) {
            break;
        }
    }
    return upper ? front * h : 1.0 - front * h;
}

/* x with P(a, x) = part. */
static double gamma_point(double a, double part)
{
    double low = 0.0;
    double high = a + 10.0 * sqrt(a + 1.0) + 10.0;
    for (int i = 0; i < MOST_HALVINGS && high - low > 1e-15 * high; i++) {
        double middle = 0.5 * (low + high);
        if (gamma_part(a, middle, false) < part) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

double um_chi_squared_tail(double x, double freedom)
{
    return gamma_part(0.5 * freedom, 0.5 * x, true);
}

void um_count_interval(int64_t count, double *low, double *high)
{
    *low = count > 0 ? gamma_point((double)count, TAIL) : 0.0;
    *high = gamma_point((double)count + 1.0, 1.0 - TAIL);
}

void um_weighted_count_interval(double sum, double squares, double largest, double *low, double *high)
{
    double above = sum + largest;
    double above_squares = squares + largest * largest;
    *low = sum > 0.0 ? squares / sum * gamma_point(sum * sum / squares, TAIL) : 0.0;
    *high = above > 0.0 ? above_squares / above * gamma_point(above * above / above_squares, 1.0 - TAIL) : 0.0;
}

/* ---- proportions ------------------------------------------------------------------------------ */

void um_wilson_interval(double hits, double trials, double *low, double *high)
{
    *low = 0.0;
    *high = 1.0;
    if (trials > 0.0) {
        double z = NORMAL_POINT * NORMAL_POINT / trials;
        double p = hits / trials;
        double middle = (p + 0.5 * z) / (1.0 + z);
        double half = sqrt(z * (p * (1.0 - p) + 0.25 * z)) / (1.0 + z);
        *low = p > 0.0 ? fmax(0.0, middle - half) : 0.0; /* exact ends, whatever the rounding */
        *high = p < 1.0 ? fmin(1.0, middle + half) : 1.0;
    }
}

/* ---- Student's t ------------------------------------------------------------------------------ */

/* The continued fraction of the incomplete beta function (Numerical analysis' usual form of A&S 26.5.8). */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1.0;
    double d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double h = d;
    for (int m = 1; m < MOST_TERMS; m++) {
        double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        const double terms[2] = {even, odd};
        double step = 1.0;
        for (int i = 0; i < 2; i++) {
            d = 1.0 + terms[i] * d;
            d = 1.0 / (fabs(d) < tiny ? tiny : d);
            c = 1.0 + terms[i] / c;
            c = fabs(c) < tiny ? tiny : c;
            step = c * d;
            h *= step;
        }
        if (fabs(step - 1.0) < 1e-16) {
            break;
        }
    }
    return h;
}

static double beta_part(double a, double b, double x)
{
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return x < (a + 1.0) / (a + b + 2.0) ? front * beta_fraction(a, b, x) / a
                                         : 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

double um_student_point(double freedom)
{
    if (!(freedom > 0.0)) {
        return INFINITY;
    }
    double low = 1.0;
    double high = 1e3 * (1.0 + 1.0 / (freedom * freedom));
    for (int i = 0; i < MOST_HALVINGS && high - low > 1e-15 * high; i++) {
        double t = 0.5 * (low + high);
        if (0.5 * beta_part(0.5 * freedom, 0.5, freedom / (freedom + t * t)) > TAIL) {
            low = t;
        } else {
            high = t;
        }
    }
    return 0.5 * (low + high);
}
