/* Patterns from the source, prepared; by a thread of its own, so that reading and decoding go on while the
 * worker computes. A worker takes segments in order and no segment is taken before the one `lanes` before
 * it is merged, so each lane has one taker at a time and knows what comes next. */
#include "io_internal.h"
#include "matrix_internal.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 3 };

/* Reading ahead pays from here on. */
static const size_t AHEAD_BYTES = (size_t)16 << 20;

struct um_lane {
    const um_walk *walk;
    int64_t lane, lanes;
    um_lane_plan plan;
    char *slot[SLOTS];
    void *raw, *scratch;
    bool running;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t filled, taken; /* parts so far: slot [n % slots] */
    um_status status;      /* of the reading thread */
    bool stop;
};

/* ---- one part ------------------------------------------------------------------------------- */

static um_status read_prepared(um_lane *lane, um_rect out, char *dst)
{
    const um_matrix *m = lane->walk->matrix;
    int64_t bin = m->layout.scan_bin;
    int64_t y0 = m->layout.crop_y0;
    int64_t x0 = m->layout.crop_x0;
    if (m->layout.identity) {
        return um_source_read(m->source, (um_rect){y0 + out.y0, x0 + out.x0, out.ny, out.nx}, dst);
    }
    /* As many whole rows as fit, or else parts of one row. */
    int64_t nx = min_i64(out.nx, lane->plan.raw_positions);
    int64_t ny = min_i64(out.ny, lane->plan.raw_positions / nx);
    for (int64_t y = 0; y < out.ny; y += ny) {
        for (int64_t x = 0; x < out.nx; x += nx) {
            um_rect part = {out.y0 + y, out.x0 + x, min_i64(ny, out.ny - y), min_i64(nx, out.nx - x)};
            um_rect in = {y0 + part.y0 * bin, x0 + part.x0 * bin, part.ny * bin, part.nx * bin};
            char *to = dst + (size_t)(y * out.nx + x) * m->out_pattern;
            UM_TRY(um_source_read(m->source, in, lane->raw));
            UM_TRY(um_prep_apply(m->prep, part, lane->raw, lane->scratch, to));
        }
    }
    return UM_OK;
}

