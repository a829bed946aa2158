/* unmix/segment.h - from components to crystals: which components are one kind of crystal, and where its particles are.
 *
 * Both routes give a model of method "SEGMENT" (docs/segment.md):
 *   components  classes of crystals that diffract alike. Factors sum to 1 over the pixels that are not masked; loadings
 *               are counts: loadings x factors are the counts of the class at each position.
 *   segments    array (k, ny, nx): 0 where no crystal of the class is, else the number of the particle, 1 .. n over the whole
 *               model, sorted by class, then by area, largest first. A position may be in several classes.
 *   fractions   array (k, ny, nx): the part of the diffracted counts of a position (in reflections of crystals, smoothed) that
 *               belongs to the class; 0 where segments is 0. Their sum at a position is at most 1.
 *   provenance  "segmentation": route, parameters (units in their names), merged, dropped with reasons, beam, levels,
 *               particles. Other arrays and provenance of the input stay, but for arrays with a row per component. */
#ifndef UNMIX_SEGMENT_H
#define UNMIX_SEGMENT_H

#include "unmix/model.h"
#include "unmix/prep.h"
#include "unmix/shapes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* um_segment_defaults() sets all. */
typedef struct um_segment_options {
    double alike;         /* components are of one class when the correlation of their reflections and half that of their
                             maps (if positive) reach this; average linkage; 0.75 */
    double least_reflections; /* a component is background when less of its counts outside the beam stands above the
                                 rings around it; 0.02 */
    double least_continuity; /* a component is noise when the roots of the loadings of neighbours are less correlated, mean of
                             rows and columns; 0.25 */
    double least_share;   /* a class is dropped when it has a smaller share of all counts in reflections; 0.005 */
    double smooth_px;     /* Gaussian over the map of a class before its threshold, scan positions; 1 */
    um_threshold_method threshold; /* of the maps of classes; Li */
    double close_px;      /* gaps up to twice as wide are closed before holes are filled; 0 */
    double neck;          /* a region is cut where it is narrower, by a position at least, than this part of the smaller of
                             two lobes; 0.9. Convex regions are never cut */
    int64_t least_size;   /* positions of a particle; 6 */
    double least_contrast; /* particles are dropped whose mean map is below this part of the strongest of the class; 0.15 */
    /* From dark fields: */
    double overlap;       /* parts of dark-field images are of one crystal when they share this part of the positions that
                             either has; average linkage; 0.5 */
    int64_t least_vectors; /* reflections that have to show a crystal; 1 */
    double cover;         /* a position belongs to a crystal when this part of its reflections show it; 0.4 */
    double same_vectors;  /* crystals are of one class when they share this part of the reflections that either has; 0.5 */
    double beam_y, beam_x, beam_radius_px; /* NaN: found in the mean pattern */
    um_model *like; /* a segmented model of the same patterns whose classes and levels are taken over; or NULL */
} um_segment_options;
UM_API um_segment_options um_segment_defaults(void);

/* The route from components (NMF, or others that are not negative). Components without reflections are dropped as
 * background or film; those that diffract alike are merged; a threshold and a watershed of distances make particles of the
 * map of each class. model is read only. UM_ERROR_VALUE for components with negative values; UM_ERROR_SHAPE when `like` has
 * other components. Memory: 16 bytes per position and class, 16 per pixel and component. Time: components^2 x (pixels +
 * positions). */
UM_CHECK UM_API um_status um_segment_model(um_context *ctx, um_model *model, const um_segment_options *options,
                                           um_model **out);

/* The route from a scan by virtual dark fields: places of reflections in the largest value of every pixel, one dark-field image
 * for each (background from a ring around it), particles of each image, those at the same place put together. Factors are
 * virtual patterns: Gaussians of sigma 1.5 px at the reflections; loadings the counts in them within the particles. Two reads
 * of the scan. `like` and what concerns components is not used. UM_ERROR_VALUE when no reflection stands out. Memory: 24 bytes
 * per position and reflection (400 at most), 1 per position and particle of an image. */
UM_CHECK UM_API um_status um_segment_scan(um_context *ctx, um_matrix *matrix, const um_segment_options *options,
                                          um_model **out);

#ifdef __cplusplus
}
#endif
#endif
