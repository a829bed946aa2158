/* The space group: the one that the file names, and what spglib thinks of operations and atoms. */
#include "crystal_internal.h"

#include <ctype.h>
#include <math.h>
#include <spglib.h>
#include <stdlib.h>
#include <string.h>

enum { HALL_SYMBOLS = 530 };
static const double TOLERANCE_A = 0.02; /* of spglib's search */

/* ---- the group that the file names ------------------------------------------------------------------ */

/* Symbols without blanks and underscores, in one case: "F d -3 m :2" -> "fd-3m" with choice "2". */
static void squeeze(const char *text, char *out, size_t room, char *choice, size_t choice_room)
{
    size_t n = 0;
    for (; *text != '\0' && *text != ':' && n + 1 < room; text++) {
        if (*text != ' ' && *text != '_' && *text != '\t') {
            out[n++] = (char)tolower((unsigned char)*text);
        }
    }
    out[n] = '\0';
    n = 0;
    for (text += *text == ':'; *text != '\0' && n + 1 < choice_room; text++) {
        if (*text != ' ') {
            choice[n++] = (char)tolower((unsigned char)*text);
        }
    }
    choice[n] = '\0';
}

static bool rhombohedral_axes(const um_crystal *crystal)
{
    const double *c = crystal->cell;
    return fabs(c[0] - c[1]) < 1e-3 && fabs(c[0] - c[2]) < 1e-3 && fabs(c[3] - c[4]) < 1e-2 &&
           fabs(c[3] - c[5]) < 1e-2 && fabs(c[3] - 90.0) > 1e-2;
}

/* The first entry of spglib's table with this name (and choice) or this number. Of the rhombohedral groups the one that
 * fits the cell. 0: none. */
static int hall_of(const char *name, int number, const um_crystal *crystal)
{
    char wanted[64] = "", choice[8] = "";
    if (name != NULL) {
        squeeze(name, wanted, sizeof wanted, choice, sizeof choice);
    }
    for (int pass = 0; pass < 2; pass++) {
        bool by_name = pass == 0;
        for (int hall = 1; hall <= HALL_SYMBOLS; hall++) {
            SpglibSpacegroupType type = spg_get_spacegroup_type(hall);
            char full[64], brief[64], none[8], its[8];
            squeeze(type.international_full, full, sizeof full, none, sizeof none);
            squeeze(type.international_short, brief, sizeof brief, none, sizeof none);
            squeeze(type.choice, its, sizeof its, none, sizeof none);
            bool fits = by_name ? wanted[0] != '\0' && (strcmp(wanted, full) == 0 || strcmp(wanted, brief) == 0)
                                : type.number == number;
            if (by_name && number > 0 && type.number != number) {
                fits = false;
            }
            if (choice[0] != '\0' && strcmp(choice, its) != 0) {
                fits = false;
            } else if (its[0] == 'h' || its[0] == 'r') {
                fits = fits && (its[0] == 'r') == rhombohedral_axes(crystal);
            }
            if (fits) {
                return hall;
            }
        }
    }
    return 0;
}

static um_status stated_group(um_context *ctx, const um_cif *cif, const um_crystal *crystal, int *number, int *hall)
{
    static const char *const number_tags[] = {"_space_group_it_number", "_symmetry_int_tables_number", NULL};
    static const char *const name_tags[] = {"_space_group_name_h-m_alt", "_symmetry_space_group_name_h-m",
                                            "_space_group_name_h-m_full", NULL};
    double value = 0.0;
    um_status status = um_cif_real(ctx, cif, um_cif_find(cif, number_tags), 0, 0.0, &value);
    if (status != UM_OK) {
        return status;
    }
    if (value != floor(value) || value < 0.0 || value > 230.0) {
        return um_fail(ctx, UM_ERROR_VALUE, "%s: no space group has the number %g", cif->path, value);
    }
    const char *name = um_cif_text(um_cif_find(cif, name_tags), 0);
    *hall = hall_of(name, (int)value, crystal);
    *number = value > 0.0 ? (int)value : *hall > 0 ? spg_get_spacegroup_type(*hall).number : 0;
    return UM_OK;
}

static void compare_with_stated(um_context *ctx, const um_cif *cif, const um_crystal *crystal, um_symmetry *symmetry)
{
    double lattice[3][3]; /* columns are the axes */
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            lattice[k][i] = crystal->direct[i][k];
        }
    }
    SpglibSpacegroupType type = spg_get_spacegroup_type_from_symmetry(
        symmetry->rotation, symmetry->shift, symmetry->count, lattice, 1e-3);
    if (type.number > 0 && symmetry->stated > 0 && type.number != symmetry->stated) {
        um_warn(ctx, "%s: says space group %d, but its symmetry operations are those of %d (%s), which are used",
                cif->path, symmetry->stated, type.number, type.international_short);
    }
}

