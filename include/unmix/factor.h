/* unmix/factor.h - singular values and non-negative matrix factorisation of a scan, streamed.
 *
 * X (N positions x M pixels, excluded rows and columns left out) is never held; every pass reads the
 * matrix once. Weights (Keenan & Kotula 2004): x'_pq = x_pq / sqrt(a_p b_q), a and b the row and column
 * sums over unmasked entries, 0/0 = 0; undone on output. */
#ifndef UNMIX_FACTOR_H
#define UNMIX_FACTOR_H

#include "unmix/model.h"
#include "unmix/prep.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum um_weights { UM_WEIGHTS_AUTO, UM_WEIGHTS_POISSON, UM_WEIGHTS_NONE } um_weights;

typedef struct um_svd_options {
    int64_t k;             /* components kept */
    um_weights weights;    /* auto = Poisson for counts */
    int power_iterations;  /* extra reads; negative = until the values are stable (at most 8) */
    int oversampling;      /* extra random directions; 0 = 10 + k/2 */
    const um_sums *sums;   /* of the matrix when at hand (borrowed), or NULL: the first read makes them */
    bool sums_before;      /* for um_svd_forecast(): the caller makes them in a read before, and gives them then */
} um_svd_options;

typedef struct um_svd_result {
    um_model *model;         /* U diag(s) as loadings, V as factors, in the data's units; sign: the
                                entry of largest magnitude of each pattern is positive */
    int64_t count;           /* singular values computed (>= k) */
    double *singular_values; /* of the (weighted) matrix */
    double total_variance;   /* sum of all squared singular values = ||X'||_F^2 */
    int64_t elbow;           /* number of components at the elbow of the scree curve */
    double noise_edge;       /* sqrt(N) + sqrt(M) with Poisson weights (normalised so; N and M without
                                empty rows and columns, which hold no noise), else NaN */
    bool weighted;
    int64_t passes;
    um_sums *sums;           /* when the options had none; the caller may take them (and set NULL) */
    double seconds;
} um_svd_result;

/* Bytes of budgeted buffers that um_svd() or um_nmf() will hold at once at its peak, beside those held
 * now; both ask for it first and refuse with UM_ERROR_BUDGET and the number when it is too much. */
UM_API size_t um_svd_plan(const um_matrix *matrix, const um_svd_options *options);
typedef struct um_nmf_options um_nmf_options;
UM_API size_t um_nmf_plan(const um_matrix *matrix, const um_nmf_options *options);

/* The most memory, in bytes, that will be held at once when um_svd() or um_nmf() comes next: budgeted buffers as now and
 * by the plan, further workers, patterns on their way and those kept in memory, and the pages of the program that are
 * touched on the way. Right within 10 %. Looks at some patterns; refuses as the run would. */
UM_CHECK UM_API um_status um_svd_forecast(um_matrix *matrix, const um_svd_options *options, size_t *peak);
UM_CHECK UM_API um_status um_nmf_forecast(um_matrix *matrix, const um_nmf_options *options, size_t *peak);

/* Randomised block subspace iteration, each power iteration one read (Y = X W, C = Y'X, S = Y'Y in one
 * visit). Memory: um_svd_plan(). */
UM_CHECK UM_API um_status um_svd(um_matrix *matrix, const um_svd_options *options,
                                 um_svd_result **out);
UM_API void um_svd_result_free(um_svd_result *result);
/* Elbow: farthest point from the chord of log variance over the first 20 values, as a number of
 * components (index + 1). */
UM_API int64_t um_scree_elbow(const double *singular_values, int64_t count);

typedef enum um_start {
    UM_START_AUTO,      /* separable, NNDSVDAR and seeded random starts, each fitted to the low-rank image
                           of the scan without reading it; the separable one unless another's objective is
                           lower by more than 0.1 %, or with Poisson weights 1 % of the floor */
    UM_START_SEPARABLE, /* the purest positions of the scan: smoothed successive projection in the space
                           of the leading singular vectors */
    UM_START_NNDSVD,   /* zeros stay zero */
    UM_START_NNDSVDA,  /* zeros filled with the mean */
    UM_START_NNDSVDAR, /* zeros filled with small random values */
    UM_START_RANDOM,
    UM_START_FILE
} um_start;

/* What ends a fit. The floor is told by Poisson weights: once more passes would gain less than a tenth of what
 * fitting noise gains, k (1/N + 1/M), and turn no component by more than 0.1 rad (one more pass is made for that; for
 * small scans up to 8, until 0.02 rad). It needs UM_START_AUTO; without weights there is none, and the tolerance
 * ends the fit. */
