/* A scene into files: blocks of patterns made and stored by workers; then the truth. */
#include "exposure.h"
#include "simulate_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_POSITIONS = 64,    /* at least, where drawing earlier positions again costs something */
    DRAWS_PER_PIXEL = 3      /* an electron costs at most a third of what a pixel costs */
};
static const double FWHM = 2.3548200450309493; /* in standard deviations */

typedef struct job {
    um_context *ctx;
    um_scene *scene;
    const um_scene_files *files;
    um_optics *optics;
    um_camera *camera;
    um_counter *counter;
    um_exposure exposure;
    um_sink *sink;
    char *provenance;
    int64_t block_ny, block_nx, blocks_x;
    int threads;
    void **blocks;
    um_film *films;
    int64_t full;
} job;

/* ---- blocks --------------------------------------------------------------------------------- */

static um_rect block_rect(const job *j, int64_t item)
{
    const um_scene *scene = j->scene;
    um_rect rect = {item / j->blocks_x * j->block_ny, item % j->blocks_x * j->block_nx, j->block_ny,
                    j->block_nx};
    rect.ny = rect.y0 + rect.ny <= scene->ny ? rect.ny : scene->ny - rect.y0;
    rect.nx = rect.x0 + rect.nx <= scene->nx ? rect.nx : scene->nx - rect.x0;
    return rect;
}

static um_status make_block(void *user, int64_t item, int worker)
{
    job *j = user;
    um_rect rect = block_rect(j, item);
    size_t bytes = (size_t)(j->scene->ky * j->scene->kx) * um_dtype_size(j->camera->instrument.dtype);
    j->films[worker].full = 0;
    for (int64_t i = 0; i < rect.ny * rect.nx; i++) {
        um_expose(&j->exposure, &j->films[worker], rect.y0 + i / rect.nx, rect.x0 + i % rect.nx,
                  (char *)j->blocks[worker] + (size_t)i * bytes);
    }
    return um_sink_write(j->sink, rect, j->blocks[worker]);
}

static um_status count_block(void *user, int64_t item, int worker)
{
    job *j = user;
    um_rect rect = block_rect(j, item);
    j->full += j->films[worker].full;
    um_progress_add(j->ctx, rect.ny * rect.nx);
    return UM_OK;
}

/* What the sink takes best, longer where drawing earlier positions again costs something, within the memory. */
static void plan_blocks(job *j)
{
    const um_scene *scene = j->scene;
    int64_t pattern = scene->ky * scene->kx * (int64_t)um_dtype_size(j->camera->instrument.dtype);
    size_t free_bytes = um_context_memory(j->ctx) - um_context_memory_in_use(j->ctx);
    int64_t most = (int64_t)(free_bytes / 4 / (size_t)j->threads) / pattern;
    most = most > 1 ? most : 1;
    um_sink_block(j->sink, &j->block_ny, &j->block_nx);
    if (j->camera->afterglow > 0 && j->block_nx < BLOCK_POSITIONS) {
        j->block_nx = BLOCK_POSITIONS < scene->nx ? BLOCK_POSITIONS : scene->nx;
    }
    j->block_nx = j->block_nx < most ? j->block_nx : most;
    j->block_ny = j->block_ny < most / j->block_nx ? j->block_ny : most / j->block_nx;
    j->blocks_x = (scene->nx + j->block_nx - 1) / j->block_nx;
}

