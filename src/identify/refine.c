/* From a coarse start to the best orientation and geometry: least squares on the pairs, then a search over tilts. */
#include "identify_internal.h"

#include <math.h>
#include <string.h>

static const double bend_rad = 0.003; /* orientations that one pattern holds */

static void turn_about_z(um_orientation *o, double angle)
{
    double c = cos(angle), s = sin(angle);
    for (int i = 0; i < 3; i++) {
        double x = o->m[0][i], y = o->m[1][i];
        o->m[0][i] = c * x - s * y;
        o->m[1][i] = s * x + c * y;
    }
}

static void turn_marks(um_mark_spot *marks, int64_t count, double angle)
{
    double c = cos(angle), s = sin(angle);
    for (int64_t i = 0; i < count; i++) {
        double x = marks[i].x, y = marks[i].y;
        marks[i].x = c * x - s * y;
        marks[i].y = s * x + c * y;
    }
}

/* a x = b for a positive definite 6 x 6 matrix. */
enum { UNKNOWNS = 6 };
static void solve(double a[UNKNOWNS][UNKNOWNS], double b[UNKNOWNS])
{
    for (int i = 0; i < UNKNOWNS; i++) {
        for (int k = i + 1; k < UNKNOWNS; k++) {
            double f = a[k][i] / a[i][i];
            for (int c = i; c < UNKNOWNS; c++) {
                a[k][c] -= f * a[i][c];
            }
            b[k] -= f * b[i];
        }
    }
    for (int i = UNKNOWNS - 1; i >= 0; i--) {
        for (int c = i + 1; c < UNKNOWNS; c++) {
            b[i] -= a[i][c] * b[c];
        }
        b[i] /= a[i][i];
    }
}

static double clamp(double x, double middle, double most)
{
    return fmin(fmax(x, middle - most), middle + most);
}

/* One step of least squares; parameters are drawn to the middle of their bounds with half of the bound as standard deviation, pairs have
 * half a pixel. Returns the turn. */
static double improve(const um_scene_of *scene, const um_bounds *bounds, const um_mark_spot *marks,
                      const um_pairing *pairs, um_geometry *g)
{
    static const double spot_error = 0.5;
    double a[UNKNOWNS][UNKNOWNS] = {{0}}, b[UNKNOWNS] = {0}, most = 0.0;
    for (int64_t i = 0; i < scene->spots; i++) {
        most = fmax(most, pairs->mark_of[i] >= 0 ? scene->spot[i].amplitude : 0.0);
    }
    for (int64_t i = 0; i < scene->spots; i++) {
        int32_t m = pairs->mark_of[i];
        if (m < 0) {
            continue;
        }
        double x = g->scale * (marks[m].x * (1.0 + g->exx) + marks[m].y * g->exy);
        double y = g->scale * (marks[m].x * g->exy + marks[m].y * (1.0 - g->exx));
        double rx = scene->spot[i].x - g->tx - x, ry = scene->spot[i].y - g->ty - y;
        double weight = scene->spot[i].amplitude / most / (spot_error * spot_error);
        weight /= 1.0 + (rx * rx + ry * ry) / (scene->sigma_px * scene->sigma_px); /* far pairs are often wrong */
        /* turn, log scale, exx, exy, tx, ty */
        const double jx[UNKNOWNS] = {-y, x, x, y, 1.0, 0.0}, jy[UNKNOWNS] = {x, y, -y, x, 0.0, 1.0};
        for (int r = 0; r < UNKNOWNS; r++) {
            for (int c = 0; c < UNKNOWNS; c++) {
                a[r][c] += weight * (jx[r] * jx[c] + jy[r] * jy[c]);
            }
            b[r] += weight * (jx[r] * rx + jy[r] * ry);
        }
    }
    const double bound[UNKNOWNS] = {0.3, bounds->scale_tolerance, bounds->strain, bounds->strain, bounds->center,
                                    bounds->center};
    const double now[UNKNOWNS] = {0.0, log(g->scale / bounds->scale), g->exx - bounds->strain_x,
                                  g->exy - bounds->strain_y, g->tx - bounds->center_x, g->ty - bounds->center_y};
    for (int r = 0; r < UNKNOWNS; r++) {
        double sigma = fmax(0.5 * bound[r], 1e-9), prior = 1.0 / (sigma * sigma);
        a[r][r] += prior;
        b[r] -= prior * now[r];
    }
    solve(a, b);
    g->scale = bounds->scale * exp(clamp(log(g->scale / bounds->scale) + b[1], 0.0, bounds->scale_tolerance));
    g->exx = clamp(g->exx + b[2], bounds->strain_x, bounds->strain);
    g->exy = clamp(g->exy + b[3], bounds->strain_y, bounds->strain);
    g->tx = clamp(g->tx + b[4], bounds->center_x, bounds->center);
    g->ty = clamp(g->ty + b[5], bounds->center_y, bounds->center);
    return clamp(b[0], 0.0, 0.1);
}

