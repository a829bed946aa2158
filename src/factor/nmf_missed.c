/* A state that the fit has no component for, as where a start has lost one, shows at a place where the residual exceeds
 * noise (excess.c). What is missing there becomes a component in place of the one that does least, and one more direction
 * of the low-rank image, orthogonal to the components, so that the image agrees with X'H' and W'X' as before and with the
 * patterns of that place as well. nmf_few.c fits this image, and reads only when the objective falls there. */
#include "factor_internal.h"
#include "pixels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REACH = 8 };                     /* positions around the strongest that are looked at */
static const double RIDGE = 1e-6;       /* equal components are told apart by nothing, not by rounding */
static const double LEAST_NORM = 1e-3;  /* of the pattern beyond the components */

typedef struct place {
    um_scaled *scaled;
    const um_nmf_state *state;
    const double *score; /* n */
    um_excess at;
    double *row;      /* m: a pattern */
    double *pattern;  /* m: what is missing, summed, in the scaled space */
    double *beyond;   /* m: of it what components do not span, of unit length */
    void *stored;
} place;

/* ---- patterns of the place -------------------------------------------------------------------- */

static void add_missing(place *l, size_t p)
{
    const um_scaled *s = l->scaled;
    const um_nmf_state *state = l->state;
    for (size_t j = 0; j < s->m; j++) {
        l->pattern[j] += (double)s->u[p] * (double)s->v[j] * l->row[j];
    }
    for (size_t c = 0; c < state->k; c++) {
        double w = (double)state->w[p * state->k + c];
        for (size_t j = 0; w > 0 && j < s->m; j++) {
            l->pattern[j] -= w * (double)state->h[c * s->ld + j];
        }
    }
}

/* What the image does not see of row p along `beyond`. */
static double unseen_of(const place *l, const um_subspace *sub, const double *along, size_t p)
{
    const um_scaled *s = l->scaled;
    double seen = 0;
    for (size_t i = 0; i < sub->count; i++) {
        seen += (double)sub->us[p * sub->count + i] * along[i];
    }
    for (size_t i = 0; i < sub->more; i++) {
        seen += (double)sub->more_us[p * sub->more + i] * along[sub->count + i];
    }
    double there = 0;
    for (size_t j = 0; j < s->m; j++) {
        there += (double)s->u[p] * (double)s->v[j] * l->row[j] * l->beyond[j];
    }
    return there - seen;
}

/* Reads the patterns that stand out; adds up what is missing, or (with `along`) fills unseen. */
static um_status visit_place(place *l, const um_subspace *sub, const double *along, float *unseen)
{
    const um_scaled *s = l->scaled;
    const um_shape shape = um_matrix_get_info(s->matrix)->shape;
    const um_dtype dtype = um_matrix_get_info(s->matrix)->dtype;
    bool (*widen)(double *, const void *, size_t) =
        um_pixel_kernels_get(um_context_isa(s->ctx))->widen[dtype];
    for (int64_t y = l->at.y - REACH; y <= l->at.y + REACH; y++) {
        for (int64_t x = l->at.x - REACH; x <= l->at.x + REACH; x++) {
            size_t p = (size_t)(y * shape.nx + x);
            if (y < 0 || x < 0 || y >= shape.ny || x >= shape.nx || !(l->score[p] > UM_EXCESS_SIGMAS) ||
                s->u[p] <= 0) {
                continue;
            }
            UM_TRY(um_matrix_read_rect(s->matrix, (um_rect){y, x, 1, 1}, l->stored));
            (void)widen(l->row, l->stored, s->m);
            for (size_t j = 0; j < s->m; j++) {
                l->row[j] = s->v[j] > 0 ? l->row[j] : 0;
            }
            if (along != NULL) {
                unseen[p] = (float)unseen_of(l, sub, along, p);
            } else {
                add_missing(l, p);
            }
        }
    }
    return UM_OK;
}

/* ---- the direction ------------------------------------------------------------------------------ */

/* The positive part of the pattern at unit length; `beyond`: less what the components span of it. False when that is
 * nothing. inverse: of H H'. */
static bool shape_pattern(place *l, const double *inverse)
{
    const um_scaled *s = l->scaled;
    size_t k = l->state->k;
    double dot[2 * UM_HALS_LARGEST] = {0};
    double norm2 = 0;
    for (size_t j = 0; j < s->m; j++) {
        l->pattern[j] = fmax(0, l->pattern[j]);
        norm2 += l->pattern[j] * l->pattern[j];
    }
    for (size_t j = 0; norm2 > 0 && j < s->m; j++) {
        l->pattern[j] /= sqrt(norm2);
        for (size_t c = 0; c < k; c++) {
            dot[c] += l->pattern[j] * (double)l->state->h[c * s->ld + j];
        }
    }
    double *share = dot + k;
    for (size_t c = 0; c < k; c++) {
        for (size_t d = 0; d < k; d++) {
            share[c] += inverse[c * k + d] * dot[d];
        }
    }
    norm2 = 0;
    for (size_t j = 0; j < s->m; j++) {
        l->beyond[j] = l->pattern[j];
        for (size_t c = 0; c < k; c++) {
            l->beyond[j] -= share[c] * (double)l->state->h[c * s->ld + j];
        }
        norm2 += l->beyond[j] * l->beyond[j];
    }
    for (size_t j = 0; norm2 > 0 && j < s->m; j++) {
        l->beyond[j] /= sqrt(norm2);
    }
    return sqrt(norm2) > LEAST_NORM;
}

