/* unmix/ica.h - independent components and simple structure: rotations of the space of the singular vectors.
 *
 * X ~ L F (loadings N x k, patterns k x M of um_svd(), in the data's units) is left as it is by any regular
 * k x k matrix W: X ~ (L W') (W^-T F). With on_loadings the sources are s_p = W l_p, one sample per scan
 * position; else s_q = W f_q, one sample per detector pixel. W is chosen so that the sources are
 *   FASTICA: uncorrelated, of unit variance, and as far from Gaussian as possible: the fixed point of
 *     w <- E[z g(w'z)] - E[g'(w'z)] w with g = tanh (contrast log cosh), z whitened and centred, all rows made
 *     orthogonal at once, (W W')^-1/2 W (Hyvarinen 1999, IEEE Trans. Neural Netw. 10, 626);
 *   VARIMAX: an orthonormal basis turned until the variance of the squared sources is largest (Kaiser 1958,
 *     Psychometrika 23, 187; of images in the space of positions: Keenan 2009, Surf. Interface Anal. 41, 79):
 *     the fixed point of w <- E[z (w'z)^3] - E[(w'z)^2] w, not centred, begun at the singular vectors.
 * Components have signs and are no fractions: they are ordered by |loading| |pattern|, the largest first, and the
 * entry of largest magnitude of each pattern is positive. */
#ifndef UNMIX_ICA_H
#define UNMIX_ICA_H

#include "unmix/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum um_ica_method { UM_ICA_FASTICA, UM_ICA_VARIMAX } um_ica_method;
UM_API const char *um_ica_method_name(um_ica_method method); /* "fastica", "varimax" */

typedef struct um_ica_options {
    int64_t k; /* leading components of the model that are turned; 0 = all */
    um_ica_method method;
    bool on_loadings;
    int64_t max_iterations; /* 1000 */
    double tolerance;       /* ends when 1 - |cos| of what each row turned in an iteration is less; 1e-8 */
} um_ica_options;
UM_API um_ica_options um_ica_defaults(void);

typedef struct um_ica_result {
    um_ica_method method;
    bool on_loadings;
    int64_t k, samples, iterations;
    bool converged;
    double change;   /* largest 1 - |cos| in the last iteration */
    double *matrix;  /* W, k x k */
    double *strength; /* k: |loading| |pattern| of each component */
    double *kurtosis; /* k: of its source, in excess of a Gaussian's */
    double seconds;
} um_ica_result;

/* Finds W for the model of um_svd() and stores it with the model (arrays bss_matrix, bss_mixing,
 * bss_on_loadings), whose files then hold HyperSpy's bss_factors and bss_loadings. Reads nothing; each iteration
 * goes once through the samples, in the context's threads, the same bits for any number of them. Memory: k^2 a few
 * times per thread. The start of FASTICA is drawn from the context's seed. UM_ERROR_NUMERIC when the components
 * depend on each other; one that does not converge is a result, with a warning. */
UM_CHECK UM_API um_status um_ica(um_context *ctx, um_model *model, const um_ica_options *options,
                                 um_ica_result **out);
UM_API void um_ica_result_free(um_ica_result *result);

#ifdef __cplusplus
}
#endif
#endif
