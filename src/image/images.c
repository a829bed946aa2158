/* Virtual images: sums, apertures and the centre of mass in one read of the scan. */
#include "image_internal.h"
#include "pixels.h"
#include "prep_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct images {
    um_images public; /* first: what the caller holds */
    um_context *ctx;
} images;

/* Pixels of one aperture that are not excluded: one after another, and for counts as a mask in their type
 * with the runs of blocks in which there are any. */
enum { MASK_BLOCK = 256 };
typedef struct pixel_list {
    int64_t *pixel;
    int64_t count;
    void *keep;
    size_t *run; /* first and end of each, in pixels */
    size_t runs;
} pixel_list;

typedef struct job {
    um_images *images;
    um_context *ctx;
    um_sums_job *sums; /* NULL when they were made before */
    pixel_list *list;  /* per aperture */
    double *weight;    /* 1, or 0 at excluded pixels */
    void *keep;        /* the same as bits of the type of counts */
    const um_pixel_kernels *kernels;
    um_dtype dtype;
    int64_t ky, kx;
} job;

/* True when the kernels take these values as integers. */
static bool has_counts(const job *j)
{
    return j->kernels->masked_sum[j->dtype] != NULL;
}

typedef struct worker {
    void *sums;
    double *row;
} worker;

static void stop(void *user, void *state)
{
    job *j = user;
    worker *w = state;
    if (w != NULL) {
        if (j->sums != NULL && w->sums != NULL) {
            um_sums_visitor.stop(j->sums, w->sums);
        }
        um_buffer_free(j->ctx, w->row);
        free(w);
    }
}

static um_status start(void *user, void **state)
{
    job *j = user;
    worker *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return um_fail(j->ctx, UM_ERROR_MEMORY, "no memory for virtual images");
    }
    um_status status =
        um_buffer_alloc(j->ctx, (size_t)(j->ky * j->kx), sizeof(double), "a pattern", &w->row);
    if (status == UM_OK && j->sums != NULL) {
        status = um_sums_visitor.start(j->sums, &w->sums);
    }
    if (status != UM_OK) {
        stop(user, w);
        return status;
    }
    *state = w;
    return UM_OK;
}

static void center_of_mass(const job *j, const double *row, double *center_y, double *center_x)
{
    double sum = 0;
    double sum_y = 0;
    double sum_x = 0;
    for (int64_t y = 0; y < j->ky; y++) {
        double line = 0;
        for (int64_t x = 0; x < j->kx; x++) {
            int64_t i = y * j->kx + x;
            double v = row[i] * j->weight[i];
            line += v;
            sum_x += v * (double)x;
        }
        sum += line;
        sum_y += line * (double)y;
    }
    *center_y = sum_y / sum; /* an empty pattern has none: NaN */
    *center_x = sum_x / sum;
}

static void add_reals(const job *j, const double *row, int64_t position)
{
    um_images *out = j->images;
    for (int a = 0; a < out->apertures; a++) {
        const pixel_list *list = &j->list[a];
        double sum = 0;
        for (int64_t i = 0; i < list->count; i++) {
            sum += row[list->pixel[i]];
        }
        out->virtual_map[a][position] = sum;
    }
    center_of_mass(j, row, &out->center_of_mass_y[position], &out->center_of_mass_x[position]);
}

static void add_counts(const job *j, const char *row, int64_t position)
{
    um_images *out = j->images;
    size_t size = um_dtype_size(j->dtype);
    for (int a = 0; a < out->apertures; a++) {
        const pixel_list *list = &j->list[a];
        uint64_t sum = 0;
        for (size_t i = 0; i < list->runs; i++) {
            size_t first = list->run[2 * i];
            sum += j->kernels->masked_sum[j->dtype](row + first * size,
                                                    (const char *)list->keep + first * size,
                                                    list->run[2 * i + 1] - first);
        }
        out->virtual_map[a][position] = (double)sum;
    }
    uint64_t moments[3];
    j->kernels->moments[j->dtype](row, j->keep, (size_t)j->ky, (size_t)j->kx, moments);
    out->center_of_mass_y[position] = (double)moments[1] / (double)moments[0];
    out->center_of_mass_x[position] = (double)moments[2] / (double)moments[0];
}

static um_status visit(void *user, void *state, const um_tile *tile)
{
    job *j = user;
    worker *w = state;
    size_t pixels = (size_t)(j->ky * j->kx);
    size_t size = um_dtype_size(tile->dtype);
    if (j->sums != NULL) {
        UM_TRY(um_sums_visitor.visit(j->sums, w->sums, tile));
    }
    for (size_t r = 0; r < tile->rows; r++) { /* each position is visited once: no lock needed */
        const char *row = (const char *)tile->data + r * pixels * size;
        if (has_counts(j)) {
            add_counts(j, row, tile->position[r]);
        } else {
            (void)j->kernels->widen[tile->dtype](w->row, row, pixels);
            add_reals(j, w->row, tile->position[r]);
        }
    }
    return UM_OK;
}

static um_status merge(void *user, void *state)
{
    job *j = user;
    worker *w = state;
    return j->sums != NULL ? um_sums_visitor.merge(j->sums, w->sums) : UM_OK;
}

