/* Built-in structures: few atoms, from published cells. docs/specimens/structures.md has the references. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_SITES = 24, AL = 13, SI = 14, MG = 12, LI = 3, CU = 29, GA = 31, AS = 33, O = 8 };

typedef struct structure {
    const char *name;
    const char *key; /* for um_structure_make(); NULL: only the lattice is known */
    double cell[6];
    int centring;   /* 'P', 'F', 'I', 'C' */
    double scatter; /* 0: the atoms are known; else lattice only: sqrt of the number of atoms of a cell that scatters alike */
    um_atom site[MOST_SITES]; /* to the first z = 0 */
} structure;

#define ATOM(element, x, y, zz, b) {.z = (element), .position = {x, y, zz}, .occupancy = 1.0, .b_iso_A2 = (b)}

static const structure structures[UM_PHASE_IDS] = {
    [UM_PHASE_AL] = {"Al", "al", {4.0495, 4.0495, 4.0495, 90, 90, 90}, 'F', 0, {ATOM(AL, 0, 0, 0, 0.86)}},
    [UM_PHASE_GAAS_ZINC_BLENDE] = {"GaAs zinc blende", "gaas", {5.6533, 5.6533, 5.6533, 90, 90, 90}, 'F', 0,
                                   {ATOM(GA, 0, 0, 0, 0.6), ATOM(AS, 0.25, 0.25, 0.25, 0.6)}},
    [UM_PHASE_GAAS_WURTZITE] = {"GaAs wurtzite", "gaas-wurtzite", {3.989, 3.989, 6.564, 90, 90, 120}, 'P', 0,
                                {ATOM(GA, 1.0 / 3, 2.0 / 3, 0, 0.6), ATOM(GA, 2.0 / 3, 1.0 / 3, 0.5, 0.6),
                                 ATOM(AS, 1.0 / 3, 2.0 / 3, 0.374, 0.6), ATOM(AS, 2.0 / 3, 1.0 / 3, 0.874, 0.6)}},
    [UM_PHASE_MGO] = {"MgO", "mgo", {4.2112, 4.2112, 4.2112, 90, 90, 90}, 'F', 0,
                      {ATOM(MG, 0, 0, 0, 0.3), ATOM(O, 0.5, 0.5, 0.5, 0.3)}},
    [UM_PHASE_SI] = {"Si", "si", {5.431, 5.431, 5.431, 90, 90, 90}, 'F', 0,
                     {ATOM(SI, 0, 0, 0, 0.46), ATOM(SI, 0.25, 0.25, 0.25, 0.46)}},
    [UM_PHASE_THETA_PRIME] = {"theta'", "theta-prime", {4.04, 4.04, 5.80, 90, 90, 90}, 'I', 0,
                              {ATOM(AL, 0, 0, 0, 1), ATOM(AL, 0, 0, 0.5, 1), ATOM(CU, 0, 0.5, 0.25, 1)}},
    [UM_PHASE_T1] = {"T1", "t1", {4.96, 4.96, 14.18, 90, 90, 120}, 'P', 0,
                     {ATOM(AL, 1.0 / 3, 0, 0, 1), ATOM(AL, 0, 1.0 / 3, 0, 1), ATOM(AL, 2.0 / 3, 2.0 / 3, 0, 1),
                      ATOM(AL, 2.0 / 3, 0, 0, 1), ATOM(AL, 0, 2.0 / 3, 0, 1), ATOM(AL, 1.0 / 3, 1.0 / 3, 0, 1),
                      ATOM(AL, 0, 0, 0.4062, 1), ATOM(AL, 0, 0, 0.5938, 1), ATOM(CU, 2.0 / 3, 1.0 / 3, 0.1612, 1),
                      ATOM(CU, 1.0 / 3, 2.0 / 3, 0.1612, 1), ATOM(CU, 2.0 / 3, 1.0 / 3, 0.8388, 1),
                      ATOM(CU, 1.0 / 3, 2.0 / 3, 0.8388, 1), ATOM(CU, 0.5, 0, 0.3237, 1), ATOM(CU, 0, 0.5, 0.3237, 1),
                      ATOM(CU, 0.5, 0.5, 0.3237, 1), ATOM(CU, 0.5, 0, 0.6763, 1), ATOM(CU, 0, 0.5, 0.6763, 1),
                      ATOM(CU, 0.5, 0.5, 0.6763, 1), ATOM(LI, 0, 0, 0.1993, 1), ATOM(LI, 0, 0, 0.8007, 1),
                      ATOM(LI, 1.0 / 3, 2.0 / 3, 0.5, 1), ATOM(LI, 2.0 / 3, 1.0 / 3, 0.5, 1)}},
    [UM_PHASE_BETA_DOUBLE_PRIME] =
        {"beta''", "beta-double-prime", {15.16, 4.05, 6.74, 90, 105.3, 90}, 'C', 0,
         {ATOM(MG, 0, 0, 0, 0.5), ATOM(MG, 0.3459, 0, 0.089, 1), ATOM(MG, 0.6541, 0, 0.911, 1),
          ATOM(MG, 0.43, 0, 0.652, 0.8), ATOM(MG, 0.57, 0, 0.348, 0.8), ATOM(SI, 0.0565, 0, 0.649, 1.1),
          ATOM(SI, 0.9435, 0, 0.351, 1.1), ATOM(SI, 0.1885, 0, 0.224, 0.5), ATOM(SI, 0.8115, 0, 0.776, 0.5),
          ATOM(SI, 0.2171, 0, 0.617, 2.5), ATOM(SI, 0.7829, 0, 0.383, 2.5)}},
    [UM_PHASE_BETA_PRIME] = {"beta'", NULL, {7.15, 7.15, 4.05, 90, 90, 120}, 'P', 3.0, {ATOM(SI, 0, 0, 0, 1)}},
    [UM_PHASE_MG2SI] = {"Mg2Si", "mg2si", {6.35, 6.35, 6.35, 90, 90, 90}, 'F', 0,
                        {ATOM(SI, 0, 0, 0, 0.5), ATOM(MG, 0.25, 0.25, 0.25, 0.7), ATOM(MG, 0.75, 0.75, 0.75, 0.7)}},
};

