/* Spots of a crystal in an orientation. */
#include "crystal_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct cone {
    const um_illumination *beam;
    const double *g; /* microscope frame */
    double wavelength_A, f_A, volume_A3;
} cone;

/* Sum of the intensity at azimuths (first + i * step) turns, i = 0 .. count - 1. */
static double sum_azimuths(const cone *c, double first, double step, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double angle = 2.0 * M_PI * (first + (double)i * step);
        double tilt = c->beam->precession_mrad;
        double s = um_excitation_error(c->wavelength_A, c->g, tilt * cos(angle), tilt * sin(angle));
        sum += isfinite(s) ? um_rocking_intensity(c->beam, c->f_A, c->volume_A3, s) : 0.0;
    }
    return sum;
}

/* The integrand is periodic and, with amplitude A = |g| phi of s around the cone, has harmonics up to about 2 pi t A:
 * from there on the trapezoidal rule converges faster than any power. Envelopes are smooth or have a kink. */
static double mean_over_cone(const cone *c, double g_across)
{
    enum { MOST_STEPS = 65536 };
    double harmonics = 20.0 * M_PI * c->beam->thickness_nm * g_across * c->beam->precession_mrad * 1e-3;
    int64_t steps = 32;
    while ((double)steps < harmonics && steps < MOST_STEPS / 2) {
        steps *= 2;
    }
    double sum = sum_azimuths(c, 0.0, 1.0 / (double)steps, steps);
    double mean = sum / (double)steps;
    while (steps < MOST_STEPS) {
        sum += sum_azimuths(c, 0.5 / (double)steps, 1.0 / (double)steps, steps);
        steps *= 2;
        double finer = sum / (double)steps;
        bool settled = fabs(finer - mean) <= 1e-6 * finer;
        mean = finer;
        if (settled) {
            break;
        }
    }
    return mean;
}

static um_status check(um_context *ctx, const um_illumination *beam)
{
    if (!(beam->voltage_kV >= 1.0 && beam->voltage_kV <= 5000.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a voltage of %g kV: it must lie in 1 .. 5000", beam->voltage_kV);
    }
    if (!(beam->thickness_nm > 0.0 && beam->thickness_nm <= 1e4)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a thickness of %g nm: it must lie in 0 .. 10000", beam->thickness_nm);
    }
    if (!(beam->precession_mrad >= 0.0 && beam->precession_mrad <= 200.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "a precession angle of %g mrad: it must lie in 0 .. 200",
                       beam->precession_mrad);
    }
    if (!(beam->s_max_per_A > 0.0 && beam->s_max_per_A <= 10.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "s_max = %g 1/A: it must lie in 0 .. 10", beam->s_max_per_A);
    }
    return UM_OK;
}

/* Smallest |s| on the cone: s swings about its mean by at most |g across| tan(phi). */
static bool near_sphere(const um_illumination *beam, double s, double g_across)
{
    double swing = g_across * tan(beam->precession_mrad * 1e-3);
    return fabs(s) <= beam->s_max_per_A + 1.02 * swing;
}

static bool make_spot(const um_reflections *all, const um_reflection *r, const um_orientation *orientation,
                      const um_illumination *beam, double wavelength, um_spot *spot)
{
    double g[3];
    for (int i = 0; i < 3; i++) {
        const double *row = orientation->m[i];
        g[i] = row[0] * r->g[0] + row[1] * r->g[1] + row[2] * r->g[2];
    }
    double across = hypot(g[0], g[1]);
    double s = um_excitation_error(wavelength, g, 0.0, 0.0);
    if (!isfinite(s) || !near_sphere(beam, s, across)) {
        return false;
    }
    cone c = {beam, g, wavelength, hypot(r->re_A, r->im_A), all->volume_A3};
    *spot = (um_spot){.hkl = {r->hkl[0], r->hkl[1], r->hkl[2]}, .g_per_A = r->length_per_A, .s_per_A = s, .f_A = c.f_A,
                      .x_per_A = g[0], .y_per_A = g[1]};
    spot->xi_nm = 0.1 * M_PI * all->volume_A3 / (um_electron_gamma(beam->voltage_kV) * wavelength * c.f_A);
    spot->two_theta_mrad = 1e3 * asin(fmin(1.0, across * wavelength));
    spot->intensity = beam->precession_mrad > 0.0 ? mean_over_cone(&c, across)
                                                  : um_rocking_intensity(beam, c.f_A, all->volume_A3, s);
    return spot->intensity > 0.0;
}

static int strongest_first(const void *a, const void *b)
{
    const um_spot *p = a, *q = b;
    /* Equal in theory means nearly equal here: order them by index, whatever the last bits. */
    if (fabs(p->intensity - q->intensity) > 1e-9 * (p->intensity + q->intensity)) {
        return p->intensity < q->intensity ? 1 : -1;
    }
    for (int i = 0; i < 3; i++) {
        if (p->hkl[i] != q->hkl[i]) {
            return p->hkl[i] < q->hkl[i] ? 1 : -1;
        }
    }
    return 0;
}

um_status um_diffract(um_context *ctx, const um_reflections *reflections, const um_orientation *orientation,
                      const um_illumination *beam, um_spot **out, size_t *count)
{
    *out = NULL;
    *count = 0;
    um_status status = check(ctx, beam);
    if (status != UM_OK) {
        return status;
    }
    double wavelength = um_electron_wavelength(beam->voltage_kV);
    um_spot *spots = NULL;
    size_t n = 0, room = 0;
    for (size_t i = 0; i < reflections->count; i++) {
        if (n == room) {
            room = room * 2 + 256;
            um_spot *more = realloc(spots, room * sizeof *more);
            if (more == NULL) {
                free(spots);
                return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %zu spots", room);
            }
            spots = more;
        }
        n += make_spot(reflections, &reflections->list[i], orientation, beam, wavelength, &spots[n]);
    }
    if (n > 0) {
        qsort(spots, n, sizeof *spots, strongest_first);
    }
    *out = spots;
    *count = n;
    return UM_OK;
}
