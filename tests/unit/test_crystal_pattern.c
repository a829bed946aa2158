/* Orientations, excitation errors, rocking curves, precession, and the picture. */
#include "crystal_internal.h"

#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static um_context *ctx;

static um_crystal *monoclinic(void)
{
    const double cell[6] = {5.2, 6.1, 7.3, 90.0, 104.0, 90.0};
    const um_atom atoms[2] = {{.z = 13, .occupancy = 1.0}, {.z = 29, .position = {0.3, 0.2, 0.4}, .occupancy = 1.0}};
    um_crystal *x = NULL;
    assert_int_equal(um_crystal_create(ctx, "monoclinic", cell, atoms, 2, &x), UM_OK);
    return x;
}

static void turn(const um_orientation *o, const double v[3], double out[3])
{
    for (int i = 0; i < 3; i++) {
        out[i] = o->m[i][0] * v[0] + o->m[i][1] * v[1] + o->m[i][2] * v[2];
    }
}

static void assert_rotation(const um_orientation *o)
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            double dot = o->m[i][0] * o->m[k][0] + o->m[i][1] * o->m[k][1] + o->m[i][2] * o->m[k][2];
            assert_true(fabs(dot - (i == k)) < 1e-12);
        }
    }
    const double(*m)[3] = o->m;
    double z = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    assert_true(fabs(z - m[2][2]) < 1e-12);
}

static void a_zone_axis_points_at_the_source(void **state)
{
    (void)state;
    um_crystal *x = monoclinic();
    const int zones[][3] = {{0, 0, 1}, {1, 1, 0}, {1, -2, 3}, {-1, 0, 0}};
    for (int i = 0; i < 4; i++) {
        um_orientation o;
        double axis[3] = {0}, seen[3];
        assert_int_equal(um_orientation_zone(ctx, x, zones[i], NULL, &o), UM_OK);
        assert_rotation(&o);
        for (int k = 0; k < 3; k++) {
            for (int c = 0; c < 3; c++) {
                axis[c] += (double)zones[i][k] * x->direct[k][c];
            }
        }
        turn(&o, axis, seen);
        assert_true(fabs(seen[0]) < 1e-12 && fabs(seen[1]) < 1e-12 && seen[2] > 1.0);
        /* Reflections of the zone lie across the beam. */
        for (int h = -3; h <= 3; h++) {
            for (int k = -3; k <= 3; k++) {
                for (int l = -3; l <= 3; l++) {
                    const int hkl[3] = {h, k, l};
                    um_reflection r;
                    if (h * zones[i][0] + k * zones[i][1] + l * zones[i][2] == 0) {
                        assert_int_equal(um_reflection_make(ctx, x, hkl, &r), UM_OK);
                        turn(&o, r.g, seen);
                        assert_true(fabs(seen[2]) < 1e-12);
                    }
                }
            }
        }
    }
    um_orientation o;
    const int zone[3] = {0, 1, 0}, right[3] = {1, 0, 2}, along[3] = {0, 2, 0}, none[3] = {0, 0, 0};
    um_reflection r;
    double seen[3];
    assert_int_equal(um_orientation_zone(ctx, x, zone, right, &o), UM_OK);
    assert_int_equal(um_reflection_make(ctx, x, right, &r), UM_OK);
    turn(&o, r.g, seen);
    assert_true(seen[0] > 0.1 && fabs(seen[1]) < 1e-12);
    assert_int_equal(um_orientation_zone(ctx, x, zone, along, &o), UM_ERROR_ARGUMENT);
    assert_int_equal(um_orientation_zone(ctx, x, none, NULL, &o), UM_ERROR_ARGUMENT);
    um_crystal_free(x);
}

