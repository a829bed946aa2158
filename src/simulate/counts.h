/* What falls onto the detector: electrons of a mixture of patterns from a library. */
#ifndef UM_COUNTS_H
#define UM_COUNTS_H

#include "alias.h"

/* How an instrument spreads a pattern; see optics.c. */
typedef struct um_optics um_optics;

/* The sum over states of Poisson processes is Poisson, so a pattern is drawn electron by electron when
 * electrons are few, and pixel by pixel when they are many; both have exactly the same distribution. */
typedef enum um_drawing { UM_DRAW_ELECTRONS, UM_DRAW_PIXELS } um_drawing;

typedef struct um_counter_spec {
    int64_t library, ky, kx;
    const float *pattern;    /* library x ky x kx; borrowed */
    const um_optics *optics; /* through which they are seen; NULL = as they are */
    double dose;             /* electrons of a weight of 1 in a pattern of unit sum */
    um_drawing drawing;
    uint64_t seed;
} um_counter_spec;

typedef struct um_counter um_counter;
/* Memory library*ky*kx*8 bytes for electrons; *4 for pixels that are seen through optics; and scratch per thread. */
UM_CHECK um_status um_counter_create(um_context *ctx, const um_counter_spec *spec, um_counter **out);
void um_counter_free(um_context *ctx, um_counter *counter);

/* What is in the beam at one position. */
typedef struct um_mixture {
    uint64_t first; /* number of its first entry in the scan, by which its random numbers go */
    size_t entries;
    const uint32_t *which;
    const float *weight;
} um_mixture;

/* Noise-free pattern, shifted by bilinear interpolation (shift NULL: not). Of a counter that draws pixels. mean:
 * pixels values; scratch: as many, used with a shift. */
void um_counter_mean(const um_counter *counter, const um_mixture *mix, const um_shift *shift, double *mean,
                     double *scratch);
/* Poisson counts, independent in every pixel and a function of (seed, position, mixture) alone. mean, scratch: as
 * above; not used when electrons are drawn. */
void um_counter_draw(const um_counter *counter, int64_t position, const um_mixture *mix, const um_shift *shift,
                     const um_screen *screen, double *mean, double *scratch);

/* An instrument's point spread, in px, and its diffuse part: a fraction of each pattern spread widely. */
typedef struct um_optics_spec {
    int64_t ky, kx;
    double spread_px, inelastic, inelastic_px;
} um_optics_spec;
/* *out is NULL when nothing is spread. */
UM_CHECK um_status um_optics_create(um_context *ctx, const um_optics_spec *spec, um_optics **out);
void um_optics_free(um_optics *optics);
/* dst = src seen through the optics; scratch: 2*ky*kx floats. Thread-safe. */
void um_optics_apply(const um_optics *optics, const float *src, float *dst, float *scratch);

#endif
