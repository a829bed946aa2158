/* Parts of the choice of k. Every image here is bi-whitened: unit noise variance in every row and column. */
#ifndef UM_CHOOSE_INTERNAL_H
#define UM_CHOOSE_INTERNAL_H

#include "factor_internal.h"
#include "unmix/choose.h"

/* ---- weights ---------------------------------------------------------------------------------------- */

/* A low-rank image under weights of its own. */
typedef struct um_white {
    um_scaled scaled; /* n, u and v are its own */
    um_subspace image; /* singular triplets under these weights, largest first */
} um_white;
/* Variance of a value by its mean: squares that the singular triplets above noise leave of a sample, by the sum of
 * what they tell, median over pixels. */
um_status um_gain(const um_scaled *scaled, const um_subspace *subspace, const um_sample *sample,
                  double *gain);
/* Power iterations over the values: with no walk, reads of the matrix. */
typedef struct um_visits {
    int rounds;
    um_status (*walk)(void *walker, const um_visitor *visitor, void *user);
    void *walker;
} um_visits;
/* From singular triplets under Poisson weights: Sinkhorn factors of the image of those above noise of this gain,
 * and the triplets of the values under these, from visits that begin with the directions of that image. */
um_status um_whiten(const um_scaled *scaled, const um_subspace *subspace, double gain,
                    const um_visits *visits, um_white *out);
void um_white_free(um_context *ctx, um_white *white);
/* The part of `white` at some positions; borrows v. */
um_status um_white_at(const um_white *white, const um_sample *at, um_white *out);
/* Singular values of unit noise stay below: sqrt(N) + sqrt(M) and the fluctuation of the largest. */
double um_white_edge(const um_scaled *scaled);
double um_white_edge_of(size_t rows, int64_t columns);
double um_white_margin(const um_scaled *scaled); /* 1 and that fluctuation, relative */

/* ---- halves ----------------------------------------------------------------------------------------- */

/* Counts of rows split into two independent halves, each with its image. */
typedef struct um_half {
    um_sample sample;
    um_scaled scaled;  /* u is its own, v borrowed */
    um_subspace image;
    double *row, *column; /* sums of counts */
    double total;
} um_half;
/* Splits the counts round(value / unit) of `from`, under weights u (from->rows) and v of the values. */
typedef struct um_split {
    const um_scaled *scaled;
    const um_sample *from;
    const float *u, *v;
    double unit;
    uint64_t stream; /* keeps the numbers of different splits apart */
    size_t directions;
} um_split;
um_status um_halves_make(const um_split *split, um_half half[2]);
/* The largest singular value of the difference of the halves, which holds their noise and nothing else, by the edge. */
um_status um_halves_edge(const um_half half[2], double *edge);
void um_halves_free(um_context *ctx, um_half half[2]);
double um_count_at(const um_sample *half, size_t at); /* of a sample of counts that was split */
/* One fair coin per count: of `count`, how many go into the first half. */
uint32_t um_thin(um_random random, uint64_t counter, uint32_t count);

/* ---- fits for all k --------------------------------------------------------------------------------- */

typedef struct um_path {
    size_t most;         /* fits of 1 .. most components, at [k - 1] */
    um_nmf_state *fit;   /* the best of its starts */
    um_nmf_state *other; /* another start, where two were made; h only */
    double *objective;   /* |image - W H|^2 */
} um_path;
/* Each k starts from the fit of k - 1 and the leading part of what that leaves; up to `thorough` also from the purest
 * rows. */
um_status um_path_fit(um_scaled *scaled, const um_subspace *image, size_t most, size_t thorough,
                      um_path *out);
void um_path_free(um_context *ctx, um_path *path);

/* ---- evidence --------------------------------------------------------------------------------------- */

/* Deviances of each half under the fits to the other, at [(k - 1) * rows + r], of both added; rows malloc'ed. */
um_status um_held_out(const um_half half[2], const um_path path[2], double **deviance);
/* Means over all values, standard errors of the difference from the best k, and the two choices. */
typedef struct um_held_out_choice {
    int64_t best, fewest; /* least deviance; fewest components within one standard error of it */
} um_held_out_choice;
um_held_out_choice um_held_out_choose(const double *deviance, size_t rows, size_t values, size_t most,
                                      double *mean, double *error);

/* Cosines of the (weighted) patterns of two fits, k x k. */
void um_pattern_cosines(const um_scaled *scaled, size_t k, const float *a, const float *b, double *out);

/* Squares that 1 .. most components leave of the held-out entries of each row, at [(k - 1) * rows + r]. */
um_status um_held_out_entries(const um_scaled *white, const um_sample *sample, size_t most, double *error);
/* Part of the rows whose residual under each fit exceeds counting noise; unit: value of a count. */
um_status um_residual_tests(const um_scaled *white, const um_sample *sample, const um_path *path, double unit,
                            double *beyond);

typedef struct um_agreement {
    double median, worst, starts, silhouette;
} um_agreement;
um_status um_agree(const um_scaled *scaled, size_t k, const um_path *full, const um_path half[2],
                   um_agreement *out);

/* ---- the parts together ------------------------------------------------------------------------------ */

typedef struct um_choosing {
    um_scaled scaled;
    um_subspace subspace; /* under Poisson weights, of all positions */
    um_binned *binned;    /* borrowed from the subspace, or own */
    um_white white;
    um_sample sample;     /* the positions that are split */
    double unit;          /* value of a count: the gain, or 1 where that is near */
    size_t most;
    bool brief;
    um_choose_result *result;
} um_choosing;

/* Singular values above the edge of noise; unit: value of a count, edge: of the halves' noise. */
int64_t um_above_edge(const um_white *white, double unit, double edge);
/* Halves, fits and agreement on the sample of positions, and on the binned scan. */
um_status um_look_at_positions(um_choosing *c);
um_status um_look_at_binned(um_choosing *c);

/* The recommendation from what the result holds otherwise. */
void um_choose_decide(um_choose_result *result);

#endif
