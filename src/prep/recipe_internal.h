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
    X(UM_KEY_DARK, "dark", "FILE", false,                                                          \
      "subtract an image of the detector (as stored or cropped) from each pattern")                \
    X(UM_KEY_GAIN, "gain", "FILE", false,                                                          \
      "multiply each pattern by an image of the detector, after dark")                             \
    X(UM_KEY_NOT_A_NUMBER, "not-a-number", "error|zero", false,                                    \
      "stored values that are not finite: an error where they harm, or set to zero")               \
    X(UM_KEY_HOT_PIXELS, "hot-pixels", "SIGMA|FILE", false,                                        \
      "replace hot and dead pixels by the mean of good neighbours; found in the mean "             \
      "pattern SIGMA (10 is a good start) off their neighbours, or nonzero in an image "           \
      "of the detector")                                                                           \
    X(UM_KEY_AFFINE, "affine", "sy,sx | a,b,c,d[,oy,ox]", false,                                   \
      "undo distortion: position (y,x) about the middle goes to (a y + b x + oy, c y + "           \
      "d x + ox), or (sy y, sx x), bilinear; pixels that come from outside are excluded")          \
    X(UM_KEY_BEAM_CENTER, "beam-center", "cy,cx", false,                                           \
      "where the direct beam is, px of the cropped pattern; else found in the data")               \
    X(UM_KEY_CENTER, "center", "METHOD", false,                                                    \
      "move the direct beam to the middle: cross-correlation[:r_px[,search_px]] with a "           \
      "disc (5,10) or com[:r_px] centre of mass (12.5); append ,plane to apply a plane "           \
      "fitted to the shifts, ,mask to exclude the margin")                                         \
    X(UM_KEY_BACKGROUND, "background", "METHOD", false,                                            \
      "subtract background, never below zero: dog:s1,s2 (difference of Gaussians, px), "           \
      "radial-median, h-dome:h (fraction of the maximum) or h-dome:Nc (counts)")                   \
    X(UM_KEY_FRIEDEL, "friedel", NULL, false,                                                      \
      "add up opposite pixels x(k) + x(-k); pixels without partner are excluded")                  \
    X(UM_KEY_BIN_SCAN, "bin-scan", "N", false,                                                     \
      "add up NxN scan positions; rows and columns left over are dropped")                         \
    X(UM_KEY_BIN_SIGNAL, "bin-signal", "N", false,                                                 \
      "add up NxN detector pixels; rows and columns left over are dropped")                        \
    X(UM_KEY_NEGATIVE, "negative", "error|clip", false,                                            \
      "negative values of the prepared pattern: an error where they harm, or set to "              \
      "zero")                                                                                      \
    X(UM_KEY_MASK_BEAM, "mask-beam", "R_px", false,                                                \
      "exclude pixels closer than R to the direct beam (all masks: px of the cropped "             \
      "pattern before binning; a bin is excluded when any pixel of it is)")                        \
    X(UM_KEY_MASK_OUTSIDE, "mask-outside", "R_px", false,                                          \
      "exclude pixels at R or farther from the direct beam")                                       \
    X(UM_KEY_MASK_DISC, "mask-disc", "cy,cx,r[;...]", true, "exclude discs of pixels")             \
    X(UM_KEY_MASK_ANNULUS, "mask-annulus", "cy,cx,r0,r1[;...]", true,                              \
      "exclude rings of pixels, r0 <= distance < r1")                                              \
    X(UM_KEY_MASK_RECTANGLE, "mask-rectangle", "y0:y1,x0:x1[;...]", true,                          \
      "exclude rectangles of pixels")                                                              \
    X(UM_KEY_MASK_AUTO, "mask-auto", "T", false,                                                   \
      "exclude discs around blobs of the mean pattern (Laplacian of Gaussian of its root, "        \
      "sigma 1..15 px) above noise and above the fraction T of the strongest; 0.05 is a good "     \
      "start")                                                                                     \
    X(UM_KEY_SIGNAL_MASK, "signal-mask", "FILE", false,                                            \
      "exclude pixels that are not zero in an image of the detector (as stored, cropped"           \
      " or prepared)")                                                                             \
    X(UM_KEY_NAVIGATION_MASK, "navigation-mask", "FILE", false,                                    \
      "exclude positions that are not zero in an image of the scan (as stored, cropped "           \
      "or prepared)")                                                                              \
    X(UM_KEY_NAVIGATION_THRESHOLD, "navigation-threshold", "bf[R_px]:<F | total:>F", false,        \
      "exclude positions whose bright field (disc of R = 10 px) or total is below or "             \
      "above F times its median; F may be otsu: the level between two classes")

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

typedef enum um_center { UM_CENTER_NONE, UM_CENTER_DISC, UM_CENTER_MASS } um_center;
typedef enum um_background {
    UM_BACKGROUND_NONE,
    UM_BACKGROUND_DOG,
    UM_BACKGROUND_RADIAL,
    UM_BACKGROUND_HDOME
} um_background;

struct um_recipe {
    um_context *ctx;
    char *values[UM_KEY_COUNT]; /* texts as given; NULL = not set */
    char *text;                 /* made on demand */

    um_range crop_scan, crop_signal;
    int64_t bin_scan, bin_signal;
    double beam_y, beam_x;                /* NaN = find it */
    double mask_beam_px, mask_outside_px; /* NaN = no such mask */
    um_ring *rings;
    size_t ring_count;
    um_range *rectangles;
    size_t rectangle_count;
    bool negative_clip, not_finite_zero;
    double hot_sigma; /* NaN: the value is a file */
    double affine[6]; /* a, b, c, d, oy, ox */
    um_center center;
    double center_radius_px, center_search_px;
    bool center_plane, center_mask;
    um_background background;
    double background_value[2]; /* sigmas, or the height */
    bool background_counts;     /* the height is in counts */
    double auto_threshold;
    double threshold_radius_px; /* infinite: the total */
    double threshold_factor;    /* of the median; NaN: Otsu */
    bool threshold_above;       /* exclude what is above */
};

static inline bool um_recipe_has(const um_recipe *recipe, um_recipe_number number)
{
    return recipe->values[number] != NULL;
}

/* Takes the value in; the recipe is as before when it does not parse. */
um_status um_recipe_parse(um_recipe *recipe, um_recipe_number number, const char *value);
um_status um_recipe_copy(um_context *ctx, const um_recipe *recipe, um_recipe **out);
const char *um_recipe_key_name(um_recipe_number number);

#endif
