/* unmix/evidence.h - how sure is a factorisation, and is it real? Standard errors, suspicions and tests of the
 * residual of a stored result, without reading the scan.
 *
 * Per position the loadings are weighted least squares with weights D = diag(1/b_q), b the sum pattern (D = 1 for
 * results without Poisson weights): w = G^-1 H D x, G = H D H'. Counting noise of variance l = sum_c w_c h_c gives
 *     cov(w) = G^-1 (sum_c w_c T_c) G^-1,    T_c = H D diag(h_c) D H',
 * on the components that are not zero there (a zero loading has the error that it would have were all free).
 * Patterns the same with G = W'EW, E = diag(1/a_p), a the sum map. Not in these errors: that the other factor is itself
 * uncertain, and that several pairs of factors may fit alike (rotational ambiguity). docs/verify.md. */
#ifndef UNMIX_EVIDENCE_H
#define UNMIX_EVIDENCE_H

#include "unmix/model.h"
#include "unmix/prep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a component may be instead of a phase or crystal: enum, word, name, is it a fault? */
#define UM_SUSPICION_LIST(X)                                                                                                \
    X(UM_SUSPECT_DUPLICATE, "duplicate", "the same pattern twice", true) /* pattern is that of another within its errors */ \
    X(UM_SUSPECT_SPLIT, "split", "one crystal in two components", true) /* the same reflections, other intensities */       \
    X(UM_SUSPECT_SHIFTED, "shifted", "a moved copy", true) /* pattern is a moved copy of another */                         \
    X(UM_SUSPECT_AFTERGLOW, "afterglow", "afterglow of the detector", true) /* another, one position later in the row */    \
    X(UM_SUSPECT_HOT_PIXEL, "hot_pixel", "hot pixel", true) /* single pixels far above what is around them */               \
    X(UM_SUSPECT_LONE, "lone", "a single position", true) /* what it holds is in one position */                            \
    X(UM_SUSPECT_UNSTABLE, "unstable", "not settled", true) /* does not come back from half of the counts */                \
    X(UM_SUSPECT_BACKGROUND, "background", "background", false) /* smooth pattern, there everywhere */                      \
    X(UM_SUSPECT_FILM, "film", "film or glass", false) /* rings */                                                          \
    X(UM_SUSPECT_THICKNESS, "thickness", "thickness or tilt", false) /* its share follows the counts of the position */

typedef enum um_suspicion_kind {
#define UM_SUSPICION_ENUM(kind, word, name, fault) kind,
    UM_SUSPICION_LIST(UM_SUSPICION_ENUM)
#undef UM_SUSPICION_ENUM
        UM_SUSPICION_COUNT
} um_suspicion_kind;

typedef struct um_suspicion {
    um_suspicion_kind kind;
    int64_t component, with; /* with: the other component, or -1 */
    char reason[240];        /* one sentence with the numbers */
} um_suspicion;

/* Two components that act as one crystal. */
typedef struct um_merge {
    int64_t first, second;
    char reason[240];
} um_merge;

typedef struct um_card {
    double contribution;       /* share of all modelled counts */
    double loading_error;      /* of the mean loading where it is the strongest: rms standard error / mean loading */
    double pattern_error;      /* the same of the pattern: norm of the errors / norm of the pattern */
    double residual;           /* mean squared residual in units of counting noise, weighted by its share; or NaN */
    double signal_correlation; /* of its share with the sum map (thickness, tilt), or NaN */
    int64_t positions;         /* where it is the strongest */
    /* Filled by um_evidence_read(), NaN before: of its share, where it is present, with the counts outside the direct
     * beam by all (thickness), and the multiple correlation with the centre of mass of these (tilt). */
    double thickness_correlation, tilt_correlation;
    /* Filled by um_evidence_refit() (unmix/stability.h), NaN before. */
    double half_cosine;        /* between its patterns (weighted) in two fits to independent halves of the counts */
    double noise_cosine;       /* that which counting noise alone would leave of 1 */
    double half_loading_error; /* as loading_error, from how the halves differ */
    double half_pattern_error; /* as pattern_error */
    double start_cosine;       /* with its pattern in fits from other starts that fit as well: median */
    double start_share;        /* of these fits, the part that has it: cosine above 0.95 */
} um_card;

enum { UM_WORST = 10 };
typedef struct um_worst {
    int64_t y, x;
    double residual, expected, sigmas; /* mean squared residual in units of noise; excess in standard deviations */
    float *measured, *model;           /* patterns (ky*kx), NULL until read */
} um_worst;

typedef struct um_evidence {
    um_context *ctx; /* whose budget holds the maps */
    int64_t k, positions, pixels;
    bool weighted;
    um_card *cards;
    um_suspicion *suspicions; /* by component, then kind */
    int64_t suspicion_count;
    um_merge *merges;
    int64_t merge_count;
    double *loading_error;  /* positions x k */
    double *pattern_error;  /* k x pixels */
    double *fraction_low, *fraction_high; /* positions x k: 90 % interval of the share of the counts */
    /* Residual against counting noise, at a false discovery rate of 1 % (Benjamini & Hochberg 1995); NaN where the
     * result has no weighted residual map. */
    double positions_beyond_noise, pixels_beyond_noise; /* fractions of those not excluded */
    double *position_sigmas; /* positions: excess of the residual in standard deviations of counting noise */
    double *pixel_sigmas;    /* pixels */
    double dispersion; /* median squared residual by that of counting noise: 1 for counts, the gain otherwise */
    bool unmodelled;         /* a place stands out: a phase may be missing */
    char unmodelled_reason[240];
    /* Of the scan, by um_evidence_read(); NaN and 0 before. The correlation of residuals of neighbours in a row; the
     * part of a signal that the detector shows once more at the next position, 0 = not found. */
    double row_correlation, afterglow;
    char afterglow_reason[240];
    um_worst worst[UM_WORST];
    int64_t worst_count;
    /* Of um_evidence_refit(); 0 before. */
    int64_t refit_positions;      /* positions that were fitted again */
    int64_t starts, starts_alike; /* other starts; of them those that fit as well as the result */
} um_evidence;

/* Of an NMF result: factors and loadings not negative. Uses the arrays sum_map, sum_pattern, residual_map_weighted,
 * residual_pattern_rms where they are there (the model's own sums for the first two otherwise). Reads nothing.
 * Time: N k^3 + M k^3 + k^2 M (patterns compared at shifts). Memory: 8 bytes x (3 N k + M k + 4 (N + M)).
 * Errors: UM_ERROR_VALUE for signed factors. */
UM_CHECK UM_API um_status um_evidence_make(um_context *ctx, um_model *model, um_evidence **out);
UM_API void um_evidence_free(um_evidence *evidence);
/* Fills worst[].measured and .model, row_correlation, afterglow, and the correlations with thickness and tilt from the
 * matrix that the model was made of: one read, N M k operations, 12 bytes a pixel and worker, 24 a position. */
UM_CHECK UM_API um_status um_evidence_read(um_context *ctx, um_model *model, um_matrix *matrix,
                                           um_evidence *evidence);
UM_CHECK UM_API um_status um_evidence_store(const um_evidence *evidence, um_model *model);
UM_API const char *um_suspicion_word(um_suspicion_kind kind); /* for scripts */
UM_API const char *um_suspicion_name(um_suspicion_kind kind); /* for people */
UM_API bool um_suspicion_is_fault(um_suspicion_kind kind);

#ifdef __cplusplus
}
#endif
#endif
