/* Particles: regions of called maps against the truth's table, one to one. */
#include "unmix/measure.h"
#include "verify_internal.h"

#include <math.h>
#include <stdlib.h>

enum { Y = 1, X, LENGTH, WIDTH, ANGLE = 6 };
static const double LEAST_IOU = 0.25; /* of a region and a particle's positions, for a hit */

/* A rectangle in nm (or, of no size, in positions when the scan is not calibrated). */
typedef struct box {
    double y_px, x_px, half_length, half_width, cosine, sine;
    int64_t own;  /* positions */
    int64_t call; /* of these, called */
    int64_t centre; /* position nearest to the middle, when it has none of its own; -1 = not in the scan */
    bool hit;
} box;

typedef struct overlap {
    int64_t particle, region, shared;
    double iou;
} overlap;

typedef struct detection {
    const um_view *view;
    um_context *ctx;
    int64_t positions;
    double scale[2]; /* nm per position along y and x, or 1 */
    uint8_t *map;
    int32_t *region, *owner;
    int64_t *stack, *size; /* size of each region */
    int64_t regions;
    box *boxes;
    int64_t count;
    overlap *overlaps;
    size_t pairs;
} detection;

static box make_box(const detection *d, const um_array *table, int64_t row)
{
    bool calibrated = isfinite(d->view->c->step_nm[0]);
    const int64_t at = row * table->shape[1];
    double angle = um_array_get(table, at + ANGLE) * M_PI / 180.0;
    return (box){.y_px = um_array_get(table, at + Y),
                 .x_px = um_array_get(table, at + X),
                 .half_length = calibrated ? 0.5 * um_array_get(table, at + LENGTH) : 0.0,
                 .half_width = calibrated ? 0.5 * um_array_get(table, at + WIDTH) : 0.0,
                 .cosine = cos(angle),
                 .sine = sin(angle),
                 .centre = -1};
}

/* Square of the distance of a position to the rectangle; the angle turns from x towards the top of the picture. */
static double square_distance(const detection *d, const box *b, int64_t p)
{
    int64_t nx = d->view->c->shape.nx;
    double dy = ((double)(p / nx) - b->y_px) * d->scale[0];
    double dx = ((double)(p % nx) - b->x_px) * d->scale[1];
    double along = fmax(0.0, fabs(dx * b->cosine - dy * b->sine) - b->half_length);
    double across = fmax(0.0, fabs(dx * b->sine + dy * b->cosine) - b->half_width);
    return along * along + across * across;
}

