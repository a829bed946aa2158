/* unmix/identify.h - which crystal is it? Names patterns by comparing their spots with those of candidate structures.
 *
 * For every candidate a library of kinematic patterns is made: all directions of the beam that symmetry tells apart, in
 * steps, and low zone axes exactly. A reflection has the intensity |F|^2 L, L the mean over the precession cone of
 * 1 / (1 + (s/w)^2), w = 1 / (2 thickness): in closed form Re ((1 - i s/w)^2 + (g phi/w)^2)^(-1/2).
 *
 * The spots of a pattern (blobs above the median of their ring) are compared with it as vectors. The score is a cosine,
 *
 *     sum over pairs  a b exp(-d^2 / (2 sigma^2))  /  sqrt(sum a^2  sum b^2),
 *
 * a = cube root of a spot's counts, b = cube root of a reflection's intensity, d = their distance, sigma = `spot_px`; every spot is in
 * one pair at most. Reflections under a mask or beyond the frame do not count. In-plane rotations are compared by sums
 * over angles at each radius (the polar correlation), then the best are refined: rotation, tilt, and, within the bounds given,
 * scale, centre and ellipse.
 *
 * Whether a score means anything is asked of patterns that no candidate can explain: the same spots, stretched along two axes by
 * 6 to 25 %, beyond what calibration allows. ln(s / (1 - s)) of their best scores is taken for a Gumbel distribution with the moments
 * found; a name is given only where the chance of such a score is below `false_rate`.
 *
 * docs/identify.md says what this can tell and what not. */
#ifndef UNMIX_IDENTIFY_H
#define UNMIX_IDENTIFY_H

#include "unmix/crystal.h"
#include "unmix/model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { UM_PHASE_NAME = 64 };

typedef struct um_candidate {
    char name[UM_PHASE_NAME];
    const um_crystal *crystal; /* the caller's */
} um_candidate;

/* Where patterns lie and how far each may be from that. NaN: from the model, else the preset in brackets. */
typedef struct um_identify_options {
    double voltage_kV;       /* NaN [200] */
    double precession_mrad;  /* NaN [17.5] */
    double thickness_nm;     /* [50]: width of reflections in s */
    double scale_per_A;      /* NaN: from the axes, which must be in 1/angstrom or 1/nm */
    double cy, cx;           /* direct beam, px; NaN: where the axes are 0, else the middle pixel */
    double scale_tolerance;  /* [0.03] relative */
    double center_tolerance; /* [2] px */
    double ellipse_tolerance;/* [0.02] long over short axis - 1; 0 = circles */
    double spot_px;          /* [1] sigma of a pair's distance */
    double g_min_per_A;      /* [0.1] reflections nearer to the beam do not count */
    double step_deg;         /* [2] between directions of the library */
    const int (*zone)[3];    /* only directions near these zone axes; NULL = all */
    size_t zones;
    double near_deg;         /* [5] how near */
    double false_rate;       /* [0.01] chance of a name for a pattern that no candidate explains */
    int null_patterns;       /* [40] stretched patterns per component */
    const char *cache;       /* folder of kept libraries; NULL = none */
} um_identify_options;
UM_API um_identify_options um_identify_defaults(void);

typedef enum um_verdict { UM_VERDICT_PHASE, UM_VERDICT_UNKNOWN, UM_VERDICT_AMORPHOUS, UM_VERDICT_BACKGROUND } um_verdict;
/* "phase", "unknown", "amorphous", "background" */
UM_API const char *um_verdict_word(um_verdict verdict);

/* One way to read a pattern. */
typedef struct um_match {
    int32_t phase;               /* index of the candidate; -1 = none */
    um_orientation orientation;  /* of the equivalent ones that in the fundamental zone */
    int zone[3];                 /* low-index [uvw] nearest to the direction of the source */
    double off_zone_mrad;        /* angle between both */
    double rotation_deg;         /* of the pattern from that of um_orientation_zone(zone, NULL), counter-clockwise */
    double euler_deg[3];         /* Bunge's angles of the orientation: `unmix pattern --euler` draws it */
    double score;
    int32_t matched;             /* spots in a pair nearer than 2 sigma */
    double explained, seen;      /* of all a^2 the part in such pairs; of all b^2 of the spots expected */
    double scale;                /* found over given 1/angstrom per px */
    double shift_y, shift_x;     /* px, of the centre found from the one given */
    double ellipse_ratio, ellipse_deg;
} um_match;

/* A spot of the pattern, or a reflection of the match, in px. */
typedef struct um_identify_spot {
    double row, column;
    double amplitude; /* relative to the largest */
    bool paired;
    int hkl[3];       /* of reflections; 0 0 0 in spots of the pattern */
} um_identify_spot;

typedef struct um_identified {
    um_verdict verdict;
    um_match best;        /* also where the verdict is "unknown": what came nearest */
    um_match runner_up;   /* the best of another candidate */
    double margin;        /* best.score - runner_up.score */
    double chance;        /* of a score as high in patterns that no candidate explains; NaN: not asked */
    double halo_per_A;    /* of "amorphous": where the ring lies */
    int32_t orientation;  /* components of one phase within 5 degrees have the same number, from 0; -1 = no phase */
    char reason[200];     /* one sentence */
    um_identify_spot *spot, *reflection;
    size_t spots, reflections;
    double *score_of;     /* per candidate: its best score */
} um_identified;

/* Two components of one phase: the smallest rotation between them, as far as patterns tell (up to half a turn about the beam). */
typedef struct um_relation {
    int64_t a, b;
    double angle_deg, axis[3]; /* axis in the crystal, its indices [uvw] as real numbers of length 1 */
} um_relation;

typedef struct um_identification {
    int64_t k;
    um_identified *component;
    size_t phases;
    char (*phase)[UM_PHASE_NAME];
    size_t *directions; /* per phase: in the library */
    um_relation *relation;
    size_t relations;
    /* Calibration: given, and what the named components agree on (medians; NaN: none is named). */
    double scale_per_A, cy, cx, voltage_kV, precession_mrad;
    double scale, scale_spread; /* found over given; largest over smallest - 1 of the components */
    double shift_y, shift_x, ellipse_ratio, ellipse_deg;
    um_identify_options options; /* as used */
} um_identification;

/* Names every component of a model by its pattern. Refused: no candidates, no scale, patterns of fewer than 16 x 16 px. Cost, for
 * nine structures: about a second per component and core, and seconds for a library that is not kept. Memory: the libraries, some
 * MB each, of the budget. The same bits for any number of threads. */
UM_CHECK UM_API um_status um_identify_model(um_context *ctx, um_model *model, const um_candidate *candidates,
                                            size_t count, const um_identify_options *options,
                                            um_identification **out);
UM_API void um_identification_free(um_identification *identification);

/* Adds to the model: provenance "identification", "calibration", "phases", "orientations"; arrays `phase_index` (k) and `phase_map`
 * (ny, nx), the phase of the largest fraction (array `fractions`, else loading x pattern sum) at each position, -1 = none;
 * `identified_spots` (n, 5), `identified_reflections` (n, 8): component, row, column (px), amplitude, paired, and h, k, l. */
UM_CHECK UM_API um_status um_identification_store(um_context *ctx, const um_identification *identification,
                                                  um_model *model);

#ifdef __cplusplus
}
#endif
#endif
