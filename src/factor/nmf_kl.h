/* Factorisation under the Poisson likelihood: the pass (kl_pass.c) and the iterations (nmf_kl.c). */
#ifndef UM_NMF_KL_H
#define UM_NMF_KL_H

#include "factor_internal.h"

/* One visit of all patterns in the units of the data: with H = state->h held, rows of W go to the minimum of
 * D = sum(x log(x / y) - x + y), y = WH; then b = W'(X / WH). Memory beside the caller's: um_kl_pass_bytes(). */
typedef struct um_kl_pass {
    const um_scaled *scaled;
    um_nmf_state *state;
    size_t stride;
    int sweeps;  /* most Newton sweeps of a row */
    double stop; /* of a row's counts that a sweep still moves */
    double mix;  /* > 0: the rows begin with this share of their counts spread over all components, once */
    um_companion after;
    float *h; /* k x ld */
    /* results */
    double *b;     /* k x m */
    double *w_sum; /* k */
    double *h_sum; /* k */
    double *map;   /* n: divergence of each pattern */
    double divergence, counts;
    double moved;  /* counts that the last sweeps moved: nothing at the minimum */
} um_kl_pass;
um_status um_kl_pass_create(um_scaled *scaled, um_nmf_state *state, um_kl_pass *out);
um_status um_kl_pass_run(um_kl_pass *pass, const char *stage);
void um_kl_pass_free(um_kl_pass *pass);

/* From a start to the minimum of D, one visit an iteration and a last one that judges the pair (state->h is then the
 * H of the result, and `residual` is of it). */
um_status um_nmf_kl_passes(um_scaled *scaled, const um_nmf_options *options, um_nmf_state *state,
                           um_residual *residual, um_nmf_result *result);
size_t um_kl_pass_bytes(size_t m, size_t ld, size_t k);
um_stop um_nmf_kl_stop_rule(const um_nmf_options *options);

#endif