static int centres(int centring, double shift[4][3])
{
    static const double f[4][3] = {{0, 0, 0}, {0, 0.5, 0.5}, {0.5, 0, 0.5}, {0.5, 0.5, 0}};
    static const double i[2][3] = {{0, 0, 0}, {0.5, 0.5, 0.5}}, c[2][3] = {{0, 0, 0}, {0.5, 0.5, 0}};
    int n = centring == 'F' ? 4 : centring == 'P' ? 1 : 2;
    memcpy(shift, centring == 'I' ? i : centring == 'C' ? c : f, (size_t)n * sizeof f[0]);
    return n;
}

static um_status build(um_context *ctx, const structure *s, um_crystal **out)
{
    um_atom atoms[4 * MOST_SITES];
    double shift[4][3];
    size_t count = 0;
    int n = centres(s->centring, shift);
    for (int i = 0; i < MOST_SITES && s->site[i].z > 0; i++) {
        for (int k = 0; k < n; k++) {
            atoms[count] = s->site[i];
            for (int axis = 0; axis < 3; axis++) {
                double x = s->site[i].position[axis] + shift[k][axis];
                atoms[count].position[axis] = x - floor(x);
            }
            count++;
        }
    }
    return um_crystal_create(ctx, s->name, s->cell, atoms, count, out);
}

const char *um_structure_name(size_t index)
{
    for (size_t i = 0; i < UM_PHASE_IDS; i++) {
        if (structures[i].key != NULL && index-- == 0) {
            return structures[i].key;
        }
    }
    return NULL;
}

um_status um_structure_make(um_context *ctx, const char *name, um_crystal **out)
{
    for (size_t i = 0; i < UM_PHASE_IDS; i++) {
        if (structures[i].key != NULL && strcmp(structures[i].key, name) == 0) {
            return build(ctx, &structures[i], out);
        }
    }
    *out = NULL;
    return um_fail(ctx, UM_ERROR_ARGUMENT, "there is no built-in structure '%.40s'", name);
}

um_status um_phase_make(um_context *ctx, um_phase_id id, const char *path, double g_max_per_A, um_phase *out)
{
    const structure *s = &structures[id];
    bool file = path[0] != '\0';
    *out = (um_phase){.geometry_only = !file && s->scatter > 0.0};
    snprintf(out->name, sizeof out->name, "%s", s->name);
    um_status status = file ? um_crystal_load(ctx, path, &out->crystal) : build(ctx, s, &out->crystal);
    if (status == UM_OK) {
        status = um_reflections_make(ctx, out->crystal, g_max_per_A, &out->reflections);
    }
    if (status != UM_OK) {
        um_phase_clear(ctx, out);
        return status;
    }
    /* N atoms at random places have |F| = sqrt(N) f on average. */
    for (size_t i = 0; out->geometry_only && i < out->reflections->count; i++) {
        out->reflections->list[i].re_A *= s->scatter;
        out->reflections->list[i].im_A *= s->scatter;
    }
    return UM_OK;
}

void um_phase_clear(um_context *ctx, um_phase *phase)
{
    um_reflections_free(ctx, phase->reflections);
    um_crystal_free(phase->crystal);
    phase->reflections = NULL;
    phase->crystal = NULL;
}
