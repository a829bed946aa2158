/* The pass: a worker takes a segment, reads its blocks (or, when the budget is small, parts of a block) and
 * visits group by group. When the budget does not do for a worker per thread, fewer workers go. */
#include "matrix_internal.h"

#include <stdlib.h>
#include <string.h>

enum { RESIDENT_SHARE = 4, CLUMP = 8 };

typedef struct pass_worker {
    void *raw, *prepared, *scratch;
    char *part;  /* where the patterns of this part are: `prepared`, or the resident ones */
    void *group; /* gathered rows when excluded positions leave gaps */
    int64_t *positions;
    void *state;
    bool started;
} pass_worker;

typedef struct pass {
    um_matrix *matrix;
    const um_visitor *visitor;
    void *user;
    pass_worker *workers;
    int64_t part_positions; /* most output positions prepared at once: whole groups, or a block */
    int64_t raw_positions;  /* most output positions read at once as stored; 0 = read in place */
    size_t raw_pattern, out_pattern; /* bytes */
    int64_t step; /* 0 = everything, else one clump (or block) of each stratum of so many */
    _Atomic int64_t visited; /* positions */
} pass;

static um_status visit_group(pass *p, pass_worker *w, const void *data, size_t rows)
{
    um_tile tile = {
        .dtype = p->matrix->info.dtype, .data = data, .rows = rows, .position = w->positions};
    return p->visitor->visit(p->user, w->state, &tile);
}

/* Visits the `count` prepared patterns at w->prepared, of the block's positions first, first+1, ...
 * in row-major order inside `block`. Group borders lie at multiples of UM_GROUP_ROWS in the block. */
static um_status visit_part(pass *p, pass_worker *w, um_rect block, int64_t first, int64_t count)
{
    const um_matrix *m = p->matrix;
    const uint8_t *mask = m->info.navigation_mask;
    for (int64_t g = 0; g < count; g += UM_GROUP_ROWS) {
        int64_t rows = min_i64(UM_GROUP_ROWS, count - g);
        size_t kept = 0;
        for (int64_t r = 0; r < rows; r++) {
            int64_t i = first + g + r;
            int64_t position =
                (block.y0 + i / block.nx) * m->layout.out.nx + block.x0 + i % block.nx;
            if (mask == NULL || mask[position] == 0) {
                w->positions[kept++] = position;
            }
        }
        const char *data = w->part + (size_t)g * p->out_pattern;
        if (kept > 0 && kept < (size_t)rows) {
            size_t k = 0;
            for (int64_t r = 0; r < rows && k < kept; r++) {
                int64_t i = first + g + r;
                int64_t position =
                    (block.y0 + i / block.nx) * m->layout.out.nx + block.x0 + i % block.nx;
                if (w->positions[k] == position) {
                    memcpy((char *)w->group + k * p->out_pattern, data + (size_t)r * p->out_pattern,
                           p->out_pattern);
                    k++;
                }
            }
            data = w->group;
        }
        if (kept > 0) {
            UM_TRY(visit_group(p, w, data, kept));
        }
    }
    return UM_OK;
}

static um_status read_prepared(pass *p, pass_worker *w, um_rect out, char *dst)
{
    um_matrix *m = p->matrix;
    int64_t bin = m->layout.scan_bin;
    int64_t y0 = m->layout.crop_y0;
    int64_t x0 = m->layout.crop_x0;
    if (m->layout.identity) {
        return um_source_read(m->source, (um_rect){y0 + out.y0, x0 + out.x0, out.ny, out.nx}, dst);
    }
    /* As many whole rows as fit, or else parts of one row. */
    int64_t nx = min_i64(out.nx, p->raw_positions);
    int64_t ny = min_i64(out.ny, p->raw_positions / nx);
    for (int64_t y = 0; y < out.ny; y += ny) {
        for (int64_t x = 0; x < out.nx; x += nx) {
            um_rect part = {out.y0 + y, out.x0 + x, min_i64(ny, out.ny - y),
                            min_i64(nx, out.nx - x)};
            um_rect in = {y0 + part.y0 * bin, x0 + part.x0 * bin, part.ny * bin, part.nx * bin};
            char *to = dst + (size_t)(y * out.nx + x) * p->out_pattern;
            UM_TRY(um_source_read(m->source, in, w->raw));
            UM_TRY(um_prep_apply(m->prep, part, w->raw, w->scratch, to));
        }
    }
    return UM_OK;
}

