/* A bound recipe from the inside: shared by the files of prep. */
#ifndef UM_PREP_STEPS_H
#define UM_PREP_STEPS_H

#include "prep_internal.h"
#include "recipe_internal.h"

/* How far a recipe is carried out. What is learned from the data is learned on patterns prepared up
 * to the step before: an inner matrix of a lower level. Inner levels do not bin or mask pixels. */
typedef enum um_level {
    UM_LEVEL_STORED,   /* crops, finite */
    UM_LEVEL_PREPARED, /* every step before binning */
    UM_LEVEL_FINAL
} um_level;

/* Found in the data (or given), before binning; owned by the final prep and borrowed by inner ones. */
typedef struct um_learned {
    bool beam_known;
    double beam_y, beam_x;         /* direct beam of the patterns prepared up to friedel, px */
    uint8_t *navigation;           /* in.ny * in.nx, 1 = excluded, or NULL */
    int64_t passes;
} um_learned;

struct um_prep {
    um_context *ctx;
    const um_source_info *source;
    um_recipe *recipe;
    um_level level;
    bool inner; /* `learned` is borrowed */
    um_learned *learned;
    um_prep_layout layout;
    bool native;             /* values are copied as they are */
    int64_t ky, kx;          /* after crop-signal, before binning */
    int64_t crop_ky, crop_kx;
    int64_t bin_signal;
    uint8_t *signal_mask, *navigation_mask;
    json_t *report;
};

/* prep.c: a prep of a lower level over the same source, sharing what was learned. */
um_status um_prep_inner(const um_prep *prep, um_source *source, um_level level, um_prep **out);

/* learn.c: one pass each over the patterns of a level; the result is malloc'ed. */
um_status um_mean_pattern(const um_prep *prep, um_source *source, um_level level, const char *stage,
                          double **out);
um_status um_learn_beam(um_prep *prep, um_source *source);

/* masks.c */
um_status um_masks_signal(um_prep *prep);
um_status um_masks_navigation_fine(um_prep *prep);
um_status um_masks_navigation(um_prep *prep);

#endif
