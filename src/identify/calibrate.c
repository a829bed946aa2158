/* One microscope: scale, centre and ellipse that the components of a model share. */
#include "identify_internal.h"

#include <math.h>
#include <stdlib.h>

/* What a common scale is worth: of each component the best score among candidates that want about that scale. */
static double worth(const um_naming *w, double log_scale)
{
    static const double same = 0.004;
    double sum = 0.0, given = log(w->job.bounds.scale);
    for (int64_t c = 0; c < w->out->k; c++) {
        double best = 0.0;
        for (size_t p = 0; p < w->job.phases && um_naming_is_named(w, c); p++) {
            const um_fit *f = um_naming_fit(w, c, p);
            double off = f->geometry.scale > 0.0 ? (log(f->geometry.scale) - log_scale) / same : 100.0;
            best = fmax(best, f->pairing.score * exp(-0.5 * off * off));
        }
        sum += best;
    }
    double away = (log_scale - given) / fmax(w->job.bounds.scale_tolerance, 1e-9);
    return sum * exp(-0.5 * away * away);
}

static double middle(double *values, int64_t count, double preset)
{
    return count > 0 ? um_median(values, (size_t)count) : preset;
}

um_status um_naming_agree(um_naming *w)
{
    int64_t k = w->out->k, n = 0;
    double best = 0.0, chosen = log(w->job.bounds.scale);
    double *values = calloc((size_t)(5 * k), sizeof *values);
    if (values == NULL) {
        return um_fail(w->ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    for (int64_t c = 0; c < k; c++) {
        for (size_t p = 0; p < w->job.phases && um_naming_is_named(w, c); p++) {
            double scale = um_naming_fit(w, c, p)->geometry.scale, now = scale > 0.0 ? worth(w, log(scale)) : 0.0;
            if (now > best) {
                best = now;
                chosen = log(scale);
            }
        }
    }
    for (int64_t c = 0; c < k; c++) {
        const um_fit *mine = NULL;
        for (size_t p = 0; p < w->job.phases && um_naming_is_named(w, c); p++) {
            const um_fit *f = um_naming_fit(w, c, p);
            bool near = f->geometry.scale > 0.0 && fabs(log(f->geometry.scale) - chosen) < 0.01;
            mine = near && (mine == NULL || f->pairing.score > mine->pairing.score) ? f : mine;
        }
        if (mine != NULL) {
            const um_geometry *g = &mine->geometry;
            values[n] = log(g->scale);
            values[k + n] = g->tx;
            values[2 * k + n] = g->ty;
            values[3 * k + n] = g->exx;
            values[4 * k + n] = g->exy;
            n++;
        }
    }
    if (n > 0) {
        static const double scale_left = 0.003, center_left = 0.5, strain_left = 0.003;
        w->bounds = (um_bounds){.scale = exp(middle(values, n, chosen)),
                                .scale_tolerance = fmin(scale_left, w->bounds.scale_tolerance),
                                .center = fmin(center_left, w->bounds.center),
                                .strain = fmin(strain_left, w->bounds.strain),
                                .center_x = middle(values + k, n, 0.0), .center_y = middle(values + 2 * k, n, 0.0),
                                .strain_x = middle(values + 3 * k, n, 0.0), .strain_y = middle(values + 4 * k, n, 0.0)};
    }
    free(values);
    return UM_OK;
}

