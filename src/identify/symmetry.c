/* Rotations that leave the diffraction of a crystal as it is, and zone axes. */
#include "identify_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Inside of the standard triangle [001] [011] [111] of cubic crystals, off every mirror of the others. */
static const double inside[3] = {0.1237, 0.3271, 0.9369};

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static void turn(const double m[3][3], const double v[3], double out[3])
{
    for (int i = 0; i < 3; i++) {
        out[i] = dot(m[i], v);
    }
}

/* ---- operations ------------------------------------------------------------------------------------------- */

static int compare_hkl(const void *a, const void *b)
{
    const int *p = ((const um_reflection *)a)->hkl, *q = ((const um_reflection *)b)->hkl;
    for (int i = 0; i < 3; i++) {
        if (p[i] != q[i]) {
            return p[i] < q[i] ? -1 : 1;
        }
    }
    return 0;
}

static double amplitude(const um_reflection *r)
{
    return hypot(r->re_A, r->im_A);
}

/* The image of each reflection is one of the same strength. */
static bool keeps_strengths(const um_reflections *all, const int w[3][3], double strongest)
{
    for (size_t i = 0; i < all->count; i++) {
        um_reflection image = {.hkl = {0}};
        for (int k = 0; k < 3; k++) {
            for (int j = 0; j < 3; j++) {
                image.hkl[k] += all->list[i].hkl[j] * w[j][k];
            }
        }
        const um_reflection *r = bsearch(&image, all->list, all->count, sizeof *r, compare_hkl);
        double f = r != NULL ? amplitude(r) : 0.0;
        if (fabs(f - amplitude(&all->list[i])) > 0.01 * strongest) {
            return false;
        }
    }
    return true;
}

/* W keeps lengths and angles: W G W^T = G. */
static bool keeps_lattice(const double g[3][3], const int w[3][3])
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            double sum = 0.0;
            for (int a = 0; a < 3; a++) {
                for (int b = 0; b < 3; b++) {
                    sum += (double)w[i][a] * g[a][b] * (double)w[k][b];
                }
            }
            if (fabs(sum - g[i][k]) > 1e-3 * sqrt(g[i][i] * g[k][k])) {
                return false;
            }
        }
    }
    return true;
}

/* g' = h W B = g (B^-1 W B), and B^-1 is the direct axes as columns. */
static void cartesian(const um_crystal *x, const int w[3][3], double q[3][3])
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            q[k][i] = 0.0;
            for (int a = 0; a < 3; a++) {
                for (int b = 0; b < 3; b++) {
                    q[k][i] += x->direct[a][i] * (double)w[a][b] * x->reciprocal[b][k];
                }
            }
        }
    }
}

static double determinant(const double m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

static void add_operation(const um_crystal *crystal, const int w[3][3], um_laue *out)
{
    double(*q)[3] = out->q[out->count];
    cartesian(crystal, w, q);
    out->proper[out->count] = determinant(q) > 0.0;
    out->count++;
}

void um_laue_find(const um_crystal *crystal, const um_reflections *reflections, um_laue *out)
{
    static const int one[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    double g[3][3], strongest = 0.0;
    out->count = 0;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            g[i][k] = dot(crystal->reciprocal[i], crystal->reciprocal[k]);
        }
    }
    for (size_t i = 0; i < reflections->count; i++) {
        strongest = fmax(strongest, amplitude(&reflections->list[i]));
    }
    add_operation(crystal, one, out);
    enum { CODES = 19683 }; /* 3^9 matrices of -1, 0, 1 */
    for (int code = 0; code < CODES && out->count < UM_LAUE_MOST; code++) {
        int w[3][3], rest = code;
        for (int i = 0; i < 9; i++) {
            w[i / 3][i % 3] = rest % 3 - 1;
            rest /= 3;
        }
        if (memcmp(w, one, sizeof w) != 0 && keeps_lattice(g, w) && keeps_strengths(reflections, w, strongest)) {
            add_operation(crystal, w, out);
        }
    }
}

bool um_laue_is_canonical(const um_laue *laue, const double direction[3])
{
    double own = dot(direction, inside);
    for (int i = 1; i < laue->count; i++) {
        double image[3];
        turn(laue->q[i], direction, image);
        if (dot(image, inside) > own + 1e-6) {
            return false;
        }
    }
    return true;
}

static void product_with_transposed(const um_orientation *a, const double q[3][3], um_orientation *out)
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++) {
            out->m[i][k] = dot(a->m[i], q[k]);
        }
    }
}

