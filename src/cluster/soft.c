/* Weights from distances, moments from weights, parameters from moments. */
#include "soft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- distances and moments ----------------------------------------------------------------------- */

static size_t second_moments(const um_soft *s)
{
    return s->shape == UM_SOFT_FULL ? s->dims * (s->dims + 1) / 2
                                    : s->shape == UM_SOFT_DIAGONAL ? s->dims : 0;
}

/* Sums of a cluster: mass, first moments about its centre, second ones. */
static size_t moments(const um_soft *s)
{
    return 1 + s->dims + second_moments(s);
}

static double squared_distance(const um_soft *s, size_t c, const double *difference)
{
    const double *inverse =
        s->inverse + c * s->dims * (s->shape == UM_SOFT_FULL ? s->dims : 1);
    double sum = 0;
    for (size_t i = 0; i < s->dims; i++) {
        double y = difference[i];
        if (s->shape == UM_SOFT_DIAGONAL) {
            y *= inverse[i];
        } else if (s->shape == UM_SOFT_FULL) {
            y = 0;
            for (size_t j = 0; j <= i; j++) {
                y += inverse[i * s->dims + j] * difference[j];
            }
        }
        sum += y * y;
    }
    return sum;
}

static void add_moments(const um_soft *s, double w, const double *difference, double *sums)
{
    double *second = sums + 1 + s->dims;
    sums[0] += w;
    for (size_t i = 0; i < s->dims; i++) {
        double x = w * difference[i];
        sums[1 + i] += x;
        if (s->shape == UM_SOFT_DIAGONAL) {
            second[i] += x * difference[i];
        } else if (s->shape == UM_SOFT_FULL) {
            for (size_t j = 0; j <= i; j++) {
                second[j] += x * difference[j];
            }
            second += i + 1;
        }
    }
}

/* Differences to all centres, and their lengths as the shape has them. */
static void measure(const um_soft *s, int64_t point, double *difference, double *d2)
{
    const float *x = s->f->values + point * s->f->dims;
    for (size_t c = 0; c < s->k; c++) {
        double *d = difference + c * s->dims;
        for (size_t j = 0; j < s->dims; j++) {
            d[j] = (double)x[j] - s->centers[c * s->dims + j];
        }
        d2[c] = squared_distance(s, c, d);
    }
}

static double to_power(double membership, double power)
{
    return power == 1 ? membership : power == 2 ? membership * membership : pow(membership, power);
}

static void block(void *user, int64_t first, int64_t count, double *sums, double *scratch)
{
    const um_soft *s = user;
    double *d2 = scratch;
    double *membership = d2 + s->k;
    double *difference = membership + s->k;
    for (int64_t p = first; p < first + count; p++) {
        measure(s, p, difference, d2);
        sums[s->k * moments(s)] += s->belong(s, d2, membership);
        for (size_t c = 0; c < s->k; c++) {
            if (membership[c] > 0) {
                add_moments(s, to_power(membership[c], s->power), difference + c * s->dims,
                            sums + c * moments(s));
            }
        }
    }
}

/* ---- parameters ---------------------------------------------------------------------------------- */

/* Inverse of the Cholesky factor of the covariance in s->scratch (lower half). False when it has none. */
static bool invert(um_soft *s, size_t c)
{
    size_t d = s->dims;
    double *l = s->scratch;
    double *inverse = s->inverse + c * d * d;
    s->log_det[c] = 0;
    for (size_t i = 0; i < d; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = l[i * d + j];
            for (size_t e = 0; e < j; e++) {
                sum -= l[i * d + e] * l[j * d + e];
            }
            if (i == j && !(sum > 0)) {
                return false;
            }
            l[i * d + j] = i == j ? sqrt(sum) : sum / l[j * d + j];
        }
        s->log_det[c] += 2 * log(l[i * d + i]);
    }
    for (size_t j = 0; j < d; j++) {
        for (size_t i = j; i < d; i++) {
            double sum = i == j ? 1 : 0;
            for (size_t e = j; e < i; e++) {
                sum -= l[i * d + e] * inverse[e * d + j];
            }
            inverse[i * d + j] = sum / l[i * d + i];
        }
    }
    return true;
}

/* `step` is how far the centre has moved from where the moments were taken. */
static bool take_covariance(um_soft *s, size_t c, const double *sums, const double *step)
{
    const double *second = sums + 1 + s->dims;
    size_t d = s->dims;
    if (s->shape == UM_SOFT_FULL) {
        for (size_t i = 0; i < d; i++) {
            for (size_t j = 0; j <= i; j++) {
                s->scratch[i * d + j] =
                    *second++ / sums[0] - step[i] * step[j] + (i == j ? s->ridge : 0);
            }
        }
        return invert(s, c);
    }
    s->log_det[c] = 0;
    for (size_t i = 0; s->shape == UM_SOFT_DIAGONAL && i < d; i++) {
        double variance = second[i] / sums[0] - step[i] * step[i] + s->ridge;
        if (!(variance > 0)) {
            return false;
        }
        s->inverse[c * d + i] = 1 / sqrt(variance);
        s->log_det[c] += log(variance);
    }
    return true;
}

