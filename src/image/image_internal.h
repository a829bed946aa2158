/* Drawing primitives shared by pictures and the report. */
#ifndef UM_IMAGE_INTERNAL_H
#define UM_IMAGE_INTERNAL_H

#include "prep_internal.h"
#include "unmix/image.h"

/* RGB, 3 bytes per pixel, row-major. */
typedef struct um_canvas {
    uint8_t *pixels;
    int64_t height, width;
} um_canvas;

/* ---- apertures --------------------------------------------------------------------------------- */

bool um_aperture_holds(const um_aperture *aperture, int64_t y, int64_t x);
/* The bright field and the annular series around a beam, those that are not mostly masked; returns how
 * many. */
enum { UM_SERIES = 7 };
int um_aperture_series(const um_beam *beam, const uint8_t *mask, int64_t ky, int64_t kx,
                       um_aperture series[UM_SERIES]);

/* ---- text: an anti-aliased stroke font of our own; size_px is the em, capitals are 0.7 em ---------- */

double um_text_width(const char *utf8, double size_px);
/* Baseline starts at (x, y). `upward` turns the text by 90 degrees, reading from bottom to top. */
void um_text_draw(um_canvas *canvas, double x, double y, double size_px, bool upward,
                  const char *utf8, const uint8_t rgb[3]);

/* ---- value -> colour ---------------------------------------------------------------------------- */

/* How a value becomes t in [0,1]. */
typedef struct um_range {
    double low, high;
    double floor; /* added under the logarithm; 0 = linear */
    double gamma;
    bool empty; /* no finite value at all */
} um_range;

/* The range of the style, its NaN ends taken from the finite, unmasked values. */
um_range um_range_of(const double *values, int64_t count, const um_picture_style *style);
double um_range_fraction(const um_range *range, double value); /* NaN stays NaN */

/* Colours of ny x nx values into a canvas at (x0, y0), each value fy x fx pixels; NaN and masked values
 * become a hatch whose pitch does not depend on the enlarging. */
void um_raster_draw(um_canvas *canvas, int64_t x0, int64_t y0, const double *values, int64_t ny,
                    int64_t nx, int fy, int fx, const uint8_t *mask, const um_range *range,
                    um_colors colors);

/* ---- scales ----------------------------------------------------------------------------------- */

/* "1/nm", "nm^-1", "$A^{-1}$" -> "nm⁻¹", "Å⁻¹"; "um" -> "µm"; others as they are. */
void um_units_pretty(const char *units, char pretty[32]);
/* Short text of a number, with 10-power notation where plain digits get long ("3.2×10⁻⁵"). */
void um_number_text(double value, int digits, char text[32]);
/* Ticks inside the range, lowest first: linear 1-2-5 steps, or decades with 2 and 5 where there is room.
 * Returns how many (<= UM_TICKS). */
enum { UM_TICKS = 12 };
int um_ticks_make(const um_range *range, int about, double ticks[UM_TICKS]);
/* Texts of ticks with as many digits as tell them apart. */
void um_tick_text(const double *ticks, int count, int i, char text[32]);

#endif
