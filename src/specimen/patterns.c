/* One pattern of a grain: what it scatters out of the direct beam. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>

um_orientation um_grain_orientation(const um_grain *grain, double path)
{
    double u = path - 0.5;
    um_orientation turn = um_rotation_about_z(grain->drift_mrad[2] * u * 1e-3);
    um_orientation turned = um_rotation_product(&turn, &grain->orientation);
    return um_orientation_tilt(turned, grain->drift_mrad[0] * u, grain->drift_mrad[1] * u);
}

um_status um_specimen_pattern(um_context *ctx, const um_specimen *s, const um_grain *grain, double path,
                              double thickness_nm, double *image, double *scattered)
{
    static const double faintest = 1e-8; /* of the incident beam: below one electron in any dose */
    if (grain->phase < 0) {
        *scattered = thickness_nm / grain->mean_free_path_nm;
        return um_amorphous_render(ctx, grain->amorphous, &s->detector, image);
    }
    um_spot *spots = NULL;
    size_t count = 0, bright = 0;
    um_illumination beam = s->beam;
    beam.thickness_nm = thickness_nm;
    /* The rocking curve of a thin crystal is wide: its third zero, within reason. */
    beam.s_max_per_A = fmin(0.2, fmax(0.05, 0.3 / thickness_nm));
    um_orientation orientation = um_grain_orientation(grain, path);
    UM_TRY(um_diffract(ctx, s->phase[grain->phase].reflections, &orientation, &beam, &spots, &count));
    *scattered = 0.0;
    while (bright < count && spots[bright].intensity > faintest) {
        *scattered += spots[bright++].intensity;
    }
    um_status status = um_pattern_render(ctx, &s->detector, spots, bright, image);
    free(spots);
    return status;
}
