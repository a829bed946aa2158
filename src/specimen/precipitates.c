/* Aluminium with needles, rods and plates in their orientation relationships, embedded in a foil. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const um_specimen_parameter parameters[] = {
    UM_COMMON_PARAMETERS("64", "64", "4", "17.5", "0"),
    {"set", "", UM_PARAMETER_CHOICE, "al-cu-li", 0, 0, "al-cu-li|al-mg-si",
     "al-cu-li: theta' and T1 plates; al-mg-si: beta'' needles, beta' rods, Mg2Si plates"},
    {"zone", "", UM_PARAMETER_CHOICE, "001", 0, 0, "001|011|111|112", "zone axis of the matrix near the beam"},
    {"tilt_x_mrad", "mrad", UM_PARAMETER_REAL, "3", -500, 500, NULL, "lean of the zone axis to the right"},
    {"tilt_y_mrad", "mrad", UM_PARAMETER_REAL, "-2", -500, 500, NULL, "lean of the zone axis up"},
    {"angle_deg", "deg", UM_PARAMETER_REAL, "15", -360, 360, NULL, "turn of the matrix in the picture"},
    {"thickness_nm", "nm", UM_PARAMETER_REAL, "80", 1, 5000, NULL, "of the foil"},
    {"stage", "", UM_PARAMETER_INTEGER, "3", 1, 5, NULL, "of the heat treatment: sizes and number densities"},
    {"number_density", "1/um3", UM_PARAMETER_REAL, "0", 0, 1e8, NULL,
     "of all particles, in the proportions of the stage; 0 = that of the stage"},
    {"size_scale", "", UM_PARAMETER_REAL, "1", 0.01, 100, NULL, "times the sizes of the stage"},
    {"size_spread", "", UM_PARAMETER_REAL, "0.25", 0, 1, NULL, "standard deviation of the logarithm of sizes"},
    {"variants", "", UM_PARAMETER_INTEGER, "1", 1, 4, NULL,
     "orientations of each phase that has several on one axis: beta'' up to 4, beta' up to 2"},
    {"cif.matrix", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in aluminium"},
    {"cif.theta_prime", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in theta'"},
    {"cif.t1", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in T1"},
    {"cif.beta_double_prime", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in beta''"},
    {"cif.beta_prime", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the lattice of beta'"},
    {"cif.mg2si", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in Mg2Si"},
};

const um_specimen_kind um_precipitates_kind = {
    "precipitates", "Al near a zone axis with needles, rods and plates in their variants, embedded and overlapping",
    parameters, sizeof parameters / sizeof parameters[0]};

/* Sizes and density of a species at one stage. Plates: diameter and thickness; needles: length and diameter. */
typedef struct stage {
    double density_per_um3, long_nm, short_nm;
} stage;

/* A phase and one of its orientations: x (along a) and z (along c*) of its Cartesian frame, and the normal of plates or
 * the axis of needles, as directions of Al. Variants are its images under turns of Al. */
typedef struct species {
    um_phase_id phase;
    const char *file_parameter;
    bool plate;
    double x[3], z[3], axis[3];
    int axes;     /* 3: cube axes by cyclic exchange; 4: the <111> by quarter turns about [001] */
    int in_plane; /* orientations on one axis that differ */
    stage stage[5];
} species;

