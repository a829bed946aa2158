#define LANES 16
#define PROJECT_ROWS 4
#define PROJECT_COMPONENTS 5
#define ACCUMULATE_COMPONENTS 10
#define VARIANT um_kernels_avx512
#include "kernels_variants.h"

#include "kernels_body.h"
