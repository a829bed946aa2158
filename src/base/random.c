/* Counter-based random numbers: a value depends on (seed, stream, counter) and on nothing else. */
#include "base_internal.h"

#include <Random123/philox.h>

#include <math.h>

void um_random_words(um_random random, uint64_t counter, uint32_t words[4])
{
    philox4x32_ctr_t ctr = {
        {(uint32_t)counter, (uint32_t)(counter >> 32), (uint32_t)random.stream,
         (uint32_t)(random.stream >> 32)}};
    philox4x32_key_t key = {{(uint32_t)random.seed, (uint32_t)(random.seed >> 32)}};
    philox4x32_ctr_t result = philox4x32(ctr, key);
    for (int i = 0; i < 4; i++) {
        words[i] = result.v[i];
    }
}

static double uniform53(uint32_t high, uint32_t low)
{
    return (double)(((uint64_t)high << 21) ^ (low >> 11)) * 0x1p-53;
}

double um_random_uniform(um_random random, uint64_t counter)
{
    uint32_t w[4];
    um_random_words(random, counter, w);
    return uniform53(w[0], w[1]);
}

void um_random_normal2(um_random random, uint64_t counter, double pair[2])
{
    uint32_t w[4];
    um_random_words(random, counter, w);
    double radius = sqrt(-2.0 * log(1.0 - uniform53(w[0], w[1])));
    double angle = 2.0 * 3.14159265358979323846 * uniform53(w[2], w[3]);
    pair[0] = radius * cos(angle);
    pair[1] = radius * sin(angle);
}

static uint64_t poisson_by_inversion(double mean, double u)
{
    double p = exp(-mean);
    double cumulative = p;
    uint64_t n = 0;
    /* 1000 is far beyond any value that a mean below 10 reaches with 53-bit uniforms. */
    while (u >= cumulative && n < 1000) {
        n++;
        p *= mean / (double)n;
        cumulative += p;
    }
    return n;
}

/* Hormann's PTRS (1993), "The transformed rejection method for generating Poisson random variables". */
static uint64_t poisson_by_rejection(um_random random, uint64_t counter, double mean)
{
    const double log_mean = log(mean);
    const double b = 0.931 + 2.53 * sqrt(mean);
    const double a = -0.059 + 0.02483 * b;
    const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    const double v_r = 0.9277 - 3.6224 / (b - 2.0);
    for (uint64_t attempt = 0;; attempt++) {
        /* Attempts live in streams of their own, above every named stream. */
        um_random sub = {random.seed, random.stream + ((attempt + 1) << 32)};
        uint32_t w[4];
        um_random_words(sub, counter, w);
        double u = uniform53(w[0], w[1]) - 0.5;
        double v = 1.0 - uniform53(w[2], w[3]);
        double us = 0.5 - fabs(u);
        if (us <= 0.0) {
            continue;
        }
        double k = floor((2.0 * a / us + b) * u + mean + 0.43);
        if (us >= 0.07 && v <= v_r) {
            return (uint64_t)k;
        }
        if (k < 0.0 || (us < 0.013 && v > us)) {
            continue;
        }
        int sign = 0;
        if (log(v) + log(inverse_alpha) - log(a / (us * us) + b) <=
            k * log_mean - mean - lgamma_r(k + 1.0, &sign)) {
            return (uint64_t)k;
        }
    }
}

uint64_t um_random_poisson(um_random random, uint64_t counter, double mean)
{
    if (!(mean > 0.0)) {
        return 0;
    }
    if (mean < 10.0) {
        return poisson_by_inversion(mean, um_random_uniform(random, counter));
    }
    return poisson_by_rejection(random, counter, mean);
}
