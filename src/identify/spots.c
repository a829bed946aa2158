/* The spots of a pattern: blobs above the median of their ring. */
#include "identify_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double least_sigmas = 6.0;    /* of the ring's scatter */
static const double least_part = 0.001;    /* of the strongest */

typedef struct work {
    const um_frame *frame;
    const double *pattern;
    double *smooth;            /* NaN under the mask */
    double *ring, *scatter;    /* per px of radius: median and scatter of the smoothed pattern */
    int64_t rings;
} work;

static bool usable(const um_frame *f, const double *pattern, int64_t i)
{
    return (f->mask == NULL || f->mask[i] == 0) && isfinite(pattern[i]);
}

static double radius_of(const um_frame *f, int64_t i)
{
    return hypot((double)(i / f->kx) - f->cy, (double)(i % f->kx) - f->cx);
}

/* Gaussian over what is not masked, rows then columns, kept with its weights. */
static um_status smoothen(um_context *ctx, work *w, double sigma)
{
    int64_t ky = w->frame->ky, kx = w->frame->kx, pixels = ky * kx, reach = (int64_t)ceil(3.0 * sigma);
    double *half = NULL, *weight = NULL;
    um_status status = um_buffer_alloc(ctx, (size_t)pixels, sizeof *half, "a smoothed pattern", &half);
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, (size_t)pixels, sizeof *weight, "a smoothed pattern", &weight);
    }
    for (int64_t i = 0; i < pixels && status == UM_OK; i++) {
        int64_t y = i / kx, x = i % kx;
        for (int64_t u = x - reach < 0 ? 0 : x - reach; u <= x + reach && u < kx; u++) {
            if (usable(w->frame, w->pattern, y * kx + u)) {
                double g = exp(-0.5 * (double)((u - x) * (u - x)) / (sigma * sigma));
                half[i] += g * w->pattern[y * kx + u];
                weight[i] += g;
            }
        }
    }
    for (int64_t i = 0; i < pixels && status == UM_OK; i++) {
        int64_t y = i / kx, x = i % kx;
        double sum = 0.0, all = 0.0;
        for (int64_t v = y - reach < 0 ? 0 : y - reach; v <= y + reach && v < ky; v++) {
            double g = exp(-0.5 * (double)((v - y) * (v - y)) / (sigma * sigma));
            sum += g * half[v * kx + x];
            all += g * weight[v * kx + x];
        }
        w->smooth[i] = usable(w->frame, w->pattern, i) ? sum / all : NAN;
    }
    um_buffer_free(ctx, half);
    um_buffer_free(ctx, weight);
    return status;
}

/* Median, and the scatter of the lower half, of what is no spot: the top is cut at three times the scatter until nothing goes. */
static void measure_ring(double *values, int64_t count, double *median, double *scatter)
{
    qsort(values, (size_t)count, sizeof *values, um_compare_f64);
    *median = *scatter = 0.0;
    for (int64_t left = 0; count > 0 && left != count;) {
        left = count;
        *median = 0.5 * (values[(count - 1) / 2] + values[count / 2]);
        *scatter = (*median - values[count / 4]) / 0.6745;
        while (count > 4 && values[count - 1] > *median + 3.0 * *scatter) {
            count--;
        }
    }
}

static um_status measure_rings(um_context *ctx, work *w)
{
    int64_t pixels = w->frame->ky * w->frame->kx;
    int64_t *start = calloc((size_t)w->rings + 1, sizeof *start);
    double *values = NULL;
    um_status status = start != NULL ? um_buffer_alloc(ctx, (size_t)pixels, sizeof *values, "rings", &values)
                                     : um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
    for (int64_t i = 0; i < pixels && status == UM_OK; i++) {
        if (!isnan(w->smooth[i])) {
            start[(int64_t)radius_of(w->frame, i) + 1]++;
        }
    }
    for (int64_t r = 0; r < w->rings && status == UM_OK; r++) {
        start[r + 1] += start[r];
    }
    for (int64_t i = pixels - 1; i >= 0 && status == UM_OK; i--) { /* start[r] ends as the first of ring r */
        if (!isnan(w->smooth[i])) {
            values[--start[(int64_t)radius_of(w->frame, i) + 1]] = w->smooth[i];
        }
    }
    for (int64_t r = 0; r < w->rings && status == UM_OK; r++) {
        int64_t first = start[r + 1], end = r + 2 <= w->rings ? start[r + 2] : first;
        end = r + 1 == w->rings ? first : end;
        measure_ring(values + first, end - first, &w->ring[r], &w->scatter[r]);
    }
    um_buffer_free(ctx, values);
    free(start);
    return status;
}

/* Between the middles of rings. */
static double background(const work *w, double radius)
{
    double at = radius - 0.5;
    int64_t i = at > 0.0 ? (int64_t)at : 0;
    double part = at > 0.0 ? at - (double)i : 0.0;
    int64_t next = i + 1 < w->rings ? i + 1 : i;
    return (1.0 - part) * w->ring[i] + part * w->ring[next];
}

