/* unmix/crystal.h - CIF files, electron structure factors, and kinematic or two-beam diffraction patterns.
 *
 * Units: lengths in angstrom and reciprocal lengths in 1/angstrom with |g| = 1/d (no 2 pi), unless the name says
 * otherwise; angles of a cell and of an orientation in degrees, of a beam in mrad; thickness in nm.
 *
 * Frames: the crystal's Cartesian frame has x along a, y in the plane of a and b, z along c*. The frame of the
 * microscope is right-handed: x to the right in the picture, y up, z towards the electron source, so that a zone axis
 * [uvw] "along the beam" points at the source and the picture is seen as the electrons see it. An orientation is a
 * rotation R with v_microscope = R v_crystal.
 *
 * Physics and its limits are in docs/crystal.md. */
#ifndef UNMIX_CRYSTAL_H
#define UNMIX_CRYSTAL_H

#include "unmix/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- structures --------------------------------------------------------------------------------- */

typedef struct um_atom {
    int z;              /* atomic number */
    double position[3]; /* fractional, in [0, 1) */
    double occupancy;   /* (0, 1] */
    double b_iso_A2;    /* B = 8 pi^2 <u^2>; 0 where the file has none */
} um_atom;

/* A unit cell with all of its atoms (P1). Read-only after it was made; owned by the caller. */
typedef struct um_crystal {
    char name[64];
    double cell[6];          /* a, b, c, alpha, beta, gamma */
    double direct[3][3];     /* row i: the i-th axis in the Cartesian frame, angstrom */
    double reciprocal[3][3]; /* row i: the i-th reciprocal axis, 1/angstrom */
    double volume_A3;
    um_atom *atom;
    size_t atoms;
    int operations;       /* that made the atoms from the sites of the file; 1 = none */
    int file_space_group; /* number that the file states or its name stands for; 0 = none */
    int space_group;      /* number that spglib finds in the atoms; 0 = it finds none */
    char symbol[12];      /* and its Hermann-Mauguin symbol */
} um_crystal;

/* Reads the first data block with atom sites: cell, fractional coordinates (uncertainties in parentheses are dropped),
 * occupancies, B_iso or U_iso (else the trace of U_ij, else 0), symmetry operations from the file, or else of the space
 * group that it names (tables of spglib). Sites are expanded to P1; images of a site closer than 0.05 angstrom are one
 * atom at their mean, which puts rounded coordinates back onto their special position. Checked: the operations form a
 * group that maps the cell onto itself; images of a site coincide evenly; spglib, given the atoms (up to 500 places), finds
 * the same number in its standard cell; and the operations are those of the stated group (else a warning). Refused with
 * one line: what is not a crystal structure, or has more than 5,000 atoms in the cell. */
UM_CHECK UM_API um_status um_crystal_load(um_context *ctx, const char *path, um_crystal **out);
/* A crystal from its cell and atoms as they are (no symmetry is applied). */
UM_CHECK UM_API um_status um_crystal_create(um_context *ctx, const char *name, const double cell[6],
                                            const um_atom *atoms, size_t count, um_crystal **out);
UM_API void um_crystal_free(um_crystal *crystal);

/* Chemical symbol of an element 1..98, NULL otherwise. */
UM_API const char *um_element_symbol(int z);

/* ---- scattering --------------------------------------------------------------------------------- */

/* Relativistic wavelength in angstrom, and mass over rest mass, of electrons at a voltage in kV (CODATA 2018). */
UM_API double um_electron_wavelength(double voltage_kV);
UM_API double um_electron_gamma(double voltage_kV);

/* Electron scattering factor of the free neutral atom, in angstrom, for an electron at rest mass, at s = |g|/2 =
 * sin(theta)/lambda in 1/angstrom: Mott-Bethe, f = (Z - f_x(s)) / (8 pi^2 a0 s^2), with f_x of xraylib. Below s = 0.04,
 * where the difference cancels, by a parabola in s^2 through 0.04, 0.06 and 0.08. UM_ERROR_ARGUMENT for z that
 * xraylib has no table of, or s beyond it. */
