/* Dips: reflections that a state shares with others, and that its component lacks because they took them. */
#include "verify_internal.h"

#include <math.h>
#include <stdlib.h>

static const double BRIGHT = 0.05;        /* of the brightest pixel compared: a reflection */
static const double LEAST_ALONE = 0.05;   /* of the bright intensity in pixels of its own, to scale by them */

typedef struct dips {
    um_comparison *c;
    double *brightest; /* per state; 0 = nowhere in the scan */
    uint8_t *shared;
    int32_t *region;
    double *of_state, *of_component; /* sums per region */
} dips;

static double true_value(const um_comparison *c, int64_t t, int64_t q)
{
    double value = (double)c->truth.factors[t * c->pixels + q];
    return um_compared(c->pixel_mask, q) && isfinite(value) ? value : 0.0;
}

static double found_value(const um_comparison *c, int64_t r, int64_t q)
{
    double value = (double)c->result.factors[r * c->pixels + q];
    return um_compared(c->pixel_mask, q) && isfinite(value) ? value : 0.0;
}

static void find_brightest(dips *d)
{
    const um_comparison *c = d->c;
    for (int64_t t = 0; t < c->truth.k; t++) {
        double present = 0.0;
        for (int64_t p = 0; p < c->positions; p++) {
            present += um_side_counts(&c->truth, p, t);
        }
        d->brightest[t] = 0.0;
        for (int64_t q = 0; q < c->pixels && present > 0.0; q++) {
            d->brightest[t] = fmax(d->brightest[t], true_value(c, t, q));
        }
    }
}

static bool is_bright(const dips *d, int64_t t, int64_t q)
{
    return d->brightest[t] > 0.0 && true_value(d->c, t, q) >= BRIGHT * d->brightest[t];
}

/* What brings the component to the state's scale: least squares over its own reflections, or over all of them. */
static double find_scale(const dips *d, int64_t t, int64_t r)
{
    double alone = 0.0;
    double all = 0.0;
    double ab[2] = {0};
    double bb[2] = {0};
    for (int64_t q = 0; q < d->c->pixels; q++) {
        if (is_bright(d, t, q)) {
            double h = true_value(d->c, t, q);
            double g = found_value(d->c, r, q);
            int mixed = d->shared[q] != 0;
            alone += mixed ? 0.0 : h;
            all += h;
            ab[mixed] += g * h;
            bb[mixed] += g * g;
        }
    }
    if (alone >= LEAST_ALONE * all && bb[0] > 0.0) {
        return ab[0] / bb[0];
    }
    return bb[0] + bb[1] > 0.0 ? (ab[0] + ab[1]) / (bb[0] + bb[1]) : 0.0;
}

static void mark_shared(dips *d, int64_t t)
{
    for (int64_t q = 0; q < d->c->pixels; q++) {
        bool other = false;
        for (int64_t s = 0; s < d->c->truth.k && is_bright(d, t, q); s++) {
            other = other || (s != t && is_bright(d, s, q));
        }
        d->shared[q] = other;
    }
}

static um_status score_state(dips *d, int64_t t, um_state_score *state)
{
    const um_comparison *c = d->c;
    int64_t r = c->score->component_of[t];
    mark_shared(d, t);
    UM_TRY(um_label(c->ctx, c->shape.ky, c->shape.kx, d->shared, 8, d->region, &state->shared));
    state->shared_missing = 0;
    double scale = r >= 0 ? find_scale(d, t, r) : 0.0;
    for (int64_t i = 0; i < state->shared; i++) {
        d->of_state[i] = 0.0;
        d->of_component[i] = 0.0;
    }
    double missing = 0.0;
    double whole = 0.0;
    for (int64_t q = 0; q < c->pixels; q++) {
        if (d->shared[q]) {
            double h = true_value(c, t, q);
            double g = r >= 0 ? scale * found_value(c, r, q) : 0.0;
            missing += fmax(0.0, h - g);
            whole += h;
            d->of_state[d->region[q] - 1] += h;
            d->of_component[d->region[q] - 1] += g;
        }
    }
    state->dip = um_part(missing, r >= 0 ? whole : 0.0);
    for (int64_t i = 0; i < state->shared && r >= 0; i++) {
        state->shared_missing += d->of_component[i] < 0.5 * d->of_state[i];
    }
    return UM_OK;
}

um_status um_score_dips(um_comparison *c)
{
    size_t m = (size_t)c->pixels;
    dips d = {.c = c,
              .brightest = calloc((size_t)c->truth.k, sizeof(double)),
              .shared = calloc(m, 1),
              .region = calloc(m, sizeof(int32_t)),
              .of_state = calloc(m, sizeof(double)),
              .of_component = calloc(m, sizeof(double))};
    um_status status = UM_OK;
    if (d.brightest == NULL || d.shared == NULL || d.region == NULL || d.of_state == NULL ||
        d.of_component == NULL) {
        status = um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    } else {
        find_brightest(&d);
        for (int64_t t = 0; status == UM_OK && t < c->truth.k; t++) {
            status = score_state(&d, t, &c->score->state[t]);
        }
    }
    free(d.brightest);
    free(d.shared);
    free(d.region);
    free(d.of_state);
    free(d.of_component);
    return status;
}