enum { MOST_SPECIES = 3 };
static const species sets[][MOST_SPECIES] = {
    {{UM_PHASE_THETA_PRIME, "cif.theta_prime", true, {1, 0, 0}, {0, 0, 1}, {0, 0, 1}, 3, 1,
      {{1500, 30, 2}, {1200, 45, 2.5}, {800, 60, 3}, {400, 110, 5}, {120, 180, 9}}},
     {UM_PHASE_T1, "cif.t1", true, {1, 1, -2}, {1, 1, 1}, {1, 1, 1}, 4, 1,
      {{500, 25, 1}, {1500, 45, 1.2}, {2500, 60, 1.4}, {1200, 110, 2.5}, {500, 180, 5}}}},
    {{UM_PHASE_BETA_DOUBLE_PRIME, "cif.beta_double_prime", false, {2, 3, 0}, {-3, 2, 0}, {0, 0, 1}, 3, 4,
      {{15000, 15, 3}, {20000, 30, 4}, {6000, 60, 6}, {0, 60, 6}, {0, 60, 6}}},
     {UM_PHASE_BETA_PRIME, "cif.beta_prime", false, {1, 0, 0}, {0, 0, 1}, {0, 0, 1}, 3, 2,
      {{0, 120, 10}, {0, 120, 10}, {1500, 120, 10}, {800, 300, 15}, {150, 500, 25}}},
     {UM_PHASE_MG2SI, "cif.mg2si", true, {1, 1, 0}, {0, 0, 1}, {0, 0, 1}, 3, 1,
      {{0, 200, 30}, {0, 200, 30}, {0, 200, 30}, {60, 200, 30}, {60, 300, 50}}}}};

static void unit(const double v[3], double out[3])
{
    double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (int i = 0; i < 3; i++) {
        out[i] = v[i] / length;
    }
}

/* Image of an Al direction in variant (axis, in-plane turn): turns of the cube. */
static void turn_direction(const species *sp, int axis, int turn, const double v[3], double out[3])
{
    double w[3] = {v[0], v[1], v[2]};
    if (turn % 2 == 1) { /* a quarter turn about [001] */
        const double q[3] = {-w[1], w[0], w[2]};
        memcpy(w, q, sizeof q);
    }
    if (turn / 2 == 1) { /* half a turn about [110] */
        const double h[3] = {w[1], w[0], -w[2]};
        memcpy(w, h, sizeof h);
    }
    for (int i = 0; i < axis; i++) {
        const double cyclic[3] = {w[2], w[0], w[1]}, quarter[3] = {-w[1], w[0], w[2]};
        memcpy(w, sp->axes == 3 ? cyclic : quarter, sizeof w);
    }
    memcpy(out, w, sizeof w);
}

/* Columns: where x, y, z of the precipitate's frame lie in that of Al. */
static um_orientation frame(const double x_direction[3], const double z_direction[3])
{
    double x[3], z[3];
    um_orientation out;
    unit(x_direction, x);
    unit(z_direction, z);
    for (int i = 0; i < 3; i++) {
        out.m[i][0] = x[i];
        out.m[i][1] = z[(i + 1) % 3] * x[(i + 2) % 3] - z[(i + 2) % 3] * x[(i + 1) % 3];
        out.m[i][2] = z[i];
    }
    return out;
}

/* The smallest integers of an Al direction, as text. */
static void direction_name(const double v[3], char *out, size_t size)
{
    int used = snprintf(out, size, "[");
    for (int i = 0; i < 3 && used > 0 && (size_t)used < size; i++) {
        used += snprintf(out + used, size - (size_t)used, "%d", (int)round(v[i]));
    }
    if (used > 0 && (size_t)used < size) {
        snprintf(out + used, size - (size_t)used, "]");
    }
}

typedef struct variant {
    const species *species;
    int32_t grain;
    um_orientation body; /* rows: axes of the body in the microscope, the last is the normal or axis */
    double half_nm[3];   /* means */
    double density_per_nm3;
} variant;

static double density_of(const um_specimen *s, const species *set, const species *sp, int at)
{
    double all = 0.0, wanted = um_specimen_value(s, "number_density");
    for (int i = 0; i < MOST_SPECIES && set[i].file_parameter != NULL; i++) {
        all += set[i].stage[at].density_per_um3;
    }
    double own = sp->stage[at].density_per_um3;
    return 1e-9 * (wanted > 0.0 ? own / all * wanted : own);
}

static const double most_spread = 2.5; /* sizes are cut at so many standard deviations */

/* The longest way of the beam through it. */
static double thickest(const um_specimen *s, const variant *v, double spread)
{
    double tall = fabs(v->body.m[2][2]), flat = sqrt(fmax(0.0, 1.0 - tall * tall));
    double most = exp(most_spread * spread);
    double through = tall > 1e-9 ? 2.0 * v->half_nm[2] * most / tall : INFINITY;
    double over = flat > 1e-9 ? 2.0 * v->half_nm[0] * most / flat : INFINITY;
    return fmin(s->thickness_nm, fmin(through, over));
}

