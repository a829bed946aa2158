/* The scaled matrix X' = diag(u) X diag(v), and the one pass that every solver here is made of. */
#ifndef UM_FACTOR_INTERNAL_H
#define UM_FACTOR_INTERNAL_H

#include "base_internal.h"
#include "grid.h"
#include "kernels.h"
#include "prep_internal.h"
#include "tiles.h"
#include "unmix/factor.h"

/* Excluded or empty rows and columns have u = 0 or v = 0. With Poisson weights u_p = sqrt(T / a_p) and
 * v_q = 1 / sqrt(b_q), T the total: counting noise then has about unit variance everywhere.
 * Values in the units of x / sqrt(a b), which people are told, are `report` times smaller. */
typedef struct um_scaled {
    um_context *ctx;
    um_matrix *matrix;
    const um_kernels *kernels;
    const um_grid_kernels *grid;
    const um_tile_kernels *tiles; /* or NULL */
    um_dtype dtype; /* of the patterns */
    const um_sums *sums;
    um_sums *own_sums;
    size_t n, m, ld; /* positions and pixels in all, excluded ones too; stride of component rows */
    int64_t rows, columns; /* not excluded */
    int64_t noisy_rows, noisy_columns; /* of them those with a weight: empty ones hold no noise */
    um_weights wanted;
    bool weighted;
    double report;
    float *u, *v; /* n; ld, zero beyond m. Guessed from a sample as long as `sums` is NULL */
    double guessed_total;
    double norm2; /* ||X'||_F^2, or about so; 0 = not yet known */
    bool norm2_exact;
} um_scaled;

/* `sums` may be NULL (then the first read, um_subspace_find(), makes them) or borrowed. */
um_status um_scaled_init(um_scaled *scaled, um_matrix *matrix, um_weights weights,
                         const um_sums *sums);
/* Takes the sums: refuses bad values, decides on weights, fills u and v. */
um_status um_scaled_settle(um_scaled *scaled, const um_sums *sums);
void um_scaled_free(um_scaled *scaled);

/* Another visitor that is shown the tiles of a pass, in the same worker, with its own state. */
typedef struct um_companion {
    const um_visitor *visitor; /* NULL = none */
    void *user;
} um_companion;

/* One exact pass over X' = one visit per tile: A = X' H' for a group of rows; rows() turns A into W rows;
 * then B = W' X' and G = W' W are accumulated. H is k x ld in the scaled space. */
typedef struct um_exact_pass {
    const um_scaled *scaled;
    size_t k;
    const float *h;
    /* a and w are k x stride (component-major, stride UM_GROUP_ROWS), w is to be filled; adds what it
     * likes to extra[4], which is summed in the fixed order. */
    void (*rows)(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                 double extra[4]);
    void *user;
    /* The nearest H and W on a grid do as well: counts of 8 and 16 bits are then multiplied as integers, in half
     * the time. W becomes what `took` is called with, unless NULL, and what B and G are of. */
    bool on_grid;
    void (*took)(void *user, const int64_t *position, size_t rows, const double *w);
    bool want_norm2;
    um_companion before, after; /* shown each tile before A is taken, and after W is known */
    /* Called between the pass and its results, or NULL: scaled->u may have been set tile by tile by
     * `before`; scaled->v, which A was taken with, may become another for B. */
    um_status (*settle)(void *user);
    /* Shows the visitor its tiles in place of um_matrix_pass(), or NULL. */
    um_status (*walk)(void *walker, const um_visitor *visitor, void *user);
    void *walker;
    /* results */
    double *b; /* k x m, in the scaled space; caller's */
    double *g; /* k x k; caller's */
    double extra[4];
    double norm2; /* with the v that A was taken with */
} um_exact_pass;
um_status um_exact_pass_run(um_exact_pass *pass, const char *stage);
/* The same in parts, for whoever hands out the tiles: begin, um_exact_visitor with the run as user, end. `sparse`:
 * tiles may be sparse rows. */
