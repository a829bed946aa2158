/* The variants that this build has. */
#ifndef UM_PIXELS_VARIANTS_H
#define UM_PIXELS_VARIANTS_H

#include "pixels.h"

extern const um_pixel_kernels um_pixels_scalar;
extern const um_pixel_kernels um_pixels_avx2;
extern const um_pixel_kernels um_pixels_avx512;

#endif
