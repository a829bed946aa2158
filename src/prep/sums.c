/* Sums of everything, in one pass. */
#include "prep_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024, LANES = 8 }; /* pixels worked on at once: their sums stay in the first cache */

struct um_sums_job {
    um_context *ctx;
    um_sums *sums;
    double *min_pattern;
    const uint8_t *mask;
    double *weight; /* 1, or 0 at excluded pixels */
    size_t pixels;
};
typedef struct um_sums_job sums_job;

typedef struct sums_state {
    double *sum, *square, *max, *min; /* parts of one buffer */
    int64_t rows, not_finite, negative;
    int64_t bad_position, bad_pixel;
} sums_state;

static void clear_state(const sums_job *job, sums_state *s)
{
    for (size_t i = 0; i < job->pixels; i++) {
        s->sum[i] = 0;
        s->square[i] = 0;
        s->max[i] = -INFINITY;
        s->min[i] = INFINITY;
    }
    s->rows = s->not_finite = s->negative = 0;
    s->bad_position = s->bad_pixel = -1;
}

static um_status sums_start(void *user, void **state)
{
    sums_job *job = user;
    sums_state *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return um_fail(job->ctx, UM_ERROR_MEMORY, "no memory for sums");
    }
    um_status status =
        um_buffer_alloc(job->ctx, 4 * job->pixels, sizeof(double), "sums of patterns", &s->sum);
    if (status != UM_OK) {
        free(s);
        return status;
    }
    s->square = s->sum + job->pixels;
    s->max = s->square + job->pixels;
    s->min = s->max + job->pixels;
    clear_state(job, s);
    *state = s;
    return UM_OK;
}

static void sums_stop(void *user, void *state)
{
    sums_job *job = user;
    sums_state *s = state;
    if (s != NULL) {
        um_buffer_free(job->ctx, s->sum);
        free(s);
    }
}

#define DEFINE_WIDEN(name, type)                                                                   \
    static void name(double *restrict dst, const void *data, size_t count)                         \
    {                                                                                              \
        const type *restrict values = data;                                                        \
        for (size_t i = 0; i < count; i++) {                                                       \
            dst[i] = (double)values[i];                                                            \
        }                                                                                          \
    }
DEFINE_WIDEN(widen_u8, uint8_t)
DEFINE_WIDEN(widen_u16, uint16_t)
DEFINE_WIDEN(widen_u32, uint32_t)
DEFINE_WIDEN(widen_i8, int8_t)
DEFINE_WIDEN(widen_i16, int16_t)
DEFINE_WIDEN(widen_i32, int32_t)
DEFINE_WIDEN(widen_f32, float)
DEFINE_WIDEN(widen_f64, double)

const um_widen_fn um_wideners[UM_DTYPE_COUNT] = {
    [UM_U8] = widen_u8,   [UM_U16] = widen_u16, [UM_U32] = widen_u32, [UM_I8] = widen_i8,
    [UM_I16] = widen_i16, [UM_I32] = widen_i32, [UM_F32] = widen_f32, [UM_F64] = widen_f64,
};

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

/* One row's share of a block: sums over the row go to *total and *squares. `count` is a multiple of
 * LANES; the order of every sum is fixed by the lanes. */
static void add_block(const double *restrict values, const double *restrict weight,
                      double *restrict sum, double *restrict square, double *restrict max,
                      double *restrict min, size_t count, double *total, double *squares)
{
    double lane[LANES] = {0};
    double lane_square[LANES] = {0};
    size_t whole = count / LANES * LANES;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t l = 0; l < LANES; l++) {
            double v = values[i + l];
            double weighted = v * weight[i + l];
            double v2 = v * v;
            sum[i + l] += v;
            square[i + l] += v2;
            max[i + l] = v > max[i + l] ? v : max[i + l];
            min[i + l] = v < min[i + l] ? v : min[i + l];
            lane[l] += weighted;
            lane_square[l] += v2 * weight[i + l];
        }
    }
    for (size_t i = whole; i < count; i++) {
        double v = values[i];
        sum[i] += v;
        square[i] += v * v;
        max[i] = v > max[i] ? v : max[i];
        min[i] = v < min[i] ? v : min[i];
        lane[i - whole] += v * weight[i];
        lane_square[i - whole] += v * v * weight[i];
    }
    for (size_t l = 0; l < LANES; l++) {
        *total += lane[l];
        *squares += lane_square[l];
    }
}

