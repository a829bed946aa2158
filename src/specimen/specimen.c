/* From the name of a kind to its scene. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const um_specimen_kind *kind;
    um_kind_fn make;
} makers[] = {
    {&um_nanowire_kind, um_nanowire_make},           {&um_precipitates_kind, um_precipitates_make},
    {&um_nanoparticles_kind, um_nanoparticles_make}, {&um_polycrystal_kind, um_polycrystal_make},
    {&um_glass_kind, um_glass_make},                 {&um_empty_kind, um_empty_make},
};
enum { KINDS = sizeof makers / sizeof makers[0] };

const um_specimen_kind *um_specimen_kind_at(size_t index)
{
    return index < KINDS ? makers[index].kind : NULL;
}

const um_specimen_kind *um_specimen_find(const char *name)
{
    for (int i = 0; i < KINDS; i++) {
        if (strcmp(makers[i].kind->name, name) == 0) {
            return makers[i].kind;
        }
    }
    return NULL;
}

static um_status unknown_kind(um_context *ctx, const char *name)
{
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; i < KINDS && used < sizeof list; i++) {
        int n = snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", makers[i].kind->name);
        used += n > 0 ? (size_t)n : 0;
    }
    return um_fail(ctx, UM_ERROR_ARGUMENT, "there is no specimen '%.40s'; there are %s", name, list);
}

double um_specimen_value(const um_specimen *specimen, const char *name)
{
    return um_value(&specimen->values, name);
}

static void set_common(um_specimen *s)
{
    s->ny = (int64_t)um_specimen_value(s, "ny");
    s->nx = (int64_t)um_specimen_value(s, "nx");
    s->step_nm = um_specimen_value(s, "step_nm");
    s->diffuse_nm = um_specimen_value(s, "diffuse_nm");
    int64_t ky = (int64_t)um_specimen_value(s, "ky"), kx = (int64_t)um_specimen_value(s, "kx");
    double voltage = um_specimen_value(s, "voltage_kV"), scale = um_specimen_value(s, "pixel_per_A");
    double radius = um_disc_radius(um_specimen_value(s, "convergence_mrad"), um_electron_wavelength(voltage), scale);
    s->detector = (um_detector){.ky = ky, .kx = kx, .cy = (double)(ky / 2), .cx = (double)(kx / 2),
                                .scale_per_A = scale, .rotation_deg = um_specimen_value(s, "rotation_deg"),
                                .ellipse_ratio = 1.0, .radius_px = radius};
    s->beam = um_illumination_defaults();
    s->beam.voltage_kV = voltage;
    s->beam.precession_mrad = um_specimen_value(s, "precession_mrad");
    s->empty_state = -1;
    s->matrix = -1;
    s->film = -1;
    s->film_nm = um_specimen_value(s, "film_nm");
}

static void clear(um_context *ctx, um_specimen *s)
{
    for (int i = 0; i < s->phases; i++) {
        um_phase_clear(ctx, &s->phase[i]);
    }
    um_bins_free(s->bins);
    free(s->grain);
    free(s->state);
    free(s->reference);
    free(s->reference_nm);
    free(s->body);
    free(s->geometry);
    um_buffer_free(ctx, s->particle);
    free(s);
}

um_status um_specimen_build(um_context *ctx, const char *kind, int n, const char *const *keys,
                            const char *const *values, um_scene **out)
{
    *out = NULL;
    int which = 0;
    while (which < KINDS && strcmp(makers[which].kind->name, kind) != 0) {
        which++;
    }
    if (which == KINDS) {
        return unknown_kind(ctx, kind);
    }
    um_specimen *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for the specimen", kind);
    }
    um_status status = um_values_set(ctx, makers[which].kind, n, keys, values, &s->values);
    if (status == UM_OK) {
        set_common(s);
        status = makers[which].make(ctx, s);
    }
    if (status == UM_OK) {
        status = um_specimen_assemble(ctx, s, out);
    }
    clear(ctx, s);
    return status;
}
