/* Read 0: a few patterns from all over the scan, as stored, and what they tell before everything is read: the
 * weights about, and in which directions to look. */
#include "factor_internal.h"
#include "pixels.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_PER_ITEM = 256, LEAST_ROWS = 1024, ROUNDS = 4, RANDOM_DIRECTIONS = 12 };
static const double SHARE = 0.05;
static const double LARGEST = 1e15; /* beyond it the scan will be refused, once it has been read */
static const size_t SMALL_SCAN = (size_t)8 << 20, SMALL_SAMPLE = (size_t)16 << 20; /* bytes */

/* ---- taking it ------------------------------------------------------------------------------- */

typedef struct taking {
    um_sample *sample;
    atomic_size_t next;
    size_t pattern;
} taking;

static um_status take_rows(void *user, void *state, const um_tile *tile)
{
    (void)state;
    taking *t = user;
    um_sample *sample = t->sample;
    size_t at = atomic_fetch_add(&t->next, tile->rows);
    for (size_t r = 0; r < tile->rows && at + r < sample->room; r++) {
        memcpy((char *)sample->data + (at + r) * t->pattern,
               (const char *)tile->data + r * t->pattern, t->pattern);
        sample->slot[at + r] = (um_sample_slot){tile->position[r], at + r};
    }
    return UM_OK;
}

static int by_position(const void *a, const void *b)
{
    int64_t x = ((const um_sample_slot *)a)->position;
    int64_t y = ((const um_sample_slot *)b)->position;
    return (x > y) - (x < y);
}

/* Decided by the shape of the scan alone: results must not depend on the budget. */
double um_sample_share(size_t n, size_t pattern, size_t subspace_bytes)
{
    double bytes = (double)n * (double)pattern;
    if (bytes <= (double)SMALL_SCAN) {
        return 1;
    }
    double most = fmax((double)SMALL_SAMPLE, (double)subspace_bytes);
    double share = fmax(SHARE, LEAST_ROWS / (double)n);
    return fmin(1, fmin(share, most / bytes));
}

um_status um_sample_take(um_scaled *s, double share, um_sample *out)
{
    *out = (um_sample){.dtype = um_matrix_get_info(s->matrix)->dtype, .m = s->m};
    taking t = {.sample = out, .pattern = s->m * um_dtype_size(out->dtype)};
    out->room = (size_t)um_matrix_sample_size(s->matrix, share);
    UM_TRY(um_buffer_alloc(s->ctx, out->room, t.pattern, "a sample of the scan", &out->data));
    UM_TRY(
        um_buffer_alloc(s->ctx, out->room, sizeof *out->slot, "a sample of the scan", &out->slot));
    const um_visitor visitor = {.visit = take_rows};
    UM_TRY(um_matrix_sample(s->matrix, "a sample", share, &visitor, &t));
    out->rows = t.next < out->room ? t.next : out->room;
    qsort(out->slot, out->rows, sizeof *out->slot, by_position);
    return UM_OK;
}

void um_sample_free(um_context *ctx, um_sample *sample)
{
    um_buffer_free(ctx, sample->data);
    um_buffer_free(ctx, sample->slot);
    *sample = (um_sample){0};
}

/* ---- walking over it: what um_exact_pass asks of a pass ------------------------------------------ */

typedef struct walk {
    const um_sample *sample;
    const um_visitor *visitor;
    void *user;
    void **state;
    char **group;
} walk;

static um_status walk_item(void *user, int64_t item, int worker)
{
    walk *w = user;
    const um_sample *sample = w->sample;
    size_t pattern = sample->m * um_dtype_size(sample->dtype);
    size_t last = ((size_t)item + 1) * ROWS_PER_ITEM;
    last = last < sample->rows ? last : sample->rows;
    for (size_t first = (size_t)item * ROWS_PER_ITEM; first < last; first += UM_GROUP_ROWS) {
        int64_t position[UM_GROUP_ROWS];
        size_t rows = last - first < UM_GROUP_ROWS ? last - first : UM_GROUP_ROWS;
        for (size_t r = 0; r < rows; r++) {
            position[r] = (int64_t)(first + r);
            memcpy(w->group[worker] + r * pattern,
                   (const char *)sample->data + sample->slot[first + r].row * pattern, pattern);
        }
        const um_tile tile = {
            .dtype = sample->dtype, .data = w->group[worker], .rows = rows, .position = position};
        UM_TRY(w->visitor->visit(w->user, w->state[worker], &tile));
        if (w->visitor->drain != NULL) { /* the next group takes its place */
            UM_TRY(w->visitor->drain(w->user, w->state[worker]));
        }
    }
    return UM_OK;
}

