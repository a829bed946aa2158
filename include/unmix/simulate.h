/* unmix/simulate.h - scans with a known answer, from end-member patterns and a layout. */
#ifndef UNMIX_SIMULATE_H
#define UNMIX_SIMULATE_H

#include "unmix/instrument.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum um_layout { UM_LAYOUT_VORONOI, UM_LAYOUT_STRIPES, UM_LAYOUT_DISCS, UM_LAYOUT_LABELS } um_layout;

typedef struct um_simulation {
    int64_t ny, nx;             /* scan positions; taken from the label image for UM_LAYOUT_LABELS */
    const float *patterns;      /* states x ky x kx, non-negative, or NULL for built-in spot patterns */
    int64_t states, ky, kx;
    um_layout layout;
    int64_t regions;            /* Voronoi grains or discs; 0 = 4 per state */
    const int32_t *labels;      /* ny*nx state indices, for UM_LAYOUT_LABELS */
    double border_px;           /* standard deviation of the probe that mixes states at borders, px */
    bool keep_intensities;      /* states keep their relative intensities: counts are the scan's mean */
    double step_nm, pixel_per_A; /* calibration written to the files */
} um_simulation;
UM_API um_simulation um_simulation_defaults(void);

/* Writes such a scan and its truth as um_scene_write() does. Every state is brought to the instrument's counts; or, with
 * keep_intensities, one factor for the whole scan brings the mean pattern there; with counts of 0 the patterns are taken
 * as they are, without noise. Memory: states*(16*positions + 16*pixels) bytes, and what um_scene_write() needs. */
UM_CHECK UM_API um_status um_simulate(um_context *ctx, const um_simulation *simulation,
                                      const um_instrument *instrument, const um_scene_files *files);
/* The built-in patterns: `states` crystals of one made-up lattice each in its own orientation, with a
 * direct beam, a diffuse background and disc-shaped spots; ky x kx, unit sum. malloc'ed. */
UM_CHECK UM_API um_status um_simulate_patterns(um_context *ctx, int64_t states, int64_t ky,
                                               int64_t kx, uint64_t seed, float **patterns);

#ifdef __cplusplus
}
#endif
#endif