typedef struct um_exact_run um_exact_run;
extern const um_visitor um_exact_visitor;
UM_CHECK um_status um_exact_run_begin(um_exact_pass *pass, bool sparse, um_exact_run **out);
UM_CHECK um_status um_exact_run_end(um_exact_run *run, um_status status);
/* g += W'W for a panel (k x UM_GROUP_ROWS, zero beyond its rows): the upper half, which um_complete_gram() mirrors. */
void um_panel_gram(const double *w, size_t k, double *g);
void um_complete_gram(double *g, size_t k);
/* UM_SURVIVORS: starts that are fitted to the end, the separable one among them. */
enum { UM_SCREE_VALUES = 25, UM_START_ROWS = 32768, UM_SURVIVORS = 4 };

/* What a sample of the scan holds, as stored; in the order of positions through slot. */
typedef struct um_sample_slot {
    int64_t position;
    size_t row;
} um_sample_slot;
typedef struct um_sample {
    um_dtype dtype;
    size_t rows, m, room;
    void *data;
    um_sample_slot *slot;
} um_sample;
/* Of a share of the scan; the same positions for a seed. um_sample_free() in every case. */
um_status um_sample_take(um_scaled *scaled, double share, um_sample *out);
void um_sample_free(um_context *ctx, um_sample *sample);
/* A sample as a scan of its own. */
typedef struct um_sample_view {
    um_scaled scaled;
    const um_sample *sample;
    bool sound; /* every value can be worked with */
} um_sample_view;
/* Replaces the random rows of o (l x ld) by the leading right singular vectors of a sample, but for the last
 * few. Also guesses the weights where the sums are not known. subspace_bytes: what the subspace itself
 * will hold, which the sample may hold before it. */
um_status um_sample_directions(um_scaled *scaled, size_t l, size_t subspace_bytes, float *o);
double um_sample_share(size_t n, size_t pattern, size_t subspace_bytes);

/* Subspace iteration on X': k singular triplets, more for the scree curve when k is small. */
typedef struct um_subspace {
    size_t count;  /* singular triplets */
    size_t shown;  /* of them those that are of use to people */
    double *sigma; /* count, in X' */
    float *v;      /* count x ld, orthonormal rows */
    float *us;     /* n x count: left vectors times sigma */
    double norm2;  /* of the image us v */
    int64_t passes;
    size_t more; /* directions beyond these, made by um_correction_make(); 0 = none */
    float *more_us, *more_v; /* n x more, more x ld: the image is us v + more_us more_v */
    float *place_us, *place_v; /* n, ld: one direction more, by um_missed_replace(); NULL = none */
    struct um_binned *binned; /* the scan summed over squares, or NULL */
    size_t nearest;     /* rows that make a vertex of the separable start; 0 = 20 */
    const char *reason; /* why more than one full read was made, or NULL */
} um_subspace;
/* Whether reads are to be few: not of a scan that is read in a second or stays in memory anyway, where certainty
 * is worth more. Told by its size, because results must not depend on the budget, or by the user. */
bool um_nmf_saves_reads(const um_scaled *scaled, const um_nmf_options *options);
um_stop um_nmf_stop_rule(const um_scaled *scaled, const um_nmf_options *options);
typedef enum um_subspace_purpose {
    UM_SUBSPACE_RESULT,   /* singular values that people read: until they are stable */
    UM_SUBSPACE_START,    /* values in the noise need not settle */
    UM_SUBSPACE_FEW_READS /* one read, or two when the first was not enough to start from */
} um_subspace_purpose;
/* Read 0 is a sample; each further one is a fused read. The first makes the sums when they are not known. */
um_status um_subspace_find(um_scaled *scaled, size_t k, int power_iterations, int oversampling,
                           um_subspace_purpose purpose, um_subspace *out);
/* `rounds` subspace iterations on what `walk` shows, NULL = reads of the matrix; o (l x ld) is the basis, before and
 * after, or, when `out` is wanted, taken over. */
