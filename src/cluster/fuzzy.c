/* Fuzzy c-means (Bezdek 1981), possibilistic c-means (Krishnapuram & Keller 1993), and fuzzy c-means with a norm
 * of each cluster's own (Gustafson & Kessel 1979). */
#include "soft.h"

#include <math.h>
#include <stdlib.h>

static double sum_of_powers(const um_soft *s, const double *d2, const double *membership)
{
    double sum = 0;
    for (size_t c = 0; c < s->k; c++) {
        sum += pow(membership[c], s->options->fuzziness) * d2[c];
    }
    return sum;
}

/* u_c = 1 / sum_j (d_c / d_j)^(2/(m-1)); a point on centres is shared by these. */
static double fuzzy(const um_soft *s, double *d2, double *membership)
{
    double exponent = 1 / (s->options->fuzziness - 1);
    double least = d2[um_nearest(d2, s->k)];
    double sum = 0;
    for (size_t c = 0; c < s->k; c++) {
        double ratio = least > 0 ? least / d2[c] : (double)(d2[c] == 0);
        membership[c] = exponent == 1 ? ratio : pow(ratio, exponent);
        sum += membership[c];
    }
    for (size_t c = 0; c < s->k; c++) {
        membership[c] /= sum;
    }
    return sum_of_powers(s, d2, membership);
}

/* d^2 = det(C)^(1/p) (x - v)' C^-1 (x - v). */
static double fuzzy_own_norm(const um_soft *s, double *d2, double *membership)
{
    for (size_t c = 0; c < s->k; c++) {
        d2[c] *= exp(s->log_det[c] / (double)s->dims);
    }
    return fuzzy(s, d2, membership);
}

/* t_c = 1 / (1 + (d_c^2 / eta_c)^(1/(m-1))), whatever the other clusters. */
static double possibility(const um_soft *s, double *d2, double *membership)
{
    double m = s->options->fuzziness;
    double sum = 0;
    for (size_t c = 0; c < s->k; c++) {
        membership[c] = 1 / (1 + pow(d2[c] / s->share[c], 1 / (m - 1)));
        sum += pow(membership[c], m) * d2[c] + s->share[c] * pow(1 - membership[c], m);
    }
    return sum;
}

/* ---- bandwidths ----------------------------------------------------------------------------------- */

/* Sums: of u^m d^2 and of u^m, per cluster. */
static void add_widths(void *user, int64_t first, int64_t count, double *sums, double *scratch)
{
    const um_soft *s = user;
    double *d2 = scratch;
    double *membership = scratch + s->k;
    for (int64_t p = first; p < first + count; p++) {
        const float *x = s->f->values + p * s->f->dims;
        for (size_t c = 0; c < s->k; c++) {
            d2[c] = 0;
            for (size_t j = 0; j < s->dims; j++) {
                double d = (double)x[j] - s->centers[c * s->dims + j];
                d2[c] += d * d;
            }
        }
        fuzzy(s, d2, membership);
        for (size_t c = 0; c < s->k; c++) {
            double w = pow(membership[c], s->options->fuzziness);
            sums[c] += w * d2[c];
            sums[s->k + c] += w;
        }
    }
}

/* eta_c: the mean squared distance in fuzzy cluster c. */
static um_status find_widths(um_soft *s)
{
    double *total = calloc(2 * s->k, sizeof *total);
    if (total == NULL) {
        return um_fail(s->f->ctx, UM_ERROR_MEMORY, "no memory for moments");
    }
    um_points_job job = {s->f, 2 * s->k, 2 * s->k, add_widths, s, total};
    um_status status = um_points_run(&job);
    for (size_t c = 0; status == UM_OK && c < s->k; c++) {
        s->share[c] = total[c] / total[s->k + c];
        if (!(s->share[c] > 0)) {
            status = um_fail(s->f->ctx, UM_ERROR_NUMERIC,
                             "a fuzzy cluster has shrunk to a point, which leaves possibilistic "
                             "c-means no width: take fewer clusters");
        }
    }
    free(total);
    return status;
}

/* ---- methods -------------------------------------------------------------------------------------- */

static um_status run(um_soft *s, um_clustering *out)
{
    static const char *const stages[] = {[UM_CLUSTER_FUZZY] = "fuzzy c-means",
                                         [UM_CLUSTER_POSSIBILISTIC] = "possibilistic c-means",
                                         [UM_CLUSTER_GUSTAFSON_KESSEL] = "Gustafson-Kessel"};
    um_cluster_method method = s->options->method;
    s->belong = method == UM_CLUSTER_GUSTAFSON_KESSEL ? fuzzy_own_norm : fuzzy;
    s->power = s->options->fuzziness;
    UM_TRY(um_soft_rest(s, method == UM_CLUSTER_POSSIBILISTIC ? "fuzzy c-means" : stages[method],
                        &out->iterations, &out->converged));
    if (method == UM_CLUSTER_POSSIBILISTIC) {
        UM_TRY(find_widths(s));
        s->belong = possibility;
        UM_TRY(um_soft_rest(s, stages[method], &out->iterations, &out->converged));
    }
    return um_soft_finish(s, out);
}

um_status um_cluster_fuzzy(const um_features *f, const um_cluster_options *o, um_clustering *out)
{
    if (!(o->fuzziness > 1)) {
        return um_fail(f->ctx, UM_ERROR_ARGUMENT, "a fuzziness of %g: must be above 1",
                       o->fuzziness);
    }
    um_soft s;
    um_status status = um_soft_begin(
        &s, f, o, o->method == UM_CLUSTER_GUSTAFSON_KESSEL ? UM_SOFT_FULL : UM_SOFT_ROUND);
    if (status == UM_OK) {
        status = run(&s, out);
    }
    um_soft_end(&s);
    return status;
}