/* At most three rectangles: the end of a row, whole rows, the start of a row. */
static um_status read_part(um_lane *lane, const um_part *part, char *dst)
{
    um_rect block = part->block;
    int64_t first = part->first;
    int64_t count = part->count;
    while (count > 0) {
        int64_t y = first / block.nx;
        int64_t x = first % block.nx;
        um_rect rect = {block.y0 + y, block.x0 + x, 1, min_i64(block.nx - x, count)};
        if (x == 0 && count >= block.nx) {
            rect.ny = count / block.nx;
        }
        int64_t taken = rect.ny * rect.nx;
        UM_TRY(read_prepared(lane, rect, dst));
        dst += (size_t)taken * lane->walk->matrix->out_pattern;
        first += taken;
        count -= taken;
    }
    return UM_OK;
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* Waits for a free slot; false when the pass is over. */
static bool may_fill(um_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    while (!lane->stop && lane->filled - lane->taken >= lane->plan.slots) {
        pthread_cond_wait(&lane->changed, &lane->lock);
    }
    bool go = !lane->stop;
    pthread_mutex_unlock(&lane->lock);
    return go;
}

/* Tells the source of the block after the one that is begun. */
static void announce_next(const um_lane *lane, const um_cursor *cursor, const um_part *part)
{
    const um_matrix *m = lane->walk->matrix;
    int64_t next = part->index + 1;
    if (part->first > 0 || lane->walk->step > 0 || next >= cursor->last ||
        um_resident_get(m, next, 0).form != UM_FORM_NONE) {
        return;
    }
    int64_t bin = m->layout.scan_bin;
    um_rect out = um_walk_block(m, next);
    um_source_will_read(m->source, (um_rect){m->layout.crop_y0 + out.y0 * bin, m->layout.crop_x0 + out.x0 * bin,
                                             out.ny * bin, out.nx * bin});
}

static void *read_all(void *argument)
{
    um_lane *lane = argument;
    um_status status = UM_OK;
    for (int64_t s = lane->lane; s < lane->walk->segments && status == UM_OK;
         s += lane->lanes) {
        um_cursor cursor = um_walk_segment(lane->walk, s);
        um_part part;
        while (status == UM_OK && um_walk_next(lane->walk, &cursor, &part)) {
            if (part.held) {
                continue;
            }
            if (!may_fill(lane)) {
                return NULL;
            }
            announce_next(lane, &cursor, &part);
            status = read_part(lane, &part, lane->slot[lane->filled % lane->plan.slots]);
            pthread_mutex_lock(&lane->lock);
            lane->status = status;
            lane->filled += status == UM_OK;
            pthread_cond_broadcast(&lane->changed);
            pthread_mutex_unlock(&lane->lock);
        }
    }
    return NULL;
}

um_status um_lane_take(um_lane *lane, const um_part *part, char **patterns)
{
    *patterns = lane->slot[lane->taken % lane->plan.slots];
    if (lane->plan.ahead && !lane->running) { /* within the pass, so that it keeps the first message */
        lane->running = pthread_create(&lane->thread, NULL, read_all, lane) == 0;
        lane->plan.ahead = lane->running;
    }
    if (!lane->running) {
        return read_part(lane, part, *patterns);
    }
    pthread_mutex_lock(&lane->lock);
    while (lane->filled == lane->taken && lane->status == UM_OK) {
        pthread_cond_wait(&lane->changed, &lane->lock);
    }
    um_status status = lane->filled > lane->taken ? UM_OK : lane->status;
    pthread_mutex_unlock(&lane->lock);
    return status;
}

void um_lane_give(um_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->taken += lane->running;
    pthread_cond_broadcast(&lane->changed);
    pthread_mutex_unlock(&lane->lock);
}

/* ---- buffers -------------------------------------------------------------------------------- */

/* Bytes as stored behind one prepared pattern; 0 = they are the same. */
static size_t stored_bytes(const um_matrix *m)
{
    size_t bin2 = (size_t)(m->layout.scan_bin * m->layout.scan_bin);
    return m->layout.identity ? 0 : bin2 * m->raw_pattern;
}

size_t um_lane_least(const um_matrix *m)
{
    size_t stored = stored_bytes(m);
    return (size_t)group_positions(m) * m->out_pattern +
           (stored > 0 ? stored + um_prep_scratch_size(m->prep) : 0);
}

um_lane_plan um_lane_choose(um_walk *walk, size_t room, bool ahead)
{
    const um_matrix *m = walk->matrix;
    size_t least = um_lane_least(m);
    size_t spare = room > least ? room - least : 0;
    size_t raw = stored_bytes(m);
    int64_t block = m->block_ny * m->block_nx;
    um_lane_plan plan = {.slots = SLOTS, .ahead = ahead};
    size_t group = (size_t)group_positions(m) * m->out_pattern;
    if (!ahead || spare < 2 * group) {
        plan = (um_lane_plan){.slots = 1};
    }
    spare -= (size_t)(plan.slots - 1) * group;
    /* One more group with all that it takes to read it at once, as often as it fits. */
    size_t more = spare / (UM_GROUP_ROWS * ((size_t)plan.slots * m->out_pattern + raw));
    int64_t groups = min_i64(1 + (int64_t)more, ceil_div(block, UM_GROUP_ROWS));
    walk->part_positions = min_i64(groups * UM_GROUP_ROWS, block);
    if (raw > 0) {
        size_t used = (size_t)(groups - 1) * UM_GROUP_ROWS * (size_t)plan.slots * m->out_pattern;
        size_t rest = (spare > used ? spare - used : 0) / raw;
        plan.raw_positions = min_i64(1 + (int64_t)rest, walk->part_positions);
    }
    return plan;
}

/* Bytes of a lane as planned. */
static size_t lane_bytes(const um_walk *walk, const um_lane_plan *plan)
{
    const um_matrix *m = walk->matrix;
    return (size_t)walk->part_positions * (size_t)plan->slots * m->out_pattern +
           (m->layout.identity ? 0 : (size_t)plan->raw_positions * stored_bytes(m) +
                                         um_prep_scratch_size(m->prep));
}

size_t um_lanes_forecast(const um_matrix *m, size_t room, int64_t threads)
{
    um_walk walk = {.matrix = m};
    um_lane_plan plan = um_lane_choose(&walk, room / 2 / (size_t)threads, um_reads_ahead(m, threads));
    return (size_t)threads * lane_bytes(&walk, &plan);
}

bool um_reads_ahead(const um_matrix *m, int64_t threads)
{
    size_t bytes = (size_t)(m->layout.out.ny * m->layout.out.nx) * m->raw_pattern;
    return bytes > AHEAD_BYTES && (threads > 1 || (m->layout.identity && !is_chunked(m)));
}

um_status um_lane_create(const um_walk *walk, const um_lane_plan *plan, int64_t lane, int64_t lanes,
                         um_lane **out)
{
    const um_matrix *m = walk->matrix;
    um_lane *l = calloc(1, sizeof *l);
    *out = l;
    if (l == NULL) {
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory to read ahead");
    }
    l->walk = walk;
    l->plan = *plan;
    l->lane = lane;
    l->lanes = lanes;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    for (int i = 0; i < plan->slots; i++) {
        UM_TRY(um_buffer_alloc(m->ctx, (size_t)walk->part_positions, m->out_pattern,
                               "a tile of patterns", &l->slot[i]));
    }
    if (!m->layout.identity) {
        UM_TRY(um_buffer_alloc(m->ctx, (size_t)plan->raw_positions, stored_bytes(m),
                               "a tile as stored", &l->raw));
        UM_TRY(um_buffer_alloc(m->ctx, um_prep_scratch_size(m->prep), 1, "preparation scratch",
                               &l->scratch));
    }
    return UM_OK;
}

void um_lane_free(um_lane *lane)
{
    if (lane == NULL) {
        return;
    }
    if (lane->running) {
        pthread_mutex_lock(&lane->lock);
        lane->stop = true;
        pthread_cond_broadcast(&lane->changed);
        pthread_mutex_unlock(&lane->lock);
        pthread_join(lane->thread, NULL);
    }
    um_context *ctx = lane->walk->matrix->ctx;
    for (int i = 0; i < SLOTS; i++) {
        um_buffer_free(ctx, lane->slot[i]);
    }
    um_buffer_free(ctx, lane->raw);
    um_buffer_free(ctx, lane->scratch);
    pthread_mutex_destroy(&lane->lock);
    pthread_cond_destroy(&lane->changed);
    free(lane);
}
