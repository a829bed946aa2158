/* What the files of the image primitives share. */
#ifndef UM_SHAPES_INTERNAL_H
#define UM_SHAPES_INTERNAL_H

#include "base_internal.h"
#include "unmix/shapes.h"

/* Refuses images without pixels and those whose pixels an int32_t cannot number. */
UM_CHECK um_status um_shape_check(um_context *ctx, int64_t ny, int64_t nx);

/* An empty list, which grows by um_points_add(). */
UM_CHECK um_status um_points_create(um_context *ctx, um_points **out);
UM_CHECK um_status um_points_add(um_points *points, um_point point);
/* Largest value first, of equals in the order that they have. */
UM_CHECK um_status um_points_sort(um_points *points);

/* i mirrored into 0 .. n-1: d c b a | a b c d | d c b a, as often as needed. */
static inline int64_t um_mirror(int64_t i, int64_t n)
{
    int64_t m = i % (2 * n);
    m = m < 0 ? m + 2 * n : m;
    return m < n ? m : 2 * n - 1 - m;
}

#endif
