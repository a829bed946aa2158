/* Calibration: HyperSpy's axes and the dimension scales of the EMD family. */
#include "hdf5_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a file says about one dimension of its array. */
typedef struct dimension {
    char name[32], units[32];
    double scale, offset;
    int navigate; /* 1, 0, or -1 when the file does not say */
} dimension;

/* ---- units ---------------------------------------------------------------------------------- */

/* One spelling for each unit that matters: "" (pixels), "nm", "Å", "1/nm", "1/Å", else as stored. */
static void clean_units(const char *stored, char *units, size_t size)
{
    static const char *const spellings[][2] = {
        {"px", ""},          {"pixel", ""},       {"pixels", ""},     {"_None_", ""},
        {"<undefined>", ""}, {"A", "Å"},          {"angstrom", "Å"},  {"nm^-1", "1/nm"},
        {"nm-1", "1/nm"},    {"$nm^{-1}$", "1/nm"}, {"1 / nm", "1/nm"}, {"A^-1", "1/Å"},
        {"Å^-1", "1/Å"},     {"A-1", "1/Å"},      {"$A^{-1}$", "1/Å"}, {"1/A", "1/Å"},
        {"1 / Å", "1/Å"},    {"1/angstrom", "1/Å"}, {"nm⁻¹", "1/nm"},  {"Å⁻¹", "1/Å"},
        {"1 / A", "1/Å"},    {"1 / angstrom", "1/Å"}, {"\xE2\x84\xAB", "Å"}};
    char text[64];
    size_t n = 0;
    /* EMD 0.2 writes "[n_m^-1]". */
    bool bracketed = stored[0] == '[';
    for (const char *c = stored; *c != '\0' && n + 1 < sizeof text; c++) {
        if (!bracketed || strchr("[]_", *c) == NULL) {
            text[n++] = *c;
        }
    }
    text[n] = '\0';
    const char *clean = text;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        if (strcmp(text, spellings[i][0]) == 0) {
            clean = spellings[i][1];
        }
    }
    um_h5_copy_text(units, size, clean);
}

/* ---- HyperSpy ------------------------------------------------------------------------------- */

/* Axis i: "axis-i", or member i of a group "_list_N_axes" (as inside old files). */
static hid_t open_axis(hid_t experiment, int i, int rank)
{
    char name[64];
    snprintf(name, sizeof name, "axis-%d", i);
    hid_t axis = H5Gopen2(experiment, name, H5P_DEFAULT);
    if (axis < 0) {
        snprintf(name, sizeof name, "_list_%d_axes/%d", rank, i);
        axis = H5Gopen2(experiment, name, H5P_DEFAULT);
    }
    return axis;
}

