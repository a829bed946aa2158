/* Parts of the measurement of particles. */
#ifndef UM_MEASURE_INTERNAL_H
#define UM_MEASURE_INTERNAL_H

#include "base_internal.h"
#include "unmix/measure.h"

#include <math.h>

/* A scan as it is being added. */
typedef struct um_measure_view {
    um_context *ctx;
    const um_measure_input *input;
    const char *name; /* of the scan, for messages */
    int64_t k, ny, nx;
    const double *segments, *fractions; /* k x ny x nx; fractions may be NULL */
    const float *loadings;
    const uint8_t *excluded;            /* may be NULL */
    int32_t *phase_of;                  /* k; -1 = not counted */
    double step_y, step_x;              /* nm; NaN = not calibrated */
} um_measure_view;

static inline bool um_view_uses(const um_measure_view *v, int64_t p)
{
    return v->excluded == NULL || v->excluded[p] == 0;
}
/* In nm; NaN: not known. */
static inline double um_view_thickness(const um_measure_view *v, int64_t p)
{
    return v->input->thickness_map != NULL ? v->input->thickness_map[p] : v->input->thickness_nm;
}
/* What a position counts for in volumes: its thickness, nothing where a map does not know it, 1 without any. */
static inline double um_view_depth(const um_measure_view *v, int64_t p)
{
    double t = um_view_thickness(v, p);
    return isfinite(t) ? t : v->input->thickness_map != NULL ? 0.0 : 1.0;
}
static inline double um_view_fraction(const um_measure_view *v, int64_t component, int64_t p)
{
    double f = v->fractions != NULL ? v->fractions[component * v->ny * v->nx + p] : 1.0;
    return f > 0.0 ? f : 0.0; /* NaN too */
}

/* particles.c: appends the particles of the scan. */
um_status um_measure_particles(um_measure *m, const um_measure_view *v, int32_t scan);
/* names.c: the phase of each component, from the provenance; new ones are added to m. */
um_status um_measure_name_phases(um_measure *m, um_model *model, int32_t *phase_of);
/* tables.c: everything of a row whose condition, scan and phase are set. `whole`: the row of its condition, which knows the
 * mean size that the height along the beam is taken from; NULL for such a row itself. */
um_status um_measure_fill_row(const um_measure *m, um_measure_row *row, const um_measure_row *whole);

/* pooled.c: a ratio of sums over scans, sum x / sum a, with its interval. */
typedef struct um_pooled {
    int32_t count;
    const double *x, *a; /* of each scan */
    double low, high;    /* the interval by counting alone */
    double unit;         /* variance of sum x by counting alone, per sum x */
} um_pooled;
um_estimate um_pool(const um_pooled *p);

#endif
