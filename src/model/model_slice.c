/* Some positions of a result as a result of their own. */
#include "model_internal.h"

#include <stdlib.h>
#include <string.h>

static bool is_map(const um_model *model, const char *name)
{
    static const char *const maps[] = {"residual_map",         "residual_map_expected", "sum_map",
                                       "residual_map_weighted", "virtual_bright_field",
                                       "virtual_dark_field",   "outlier_share"};
    const um_array *a = um_model_array(model, name);
    bool found = false;
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        found = found || strcmp(name, maps[i]) == 0;
    }
    return found && um_array_size(a) == um_model_positions(model);
}

static um_status copy_maps(const um_model *model, int64_t first, um_model *part)
{
    const int64_t shape[2] = {part->shape.ny, part->shape.nx};
    for (int i = 0; i < model->array_count; i++) {
        const um_named_array *named = &model->arrays[i];
        if (is_map(model, named->name)) {
            UM_TRY(um_model_set_array(part, named->name, 2, shape,
                                      (const double *)named->array->data + first));
        }
    }
    return UM_OK;
}

um_status um_model_slice(um_context *ctx, const um_model *model, int64_t first, int64_t ny, int64_t nx,
                         const um_axis scan_axes[2], um_model **out)
{
    *out = NULL;
    size_t count = 0;
    size_t all = (size_t)um_model_positions(model);
    if (first < 0 || !um_mul4(ny, nx, 1, 1, &count) || count == 0 || (size_t)first > all ||
        count > all - (size_t)first) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%lld x %lld positions from %lld on are not in a result of %zu",
                       (long long)ny, (long long)nx, (long long)first, all);
    }
    um_model_spec spec = {.k = model->k,
                          .shape = {ny, nx, model->shape.ky, model->shape.kx},
                          .axes = {scan_axes[0], scan_axes[1], model->axes[2], model->axes[3]},
                          .method = model->method};
    UM_TRY(um_model_create(ctx, &spec, out));
    um_model *part = *out;
    size_t k = (size_t)model->k;
    memcpy(part->factors, model->factors, k * (size_t)um_model_pixels(model) * sizeof(float));
    memcpy(part->loadings, model->loadings + (size_t)first * k, k * count * sizeof(float));
    um_status status = um_model_set_signal_mask(part, model->signal_mask);
    if (status == UM_OK && model->navigation_mask != NULL) {
        status = um_model_set_navigation_mask(part, model->navigation_mask + first);
    }
    if (status == UM_OK) {
        status = copy_maps(model, first, part);
    }
    if (status == UM_OK) {
        status = um_model_set_provenance(part, um_model_provenance(model));
    }
    if (status != UM_OK) {
        um_model_free(part);
        *out = NULL;
    }
    return status;
}
