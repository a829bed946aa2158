/* Where the direct beam is on a mean pattern, and how much of the signal it holds. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct search {
    int64_t ky, kx;
    double *value; /* despiked, background taken off, 0 where masked */
    uint8_t *seen;
    int64_t *queue;
} search;

static bool usable(const double *pattern, const uint8_t *mask, int64_t i)
{
    return isfinite(pattern[i]) && (mask == NULL || mask[i] == 0);
}

static double median_of(const double *pattern, const uint8_t *mask, int64_t count, double *scratch)
{
    size_t used = 0;
    for (int64_t i = 0; i < count; i++) {
        if (usable(pattern, mask, i)) {
            scratch[used++] = pattern[i];
        }
    }
    qsort(scratch, used, sizeof *scratch, um_compare_f64);
    return used > 0 ? scratch[used / 2] : 0;
}

/* A hot pixel has no bright neighbours: no value counts for more than four times the second brightest
 * of the eight around it. */
static double despiked(const double *pattern, const uint8_t *mask, int64_t ky, int64_t kx, int64_t y,
                       int64_t x)
{
    double first = 0;
    double second = 0;
    for (int64_t v = y - 1; v <= y + 1; v++) {
        for (int64_t u = x - 1; u <= x + 1; u++) {
            bool center = v == y && u == x;
            if (center || v < 0 || u < 0 || v >= ky || u >= kx ||
                !usable(pattern, mask, v * kx + u)) {
                continue;
            }
            double value = pattern[v * kx + u];
            second = value > first ? first : fmax(second, value);
            first = fmax(first, value);
        }
    }
    return fmin(pattern[y * kx + x], 4 * second);
}

/* Radius at which the ring mean has fallen to a tenth of the peak (or has stopped falling). */
static double beam_radius(const search *s, const um_beam *beam)
{
    int64_t limit = (s->ky < s->kx ? s->ky : s->kx) / 2;
    double before = INFINITY;
    for (int64_t r = 1; r <= limit; r++) {
        double sum = 0;
        int64_t count = 0;
        int64_t y0 = (int64_t)floor(beam->y) - r - 1;
        int64_t x0 = (int64_t)floor(beam->x) - r - 1;
        for (int64_t y = y0 > 0 ? y0 : 0; y < s->ky && y <= y0 + 2 * r + 3; y++) {
            for (int64_t x = x0 > 0 ? x0 : 0; x < s->kx && x <= x0 + 2 * r + 3; x++) {
                double d = hypot((double)y - beam->y, (double)x - beam->x);
                if (d >= (double)r - 0.5 && d < (double)r + 0.5) {
                    sum += s->value[y * s->kx + x];
                    count++;
                }
            }
        }
        double mean = count > 0 ? sum / (double)count : 0;
        if (mean < 0.1 * beam->peak || (mean > before && mean < 0.5 * beam->peak)) {
            return (double)r;
        }
        before = mean;
    }
    return (double)(limit > 1 ? limit : 1);
}

static void measure(const search *s, const double *pattern, const uint8_t *mask, um_beam *beam)
{
    double sum = 0;
    double squares = 0;
    double all = 0;
    double all_squares = 0;
    for (int64_t i = 0; i < s->ky * s->kx; i++) {
        if (!usable(pattern, mask, i)) {
            continue;
        }
        double d = hypot((double)(i / s->kx) - beam->y, (double)(i % s->kx) - beam->x);
        double v = fmax(pattern[i], 0);
        all += v;
        all_squares += v * v;
        if (d < beam->radius_px + 1) {
            sum += v;
            squares += v * v;
        } else if (d >= 2 * beam->radius_px) {
            beam->next_peak = fmax(beam->next_peak, s->value[i]);
        }
    }
    beam->share = all > 0 ? sum / all : 0;
    beam->share_of_squares = all_squares > 0 ? squares / all_squares : 0;
}