static void angles_and_matrices_turn_the_crystal(void **state)
{
    (void)state;
    /* Bunge (0, Phi, 90): a goes to y and, tipped by Phi about x, to the source at 90 degrees. */
    um_orientation o = um_orientation_euler(0.0, 90.0, 90.0), tilted, copy;
    const double a[3] = {1.0, 0.0, 0.0}, c[3] = {0.0, 0.0, 1.0};
    double seen[3];
    turn(&o, a, seen);
    assert_true(fabs(seen[2] - 1.0) < 1e-12);
    turn(&o, c, seen);
    assert_true(fabs(seen[1] + 1.0) < 1e-12);
    o = um_orientation_euler(30.0, 0.0, 0.0);
    turn(&o, a, seen);
    assert_true(fabs(atan2(seen[1], seen[0]) - M_PI / 6.0) < 1e-12);
    o = um_orientation_euler(12.0, 0.0, 0.0);
    tilted = um_orientation_tilt(o, 3.0, -4.0);
    assert_rotation(&tilted);
    turn(&tilted, c, seen);
    assert_true(fabs(acos(seen[2]) - 5e-3) < 1e-9);
    assert_true(fabs(seen[0] / seen[1] + 0.75) < 1e-9 && seen[0] > 0.0);
    double rows[9];
    memcpy(rows, tilted.m, sizeof rows);
    assert_int_equal(um_orientation_matrix(ctx, rows, &copy), UM_OK);
    assert_rotation(&copy);
    for (int i = 0; i < 9; i++) {
        assert_true(fabs(copy.m[i / 3][i % 3] - rows[i]) < 1e-12);
    }
    rows[0] += 0.1;
    assert_int_equal(um_orientation_matrix(ctx, rows, &copy), UM_ERROR_ARGUMENT);
    const double mirror[9] = {1, 0, 0, 0, 1, 0, 0, 0, -1};
    assert_int_equal(um_orientation_matrix(ctx, mirror, &copy), UM_ERROR_ARGUMENT);
}

/* At s = 0 the incident wave vector k, k + g and g form the triangle of Bragg's law: |k + g| = |k|, 2 d sin(theta) =
 * lambda with 2 theta between them. The beam is tilted until s vanishes. */
static void reflections_obey_braggs_law(void **state)
{
    (void)state;
    um_crystal *x = monoclinic();
    double worst = 0.0;
    for (int h = 0; h <= 4; h++) {
        for (int k = -4; k <= 4; k++) {
            const int hkl[3] = {h, k, 2};
            um_reflection r;
            assert_int_equal(um_reflection_make(ctx, x, hkl, &r), UM_OK);
            double lambda = um_electron_wavelength(200.0), low = -200.0, high = 200.0;
            const double g[3] = {r.length_per_A * cos(0.02), 0.0, r.length_per_A * sin(0.02)};
            assert_true(um_excitation_error(lambda, g, low, 0.0) < 0.0 && um_excitation_error(lambda, g, high, 0.0) > 0.0);
            for (int i = 0; i < 200; i++) {
                double middle = 0.5 * (low + high);
                *(um_excitation_error(lambda, g, middle, 0.0) < 0.0 ? &low : &high) = middle;
            }
            double t = low * 1e-3;
            const double in[3] = {-sin(t) / lambda, 0.0, -cos(t) / lambda};
            const double out[3] = {in[0] + g[0], in[1] + g[1], in[2] + g[2]};
            double dot = in[0] * out[0] + in[1] * out[1] + in[2] * out[2];
            double length = sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2]);
            assert_true(fabs(length * lambda - 1.0) < 1e-9);
            double theta = 0.5 * acos(dot / length * lambda);
            double d = lambda / (2.0 * sin(theta));
            worst = fmax(worst, fabs(d * r.length_per_A - 1.0));
        }
    }
    assert_true(worst < 1e-6);
    um_crystal_free(x);
}

static void spots_lie_where_the_diffracted_beams_go(void **state)
{
    (void)state;
    um_crystal *x = monoclinic();
    um_reflections *all = NULL;
    um_spot *spots = NULL;
    size_t count = 0;
    const int zone[3] = {0, 1, 0};
    um_orientation o;
    um_illumination beam = um_illumination_defaults();
    assert_int_equal(um_reflections_make(ctx, x, 1.5, &all), UM_OK);
    assert_int_equal(um_orientation_zone(ctx, x, zone, NULL, &o), UM_OK);
    assert_int_equal(um_diffract(ctx, all, &o, &beam, &spots, &count), UM_OK);
    assert_true(count > 60);
    double lambda = um_electron_wavelength(200.0);
    for (size_t i = 0; i < count; i++) {
        const um_spot *s = &spots[i];
        assert_true(i == 0 || s->intensity <= spots[i - 1].intensity * (1.0 + 1e-8));
        if (s->hkl[1] == 0) { /* of the zone: g lies across the beam */
            assert_true(fabs(hypot(s->x_per_A, s->y_per_A) / s->g_per_A - 1.0) < 1e-9);
            assert_true(fabs(s->s_per_A + (1.0 - sqrt(1.0 - pow(s->g_per_A * lambda, 2.0))) / lambda) < 1e-9);
        }
        assert_true(fabs(sin(s->two_theta_mrad * 1e-3) - hypot(s->x_per_A, s->y_per_A) * lambda) < 1e-12);
        /* xi = pi V / (gamma lambda |F|) */
        double xi = 0.1 * M_PI * x->volume_A3 / (um_electron_gamma(200.0) * lambda * s->f_A);
        assert_true(fabs(s->xi_nm / xi - 1.0) < 1e-12);
    }
    free(spots);
    um_reflections_free(ctx, all);
    um_crystal_free(x);
}

