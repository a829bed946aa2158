/* Amorphous silicon with a few crystals; and a specimen of nothing but a film, or not even that. */
#include "specimen_internal.h"

#include <math.h>

static const um_specimen_parameter glass_parameters[] = {
    UM_COMMON_PARAMETERS("64", "64", "3", "17.5", "0"),
    {"thickness_nm", "nm", UM_PARAMETER_REAL, "50", 1, 5000, NULL, "of the foil"},
    {"crystals", "", UM_PARAMETER_INTEGER, "5", 0, 10000, NULL, "number of spherical crystals"},
    {"diameter_nm", "nm", UM_PARAMETER_REAL, "30", 0.5, 5000, NULL, "their mean diameter"},
    {"diameter_spread", "", UM_PARAMETER_REAL, "0.25", 0, 0.4, NULL, "standard deviation over the mean"},
    {"cif.crystal", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in silicon"},
};

const um_specimen_kind um_glass_kind = {"glass", "amorphous silicon with a few crystals in random orientations",
                                        glass_parameters, sizeof glass_parameters / sizeof glass_parameters[0]};

um_status um_glass_make(um_context *ctx, um_specimen *s)
{
    static const double mean_free_path_nm = 120.0;
    int32_t phase = 0, state = 0;
    int64_t crystals = (int64_t)um_specimen_value(s, "crystals");
    double mean = um_specimen_value(s, "diameter_nm"), spread = um_specimen_value(s, "diameter_spread");
    char name[UM_SCENE_NAME];
    s->solid = true;
    s->thickness_nm = um_specimen_value(s, "thickness_nm");
    s->column = um_bodies_column;
    UM_TRY(um_specimen_add_state(ctx, s, "amorphous Si", "amorphous Si", false, true, s->thickness_nm, &state));
    um_grain matter = {.state = state, .phase = -1, .amorphous = UM_AMORPHOUS_SILICON, .drift_nodes = 1,
                       .mean_free_path_nm = mean_free_path_nm, .thickest_nm = s->thickness_nm, .thickness_nodes = 1};
    UM_TRY(um_specimen_add_grain(ctx, s, &matter, &s->matrix));
    UM_TRY(um_specimen_add_film(ctx, s, false));
    UM_TRY(um_specimen_add_phase(ctx, s, UM_PHASE_SI, "cif.crystal", &phase));
    for (int64_t i = 0; i < crystals; i++) {
        um_dice dice = um_dice_make(ctx, 7, (uint64_t)i);
        um_body ball = {.shape = UM_SHAPE_SPHERE, .axis = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
        double radius = 0.5 * mean * (1.0 + spread * fmax(-2.4, fmin(2.4, um_dice_normal(&dice))));
        const double field[3] = {(double)s->nx * s->step_nm, (double)s->ny * s->step_nm, s->thickness_nm};
        for (int k = 0; k < 3; k++) {
            ball.half_nm[k] = radius;
            ball.center_nm[k] = (um_dice_uniform(&dice) - 0.5) * field[k];
        }
        snprintf(name, sizeof name, "%.20s crystal %lld", s->phase[phase].name, (long long)i + 1);
        double most = fmin(2.0 * radius, s->thickness_nm);
        UM_TRY(um_specimen_add_state(ctx, s, name, s->phase[phase].name, false, false, most, &state));
        um_grain g = um_grain_crystal(s, state, phase, um_dice_orientation(&dice), most);
        UM_TRY(um_specimen_add_grain(ctx, s, &g, &ball.grain));
        UM_TRY(um_specimen_add_body(ctx, s, &ball));
    }
    UM_TRY(um_specimen_index_bodies(ctx, s));
    return um_specimen_list_particles(ctx, s);
}

static const um_specimen_parameter empty_parameters[] = {UM_COMMON_PARAMETERS("32", "32", "5", "0", "15")};

const um_specimen_kind um_empty_kind = {"empty", "a carbon film, or with film_nm = 0 nothing: no crystal anywhere",
                                        empty_parameters, sizeof empty_parameters / sizeof empty_parameters[0]};

static void no_pieces(const um_specimen *s, double x_nm, double y_nm, um_column *column)
{
    (void)s;
    (void)x_nm;
    (void)y_nm;
    (void)column;
}

um_status um_empty_make(um_context *ctx, um_specimen *s)
{
    s->column = no_pieces;
    return um_specimen_add_film(ctx, s, true);
}
