/* HyperSpy's file layout, as versions 1.7 and 2 read it. */
#include "hdf5_internal.h"

#include <stdlib.h>
#include <string.h>

hid_t um_h5_native_type(um_dtype dtype)
{
    switch (dtype) {
    case UM_U8:
        return H5T_NATIVE_UINT8;
    case UM_U16:
        return H5T_NATIVE_UINT16;
    case UM_U32:
        return H5T_NATIVE_UINT32;
    case UM_I8:
        return H5T_NATIVE_INT8;
    case UM_I16:
        return H5T_NATIVE_INT16;
    case UM_I32:
        return H5T_NATIVE_INT32;
    case UM_F32:
        return H5T_NATIVE_FLOAT;
    default:
        return H5T_NATIVE_DOUBLE;
    }
}

static bool put_scalar(hid_t object, const char *name, hid_t file_type, hid_t mem_type,
                       const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attribute >= 0 && H5Awrite(attribute, mem_type, value) >= 0;
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    H5Sclose(space);
    return ok;
}

bool um_h5_put_text(hid_t object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    bool ok = put_scalar(object, name, type, type, &text);
    H5Tclose(type);
    return ok;
}

hid_t um_h5_bool_type(void)
{
    hid_t type = H5Tenum_create(H5T_STD_I8LE);
    const int8_t no = 0;
    const int8_t yes = 1;
    H5Tenum_insert(type, "FALSE", &no);
    H5Tenum_insert(type, "TRUE", &yes);
    return type;
}

bool um_h5_put_bool(hid_t object, const char *name, bool value)
{
    hid_t type = um_h5_bool_type();
    const int8_t byte = value;
    bool ok = put_scalar(object, name, type, type, &byte);
    H5Tclose(type);
    return ok;
}

bool um_h5_put_int(hid_t object, const char *name, int64_t value)
{
    return put_scalar(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

bool um_h5_put_number(hid_t object, const char *name, double value)
{
    return put_scalar(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

/* Chunks of at most a megabyte, whole rows first. */
static void small_chunks(int ndim, const hsize_t *shape, size_t element, hsize_t *chunk)
{
    hsize_t room = (hsize_t)1 << 20;
    room = room / element > 0 ? room / element : 1;
    for (int i = ndim - 1; i >= 0; i--) {
        chunk[i] = shape[i] < room ? shape[i] : room;
        room = room / chunk[i] > 0 ? room / chunk[i] : 1;
    }
}

bool um_h5_put_array(hid_t group, const char *name, hid_t file_type, hid_t mem_type, int ndim,
                     const hsize_t *shape, const void *data)
{
    hid_t space = ndim == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(ndim, shape, NULL);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(creation, false); /* the same data, the same bytes */
    if (ndim > 0) {
        hsize_t chunk[8];
        small_chunks(ndim, shape, H5Tget_size(file_type), chunk);
        H5Pset_chunk(creation, ndim, chunk);
        H5Pset_shuffle(creation);
        H5Pset_deflate(creation, 4);
    }
    hid_t dataset = H5Dcreate2(group, name, file_type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    bool ok = dataset >= 0 &&
              H5Dwrite(dataset, mem_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (dataset >= 0) {
        ok = H5Dclose(dataset) >= 0 && ok;
    }
    H5Pclose(creation);
    H5Sclose(space);
    return ok;
}

/* ---- the skeleton --------------------------------------------------------------------------- */

static hid_t make_group(hid_t parent, const char *name)
{
    return H5Gcreate2(parent, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
}

static bool put_axis(hid_t experiment, int i, const um_axis *axis, int64_t size)
{
    char name[16];
    snprintf(name, sizeof name, "axis-%d", i);
    hid_t group = make_group(experiment, name);
    bool ok = group >= 0 && um_h5_put_text(group, "_type", "UniformDataAxis") &&
              um_h5_put_text(group, "name", axis->name) &&
              um_h5_put_text(group, "units", axis->units) &&
              um_h5_put_bool(group, "navigate", i < 2) &&
              um_h5_put_bool(group, "is_binned", false) &&
              um_h5_put_number(group, "offset", axis->offset) &&
              um_h5_put_number(group, "scale", axis->scale) &&
              um_h5_put_int(group, "size", size);
    if (group >= 0) {
        H5Gclose(group);
    }
    return ok;
}

static bool put_metadata(hid_t experiment, const um_hspy_head *head)
{
    hid_t metadata = make_group(experiment, "metadata");
    hid_t general = make_group(metadata, "General");
    hid_t signal = make_group(metadata, "Signal");
    hid_t original = make_group(experiment, "original_metadata");
    bool patterns = head->shape.ky > 1 && head->shape.kx > 1;
    bool ok = metadata >= 0 && general >= 0 && signal >= 0 && original >= 0 &&
              um_h5_put_text(general, "title", head->title != NULL ? head->title : "") &&
              um_h5_put_text(signal, "signal_type", patterns ? "electron_diffraction" : "") &&
              (head->original == NULL || um_h5_put_text(original, "unmix", head->original));
    hid_t groups[] = {original, signal, general, metadata};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        if (groups[i] >= 0) {
            H5Gclose(groups[i]);
        }
    }
    return ok;
}

/* A title as the name of a group: '/' would nest, "." means the group itself. */
static char *group_name(const char *title)
{
    if (title == NULL || title[0] == '\0' || strcmp(title, ".") == 0) {
        return um_strdup("__unnamed__");
    }
    char *name = um_strdup(title);
    for (char *c = name; c != NULL && *c != '\0'; c++) {
        if (*c == '/') {
            *c = '-';
        }
    }
    return name;
}

static bool put_skeleton(hid_t file, const um_hspy_head *head, hid_t *experiment)
{
    char *name = group_name(head->title);
    hid_t experiments = make_group(file, "Experiments");
    bool ok = name != NULL && experiments >= 0 &&
              um_h5_put_text(file, "file_format", "HyperSpy") &&
              um_h5_put_text(file, "file_format_version", "3.3");
    *experiment = ok ? make_group(experiments, name) : -1;
    ok = *experiment >= 0;
    const int64_t sizes[4] = {head->shape.ny, head->shape.nx, head->shape.ky, head->shape.kx};
    for (int i = 0; i < 4 && ok; i++) {
        ok = put_axis(*experiment, i, &head->axes[i], sizes[i]);
    }
    ok = ok && put_metadata(*experiment, head);
    if (experiments >= 0) {
        H5Gclose(experiments);
    }
    free(name);
    return ok;
}

um_status um_hspy_begin(um_context *ctx, const char *part, const um_hspy_head *head,
                        bool newest_layout, hid_t *file, hid_t *experiment)
{
    *experiment = -1;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (newest_layout) {
        H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    }
    H5Pset_file_locking(access, false, true);
    *file = H5Fcreate(part, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    if (*file >= 0 && put_skeleton(*file, head, experiment)) {
        return UM_OK;
    }
    char reason[200];
    um_h5_reason(reason, sizeof reason);
    if (*file >= 0) {
        (void)um_h5_end_writing(*file, false, reason, sizeof reason);
    }
    if (*experiment >= 0) {
        H5Gclose(*experiment);
        *experiment = -1;
    }
    if (*file >= 0) {
        H5Fclose(*file);
        *file = -1;
    }
    return um_fail(ctx, UM_ERROR_IO, "%s: HDF5 cannot write this file (%s)", part, reason);
}
