/* Sums of everything, in one pass. Counts in u8 and u16 are added up as integers, other types in f64. */
#include "pixels.h"
#include "prep_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024 }; /* pixels widened at once: they stay in the first cache */

struct um_sums_job {
    um_context *ctx;
    const um_pixel_kernels *kernels;
    um_sums *sums;
    um_dtype dtype;
    bool counts; /* added up as integers */
    const uint8_t *mask;
    double *weight; /* 1, or 0 at excluded pixels */
    void *keep;     /* the same for counts: all bits, or none, in their type */
    size_t kept;    /* pixels that are not excluded */
    uint64_t *count_sum, *count_square;
    pthread_mutex_t lock; /* of these two: integers may be added in any order */
    double least;
    size_t pixels;
};
typedef struct um_sums_job sums_job;

typedef struct sums_state {
    void *buffer; /* of all arrays below */
    um_count_sums counts;
    um_real_sums reals;
    int64_t rows, counted; /* counted: of them, in `counts` now */
    int64_t not_finite, negative;
    int64_t bad_position, bad_pixel;
} sums_state;

static void clear_state(const sums_job *job, sums_state *s)
{
    for (size_t i = 0; !job->counts && i < job->pixels; i++) {
        s->reals.sum[i] = 0;
        s->reals.square[i] = 0;
        s->reals.max[i] = -INFINITY;
    }
    if (job->counts) {
        memset(s->counts.max, 0, job->pixels * um_dtype_size(job->dtype));
    }
    s->reals.least = INFINITY;
    s->counts.least = UINT32_MAX;
    s->rows = s->not_finite = s->negative = 0;
    s->bad_position = s->bad_pixel = -1;
}

/* Three arrays of 4 or 8 bytes, and the greatest values of counts. */
static um_status sums_start(void *user, void **state)
{
    sums_job *job = user;
    sums_state *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return um_fail(job->ctx, UM_ERROR_MEMORY, "no memory for sums");
    }
    size_t size = job->counts ? 3 * sizeof(uint32_t) + 2 : 3 * sizeof(double);
    um_status status =
        um_buffer_alloc(job->ctx, job->pixels, size, "sums of patterns", &s->buffer);
    if (status != UM_OK) {
        free(s);
        return status;
    }
    if (job->counts) {
        s->counts.sum = s->buffer;
        s->counts.low = s->counts.sum + job->pixels;
        s->counts.high = s->counts.low + job->pixels;
        s->counts.max = s->counts.high + job->pixels;
    } else {
        s->reals.sum = s->buffer;
        s->reals.square = s->reals.sum + job->pixels;
        s->reals.max = s->reals.square + job->pixels;
    }
    clear_state(job, s);
    *state = s;
    return UM_OK;
}

static void sums_stop(void *user, void *state)
{
    sums_job *job = user;
    sums_state *s = state;
    if (s != NULL) {
        um_buffer_free(job->ctx, s->buffer);
        free(s);
    }
}

static bool position_before(int64_t position, int64_t pixel, const sums_state *s)
{
    return s->bad_position < 0 || position < s->bad_position ||
           (position == s->bad_position && pixel < s->bad_pixel);
}

/* Counts what is wrong and takes what is not finite out of the sums. */
static void note_bad(const sums_job *job, sums_state *s, double *values, size_t first, size_t count,
                     int64_t position)
{
    for (size_t i = 0; i < count; i++) {
        bool finite = isfinite(values[i]);
        if (job->mask == NULL || job->mask[first + i] == 0) {
            s->not_finite += !finite;
            s->negative += finite && values[i] < 0;
            int64_t pixel = (int64_t)(first + i);
            if ((!finite || values[i] < 0) && position_before(position, pixel, s)) {
                s->bad_position = position;
                s->bad_pixel = pixel;
            }
        }
        values[i] = finite ? values[i] : 0;
    }
}

