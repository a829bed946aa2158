#include "pixels_variants.h"
#define VARIANT um_pixels_avx512

#include "pixels_body.h"