static bool is_top(const work *w, int64_t i, int64_t reach)
{
    int64_t ky = w->frame->ky, kx = w->frame->kx, y = i / kx, x = i % kx;
    if (y < 1 || x < 1 || y >= ky - 1 || x >= kx - 1) {
        return false;
    }
    for (int64_t v = y - reach; v <= y + reach; v++) {
        for (int64_t u = x - reach; u <= x + reach; u++) {
            if (v < 0 || u < 0 || v >= ky || u >= kx || (v == y && u == x)) {
                continue;
            }
            double other = w->smooth[v * kx + u];
            bool before = v * kx + u < i;
            if (other > w->smooth[i] || (before && other == w->smooth[i])) {
                return false;
            }
        }
    }
    return true;
}

/* Centre of mass above the background within `reach`, twice; the counts in it. False: much of it is masked. */
static bool weigh(const work *w, int64_t i, double reach, um_blob_spot *out)
{
    int64_t ky = w->frame->ky, kx = w->frame->kx;
    double cy = (double)(i / kx), cx = (double)(i % kx), sum = 0.0;
    for (int turn = 0; turn < 3; turn++) {
        double my = 0.0, mx = 0.0;
        int64_t seen = 0, all = 0;
        sum = 0.0;
        for (int64_t v = (int64_t)floor(cy - reach); v <= (int64_t)ceil(cy + reach); v++) {
            for (int64_t u = (int64_t)floor(cx - reach); u <= (int64_t)ceil(cx + reach); u++) {
                if (hypot((double)v - cy, (double)u - cx) > reach) {
                    continue;
                }
                all++;
                if (v < 0 || u < 0 || v >= ky || u >= kx || !usable(w->frame, w->pattern, v * kx + u)) {
                    continue;
                }
                seen++;
                double value = fmax(0.0, w->pattern[v * kx + u] - background(w, radius_of(w->frame, v * kx + u)));
                sum += value;
                my += value * (double)v;
                mx += value * (double)u;
            }
        }
        if (!(sum > 0.0) || 4 * seen < 3 * all) {
            return false;
        }
        cy = my / sum;
        cx = mx / sum;
    }
    *out = (um_blob_spot){.x = cx - w->frame->cx, .y = w->frame->cy - cy, .amplitude = cbrt(sum)};
    return true;
}

/* Radius of the area around a spot that is above half of its height. */
static double half_radius(const work *w, const um_blob_spot *s)
{
    enum { REACH = 8 };
    const um_frame *f = w->frame;
    int64_t cy = (int64_t)round(f->cy - s->y), cx = (int64_t)round(f->cx + s->x), area = 0;
    double top = 0.0;
    for (int turn = 0; turn < 2; turn++) {
        for (int64_t y = cy - REACH; y <= cy + REACH; y++) {
            for (int64_t x = cx - REACH; x <= cx + REACH; x++) {
                double r = hypot((double)(y - cy), (double)(x - cx));
                if (y < 0 || x < 0 || y >= f->ky || x >= f->kx || r > REACH || !usable(f, w->pattern, y * f->kx + x)) {
                    continue;
                }
                double above = w->pattern[y * f->kx + x] - background(w, radius_of(f, y * f->kx + x));
                top = turn == 0 && r < 2.0 ? fmax(top, above) : top;
                area += turn == 1 && above > 0.5 * top;
            }
        }
    }
    return sqrt((double)area / M_PI);
}

static int brightest_first(const void *a, const void *b)
{
    const um_blob_spot *p = a, *q = b;
    if (p->amplitude != q->amplitude) {
        return p->amplitude < q->amplitude ? 1 : -1;
    }
    return p->x != q->x ? (p->x < q->x ? 1 : -1) : (p->y < q->y) - (p->y > q->y);
}

static um_status collect(um_context *ctx, const work *w, double g_min_px, um_found *out)
{
    const um_frame *f = w->frame;
    int64_t pixels = f->ky * f->kx, room = 0, reach = (int64_t)fmax(1.0, round(f->radius_px));
    double highest = 0.0;
    for (int64_t i = 0; i < pixels; i++) {
        double r = radius_of(f, i);
        highest = !isnan(w->smooth[i]) && r >= g_min_px ? fmax(highest, w->smooth[i] - background(w, r)) : highest;
    }
    for (int64_t i = 0; i < pixels; i++) {
        double r = radius_of(f, i), above = isnan(w->smooth[i]) ? 0.0 : w->smooth[i] - background(w, r);
        double noise = w->scatter[(int64_t)r];
        um_blob_spot spot;
        if (r < g_min_px || !(above > least_sigmas * noise && above > least_part * highest) || !is_top(w, i, reach) ||
            !weigh(w, i, f->radius_px + 1.0, &spot)) {
            continue;
        }
        if (out->count == room) {
            room = room * 2 + 128;
            um_blob_spot *more = realloc(out->spot, (size_t)room * sizeof *more);
            if (more == NULL) {
                return um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory for spots");
            }
            out->spot = more;
        }
        out->spot[out->count++] = spot;
    }
    if (out->count > 0) {
        qsort(out->spot, (size_t)out->count, sizeof *out->spot, brightest_first);
    }
    out->count = out->count < UM_MOST_SPOTS ? out->count : UM_MOST_SPOTS;
    out->discs = (int)(out->count < UM_MOST_DISCS ? out->count : UM_MOST_DISCS);
    for (int i = 0; i < out->discs; i++) {
        out->disc_px[i] = half_radius(w, &out->spot[i]);
    }
    for (int64_t i = 0; i < out->count; i++) {
        out->counts += pow(out->spot[i].amplitude, 3.0);
    }
    return UM_OK;
}

