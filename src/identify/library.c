/* Patterns of one structure in all directions that symmetry tells apart. */
#include "identify_internal.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one pattern ------------------------------------------------------------------------------------------ */

/* Mean over the cone of 1 / (1 + ((s + swing cos t) / w)^2). */
static double mean_lorentzian(double s, double swing, double w)
{
    double complex a = 1.0 - I * (s / w);
    return creal(1.0 / csqrt(a * a + (swing / w) * (swing / w)));
}

static int strongest_first(const void *a, const void *b)
{
    const um_mark_spot *p = a, *q = b;
    if (fabs(p->amplitude - q->amplitude) > 1e-9 * (p->amplitude + q->amplitude)) {
        return p->amplitude < q->amplitude ? 1 : -1;
    }
    for (int i = 0; i < 3; i++) { /* equal in theory: by index, whatever the last bits */
        if (p->hkl[i] != q->hkl[i]) {
            return p->hkl[i] < q->hkl[i] ? 1 : -1;
        }
    }
    return 0;
}

/* Adds a reflection to a stronger one that it falls together with on the detector. */
static bool merged(const um_mark_spot *m, um_mark_spot *stronger, int64_t count, double nearer)
{
    for (int64_t i = 0; i < count && nearer > 0.0; i++) {
        double dx = m->x - stronger[i].x, dy = m->y - stronger[i].y;
        if (dx * dx + dy * dy < nearer * nearer) {
            stronger[i].amplitude = cbrt(pow(stronger[i].amplitude, 3.0) + pow(m->amplitude, 3.0));
            return true;
        }
    }
    return false;
}

int64_t um_marks_make(const um_reflections *all, const um_beam_settings *beam, const um_orientation *o,
                      double extra_rad, um_mark_spot *out, int64_t most)
{
    static const double weakest = 0.1; /* amplitude, of the largest: a thousandth of the intensity */
    enum { ROOM = 4096 };
    um_mark_spot list[ROOM];
    int64_t n = 0;
    double largest = 0.0;
    for (size_t i = 0; i < all->count && n < ROOM; i++) {
        const um_reflection *r = &all->list[i];
        double z = o->m[2][0] * r->g[0] + o->m[2][1] * r->g[1] + o->m[2][2] * r->g[2];
        double across2 = r->length_per_A * r->length_per_A - z * z;
        double s = z - 0.5 * beam->wavelength_A * across2;
        double across = sqrt(fmax(across2, 0.0)), swing = across * beam->precession_rad;
        double w = hypot(beam->width_per_A, across * extra_rad);
        if (fabs(s) > swing + 8.0 * w || across < beam->g_min_per_A || across > beam->g_max_per_A) {
            continue;
        }
        double f = hypot(r->re_A, r->im_A), amplitude = cbrt(f * f * fmax(mean_lorentzian(s, swing, w), 0.0));
        if (amplitude > weakest * largest) {
            largest = fmax(largest, amplitude);
            list[n++] = (um_mark_spot){
                .x = o->m[0][0] * r->g[0] + o->m[0][1] * r->g[1] + o->m[0][2] * r->g[2],
                .y = o->m[1][0] * r->g[0] + o->m[1][1] * r->g[1] + o->m[1][2] * r->g[2],
                .amplitude = amplitude, .hkl = {r->hkl[0], r->hkl[1], r->hkl[2]}};
        }
    }
    if (n > 0) {
        qsort(list, (size_t)n, sizeof *list, strongest_first);
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < n && kept < most && list[i].amplitude > weakest * largest; i++) {
        if (!merged(&list[i], out, kept, beam->merge_per_A)) {
            out[kept++] = list[i];
        }
    }
    return kept;
}

/* ---- directions ------------------------------------------------------------------------------------------- */

typedef struct directions {
    double (*list)[3];
    int64_t count, room;
} directions;

/* x of the picture across the direction and, where it can, the crystal's x. */
static um_orientation look_along(const double n[3])
{
    um_orientation o;
    double *x = o.m[0], *y = o.m[1], *z = o.m[2];
    const double start[3] = {fabs(n[0]) < 0.9 ? 1.0 : 0.0, fabs(n[0]) < 0.9 ? 0.0 : 1.0, 0.0};
    double along = start[0] * n[0] + start[1] * n[1], length = 0.0;
    for (int i = 0; i < 3; i++) {
        z[i] = n[i];
        x[i] = start[i] - along * n[i];
        length += x[i] * x[i];
    }
    for (int i = 0; i < 3; i++) {
        x[i] /= sqrt(length);
    }
    for (int i = 0; i < 3; i++) {
        y[i] = z[(i + 1) % 3] * x[(i + 2) % 3] - z[(i + 2) % 3] * x[(i + 1) % 3];
    }
    return o;
}

static bool wanted(const um_crystal *crystal, const um_laue *laue, const um_identify_options *o, const double n[3])
{
    if (!um_laue_is_canonical(laue, n)) {
        return false;
    }
    for (size_t i = 0; i < o->zones; i++) {
        double axis[3];
        um_zone_direction(crystal, o->zone[i], axis);
        for (int q = 0; q < laue->count; q++) {
            double cosine = 0.0;
            for (int r = 0; r < 3; r++) {
                cosine += n[r] * (laue->q[q][r][0] * axis[0] + laue->q[q][r][1] * axis[1] + laue->q[q][r][2] * axis[2]);
            }
            if (cosine >= cos(o->near_deg * M_PI / 180.0)) {
                return true;
            }
        }
    }
    return o->zones == 0;
}

