/* A bound recipe from the inside: shared by the files of prep. */
#ifndef UM_PREP_STEPS_H
#define UM_PREP_STEPS_H

#include "pixels.h"
#include "prep_internal.h"
#include "recipe_internal.h"

/* How far a recipe is carried out. What is learned from the data is learned on patterns prepared up
 * to the step before: an inner matrix of a lower level. Inner levels neither bin nor mask pixels.
 */
typedef enum um_level {
    UM_LEVEL_STORED,   /* crops, finite, dark and gain */
    UM_LEVEL_REPAIRED, /* and hot pixels, affine */
    UM_LEVEL_PREPARED, /* and centre, background, friedel */
    UM_LEVEL_FINAL
} um_level;

/* A pixel to be replaced by the mean of good neighbours. */
typedef struct um_repair {
    int32_t pixel;
    int32_t count; /* 0: nothing good is near; the pixel is left and masked */
    int32_t from[24];
} um_repair;

/* Bilinear sample: of base, base+1 and the next row, with fractions; base < 0: comes from outside.
 */
typedef struct um_sample {
    int32_t base;
    float fy, fx;
} um_sample;

/* Gaussian truncated at four sigma, unit sum: weights[0] is the middle, one side only. */
typedef struct um_gauss {
    int64_t radius;
    float *weights;
} um_gauss;

/* Pixels sorted by rounded distance from the beam: ring r is order[first[r]] ..
 * order[first[r+1]-1]. */
typedef struct um_rings {
    int64_t count, most; /* most pixels in one ring */
    int32_t *first, *order;
    int32_t *ring; /* of each pixel */
} um_rings;

/* Found in the data (or given), before binning; owned by the final prep and borrowed by inner ones.
 */
typedef struct um_learned {
    bool beam_known;
    double beam_y, beam_x; /* direct beam after centring, px */
    float *dark, *gain;    /* ky*kx or NULL */
    um_repair *repairs;
    size_t repair_count;
    um_sample *samples; /* affine, ky*kx or NULL */
    float *positions;   /* measured beam, in.ny*in.nx*2 (y, x), NaN where it can't be measured */
    float *shifts;      /* what is applied, the same shape: pattern moves by -shift */
    uint8_t *bars;      /* ky*kx: pixels that hold nothing real; NULL = none */
    um_gauss narrow, wide;
    um_rings rings;
    uint8_t *navigation; /* in.ny*in.nx, 1 = excluded, or NULL */
    int64_t passes;
} um_learned;

struct um_prep {
    um_context *ctx;
    const um_pixel_kernels *kernels;
    const um_source_info *source;
    um_recipe *recipe;
    um_level level;
    bool inner; /* `learned` is borrowed */
    um_learned *learned;
    um_prep_layout layout;
    bool native;    /* values keep their type; only crop and repair */
    bool whole;     /* values are whole numbers before binning, at most twice the stored ones */
    int64_t ky, kx; /* after crop-signal, before binning */
    int64_t crop_ky, crop_kx;
    int64_t bin_signal;
    uint8_t *signal_mask, *navigation_mask;
    json_t *report;
};

/* Room of one worker; parts that the recipe does not need are NULL. */
typedef struct um_scratch {
    float *a, *b, *c; /* ky*kx each */
    float *room;      /* of the widest Gaussian */
    int32_t *queue;   /* ky*kx + 1 */
    uint8_t *queued;  /* ky*kx */
    float *column;    /* kx: sums of a bin's rows */
    double *sum;      /* out.ky*out.kx: of a bin of patterns */
} um_scratch;

/* prep.c: a prep of a lower level over the same source, sharing what was learned; and a matrix of
 * it. */
um_status um_prep_inner(const um_prep *prep, um_source *source, um_level level, um_prep **out);
um_status um_prep_inner_pass(const um_prep *prep, um_source *source, um_level level,
                             const char *stage, const um_visitor *visitor, void *user);

/* convert.c */
void um_repair_pattern(um_dtype dtype, void *pattern, const um_repair *repairs, size_t count,
                       bool whole);

/* learn.c: the result is malloc'ed, ky*kx. */
um_status um_mean_pattern(const um_prep *prep, um_source *source, um_level level, const char *stage,
                          double **out, int64_t *positions);
um_status um_learn_beam(um_prep *prep, um_source *source);
/* Centre of the 4-connected region around `top` that stays above a threshold, weighted with what
 * stands out of it. queue has ky*kx entries, seen too (zero). */
void um_blob_center(const double *image, int64_t ky, int64_t kx, double threshold, int64_t top,
                    int64_t *queue, uint8_t *seen, double *cy, double *cx);

/* hot.c, affine.c, center.c, shifts.c, background.c, hdome.c, friedel.c: learning and applying. */
um_status um_learn_hot(um_prep *prep, um_source *source);
um_status um_learn_affine(um_prep *prep);
void um_apply_affine(const um_prep *prep, const float *src, float *dst);
um_status um_learn_center(um_prep *prep, um_source *source);
um_status um_learn_shifts(um_prep *prep);
void um_apply_shift(const um_prep *prep, int64_t position, const float *src, float *dst);
um_status um_learn_background(um_prep *prep);
void um_apply_background(const um_prep *prep, const um_scratch *s);
void um_apply_hdome(const um_prep *prep, float height, const um_scratch *s);
void um_apply_friedel(const um_prep *prep, const float *src, float *dst);
um_status um_learn_friedel(um_prep *prep);

/* gauss.c: separable, mirror at the border (d c b a | a b c d | d c b a). `between` has ky*kx,
 * `room` um_gauss_room() entries; dst may be src. */
um_status um_gauss_make(um_context *ctx, double sigma_px, um_gauss *out);
size_t um_gauss_room(const um_gauss *gauss, int64_t ky, int64_t kx);
void um_gauss_apply(const um_pixel_kernels *kernels, const um_gauss *gauss, const float *src,
                    int64_t ky, int64_t kx, float *between, float *room, float *dst);

/* masks.c, blobs.c, threshold.c */
um_status um_masks_signal(um_prep *prep, um_source *source);
um_status um_masks_navigation_fine(um_prep *prep);
um_status um_masks_navigation(um_prep *prep);
um_status um_bars(um_prep *prep, uint8_t **bars); /* learned->bars, made zero when new */
void um_mask_add_ring(uint8_t *mask, int64_t ky, int64_t kx, um_ring ring);
um_status um_mask_blobs(um_prep *prep, um_source *source, uint8_t *fine);
um_status um_learn_threshold(um_prep *prep, um_source *source);
/* An image of the detector (as stored or cropped) as f32, cropped. malloc'ed. */
um_status um_signal_image(const um_prep *prep, const char *key, const char *spec, float **out);

#endif
