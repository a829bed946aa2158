/* The number of clusters. */
#include "cluster_internal.h"

#include <math.h>

um_status um_cluster_choose(const um_features *f, const um_cluster_options *options, int64_t low,
                            int64_t high, int64_t sample, um_cluster_row *rows,
                            um_clustering **best)
{
    *best = NULL;
    if (low < 2 || high < low || high > f->count) {
        return um_fail(f->ctx, UM_ERROR_ARGUMENT,
                       "%lld to %lld clusters: 2 to %lld are possible here", (long long)low,
                       (long long)high, (long long)f->count);
    }
    um_cluster_options o = *options;
    o.centers = NULL;
    double score = -INFINITY;
    for (o.n = low; o.n <= high; o.n++) {
        um_cluster_row *row = &rows[o.n - low];
        um_clustering *c = NULL;
        um_status status = um_cluster(f, &o, &c);
        if (status == UM_OK) {
            *row = (um_cluster_row){.n = o.n,
                                    .objective = c->objective,
                                    .bic = c->bic,
                                    .aic = c->aic,
                                    .converged = c->converged};
            status = um_silhouette(f, c, sample, &row->silhouette, NULL);
        }
        if (status != UM_OK) {
            um_clustering_free(c);
            um_clustering_free(*best);
            *best = NULL;
            return status;
        }
        double value = isfinite(row->bic) ? -row->bic : row->silhouette;
        if (*best == NULL || value > score) {
            score = value;
            um_clustering_free(*best);
            *best = c;
        } else {
            um_clustering_free(c);
        }
    }
    return UM_OK;
}
