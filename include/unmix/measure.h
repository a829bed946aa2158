/* unmix/measure.h - particles of segmented scans, and what a series of scans tells of them, with 95 % intervals.
 *
 * docs/measure.md has every definition. NaN stands wherever a number has no meaning: a size without a scan step, a density
 * per volume without a thickness, an interval of what is not a sample. */
#ifndef UNMIX_MEASURE_H
#define UNMIX_MEASURE_H

#include "unmix/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- intervals ------------------------------------------------------------------------------ */

/* Exact 95 % interval of the mean of a Poisson count (Garwood 1936). */
UM_API void um_count_interval(int64_t count, double *low, double *high);
/* The same of the mean of a weighted sum of Poisson counts: sum w_i x_i with each x_i = 1 seen, sum = sum w_i, squares =
 * sum w_i^2, `largest` the largest weight that could occur (Fay and Feuer 1997). With weights of 1 it is Garwood's. */
UM_API void um_weighted_count_interval(double sum, double squares, double largest, double *low, double *high);
/* 95 % interval of a proportion (Wilson 1927); trials need not be whole; 0..1 when there are none. */
UM_API void um_wilson_interval(double hits, double trials, double *low, double *high);
/* The 97.5 % point of Student's t. Infinite for freedom <= 0. */
UM_API double um_student_point(double freedom);
/* P(X > x) of the chi-squared distribution. */
UM_API double um_chi_squared_tail(double x, double freedom);

/* ---- particles ------------------------------------------------------------------------------ */

enum { UM_BORDER_TOP = 1, UM_BORDER_LEFT = 2, UM_BORDER_BOTTOM = 4, UM_BORDER_RIGHT = 8, UM_BORDER_EXCLUDED = 16 };

/* One particle: the positions that hold its number in the array `segments`. */
typedef struct um_measured {
    int64_t id;
    int32_t scan, component, phase; /* indices; component: of the model */
    int64_t positions;
    int64_t y0, x0, y1, x1;  /* of its positions, both ends included */
    double y_px, x_px;       /* mean position */
    int64_t at_y, at_x;      /* the position of its own nearest to that: the first of equals */
    double area_nm2;
    double diameter_nm;      /* of the disc of that area */
    double length_nm, width_nm; /* sides of the rectangle with its second moments, a position being a square */
    double angle_deg;        /* of the long side from x, counter-clockwise in the picture, -90 < angle <= 90; NaN: square */
    double mean_fraction, mean_loading; /* over its positions; NaN where the model has none */
    double content;          /* sum of fraction x thickness in nm (1 where no thickness is known), over positions */
    double volume_nm3;       /* content x area of a position; NaN without a thickness */
    int border;              /* UM_BORDER_: which borders it touches */
    double weight;           /* for counting: 1/2 per border touched, 0 where it touches opposite ones */
} um_measured;

/* A number and its 95 % interval. */
typedef struct um_estimate {
    double value, low, high;
    bool scatter; /* the interval is that of the scatter between scans, which exceeds counting; else of counting */
} um_estimate;

/* What one scan, or all scans of a condition, tell of one phase. */
typedef struct um_measure_row {
    int32_t condition, scan; /* scan -1: all of the condition */
    int32_t phase;
    int32_t scans;
    int64_t particles, cut;  /* that show; of these, that touch a border */
    double counted;          /* sum of weights */
    double area_um2;         /* in which they were counted */
    double thickness_nm, height_nm; /* mean thickness; mean extent of particles along the beam that was allowed for */
    um_estimate per_um2, per_um3;
    um_estimate count_fraction, area_fraction, volume_fraction;
    um_estimate diameter_nm, length_nm, width_nm; /* means over particles that touch no border */
} um_measure_row;

typedef struct um_measure_scan {
    char *name, *condition_name, *path;
    int32_t condition;
    int64_t ny, nx;
    double step_y_nm, step_x_nm;  /* NaN = not calibrated */
    double thickness_nm;          /* mean; NaN = not known */
    int64_t positions;            /* that are not excluded */
    double area_um2;              /* of counting: (ny - 1) x (nx - 1) steps, less the part that is excluded */
    double exposure;              /* sum of the thickness over positions; their number where none is known */
    int64_t *covered;             /* by phase: positions that a particle of it has */
    double *content;              /* by phase: sum of fraction x thickness */
    float *phase_fraction;        /* phases x ny x nx: sums over classes */
    uint8_t *overlap;             /* ny x nx: classes that have the position */
    float *backdrop;              /* ny x nx: a picture to draw on; or NULL */
    int32_t phases;               /* rows of phase_fraction: those known when the scan was added */
} um_measure_scan;