/* Hirsch et al., Electron Microscopy of Thin Crystals (1965): aluminium at 100 kV, xi_111 = 55.6 nm, xi_200 = 67.3 nm. */
static void extinction_distances_are_known_ones(void **state)
{
    (void)state;
    const double cell[6] = {4.0495, 4.0495, 4.0495, 90.0, 90.0, 90.0};
    um_atom atoms[4] = {{.z = 13, .occupancy = 1.0}};
    const double at[4][3] = {{0, 0, 0}, {0, .5, .5}, {.5, 0, .5}, {.5, .5, 0}};
    for (int i = 0; i < 4; i++) {
        atoms[i] = atoms[0];
        memcpy(atoms[i].position, at[i], sizeof at[i]);
    }
    um_crystal *x = NULL;
    um_reflections *all = NULL;
    assert_int_equal(um_crystal_create(ctx, "Al", cell, atoms, 4, &x), UM_OK);
    assert_int_equal(x->space_group, 225);
    assert_int_equal(um_reflections_make(ctx, x, 0.6, &all), UM_OK);
    um_illumination beam = um_illumination_defaults();
    beam.voltage_kV = 100.0;
    const int zone[3] = {0, 1, 1};
    um_orientation o;
    um_spot *spots = NULL;
    size_t count = 0;
    int found = 0;
    assert_int_equal(um_orientation_zone(ctx, x, zone, NULL, &o), UM_OK);
    assert_int_equal(um_diffract(ctx, all, &o, &beam, &spots, &count), UM_OK);
    for (size_t i = 0; i < count; i++) {
        int square = spots[i].hkl[0] * spots[i].hkl[0] + spots[i].hkl[1] * spots[i].hkl[1] +
                     spots[i].hkl[2] * spots[i].hkl[2];
        double known = square == 3 ? 55.6 : square == 4 ? 67.3 : 0.0;
        if (known > 0.0) {
            assert_true(fabs(spots[i].xi_nm / known - 1.0) < 0.03);
            found++;
        }
    }
    assert_int_equal(found, 6);
    free(spots);
    um_reflections_free(ctx, all);
    um_crystal_free(x);
}

static void rocking_curves_have_their_closed_forms(void **state)
{
    (void)state;
    um_illumination beam = um_illumination_defaults();
    const double volume = 66.0, f = 8.0;
    double lambda = um_electron_wavelength(200.0);
    double xi = M_PI * volume / (um_electron_gamma(200.0) * lambda * f); /* A */
    for (double t_nm = 1.0; t_nm < 200.0; t_nm *= 1.7) {
        double t = 10.0 * t_nm;
        beam.thickness_nm = t_nm;
        for (double s = 0.0; s < 0.02; s += 0.0007) {
            double u = sqrt(s * s + 1.0 / (xi * xi));
            beam.rocking = UM_ROCKING_TWO_BEAM;
            double two = um_rocking_intensity(&beam, f, volume, s);
            assert_true(fabs(two - pow(sin(M_PI * t * u) / (xi * u), 2.0)) < 1e-12);
            assert_true(two == um_rocking_intensity(&beam, f, volume, -s) && two <= 1.0);
            beam.rocking = UM_ROCKING_KINEMATIC;
            double kinematic = um_rocking_intensity(&beam, f, volume, s);
            double expected = s == 0.0 ? pow(M_PI * t / xi, 2.0) : pow(sin(M_PI * t * s) / (xi * s), 2.0);
            assert_true(fabs(kinematic - expected) < 1e-9 * (1.0 + expected));
            /* Weak scattering: the same. */
            double weak = um_rocking_intensity(&beam, 1e-4 * f, volume, s);
            beam.rocking = UM_ROCKING_TWO_BEAM;
            assert_true(fabs(um_rocking_intensity(&beam, 1e-4 * f, volume, s) - weak) < 1e-6 * pow(M_PI * t * 1e-4 / xi, 2.0));
        }
    }
    beam.rocking = UM_ROCKING_LINEAR;
    assert_true(fabs(um_rocking_intensity(&beam, 3.0, volume, -0.02) - 9.0 * 0.6) < 1e-12);
    assert_true(um_rocking_intensity(&beam, 3.0, volume, 0.06) == 0.0);
    beam.rocking = UM_ROCKING_LORENTZIAN;
    assert_true(fabs(um_rocking_intensity(&beam, 3.0, volume, 0.02) - 9.0 / (1.0 + pow(0.4 * M_PI, 2.0))) < 1e-12);
    assert_true(um_rocking_intensity(&beam, 3.0, volume, 0.051) == 0.0);
}

