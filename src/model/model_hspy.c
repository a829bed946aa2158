/* The result as a HyperSpy file: a signal with learning_results. */
#include "hdf5_internal.h"
#include "model_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 1 << 20 };

/* ---- the signal's data ---------------------------------------------------------------------- */

/* The array in another file that has the model's own shape, when HyperSpy can use it in place. */
typedef struct linked {
    char *file, *dataset;
} linked;

static bool same_shape(hid_t dataset, um_shape s)
{
    um_h5_layout layout;
    hid_t creation = H5Dget_create_plist(dataset);
    bool chunked = creation >= 0 && H5Pget_layout(creation) == H5D_CHUNKED;
    if (creation >= 0) {
        H5Pclose(creation);
    }
    return chunked && um_h5_extent(dataset, &layout) && layout.rank == 4 &&
           (int64_t)layout.size[0] == s.ny && (int64_t)layout.size[1] == s.nx &&
           (int64_t)layout.size[2] == s.ky && (int64_t)layout.size[3] == s.kx;
}

/* Full name of the folder that a file lies in, malloc'ed. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *folder = slash != NULL ? um_format("%.*s", (int)(slash - file) + 1, file) : um_strdup(".");
    char *full = folder != NULL ? realpath(folder, NULL) : NULL;
    free(folder);
    return full;
}

/* A file next to the result is named without its folder, so that the two can move together. */
static char *link_name(const char *file, const char *result)
{
    const char *slash = strrchr(file, '/');
    char *a = folder_of(file);
    char *b = folder_of(result);
    bool beside = a != NULL && b != NULL && strcmp(a, b) == 0;
    free(a);
    free(b);
    return beside ? um_strdup(slash != NULL ? slash + 1 : file) : realpath(file, NULL);
}

static bool find_linked(um_context *ctx, const um_model *model, const char *spec, const char *result,
                        linked *out)
{
    *out = (linked){NULL, NULL};
    char *file = NULL;
    um_probe probe = {0};
    if (spec == NULL || um_path_split(ctx, spec, &file, &probe.dataset) != UM_OK) {
        return false;
    }
    probe.path = file;
    um_h5_found found = {.dataset = -1};
    hid_t handle = um_h5_open_file(file);
    if (handle >= 0 && um_h5_find(ctx, &probe, handle, &found) == UM_OK) {
        if (same_shape(found.dataset, model->shape)) {
            out->file = link_name(file, result);
            out->dataset = found.path;
            found.path = NULL;
        }
        H5Dclose(found.dataset);
    }
    if (handle >= 0) {
        H5Fclose(handle);
    }
    free(found.path);
    free(file);
    return out->file != NULL;
}

static bool put_empty_data(hid_t experiment, um_shape s)
{
    const hsize_t size[4] = {(hsize_t)s.ny, (hsize_t)s.nx, (hsize_t)s.ky, (hsize_t)s.kx};
    hsize_t chunk[4];
    hsize_t room = CHUNK_BYTES;
    for (int i = 3; i >= 0; i--) {
        chunk[i] = size[i] < room ? size[i] : room;
        chunk[i] = chunk[i] > 0 ? chunk[i] : 1;
        room = room / chunk[i] > 0 ? room / chunk[i] : 1;
    }
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, false); /* the same data, the same bytes */
    hid_t space = H5Screate_simple(4, size, NULL);
    H5Pset_chunk(creation, 4, chunk);
    hid_t dataset = H5Dcreate2(experiment, "data", H5T_STD_U8LE, space, H5P_DEFAULT, creation,
                               H5P_DEFAULT);
    H5Sclose(space);
    H5Pclose(creation);
    return dataset >= 0 && H5Dclose(dataset) >= 0;
}

