/* A fit as it is told: zone axis, angles, calibration. */
#include "identify_internal.h"

#include "specimen_internal.h" /* um_rotation_bunge() */

#include <math.h>
#include <string.h>

static double degrees(double rad)
{
    return rad * 180.0 / M_PI;
}

/* Turn about the beam that brings `from` nearest to `to`. */
static double turn_between(const um_orientation *from, const um_orientation *to)
{
    double sine = 0.0, cosine = 0.0;
    for (int i = 0; i < 3; i++) {
        cosine += to->m[0][i] * from->m[0][i] + to->m[1][i] * from->m[1][i];
        sine += to->m[1][i] * from->m[0][i] - to->m[0][i] * from->m[1][i];
    }
    return degrees(atan2(sine, cosine));
}

void um_match_tell(const um_identify_job *job, int32_t phase, const um_fit *fit, um_match *out)
{
    const um_library *library = &job->library[phase];
    const um_geometry *g = &fit->geometry;
    um_orientation o = fit->orientation, straight;
    um_laue_reduce(&library->laue, &o);
    *out = (um_match){.phase = phase, .orientation = o, .score = fit->pairing.score, .matched = fit->pairing.matched,
                      .explained = fit->pairing.explained, .seen = fit->pairing.seen,
                      .scale = g->scale > 0.0 ? job->bounds.scale / g->scale : NAN, .shift_y = -g->ty, .shift_x = g->tx};
    out->off_zone_mrad = 1e3 * um_zone_near(library->crystal, o.m[2], out->zone);
    if (um_orientation_zone(job->ctx, library->crystal, out->zone, NULL, &straight) == UM_OK) {
        out->rotation_deg = turn_between(&straight, &o);
    }
    um_rotation_bunge(&o, out->euler_deg);
    double strain = hypot(g->exx, g->exy);
    out->ellipse_ratio = (1.0 + strain) / (1.0 - strain);
    out->ellipse_deg = strain > 0.0 ? 0.5 * degrees(atan2(g->exy, g->exx)) : 0.0;
}
