/* Spots of a pattern against reflections, as vectors. */
#include "identify_internal.h"

#include <math.h>
#include <string.h>

static bool on_detector(const um_frame *f, double x, double y)
{
    static const double side[5][2] = {{0, 0}, {1, 0}, {-1, 0}, {0, 1}, {0, -1}};
    for (int i = 0; i < 5; i++) {
        int64_t row = (int64_t)round(f->cy - y + side[i][1] * f->radius_px);
        int64_t column = (int64_t)round(f->cx + x + side[i][0] * f->radius_px);
        if (row < 1 || column < 1 || row >= f->ky - 1 || column >= f->kx - 1 ||
            (f->mask != NULL && f->mask[row * f->kx + column] != 0)) {
            return false;
        }
    }
    return true;
}

void um_scene_measure(um_scene_of *scene)
{
    static const double margin = 0.5;
    double squares = 0.0;
    for (int64_t i = 0; i < scene->spots; i++) {
        squares += scene->spot[i].amplitude * scene->spot[i].amplitude;
    }
    scene->norm = sqrt(squares);
    scene->weakest = scene->spots > 0 ? margin * scene->spot[scene->spots - 1].amplitude / scene->spot[0].amplitude : 0.0;
}

static int64_t nearest_free(const um_scene_of *scene, const um_pairing *p, double x, double y, double reach)
{
    int64_t best = -1;
    double least = reach * reach;
    for (int64_t i = 0; i < scene->spots; i++) {
        double dx = scene->spot[i].x - x, dy = scene->spot[i].y - y, d2 = dx * dx + dy * dy;
        if (d2 < least && p->mark_of[i] < 0) {
            least = d2;
            best = i;
        }
    }
    return best;
}

void um_pair(const um_scene_of *scene, const um_geometry *g, const um_mark_spot *marks, int64_t count, um_pairing *out)
{
    double sum = 0.0, squares = 0.0, near = 0.0, near_marks = 0.0;
    out->matched = 0;
    for (int64_t i = 0; i < scene->spots; i++) {
        out->mark_of[i] = -1;
    }
    for (int64_t m = 0; m < count; m++) {
        double x = g->tx + g->scale * (marks[m].x * (1.0 + g->exx) + marks[m].y * g->exy);
        double y = g->ty + g->scale * (marks[m].x * g->exy + marks[m].y * (1.0 - g->exx));
        double b = marks[m].amplitude;
        out->expected[m] = b >= scene->weakest * marks[0].amplitude && on_detector(scene->frame, x, y);
        if (!out->expected[m]) {
            continue;
        }
        squares += b * b;
        int64_t i = nearest_free(scene, out, x, y, 3.0 * scene->sigma_px);
        if (i >= 0) {
            double dx = scene->spot[i].x - x, dy = scene->spot[i].y - y, d2 = (dx * dx + dy * dy) / (scene->sigma_px * scene->sigma_px);
            double a = scene->spot[i].amplitude;
            out->mark_of[i] = (int32_t)m;
            sum += a * b * exp(-0.5 * d2);
            if (d2 < 4.0) {
                out->matched++;
                near += a * a;
                near_marks += b * b;
            }
        }
    }
    out->score = squares > 0.0 && scene->norm > 0.0 ? sum / (sqrt(squares) * scene->norm) : 0.0;
    out->explained = scene->norm > 0.0 ? near / (scene->norm * scene->norm) : 0.0;
    out->seen = squares > 0.0 ? near_marks / squares : 0.0;
}
