/* Watershed by flooding from markers: a queue of pixels by elevation, then by the time when they were reached. */
#include "shapes_internal.h"

#include <math.h>

typedef struct front {
    double level; /* of the water when it is reached: it does not fall again in a basin behind a pass */
    uint32_t age; /* 0: a marker */
    int32_t pixel;
} front;

typedef struct flood {
    int64_t ny, nx;
    const double *elevation;
    const uint8_t *inside;
    bool corners;
    int32_t *label;
    front *heap;
    int64_t count;
    uint32_t age;
} flood;

static bool is_before(const front *a, const front *b)
{
    if (a->level != b->level) {
        return a->level < b->level;
    }
    return a->age < b->age; /* markers of one elevation: as the heap has them */
}

static void push(flood *f, int64_t pixel, double water, uint32_t age)
{
    front fresh = {fmax(water, f->elevation[pixel]), age, (int32_t)pixel};
    int64_t i = f->count++;
    while (i > 0 && is_before(&fresh, &f->heap[(i - 1) / 2])) {
        f->heap[i] = f->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    f->heap[i] = fresh;
}

static front pop(flood *f)
{
    front first = f->heap[0];
    front last = f->heap[--f->count];
    int64_t i = 0;
    for (int64_t child = 1; child < f->count; child = 2 * i + 1) {
        child += child + 1 < f->count && is_before(&f->heap[child + 1], &f->heap[child]);
        if (!is_before(&f->heap[child], &last)) {
            break;
        }
        f->heap[i] = f->heap[child];
        i = child;
    }
    f->heap[i] = last;
    return first;
}

static void spread(flood *f, front at)
{
    int64_t from = at.pixel;
    /* C order, those that share a side before those that share a corner. */
    static const int step[8][2] = {{-1, 0}, {0, -1}, {0, 1}, {1, 0}, {-1, -1}, {-1, 1}, {1, -1}, {1, 1}};
    for (int i = 0; i < (f->corners ? 8 : 4); i++) {
        int64_t y = from / f->nx + step[i][0];
        int64_t x = from % f->nx + step[i][1];
        int64_t to = y * f->nx + x;
        if (y < 0 || y >= f->ny || x < 0 || x >= f->nx || f->label[to] != 0 ||
            (f->inside != NULL && f->inside[to] == 0)) {
            continue;
        }
        f->label[to] = f->label[from];
        push(f, to, at.level, ++f->age);
    }
}

um_status um_watershed(um_context *ctx, int64_t ny, int64_t nx, const double *elevation, const int32_t *markers,
                       const uint8_t *inside, int connectivity, int32_t *label)
{
    flood f = {.ny = ny, .nx = nx, .elevation = elevation, .inside = inside, .corners = connectivity != 4,
               .label = label};
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *f.heap, "a watershed", &f.heap));
    for (int64_t p = 0; p < ny * nx; p++) {
        label[p] = inside == NULL || inside[p] != 0 ? markers[p] : 0;
        if (label[p] != 0) {
            push(&f, p, elevation[p], 0);
        }
    }
    while (f.count > 0) {
        spread(&f, pop(&f));
    }
    um_buffer_free(ctx, f.heap);
    return UM_OK;
}