static int64_t take_particles(detection *d, int64_t class)
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
static um_status own_positions(detection *d, int64_t class)
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
static void place_faint(detection *d)
{
    const um_comparison *c = d->view->c;
    int64_t kept = 0;
    int32_t *moved = (int32_t *)d->stack; /* free here: more room than there are particles that own positions */
    for (int64_t i = 0; i < d->count; i++) {
        box *b = &d->boxes[i];
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

/* Regions of the called map that are large enough, numbered anew. */
static um_status find_regions(detection *d, int64_t class)
{
    const um_comparison *c = d->view->c;
    int64_t all = 0;
    for (int64_t p = 0; p < d->positions; p++) {
        d->map[p] = um_compared(c->position_mask, p) &&
                    um_view_fraction(d->view, c->found, p, class) >= c->options.least_fraction;
    }
    UM_TRY(um_label(c->ctx, c->shape.ny, c->shape.nx, d->map, 8, d->region, &all));
    int64_t *number = d->stack;
    for (int64_t r = 0; r < all; r++) {
        d->size[r] = 0;
    }
    for (int64_t p = 0; p < d->positions; p++) {
        if (--d->region[p] >= 0) { /* from 0, and -1 outside */
            d->size[d->region[p]]++;
        }
    }
    d->regions = 0;
    for (int64_t r = 0; r < all; r++) {
        number[r] = d->size[r] >= c->options.least_positions ? d->regions++ : -1;
        if (number[r] >= 0) {
            d->size[number[r]] = d->size[r];
        }
    }
    for (int64_t p = 0; p < d->positions; p++) {
        d->region[p] = d->region[p] >= 0 ? (int32_t)number[d->region[p]] : -1;
    }
    return UM_OK;
}

static int by_pair(const void *a, const void *b)
{
    const overlap *x = a;
    const overlap *y = b;
    if (x->particle != y->particle) {
        return x->particle < y->particle ? -1 : 1;
    }
    return x->region < y->region ? -1 : x->region > y->region;
}

/* Best first; of equals the first particle, then the first region. */
static int by_iou(const void *a, const void *b)
{
    const overlap *x = a;
    const overlap *y = b;
    if (x->iou != y->iou) {
        return x->iou > y->iou ? -1 : 1;
    }
    return by_pair(a, b);
}

static void join_equal(detection *d)
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

static um_status find_overlaps(detection *d)
{
    size_t room = (size_t)d->count;
    for (int64_t p = 0; p < d->positions; p++) {
        room += d->owner[p] >= 0 && d->region[p] >= 0;
    }
    UM_TRY(um_buffer_alloc(d->ctx, room + 1, sizeof(overlap), "particles met by regions", &d->overlaps));
    d->pairs = 0;
    for (int64_t p = 0; p < d->positions; p++) {
        if (d->owner[p] >= 0) {
            d->boxes[d->owner[p]].call += d->map[p];
            if (d->region[p] >= 0) {
                d->overlaps[d->pairs++] = (overlap){d->owner[p], d->region[p], 1, 0.0};
            }
        }
    }
    for (int64_t i = 0; i < d->count; i++) {
        int64_t centre = d->boxes[i].centre;
        if (centre >= 0) {
            d->boxes[i].own = 1;
            d->boxes[i].call = d->map[centre];
            if (d->region[centre] >= 0) {
                d->overlaps[d->pairs++] = (overlap){i, d->region[centre], 1, 0.0};
            }
        }
    }
    qsort(d->overlaps, d->pairs, sizeof(overlap), by_pair);
    join_equal(d);
    for (size_t i = 0; i < d->pairs; i++) {
        overlap *o = &d->overlaps[i];
        int64_t either = d->boxes[o->particle].own + d->size[o->region] - o->shared;
        o->iou = (double)o->shared / (double)either;
    }
    qsort(d->overlaps, d->pairs, sizeof(overlap), by_iou);
    return UM_OK;
}

/* Pairs are taken from the best down, each particle and each region once. */
static int64_t count_hits(detection *d)
{
    int64_t hits = 0;
    for (size_t i = 0; i < d->pairs && d->overlaps[i].iou >= LEAST_IOU; i++) {
        const overlap *o = &d->overlaps[i];
        if (!d->boxes[o->particle].hit && d->size[o->region] > 0) {
            d->boxes[o->particle].hit = true;
            d->size[o->region] = 0; /* taken */
            hits++;
        }
    }
    return hits;
}

static void finish(const detection *d, um_particle_score *s)
{
    const um_comparison *c = d->view->c;
    double area = c->step_nm[0] * c->step_nm[1] * 1e-6;
    double compared = 0.0;
    for (int64_t p = 0; p < d->positions; p++) {
        compared += um_compared(c->position_mask, p);
    }
    area *= compared;
    s->precision = um_part((double)s->hits, (double)s->regions);
    s->recall = um_part((double)s->hits, (double)s->particles);
    s->density_error = um_part((double)s->regions, (double)s->particles) - 1.0;
    s->density_true = um_part((double)s->particles, area);
    s->density_found = um_part((double)s->regions, area);
    double low = 0.0;
    double high = 0.0;
    um_count_interval(s->regions, &low, &high);
    s->density_found_low = um_part(low, area);
    s->density_found_high = um_part(high, area);
}

static um_status score_class(detection *d, int64_t class, um_particle_score *s)
{
    take_particles(d, class);
    UM_TRY(own_positions(d, class));
    place_faint(d);
    UM_TRY(find_regions(d, class));
    UM_TRY(find_overlaps(d));
    *s = (um_particle_score){.particles = d->count, .regions = d->regions, .hits = count_hits(d)};
    for (int64_t i = 0; i < d->count; i++) {
        const box *b = &d->boxes[i];
        s->faint += b->centre >= 0;
        s->merged += !b->hit && 2 * b->call >= b->own;
    }
    finish(d, s);
    um_buffer_free(d->ctx, d->overlaps);
    d->overlaps = NULL;
    return UM_OK;
}

static um_status make_detection(const um_view *view, detection *d)
{
    const um_comparison *c = view->c;
    bool calibrated = isfinite(c->step_nm[0]);
    *d = (detection){.view = view, .ctx = c->ctx, .positions = c->positions};
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
    return um_buffer_alloc(c->ctx, rows + 1, sizeof(box), "particles", &d->boxes);
}

um_status um_score_particles(const um_view *view)
{
    detection d;
    um_score_view *out = view->out;
    um_status status = make_detection(view, &d);
    um_particle_score *all = &out->particles[out->count];
    *all = (um_particle_score){0};
    for (int64_t i = 0; status == UM_OK && i < out->count; i++) {
        if (out->background[i]) {
            out->particles[i] = (um_particle_score){.precision = NAN, .recall = NAN, .density_true = NAN,
                                                    .density_found = NAN, .density_found_low = NAN,
                                                    .density_found_high = NAN, .density_error = NAN};
            continue;
        }
        status = score_class(&d, i, &out->particles[i]);
        all->particles += out->particles[i].particles;
        all->regions += out->particles[i].regions;
        all->hits += out->particles[i].hits;
        all->faint += out->particles[i].faint;
        all->merged += out->particles[i].merged;
    }
    if (status == UM_OK) {
        finish(&d, all);
    }
    void *buffers[] = {d.map, d.region, d.owner, d.size, d.stack, d.boxes, d.overlaps};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        um_buffer_free(view->c->ctx, buffers[i]);
    }
    return status;
}
