#include "pixels_variants.h"
#define VARIANT um_pixels_avx2

#include "pixels_body.h"
