/* A scan with a known answer: layout x patterns -> expected counts -> noise, streamed to a file. */
#include "simulate_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 8 << 20, CHUNK_BYTES = 1 << 20 };

/* One worker's block of patterns. */
typedef struct bench {
    void *block;
    uint32_t *counts;
    double *mean;
    int64_t saturated;
} bench;

typedef struct job {
    um_context *ctx;
    const um_simulation *sim;
    um_counter *counter;
    const float *loadings;
    um_sink *sink;
    int64_t block_ny, block_nx, blocks_x;
    bench *benches;
    int threads;
    int64_t saturated;
} job;

um_simulation um_simulation_defaults(void)
{
    return (um_simulation){.ny = 64,
                           .nx = 96,
                           .states = 5,
                           .ky = 96,
                           .kx = 96,
                           .layout = UM_LAYOUT_VORONOI,
                           .border_px = 0.7,
                           .counts = 10000.0,
                           .noise = true,
                           .dtype = UM_U16,
                           .step_nm = 5.0,
                           .pixel_per_A = 0.025};
}

static um_status check_patterns(um_context *ctx, const um_simulation *sim)
{
    int64_t pixels = sim->ky * sim->kx;
    for (int64_t s = 0; sim->patterns != NULL && s < sim->states; s++) {
        double sum = 0.0;
        for (int64_t q = 0; q < pixels; q++) {
            float value = sim->patterns[s * pixels + q];
            if (!isfinite(value) || value < 0.0F) {
                return um_fail(ctx, UM_ERROR_VALUE,
                               "end-member pattern %lld, pixel (%lld, %lld): %g cannot be a number "
                               "of counts: patterns must be finite and not negative",
                               (long long)s, (long long)(q / sim->kx), (long long)(q % sim->kx),
                               (double)value);
            }
            sum += (double)value;
        }
        if (!(sum > 0.0)) {
            return um_fail(ctx, UM_ERROR_VALUE,
                           "end-member pattern %lld is empty: every pattern needs some intensity",
                           (long long)s);
        }
    }
    return UM_OK;
}

static um_status check(um_context *ctx, const um_simulation *sim)
{
    size_t bytes = 0;
    int64_t positions = 0;
    if (sim->ny < 1 || sim->nx < 1 || sim->ky < 1 || sim->kx < 1 || sim->states < 1 ||
        !um_mul4(sim->ny, sim->nx, sim->ky, sim->kx, &bytes) || !um_mul_size(bytes, 8, &bytes) ||
        bytes > (size_t)INT64_MAX) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "simulation: %lldx%lld positions of %lldx%lld pixels with %lld states is "
                       "not possible: give at least one of each",
                       (long long)sim->ny, (long long)sim->nx, (long long)sim->ky,
                       (long long)sim->kx, (long long)sim->states);
    }
    positions = sim->ny * sim->nx;
    if (positions > (int64_t)UINT32_MAX || sim->regions < 0 || sim->regions > positions) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "simulation: %lld regions in %lld positions: give 1 to the number of "
                       "positions, at most %u positions",
                       (long long)sim->regions, (long long)positions, UINT32_MAX);
    }
    if (!(sim->border_px >= 0.0 && isfinite(sim->border_px)) ||
        !(sim->counts >= 0.0 && sim->counts <= 1e15) || !(sim->step_nm >= 0.0) ||
        !(sim->pixel_per_A >= 0.0)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "simulation: border %g px, %g counts, step %g nm, pixel %g per A: none may "
                       "be negative or not finite",
                       sim->border_px, sim->counts, sim->step_nm, sim->pixel_per_A);
    }
    if (sim->dtype != UM_U8 && sim->dtype != UM_U16 && sim->dtype != UM_U32 &&
        sim->dtype != UM_F32) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "simulation: scans are written as uint8, uint16, uint32 or float32, not %s",
                       um_dtype_name(sim->dtype));
    }
    if (sim->layout == UM_LAYOUT_LABELS && sim->labels == NULL) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "simulation: a layout by labels needs a label image");
    }
    return check_patterns(ctx, sim);
}

