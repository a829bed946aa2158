/* What is learned from the data before the data are used: mean patterns and the direct beam. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct mean_job {
    um_context *ctx;
    const um_pixel_kernels *kernels;
    size_t pixels;
    double *total;
    int64_t rows;
} mean_job;

typedef struct mean_state {
    double *sum;
    float *row;
    int64_t rows;
} mean_state;

static um_status mean_start(void *user, void **state)
{
    mean_job *job = user;
    mean_state *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return um_fail(job->ctx, UM_ERROR_MEMORY, "no memory for a mean pattern");
    }
    *state = s;
    UM_TRY(um_buffer_alloc(job->ctx, job->pixels, sizeof *s->sum, "a mean pattern", &s->sum));
    return um_buffer_alloc(job->ctx, job->pixels, sizeof *s->row, "a mean pattern", &s->row);
}

static void mean_stop(void *user, void *state)
{
    mean_job *job = user;
    mean_state *s = state;
    if (s != NULL) {
        um_buffer_free(job->ctx, s->sum);
        um_buffer_free(job->ctx, s->row);
        free(s);
    }
}

static um_status mean_visit(void *user, void *state, const um_tile *tile)
{
    mean_job *job = user;
    mean_state *s = state;
    size_t bytes = job->pixels * um_dtype_size(tile->dtype);
    for (size_t r = 0; r < tile->rows; r++) {
        job->kernels->to_f32[tile->dtype](s->row, (const char *)tile->data + r * bytes,
                                          job->pixels);
        for (size_t i = 0; i < job->pixels; i++) {
            s->sum[i] += (double)s->row[i];
        }
    }
    s->rows += (int64_t)tile->rows;
    return UM_OK;
}

static um_status mean_merge(void *user, void *state)
{
    mean_job *job = user;
    mean_state *s = state;
    for (size_t i = 0; i < job->pixels; i++) {
        job->total[i] += s->sum[i];
    }
    job->rows += s->rows;
    memset(s->sum, 0, job->pixels * sizeof *s->sum);
    s->rows = 0;
    return UM_OK;
}

um_status um_mean_pattern(const um_prep *prep, um_source *source, um_level level, const char *stage,
                          double **out, int64_t *positions)
{
    static const um_visitor visitor = {
        .start = mean_start, .visit = mean_visit, .merge = mean_merge, .stop = mean_stop};
    um_context *ctx = prep->ctx;
    mean_job job = {.ctx = ctx, .kernels = prep->kernels, .pixels = (size_t)(prep->ky * prep->kx)};
    job.total = calloc(job.pixels, sizeof *job.total);
    if (job.total == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a mean pattern");
    }
    um_status status = um_prep_inner_pass(prep, source, level, stage, &visitor, &job);
    if (status != UM_OK) {
        free(job.total);
        return status;
    }
    for (size_t i = 0; i < job.pixels; i++) {
        job.total[i] /= (double)job.rows;
    }
    *out = job.total;
    *positions = job.rows;
    return UM_OK;
}

/* ---- the direct beam ------------------------------------------------------------------------ */

void um_blob_center(const double *image, int64_t ky, int64_t kx, double threshold, int64_t top,
                    int64_t *queue, uint8_t *seen, double *cy, double *cx)
{
    size_t count = 1;
    double weight = 0;
    double sum_y = 0;
    double sum_x = 0;
    queue[0] = top;
    seen[top] = 1;
    for (size_t i = 0; i < count; i++) {
        int64_t y = queue[i] / kx;
        int64_t x = queue[i] % kx;
        double v = image[queue[i]] - threshold;
        weight += v;
        sum_y += v * (double)y;
        sum_x += v * (double)x;
        const int64_t near[4][2] = {{y - 1, x}, {y, x - 1}, {y, x + 1}, {y + 1, x}};
        for (int n = 0; n < 4; n++) {
            if (near[n][0] < 0 || near[n][0] >= ky || near[n][1] < 0 || near[n][1] >= kx) {
                continue;
            }
            int64_t at = near[n][0] * kx + near[n][1];
            if (seen[at] == 0 && image[at] > threshold) {
                seen[at] = 1;
                queue[count++] = at;
            }
        }
    }
    *cy = weight > 0 ? sum_y / weight : (double)(top / kx);
    *cx = weight > 0 ? sum_x / weight : (double)(top % kx);
}

um_status um_learn_beam(um_prep *prep, um_source *source)
{
    um_learned *learned = prep->learned;
    const um_recipe *r = prep->recipe;
    if (learned->beam_known) {
        return UM_OK;
    }
    if (um_recipe_has(r, UM_KEY_BEAM_CENTER)) {
        learned->beam_y = r->beam_y;
        learned->beam_x = r->beam_x;
    } else {
        double *mean = NULL;
        int64_t positions = 0;
        UM_TRY(um_mean_pattern(prep, source, UM_LEVEL_REPAIRED, "finding the direct beam", &mean,
                               &positions));
        um_beam beam = {0};
        um_status status = um_beam_measure(prep->ctx, mean, NULL, prep->ky, prep->kx, &beam);
        free(mean);
        UM_TRY(status);
        learned->beam_y = beam.y;
        learned->beam_x = beam.x;
    }
    learned->beam_known = true;
    return UM_OK;
}
