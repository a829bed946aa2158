/* A scene seen through a Gaussian probe: its sparse lists are mixed along one axis of the scan, then along the other,
 * with the same weights as its dense maps. */
#include "simulate_internal.h"
#include "unmix/instrument.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LEAST_WEIGHT = 1e-6; /* of a position's sum */

/* A sum of lists: dense over the library, and which of it is in use. */
typedef struct mixer {
    double *sum;
    uint8_t *used;
    uint32_t *list;
    size_t entries;
} mixer;

typedef struct mixing {
    um_context *ctx;
    const um_scene *scene;
    int64_t radius;
    const double *kernel; /* of distance 0 .. radius */
    bool along_y;
    mixer *mixers;
    uint64_t *start; /* of the new lists: first the number of entries of each position, one further on */
    uint32_t *which; /* NULL while they are counted */
    float *weight;
} mixing;

static void add_list(const um_scene *scene, int64_t position, double scale, mixer *m)
{
    for (uint64_t i = scene->start[position]; i < scene->start[position + 1]; i++) {
        uint32_t which = scene->which[i];
        if (!m->used[which]) {
            m->used[which] = 1;
            m->sum[which] = 0.0;
            m->list[m->entries++] = which;
        }
        m->sum[which] += scale * (double)scene->weight[i];
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t first = *(const uint32_t *)a;
    uint32_t second = *(const uint32_t *)b;
    return (first > second) - (first < second);
}

/* Leaves the sum over the neighbours of a position in the mixer; drops what is negligible. */
static void mix_position(const mixing *job, int64_t y, int64_t x, mixer *m)
{
    const um_scene *scene = job->scene;
    int64_t at = job->along_y ? y : x;
    int64_t size = job->along_y ? scene->ny : scene->nx;
    int64_t first = at > job->radius ? at - job->radius : 0;
    int64_t last = at + job->radius < size ? at + job->radius : size - 1;
    double inside = 0.0;
    m->entries = 0;
    for (int64_t i = first; i <= last; i++) {
        inside += job->kernel[i > at ? i - at : at - i];
    }
    for (int64_t i = first; i <= last; i++) {
        int64_t position = job->along_y ? i * scene->nx + x : y * scene->nx + i;
        add_list(scene, position, job->kernel[i > at ? i - at : at - i] / inside, m);
    }
    double total = 0.0;
    for (size_t i = 0; i < m->entries; i++) {
        total += m->sum[m->list[i]];
        m->used[m->list[i]] = 0;
    }
    size_t kept = 0;
    for (size_t i = 0; i < m->entries; i++) {
        m->list[kept] = m->list[i];
        kept += m->sum[m->list[i]] > LEAST_WEIGHT * total;
    }
    m->entries = kept;
    qsort(m->list, kept, sizeof *m->list, by_number);
}

static um_status mix_row(void *user, int64_t y, int worker)
{
    mixing *job = user;
    mixer *m = &job->mixers[worker];
    for (int64_t x = 0; x < job->scene->nx; x++) {
        int64_t position = y * job->scene->nx + x;
        mix_position(job, y, x, m);
        if (job->which == NULL) {
            job->start[position + 1] = m->entries;
            continue;
        }
        uint64_t at = job->start[position];
        for (size_t i = 0; i < m->entries; i++) {
            job->which[at + i] = m->list[i];
            job->weight[at + i] = (float)m->sum[m->list[i]];
        }
    }
    return UM_OK;
}

static um_status start_mixers(mixing *job, int threads)
{
    size_t library = (size_t)job->scene->library;
    job->mixers = calloc((size_t)threads, sizeof *job->mixers);
    if (job->mixers == NULL) {
        return um_fail(job->ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    for (int i = 0; i < threads; i++) {
        mixer *m = &job->mixers[i];
        UM_TRY(um_buffer_alloc(job->ctx, library, sizeof *m->sum, "sums of weights", &m->sum));
        UM_TRY(um_buffer_alloc(job->ctx, library, sizeof *m->used, "sums of weights", &m->used));
        UM_TRY(um_buffer_alloc(job->ctx, library, sizeof *m->list, "sums of weights", &m->list));
    }
    return UM_OK;
}

static void stop_mixers(mixing *job, int threads)
{
    for (int i = 0; job->mixers != NULL && i < threads; i++) {
        um_buffer_free(job->ctx, job->mixers[i].sum);
        um_buffer_free(job->ctx, job->mixers[i].used);
        um_buffer_free(job->ctx, job->mixers[i].list);
    }
    free(job->mixers);
}

/* Counts the entries of the new lists, then makes them. */
static um_status make_lists(mixing *job, int threads)
{
    um_context *ctx = job->ctx;
    const int64_t rows = job->scene->ny;
    const size_t positions = (size_t)(rows * job->scene->nx);
    UM_TRY(start_mixers(job, threads));
    UM_TRY(um_buffer_alloc(ctx, positions + 1, sizeof *job->start, "blurred weights", &job->start));
    UM_TRY(um_pipeline_run(ctx, rows, threads, mix_row, NULL, job));
    for (size_t p = 0; p < positions; p++) {
        job->start[p + 1] += job->start[p];
    }
    size_t entries = (size_t)job->start[positions];
    UM_TRY(um_buffer_alloc(ctx, entries, sizeof *job->which, "blurred weights", &job->which));
    UM_TRY(um_buffer_alloc(ctx, entries, sizeof *job->weight, "blurred weights", &job->weight));
    return um_pipeline_run(ctx, rows, threads, mix_row, NULL, job);
}

static um_status blur_lists(um_context *ctx, um_scene *scene, const double *kernel, int64_t radius, bool along_y)
{
    int threads = um_context_threads(ctx);
    mixing job = {.ctx = ctx, .scene = scene, .radius = radius, .kernel = kernel, .along_y = along_y};
    um_status status = make_lists(&job, threads);
    stop_mixers(&job, threads);
    if (status != UM_OK) {
        um_buffer_free(ctx, job.start);
        um_buffer_free(ctx, job.which);
        um_buffer_free(ctx, job.weight);
        return status;
    }
    um_buffer_free(ctx, scene->start);
    um_buffer_free(ctx, scene->which);
    um_buffer_free(ctx, scene->weight);
    scene->start = job.start;
    scene->which = job.which;
    scene->weight = job.weight;
    return UM_OK;
}

um_status um_scene_blur(um_context *ctx, um_scene *scene, double sigma_px)
{
    um_kernel kernel = {0};
    if (!(sigma_px > 0.0)) {
        return UM_OK;
    }
    UM_TRY(um_kernel_make(ctx, sigma_px, scene->ny > scene->nx ? scene->ny : scene->nx, &kernel));
    um_status status = blur_lists(ctx, scene, kernel.weight, kernel.radius, false);
    if (status == UM_OK) {
        status = blur_lists(ctx, scene, kernel.weight, kernel.radius, true);
    }
    free(kernel.weight);
    if (status == UM_OK && scene->fraction != NULL) {
        status = um_layout_blur(ctx, scene->ny, scene->nx, scene->states, sigma_px, scene->fraction);
    }
    if (status == UM_OK && scene->thickness_nm != NULL) {
        status = um_layout_blur(ctx, scene->ny, scene->nx, 1, sigma_px, scene->thickness_nm);
    }
    scene->probe_px = hypot(scene->probe_px, sigma_px);
    return status;
}
