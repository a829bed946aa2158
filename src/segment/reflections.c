/* What of a pattern are reflections: all that stands above the ring of pixels at the same distance from the beam. */
#include "segment_internal.h"

#include "prep_internal.h"

#include <math.h>
#include <stdlib.h>

static const double ABOVE = 3; /* robust standard deviations of the ring */

/* ---- the beam --------------------------------------------------------------------------------------- */

static um_status find_beam(um_parts *p, const um_segment_options *o)
{
    double *mean = NULL;
    UM_TRY(um_buffer_alloc(p->ctx, (size_t)p->pixels, sizeof *mean, "the mean pattern", &mean));
    const float *factors = um_model_factors(p->model);
    for (int64_t c = 0; c < p->k; c++) {
        for (int64_t q = 0; q < p->pixels; q++) {
            double v = factors[c * p->pixels + q];
            mean[q] += um_kept(p->pixel_mask, q) && isfinite(v) ? p->total[c] * v : 0;
        }
    }
    um_beam beam = {0};
    um_status status = UM_OK;
    if (!um_mask_center(p->pixel_mask, p->shape.ky, p->shape.kx, &beam)) {
        status = um_beam_measure(p->ctx, mean, p->pixel_mask, p->shape.ky, p->shape.kx, &beam);
    }
    p->beam[0] = isfinite(o->beam_y) ? o->beam_y : beam.y;
    p->beam[1] = isfinite(o->beam_x) ? o->beam_x : beam.x;
    p->beam[2] = isfinite(o->beam_radius_px) ? o->beam_radius_px : beam.radius_px;
    um_buffer_free(p->ctx, mean);
    return status;
}

/* ---- rings ------------------------------------------------------------------------------------------ */

typedef struct rings {
    int64_t count;
    int64_t *first; /* count + 1: where each ring begins in `pixel` */
    int64_t *pixel;
    double *room;
} rings;

static void free_rings(rings *r)
{
    free(r->first);
    free(r->pixel);
    free(r->room);
}

static int64_t ring_of(const um_parts *p, int64_t q)
{
    double r = hypot((double)(q / p->shape.kx) - p->beam[0], (double)(q % p->shape.kx) - p->beam[1]);
    return r <= p->beam[2] ? -1 : (int64_t)(r - p->beam[2]);
}

/* Pixels outside the beam, ring by ring. */
static um_status make_rings(const um_parts *p, rings *r)
{
    r->count = 2 + (int64_t)hypot((double)p->shape.ky + fabs(p->beam[0]), (double)p->shape.kx + fabs(p->beam[1]));
    r->first = calloc((size_t)r->count + 2, sizeof *r->first);
    r->pixel = calloc((size_t)p->pixels, sizeof *r->pixel);
    r->room = calloc((size_t)p->pixels, sizeof *r->room);
    if (r->first == NULL || r->pixel == NULL || r->room == NULL) {
        return um_fail(p->ctx, UM_ERROR_MEMORY, "no memory for rings around the beam");
    }
    for (int64_t q = 0; q < p->pixels; q++) {
        int64_t ring = um_kept(p->pixel_mask, q) ? ring_of(p, q) : -1;
        r->first[ring + 2] += ring >= 0;
    }
    for (int64_t i = 0; i <= r->count; i++) {
        r->first[i + 1] += r->first[i];
    }
    for (int64_t q = 0; q < p->pixels; q++) { /* first[i + 1] is where ring i goes on, and in the end where it ends */
        int64_t ring = um_kept(p->pixel_mask, q) ? ring_of(p, q) : -1;
        if (ring >= 0) {
            r->pixel[r->first[ring + 1]++] = q;
        }
    }
    return UM_OK;
}

/* The level that reflections of this ring stand above. */
static double level_of(const float *pattern, const int64_t *pixel, int64_t n, double *room)
{
    for (int64_t i = 0; i < n; i++) {
        room[i] = pattern[pixel[i]];
    }
    double middle = um_median(room, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        room[i] = fabs(pattern[pixel[i]] - middle);
    }
    return middle + ABOVE * 1.4826 * um_median(room, (size_t)n);
}