static void add_reals(const sums_job *job, sums_state *s, const um_tile *tile)
{
    size_t size = um_dtype_size(tile->dtype);
    double values[BLOCK];
    double total[UM_GROUP_ROWS] = {0};
    double squares[UM_GROUP_ROWS] = {0};
    for (size_t first = 0; first < job->pixels; first += BLOCK) {
        size_t count = job->pixels - first < BLOCK ? job->pixels - first : BLOCK;
        for (size_t r = 0; r < tile->rows; r++) {
            const char *row = (const char *)tile->data + (r * job->pixels + first) * size;
            if (!job->kernels->widen[tile->dtype](values, row, count)) {
                note_bad(job, s, values, first, count, tile->position[r]);
            }
            job->kernels->add_reals(values, job->weight + first, first, count, &s->reals, &total[r],
                                    &squares[r]);
        }
    }
    for (size_t r = 0; r < tile->rows; r++) { /* each position is visited once: no lock needed */
        job->sums->sum_map[tile->position[r]] = total[r];
        job->sums->square_map[tile->position[r]] = squares[r];
    }
}

/* Takes the 32-bit sums over into the 64-bit ones of all workers. */
static void fold_counts(sums_job *job, sums_state *s)
{
    bool high = job->dtype == UM_U16;
    pthread_mutex_lock(&job->lock);
    for (size_t i = 0; i < job->pixels; i++) {
        job->count_sum[i] += s->counts.sum[i];
        job->count_square[i] +=
            s->counts.low[i] + (high ? (uint64_t)s->counts.high[i] << 16 : 0);
    }
    pthread_mutex_unlock(&job->lock);
    memset(s->counts.sum, 0, 3 * job->pixels * sizeof *s->counts.sum);
    s->counted = 0;
}

/* One row of values that are stored; those that are not are zero. */
#define DEFINE_ADD_STORED(name, value_type, type)                                                  \
    static void name(const sums_job *job, um_count_sums *s, const uint16_t *column,                \
                     const value_type *value, size_t count, uint64_t *total, uint64_t *squares)    \
    {                                                                                              \
        const type *keep = job->keep;                                                              \
        type *max = s->max;                                                                        \
        size_t kept = 0;                                                                           \
        for (size_t i = 0; i < count; i++) {                                                       \
            size_t j = column[i];                                                                  \
            uint32_t v = (uint32_t)value[i] & (uint32_t)keep[j];                                   \
            uint32_t square = v * v;                                                               \
            s->sum[j] += v;                                                                        \
            s->low[j] += sizeof(type) == 1 ? square : square & 0xffffU;                            \
            if (sizeof(type) > 1) {                                                                \
                s->high[j] += square >> 16;                                                        \
            }                                                                                      \
            max[j] = (type)v > max[j] ? (type)v : max[j];                                          \
            kept += keep[j] != 0;                                                                  \
            s->least = keep[j] != 0 && v < s->least ? v : s->least;                                \
            *total += v;                                                                           \
            *squares += square;                                                                    \
        }                                                                                          \
        s->least = kept < job->kept ? 0 : s->least;                                                \
    }
DEFINE_ADD_STORED(add_stored_u8, uint8_t, uint8_t)
DEFINE_ADD_STORED(add_stored_bytes, uint8_t, uint16_t)
DEFINE_ADD_STORED(add_stored_u16, uint16_t, uint16_t)

static void add_sparse(const sums_job *job, um_count_sums *s, const um_sparse_rows *x, size_t rows,
                       uint64_t *total, uint64_t *squares)
{
    for (size_t r = 0; r < rows; r++) {
        const uint16_t *column = x->column + x->start[r];
        size_t count = x->start[r + 1] - x->start[r];
        if (x->value_dtype != UM_U8) {
            add_stored_u16(job, s, column, (const uint16_t *)x->value + x->start[r], count,
                           &total[r], &squares[r]);
        } else if (job->dtype == UM_U8) {
            add_stored_u8(job, s, column, (const uint8_t *)x->value + x->start[r], count, &total[r],
                          &squares[r]);
        } else {
            add_stored_bytes(job, s, column, (const uint8_t *)x->value + x->start[r], count,
                             &total[r], &squares[r]);
        }
    }
}

