/* What the files of identify share. */
#ifndef UM_IDENTIFY_INTERNAL_H
#define UM_IDENTIFY_INTERNAL_H

#include "base_internal.h"
#include "unmix/identify.h"

/* ---- symmetry.c: rotations that leave the diffraction of a crystal as it is ----------------------------- */

enum { UM_LAUE_MOST = 48 };
typedef struct um_laue {
    double q[UM_LAUE_MOST][3][3]; /* Cartesian, of both handednesses; the identity first */
    bool proper[UM_LAUE_MOST];
    int count;
} um_laue;

/* Found in |F| itself: lattice operations under which |F| stays within 1 % of the largest. So of any setting. */
void um_laue_find(const um_crystal *crystal, const um_reflections *reflections, um_laue *out);
/* Whether a direction is the one of its images that counts (of all operations). */
bool um_laue_is_canonical(const um_laue *laue, const double direction[3]);
/* Replaces an orientation by its equivalent (proper rotations only) whose third row lies in the zone. */
void um_laue_reduce(const um_laue *laue, um_orientation *o);
/* Smallest rotation between two orientations of one crystal, also when one is turned by half a turn about the beam. */
double um_laue_angle(const um_laue *laue, const um_orientation *a, const um_orientation *b, double axis[3]);
/* Low-index [uvw] next to a direction, and the angle. */
double um_zone_near(const um_crystal *crystal, const double direction[3], int uvw[3]);
void um_zone_direction(const um_crystal *crystal, const int uvw[3], double direction[3]);

/* ---- library.c -------------------------------------------------------------------------------------------- */

typedef struct um_beam_settings {
    double wavelength_A, precession_rad, width_per_A, g_min_per_A, g_max_per_A;
    double merge_per_A; /* reflections nearer than this to a stronger one are one spot with it; 0 = none */
} um_beam_settings;

/* One reflection of a pattern: place in 1/angstrom (right, up), amplitude. */
typedef struct um_mark_spot {
    double x, y, amplitude;
    int hkl[3];
} um_mark_spot;

/* Polar: what the coarse search sums over. */
typedef struct um_polar_spot {
    float g, angle, amplitude; /* 1/angstrom, radians in [0, pi): spots opposite to each other fall together */
} um_polar_spot;

typedef struct um_view_of {
    um_orientation orientation; /* unturned */
    int64_t first;
    int32_t count;
    float norm;
} um_view_of;

typedef struct um_library {
    const um_crystal *crystal;
    um_reflections *reflections;
    um_laue laue;
    um_view_of *view;
    int64_t views;
    um_polar_spot *spot;
    int64_t spots;
    bool kept; /* came from the cache */
} um_library;

/* Spots of an orientation, strongest first, at most `most`; `extra_rad` widens reflections by an angle of the crystal. */
int64_t um_marks_make(const um_reflections *all, const um_beam_settings *beam, const um_orientation *o,
                      double extra_rad, um_mark_spot *out, int64_t most);
um_status um_library_make(um_context *ctx, const um_crystal *crystal, const um_beam_settings *beam,
                          const um_identify_options *options, um_library *out);
void um_library_clear(um_context *ctx, um_library *library);
/* cache.c: false when it is not there or not sound. Failing to keep is no error. */
bool um_library_recall(um_context *ctx, const char *folder, const char *key, um_library *library);
void um_library_keep(um_context *ctx, const char *folder, const char *key, const um_library *library);
void um_library_key(const um_crystal *crystal, const um_beam_settings *beam, const um_identify_options *options,
                    char hex[65]);

/* ---- spots.c ---------------------------------------------------------------------------------------------- */

typedef struct um_blob_spot {
    double x, y;      /* px from the given centre: right, up */
    double amplitude; /* cube root of the counts above the background */
} um_blob_spot;

typedef struct um_frame {
    int64_t ky, kx;
    const uint8_t *mask; /* may be NULL */
    double cy, cx, radius_px; /* of discs */
} um_frame;

enum { UM_MOST_DISCS = 8 };
typedef struct um_found {
    um_blob_spot *spot;
    int64_t count;
    double halo_px; /* radius of the strongest diffuse ring; NaN = none */
    double counts;  /* of all spots */
    double disc_px[UM_MOST_DISCS]; /* radii of the strongest */
    int discs;
} um_found;

enum { UM_MOST_SPOTS = 160, UM_MOST_MARKS = 220 };
um_status um_spots_find(um_context *ctx, const um_frame *frame, const double *pattern, double g_min_px, um_found *out);
void um_found_clear(um_found *found);
/* The centre of symmetry of the spots of some patterns, within `most` px of the given one: where most middles of pairs fall. */
void um_center_find(const um_found *found, int64_t patterns, double most, double *x, double *y);

/* ---- compare.c -------------------------------------------------------------------------------------------- */

/* Map from 1/angstrom to px from the given centre: p = a g + t, a of scale, ellipse (rotation is the orientation's). */
typedef struct um_geometry {
    double scale; /* px per 1/angstrom */
    double exx, exy; /* strain without a change of area: x (1 + exx) + y exy, x exy + y (1 - exx) */
    double tx, ty;
} um_geometry;

