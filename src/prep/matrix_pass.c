/* The pass: a worker takes a segment and visits it group by group, from memory or from what its lane reads.
 * When the budget does not do for a worker per thread, fewer workers go. */
#include "io_internal.h"
#include "matrix_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct pass_worker {
    char *dense;  /* a group unpacked, or NULL: made when first needed */
    char *sparse; /* a group compressed, or NULL: as above */
    size_t sparse_bytes;
    int64_t position[UM_GROUP_ROWS], place[UM_GROUP_ROWS];
    void *state;
    bool started;
} pass_worker;

typedef struct pass {
    um_matrix *matrix;
    const um_visitor *visitor;
    void *user;
    um_walk walk;
    bool sparse; /* tiles are handed out as sparse rows */
    pass_worker *workers;
    um_lane **lanes;
    int64_t started; /* workers, and lanes */
    size_t decoding;  /* bytes that the source takes for each lane */
    atomic_int_fast64_t visited, read; /* positions */
} pass;

/* ---- visits --------------------------------------------------------------------------------- */

/* The group compressed by this worker. */
static um_status compress(pass *p, pass_worker *w, const void *data, size_t rows,
                          um_sparse_rows *out)
{
    const um_matrix *m = p->matrix;
    um_form_facts facts;
    um_form_measure(um_pixel_kernels_get(um_context_isa(m->ctx)), m->info.dtype, data, rows * (size_t)(m->layout.out.ky * m->layout.out.kx), &facts);
    size_t bytes = um_form_size(UM_FORM_SPARSE, m->info.dtype, rows, &facts);
    if (bytes > w->sparse_bytes) {
        return um_fail(m->ctx, UM_ERROR_INTERNAL, "a group of sparse rows is larger than planned");
    }
    um_form_encode(um_pixel_kernels_get(um_context_isa(m->ctx)), UM_FORM_SPARSE, m->info.dtype, data, rows, &facts, w->sparse);
    *out = um_form_rows(w->sparse, rows);
    return UM_OK;
}

/* Patterns that have been shown are about to go. */
static um_status drain(const pass *p, pass_worker *w)
{
    return p->visitor->drain != NULL ? p->visitor->drain(p->user, w->state) : UM_OK;
}

/* Shows a group as it is held, or the patterns at `data`. */
static um_status visit_group(pass *p, pass_worker *w, um_held held, const void *data, size_t rows)
{
    const um_matrix *m = p->matrix;
    um_sparse_rows sparse;
    um_tile tile = {.dtype = m->info.dtype, .rows = rows, .position = w->position};
    if (held.form == UM_FORM_SPARSE && p->sparse) {
        sparse = um_form_rows(held.data, rows);
        tile.sparse = &sparse;
        return p->visitor->visit(p->user, w->state, &tile);
    }
    if (data == NULL && held.form == UM_FORM_RAW) {
        data = held.data;
    } else if (data == NULL) {
        size_t values = rows * (size_t)(m->layout.out.ky * m->layout.out.kx);
        UM_TRY(drain(p, w));
        um_form_decode(held.form, m->info.dtype, held.data, rows, values, w->dense);
        data = w->dense;
    }
    if (p->sparse) {
        UM_TRY(drain(p, w));
        UM_TRY(compress(p, w, data, rows, &sparse));
        tile.sparse = &sparse;
    } else {
        tile.data = data;
    }
    return p->visitor->visit(p->user, w->state, &tile);
}

/* Visits the part: its prepared patterns are at `patterns`, or in memory when that is NULL. Group borders
 * lie at multiples of UM_GROUP_ROWS in the block, except in samples. */
static um_status visit_part(pass *p, pass_worker *w, const um_part *part, char *patterns)
{
    um_matrix *m = p->matrix;
    for (int64_t g = 0; g < part->count; g += UM_GROUP_ROWS) {
        int64_t first = part->first + g;
        int64_t count = min_i64(UM_GROUP_ROWS, part->count - g);
        int64_t group = first / UM_GROUP_ROWS;
        size_t rows = um_part_positions(m, part->block, first, count, w->position, w->place);
        um_held held = {UM_FORM_NONE, NULL};
        char *data = NULL;
        if (patterns == NULL) {
            held = um_resident_get(m, part->index, group);
        } else {
            data = patterns + (size_t)g * m->out_pattern;
            for (size_t r = 0; r < rows; r++) { /* excluded positions leave gaps */
                if (w->place[r] != (int64_t)r) {
                    memcpy(data + r * m->out_pattern, data + (size_t)w->place[r] * m->out_pattern,
                           m->out_pattern);
                }
            }
            if (p->walk.step == 0) {
                held = um_resident_put(m, part->index, group, data, rows);
            }
        }
        if (rows > 0) {
            UM_TRY(visit_group(p, w, held, data, rows));
        }
    }
    return drain(p, w);
}

