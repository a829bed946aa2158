/* h-domes: a pattern less its reconstruction by dilation from (pattern - h), 8-neighbours.
 * Vincent, IEEE Trans. Image Process. 2 (1993) 176: two scans, then a queue for what is left. */
#include "steps.h"

typedef struct field {
    const float *limit; /* never exceeded */
    float *value;
    int64_t ky, kx;
} field;

static inline float max_f32(float a, float b)
{
    return a > b ? a : b;
}

static inline float min_f32(float a, float b)
{
    return a < b ? a : b;
}

/* Greatest of a pixel and the neighbours visited before it in a scan of direction d (1 or -1). */
static inline float greatest_before(const field *f, int64_t y, int64_t x, int64_t d)
{
    const float *v = f->value + y * f->kx + x;
    const float *row = v - d * f->kx;
    bool behind = d > 0 ? x > 0 : x < f->kx - 1;
    bool ahead = d > 0 ? x < f->kx - 1 : x > 0;
    float most = behind ? max_f32(v[0], v[-d]) : v[0];
    if (d > 0 ? y > 0 : y < f->ky - 1) {
        most = max_f32(most, row[0]);
        most = behind ? max_f32(most, row[-d]) : most;
        most = ahead ? max_f32(most, row[d]) : most;
    }
    return most;
}

static void scan_down(const field *f)
{
    for (int64_t y = 0; y < f->ky; y++) {
        for (int64_t x = 0; x < f->kx; x++) {
            int64_t i = y * f->kx + x;
            f->value[i] = min_f32(greatest_before(f, y, x, 1), f->limit[i]);
        }
    }
}

/* Neighbours of pixel i into near[]; their number. */
static int neighbours(const field *f, int64_t i, int64_t near[8])
{
    int n = 0;
    int64_t y = i / f->kx;
    int64_t x = i % f->kx;
    for (int64_t j = y > 0 ? y - 1 : y; j <= (y < f->ky - 1 ? y + 1 : y); j++) {
        for (int64_t k = x > 0 ? x - 1 : x; k <= (x < f->kx - 1 ? x + 1 : x); k++) {
            if (j != y || k != x) {
                near[n++] = j * f->kx + k;
            }
        }
    }
    return n;
}

static bool can_grow(const field *f, int64_t q, float from)
{
    return f->value[q] < from && f->value[q] < f->limit[q];
}

/* Scans up and queues pixels from which a neighbour already passed can still grow. */
static int64_t scan_up(const field *f, const um_scratch *s)
{
    int64_t queued = 0;
    for (int64_t y = f->ky - 1; y >= 0; y--) {
        for (int64_t x = f->kx - 1; x >= 0; x--) {
            int64_t i = y * f->kx + x;
            float v = min_f32(greatest_before(f, y, x, -1), f->limit[i]);
            f->value[i] = v;
            bool grows = x < f->kx - 1 && can_grow(f, i + 1, v);
            if (y < f->ky - 1 && !grows) {
                grows = can_grow(f, i + f->kx, v) || (x > 0 && can_grow(f, i + f->kx - 1, v)) ||
                        (x < f->kx - 1 && can_grow(f, i + f->kx + 1, v));
            }
            if (grows) {
                s->queue[queued++] = (int32_t)i;
                s->queued[i] = 1;
            }
        }
    }
    return queued;
}

static void grow(const field *f, const um_scratch *s, int64_t waiting)
{
    int64_t pixels = f->ky * f->kx;
    int64_t head = 0;
    while (waiting > 0) {
        int64_t i = s->queue[head];
        head = head + 1 < pixels ? head + 1 : 0;
        waiting--;
        s->queued[i] = 0;
        int64_t near[8];
        int count = neighbours(f, i, near);
        for (int n = 0; n < count; n++) {
            int64_t q = near[n];
            if (can_grow(f, q, f->value[i])) {
                f->value[q] = min_f32(f->value[i], f->limit[q]);
                if (s->queued[q] == 0) { /* at most once in the queue: it never overflows */
                    s->queue[(head + waiting) % pixels] = (int32_t)q;
                    s->queued[q] = 1;
                    waiting++;
                }
            }
        }
    }
}

void um_apply_hdome(float *pattern, float height, int64_t ky, int64_t kx, const um_scratch *s)
{
    field f = {pattern, s->b, ky, kx};
    for (int64_t i = 0; i < ky * kx; i++) {
        s->b[i] = pattern[i] - height;
        s->queued[i] = 0;
    }
    scan_down(&f);
    grow(&f, s, scan_up(&f, s));
    for (int64_t i = 0; i < ky * kx; i++) {
        float v = pattern[i] - s->b[i];
        pattern[i] = v < 0 ? 0 : v;
    }
}