/* Fills w->part with positions first .. first+count-1 of the block: at most three rectangles. */
static um_status fill_part(pass *p, pass_worker *w, um_rect block, int64_t first, int64_t count)
{
    char *dst = w->part;
    while (count > 0) {
        int64_t y = first / block.nx;
        int64_t x = first % block.nx;
        um_rect rect = {block.y0 + y, block.x0 + x, 1, min_i64(block.nx - x, count)};
        if (x == 0 && count >= block.nx) {
            rect.ny = count / block.nx;
        }
        int64_t taken = rect.ny * rect.nx;
        UM_TRY(read_prepared(p, w, rect, dst));
        dst += (size_t)taken * p->out_pattern;
        first += taken;
        count -= taken;
    }
    return UM_OK;
}

/* Positions that come before block b in streaming order. */
static int64_t positions_before(const um_matrix *m, int64_t b)
{
    int64_t y0 = b / m->blocks_x * m->block_ny;
    int64_t x0 = b % m->blocks_x * m->block_nx;
    return y0 * m->layout.out.nx + x0 * min_i64(m->block_ny, m->layout.out.ny - y0);
}

static um_status pass_range(pass *p, pass_worker *w, int64_t b, um_rect block, int64_t first,
                            int64_t count)
{
    const um_matrix *m = p->matrix;
    UM_TRY(um_check_cancel(m->ctx));
    w->part = w->prepared;
    if (m->resident != NULL) {
        w->part = m->resident + (size_t)(positions_before(m, b) + first) * p->out_pattern;
    }
    if (!m->resident_whole) {
        UM_TRY(fill_part(p, w, block, first, count));
    }
    UM_TRY(visit_part(p, w, block, first, count));
    p->visited += count;
    um_progress_add(m->ctx, count);
    return UM_OK;
}

/* Where in its stratum the sample is taken: the same for any thread. */
static int64_t offset_in_stratum(const um_matrix *m, int64_t stratum, int64_t choices)
{
    const um_random random = {um_context_seed(m->ctx), UM_STREAM_SAMPLE};
    return (int64_t)(um_random_uniform(random, (uint64_t)stratum) * (double)choices);
}

static bool by_blocks(const um_matrix *m)
{
    const um_source_info *info = um_source_get_info(m->source);
    return info->block_ny > 1 || info->block_nx < info->shape.nx;
}

/* Of a chunked file whole blocks are taken, because they are read whole; else clumps of patterns. */
static um_status sample_block(pass *p, pass_worker *w, int64_t b, um_rect block, int64_t total)
{
    const um_matrix *m = p->matrix;
    if (by_blocks(m)) {
        int64_t stratum = b / p->step;
        if (b % p->step == offset_in_stratum(m, stratum, p->step)) {
            for (int64_t first = 0; first < total; first += p->part_positions) {
                UM_TRY(
                    pass_range(p, w, b, block, first, min_i64(p->part_positions, total - first)));
            }
        }
        return UM_OK;
    }
    int64_t before = positions_before(m, b);
    int64_t width = CLUMP * p->step;
    for (int64_t stratum = before / width; stratum * width < before + total; stratum++) {
        int64_t first = stratum * width + CLUMP * offset_in_stratum(m, stratum, p->step) - before;
        int64_t last = min_i64(first + CLUMP, total); /* a clump may lie in two blocks */
        first = first > 0 ? first : 0;
        if (first < last) {
            UM_TRY(pass_range(p, w, b, block, first, last - first));
        }
    }
    return UM_OK;
}

static um_status pass_block(pass *p, pass_worker *w, int64_t b)
{
    const um_matrix *m = p->matrix;
    um_rect block = {b / m->blocks_x * m->block_ny, b % m->blocks_x * m->block_nx, m->block_ny,
                     m->block_nx};
    block.ny = min_i64(block.ny, m->layout.out.ny - block.y0);
    block.nx = min_i64(block.nx, m->layout.out.nx - block.x0);
    int64_t total = block.ny * block.nx;
    if (p->step > 0) {
        return sample_block(p, w, b, block, total);
    }
    for (int64_t first = 0; first < total; first += p->part_positions) {
        UM_TRY(pass_range(p, w, b, block, first, min_i64(p->part_positions, total - first)));
    }
    return UM_OK;
}

static um_status pass_segment(void *user, int64_t segment, int index)
{
    pass *p = user;
    pass_worker *w = &p->workers[index];
    const um_matrix *m = p->matrix;
    int64_t first = segment * m->segment_blocks;
    int64_t last = min_i64(first + m->segment_blocks, m->blocks_y * m->blocks_x);
    for (int64_t b = first; b < last; b++) {
        UM_TRY(pass_block(p, w, b));
    }
    return UM_OK;
}

static um_status merge_segment(void *user, int64_t segment, int index)
{
    (void)segment;
    pass *p = user;
    return p->visitor->merge == NULL ? UM_OK : p->visitor->merge(p->user, p->workers[index].state);
}

/* From the second pass on, patterns that take at most a quarter of the free budget stay in memory. The
 * order, and with it every result, is the same. */
