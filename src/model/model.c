/* The result of a factorisation in memory: see model.h. */
#include "base_internal.h"
#include "unmix/model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ARRAYS = 64 };

typedef struct named_array {
    char *name;
    um_array *array;
} named_array;

struct um_model {
    um_context *ctx;
    int64_t k;
    um_shape shape;
    um_axis axes[4];
    char *method;
    float *factors, *loadings;
    uint8_t *signal_mask, *navigation_mask;
    named_array arrays[MOST_ARRAYS];
    int array_count;
    char *provenance;
};

static size_t positions(const um_model *model)
{
    return (size_t)(model->shape.ny * model->shape.nx);
}

static size_t pixels(const um_model *model)
{
    return (size_t)(model->shape.ky * model->shape.kx);
}

um_status um_model_create(um_context *ctx, const um_model_spec *spec, um_model **out)
{
    *out = NULL;
    size_t size = 0;
    if (spec->k < 1 || !um_mul4(spec->shape.ny, spec->shape.nx, spec->k, 1, &size) ||
        !um_mul4(spec->shape.ky, spec->shape.kx, spec->k, 1, &size) || size == 0) {
        return um_fail(ctx, UM_ERROR_SHAPE, "a model needs components, positions and pixels");
    }
    um_model *model = calloc(1, sizeof *model);
    if (model == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a model");
    }
    model->ctx = ctx;
    model->k = spec->k;
    model->shape = spec->shape;
    memcpy(model->axes, spec->axes, sizeof model->axes);
    model->method = um_strdup(spec->method != NULL ? spec->method : "");
    model->provenance = um_strdup("{}");
    um_status status = model->method != NULL && model->provenance != NULL
                           ? UM_OK
                           : um_fail(ctx, UM_ERROR_MEMORY, "no memory for a model");
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, pixels(model) * (size_t)spec->k, sizeof(float),
                                 "component patterns", &model->factors);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, positions(model) * (size_t)spec->k, sizeof(float), "loadings",
                                 &model->loadings);
    }
    if (status != UM_OK) {
        um_model_free(model);
        return status;
    }
    *out = model;
    return UM_OK;
}

void um_model_free(um_model *model)
{
    if (model == NULL) {
        return;
    }
    for (int i = 0; i < model->array_count; i++) {
        free(model->arrays[i].name);
        um_array_free(model->arrays[i].array);
    }
    um_buffer_free(model->ctx, model->factors);
    um_buffer_free(model->ctx, model->loadings);
    free(model->signal_mask);
    free(model->navigation_mask);
    free(model->method);
    free(model->provenance);
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

const uint8_t *um_model_signal_mask(const um_model *model)
{
    return model->signal_mask;
}

const uint8_t *um_model_navigation_mask(const um_model *model)
{
    return model->navigation_mask;
}

static um_status set_mask(um_model *model, uint8_t **slot, const uint8_t *mask, size_t size)
{
    uint8_t *copy = NULL;
    if (mask != NULL) {
        copy = malloc(size);
        if (copy == NULL) {
            return um_fail(model->ctx, UM_ERROR_MEMORY, "no memory for a mask");
        }
        for (size_t i = 0; i < size; i++) {
            copy[i] = mask[i] != 0;
        }
    }
    free(*slot);
    *slot = copy;
    return UM_OK;
}

um_status um_model_set_signal_mask(um_model *model, const uint8_t *mask)
{
    return set_mask(model, &model->signal_mask, mask, pixels(model));
}

um_status um_model_set_navigation_mask(um_model *model, const uint8_t *mask)
{
    return set_mask(model, &model->navigation_mask, mask, positions(model));
}

static named_array *find_array(const um_model *model, const char *name)
{
    for (int i = 0; i < model->array_count; i++) {
        if (strcmp(model->arrays[i].name, name) == 0) {
            return (named_array *)&model->arrays[i];
        }
    }
    return NULL;
}

static um_array *copy_array(int ndim, const int64_t *shape, const double *data)
{
    um_array *array = calloc(1, sizeof *array);
    if (array == NULL) {
        return NULL;
    }
    size_t size = 1;
    array->dtype = UM_F64;
    array->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        array->shape[i] = shape[i];
        size *= (size_t)shape[i];
    }
    array->data = malloc((size > 0 ? size : 1) * sizeof(double));
    if (array->data == NULL) {
        free(array);
        return NULL;
    }
    memcpy(array->data, data, size * sizeof(double));
    return array;
}

um_status um_model_set_array(um_model *model, const char *name, int ndim, const int64_t *shape,
                             const double *data)
{
    named_array *slot = find_array(model, name);
    if (ndim < 0 || ndim > 6 || (slot == NULL && model->array_count == MOST_ARRAYS)) {
        return um_fail(model->ctx, UM_ERROR_ARGUMENT, "%s: %s", name,
                       ndim > 6 ? "too many dimensions" : "too many arrays in one model");
    }
    um_array *array = copy_array(ndim, shape, data);
    char *copy = slot == NULL ? um_strdup(name) : NULL;
    if (array == NULL || (slot == NULL && copy == NULL)) {
        um_array_free(array);
        free(copy);
        return um_fail(model->ctx, UM_ERROR_MEMORY, "%s: no memory", name);
    }
    if (slot == NULL) {
        slot = &model->arrays[model->array_count++];
        slot->name = copy;
    } else {
        um_array_free(slot->array);
    }
    slot->array = array;
    return UM_OK;
}

const um_array *um_model_array(const um_model *model, const char *name)
{
    const named_array *slot = find_array(model, name);
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

um_status um_model_set_provenance(um_model *model, const char *json)
{
    char *copy = um_strdup(json != NULL ? json : "{}");
    if (copy == NULL) {
        return um_fail(model->ctx, UM_ERROR_MEMORY, "no memory for the provenance");
    }
    free(model->provenance);
    model->provenance = copy;
    return UM_OK;
}

const char *um_model_provenance(const um_model *model)
{
    return model->provenance;
}
