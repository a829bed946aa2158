/* Parts of HDBSCAN. */
#ifndef UM_HDBSCAN_H
#define UM_HDBSCAN_H

#include "kdtree.h"
#include "linkage.h"

/* Clusters of the points by excess of mass from the merges of a minimum spanning tree, lowest first: label of each
 * point, -1 = noise; *n = clusters. Memory: some ten numbers per point. */
um_status um_hdbscan_extract(um_context *ctx, const um_merge *merges, int64_t count,
                             int64_t least_size, int32_t *label, int64_t *n);

#endif