static um_status walk_merge(void *user, int64_t item, int worker)
{
    (void)item;
    walk *w = user;
    return w->visitor->merge != NULL ? w->visitor->merge(w->user, w->state[worker]) : UM_OK;
}

static um_status run_walk(um_context *ctx, walk *w, int threads)
{
    const um_sample *sample = w->sample;
    size_t pattern = sample->m * um_dtype_size(sample->dtype);
    int started = 0;
    for (; started < threads; started++) {
        um_status status =
            um_buffer_alloc(ctx, UM_GROUP_ROWS, pattern, "a group of patterns", &w->group[started]);
        if (status == UM_OK && w->visitor->start != NULL) {
            status = w->visitor->start(w->user, &w->state[started]);
        }
        if (status == UM_ERROR_BUDGET && started > 0) {
            break;
        }
        UM_TRY(status);
    }
    int64_t items = (int64_t)((sample->rows + ROWS_PER_ITEM - 1) / ROWS_PER_ITEM);
    return um_pipeline_run(ctx, items, started, walk_item, walk_merge, w);
}

static um_status walk_sample(um_context *ctx, const um_sample *sample, const um_visitor *visitor,
                             void *user)
{
    int threads = um_context_threads(ctx);
    walk w = {.sample = sample, .visitor = visitor, .user = user};
    w.state = calloc((size_t)threads, sizeof *w.state);
    w.group = calloc((size_t)threads, sizeof *w.group);
    um_status status = w.state != NULL && w.group != NULL
                           ? run_walk(ctx, &w, threads)
                           : um_fail(ctx, UM_ERROR_MEMORY, "no memory for %d workers", threads);
    for (int i = 0; i < threads && w.state != NULL && w.group != NULL; i++) {
        if (w.state[i] != NULL && visitor->stop != NULL) {
            visitor->stop(user, w.state[i]);
        }
        um_buffer_free(ctx, w.group[i]);
    }
    free(w.state);
    free(w.group);
    return status;
}

um_status um_sample_walk(void *walker, const um_visitor *visitor, void *user)
{
    const um_sample_view *view = walker;
    return walk_sample(view->scaled.ctx, view->sample, visitor, user);
}

/* ---- weights from a sample ------------------------------------------------------------------------ */

typedef struct judgement {
    bool negative, sound;
} judgement;

/* Sums over rows and columns of what is not excluded, in the order of positions. */
static judgement sum_up(const um_scaled *s, const um_sample *sample, double *row, double *column,
                        double *values)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    size_t pattern = s->m * um_dtype_size(sample->dtype);
    judgement judged = {false, true};
    bool (*widen)(double *, const void *, size_t) =
        um_pixel_kernels_get(um_context_isa(s->ctx))->widen[sample->dtype];
    for (size_t r = 0; r < sample->rows; r++) {
        (void)widen(values, (const char *)sample->data + sample->slot[r].row * pattern, s->m);
        for (size_t j = 0; j < s->m; j++) {
            bool on = info->signal_mask == NULL || info->signal_mask[j] == 0;
            double x = on && fabs(values[j]) < LARGEST ? values[j] : 0;
            judged.negative = judged.negative || x < 0;
            judged.sound = judged.sound && (!on || fabs(values[j]) < LARGEST);
            row[r] += x;
            column[j] += x;
        }
    }
    return judged;
}

