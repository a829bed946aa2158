/* Which array of an HDF5 file is the scan. */
#include "hdf5_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_OBJECTS = 200000, MAX_CANDIDATES = 256, LISTED = 5 };

/* ---- what an array is ----------------------------------------------------------------------- */

static bool integer_type(hid_t type, um_h5_layout *layout)
{
    static const um_dtype kinds[2][3] = {{UM_U8, UM_U16, UM_U32}, {UM_I8, UM_I16, UM_I32}};
    size_t size = H5Tget_size(type);
    bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
    bool whole = H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0;
    int log2 = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : size == 8 ? 3 : -1;
    if (log2 < 0) {
        return false;
    }
    H5T_order_t order = H5Tget_order(type);
    layout->stored_size = size;
    if (log2 == 3) {
        layout->dtype = UM_F64;
        layout->convert = is_signed ? UM_H5_I64_TO_F64 : UM_H5_U64_TO_F64;
        layout->big_endian = order == H5T_ORDER_BE;
        return whole && (order == H5T_ORDER_LE || order == H5T_ORDER_BE);
    }
    layout->dtype = kinds[is_signed][log2];
    bool swap = order == H5T_ORDER_BE && size > 1;
    bool known = size == 1 || order == H5T_ORDER_LE || order == H5T_ORDER_BE;
    layout->convert = whole && known ? (swap ? UM_H5_SWAP : UM_H5_SAME) : UM_H5_LIBRARY;
    return true;
}

/* IEEE 754 binary16. */
static bool is_half(hid_t type)
{
    size_t sign = 0;
    size_t exponent = 0;
    size_t exponent_bits = 0;
    size_t fraction = 0;
    size_t fraction_bits = 0;
    H5T_order_t order = H5Tget_order(type);
    return H5Tget_size(type) == 2 && (order == H5T_ORDER_LE || order == H5T_ORDER_BE) &&
           H5Tget_precision(type) == 16 && H5Tget_ebias(type) == 15 &&
           H5Tget_norm(type) == H5T_NORM_IMPLIED &&
           H5Tget_fields(type, &sign, &exponent, &exponent_bits, &fraction, &fraction_bits) >= 0 &&
           sign == 15 && exponent == 10 && exponent_bits == 5 && fraction == 0 && fraction_bits == 10;
}

static void float_type(hid_t type, um_h5_layout *layout)
{
    layout->stored_size = H5Tget_size(type);
    layout->dtype = layout->stored_size <= 4 ? UM_F32 : UM_F64;
    if (H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F64LE) > 0) {
        layout->convert = UM_H5_SAME;
    } else if (H5Tequal(type, H5T_IEEE_F32BE) > 0 || H5Tequal(type, H5T_IEEE_F64BE) > 0) {
        layout->convert = UM_H5_SWAP;
    } else if (is_half(type)) {
        layout->convert = UM_H5_HALF;
        layout->big_endian = H5Tget_order(type) == H5T_ORDER_BE;
    } else {
        layout->convert = UM_H5_LIBRARY;
    }
}

bool um_h5_element_type(hid_t type, um_h5_layout *layout)
{
    layout->big_endian = false;
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return integer_type(type, layout);
    case H5T_FLOAT:
        float_type(type, layout);
        return true;
    case H5T_ENUM: /* booleans; the bytes of any other enum mean nothing to us */
    case H5T_BITFIELD:
        layout->dtype = UM_U8;
        layout->stored_size = 1;
        layout->convert = UM_H5_SAME;
        return H5Tget_size(type) == 1;
    default:
        return false;
    }
}

bool um_h5_extent(hid_t dataset, um_h5_layout *layout)
{
    hid_t space = H5Dget_space(dataset);
    if (space < 0) {
        return false;
    }
    bool simple = H5Sget_simple_extent_type(space) == H5S_SIMPLE;
    layout->rank = simple ? H5Sget_simple_extent_ndims(space) : 0;
    bool ok = layout->rank >= 1 && layout->rank <= UM_H5_MAX_RANK &&
              H5Sget_simple_extent_dims(space, layout->size, NULL) >= 0;
    H5Sclose(space);
    for (int i = 0; ok && i < layout->rank; i++) {
        ok = layout->size[i] <= (hsize_t)INT32_MAX * 1024;
    }
    return ok;
}

static bool describe(hid_t dataset, um_h5_layout *layout)
{
    hid_t type = H5Dget_type(dataset);
    bool ok = type >= 0 && um_h5_element_type(type, layout) && um_h5_extent(dataset, layout);
    if (type >= 0) {
        H5Tclose(type);
    }
    return ok;
}

static int used_rank(const um_h5_layout *layout)
{
    int spare = 0;
    for (int i = 0; i < layout->rank; i++) {
        spare += layout->size[i] == 1;
    }
    int over = layout->rank > 4 ? layout->rank - 4 : 0;
    return layout->rank - (spare < over ? spare : over);
}

/* ---- all arrays of the file ----------------------------------------------------------------- */

