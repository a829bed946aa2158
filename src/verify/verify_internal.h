/* What the files of the scores share. */
#ifndef UM_VERIFY_INTERNAL_H
#define UM_VERIFY_INTERNAL_H

#include "base_internal.h"
#include "unmix/shapes.h"
#include "unmix/verify.h"

/* One side of the comparison: patterns, loadings, and the counts that a loading of 1 puts into the pixels compared. */
typedef struct um_side {
    int64_t k;
    const float *factors, *loadings;
    double *sums;
} um_side;

typedef struct um_comparison {
    um_context *ctx;
    um_score_options options;
    um_shape shape;
    int64_t positions, pixels;
    double step_nm[2]; /* along y, x; NaN = not calibrated */
    um_side result, truth;
    const uint8_t *pixel_mask, *position_mask; /* of the result, may be NULL */
    const um_array *labels, *fractions, *particles; /* of the truth, may be NULL */
    double *alike; /* states x components: cosines of patterns */
    const um_array *segments, *parts; /* of a segmented result: numbers of particles, fractions; else NULL */
    int64_t most_segment;
    double *unit; /* per state: counts in the pixels compared of a position that it has all to itself */
    float *found; /* positions x states: fractions of the result, all components counted for a state */
    float *share; /* positions x states: true fractions */
    um_score *score;
} um_comparison;

static inline bool um_compared(const uint8_t *mask, int64_t i)
{
    return mask == NULL || mask[i] == 0;
}

/* part / whole, NaN where there is no whole. */
double um_part(double part, double whole);
/* Counts of one component at a position; 0 where the loading is not a number. */
double um_side_counts(const um_side *side, int64_t position, int64_t component);

/* score_match.c: pattern sums, assignment, nearest states. */
um_status um_score_match(um_comparison *c);
/* score_fractions.c: makes c->unit, c->found and c->share; and the error by counts. */
um_status um_score_fractions(um_comparison *c);
double um_score_error_by_counts(const um_comparison *c);

/* What a position is called, in place of the states by themselves: classes, of states or phases. */
typedef struct um_view {
    const um_comparison *c;
    um_score_view *out;
    const int64_t *class_of;          /* per state */
    bool has_background;
    int32_t *true_label, *found_label; /* per position; found: -1 = none */
} um_view;
/* The summed fraction of one class at a position. */
double um_view_fraction(const um_view *view, const float *fractions, int64_t position, int64_t class);
/* score_labels.c */
um_status um_score_one_to_one(um_comparison *c);
um_status um_score_view_make(um_comparison *c, int64_t count, const int64_t *class_of, um_score_view *out);
void um_score_view_clear(um_score_view *view);
/* score_tally.c: accuracy, baselines, precision and recall of two maps of labels. */
um_status um_score_tally(const um_view *view);
/* score_particles.c */
um_status um_score_particles(const um_view *view);
/* score_crystals.c: the crystals of a segmented result; does nothing for others, or without a table of particles. */
um_status um_score_crystals(const um_view *view);
/* score_dips.c, score_sharpness.c */
um_status um_score_dips(um_comparison *c);
um_status um_score_sharpness(um_comparison *c);
/* score_truth.c: names and flags of the states, the probe. */
um_status um_score_read_truth(um_comparison *c, const um_model *truth);

#endif
