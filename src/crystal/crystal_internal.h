/* The inside of crystal. */
#ifndef UM_CRYSTAL_INTERNAL_H
#define UM_CRYSTAL_INTERNAL_H

#include "base_internal.h"
#include "unmix/crystal.h"

/* ---- cif: a file as tables ------------------------------------------------------------------------ */

/* One item of the chosen data block: its values in the order of the file; not of a loop: one value. */
typedef struct um_cif_item {
    char *tag;    /* lower case, '.' as '_' */
    char **value; /* NULL for . and ? */
    size_t values;
} um_cif_item;

typedef struct um_cif {
    char *path;
    char *name; /* of the data block */
    um_cif_item *item;
    size_t items, item_room;
} um_cif;

/* The first data block that has atom sites; without one, the last block. */
um_status um_cif_read(um_context *ctx, const char *path, um_cif *out);
void um_cif_clear(um_cif *cif);
const um_cif_item *um_cif_find(const um_cif *cif, const char *const *tags); /* NULL-ended; first hit */
/* i-th value of an item as text (NULL: absent), or as a number; false with a message: it is no number. */
const char *um_cif_text(const um_cif_item *item, size_t i);
um_status um_cif_real(um_context *ctx, const um_cif *cif, const um_cif_item *item, size_t i, double preset,
                      double *out);

/* ---- symmetry --------------------------------------------------------------------------------------- */

enum { UM_MOST_OPERATIONS = 192 };

typedef struct um_symmetry {
    int rotation[UM_MOST_OPERATIONS][3][3];
    double shift[UM_MOST_OPERATIONS][3];
    int count;
    int stated; /* number of the group that the file names; 0 = none */
} um_symmetry;

bool um_symmetry_parse(const char *text, int rotation[3][3], double shift[3]); /* "x, 1/2-y, z" */
um_status um_symmetry_parse_loop(um_context *ctx, const um_cif *cif, const um_cif_item *item, um_symmetry *out);
/* Each maps the cell onto itself, and products are among them. */
um_status um_symmetry_check_group(um_context *ctx, const char *path, const um_crystal *crystal, um_symmetry *s);
um_status um_symmetry_find(um_context *ctx, const um_cif *cif, const um_crystal *crystal, um_symmetry *out);
/* Asks spglib about the atoms; sets space_group and symbol; fails when its cell has another number of atoms. */
um_status um_symmetry_check(um_context *ctx, const char *path, um_crystal *crystal);

/* ---- structure -------------------------------------------------------------------------------------- */

/* A site of the file, before symmetry. */
typedef struct um_site {
    um_atom atom;
    const char *label;
} um_site;

um_status um_crystal_set_cell(um_context *ctx, const char *path, const double cell[6], um_crystal *crystal);
um_status um_crystal_expand(um_context *ctx, const char *path, const um_site *sites, size_t count,
                            const um_symmetry *symmetry, um_crystal *crystal);
/* Distance of two fractional positions modulo the lattice, in angstrom; difference (b - a) if not NULL. */
double um_crystal_distance(const um_crystal *crystal, const double a[3], const double b[3], double difference[3]);
int um_element_of(const char *symbol, bool label); /* 0: none */

#endif
