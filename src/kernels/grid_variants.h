/* The variants that this build has. */
#ifndef UM_GRID_VARIANTS_H
#define UM_GRID_VARIANTS_H

#include "grid.h"

extern const um_grid_kernels um_grid_scalar;
extern const um_grid_kernels um_grid_avx2;
extern const um_grid_kernels um_grid_avx512;
extern const um_grid_kernels um_grid_vnni;

#endif
