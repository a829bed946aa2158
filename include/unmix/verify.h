/* unmix/verify.h - is the result right? Scores against a known truth.
 *
 * Every number is defined, with its unit and what is good, in docs/scores.md. NaN stands wherever a number has no
 * meaning: a precision where nothing was called, a density without calibration, a sharpness without a probe. */
#ifndef UNMIX_VERIFY_H
#define UNMIX_VERIFY_H

#include "unmix/model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { UM_SCORE_NAME = 64, UM_SCORE_TOLERANCES = 3 /* within 0, 1, 2 positions */ };

typedef struct um_class_score {
    int64_t truth, positions; /* index of the true state or phase; positions that have it as label */
    double precision, recall, f1;
    double iou;     /* hits / (called + true - hits) */
    int64_t called; /* positions that the result gives it */
    /* Called positions with the class in the truth within so many px, and true ones with it in the result. */
    double precision_within[UM_SCORE_TOLERANCES], recall_within[UM_SCORE_TOLERANCES];
} um_class_score;

/* The fractions of one class over positions: their means, and of found minus true the rms. */
typedef struct um_fraction_score {
    double mean_true, mean_found, rms;
} um_fraction_score;

/* Particles of one class: regions of the map in which it is called, against the truth's table. */
typedef struct um_particle_score {
    int64_t particles, regions, hits;
    int64_t faint;  /* particles that reach the least fraction nowhere (in a position of their own) */
    int64_t merged; /* missed, though at least half of their positions are called: grown together */
    double precision, recall;
    double density_true, density_found;             /* per um^2 */
    double density_found_low, density_found_high;   /* 95 % interval of counting statistics, per um^2 */
    double density_error;                           /* found / true - 1 */
} um_particle_score;

/* Crystals of a segmented result (`segments`) against the truth's table, whatever class they are in. */
typedef struct um_crystal_score {
    int64_t particles, found, hits; /* of the truth, of the result, pairs of IoU 0.25 and more */
    int64_t faint;                  /* particles that reach the least fraction nowhere */
    int64_t right_state;            /* hits whose class counts for the state of the particle */
    double precision, recall, f1;   /* hits / found, hits / particles, 2 hits / (found + particles) */
    double iou;                     /* mean over the hits */
} um_crystal_score;

/* The maps of a result seen by state or by phase. */
typedef struct um_score_view {
    int64_t count;
    char (*name)[UM_SCORE_NAME];
    bool *background;
    um_class_score *classes;
    um_fraction_score *fractions; /* per class; bias = mean_found - mean_true */
    um_particle_score *particles; /* per class, and one more for all of them; NULL: the truth has no table */
    /* Fraction of positions whose called class is in the truth within 0, 1, 2 px; and the same had everything been
     * called the commonest class, or the commonest class of the background (NaN where nothing is flagged so). */
    double accuracy[UM_SCORE_TOLERANCES], baseline[UM_SCORE_TOLERANCES];
    double baseline_background[UM_SCORE_TOLERANCES];
    double fraction_rms; /* over positions and classes */
} um_score_view;

typedef struct um_state_score {
    char name[UM_SCORE_NAME], phase[UM_SCORE_NAME];
    bool background, geometry_only;
    bool absent;                       /* nowhere in what is compared: never matched, no component's nearest */
    double dip;                        /* of the matched component, 0 .. 1; NaN: shares no reflection */
    int64_t shared, shared_missing;    /* reflections shared with other states; those the component lacks */
    double beyond_true, beyond_found;  /* power of the map beyond the probe's cut-off, as part of all of it */
    double sharpness;                  /* beyond_found / beyond_true */
} um_state_score;

typedef struct um_score {
    int64_t states, components;
    int64_t *component_of; /* per true state: the matched component, -1 if none is left */
    double *cosine;        /* per true state: cosine of patterns over unmasked pixels, 0 if unmatched */
    double label_accuracy; /* fraction of positions whose strongest component is their true state */
    double baseline;       /* accuracy of calling everything the commonest state */
    double fraction_rms;   /* rms error of the fractions (loadings x pattern sums, per position) */
    um_class_score *classes; /* per true state: one component each, extra components are wrong */

    um_state_score *state;
    int64_t *nearest_state; /* per component */
    double *nearest_cosine;
    int64_t *state_of;      /* per component: the state it is counted for: largest cosine of patterns x correlation of maps */
    um_score_view by_state; /* every component counted for a state */
    um_score_view by_phase; /* count 0: the truth names no phases */
    um_crystal_score *crystals; /* NULL: the result has no segments, or the truth no table of particles */
    double least_fraction, probe_px, cut_off_per_px;
    int64_t least_positions;
} um_score;

typedef struct um_score_options {
    double least_fraction;   /* a position holds a state that is not background from this fraction on */
    int64_t least_positions; /* smaller regions are no particles */
    double probe_px;         /* standard deviation of the probe in scan positions; NaN = as the truth says */
} um_score_options;
UM_API um_score_options um_score_defaults(void);

/* Matches components to true states by optimal assignment on the cosine of patterns (over pixels that the result does not
 * exclude); in component_of, label_accuracy and classes extra components stay unmatched and, when strongest at
 * a position, count as wrong; in the views they count for the state whose pattern is nearest. Excluded positions do not
 * count. Of the truth it reads the factors, the loadings and, where present, the arrays `labels`, `fractions` and
 * `particles` and the states of its provenance. options NULL = defaults. Memory: 8*states + 40 bytes per position.
 * Time: positions x states, and positions held by a state x its particles. */
UM_CHECK UM_API um_status um_score_model(um_context *ctx, um_model *result, um_model *truth,
                                         const um_score_options *options, um_score **out);
UM_API void um_score_free(um_score *score);

/* Optimal assignment: maximises the sum of gain[r*columns + assigned[r]]; rows may exceed columns or the
 * other way round; assigned[r] = -1 for rows left over. O(n^3). */
UM_CHECK UM_API um_status um_assign(um_context *ctx, int64_t rows, int64_t columns, const double *gain,
                                    int64_t *assigned);

#ifdef __cplusplus
}
#endif
#endif