static um_status pass_segment(void *user, int64_t segment, int index)
{
    pass *p = user;
    pass_worker *w = &p->workers[index];
    um_lane *lane = p->lanes != NULL ? p->lanes[segment % p->started] : NULL;
    um_cursor cursor = um_walk_segment(&p->walk, segment);
    um_part part;
    while (um_walk_next(&p->walk, &cursor, &part)) {
        UM_TRY(um_check_cancel(p->matrix->ctx));
        char *patterns = NULL;
        if (!part.held) {
            UM_TRY(um_lane_take(lane, &part, &patterns));
        }
        UM_TRY(visit_part(p, w, &part, patterns));
        if (!part.held) {
            um_lane_give(lane);
            atomic_fetch_add(&p->read, part.count);
        }
        atomic_fetch_add(&p->visited, part.count);
        um_progress_add(p->matrix->ctx, part.count);
    }
    return UM_OK;
}

static um_status merge_segment(void *user, int64_t segment, int index)
{
    (void)segment;
    pass *p = user;
    return p->visitor->merge == NULL ? UM_OK
                                     : p->visitor->merge(p->user, p->workers[index].state);
}

/* ---- workers -------------------------------------------------------------------------------- */

/* What the walk will find outside memory. */
static int64_t positions_to_read(const pass *p)
{
    um_part part;
    int64_t positions = 0;
    for (int64_t s = 0; s < p->walk.segments; s++) {
        um_cursor cursor = um_walk_segment(&p->walk, s);
        while (um_walk_next(&p->walk, &cursor, &part)) {
            positions += part.held ? 0 : part.count;
        }
    }
    return positions;
}

/* Bytes for a group unpacked (when patterns are kept) and one compressed. */
static size_t dense_bytes(const pass *p)
{
    const um_matrix *m = p->matrix;
    return m->resident != NULL ? (size_t)group_positions(m) * m->out_pattern : 0;
}

static size_t sparse_bytes(const pass *p)
{
    const um_matrix *m = p->matrix;
    size_t rows = (size_t)group_positions(m);
    size_t values = rows * (size_t)(m->layout.out.ky * m->layout.out.kx);
    const um_form_facts all = {
        .values = values, .nonzero = values, .most = UINT16_MAX, .whole = true};
    return p->sparse ? um_form_size(UM_FORM_SPARSE, m->info.dtype, rows, &all) : 0;
}

/* Bytes that a worker and its lane cannot do without. */
static size_t least_bytes(const pass *p)
{
    return um_lane_least(p->matrix) + dense_bytes(p) + sparse_bytes(p);
}

static void free_worker(pass *p, pass_worker *w)
{
    um_context *ctx = p->matrix->ctx;
    if (w->started && p->visitor->stop != NULL) {
        p->visitor->stop(p->user, w->state);
    }
    um_buffer_free(ctx, w->dense);
    um_buffer_free(ctx, w->sparse);
    *w = (pass_worker){0};
}

static um_status start_worker(pass *p, pass_worker *w)
{
    um_status status = p->visitor->start != NULL ? p->visitor->start(p->user, &w->state) : UM_OK;
    w->started = status == UM_OK || w->state != NULL; /* half made: still to be stopped */
    return status;
}

bool um_is_reading(const um_matrix *m)
{
    for (int64_t b = 0; b < m->blocks_y * m->blocks_x; b++) {
        um_rect block = um_walk_block(m, b);
        int64_t groups = ceil_div(block.ny * block.nx, UM_GROUP_ROWS);
        for (int64_t g = 0; g < groups; g++) {
            if (um_resident_get(m, b, g).form == UM_FORM_NONE) {
                return true;
            }
        }
    }
    return false;
}

/* Room for the lane and the groups of each of `threads` workers: half of what is left, and not what the source
 * needs to decode; more when that is little. */
static size_t worker_room(const pass *p, int64_t threads)
{
    um_context *ctx = p->matrix->ctx;
    size_t used = um_context_memory_in_use(ctx);
    size_t budget = um_context_memory(ctx);
    size_t left = budget > used ? (budget - used) / (size_t)threads : 0;
    size_t most = left > p->decoding ? left - p->decoding : 0;
    size_t least = least_bytes(p);
    size_t room = left / 2 < most ? left / 2 : most;
    return room > least || most < least ? room : least;
}