static void find(search *s, const double *pattern, const uint8_t *mask, double background,
                 um_beam *beam)
{
    int64_t brightest = -1;
    for (int64_t i = 0; i < s->ky * s->kx; i++) {
        if (!usable(pattern, mask, i)) {
            continue;
        }
        s->value[i] =
            fmax(despiked(pattern, mask, s->ky, s->kx, i / s->kx, i % s->kx) - background, 0);
        if (s->value[i] > 0 && (brightest < 0 || s->value[i] > s->value[brightest])) {
            brightest = i;
        }
    }
    if (brightest < 0) {
        return;
    }
    beam->found = true;
    beam->peak = s->value[brightest];
    um_blob_center(s->value, s->ky, s->kx, 0.5 * beam->peak, brightest, s->queue, s->seen, &beam->y,
                   &beam->x);
    beam->radius_px = beam_radius(s, beam);
    double off_y = fabs(beam->y - 0.5 * (double)(s->ky - 1)) / (double)s->ky;
    double off_x = fabs(beam->x - 0.5 * (double)(s->kx - 1)) / (double)s->kx;
    beam->central = off_y < 0.25 && off_x < 0.25;
    measure(s, pattern, mask, beam);
}

um_status um_beam_measure(um_context *ctx, const double *pattern, const uint8_t *mask, int64_t ky,
                       int64_t kx, um_beam *beam)
{
    *beam = (um_beam){.y = 0.5 * (double)(ky - 1), .x = 0.5 * (double)(kx - 1), .radius_px = 1};
    if (ky < 3 || kx < 3) {
        return UM_OK;
    }
    size_t count = (size_t)(ky * kx);
    search s = {.ky = ky, .kx = kx};
    um_status status = um_buffer_alloc(ctx, count, sizeof(double), "a pattern", &s.value);
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, count, 1, "a pattern", &s.seen);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(ctx, count, sizeof(int64_t), "a pattern", &s.queue);
    }
    if (status == UM_OK) {
        double background = median_of(pattern, mask, ky * kx, s.value);
        memset(s.value, 0, count * sizeof(double));
        find(&s, pattern, mask, background, beam);
    }
    um_buffer_free(ctx, s.value);
    um_buffer_free(ctx, s.seen);
    um_buffer_free(ctx, s.queue);
    return status;
}

/* Grows the row span [*x0, *x1] of masked pixels around `x` in row y; false if x is not masked. */
static bool masked_span(const uint8_t *mask, int64_t kx, int64_t y, int64_t x, int64_t *x0,
                        int64_t *x1)
{
    if (mask[y * kx + x] == 0) {
        return false;
    }
    *x0 = *x1 = x;
    while (*x0 > 0 && mask[y * kx + *x0 - 1] != 0) {
        (*x0)--;
    }
    while (*x1 + 1 < kx && mask[y * kx + *x1 + 1] != 0) {
        (*x1)++;
    }
    return true;
}

/* A masked pixel nearest to the middle, at most a tenth of the pattern away; -1 if none. */
static int64_t masked_near_middle(const uint8_t *mask, int64_t ky, int64_t kx)
{
    double best = 0.1 * (double)(ky < kx ? ky : kx);
    int64_t found = -1;
    for (int64_t i = 0; i < ky * kx; i++) {
        double d = hypot((double)(i / kx) - 0.5 * (double)(ky - 1),
                         (double)(i % kx) - 0.5 * (double)(kx - 1));
        if (mask[i] != 0 && d <= best) {
            best = d;
            found = i;
        }
    }
    return found;
}

bool um_mask_center(const uint8_t *mask, int64_t ky, int64_t kx, um_beam *beam)
{
    int64_t seed = mask != NULL && ky > 2 && kx > 2 ? masked_near_middle(mask, ky, kx) : -1;
    if (seed < 0) {
        return false;
    }
    /* A disc is found exactly by walking up and down from its middle, span by span. */
    double sum_y = 0;
    double sum_x = 0;
    double area = 0;
    for (int direction = -1; direction <= 1; direction += 2) {
        int64_t y = seed / kx + (direction > 0);
        int64_t x = seed % kx;
        int64_t x0 = 0;
        int64_t x1 = 0;
        while (y >= 0 && y < ky && masked_span(mask, kx, y, x, &x0, &x1)) {
            if (y == 0 || y == ky - 1 || x0 == 0 || x1 == kx - 1) {
                return false;
            }
            double width = (double)(x1 - x0 + 1);
            area += width;
            sum_y += width * (double)y;
            sum_x += width * 0.5 * (double)(x0 + x1);
            x = (x0 + x1) / 2;
            y += direction;
        }
    }
    *beam = (um_beam){.found = true,
                      .central = true,
                      .y = sum_y / area,
                      .x = sum_x / area,
                      .radius_px = sqrt(area / acos(-1.0))};
    return true;
}
