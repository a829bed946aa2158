#define LANES 8
#define PROJECT_ROWS 2
#define PROJECT_COMPONENTS 5
#define PROJECT_CASES CASES_TO_5
#define COMPONENTS 5
#define COMPONENT_CASES CASES_TO_5
#define VARIANT um_kernels_avx2
#include "kernels_variants.h"

#include "kernels_body.h"
