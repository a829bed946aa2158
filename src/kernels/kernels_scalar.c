#define LANES 4
#define PROJECT_ROWS 2
#define PROJECT_COMPONENTS 3
#define ACCUMULATE_COMPONENTS 5
#define VARIANT um_kernels_scalar
#include "kernels_variants.h"

#include "kernels_body.h"
