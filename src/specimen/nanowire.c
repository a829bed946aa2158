/* A GaAs nanowire along [111], seen near <110>: zinc-blende twins, a wurtzite segment, hexagonal section, bending. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const um_specimen_parameter parameters[] = {
    UM_COMMON_PARAMETERS("36", "120", "4", "17.5", "15"),
    {"diameter_nm", "nm", UM_PARAMETER_REAL, "100", 1, 5000, NULL, "of the hexagonal section, corner to corner"},
    {"turn_deg", "deg", UM_PARAMETER_REAL, "0", -360, 360, NULL,
     "of the section about the wire; 0: a facet faces the beam, 30: an edge"},
    {"lamella_nm", "nm", UM_PARAMETER_REAL, "0", 0, 5000, NULL,
     "thickness that the wire is cut to across the beam, as by an ion beam; 0 = the whole wire"},
    {"angle_deg", "deg", UM_PARAMETER_REAL, "0", -360, 360, NULL,
     "of the wire in the picture, counter-clockwise from the rows"},
    {"segment_nm", "nm", UM_PARAMETER_REAL, "45", 0.5, 1e6, NULL, "mean length of a twin domain along the wire"},
    {"wurtzite_nm", "nm", UM_PARAMETER_REAL, "80", 0, 1e7, NULL, "length of the wurtzite segment; 0 = none"},
    {"wurtzite_at", "", UM_PARAMETER_REAL, "0.6", 0, 1, NULL, "place of its middle, 0 .. 1 along the wire"},
    {"bend_mrad", "mrad", UM_PARAMETER_REAL, "24", -1000, 1000, NULL,
     "change of tilt along the wire, out of the picture"},
    {"twist_mrad", "mrad", UM_PARAMETER_REAL, "0", -1000, 1000, NULL, "turn about the wire along the wire"},
    {"curve_mrad", "mrad", UM_PARAMETER_REAL, "0", -1000, 1000, NULL, "turn in the picture along the wire, which curves"},
    {"tilt_x_mrad", "mrad", UM_PARAMETER_REAL, "4", -500, 500, NULL, "lean of <110> to the right, in the middle"},
    {"tilt_y_mrad", "mrad", UM_PARAMETER_REAL, "2", -500, 500, NULL, "lean of <110> up, in the middle"},
    {"bend_step_mrad", "mrad", UM_PARAMETER_REAL, "4", 0.01, 1000, NULL, "bending between two patterns of the library"},
    {"cif.zinc_blende", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in zinc blende"},
    {"cif.wurtzite", "", UM_PARAMETER_FILE, "", 0, 0, NULL, "CIF instead of the built-in wurtzite"},
};

const um_specimen_kind um_nanowire_kind = {
    "nanowire", "GaAs wire along [111] near <110>: twins, a wurtzite segment, hexagonal section, bending, on carbon",
    parameters, sizeof parameters / sizeof parameters[0]};

enum { TWIN_A, TWIN_B, WURTZITE, DOMAINS };

typedef struct segment {
    double end_nm; /* along the wire from the middle of the scan */
    int domain;
} segment;

typedef struct wire {
    double length_nm, radius_nm, turn_rad, curve;
    double half_nm; /* of the lamella; infinite without */
    double along[2], across[2]; /* unit vectors in the picture */
    int32_t grain[DOMAINS];
    int64_t count;
    segment segments[]; /* ascending */
} wire;

/* Chord through a hexagonal prism at a distance from its axis: the narrowest of three slabs, in the lamella. */
static double thickness_at(const wire *w, double off_nm)
{
    um_span span = {-w->half_nm, w->half_nm};
    for (int i = 0; i < 3; i++) {
        double angle = w->turn_rad + M_PI / 2.0 + M_PI / 3.0 * (double)i;
        const double at[3] = {off_nm, 0.0, 0.0}, normal[3] = {cos(angle), 0.0, sin(angle)};
        span = um_span_slab(span, at, normal, 0.5 * sqrt(3.0) * w->radius_nm);
    }
    return fmax(0.0, span.to - span.from);
}

static int domain_at(const wire *w, double at_nm)
{
    int64_t low = 0, high = w->count - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (at_nm < w->segments[middle].end_nm) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return w->segments[low].domain;
}

static void column(const um_specimen *s, double x_nm, double y_nm, um_column *out)
{
    const wire *w = s->geometry;
    double at = x_nm * w->along[0] + y_nm * w->along[1], off = x_nm * w->across[0] + y_nm * w->across[1];
    /* The middle line turns by `curve` over the length: an arc, by its parabola. */
    off -= 0.5 * w->curve / w->length_nm * at * at;
    double thickness = thickness_at(w, off), path = at / w->length_nm + 0.5;
    if (thickness > 1e-6) {
        int domain = domain_at(w, at);
        out->piece[out->count++] = (um_piece){w->grain[domain], thickness, fmax(0.0, fmin(1.0, path))};
    }
}

