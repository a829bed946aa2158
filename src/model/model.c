/* Factors, loadings, masks, named arrays and provenance, kept together. */
#include "model_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t um_model_pixels(const um_model *model)
{
    return model->shape.ky * model->shape.kx;
}

int64_t um_model_positions(const um_model *model)
{
    return model->shape.ny * model->shape.nx;
}

static um_status no_memory(um_context *ctx)
{
    return um_fail(ctx, UM_ERROR_MEMORY, "a model: no memory left");
}

static um_status fill(um_context *ctx, const um_model_spec *spec, um_model *model)
{
    size_t factors = 0;
    size_t loadings = 0;
    um_shape s = spec->shape;
    if (spec->k < 1 || s.ny < 1 || s.nx < 1 || s.ky < 1 || s.kx < 1 ||
        !um_mul4(spec->k, s.ky, s.kx, 1, &factors) || !um_mul4(spec->k, s.ny, s.nx, 1, &loadings)) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "a model of %lld components for %lld x %lld positions and %lld x %lld pixels "
                       "is not possible",
                       (long long)spec->k, (long long)s.ny, (long long)s.nx, (long long)s.ky,
                       (long long)s.kx);
    }
    model->ctx = ctx;
    model->k = spec->k;
    model->shape = s;
    memcpy(model->axes, spec->axes, sizeof model->axes);
    const int64_t sizes[4] = {s.ny, s.nx, s.ky, s.kx};
    for (int i = 0; i < 4; i++) {
        model->axes[i].size = sizes[i];
        model->axes[i].navigate = i < 2;
    }
    model->method = um_strdup(spec->method != NULL ? spec->method : "NMF");
    if (model->method == NULL) {
        return no_memory(ctx);
    }
    UM_TRY(um_buffer_alloc(ctx, factors, sizeof(float), "component patterns", &model->factors));
    return um_buffer_alloc(ctx, loadings, sizeof(float), "loading maps", &model->loadings);
}

um_status um_model_create(um_context *ctx, const um_model_spec *spec, um_model **out)
{
    *out = NULL;
    um_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return no_memory(ctx);
    }
    um_status status = fill(ctx, spec, model);
    if (status != UM_OK) {
        um_model_free(model);
        return status;
    }
    *out = model;
    return UM_OK;
}

static void free_array(um_context *ctx, um_array *array)
{
    if (array != NULL) {
        um_buffer_free(ctx, array->data);
        free(array);
    }
}

void um_model_free(um_model *model)
{
    if (model == NULL) {
        return;
    }
    um_buffer_free(model->ctx, model->factors);
    um_buffer_free(model->ctx, model->loadings);
    for (int i = 0; i < model->array_count; i++) {
        free(model->arrays[i].name);
        free_array(model->ctx, model->arrays[i].array);
    }
    free(model->arrays);
    free(model->signal_mask);
    free(model->navigation_mask);
    free(model->provenance);
    free(model->method);
    free(model);
}

int64_t um_model_k(const um_model *model)
{
    return model->k;
}

um_shape um_model_shape(const um_model *model)
{
    return model->shape;
}

const um_axis *um_model_axes(const um_model *model)
{
    return model->axes;
}

const char *um_model_method(const um_model *model)
{
    return model->method;
}

float *um_model_factors(um_model *model)
{
    return model->factors;
}

float *um_model_loadings(um_model *model)
{
    return model->loadings;
}

/* ---- masks ---------------------------------------------------------------------------------- */

const uint8_t *um_model_signal_mask(const um_model *model)
{
    return model->signal_mask;
}

const uint8_t *um_model_navigation_mask(const um_model *model)
{
    return model->navigation_mask;
}

static um_status set_mask(um_model *model, uint8_t **slot, const uint8_t *mask, int64_t count)
{
    uint8_t *copy = NULL;
    if (mask != NULL && memchr(mask, 0, (size_t)count) == NULL) {
        return um_fail(model->ctx, UM_ERROR_VALUE, "a mask excludes everything: change the mask");
    }
    bool any = false;
    for (int64_t i = 0; mask != NULL && i < count && !any; i++) {
        any = mask[i] != 0;
    }
    if (any) {
        copy = malloc((size_t)count);
        if (copy == NULL) {
            return no_memory(model->ctx);
        }
        for (int64_t i = 0; i < count; i++) {
            copy[i] = mask[i] != 0;
        }
    }
    free(*slot);
    *slot = copy;
    return UM_OK;
}

