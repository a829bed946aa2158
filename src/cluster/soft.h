/* Methods in which a point belongs to several clusters: one alternation of weights and moments, told apart by how
 * distances become membership and how moments become parameters. */
#ifndef UM_SOFT_H
#define UM_SOFT_H

#include "cluster_internal.h"

typedef enum um_soft_shape { UM_SOFT_ROUND, UM_SOFT_DIAGONAL, UM_SOFT_FULL } um_soft_shape;

typedef struct um_soft um_soft;
struct um_soft {
    const um_features *f;
    const um_cluster_options *options;
    size_t k, dims;
    um_soft_shape shape;
    double power;      /* moments are weighted by membership to this power */
    double ridge;      /* added to variances */
    double *centers;   /* k x dims */
    double *inverse;   /* of the Cholesky factors: k x dims x dims (lower), or k x dims; unused when round */
    double *log_det;   /* k, of the covariances */
    double *share;     /* k: mixtures: log of the weights; possibilistic: the bandwidths eta */
    double *scratch;   /* dims x dims */
    /* Membership of a point from its squared distances (changed at will); returns its part of the objective. */
    double (*belong)(const um_soft *soft, double *d2, double *membership);
    /* After centres and covariances have been taken from the moments; mass: k sums of weights. */
    void (*settle)(um_soft *soft, const double *mass);
};

um_status um_soft_begin(um_soft *soft, const um_features *features,
                        const um_cluster_options *options, um_soft_shape shape);
void um_soft_end(um_soft *soft);
/* One pass and one step: *objective before it, *moved the squared way of the centres. */
um_status um_soft_step(um_soft *soft, double *mass, double *objective, double *moved);
/* Steps until the centres rest. */
um_status um_soft_rest(um_soft *soft, const char *stage, int64_t *iterations, bool *converged);
/* Labels, membership, objective of the parameters as they are. */
um_status um_soft_finish(um_soft *soft, um_clustering *out);

#endif
