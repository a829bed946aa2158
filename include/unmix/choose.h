/* unmix/choose.h - how many components a scan gives evidence for.
 *
 * The counts of position p and pixel q are Poisson of mean (W H)_pq, so that three things can be told without
 * knowing k:
 *   singular values  of X weighted so that counting noise has unit variance in every row and column ("bi-whitened",
 *                    Landa, Zhang & Kluger 2022; factors by Sinkhorn iteration on the low-rank image): noise alone
 *                    stays below sqrt(N) + sqrt(M);
 *   count splitting  each count is divided binomially into two halves, which are independent; a model of k
 *                    components is fitted to one half and judged by the Poisson deviance of the other, both ways;
 *   held-out entries a fifth of the positions at a fifth of the pixels is left out, five times, and told from the k leading
 *                    singular triplets of the rest (bi-cross-validation, Owen & Perry 2009);
 *   residual         positions whose squares exceed counting noise about the fit of k components;
 *   stability        components of the halves, and of other starts, are matched one to one by their cosine.
 * The same is done once more on the scan summed over small squares, where rare and faint states stand out. */
#ifndef UNMIX_CHOOSE_H
#define UNMIX_CHOOSE_H

#include "unmix/factor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_choose_options {
    int64_t least, most; /* the k of the table: least .. most; 0 = 2 and 20, or fewer where the scan is small */
    um_weights weights;  /* auto = Poisson for counts; without them only the scree curve is told */
    const um_sums *sums; /* of the matrix when at hand (borrowed), or NULL */
    bool brief;          /* no fits beyond 4 components above what singular values show; the table ends there */
} um_choose_options;

/* What is known about k components. Numbers that do not exist are NaN. */
typedef struct um_choose_row {
    int64_t k;
    double singular_value;  /* the k-th, bi-whitened, in units of the noise edge */
    double binned_value;    /* the same of the binned scan */
    double objective;       /* squared error of the low-rank image, as a share of that of one component */
    double deviance;        /* Poisson deviance of the held-out halves per value */
    double error;           /* standard error of its difference from the best k, over positions */
    double binned_deviance, binned_error;
    double entry_error;     /* mean square of held-out entries (unit noise), as a share of that of one component */
    double entry_spread;    /* standard error of its difference from the best k, over positions */
    double beyond_noise;    /* part of the positions whose residual exceeds counting noise (1 % false discoveries) */
    double median_cosine, worst_cosine; /* between matched components of the halves */
    double start_cosine;                /* worst, between two starts on all counts */
    double silhouette;                  /* least mean silhouette of a matched cluster (halves, starts) */
    double scree;                       /* singular value with Poisson weights, / the noise edge */
} um_choose_row;

typedef struct um_choose_result {
    int64_t recommended, low, high;
    bool more;       /* more singular values are above the noise than components were compared: high is no limit */
    bool structure;  /* whether more than one pattern is there at all */
    bool counts;     /* whether the noise is that of counts: else only stability and the elbow are told */
    double gain;     /* stored value per count: variance over mean of what the model leaves */
    bool split;      /* whether counts could be split */
    const char *why; /* one sentence: what decided, or why nothing can be told */
    int64_t above;          /* bi-whitened singular values above the edge */
    int64_t above_binned;   /* the same of the binned scan; -1 = none was made */
    int64_t held_out;       /* fewest components within one standard error of the best held-out deviance */
    int64_t held_out_best;  /* where that is least */
    int64_t held_out_binned, held_out_binned_best;
    int64_t held_out_entries, held_out_entries_best; /* as held_out, of entries left out of the fit; 0 = none */
    int64_t elbow;          /* of the scree curve, for reference */
    int64_t binned_side;    /* positions along a square of the binned scan; 0 = none */
    int64_t sampled;        /* positions that were split */
    um_choose_row *row;
    int64_t rows;
    double *singular_values; /* all that were computed, bi-whitened, in units of the noise edge */
    int64_t values;
    um_sums *sums;           /* when the options had none; the caller may take them (and set NULL) */
    double seconds;
} um_choose_result;

/* All k share the reads of the scan: a sample, one or two reads (more visits of a scan that stays in memory), and one
 * under the bi-whitened weights.
 * Memory: um_choose_plan(). Errors: UM_ERROR_VALUE for NaN, negative or only zero values. */
UM_CHECK UM_API um_status um_choose(um_matrix *matrix, const um_choose_options *options,
                                    um_choose_result **out);
UM_API void um_choose_result_free(um_choose_result *result);
/* Bytes of budgeted buffers at its peak; see um_svd_plan(). */
UM_API size_t um_choose_plan(const um_matrix *matrix, const um_choose_options *options);

#ifdef __cplusplus
}
#endif
#endif