UM_CHECK UM_API um_status um_electron_form_factor(um_context *ctx, int z, double s_per_A, double *out_A);

/* One reflection of a crystal: F = sum over atoms of occupancy f(|g|/2) exp(-B |g|^2 / 4) exp(2 pi i hkl.r). */
typedef struct um_reflection {
    int hkl[3];
    double g[3];         /* in the crystal's Cartesian frame */
    double length_per_A; /* |g| */
    double re_A, im_A;   /* F */
} um_reflection;

/* Fills g, length and F of out->hkl. */
UM_CHECK UM_API um_status um_reflection_make(um_context *ctx, const um_crystal *crystal, const int hkl[3],
                                             um_reflection *out);

/* All reflections but 000 with |g| <= g_max that are not extinct (|F| > 1e-4 of the largest), h, k, l ascending. Memory: 72
 * bytes for each, of the budget. */
typedef struct um_reflections {
    double g_max_per_A;
    double volume_A3; /* of the cell that F belongs to */
    um_reflection *list;
    size_t count;
} um_reflections;
UM_CHECK UM_API um_status um_reflections_make(um_context *ctx, const um_crystal *crystal, double g_max_per_A,
                                              um_reflections **out);
UM_API void um_reflections_free(um_context *ctx, um_reflections *reflections);

/* ---- orientation -------------------------------------------------------------------------------- */

typedef struct um_orientation {
    double m[3][3]; /* v_microscope = m v_crystal */
} um_orientation;

/* [uvw] points at the source; the reflection x_hkl (its part across the beam) points to the right. x_hkl NULL: the
 * shortest reciprocal vector of the zone, extinct or not (of equal ones that with the largest h, then k, then l). */
UM_CHECK UM_API um_status um_orientation_zone(um_context *ctx, const um_crystal *crystal, const int uvw[3],
                                              const int *x_hkl, um_orientation *out);
/* Bunge's angles in degrees: R = Rz(phi1) Rx(Phi) Rz(phi2), counter-clockwise rotations of vectors. */
UM_API um_orientation um_orientation_euler(double phi1_deg, double phi_deg, double phi2_deg);
/* Checks that the rows are orthonormal within 1e-3 and right-handed, and makes them so exactly. */
UM_CHECK UM_API um_status um_orientation_matrix(um_context *ctx, const double rows[9], um_orientation *out);
/* Then tilts the crystal: what pointed at the source leans by x_mrad to the right and y_mrad up. */
UM_API um_orientation um_orientation_tilt(um_orientation from, double x_mrad, double y_mrad);

/* ---- intensities -------------------------------------------------------------------------------- */

/* I(s) for excitation error s, thickness t, extinction distance xi = pi V / (gamma lambda |F|); u = sqrt(s^2 + 1/xi^2).
 * The first two are fractions of the incident beam; the last two are |F|^2 in angstrom^2 times an envelope. */
typedef enum um_rocking {
    UM_ROCKING_TWO_BEAM,   /* sin^2(pi t u) / (xi u)^2 */
    UM_ROCKING_KINEMATIC,  /* sin^2(pi t s) / (xi s)^2: may exceed 1 */
    UM_ROCKING_LINEAR,     /* 1 - |s|/s_max, 0 beyond */
    UM_ROCKING_LORENTZIAN  /* 1 / (1 + (pi s/s_max)^2), cut at s_max */
} um_rocking;

typedef struct um_illumination {
    double voltage_kV;
    double thickness_nm;
    double precession_mrad; /* half angle of the cone; 0 = none. The pattern is descanned. */
    um_rocking rocking;
    double s_max_per_A; /* reflections that come no closer to the Ewald sphere on the cone are left out */
} um_illumination;
/* 200 kV, 20 nm, no precession, two-beam, s_max 0.05 1/A. */
UM_API um_illumination um_illumination_defaults(void);

/* I of one reflection at excitation error s. */
UM_API double um_rocking_intensity(const um_illumination *beam, double f_A, double volume_A3, double s_per_A);