static void add_counts(sums_job *job, sums_state *s, const um_tile *tile)
{
    uint64_t total[UM_GROUP_ROWS] = {0};
    uint64_t squares[UM_GROUP_ROWS] = {0};
    if (s->counted + (int64_t)tile->rows > UM_COUNT_ROWS) {
        fold_counts(job, s);
    }
    if (tile->sparse != NULL) {
        add_sparse(job, &s->counts, tile->sparse, tile->rows, total, squares);
    } else {
        job->kernels->count[tile->dtype](tile->data, tile->rows, job->pixels, job->keep, &s->counts,
                                         total, squares);
    }
    s->counted += (int64_t)tile->rows;
    for (size_t r = 0; r < tile->rows; r++) {
        job->sums->sum_map[tile->position[r]] = (double)total[r];
        job->sums->square_map[tile->position[r]] = (double)squares[r];
    }
}

static um_status sums_visit(void *user, void *state, const um_tile *tile)
{
    sums_job *job = user;
    sums_state *s = state;
    if (job->counts) {
        add_counts(job, s, tile);
    } else {
        add_reals(job, s, tile);
    }
    s->rows += (int64_t)tile->rows;
    return UM_OK;
}

static double max_count(const sums_job *job, const sums_state *s, size_t i)
{
    return job->dtype == UM_U8 ? ((const uint8_t *)s->counts.max)[i]
                               : ((const uint16_t *)s->counts.max)[i];
}

static um_status sums_merge(void *user, void *state)
{
    sums_job *job = user;
    sums_state *s = state;
    um_sums *sums = job->sums;
    if (job->counts) {
        fold_counts(job, s);
    }
    for (size_t i = 0; i < job->pixels; i++) {
        double most = job->counts ? max_count(job, s, i) : s->reals.max[i];
        sums->max_pattern[i] = most > sums->max_pattern[i] ? most : sums->max_pattern[i];
        if (!job->counts) {
            sums->sum_pattern[i] += s->reals.sum[i];
            sums->square_pattern[i] += s->reals.square[i];
        }
    }
    if (s->rows > 0) {
        double least = job->counts ? (double)s->counts.least : s->reals.least;
        job->least = least < job->least ? least : job->least;
    }
    sums->positions += s->rows;
    sums->not_finite += s->not_finite;
    sums->negative += s->negative;
    sums_state all = {.bad_position = sums->first_bad_position, .bad_pixel = sums->first_bad_pixel};
    if (s->bad_position >= 0 && position_before(s->bad_position, s->bad_pixel, &all)) {
        sums->first_bad_position = s->bad_position;
        sums->first_bad_pixel = s->bad_pixel;
    }
    clear_state(job, s);
    return UM_OK;
}

static void finish(sums_job *job)
{
    um_sums *sums = job->sums;
    size_t kept = 0;
    sums->maximum = -INFINITY;
    for (size_t i = 0; i < job->pixels; i++) {
        if (sums->positions == 0 || (job->mask != NULL && job->mask[i] != 0)) {
            sums->sum_pattern[i] = sums->square_pattern[i] = sums->max_pattern[i] = 0;
            continue;
        }
        kept++;
        if (job->counts) {
            sums->sum_pattern[i] = (double)job->count_sum[i];
            sums->square_pattern[i] = (double)job->count_square[i];
        }
        sums->total += sums->sum_pattern[i];
        sums->total_squares += sums->square_pattern[i];
        sums->maximum = fmax(sums->maximum, sums->max_pattern[i]);
    }
    sums->minimum = kept > 0 ? job->least : INFINITY;
    if (sums->positions == 0) {
        sums->minimum = sums->maximum = 0;
    }
}

