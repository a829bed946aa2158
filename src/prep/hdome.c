/* h-domes: a pattern less its reconstruction by dilation from (pattern - h), 8-neighbours.
 * Vincent, IEEE Trans. Image Process. 2 (1993) 176: two scans, then a queue for what is left. Values are compared
 * as integers of the same order, which is several times as fast. */
#include "steps.h"

#include <string.h>

typedef struct field {
    const um_pixel_kernels *kernels;
    const int32_t *limit; /* never exceeded */
    int32_t *value;
    int64_t ky, kx;
} field;

/* Integers in the order of the floats, and back. */
static int32_t key_of(float v)
{
    int32_t bits = 0;
    memcpy(&bits, &v, sizeof bits);
    return bits ^ ((bits >> 31) & INT32_MAX);
}

static float value_of(int32_t key)
{
    float v = 0;
    key ^= (key >> 31) & INT32_MAX;
    memcpy(&v, &key, sizeof v);
    return v;
}

static void scan_down(const field *f)
{
    for (int64_t y = 0; y < f->ky; y++) {
        int32_t *row = f->value + y * f->kx;
        f->kernels->spread_row(f->limit + y * f->kx, row, y > 0 ? row - f->kx : NULL, (size_t)f->kx,
                               false);
    }
}

/* Scans up and queues pixels from which a neighbour already passed can still grow. */
static int64_t scan_up(const field *f, const um_scratch *s)
{
    int64_t queued = 0;
    for (int64_t y = f->ky - 1; y >= 0; y--) {
        bool last = y == f->ky - 1;
        int32_t *row = f->value + y * f->kx;
        const int32_t *limit = f->limit + y * f->kx;
        uint8_t *marks = s->queued + y * f->kx;
        f->kernels->spread_row(limit, row, last ? NULL : row + f->kx, (size_t)f->kx, true);
        f->kernels->mark_spreading(limit, row, last ? NULL : limit + f->kx,
                                   last ? NULL : row + f->kx, (size_t)f->kx, marks);
        for (int64_t x = f->kx - 1; x >= 0; x--) {
            s->queue[queued] = (int32_t)(y * f->kx + x);
            queued += marks[x];
        }
    }
    return queued;
}

static bool can_grow(const field *f, int64_t q, int32_t from)
{
    return f->value[q] < from && f->value[q] < f->limit[q];
}

/* Grows pixel q from a neighbour's value; true when it was not in the queue and has to be. */
static bool grow_one(const field *f, const um_scratch *s, int64_t q, int32_t from)
{
    if (!can_grow(f, q, from)) {
        return false;
    }
    f->value[q] = from < f->limit[q] ? from : f->limit[q];
    bool fresh = s->queued[q] == 0;
    s->queued[q] = 1;
    return fresh;
}

static void grow(const field *f, const um_scratch *s, int64_t waiting)
{
    int64_t pixels = f->ky * f->kx;
    int64_t head = 0;
    int64_t tail = waiting < pixels ? waiting : 0;
    while (waiting > 0) {
        int64_t i = s->queue[head];
        int64_t y = i / f->kx;
        int64_t x = i % f->kx;
        int32_t from = f->value[i];
        head = head + 1 < pixels ? head + 1 : 0;
        waiting--;
        s->queued[i] = 0;
        int64_t x0 = x > 0 ? x - 1 : x;
        int64_t x1 = x < f->kx - 1 ? x + 1 : x;
        for (int64_t j = y > 0 ? y - 1 : y; j <= (y < f->ky - 1 ? y + 1 : y); j++) {
            for (int64_t q = j * f->kx + x0; q <= j * f->kx + x1; q++) {
                if (grow_one(f, s, q, from)) { /* at most once in the queue: it never overflows */
                    s->queue[tail] = (int32_t)q;
                    tail = tail + 1 < pixels ? tail + 1 : 0;
                    waiting++;
                }
            }
        }
    }
}

void um_apply_hdome(const um_prep *prep, float height, const um_scratch *s)
{
    int64_t pixels = prep->ky * prep->kx;
    int32_t *limit = (int32_t *)(void *)s->c;
    int32_t *value = (int32_t *)(void *)s->b;
    field f = {prep->kernels, limit, value, prep->ky, prep->kx};
    for (int64_t i = 0; i < pixels; i++) {
        limit[i] = key_of(s->a[i]);
        value[i] = key_of(s->a[i] - height);
    }
    scan_down(&f);
    grow(&f, s, scan_up(&f, s));
    for (int64_t i = 0; i < pixels; i++) {
        float v = s->a[i] - value_of(value[i]);
        s->a[i] = v < 0 ? 0 : v;
    }
}