void um_laue_reduce(const um_laue *laue, um_orientation *o)
{
    int best = 0;
    double most = -INFINITY;
    for (int i = 0; i < laue->count; i++) {
        double image[3];
        turn(laue->q[i], o->m[2], image);
        double at = dot(image, inside);
        if (laue->proper[i] && at > most + 1e-9) {
            most = at;
            best = i;
        }
    }
    um_orientation out;
    product_with_transposed(o, laue->q[best], &out);
    *o = out;
}

/* ---- misorientation --------------------------------------------------------------------------------------- */

/* Angle of the rotation m in degrees, its axis. */
static double angle_of(const double m[3][3], double axis[3])
{
    const double v[3] = {m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]};
    double twice_sine = sqrt(dot(v, v)), trace = m[0][0] + m[1][1] + m[2][2];
    double angle = atan2(0.5 * twice_sine, 0.5 * (trace - 1.0));
    if (twice_sine > 1e-6) {
        for (int i = 0; i < 3; i++) {
            axis[i] = v[i] / twice_sine;
        }
    } else { /* half a turn, or none: m + 1 = 2 n n^T */
        int largest = 0;
        for (int i = 1; i < 3; i++) {
            largest = m[i][i] > m[largest][largest] ? i : largest;
        }
        double length = sqrt(fmax(0.5 * (m[largest][largest] + 1.0), 1e-12));
        for (int i = 0; i < 3; i++) {
            axis[i] = i == largest ? length : 0.25 * (m[i][largest] + m[largest][i]) / length;
        }
    }
    return angle * 180.0 / M_PI;
}

double um_laue_angle(const um_laue *laue, const um_orientation *a, const um_orientation *b, double axis[3])
{
    double least = INFINITY;
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < laue->count; i++) {
            double m[3][3], turned[3][3], now[3];
            if (!laue->proper[i]) {
                continue;
            }
            for (int r = 0; r < 3; r++) { /* b Q^T, perhaps after half a turn about the beam */
                double sign = half == 1 && r < 2 ? -1.0 : 1.0;
                for (int c = 0; c < 3; c++) {
                    turned[r][c] = sign * dot(b->m[r], laue->q[i][c]);
                }
            }
            for (int r = 0; r < 3; r++) { /* a^T (b Q^T): in the crystal */
                for (int c = 0; c < 3; c++) {
                    m[r][c] = a->m[0][r] * turned[0][c] + a->m[1][r] * turned[1][c] + a->m[2][r] * turned[2][c];
                }
            }
            double angle = angle_of(m, now);
            if (angle < least - 1e-9) {
                least = angle;
                memcpy(axis, now, sizeof now);
            }
        }
    }
    return least;
}

/* ---- zone axes -------------------------------------------------------------------------------------------- */

void um_zone_direction(const um_crystal *crystal, const int uvw[3], double direction[3])
{
    for (int k = 0; k < 3; k++) {
        direction[k] = 0.0;
        for (int i = 0; i < 3; i++) {
            direction[k] += (double)uvw[i] * crystal->direct[i][k];
        }
    }
    double length = sqrt(dot(direction, direction));
    for (int k = 0; k < 3; k++) {
        direction[k] /= length;
    }
}

static int common_divisor(int a, int b)
{
    a = abs(a);
    b = abs(b);
    while (b != 0) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The nearest of those up to `most`; ties and near ties go to low indices, because they come first. */
static double nearest(const um_crystal *crystal, const double direction[3], int most, int uvw[3])
{
    double best = -1.0;
    for (int sum = 1; sum <= 3 * most; sum++) {
        for (int u = -most; u <= most; u++) {
            for (int v = -most; v <= most; v++) {
                for (int w = -most; w <= most; w++) {
                    const int now[3] = {u, v, w};
                    if (abs(u) + abs(v) + abs(w) != sum || common_divisor(common_divisor(u, v), w) != 1) {
                        continue;
                    }
                    double axis[3];
                    um_zone_direction(crystal, now, axis);
                    double cosine = dot(axis, direction);
                    if (cosine > best + 1e-9) {
                        best = cosine;
                        memcpy(uvw, now, sizeof now);
                    }
                }
            }
        }
    }
    return acos(fmin(1.0, best));
}

double um_zone_near(const um_crystal *crystal, const double direction[3], int uvw[3])
{
    enum { MOST = 5 };
    double near_rad[MOST + 1] = {0.0, 0.06, 0.05, 0.035, 0.03, 10.0}; /* a low axis stands for more around it */
    double off = 0.0;
    for (int most = 1; most <= MOST; most++) {
        off = nearest(crystal, direction, most, uvw);
        if (off < near_rad[most]) {
            break;
        }
    }
    return off;
}
