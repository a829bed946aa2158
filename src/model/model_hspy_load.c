/* Results read back: our own .hspy, also after HyperSpy saved it, or a decomposition by HyperSpy. */
#include "hdf5_internal.h"
#include "model_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- values that are attributes or datasets -------------------------------------------------- */

typedef struct values {
    hid_t id;
    bool attribute;
    int rank;
    hsize_t size[UM_H5_MAX_RANK];
} values;

static bool open_values(hid_t group, const char *name, values *v)
{
    *v = (values){.id = -1};
    v->attribute = H5Aexists(group, name) > 0;
    if (!v->attribute && H5Lexists(group, name, H5P_DEFAULT) <= 0) {
        return false;
    }
    v->id = v->attribute ? H5Aopen(group, name, H5P_DEFAULT) : H5Dopen2(group, name, H5P_DEFAULT);
    if (v->id < 0) {
        return false;
    }
    hid_t space = v->attribute ? H5Aget_space(v->id) : H5Dget_space(v->id);
    v->rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
    bool ok = v->rank >= 0 && v->rank <= UM_H5_MAX_RANK &&
              H5Sget_simple_extent_type(space) != H5S_NULL &&
              H5Sget_simple_extent_dims(space, v->size, NULL) >= 0;
    if (space >= 0) {
        H5Sclose(space);
    }
    return ok;
}

static void close_values(values *v)
{
    if (v->id >= 0) {
        if (v->attribute) {
            H5Aclose(v->id);
        } else {
            H5Dclose(v->id);
        }
    }
}

static H5T_class_t class_of(const values *v)
{
    hid_t type = v->attribute ? H5Aget_type(v->id) : H5Dget_type(v->id);
    H5T_class_t class = H5Tget_class(type);
    H5Tclose(type);
    return class;
}

static bool read_values(const values *v, hid_t type, void *dst)
{
    const size_t most_bytes = (size_t)1 << 30; /* of a chunk */
    const hsize_t most_chunks = 4096;
    if (v->attribute) {
        return H5Aread(v->id, type, dst) >= 0;
    }
    return um_h5_chunks_sound(v->id, most_bytes, most_chunks) &&
           H5Dread(v->id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, dst) >= 0;
}

/* Booleans (enum) do not convert: they are read as the bytes they are. */
static bool read_mask_bytes(const values *v, uint8_t *dst)
{
    if (class_of(v) == H5T_INTEGER) {
        return read_values(v, H5T_NATIVE_UINT8, dst);
    }
    hid_t type = v->attribute ? H5Aget_type(v->id) : H5Dget_type(v->id);
    bool ok = H5Tget_class(type) == H5T_ENUM && H5Tget_size(type) == 1 && read_values(v, type, dst);
    H5Tclose(type);
    return ok;
}

/* ---- parts of the model --------------------------------------------------------------------- */

static void read_axis(hid_t experiment, int i, um_axis *axis, bool *found)
{
    char name[16];
    snprintf(name, sizeof name, "axis-%d", i);
    hid_t group = H5Gopen2(experiment, name, H5P_DEFAULT);
    *found = group >= 0;
    if (!*found) {
        return;
    }
    *axis = (um_axis){.scale = 1};
    double size = 0;
    double navigate = 0;
    um_h5_attr_text(group, "name", axis->name, sizeof axis->name);
    um_h5_attr_text(group, "units", axis->units, sizeof axis->units);
    um_h5_attr_number(group, "scale", &axis->scale);
    um_h5_attr_number(group, "offset", &axis->offset);
    axis->scale = isfinite(axis->scale) && axis->scale != 0 ? axis->scale : 1;
    axis->offset = isfinite(axis->offset) ? axis->offset : 0;
    um_h5_attr_number(group, "size", &size);
    um_h5_attr_number(group, "navigate", &navigate);
    axis->size = size >= 1 && size < 1e12 ? (int64_t)size : 0;
    axis->navigate = navigate != 0;
    H5Gclose(group);
}

/* Scan and detector axes, the last ones of each kind in array order; missing ones have length 1. */
static bool read_axes(hid_t experiment, um_model_spec *spec)
{
    um_axis read[4];
    int count = 0;
    bool found = true;
    while (count < 4 && found) {
        read_axis(experiment, count, &read[count], &found);
        count += found;
    }
    um_axes_default(spec->axes, (um_shape){1, 1, 1, 1});
    int scan = 1;
    int detector = 3;
    bool fits = count > 0;
    for (int i = count - 1; i >= 0 && fits; i--) {
        int *slot = read[i].navigate ? &scan : &detector;
        fits = *slot >= (read[i].navigate ? 0 : 2) && read[i].size > 0;
        if (fits) {
            spec->axes[*slot] = read[i];
            --*slot;
        }
    }
    spec->shape = (um_shape){spec->axes[0].size, spec->axes[1].size, spec->axes[2].size,
                             spec->axes[3].size};
    return fits;
}

