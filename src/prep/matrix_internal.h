/* A matrix: its streaming order (matrix.c, walk.c), the pass over it (matrix_pass.c), what is read for it
 * (read_ahead.c) and what stays in memory (resident.c). */
#ifndef UM_MATRIX_INTERNAL_H
#define UM_MATRIX_INTERNAL_H

#include "forms.h"
#include "prep_internal.h"

typedef struct um_resident um_resident;

struct um_matrix {
    um_context *ctx;
    um_source *source;
    um_prep *prep;
    um_prep_layout layout;
    um_matrix_info info;
    int64_t block_ny, block_nx; /* output positions per block */
    int64_t blocks_y, blocks_x; /* grid of blocks */
    int64_t block_groups;       /* groups of a full block */
    int64_t segment_blocks, segments;
    size_t out_pattern, raw_pattern; /* bytes: as prepared, as stored */
    int64_t passes;
    double visits, reads;
    char *report;
    bool kept;      /* um_matrix_keep() was called */
    size_t reserve; /* of the budget, for the caller */
    um_resident *resident; /* NULL before anything is kept */
    bool probed;
    bool sparse; /* tiles are sparse rows for visitors that take them */
    um_form_facts facts; /* of the patterns looked at, when probed */
};

/* ---- the streaming order -------------------------------------------------------------------- */

/* Positions first .. first+count-1 of a block in row-major order. Held: all its groups are in memory. */
typedef struct um_part {
    int64_t index; /* of the block */
    um_rect block;
    int64_t first, count;
    bool held;
} um_part;

/* All of the matrix, or a sample of it: of each stratum of `step` blocks or clumps one. */
enum { UM_CLUMP = 8 };
typedef struct um_walk {
    const um_matrix *matrix;
    int64_t part_positions; /* most in a part: whole groups, or a block */
    int64_t segment_blocks, segments;
    int64_t step;           /* 0 = everything */
    bool by_blocks;         /* a sample takes whole blocks */
} um_walk;

typedef struct um_cursor {
    int64_t block, last; /* of the segment */
    int64_t first;       /* in the block */
} um_cursor;

um_rect um_walk_block(const um_matrix *matrix, int64_t b); /* output positions of block b */
um_cursor um_walk_segment(const um_walk *walk, int64_t segment);
bool um_walk_next(const um_walk *walk, um_cursor *cursor, um_part *part);
/* Position (y*nx + x) of the patterns first .. first+count-1 of the block; how many are not excluded. Their
 * places among the `count` go to `place`. */
size_t um_part_positions(const um_matrix *m, um_rect block, int64_t first, int64_t count,
                         int64_t *position, int64_t *place);

/* ---- reading -------------------------------------------------------------------------------- */

/* Reads and prepares the parts that are not held, in the order of the segments lane, lane + lanes, ...;
 * in a thread of its own, ahead of who takes them, when it has more than one slot. */
typedef struct um_lane um_lane;

/* What a lane holds: chosen once for a pass. */
typedef struct um_lane_plan {
    int slots;
    bool ahead;
    int64_t raw_positions; /* most output positions read at once as stored; 0 = read in place */
} um_lane_plan;

/* Bytes that a lane cannot do without. */
size_t um_lane_least(const um_matrix *m);
/* Bytes that the lanes of `threads` workers will take when `room` bytes are left for everything. */
size_t um_lanes_forecast(const um_matrix *m, size_t room, int64_t threads);
/* Whether the next pass finds a group that is not in memory. */
bool um_is_reading(const um_matrix *m);
/* Whether threads of their own read: one thread asked for stays one where reading means decoding. */
bool um_reads_ahead(const um_matrix *m, int64_t threads);
/* Chooses the plan and walk->part_positions for `room` bytes. */
um_lane_plan um_lane_choose(um_walk *walk, size_t room, bool ahead);
um_status um_lane_create(const um_walk *walk, const um_lane_plan *plan, int64_t lane, int64_t lanes,
                         um_lane **out);
/* The prepared patterns of the part: the caller's to change until um_lane_give(). One taker at a time. */
um_status um_lane_take(um_lane *lane, const um_part *part, char **patterns);
void um_lane_give(um_lane *lane);
void um_lane_free(um_lane *lane);

/* ---- what stays in memory ------------------------------------------------------------------- */

/* A group as visitors see it, without the excluded positions. */
typedef struct um_held {
    um_form form;
    const void *data;
} um_held;

/* Before a pass and its buffers: decides whether anything is to be kept, and makes the list for it. */
void um_resident_prepare(um_matrix *m, bool whole_pass);
/* With all else that the pass needs in place: sets how much may be held. Until the end nothing goes. */
void um_resident_begin(um_matrix *m);
void um_resident_end(um_matrix *m);
um_held um_resident_get(const um_matrix *m, int64_t block, int64_t group);
/* Keeps a group of `rows` patterns when there is room. Thread-safe for different groups. */
um_held um_resident_put(um_matrix *m, int64_t block, int64_t group, const void *data, size_t rows);
void um_resident_free(um_matrix *m);
/* Bytes that will be held at most, and whether those are of all patterns, as far as the probe can tell. */
size_t um_resident_bytes(const um_matrix *m); /* held now */
size_t um_resident_forecast(const um_matrix *m, bool *all);
/* Looks at a small sample of the patterns, once: m->sparse and m->facts. */
um_status um_matrix_probe(um_matrix *m);

static inline int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Positions of a full group: blocks may be smaller. */
static inline int64_t group_positions(const um_matrix *m)
{
    return min_i64(UM_GROUP_ROWS, m->block_ny * m->block_nx);
}

static inline bool is_chunked(const um_matrix *m)
{
    const um_source_info *info = um_source_get_info(m->source);
    return info->block_ny > 1 || info->block_nx < info->shape.nx;
}

#endif