/* ---- before and after the pass ------------------------------------------------------------------- */

static um_status make_mask(const job *j, pixel_list *list)
{
    size_t pixels = (size_t)(j->ky * j->kx);
    size_t size = um_dtype_size(j->dtype);
    list->keep = calloc(pixels, size);
    list->run = calloc(2 * (pixels / MASK_BLOCK + 1), sizeof *list->run);
    if (list->keep == NULL || list->run == NULL) {
        return um_fail(j->ctx, UM_ERROR_MEMORY, "no memory for an aperture");
    }
    for (int64_t i = 0; i < list->count; i++) {
        size_t pixel = (size_t)list->pixel[i];
        size_t block = pixel / MASK_BLOCK * MASK_BLOCK;
        size_t end = pixels - block < MASK_BLOCK ? pixels : block + MASK_BLOCK;
        memset((char *)list->keep + pixel * size, 0xff, size);
        if (list->runs == 0 || list->run[2 * list->runs - 1] < block) {
            list->run[2 * list->runs++] = block;
        }
        list->run[2 * list->runs - 1] = end;
    }
    return UM_OK;
}

static um_status make_list(job *j, const um_aperture *aperture, pixel_list *list)
{
    list->pixel = calloc((size_t)(j->ky * j->kx), sizeof *list->pixel);
    if (list->pixel == NULL) {
        return um_fail(j->ctx, UM_ERROR_MEMORY, "no memory for an aperture");
    }
    for (int64_t i = 0; i < j->ky * j->kx; i++) {
        if (j->weight[i] > 0 && um_aperture_holds(aperture, i / j->kx, i % j->kx)) {
            list->pixel[list->count++] = i;
        }
    }
    if (list->count == 0) {
        return um_fail(j->ctx, UM_ERROR_ARGUMENT,
                       "aperture '%s': no pixel of the %lld x %lld pattern lies in it that is not "
                       "masked: move or enlarge it",
                       aperture->name, (long long)j->ky, (long long)j->kx);
    }
    return has_counts(j) ? make_mask(j, list) : UM_OK;
}

static um_status make_map(um_context *ctx, int64_t count, double **map)
{
    UM_TRY(um_buffer_alloc(ctx, (size_t)count, sizeof(double), "virtual images", map));
    for (int64_t i = 0; i < count; i++) {
        (*map)[i] = NAN; /* where no pattern is visited */
    }
    return UM_OK;
}

static um_status prepare(job *j, const um_matrix_info *info, const um_aperture *apertures,
                         int count)
{
    um_images *out = j->images;
    size_t pixels = (size_t)(j->ky * j->kx);
    int64_t positions = info->shape.ny * info->shape.nx;
    UM_TRY(um_buffer_alloc(j->ctx, pixels, sizeof(double), "a pattern", &j->weight));
    UM_TRY(um_buffer_alloc(j->ctx, pixels, um_dtype_size(j->dtype), "a pattern", &j->keep));
    for (size_t i = 0; i < pixels; i++) {
        bool kept = info->signal_mask == NULL || info->signal_mask[i] == 0;
        j->weight[i] = kept ? 1 : 0;
        memset((char *)j->keep + i * um_dtype_size(j->dtype), kept ? 0xff : 0,
               um_dtype_size(j->dtype));
    }
    j->list = calloc((size_t)count + 1, sizeof *j->list);
    out->aperture = calloc((size_t)count + 1, sizeof *out->aperture);
    out->virtual_map = calloc((size_t)count + 1, sizeof *out->virtual_map);
    if (j->list == NULL || out->aperture == NULL || out->virtual_map == NULL) {
        return um_fail(j->ctx, UM_ERROR_MEMORY, "no memory for virtual images");
    }
    out->apertures = count;
    for (int a = 0; a < count; a++) {
        out->aperture[a] = apertures[a];
        UM_TRY(make_list(j, &apertures[a], &j->list[a]));
        UM_TRY(make_map(j->ctx, positions, &out->virtual_map[a]));
    }
    UM_TRY(make_map(j->ctx, positions, &out->center_of_mass_y));
    return make_map(j->ctx, positions, &out->center_of_mass_x);
}

static void free_job(job *j)
{
    for (int a = 0; j->list != NULL && a < j->images->apertures; a++) {
        free(j->list[a].pixel);
        free(j->list[a].keep);
        free(j->list[a].run);
    }
    free(j->list);
    um_buffer_free(j->ctx, j->weight);
    um_buffer_free(j->ctx, j->keep);
    um_sums_end(j->sums);
}

/* Mean and variance from the sums. The difference of large numbers is exact enough in f64: counts of
 * 2^16 lose nothing before 2^20 positions. */
