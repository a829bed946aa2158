#include "grid_variants.h"

#include <math.h>

const um_grid_kernels *um_grid_kernels_get(um_isa isa)
{
    switch (isa) {
#if defined(__x86_64__)
    case UM_ISA_AMX:
    case UM_ISA_VNNI:
        return &um_grid_vnni;
    case UM_ISA_AVX512:
        return &um_grid_avx512;
    case UM_ISA_AVX2:
        return &um_grid_avx2;
#endif
    default:
        return &um_grid_scalar;
    }
}

double um_grid_step(double largest)
{
    if (!(largest > 0)) {
        return 1;
    }
    int exponent;
    double fraction = frexp(largest / UM_GRID_MOST, &exponent);
    return ldexp(1, fraction > 0.5 ? exponent : exponent - 1);
}

int16_t um_grid_round(double value, double step)
{
    double multiple = nearbyint(value / step);
    multiple = multiple > UM_GRID_MOST ? UM_GRID_MOST : multiple;
    return (int16_t)(multiple < -UM_GRID_MOST ? -UM_GRID_MOST : multiple);
}
