/* One number from several scans: what they hold together, and how far they differ. */
#include "measure_internal.h"

#include <math.h>

static const double LEVEL = 0.05; /* of the test that asks whether scans differ by more than counting */

/* sum (x - r a)^2 over scans. */
static double scatter_of(const um_pooled *p, double ratio)
{
    double sum = 0.0;
    for (int32_t i = 0; i < p->count; i++) {
        double off = p->x[i] - ratio * p->a[i];
        sum += off * off;
    }
    return sum;
}

/* Pearson's statistic: each scan is to hold r a, with a variance of `unit` times that. */
static double pearson(const um_pooled *p, double ratio)
{
    double sum = 0.0;
    for (int32_t i = 0; i < p->count; i++) {
        double expected = ratio * p->a[i];
        double off = p->x[i] - expected;
        sum += expected > 0.0 ? off * off / (expected * p->unit) : 0.0;
    }
    return sum;
}

um_estimate um_pool(const um_pooled *p)
{
    double x = 0.0;
    double a = 0.0;
    for (int32_t i = 0; i < p->count; i++) {
        x += p->x[i];
        a += p->a[i];
    }
    if (!(a > 0.0)) {
        return (um_estimate){NAN, NAN, NAN, false};
    }
    um_estimate e = {.value = x / a, .low = p->low, .high = p->high};
    double freedom = (double)p->count - 1.0;
    if (p->count > 1 && x > 0.0 && p->unit > 0.0 && um_chi_squared_tail(pearson(p, e.value), freedom) < LEVEL) {
        double error = sqrt((freedom + 1.0) / freedom * scatter_of(p, e.value)) / a;
        e.low = fmax(0.0, e.value - um_student_point(freedom) * error);
        e.high = e.value + um_student_point(freedom) * error;
        e.scatter = true;
    }
    return e;
}
