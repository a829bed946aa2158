#include "pixels_variants.h"
#define VARIANT um_pixels_scalar

#include "pixels_body.h"
