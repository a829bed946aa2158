/* The inside of specimen: parameters -> phases, grains and a volume -> columns along the beam -> scene. */
#ifndef UM_SPECIMEN_INTERNAL_H
#define UM_SPECIMEN_INTERNAL_H

#include "base_internal.h"
#include "unmix/crystal.h"
#include "unmix/specimen.h"

/* ---- values of parameters ------------------------------------------------------------------------- */

enum { UM_MOST_PARAMETERS = 48 };

typedef struct um_values {
    const um_specimen_kind *kind;
    const char *text[UM_MOST_PARAMETERS]; /* borrowed */
    double number[UM_MOST_PARAMETERS];    /* of a choice: its index */
} um_values;

um_status um_values_set(um_context *ctx, const um_specimen_kind *kind, int n, const char *const *keys,
                        const char *const *values, um_values *out);
/* Of a parameter that the kind has. */
double um_value(const um_values *values, const char *name);
const char *um_value_text(const um_values *values, const char *name);
/* INI section [specimen]; malloc'ed, NULL if no memory. */
char *um_values_ini(const um_values *values, uint64_t seed);

/* Parameters of every kind, with the presets that differ. */
#define UM_COMMON_PARAMETERS(ny, nx, step, precession, film)                                                            \
    {"ny", "", UM_PARAMETER_INTEGER, ny, 1, 65536, NULL, "rows of the scan"},                                           \
    {"nx", "", UM_PARAMETER_INTEGER, nx, 1, 65536, NULL, "positions in a row"},                                         \
    {"step_nm", "nm", UM_PARAMETER_REAL, step, 0.01, 1e4, NULL, "scan step"},                                           \
    {"ky", "px", UM_PARAMETER_INTEGER, "96", 8, 4096, NULL, "rows of the detector"},                                    \
    {"kx", "px", UM_PARAMETER_INTEGER, "96", 8, 4096, NULL, "columns of the detector"},                                 \
    {"pixel_per_A", "1/A", UM_PARAMETER_REAL, "0.0325", 1e-4, 1, NULL, "size of a detector pixel"},                     \
    {"voltage_kV", "kV", UM_PARAMETER_REAL, "200", 20, 1500, NULL, "acceleration voltage"},                             \
    {"convergence_mrad", "mrad", UM_PARAMETER_REAL, "1.2", 0.05, 50, NULL, "convergence half angle: radius of discs"},  \
    {"precession_mrad", "mrad", UM_PARAMETER_REAL, precession, 0, 100, NULL, "precession half angle; 0 = none"},        \
    {"rotation_deg", "deg", UM_PARAMETER_REAL, "0", -360, 360, NULL, "of patterns against the scan, counter-clockwise"}, \
    {"film_nm", "nm", UM_PARAMETER_REAL, film, 0, 1000, NULL, "amorphous carbon under everything"},                     \
    {"diffuse_nm", "nm", UM_PARAMETER_REAL, "500", 0, 1e6, NULL,                                                        \
     "mean free path of scattering into the smooth background; 0 = no background"},                                     \
    {"thickness_step_nm", "nm", UM_PARAMETER_REAL, "12", 0.1, 1000, NULL,                                               \
     "thickness between two patterns of the library"}

/* ---- phases --------------------------------------------------------------------------------------- */

typedef enum um_phase_id {
    UM_PHASE_AL,
    UM_PHASE_GAAS_ZINC_BLENDE,
    UM_PHASE_GAAS_WURTZITE,
    UM_PHASE_MGO,
    UM_PHASE_SI,
    UM_PHASE_THETA_PRIME,
    UM_PHASE_T1,
    UM_PHASE_BETA_DOUBLE_PRIME,
    UM_PHASE_BETA_PRIME,
    UM_PHASE_MG2SI,
    UM_PHASE_IDS
} um_phase_id;

typedef struct um_phase {
    char name[UM_SCENE_NAME];
    um_crystal *crystal;
    um_reflections *reflections;
    bool geometry_only;
} um_phase;

/* The built-in structure, or that of a CIF file if path is not "". */
um_status um_phase_make(um_context *ctx, um_phase_id id, const char *path, double g_max_per_A, um_phase *out);
void um_phase_clear(um_context *ctx, um_phase *phase);

/* ---- amorphous matter ----------------------------------------------------------------------------- */

