/* Segment by segment, block by block, part by part. Which positions make a part depends on what is in
 * memory and on the budget; the order of the groups does not. */
#include "matrix_internal.h"

um_cursor um_walk_segment(const um_walk *walk, int64_t segment)
{
    const um_matrix *m = walk->matrix;
    int64_t first = segment * walk->segment_blocks;
    return (um_cursor){first, min_i64(first + walk->segment_blocks, m->blocks_y * m->blocks_x), 0};
}

um_rect um_walk_block(const um_matrix *m, int64_t b)
{
    um_rect block = {b / m->blocks_x * m->block_ny, b % m->blocks_x * m->block_nx, m->block_ny,
                     m->block_nx};
    block.ny = min_i64(block.ny, m->layout.out.ny - block.y0);
    block.nx = min_i64(block.nx, m->layout.out.nx - block.x0);
    return block;
}

/* Positions that come before block b in streaming order. */
static int64_t positions_before(const um_matrix *m, int64_t b)
{
    int64_t y0 = b / m->blocks_x * m->block_ny;
    int64_t x0 = b % m->blocks_x * m->block_nx;
    return y0 * m->layout.out.nx + x0 * min_i64(m->block_ny, m->layout.out.ny - y0);
}

/* Where in its stratum the sample is taken: the same for any thread. */
static int64_t offset_in_stratum(const um_walk *walk, int64_t stratum)
{
    const um_random random = {um_context_seed(walk->matrix->ctx), UM_STREAM_SAMPLE};
    return (int64_t)(um_random_uniform(random, (uint64_t)stratum) * (double)walk->step);
}

/* The next clump that reaches beyond part->first: all of it that lies in the block. */
static bool next_clump(const um_walk *walk, um_part *part, int64_t total)
{
    int64_t before = positions_before(walk->matrix, part->index);
    int64_t width = UM_CLUMP * walk->step;
    int64_t stratum = (before + part->first) / width;
    for (; stratum * width < before + total; stratum++) {
        int64_t first = stratum * width + UM_CLUMP * offset_in_stratum(walk, stratum) - before;
        int64_t last = min_i64(first + UM_CLUMP, total); /* a clump may lie in two blocks */
        first = first > part->first ? first : part->first;
        if (first < last) {
            part->first = first;
            part->count = min_i64(last - first, walk->part_positions);
            return true;
        }
    }
    return false;
}

/* From part->first on: groups that are all in memory, or all not. */
static void next_groups(const um_walk *walk, um_part *part, int64_t total)
{
    const um_matrix *m = walk->matrix;
    int64_t most = min_i64(part->first + walk->part_positions, total);
    int64_t last = part->first;
    do {
        bool held = um_resident_get(m, part->index, last / UM_GROUP_ROWS).form != UM_FORM_NONE;
        if (last == part->first) {
            part->held = held;
        } else if (held != part->held) {
            break;
        }
        last = min_i64(last + UM_GROUP_ROWS, total);
    } while (last < most);
    part->count = last - part->first;
}

bool um_walk_next(const um_walk *walk, um_cursor *cursor, um_part *part)
{
    for (; cursor->block < cursor->last; cursor->block++, cursor->first = 0) {
        *part = (um_part){.index = cursor->block,
                          .block = um_walk_block(walk->matrix, cursor->block),
                          .first = cursor->first};
        int64_t total = part->block.ny * part->block.nx;
        bool found = part->first < total;
        if (found && walk->step > 0 && !walk->by_blocks) {
            found = next_clump(walk, part, total);
        } else if (found && walk->step > 0) {
            found = part->index % walk->step == offset_in_stratum(walk, part->index / walk->step);
            next_groups(walk, part, total);
        } else if (found) {
            next_groups(walk, part, total);
        }
        if (found) {
            cursor->first = part->first + part->count;
            return true;
        }
    }
    return false;
}

size_t um_part_positions(const um_matrix *m, um_rect block, int64_t first, int64_t count,
                         int64_t *position, int64_t *place)
{
    const uint8_t *mask = m->info.navigation_mask;
    int64_t x = first % block.nx;
    int64_t at = (block.y0 + first / block.nx) * m->layout.out.nx + block.x0 + x;
    size_t kept = 0;
    for (int64_t r = 0; r < count; r++) {
        if (mask == NULL || mask[at] == 0) {
            position[kept] = at;
            place[kept++] = r;
        }
        at++;
        if (++x == block.nx) {
            x = 0;
            at += m->layout.out.nx - block.nx;
        }
    }
    return kept;
}
