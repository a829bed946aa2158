/* From the items of a CIF to a crystal. */
#include "crystal_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SITES = 5000 };

const um_cif_item *um_cif_find(const um_cif *cif, const char *const *tags)
{
    for (; *tags != NULL; tags++) {
        for (size_t i = 0; i < cif->items; i++) {
            if (strcmp(cif->item[i].tag, *tags) == 0 && cif->item[i].values > 0) {
                return &cif->item[i];
            }
        }
    }
    return NULL;
}

const char *um_cif_text(const um_cif_item *item, size_t i)
{
    return item != NULL && i < item->values ? item->value[i] : NULL;
}

um_status um_cif_real(um_context *ctx, const um_cif *cif, const um_cif_item *item, size_t i, double preset,
                      double *out)
{
    const char *text = um_cif_text(item, i);
    *out = preset;
    if (text == NULL) {
        return UM_OK;
    }
    char *end = NULL;
    double value = strtod(text, &end);
    /* An uncertainty in the last digits may follow: 4.053(2). */
    bool fine = end != text && isfinite(value);
    if (fine && *end == '(') {
        size_t digits = strspn(end + 1, "0123456789.");
        fine = digits > 0 && strcmp(end + 1 + digits, ")") == 0;
    } else if (fine) {
        fine = *end == '\0';
    }
    if (!fine) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: %s is '%.40s', which is not a number", cif->path, item->tag, text);
    }
    *out = value;
    return UM_OK;
}

static const um_cif_item *find1(const um_cif *cif, const char *tag)
{
    const char *const tags[] = {tag, NULL};
    return um_cif_find(cif, tags);
}

static um_status read_cell(um_context *ctx, const um_cif *cif, um_crystal *crystal)
{
    static const char *const tags[6] = {"_cell_length_a",    "_cell_length_b",   "_cell_length_c",
                                        "_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma"};
    double cell[6];
    for (int i = 0; i < 6; i++) {
        const um_cif_item *item = find1(cif, tags[i]);
        if (um_cif_text(item, 0) == NULL && i < 3) {
            return um_fail(ctx, UM_ERROR_FORMAT, "%s: %s is missing: without a cell it is no crystal structure",
                           cif->path, tags[i]);
        }
        um_status status = um_cif_real(ctx, cif, item, 0, 90.0, &cell[i]);
        if (status != UM_OK) {
            return status;
        }
    }
    return um_crystal_set_cell(ctx, cif->path, cell, crystal);
}

