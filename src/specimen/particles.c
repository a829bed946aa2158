/* The table of particles: outline, place, and how much of each body is in the foil and in the field. */
#include "specimen_internal.h"

#include <math.h>

/* Long direction of the outline: that of the largest second moment of the projected half axes. */
void um_body_outline(const um_body *body, um_particle *p)
{
    double xx = 0.0, yy = 0.0, xy = 0.0, most = 0.0, least = 0.0;
    for (int i = 0; i < 3; i++) {
        double h = body->half_nm[i], x = body->axis[i][0], y = body->axis[i][1];
        xx += h * h * x * x;
        yy += h * h * y * y;
        xy += h * h * x * y;
    }
    double angle = 0.5 * atan2(2.0 * xy, xx - yy), c = cos(angle), s = sin(angle);
    for (int i = 0; i < 3; i++) {
        most += pow(body->half_nm[i] * (body->axis[i][0] * c + body->axis[i][1] * s), 2.0);
        least += pow(body->half_nm[i] * (body->axis[i][1] * c - body->axis[i][0] * s), 2.0);
    }
    p->length_nm = 2.0 * sqrt(most);
    p->width_nm = 2.0 * sqrt(least);
    p->angle_deg = angle * 180.0 / M_PI;
}

static double whole_volume(const um_body *body)
{
    const double *h = body->half_nm;
    switch (body->shape) {
    case UM_SHAPE_BOX:
        return 8.0 * h[0] * h[1] * h[2];
    case UM_SHAPE_CYLINDER:
        return 2.0 * M_PI * h[0] * h[0] * h[2];
    case UM_SHAPE_SPHERE:
        return 4.0 / 3.0 * M_PI * h[0] * h[0] * h[0];
    }
    return 0.0;
}

/* Chords along the beam at the middles of a grid over the outline: the projected area, and parts of the volume. */
static void measure(const um_specimen *s, const um_body *body, um_particle *p)
{
    enum { ALONG = 48 };
    const double turn = p->angle_deg * M_PI / 180.0, c = cos(turn), d = sin(turn);
    const double u[3] = {c, d, 0.0}, v[3] = {-d, c, 0.0};
    const double ru = um_body_reach_along(body, u), rv = um_body_reach_along(body, v);
    const double half_x = 0.5 * (double)s->nx * s->step_nm, half_y = 0.5 * (double)s->ny * s->step_nm;
    double all = 0.0, in_foil = 0.0, in_field = 0.0;
    int64_t covered = 0;
    for (int i = 0; i < ALONG * ALONG; i++) {
        double a = ru * (2.0 * ((double)(i / ALONG) + 0.5) / ALONG - 1.0);
        double b = rv * (2.0 * ((double)(i % ALONG) + 0.5) / ALONG - 1.0);
        double x = body->center_nm[0] + a * c - b * d, y = body->center_nm[1] + a * d + b * c;
        um_span whole = um_body_span(body, x, y), inside = um_specimen_in_foil(s, whole);
        double length = fmax(0.0, inside.to - inside.from);
        all += fmax(0.0, whole.to - whole.from);
        in_foil += length;
        in_field += fabs(x) <= half_x && fabs(y) <= half_y ? length : 0.0;
        covered += length > 0.0;
    }
    p->area_nm2 = 4.0 * ru * rv * (double)covered / (ALONG * ALONG);
    p->in_foil = all > 0.0 ? in_foil / all : 0.0;
    p->in_field = in_foil > 0.0 ? in_field / in_foil : 0.0;
    p->volume_nm3 = whole_volume(body) * p->in_foil;
}

static bool describe(const um_specimen *s, const um_body *body, um_particle *p)
{
    double rx = um_body_reach(body, 0), ry = um_body_reach(body, 1), rz = um_body_reach(body, 2);
    const double *c = body->center_nm;
    um_span span = um_specimen_in_foil(s, (um_span){c[2] - rz, c[2] + rz});
    if (!(span.to > span.from) || fabs(c[0]) - rx > 0.5 * (double)s->nx * s->step_nm ||
        fabs(c[1]) - ry > 0.5 * (double)s->ny * s->step_nm) {
        return false;
    }
    um_span middle = um_specimen_in_foil(s, um_body_span(body, c[0], c[1]));
    *p = (um_particle){.state = s->grain[body->grain].state,
                       .y_px = 0.5 * (double)(s->ny - 1) - c[1] / s->step_nm,
                       .x_px = 0.5 * (double)(s->nx - 1) + c[0] / s->step_nm,
                       .thickness_nm = fmax(0.0, middle.to - middle.from),
                       .depth_nm = s->solid ? 0.5 * s->thickness_nm - c[2] : 0.0};
    um_body_outline(body, p);
    return true;
}

um_status um_specimen_list_particles(um_context *ctx, um_specimen *s)
{
    um_particle one;
    size_t count = 0;
    for (int64_t i = 0; i < s->bodies; i++) {
        count += describe(s, &s->body[i], &one);
    }
    UM_TRY(um_buffer_alloc(ctx, count > 0 ? count : 1, sizeof *s->particle, "the table of particles", &s->particle));
    for (int64_t i = 0; i < s->bodies && s->particles < count; i++) {
        um_particle *p = &s->particle[s->particles];
        if (describe(s, &s->body[i], p)) {
            measure(s, &s->body[i], p);
            s->particles++;
        }
        UM_TRY(i % 256 == 0 ? um_check_cancel(ctx) : UM_OK);
    }
    return UM_OK;
}