typedef enum um_amorphous { UM_AMORPHOUS_CARBON, UM_AMORPHOUS_SILICON, UM_AMORPHOUS_DIFFUSE } um_amorphous;

/* Adds to image (ky x kx) the rings of unit total intensity over the whole plane. */
um_status um_amorphous_render(um_context *ctx, um_amorphous which, const um_detector *detector, double *image);

/* ---- shapes --------------------------------------------------------------------------------------- */

/* Part of a line along z; empty when to <= from. */
typedef struct um_span {
    double from, to;
} um_span;

typedef enum um_body_shape { UM_SHAPE_BOX, UM_SHAPE_CYLINDER, UM_SHAPE_SPHERE } um_body_shape;

typedef struct um_body {
    um_body_shape shape;
    double center_nm[3];  /* microscope frame, origin in the middle of the scan and of the foil */
    double axis[3][3];    /* unit vectors; that of a cylinder is the last */
    double half_nm[3];    /* box: along each axis; cylinder: radius, radius, half length; sphere: radius thrice */
    int32_t grain;
    bool narrow;          /* in the picture, against the scan step: set by um_specimen_index_bodies() */
} um_body;

um_span um_span_slab(um_span span, const double at[3], const double normal[3], double half);
um_span um_body_span(const um_body *body, double x_nm, double y_nm);
double um_body_reach_along(const um_body *body, const double direction[3]); /* half of its extent along a unit vector */
double um_body_reach(const um_body *body, int axis);                        /* along x, y or z */
/* Fills length, width and angle. */
void um_body_outline(const um_body *body, um_particle *p);

/* What is taken of a line: disjoint, ascending. */
enum { UM_MOST_PIECES = 64 };
typedef struct um_spans {
    um_span list[UM_MOST_PIECES];
    int count;
} um_spans;
/* Adds a span; returns the length that was free before. */
double um_spans_take(um_spans *taken, um_span span);

/* ---- specimen ------------------------------------------------------------------------------------- */

/* A crystal in one orientation, which may drift along a path 0 .. 1; or amorphous matter. */
typedef struct um_grain {
    int32_t state;
    int32_t phase;              /* -1: amorphous */
    um_amorphous amorphous;
    double mean_free_path_nm;   /* of amorphous matter */
    um_orientation orientation; /* in the middle of the path */
    double drift_mrad[3];       /* over the whole path: lean right, lean up, turn counter-clockwise */
    int drift_nodes;            /* >= 1 */
    double thickest_nm;
    int thickness_nodes;        /* at thickest * 1/n .. n/n */
    int64_t slot;               /* first of drift_nodes * thickness_nodes */
} um_grain;

typedef struct um_piece {
    int32_t grain;
    double thickness_nm, path;
} um_piece;

typedef struct um_column {
    um_piece piece[UM_MOST_PIECES];
    int count; /* UM_MOST_PIECES + 1: too many */
} um_column;

typedef struct um_specimen um_specimen;
/* Pieces in the beam at a place of the microscope frame, the film left out. Thread-safe; depends on the place only. */
typedef void (*um_column_fn)(const um_specimen *specimen, double x_nm, double y_nm, um_column *column);

struct um_specimen {
    um_values values;
    int64_t ny, nx;
    double step_nm, diffuse_nm;
    um_detector detector;
    um_illumination beam; /* without a thickness */
    um_phase phase[UM_PHASE_IDS];
    int phases;
    um_grain *grain;
    int64_t grains, grain_room;
    um_scene_state *state;
    int32_t *reference; /* state -> grain of its reference pattern; -1: none (vacuum) */
    double *reference_nm;
    int64_t states, state_room;
    int32_t empty_state; /* of a column without matter; -1: there is none */
    int32_t film;        /* grain; -1: there is none */
    double film_nm;
    um_column_fn column;
    um_body *body;
    int64_t bodies, body_room;
    bool solid;             /* bodies share a foil: earlier ones take their place from later ones */
    int32_t matrix;         /* grain of what bodies leave free; -1 */
    double thickness_nm;    /* of the foil */
    struct um_bins *bins;   /* which bodies may be where */
    void *geometry;         /* of the kind; plain malloc */
    um_particle *particle;  /* budgeted */
    size_t particles;
};

