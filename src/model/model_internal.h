/* The result in memory, and what the files of it share. */
#ifndef UM_MODEL_INTERNAL_H
#define UM_MODEL_INTERNAL_H

#include "io_internal.h"
#include "unmix/model.h"

typedef struct um_named_array {
    char *name;
    um_array *array; /* UM_F64; stays where it is until it is replaced */
} um_named_array;

struct um_model {
    um_context *ctx;
    int64_t k;
    um_shape shape;
    um_axis axes[4];
    char *method;
    float *factors, *loadings; /* from the budget */
    uint8_t *signal_mask, *navigation_mask;
    um_named_array *arrays;
    int array_count;
    char *provenance;
};

int64_t um_model_pixels(const um_model *model);    /* ky * kx */
int64_t um_model_positions(const um_model *model); /* ny * nx */

/* Factors as files hold them: pixels x k, NaN where excluded. *out from the budget. */
um_status um_model_factor_rows(um_context *ctx, const um_model *model, float **out);
/* Loadings (positions x k) with NaN where excluded; um_buffer_free() it. */
um_status um_model_loading_rows(um_context *ctx, const um_model *model, float **out);
/* Puts rows of pixels x k back into the model's k x pixels. */
void um_model_take_factor_rows(um_model *model, const float *rows);
/* Provenance says that the data were weighted for counting noise. */
bool um_model_weighted(const um_model *model);
/* HyperSpy's cluster_labels (n x positions, 0 or 1) from cluster_map, malloc'ed; NULL with *n = 0 when the
 * model has no clusters, with *n > 0 when there is no memory. */
uint8_t *um_model_cluster_labels(const um_model *model, int64_t *n);
/* Components turned by um_ica(): source rows are matrix times a row, the other side mixing times one. */
typedef struct um_turning {
    int64_t k; /* leading components that are turned */
    const double *matrix, *loadings, *factors; /* k x k: W; what turns a row of loadings, of factors */
    bool on_loadings;
    char algorithm[32];
} um_turning;
bool um_model_turning(const um_model *model, um_turning *out); /* false when there are none */
/* In place: rows of k numbers become rows of `turned` <= k, by (turned x turned) times the first ones. */
UM_CHECK um_status um_model_turn_rows(um_context *ctx, float *rows, int64_t count, int64_t k,
                                      const double *by, int64_t turned);

/* The one array that HyperSpy wants as a whole number. */
bool um_model_array_is_whole(const char *name);
/* Names that a result file uses for something else than a named array. */
bool um_model_name_reserved(const char *name);

um_status um_model_save_hspy(um_context *ctx, const um_model *model, const char *path,
                             const um_save_options *options);
um_status um_model_load_hspy(um_context *ctx, const char *path, um_model **out);
um_status um_model_save_npz(um_context *ctx, const um_model *model, const char *path,
                            const um_save_options *options);
um_status um_model_load_npz(um_context *ctx, const char *path, um_model **out);

#endif
