/* unmix/instrument.h - a scene through a microscope and its camera, into files.
 *
 * Expected electrons at a position are counts * sum_i weight[i] * pattern[which[i]] (scene.h), spread by inelastic
 * scattering and the camera's point spread, moved by imperfect descan. They are counted (Poisson), and the value stored is
 *
 *     gain * (c_p + a c_(p-1) + a^2 c_(p-2) + ...) + offset + noise,     a = afterglow, along the row of the scan,
 *
 * at most what saturation, bits and dtype allow, at least 0 and rounded for integers, and 0 in dead pixels. */
#ifndef UNMIX_INSTRUMENT_H
#define UNMIX_INSTRUMENT_H

#include "unmix/scene.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_instrument {
    double counts; /* electrons of a weight of 1 in a pattern of unit sum: mean counts per pattern */
    bool noise;    /* Poisson; false: expected values */

    double probe_nm;         /* full width at half maximum of the Gaussian probe; 0 = sharp */
    double inelastic;        /* fraction of the electrons that ... */
    double inelastic_per_A;  /* ... are spread about their beams by a Gaussian of this standard deviation, 1/angstrom */
    double descan_px[2][2];  /* [of the pattern: y, x][over the whole scan in y, in x]: 0 in the middle */
    double descan_jitter_px; /* standard deviation, y and x independent from position to position */

    double spread_px;        /* point spread: standard deviation of a Gaussian */
    double hot, dead;        /* fractions of the detector's pixels */
    double hot_counts;       /* mean counts that a hot pixel adds; each has its own, 0.5 to 1.5 of this */
    double afterglow;        /* of a pixel's signal, what it still shows at the next position; 0 .. 0.5 */
    double gain;             /* stored value per electron */
    double offset;           /* stored value of no electrons */
    double read_noise;       /* Gaussian standard deviation, of the stored value */
    double saturation;       /* largest stored value; 0 = that of bits and dtype */
    int bits;                /* of the digitiser: values up to 2^bits - 1; 0 = all that dtype has */
    um_dtype dtype;          /* u8, u16, u32, f32 */
} um_instrument;
/* 1000 counts with Poisson noise as u16, everything else perfect. */
UM_API um_instrument um_instrument_defaults(void);

/* Blurs what the scan shows with a Gaussian probe of standard deviation sigma_px: weights, fractions and thickness
 * (divided by the part of the Gaussian inside the scan, so that uniform ones stay). Weights below 1e-6 of the position's sum are
 * dropped. In place; on failure the scene can only be freed. Memory: a second set of lists. */
UM_CHECK UM_API um_status um_scene_blur(um_context *ctx, um_scene *scene, double sigma_px);

typedef struct um_scene_files {
    const char *scan;        /* .hspy, .npy, .blo */
    const char *truth;       /* .hspy, .npz; may be NULL */
    const char *compression; /* of a .hspy scan: see um_sink_spec */
    bool overwrite;
} um_scene_files;

/* Writes the scan in a stream, and the truth as a model: factors = state_pattern as this instrument shows them, of unit
 * sum; loadings = expected counts of each state per position (fraction x counts x sum of its pattern); arrays `labels`
 * (ny, nx: state of largest fraction), `fractions` (ny, nx, states) and, where the scene has them, `thickness` (ny, nx; nm),
 * `orientation` (ny, nx, 3; degrees), `particles` (P, 13: state, y_px, x_px, length_nm, width_nm, thickness_nm, angle_deg,
 * depth_nm, number, area_nm2, volume_nm3, in_foil, in_field: um_particle), and of the instrument `descan` (ny, nx, 2: y and x shift, px), `hot_pixels` (ky, kx: counts that
 * a hot pixel adds, -1 = dead). Provenance: {"simulation": {program, version, seed, states: [{name, phase, geometry_only,
 * background, and with particles: particles, per_um2, per_um3 (whose middle is in field and foil), asked_per_um3}],
 * probe_px (standard deviation), step_nm, voltage_kV, foil_nm, instrument: {...}, specimen: the scene's parameters}}. The scene is seen through the probe: it comes back blurred.
 *
 * The context's seed decides all noise; the same seed gives the same bytes for any number of threads and any memory.
 * Memory: beyond the scene 8 bytes per library pixel where electrons are drawn (a mean of at most 3 per pixel; else up to
 * 4), about 2 MB per thread, and afterwards the truth: (20 states + 50) bytes per position. */
UM_CHECK UM_API um_status um_scene_write(um_context *ctx, um_scene *scene, const um_instrument *instrument,
                                         const um_scene_files *files);

#ifdef __cplusplus
}
#endif
#endif
