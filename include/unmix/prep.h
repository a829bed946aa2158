/* unmix/prep.h - the recipe: what is done to each pattern between the file and the arithmetic, and the
 * matrix that a source and a recipe make.
 *
 * The steps run in one fixed order, each fused into the stream (no intermediate file):
 *   crop-scan, crop-signal -> not-a-number -> dark, gain -> hot/dead pixels -> affine -> centre ->
 *   background -> friedel -> bin-scan, bin-signal -> negative -> masks
 * Everything is set by key and text, the same for INI files ([prep] section), options and the library.
 *
 * Coordinates are (y, x) pixels of the cropped pattern before binning, pixel centres at whole numbers;
 * the middle of n pixels is (n - 1)/2. Masks are made there too: a bin is excluded when anything in it
 * is. Centring moves the direct beam to the middle by bilinear interpolation in f32, which keeps the
 * sum of all that stays in the frame; what comes in from outside is zero (",mask" excludes it). Affine
 * keeps local intensity (no Jacobian); pixels that come from outside are excluded. Missing positions
 * of a short file are excluded. */
#ifndef UNMIX_PREP_H
#define UNMIX_PREP_H

#include "unmix/io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_recipe um_recipe;

UM_CHECK UM_API um_status um_recipe_create(um_context *ctx, um_recipe **out);
UM_API void um_recipe_free(um_recipe *recipe);
/* One step by its key ("bin-signal", "4"). um_recipe_keys() lists keys with the help text that the
 * command line shows. UM_ERROR_ARGUMENT with the accepted form when the value does not parse. */
UM_CHECK UM_API um_status um_recipe_set(um_recipe *recipe, const char *key, const char *value);
/* Reads the [prep] section of an INI file; unknown keys are errors, other sections are skipped. File
 * names in it are taken as everywhere: relative to the working directory. */
UM_CHECK UM_API um_status um_recipe_read(um_recipe *recipe, const char *path);
/* The recipe as INI text that um_recipe_read() takes back; "" when it does nothing. Owned. */
UM_API const char *um_recipe_text(um_recipe *recipe);

typedef struct um_recipe_key {
    const char *key;   /* "crop-scan" */
    const char *value; /* form of the value for help: "y0:y1,x0:x1"; NULL for a switch */
    const char *help;  /* one line */
} um_recipe_key;
UM_API const um_recipe_key *um_recipe_keys(size_t *count);

/* A source seen through a recipe: N = ny*nx positions x M = ky*kx pixels, passed over in tiles. */
typedef struct um_matrix um_matrix;

/* Binds recipe to source: checks shapes, learns what the recipe needs from the data (hot pixels,
 * direct-beam shifts, automatic masks: one or two passes, with progress). NULL recipe = as it is.
 * source and ctx must outlive the matrix; the recipe is copied. */
UM_CHECK UM_API um_status um_matrix_open(um_context *ctx, um_source *source,
                                         const um_recipe *recipe, um_matrix **out);
UM_API void um_matrix_free(um_matrix *matrix);
UM_API um_context *um_matrix_get_context(const um_matrix *matrix);

typedef struct um_matrix_info {
    um_shape shape;  /* after the recipe */
    um_axis axes[4]; /* after the recipe */
    um_dtype dtype;  /* of the tiles: the source's where the recipe keeps it, else UM_F32 */
    bool counts;     /* integers, their sums and interpolations: the variance goes with the mean,
                            Poisson weights make sense. Not after dark, gain or background */
    const uint8_t *signal_mask;     /* ky*kx, 1 = excluded, or NULL */
    const uint8_t *navigation_mask; /* ny*nx, 1 = excluded, or NULL */
} um_matrix_info;
UM_API const um_matrix_info *um_matrix_get_info(const um_matrix *matrix);
/* What the recipe learned from the data as JSON, each key only where it applies: beam_center [y, x] (px
 * before binning), bad_pixels {repaired, dead, masked, list}, center {measured, mean_beam, std_beam,
 * plane_middle_per_row_per_column, robust_std_from_plane, shift_from_to_y_x, at_limit_of_search,
 * outliers, outlier_list}, friedel, mask_auto_discs, navigation_threshold, excluded_pixels,
 * excluded_positions, missing_positions, dropped_by_binning. Owned by the matrix. */
UM_API const char *um_matrix_report(const um_matrix *matrix);
/* Number of reads of the source made so far through this matrix. Passes over patterns that have stayed in
 * memory are not reads. */
UM_API int64_t um_matrix_passes(const um_matrix *matrix);
/* The same in whole and in part: a sample of 5 % is 0.05, a pass over a scan half of which stayed in memory 0.5. */
UM_API double um_matrix_reads(const um_matrix *matrix);
/* Visits of all patterns, from the file or from memory, in whole and in part: what a solver's arithmetic costs. */
UM_API double um_matrix_visits(const um_matrix *matrix);
/* Measured direct-beam positions (y, x in px of the cropped pattern) per scan position in C order:
 * ny*nx*2 floats in source order after crop-scan, or NULL when the recipe does not centre. */