static um_rect block_rect(const job *j, int64_t item)
{
    um_rect rect = {item / j->blocks_x * j->block_ny, item % j->blocks_x * j->block_nx, j->block_ny,
                    j->block_nx};
    rect.ny = rect.y0 + rect.ny <= j->sim->ny ? rect.ny : j->sim->ny - rect.y0;
    rect.nx = rect.x0 + rect.nx <= j->sim->nx ? rect.nx : j->sim->nx - rect.x0;
    return rect;
}

static void store_value(um_dtype dtype, void *block, int64_t i, double value)
{
    switch (dtype) {
    case UM_U8:
        ((uint8_t *)block)[i] = (uint8_t)value;
        break;
    case UM_U16:
        ((uint16_t *)block)[i] = (uint16_t)value;
        break;
    case UM_U32:
        ((uint32_t *)block)[i] = (uint32_t)value;
        break;
    default:
        ((float *)block)[i] = (float)value;
        break;
    }
}

static double highest_value(um_dtype dtype)
{
    return dtype == UM_U8    ? (double)UINT8_MAX
           : dtype == UM_U16 ? (double)UINT16_MAX
           : dtype == UM_U32 ? (double)UINT32_MAX
                             : INFINITY;
}

static void make_pattern(const job *j, int64_t position, bench *at, int64_t first)
{
    const um_simulation *sim = j->sim;
    const float *expected = j->loadings + position * sim->states;
    const int64_t pixels = sim->ky * sim->kx;
    const double highest = highest_value(sim->dtype);
    const bool noise = sim->noise && sim->counts > 0.0;
    const bool whole = um_dtype_is_integer(sim->dtype);
    if (noise) {
        um_counter_draw(j->counter, position, expected, at->counts, at->mean);
    } else {
        um_counter_mean(j->counter, expected, at->mean);
    }
    for (int64_t q = 0; q < pixels; q++) {
        double value = noise   ? (double)at->counts[q]
                       : whole ? floor(at->mean[q] + 0.5)
                               : at->mean[q];
        if (value > highest) {
            value = highest;
            at->saturated++;
        }
        store_value(sim->dtype, at->block, first + q, value);
    }
}

static um_status make_block(void *user, int64_t item, int worker)
{
    job *j = user;
    bench *at = &j->benches[worker];
    um_rect rect = block_rect(j, item);
    int64_t pixels = j->sim->ky * j->sim->kx;
    at->saturated = 0;
    for (int64_t i = 0; i < rect.ny * rect.nx; i++) {
        int64_t y = rect.y0 + i / rect.nx;
        int64_t x = rect.x0 + i % rect.nx;
        make_pattern(j, y * j->sim->nx + x, at, i * pixels);
    }
    return UM_OK;
}

static um_status write_block(void *user, int64_t item, int worker)
{
    job *j = user;
    um_rect rect = block_rect(j, item);
    j->saturated += j->benches[worker].saturated;
    UM_TRY(um_sink_write(j->sink, rect, j->benches[worker].block));
    um_progress_add(j->ctx, rect.ny * rect.nx);
    return UM_OK;
}

/* Whole rows where they fit, else whole runs of what a chunked file keeps together. */
static void plan_blocks(job *j)
{
    const um_simulation *sim = j->sim;
    int64_t pattern = sim->ky * sim->kx * (int64_t)um_dtype_size(sim->dtype);
    size_t free_bytes = um_context_memory(j->ctx) - um_context_memory_in_use(j->ctx);
    int64_t most = (int64_t)(free_bytes / 4 / (size_t)j->threads);
    most = most < BLOCK_BYTES ? most : BLOCK_BYTES;
    int64_t patterns = most / pattern > 1 ? most / pattern : 1;
    j->block_ny = 1;
    j->block_nx = sim->nx;
    if (patterns >= sim->nx) {
        j->block_ny = patterns / sim->nx < sim->ny ? patterns / sim->nx : sim->ny;
    } else {
        int64_t run = CHUNK_BYTES / pattern;
        j->block_nx = run > 0 && patterns > run ? patterns / run * run : patterns;
    }
    j->blocks_x = (sim->nx + j->block_nx - 1) / j->block_nx;
}