typedef struct candidate {
    char *path;
    um_h5_layout layout;
    bool emd; /* its group says that it is an array of the EMD family */
} candidate;

typedef struct census {
    candidate list[MAX_CANDIDATES];
    int count, seen;
} census;

static char *parent_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL || slash == path ? um_strdup("/")
                                          : um_format("%.*s", (int)(slash - path), path);
}

static bool emd_group(hid_t file, const char *path)
{
    char *parent = parent_path(path);
    hid_t group = parent != NULL ? H5Oopen(file, parent, H5P_DEFAULT) : -1;
    free(parent);
    if (group < 0) {
        return false;
    }
    char kind[32];
    bool yes = um_h5_attr_text(group, "emd_group_type", kind, sizeof kind) &&
               (strcmp(kind, "1") == 0 || strcmp(kind, "array") == 0);
    H5Oclose(group);
    return yes;
}

static bool starts_with_dim(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    return strncmp(name, "dim", 3) == 0;
}

static herr_t take_object(hid_t file, const char *name, const H5O_info_t *info, void *user)
{
    census *c = user;
    if (++c->seen > MAX_OBJECTS || c->count == MAX_CANDIDATES) {
        return 1;
    }
    if (info->type != H5O_TYPE_DATASET || starts_with_dim(name)) {
        return 0;
    }
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    if (dataset < 0) {
        return 0;
    }
    candidate *found = &c->list[c->count];
    if (describe(dataset, &found->layout) && found->layout.rank >= 2) {
        found->path = um_format("/%s", name);
        if (found->path != NULL) {
            found->emd = emd_group(file, found->path);
            c->count++;
        }
    }
    H5Dclose(dataset);
    return 0;
}

static census *take_census(hid_t file)
{
    census *c = calloc(1, sizeof *c);
    if (c != NULL) {
        H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, take_object, c, H5O_INFO_BASIC);
    }
    return c;
}

static void census_free(census *c)
{
    for (int i = 0; c != NULL && i < c->count; i++) {
        free(c->list[i].path);
    }
    free(c);
}

static void shape_text(const um_h5_layout *layout, char *text, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < layout->rank && at < size; i++) {
        int n = snprintf(text + at, size - at, "%s%llu", i > 0 ? "x" : "",
                         (unsigned long long)layout->size[i]);
        at += n > 0 ? (size_t)n : 0;
    }
}

static um_status list_candidates(um_context *ctx, const um_probe *probe, const census *c)
{
    char text[600] = "";
    size_t at = 0;
    int listed = 0;
    for (int rank = 4; rank >= 2; rank--) {
        for (int i = 0; i < c->count && listed < LISTED; i++) {
            if (used_rank(&c->list[i].layout) != rank || strlen(c->list[i].path) > 80) {
                continue;
            }
            char shape[96];
            shape_text(&c->list[i].layout, shape, sizeof shape);
            int n = snprintf(text + at, sizeof text - at, "%s%s (%s %s)", listed > 0 ? ", " : "",
                             c->list[i].path, shape, um_dtype_name(c->list[i].layout.dtype));
            at += n > 0 ? (size_t)n : 0;
            at = at < sizeof text ? at : sizeof text - 1;
            listed++;
        }
    }
    if (listed == 0) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: an HDF5 file without any 2-D to 4-D array of numbers", probe->path);
    }
    return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                   "%s: cannot tell which array is the scan: %s%s: name one as %s:/PATH", probe->path,
                   text, c->count > listed ? ", ..." : "", probe->path);
}

/* First candidate of that rank (among EMD arrays only, if asked), and how many there are. */
static const candidate *first_of_rank(const census *c, int rank, bool emd, int *count)
{
    const candidate *first = NULL;
    *count = 0;
    for (int i = 0; i < c->count; i++) {
        if (used_rank(&c->list[i].layout) == rank && (!emd || c->list[i].emd)) {
            first = first != NULL ? first : &c->list[i];
            ++*count;
        }
    }
    return first;
}

static bool is_velox(hid_t file)
{
    char text[128];
    return um_h5_dataset_text(file, "/Version", text, sizeof text) && strstr(text, "Velox") != NULL;
}

static um_status choose(um_context *ctx, const um_probe *probe, hid_t file, char **path)
{
    if (is_velox(file)) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: a Velox file: it holds images and spectra, not a scan of patterns",
                       probe->path);
    }
    census *c = take_census(file);
    if (c == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory", probe->path);
    }
    const candidate *best = NULL;
    for (int rank = 4; rank >= 2 && best == NULL; rank--) {
        int count = 0;
        best = first_of_rank(c, rank, true, &count);
        if (best != NULL && count > 1 && rank == 4) {
            um_warn(ctx, "%s: %d scans in this file: reading the first, %s", probe->path, count,
                    best->path);
        } else if (count > 1) {
            best = NULL;
            break;
        }
        if (best == NULL) {
            best = first_of_rank(c, rank, false, &count);
            best = count == 1 ? best : NULL;
            if (count > 1) {
                break;
            }
        }
    }
    um_status status = UM_OK;
    if (best != NULL) {
        *path = um_strdup(best->path);
        status = *path != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory", probe->path);
    } else {
        status = list_candidates(ctx, probe, c);
    }
    census_free(c);
    return status;
}