/* The mean over a cone of a Lorentzian of s = a + b cos(psi) is Im 1/sqrt((a - i)^2 - b^2) in units of its width. */
static void precession_is_the_mean_over_the_cone(void **state)
{
    (void)state;
    um_crystal *x = monoclinic();
    um_reflections *all = NULL;
    const int zone[3] = {0, 1, 0};
    um_orientation o;
    assert_int_equal(um_reflections_make(ctx, x, 1.2, &all), UM_OK);
    assert_int_equal(um_orientation_zone(ctx, x, zone, NULL, &o), UM_OK);
    o = um_orientation_tilt(o, 2.0, 1.0);
    um_illumination beam = {.voltage_kV = 200.0, .thickness_nm = 60.0, .precession_mrad = 17.5,
                            .rocking = UM_ROCKING_LORENTZIAN, .s_max_per_A = 0.3};
    um_spot *spots = NULL;
    size_t count = 0;
    assert_int_equal(um_diffract(ctx, all, &o, &beam, &spots, &count), UM_OK);
    size_t checked = 0;
    double lambda = um_electron_wavelength(200.0), width = 0.3 / M_PI;
    for (size_t i = 0; i < count; i++) {
        double across = hypot(spots[i].x_per_A, spots[i].y_per_A);
        /* To second order the sphere of a tilted beam adds nothing but the cosine; higher orders are 1e-3 of it. */
        double b = across * tan(17.5e-3) / width, a = spots[i].s_per_A / width;
        if (fabs(spots[i].s_per_A) + across * 0.0175 > 0.28) {
            continue; /* the cut at s_max */
        }
        double complex c = a - I;
        double expected = cimag(1.0 / (csqrt(c - b) * csqrt(c + b))) * spots[i].f_A * spots[i].f_A;
        assert_true(fabs(spots[i].intensity / expected - 1.0) < 2e-3);
        checked++;
    }
    assert_true(checked > 30);
    free(spots);
    /* Two-beam: against Simpson's rule with 20,000 steps. */
    beam.rocking = UM_ROCKING_TWO_BEAM;
    beam.s_max_per_A = 0.02;
    assert_int_equal(um_diffract(ctx, all, &o, &beam, &spots, &count), UM_OK);
    for (size_t i = 0; i < count && i < 60; i++) {
        um_reflection r;
        double g[3], sum = 0.0;
        assert_int_equal(um_reflection_make(ctx, x, spots[i].hkl, &r), UM_OK);
        turn(&o, r.g, g);
        enum { STEPS = 20000 };
        for (int k = 0; k <= STEPS; k++) {
            double psi = 2.0 * M_PI * (double)k / STEPS + 0.123;
            double s = um_excitation_error(lambda, g, 17.5 * cos(psi), 17.5 * sin(psi));
            sum += (k == 0 || k == STEPS ? 1.0 : k % 2 != 0 ? 4.0 : 2.0) *
                   um_rocking_intensity(&beam, spots[i].f_A, x->volume_A3, s);
        }
        assert_true(fabs(spots[i].intensity / (sum / (3.0 * STEPS)) - 1.0) < 1e-5);
    }
    free(spots);
    beam.thickness_nm = 0.0;
    assert_int_equal(um_diffract(ctx, all, &o, &beam, &spots, &count), UM_ERROR_ARGUMENT);
    um_reflections_free(ctx, all);
    um_crystal_free(x);
}

