/* Trees of merges, cut into clusters; average linkage of few. */
#include "linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int64_t um_set_find(int64_t *parent, int64_t leaf)
{
    while (parent[leaf] != leaf) {
        parent[leaf] = parent[parent[leaf]];
        leaf = parent[leaf];
    }
    return leaf;
}

bool um_set_join(int64_t *parent, int64_t a, int64_t b)
{
    a = um_set_find(parent, a);
    b = um_set_find(parent, b);
    if (a == b) {
        return false;
    }
    parent[a > b ? a : b] = a > b ? b : a;
    return true;
}

typedef struct ordered {
    um_merge merge;
    int64_t index;
} ordered;

static int lowest_first(const void *a, const void *b)
{
    const ordered *x = a;
    const ordered *y = b;
    if (x->merge.height != y->merge.height) {
        return x->merge.height < y->merge.height ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index;
}

um_status um_merges_sort(um_context *ctx, um_merge *merges, int64_t count)
{
    ordered *copy = NULL;
    UM_TRY(um_buffer_alloc(ctx, (size_t)count + 1, sizeof *copy, "merges to sort", &copy));
    for (int64_t i = 0; i < count; i++) {
        copy[i] = (ordered){merges[i], i};
    }
    qsort(copy, (size_t)count, sizeof *copy, lowest_first);
    for (int64_t i = 0; i < count; i++) {
        merges[i] = copy[i].merge;
    }
    um_buffer_free(ctx, copy);
    return UM_OK;
}

int64_t um_merges_cut(const um_merge *merges, int64_t leaves, int64_t n, double height,
                      int32_t *label)
{
    int64_t *parent = malloc((size_t)leaves * 2 * sizeof *parent);
    if (parent == NULL) {
        return -1;
    }
    int64_t *name = parent + leaves;
    for (int64_t i = 0; i < leaves; i++) {
        parent[i] = i;
        name[i] = -1;
    }
    int64_t sets = leaves;
    for (int64_t i = 0; i + 1 < leaves && sets > n && merges[i].height <= height; i++) {
        sets -= um_set_join(parent, merges[i].a, merges[i].b);
    }
    int64_t next = 0;
    for (int64_t i = 0; i < leaves; i++) {
        int64_t root = um_set_find(parent, i);
        name[root] = name[root] >= 0 ? name[root] : next++;
        label[i] = (int32_t)name[root];
    }
    free(parent);
    return next;
}

/* ---- average linkage ------------------------------------------------------------------------------ */

static void nearest_pair(const double *distance, const uint8_t *gone, int64_t count, int64_t *a,
                         int64_t *b)
{
    *a = -1;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < i && !gone[i]; j++) {
            if (!gone[j] && (*a < 0 || distance[i * count + j] < distance[*a * count + *b])) {
                *a = i;
                *b = j;
            }
        }
    }
}

um_status um_average_merges(um_context *ctx, double *distance, const double *size, int64_t count,
                            um_merge *merges)
{
    uint8_t *gone = calloc((size_t)count, 1);
    double *mass = malloc((size_t)count * sizeof *mass);
    bool fits = gone != NULL && mass != NULL;
    if (fits) {
        memcpy(mass, size, (size_t)count * sizeof *mass);
    }
    for (int64_t step = 0; fits && step + 1 < count; step++) {
        int64_t a = 0;
        int64_t b = 0;
        nearest_pair(distance, gone, count, &a, &b);
        merges[step] = (um_merge){a, b, distance[a * count + b]};
        double total = mass[a] + mass[b];
        for (int64_t i = 0; i < count; i++) {
            double mean = (mass[a] * distance[a * count + i] + mass[b] * distance[b * count + i]) /
                          total;
            distance[b * count + i] = distance[i * count + b] = mean;
        }
        mass[b] = total;
        gone[a] = 1;
    }
    free(gone);
    free(mass);
    return fits ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "no memory for a linkage");
}