/* The ring whose median rises most above the lowest inside of it, by a tenth of itself at least. */
static double find_halo(const work *w, double g_min_px)
{
    double lowest = INFINITY, best = 0.0, at = NAN;
    int64_t from = (int64_t)ceil(g_min_px), end = (int64_t)fmin((double)w->frame->ky, (double)w->frame->kx) / 2;
    for (int64_t r = from; r < end && r < w->rings; r++) {
        double value = w->ring[r], error = w->scatter[r] / sqrt(2.0 * M_PI * ((double)r + 0.5));
        if (value > 0.0 && value - lowest > 0.1 * value + 5.0 * error && value - lowest > best) {
            best = value - lowest;
            at = (double)r + 0.5;
        }
        lowest = value > 0.0 ? fmin(lowest, value) : lowest;
    }
    return at;
}

um_status um_spots_find(um_context *ctx, const um_frame *frame, const double *pattern, double g_min_px, um_found *out)
{
    *out = (um_found){.halo_px = NAN};
    int64_t pixels = frame->ky * frame->kx;
    work w = {.frame = frame, .pattern = pattern};
    for (int corner = 0; corner < 4; corner++) {
        double y = corner & 1 ? 0.0 : (double)frame->ky - 1.0, x = corner & 2 ? 0.0 : (double)frame->kx - 1.0;
        w.rings = (int64_t)fmax((double)w.rings, hypot(y - frame->cy, x - frame->cx) + 2.0);
    }
    um_status status = um_buffer_alloc(ctx, (size_t)pixels, sizeof *w.smooth, "a smoothed pattern", &w.smooth);
    w.ring = calloc((size_t)w.rings, sizeof *w.ring);
    w.scatter = calloc((size_t)w.rings, sizeof *w.scatter);
    if (status == UM_OK && (w.ring == NULL || w.scatter == NULL)) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory");
    }
    if (status == UM_OK) {
        status = smoothen(ctx, &w, fmax(0.7, 0.5 * frame->radius_px));
    }
    if (status == UM_OK) {
        status = measure_rings(ctx, &w);
    }
    if (status == UM_OK) {
        out->halo_px = find_halo(&w, g_min_px);
        status = collect(ctx, &w, g_min_px, out);
    }
    um_buffer_free(ctx, w.smooth);
    free(w.ring);
    free(w.scatter);
    if (status != UM_OK) {
        um_found_clear(out);
    }
    return status;
}

void um_found_clear(um_found *found)
{
    free(found->spot);
    *found = (um_found){.halo_px = NAN};
}

/* ---- the centre ------------------------------------------------------------------------------------------- */

void um_center_find(const um_found *found, int64_t patterns, double most, double *x, double *y)
{
    static const double width = 0.35; /* px, of a middle */
    enum { SIDE = 81, BRIGHT = 60 };
    double sum[SIDE][SIDE] = {{0}}, step = 2.0 * most / (SIDE - 1), best = 0.0;
    *x = *y = 0.0;
    if (!(most > 0.0)) {
        return;
    }
    for (int64_t c = 0; c < patterns; c++) {
        int64_t n = found[c].count < BRIGHT ? found[c].count : BRIGHT;
        double scale = n > 0 ? 1.0 / (found[c].spot[0].amplitude * found[c].spot[0].amplitude) : 0.0;
        for (int64_t i = 0; i < n; i++) {
            for (int64_t k = 0; k < i; k++) {
                const um_blob_spot *a = &found[c].spot[i], *b = &found[c].spot[k];
                double mx = 0.5 * (a->x + b->x), my = 0.5 * (a->y + b->y);
                for (int v = 0; v < SIDE && fabs(mx) <= most && fabs(my) <= most; v++) {
                    double dy = ((double)v * step - most - my) / width;
                    for (int u = 0; u < SIDE && fabs(dy) < 4.0; u++) {
                        double dx = ((double)u * step - most - mx) / width;
                        sum[v][u] += fabs(dx) < 4.0 ? scale * a->amplitude * b->amplitude * exp(-0.5 * (dx * dx + dy * dy)) : 0.0;
                    }
                }
            }
        }
    }
    for (int v = 0; v < SIDE; v++) {
        for (int u = 0; u < SIDE; u++) {
            double dx = (double)u * step - most, dy = (double)v * step - most;
            double value = sum[v][u] * exp(-0.5 * (dx * dx + dy * dy) / (most * most));
            if (value > best) {
                best = value;
                *x = dx;
                *y = dy;
            }
        }
    }
}