/* R by hand: a pair that differs, one that is equal, one beyond the range, one without a partner, one not swept. */
static void opposite_reflections_are_compared(void **state)
{
    (void)state;
    const double phi = 10.0, t = tan(10e-3);
    um_spot spots[] = {
        {.hkl = {1, 0, 0}, .g_per_A = 0.5, .x_per_A = 0.5, .s_per_A = 0.6 * 0.5 * t, .intensity = 5.0},
        {.hkl = {0, 2, 1}, .g_per_A = 0.8, .y_per_A = 0.8, .intensity = 4.0},
        {.hkl = {0, 0, 7}, .g_per_A = 0.9, .intensity = 100.0},
        {.hkl = {3, 0, 0}, .g_per_A = 1.5, .x_per_A = 1.5, .intensity = 50.0},
        {.hkl = {-1, 0, 0}, .g_per_A = 0.5, .x_per_A = -0.5, .s_per_A = -0.8 * 0.5 * t, .intensity = 2.0},
        {.hkl = {0, -2, -1}, .g_per_A = 0.8, .y_per_A = -0.8, .intensity = 4.0},
        {.hkl = {-3, 0, 0}, .g_per_A = 1.5, .x_per_A = -1.5, .intensity = 1.0},
        {.hkl = {1, 1, 0}, .g_per_A = 0.7, .x_per_A = 0.7, .s_per_A = 0.99 * 0.7 * t, .intensity = 3.0},
        {.hkl = {-1, -1, 0}, .g_per_A = 0.7, .x_per_A = -0.7, .intensity = 1.0}};
    const size_t count = sizeof spots / sizeof spots[0];
    um_friedel f;
    assert_int_equal(um_friedel_compare(ctx, spots, count, phi, 1.0, &f), UM_OK);
    assert_int_equal(f.pairs, 3);
    assert_int_equal(f.swept, 2);
    assert_true(fabs(f.difference - (3.0 + 0.0 + 2.0) / (7.0 + 8.0 + 4.0)) < 1e-12);
    assert_true(fabs(f.corrected - fabs(5.0 * 0.8 - 2.0 * 0.6) / (5.0 * 0.8 + 2.0 * 0.6 + 8.0)) < 1e-12);
    assert_int_equal(um_friedel_compare(ctx, spots, count, 0.0, 2.0, &f), UM_OK);
    assert_true(f.pairs == 4 && f.swept == 0 && isnan(f.corrected));
    assert_int_equal(um_friedel_compare(ctx, NULL, 0, phi, 1.0, &f), UM_OK);
    assert_true(f.pairs == 0 && isnan(f.difference));
}

/* ---- pictures --------------------------------------------------------------------------------------- */

static void render_one(const um_detector *d, double x, double y, double *image)
{
    um_spot spot = {.x_per_A = x, .y_per_A = y, .intensity = 7.0};
    memset(image, 0, (size_t)(d->ky * d->kx) * sizeof *image);
    assert_int_equal(um_pattern_render(ctx, d, &spot, 1, image), UM_OK);
}

static void moments(const um_detector *d, const double *image, double *sum, double *row, double *column)
{
    *sum = *row = *column = 0.0;
    for (int64_t i = 0; i < d->ky * d->kx; i++) {
        *sum += image[i];
        *row += image[i] * (double)(i / d->kx);
        *column += image[i] * (double)(i % d->kx);
    }
    *row /= *sum;
    *column /= *sum;
}

static void spots_keep_their_intensity_and_place(void **state)
{
    (void)state;
    double image[60 * 70];
    um_detector d = {.ky = 60, .kx = 70, .cy = 30.0, .cx = 35.0, .scale_per_A = 0.02, .ellipse_ratio = 1.0};
    for (int kind = 0; kind < 4; kind++) {
        d.radius_px = kind == 0 ? 0.3 : kind == 1 ? 3.7 : 0.0;
        d.sigma_px = kind == 2 ? 0.2 : 1.9;
        for (int i = 0; i < 40; i++) {
            double x = 0.2 * sin(1.7 * i), y = 0.15 * cos(2.3 * i), sum, row, column;
            render_one(&d, x, y, image);
            moments(&d, image, &sum, &row, &column);
            assert_true(fabs(sum - 7.0) < 1e-9);
            /* Mean positions are exact up to what a pixel hides of a spot that is smaller than it. */
            double slack = kind == 0 || kind == 2 ? 0.5 : kind == 1 ? 0.02 : 1e-5;
            assert_true(fabs(row - (30.0 - y / 0.02)) < slack && fabs(column - (35.0 + x / 0.02)) < slack);
        }
    }
}

