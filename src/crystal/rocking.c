/* Excitation errors, rocking curves, and their mean over the precession cone. */
#include "crystal_internal.h"

#include <math.h>

double um_excitation_error(double wavelength_A, const double g[3], double x_mrad, double y_mrad)
{
    /* The sphere goes through the origin; its centre lies towards the source, against the beam. */
    double x = x_mrad * 1e-3, y = y_mrad * 1e-3, angle = hypot(x, y);
    double radius = 1.0 / wavelength_A, lean = angle > 0.0 ? sin(angle) / angle : 1.0;
    double cx = radius * lean * x, cy = radius * lean * y, cz = radius * cos(angle);
    double across = (g[0] - cx) * (g[0] - cx) + (g[1] - cy) * (g[1] - cy);
    double under = radius * radius - across;
    if (under < 0.0) {
        return INFINITY; /* scattered by more than a right angle */
    }
    /* cz - sqrt(under) without cancellation: the numerator is cz^2 - under. */
    double bottom = (g[0] * g[0] + g[1] * g[1] - 2.0 * (g[0] * cx + g[1] * cy)) / (cz + sqrt(under));
    return g[2] - bottom;
}

/* sin^2(pi t sqrt(u2)) / (pi^2 t^2 u2), which is an entire function of u2. */
static double sinc2(double thickness_A, double u2)
{
    double x2 = M_PI * M_PI * thickness_A * thickness_A * u2;
    if (x2 < 1e-4) {
        return 1.0 - x2 / 3.0 + 2.0 * x2 * x2 / 45.0;
    }
    double sine = sin(sqrt(x2));
    return sine * sine / x2;
}

double um_rocking_intensity(const um_illumination *beam, double f_A, double volume_A3, double s_per_A)
{
    double thickness_A = 10.0 * beam->thickness_nm;
    double inverse_xi = um_electron_gamma(beam->voltage_kV) * um_electron_wavelength(beam->voltage_kV) * f_A /
                        (M_PI * volume_A3);
    double strength = M_PI * thickness_A * inverse_xi, x = s_per_A / beam->s_max_per_A;
    switch (beam->rocking) {
    case UM_ROCKING_TWO_BEAM:
        return strength * strength * sinc2(thickness_A, s_per_A * s_per_A + inverse_xi * inverse_xi);
    case UM_ROCKING_KINEMATIC:
        return strength * strength * sinc2(thickness_A, s_per_A * s_per_A);
    case UM_ROCKING_LINEAR:
        return fabs(x) < 1.0 ? f_A * f_A * (1.0 - fabs(x)) : 0.0;
    case UM_ROCKING_LORENTZIAN:
        return fabs(x) <= 1.0 ? f_A * f_A / (1.0 + M_PI * M_PI * x * x) : 0.0;
    }
    return 0.0;
}

um_illumination um_illumination_defaults(void)
{
    return (um_illumination){.voltage_kV = 200.0, .thickness_nm = 20.0, .rocking = UM_ROCKING_TWO_BEAM,
                             .s_max_per_A = 0.05};
}