/* Geometry and rotation of one orientation: first with wide pairs. */
static void fit_geometry(const um_scene_of *scene, const um_bounds *bounds, um_mark_spot *marks, int64_t count,
                         um_fit *fit, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        um_scene_of wide = *scene;
        wide.sigma_px *= i == 0 ? 2.0 : 1.0;
        um_pair(&wide, &fit->geometry, marks, count, &fit->pairing);
        double turn = improve(scene, bounds, marks, &fit->pairing, &fit->geometry);
        turn_marks(marks, count, turn);
        turn_about_z(&fit->orientation, turn);
    }
    um_pair(scene, &fit->geometry, marks, count, &fit->pairing);
}

static bool try_tilt(const um_library *library, const um_beam_settings *beam, const um_scene_of *scene, double x_mrad,
                     double y_mrad, um_fit *fit)
{
    um_mark_spot marks[UM_MOST_MARKS];
    um_fit now = *fit;
    now.orientation = um_orientation_tilt(fit->orientation, x_mrad, y_mrad);
    int64_t count = um_marks_make(library->reflections, beam, &now.orientation, bend_rad, marks, UM_MOST_MARKS);
    um_pair(scene, &now.geometry, marks, count, &now.pairing);
    if (now.pairing.score > fit->pairing.score + 1e-6) {
        *fit = now;
        return true;
    }
    return false;
}

void um_refine(const um_library *library, const um_beam_settings *beam, const um_scene_of *scene, const um_bounds *bounds,
               const um_start *start, double step_rad, um_fit *fit)
{
    um_mark_spot marks[UM_MOST_MARKS];
    um_orientation o = library->view[start->view].orientation;
    for (int i = 0; i < 3 && start->mirrored; i++) { /* half a turn about x: the mirrored pattern, by Friedel's law */
        o.m[1][i] = -o.m[1][i];
        o.m[2][i] = -o.m[2][i];
    }
    turn_about_z(&o, start->turn_rad);
    fit->orientation = o;
    fit->geometry = (um_geometry){.scale = bounds->scale, .exx = bounds->strain_x, .exy = bounds->strain_y,
                                  .tx = bounds->center_x, .ty = bounds->center_y};
    bool coarse = step_rad > 0.0;
    int64_t count = um_marks_make(library->reflections, beam, &fit->orientation, coarse ? 0.5 * step_rad : bend_rad, marks,
                                  UM_MOST_MARKS);
    fit_geometry(scene, bounds, marks, count, fit, 3);
}

void um_refine_tilt(const um_library *library, const um_beam_settings *beam, const um_scene_of *scene,
                    const um_bounds *bounds, double step_rad, um_fit *fit)
{
    static const double way[4][2] = {{1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    um_mark_spot marks[UM_MOST_MARKS];
    int64_t count = um_marks_make(library->reflections, beam, &fit->orientation, bend_rad, marks, UM_MOST_MARKS);
    um_pair(scene, &fit->geometry, marks, count, &fit->pairing); /* sharp from here on */
    for (double step = 500.0 * step_rad; step > 1.5; step *= 0.5) {
        bool better = true;
        for (int round = 0; round < 2 && better; round++) {
            better = false;
            for (int i = 0; i < 4; i++) {
                better |= try_tilt(library, beam, scene, way[i][0] * step, way[i][1] * step, fit);
            }
        }
    }
    count = um_marks_make(library->reflections, beam, &fit->orientation, bend_rad, marks, UM_MOST_MARKS);
    um_fit settled = *fit;
    fit_geometry(scene, bounds, marks, count, &settled, 2);
    if (settled.pairing.score >= fit->pairing.score) {
        *fit = settled;
    }
}
