/* Fits of 1, 2, 3 ... components to one low-rank image, each from the one before. No read. */
#include "choose_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 24, PASSES_BEYOND = 12, DIRECTION_ROUNDS = 8 };
static const double TOLERANCE = 1e-3;

/* ---- what a fit leaves ------------------------------------------------------------------------------ */

/* In the coordinates of the image: row i is us_i - sum_c w_ic hv_c. */
typedef struct leftover {
    const um_scaled *s;
    const um_subspace *image;
    const um_nmf_state *fit;
    size_t l;
    double *hv;        /* k x l */
    double *x, *next;  /* l: a direction */
    double *row;       /* l */
    double *y;         /* n: the remainder along it */
} leftover;

static void project(leftover *k)
{
    for (size_t c = 0; c < k->fit->k; c++) {
        for (size_t i = 0; i < k->l; i++) {
            double sum = 0;
            for (size_t j = 0; j < k->s->m; j++) {
                sum += (double)k->fit->h[c * k->s->ld + j] * (double)k->image->v[i * k->s->ld + j];
            }
            k->hv[c * k->l + i] = sum;
        }
    }
}

static double take_row(leftover *k, size_t p)
{
    double norm2 = 0;
    for (size_t i = 0; i < k->l; i++) {
        k->row[i] = (double)k->image->us[p * k->l + i];
    }
    for (size_t c = 0; c < k->fit->k; c++) {
        double w = (double)k->fit->w[p * k->fit->k + c];
        for (size_t i = 0; w > 0 && i < k->l; i++) {
            k->row[i] -= w * k->hv[c * k->l + i];
        }
    }
    for (size_t i = 0; i < k->l; i++) {
        norm2 += k->row[i] * k->row[i];
    }
    return norm2;
}

/* The leading singular vectors of the remainder: x of length 1, y = remainder x. */
static void leading_direction(leftover *k)
{
    double most = -1;
    for (size_t p = 0; p < k->s->n; p++) {
        double norm2 = take_row(k, p);
        if (norm2 > most) {
            most = norm2;
            memcpy(k->x, k->row, k->l * sizeof *k->x);
        }
    }
    for (int round = 0; round < DIRECTION_ROUNDS; round++) {
        double norm2 = 0;
        for (size_t i = 0; i < k->l; i++) {
            norm2 += k->x[i] * k->x[i];
            k->next[i] = 0;
        }
        double scale = norm2 > 0 ? 1 / sqrt(norm2) : 0;
        for (size_t i = 0; i < k->l; i++) {
            k->x[i] *= scale;
        }
        for (size_t p = 0; p < k->s->n; p++) {
            (void)take_row(k, p);
            k->y[p] = 0;
            for (size_t i = 0; i < k->l; i++) {
                k->y[p] += k->row[i] * k->x[i];
            }
            for (size_t i = 0; i < k->l; i++) {
                k->next[i] += k->y[p] * k->row[i];
            }
        }
        if (round + 1 < DIRECTION_ROUNDS) {
            memcpy(k->x, k->next, k->l * sizeof *k->x);
        }
    }
}

static double part(double value, bool positive)
{
    return positive ? fmax(value, 0) : fmax(-value, 0);
}

/* The side, positive or negative, that holds more becomes component `at` of `to`, as in NNDSVD. */
static void add_direction(const leftover *k, size_t at, um_nmf_state *to)
{
    const um_scaled *s = k->s;
    float *h = to->h + at * s->ld;
    double h2[2] = {0, 0};
    double y2[2] = {0, 0};
    for (size_t j = 0; j < s->m; j++) {
        double sum = 0;
        for (size_t i = 0; i < k->l; i++) {
            sum += k->x[i] * (double)k->image->v[i * s->ld + j];
        }
        h[j] = (float)sum;
        h2[sum < 0] += sum * sum;
    }
    for (size_t p = 0; p < s->n; p++) {
        y2[k->y[p] < 0] += k->y[p] * k->y[p];
    }
    bool positive = h2[0] * y2[0] >= h2[1] * y2[1];
    for (size_t j = 0; j < s->m; j++) {
        h[j] = (float)part((double)h[j], positive);
    }
    for (size_t p = 0; p < s->n; p++) {
        to->w[p * to->k + at] = (float)part(k->y[p], positive);
    }
}

