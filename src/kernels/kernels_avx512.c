#define LANES 16
#define PROJECT_ROWS 4
#define PROJECT_COMPONENTS 6
#define PROJECT_CASES CASES_TO_6
#define COMPONENTS 11
#define COMPONENT_CASES CASES_TO_11
#define VARIANT um_kernels_avx512
#include "kernels_variants.h"

#include "kernels_body.h"
