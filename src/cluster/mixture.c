/* Gaussian mixtures by expectation and maximisation. */
#include "soft.h"

#include <math.h>
#include <stdlib.h>

static const double LOG_2_PI = 1.8378770664093454836;

/* log of the density; d2 becomes responsibilities. */
static double responsibility(const um_soft *s, double *d2, double *membership)
{
    double largest = -INFINITY;
    for (size_t c = 0; c < s->k; c++) {
        d2[c] = s->share[c] - 0.5 * ((double)s->dims * LOG_2_PI + s->log_det[c] + d2[c]);
        largest = fmax(largest, d2[c]);
    }
    double sum = 0;
    for (size_t c = 0; c < s->k; c++) {
        membership[c] = exp(d2[c] - largest);
        sum += membership[c];
    }
    for (size_t c = 0; c < s->k; c++) {
        membership[c] /= sum;
    }
    return largest + log(sum);
}

/* The first step: each point belongs to the nearest centre. */
static double nearest_alone(const um_soft *s, double *d2, double *membership)
{
    size_t best = um_nearest(d2, s->k);
    for (size_t c = 0; c < s->k; c++) {
        membership[c] = c == best;
    }
    return 0;
}

static void take_weights(um_soft *s, const double *mass)
{
    for (size_t c = 0; c < s->k; c++) {
        s->share[c] = log(fmax(mass[c], 1e-300) / (double)s->f->count);
    }
}

static um_status maximise(um_soft *s, um_clustering *out)
{
    double *mass = calloc(s->k, sizeof *mass);
    if (mass == NULL) {
        return um_fail(s->f->ctx, UM_ERROR_MEMORY, "no memory for moments");
    }
    double last = -INFINITY;
    double moved = 0;
    double likelihood = 0;
    um_progress_begin(s->f->ctx, "Gaussian mixture", "iterations", 0);
    s->belong = nearest_alone;
    um_status status = um_soft_step(s, mass, &likelihood, &moved);
    s->belong = responsibility;
    while (status == UM_OK && out->iterations < s->options->max_iterations && !out->converged) {
        status = um_soft_step(s, mass, &likelihood, &moved);
        likelihood /= (double)s->f->count;
        out->converged = likelihood - last < s->options->tolerance;
        last = likelihood;
        out->iterations++;
    }
    um_progress_end(s->f->ctx);
    free(mass);
    return status;
}

static void judge(const um_soft *s, um_clustering *out)
{
    double d = (double)s->dims;
    double k = (double)s->k;
    double of_shape = s->shape == UM_SOFT_FULL ? d * (d + 1) / 2 : d;
    double parameters = k - 1 + k * d + k * of_shape;
    out->log_likelihood = out->objective;
    out->bic = parameters * log((double)s->f->count) - 2 * out->log_likelihood;
    out->aic = 2 * parameters - 2 * out->log_likelihood;
    out->objective = -out->log_likelihood / (double)s->f->count;
}

um_status um_cluster_mixture(const um_features *f, const um_cluster_options *o, um_clustering *out)
{
    um_soft s;
    um_status status = um_soft_begin(&s, f, o, o->diagonal ? UM_SOFT_DIAGONAL : UM_SOFT_FULL);
    s.settle = take_weights;
    if (status == UM_OK) {
        status = maximise(&s, out);
    }
    if (status == UM_OK) {
        status = um_soft_finish(&s, out);
    }
    if (status == UM_OK) {
        judge(&s, out);
    }
    um_soft_end(&s);
    return status;
}
