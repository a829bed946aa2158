#define VARIANT um_grid_avx512
#include "grid_body.h"