typedef enum um_stop {
    UM_STOP_AUTO,     /* the floor, for a scan of at most 10^8 values a tenth of it; the tolerance where one
                         is given */
    UM_STOP_FLOOR,    /* the floor, or the tolerance when it is reached before, for a scan of any size */
    UM_STOP_TOLERANCE /* the tolerance of the KKT residual alone */
} um_stop;

typedef enum um_normalize { UM_NORMALIZE_SUM, UM_NORMALIZE_MAX, UM_NORMALIZE_NORM } um_normalize;

typedef enum um_loss {
    UM_LOSS_FROBENIUS, /* squared errors, weighted or not */
    UM_LOSS_KL         /* sum(x log(x/y) - x + y), y = WH: the likelihood of Poisson counts */
} um_loss;

struct um_nmf_options {
    int64_t k;
    um_loss loss;
    um_weights weights;
    um_start start;
    const char *start_file;  /* .npz with factors and loadings, or .npy/.hspy with factors (k, ky, kx).
                                From both, the first passes are plain coordinate descent (one sweep
                                each, not extrapolated), which ends in the minimum nearest to them */
    um_normalize normalize;
    double tolerance;        /* of the KKT residual, see um_nmf_result; negative (the default) = 1e-5 */
    um_stop stop;
    int64_t max_passes;
    const char *checkpoint;  /* path of the checkpoint file, or NULL. It stays after success: the caller
                                removes it once the result is saved */
    bool resume;             /* go on from the checkpoint if there is one: the result is then the same,
                                bit for bit, as without the interruption */
    double checkpoint_seconds; /* least time between checkpoints; 0 = after every pass */
    /* Variants of UM_LOSS_FROBENIUS, begun at the plain fit; strengths in units of the counting noise of a loading or
     * pattern value with Poisson weights (else of the data), 0 = off. The terms (src/factor/nmf_family.h) do not
     * change when a component's scale moves between loadings and pattern. Each step is one visit of the patterns,
     * two with probe_px or smooth; ends when four steps gain less than the tolerance of the objective. */
    double sparse_loadings; /* sum of loadings */
    double sparse_patterns; /* sum of pattern values */
    double orthogonal;      /* products of loadings of different components; 0.05 in Shiga et al. 2016 */
    bool relevance;         /* automatic relevance determination (Tan & Fevotte 2013; Shiga 2016): components that
                               do not pay for themselves go, those with patterns correlated above 0.99 are joined */
    double smooth;          /* squared differences of loadings between neighbouring positions */
    double dips;            /* log det of the cosines between patterns: they may share reflections (minimum volume,
                               Fu et al. 2019); relative to the curvature of the fit */
    double robust;          /* counts by which an entry exceeds the model by more than so many times its noise (and so
                               many counts) are taken for outliers; the model's array outlier_share (ny, nx) */
    double probe_px;        /* loadings are non-negative maps behind a Gaussian probe of this standard deviation */
    int64_t second_pass;    /* > 0: where the residual of the plain fit exceeds counting noise, up to so many further
                               components are fitted with the first ones held (src/factor/second_pass.c); negative =
                               as many as the residual has evidence for, at most 8; 0 = none. Needs Poisson weights;
                               excludes UM_LOSS_KL and the variants. Two more visits, and up to 4,096 patterns and
                               48 MB in memory */
    const char *fixed_file; /* patterns (f, ky, kx) as prepared that are held; k counts them; or NULL */
    const float *held;      /* patterns (k x ky*kx, in counts) that are all held: only loadings are found, exactly, in
                               one visit (and one for the sums); or NULL. Frobenius loss, no variants */
    const um_sums *sums;     /* of the matrix when at hand (borrowed), or NULL: the first read makes them */
    /* An aperture whose sums are wanted in the same read, or NULL: sets inside (ky*kx, zeroed) to 1 where it
     * is, once the sums are known. */
    um_status (*choose_aperture)(void *user, const um_sums *sums, float *inside);
    void *aperture_user;
};
UM_API um_nmf_options um_nmf_defaults(int64_t k);

/* Where a map of residuals stands out of the rest of the map. */
typedef struct um_excess {
    int64_t positions; /* around which the mean over 3 x 3 positions stands out; 0 = nowhere */
    int64_t y, x;      /* the strongest, or -1 */
    double sigmas;     /* its excess in standard deviations */
} um_excess;
/* Places where `map` (ny x nx; NaN = excluded) exceeds its median by more than 10 standard deviations in the mean over
 * 3 x 3 positions without the largest of them, as it does where a phase is missed. spread: standard deviation that noise gives each value; where
 * the whole map varies more than that, its own width is taken (from the median down, where excess does not count).
 * Two maps of doubles are held meanwhile. */
