/* Parts of the simulator: where the states are, and what the detector counts. */
#ifndef UM_SIMULATE_INTERNAL_H
#define UM_SIMULATE_INTERNAL_H

#include "base_internal.h"
#include "unmix/simulate.h"

/* Fraction of each state at each position, positions x states, each row summing to 1: the layout seen
 * through the probe. A budgeted buffer that the caller frees. */
UM_CHECK um_status um_layout_fractions(um_context *ctx, const um_simulation *simulation,
                                       float **fractions);
/* Convolves each state's map with a Gaussian of standard deviation sigma_px and divides by the part of
 * the Gaussian that falls inside the scan, so that rows go on summing to 1. In place. */
UM_CHECK um_status um_layout_blur(um_context *ctx, int64_t ny, int64_t nx, int64_t states,
                                  double sigma_px, float *fractions);

/* The exact answer: see um_simulate(). */
UM_CHECK um_status um_truth_make(um_context *ctx, const um_simulation *simulation, um_model **out);

/* Draws patterns: Poisson counts of the mixture sum_s expected[s] * factor_s, independent in every
 * pixel and a function of (seed, position) alone. */
typedef struct um_counter um_counter;
/* factors: states x pixels, each of unit sum; borrowed. Memory states*pixels*8 bytes. */
UM_CHECK um_status um_counter_create(um_context *ctx, int64_t states, int64_t pixels,
                                     const float *factors, uint64_t seed, um_counter **out);
void um_counter_free(um_context *ctx, um_counter *counter);
/* Noise-free pattern: mean[q] = sum_s expected[s] * factors[s][q]. */
void um_counter_mean(const um_counter *counter, const float *expected, double *mean);
/* counts: pixels values; mean: scratch of the same length. */
void um_counter_draw(const um_counter *counter, int64_t position, const float *expected,
                     uint32_t *counts, double *mean);

#endif