static um_status make_buffers(pass *p, bool ahead)
{
    um_matrix *m = p->matrix;
    um_walk *walk = &p->walk;
    size_t room = worker_room(p, p->started) - dense_bytes(p) - sparse_bytes(p);
    um_lane_plan plan = um_lane_choose(walk, room, ahead);
    for (int64_t i = 0; i < p->started; i++) {
        pass_worker *w = &p->workers[i];
        w->sparse_bytes = sparse_bytes(p);
        if (w->sparse_bytes > 0) {
            UM_TRY(um_buffer_alloc(m->ctx, w->sparse_bytes, 1, "a group of sparse rows", &w->sparse));
        }
        if (m->resident != NULL) {
            UM_TRY(um_buffer_alloc(m->ctx, dense_bytes(p), 1, "a group of patterns", &w->dense));
        }
    }
    if (positions_to_read(p) == 0) {
        return UM_OK;
    }
    p->lanes = calloc((size_t)p->started, sizeof *p->lanes);
    if (p->lanes == NULL) {
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory to read");
    }
    for (int64_t i = 0; i < p->started; i++) {
        UM_TRY(um_lane_create(walk, &plan, i, p->started, &p->lanes[i]));
    }
    return UM_OK;
}

/* Starts at most `threads` workers, and fewer when the budget asks for it. States come first, so that the
 * tiles take only what is left. */
static um_status start_workers(pass *p, int threads)
{
    um_matrix *m = p->matrix;
    for (int i = 0; i < threads; i++) {
        um_status status = start_worker(p, &p->workers[i]);
        if (status == UM_ERROR_BUDGET && i > 0) {
            free_worker(p, &p->workers[i]);
            break;
        }
        p->started = i + 1;
        UM_TRY(status);
    }
    while (p->started > 1 && worker_room(p, p->started) < least_bytes(p)) {
        free_worker(p, &p->workers[--p->started]);
    }
    UM_TRY(um_budget_require(m->ctx, least_bytes(p) + p->decoding, "reading the scan"));
    UM_TRY(make_buffers(p, um_reads_ahead(m, threads)));
    if (p->started < threads) {
        um_info(m->ctx, "the memory budget does for %d of %d workers", (int)p->started, threads);
    }
    return UM_OK;
}

static void stop_workers(pass *p)
{
    for (int64_t i = 0; i < p->started; i++) {
        if (p->lanes != NULL) {
            um_lane_free(p->lanes[i]);
        }
        free_worker(p, &p->workers[i]);
    }
    free(p->lanes);
    free(p->workers);
}

static um_status run_pass(um_matrix *m, const char *stage, int64_t step, const um_visitor *visitor,
                          void *user)
{
    um_context *ctx = m->ctx;
    int64_t positions = m->layout.out.ny * m->layout.out.nx;
    int64_t blocks = m->blocks_y * m->blocks_x;
    int64_t segments = visitor->by_block ? blocks : m->segments;
    int threads = (int)min_i64(um_context_threads(ctx), segments);
    if (visitor->sparse) {
        UM_TRY(um_matrix_probe(m));
    }
    pass p = {
        .matrix = m,
        .visitor = visitor,
        .user = user,
        .sparse = visitor->sparse && m->sparse,
        .walk = {.matrix = m,
                 .segment_blocks = visitor->by_block ? 1 : m->segment_blocks,
                 .segments = segments,
                 .step = step,
                 .by_blocks = is_chunked(m)},
        .workers = calloc((size_t)threads, sizeof(pass_worker)),
    };
    if (p.workers == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %d workers", threads);
    }
    um_source_rest(m->source);
    um_resident_prepare(m, step == 0);
    p.decoding = um_is_reading(m) ? um_source_get_info(m->source)->scratch_bytes : 0;
    um_status status = start_workers(&p, threads);
    if (status == UM_OK) {
        um_resident_begin(m);
        um_progress_begin(ctx, stage, "patterns", step > 0 ? positions / step : positions);
        status = um_pipeline_run(ctx, segments, (int)p.started, pass_segment, merge_segment, &p);
        um_progress_end(ctx);
    }
    stop_workers(&p);
    um_resident_end(m);
    if (status == UM_OK) {
        m->visits += (double)p.visited / (double)positions;
        m->reads += (double)p.read / (double)positions;
        m->passes += step == 0 && p.read > 0;
    }
    return status;
}

um_status um_matrix_pass(um_matrix *matrix, const char *stage, const um_visitor *visitor, void *user)
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
    bool blocks = is_chunked(m);
    int64_t stratum = blocks ? m->block_ny * m->block_nx : UM_CLUMP;
    int64_t strata =
        blocks ? ceil_div(m->blocks_y * m->blocks_x, step) : ceil_div(all, UM_CLUMP * step);
    return min_i64(all, strata * stratum);
}

um_status um_matrix_sample(um_matrix *matrix, const char *stage, double share,
                           const um_visitor *visitor, void *user)
{
    return run_pass(matrix, stage, step_of(share), visitor, user);
}
