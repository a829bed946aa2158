/* HDF5 files whose structure is sound and whose content is anything.
 *
 * The container is libhdf5's business, and release 1.10 is known to fail on damaged ones; what unmix does with
 * groups, attributes, shapes, types, chunk layouts, filters and chunk bytes is ours. So the bytes are
 * instructions: they choose a layout (HyperSpy, EMD, py4DSTEM, fpd, a decomposition, any), names, types, shapes, filters,
 * attribute values and the stored bytes of chunks, and libhdf5 writes the file. */
#include "fuzz_file.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

typedef struct bytes {
    const uint8_t *data;
    size_t left;
} bytes;

static unsigned take(bytes *in)
{
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->data++;
}

/* Mostly small sizes, sometimes sizes that no file can hold. */
static hsize_t take_size(bytes *in)
{
    static const hsize_t odd[] = {0, 1u << 16, 1ull << 31, 1ull << 40, (1ull << 62) + 1, 65535, 255, 17};
    unsigned choice = take(in);
    return choice < 248 ? choice % 9 : odd[choice - 248];
}

static hid_t take_type(bytes *in)
{
    const hid_t types[] = {H5T_STD_U8LE,  H5T_STD_U16LE,   H5T_STD_U16BE,   H5T_STD_U32LE,
                           H5T_STD_I16LE, H5T_STD_I32BE,   H5T_IEEE_F32LE,  H5T_IEEE_F64BE,
                           H5T_STD_U64LE, H5T_STD_I8LE,    H5T_NATIVE_HBOOL, H5T_STD_B8LE};
    unsigned choice = take(in) % 15;
    if (choice < 12) {
        return H5Tcopy(types[choice]);
    }
    if (choice == 12) {
        hid_t text = H5Tcopy(H5T_C_S1);
        H5Tset_size(text, H5T_VARIABLE);
        return text;
    }
    if (choice == 13) {
        hid_t flag = H5Tenum_create(H5T_STD_I8LE);
        int8_t no = 0;
        int8_t yes = 1;
        H5Tenum_insert(flag, "FALSE", &no);
        H5Tenum_insert(flag, "TRUE", &yes);
        return flag;
    }
    hid_t pair = H5Tcreate(H5T_COMPOUND, 12);
    H5Tinsert(pair, "r", 0, H5T_IEEE_F64LE);
    H5Tinsert(pair, "i", 8, H5T_STD_I32LE);
    return pair;
}

/* Numbers come as the nearest of a few awkward doubles or as small integers; texts as the next bytes. */
static void put_attribute(bytes *in, hid_t object, const char *name)
{
    static const double awkward[] = {0.0, -1.0, 1e308, 0.25, -0.0, 4e9, 1e-320, 2.5};
    unsigned kind = take(in) % 8;
    if (kind == 7) {
        return; /* absent */
    }
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t type = -1;
    char text[24] = {0};
    const char *pointer = text;
    double number = awkward[take(in) % 8];
    int64_t integer = (int64_t)take_size(in);
    int8_t flag = (int8_t)take(in);
    double three[3] = {number, 1.0, 2.0};
    const void *value = &number;
    if (kind <= 2) {
        unsigned length = take(in) % (sizeof text - 1);
        for (unsigned i = 0; i < length; i++) {
            text[i] = (char)take(in);
        }
        type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, kind == 0 ? sizeof text : H5T_VARIABLE);
        H5Tset_cset(type, kind == 1 ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
        value = kind == 0 ? (const void *)text : (const void *)&pointer;
    } else if (kind == 3) {
        type = H5Tcopy(H5T_NATIVE_DOUBLE);
    } else if (kind == 4) {
        type = H5Tcopy(H5T_NATIVE_INT64);
        value = &integer;
    } else if (kind == 5) {
        type = H5Tenum_create(H5T_NATIVE_INT8);
        int8_t no = 0;
        int8_t yes = 1;
        H5Tenum_insert(type, "FALSE", &no);
        H5Tenum_insert(type, "TRUE", &yes);
        value = &flag;
    } else {
        H5Sclose(space);
        hsize_t count = 3;
        space = H5Screate_simple(1, &count, NULL);
        type = H5Tcopy(H5T_NATIVE_DOUBLE);
        value = three;
    }
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        H5Awrite(attribute, type, value);
        H5Aclose(attribute);
    }
    H5Tclose(type);
    H5Sclose(space);
}

static void put_text(hid_t object, const char *name, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
        H5Awrite(attribute, type, &text);
        H5Aclose(attribute);
    }
    H5Sclose(space);
    H5Tclose(type);
}

