/* Cells, and the expansion of sites to all atoms of the cell. */
#include "crystal_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ATOMS = 5000 };
/* Images of a site this close are one atom: above the rounding of coordinates, below any bond or split site. */
static const double COINCIDENT_A = 0.05;

static void cross(const double a[3], const double b[3], double out[3])
{
    out[0] = a[1] * b[2] - a[2] * b[1];
    out[1] = a[2] * b[0] - a[0] * b[2];
    out[2] = a[0] * b[1] - a[1] * b[0];
}

/* Exactly 0 for right angles, so that axes stay orthogonal. */
static double cosine(double degrees)
{
    return degrees == 90.0 ? 0.0 : cos(degrees * M_PI / 180.0);
}

um_status um_crystal_set_cell(um_context *ctx, const char *path, const double cell[6], um_crystal *crystal)
{
    for (int i = 0; i < 3; i++) {
        if (!(cell[i] >= 0.5 && cell[i] <= 1000.0) || !(cell[i + 3] >= 10.0 && cell[i + 3] <= 170.0)) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "%s: the cell %g %g %g A, %g %g %g degrees is none: lengths must lie in 0.5 .. 1000, angles "
                           "in 10 .. 170",
                           path, cell[0], cell[1], cell[2], cell[3], cell[4], cell[5]);
        }
    }
    memcpy(crystal->cell, cell, sizeof crystal->cell);
    double ca = cosine(cell[3]), cb = cosine(cell[4]), cg = cosine(cell[5]);
    double sg = sqrt(1.0 - cg * cg);
    double cz = (ca - cb * cg) / sg;
    double z2 = 1.0 - cb * cb - cz * cz;
    if (z2 < 1e-6) {
        return um_fail(ctx, UM_ERROR_VALUE, "%s: no cell has the angles %g %g %g", path, cell[3], cell[4], cell[5]);
    }
    const double direct[3][3] = {{cell[0], 0.0, 0.0},
                                 {cell[1] * cg, cell[1] * sg, 0.0},
                                 {cell[2] * cb, cell[2] * cz, cell[2] * sqrt(z2)}};
    memcpy(crystal->direct, direct, sizeof direct);
    crystal->volume_A3 = direct[0][0] * direct[1][1] * direct[2][2];
    for (int i = 0; i < 3; i++) {
        cross(direct[(i + 1) % 3], direct[(i + 2) % 3], crystal->reciprocal[i]);
        for (int k = 0; k < 3; k++) {
            crystal->reciprocal[i][k] /= crystal->volume_A3;
        }
    }
    return UM_OK;
}

double um_crystal_distance(const um_crystal *crystal, const double a[3], const double b[3], double difference[3])
{
    double d[3], square = 0.0;
    for (int i = 0; i < 3; i++) {
        d[i] = b[i] - a[i];
        d[i] -= round(d[i]);
        if (difference != NULL) {
            difference[i] = d[i];
        }
    }
    for (int k = 0; k < 3; k++) {
        double x = d[0] * crystal->direct[0][k] + d[1] * crystal->direct[1][k] + d[2] * crystal->direct[2][k];
        square += x * x;
    }
    return sqrt(square);
}

static double wrap(double x)
{
    double y = x - floor(x);
    /* Special positions are reached by averages that miss them in the last bits. */
    static const double special[] = {0.0,       1.0 / 8.0, 1.0 / 6.0, 1.0 / 4.0, 1.0 / 3.0, 3.0 / 8.0,
                                     1.0 / 2.0, 5.0 / 8.0, 2.0 / 3.0, 3.0 / 4.0, 5.0 / 6.0, 7.0 / 8.0, 1.0};
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++) {
        if (fabs(y - special[i]) < 1e-12) {
            y = special[i];
        }
    }
    return y >= 1.0 ? 0.0 : y;
}

static void apply(const um_symmetry *symmetry, int o, const double r[3], double out[3])
{
    for (int i = 0; i < 3; i++) {
        const int *row = symmetry->rotation[o][i];
        out[i] = (double)row[0] * r[0] + (double)row[1] * r[1] + (double)row[2] * r[2] + symmetry->shift[o][i];
    }
}

