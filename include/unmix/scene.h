/* unmix/scene.h - what is in the beam at every scan position, before the detector counts it.
 *
 * A scene is a library of noise-free patterns and, for every position, a short list of which of them are there and
 * how much: the expected pattern at p is dose * sum_i weight[i] * pattern[which[i]] over start[p] <= i < start[p+1].
 * Bending and thickness are steps in the library; between two steps a position mixes both, so that what is simulated is
 * exactly what the truth says. Memory: 4 bytes per library pixel, 8 per entry, and per position 8 + 4*(states + 4). */
#ifndef UNMIX_SCENE_H
#define UNMIX_SCENE_H

#include "unmix/model.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { UM_SCENE_NAME = 64 };

/* A pure state: what truth and score call by one name (a phase, or a variant or twin of it). */
typedef struct um_scene_state {
    char name[UM_SCENE_NAME];  /* "GaAs zinc blende, twin B" */
    char phase[UM_SCENE_NAME]; /* "GaAs zinc blende": states of one phase share it */
    bool geometry_only;        /* positions of its reflections are right, intensities are not claimed */
    bool background;           /* vacuum, support, matrix: not something to be counted */
    double density_per_um3;    /* of middles of its particles in the foil, as asked for; 0 = not by density */
} um_scene_state;

/* One embedded object. Positions are in scan px (the middle of the first position is 0, 0), sizes in nm. */
typedef struct um_particle {
    int32_t state;
    double y_px, x_px;
    double length_nm, width_nm, thickness_nm; /* projected long and short size, and along the beam */
    double angle_deg;                         /* of the long side from x, counter-clockwise in the picture */
    double depth_nm;                          /* of its middle below the entrance surface */
    /* Of what lies in the foil, before what particles that were placed earlier take of it: */
    double area_nm2, volume_nm3; /* projected; both over the field's border */
    double in_foil;              /* this volume over that of the whole body: 1 = not cut by a surface */
    double in_field;             /* the part of this volume within the field: 1 = not cut by its border */
} um_particle;

typedef struct um_scene {
    int64_t ny, nx, ky, kx;
    double step_nm;     /* of the scan; 0 = not calibrated */
    double probe_px;    /* standard deviation of the Gaussian that the maps have been blurred with; 0 = none */
    double pixel_per_A; /* of the detector; 0 = not calibrated */
    double voltage_kV;

    int64_t library;
    float *pattern; /* library x ky x kx, fractions of the dose, not negative */
    uint64_t *start; /* ny*nx + 1 */
    uint32_t *which; /* start[ny*nx] */
    float *weight;

    /* The answer. */
    int64_t states;
    um_scene_state *state;
    float *state_pattern;   /* states x ky x kx: each pure state at its reference orientation and thickness */
    float *fraction;        /* ny*nx x states, by thickness; rows sum to 1 */
    float *thickness_nm;    /* ny*nx, of all that lies in the beam */
    float *orientation_deg; /* ny*nx x 3, Bunge's angles of the strongest state that is not background; NaN = none; or NULL */
    um_particle *particle;
    size_t particles;
    double foil_nm; /* thickness of the foil that particles are embedded in; 0 = none */
    char *parameters; /* malloc'ed text, INI: every parameter and the seed, which make this scene again */
} um_scene;

/* Every array of a scene is a um_buffer_alloc() of the context's budget, but for `parameters`. */
UM_API void um_scene_free(um_context *ctx, um_scene *scene);

#ifdef __cplusplus
}
#endif
#endif