static um_status finish_patterns(job *j)
{
    um_images *out = j->images;
    size_t pixels = (size_t)(j->ky * j->kx);
    UM_TRY(um_buffer_alloc(j->ctx, pixels, sizeof(double), "a pattern", &out->mean_pattern));
    UM_TRY(um_buffer_alloc(j->ctx, pixels, sizeof(double), "a pattern", &out->variance_pattern));
    double n = (double)out->sums->positions;
    for (size_t i = 0; i < pixels; i++) {
        double mean = n > 0 ? out->sums->sum_pattern[i] / n : 0;
        double square = n > 0 ? out->sums->square_pattern[i] / n : 0;
        out->mean_pattern[i] = mean;
        out->variance_pattern[i] = fmax(square - mean * mean, 0);
    }
    return UM_OK;
}

static um_status run_pass(job *j, um_matrix *matrix, const um_aperture *apertures, int count)
{
    static const um_visitor visitor = {
        .start = start, .visit = visit, .merge = merge, .stop = stop};
    UM_TRY(prepare(j, um_matrix_get_info(matrix), apertures, count));
    if (j->images->sums == NULL) {
        UM_TRY(um_sums_begin(matrix, &j->sums));
    }
    UM_TRY(um_matrix_pass(matrix, "virtual images", &visitor, j));
    if (j->images->sums == NULL) {
        j->images->sums = um_sums_finish(j->sums);
    }
    return finish_patterns(j);
}

/* The direct beam on the mean pattern; where a mask hides the middle, the middle of that mask. */
static um_status find_beam(um_matrix *matrix, const um_sums *sums, um_beam *beam)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    um_context *ctx = um_matrix_get_context(matrix);
    int64_t ky = info->shape.ky;
    int64_t kx = info->shape.kx;
    if (um_mask_center(info->signal_mask, ky, kx, beam)) {
        return UM_OK;
    }
    return um_beam_measure(ctx, sums->sum_pattern, info->signal_mask, ky, kx, beam);
}

static um_status make(um_matrix *matrix, const um_aperture *apertures, int count, job *j)
{
    um_images *out = j->images;
    um_beam beam = {.y = out->beam_y, .x = out->beam_x};
    bool given = isfinite(out->beam_y) && isfinite(out->beam_x);
    um_aperture series[UM_SERIES];
    if (apertures == NULL) { /* the series needs the beam before its pass */
        UM_TRY(um_matrix_sums(matrix, &out->sums));
        UM_TRY(find_beam(matrix, out->sums, &beam));
        beam.y = given ? out->beam_y : beam.y;
        beam.x = given ? out->beam_x : beam.x;
        count = um_aperture_series(&beam, um_matrix_get_info(matrix)->signal_mask, j->ky, j->kx,
                                   series);
    }
    UM_TRY(run_pass(j, matrix, apertures != NULL ? apertures : series, count));
    if (apertures != NULL && !given) {
        UM_TRY(find_beam(matrix, out->sums, &beam));
    }
    out->beam_y = beam.y;
    out->beam_x = beam.x;
    return UM_OK;
}

um_status um_images_make(um_matrix *matrix, const um_aperture *apertures, int count, double beam_y,
                         double beam_x, um_images **out)
{
    *out = NULL;
    const um_matrix_info *info = um_matrix_get_info(matrix);
    um_context *ctx = um_matrix_get_context(matrix);
    images *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for virtual images");
    }
    made->ctx = ctx;
    made->public.beam_y = beam_y;
    made->public.beam_x = beam_x;
    job j = {.images = &made->public,
             .ctx = ctx,
             .kernels = um_pixel_kernels_get(um_context_isa(ctx)),
             .dtype = info->dtype,
             .ky = info->shape.ky,
             .kx = info->shape.kx};
    um_status status = make(matrix, apertures, count, &j);
    free_job(&j);
    if (status != UM_OK) {
        um_images_free(&made->public);
        return status;
    }
    *out = &made->public;
    return UM_OK;
}

void um_images_free(um_images *public)
{
    if (public == NULL) {
        return;
    }
    um_context *ctx = ((images *)public)->ctx;
    for (int a = 0; public->virtual_map != NULL && a < public->apertures; a++) {
        um_buffer_free(ctx, public->virtual_map[a]);
    }
    free(public->virtual_map);
    free(public->aperture);
    um_buffer_free(ctx, public->mean_pattern);
    um_buffer_free(ctx, public->variance_pattern);
    um_buffer_free(ctx, public->center_of_mass_y);
    um_buffer_free(ctx, public->center_of_mass_x);
    um_sums_free(public->sums);
    free(public);
}

um_status um_aperture_overview(um_matrix *matrix, const um_sums *sums, float *inside, int64_t *count,
                               bool *bright)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    um_beam beam = {.y = NAN, .x = NAN};
    um_aperture series[UM_SERIES];
    *count = 0;
    UM_TRY(find_beam(matrix, sums, &beam));
    int made = um_aperture_series(&beam, info->signal_mask, info->shape.ky, info->shape.kx, series);
    for (int64_t i = 0; made > 0 && i < info->shape.ky * info->shape.kx; i++) {
        bool kept = info->signal_mask == NULL || info->signal_mask[i] == 0;
        bool in = kept && um_aperture_holds(series, i / info->shape.kx, i % info->shape.kx);
        inside[i] = in ? 1 : 0;
        *count += in;
    }
    *bright = made > 0 && strcmp(series[0].name, "bright_field") == 0;
    return UM_OK;
}