UM_API const float *um_matrix_beam_positions(const um_matrix *matrix, int64_t *ny, int64_t *nx);

/* A group of patterns handed to a visitor. Excluded positions are left out; excluded pixels of float
 * tiles are zero, of integer tiles as stored (give them zero weight). */
typedef struct um_tile {
    um_dtype dtype;
    const void *data;             /* rows x (ky*kx), C order, contiguous */
    size_t rows;                  /* 1 .. UM_GROUP_ROWS */
    const int64_t *position;      /* output position index y*nx + x of each row */
    const um_sparse_rows *sparse; /* the same rows compressed (then data may be NULL), or NULL; only
                                     for visitors that say .sparse */
} um_tile;

/* A visitor is called with groups of at most UM_GROUP_ROWS patterns. Positions are passed in a fixed
 * order and cut into fixed groups and segments that depend on the file and the recipe only. The groups
 * of one segment are visited in order by one worker with that worker's state; then merge() runs,
 * segments strictly in order, and must fold the state into the result and clear it. So results are
 * the same bits for any number of threads, tile size and memory budget. */
enum { UM_GROUP_ROWS = 32 };
typedef struct um_visitor {
    um_status (*start)(void *user, void **state); /* one per worker; NULL = no state */
    um_status (*visit)(void *user, void *state, const um_tile *tile);
    um_status (*merge)(void *user, void *state); /* may be NULL */
    /* Called before the patterns of the tiles visited since the last call or merge go away, wherever that is between
     * visits; NULL = visit() is done with them when it returns. What is worked on here must not show where. */
    um_status (*drain)(void *user, void *state);
    void (*stop)(void *user, void *state);       /* frees the state; may be NULL */
    bool sparse;                                 /* takes tiles that are sparse rows */
    bool by_block; /* a segment is one block, what is read at once: workers stay close to each other, for writing */
} um_visitor;

/* One streaming read of everything. `stage` names it in the progress. Memory: per worker the raw and
 * the prepared patterns of a few tiles, sized to what is left of the budget after the visitor's states;
 * fewer workers than threads when it does not do for all. start() that fails with UM_ERROR_BUDGET for
 * a worker after the first costs that worker only; stop() is called for a state that was set. Files are
 * read ahead of the visits by further threads. Patterns stay in memory as um_matrix_keep() says; without
 * it those that take at most a quarter of the free budget do, from the second pass on. Tiles are sparse
 * rows for visitors that take them when the patterns looked at by the first such pass are u8 or u16 and
 * have few entries that are not zero, whatever is in memory. */
UM_CHECK UM_API um_status um_matrix_pass(um_matrix *matrix, const char *stage,
                                         const um_visitor *visitor, void *user);

/* The same of about `share` of the positions: small clumps, or whole blocks of a chunked file, one from
 * each of many equal stretches of the scan, chosen by the seed of the context. A share above one half is
 * all. Groups are smaller then; nothing is kept in memory. */
UM_CHECK UM_API um_status um_matrix_sample(um_matrix *matrix, const char *stage, double share,
                                           const um_visitor *visitor, void *user);
/* The most positions that it can show, excluded ones too. */
UM_API int64_t um_matrix_sample_size(const um_matrix *matrix, double share);

/* From the next pass on patterns stay in memory and are not read again: as they are where everything fits
 * into the budget beside `reserve`, else in the smallest of several exact forms, as many as fit. `reserve`
 * is the most that the caller's own buffers will take at once, those held now included. What is kept is
 * given back between passes whenever a buffer would else be refused. Looks at some patterns. */
UM_CHECK UM_API um_status um_matrix_keep(um_matrix *matrix, size_t reserve);
/* Most bytes of the budget that passes will take beside the visitors' states, kept patterns included:
 * exact where they are kept as they are, else from the patterns looked at by um_matrix_keep(). */
UM_API size_t um_matrix_memory(const um_matrix *matrix);
/* Share of entries that are not zero, of some patterns, which it looks at. */
UM_CHECK UM_API um_status um_matrix_density(um_matrix *matrix, double *density);

/* Sums over everything that is not excluded, made in one pass; f64 accumulation, exact for integers
 * up to 2^53. Patterns have ky*kx entries, maps ny*nx (0 at excluded positions). Entries that are not
 * finite are counted and otherwise taken for 0. */
typedef struct um_sums {
    int64_t positions; /* not excluded */
    double total, minimum, maximum, total_squares;
    int64_t not_finite, negative;                /* entries at unmasked pixels */
    int64_t first_bad_position, first_bad_pixel; /* of the first such entry, -1 if none */
    double *sum_pattern, *square_pattern, *max_pattern;
    double *sum_map, *square_map; /* over unmasked pixels */
} um_sums;
UM_CHECK UM_API um_status um_matrix_sums(um_matrix *matrix, um_sums **out);
UM_API void um_sums_free(um_sums *sums);

#ifdef __cplusplus
}
#endif
#endif
