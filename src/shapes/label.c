/* Connected regions. */
#include "shapes_internal.h"

um_status um_shape_check(um_context *ctx, int64_t ny, int64_t nx)
{
    size_t pixels = 0;
    if (ny < 1 || nx < 1 || !um_mul4(ny, nx, 1, 1, &pixels) || pixels > INT32_MAX) {
        return um_fail(ctx, UM_ERROR_SHAPE, "an image of %lld x %lld pixels: it takes 1 to 2^31 - 1", (long long)ny,
                       (long long)nx);
    }
    return UM_OK;
}

static int64_t push_neighbours(int64_t ny, int64_t nx, const uint8_t *map, bool corners, int64_t at, int32_t *label,
                               int32_t *stack, int64_t depth)
{
    int64_t y = at / nx;
    int64_t x = at % nx;
    for (int64_t ty = y > 0 ? y - 1 : 0; ty <= y + 1 && ty < ny; ty++) {
        for (int64_t tx = x > 0 ? x - 1 : 0; tx <= x + 1 && tx < nx; tx++) {
            int64_t to = ty * nx + tx;
            if (map[to] != 0 && label[to] == 0 && (corners || ty == y || tx == x)) {
                label[to] = label[at];
                stack[depth++] = (int32_t)to;
            }
        }
    }
    return depth;
}

um_status um_label(um_context *ctx, int64_t ny, int64_t nx, const uint8_t *map, int connectivity, int32_t *label,
                   int64_t *count)
{
    int32_t *stack = NULL;
    int32_t regions = 0;
    UM_TRY(um_shape_check(ctx, ny, nx));
    UM_TRY(um_buffer_alloc(ctx, (size_t)(ny * nx), sizeof *stack, "pixels of a region", &stack));
    for (int64_t p = 0; p < ny * nx; p++) {
        label[p] = 0;
    }
    for (int64_t p = 0; p < ny * nx; p++) {
        if (map[p] == 0 || label[p] != 0) {
            continue;
        }
        label[p] = ++regions;
        stack[0] = (int32_t)p;
        int64_t depth = 1;
        while (depth > 0) {
            int64_t at = stack[--depth];
            depth = push_neighbours(ny, nx, map, connectivity != 4, at, label, stack, depth);
        }
    }
    um_buffer_free(ctx, stack);
    *count = regions;
    return UM_OK;
}
