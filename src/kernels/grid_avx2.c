#define VARIANT um_grid_avx2
#include "grid_body.h"