/* Excitation error: distance from g (microscope frame) to the Ewald sphere along z, positive when g lies inside, for a
 * beam that is tilted by (x_mrad, y_mrad). */
UM_API double um_excitation_error(double wavelength_A, const double g[3], double x_mrad, double y_mrad);

typedef struct um_spot {
    int hkl[3];
    double g_per_A, s_per_A; /* s of the untilted beam */
    double f_A, xi_nm;       /* |F|, extinction distance */
    double x_per_A, y_per_A; /* part of g across the beam: right, up */
    double two_theta_mrad;   /* angle between the scattered and the incident beam, both on the Ewald sphere */
    double intensity;        /* mean over the cone */
} um_spot;

/* Spots of an orientation, strongest first; those with g across the beam up to the reflections' g_max. The mean over the cone is the
 * trapezoidal rule in azimuth, doubled until the mean changes by less than 1e-6 of itself (at most 65,536 steps).
 * *out is malloc'ed. Thread-safe. */
UM_CHECK UM_API um_status um_diffract(um_context *ctx, const um_reflections *reflections,
                                      const um_orientation *orientation, const um_illumination *beam, um_spot **out,
                                      size_t *count);

/* How much opposite reflections differ, the merging residual R of crystallography over Friedel pairs:
 * R = sum |I(g) - I(-g)| / sum (I(g) + I(-g)), 0 for a pattern with its symmetry, 1 for one with one side dark.
 *
 * On a cone of half angle phi, s swings by |g| tan(phi) about that of the untilted beam, and goes through 0 in the time
 * 1/L, L = 1/sqrt(1 - (s / (|g| tan phi))^2): a mistilt makes L of g and -g differ, in any crystal. `corrected` is R of I/L,
 * the geometric correction of precession data (Vincent and Midgley 1994; Gjonnes 1997) at the orientation that the
 * crystal has. It is over `swept` pairs: those of which both have |s| < 0.95 |g| tan(phi); others never meet Bragg's condition.
 * Pairs with |g| <= within that are both among the spots; reflections of upper layers have no partner near the sphere. */
typedef struct um_friedel {
    double within_per_A;
    int64_t pairs, swept;
    double difference; /* R of all pairs; NaN: there are none */
    double corrected;  /* NaN: none is swept, as without precession */
} um_friedel;
/* Of all spots of um_diffract(), in any order. Cost: a sort. */
UM_CHECK UM_API um_status um_friedel_compare(um_context *ctx, const um_spot *spots, size_t count, double precession_mrad,
                                             double within_per_A, um_friedel *out);

/* ---- pictures ----------------------------------------------------------------------------------- */

typedef struct um_detector {
    int64_t ky, kx;
    double cy, cx;            /* px, of the direct beam; (0, 0) is the middle of the first pixel */
    double scale_per_A;       /* 1/angstrom per px */
    double rotation_deg;      /* of the pattern, counter-clockwise in the picture */
    double ellipse_ratio;     /* long over short axis of what should be a circle, area kept; 1 = none */
    double ellipse_deg;       /* of the long axis from x, counter-clockwise, after the rotation */
    double radius_px;         /* of discs; 0 = Gaussian spots. um_disc_radius() */
    double sigma_px;          /* of Gaussian spots */
} um_detector;

/* Radius of the discs in px: tan(convergence) / wavelength / scale. */
UM_API double um_disc_radius(double convergence_mrad, double wavelength_A, double scale_per_A);
/* Where a spot falls, px. */
UM_API void um_detector_place(const um_detector *detector, double x_per_A, double y_per_A, double *row, double *column);
/* Adds the spots to image (ky x kx). Every pixel gets the part of the disc's area, or of the Gaussian's integral, that
 * falls onto it: a spot on the detector adds exactly its intensity (Gaussians are cut at 6 sigma and rescaled). */
UM_CHECK UM_API um_status um_pattern_render(um_context *ctx, const um_detector *detector, const um_spot *spots,
                                            size_t count, double *image);

#ifdef __cplusplus
}
#endif
#endif