/* ---- HyperSpy ------------------------------------------------------------------------------- */

typedef struct experiments {
    hid_t group;
    char *first, *first_2d;
    int count;
} experiments;

static herr_t take_experiment(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    (void)info;
    experiments *e = user;
    char *path = um_format("%s/data", name);
    hid_t dataset = path != NULL ? H5Dopen2(group, path, H5P_DEFAULT) : -1;
    free(path);
    um_h5_layout layout;
    if (dataset >= 0 && describe(dataset, &layout)) {
        e->count++;
        if (e->first == NULL) {
            e->first = um_format("/Experiments/%s/data", name);
        }
        if (e->first_2d == NULL && layout.rank >= 2) {
            e->first_2d = um_format("/Experiments/%s/data", name);
        }
    }
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    return e->count >= MAX_CANDIDATES ? 1 : 0;
}

static char *hyperspy_path(um_context *ctx, const um_probe *probe, hid_t file)
{
    hid_t group = H5Gopen2(file, "/Experiments", H5P_DEFAULT);
    if (group < 0) {
        return NULL;
    }
    experiments e = {group, NULL, NULL, 0};
    hsize_t start = 0;
    H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &start, take_experiment, &e);
    H5Gclose(group);
    char *path = e.first_2d != NULL ? e.first_2d : e.first;
    if (path != e.first) {
        free(e.first);
    }
    if (e.count > 1 && path != NULL) {
        um_warn(ctx, "%s: %d signals in this file: reading %s", probe->path, e.count, path);
    }
    return path;
}

/* ---- the choice ----------------------------------------------------------------------------- */

static const char *format_of(hid_t file, const char *path)
{
    char text[64];
    char *parent = parent_path(path);
    hid_t group = parent != NULL ? H5Oopen(file, parent, H5P_DEFAULT) : -1;
    free(parent);
    const char *format = "hdf5";
    if (group >= 0) {
        if (um_h5_exists(group, "axis-0") ||
            (strncmp(path, "/Experiments/", 13) == 0 && strcmp(path + strlen(path) - 5, "/data") == 0)) {
            format = "hspy";
        } else if (emd_group(file, path)) {
            format = um_h5_attr_text(file, "fpd_version", text, sizeof text) ? "fpd" : "emd";
        }
        H5Oclose(group);
    }
    return format;
}

/* "file:/group" stands for the array that the group is about. */
static char *array_of_group(hid_t file, const char *path)
{
    static const char *const names[] = {"data", "datacube", "realslice", "diffractionslice"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *inner = um_format("%s/%s", strcmp(path, "/") == 0 ? "" : path, names[i]);
        hid_t dataset = inner != NULL ? H5Dopen2(file, inner, H5P_DEFAULT) : -1;
        if (dataset >= 0) {
            H5Dclose(dataset);
            return inner;
        }
        free(inner);
    }
    return NULL;
}

static um_status named_path(um_context *ctx, const um_probe *probe, hid_t file, char **path)
{
    char *asked = um_format("%s%s", probe->dataset[0] == '/' ? "" : "/", probe->dataset);
    size_t n = asked != NULL ? strlen(asked) : 0;
    while (n > 1 && asked[n - 1] == '/') {
        asked[--n] = '\0';
    }
    hid_t object = asked != NULL ? H5Oopen(file, asked, H5P_DEFAULT) : -1;
    if (object < 0) {
        char reason[200];
        um_h5_reason(reason, sizeof reason);
        free(asked);
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: no dataset %s can be opened in this file (%s): list them with h5ls -r",
                       probe->path, probe->dataset, reason);
    }
    bool group = H5Iget_type(object) == H5I_GROUP;
    H5Oclose(object);
    if (!group) {
        *path = asked;
        return UM_OK;
    }
    *path = array_of_group(file, asked);
    free(asked);
    if (*path == NULL) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: %s is a group without an array \"data\": name an array",
                       probe->path, probe->dataset);
    }
    return UM_OK;
}

um_status um_h5_find(um_context *ctx, const um_probe *probe, hid_t file, um_h5_found *found)
{
    char *path = NULL;
    if (probe->dataset != NULL && probe->dataset[0] != '\0') {
        UM_TRY(named_path(ctx, probe, file, &path));
    } else {
        path = hyperspy_path(ctx, probe, file);
        if (path == NULL) {
            UM_TRY(choose(ctx, probe, file, &path));
        }
    }
    if (path == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a name");
    }
    hid_t dataset = H5Dopen2(file, path, H5P_DEFAULT);
    if (dataset < 0) {
        um_status status = um_fail(ctx, UM_ERROR_FORMAT, "%s: %s is not an array", probe->path, path);
        free(path);
        return status;
    }
    found->dataset = dataset;
    found->path = path;
    found->format = format_of(file, path);
    return UM_OK;
}
