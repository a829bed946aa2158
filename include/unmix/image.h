/* unmix/image.h - virtual images in one pass, and pictures of patterns and maps. */
#ifndef UNMIX_IMAGE_H
#define UNMIX_IMAGE_H

#include "unmix/prep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A set of detector pixels: disc (inner 0), annulus or rectangle, in pixels of the prepared pattern,
 * centre (cy, cx). A pixel belongs to a disc or annulus when inner <= distance < outer. */
typedef enum um_aperture_kind { UM_APERTURE_ANNULUS, UM_APERTURE_RECTANGLE } um_aperture_kind;
typedef struct um_aperture {
    char name[32]; /* "bright_field", "annular_10_20" */
    um_aperture_kind kind;
    double cy, cx;
    double inner_px, outer_px;  /* annulus */
    double half_y_px, half_x_px; /* rectangle: |y-cy| <= half_y and |x-cx| <= half_x */
} um_aperture;

/* Everything one pass gives. Maps are ny*nx (NaN at excluded positions), patterns ky*kx. */
typedef struct um_images {
    um_sums *sums;
    double *mean_pattern, *variance_pattern; /* variance over positions (divisor n), in counts^2 */
    int apertures;
    um_aperture *aperture;
    double **virtual_map;                    /* one per aperture: sum over its unmasked pixels */
    double *center_of_mass_y, *center_of_mass_x; /* px, over unmasked pixels */
    double beam_y, beam_x;                   /* direct beam used as centre, px */
} um_images;

/* The aperture that shows a scan at a glance: bright field, or the first ring around a beam that is masked. From
 * the sums alone; *count = number of pixels for which inside (ky*kx) is set to 1, 0 when there is none. */
UM_CHECK UM_API um_status um_aperture_overview(um_matrix *matrix, const um_sums *sums, float *inside,
                                               int64_t *count, bool *bright);

/* apertures may be NULL: then a bright field (disc) and an annular series around the direct beam are
 * made; the beam is the intensity-weighted centre of the brightest blob of the mean pattern (one extra
 * pass), or given by beam_y, beam_x when not NaN. */
UM_CHECK UM_API um_status um_images_make(um_matrix *matrix, const um_aperture *apertures, int count,
                                         double beam_y, double beam_x, um_images **out);
UM_API void um_images_free(um_images *images);

/* Parses "bf:disc:cy,cx,r", "df:annulus:cy,cx,r0,r1", "r:rect:cy,cx,hy,hx". */
UM_CHECK UM_API um_status um_aperture_parse(um_context *ctx, const char *text, um_aperture *out);

/* ---- pictures ------------------------------------------------------------------------------- */

/* Perceptually uniform, colour-blind safe; UM_COLORS_DIVERGING has white at the middle. */
typedef enum um_colors {
    UM_COLORS_GRAY,
    UM_COLORS_VIRIDIS,
    UM_COLORS_MAGMA,
    UM_COLORS_CIVIDIS,
    UM_COLORS_DIVERGING
} um_colors;

typedef struct um_picture_style {
    um_colors colors;
    double low, high;      /* range of values; NaN = from the data (min .. max) */
    double gamma;          /* 1 = linear; 0 is taken as 1 */
    bool log_scale;        /* log10 of (value - low + floor): zero has a place */
    double log_floor;      /* > 0: that floor; 0 = the larger of (high - low)*1e-4 and the value that a
                              tenth of the positive values stay below, so that a background is dark */
    double scale;          /* units per pixel; 0 = no scale bar */
    const char *units;     /* of the scale bar */
    bool color_bar;
    const char *color_label; /* units of the values */
    const char *title;     /* may be NULL */
    const uint8_t *mask;   /* 1 = drawn in a neutral hatch, may be NULL */
    int min_size_px;       /* enlarge by whole factors until the picture has this size; 0 = 256 */
} um_picture_style;

/* Colour of t in [0,1]; NaN gives mid grey. */
UM_API void um_color(um_colors colors, double t, uint8_t rgb[3]);
/* Colour of a class: eight that colour-blind people tell apart (Okabe & Ito 2008), then the same darker, then
 * lighter; negative labels (noise) light grey. */
UM_API void um_label_color(int64_t label, uint8_t rgb[3]);
/* A map of labels (ny x nx; NaN = excluded, hatched) as RGB, enlarged by a whole factor until its longer side has
 * min_size_px; pixels are malloc'ed. */
UM_CHECK UM_API um_status um_labels_render(um_context *ctx, const double *labels, int64_t ny,
                                           int64_t nx, int min_size_px, uint8_t **pixels,
                                           int64_t *height, int64_t *width);
/* Renders values (ny x nx) to RGB; pixels are malloc'ed, height x width x 3. NaN = hatch. */
UM_CHECK UM_API um_status um_picture_render(um_context *ctx, const double *values, int64_t ny,
                                            int64_t nx, const um_picture_style *style,
                                            uint8_t **pixels, int64_t *height, int64_t *width);
UM_CHECK UM_API um_status um_picture_write(um_context *ctx, const char *path, const double *values,
                                           int64_t ny, int64_t nx, const um_picture_style *style);
/* A round length of about a fifth of `extent` (1, 2, 5 x 10^n), and its label ("50 nm"). */
UM_API double um_scale_bar_length(double extent, const char *units, char label[48]);

#ifdef __cplusplus
}
#endif
#endif