static um_status allocate(sums_job *job, int64_t positions)
{
    um_sums *sums = calloc(1, sizeof *sums);
    if (sums == NULL) {
        return um_fail(job->ctx, UM_ERROR_MEMORY, "no memory for sums");
    }
    job->sums = sums;
    sums->first_bad_position = sums->first_bad_pixel = -1;
    sums->sum_pattern = calloc(job->pixels, sizeof(double));
    sums->square_pattern = calloc(job->pixels, sizeof(double));
    sums->max_pattern = calloc(job->pixels, sizeof(double));
    sums->sum_map = calloc((size_t)positions, sizeof(double));
    sums->square_map = calloc((size_t)positions, sizeof(double));
    size_t size = job->counts ? um_dtype_size(job->dtype) : sizeof(double);
    job->keep = calloc(job->pixels, size);
    job->count_sum = calloc(job->counts ? job->pixels : 1, sizeof(uint64_t));
    job->count_square = calloc(job->counts ? job->pixels : 1, sizeof(uint64_t));
    if (sums->sum_pattern == NULL || sums->square_pattern == NULL || sums->max_pattern == NULL ||
        sums->sum_map == NULL || sums->square_map == NULL || job->keep == NULL ||
        job->count_sum == NULL || job->count_square == NULL) {
        return um_fail(job->ctx, UM_ERROR_MEMORY, "no memory for sums");
    }
    job->weight = job->counts ? NULL : job->keep;
    for (size_t i = 0; i < job->pixels; i++) {
        bool kept = job->mask == NULL || job->mask[i] == 0;
        sums->max_pattern[i] = -INFINITY;
        job->kept += kept;
        if (job->counts) {
            memset((char *)job->keep + i * size, kept ? 0xff : 0, size);
        } else {
            job->weight[i] = kept ? 1.0 : 0.0;
        }
    }
    return UM_OK;
}

const um_visitor um_sums_visitor = {
    .start = sums_start, .visit = sums_visit, .merge = sums_merge, .stop = sums_stop, .sparse = true};

um_status um_sums_begin(um_matrix *matrix, um_sums_job **out)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    um_context *ctx = um_matrix_get_context(matrix);
    sums_job *job = calloc(1, sizeof *job);
    *out = job;
    if (job == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for sums");
    }
    job->ctx = ctx;
    job->kernels = um_pixel_kernels_get(um_context_isa(ctx));
    job->dtype = info->dtype;
    job->counts = job->kernels->count[info->dtype] != NULL;
    job->least = INFINITY;
    pthread_mutex_init(&job->lock, NULL);
    job->mask = info->signal_mask;
    job->pixels = (size_t)(info->shape.ky * info->shape.kx);
    int64_t positions = info->shape.ny * info->shape.nx;
    size_t bytes = (6 * job->pixels + 2 * (size_t)positions) * sizeof(double);
    UM_TRY(um_budget_require(ctx, bytes, "summing up"));
    return allocate(job, positions);
}

const um_sums *um_sums_so_far(const um_sums_job *job)
{
    return job->sums;
}

um_sums *um_sums_finish(um_sums_job *job)
{
    finish(job);
    um_sums *sums = job->sums;
    job->sums = NULL;
    return sums;
}

void um_sums_end(um_sums_job *job)
{
    if (job != NULL) {
        um_sums_free(job->sums);
        free(job->keep);
        free(job->count_sum);
        free(job->count_square);
        pthread_mutex_destroy(&job->lock);
        free(job);
    }
}

um_status um_matrix_sums(um_matrix *matrix, um_sums **out)
{
    *out = NULL;
    sums_job *job = NULL;
    um_status status = um_sums_begin(matrix, &job);
    if (status == UM_OK) {
        um_visitor dense = um_sums_visitor; /* compressing for this alone would not pay */
        dense.sparse = false;
        status = um_matrix_pass(matrix, "summing up", &dense, job);
    }
    if (status == UM_OK) {
        *out = um_sums_finish(job);
    }
    um_sums_end(job);
    return status;
}

void um_sums_free(um_sums *sums)
{
    if (sums == NULL) {
        return;
    }
    free(sums->sum_pattern);
    free(sums->square_pattern);
    free(sums->max_pattern);
    free(sums->sum_map);
    free(sums->square_map);
    free(sums);
}