static um_status start_from_last(const um_scaled *s, const um_subspace *image, const um_nmf_state *last,
                                 um_nmf_state *to)
{
    size_t l = image->count;
    double *room = calloc(last->k * l + 3 * l + s->n, sizeof *room);
    if (room == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a start");
    }
    leftover k = {.s = s, .image = image, .fit = last, .l = l, .hv = room};
    k.x = k.hv + last->k * l;
    k.next = k.x + l;
    k.row = k.next + l;
    k.y = k.row + l;
    project(&k);
    leading_direction(&k);
    memcpy(to->h, last->h, last->k * s->ld * sizeof *to->h);
    for (size_t p = 0; p < s->n; p++) {
        memcpy(to->w + p * to->k, last->w + p * last->k, last->k * sizeof *to->w);
    }
    add_direction(&k, last->k, to);
    free(room);
    return UM_OK;
}

/* ---- fits -------------------------------------------------------------------------------------------- */

static um_status iterate(um_scaled *s, const um_subspace *image, int64_t passes, um_nmf_state *fit,
                         double *objective)
{
    const um_nmf_run run = {
        .scaled = s, .subspace = image, .tolerance = TOLERANCE, .max_passes = passes};
    bool converged = false;
    um_nmf_normalise(s, fit);
    UM_TRY(um_nmf_iterate(&run, fit, &converged));
    *objective = fit->history[fit->passes - 1];
    return UM_OK;
}

static void free_loadings(um_context *ctx, um_nmf_state *state)
{
    um_buffer_free(ctx, state->w);
    state->w = NULL;
}

static um_status fit_purest(um_scaled *s, const um_subspace *image, size_t k, um_nmf_state *fit,
                            double *objective)
{
    UM_TRY(um_nmf_state_create(s, k, PASSES, fit));
    UM_TRY(um_nmf_start_separable(s, image, fit));
    return iterate(s, image, PASSES, fit, objective);
}

static um_status fit_one(um_scaled *s, const um_subspace *image, size_t k, bool thorough, um_path *path)
{
    um_nmf_state *fit = &path->fit[k - 1];
    um_nmf_state *other = &path->other[k - 1];
    double *objective = &path->objective[k - 1];
    double other_objective = 0;
    if (k == 1) {
        return fit_purest(s, image, k, fit, objective);
    }
    UM_TRY(um_nmf_state_create(s, k, PASSES, fit));
    UM_TRY(start_from_last(s, image, &path->fit[k - 2], fit));
    UM_TRY(iterate(s, image, thorough ? PASSES : PASSES_BEYOND, fit, objective));
    if (!thorough) {
        return UM_OK;
    }
    UM_TRY(fit_purest(s, image, k, other, &other_objective));
    if (other_objective < *objective) {
        um_nmf_state keep = *fit;
        *fit = *other;
        *other = keep;
        *objective = other_objective;
    }
    free_loadings(s->ctx, other);
    return UM_OK;
}

um_status um_path_fit(um_scaled *s, const um_subspace *image, size_t most, size_t thorough, um_path *out)
{
    *out = (um_path){.most = most};
    out->fit = calloc(most, sizeof *out->fit);
    out->other = calloc(most, sizeof *out->other);
    out->objective = calloc(most, sizeof *out->objective);
    um_status status = out->fit != NULL && out->other != NULL && out->objective != NULL
                           ? UM_OK
                           : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu fits", most);
    for (size_t k = 1; status == UM_OK && k <= most; k++) {
        status = fit_one(s, image, k, k <= thorough, out);
        um_progress_add(s->ctx, 1);
    }
    if (status != UM_OK) {
        um_path_free(s->ctx, out);
    }
    return status;
}

void um_path_free(um_context *ctx, um_path *path)
{
    for (size_t i = 0; i < path->most; i++) {
        if (path->fit != NULL) {
            um_nmf_state_free(ctx, &path->fit[i]);
        }
        if (path->other != NULL) {
            um_nmf_state_free(ctx, &path->other[i]);
        }
    }
    free(path->fit);
    free(path->other);
    free(path->objective);
    *path = (um_path){.most = 0};
}
