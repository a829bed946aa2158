/* MgO cubes, overlapping, some with an orientation in common, on a carbon film. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const um_specimen_parameter parameters[] = {
    UM_COMMON_PARAMETERS("64", "64", "6", "0", "15"),
    {"cubes", "", UM_PARAMETER_INTEGER, "10", 1, 10000, NULL, "number of cubes"},
    {"side_nm", "nm", UM_PARAMETER_REAL, "90", 1, 5000, NULL, "mean length of their edges"},
    {"side_spread", "", UM_PARAMETER_REAL, "0.25", 0, 0.4, NULL, "standard deviation of the edges over their mean"},
    {"shared", "", UM_PARAMETER_REAL, "0.3", 0, 1, NULL, "chance that a cube has the orientation of an earlier one"},
    {"lean_deg", "deg", UM_PARAMETER_REAL, "25", 0, 180, NULL,
     "standard deviation of the lean of [001] against the beam; 180 = any orientation"},
    {"cif.cube", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in MgO"},
};

const um_specimen_kind um_nanoparticles_kind = {
    "nanoparticles", "overlapping MgO cubes, some sharing an orientation, on a carbon film", parameters,
    sizeof parameters / sizeof parameters[0]};

static um_orientation draw_orientation(um_dice *dice, double lean_deg)
{
    if (lean_deg >= 180.0) {
        return um_dice_orientation(dice);
    }
    double turn = 2.0 * M_PI * um_dice_uniform(dice);
    double x = lean_deg * um_dice_normal(dice), y = lean_deg * um_dice_normal(dice), mrad = 1e3 * M_PI / 180.0;
    return um_orientation_tilt(um_rotation_about_z(turn), x * mrad, y * mrad);
}

um_status um_nanoparticles_make(um_context *ctx, um_specimen *s)
{
    int32_t phase = 0;
    int64_t cubes = (int64_t)um_specimen_value(s, "cubes"), kept = 0;
    double mean = um_specimen_value(s, "side_nm"), spread = um_specimen_value(s, "side_spread");
    double widest = mean * (1.0 + 2.4 * spread), inside[2] = {(double)s->nx * s->step_nm, (double)s->ny * s->step_nm};
    char name[UM_SCENE_NAME];
    s->column = um_bodies_column;
    UM_TRY(um_specimen_add_phase(ctx, s, UM_PHASE_MGO, "cif.cube", &phase));
    UM_TRY(um_specimen_add_film(ctx, s, true));
    int64_t first = s->grains;
    for (int64_t i = 0; i < cubes; i++) {
        um_dice dice = um_dice_make(ctx, 4, (uint64_t)i);
        um_body cube = {.shape = UM_SHAPE_BOX};
        double side = mean * (1.0 + spread * fmax(-2.4, fmin(2.4, um_dice_normal(&dice))));
        for (int k = 0; k < 3; k++) {
            cube.half_nm[k] = 0.5 * side;
            cube.center_nm[k] = k < 2 ? (um_dice_uniform(&dice) - 0.5) * fmax(0.5 * inside[k], inside[k] - mean) : 0.0;
        }
        bool share = um_dice_uniform(&dice) < um_specimen_value(s, "shared") && kept > 0;
        int64_t with = first + (int64_t)(um_dice_uniform(&dice) * (double)kept);
        if (share) {
            cube.grain = (int32_t)with;
        } else {
            int32_t state = 0;
            snprintf(name, sizeof name, "%.20s orientation %lld", s->phase[phase].name, (long long)kept + 1);
            UM_TRY(um_specimen_add_state(ctx, s, name, s->phase[phase].name, false, false, mean, &state));
            um_orientation o = draw_orientation(&dice, um_specimen_value(s, "lean_deg"));
            um_grain g = um_grain_crystal(s, state, phase, o, widest * sqrt(3.0));
            UM_TRY(um_specimen_add_grain(ctx, s, &g, &cube.grain));
            kept++;
        }
        const um_orientation *o = &s->grain[cube.grain].orientation; /* faces are {100}; columns of o */
        for (int k = 0; k < 9; k++) {
            cube.axis[k / 3][k % 3] = o->m[k % 3][k / 3];
        }
        UM_TRY(um_specimen_add_body(ctx, s, &cube));
    }
    UM_TRY(um_specimen_index_bodies(ctx, s));
    return um_specimen_list_particles(ctx, s);
}
