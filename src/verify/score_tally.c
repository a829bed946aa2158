/* Two maps of labels against each other, within 0, 1 and 2 positions. */
#include "verify_internal.h"

#include <stdlib.h>

typedef struct tally {
    int64_t called, present, hit;
    int64_t called_near[UM_SCORE_TOLERANCES]; /* called, and in the truth so near */
    int64_t found_near[UM_SCORE_TOLERANCES];  /* true, and in the result so near */
} tally;

/* Square of the distance in positions to the nearest one with this label, 5 if it is more than 4 (2 px). */
static int64_t square_distance(um_shape shape, const int32_t *map, int64_t position, int32_t label)
{
    int64_t y = position / shape.nx;
    int64_t x = position % shape.nx;
    int64_t best = 5;
    for (int64_t dy = -2; dy <= 2; dy++) {
        for (int64_t dx = -2; dx <= 2; dx++) {
            int64_t square = dy * dy + dx * dx;
            if (square < best && y + dy >= 0 && y + dy < shape.ny && x + dx >= 0 && x + dx < shape.nx &&
                map[position + dy * shape.nx + dx] == label) {
                best = square;
            }
        }
    }
    return best;
}

static void add_near(int64_t *counts, int64_t square)
{
    for (int64_t d = 0; d < UM_SCORE_TOLERANCES; d++) {
        counts[d] += square <= d * d;
    }
}

static void count_position(const um_view *view, int64_t p, tally *tallies)
{
    um_shape shape = view->c->shape;
    int32_t called = view->found_label[p];
    int32_t label = view->true_label[p];
    tallies[label].present++;
    add_near(tallies[label].found_near, square_distance(shape, view->found_label, p, label));
    if (called >= 0) {
        tallies[called].called++;
        tallies[called].hit += called == label;
        add_near(tallies[called].called_near, square_distance(shape, view->true_label, p, called));
    }
}

static void finish_class(int64_t index, const tally *t, um_class_score *class)
{
    double hit = (double)t->hit;
    double called = (double)t->called;
    double present = (double)t->present;
    *class = (um_class_score){.truth = index,
                              .positions = t->present,
                              .called = t->called,
                              .precision = um_part(hit, called),
                              .recall = um_part(hit, present),
                              .f1 = um_part(2.0 * hit, called + present),
                              .iou = um_part(hit, called + present - hit)};
    for (int d = 0; d < UM_SCORE_TOLERANCES; d++) {
        class->precision_within[d] = um_part((double)t->called_near[d], called);
        class->recall_within[d] = um_part((double)t->found_near[d], present);
    }
}

/* The class that most positions have, of the background only or of all; -1 if there is none. */
static int64_t commonest(const um_view *view, const tally *tallies, bool background)
{
    int64_t best = -1;
    for (int64_t i = 0; i < view->out->count; i++) {
        if ((!background || view->out->background[i]) &&
            (best < 0 || tallies[i].present > tallies[best].present)) {
            best = i;
        }
    }
    return best;
}

static void find_baseline(const um_view *view, int64_t class, double all, double *baseline)
{
    int64_t near[UM_SCORE_TOLERANCES] = {0};
    for (int64_t p = 0; p < view->c->positions && class >= 0; p++) {
        if (um_compared(view->c->position_mask, p)) {
            add_near(near, square_distance(view->c->shape, view->true_label, p, (int32_t)class));
        }
    }
    for (int d = 0; d < UM_SCORE_TOLERANCES; d++) {
        baseline[d] = um_part((double)near[d], class >= 0 ? all : 0.0);
    }
}

um_status um_score_tally(const um_view *view)
{
    um_score_view *out = view->out;
    tally *tallies = calloc((size_t)out->count, sizeof *tallies);
    if (tallies == NULL) {
        return um_fail(view->c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    double all = 0.0;
    for (int64_t p = 0; p < view->c->positions; p++) {
        if (um_compared(view->c->position_mask, p)) {
            count_position(view, p, tallies);
            all += 1.0;
        }
    }
    int64_t near[UM_SCORE_TOLERANCES] = {0};
    for (int64_t i = 0; i < out->count; i++) {
        finish_class(i, &tallies[i], &out->classes[i]);
        for (int d = 0; d < UM_SCORE_TOLERANCES; d++) {
            near[d] += tallies[i].called_near[d];
        }
    }
    for (int d = 0; d < UM_SCORE_TOLERANCES; d++) {
        out->accuracy[d] = um_part((double)near[d], all);
    }
    find_baseline(view, commonest(view, tallies, false), all, out->baseline);
    find_baseline(view, commonest(view, tallies, true), all, out->baseline_background);
    free(tallies);
    return UM_OK;
}
