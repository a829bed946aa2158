/* The variants that this build has. */
#ifndef UM_KERNELS_VARIANTS_H
#define UM_KERNELS_VARIANTS_H

#include "kernels.h"

extern const um_kernels um_kernels_scalar;
extern const um_kernels um_kernels_avx2;
extern const um_kernels um_kernels_avx512;

#endif
