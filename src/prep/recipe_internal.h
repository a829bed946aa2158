/* A recipe as the steps see it: values parsed, keys known by number. */
#ifndef UM_RECIPE_INTERNAL_H
#define UM_RECIPE_INTERNAL_H

#include "base_internal.h"
#include "unmix/prep.h"

/* number, key, form of the value (NULL = switch), repeated values add up?, help */
#define UM_RECIPE_LIST(X)                                                                          \
    X(UM_KEY_CROP_SCAN, "crop-scan", "y0:y1,x0:x1", false,                                         \
      "use scan rows y0..y1-1 and columns x0..x1-1; an empty end means the border")                \
    X(UM_KEY_CROP_SIGNAL, "crop-signal", "y0:y1,x0:x1", false,                                     \
      "use detector rows y0..y1-1 and columns x0..x1-1")                                           \
    X(UM_KEY_BIN_SCAN, "bin-scan", "N", false,                                                     \
      "add up NxN scan positions; rows and columns left over are dropped")                         \
    X(UM_KEY_BIN_SIGNAL, "bin-signal", "N", false,                                                 \
      "add up NxN detector pixels; rows and columns left over are dropped")                        \
    X(UM_KEY_BEAM_CENTER, "beam-center", "cy,cx", false,                                           \
      "where the direct beam is, px of the cropped pattern; default: found in the data")           \
    X(UM_KEY_MASK_BEAM, "mask-beam", "R_px", false,                                                \
      "exclude pixels closer than R to the direct beam (px before binning)")                       \
    X(UM_KEY_MASK_OUTSIDE, "mask-outside", "R_px", false,                                          \
      "exclude pixels at R or farther from the direct beam (px before binning)")                   \
    X(UM_KEY_MASK_DISC, "mask-disc", "cy,cx,r[;...]", true,                                        \
      "exclude discs (px of the cropped pattern before binning)")                                  \
    X(UM_KEY_MASK_ANNULUS, "mask-annulus", "cy,cx,r0,r1[;...]", true,                              \
      "exclude rings r0 <= distance < r1 (px of the cropped pattern before binning)")              \
    X(UM_KEY_MASK_RECTANGLE, "mask-rectangle", "y0:y1,x0:x1[;...]", true,                          \
      "exclude rectangles of pixels (of the cropped pattern before binning)")                      \
    X(UM_KEY_NEGATIVE, "negative", "error|clip", false,                                            \
      "negative values of the prepared pattern: an error where they harm, or set to zero")         \
    X(UM_KEY_NOT_A_NUMBER, "not-a-number", "error|zero", false,                                    \
      "stored values that are not finite: an error where they harm, or set to zero")

typedef enum um_recipe_number {
#define UM_RECIPE_ENUM(number, key, value, adds, help) number,
    UM_RECIPE_LIST(UM_RECIPE_ENUM)
#undef UM_RECIPE_ENUM
    UM_KEY_COUNT
} um_recipe_number;

/* Rows y0 .. y1-1, columns x0 .. x1-1; an end of -1 is the border. */
typedef struct um_range {
    int64_t y0, y1, x0, x1;
} um_range;

typedef struct um_ring {
    double cy, cx, inner_px, outer_px;
} um_ring;

struct um_recipe {
    um_context *ctx;
    char *values[UM_KEY_COUNT]; /* texts as given; NULL = not set */
    char *text;                 /* made on demand */

    um_range crop_scan, crop_signal;
    int64_t bin_scan, bin_signal;
    double beam_y, beam_x; /* NaN = find it */
    double mask_beam_px, mask_outside_px; /* NaN = no such mask */
    um_ring *rings;
    size_t ring_count;
    um_range *rectangles;
    size_t rectangle_count;
    bool negative_clip, not_finite_zero;
};

static inline bool um_recipe_has(const um_recipe *recipe, um_recipe_number number)
{
    return recipe->values[number] != NULL;
}

/* Parses every value anew from recipe->values: what um_recipe_set() ends with. */
um_status um_recipe_parse(um_recipe *recipe, um_recipe_number number, const char *value);
um_status um_recipe_copy(um_context *ctx, const um_recipe *recipe, um_recipe **out);
const char *um_recipe_key_name(um_recipe_number number);

#endif
