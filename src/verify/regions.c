/* 8-connected regions. */
#include "verify_internal.h"

static int64_t push_neighbours(int64_t ny, int64_t nx, const uint8_t *map, int64_t at, int32_t number,
                               int32_t *region, int64_t *stack, int64_t depth)
{
    int64_t y = at / nx;
    int64_t x = at % nx;
    for (int64_t ty = y > 0 ? y - 1 : 0; ty <= y + 1 && ty < ny; ty++) {
        for (int64_t tx = x > 0 ? x - 1 : 0; tx <= x + 1 && tx < nx; tx++) {
            int64_t to = ty * nx + tx;
            if (map[to] != 0 && region[to] < 0) {
                region[to] = number;
                stack[depth++] = to;
            }
        }
    }
    return depth;
}

int64_t um_label_regions(int64_t ny, int64_t nx, const uint8_t *map, int32_t *region, int64_t *stack)
{
    int32_t count = 0;
    for (int64_t p = 0; p < ny * nx; p++) {
        region[p] = -1;
    }
    for (int64_t p = 0; p < ny * nx; p++) {
        if (map[p] == 0 || region[p] >= 0) {
            continue;
        }
        region[p] = count;
        stack[0] = p;
        int64_t depth = 1;
        while (depth > 0) {
            int64_t at = stack[--depth];
            depth = push_neighbours(ny, nx, map, at, count, region, stack, depth);
        }
        count++;
    }
    return count;
}