typedef struct um_bounds {
    double scale, scale_tolerance, center, strain; /* px per 1/angstrom; relative; px; half the ellipse's */
    double center_x, center_y;                     /* px, about which `center` counts */
    double strain_x, strain_y;
} um_bounds;

typedef struct um_scene_of {
    const um_frame *frame;
    const um_blob_spot *spot;
    int64_t spots;
    double norm;     /* sqrt of the sum of squared amplitudes */
    double weakest;  /* reflections below this part of the strongest amplitude would not be seen: they do not count */
    double sigma_px;
} um_scene_of;

typedef struct um_pairing {
    double score, explained, seen;
    int32_t matched;
    int32_t mark_of[UM_MOST_SPOTS]; /* -1 = none */
    bool expected[UM_MOST_MARKS];   /* on the detector, not under the mask */
} um_pairing;

/* Sets norm and weakest of spots, brightest first. */
void um_scene_measure(um_scene_of *scene);
void um_pair(const um_scene_of *scene, const um_geometry *g, const um_mark_spot *marks, int64_t count, um_pairing *out);

/* polar.c: the coarse search. */
typedef struct um_polar um_polar;
typedef struct um_start {
    float score;
    int32_t phase;
    int64_t view;
    bool mirrored;
    double turn_rad;
} um_start;

um_status um_polar_create(um_context *ctx, const um_beam_settings *beam, double px_per_A, double sigma_px,
                          double scale_tolerance, um_polar **out);
void um_polar_free(um_polar *polar);
void um_polar_fill(um_polar *polar, const um_blob_spot *spots, int64_t count);
/* The best `most` starts of one library, best first; those of one direction at least `apart` of each other. Returns how many. */
int um_polar_search(const um_polar *polar, const um_library *library, int32_t phase, um_start *best, int most);

/* refine.c */
typedef struct um_fit {
    um_orientation orientation;
    um_geometry geometry;
    um_pairing pairing;
} um_fit;
void um_refine(const um_library *library, const um_beam_settings *beam, const um_scene_of *scene, const um_bounds *bounds,
               const um_start *start, double step_rad, um_fit *out);
/* Then the tilt, by intensities. */
void um_refine_tilt(const um_library *library, const um_beam_settings *beam, const um_scene_of *scene,
                    const um_bounds *bounds, double step_rad, um_fit *fit);

/* job.c: the libraries of the candidates, and patterns against all of them. */
typedef struct um_identify_job {
    um_context *ctx;
    const um_candidate *candidate;
    size_t phases;
    um_identify_options how; /* resolved: nothing is NaN */
    um_frame frame;
    um_beam_settings beam;
    um_library *library;
    um_bounds bounds;
} um_identify_job;
/* Puts presets where NaN stands, and refuses what cannot be. */
um_status um_identify_check(um_context *ctx, size_t count, um_identify_options *o, const um_frame *f);
/* With options that were checked. */
um_status um_identify_begin(um_context *ctx, const um_candidate *candidates, size_t count, const um_identify_options *how,
                            const um_frame *frame, um_identify_job *out);
void um_identify_end(um_identify_job *job);
/* The best fit of each phase. */
void um_identify_spots(const um_identify_job *job, um_polar *polar, const um_bounds *bounds, const um_blob_spot *spots,
                       int64_t count, um_fit *fit_of);

/* null.c: the spots stretched so that no candidate should fit; pattern `draw` of component `c`. Returns how many are left. */
int64_t um_null_draw(um_random random, int64_t c, int64_t draw, const um_frame *frame, const um_blob_spot *spots, int64_t count,
                     um_blob_spot *out);
/* Chance of at least `score` if ln(s / (1 - s)) of scores has a Gumbel distribution of the mean and variance found. */
double um_null_chance(const double *scores, int64_t count, double score);

/* ---- identify.c: the components of a model ---------------------------------------------------------------- */

enum { UM_LEAST_SPOTS = 4, UM_NAMING_WORKERS = 64 };
typedef struct um_naming {
    um_context *ctx;
    um_identify_job job;
    um_model *model;
    um_identification *out;
    um_found *found;    /* k */
    um_fit *fit;        /* k x phases */
    double *null_score; /* k x null patterns */
    um_bounds bounds;   /* of this round */
    bool with_null;
    struct {
        um_polar *polar;
        um_fit *fit;
        double score;
    } worker[UM_NAMING_WORKERS];
} um_naming;

/* calibrate.c: bounds about what the named components agree on. */
um_status um_naming_agree(um_naming *w);
/* verdict.c */
const um_fit *um_naming_fit(const um_naming *w, int64_t c, size_t p);
bool um_naming_is_named(const um_naming *w, int64_t c);
double um_naming_highest(const um_fit *fit, size_t phases);
void um_naming_ask_chance(um_naming *w);
um_status um_naming_judge(um_naming *w, int64_t c, const double *free_score);
void um_naming_tell_calibration(um_naming *w);
um_status um_naming_relate(um_naming *w);

/* tell.c: a fit as it is told. */
void um_match_tell(const um_identify_job *job, int32_t phase, const um_fit *fit, um_match *out);

#endif