/* A non-uniform axis keeps its values: take their mean step. */
static void take_axis_values(hid_t group, const char *name, hsize_t size, dimension *d)
{
    hid_t values = H5Dopen2(group, name, H5P_DEFAULT);
    if (values < 0) {
        return;
    }
    um_h5_layout layout;
    hid_t type = H5Dget_type(values);
    bool numbers = type >= 0 && um_h5_element_type(type, &layout);
    double ends[2] = {0, 0};
    if (numbers && um_h5_extent(values, &layout) && layout.rank == 1 && layout.size[0] >= 2 &&
        (layout.size[0] == size || layout.size[0] == 2) &&
        um_h5_chunks_sound(values, UM_H5_SMALL_CHUNK, UM_H5_FEW_CHUNKS)) {
        hsize_t coordinates[2] = {0, layout.size[0] - 1};
        hsize_t two = 2;
        hid_t space = H5Dget_space(values);
        hid_t memory = H5Screate_simple(1, &two, NULL);
        if (H5Sselect_elements(space, H5S_SELECT_SET, 2, coordinates) >= 0 &&
            H5Dread(values, H5T_NATIVE_DOUBLE, memory, space, H5P_DEFAULT, ends) >= 0) {
            double scale = (ends[1] - ends[0]) / (double)(layout.size[0] - 1);
            if (isfinite(scale) && scale != 0 && isfinite(ends[0])) {
                d->scale = scale;
                d->offset = ends[0];
            }
        }
        H5Sclose(memory);
        H5Sclose(space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    H5Dclose(values);
}

static bool take_hyperspy_axis(hid_t experiment, int i, const um_h5_layout *layout,
                               dimension dims[UM_H5_MAX_RANK])
{
    hid_t axis = open_axis(experiment, i, layout->rank);
    if (axis < 0) {
        return false;
    }
    double at = i;
    um_h5_attr_number(axis, "index_in_array", &at);
    int index = at >= 0 && at < layout->rank ? (int)at : i;
    dimension *d = &dims[index];
    char units[64];
    um_h5_attr_text(axis, "name", d->name, sizeof d->name);
    um_h5_attr_text(axis, "units", units, sizeof units);
    clean_units(units, d->units, sizeof d->units);
    double number = 0;
    if (um_h5_attr_number(axis, "scale", &number) && isfinite(number) && number != 0) {
        d->scale = number;
    }
    if (um_h5_attr_number(axis, "offset", &number) && isfinite(number)) {
        d->offset = number;
    }
    if (um_h5_attr_number(axis, "navigate", &number)) {
        d->navigate = number != 0;
    }
    take_axis_values(axis, "axis", layout->size[index], d);
    H5Gclose(axis);
    return true;
}

/* Old files say "image" or "spectrum" in one place instead of marking each axis. */
static void take_record_by(hid_t experiment, const um_h5_layout *layout,
                           dimension dims[UM_H5_MAX_RANK])
{
    static const char *const places[] = {"mapped_parameters", "metadata/Signal", "metadata"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        hid_t group = H5Gopen2(experiment, places[i], H5P_DEFAULT);
        if (group < 0) {
            continue;
        }
        char text[32];
        int signal = 0;
        if (um_h5_attr_text(group, "record_by", text, sizeof text)) {
            signal = strcmp(text, "image") == 0 ? 2 : strcmp(text, "spectrum") == 0 ? 1 : 0;
        }
        H5Gclose(group);
        for (int d = 0; signal > 0 && d < layout->rank; d++) {
            if (dims[d].navigate < 0) {
                dims[d].navigate = d < layout->rank - signal;
            }
        }
    }
}

/* ---- EMD ------------------------------------------------------------------------------------ */

static void take_emd_dimension(hid_t group, int number, hsize_t size, dimension *d)
{
    char name[16];
    snprintf(name, sizeof name, "dim%d", number);
    hid_t dim = H5Dopen2(group, name, H5P_DEFAULT);
    if (dim < 0) {
        return;
    }
    char units[64];
    um_h5_attr_text(dim, "name", d->name, sizeof d->name);
    um_h5_attr_text(dim, "units", units, sizeof units);
    clean_units(units, d->units, sizeof d->units);
    H5Dclose(dim);
    take_axis_values(group, name, size, d);
}

static void take_emd(hid_t group, const um_h5_layout *layout, dimension dims[UM_H5_MAX_RANK])
{
    int first = um_h5_exists(group, "dim0") ? 0 : 1;
    for (int i = 0; i < layout->rank; i++) {
        take_emd_dimension(group, first + i, layout->size[i], &dims[i]);
    }
}

/* ---- which dimension is what ---------------------------------------------------------------- */

static void assign(um_h5_layout *layout, const int kept[], int n,
                   const dimension dims[UM_H5_MAX_RANK])
{
    int scan = 0; /* leading dimensions marked as scan; -1 when the marks are absent or odd */
    for (int i = 0; i < n && scan >= 0; i++) {
        int mark = dims[kept[i]].navigate;
        scan = mark < 0 || (mark == 1 && scan < i) ? -1 : scan + mark;
    }
    if (scan < 0 || scan > 2 || n - scan > 2) {
        scan = n == 1 ? 0 : n / 2;
    }
    for (int axis = 0; axis < 4; axis++) {
        layout->dim[axis] = -1;
    }
    for (int i = 0; i < scan; i++) {
        layout->dim[2 - scan + i] = kept[i];
    }
    for (int i = scan; i < n; i++) {
        layout->dim[4 - n + i] = kept[i];
    }
}

/* Drops dimensions of length 1 until four are left. Returns how many are left. */
static int keep_dimensions(const um_h5_layout *layout, int kept[UM_H5_MAX_RANK])
{
    int over = layout->rank > 4 ? layout->rank - 4 : 0;
    int n = 0;
    for (int i = 0; i < layout->rank; i++) {
        if (over > 0 && layout->size[i] == 1) {
            over--;
        } else {
            kept[n++] = i;
        }
    }
    return n;
}

static hid_t open_parent(hid_t file, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL || slash == path ? um_strdup("/")
                                                  : um_format("%.*s", (int)(slash - path), path);
    hid_t group = parent != NULL ? H5Oopen(file, parent, H5P_DEFAULT) : -1;
    free(parent);
    return group;
}

um_status um_h5_calibrate(um_context *ctx, const um_probe *probe, hid_t file,
                          const um_h5_found *found, um_h5_layout *layout, um_axis axes[4])
{
    dimension dims[UM_H5_MAX_RANK];
    for (int i = 0; i < UM_H5_MAX_RANK; i++) {
        dims[i] = (dimension){.scale = 1, .navigate = -1};
    }
    hid_t group = open_parent(file, found->path);
    if (group >= 0 && strcmp(found->format, "hspy") == 0) {
        for (int i = 0; i < layout->rank; i++) {
            take_hyperspy_axis(group, i, layout, dims);
        }
        take_record_by(group, layout, dims);
    } else if (group >= 0) {
        take_emd(group, layout, dims);
    }
    if (group >= 0) {
        H5Oclose(group);
    }
    int kept[UM_H5_MAX_RANK];
    int n = keep_dimensions(layout, kept);
    if (n > 4) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "%s: %s has %d dimensions: unmix takes (y, x, ky, kx) or fewer", probe->path,
                       found->path, n);
    }
    assign(layout, kept, n, dims);
    for (int axis = 0; axis < 4; axis++) {
        int d = layout->dim[axis];
        layout->extent[axis] = d >= 0 ? (int64_t)layout->size[d] : 1;
    }
    um_axes_default(axes, (um_shape){layout->extent[0], layout->extent[1], layout->extent[2],
                                     layout->extent[3]});
    for (int axis = 0; axis < 4; axis++) {
        int d = layout->dim[axis];
        if (d >= 0) {
            const char *name = dims[d].name[0] != '\0' ? dims[d].name : axes[axis].name;
            char kept_name[32];
            um_h5_copy_text(kept_name, sizeof kept_name, name);
            um_axis_set(&axes[axis], kept_name, dims[d].scale, dims[d].offset, dims[d].units);
        }
    }
    return UM_OK;
}