/* `beyond` in the directions of the image; malloc'ed. */
static double *along_image(const place *l, const um_subspace *sub)
{
    const um_scaled *s = l->scaled;
    double *along = calloc(sub->count + sub->more + 1, sizeof *along);
    for (size_t i = 0; along != NULL && i < sub->count + sub->more; i++) {
        const float *v = i < sub->count ? sub->v + i * s->ld : sub->more_v + (i - sub->count) * s->ld;
        for (size_t j = 0; j < s->m; j++) {
            along[i] += (double)v[j] * l->beyond[j];
        }
    }
    return along;
}

/* us less what W spans of it. inverse: of W'W. */
static void project_loadings_off(const um_scaled *s, const um_nmf_state *state, const double *inverse, float *us)
{
    size_t k = state->k;
    double dot[2 * UM_HALS_LARGEST] = {0};
    double *share = dot + k;
    for (size_t p = 0; p < s->n; p++) {
        for (size_t c = 0; us[p] != 0 && c < k; c++) {
            dot[c] += (double)us[p] * (double)state->w[p * k + c];
        }
    }
    for (size_t c = 0; c < k; c++) {
        for (size_t d = 0; d < k; d++) {
            share[c] += inverse[c * k + d] * dot[d];
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        double sum = (double)us[p];
        for (size_t c = 0; c < k; c++) {
            sum -= share[c] * (double)state->w[p * k + c];
        }
        us[p] = (float)sum;
    }
}

/* ---- the component that does least --------------------------------------------------------------- */

static um_status invert(um_context *ctx, size_t k, double *g)
{
    for (size_t c = 0; c < k; c++) {
        g[c * k + c] *= 1 + RIDGE;
    }
    return um_invert_gram(ctx, k, g);
}

/* Leaving c out costs least squares |h_c|^2 / (W'W)^-1_cc when H is fitted again, |w_c|^2 / (HH')^-1_cc when W is. */
static size_t least_useful(size_t k, const double *g, const double *inverse_g, const double *inverse_h)
{
    size_t least = 0;
    double cost = INFINITY;
    for (size_t c = 0; c < k; c++) {
        size_t i = c * k + c;
        double own = g[i] > 0 ? fmin(1 / inverse_g[i], g[i] / inverse_h[i]) : 0;
        if (own < cost) {
            cost = own;
            least = c;
        }
    }
    return least;
}

static um_status replace(place *l, um_subspace *sub, um_nmf_state *state, const double *g, double *inverse_g,
                         double *inverse_h, bool *replaced)
{
    um_scaled *s = l->scaled;
    size_t k = state->k;
    memcpy(inverse_g, g, k * k * sizeof *g);
    um_gram(state->h, k, s->ld, inverse_h);
    UM_TRY(invert(s->ctx, k, inverse_g));
    UM_TRY(invert(s->ctx, k, inverse_h));
    UM_TRY(visit_place(l, sub, NULL, NULL));
    *replaced = shape_pattern(l, inverse_h);
    if (!*replaced) {
        return UM_OK;
    }
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(float), "a place of the scan", &sub->place_us));
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "a place of the scan", &sub->place_v));
    double *along = along_image(l, sub);
    um_status status = along != NULL ? visit_place(l, sub, along, sub->place_us)
                                     : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a place");
    free(along);
    UM_TRY(status);
    project_loadings_off(s, state, inverse_g, sub->place_us);
    size_t c = least_useful(k, g, inverse_g, inverse_h);
    for (size_t j = 0; j < s->m; j++) {
        sub->place_v[j] = (float)l->beyond[j];
        state->h[c * s->ld + j] = (float)l->pattern[j];
    }
    for (size_t p = 0; p < s->n; p++) {
        state->w[p * k + c] = s->u[p] > 0 && l->score[p] > UM_EXCESS_SIGMAS ? 1 : 0;
    }
    um_debug(s->ctx, "%lld positions stand out, most by %.3g sigma at y %lld, x %lld: component %zu goes there",
             (long long)l->at.positions, l->at.sigmas, (long long)l->at.y, (long long)l->at.x, c);
    return UM_OK;
}

um_status um_missed_replace(um_scaled *s, um_subspace *sub, um_nmf_state *state, const um_residual *residual,
                            const double *g, bool *replaced)
{
    size_t k = state->k;
    size_t pattern = s->m * um_dtype_size(um_matrix_get_info(s->matrix)->dtype);
    place l = {.scaled = s, .state = state};
    double *score = NULL;
    double *inverse = calloc(2 * k * k, sizeof *inverse);
    *replaced = false;
    um_status status = inverse != NULL ? um_buffer_alloc(s->ctx, s->n, sizeof *score, "a map", &score)
                                       : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", k);
    if (status == UM_OK) {
        status = um_residual_excess(s, state, residual->map_weighted, score, &l.at);
    }
    if (status == UM_OK && l.at.positions > 0) {
        l.score = score;
        status = um_buffer_alloc(s->ctx, 3 * s->m, sizeof *l.row, "patterns of a place", &l.row);
        if (status == UM_OK) {
            l.pattern = l.row + s->m;
            l.beyond = l.pattern + s->m;
            status = um_buffer_alloc(s->ctx, pattern, 1, "a pattern", &l.stored);
        }
        if (status == UM_OK) {
            status = replace(&l, sub, state, g, inverse, inverse + k * k, replaced);
        }
    }
    um_buffer_free(s->ctx, l.row);
    um_buffer_free(s->ctx, l.stored);
    um_buffer_free(s->ctx, score);
    free(inverse);
    return status;
}

void um_missed_end(um_context *ctx, um_subspace *sub)
{
    um_buffer_free(ctx, sub->place_us);
    um_buffer_free(ctx, sub->place_v);
    sub->place_us = sub->place_v = NULL;
}