UM_CHECK UM_API um_status um_find_excess(um_context *ctx, int64_t ny, int64_t nx, const double *map,
                                         const double *spread, um_excess *out);

/* What a second pass did. A position exceeds when its squared residual, or the mean over 3 x 3 positions, is more than
 * 5 standard deviations of counting noise above its mean. */
typedef struct um_second_pass {
    int64_t first;         /* components of the first fit: they come first in the model, array component_pass = 1 */
    int64_t components;    /* added: component_pass = 2 */
    int64_t before, after; /* positions that exceed */
    int64_t taken;         /* of them those that the added components were fitted to, a sample of them if many */
    int64_t pixels;        /* at which the residual there differed from zero */
    double squares_before, squares_after; /* squared weighted residual; counting noise has variance one */
} um_second_pass;

typedef struct um_nmf_result {
    um_loss loss;
    um_model *model;         /* ordered by contribution sum(w_c) sum(h_c); arrays and provenance of the
                                fit are set, provenance of the input is the caller's */
    bool converged;
    bool weighted;
    int64_t iterations, passes; /* passes over the matrix; reads of the source are um_matrix_passes() */
    double frobenius_error;  /* ||X - WH||_F, original units, unmasked entries */
    double relative_error;   /* the same / ||X||_F */
    double weighted_error;   /* in the weighted units; = frobenius_error without weights */
    double noise_ratio;      /* mean squared residual in units of counting noise (1 = only noise is
                                left), with Poisson weights, else NaN */
    double kkt;              /* norm of the projected gradient at (W, H) relative to that of the empty
                                model: sqrt(|P(WHH'-XH')|^2 + |P(W'WH-W'X)|^2) / sqrt(|XH'|^2 + |W'X|^2),
                                in the weighted units, H of unit rows. With UM_LOSS_KL: counts that a
                                step of W and H would move, as a share of all */
    double divergence;       /* with UM_LOSS_KL: sum(x log(x/y) - x + y) over unmasked entries; else NaN */
    double fit_cost;         /* of a variant: squared weighted error relative to that of the plain fit, less
                                one; else NaN */
    int64_t variant_steps;   /* of W and H, after the plain fit */
    int64_t removed;         /* components that relevance determination took away */
    double removed_noise;    /* how much of fit_cost these can have gained by fitting noise alone, at most:
                                (sqrt N + sqrt M)^2 each, the square of the largest singular value of noise */
    double floor;            /* k (1/N + 1/M), the share of the objective that fitting noise takes;
                                0 without Poisson weights */
    double lower_bound;      /* no rank-k model has a smaller weighted error: sqrt(||X'||^2 - the sum of
                                the k largest squared singular values), as far as those are known;
                                NaN with UM_LOSS_KL */
    double remaining;        /* estimate of the relative decrease that more passes would bring, or NaN */
    um_sums *sums;           /* when the options had none; the caller may take them (and set NULL) */
    double *outlier_share;   /* of the counts of each position (ny*nx), with options.robust, or NULL */
    double *virtual_map;     /* sums over the aperture (ny*nx; NaN where excluded), the same; or NULL */
    um_stop stop;            /* what was to end the fit: UM_STOP_FLOOR or UM_STOP_TOLERANCE */
    const char *stopped;     /* why it ended, in words */
    um_second_pass second;   /* with options.second_pass, else zero */
    um_excess excess;        /* of the weighted residual map, with Poisson weights: a phase may be missing */
    const char *more_reads;  /* why reads were made beyond the usual, and what came of it, or NULL */
    double seconds;
} um_nmf_result;

/* HALS on rows of W, one exact pass per iteration: with H fixed the rows of W are independent, so one
 * visit computes A = X H', updates W, and accumulates W'X and W'W; then H is updated from those.
 * With UM_LOSS_KL rows of W move by Newton steps and H by extrapolated multiplicative ones from W'(X/WH) (nmf_kl.c),
 * at the same cost in reads; the automatic start is the weighted least-squares solution of the low-rank image.
 * The returned W is the converged non-negative least-squares solution for the returned H, and every
 * error is of exactly the returned factors.
 * Memory: um_nmf_plan(). Errors: UM_ERROR_VALUE for NaN or negative data. */
UM_CHECK UM_API um_status um_nmf(um_matrix *matrix, const um_nmf_options *options,
                                 um_nmf_result **out);
UM_API void um_nmf_result_free(um_nmf_result *result);

#ifdef __cplusplus
}
#endif
#endif