/* Twins in turn, each at least a quarter of the mean; wurtzite takes what lies in its place. */
static void make_segments(um_context *ctx, um_specimen *s, wire *w)
{
    double mean = um_specimen_value(s, "segment_nm"), length = w->length_nm;
    double wurtzite = um_specimen_value(s, "wurtzite_nm"), at = (um_specimen_value(s, "wurtzite_at") - 0.5) * length;
    const um_span insert = {at - 0.5 * wurtzite, at + 0.5 * wurtzite};
    um_dice dice = um_dice_make(ctx, 1, 0);
    int domain = um_dice_uniform(&dice) < 0.5 ? TWIN_A : TWIN_B;
    double end = -0.5 * length;
    while (end < 0.5 * length) {
        double start = end;
        end += mean * (0.25 - 0.75 * log(1.0 - um_dice_uniform(&dice)));
        bool covers = wurtzite > 0.0 && start < insert.to && end > insert.from;
        if (!covers || start < insert.from) {
            w->segments[w->count++] = (segment){covers ? insert.from : end, domain};
        }
        if (covers && end >= insert.to) {
            w->segments[w->count++] = (segment){insert.to, WURTZITE};
            w->segments[w->count++] = (segment){end, domain};
        }
        domain = TWIN_A + TWIN_B - domain;
    }
    if (wurtzite > 0.0 && insert.to > end) {
        w->segments[w->count++] = (segment){insert.to, WURTZITE};
    }
}

/* [uvw] at the source, the wire's axis along +x of the picture. */
static um_status add_domain(um_context *ctx, um_specimen *s, wire *w, int domain, const char *name, int32_t phase,
                            const int uvw[3], const int axis[3])
{
    um_orientation o;
    int32_t state = 0;
    double facing = thickness_at(w, 0.0), bend = um_specimen_value(s, "bend_mrad");
    double twist = um_specimen_value(s, "twist_mrad"), angle = um_specimen_value(s, "angle_deg") * M_PI / 180.0;
    UM_TRY(um_orientation_zone(ctx, s->phase[phase].crystal, uvw, axis, &o));
    um_orientation turn = um_rotation_about_z(angle);
    o = um_rotation_product(&turn, &o);
    o = um_orientation_tilt(o, um_specimen_value(s, "tilt_x_mrad"), um_specimen_value(s, "tilt_y_mrad"));
    UM_TRY(um_specimen_add_state(ctx, s, name, s->phase[phase].name, s->phase[phase].geometry_only, false, facing,
                                 &state));
    um_grain g = um_grain_crystal(s, state, phase, o, 2.0 * fmin(w->radius_nm, w->half_nm));
    g.drift_mrad[0] = bend * w->along[0] + twist * w->across[0];
    g.drift_mrad[1] = bend * w->along[1] + twist * w->across[1];
    g.drift_mrad[2] = 1e3 * w->curve;
    double range = sqrt(bend * bend + twist * twist + 1e6 * w->curve * w->curve);
    g.drift_nodes = 1 + (int)ceil(range / um_specimen_value(s, "bend_step_mrad") - 1e-9);
    return um_specimen_add_grain(ctx, s, &g, &w->grain[domain]);
}

um_status um_nanowire_make(um_context *ctx, um_specimen *s)
{
    static const int beam_a[3] = {1, -1, 0}, beam_b[3] = {-1, 1, 0}, axis[3] = {1, 1, 1};
    static const int beam_w[3] = {1, 0, 0}, axis_w[3] = {0, 0, 2};
    double angle = um_specimen_value(s, "angle_deg") * M_PI / 180.0;
    double wide = (double)s->nx * s->step_nm, high = (double)s->ny * s->step_nm;
    double length = wide * fabs(cos(angle)) + high * fabs(sin(angle));
    /* Domains are at least a quarter of their mean. */
    double room = 4.0 * length / um_specimen_value(s, "segment_nm") + 8.0;
    if (room > 1e7) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "nanowire: a wire of %g nm with domains of %g nm has too many of them",
                       length, um_specimen_value(s, "segment_nm"));
    }
    wire *w = calloc(1, sizeof *w + (size_t)room * sizeof w->segments[0]);
    if (w == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "nanowire: no memory for its domains");
    }
    double lamella = um_specimen_value(s, "lamella_nm");
    *w = (wire){.length_nm = length,
                .half_nm = lamella > 0.0 ? 0.5 * lamella : INFINITY,
                .radius_nm = 0.5 * um_specimen_value(s, "diameter_nm"),
                .turn_rad = um_specimen_value(s, "turn_deg") * M_PI / 180.0,
                .curve = 1e-3 * um_specimen_value(s, "curve_mrad"),
                .along = {cos(angle), sin(angle)},
                .across = {-sin(angle), cos(angle)}};
    s->geometry = w;
    s->column = column;
    make_segments(ctx, s, w);
    int32_t blende = 0, wurtzite = 0;
    UM_TRY(um_specimen_add_film(ctx, s, true));
    UM_TRY(um_specimen_add_phase(ctx, s, UM_PHASE_GAAS_ZINC_BLENDE, "cif.zinc_blende", &blende));
    UM_TRY(add_domain(ctx, s, w, TWIN_A, "GaAs zinc blende, twin A", blende, beam_a, axis));
    UM_TRY(add_domain(ctx, s, w, TWIN_B, "GaAs zinc blende, twin B", blende, beam_b, axis));
    if (um_specimen_value(s, "wurtzite_nm") > 0.0) {
        UM_TRY(um_specimen_add_phase(ctx, s, UM_PHASE_GAAS_WURTZITE, "cif.wurtzite", &wurtzite));
        UM_TRY(add_domain(ctx, s, w, WURTZITE, "GaAs wurtzite", wurtzite, beam_w, axis_w));
    }
    return UM_OK;
}