static void put_filters(bytes *in, hid_t plist)
{
    /* Those that unmix undoes. What it leaves to libhdf5 and its plugins is theirs to survive. */
    static const H5Z_filter_t ids[] = {H5Z_FILTER_DEFLATE, H5Z_FILTER_SHUFFLE, 32000, 32001, 32004, 32008, 32015,
                                       H5Z_FILTER_FLETCHER32};
    unsigned count = take(in) % 3;
    for (unsigned i = 0; i < count; i++) {
        unsigned values[8];
        for (int v = 0; v < 8; v++) {
            values[v] = take(in) % 16;
        }
        H5Pset_filter(plist, ids[take(in) % 8], H5Z_FLAG_OPTIONAL, take(in) % 9, values);
    }
}

/* Chunks are stored as the next bytes, whatever the filters would have made of them. */
static void put_chunks(bytes *in, hid_t dataset, int ndim, const hsize_t *shape, const hsize_t *chunk)
{
    static uint8_t stored[4096];
    unsigned count = take(in) % 5;
    for (unsigned i = 0; i < count; i++) {
        hsize_t offset[6] = {0};
        for (int d = 0; d < ndim; d++) {
            if (shape[d] == 0 || shape[d] >= 1u << 16) {
                return; /* H5Dwrite_chunk() itself crashes on such arrays */
            }
            offset[d] = take(in) % ((shape[d] + chunk[d] - 1) / chunk[d]) * chunk[d];
        }
        unsigned mask = take(in) % 4;
        size_t size = take(in) * 4 + 1;
        memset(stored, (int)take(in), sizeof stored);
        for (size_t b = 0; b < size && in->left > 0; b++) {
            stored[b] = (uint8_t)take(in);
        }
        H5Dwrite_chunk(dataset, H5P_DEFAULT, mask, offset, size, stored);
    }
}

static void put_dataset(bytes *in, hid_t group, const char *name)
{
    hsize_t shape[6];
    hsize_t chunk[6];
    unsigned choice = take(in);
    int ndim = choice < 160 ? 4 : (int)(choice % 7);
    for (int d = 0; d < ndim; d++) {
        shape[d] = take_size(in);
        chunk[d] = take(in) % 4 + 1;
        if (shape[d] > 1000 && shape[d] < 1u << 17) {
            chunk[d] *= 512; /* millions of chunks of one value take long, rightly */
        }
    }
    hid_t space = ndim == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(ndim, shape, NULL);
    hid_t type = take_type(in);
    hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    bool chunked = ndim > 0 && take(in) % 4 != 0;
    double size = (double)H5Tget_size(type);
    for (int d = 0; d < ndim; d++) {
        size *= (double)shape[d];
    }
    if (chunked) {
        H5Pset_chunk(plist, ndim, chunk);
        put_filters(in, plist);
    } else if (size > 65536) {
        H5Pset_alloc_time(plist, H5D_ALLOC_TIME_LATE); /* nothing is ever written to it */
    }
    hid_t dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    if (dataset >= 0) {
        if (chunked && H5Tis_variable_str(type) <= 0) { /* not damage to the global heap */
            put_chunks(in, dataset, ndim, shape, chunk);
        }
        put_attribute(in, dataset, "units");
        put_attribute(in, dataset, "name");
        H5Dclose(dataset);
    }
    H5Pclose(plist);
    H5Tclose(type);
    H5Sclose(space);
}