static bool put_data(um_context *ctx, const um_model *model, hid_t experiment, const char *path,
                     const char *spec)
{
    linked link;
    if (!find_linked(ctx, model, spec, path, &link)) {
        if (spec != NULL) {
            um_warn(ctx, "%s: cannot be linked: not a chunked HDF5 array of the result's shape; the "
                         "result has an empty array instead",
                    spec);
        }
        return put_empty_data(experiment, model->shape);
    }
    bool ok = H5Lcreate_external(link.file, link.dataset, experiment, "data", H5P_DEFAULT,
                                 H5P_DEFAULT) >= 0;
    free(link.file);
    free(link.dataset);
    return ok;
}

/* ---- learning_results ----------------------------------------------------------------------- */

static bool put_big_attribute(hid_t group, const char *name, const hsize_t shape[2],
                              const float *data)
{
    hid_t space = H5Screate_simple(2, shape, NULL);
    hid_t attribute =
        H5Acreate2(group, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_FLOAT, data) >= 0;
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    H5Sclose(space);
    return ok;
}

static bool put_rows(hid_t group, const char *name, int64_t rows, int64_t k, const float *data,
                     bool as_attribute)
{
    const hsize_t shape[2] = {(hsize_t)rows, (hsize_t)k};
    return as_attribute ? put_big_attribute(group, name, shape, data)
                        : um_h5_put_array(group, name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 2, shape,
                                          data);
}

static bool put_mask(hid_t group, const char *name, int64_t height, int64_t width,
                     const uint8_t *mask)
{
    if (mask == NULL) {
        return true;
    }
    const hsize_t shape[2] = {(hsize_t)height, (hsize_t)width};
    hid_t type = um_h5_bool_type();
    bool ok = um_h5_put_array(group, name, type, type, 2, shape, mask);
    H5Tclose(type);
    return ok;
}

static bool put_named_arrays(hid_t group, const um_model *model)
{
    bool ok = true;
    for (int i = 0; ok && i < model->array_count; i++) {
        const um_array *a = model->arrays[i].array;
        hsize_t shape[6];
        for (int d = 0; d < a->ndim; d++) {
            shape[d] = (hsize_t)a->shape[d];
        }
        /* A scalar dataset cannot be chunked, which lazy loading asks for. */
        ok = a->ndim == 0 && um_model_array_is_whole(model->arrays[i].name)
                 ? um_h5_put_int(group, model->arrays[i].name, (int64_t)um_array_get(a, 0))
             : a->ndim == 0
                 ? um_h5_put_number(group, model->arrays[i].name, *(const double *)a->data)
                          : um_h5_put_array(group, model->arrays[i].name, H5T_IEEE_F64LE,
                                            H5T_NATIVE_DOUBLE, a->ndim, shape, a->data);
    }
    return ok;
}

static bool put_cluster_labels(hid_t group, const um_model *model)
{
    int64_t n = 0;
    uint8_t *labels = um_model_cluster_labels(model, &n);
    bool ok = n == 0 || (labels != NULL && put_mask(group, "cluster_labels", n,
                                                    um_model_positions(model), labels));
    free(labels);
    return ok;
}

static bool put_words(hid_t group, const um_model *model)
{
    const int64_t shape[4] = {model->shape.ny, model->shape.nx, model->shape.ky, model->shape.kx};
    const hsize_t four = 4;
    return um_h5_put_text(group, "decomposition_algorithm", model->method) &&
           um_h5_put_int(group, "output_dimension", model->k) &&
           um_h5_put_bool(group, "poissonian_noise_normalized", um_model_weighted(model)) &&
           um_h5_put_bool(group, "unfolded", true) && um_h5_put_text(group, "centre", "_None_") &&
           um_h5_put_text(group, "mean", "_None_") &&
           um_h5_put_array(group, "_tuple_original_shape", H5T_STD_I64LE, H5T_NATIVE_INT64, 1, &four,
                           shape);
}

