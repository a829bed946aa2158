/* A k-d tree of points, for exact neighbours in few dimensions. */
#ifndef UM_KDTREE_H
#define UM_KDTREE_H

#include "cluster_internal.h"

enum { UM_KDTREE_LEAF = 16, UM_KDTREE_DEPTH = 64 };

/* Children of an inner node are at left and left + 1; points first .. first+count-1 in the order of the tree. */
typedef struct um_kdnode {
    int64_t first, count, left; /* left 0: a leaf */
} um_kdnode;

typedef struct um_kdtree {
    um_context *ctx;
    int64_t count, dims, nodes;
    int64_t *order;      /* index of each point among the features */
    um_features points;  /* the same points in the order of the tree (values from the budget) */
    um_kdnode *node;
    float *box;          /* nodes x 2 x dims: least, greatest */
} um_kdtree;

um_status um_kdtree_create(const um_features *features, um_kdtree **out);
void um_kdtree_free(um_kdtree *tree);
/* Squared distance of a point to the box of a node. */
double um_kdtree_reach(const um_kdtree *tree, int64_t node, const float *point);
double um_kdtree_distance(const um_kdtree *tree, int64_t a, int64_t b); /* squared */
/* Squared distance of point p (in the order of the tree) to its k-th nearest, itself the first. heap: k doubles. */
double um_kdtree_kth(const um_kdtree *tree, int64_t p, int64_t k, double *heap);

#endif