typedef um_status (*um_kind_fn)(um_context *ctx, um_specimen *specimen);
um_status um_nanowire_make(um_context *ctx, um_specimen *specimen);
um_status um_precipitates_make(um_context *ctx, um_specimen *specimen);
um_status um_nanoparticles_make(um_context *ctx, um_specimen *specimen);
um_status um_polycrystal_make(um_context *ctx, um_specimen *specimen);
um_status um_glass_make(um_context *ctx, um_specimen *specimen);
um_status um_empty_make(um_context *ctx, um_specimen *specimen);
extern const um_specimen_kind um_nanowire_kind, um_precipitates_kind, um_nanoparticles_kind, um_polycrystal_kind,
    um_glass_kind, um_empty_kind;

double um_specimen_value(const um_specimen *specimen, const char *name);
/* Adds; the result is the index. Strings are cut to UM_SCENE_NAME. */
um_status um_specimen_add_phase(um_context *ctx, um_specimen *specimen, um_phase_id id, const char *file_parameter,
                                int32_t *out);
um_status um_specimen_add_state(um_context *ctx, um_specimen *specimen, const char *name, const char *phase,
                                bool geometry_only, bool background, double reference_nm, int32_t *out);
um_status um_specimen_add_grain(um_context *ctx, um_specimen *specimen, const um_grain *grain, int32_t *out);
um_status um_specimen_add_body(um_context *ctx, um_specimen *specimen, const um_body *body);
/* The state and grain of the carbon film if film_nm is not 0; otherwise the state of vacuum, if there can be any. */
um_status um_specimen_add_film(um_context *ctx, um_specimen *specimen, bool vacuum);
/* A crystal grain whose library reaches to thickest_nm. */
um_grain um_grain_crystal(const um_specimen *specimen, int32_t state, int32_t phase, um_orientation orientation,
                          double thickest_nm);
um_orientation um_grain_orientation(const um_grain *grain, double path);

/* The column function of bodies, in a foil or on a film; needs um_specimen_index_bodies() before. */
void um_bodies_column(const um_specimen *specimen, double x_nm, double y_nm, um_column *column);
um_status um_specimen_index_bodies(um_context *ctx, um_specimen *specimen);
um_span um_specimen_in_foil(const um_specimen *specimen, um_span span);
/* Whether the step by step square about a place may hold something so narrow that one point does not do for it. */
bool um_specimen_is_fine(const um_specimen *specimen, double x_nm, double y_nm);

/* What lies and scatters at a position: the pieces, film included, and the slots of the library with their mix. */
enum { UM_BEAM_SLOT, UM_DIFFUSE_SLOT, UM_FIRST_GRAIN_SLOT, UM_MOST_TERMS = 4 * UM_MOST_PIECES + 2 };
typedef struct um_term {
    int64_t slot;
    double mix;
} um_term;
/* The number of terms, or -1: too many pieces. Where it is fine, pieces and terms are means over the step. */
int um_specimen_terms(const um_specimen *specimen, int64_t y, int64_t x, um_column *column, um_term *terms);
/* The table of particles: bodies that reach into the field. */
um_status um_specimen_list_particles(um_context *ctx, um_specimen *specimen);
void um_bins_free(struct um_bins *bins);

/* Random numbers of one use within a specimen. */
typedef struct um_dice {
    um_random random;
    uint64_t counter;
} um_dice;
um_dice um_dice_make(um_context *ctx, uint64_t use, uint64_t index);
double um_dice_uniform(um_dice *dice);
double um_dice_normal(um_dice *dice);
um_orientation um_dice_orientation(um_dice *dice);

um_orientation um_rotation_product(const um_orientation *left, const um_orientation *right);
um_orientation um_rotation_about_z(double angle_rad);
void um_rotation_bunge(const um_orientation *orientation, double angles_deg[3]);

/* Patterns of the library; S of each: what it takes from the direct beam. */
um_status um_specimen_pattern(um_context *ctx, const um_specimen *specimen, const um_grain *grain, double path,
                              double thickness_nm, double *image, double *scattered);
um_status um_specimen_assemble(um_context *ctx, um_specimen *specimen, um_scene **out);

/* The two crystals' shares of a foil between z = -thickness/2 and thickness/2 are the shares of their Voronoi cells. */
typedef struct um_seed {
    double at_nm[3];
    int32_t grain;
} um_seed;
void um_voronoi_column(const um_seed *seeds, int64_t count, double thickness_nm, double x_nm, double y_nm,
                       um_column *column);

#endif