static um_status damaged(um_context *ctx, const char *path, const char *what)
{
    return um_fail(ctx, UM_ERROR_FORMAT, "%s: %s: this is no result of unmix or HyperSpy", path, what);
}

static um_status read_rows(um_context *ctx, const char *path, hid_t group, um_model *model)
{
    values factors;
    values loadings;
    bool there = open_values(group, "factors", &factors);
    there = open_values(group, "loadings", &loadings) && there;
    int64_t pixels = um_model_pixels(model);
    um_status status = UM_OK;
    float *rows = NULL;
    if (!there || factors.rank != 2 || loadings.rank != 2 || (int64_t)factors.size[0] != pixels ||
        (int64_t)loadings.size[0] != um_model_positions(model) ||
        (int64_t)factors.size[1] != model->k || (int64_t)loadings.size[1] != model->k) {
        status = damaged(ctx, path, "factors and loadings do not fit the axes");
    } else {
        status = um_buffer_alloc(ctx, (size_t)(pixels * model->k), sizeof(float),
                                 "component patterns to load", &rows);
    }
    if (status == UM_OK && !(read_values(&factors, H5T_NATIVE_FLOAT, rows) &&
                             read_values(&loadings, H5T_NATIVE_FLOAT, model->loadings))) {
        status = damaged(ctx, path, "factors or loadings cannot be read");
    }
    if (status == UM_OK) {
        um_model_take_factor_rows(model, rows);
    }
    um_buffer_free(ctx, rows);
    close_values(&factors);
    close_values(&loadings);
    return status;
}

static um_status read_mask(um_context *ctx, const char *path, hid_t group, const char *name,
                           um_model *model, int64_t count,
                           um_status (*set)(um_model *, const uint8_t *))
{
    values v;
    um_status status = UM_OK;
    if (open_values(group, name, &v) && v.rank >= 1 && class_of(&v) != H5T_STRING) {
        int64_t found = 1;
        for (int i = 0; i < v.rank && found <= count; i++) {
            found = v.size[i] <= (hsize_t)count ? found * (int64_t)v.size[i] : count + 1;
        }
        uint8_t *mask = found == count ? malloc((size_t)count) : NULL;
        if (mask == NULL || !read_mask_bytes(&v, mask)) {
            status = damaged(ctx, path, "a mask does not fit the axes");
        } else {
            status = set(model, mask);
        }
        free(mask);
    }
    close_values(&v);
    return status;
}

/* ---- named arrays --------------------------------------------------------------------------- */

typedef struct collector {
    um_model *model;
    um_status status;
} collector;

static bool plain_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n < 64 && name[n] == '\0' && name[0] != '_' && !um_model_name_reserved(name);
}

static void take_array(hid_t group, const char *name, collector *c)
{
    values v = {.id = -1};
    bool open = plain_name(name) && open_values(group, name, &v);
    H5T_class_t class = open ? class_of(&v) : H5T_NO_CLASS;
    if (open && v.rank <= 6 && (class == H5T_FLOAT || class == H5T_INTEGER)) {
        int64_t shape[6];
        size_t bytes = sizeof(double);
        bool fits = true;
        for (int i = 0; i < v.rank; i++) {
            shape[i] = (int64_t)v.size[i];
            fits = fits && v.size[i] > 0 && um_mul_size(bytes, (size_t)v.size[i], &bytes);
        }
        double *data = NULL;
        um_context *ctx = c->model->ctx;
        if (fits && um_buffer_alloc(ctx, bytes, 1, name, &data) == UM_OK) {
            if (read_values(&v, H5T_NATIVE_DOUBLE, data)) {
                c->status = um_model_set_array(c->model, name, v.rank, shape, data);
            }
            um_buffer_free(ctx, data);
        }
    }
    close_values(&v);
}

static herr_t take_link(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    collector *c = user;
    if (info->type == H5L_TYPE_HARD && c->model->array_count < 1000) {
        take_array(group, name, c);
    }
    return c->status == UM_OK ? 0 : 1;
}

static herr_t take_attribute(hid_t group, const char *name, const H5A_info_t *info, void *user)
{
    (void)info;
    collector *c = user;
    if (c->model->array_count < 1000) {
        take_array(group, name, c);
    }
    return c->status == UM_OK ? 0 : 1;
}