/* Where the sample has no count a pixel still gets the weight of half a count: the rest may have some. */
static void guess_weights(um_scaled *s, const um_sample *sample, const double *row,
                          const double *column)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    double scale = sample->rows > 0 ? (double)s->rows / (double)sample->rows : 1;
    double total = 0;
    for (size_t r = 0; r < sample->rows; r++) {
        total += row[r] * scale;
    }
    s->guessed_total = total;
    double least = 0.5 * scale;
    if (!um_dtype_is_integer(sample->dtype)) {
        least = 1e-6 * total / (double)s->columns;
    }
    for (size_t j = 0; j < s->m; j++) {
        bool on = info->signal_mask == NULL || info->signal_mask[j] == 0;
        double b = fmax(column[j] * scale, least);
        s->v[j] = on ? (float)(s->weighted ? (b > 0 ? 1 / sqrt(b) : 0) : 1) : 0;
    }
}

static um_status make_view(um_scaled *s, const um_sample *sample, um_sample_view *view)
{
    *view = (um_sample_view){.scaled = *s, .sample = sample};
    view->scaled.dtype = sample->dtype;
    double *row = NULL;
    double *column = NULL;
    double *values = NULL;
    um_status status = um_buffer_alloc(s->ctx, sample->rows + 1, sizeof *row, "sums of rows", &row);
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, s->m, sizeof *column, "a pattern", &column);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, s->m, sizeof *values, "a pattern", &values);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, sample->rows + 1, sizeof(float), "row weights",
                                 &view->scaled.u);
    }
    if (status == UM_OK) {
        const judgement judged = sum_up(s, sample, row, column, values);
        if (s->sums == NULL) {
            s->weighted = s->weighted && (s->wanted == UM_WEIGHTS_POISSON || !judged.negative);
            guess_weights(s, sample, row, column);
        }
        double total = s->sums != NULL ? s->sums->total : s->guessed_total;
        for (size_t r = 0; r < sample->rows; r++) {
            view->scaled.u[r] = s->weighted ? (row[r] > 0 ? (float)sqrt(total / row[r]) : 0) : 1;
        }
        view->scaled.n = sample->rows;
        view->scaled.weighted = s->weighted;
        view->sound = judged.sound;
    }
    um_buffer_free(s->ctx, row);
    um_buffer_free(s->ctx, column);
    um_buffer_free(s->ctx, values);
    return status;
}

/* ---- directions ---------------------------------------------------------------------------------- */

/* Of l rows of the basis the first hold the leading right singular vectors of the sample, the last stay as
 * they were, random: what the sample has missed shows there. */
static void mix(const um_scaled *s, const float *found, size_t l, float *o)
{
    size_t random = l > 2 * RANDOM_DIRECTIONS ? RANDOM_DIRECTIONS : l / 3;
    float scale = (float)(1 / sqrt((double)s->columns));
    for (size_t c = 0; c < l; c++) {
        float norm2 = 0;
        for (size_t j = 0; j < s->m; j++) {
            norm2 += found[c * s->ld + j] * found[c * s->ld + j];
        }
        bool use = c + random < l && norm2 > 0.5F; /* 0 beyond the rank of the sample */
        for (size_t j = 0; j < s->m; j++) {
            o[c * s->ld + j] = use ? found[c * s->ld + j] : o[c * s->ld + j] * scale;
        }
    }
}

um_status um_sample_directions(um_scaled *s, size_t l, size_t subspace_bytes, float *o)
{
    um_sample sample = {0};
    um_sample_view view = {0};
    float *found = NULL;
    size_t pattern = s->m * um_dtype_size(um_matrix_get_info(s->matrix)->dtype);
    um_status status =
        um_sample_take(s, um_sample_share(s->n, pattern, subspace_bytes), &sample);
    if (status == UM_OK) {
        status = make_view(s, &sample, &view);
    }
    if (status == UM_OK && sample.rows >= 2 && view.sound) {
        status = um_buffer_alloc(s->ctx, l * s->ld, sizeof *found, "directions", &found);
    }
    if (found != NULL && status == UM_OK) {
        memcpy(found, o, l * s->ld * sizeof *found);
        status = um_subspace_rounds(&view.scaled, l, ROUNDS, um_sample_walk, &view, found, NULL);
    }
    if (found != NULL && status == UM_OK) {
        mix(s, found, l, o);
    }
    um_buffer_free(s->ctx, found);
    um_buffer_free(s->ctx, view.scaled.u);
    um_sample_free(s->ctx, &sample);
    return status;
}