typedef enum um_height_kind { UM_HEIGHT_NONE, UM_HEIGHT_DIAMETER, UM_HEIGHT_LENGTH, UM_HEIGHT_WIDTH, UM_HEIGHT_NM } um_height_kind;

typedef struct um_measure_phase {
    char *name;
    bool named;           /* by identification; else a class of the model */
    um_height_kind height;
    double height_nm;     /* for UM_HEIGHT_NM */
} um_measure_phase;

typedef struct um_measure {
    um_context *ctx;
    int32_t phases, conditions, scans;
    um_measure_phase *phase;
    char **condition;
    um_measure_scan *scan;
    int64_t particles;
    um_measured *particle;  /* by scan, then as in segments */
    char **left_out;        /* "class 3: background", what was not counted and why */
    int32_t left_out_count;
    int64_t scan_rows, condition_rows;  /* scans x phases, conditions x phases; after um_measure_finish() */
    um_measure_row *scan_row, *condition_row;
} um_measure;

typedef struct um_measure_input {
    const char *name, *condition; /* NULL: the scan's path in the provenance; "all" */
    const char *path;             /* of the model, for people; may be NULL */
    um_model *model;              /* with the array `segments`; `fractions` and provenance "identification" when they are there */
    double step_nm;               /* > 0 replaces the scan step of the model */
    double thickness_nm;          /* NaN = not known */
    const double *thickness_map;  /* ny x nx in nm, or NULL; NaN = not known there */
} um_measure_input;

UM_CHECK UM_API um_status um_measure_create(um_context *ctx, um_measure **out);
UM_API void um_measure_free(um_measure *measure);
/* Adds the particles of a scan; the model is not needed afterwards. Time N k; memory: 4 N (phases + 2) bytes that stay.
 * UM_ERROR_VALUE: no `segments`, numbers that are no whole numbers, a thickness that is not above 0. */
UM_CHECK UM_API um_status um_measure_add(um_measure *measure, const um_measure_input *input);
/* How far particles of a phase reach along the beam: N per volume = counted / (area x (thickness + height)), because a foil
 * of thickness t shows particles whose middles lie in t + height. phase NULL: of all that have none of their own.
 * UM_ERROR_ARGUMENT: no such phase. */
UM_CHECK UM_API um_status um_measure_set_height(um_measure *measure, const char *phase, um_height_kind kind, double nm);
/* Makes the tables. */
UM_CHECK UM_API um_status um_measure_finish(um_measure *measure);

/* ---- spot checks ---------------------------------------------------------------------------- */

/* Particles drawn at random to be looked at with another method. */
typedef struct um_spot_check {
    int64_t particle;        /* index in measure->particle */
    int64_t phase_particles; /* how many its phase has: what it stands for */
} um_spot_check;

/* Draws `count` particles without replacement by the seed of the context: of each phase its share of all particles, but at
 * least min(all that it has, count / (2 phases)). In the order of `particle`. malloc'ed; *drawn <= count, all where there are
 * no more. UM_ERROR_ARGUMENT: count < 1, or less than one for each phase. */
UM_CHECK UM_API um_status um_spotcheck_draw(const um_measure *measure, int64_t count, um_spot_check **spots, int64_t *drawn);

/* How many of n checked particles of a phase with `particles` in all were right. */
typedef struct um_spot_verdicts {
    int64_t particles, checked, right;
} um_spot_verdicts;
/* The proportion over phases, sum N_h p_h / N, of the phases that were checked; the interval is Wilson's with N^2 / sum(N_h^2 /
 * n_h) trials (Kish's effective number), which is n where each phase was drawn in proportion. */
UM_API um_estimate um_spotcheck_proportion(const um_spot_verdicts *phases, int64_t count);

/* ---- thickness ------------------------------------------------------------------------------ */

/* t = mean_free_path ln(all / zero_loss) (Egerton): a map from two images in energy-filtered or spectrum mode. NaN where
 * either is not above 0; negative values, which noise makes, become 0. */
UM_CHECK UM_API um_status um_thickness_log_ratio(um_context *ctx, const double *zero_loss, const double *all, int64_t count,
                                                 double mean_free_path_nm, double *thickness_nm);

#ifdef __cplusplus
}
#endif
#endif