static um_status add_variant(um_context *ctx, um_specimen *s, const species *sp, int32_t phase, int axis, int turn,
                             const um_orientation *matrix, variant *v)
{
    double x[3], z[3], along[3], direction[3], spread = um_specimen_value(s, "size_spread");
    char name[UM_SCENE_NAME], where[40];
    const stage *st = &sp->stage[(int)um_specimen_value(s, "stage") - 1];
    double scale = um_specimen_value(s, "size_scale");
    turn_direction(sp, axis, turn, sp->x, x);
    turn_direction(sp, axis, turn, sp->z, z);
    turn_direction(sp, axis, turn, sp->axis, direction);
    if (turn / 2 == 1) { /* the same axis: its sign is of no matter to a needle or plate */
        turn_direction(sp, axis, 0, sp->axis, direction);
    }
    um_orientation in_al = frame(x, z), o = um_rotation_product(matrix, &in_al);
    unit(direction, along);
    for (int i = 0; i < 3; i++) {
        v->body.m[2][i] = matrix->m[i][0] * along[0] + matrix->m[i][1] * along[1] + matrix->m[i][2] * along[2];
    }
    const double *n = v->body.m[2];
    double flat = hypot(n[0], n[1]);
    const double aside[3] = {flat > 1e-9 ? -n[1] / flat : 1.0, flat > 1e-9 ? n[0] / flat : 0.0, 0.0};
    for (int i = 0; i < 3; i++) {
        v->body.m[0][i] = aside[i];
        v->body.m[1][i] = n[(i + 1) % 3] * aside[(i + 2) % 3] - n[(i + 2) % 3] * aside[(i + 1) % 3];
    }
    double longer = 0.5 * scale * st->long_nm, shorter = 0.5 * scale * st->short_nm;
    v->species = sp;
    v->half_nm[0] = v->half_nm[1] = sp->plate ? longer : shorter;
    v->half_nm[2] = sp->plate ? shorter : longer;
    direction_name(direction, where, sizeof where);
    const um_phase *p = &s->phase[phase];
    if (turn > 0) {
        snprintf(name, sizeof name, "%.16s %s on %.14s, variant %d", p->name, sp->plate ? "plate" : "needle", where,
                 turn % 4 + 1);
    } else {
        snprintf(name, sizeof name, "%.16s %s on %.14s", p->name, sp->plate ? "plate" : "needle", where);
    }
    int32_t state = 0;
    double most = thickest(s, v, spread);
    UM_TRY(um_specimen_add_state(ctx, s, name, p->name, p->geometry_only, false, most, &state));
    s->state[state].density_per_um3 = 1e9 * v->density_per_nm3;
    um_grain g = um_grain_crystal(s, state, phase, o, most);
    return um_specimen_add_grain(ctx, s, &g, &v->grain);
}

/* Middles fill a box that reaches so far beyond field and foil that nothing which shows is missing. */
static um_status place(um_context *ctx, um_specimen *s, const variant *v, uint64_t index)
{
    static const double most_particles = 1e5;
    double spread = um_specimen_value(s, "size_spread"), most = exp(most_spread * spread), box[3], volume = 1.0;
    um_body body = {.shape = UM_SHAPE_CYLINDER, .grain = v->grain};
    memcpy(body.axis, v->body.m, sizeof body.axis);
    for (int i = 0; i < 3; i++) {
        body.half_nm[i] = v->half_nm[i] * most;
    }
    for (int i = 0; i < 3; i++) {
        double field = i == 0 ? (double)s->nx * s->step_nm : i == 1 ? (double)s->ny * s->step_nm : s->thickness_nm;
        box[i] = field + 2.0 * um_body_reach(&body, i);
        volume *= box[i];
    }
    double mean = v->density_per_nm3 * volume;
    if (mean > most_particles) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "precipitates: %.3g particles of one variant are too many: lower number_density or the scan", mean);
    }
    um_random random = {um_context_seed(ctx), UM_STREAM_SPECIMEN};
    uint64_t count = um_random_poisson(random, ((uint64_t)3 << 56) | index, mean);
    for (uint64_t i = 0; i < count; i++) {
        um_dice dice = um_dice_make(ctx, 2, (index << 32) + i);
        for (int k = 0; k < 3; k++) {
            body.center_nm[k] = (um_dice_uniform(&dice) - 0.5) * box[k];
        }
        /* A mean of 1 whatever the spread. */
        double normal = fmax(-most_spread, fmin(most_spread, um_dice_normal(&dice)));
        double size = exp(spread * normal - 0.5 * spread * spread);
        for (int k = 0; k < 3; k++) {
            body.half_nm[k] = v->half_nm[k] * size;
        }
        UM_TRY(um_specimen_add_body(ctx, s, &body));
    }
    return UM_OK;
}

