/* What each position is called: one class per position, of states or of phases. */
#include "verify_internal.h"

#include <math.h>
#include <stdlib.h>

double um_view_fraction(const um_view *view, const float *fractions, int64_t position, int64_t class)
{
    int64_t states = view->c->truth.k;
    double sum = 0.0;
    for (int64_t t = 0; t < states; t++) {
        sum += view->class_of[t] == class ? (double)fractions[position * states + t] : 0.0;
    }
    return sum;
}

/* The class of largest fraction among those that are (not) background; -1 if there is nothing of them. */
static int32_t largest(const um_view *view, const float *fractions, int64_t position, bool background,
                       double *fraction)
{
    int32_t best = -1;
    *fraction = 0.0;
    for (int64_t i = 0; i < view->out->count; i++) {
        double f = view->out->background[i] == background ? um_view_fraction(view, fractions, position, i) : 0.0;
        if (f > *fraction) {
            *fraction = f;
            best = (int32_t)i;
        }
    }
    return best;
}

/* The strongest class that is not background where it reaches the least fraction, else the strongest background. */
static int32_t label_at(const um_view *view, const float *fractions, int64_t position)
{
    double in_front = 0.0;
    double behind = 0.0;
    int32_t object = largest(view, fractions, position, false, &in_front);
    int32_t background = largest(view, fractions, position, true, &behind);
    bool enough = view->has_background ? in_front >= view->c->options.least_fraction : in_front > 0.0;
    return enough || background < 0 ? object : background;
}

static um_status given_label(const um_comparison *c, int64_t position, int32_t *label)
{
    double value = um_array_get(c->labels, position);
    if (!(value >= 0.0 && value < (double)c->truth.k)) {
        return um_fail(c->ctx, UM_ERROR_VALUE, "truth: position %lld has label %g, but the truth has %lld states",
                       (long long)position, value, (long long)c->truth.k);
    }
    *label = (int32_t)value;
    return UM_OK;
}

static um_status make_labels(um_comparison *c, um_view *view, bool by_largest)
{
    for (int64_t p = 0; p < c->positions; p++) {
        bool seen = um_compared(c->position_mask, p);
        view->found_label[p] = seen ? label_at(view, c->found, p) : -1;
        if (by_largest && c->labels != NULL) {
            UM_TRY(given_label(c, p, &view->true_label[p]));
        } else {
            int32_t label = label_at(view, c->share, p);
            view->true_label[p] = label < 0 ? 0 : label;
        }
    }
    return UM_OK;
}

static void score_fractions(const um_view *view)
{
    const um_comparison *c = view->c;
    double all = 0.0;
    double squares_of_all = 0.0;
    for (int64_t i = 0; i < view->out->count; i++) {
        double found = 0.0;
        double share = 0.0;
        double squares = 0.0;
        double n = 0.0;
        for (int64_t p = 0; p < c->positions; p++) {
            if (um_compared(c->position_mask, p)) {
                double f = um_view_fraction(view, c->found, p, i);
                double s = um_view_fraction(view, c->share, p, i);
                found += f;
                share += s;
                squares += (f - s) * (f - s);
                n += 1.0;
            }
        }
        view->out->fractions[i] =
            (um_fraction_score){um_part(share, n), um_part(found, n), sqrt(um_part(squares, n))};
        squares_of_all += squares;
        all += n;
    }
    view->out->fraction_rms = sqrt(um_part(squares_of_all, all));
}

static um_status make_maps(um_comparison *c, um_view *view)
{
    size_t n = (size_t)c->positions;
    UM_TRY(um_buffer_alloc(c->ctx, n, sizeof(int32_t), "true labels", &view->true_label));
    return um_buffer_alloc(c->ctx, n, sizeof(int32_t), "labels found", &view->found_label);
}

static void free_maps(um_comparison *c, um_view *view)
{
    um_buffer_free(c->ctx, view->true_label);
    um_buffer_free(c->ctx, view->found_label);
}

um_status um_score_view_make(um_comparison *c, int64_t count, const int64_t *class_of, um_score_view *out)
{
    um_view view = {.c = c, .out = out, .class_of = class_of};
    bool of_states = count == c->truth.k;
    for (int64_t i = 0; i < count; i++) {
        view.has_background = view.has_background || out->background[i];
    }
    um_status status = make_maps(c, &view);
    if (status == UM_OK) {
        status = make_labels(c, &view, of_states && !view.has_background);
    }
    if (status == UM_OK) {
        status = um_score_tally(&view);
    }
    if (status == UM_OK) {
        score_fractions(&view);
    }
    if (status == UM_OK && out->particles != NULL) {
        status = um_score_particles(&view);
    }
    if (status == UM_OK && of_states && c->score->crystals == NULL) {
        status = um_score_crystals(&view);
    }
    free_maps(c, &view);
    return status;
}

void um_score_view_clear(um_score_view *view)
{
    free(view->name);
    free(view->background);
    free(view->classes);
    free(view->fractions);
    free(view->particles);
}

/* The state of the component that has most of a position; -1 if it is nobody's. */
static int32_t state_of_strongest(const um_comparison *c, const int64_t *owner, int64_t position)
{
    double most = 0.0;
    int64_t best = -1;
    for (int64_t r = 0; r < c->result.k; r++) {
        double unit = c->unit[owner[r] >= 0 ? owner[r] : c->score->state_of[r]];
        double amount = unit > 0.0 ? um_side_counts(&c->result, position, r) / unit : 0.0;
        if (amount > most) {
            most = amount;
            best = r;
        }
    }
    return best < 0 ? -1 : (int32_t)owner[best];
}

static um_status fill_one_to_one(um_comparison *c, um_view *view, int64_t *owner)
{
    for (int64_t r = 0; r < c->result.k; r++) {
        owner[r] = -1;
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        if (c->score->component_of[t] >= 0) {
            owner[c->score->component_of[t]] = t;
        }
    }
    UM_TRY(make_labels(c, view, true));
    for (int64_t p = 0; p < c->positions; p++) {
        view->found_label[p] = um_compared(c->position_mask, p) ? state_of_strongest(c, owner, p) : -1;
    }
    return um_score_tally(view);
}

um_status um_score_one_to_one(um_comparison *c)
{
    size_t states = (size_t)c->truth.k;
    um_score_view out = {.count = c->truth.k, .classes = c->score->classes};
    um_view view = {.c = c, .out = &out};
    int64_t *class_of = calloc(states + (size_t)c->result.k, sizeof *class_of);
    out.background = calloc(states, sizeof *out.background);
    um_status status = UM_OK;
    if (class_of == NULL || out.background == NULL) {
        status = um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
        goto cleanup;
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        class_of[t] = t;
    }
    view.class_of = class_of;
    status = make_maps(c, &view);
    if (status == UM_OK) {
        status = fill_one_to_one(c, &view, class_of + states);
    }
    if (status == UM_OK) {
        c->score->label_accuracy = out.accuracy[0];
        c->score->baseline = out.baseline[0];
        c->score->fraction_rms = um_score_error_by_counts(c);
    }
cleanup:
    free_maps(c, &view);
    free(class_of);
    free(out.background);
    return status;
}
