/* unmix/online.h - patterns of components from a scan that is still being measured, a batch of positions at a time. */
#ifndef UNMIX_ONLINE_H
#define UNMIX_ONLINE_H

#include "unmix/factor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Online factorisation (Mairal, Bach, Ponce and Sapiro 2010) in the weighted space of um_nmf(): of what has been seen,
 * S = sum_p w_p x_p / a_p and G = sum_p w_p w_p' / a_p are kept (a_p the counts of a pattern; 1 without weights), W is
 * solved exactly for each batch, and H is the best for S and G of all batches together, three times a batch. Loadings
 * are not kept: um_nmf() with options.held finds them for the final patterns.
 * With Poisson weights the first batch begins with as many components as its singular values give evidence for, and
 * a batch whose residual exceeds counting noise adds more, until there are k (um_second_pass). Without weights there
 * are k from the first batch on. */
typedef struct um_online um_online;

typedef struct um_online_options {
    int64_t k; /* components at most */
    um_weights weights;
} um_online_options;

/* The context must outlive it. Memory: 3 k M numbers; a batch takes what um_nmf() takes for it. */
UM_CHECK UM_API um_status um_online_create(um_context *ctx, const um_online_options *options, um_online **out);
/* Batches must have the same pixels, prepared and masked alike (else UM_ERROR_SHAPE), the first one at least k
 * patterns. Some five visits of the batch. Without counts a batch changes nothing. */
UM_CHECK UM_API um_status um_online_add(um_online *online, um_matrix *batch);
/* k x (ky*kx), rows of sum one; NULL and k = 0 before the first batch. Borrowed until the next one. */
UM_API const float *um_online_patterns(const um_online *online, int64_t *k);
UM_API void um_online_free(um_online *online);

#ifdef __cplusplus
}
#endif
#endif
