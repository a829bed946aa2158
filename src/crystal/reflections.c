/* Structure factors. */
#include "crystal_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Scattering factors of the elements of one crystal at one s; elements come in runs, so few are looked up. */
typedef struct factors {
    double of[100];
    bool known[100];
} factors;

static void place(const um_crystal *crystal, um_reflection *r)
{
    for (int k = 0; k < 3; k++) {
        r->g[k] = 0.0;
        for (int i = 0; i < 3; i++) {
            r->g[k] += (double)r->hkl[i] * crystal->reciprocal[i][k];
        }
    }
    r->length_per_A = sqrt(r->g[0] * r->g[0] + r->g[1] * r->g[1] + r->g[2] * r->g[2]);
}

static um_status scatter(um_context *ctx, const um_crystal *crystal, um_reflection *r)
{
    factors f = {{0}, {0}};
    double s = 0.5 * r->length_per_A;
    r->re_A = r->im_A = 0.0;
    for (size_t i = 0; i < crystal->atoms; i++) {
        const um_atom *atom = &crystal->atom[i];
        if (!f.known[atom->z]) {
            um_status status = um_electron_form_factor(ctx, atom->z, s, &f.of[atom->z]);
            if (status != UM_OK) {
                return status;
            }
            f.known[atom->z] = true;
        }
        double amplitude = atom->occupancy * f.of[atom->z] * exp(-atom->b_iso_A2 * s * s);
        double turns = (double)r->hkl[0] * atom->position[0] + (double)r->hkl[1] * atom->position[1] +
                       (double)r->hkl[2] * atom->position[2];
        double phase = 2.0 * M_PI * (turns - round(turns));
        r->re_A += amplitude * cos(phase);
        r->im_A += amplitude * sin(phase);
    }
    return UM_OK;
}

um_status um_reflection_make(um_context *ctx, const um_crystal *crystal, const int hkl[3], um_reflection *out)
{
    *out = (um_reflection){.hkl = {hkl[0], hkl[1], hkl[2]}};
    place(crystal, out);
    return scatter(ctx, crystal, out);
}

/* Calls for every hkl but 000 in the ball with l first to last, ascending. Returns how many. */
static size_t visit_ball(const um_crystal *crystal, double g_max, um_reflection *list)
{
    int most[3];
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        /* |h| = |g.a| <= |g||a| */
        most[i] = (int)floor(g_max * crystal->cell[i] + 1e-9);
    }
    for (int h = -most[0]; h <= most[0]; h++) {
        for (int k = -most[1]; k <= most[1]; k++) {
            for (int l = -most[2]; l <= most[2]; l++) {
                um_reflection r = {.hkl = {h, k, l}};
                place(crystal, &r);
                if (r.length_per_A <= g_max * (1.0 + 1e-12) && (h != 0 || k != 0 || l != 0)) {
                    if (list != NULL) {
                        list[n] = r;
                    }
                    n++;
                }
            }
        }
    }
    return n;
}

/* F(-g) is the conjugate of F(g) without absorption; -g stands at the mirror place of the ascending list. */
static um_status fill(um_context *ctx, const um_crystal *crystal, um_reflection *list, size_t count)
{
    um_status status = UM_OK;
    for (size_t i = 0; i < count / 2 && status == UM_OK; i++) {
        um_reflection *r = &list[i], *opposite = &list[count - 1 - i];
        status = i % 4096 == 0 ? um_check_cancel(ctx) : UM_OK;
        if (status == UM_OK) {
            status = scatter(ctx, crystal, r);
        }
        opposite->re_A = r->re_A;
        opposite->im_A = -r->im_A;
    }
    return status;
}

static size_t drop_extinct(um_reflection *list, size_t count)
{
    double largest = 0.0;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        double f = hypot(list[i].re_A, list[i].im_A);
        largest = f > largest ? f : largest;
    }
    for (size_t i = 0; i < count; i++) {
        if (hypot(list[i].re_A, list[i].im_A) > 1e-4 * largest) {
            list[kept++] = list[i];
        }
    }
    return kept;
}

um_status um_reflections_make(um_context *ctx, const um_crystal *crystal, double g_max_per_A, um_reflections **out)
{
    static const double most_indices = 1e8;
    *out = NULL;
    if (!(g_max_per_A > 0.0 && g_max_per_A <= 20.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "reflections up to |g| = %g 1/A: it must lie in 0 .. 20", g_max_per_A);
    }
    double ball = 4.0 / 3.0 * M_PI * pow(g_max_per_A, 3.0) * crystal->volume_A3;
    if (ball > most_indices) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "%s: %.3g reflections up to |g| = %g 1/A are too many", crystal->name,
                       ball, g_max_per_A);
    }
    um_reflections *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for reflections");
    }
    void *list = NULL;
    size_t count = visit_ball(crystal, g_max_per_A, NULL);
    um_status status = um_buffer_alloc(ctx, count > 0 ? count : 1, sizeof *all->list, "the reflections", &list);
    if (status == UM_OK) {
        all->list = list;
        all->g_max_per_A = g_max_per_A;
        all->volume_A3 = crystal->volume_A3;
        visit_ball(crystal, g_max_per_A, all->list);
        status = fill(ctx, crystal, all->list, count);
    }
    if (status != UM_OK) {
        um_reflections_free(ctx, all);
        return status;
    }
    all->count = drop_extinct(all->list, count);
    *out = all;
    return UM_OK;
}

void um_reflections_free(um_context *ctx, um_reflections *reflections)
{
    if (reflections != NULL) {
        um_buffer_free(ctx, reflections->list);
        free(reflections);
    }
}
