/* Lists of points. */
#include "shapes_internal.h"

#include <stdlib.h>
#include <string.h>

um_status um_points_create(um_context *ctx, um_points **out)
{
    um_points *points = calloc(1, sizeof *points);
    *out = points;
    if (points == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a list of points");
    }
    points->ctx = ctx;
    return UM_OK;
}

void um_points_free(um_points *points)
{
    if (points != NULL) {
        free(points->at);
        free(points);
    }
}

um_status um_points_add(um_points *points, um_point point)
{
    int64_t n = points->count;
    if ((n & (n - 1)) == 0) { /* the room is the next power of two */
        um_point *more = realloc(points->at, (n == 0 ? 1 : 2 * (size_t)n) * sizeof *more);
        if (more == NULL) {
            return um_fail(points->ctx, UM_ERROR_MEMORY, "no memory for %lld points", (long long)n);
        }
        points->at = more;
    }
    points->at[points->count++] = point;
    return UM_OK;
}

typedef struct ranked {
    um_point point;
    int64_t rank;
} ranked;

static int largest_first(const void *a, const void *b)
{
    const ranked *p = a;
    const ranked *q = b;
    if (p->point.value != q->point.value) {
        return p->point.value > q->point.value ? -1 : 1;
    }
    return p->rank < q->rank ? -1 : p->rank > q->rank;
}

um_status um_points_sort(um_points *points)
{
    ranked *list = malloc(((size_t)points->count + 1) * sizeof *list);
    if (list == NULL) {
        return um_fail(points->ctx, UM_ERROR_MEMORY, "no memory to sort points");
    }
    for (int64_t i = 0; i < points->count; i++) {
        list[i] = (ranked){points->at[i], i};
    }
    qsort(list, (size_t)points->count, sizeof *list, largest_first);
    for (int64_t i = 0; i < points->count; i++) {
        points->at[i] = list[i].point;
    }
    free(list);
    return UM_OK;
}