um_status um_subspace_rounds(um_scaled *scaled, size_t l, int rounds,
                             um_status (*walk)(void *walker, const um_visitor *visitor, void *user),
                             void *walker, float *o, um_subspace *out);
/* `walk` over a sample; walker is its um_sample_view. */
um_status um_sample_walk(void *walker, const um_visitor *visitor, void *user);
/* See binned.c. NULL without Poisson weights, and of small scans. */
typedef struct um_binned um_binned;
size_t um_binned_side(const um_scaled *scaled, size_t subspace_bytes);
um_status um_binned_create(um_scaled *scaled, size_t subspace_bytes, um_binned **out);
extern const um_visitor um_binned_visitor;
void um_binned_settle(um_binned *binned);
um_sample_view *um_binned_view(um_binned *binned);
double um_binned_unit(const um_binned *binned); /* what the stored sums hold one count as */
size_t um_binned_positions(const um_binned *binned); /* along a side of a square */
um_status um_binned_subspace(um_binned *binned, size_t l, const float *o, um_subspace *out);
bool um_binned_add_directions(const um_binned *binned, const um_subspace *found, size_t l, float *o);
void um_binned_free(um_context *ctx, um_binned *binned);
void um_random_basis(const um_scaled *scaled, size_t l, float *o); /* l x ld, normal; 0 where excluded */
size_t um_subspace_bytes(size_t n, size_t m, size_t l); /* of the basis and projections of l directions */
/* The same visit as um_exact_pass_run, of the low-rank image in place of X': no read. */
um_status um_lowrank_pass_run(um_exact_pass *pass, const um_subspace *subspace);
size_t um_subspace_size(size_t k, int oversampling, size_t rank); /* directions carried */
void um_subspace_free(um_context *ctx, um_subspace *subspace);

/* Exact non-negative least squares, one column: minimise 1/2 w'Gw - a'w, w >= 0, by block principal
 * pivoting (Kim & Park 2011) from the support of w. work: k*(k+4) doubles. False (w kept) if it did not end. */
bool um_nnls(size_t k, const double *g, const double *a, double *w, double *work);

/* The state of a factorisation in the scaled space between two passes: what a checkpoint holds. */
typedef struct um_nmf_state {
    size_t k;
    float *h;      /* k x ld, unit rows: where the next pass is taken (extrapolated) */
    float *h_last; /* k x ld: the last solution, before extrapolation */
    float *w;      /* n x k */
    double *scale; /* k: the next pass takes w times this */
    double *history; /* objective of each pass, room for max_passes */
    double *history_kkt;
    int64_t passes;
    double momentum; /* passes since the last restart */
    double kkt;
    double turned;   /* the last pass over an image: largest turn of a component, radians */
    double safe;     /* the objective that h_last is known to reach, for um_nmf_few_passes */
    double gain;     /* the last step's relative decrease there */
    double turn_passes; /* reads made because a component still turned */
    double cautious; /* > 0: a corrected fit has failed, so many exact steps instead */
    double moved;    /* components that went to a place that stood out, with success */
    double moving;   /* 1: the next pass tells about one; 2: one has failed */
} um_nmf_state;
um_status um_nmf_state_create(um_scaled *scaled, size_t k, int64_t max_passes, um_nmf_state *out);
void um_nmf_state_free(um_context *ctx, um_nmf_state *state);
/* How to iterate: over the scan, or over its low-rank image in memory. */
typedef struct um_nmf_run {
    um_scaled *scaled;
    const um_subspace *subspace; /* NULL = exact passes */
    double tolerance;
    int64_t max_passes;
    const um_nmf_options *checkpoint; /* NULL = none */
    /* Over the image: ends when LATE_PASSES passes gain less than this of the objective and no component
     * turns by more than `turn` (radians, in the scaled space) in one; the KKT residual is not found then. */
    double gain, turn;
    bool plain; /* begin by plain coordinate descent: stay in the valley of a start that was given */
} um_nmf_run;
um_status um_nmf_iterate(const um_nmf_run *run, um_nmf_state *state, bool *converged);
/* Unit rows; what is divided out of H multiplies W when it is next taken up. */
void um_nmf_normalise(const um_scaled *scaled, um_nmf_state *state);
/* The start of UM_START_AUTO: several starts, each fitted to the low-rank image; see nmf_auto.c. */
um_status um_nmf_start_auto(um_scaled *scaled, const um_nmf_options *options,
                            const um_subspace *subspace, um_nmf_state *state);