static um_status read_named_arrays(hid_t group, um_model *model)
{
    collector c = {model, UM_OK};
    hsize_t start = 0;
    H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &start, take_link, &c);
    start = 0;
    if (c.status == UM_OK) {
        H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_INC, &start, take_attribute, &c);
    }
    return c.status;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static um_status read_provenance(hid_t experiment, um_model *model)
{
    hid_t group = H5Gopen2(experiment, "original_metadata", H5P_DEFAULT);
    char *text = group >= 0 ? um_h5_attr_long_text(group, "unmix") : NULL;
    if (group >= 0) {
        H5Gclose(group);
    }
    json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL;
    um_status status = json_is_object(object) ? um_model_set_provenance(model, text) : UM_OK;
    json_decref(object);
    free(text);
    return status;
}

static um_status read_model(um_context *ctx, const char *path, hid_t experiment, hid_t group,
                            um_model **out)
{
    um_model_spec spec = {.k = 0};
    char method[32];
    if (!um_h5_attr_text(group, "decomposition_algorithm", method, sizeof method)) {
        snprintf(method, sizeof method, "NMF");
    }
    spec.method = method;
    values factors;
    if (open_values(group, "factors", &factors) && factors.rank == 2) {
        spec.k = (int64_t)factors.size[1];
    }
    close_values(&factors);
    if (spec.k < 1) {
        return damaged(ctx, path, "learning_results has no factors");
    }
    if (!read_axes(experiment, &spec)) {
        return damaged(ctx, path, "the axes are not those of a scan");
    }
    UM_TRY(um_model_create(ctx, &spec, out));
    UM_TRY(read_rows(ctx, path, group, *out));
    UM_TRY(read_mask(ctx, path, group, "signal_mask", *out, um_model_pixels(*out),
                     um_model_set_signal_mask));
    UM_TRY(read_mask(ctx, path, group, "navigation_mask", *out, um_model_positions(*out),
                     um_model_set_navigation_mask));
    UM_TRY(read_named_arrays(group, *out));
    return read_provenance(experiment, *out);
}

static herr_t take_result(hid_t experiments, const char *name, const H5L_info_t *info, void *user)
{
    (void)info;
    char **found = user;
    char *path = um_format("%s/learning_results/factors", name);
    char *attribute_of = um_format("%s/learning_results", name);
    if (path != NULL && attribute_of != NULL &&
        (um_h5_exists(experiments, path) ||
         (um_h5_exists(experiments, attribute_of) &&
          H5Aexists_by_name(experiments, attribute_of, "factors", H5P_DEFAULT) > 0))) {
        *found = um_strdup(name);
    }
    free(path);
    free(attribute_of);
    return *found != NULL ? 1 : 0;
}

static um_status load_open(um_context *ctx, const char *path, hid_t file, um_model **out)
{
    char *name = NULL;
    hid_t experiments = H5Gopen2(file, "/Experiments", H5P_DEFAULT);
    if (experiments >= 0) {
        hsize_t start = 0;
        H5Literate(experiments, H5_INDEX_NAME, H5_ITER_INC, &start, take_result, &name);
    }
    um_status status = UM_OK;
    if (name == NULL) {
        status = um_fail(ctx, UM_ERROR_FORMAT,
                         "%s: holds no decomposition (no learning_results/factors): make one with "
                         "unmix nmf",
                         path);
    } else {
        hid_t experiment = H5Gopen2(experiments, name, H5P_DEFAULT);
        hid_t group = H5Gopen2(experiment, "learning_results", H5P_DEFAULT);
        status = read_model(ctx, path, experiment, group, out);
        H5Gclose(group);
        H5Gclose(experiment);
    }
    if (experiments >= 0) {
        H5Gclose(experiments);
    }
    free(name);
    return status;
}

um_status um_model_load_hspy(um_context *ctx, const char *path, um_model **out)
{
    um_h5_guard guard;
    um_h5_enter(&guard);
    hid_t file = um_h5_open_file(path);
    um_status status = UM_OK;
    if (file >= 0) {
        status = load_open(ctx, path, file, out);
        H5Fclose(file);
    } else {
        char reason[200];
        um_h5_reason(reason, sizeof reason);
        status = um_fail(ctx, UM_ERROR_IO, "%s: is no result of unmix (.hspy or .npz): %s", path,
                         access(path, R_OK) != 0 ? strerror(errno)
                         : reason[0] != '\0'    ? reason
                                                : "it is no HDF5 file");
    }
    um_h5_leave(&guard);
    if (status != UM_OK) {
        um_model_free(*out);
        *out = NULL;
    }
    return status;
}
