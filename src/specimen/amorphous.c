/* Rings of amorphous matter and the smooth background, as radial profiles of unit integral over the plane. */
#include "specimen_internal.h"

#include <math.h>

enum { STEPS = 2048 };
static const double END_per_A = 4.0;

/* A maximum of the interference function. */
typedef struct ring {
    double at_per_A, sigma_per_A, height;
} ring;

/* Positions from diffraction of amorphous carbon (d = 2.1, 1.2 A) and amorphous silicon (3.1, 1.75, 1.1 A). */
static const ring carbon[] = {{0.48, 0.055, 1.0}, {0.86, 0.075, 1.2}};
static const ring silicon[] = {{0.32, 0.030, 1.0}, {0.57, 0.045, 1.0}, {0.89, 0.08, 0.7}};

static um_status profile(um_context *ctx, um_amorphous which, double *value)
{
    const ring *rings = which == UM_AMORPHOUS_CARBON ? carbon : silicon;
    size_t count = which == UM_AMORPHOUS_CARBON ? sizeof carbon / sizeof carbon[0] : sizeof silicon / sizeof silicon[0];
    double sum = 0.0;
    for (int i = 0; i < STEPS; i++) {
        double g = ((double)i + 0.5) * END_per_A / STEPS;
        if (which == UM_AMORPHOUS_DIFFUSE) {
            double x = g / 0.25;
            value[i] = 1.0 / ((1.0 + x * x) * (1.0 + x * x));
        } else {
            double f = 0.0, structure = 0.25 * (1.0 - exp(-g * g / (0.3 * 0.3)));
            UM_TRY(um_electron_form_factor(ctx, which == UM_AMORPHOUS_CARBON ? 6 : 14, 0.5 * g, &f));
            for (size_t k = 0; k < count; k++) {
                double x = (g - rings[k].at_per_A) / rings[k].sigma_per_A;
                structure += rings[k].height * exp(-0.5 * x * x);
            }
            value[i] = f * f * structure;
        }
        sum += value[i] * 2.0 * M_PI * g * (END_per_A / STEPS);
    }
    for (int i = 0; i < STEPS; i++) {
        value[i] /= sum;
    }
    return UM_OK;
}

um_status um_amorphous_render(um_context *ctx, um_amorphous which, const um_detector *detector, double *image)
{
    double value[STEPS], scale = detector->scale_per_A;
    UM_TRY(profile(ctx, which, value));
    for (int64_t y = 0; y < detector->ky; y++) {
        for (int64_t x = 0; x < detector->kx; x++) {
            double g = scale * hypot((double)y - detector->cy, (double)x - detector->cx);
            double at = g / END_per_A * STEPS - 0.5;
            int64_t i = at > 0.0 ? (int64_t)at : 0;
            double part = at > 0.0 ? at - (double)i : 0.0;
            if (i + 1 < STEPS) {
                image[y * detector->kx + x] += scale * scale * ((1.0 - part) * value[i] + part * value[i + 1]);
            }
        }
    }
    return UM_OK;
}
