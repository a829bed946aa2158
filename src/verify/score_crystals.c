/* Crystals: the particles that a segmented result tells of, against the truth's table. A position may be in several. */
#include "score_owned.h"

#include <math.h>
#include <stdlib.h>

static int64_t segment_at(const um_comparison *c, int64_t component, int64_t p)
{
    return um_compared(c->position_mask, p) ? (int64_t)um_array_get(c->segments, component * c->positions + p) : 0;
}

/* The regions of a class, numbered by their first position. Where two of one class meet the later one has the position. */
um_status um_detection_segments(um_detection *d, int64_t class)
{
    const um_comparison *c = d->view->c;
    int64_t *number = calloc((size_t)c->most_segment + 1, sizeof *number);
    if (number == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    d->regions = 0;
    for (int64_t p = 0; p < d->positions; p++) {
        int64_t id = 0;
        for (int64_t r = 0; r < c->result.k; r++) {
            int64_t here = d->view->class_of[c->score->state_of[r]] == class ? segment_at(c, r, p) : 0;
            id = here > 0 ? here : id;
        }
        if (id > 0 && number[id] == 0) {
            d->size[d->regions] = 0;
            number[id] = ++d->regions;
        }
        d->map[p] = id > 0;
        d->region[p] = (int32_t)(number[id] - 1);
        if (id > 0) {
            d->size[d->region[p]]++;
        }
    }
    free(number);
    return UM_OK;
}

typedef struct crystals {
    um_detection d;
    um_crystal_score *out;
    int64_t *own, *state;    /* per particle of the truth */
    int64_t *size, *class;   /* per segment, by its number */
    size_t room;
} crystals;

static um_status grow(crystals *x, size_t more)
{
    if (x->d.pairs + more <= x->room) {
        return UM_OK;
    }
    size_t room = 2 * (x->d.pairs + more);
    um_overlap *wider = NULL;
    UM_TRY(um_buffer_alloc(x->d.ctx, room, sizeof *wider, "crystals met by particles", &wider));
    for (size_t i = 0; i < x->d.pairs; i++) {
        wider[i] = x->d.overlaps[i];
    }
    um_buffer_free(x->d.ctx, x->d.overlaps);
    x->d.overlaps = wider;
    x->room = room;
    return UM_OK;
}

/* Adds the particles of one state, and the segments that each of their positions is in. */
static um_status add_state(crystals *x, int64_t t)
{
    um_detection *d = &x->d;
    const um_comparison *c = d->view->c;
    int64_t first = x->out->particles;
    UM_TRY(um_detection_own(d, t));
    for (int64_t i = 0; i < d->count; i++) {
        bool faint = d->boxes[i].centre >= 0;
        x->own[first + i] = faint ? 1 : d->boxes[i].own;
        x->state[first + i] = t;
        x->out->faint += faint;
        if (faint) {
            d->owner[d->boxes[i].centre] = (int32_t)i;
        }
    }
    for (int64_t p = 0; p < d->positions; p++) {
        UM_TRY(d->owner[p] >= 0 ? grow(x, (size_t)c->result.k) : UM_OK);
        for (int64_t r = 0; r < c->result.k && d->owner[p] >= 0; r++) {
            int64_t id = segment_at(c, r, p);
            if (id > 0) {
                d->overlaps[d->pairs++] = (um_overlap){first + d->owner[p], id, 1, 0.0};
            }
        }
    }
    x->out->particles += d->count;
    return UM_OK;
}

static void measure_segments(crystals *x)
{
    const um_comparison *c = x->d.view->c;
    for (int64_t r = 0; r < c->result.k; r++) {
        for (int64_t p = 0; p < x->d.positions; p++) {
            int64_t id = segment_at(c, r, p);
            x->size[id] += id > 0;
            x->class[id] = r;
        }
    }
    for (int64_t id = 1; id <= c->most_segment; id++) {
        x->out->found += x->size[id] > 0;
    }
}

/* Pairs are taken from the best down, each particle and each segment once. */
static void pair_up(crystals *x)
{
    const um_comparison *c = x->d.view->c;
    um_crystal_score *out = x->out;
    um_overlaps_rank(&x->d, x->own, x->size);
    for (size_t i = 0; i < x->d.pairs && x->d.overlaps[i].iou >= UM_LEAST_IOU; i++) {
        const um_overlap *o = &x->d.overlaps[i];
        if (x->own[o->particle] > 0 && x->size[o->region] > 0) {
            out->hits++;
            out->iou += o->iou;
            out->right_state += c->score->state_of[x->class[o->region]] == x->state[o->particle];
            x->own[o->particle] = x->size[o->region] = 0; /* taken */
        }
    }
    out->iou = um_part(out->iou, (double)out->hits);
    out->precision = um_part((double)out->hits, (double)out->found);
    out->recall = um_part((double)out->hits, (double)out->particles);
    out->f1 = um_part(2.0 * (double)out->hits, (double)(out->found + out->particles));
}

static um_status make_crystals(const um_view *view, crystals *x)
{
    const um_comparison *c = view->c;
    size_t rows = (size_t)c->particles->shape[0] + 1;
    size_t ids = (size_t)c->most_segment + 1;
    UM_TRY(um_detection_make(view, &x->d));
    UM_TRY(um_buffer_alloc(c->ctx, rows, sizeof *x->own, "crystals", &x->own));
    UM_TRY(um_buffer_alloc(c->ctx, rows, sizeof *x->state, "crystals", &x->state));
    UM_TRY(um_buffer_alloc(c->ctx, ids, sizeof *x->size, "crystals", &x->size));
    return um_buffer_alloc(c->ctx, ids, sizeof *x->class, "crystals", &x->class);
}

um_status um_score_crystals(const um_view *view)
{
    const um_comparison *c = view->c;
    if (c->segments == NULL || c->particles == NULL) {
        return UM_OK;
    }
    crystals x = {.out = calloc(1, sizeof *x.out)};
    if (x.out == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    c->score->crystals = x.out;
    um_status status = make_crystals(view, &x);
    for (int64_t t = 0; status == UM_OK && t < c->truth.k; t++) {
        status = c->score->state[t].background ? UM_OK : add_state(&x, t);
    }
    if (status == UM_OK) {
        measure_segments(&x);
        pair_up(&x);
    }
    um_detection_free(&x.d);
    void *buffers[] = {x.own, x.state, x.size, x.class};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        um_buffer_free(c->ctx, buffers[i]);
    }
    return status;
}
