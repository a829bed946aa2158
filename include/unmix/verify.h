/* unmix/verify.h - is the result right? Scores against a known truth. */
#ifndef UNMIX_VERIFY_H
#define UNMIX_VERIFY_H

#include "unmix/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_class_score {
    int64_t truth, positions; /* index of the true state; positions that have it as label */
    double precision, recall, f1;
} um_class_score;

typedef struct um_score {
    int64_t states, components;
    int64_t *component_of; /* per true state: the matched component, -1 if none is left */
    double *cosine;        /* per true state: cosine of patterns over unmasked pixels, 0 if unmatched */
    double label_accuracy; /* fraction of positions whose strongest component is their true state */
    double baseline;       /* accuracy of calling everything the commonest state */
    double fraction_rms;   /* rms error of the fractions (loadings x pattern sums, per position) */
    um_class_score *classes; /* per true state */
} um_score;

/* Matches components to true states by optimal assignment on the cosine of patterns (over pixels that
 * the result does not exclude); extra components stay unmatched and, when strongest at a position, count as
 * wrong. Excluded positions do not count. */
UM_CHECK UM_API um_status um_score_model(um_context *ctx, um_model *result, um_model *truth,
                                         um_score **out);
UM_API void um_score_free(um_score *score);

/* Optimal assignment: maximises the sum of gain[r*columns + assigned[r]]; rows may exceed columns or the
 * other way round; assigned[r] = -1 for rows left over. O(n^3). */
UM_CHECK UM_API um_status um_assign(um_context *ctx, int64_t rows, int64_t columns, const double *gain,
                                    int64_t *assigned);

#ifdef __cplusplus
}
#endif
#endif
