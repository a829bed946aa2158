/* Elements, electrons, scattering factors. */
#include "crystal_internal.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <xraylib.h>

enum { MOST_Z = 98 };
static const double BOHR_A = 0.529177210903;
static const double REST_KEV = 510.99895000; /* m c^2 */
static const double HC_KEV_A = 12.398419843320026;

static const char *const symbols[MOST_Z + 1] = {
    "",   "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si", "P",  "S",
    "Cl", "Ar", "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As",
    "Se", "Br", "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn",
    "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho",
    "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",  "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po",
    "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm", "Bk", "Cf"};

const char *um_element_symbol(int z)
{
    return z >= 1 && z <= MOST_Z ? symbols[z] : NULL;
}

static int look_up(const char *symbol)
{
    if (strcmp(symbol, "D") == 0) {
        return 1;
    }
    for (int z = 1; z <= MOST_Z; z++) {
        if (strcmp(symbols[z], symbol) == 0) {
            return z;
        }
    }
    return 0;
}

/* Type symbols are "Al", "Al3+", "AL". Labels are "Al1", "Al-c", "C2": a small second letter belongs to the element
 * where that is one ("Cw" is carbon), a capital one only where the first alone is none ("CA1" is carbon, "AL1" Al). */
int um_element_of(const char *symbol, bool label)
{
    char two[3] = "", one[2] = "";
    if (!isalpha((unsigned char)symbol[0])) {
        return 0;
    }
    one[0] = two[0] = (char)toupper((unsigned char)symbol[0]);
    if (!isalpha((unsigned char)symbol[1])) {
        return look_up(one);
    }
    two[1] = (char)tolower((unsigned char)symbol[1]);
    if (!label && isalpha((unsigned char)symbol[2])) {
        return 0; /* a word */
    }
    bool small = islower((unsigned char)symbol[1]);
    int first = look_up(small || !label ? two : one);
    return first > 0 || !label ? first : look_up(small ? one : two);
}

double um_electron_gamma(double voltage_kV)
{
    return 1.0 + voltage_kV / REST_KEV;
}

double um_electron_wavelength(double voltage_kV)
{
    return HC_KEV_A / sqrt(voltage_kV * (2.0 * REST_KEV + voltage_kV));
}

static double mott_bethe(int z, double s, xrl_error **error)
{
    return ((double)z - FF_Rayl(z, s, error)) / (8.0 * M_PI * M_PI * BOHR_A * s * s);
}

um_status um_electron_form_factor(um_context *ctx, int z, double s_per_A, double *out_A)
{
    static const double knot[3] = {0.04, 0.06, 0.08};
    xrl_error *error = NULL;
    double value = 0.0;
    if (s_per_A >= knot[0]) {
        value = mott_bethe(z, s_per_A, &error);
    } else {
        double t = s_per_A * s_per_A;
        for (int i = 0; i < 3 && error == NULL; i++) {
            double weight = 1.0;
            for (int k = 0; k < 3; k++) {
                double other = knot[k] * knot[k];
                weight *= k == i ? 1.0 : (t - other) / (knot[i] * knot[i] - other);
            }
            value += weight * mott_bethe(z, knot[i], &error);
        }
    }
    if (error != NULL || !isfinite(value) || !(s_per_A >= 0.0)) {
        um_status status = um_fail(ctx, UM_ERROR_ARGUMENT, "no form factor of element %d at s = %g 1/A: %s", z, s_per_A,
                                   error != NULL ? error->message : "s must not be negative");
        xrl_error_free(error);
        return status;
    }
    *out_A = value;
    return UM_OK;
}