um_status um_symmetry_find(um_context *ctx, const um_cif *cif, const um_crystal *crystal, um_symmetry *out)
{
    static const char *const tags[] = {"_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz", NULL};
    int hall = 0;
    *out = (um_symmetry){0};
    um_status status = stated_group(ctx, cif, crystal, &out->stated, &hall);
    const um_cif_item *item = um_cif_find(cif, tags);
    if (status == UM_OK && item != NULL) {
        status = um_symmetry_parse_loop(ctx, cif, item, out);
    }
    if (status != UM_OK || out->count > 0) {
        if (status == UM_OK) {
            status = um_symmetry_check_group(ctx, cif->path, crystal, out);
        }
        if (status == UM_OK) {
            compare_with_stated(ctx, cif, crystal, out);
        }
        return status;
    }
    if (hall == 0) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: it has no symmetry operations and names no space group that is known: add "
                       "_space_group_IT_number or a loop of _space_group_symop_operation_xyz",
                       cif->path);
    }
    SpglibSpacegroupType type = spg_get_spacegroup_type(hall);
    out->count = spg_get_symmetry_from_database(out->rotation, out->shift, hall);
    um_info(ctx, "%s: operations of space group %d (%s) from tables", cif->path, type.number, type.international_full);
    if (type.choice[0] == '1' && hall < HALL_SYMBOLS && spg_get_spacegroup_type(hall + 1).number == type.number) {
        um_warn(ctx, "%s: names no origin of space group %d; the first choice is taken", cif->path, type.number);
    }
    return um_symmetry_check_group(ctx, cif->path, crystal, out);
}

/* ---- what spglib finds ------------------------------------------------------------------------------ */

typedef struct places { /* positions, each with all that sits there */
    double (*position)[3];
    int *type;
    double *signature;
    int count;
} places;

static um_status gather(um_context *ctx, const char *path, const um_crystal *crystal, places *out)
{
    out->position = calloc(crystal->atoms, sizeof *out->position);
    out->type = calloc(crystal->atoms, sizeof *out->type);
    out->signature = calloc(crystal->atoms, sizeof *out->signature);
    if (out->position == NULL || out->type == NULL || out->signature == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to look for symmetry", path);
    }
    for (size_t i = 0; i < crystal->atoms; i++) {
        const um_atom *atom = &crystal->atom[i];
        int k = 0;
        while (k < out->count && um_crystal_distance(crystal, out->position[k], atom->position, NULL) > 0.05) {
            k++;
        }
        if (k == out->count) {
            memcpy(out->position[k], atom->position, sizeof atom->position);
            out->count++;
        }
        out->signature[k] += pow((double)atom->z, 1.5) * atom->occupancy;
    }
    for (int k = 0; k < out->count; k++) {
        int first = 0;
        while (fabs(out->signature[first] - out->signature[k]) > 1e-6 * out->signature[k]) {
            first++;
        }
        out->type[k] = first + 1;
    }
    return UM_OK;
}

um_status um_symmetry_check(um_context *ctx, const char *path, um_crystal *crystal)
{
    enum { MOST_SEARCHED = 500 };
    places all = {0};
    um_status status = gather(ctx, path, crystal, &all);
    if (status == UM_OK && all.count <= MOST_SEARCHED) {
        double lattice[3][3];
        for (int i = 0; i < 3; i++) {
            for (int k = 0; k < 3; k++) {
                lattice[k][i] = crystal->direct[i][k];
            }
        }
        SpglibDataset *found =
            spg_get_dataset(lattice, all.position, all.type, all.count, TOLERANCE_A);
        if (found == NULL) {
            um_warn(ctx, "%s: spglib finds no symmetry in its %d atoms", path, all.count);
        } else {
            const double(*s)[3] = (const double(*)[3])found->std_lattice;
            double volume = fabs(s[0][0] * (s[1][1] * s[2][2] - s[1][2] * s[2][1]) -
                                 s[0][1] * (s[1][0] * s[2][2] - s[1][2] * s[2][0]) +
                                 s[0][2] * (s[1][0] * s[2][1] - s[1][1] * s[2][0]));
            double expected = (double)all.count * volume / crystal->volume_A3;
            crystal->space_group = found->spacegroup_number;
            snprintf(crystal->symbol, sizeof crystal->symbol, "%s", found->international_symbol);
            if (fabs((double)found->n_std_atoms - expected) > 0.01) {
                status = um_fail(ctx, UM_ERROR_VALUE,
                                 "%s: %d atoms in the cell, but space group %d that spglib finds in them asks for %g: "
                                 "look for atoms that are too close",
                                 path, all.count, found->spacegroup_number,
                                 (double)found->n_std_atoms * crystal->volume_A3 / volume);
            }
            spg_free_dataset(found);
        }
    }
    free(all.position);
    free(all.type);
    free(all.signature);
    return status;
}