static um_status add(um_context *ctx, directions *d, const double n[3])
{
    if (d->count == d->room) {
        int64_t room = d->room * 2 + 512;
        double(*more)[3] = realloc(d->list, (size_t)room * sizeof *more);
        if (more == NULL) {
            return um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory for %lld directions", (long long)room);
        }
        d->list = more;
        d->room = room;
    }
    memcpy(d->list[d->count++], n, sizeof d->list[0]);
    return UM_OK;
}

/* Low zone axes exactly, then rings about z, `step` apart both ways. */
static um_status choose_directions(um_context *ctx, const um_crystal *crystal, const um_laue *laue,
                                   const um_identify_options *o, directions *d)
{
    enum { LOW = 2 };
    for (int code = 0; code < 125; code++) {
        const int uvw[3] = {code / 25 - LOW, code / 5 % 5 - LOW, code % 5 - LOW};
        double n[3];
        um_zone_direction(crystal, uvw, n);
        bool whole = (uvw[0] | uvw[1] | uvw[2]) & 1; /* [200] is [100] */
        if (whole && wanted(crystal, laue, o, n)) {
            UM_TRY(add(ctx, d, n));
        }
    }
    double step = o->step_deg * M_PI / 180.0;
    int64_t rings = (int64_t)ceil(M_PI / step);
    for (int64_t i = 0; i < rings; i++) {
        double polar = M_PI * ((double)i + 0.5) / (double)rings;
        int64_t around = (int64_t)ceil(2.0 * M_PI * sin(polar) / step);
        for (int64_t k = 0; k < around; k++) {
            double azimuth = 2.0 * M_PI * ((double)k + 0.5 * (double)(i % 2)) / (double)around;
            const double n[3] = {sin(polar) * cos(azimuth), sin(polar) * sin(azimuth), cos(polar)};
            if (wanted(crystal, laue, o, n)) {
                UM_TRY(add(ctx, d, n));
            }
        }
    }
    return UM_OK;
}

/* ---- the library ------------------------------------------------------------------------------------------ */

enum { MOST_IN_VIEW = 80 };

static um_polar_spot polar(const um_mark_spot *m)
{
    double angle = atan2(m->y, m->x);
    angle = angle < 0.0 ? angle + M_PI : angle;
    return (um_polar_spot){(float)hypot(m->x, m->y), (float)(angle >= M_PI ? 0.0 : angle), (float)m->amplitude};
}

static um_status fill(um_context *ctx, const um_beam_settings *beam, double half_step, const directions *d,
                      um_library *out)
{
    um_mark_spot marks[MOST_IN_VIEW];
    UM_TRY(um_buffer_alloc(ctx, (size_t)d->count + 1, sizeof *out->view, "a library of patterns", &out->view));
    UM_TRY(um_buffer_alloc(ctx, (size_t)d->count * MOST_IN_VIEW + 1, sizeof *out->spot, "a library of patterns",
                           &out->spot));
    out->views = d->count;
    for (int64_t v = 0; v < d->count; v++) {
        um_view_of *view = &out->view[v];
        *view = (um_view_of){.orientation = look_along(d->list[v]), .first = out->spots};
        view->count = (int32_t)um_marks_make(out->reflections, beam, &view->orientation, half_step, marks, MOST_IN_VIEW);
        double squares = 0.0;
        for (int32_t i = 0; i < view->count; i++) {
            out->spot[out->spots++] = polar(&marks[i]);
            squares += marks[i].amplitude * marks[i].amplitude;
        }
        view->norm = (float)sqrt(squares);
        if (v % 256 == 0) {
            UM_TRY(um_check_cancel(ctx));
        }
    }
    return UM_OK;
}

um_status um_library_make(um_context *ctx, const um_crystal *crystal, const um_beam_settings *beam,
                          const um_identify_options *options, um_library *out)
{
    *out = (um_library){.crystal = crystal};
    double across = beam->g_max_per_A;
    double above = 0.5 * beam->wavelength_A * across * across + across * beam->precession_rad +
                   8.0 * (beam->width_per_A + across * 0.5 * options->step_deg * M_PI / 180.0);
    um_status status = um_reflections_make(ctx, crystal, hypot(across, above), &out->reflections);
    char key[65];
    if (status == UM_OK) {
        um_laue_find(crystal, out->reflections, &out->laue);
        um_library_key(crystal, beam, options, key);
        out->kept = options->cache != NULL && um_library_recall(ctx, options->cache, key, out);
    }
    if (status == UM_OK && !out->kept) {
        directions d = {0};
        status = choose_directions(ctx, crystal, &out->laue, options, &d);
        if (status == UM_OK) {
            status = fill(ctx, beam, 0.5 * options->step_deg * M_PI / 180.0, &d, out);
        }
        free(d.list);
        if (status == UM_OK && options->cache != NULL) {
            um_library_keep(ctx, options->cache, key, out);
        }
    }
    if (status != UM_OK) {
        um_library_clear(ctx, out);
    }
    return status;
}

void um_library_clear(um_context *ctx, um_library *library)
{
    um_reflections_free(ctx, library->reflections);
    um_buffer_free(ctx, library->view);
    um_buffer_free(ctx, library->spot);
    *library = (um_library){0};
}
