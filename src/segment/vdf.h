/* Between the files of the route by virtual dark fields. */
#ifndef UM_SEGMENT_VDF_H
#define UM_SEGMENT_VDF_H

#include "segment_internal.h"

#include "unmix/prep.h"

/* Part of one dark-field image: a crystal as one reflection sees it. */
typedef struct um_sighting {
    int64_t vector, area;
    double counts;  /* of the reflection over its positions, background taken off */
    uint8_t *map;   /* positions */
    int32_t group;  /* -1 = none */
} um_sighting;

typedef struct um_vdf {
    um_context *ctx;
    um_matrix *matrix;
    const um_segment_options *options;
    um_shape shape;
    int64_t positions, pixels;
    const uint8_t *pixel_mask, *position_mask;
    double beam[3];
    um_points *vectors;     /* places of reflections, px of the pattern */
    double *net;            /* vectors x positions: counts in each, background taken off */
    um_sighting *sighting;
    int64_t sightings;
    int64_t groups;         /* crystals */
    int32_t *class_of;      /* per group */
    int64_t classes;
} um_vdf;

/* vdf_vectors.c: the places of reflections, and their dark-field images: two reads of the scan. */
um_status um_vdf_find_vectors(um_vdf *v);
um_status um_vdf_make_images(um_vdf *v);
/* vdf_groups.c: parts of the images, and which of them are one crystal. */
um_status um_vdf_find_sightings(um_vdf *v);
um_status um_vdf_group(um_vdf *v);

#endif
