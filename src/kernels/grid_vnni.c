#define VARIANT um_grid_vnni
#define VNNI
#include "grid_body.h"