/* The images of one site: those that coincide are averaged; each must have come up equally often. */
static um_status expand_site(um_context *ctx, const char *path, const um_site *site, const um_symmetry *symmetry,
                             const um_crystal *crystal, um_atom *atoms, size_t *made)
{
    int merged[UM_MOST_OPERATIONS];
    double first[UM_MOST_OPERATIONS][3], sum[UM_MOST_OPERATIONS][3];
    int n = 0;
    for (int o = 0; o < symmetry->count; o++) {
        double image[3], difference[3];
        apply(symmetry, o, site->atom.position, image);
        int k = 0;
        while (k < n && um_crystal_distance(crystal, first[k], image, difference) > COINCIDENT_A) {
            k++;
        }
        if (k == n) {
            memcpy(first[n], image, sizeof image);
            memset(sum[n], 0, sizeof sum[n]);
            merged[n++] = 1;
            continue;
        }
        merged[k]++;
        for (int i = 0; i < 3; i++) {
            sum[k][i] += difference[i];
        }
    }
    for (int k = 0; k < n; k++) {
        if (merged[k] != merged[0]) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "%s: site %.40s: the symmetry operations do not form a group: its images coincide %d times "
                           "here and %d times there",
                           path, site->label, merged[0], merged[k]);
        }
        atoms[k] = site->atom;
        for (int i = 0; i < 3; i++) {
            atoms[k].position[i] = wrap(first[k][i] + sum[k][i] / (double)merged[k]);
        }
    }
    *made = (size_t)n;
    return UM_OK;
}

static um_status check_overlaps(um_context *ctx, const char *path, const um_site *sites, const size_t *owner,
                                const um_crystal *crystal)
{
    for (size_t i = 0; i < crystal->atoms; i++) {
        double total = crystal->atom[i].occupancy;
        size_t other = i;
        for (size_t k = 0; k < crystal->atoms; k++) {
            if (k != i && um_crystal_distance(crystal, crystal->atom[i].position, crystal->atom[k].position, NULL) <
                              COINCIDENT_A) {
                total += crystal->atom[k].occupancy;
                other = k;
            }
        }
        if (total > 1.0 + 0.02) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "%s: sites %.40s and %.40s share a position with occupancy %.3g in all, which is more than 1",
                           path, sites[owner[i]].label, sites[owner[other]].label, total);
        }
    }
    return UM_OK;
}

um_status um_crystal_expand(um_context *ctx, const char *path, const um_site *sites, size_t count,
                            const um_symmetry *symmetry, um_crystal *crystal)
{
    size_t room = count * (size_t)symmetry->count;
    um_atom *atoms = calloc(room, sizeof *atoms);
    size_t *owner = calloc(room, sizeof *owner);
    um_status status =
        atoms != NULL && owner != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for its atoms", path);
    size_t n = 0;
    for (size_t i = 0; i < count && status == UM_OK; i++) {
        size_t made = 0;
        status = expand_site(ctx, path, &sites[i], symmetry, crystal, atoms + n, &made);
        for (size_t k = 0; k < made; k++) {
            owner[n + k] = i;
        }
        n += made;
        if (status == UM_OK && n > MOST_ATOMS) {
            status = um_fail(ctx, UM_ERROR_UNSUPPORTED, "%s: more than %d atoms in the cell", path, MOST_ATOMS);
        }
    }
    crystal->atom = atoms;
    crystal->atoms = status == UM_OK ? n : 0;
    crystal->operations = symmetry->count;
    crystal->file_space_group = symmetry->stated;
    if (status == UM_OK) {
        status = check_overlaps(ctx, path, sites, owner, crystal);
    }
    free(owner);
    return status;
}

um_status um_crystal_create(um_context *ctx, const char *name, const double cell[6], const um_atom *atoms,
                            size_t count, um_crystal **out)
{
    um_crystal *crystal = calloc(1, sizeof *crystal);
    um_site *sites = calloc(count > 0 ? count : 1, sizeof *sites);
    um_symmetry *symmetry = calloc(1, sizeof *symmetry);
    um_status status = UM_OK;
    *out = NULL;
    if (crystal == NULL || sites == NULL || symmetry == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for a crystal", name);
    } else if (count == 0) {
        status = um_fail(ctx, UM_ERROR_ARGUMENT, "%s: a crystal needs an atom", name);
    }
    for (size_t i = 0; i < count && status == UM_OK; i++) {
        sites[i] = (um_site){atoms[i], name};
        if (um_element_symbol(atoms[i].z) == NULL || !(atoms[i].occupancy > 0.0 && atoms[i].occupancy <= 1.0)) {
            status = um_fail(ctx, UM_ERROR_ARGUMENT, "%s: atom %zu is no element or has no occupancy in (0, 1]", name,
                             i);
        }
    }
    if (status == UM_OK) {
        symmetry->count = 1;
        symmetry->rotation[0][0][0] = symmetry->rotation[0][1][1] = symmetry->rotation[0][2][2] = 1;
        snprintf(crystal->name, sizeof crystal->name, "%s", name);
        status = um_crystal_set_cell(ctx, name, cell, crystal);
    }
    if (status == UM_OK) {
        status = um_crystal_expand(ctx, name, sites, count, symmetry, crystal);
    }
    if (status == UM_OK) {
        status = um_symmetry_check(ctx, name, crystal);
    }
    free(sites);
    free(symmetry);
    if (status != UM_OK) {
        um_crystal_free(crystal);
        return status;
    }
    *out = crystal;
    return UM_OK;
}

void um_crystal_free(um_crystal *crystal)
{
    if (crystal != NULL) {
        free(crystal->atom);
        free(crystal);
    }
}
