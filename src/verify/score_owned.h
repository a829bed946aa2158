/* Particles of the truth and the positions that they own: what the scores by region and by crystal share. */
#ifndef UM_SCORE_OWNED_H
#define UM_SCORE_OWNED_H

#include "verify_internal.h"

#define UM_LEAST_IOU 0.25 /* of a region and a particle's positions, for a hit */

/* A rectangle in nm (or, of no size, in positions when the scan is not calibrated). */
typedef struct um_box {
    double y_px, x_px, half_length, half_width, cosine, sine;
    int64_t own;  /* positions */
    int64_t call; /* of these, called */
    int64_t centre; /* position nearest to the middle, when it has none of its own; -1 = not in the scan */
    bool hit;
} um_box;

typedef struct um_overlap {
    int64_t particle, region, shared;
    double iou;
} um_overlap;

typedef struct um_detection {
    const um_view *view;
    um_context *ctx;
    int64_t positions;
    double scale[2]; /* nm per position along y and x, or 1 */
    uint8_t *map;
    int32_t *region, *owner;
    int64_t *stack, *size; /* size of each region */
    int64_t regions;
    um_box *boxes;
    int64_t count;
    um_overlap *overlaps;
    size_t pairs;
} um_detection;

um_status um_detection_make(const um_view *view, um_detection *d);
void um_detection_free(um_detection *d);
/* The particles of a class and the positions of each; those without any are placed at their middle. */
um_status um_detection_own(um_detection *d, int64_t class);
/* Sorts pairs, counts those that are equal, and puts the best IoU first; of_particle and of_region are positions. */
void um_overlaps_rank(um_detection *d, const int64_t *of_particle, const int64_t *of_region);

/* score_crystals.c: the regions of a class are what the result says they are (c->segments). */
um_status um_detection_segments(um_detection *d, int64_t class);

#endif
