/* Trees of merges, cut into clusters. */
#ifndef UM_LINKAGE_H
#define UM_LINKAGE_H

#include "cluster_internal.h"

typedef struct um_merge {
    int64_t a, b;  /* a leaf of each of the two that became one */
    double height;
} um_merge;

/* Sets of leaves, by representatives. */
int64_t um_set_find(int64_t *parent, int64_t leaf);
/* False when they were one already. */
bool um_set_join(int64_t *parent, int64_t a, int64_t b);
/* Lowest first; of equal heights as they were. */
um_status um_merges_sort(um_context *ctx, um_merge *merges, int64_t count);
/* label (leaves) after the lowest merges, until n sets are left or the next merge is above `height`. Labels in
 * the order of the first leaves; returns how many there are, or -1 for want of memory. */
int64_t um_merges_cut(const um_merge *merges, int64_t leaves, int64_t n, double height,
                      int32_t *label);

/* Ward's merges of weighted points (count x dims): what height^2/2 they add to the sum of squares. Memory: the points
 * in double precision. Time: count^2 x dims. */
um_status um_ward_merges(um_context *ctx, const double *points, const double *size, int64_t count,
                         int64_t dims, um_merge *merges);
/* Average linkage of weighted leaves from a matrix of distances, which is used up; for some hundred leaves. */
um_status um_average_merges(um_context *ctx, double *distance, const double *size, int64_t count,
                            um_merge *merges);

/* Distances (count x count) of patterns but for a rotation: see um_cluster_merge_turned(). */
um_status um_turned_distances(um_context *ctx, const double *patterns, int64_t count, um_shape shape,
                              const uint8_t *mask, const double center[2], double *distance);

#endif