static void keep_resident(const pass *p)
{
    um_matrix *m = p->matrix;
    size_t used = um_context_memory_in_use(m->ctx);
    size_t budget = um_context_memory(m->ctx);
    size_t bytes = 0;
    bool fits = um_mul4(m->layout.out.ny, m->layout.out.nx, (int64_t)p->out_pattern, 1, &bytes) &&
                budget > used && bytes <= (budget - used) / RESIDENT_SHARE;
    if (m->resident != NULL || m->passes == 0 || !fits) {
        return;
    }
    if (um_buffer_alloc(m->ctx, bytes, 1, "the scan in memory", &m->resident) != UM_OK) {
        m->resident = NULL; /* streaming does as well */
    }
}

/* ---- workers -------------------------------------------------------------------------------- */

/* Positions of a full group: blocks may be smaller. */
static int64_t group_positions(const pass *p)
{
    return min_i64(UM_GROUP_ROWS, p->matrix->block_ny * p->matrix->block_nx);
}

/* Bytes that a worker cannot do without: a group prepared, one position as stored. */
static size_t least_bytes(const pass *p)
{
    const um_matrix *m = p->matrix;
    size_t bin2 = (size_t)(m->layout.scan_bin * m->layout.scan_bin);
    size_t groups = m->info.navigation_mask != NULL ? 2 : 1;
    size_t stored = m->layout.identity ? 0 : bin2 * p->raw_pattern + um_prep_scratch_size(m->prep);
    return groups * (size_t)group_positions(p) * p->out_pattern + stored;
}

/* Shares the room of one worker out: groups of prepared patterns, and patterns as stored. */
static void plan_tiles(pass *p, size_t room)
{
    const um_matrix *m = p->matrix;
    size_t least = least_bytes(p);
    size_t spare = room > least ? room - least : 0;
    size_t bin2 = (size_t)(m->layout.scan_bin * m->layout.scan_bin);
    size_t raw = m->layout.identity ? 0 : bin2 * p->raw_pattern;
    int64_t block = m->block_ny * m->block_nx;
    /* One more group with all that it takes to read it at once, as often as it fits. */
    size_t more = spare / (UM_GROUP_ROWS * (p->out_pattern + raw));
    int64_t groups = min_i64(1 + (int64_t)more, ceil_div(block, UM_GROUP_ROWS));
    p->part_positions = min_i64(groups * UM_GROUP_ROWS, block);
    p->raw_positions = 0;
    if (raw > 0) {
        size_t used = (size_t)(groups - 1) * UM_GROUP_ROWS * p->out_pattern;
        size_t rest = (spare > used ? spare - used : 0) / raw;
        p->raw_positions = min_i64(1 + (int64_t)rest, p->part_positions);
    }
}

static um_status make_worker(pass *p, pass_worker *w)
{
    um_matrix *m = p->matrix;
    um_context *ctx = m->ctx;
    size_t bin2 = (size_t)(m->layout.scan_bin * m->layout.scan_bin);
    if (m->resident == NULL) {
        UM_TRY(um_buffer_alloc(ctx, (size_t)p->part_positions, p->out_pattern, "a tile of patterns",
                               &w->prepared));
    }
    if (!m->layout.identity && !m->resident_whole) {
        UM_TRY(um_buffer_alloc(ctx, (size_t)p->raw_positions * bin2, p->raw_pattern,
                               "a tile as stored", &w->raw));
        UM_TRY(um_buffer_alloc(ctx, um_prep_scratch_size(m->prep), 1, "preparation scratch",
                               &w->scratch));
    }
    if (m->info.navigation_mask != NULL) {
        UM_TRY(um_buffer_alloc(ctx, (size_t)group_positions(p), p->out_pattern,
                               "a group of patterns", &w->group));
    }
    w->positions = calloc(UM_GROUP_ROWS, sizeof *w->positions);
    return w->positions != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "no memory for a worker");
}

static void free_worker(pass *p, pass_worker *w)
{
    um_context *ctx = p->matrix->ctx;
    if (w->started && p->visitor->stop != NULL) {
        p->visitor->stop(p->user, w->state);
    }
    um_buffer_free(ctx, w->raw);
    um_buffer_free(ctx, w->prepared);
    um_buffer_free(ctx, w->scratch);
    um_buffer_free(ctx, w->group);
    free(w->positions);
    *w = (pass_worker){0};
}

static um_status start_worker(pass *p, pass_worker *w)
{
    um_status status = p->visitor->start != NULL ? p->visitor->start(p->user, &w->state) : UM_OK;
    w->started = status == UM_OK || w->state != NULL; /* half made: still to be stopped */
    return status;
}