static um_status start_benches(job *j)
{
    size_t pixels = (size_t)(j->sim->ky * j->sim->kx);
    size_t block = (size_t)(j->block_ny * j->block_nx) * pixels;
    j->benches = calloc((size_t)j->threads, sizeof *j->benches);
    if (j->benches == NULL) {
        return um_fail(j->ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    for (int i = 0; i < j->threads; i++) {
        bench *at = &j->benches[i];
        UM_TRY(um_buffer_alloc(j->ctx, block, um_dtype_size(j->sim->dtype), "a block of patterns",
                               &at->block));
        UM_TRY(um_buffer_alloc(j->ctx, pixels, sizeof *at->counts, "a pattern", &at->counts));
        UM_TRY(um_buffer_alloc(j->ctx, pixels, sizeof *at->mean, "a pattern", &at->mean));
    }
    return UM_OK;
}

static void stop_benches(job *j)
{
    for (int i = 0; j->benches != NULL && i < j->threads; i++) {
        um_buffer_free(j->ctx, j->benches[i].block);
        um_buffer_free(j->ctx, j->benches[i].counts);
        um_buffer_free(j->ctx, j->benches[i].mean);
    }
    free(j->benches);
}

static um_status write_scan(job *j, um_model *truth)
{
    const um_simulation *sim = j->sim;
    UM_TRY(um_counter_create(j->ctx, sim->states, sim->ky * sim->kx, um_model_factors(truth),
                             um_context_seed(j->ctx), &j->counter));
    plan_blocks(j);
    UM_TRY(start_benches(j));
    int64_t items = j->blocks_x * ((sim->ny + j->block_ny - 1) / j->block_ny);
    um_progress_begin(j->ctx, "simulating", "patterns", sim->ny * sim->nx);
    um_status status = um_pipeline_run(j->ctx, items, j->threads, make_block, write_block, j);
    um_progress_end(j->ctx);
    if (status == UM_OK && j->saturated > 0) {
        um_warn(j->ctx, "%lld values were above what %s holds and are stored as its largest value",
                (long long)j->saturated, um_dtype_name(sim->dtype));
    }
    return status;
}

static um_status open_sink(um_context *ctx, const um_simulation *sim, const char *path,
                           um_model *truth, bool overwrite, um_sink **sink)
{
    um_sink_spec spec = {.shape = um_model_shape(truth),
                         .dtype = sim->dtype,
                         .title = "simulated scan",
                         .metadata = um_model_provenance(truth),
                         .overwrite = overwrite};
    memcpy(spec.axes, um_model_axes(truth), sizeof spec.axes);
    return um_sink_create(ctx, path, &spec, sink);
}

um_status um_simulate(um_context *ctx, const um_simulation *simulation, const char *scan_path,
                      const char *truth_path, bool overwrite)
{
    UM_TRY(check(ctx, simulation));
    um_model *truth = NULL;
    UM_TRY(um_truth_make(ctx, simulation, &truth));
    job j = {.ctx = ctx,
             .sim = simulation,
             .loadings = um_model_loadings(truth),
             .threads = um_context_threads(ctx)};
    um_status status = open_sink(ctx, simulation, scan_path, truth, overwrite, &j.sink);
    if (status == UM_OK) {
        status = write_scan(&j, truth);
    }
    if (status == UM_OK && truth_path != NULL) {
        um_save_options save = {.overwrite = overwrite};
        status = um_model_save(ctx, truth, truth_path, &save);
    }
    if (status == UM_OK) {
        status = um_sink_commit(j.sink);
    }
    um_sink_free(j.sink);
    stop_benches(&j);
    um_counter_free(ctx, j.counter);
    um_model_free(truth);
    return status;
}
