/* Which positions each particle of the truth owns. */
#include "score_owned.h"

#include <math.h>
#include <stdlib.h>

enum { Y = 1, X, LENGTH, WIDTH, ANGLE = 6 };

static um_box make_box(const um_detection *d, const um_array *table, int64_t row)
{
    bool calibrated = isfinite(d->view->c->step_nm[0]);
    const int64_t at = row * table->shape[1];
    double angle = um_array_get(table, at + ANGLE) * M_PI / 180.0;
    return (um_box){.y_px = um_array_get(table, at + Y),
                 .x_px = um_array_get(table, at + X),
                 .half_length = calibrated ? 0.5 * um_array_get(table, at + LENGTH) : 0.0,
                 .half_width = calibrated ? 0.5 * um_array_get(table, at + WIDTH) : 0.0,
                 .cosine = cos(angle),
                 .sine = sin(angle),
                 .centre = -1};
}

/* Square of the distance of a position to the rectangle; the angle turns from x towards the top of the picture. */
static double square_distance(const um_detection *d, const um_box *b, int64_t p)
{
    int64_t nx = d->view->c->shape.nx;
    double dy = ((double)(p / nx) - b->y_px) * d->scale[0];
    double dx = ((double)(p % nx) - b->x_px) * d->scale[1];
    double along = fmax(0.0, fabs(dx * b->cosine - dy * b->sine) - b->half_length);
    double across = fmax(0.0, fabs(dx * b->sine + dy * b->cosine) - b->half_width);
    return along * along + across * across;
}

static int64_t take_particles(um_detection *d, int64_t class)
{
    const um_comparison *c = d->view->c;
    d->count = 0;
    for (int64_t row = 0; row < c->particles->shape[0]; row++) {
        int64_t state = (int64_t)um_array_get(c->particles, row * c->particles->shape[1]);
        if (d->view->class_of[state] == class) {
            d->boxes[d->count++] = make_box(d, c->particles, row);
        }
    }
    return d->count;
}

/* Each position with enough of the class belongs to the nearest particle. */
static um_status own_positions(um_detection *d, int64_t class)
{
    const um_comparison *c = d->view->c;
    for (int64_t p = 0; p < d->positions; p++) {
        d->owner[p] = -1;
        if (!um_compared(c->position_mask, p) || d->count == 0 ||
            um_view_fraction(d->view, c->share, p, class) < c->options.least_fraction) {
            continue;
        }
        int64_t nearest = 0;
        double least = INFINITY;
        for (int64_t i = 0; i < d->count; i++) {
            double square = square_distance(d, &d->boxes[i], p);
            if (square < least) {
                least = square;
                nearest = i;
            }
        }
        d->owner[p] = (int32_t)nearest;
        d->boxes[nearest].own++;
        if (p % 4096 == 0) {
            UM_TRY(um_check_cancel(d->ctx));
        }
    }
    return UM_OK;
}

/* A particle without positions of its own is looked for at its middle; out of what is compared it does not count. */
static void place_faint(um_detection *d)
{
    const um_comparison *c = d->view->c;
    int64_t kept = 0;
    int32_t *moved = (int32_t *)d->stack; /* free here: more room than there are particles that own positions */
    for (int64_t i = 0; i < d->count; i++) {
        um_box *b = &d->boxes[i];
        int64_t y = (int64_t)floor(b->y_px + 0.5);
        int64_t x = (int64_t)floor(b->x_px + 0.5);
        bool inside = y >= 0 && y < c->shape.ny && x >= 0 && x < c->shape.nx &&
                      um_compared(c->position_mask, y * c->shape.nx + x);
        b->centre = b->own == 0 && inside ? y * c->shape.nx + x : -1;
        if (b->own > 0 || inside) {
            moved[i] = (int32_t)kept;
            d->boxes[kept++] = *b;
        }
    }
    for (int64_t p = 0; p < d->positions; p++) {
        d->owner[p] = d->owner[p] >= 0 ? moved[d->owner[p]] : -1;
    }
    d->count = kept;
}

um_status um_detection_own(um_detection *d, int64_t class)
{
    take_particles(d, class);
    UM_TRY(own_positions(d, class));
    place_faint(d);
    return UM_OK;
}

/* ---- pairs of particles and regions ----------------------------------------------------------------- */

static int by_pair(const void *a, const void *b)
{
    const um_overlap *x = a;
    const um_overlap *y = b;
    if (x->particle != y->particle) {
        return x->particle < y->particle ? -1 : 1;
    }
    return x->region < y->region ? -1 : x->region > y->region;
}

/* Best first; of equals the first particle, then the first region. */
static int by_iou(const void *a, const void *b)
{
    const um_overlap *x = a;
    const um_overlap *y = b;
    if (x->iou != y->iou) {
        return x->iou > y->iou ? -1 : 1;
    }
    return by_pair(a, b);
}

static void join_equal(um_detection *d)
{
    size_t kept = 0;
    for (size_t i = 0; i < d->pairs; i++) {
        if (kept > 0 && by_pair(&d->overlaps[kept - 1], &d->overlaps[i]) == 0) {
            d->overlaps[kept - 1].shared++;
        } else {
            d->overlaps[kept++] = d->overlaps[i];
        }
    }
    d->pairs = kept;
}

void um_overlaps_rank(um_detection *d, const int64_t *of_particle, const int64_t *of_region)
{
    qsort(d->overlaps, d->pairs, sizeof *d->overlaps, by_pair);
    join_equal(d);
    for (size_t i = 0; i < d->pairs; i++) {
        um_overlap *o = &d->overlaps[i];
        int64_t either = of_particle[o->particle] + of_region[o->region] - o->shared;
        o->iou = (double)o->shared / (double)either;
    }
    qsort(d->overlaps, d->pairs, sizeof *d->overlaps, by_iou);
}

/* ---- room ------------------------------------------------------------------------------------------- */

um_status um_detection_make(const um_view *view, um_detection *d)
{
    const um_comparison *c = view->c;
    bool calibrated = isfinite(c->step_nm[0]);
    *d = (um_detection){.view = view, .ctx = c->ctx, .positions = c->positions};
    d->scale[0] = calibrated ? c->step_nm[0] : 1.0;
    d->scale[1] = calibrated ? c->step_nm[1] : 1.0;
    size_t n = (size_t)c->positions;
    UM_TRY(um_buffer_alloc(c->ctx, n, 1, "map of a state", &d->map));
    UM_TRY(um_buffer_alloc(c->ctx, n, sizeof(int32_t), "regions", &d->region));
    UM_TRY(um_buffer_alloc(c->ctx, n, sizeof(int32_t), "particles' positions", &d->owner));
    UM_TRY(um_buffer_alloc(c->ctx, n, sizeof(int64_t), "sizes of regions", &d->size));
    size_t rows = (size_t)c->particles->shape[0];
    /* The stack is room for numbers of particles as well. */
    UM_TRY(um_buffer_alloc(c->ctx, n > rows ? n : rows, sizeof(int64_t), "regions", &d->stack));
    return um_buffer_alloc(c->ctx, rows + 1, sizeof(um_box), "particles", &d->boxes);
}

void um_detection_free(um_detection *d)
{
    void *buffers[] = {d->map, d->region, d->owner, d->size, d->stack, d->boxes, d->overlaps};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        um_buffer_free(d->ctx, buffers[i]);
    }
}