/* False when a value is negative or not finite. */
static bool all_good(const double *values, size_t count)
{
    int bad = 0;
    for (size_t i = 0; i < count; i++) {
        bad |= !(values[i] >= 0 && values[i] < INFINITY);
    }
    return bad == 0;
}

static um_status sums_visit(void *user, void *state, const um_tile *tile)
{
    sums_job *job = user;
    sums_state *s = state;
    size_t size = um_dtype_size(tile->dtype);
    double values[BLOCK];
    double total[UM_GROUP_ROWS] = {0};
    double squares[UM_GROUP_ROWS] = {0};
    for (size_t first = 0; first < job->pixels; first += BLOCK) {
        size_t count = job->pixels - first < BLOCK ? job->pixels - first : BLOCK;
        for (size_t r = 0; r < tile->rows; r++) {
            const char *row = (const char *)tile->data + (r * job->pixels + first) * size;
            um_wideners[tile->dtype](values, row, count);
            if (!all_good(values, count)) {
                note_bad(job, s, values, first, count, tile->position[r]);
            }
            add_block(values, job->weight + first, s->sum + first, s->square + first,
                      s->max + first, s->min + first, count, &total[r], &squares[r]);
        }
    }
    for (size_t r = 0; r < tile->rows; r++) { /* each position is visited once: no lock needed */
        job->sums->sum_map[tile->position[r]] = total[r];
        job->sums->square_map[tile->position[r]] = squares[r];
    }
    s->rows += (int64_t)tile->rows;
    return UM_OK;
}

static um_status sums_merge(void *user, void *state)
{
    sums_job *job = user;
    sums_state *s = state;
    um_sums *sums = job->sums;
    for (size_t i = 0; i < job->pixels; i++) {
        sums->sum_pattern[i] += s->sum[i];
        sums->square_pattern[i] += s->square[i];
        sums->max_pattern[i] = s->max[i] > sums->max_pattern[i] ? s->max[i] : sums->max_pattern[i];
        job->min_pattern[i] = s->min[i] < job->min_pattern[i] ? s->min[i] : job->min_pattern[i];
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
    sums->minimum = INFINITY;
    sums->maximum = -INFINITY;
    for (size_t i = 0; i < job->pixels; i++) {
        if (sums->positions == 0 || (job->mask != NULL && job->mask[i] != 0)) {
            sums->sum_pattern[i] = sums->square_pattern[i] = sums->max_pattern[i] = 0;
            continue;
        }
        sums->total += sums->sum_pattern[i];
        sums->total_squares += sums->square_pattern[i];
        sums->minimum = fmin(sums->minimum, job->min_pattern[i]);
        sums->maximum = fmax(sums->maximum, sums->max_pattern[i]);
    }
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
    job->min_pattern = calloc(job->pixels, sizeof(double));
    job->weight = calloc(job->pixels, sizeof(double));
    if (sums->sum_pattern == NULL || sums->square_pattern == NULL || sums->max_pattern == NULL ||
        sums->sum_map == NULL || sums->square_map == NULL || job->min_pattern == NULL ||
        job->weight == NULL) {
        return um_fail(job->ctx, UM_ERROR_MEMORY, "no memory for sums");
    }
    for (size_t i = 0; i < job->pixels; i++) {
        sums->max_pattern[i] = -INFINITY;
        job->min_pattern[i] = INFINITY;
        job->weight[i] = job->mask != NULL && job->mask[i] != 0 ? 0.0 : 1.0;
    }
    return UM_OK;
}

const um_visitor um_sums_visitor = {
    .start = sums_start, .visit = sums_visit, .merge = sums_merge, .stop = sums_stop};

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
    job->mask = info->signal_mask;
    job->pixels = (size_t)(info->shape.ky * info->shape.kx);
    int64_t positions = info->shape.ny * info->shape.nx;
    size_t bytes = (5 * job->pixels + 2 * (size_t)positions) * sizeof(double);
    UM_TRY(um_budget_require(ctx, bytes, "summing up"));
    return allocate(job, positions);
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
        free(job->min_pattern);
        free(job->weight);
        free(job);
    }
}

um_status um_matrix_sums(um_matrix *matrix, um_sums **out)
{
    *out = NULL;
    sums_job *job = NULL;
    um_status status = um_sums_begin(matrix, &job);
    if (status == UM_OK) {
        status = um_matrix_pass(matrix, "summing up", &um_sums_visitor, job);
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