static um_status start_workers(job *j)
{
    size_t pixels = (size_t)(j->scene->ky * j->scene->kx);
    size_t block = (size_t)(j->block_ny * j->block_nx) * pixels;
    j->blocks = calloc((size_t)j->threads, sizeof *j->blocks);
    j->films = calloc((size_t)j->threads, sizeof *j->films);
    if (j->blocks == NULL || j->films == NULL) {
        return um_fail(j->ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    for (int i = 0; i < j->threads; i++) {
        UM_TRY(um_buffer_alloc(j->ctx, block, um_dtype_size(j->camera->instrument.dtype), "a block of patterns",
                               &j->blocks[i]));
        UM_TRY(um_film_start(j->ctx, &j->exposure, &j->films[i]));
    }
    return UM_OK;
}

static void stop_workers(job *j)
{
    for (int i = 0; i < j->threads; i++) {
        if (j->blocks != NULL) {
            um_buffer_free(j->ctx, j->blocks[i]);
        }
        if (j->films != NULL) {
            um_film_stop(j->ctx, &j->films[i]);
        }
    }
    free(j->blocks);
    free(j->films);
}

/* ---- parts of the work ---------------------------------------------------------------------- */

/* The scene through the probe, and the instrument's optics for its patterns. */
static um_status look_through(job *j, const um_instrument *instrument)
{
    um_scene *scene = j->scene;
    um_optics_spec spec = {scene->ky, scene->kx, instrument->spread_px, instrument->inelastic, 0.0};
    if (instrument->probe_nm > 0.0) {
        if (!(scene->step_nm > 0.0)) {
            return um_fail(j->ctx, UM_ERROR_ARGUMENT, "instrument: a probe in nm needs a scan step in nm");
        }
        UM_TRY(um_scene_blur(j->ctx, scene, instrument->probe_nm / FWHM / scene->step_nm));
    }
    if (instrument->inelastic > 0.0) {
        if (!(scene->pixel_per_A > 0.0)) {
            return um_fail(j->ctx, UM_ERROR_ARGUMENT,
                           "instrument: inelastic scattering in 1/A needs a pixel size in 1/A");
        }
        spec.inelastic_px = instrument->inelastic_per_A / scene->pixel_per_A;
    }
    UM_TRY(um_optics_create(j->ctx, &spec, &j->optics));
    um_shape shape = {scene->ny, scene->nx, scene->ky, scene->kx};
    UM_TRY(um_camera_create(j->ctx, instrument, shape, &j->camera));
    return um_scene_provenance(j->ctx, scene, instrument, &j->provenance);
}

/* Electrons are drawn one by one while they are few in the mean pattern. */
static um_drawing choose_drawing(const job *j)
{
    const um_scene *scene = j->scene;
    const um_instrument *instrument = &j->camera->instrument;
    int64_t positions = scene->ny * scene->nx;
    double weights = 0.0;
    for (uint64_t i = 0; i < scene->start[positions]; i++) {
        weights += (double)scene->weight[i];
    }
    double most = (double)DRAWS_PER_PIXEL * (double)(scene->ky * scene->kx);
    bool few = instrument->counts * weights / (double)positions <= most;
    return instrument->noise && few ? UM_DRAW_ELECTRONS : UM_DRAW_PIXELS;
}

static um_status open_sink(job *j)
{
    const um_scene *scene = j->scene;
    um_sink_spec spec = {.shape = {scene->ny, scene->nx, scene->ky, scene->kx},
                         .dtype = j->camera->instrument.dtype,
                         .title = "simulated scan",
                         .metadata = j->provenance,
                         .compression = j->files->compression,
                         .overwrite = j->files->overwrite};
    um_scene_axes(scene, spec.axes);
    return um_sink_create(j->ctx, j->files->scan, &spec, &j->sink);
}

static um_status write_scan(job *j)
{
    const um_scene *scene = j->scene;
    um_counter_spec spec = {.library = scene->library,
                            .ky = scene->ky,
                            .kx = scene->kx,
                            .pattern = scene->pattern,
                            .optics = j->optics,
                            .dose = j->camera->instrument.counts,
                            .drawing = choose_drawing(j),
                            .seed = um_context_seed(j->ctx)};
    UM_TRY(um_counter_create(j->ctx, &spec, &j->counter));
    j->exposure = (um_exposure){scene, j->counter, j->camera};
    plan_blocks(j);
    UM_TRY(start_workers(j));
    int64_t items = j->blocks_x * ((scene->ny + j->block_ny - 1) / j->block_ny);
    um_progress_begin(j->ctx, "simulating", "patterns", scene->ny * scene->nx);
    um_status status = um_pipeline_run(j->ctx, items, j->threads, make_block, count_block, j);
    um_progress_end(j->ctx);
    if (status == UM_OK && j->full > 0) {
        um_warn(j->ctx, "%lld values are saturated: stored as %g", (long long)j->full, j->camera->top);
    }
    return status;
}

/* Each pure state as the instrument shows it, then everything else that is known. */
static um_status write_truth(job *j)
{
    const um_scene *scene = j->scene;
    const size_t pixels = (size_t)(scene->ky * scene->kx);
    float *seen = NULL;
    float *scratch = NULL;
    um_model *truth = NULL;
    um_status status = um_buffer_alloc(j->ctx, (size_t)scene->states * pixels, sizeof *seen,
                                       "patterns of the states", &seen);
    if (status == UM_OK) {
        status = um_buffer_alloc(j->ctx, 2 * pixels, sizeof *scratch, "a pattern", &scratch);
    }
    for (int64_t s = 0; s < scene->states && status == UM_OK; s++) {
        const float *from = scene->state_pattern + (size_t)s * pixels;
        if (j->optics != NULL) {
            um_optics_apply(j->optics, from, seen + (size_t)s * pixels, scratch);
        } else {
            memcpy(seen + (size_t)s * pixels, from, pixels * sizeof *seen);
        }
    }
    if (status == UM_OK) {
        status = um_scene_truth(j->ctx, scene, j->camera, seen, j->provenance, &truth);
    }
    if (status == UM_OK) {
        um_save_options save = {.overwrite = j->files->overwrite};
        status = um_model_save(j->ctx, truth, j->files->truth, &save);
    }
    um_model_free(truth);
    um_buffer_free(j->ctx, seen);
    um_buffer_free(j->ctx, scratch);
    return status;
}

static um_status run(job *j, const um_instrument *instrument)
{
    UM_TRY(um_instrument_check(j->ctx, instrument));
    UM_TRY(um_scene_check(j->ctx, j->scene));
    UM_TRY(look_through(j, instrument));
    UM_TRY(open_sink(j));
    um_status status = write_scan(j);
    stop_workers(j);
    um_counter_free(j->ctx, j->counter);
    if (status == UM_OK) {
        status = um_sink_finish(j->sink);
    }
    if (status == UM_OK && j->files->truth != NULL) {
        status = write_truth(j);
    }
    return status == UM_OK ? um_sink_commit(j->sink) : status;
}

um_status um_scene_write(um_context *ctx, um_scene *scene, const um_instrument *instrument,
                         const um_scene_files *files)
{
    job j = {.ctx = ctx, .scene = scene, .files = files, .threads = um_context_threads(ctx)};
    um_status status = run(&j, instrument);
    um_sink_free(j.sink);
    um_camera_free(j.camera);
    um_optics_free(j.optics);
    free(j.provenance);
    return status;
}
