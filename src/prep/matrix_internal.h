/* A matrix: its streaming order (matrix.c) and the pass over it (matrix_pass.c). */
#ifndef UM_MATRIX_INTERNAL_H
#define UM_MATRIX_INTERNAL_H

#include "prep_internal.h"

struct um_matrix {
    um_context *ctx;
    um_source *source;
    um_prep *prep;
    um_prep_layout layout;
    um_matrix_info info;
    int64_t block_ny, block_nx; /* output positions per block */
    int64_t blocks_y, blocks_x; /* grid of blocks */
    int64_t segment_blocks, segments;
    int64_t passes;
    double visits;
    char *report;
    char *resident;      /* the prepared patterns in streaming order, when they fit; or NULL */
    bool resident_whole; /* a pass has filled it */
};

void um_matrix_drop_resident(um_matrix *matrix);

static inline int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

#endif