um_status um_model_set_signal_mask(um_model *model, const uint8_t *mask)
{
    return set_mask(model, &model->signal_mask, mask, um_model_pixels(model));
}

um_status um_model_set_navigation_mask(um_model *model, const uint8_t *mask)
{
    return set_mask(model, &model->navigation_mask, mask, um_model_positions(model));
}

/* ---- named arrays --------------------------------------------------------------------------- */

bool um_model_name_reserved(const char *name)
{
    /* What HyperSpy's learning_results and our own files keep under these names. */
    static const char *const names[] = {
        "factors",     "loadings",        "signal_mask", "navigation_mask",
        "decomposition_algorithm",        "output_dimension",
        "poissonian_noise_normalized",    "unfolded",    "original_shape",
        "centre",      "mean",            "unmixing_matrix", "bss_algorithm",
        "unmix_model", "provenance",      "cluster_labels",
        "bss_factors", "bss_loadings",    "on_loadings"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool um_model_array_is_whole(const char *name)
{
    return strcmp(name, "number_of_clusters") == 0;
}

static bool usable_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n < 64 && name[n] == '\0' && name[0] != '_' && !um_model_name_reserved(name);
}

static um_named_array *find_array(const um_model *model, const char *name)
{
    for (int i = 0; i < model->array_count; i++) {
        if (strcmp(model->arrays[i].name, name) == 0) {
            return &model->arrays[i];
        }
    }
    return NULL;
}

/* A slot for the name, with the name set and no data. */
static um_named_array *take_slot(um_model *model, const char *name)
{
    um_named_array *slot = find_array(model, name);
    if (slot != NULL) {
        return slot;
    }
    um_named_array *arrays =
        realloc(model->arrays, (size_t)(model->array_count + 1) * sizeof *arrays);
    if (arrays == NULL) {
        return NULL;
    }
    model->arrays = arrays;
    slot = &arrays[model->array_count];
    *slot = (um_named_array){.name = um_strdup(name)};
    if (slot->name == NULL) {
        return NULL;
    }
    model->array_count++;
    return slot;
}

/* A copy that counts against the budget, as maps of a long scan should. */
static um_status copy_array(um_context *ctx, int ndim, const int64_t *shape, const double *data, size_t bytes,
                            um_array **out)
{
    um_array *array = calloc(1, sizeof *array);
    *out = array;
    if (array == NULL) {
        return no_memory(ctx);
    }
    UM_TRY(um_buffer_alloc(ctx, bytes, 1, "an array of a model", &array->data));
    array->dtype = UM_F64;
    array->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        array->shape[i] = shape[i];
    }
    memcpy(array->data, data, bytes);
    return UM_OK;
}

um_status um_model_set_array(um_model *model, const char *name, int ndim, const int64_t *shape,
                             const double *data)
{
    size_t bytes = sizeof(double);
    bool possible = ndim >= 0 && ndim <= 6;
    for (int i = 0; possible && i < ndim; i++) {
        possible = shape[i] >= 0 && um_mul_size(bytes, (size_t)shape[i], &bytes);
    }
    if (possible && bytes == 0) {
        return UM_OK; /* nothing to keep, and HDF5 could not hold it */
    }
    if (!possible || !usable_name(name)) {
        return um_fail(model->ctx, UM_ERROR_ARGUMENT,
                       "a model cannot keep an array named \"%s\" of %d dimensions", name, ndim);
    }
    um_array *array = NULL;
    um_status status = copy_array(model->ctx, ndim, shape, data, bytes, &array);
    um_named_array *slot = status == UM_OK ? take_slot(model, name) : NULL;
    if (slot == NULL) {
        free_array(model->ctx, array);
        return status != UM_OK ? status : no_memory(model->ctx);
    }
    free_array(model->ctx, slot->array);
    slot->array = array;
    return UM_OK;
}

const um_array *um_model_array(const um_model *model, const char *name)
{
    const um_named_array *slot = find_array(model, name);
    return slot != NULL ? slot->array : NULL;
}

int um_model_array_count(const um_model *model)
{
    return model->array_count;
}

const char *um_model_array_name(const um_model *model, int i)
{
    return i >= 0 && i < model->array_count ? model->arrays[i].name : NULL;
}

/* ---- provenance ----------------------------------------------------------------------------- */