static um_status take_moments(um_soft *s, const double *total, double *step, double *mass,
                              double *moved)
{
    *moved = 0;
    for (size_t c = 0; c < s->k; c++) {
        const double *sums = total + c * moments(s);
        mass[c] = sums[0];
        if (!(sums[0] > 1e-12 * (double)s->f->count)) {
            continue; /* nothing belongs there: it stays as it is */
        }
        for (size_t j = 0; j < s->dims; j++) {
            step[j] = sums[1 + j] / sums[0];
            s->centers[c * s->dims + j] += step[j];
            *moved += step[j] * step[j];
        }
        if (!take_covariance(s, c, sums, step)) {
            return um_fail(s->f->ctx, UM_ERROR_NUMERIC,
                           "cluster %zu has shrunk to a covariance that cannot be inverted: take "
                           "fewer clusters or a larger --ridge",
                           c);
        }
    }
    if (s->settle != NULL) {
        s->settle(s, mass);
    }
    return UM_OK;
}

um_status um_soft_step(um_soft *s, double *mass, double *objective, double *moved)
{
    size_t size = s->k * moments(s) + 1;
    double *total = calloc(size + s->dims, sizeof *total);
    if (total == NULL) {
        return um_fail(s->f->ctx, UM_ERROR_MEMORY, "no memory for moments");
    }
    um_points_job job = {s->f, size, s->k * (2 + s->dims), block, s, total};
    um_status status = um_points_run(&job);
    if (status == UM_OK) {
        *objective = total[size - 1];
        status = take_moments(s, total, total + size, mass, moved);
    }
    um_progress_add(s->f->ctx, 1);
    free(total);
    return status;
}

um_status um_soft_rest(um_soft *s, const char *stage, int64_t *iterations, bool *converged)
{
    double spread = 0;
    double objective = 0;
    double moved = 0;
    const um_cluster_options *o = s->options;
    double *mass = calloc(s->k, sizeof *mass);
    um_status status = mass != NULL ? um_features_spread(s->f, &spread)
                                    : um_fail(s->f->ctx, UM_ERROR_MEMORY, "no memory for moments");
    um_progress_begin(s->f->ctx, stage, "iterations", 0);
    *converged = false;
    for (*iterations = 0; status == UM_OK && *iterations < o->max_iterations && !*converged;
         (*iterations)++) {
        status = um_soft_step(s, mass, &objective, &moved);
        *converged = moved <= o->tolerance * o->tolerance * spread;
    }
    um_progress_end(s->f->ctx);
    free(mass);
    return status;
}

/* ---- begin and end ------------------------------------------------------------------------------- */

um_status um_soft_begin(um_soft *s, const um_features *f, const um_cluster_options *o,
                        um_soft_shape shape)
{
    size_t k = (size_t)o->n;
    size_t d = (size_t)f->dims;
    double spread = 0;
    *s = (um_soft){.f = f, .options = o, .k = k, .dims = d, .shape = shape, .power = 1};
    s->centers = calloc(k * d, sizeof(double));
    s->inverse = calloc(k * d * (shape == UM_SOFT_FULL ? d : 1), sizeof(double));
    s->log_det = calloc(k, sizeof(double));
    s->share = calloc(k, sizeof(double));
    s->scratch = calloc(d * d, sizeof(double));
    if (s->centers == NULL || s->inverse == NULL || s->log_det == NULL || s->share == NULL ||
        s->scratch == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for clusters");
    }
    for (size_t c = 0; c < k && shape != UM_SOFT_ROUND; c++) {
        for (size_t i = 0; i < d; i++) {
            s->inverse[shape == UM_SOFT_FULL ? c * d * d + i * (d + 1) : c * d + i] = 1;
        }
    }
    UM_TRY(um_features_spread(f, &spread));
    s->ridge = o->ridge * spread / (double)d;
    return um_kmeans_start(f, o, s->centers);
}

void um_soft_end(um_soft *s)
{
    free(s->centers);
    free(s->inverse);
    free(s->log_det);
    free(s->share);
    free(s->scratch);
}

typedef struct labelling {
    const um_soft *soft;
    um_clustering *out;
} labelling;

static void label(void *user, int64_t first, int64_t count, double *sums, double *scratch)
{
    const labelling *l = user;
    const um_soft *s = l->soft;
    double *d2 = scratch;
    double *membership = d2 + s->k;
    for (int64_t p = first; p < first + count; p++) {
        measure(s, p, membership + s->k, d2);
        sums[0] += s->belong(s, d2, membership);
        size_t best = 0;
        for (size_t c = 0; c < s->k; c++) {
            best = membership[c] > membership[best] ? c : best;
            l->out->membership[(size_t)p * s->k + c] = (float)membership[c];
        }
        l->out->label[p] = (int32_t)best;
    }
}

um_status um_soft_finish(um_soft *s, um_clustering *out)
{
    UM_TRY(um_buffer_alloc(s->f->ctx, (size_t)s->f->count * s->k, sizeof *out->membership,
                           "membership of points", &out->membership));
    labelling l = {s, out};
    um_points_job job = {s->f, 1, s->k * (2 + s->dims), label, &l, &out->objective};
    memcpy(out->centers, s->centers, s->k * s->dims * sizeof *s->centers);
    return um_points_run(&job);
}