/* Turns the rows, which are in the file already. */
static bool put_turned(hid_t group, const um_model *model, float *factors, float *loadings,
                       bool lazy_safe)
{
    um_turning t;
    if (!um_model_turning(model, &t)) {
        return um_h5_put_text(group, "unmixing_matrix", "_None_") &&
               um_h5_put_text(group, "bss_algorithm", "_None_");
    }
    const hsize_t shape[2] = {(hsize_t)t.k, (hsize_t)t.k};
    int64_t pixels = um_model_pixels(model);
    int64_t positions = um_model_positions(model);
    return um_model_turn_rows(model->ctx, factors, pixels, model->k, t.factors, t.k) == UM_OK &&
           um_model_turn_rows(model->ctx, loadings, positions, model->k, t.loadings, t.k) == UM_OK &&
           put_rows(group, "bss_factors", pixels, t.k, factors, lazy_safe) &&
           put_rows(group, "bss_loadings", positions, t.k, loadings, lazy_safe) &&
           um_h5_put_array(group, "unmixing_matrix", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, shape,
                           t.matrix) &&
           um_h5_put_text(group, "bss_algorithm", t.algorithm) &&
           um_h5_put_bool(group, "on_loadings", t.on_loadings);
}

static bool put_results(hid_t experiment, const um_model *model, float *factors, float *loadings,
                        bool lazy_safe)
{
    hid_t group =
        H5Gcreate2(experiment, "learning_results", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    um_shape s = model->shape;
    bool ok = group >= 0 &&
              put_rows(group, "factors", um_model_pixels(model), model->k, factors, lazy_safe) &&
              put_rows(group, "loadings", um_model_positions(model), model->k, loadings,
                       lazy_safe) &&
              put_mask(group, "signal_mask", s.ky, s.kx, model->signal_mask) &&
              put_mask(group, "navigation_mask", s.ny, s.nx, model->navigation_mask) &&
              put_named_arrays(group, model) && put_cluster_labels(group, model) &&
              put_words(group, model) && put_turned(group, model, factors, loadings, lazy_safe);
    if (group >= 0) {
        H5Gclose(group);
    }
    return ok;
}

/* ---- saving --------------------------------------------------------------------------------- */

static um_status write_file(um_context *ctx, const um_model *model, const char *part,
                            const char *path, const um_save_options *options, float *factors,
                            float *loadings)
{
    um_hspy_head head = {model->method, model->shape, model->axes, um_model_provenance(model)};
    hid_t file = -1;
    hid_t experiment = -1;
    um_h5_guard guard;
    um_h5_enter(&guard);
    um_status status = um_hspy_begin(ctx, part, &head, options->lazy_safe, &file, &experiment);
    if (status == UM_OK) {
        bool ok = put_results(experiment, model, factors, loadings, options->lazy_safe) &&
                  put_data(ctx, model, experiment, path, options->data_link);
        char reason[200] = "";
        if (!ok) {
            um_h5_reason(reason, sizeof reason);
        }
        ok = um_h5_end_writing(file, ok, reason, sizeof reason);
        H5Gclose(experiment);
        if (H5Fclose(file) < 0 || !ok) {
            status = um_fail(ctx, UM_ERROR_IO, "%s: HDF5 cannot write the result (%s)", path, reason);
        }
    }
    um_h5_leave(&guard);
    return status;
}

um_status um_model_save_hspy(um_context *ctx, const um_model *model, const char *path,
                             const um_save_options *options)
{
    float *factors = NULL;
    float *loadings = NULL;
    char *part = NULL;
    um_status status = um_model_factor_rows(ctx, model, &factors);
    if (status == UM_OK) {
        status = um_model_loading_rows(ctx, model, &loadings);
    }
    if (status == UM_OK) {
        status = um_part_begin(ctx, path, options->overwrite, &part);
    }
    if (status == UM_OK) {
        status = write_file(ctx, model, part, path, options, factors, loadings);
        if (status == UM_OK) {
            status = um_part_commit(ctx, part, path);
        } else {
            unlink(part);
        }
    }
    free(part);
    um_buffer_free(ctx, factors);
    um_buffer_free(ctx, loadings);
    return status;
}