um_status um_model_set_provenance(um_model *model, const char *json)
{
    json_error_t error;
    json_t *object = json_loads(json, 0, &error);
    bool fits = json_is_object(object);
    json_decref(object);
    if (!fits) {
        return um_fail(model->ctx, UM_ERROR_ARGUMENT, "provenance is not a JSON object: %s",
                       error.text);
    }
    char *copy = um_strdup(json);
    if (copy == NULL) {
        return no_memory(model->ctx);
    }
    free(model->provenance);
    model->provenance = copy;
    return UM_OK;
}

const char *um_model_provenance(const um_model *model)
{
    return model->provenance != NULL ? model->provenance : "{}";
}

bool um_model_weighted(const um_model *model)
{
    json_t *provenance = json_loads(um_model_provenance(model), 0, NULL);
    json_t *weights = json_object_get(provenance, "weights");
    if (weights == NULL) {
        weights = json_object_get(json_object_get(provenance, "options"), "weights");
    }
    const char *text = json_string_value(weights);
    bool weighted = text != NULL && strcmp(text, "poisson") == 0;
    json_decref(provenance);
    return weighted;
}

uint8_t *um_model_cluster_labels(const um_model *model, int64_t *n)
{
    const um_array *map = um_model_array(model, "cluster_map");
    const um_array *number = um_model_array(model, "number_of_clusters");
    int64_t positions = um_model_positions(model);
    *n = number != NULL && number->ndim == 0 ? (int64_t)um_array_get(number, 0) : 0;
    size_t size = 0;
    if (map == NULL || um_array_size(map) != positions || *n < 1 ||
        !um_mul4(*n, positions, 1, 1, &size)) {
        *n = 0;
        return NULL;
    }
    uint8_t *labels = calloc(size, 1);
    for (int64_t p = 0; labels != NULL && p < positions; p++) {
        double label = um_array_get(map, p);
        if (label >= 0 && label < (double)*n) {
            labels[(int64_t)label * positions + p] = 1;
        }
    }
    return labels;
}

/* ---- rows as files hold them ---------------------------------------------------------------- */

static void blank_rows(float *rows, const uint8_t *mask, int64_t count, int64_t k)
{
    for (int64_t i = 0; mask != NULL && i < count; i++) {
        for (int64_t c = 0; mask[i] && c < k; c++) {
            rows[i * k + c] = NAN;
        }
    }
}

um_status um_model_factor_rows(um_context *ctx, const um_model *model, float **out)
{
    int64_t pixels = um_model_pixels(model);
    UM_TRY(um_buffer_alloc(ctx, (size_t)(pixels * model->k), sizeof(float),
                           "component patterns to save", out));
    for (int64_t c = 0; c < model->k; c++) {
        const float *factor = model->factors + c * pixels;
        for (int64_t q = 0; q < pixels; q++) {
            (*out)[q * model->k + c] = factor[q];
        }
    }
    blank_rows(*out, model->signal_mask, pixels, model->k);
    return UM_OK;
}

um_status um_model_loading_rows(um_context *ctx, const um_model *model, float **out)
{
    size_t count = (size_t)(um_model_positions(model) * model->k);
    UM_TRY(um_buffer_alloc(ctx, count, sizeof(float), "loading maps to save", out));
    memcpy(*out, model->loadings, count * sizeof(float));
    blank_rows(*out, model->navigation_mask, um_model_positions(model), model->k);
    return UM_OK;
}

void um_model_take_factor_rows(um_model *model, const float *rows)
{
    int64_t pixels = um_model_pixels(model);
    for (int64_t c = 0; c < model->k; c++) {
        for (int64_t q = 0; q < pixels; q++) {
            model->factors[c * pixels + q] = rows[q * model->k + c];
        }
    }
}

/* ---- files ---------------------------------------------------------------------------------- */

um_status um_model_save(um_context *ctx, const um_model *model, const char *path,
                        const um_save_options *options)
{
    static const um_save_options none = {0};
    options = options != NULL ? options : &none;
    if (um_has_suffix(path, ".hspy")) {
        return um_model_save_hspy(ctx, model, path, options);
    }
    if (um_has_suffix(path, ".npz")) {
        return um_model_save_npz(ctx, model, path, options);
    }
    return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                   "%s: the suffix names no result format that unmix writes: use .hspy or .npz", path);
}

um_status um_model_load(um_context *ctx, const char *path, um_model **out)
{
    *out = NULL;
    if (um_has_suffix(path, ".npz")) {
        return um_model_load_npz(ctx, path, out);
    }
    return um_model_load_hspy(ctx, path, out);
}
