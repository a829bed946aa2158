/* Orthogonal fixed points over samples: what FastICA and varimax share. */
#ifndef UM_ROTATION_H
#define UM_ROTATION_H

#include "base_internal.h"

/* Value of component c in sample i: values[i * step + c * stride]. */
typedef struct um_samples {
    um_context *ctx;
    const float *values;
    size_t count, k, step, stride;
    const uint8_t *mask; /* count; 1 = left out; or NULL */
} um_samples;

/* What a projection y becomes in the sums. */
typedef enum um_contrast {
    UM_CONTRAST_LINEAR, /* g = y, d = y */
    UM_CONTRAST_TANH,   /* g = tanh(y), d = 1 - g^2 */
    UM_CONTRAST_CUBE,   /* g = y^3, d = y^2 */
    UM_CONTRAST_SQUARE, /* g = y^2, d = y^4 */
} um_contrast;

/* Of samples that are finite: mean g(y_c) x_e (k x k) and mean d(y_c) (k), y = B x, x = sample - mean. B NULL =
 * unit matrix, mean NULL = 0. The number of samples in *used. One order of additions for any number of threads. */
UM_CHECK um_status um_samples_mean(const um_samples *samples, const double *b, const double *mean,
                                   um_contrast contrast, double *gx, double *d, int64_t *used);

/* A <- (A A')^-1/2 A, the nearest orthogonal matrix. UM_ERROR_NUMERIC when A is singular. */
UM_CHECK um_status um_polar(um_context *ctx, double *a, size_t k);
/* C <- C^-1/2 of a symmetric matrix; UM_ERROR_NUMERIC when an eigenvalue is below `least` of the largest. */
UM_CHECK um_status um_inverse_root(um_context *ctx, double *c, size_t k, double least);
/* out = A B, or A B' (transposed); out is neither. */
void um_square_product(const double *a, const double *b, bool transposed, size_t k, double *out);

#endif
