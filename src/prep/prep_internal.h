/* Between the recipe's steps and the matrix that streams them. */
#ifndef UM_PREP_INTERNAL_H
#define UM_PREP_INTERNAL_H

#include "base_internal.h"
#include "unmix/prep.h"

#include <jansson.h>

/* A recipe bound to a source: everything known that a tile needs. */
typedef struct um_prep um_prep;

typedef struct um_prep_layout {
    um_shape in;  /* of the source after crop-scan and before anything else: scan part */
    um_shape out; /* after the recipe */
    um_axis axes[4];
    um_dtype dtype; /* of the prepared patterns */
    bool identity;  /* prepared patterns are the stored ones: nothing to do but read */
    bool counts;
    int64_t scan_bin;         /* input rows and columns per output position */
    int64_t crop_y0, crop_x0; /* first source position used */
} um_prep_layout;

/* Learns what the recipe needs from the data, by passes over an inner matrix. */
um_status um_prep_bind(um_context *ctx, um_source *source, const um_recipe *recipe, um_prep **out);
void um_prep_free(um_prep *prep);
const um_prep_layout *um_prep_get_layout(const um_prep *prep);
const uint8_t *um_prep_signal_mask(const um_prep *prep);
const uint8_t *um_prep_navigation_mask(const um_prep *prep);
const float *um_prep_beam_positions(const um_prep *prep);
json_t *um_prep_report(const um_prep *prep); /* borrowed */
int64_t um_prep_passes(const um_prep *prep); /* made while binding */

/* Scratch that one worker needs for um_prep_apply, whatever the rectangle. */
size_t um_prep_scratch_size(const um_prep *prep);
/* Prepares the patterns of output rectangle `out` from `raw`: the source's patterns of the
 * rectangle {crop + out.y0*bin, crop + out.x0*bin, out.ny*bin, out.nx*bin} in native dtype.
 * Thread-safe. dst gets out.ny*out.nx patterns of layout.dtype. */
um_status um_prep_apply(const um_prep *prep, um_rect out, const void *raw, void *scratch,
                        void *dst);

/* Whether a pass with k components is faster over sparse rows (0: over what is kept); looks at some patterns, once. */
UM_CHECK um_status um_matrix_decide_sparse(um_matrix *matrix, size_t k, bool *sparse);
/* The same as far as it has been decided: false before. */
bool um_matrix_is_sparse(const um_matrix *matrix, size_t k);

/* The prepared patterns of a rectangle of positions, excluded ones too, in the matrix's dtype: for a few, at once. */
UM_CHECK um_status um_matrix_read_rect(um_matrix *matrix, um_rect rect, void *dst);

/* What a pass will take beside the visitors' states, as far as the patterns looked at tell. */
typedef struct um_matrix_needs {
    int64_t workers;
    size_t tiles; /* bytes of patterns on their way, of all workers */
    size_t kept;  /* bytes of patterns that stay in memory */
    size_t kept_now;
    bool all_kept;
} um_matrix_needs;
um_matrix_needs um_matrix_get_needs(const um_matrix *matrix);

/* A matrix over a bound prep (takes it over, also on failure): what um_matrix_open ends with, and
 * what binding uses for its own passes. */
um_status um_matrix_from_prep(um_context *ctx, um_source *source, um_prep *prep, um_matrix **out);

typedef struct um_beam {
    bool found;               /* false: nothing stands out; y, x are then the middle of the pattern */
    bool central;             /* in the middle half of the pattern */
    double y, x, radius_px;   /* weighted centre of the blob; where it has faded to a tenth */
    double peak, next_peak;   /* above the median: of the blob, of the brightest pixel elsewhere */
    double share;             /* of the sum of the pattern */
    double share_of_squares;  /* of its sum of squares: what least squares sees */
} um_beam;

/* The brightest blob of a mean pattern (masked and non-finite pixels left out, hot pixels ignored). */
um_status um_beam_measure(um_context *ctx, const double *pattern, const uint8_t *mask, int64_t ky,
                       int64_t kx, um_beam *beam);

/* Where a mask (1 = excluded) hides the middle of the pattern by a patch that does not reach its border:
 * the centre and radius of the patch, as the place of a beam that cannot be seen. Else false. */
bool um_mask_center(const uint8_t *mask, int64_t ky, int64_t kx, um_beam *beam);

/* The visitor behind um_matrix_sums(), for passes that sum up and do more in the same read: begin,
 * pass with um_sums_visitor and the job as its user (or call its functions from another visitor),
 * finish to get the sums, end in any case. */
typedef struct um_sums_job um_sums_job;
extern const um_visitor um_sums_visitor;
um_status um_sums_begin(um_matrix *matrix, um_sums_job **out);
const um_sums *um_sums_so_far(const um_sums_job *job); /* maps of what has been visited */
um_sums *um_sums_finish(um_sums_job *job); /* the caller's */
void um_sums_end(um_sums_job *job);

#endif
