/* Particles: regions of called maps against the truth's table, one to one. */
#include "score_owned.h"
#include "unmix/measure.h"

#include <math.h>
#include <stdlib.h>

/* Regions of the called map that are large enough, numbered anew. */
static um_status find_regions(um_detection *d, int64_t class)
{
    const um_comparison *c = d->view->c;
    int64_t all = 0;
    if (c->segments != NULL) {
        return um_detection_segments(d, class);
    }
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

static um_status find_overlaps(um_detection *d)
{
    size_t room = (size_t)d->count;
    for (int64_t p = 0; p < d->positions; p++) {
        room += d->owner[p] >= 0 && d->region[p] >= 0;
    }
    UM_TRY(um_buffer_alloc(d->ctx, room + 1, sizeof(um_overlap), "particles met by regions", &d->overlaps));
    d->pairs = 0;
    for (int64_t p = 0; p < d->positions; p++) {
        if (d->owner[p] >= 0) {
            d->boxes[d->owner[p]].call += d->map[p];
            if (d->region[p] >= 0) {
                d->overlaps[d->pairs++] = (um_overlap){d->owner[p], d->region[p], 1, 0.0};
            }
        }
    }
    for (int64_t i = 0; i < d->count; i++) {
        int64_t centre = d->boxes[i].centre;
        if (centre >= 0) {
            d->boxes[i].own = 1;
            d->boxes[i].call = d->map[centre];
            if (d->region[centre] >= 0) {
                d->overlaps[d->pairs++] = (um_overlap){i, d->region[centre], 1, 0.0};
            }
        }
    }
    for (int64_t i = 0; i < d->count; i++) {
        d->stack[i] = d->boxes[i].own; /* free here */
    }
    um_overlaps_rank(d, d->stack, d->size);
    return UM_OK;
}

/* Pairs are taken from the best down, each particle and each region once. */
static int64_t count_hits(um_detection *d)
{
    int64_t hits = 0;
    for (size_t i = 0; i < d->pairs && d->overlaps[i].iou >= UM_LEAST_IOU; i++) {
        const um_overlap *o = &d->overlaps[i];
        if (!d->boxes[o->particle].hit && d->size[o->region] > 0) {
            d->boxes[o->particle].hit = true;
            d->size[o->region] = 0; /* taken */
            hits++;
        }
    }
    return hits;
}

static void finish(const um_detection *d, um_particle_score *s)
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

static um_status score_class(um_detection *d, int64_t class, um_particle_score *s)
{
    UM_TRY(um_detection_own(d, class));
    UM_TRY(find_regions(d, class));
    UM_TRY(find_overlaps(d));
    *s = (um_particle_score){.particles = d->count, .regions = d->regions, .hits = count_hits(d)};
    for (int64_t i = 0; i < d->count; i++) {
        const um_box *b = &d->boxes[i];
        s->faint += b->centre >= 0;
        s->merged += !b->hit && 2 * b->call >= b->own;
    }
    finish(d, s);
    um_buffer_free(d->ctx, d->overlaps);
    d->overlaps = NULL;
    return UM_OK;
}

um_status um_score_particles(const um_view *view)
{
    um_detection d;
    um_score_view *out = view->out;
    um_status status = um_detection_make(view, &d);
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
    um_detection_free(&d);
    return status;
}
