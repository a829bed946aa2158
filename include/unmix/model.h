/* unmix/model.h - the result of a factorisation, with its masks, calibration and provenance.
 *
 * X ~ loadings . factors, in the units of the data: X is (ny*nx) x (ky*kx), row index y*nx + x,
 * column index ky*KX + kx. Masks are 1 = EXCLUDED (HyperSpy's meaning); what is excluded holds NaN. */
#ifndef UNMIX_MODEL_H
#define UNMIX_MODEL_H

#include "unmix/io.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_model um_model;

typedef struct um_model_spec {
    int64_t k;
    um_shape shape;
    um_axis axes[4];
    const char *method; /* "NMF", "SVD" */
} um_model_spec;

/* Zeroed factors and loadings. Memory k*(N+M) floats, from the context's budget. */
UM_CHECK UM_API um_status um_model_create(um_context *ctx, const um_model_spec *spec, um_model **out);
UM_API void um_model_free(um_model *model);

UM_API int64_t um_model_k(const um_model *model);
UM_API um_shape um_model_shape(const um_model *model);
UM_API const um_axis *um_model_axes(const um_model *model); /* four: y, x, ky, kx */
UM_API const char *um_model_method(const um_model *model);
UM_API float *um_model_factors(um_model *model);  /* k x (ky*kx), one component after another */
UM_API float *um_model_loadings(um_model *model); /* (ny*nx) x k */
/* Masks: ky*kx and ny*nx bytes, 1 = excluded; NULL where nothing is excluded. Setting copies. */
UM_API const uint8_t *um_model_signal_mask(const um_model *model);
UM_API const uint8_t *um_model_navigation_mask(const um_model *model);
UM_CHECK UM_API um_status um_model_set_signal_mask(um_model *model, const uint8_t *mask);
UM_CHECK UM_API um_status um_model_set_navigation_mask(um_model *model, const uint8_t *mask);

/* Named arrays that travel with the model (float64, C order). Names in use:
 *   singular_values (n), total_variance (), noise_edge (), objective_history (passes) squared weighted
 *   error, kkt_history (passes),
 *   explained_variance, explained_variance_ratio (SVD), component_contribution (k)
 *   sum_pattern, mean_pattern, max_pattern, variance_pattern (ky, kx),
 *   virtual_bright_field (ny, nx), or virtual_dark_field (ny, nx) the ring around a beam that is masked,
 *   residual_map (ny, nx) relative rms residual of each pattern,
 *   residual_map_expected (ny, nx) what counting noise alone would give, residual_map_weighted (ny, nx)
 *   mean squared residual in units of counting noise (Poisson weights only), residual_pattern (ky, kx)
 *   mean signed residual, residual_pattern_rms (ky, kx), sum_map (ny, nx),
 *   outlier_share (ny, nx) counts that a robust fit takes apart, of those of the position,
 *   bss_matrix, bss_mixing (k, k), bss_on_loadings () of um_ica(): files then hold HyperSpy's bss_factors,
 *   bss_loadings, unmixing_matrix, bss_algorithm (of the provenance) and on_loadings as well.
 * Names are lower case letters, digits and '_'. Setting copies and replaces (an empty array is not kept);
 * getting returns NULL when absent. */
UM_CHECK UM_API um_status um_model_set_array(um_model *model, const char *name, int ndim,
                                             const int64_t *shape, const double *data);
UM_API const um_array *um_model_array(const um_model *model, const char *name);
UM_API int um_model_array_count(const um_model *model);
UM_API const char *um_model_array_name(const um_model *model, int i);

/* Puts the components that um_ica() found (bss_matrix) in the place of the leading ones that it turned; the others
 * go. UM_ERROR_ARGUMENT when there are none. Memory: k*M floats for the time of it. */
UM_CHECK UM_API um_status um_model_turn(um_context *ctx, um_model *model);

/* The ny x nx positions from `first` on (C order) as a model of their own: the same patterns in the same order, their
 * loadings, masks, maps (residual_map*, sum_map, virtual_*) and the provenance; arrays about all positions stay
 * behind. UM_ERROR_VALUE when all of them are excluded. Memory: k*(ny*nx + M) floats. */
UM_CHECK UM_API um_status um_model_slice(um_context *ctx, const um_model *model, int64_t first, int64_t ny,
                                         int64_t nx, const um_axis scan_axes[2], um_model **out);

/* Provenance: one JSON object (input path, digest and shape, recipe, options, seed, version, build,
 * convergence, errors, seconds, peak bytes ...). Setting copies. Getting never gives NULL ("{}"). */
UM_CHECK UM_API um_status um_model_set_provenance(um_model *model, const char *json);
UM_API const char *um_model_provenance(const um_model *model);

/* Saves by suffix. `.hspy`: HyperSpy 1.7 and 2.x open it and plot_decomposition_results() works; the
 * signal's data is `data_link` ("scan.hspy" or "scan.h5:/path" as um_source_open() takes it: an external
 * link, no copy, by its bare name when it lies beside the result) or, when NULL or (with a warning) not a
 * chunked array of the scan's shape, an empty one. `.npz`: learning_results.load(). Both carry masks,
 * arrays and provenance and load again without loss. Atomic. */
typedef struct um_save_options {
    const char *data_link;
    bool overwrite;
    bool lazy_safe; /* .hspy: factors and loadings as attributes, so that lazy loading can plot */
} um_save_options;
UM_CHECK UM_API um_status um_model_save(um_context *ctx, const um_model *model, const char *path,
                                        const um_save_options *options);
UM_CHECK UM_API um_status um_model_load(um_context *ctx, const char *path, um_model **out);

#ifdef __cplusplus
}
#endif
#endif
