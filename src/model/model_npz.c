/* The result as a NumPy archive: what learning_results.load() of HyperSpy takes, and all of ours. */
#include "model_internal.h"

#include <stdlib.h>
#include <string.h>

/* What has no place of its own in an archive of arrays, as JSON bytes under this name. */
static const char HEAD[] = "unmix_model";

/* ---- saving --------------------------------------------------------------------------------- */

static json_t *axis_json(const um_axis *axis)
{
    return json_pack("{s:s, s:s, s:f, s:f, s:I, s:b}", "name", axis->name, "units", axis->units,
                     "scale", axis->scale, "offset", axis->offset, "size", (json_int_t)axis->size,
                     "navigate", axis->navigate);
}

static char *head_text(const um_model *model)
{
    um_shape s = model->shape;
    json_t *provenance = json_loads(um_model_provenance(model), 0, NULL);
    json_t *axes = json_array();
    for (int i = 0; i < 4; i++) {
        json_array_append_new(axes, axis_json(&model->axes[i]));
    }
    json_t *names = json_array();
    for (int i = 0; i < model->array_count; i++) {
        json_array_append_new(names, json_string(model->arrays[i].name));
    }
    json_t *head = json_pack("{s:s, s:I, s:[I,I,I,I], s:o, s:o, s:b, s:b, s:o}", "method",
                             model->method, "k", (json_int_t)model->k, "shape", (json_int_t)s.ny,
                             (json_int_t)s.nx, (json_int_t)s.ky, (json_int_t)s.kx, "axes", axes,
                             "arrays", names, "signal_mask", model->signal_mask != NULL,
                             "navigation_mask", model->navigation_mask != NULL, "provenance",
                             provenance);
    char *text = json_dumps(head, JSON_COMPACT);
    json_decref(head);
    return text;
}

static um_status add_mask(um_npz *npz, const char *name, int64_t height, int64_t width,
                          const uint8_t *mask)
{
    const int64_t shape[2] = {height, width};
    return mask == NULL ? UM_OK : um_npz_add_bool(npz, name, 2, shape, mask);
}

static um_status add_cluster_labels(um_context *ctx, um_npz *npz, const um_model *model)
{
    int64_t shape[2] = {0, um_model_positions(model)};
    uint8_t *labels = um_model_cluster_labels(model, &shape[0]);
    um_status status = UM_OK;
    if (labels != NULL) {
        status = um_npz_add_bool(npz, "cluster_labels", 2, shape, labels);
    } else if (shape[0] > 0) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "no memory for the labels of clusters");
    }
    free(labels);
    return status;
}

/* Turns the rows, which are in the archive already. */
static um_status add_turned(um_npz *npz, const char *name, const um_model *model, float *rows,
                            int64_t count, bool loadings)
{
    um_turning t;
    if (!um_model_turning(model, &t)) {
        return UM_OK;
    }
    const int64_t shape[2] = {count, t.k};
    UM_TRY(um_model_turn_rows(model->ctx, rows, count, model->k, loadings ? t.loadings : t.factors,
                              t.k));
    return um_npz_add(npz, name, UM_F32, 2, shape, rows);
}

static um_status add_turning(um_npz *npz, const um_model *model)
{
    um_turning t;
    if (!um_model_turning(model, &t)) {
        return UM_OK;
    }
    const int64_t shape[2] = {t.k, t.k};
    const uint8_t on_loadings = t.on_loadings;
    UM_TRY(um_npz_add(npz, "unmixing_matrix", UM_F64, 2, shape, t.matrix));
    UM_TRY(um_npz_add_text(npz, "bss_algorithm", t.algorithm));
    return um_npz_add_bool(npz, "on_loadings", 0, NULL, &on_loadings);
}

static um_status add_words(um_npz *npz, const um_model *model, const char *head)
{
    const uint8_t weighted = um_model_weighted(model);
    const int64_t size = (int64_t)strlen(head);
    UM_TRY(um_npz_add_text(npz, "decomposition_algorithm", model->method));
    UM_TRY(um_npz_add_int(npz, "output_dimension", model->k));
    UM_TRY(um_npz_add_bool(npz, "poissonian_noise_normalized", 0, NULL, &weighted));
    UM_TRY(um_npz_add_text(npz, "provenance", um_model_provenance(model)));
    return um_npz_add(npz, HEAD, UM_U8, 1, &size, head);
}