/* Room for the tiles of each of `threads` workers: half of what is left, because readers need room to
 * decode; all of it when it is little. */
static size_t worker_room(const pass *p, int threads)
{
    um_context *ctx = p->matrix->ctx;
    size_t used = um_context_memory_in_use(ctx);
    size_t budget = um_context_memory(ctx);
    size_t left = budget > used ? (budget - used) / (size_t)threads : 0;
    size_t least = least_bytes(p);
    return left / 2 > least || left < least ? left / 2 : least;
}

/* Starts at most `threads` workers, and fewer when the budget asks for it; their number. States come
 * first, so that the tiles take only what is left. */
static um_status start_workers(pass *p, int threads, int *started)
{
    *started = 0;
    for (int i = 0; i < threads; i++) {
        um_status status = start_worker(p, &p->workers[i]);
        if (status == UM_ERROR_BUDGET && i > 0) {
            free_worker(p, &p->workers[i]);
            break;
        }
        *started = i + 1;
        UM_TRY(status);
    }
    while (*started > 1 && worker_room(p, *started) < least_bytes(p)) {
        free_worker(p, &p->workers[--*started]);
    }
    UM_TRY(um_budget_require(p->matrix->ctx, least_bytes(p), "reading the scan"));
    plan_tiles(p, worker_room(p, *started));
    for (int i = 0; i < *started; i++) {
        UM_TRY(make_worker(p, &p->workers[i]));
    }
    if (*started < threads) {
        um_info(p->matrix->ctx, "the memory budget does for %d of %d workers", *started, threads);
    }
    return UM_OK;
}

static um_status run_pass(um_matrix *matrix, const char *stage, int64_t step,
                          const um_visitor *visitor, void *user)
{
    um_context *ctx = matrix->ctx;
    const um_source_info *source = um_source_get_info(matrix->source);
    pass p = {
        .matrix = matrix,
        .visitor = visitor,
        .user = user,
        .step = step,
        .raw_pattern = (size_t)(source->shape.ky * source->shape.kx) * um_dtype_size(source->dtype),
        .out_pattern = (size_t)(matrix->layout.out.ky * matrix->layout.out.kx) *
                       um_dtype_size(matrix->layout.dtype),
    };
    int threads = (int)min_i64(um_context_threads(ctx), matrix->segments);
    p.workers = calloc((size_t)threads, sizeof *p.workers);
    if (p.workers == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %d workers", threads);
    }
    if (step == 0) {
        keep_resident(&p);
    }
    int started = 0;
    um_status status = start_workers(&p, threads, &started);
    if (status == UM_ERROR_BUDGET && matrix->resident != NULL) {
        for (int i = 0; i < started; i++) {
            free_worker(&p, &p.workers[i]);
        }
        um_matrix_drop_resident(matrix);
        status = start_workers(&p, threads, &started);
    }
    if (status == UM_OK) {
        int64_t positions = matrix->layout.out.ny * matrix->layout.out.nx;
        um_progress_begin(ctx, stage, "patterns", step > 0 ? positions / step : positions);
        status = um_pipeline_run(ctx, matrix->segments, started, pass_segment, merge_segment, &p);
        um_progress_end(ctx);
    }
    for (int i = 0; i < started; i++) {
        free_worker(&p, &p.workers[i]);
    }
    free(p.workers);
    if (status == UM_OK) {
        matrix->visits +=
            (double)p.visited / (double)(matrix->layout.out.ny * matrix->layout.out.nx);
    }
    if (status == UM_OK && step == 0 && !matrix->resident_whole) {
        matrix->passes++;
        matrix->resident_whole = matrix->resident != NULL;
    }
    return status;
}

um_status um_matrix_pass(um_matrix *matrix, const char *stage, const um_visitor *visitor,
                         void *user)
{
    return run_pass(matrix, stage, 0, visitor, user);
}

static int64_t step_of(double share)
{
    int64_t step = share > 0 ? (int64_t)(1 / share + 1e-9) : 1;
    return step > 1 ? step : 0;
}

int64_t um_matrix_sample_size(const um_matrix *m, double share)
{
    int64_t step = step_of(share);
    int64_t all = m->layout.out.ny * m->layout.out.nx;
    if (step == 0) {
        return all;
    }
    int64_t stratum = by_blocks(m) ? m->block_ny * m->block_nx : CLUMP;
    int64_t strata =
        by_blocks(m) ? ceil_div(m->blocks_y * m->blocks_x, step) : ceil_div(all, CLUMP * step);
    return min_i64(all, strata * stratum);
}

um_status um_matrix_sample(um_matrix *matrix, const char *stage, double share,
                           const um_visitor *visitor, void *user)
{
    return run_pass(matrix, stage, step_of(share), visitor, user);
}