static void discs_cover_pixels_by_area(void **state)
{
    (void)state;
    enum { FINE = 200 };
    double image[20 * 20];
    um_detector d = {.ky = 20, .kx = 20, .cy = 10.0, .cx = 10.0, .scale_per_A = 1.0, .ellipse_ratio = 1.0, .radius_px = 4.3};
    render_one(&d, 0.37, -0.21, image);
    for (int y = 0; y < 20; y++) {
        for (int x = 0; x < 20; x++) {
            int inside = 0;
            for (int i = 0; i < FINE * FINE; i++) {
                double fy = y - 0.5 + (i / FINE + 0.5) / FINE, fx = x - 0.5 + (i % FINE + 0.5) / FINE;
                inside += hypot(fy - 10.21, fx - 10.37) < 4.3;
            }
            double expected = 7.0 / (M_PI * 4.3 * 4.3) * inside / (FINE * FINE);
            assert_true(fabs(image[y * 20 + x] - expected) < 7.0 / (M_PI * 4.3 * 4.3) * 2e-3);
        }
    }
    /* Partly off the detector: only what falls on it; far off: nothing. */
    render_one(&d, -10.5, 0.0, image);
    double sum, row, column;
    moments(&d, image, &sum, &row, &column);
    assert_true(fabs(sum - 3.5) < 1e-9);
    render_one(&d, 1e300, 0.0, image);
    for (int i = 0; i < 400; i++) {
        assert_true(image[i] == 0.0);
    }
}

static void detectors_turn_and_stretch(void **state)
{
    (void)state;
    um_detector d = {.ky = 10, .kx = 10, .cy = 5.0, .cx = 4.0, .scale_per_A = 0.1, .rotation_deg = 90.0,
                     .ellipse_ratio = 1.0};
    double row, column;
    um_detector_place(&d, 0.3, 0.0, &row, &column); /* right goes up */
    assert_true(fabs(row - 2.0) < 1e-12 && fabs(column - 4.0) < 1e-12);
    d.rotation_deg = 0.0;
    d.ellipse_ratio = 1.21;
    d.ellipse_deg = 90.0;
    um_detector_place(&d, 0.11, 0.2, &row, &column);
    assert_true(fabs(row - (5.0 - 2.2)) < 1e-12 && fabs(column - 5.0) < 1e-12);
    double image[100];
    um_spot spot = {.intensity = 1.0};
    d.sigma_px = 0.0;
    assert_int_equal(um_pattern_render(ctx, &d, &spot, 1, image), UM_ERROR_ARGUMENT);
    d.sigma_px = 1.0;
    d.scale_per_A = 0.0;
    assert_int_equal(um_pattern_render(ctx, &d, &spot, 1, image), UM_ERROR_ARGUMENT);
    /* alpha = 1 mrad at 200 kV is 0.03987 1/A. */
    assert_true(fabs(um_disc_radius(1.0, um_electron_wavelength(200.0), 0.01) - 3.98735) < 1e-4);
}

static int set_up(void **state)
{
    (void)state;
    return um_context_create(&ctx) == UM_OK ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    bool clean = um_context_memory_in_use(ctx) == 0;
    um_context_free(ctx);
    return clean ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zone_axis_points_at_the_source),
        cmocka_unit_test(angles_and_matrices_turn_the_crystal),
        cmocka_unit_test(reflections_obey_braggs_law),
        cmocka_unit_test(spots_lie_where_the_diffracted_beams_go),
        cmocka_unit_test(extinction_distances_are_known_ones),
        cmocka_unit_test(rocking_curves_have_their_closed_forms),
        cmocka_unit_test(precession_is_the_mean_over_the_cone),
        cmocka_unit_test(opposite_reflections_are_compared),
        cmocka_unit_test(spots_keep_their_intensity_and_place),
        cmocka_unit_test(discs_cover_pixels_by_area),
        cmocka_unit_test(detectors_turn_and_stretch),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