static um_status add_all(um_context *ctx, um_npz *npz, const um_model *model, const char *head)
{
    const int64_t factor_shape[2] = {um_model_pixels(model), model->k};
    const int64_t loading_shape[2] = {um_model_positions(model), model->k};
    um_shape s = model->shape;
    float *rows = NULL;
    um_status status = um_model_factor_rows(ctx, model, &rows);
    if (status == UM_OK) {
        status = um_npz_add(npz, "factors", UM_F32, 2, factor_shape, rows);
    }
    if (status == UM_OK) {
        status = add_turned(npz, "bss_factors", model, rows, factor_shape[0], false);
    }
    um_buffer_free(ctx, rows);
    rows = NULL;
    if (status == UM_OK) {
        status = um_model_loading_rows(ctx, model, &rows);
    }
    if (status == UM_OK) {
        status = um_npz_add(npz, "loadings", UM_F32, 2, loading_shape, rows);
    }
    if (status == UM_OK) {
        status = add_turned(npz, "bss_loadings", model, rows, loading_shape[0], true);
    }
    um_buffer_free(ctx, rows);
    UM_TRY(status);
    UM_TRY(add_mask(npz, "signal_mask", s.ky, s.kx, model->signal_mask));
    UM_TRY(add_mask(npz, "navigation_mask", s.ny, s.nx, model->navigation_mask));
    for (int i = 0; i < model->array_count; i++) {
        const um_array *a = model->arrays[i].array;
        UM_TRY(a->ndim == 0 && um_model_array_is_whole(model->arrays[i].name)
                   ? um_npz_add_int(npz, model->arrays[i].name, (int64_t)um_array_get(a, 0))
                   : um_npz_add(npz, model->arrays[i].name, UM_F64, a->ndim, a->shape, a->data));
    }
    UM_TRY(add_cluster_labels(ctx, npz, model));
    UM_TRY(add_turning(npz, model));
    return add_words(npz, model, head);
}

um_status um_model_save_npz(um_context *ctx, const um_model *model, const char *path,
                            const um_save_options *options)
{
    um_npz *npz = NULL;
    char *head = head_text(model);
    um_status status = head != NULL ? um_npz_create(ctx, path, options->overwrite, &npz)
                                    : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory", path);
    if (status == UM_OK) {
        status = add_all(ctx, npz, model, head);
    }
    if (status == UM_OK) {
        status = um_npz_commit(npz);
    }
    um_npz_free(npz);
    free(head);
    return status;
}

/* ---- loading -------------------------------------------------------------------------------- */

static um_status read_member(um_context *ctx, const char *path, const char *name, um_array **out)
{
    *out = NULL;
    char *spec = um_format("%s:%s", path, name);
    if (spec == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory", path);
    }
    um_status status = um_array_read(ctx, spec, out);
    free(spec);
    return status;
}

static um_status damaged(um_context *ctx, const char *path, const char *what)
{
    return um_fail(ctx, UM_ERROR_FORMAT, "%s: %s: this is no result of unmix", path, what);
}

static bool is_floats(const um_array *array, int64_t rows, int64_t columns)
{
    return array->dtype == UM_F32 && array->ndim == 2 && array->shape[0] == rows &&
           array->shape[1] == columns;
}

static um_status read_rows(um_context *ctx, const char *path, um_model *model)
{
    um_array *factors = NULL;
    um_array *loadings = NULL;
    um_status status = read_member(ctx, path, "factors", &factors);
    if (status == UM_OK) {
        status = read_member(ctx, path, "loadings", &loadings);
    }
    if (status == UM_OK && (!is_floats(factors, um_model_pixels(model), model->k) ||
                            !is_floats(loadings, um_model_positions(model), model->k))) {
        status = damaged(ctx, path, "factors and loadings do not fit the axes");
    }
    if (status == UM_OK) {
        um_model_take_factor_rows(model, factors->data);
        memcpy(model->loadings, loadings->data,
               (size_t)um_array_size(loadings) * sizeof *model->loadings);
    }
    um_array_free(factors);
    um_array_free(loadings);
    return status;
}

