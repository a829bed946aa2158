/* Components turned by a regular matrix (um_ica()): HyperSpy's bss_*, derived when wanted. */
#include "model_internal.h"

#include <stdlib.h>
#include <string.h>

static const um_array *square_array(const um_model *model, const char *name)
{
    const um_array *a = um_model_array(model, name);
    bool fits = a != NULL && a->dtype == UM_F64 && a->ndim == 2 && a->shape[0] == a->shape[1] &&
                a->shape[0] >= 1 && a->shape[0] <= model->k;
    return fits ? a : NULL;
}

bool um_model_turning(const um_model *model, um_turning *out)
{
    const um_array *matrix = square_array(model, "bss_matrix");
    const um_array *mixing = square_array(model, "bss_mixing");
    const um_array *side = um_model_array(model, "bss_on_loadings");
    if (matrix == NULL || mixing == NULL || side == NULL || side->ndim != 0 ||
        matrix->shape[0] != mixing->shape[0]) {
        return false;
    }
    bool on_loadings = um_array_get(side, 0) != 0;
    *out = (um_turning){.k = matrix->shape[0],
                        .matrix = matrix->data,
                        .loadings = on_loadings ? matrix->data : mixing->data,
                        .factors = on_loadings ? mixing->data : matrix->data,
                        .on_loadings = on_loadings};
    json_t *provenance = json_loads(um_model_provenance(model), 0, NULL);
    const char *text = json_string_value(json_object_get(provenance, "bss_algorithm"));
    snprintf(out->algorithm, sizeof out->algorithm, "%s", text != NULL ? text : "unmix");
    json_decref(provenance);
    return true;
}

um_status um_model_turn_rows(um_context *ctx, float *rows, int64_t count, int64_t k, const double *by,
                             int64_t turned)
{
    double *row = malloc((size_t)turned * sizeof *row);
    if (row == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory to turn components");
    }
    for (int64_t i = 0; i < count; i++) {
        const float *from = rows + i * k;
        for (int64_t c = 0; c < turned; c++) {
            row[c] = 0;
            for (int64_t e = 0; e < turned; e++) {
                row[c] += by[c * turned + e] * (double)from[e];
            }
        }
        for (int64_t c = 0; c < turned; c++) {
            rows[i * turned + c] = (float)row[c]; /* turned <= k: never ahead of what is read */
        }
    }
    free(row);
    return UM_OK;
}

um_status um_model_turn(um_context *ctx, um_model *model)
{
    um_turning t;
    if (!um_model_turning(model, &t)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "the result has no independent components: run unmix ica");
    }
    int64_t pixels = um_model_pixels(model);
    float *rows = NULL;
    char *method = um_strdup(t.algorithm);
    UM_TRY(method != NULL ? um_model_factor_rows(ctx, model, &rows)
                          : um_fail(ctx, UM_ERROR_MEMORY, "no memory to turn components"));
    um_status status = um_model_turn_rows(ctx, rows, pixels, model->k, t.factors, t.k);
    if (status == UM_OK) {
        status = um_model_turn_rows(ctx, model->loadings, um_model_positions(model), model->k,
                                    t.loadings, t.k);
    }
    if (status == UM_OK) {
        model->k = t.k;
        um_model_take_factor_rows(model, rows);
        free(model->method);
        model->method = method;
        method = NULL;
    }
    free(method);
    um_buffer_free(ctx, rows);
    return status;
}
