/* The parts of the exact pass: the run (exact_pass.c), the sums of a worker (exact_state.c), the visit (exact_visit.c) and the
 * products (exact_products.c). */
#ifndef UM_EXACT_INTERNAL_H
#define UM_EXACT_INTERNAL_H

#include "factor_internal.h"

/* f32 sums over patterns are carried into f64 after so many groups: 1024 patterns, or as many values of sparse rows,
 * of which a pixel has at most one in ten. */
enum { UM_FLUSH_GROUPS = 32, UM_SPARSE_FLUSH_GROUPS = 256 };
/* Groups of sparse rows that are worked on together, so that H and then W'X stay in the second cache for all of them. */
enum { UM_SPARSE_BATCH = 8 };

/* A tile that has been shown and not yet been worked on: its patterns stay where they are until drain(). */
typedef struct um_pending {
    um_tile tile;
    um_sparse_rows sparse; /* what tile.sparse points to */
    int64_t position[UM_GROUP_ROWS];
} um_pending;

typedef struct um_exact_state {
    float *b32;       /* since the last flush: packed k x ld, or m x stride of sparse rows */
    double *b64;      /* packed k x ld, of the segment up to the last flush */
    double *g;        /* k x k */
    double *a;        /* `room` groups of UM_GROUP_ROWS x k, from the kernel */
    double *panel_a, *panel_w;
    float *w;         /* `room` groups of UM_GROUP_ROWS x k, times u */
    int16_t *pairs;   /* the same on a grid, by pairs of rows */
    float *step;      /* k: of the grid */
    float *scratch;
    int32_t *sums;    /* scratch of tiles */
    uint16_t *parts;  /* w for tiles, of each group */
    uint8_t *bytes;   /* room of tiles, or NULL */
    double extra[4], norm2;
    int groups;       /* since the last flush */
    bool sparse;      /* what b32 holds */
    bool flushed;     /* b64 is not zero */
    void *before, *after; /* states of the companions */
    size_t waiting;
    um_pending pending[UM_SPARSE_BATCH];
} um_exact_state;

struct um_exact_run {
    um_exact_pass *pass;
    size_t stride; /* of sparse factors */
    size_t batch;  /* groups that are worked on together, when dense */
    size_t room;   /* the same, dense or sparse */
    bool sparse;   /* tiles may be sparse rows */
    float *hv;     /* h times v, packed k x ld */
    int16_t *grid; /* the same as multiples of `step`, or NULL */
    int8_t *tiles; /* the same in tiles, or NULL */
    int planes;
    double *step;
    float *ht;     /* h times v, m x stride; only for sparse rows */
    float *v2;     /* v squared */
};

um_status um_exact_state_start(void *user, void **state);
void um_exact_state_stop(void *user, void *state);
/* Carries b32 into b64. */
void um_exact_flush(const um_exact_run *run, um_exact_state *state);
/* Adds the state, which has worked on all it was shown, to the results and clears it. */
um_status um_exact_state_merge(const um_exact_run *run, um_exact_state *state);

/* H times v in the form that the kernels of this run take. */
um_status um_exact_make_factors(um_exact_run *run);
/* A = X H' of the waiting groups, into state->a. */
void um_exact_project(const um_exact_run *run, um_exact_state *state);
/* Takes W of a group (panel_w); of a grid it is rounded there. Then B += W'X of all that wait. */
void um_exact_take_rows(const um_exact_run *run, um_exact_state *state, size_t group);
void um_exact_accumulate(const um_exact_run *run, um_exact_state *state);

#endif
