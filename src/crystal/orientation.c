/* Orientations: rotations from the crystal's Cartesian frame to that of the microscope. */
#include "crystal_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Takes the part along `unit` out of v and brings the rest to unit length; false: nothing is left. */
static bool across(double v[3], const double unit[3])
{
    double length = sqrt(dot(v, v)), along = dot(v, unit);
    for (int i = 0; i < 3; i++) {
        v[i] -= along * unit[i];
    }
    double rest = sqrt(dot(v, v));
    for (int i = 0; i < 3; i++) {
        v[i] /= rest;
    }
    return rest > 1e-6 * length;
}

static void combine(const double rows[3][3], const int n[3], double out[3])
{
    for (int k = 0; k < 3; k++) {
        out[k] = (double)n[0] * rows[0][k] + (double)n[1] * rows[1][k] + (double)n[2] * rows[2][k];
    }
}

/* Of equal lengths the largest h, k, l: the loops go down. */
static void shortest_of_zone(const um_crystal *crystal, const int uvw[3], int best[3])
{
    double shortest = INFINITY;
    int most = 1;
    for (int i = 0; i < 3; i++) {
        most = abs(uvw[i]) > most ? abs(uvw[i]) : most;
    }
    for (int h = most; h >= -most; h--) {
        for (int k = most; k >= -most; k--) {
            for (int l = most; l >= -most; l--) {
                const int hkl[3] = {h, k, l};
                double g[3];
                if (h * uvw[0] + k * uvw[1] + l * uvw[2] != 0 || (h == 0 && k == 0 && l == 0)) {
                    continue;
                }
                combine(crystal->reciprocal, hkl, g);
                if (sqrt(dot(g, g)) < shortest * (1.0 - 1e-9)) {
                    shortest = sqrt(dot(g, g));
                    memcpy(best, hkl, sizeof hkl);
                }
            }
        }
    }
}

um_status um_orientation_zone(um_context *ctx, const um_crystal *crystal, const int uvw[3], const int *x_hkl,
                              um_orientation *out)
{
    enum { MOST_INDEX = 50 };
    int hkl[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        if (abs(uvw[i]) > MOST_INDEX) {
            return um_fail(ctx, UM_ERROR_ARGUMENT, "zone axis [%d %d %d]: indices go up to %d", uvw[0], uvw[1], uvw[2],
                           MOST_INDEX);
        }
    }
    if (uvw[0] == 0 && uvw[1] == 0 && uvw[2] == 0) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "zone axis [0 0 0] has no direction");
    }
    if (x_hkl != NULL) {
        memcpy(hkl, x_hkl, sizeof hkl);
    } else {
        shortest_of_zone(crystal, uvw, hkl);
    }
    double *x = out->m[0], *y = out->m[1], *z = out->m[2];
    combine(crystal->direct, uvw, z);
    double length = sqrt(dot(z, z));
    for (int i = 0; i < 3; i++) {
        z[i] /= length;
    }
    combine(crystal->reciprocal, hkl, x);
    if (!across(x, z)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "reflection %d %d %d has no part across the zone axis [%d %d %d] that could point to the right",
                       hkl[0], hkl[1], hkl[2], uvw[0], uvw[1], uvw[2]);
    }
    for (int i = 0; i < 3; i++) {
        y[i] = z[(i + 1) % 3] * x[(i + 2) % 3] - z[(i + 2) % 3] * x[(i + 1) % 3];
    }
    return UM_OK;
}

static um_orientation times(const double a[3][3], const double b[3][3])
{
    um_orientation out;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            out.m[i][k] = a[i][0] * b[0][k] + a[i][1] * b[1][k] + a[i][2] * b[2][k];
        }
    }
    return out;
}

um_orientation um_orientation_euler(double phi1_deg, double phi_deg, double phi2_deg)
{
    const double angle[3] = {phi1_deg * M_PI / 180.0, phi_deg * M_PI / 180.0, phi2_deg * M_PI / 180.0};
    const double c1 = cos(angle[0]), s1 = sin(angle[0]), c = cos(angle[1]), s = sin(angle[1]), c2 = cos(angle[2]),
                 s2 = sin(angle[2]);
    const double first[3][3] = {{c1, -s1, 0.0}, {s1, c1, 0.0}, {0.0, 0.0, 1.0}};
    const double middle[3][3] = {{1.0, 0.0, 0.0}, {0.0, c, -s}, {0.0, s, c}};
    const double last[3][3] = {{c2, -s2, 0.0}, {s2, c2, 0.0}, {0.0, 0.0, 1.0}};
    um_orientation half = times(first, middle);
    return times(half.m, last);
}

um_status um_orientation_matrix(um_context *ctx, const double rows[9], um_orientation *out)
{
    double r[3][3];
    memcpy(r, rows, sizeof r);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            if (!(fabs(dot(r[i], r[k]) - (i == k)) < 1e-3)) {
                return um_fail(ctx, UM_ERROR_ARGUMENT,
                               "an orientation matrix has rows of length 1 at right angles: the product of rows %d and "
                               "%d is %g",
                               i + 1, k + 1, dot(r[i], r[k]));
            }
        }
    }
    double length = sqrt(dot(r[2], r[2]));
    for (int i = 0; i < 3; i++) {
        r[2][i] /= length;
    }
    double y[3];
    (void)across(r[0], r[2]);
    for (int i = 0; i < 3; i++) {
        y[i] = r[2][(i + 1) % 3] * r[0][(i + 2) % 3] - r[2][(i + 2) % 3] * r[0][(i + 1) % 3];
    }
    if (dot(y, r[1]) < 0.0) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "the orientation matrix is a reflection: its determinant is -1");
    }
    memcpy(r[1], y, sizeof y);
    memcpy(out->m, r, sizeof r);
    return UM_OK;
}

um_orientation um_orientation_tilt(um_orientation from, double x_mrad, double y_mrad)
{
    double x = x_mrad * 1e-3, y = y_mrad * 1e-3;
    double angle = hypot(x, y);
    if (angle == 0.0) {
        return from;
    }
    /* Rodrigues about (-y, x, 0): z turns towards (x, y). */
    double n[3] = {-y / angle, x / angle, 0.0}, c = cos(angle), s = sin(angle);
    const double turn[3][3] = {{c + n[0] * n[0] * (1.0 - c), n[0] * n[1] * (1.0 - c), n[1] * s},
                               {n[0] * n[1] * (1.0 - c), c + n[1] * n[1] * (1.0 - c), -n[0] * s},
                               {-n[1] * s, n[0] * s, c}};
    return times(turn, from.m);
}
