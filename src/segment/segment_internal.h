/* What the files of the segmentation share. */
#ifndef UM_SEGMENT_INTERNAL_H
#define UM_SEGMENT_INTERNAL_H

#include "base_internal.h"
#include "unmix/segment.h"

#include <jansson.h>

/* Components on their way to classes. */
typedef struct um_parts {
    um_context *ctx;
    um_model *model;
    um_shape shape;
    int64_t k, positions, pixels;
    const uint8_t *pixel_mask, *position_mask; /* may be NULL */
    double beam[3];       /* y, x, radius, px */
    double *reflections;  /* k x pixels: what stands above the rings around the beam, counts per unit of loading */
    double *strength;     /* k: sum of the reflections */
    double *share;        /* k: of the counts outside the beam that are reflections */
    double *continuity;   /* k: correlation of the loadings of neighbours; 0 where not looked at */
    double *total;        /* k: sum of the loadings */
    double *counts;       /* k: sum of the pattern */
    int32_t *class_of;    /* k: -1 = dropped */
    const char **reason;  /* k: why it was dropped, or NULL */
    int64_t classes;
} um_parts;

static inline bool um_kept(const uint8_t *mask, int64_t i)
{
    return mask == NULL || mask[i] == 0;
}

/* reflections.c: finds the beam and what of each pattern are reflections. */
um_status um_parts_make(um_context *ctx, um_model *model, const um_segment_options *options, um_parts *parts);
void um_parts_free(um_parts *parts);

/* classes.c: sets class_of and reason. */
um_status um_parts_classify(um_parts *parts, const um_segment_options *options);
/* The same from the provenance of a segmented model. */
um_status um_parts_check_like(const um_parts *parts, const um_model *like);
um_status um_parts_classify_like(um_parts *parts, const um_model *like);

/* Refuses options out of their range. */
um_status um_segment_check(um_context *ctx, const um_segment_options *options);

/* Particles of one map (ny x nx, not negative). level: NaN = found by the threshold, and told. label gets 0, 1 .. count,
 * largest first. */
um_status um_find_particles(um_context *ctx, int64_t ny, int64_t nx, const double *map, const uint8_t *mask,
                            const um_segment_options *options, double *level, int32_t *label, int64_t *count);

#endif
