/* unmix/shapes.h - what is done to one small image: thresholds, regions, distances, peaks, blobs.
 *
 * Images are ny x nx doubles in C order, without NaN unless said; maps are bytes, not 0 = inside. Lengths are pixels,
 * positions (y, x) with pixel centres at whole numbers. Filters mirror the image at its border (d c b a | a b c d).
 * Definitions are those of SciPy and scikit-image, against which tests/oracle/test_shapes.py holds each of them.
 * All work in memory, in one thread, on buffers from the context's budget; all fail with UM_ERROR_SHAPE when ny or nx is
 * below 1 or the image has 2^31 pixels or more. Outputs may not overlap inputs. */
#ifndef UNMIX_SHAPES_H
#define UNMIX_SHAPES_H

#include "unmix/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- regions --------------------------------------------------------------------------------- */

/* Connected regions of a map (connectivity 4 or 8), numbered from 1 by their first pixel in C order; 0 outside.
 * Memory: 4 bytes per pixel. */
UM_CHECK UM_API um_status um_label(um_context *ctx, int64_t ny, int64_t nx, const uint8_t *map, int connectivity,
                                   int32_t *label, int64_t *count);

/* Exact Euclidean distance of every pixel inside to the nearest one outside (Meijster, Roerdink and Hesselink 2000);
 * what lies beyond the border is no outside. Infinite where all is inside. Memory: 12 bytes per pixel. */
UM_CHECK UM_API um_status um_distance_transform(um_context *ctx, int64_t ny, int64_t nx, const uint8_t *map,
                                                double *distance);

/* Watershed by flooding (Meyer's queue): labels grow from markers (not 0) over the pixels of `inside` (NULL = all),
 * lowest elevation first, of equals the one reached first, so that plateaus are shared by distance; the water never falls, so
 * that basins without a marker are plateaus too. Neighbours are taken in C order. No pixels are kept as a dividing line. Memory: 16 bytes per pixel. Elevations must not be NaN. */
UM_CHECK UM_API um_status um_watershed(um_context *ctx, int64_t ny, int64_t nx, const double *elevation,
                                       const int32_t *markers, const uint8_t *inside, int connectivity,
                                       int32_t *label);

/* Pixels within `radius` of a pixel of the map. Memory: 20 bytes per pixel. */
UM_CHECK UM_API um_status um_dilate(um_context *ctx, int64_t ny, int64_t nx, const uint8_t *map, double radius,
                                    uint8_t *out);

/* One labelled region. Axes are those of the ellipse of the same second moments. */
typedef struct um_region {
    int64_t area; /* pixels; 0: no pixel has this label, and what follows is 0 */
    double y, x;  /* centroid */
    double equivalent_diameter;    /* of the disc of the same area */
    double major_axis, minor_axis; /* full lengths; 0 for a single pixel */
    double orientation_deg; /* of the major axis, from x towards the top of the picture, (-90, 90]; 0 for discs */
    int64_t y0, x0, y1, x1;        /* box: first pixel, and the one after the last */
    bool at_border;                /* has a pixel at the border of the image */
} um_region;
/* Properties of the labels 1 .. count into regions[0 .. count-1]. Other labels are passed over. */
UM_CHECK UM_API um_status um_regions_measure(um_context *ctx, int64_t ny, int64_t nx, const int32_t *label,
                                             int64_t count, um_region *regions);

/* ---- thresholds ------------------------------------------------------------------------------ */

/* name, word on the command line */
#define UM_THRESHOLD_LIST(X)                                                                       \
    X(UM_THRESHOLD_OTSU, "otsu")         /* Otsu 1979: largest variance between the classes */     \
    X(UM_THRESHOLD_LI, "li")             /* Li and Tam 1998: least cross entropy, iterated */      \
    X(UM_THRESHOLD_TRIANGLE, "triangle") /* Zack, Rogers and Latt 1977 */                          \
    X(UM_THRESHOLD_ISODATA, "isodata")   /* Ridler and Calvard 1978: middle of the two means */    \
    X(UM_THRESHOLD_YEN, "yen")           /* Yen, Chang and Chang 1995 */

typedef enum um_threshold_method {
#define UM_THRESHOLD_ENUM(name, word) name,
    UM_THRESHOLD_LIST(UM_THRESHOLD_ENUM)
#undef UM_THRESHOLD_ENUM
        UM_THRESHOLD_METHODS
} um_threshold_method;
UM_API const char *um_threshold_name(um_threshold_method method);