/* U_eq = 1/3 sum_ij U_ij a*_i a*_j a_i.a_j of the atom with this label; 0 if the file has none. */
static um_status anisotropic_b(um_context *ctx, const um_cif *cif, const um_crystal *crystal, const char *label,
                               double *b_iso)
{
    static const char *const names[6] = {"11", "22", "33", "12", "13", "23"};
    static const int index[6][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
    const um_cif_item *labels = find1(cif, "_atom_site_aniso_label");
    *b_iso = 0.0;
    for (size_t row = 0; labels != NULL && label != NULL && row < labels->values; row++) {
        if (labels->value[row] == NULL || strcmp(labels->value[row], label) != 0) {
            continue;
        }
        for (int k = 0; k < 6; k++) {
            char tag[32];
            double u = 0.0;
            snprintf(tag, sizeof tag, "_atom_site_aniso_u_%s", names[k]);
            const um_cif_item *item = find1(cif, tag);
            double factor = 8.0 * M_PI * M_PI;
            if (item == NULL) {
                snprintf(tag, sizeof tag, "_atom_site_aniso_b_%s", names[k]);
                item = find1(cif, tag);
                factor = 1.0;
            }
            um_status status = um_cif_real(ctx, cif, item, row, 0.0, &u);
            if (status != UM_OK) {
                return status;
            }
            const double *a = crystal->direct[index[k][0]], *b = crystal->direct[index[k][1]];
            const double *c = crystal->reciprocal[index[k][0]], *d = crystal->reciprocal[index[k][1]];
            double lengths = sqrt((c[0] * c[0] + c[1] * c[1] + c[2] * c[2]) * (d[0] * d[0] + d[1] * d[1] + d[2] * d[2]));
            double product = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
            *b_iso += (k < 3 ? 1.0 : 2.0) / 3.0 * factor * u * lengths * product;
        }
        return UM_OK;
    }
    return UM_OK;
}

static um_status read_b(um_context *ctx, const um_cif *cif, const um_crystal *crystal, size_t i, um_site *site)
{
    const um_cif_item *b = find1(cif, "_atom_site_b_iso_or_equiv");
    const um_cif_item *u = find1(cif, "_atom_site_u_iso_or_equiv");
    double value = 0.0;
    um_status status = UM_OK;
    if (um_cif_text(b, i) != NULL) {
        status = um_cif_real(ctx, cif, b, i, 0.0, &value);
    } else if (um_cif_text(u, i) != NULL) {
        status = um_cif_real(ctx, cif, u, i, 0.0, &value);
        value *= 8.0 * M_PI * M_PI;
    } else {
        status = anisotropic_b(ctx, cif, crystal, site->label, &value);
    }
    if (status == UM_OK && (value < 0.0 || value > 100.0)) {
        return um_fail(ctx, UM_ERROR_VALUE, "%s: site %s has B = %g A^2: it must lie in 0 .. 100", cif->path,
                       site->label, value);
    }
    site->atom.b_iso_A2 = value;
    return status;
}

static um_status read_site(um_context *ctx, const um_cif *cif, const um_crystal *crystal, size_t i, um_site *site)
{
    static const char *const coordinates[3] = {"_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z"};
    const char *label = um_cif_text(find1(cif, "_atom_site_label"), i);
    const char *symbol = um_cif_text(find1(cif, "_atom_site_type_symbol"), i);
    site->label = label != NULL ? label : symbol != NULL ? symbol : "without a label";
    site->atom.z = symbol != NULL ? um_element_of(symbol, false) : label != NULL ? um_element_of(label, true) : 0;
    if (site->atom.z == 0) {
        return um_fail(ctx, UM_ERROR_VALUE, "%s: site %.40s: '%.40s' is no element", cif->path, site->label,
                       symbol != NULL ? symbol : site->label);
    }
    for (int k = 0; k < 3; k++) {
        const um_cif_item *item = find1(cif, coordinates[k]);
        if (um_cif_text(item, i) == NULL) {
            return um_fail(ctx, UM_ERROR_FORMAT, "%s: site %.40s has no %s", cif->path, site->label, coordinates[k]);
        }
        um_status status = um_cif_real(ctx, cif, item, i, 0.0, &site->atom.position[k]);
        if (status != UM_OK) {
            return status;
        }
        if (fabs(site->atom.position[k]) > 100.0) {
            return um_fail(ctx, UM_ERROR_VALUE, "%s: site %.40s: %g is not a fractional coordinate", cif->path,
                           site->label, site->atom.position[k]);
        }
    }
    um_status status =
        um_cif_real(ctx, cif, find1(cif, "_atom_site_occupancy"), i, 1.0, &site->atom.occupancy);
    if (status == UM_OK && !(site->atom.occupancy >= 0.0 && site->atom.occupancy <= 1.0 + 1e-6)) {
        return um_fail(ctx, UM_ERROR_VALUE, "%s: site %.40s has occupancy %g: it must lie in 0 .. 1", cif->path,
                       site->label, site->atom.occupancy);
    }
    return status == UM_OK ? read_b(ctx, cif, crystal, i, site) : status;
}

static um_status read_sites(um_context *ctx, const um_cif *cif, const um_crystal *crystal, um_site **out,
                            size_t *count)
{
    const um_cif_item *x = find1(cif, "_atom_site_fract_x");
    if (x == NULL) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: it has no _atom_site_fract_x: no fractional coordinates, no crystal structure", cif->path);
    }
    if (x->values > MOST_SITES) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "%s: %zu sites: at most %d are taken", cif->path, x->values,
                       MOST_SITES);
    }
    um_site *sites = calloc(x->values, sizeof *sites);
    um_status status = sites != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for its sites", cif->path);
    size_t n = 0;
    for (size_t i = 0; i < x->values && status == UM_OK; i++) {
        const char *kind = um_cif_text(find1(cif, "_atom_site_calc_flag"), i);
        if (kind != NULL && strcmp(kind, "dum") == 0) {
            continue;
        }
        sites[n] = (um_site){0};
        status = read_site(ctx, cif, crystal, i, &sites[n]);
        n += status == UM_OK && sites[n].atom.occupancy > 0.0;
    }
    if (status == UM_OK && n == 0) {
        status = um_fail(ctx, UM_ERROR_VALUE, "%s: no site is occupied", cif->path);
    }
    if (status != UM_OK) {
        free(sites);
        return status;
    }
    *out = sites;
    *count = n;
    return UM_OK;
}

static void name_it(const um_cif *cif, um_crystal *crystal)
{
    const char *slash = strrchr(cif->path, '/');
    snprintf(crystal->name, sizeof crystal->name, "%s", slash != NULL ? slash + 1 : cif->path);
    char *dot = strrchr(crystal->name, '.');
    if (dot != NULL && dot != crystal->name) {
        *dot = '\0';
    }
}

um_status um_crystal_load(um_context *ctx, const char *path, um_crystal **out)
{
    um_cif cif;
    um_site *sites = NULL;
    size_t count = 0;
    *out = NULL;
    um_status status = um_cif_read(ctx, path, &cif);
    if (status != UM_OK) {
        return status;
    }
    um_crystal *crystal = calloc(1, sizeof *crystal);
    um_symmetry *symmetry = calloc(1, sizeof *symmetry);
    if (crystal == NULL || symmetry == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for a crystal", path);
    }
    if (status == UM_OK) {
        name_it(&cif, crystal);
        status = read_cell(ctx, &cif, crystal);
    }
    if (status == UM_OK) {
        status = um_symmetry_find(ctx, &cif, crystal, symmetry);
    }
    if (status == UM_OK) {
        status = read_sites(ctx, &cif, crystal, &sites, &count);
    }
    if (status == UM_OK) {
        status = um_crystal_expand(ctx, path, sites, count, symmetry, crystal);
    }
    if (status == UM_OK) {
        status = um_symmetry_check(ctx, path, crystal);
    }
    free(sites);
    free(symmetry);
    um_cif_clear(&cif);
    if (status != UM_OK) {
        um_crystal_free(crystal);
        return status;
    }
    *out = crystal;
    return UM_OK;
}
