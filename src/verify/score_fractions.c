/* How much of each state there is: counts are turned into fractions by what a full position would count. */
#include "verify_internal.h"

#include <math.h>
#include <stdlib.h>

double um_part(double part, double whole)
{
    return whole > 0.0 ? part / whole : NAN;
}

double um_side_counts(const um_side *side, int64_t position, int64_t component)
{
    double loading = (double)side->loadings[position * side->k + component];
    return isfinite(loading) ? loading * side->sums[component] : 0.0;
}

/* Counts per unit of fraction, from the truth. A state that is nowhere, or not seen in these pixels, has none. */
static void find_units(um_comparison *c)
{
    for (int64_t t = 0; t < c->truth.k; t++) {
        double counts = 0.0;
        double fraction = 0.0;
        for (int64_t p = 0; p < c->positions && c->fractions != NULL; p++) {
            if (um_compared(c->position_mask, p)) {
                counts += um_side_counts(&c->truth, p, t);
                fraction += um_array_get(c->fractions, p * c->truth.k + t);
            }
        }
        c->unit[t] = c->fractions == NULL ? 1.0 : fraction > 0.0 ? counts / fraction : 0.0;
    }
}

static void normalise(float *row, int64_t n, const double *amount)
{
    double total = 0.0;
    for (int64_t i = 0; i < n; i++) {
        total += amount[i];
    }
    for (int64_t i = 0; i < n; i++) {
        row[i] = total > 0.0 ? (float)(amount[i] / total) : 0.0F;
    }
}

/* A segmented result says what part of a position is crystal; the rest is the first state that is background. */
static void take_parts(um_comparison *c, int64_t p, double *amount)
{
    float *row = c->found + p * c->truth.k;
    double rest = 1.0;
    for (int64_t r = 0; r < c->result.k; r++) {
        double part = um_array_get(c->parts, r * c->positions + p);
        amount[c->score->state_of[r]] += part;
        rest -= part;
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        bool first = c->score->state[t].background && rest > 0.0;
        row[t] = (float)(amount[t] + (first ? rest : 0.0));
        rest = first ? 0.0 : rest;
    }
}

static void fill_share(um_comparison *c, int64_t p, double *amount)
{
    int64_t states = c->truth.k;
    for (int64_t t = 0; t < states; t++) {
        amount[t] = um_side_counts(&c->truth, p, t);
    }
    normalise(c->share + p * states, states, amount);
    for (int64_t t = 0; t < states && c->fractions != NULL; t++) {
        c->share[p * states + t] = (float)um_array_get(c->fractions, p * states + t);
    }
}

/* Pearson's r of a component's counts and a state's fractions over what is compared; 0: one of them is the same everywhere. */
static double maps_correlate(const um_comparison *c, int64_t t, int64_t r)
{
    double n = 0.0, a = 0.0, b = 0.0, aa = 0.0, bb = 0.0, ab = 0.0;
    for (int64_t p = 0; p < c->positions; p++) {
        if (um_compared(c->position_mask, p)) {
            n += 1.0;
            a += (double)c->share[p * c->truth.k + t];
            b += um_side_counts(&c->result, p, r);
        }
    }
    for (int64_t p = 0; p < c->positions; p++) {
        if (um_compared(c->position_mask, p)) {
            double x = (double)c->share[p * c->truth.k + t] - a / n, y = um_side_counts(&c->result, p, r) - b / n;
            aa += x * x;
            bb += y * y;
            ab += x * y;
        }
    }
    return aa > 1e-12 * n && bb > 1e-12 * b * b / n ? ab / sqrt(aa * bb) : 0.0;
}

/* A pattern that is matrix and precipitate together looks most like the matrix; that it is the precipitate's shows in its map. */
static um_status choose_states(um_comparison *c)
{
    for (int64_t r = 0; r < c->result.k; r++) {
        double most = 0.0;
        c->score->state_of[r] = c->score->nearest_state[r];
        for (int64_t t = 0; t < c->truth.k; t++) {
            double alike = c->score->state[t].absent ? 0.0 : c->alike[t * c->result.k + r] * maps_correlate(c, t, r);
            if (alike > most) {
                most = alike;
                c->score->state_of[r] = t;
            }
        }
        UM_TRY(um_check_cancel(c->ctx));
    }
    return UM_OK;
}

static void fill_found(um_comparison *c, int64_t p, double *amount)
{
    int64_t states = c->truth.k;
    for (int64_t t = 0; t < states; t++) {
        amount[t] = 0.0;
    }
    if (c->parts != NULL) {
        take_parts(c, p, amount);
        return;
    }
    for (int64_t r = 0; r < c->result.k; r++) {
        int64_t t = c->score->state_of[r];
        amount[t] += c->unit[t] > 0.0 ? um_side_counts(&c->result, p, r) / c->unit[t] : 0.0;
    }
    normalise(c->found + p * states, states, amount);
}

um_status um_score_fractions(um_comparison *c)
{
    double *amount = calloc((size_t)c->truth.k, sizeof *amount);
    size_t count = (size_t)(c->positions * c->truth.k);
    if (amount == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    um_status status = um_buffer_alloc(c->ctx, count, sizeof(float), "fractions found", &c->found);
    if (status == UM_OK) {
        status = um_buffer_alloc(c->ctx, count, sizeof(float), "true fractions", &c->share);
    }
    for (int64_t p = 0; status == UM_OK && p < c->positions; p++) {
        fill_share(c, p, amount);
    }
    if (status == UM_OK) {
        find_units(c);
        status = choose_states(c);
    }
    for (int64_t p = 0; status == UM_OK && p < c->positions; p++) {
        fill_found(c, p, amount);
    }
    free(amount);
    return status;
}

static double total_counts(const um_side *s, int64_t position)
{
    double total = 0.0;
    for (int64_t i = 0; i < s->k; i++) {
        total += um_side_counts(s, position, i);
    }
    return total;
}

static double share_of(double counts, double total)
{
    return total > 0.0 ? counts / total : 0.0;
}

double um_score_error_by_counts(const um_comparison *c)
{
    double squares = 0.0;
    double terms = 0.0;
    for (int64_t p = 0; p < c->positions; p++) {
        if (!um_compared(c->position_mask, p)) {
            continue;
        }
        double of_result = total_counts(&c->result, p);
        double of_truth = total_counts(&c->truth, p);
        for (int64_t t = 0; t < c->truth.k; t++) {
            int64_t r = c->score->component_of[t];
            double found = r >= 0 ? share_of(um_side_counts(&c->result, p, r), of_result) : 0.0;
            double error = found - share_of(um_side_counts(&c->truth, p, t), of_truth);
            squares += error * error;
            terms += 1.0;
        }
    }
    return sqrt(um_part(squares, terms));
}