static um_status read_mask(um_context *ctx, const char *path, const char *name, um_model *model,
                           int64_t count, um_status (*set)(um_model *, const uint8_t *))
{
    um_array *mask = NULL;
    UM_TRY(read_member(ctx, path, name, &mask));
    um_status status = UM_OK;
    if (mask->dtype != UM_U8 || um_array_size(mask) != count) {
        status = damaged(ctx, path, "a mask does not fit the axes");
    } else {
        status = set(model, mask->data);
    }
    um_array_free(mask);
    return status;
}

static um_status read_named(um_context *ctx, const char *path, json_t *names, um_model *model)
{
    size_t i;
    json_t *name;
    json_array_foreach(names, i, name) {
        if (!json_is_string(name)) {
            return damaged(ctx, path, "its list of arrays is damaged");
        }
        um_array *array = NULL;
        UM_TRY(read_member(ctx, path, json_string_value(name), &array));
        um_status status = array->dtype == UM_F64
                               ? um_model_set_array(model, json_string_value(name), array->ndim,
                                                    array->shape, array->data)
                               : damaged(ctx, path, "an array is not float64");
        um_array_free(array);
        UM_TRY(status);
    }
    return UM_OK;
}

static void take_axis(json_t *object, um_axis *axis)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *units = json_string_value(json_object_get(object, "units"));
    snprintf(axis->name, sizeof axis->name, "%s", name != NULL ? name : "");
    snprintf(axis->units, sizeof axis->units, "%s", units != NULL ? units : "");
    double scale = json_number_value(json_object_get(object, "scale"));
    axis->scale = scale != 0 ? scale : 1;
    axis->offset = json_number_value(json_object_get(object, "offset"));
}

static um_status read_head(um_context *ctx, const char *path, json_t *head, um_model **out)
{
    json_t *shape = json_object_get(head, "shape");
    json_t *axes = json_object_get(head, "axes");
    um_model_spec spec = {.k = json_integer_value(json_object_get(head, "k"))};
    spec.method = json_string_value(json_object_get(head, "method"));
    int64_t sizes[4];
    for (size_t i = 0; i < 4; i++) {
        sizes[i] = json_integer_value(json_array_get(shape, i));
        take_axis(json_array_get(axes, i), &spec.axes[i]);
    }
    spec.shape = (um_shape){sizes[0], sizes[1], sizes[2], sizes[3]};
    if (spec.k < 1 || spec.method == NULL) {
        return damaged(ctx, path, "its description is damaged");
    }
    UM_TRY(um_model_create(ctx, &spec, out));
    json_t *provenance = json_object_get(head, "provenance");
    char *text = json_is_object(provenance) ? json_dumps(provenance, JSON_COMPACT) : NULL;
    um_status status = text != NULL ? um_model_set_provenance(*out, text) : UM_OK;
    free(text);
    return status;
}

static um_status read_model(um_context *ctx, const char *path, json_t *head, um_model **out)
{
    UM_TRY(read_head(ctx, path, head, out));
    UM_TRY(read_rows(ctx, path, *out));
    if (json_is_true(json_object_get(head, "signal_mask"))) {
        UM_TRY(read_mask(ctx, path, "signal_mask", *out, um_model_pixels(*out),
                         um_model_set_signal_mask));
    }
    if (json_is_true(json_object_get(head, "navigation_mask"))) {
        UM_TRY(read_mask(ctx, path, "navigation_mask", *out, um_model_positions(*out),
                         um_model_set_navigation_mask));
    }
    return read_named(ctx, path, json_object_get(head, "arrays"), *out);
}

um_status um_model_load_npz(um_context *ctx, const char *path, um_model **out)
{
    um_array *bytes = NULL;
    UM_TRY(read_member(ctx, path, HEAD, &bytes));
    json_t *head = bytes->dtype == UM_U8 && bytes->ndim == 1
                       ? json_loadb(bytes->data, (size_t)um_array_size(bytes), 0, NULL)
                       : NULL;
    um_array_free(bytes);
    um_status status = json_is_object(head) ? read_model(ctx, path, head, out)
                                            : damaged(ctx, path, "its description is damaged");
    json_decref(head);
    if (status != UM_OK) {
        um_model_free(*out);
        *out = NULL;
    }
    return status;
}