static um_status add_species(um_context *ctx, um_specimen *s, const species *set, int which,
                             const um_orientation *matrix)
{
    const species *sp = &set[which];
    int32_t phase = 0;
    int turns = (int)fmin(um_specimen_value(s, "variants"), (double)sp->in_plane);
    double density = density_of(s, set, sp, (int)um_specimen_value(s, "stage") - 1);
    UM_TRY(um_specimen_add_phase(ctx, s, sp->phase, sp->file_parameter, &phase));
    for (int axis = 0; axis < sp->axes; axis++) {
        for (int turn = 0; turn < turns; turn++) {
            variant v = {.density_per_nm3 = density / (double)(sp->axes * turns)};
            UM_TRY(add_variant(ctx, s, sp, phase, axis, turn, matrix, &v));
            UM_TRY(place(ctx, s, &v, (uint64_t)((which * 4 + axis) * 4 + turn)));
        }
    }
    return UM_OK;
}

static um_status matrix_orientation(um_context *ctx, const um_specimen *s, const um_crystal *al, um_orientation *out)
{
    static const int zones[][3] = {{0, 0, 1}, {0, 1, 1}, {1, 1, 1}, {1, 1, 2}};
    static const int right[][3] = {{2, 0, 0}, {2, 0, 0}, {-2, 2, 0}, {-2, 2, 0}};
    int zone = (int)um_specimen_value(s, "zone");
    UM_TRY(um_orientation_zone(ctx, al, zones[zone], right[zone], out));
    um_orientation turn = um_rotation_about_z(um_specimen_value(s, "angle_deg") * M_PI / 180.0);
    *out = um_orientation_tilt(um_rotation_product(&turn, out), um_specimen_value(s, "tilt_x_mrad"),
                               um_specimen_value(s, "tilt_y_mrad"));
    return UM_OK;
}

um_status um_precipitates_make(um_context *ctx, um_specimen *s)
{
    int32_t phase = 0, state = 0;
    um_orientation matrix;
    const species *set = sets[(int)um_specimen_value(s, "set")];
    s->solid = true;
    s->thickness_nm = um_specimen_value(s, "thickness_nm");
    s->column = um_bodies_column;
    UM_TRY(um_specimen_add_phase(ctx, s, UM_PHASE_AL, "cif.matrix", &phase));
    UM_TRY(matrix_orientation(ctx, s, s->phase[phase].crystal, &matrix));
    UM_TRY(um_specimen_add_state(ctx, s, "Al matrix", s->phase[phase].name, false, true, s->thickness_nm, &state));
    um_grain g = um_grain_crystal(s, state, phase, matrix, s->thickness_nm);
    UM_TRY(um_specimen_add_grain(ctx, s, &g, &s->matrix));
    UM_TRY(um_specimen_add_film(ctx, s, false));
    for (int i = 0; i < MOST_SPECIES && set[i].file_parameter != NULL; i++) {
        UM_TRY(add_species(ctx, s, set, i, &matrix));
    }
    UM_TRY(um_specimen_index_bodies(ctx, s));
    return um_specimen_list_particles(ctx, s);
}