static void put_hyperspy(bytes *in, hid_t file)
{
    static const char *const fields[] = {"name", "units", "scale", "offset", "size", "navigate"};
    put_text(file, "file_format", "HyperSpy");
    put_attribute(in, file, "file_format_version");
    hid_t top = H5Gcreate2(file, "Experiments", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t group = H5Gcreate2(top, "scan", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_dataset(in, group, "data");
    unsigned axes = take(in) % 6;
    for (unsigned i = 0; i < axes; i++) {
        char name[16];
        snprintf(name, sizeof name, "axis-%u", i);
        hid_t axis = H5Gcreate2(group, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        for (size_t f = 0; f < sizeof fields / sizeof fields[0]; f++) {
            put_attribute(in, axis, fields[f]);
        }
        H5Gclose(axis);
    }
    hid_t metadata = H5Gcreate2(group, "metadata", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_attribute(in, metadata, "_list_values");
    put_dataset(in, metadata, "_datetime_leaf");
    H5Gclose(metadata);
    H5Gclose(group);
    H5Gclose(top);
}

static void put_number(hid_t object, const char *name, double number)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, H5T_NATIVE_DOUBLE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, H5T_NATIVE_DOUBLE, &number);
    H5Aclose(attribute);
    H5Sclose(space);
}

/* Rows x columns that mostly fit; as an attribute or a dataset, of any type, now and then any array. */
static void put_table(bytes *in, hid_t group, const char *name, hsize_t rows, hsize_t columns)
{
    unsigned choice = take(in);
    if (choice % 8 == 0) {
        put_dataset(in, group, name);
        return;
    }
    hsize_t size[2] = {rows + (choice % 8 == 1), columns};
    int rank = columns == 0 ? 1 : 2;
    hid_t type = choice % 8 == 2 ? take_type(in) : H5Tcopy(H5T_NATIVE_FLOAT);
    hid_t space = H5Screate_simple(rank, size, NULL);
    static uint8_t values[16 * 1024];
    memset(values, (int)take(in), sizeof values);
    bool plain = H5Tis_variable_str(type) <= 0 && H5Tget_class(type) != H5T_COMPOUND;
    hid_t object = choice & 64 ? H5Acreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT)
                               : H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (object >= 0) {
        if (choice & 64) {
            if (plain) {
                H5Awrite(object, type, values);
            }
            H5Aclose(object);
        } else {
            if (plain) {
                H5Dwrite(object, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
            }
            H5Dclose(object);
        }
    }
    H5Sclose(space);
    H5Tclose(type);
}

/* A decomposition as HyperSpy and unmix store it. */
static void put_result(bytes *in, hid_t file)
{
    hid_t top = H5Gcreate2(file, "Experiments", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t experiment = H5Gcreate2(top, "scan", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t count[2] = {1, 1}; /* positions, pixels */
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "axis-%d", i);
        hsize_t size = take(in) % 5 + 1;
        hid_t axis = H5Gcreate2(experiment, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        count[i / 2] *= size;
        put_number(axis, "size", (double)size);
        put_number(axis, "navigate", i < 2);
        put_attribute(in, axis, "scale");
        put_attribute(in, axis, "units");
        H5Gclose(axis);
    }
    hid_t group = H5Gcreate2(experiment, "learning_results", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hsize_t k = take(in) % 4 + 1;
    put_attribute(in, group, "decomposition_algorithm");
    put_table(in, group, "factors", count[1], k);
    put_table(in, group, "loadings", count[0], k);
    put_table(in, group, "signal_mask", count[1], 0);
    put_table(in, group, "navigation_mask", count[0], 0);
    put_table(in, group, "explained_variance", k, 0);
    put_table(in, group, "residual_map", count[0], 1);
    H5Gclose(group);
    hid_t original = H5Gcreate2(experiment, "original_metadata", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    put_attribute(in, original, "unmix");
    H5Gclose(original);
    H5Gclose(experiment);
    H5Gclose(top);
}

static void put_emd(bytes *in, hid_t file, const char *outer, const char *inner, int first_dim)
{
    put_attribute(in, file, "version_major");
    put_attribute(in, file, "version_minor");
    put_attribute(in, file, "emd_group_type");
    hid_t top = H5Gcreate2(file, outer, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    hid_t group = H5Gcreate2(top, inner, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (first_dim == 0) {
        put_text(group, "emd_group_type", "array");
    }
    put_attribute(in, group, "emd_group_type");
    put_dataset(in, group, take(in) % 4 == 0 ? "other" : "data");
    unsigned dims = take(in) % 6;
    for (unsigned i = 0; i < dims; i++) {
        char name[16];
        snprintf(name, sizeof name, "dim%d", first_dim + (int)i);
        put_dataset(in, group, name);
    }
    H5Gclose(group);
    H5Gclose(top);
}

static void put_file(bytes *in, const char *path)
{
    unsigned layout = take(in);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access, 1 << 16, true);
    if (layout >= 128) { /* other kinds of chunk index */
        H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    }
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    switch (layout % 6) {
    case 0:
        put_hyperspy(in, file);
        break;
    case 1:
        put_emd(in, file, "experiment", "scan", 1);
        break;
    case 2:
        put_emd(in, file, "root", "datacube", 0);
        break;
    case 3:
        put_emd(in, file, "fpd_expt", "fpd_data", 1);
        break;
    case 4:
        put_result(in, file);
        break;
    default:
        put_dataset(in, file, "data");
        put_dataset(in, file, "more");
        break;
    }
    H5Fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes in = {data, size};
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    const char *path = fuzz_file("scan.hspy", data, 0);
    put_file(&in, path);
    um_context *ctx = fuzz_context();
    fuzz_scan(ctx, path, NULL);
    um_open_options reshaped = {.scan_ny = 3, .scan_nx = 2, .allow_short = true};
    fuzz_scan(ctx, path, &reshaped);
    um_model *model = NULL;
    um_status status = um_model_load(ctx, path, &model);
    fuzz_need_message(ctx, status, "um_model_load");
    um_model_free(model);
    um_context_free(ctx);
    return 0;
}