um_status um_nmf_start(um_scaled *scaled, const um_nmf_options *options, um_nmf_state *state,
                       const um_subspace *subspace);
um_status um_nmf_start_separable(um_scaled *scaled, const um_subspace *subspace, um_nmf_state *state);
um_status um_nmf_save_when_due(um_scaled *scaled, const um_nmf_options *options,
                               const um_nmf_state *state, double *last);
um_status um_nmf_checkpoint_save(um_scaled *scaled, const um_nmf_options *options,
                                 const um_nmf_state *state);
/* *found = false when there is no checkpoint; an error when there is one of other data or options. */
um_status um_nmf_checkpoint_load(um_scaled *scaled, const um_nmf_options *options,
                                 um_nmf_state *state, bool *found);

/* The errors of a pair W, H as a companion of the pass that finds W. */
typedef struct um_residual {
    const um_scaled *scaled;
    const um_nmf_state *state;
    float *h, *on, *v2;
    float *ht;                  /* h where on, m x stride, for sparse rows; or NULL */
    size_t stride;
    double *gram, *gram_v2;     /* k x k: over pixels that are on, and with weights v2 */
    double *map, *map_weighted; /* n: sums of squares of each pattern */
    double *sum_d, *sum_d2;     /* m */
    double plain, weighted;     /* squared errors in all */
    float *inside;              /* an aperture (ld), or NULL */
    double *virtual_map;        /* n: sums over it; malloc'ed */
} um_residual;
extern const um_visitor um_residual_visitor;
um_status um_residual_create(const um_scaled *scaled, const um_nmf_state *state, um_residual *out);
void um_residual_begin(um_residual *residual); /* takes state->h */
um_status um_residual_store(um_residual *residual, um_model *model); /* uses it up */
void um_residual_free(um_residual *residual);

/* Mean and standard deviation that counting noise about the model gives the weighted residual of each pattern (per
 * pixel); n each, NaN where there is no pattern. */
um_status um_residual_expected(const um_scaled *scaled, const um_nmf_state *state, double *mean,
                               double *spread);
/* The weighted residual of each pattern (per pixel) less that mean, and the deviation; n each, which the caller frees. */
um_status um_residual_beyond(const um_scaled *scaled, const um_nmf_state *state,
                             const double *map_weighted, double **beyond, double **spread);
/* Of the 3 x 3 positions around one: the mean deviation from `level` in standard deviations of noise, or NaN. The largest
 * is left out: one count in a pixel that has hardly any would do. */
double um_excess_box(int64_t ny, int64_t nx, const double *map, const double *spread, double level,
                     int64_t position);

/* um_find_excess() of what map_weighted (sums of squares) holds beyond that. score (n): of each position. */
#define UM_EXCESS_SIGMAS 10.0
um_status um_residual_excess(const um_scaled *scaled, const um_nmf_state *state, const double *map_weighted,
                             double *score, um_excess *out);
/* See nmf_missed.c. At a judged pair, with the correction made: when a place stands out, a component of state->h goes there
 * and the image gets a direction, until um_missed_end(). g: W'W. Reads some hundred patterns at most. */
um_status um_missed_replace(um_scaled *scaled, um_subspace *subspace, um_nmf_state *state, const um_residual *residual,
                            const double *g, bool *replaced);
void um_missed_end(um_context *ctx, um_subspace *subspace);