static void take_reflections(um_parts *p, const rings *r, int64_t c)
{
    const float *pattern = um_model_factors(p->model) + c * p->pixels;
    double *to = p->reflections + c * p->pixels;
    double around = 0;
    for (int64_t i = 0; i < r->count; i++) {
        const int64_t *pixel = r->pixel + r->first[i];
        int64_t n = r->first[i + 1] - r->first[i];
        double level = n > 0 ? level_of(pattern, pixel, n, r->room) : 0;
        for (int64_t j = 0; j < n; j++) {
            double v = pattern[pixel[j]];
            around += v;
            to[pixel[j]] = fmax(0, v - level);
        }
    }
    double most = 0;
    for (int64_t q = 0; q < p->pixels; q++) {
        most = fmax(most, to[q]);
    }
    for (int64_t q = 0; q < p->pixels; q++) {
        to[q] = to[q] > 0.03 * most ? to[q] : 0; /* specks are no reflections */
        p->strength[c] += to[q];
    }
    p->share[c] = around > 0 ? p->strength[c] / around : 0;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static um_status check_values(um_parts *p)
{
    const float *factors = um_model_factors(p->model);
    const float *loadings = um_model_loadings(p->model);
    for (int64_t c = 0; c < p->k; c++) {
        for (int64_t q = 0; q < p->pixels; q++) {
            double v = factors[c * p->pixels + q];
            if (um_kept(p->pixel_mask, q) && !(v >= 0 && v < INFINITY)) {
                return um_fail(p->ctx, UM_ERROR_VALUE,
                               "component %lld has %g at pixel %lld: segments need components that are not negative "
                               "(unmix nmf)", (long long)c, v, (long long)q);
            }
            p->counts[c] += um_kept(p->pixel_mask, q) ? v : 0;
        }
    }
    for (int64_t i = 0; i < p->positions; i++) {
        for (int64_t c = 0; c < p->k && um_kept(p->position_mask, i); c++) {
            double v = loadings[i * p->k + c];
            if (!(v >= 0 && v < INFINITY)) {
                return um_fail(p->ctx, UM_ERROR_VALUE,
                               "component %lld has a loading of %g at position %lld: segments need loadings that are not "
                               "negative (unmix nmf)", (long long)c, v, (long long)i);
            }
            p->total[c] += v;
        }
    }
    return UM_OK;
}

um_status um_parts_make(um_context *ctx, um_model *model, const um_segment_options *options, um_parts *p)
{
    *p = (um_parts){.ctx = ctx, .model = model, .shape = um_model_shape(model), .k = um_model_k(model),
                    .pixel_mask = um_model_signal_mask(model), .position_mask = um_model_navigation_mask(model)};
    p->positions = p->shape.ny * p->shape.nx;
    p->pixels = p->shape.ky * p->shape.kx;
    size_t k = (size_t)p->k;
    UM_TRY(um_buffer_alloc(ctx, k, (size_t)p->pixels * sizeof(double), "reflections", &p->reflections));
    p->strength = calloc(5 * k, sizeof(double));
    p->class_of = calloc(k, sizeof *p->class_of);
    p->reason = calloc(k, sizeof *p->reason);
    if (p->strength == NULL || p->class_of == NULL || p->reason == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for components");
    }
    p->share = p->strength + k;
    p->total = p->share + k;
    p->counts = p->total + k;
    p->continuity = p->counts + k;
    UM_TRY(check_values(p));
    UM_TRY(find_beam(p, options));
    rings r = {0};
    um_status status = make_rings(p, &r);
    for (int64_t c = 0; status == UM_OK && c < p->k; c++) {
        take_reflections(p, &r, c);
        status = um_check_cancel(ctx);
    }
    free_rings(&r);
    return status;
}

void um_parts_free(um_parts *p)
{
    um_buffer_free(p->ctx, p->reflections);
    free(p->strength);
    free(p->class_of);
    free(p->reason);
}
