#include "pixels_variants.h"

const um_pixel_kernels *um_pixel_kernels_get(um_isa isa)
{
#if defined(__x86_64__)
    if (isa >= UM_ISA_AVX512) {
        return &um_pixels_avx512;
    }
    if (isa == UM_ISA_AVX2) {
        return &um_pixels_avx2;
    }
#endif
    (void)isa;
    return &um_pixels_scalar;
}