/* One read: W solved exactly for state->h, and what is known at that pair. */
typedef struct um_nmf_judged {
    double *b, *g; /* W'X', W'W; the caller's */
    float *h;      /* k x ld: a place to keep H in; the caller's, or NULL */
    double objective, kkt;
} um_nmf_judged;
/* `subspace` with room for a correction (um_correction_create()), which is noted, or NULL. */
um_status um_nmf_judge(um_scaled *scaled, um_nmf_state *state, um_residual *residual,
                       um_subspace *subspace, um_nmf_judged *out);
/* The same where only the pair is wanted, with its residual and state->kkt. */
um_status um_nmf_judge_pair(um_scaled *scaled, um_nmf_state *state, um_residual *residual);
/* See correction.c. Room for 2 k directions; then, after um_nmf_judge() noted rows, those directions. */
um_status um_correction_create(um_scaled *scaled, um_subspace *subspace, size_t k);
um_status um_correction_make(um_scaled *scaled, um_subspace *subspace, const um_nmf_state *state,
                             const um_nmf_judged *judged);
/* Pseudo-inverse of a Gram matrix (k x k), in place. */
um_status um_invert_gram(um_context *ctx, size_t k, double *g);
/* The loadings of the pair that was judged. */
void um_correction_restore(const um_scaled *scaled, const um_subspace *subspace,
                           um_nmf_state *state);
/* Exact passes, each of which can be the last, and corrected low-rank fits between them: nmf_few.c. */
um_status um_nmf_few_passes(um_scaled *scaled, const um_nmf_options *options,
                            um_subspace *subspace, um_nmf_state *state,
                            um_residual *residual, um_nmf_result *result);
double um_nmf_floor(const um_scaled *scaled, size_t k); /* k (1/N + 1/M); 0 without weights */
/* What is worth a pass, as an amount of the objective: the floor, k (N + M) in X' with Poisson weights, else 0.1 % of
 * the objective (decision 9). */
double um_nmf_unit(const um_scaled *scaled, size_t k, double objective);
#define UM_NMF_TOLERANCE 1e-5 /* of the KKT residual, when the user names none */
/* Makes the model of the judged pair. */
um_status um_nmf_finish(um_scaled *scaled, const um_nmf_options *options, um_nmf_state *state,
                        const um_subspace *subspace, um_residual *residual, um_nmf_result *result);
/* H by coordinate descent on B and G, in f64, k x m. */
um_status um_nmf_move_components(um_scaled *scaled, size_t k, const double *g, const double *b,
                                 double *h, int sweeps);
/* Norm of the projected gradient of W and H together, relative to that of the empty model (-X'H', -W'X'):
 * the parts of W are handed in as sums over rows. H has unit rows. */
double um_kkt_residual(const um_scaled *scaled, size_t k, const double *g, const double *b,
                       const float *h, double row_gradient2, double row_product2);
/* H (k x ld) times v as multiples of a step for each component, packed; where v is 0 all is 0. */
void um_grid_components(const um_scaled *scaled, size_t k, const float *h, int16_t *packed, double *step);
/* Rounds W of a group, k x UM_GROUP_ROWS, so that u W are multiples of a step for each component; these, in pairs. */
void um_grid_rows(const um_scaled *scaled, const int64_t *position, size_t rows, size_t k, double *w,
                  int16_t *pairs, float *step);
/* G = H H' over ld columns, f64. */
void um_gram(const float *h, size_t k, size_t ld, double *g);

/* Refuses a k that no scan of this shape can have, before its memory is asked for. */
um_status um_require_k(const um_matrix *matrix, int64_t k, int64_t most);
/* Refuses a k that cannot be and what the budget does not do for, and leaves the rest of it to patterns. */
um_status um_svd_reserve(um_matrix *matrix, const um_svd_options *options);
um_status um_nmf_reserve(um_matrix *matrix, const um_nmf_options *options);

/* A model with calibration, masks and the sum patterns of the scan. */
um_status um_model_of_scan(const um_scaled *scaled, size_t k, const char *method, um_model **out);
um_status um_model_add_spectrum(const um_scaled *scaled, const um_subspace *subspace,
                                um_model *model);
double um_noise_edge(const um_scaled *scaled);

#endif
