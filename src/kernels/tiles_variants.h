/* The variants that this build has. */
#ifndef UM_TILES_VARIANTS_H
#define UM_TILES_VARIANTS_H

#include "tiles.h"

extern const um_tile_kernels um_tiles_amx;

#endif
