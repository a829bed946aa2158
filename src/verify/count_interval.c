/* The interval of a count: means for which so few, or so many, would be rare. */
#include "unmix/verify.h"

#include <math.h>

/* P(X <= n) of a Poisson variate, summed from the largest term that is kept downwards. */
static double at_most(double n, double mean)
{
    if (n < 0.0) {
        return 0.0;
    }
    double k = n;
    double sum = 0.0;
    double term = exp(k * log(mean) - mean - lgamma(k + 1.0));
    while (k >= 0.0) {
        sum += term;
        if (k < mean && term < 1e-17 * sum) {
            break;
        }
        term *= k / mean;
        k -= 1.0;
    }
    return sum;
}

/* The mean at which P(X <= n) falls to `level`: it falls as the mean grows. */
static double mean_with(double n, double level)
{
    double low = 1e-300;
    double high = n + 10.0 * sqrt(n + 1.0) + 10.0;
    for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
        double middle = 0.5 * (low + high);
        if (at_most(n, middle) > level) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

void um_count_interval(int64_t count, double *low, double *high)
{
    *low = count > 0 ? mean_with((double)count - 1.0, 0.975) : 0.0;
    *high = mean_with((double)count, 0.025);
}