/* The level that parts values into those up to it and those above. All but Li work on a histogram of `bins` equal bins
 * between least and largest value (256 is scikit-image's) and give the middle of a bin; Otsu with bins 0 takes every
 * value for itself and gives the middle between two values. Values that are not finite are left out; where all are equal
 * the level is that value. UM_ERROR_VALUE when none is left. Memory: a copy of the values. */
UM_CHECK UM_API um_status um_threshold(um_context *ctx, um_threshold_method method, const double *values,
                                       int64_t count, int bins, double *level);

/* ---- filters --------------------------------------------------------------------------------- */

/* Convolution with a Gaussian of standard deviation sigma, cut off at 4 sigma, or its derivative (orders 0, 1, 2).
 * Memory: 8 bytes per pixel. */
UM_CHECK UM_API um_status um_filter_gauss(um_context *ctx, int64_t ny, int64_t nx, const double *image, double sigma,
                                          int order_y, int order_x, double *out);
/* Largest (or least) value within a square of side 2*half + 1; at the border of what is there of it. */
UM_CHECK UM_API um_status um_filter_extreme(um_context *ctx, int64_t ny, int64_t nx, const double *image, int64_t half,
                                            bool least, double *out);
/* Sobel's gradient: root mean square of the two directions, weights of 1/4. */
UM_CHECK UM_API um_status um_filter_sobel(um_context *ctx, int64_t ny, int64_t nx, const double *image, double *out);
/* Normalised cross-correlation with a disc of ones in a frame of zeros (side 2*ceil(radius) + 3), -1 .. 1; the image is
 * taken as 0 beyond its border. Time: pixels x frame. */
UM_CHECK UM_API um_status um_match_disc(um_context *ctx, int64_t ny, int64_t nx, const double *image, double radius,
                                        double *out);

/* ---- peaks ----------------------------------------------------------------------------------- */

typedef struct um_point {
    double y, x;
    double value; /* of the image, or the response of a blob; largest first, of equals in C order */
    double sigma; /* of a blob; else 0 */
} um_point;
typedef struct um_points {
    um_context *ctx;
    int64_t count;
    um_point *at;
} um_points;
UM_API void um_points_free(um_points *points);

/* Pixels above `threshold`, the largest within a square of half side `distance`, at least `border` pixels from the
 * border; of those nearer than `distance` (larger of |dy|, |dx|) the largest stay. A flat image has none. */
UM_CHECK UM_API um_status um_local_maxima(um_context *ctx, int64_t ny, int64_t nx, const double *image,
                                          int64_t distance, double threshold, int64_t border, um_points **out);
/* Centres of the plateaus (4-connected) that are largest within a square of half side `half` whose range is above
 * `threshold`. */
UM_CHECK UM_API um_status um_peaks_minmax(um_context *ctx, int64_t ny, int64_t nx, const double *image, int64_t half,
                                          double threshold, um_points **out);

typedef struct um_blob_options {
    double least_sigma, most_sigma;
    int64_t steps;    /* Laplacian: sigmas, equally spaced */
    double ratio;     /* difference of Gaussians: of one sigma to the next */
    double threshold; /* least response */
    double overlap;   /* of two blobs (discs of radius sigma * sqrt 2) that overlap by more of the smaller one, the
                         smaller goes; 1 keeps all */
} um_blob_options;
UM_API um_blob_options um_blob_defaults(void); /* 1 .. 10, 10 steps, 1.6, 0.2, 0.5 */
/* Bright blobs: maxima, among the 26 neighbours in (y, x, sigma), of -sigma^2 Laplacian(Gauss * image) (Lindeberg 1998), or
 * of (G(sigma) - G(ratio sigma)) * image / (ratio - 1). UM_ERROR_ARGUMENT for sigmas that are not in order. Memory: 8
 * bytes per pixel and sigma. */
UM_CHECK UM_API um_status um_blobs_log(um_context *ctx, int64_t ny, int64_t nx, const double *image,
                                       const um_blob_options *options, um_points **out);
UM_CHECK UM_API um_status um_blobs_dog(um_context *ctx, int64_t ny, int64_t nx, const double *image,
                                       const um_blob_options *options, um_points **out);

#ifdef __cplusplus
}
#endif
#endif
