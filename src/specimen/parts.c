/* What kinds put a specimen together from: phases, states, grains, bodies, random numbers, rotations. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

um_status um_specimen_add_phase(um_context *ctx, um_specimen *s, um_phase_id id, const char *file_parameter,
                                int32_t *out)
{
    const um_detector *d = &s->detector;
    double corner = d->scale_per_A * hypot(0.5 * (double)d->ky, 0.5 * (double)d->kx);
    double g_max = fmin(corner + d->scale_per_A * (d->radius_px + 1.0), 20.0);
    if (s->phases == UM_PHASE_IDS) {
        return um_fail(ctx, UM_ERROR_INTERNAL, "a specimen with too many phases");
    }
    UM_TRY(um_phase_make(ctx, id, um_value_text(&s->values, file_parameter), g_max, &s->phase[s->phases]));
    *out = s->phases++;
    return UM_OK;
}

/* Makes room for one more of `size` bytes; *room is in items. */
static um_status grow(um_context *ctx, void *list, int64_t count, int64_t room, size_t size)
{
    void **where = list;
    if (count < room) {
        return UM_OK;
    }
    void *more = realloc(*where, (size_t)(room * 2 + 16) * size);
    if (more == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a specimen of %lld parts", (long long)count);
    }
    *where = more;
    return UM_OK;
}

um_status um_specimen_add_state(um_context *ctx, um_specimen *s, const char *name, const char *phase,
                                bool geometry_only, bool background, double reference_nm, int32_t *out)
{
    UM_TRY(grow(ctx, &s->state, s->states, s->state_room, sizeof *s->state));
    UM_TRY(grow(ctx, &s->reference, s->states, s->state_room, sizeof *s->reference));
    UM_TRY(grow(ctx, &s->reference_nm, s->states, s->state_room, sizeof *s->reference_nm));
    s->state_room = s->states == s->state_room ? s->state_room * 2 + 16 : s->state_room;
    um_scene_state *state = &s->state[s->states];
    *state = (um_scene_state){.geometry_only = geometry_only, .background = background};
    snprintf(state->name, sizeof state->name, "%s", name);
    snprintf(state->phase, sizeof state->phase, "%s", phase);
    s->reference[s->states] = -1;
    s->reference_nm[s->states] = reference_nm;
    *out = (int32_t)s->states++;
    return UM_OK;
}

um_status um_specimen_add_grain(um_context *ctx, um_specimen *s, const um_grain *grain, int32_t *out)
{
    UM_TRY(grow(ctx, &s->grain, s->grains, s->grain_room, sizeof *s->grain));
    s->grain_room = s->grains == s->grain_room ? s->grain_room * 2 + 16 : s->grain_room;
    s->grain[s->grains] = *grain;
    if (s->reference[grain->state] < 0) {
        s->reference[grain->state] = (int32_t)s->grains;
    }
    *out = (int32_t)s->grains++;
    return UM_OK;
}

um_status um_specimen_add_body(um_context *ctx, um_specimen *s, const um_body *body)
{
    UM_TRY(grow(ctx, &s->body, s->bodies, s->body_room, sizeof *s->body));
    s->body_room = s->bodies == s->body_room ? s->body_room * 2 + 16 : s->body_room;
    s->body[s->bodies++] = *body;
    return UM_OK;
}

um_status um_specimen_add_film(um_context *ctx, um_specimen *s, bool vacuum)
{
    static const double mean_free_path_nm = 150.0;
    int32_t state = 0;
    if (!(s->film_nm > 0.0)) {
        return vacuum ? um_specimen_add_state(ctx, s, "vacuum", "vacuum", false, true, 0.0, &s->empty_state) : UM_OK;
    }
    UM_TRY(um_specimen_add_state(ctx, s, "carbon film", "amorphous carbon", false, true, s->film_nm, &state));
    um_grain carbon = {.state = state, .phase = -1, .amorphous = UM_AMORPHOUS_CARBON, .drift_nodes = 1,
                       .mean_free_path_nm = mean_free_path_nm, .thickest_nm = s->film_nm, .thickness_nodes = 1};
    return um_specimen_add_grain(ctx, s, &carbon, &s->film);
}

um_grain um_grain_crystal(const um_specimen *s, int32_t state, int32_t phase, um_orientation orientation,
                          double thickest_nm)
{
    double nodes = ceil(thickest_nm / um_specimen_value(s, "thickness_step_nm") - 1e-9);
    return (um_grain){.state = state, .phase = phase, .orientation = orientation, .drift_nodes = 1,
                      .thickest_nm = thickest_nm, .thickness_nodes = nodes > 1.0 ? (int)fmin(nodes, 1e6) : 1};
}

um_dice um_dice_make(um_context *ctx, uint64_t use, uint64_t index)
{
    return (um_dice){{um_context_seed(ctx), UM_STREAM_SPECIMEN}, (use << 56) | (index << 16)};
}

double um_dice_uniform(um_dice *dice)
{
    return um_random_uniform(dice->random, dice->counter++);
}

double um_dice_normal(um_dice *dice)
{
    double pair[2];
    um_random_normal2(dice->random, dice->counter++, pair);
    return pair[0];
}

um_orientation um_rotation_product(const um_orientation *left, const um_orientation *right)
{
    um_orientation out;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            out.m[i][k] = left->m[i][0] * right->m[0][k] + left->m[i][1] * right->m[1][k] + left->m[i][2] * right->m[2][k];
        }
    }
    return out;
}

um_orientation um_rotation_about_z(double angle_rad)
{
    double c = cos(angle_rad), s = sin(angle_rad);
    return (um_orientation){{{c, -s, 0.0}, {s, c, 0.0}, {0.0, 0.0, 1.0}}};
}

/* Uniform over all rotations: two angles and the cosine of the third. */
um_orientation um_dice_orientation(um_dice *dice)
{
    double first = 360.0 * um_dice_uniform(dice), middle = acos(2.0 * um_dice_uniform(dice) - 1.0) * 180.0 / M_PI;
    return um_orientation_euler(first, middle, 360.0 * um_dice_uniform(dice));
}

void um_rotation_bunge(const um_orientation *o, double angles_deg[3])
{
    double cosine = fmax(-1.0, fmin(1.0, o->m[2][2])), first, last = 0.0;
    if (hypot(o->m[0][2], o->m[1][2]) > 1e-9) {
        first = atan2(o->m[0][2], -o->m[1][2]);
        last = atan2(o->m[2][0], o->m[2][1]);
    } else {
        first = atan2(o->m[1][0], o->m[0][0]); /* only the sum or difference is defined */
    }
    angles_deg[0] = first * 180.0 / M_PI;
    angles_deg[1] = acos(cosine) * 180.0 / M_PI;
    angles_deg[2] = last * 180.0 / M_PI;
    for (int i = 0; i < 3; i += 2) {
        angles_deg[i] += angles_deg[i] < 0.0 ? 360.0 : 0.0;
    }
}
