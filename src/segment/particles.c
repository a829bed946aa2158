/* Particles of one map: a threshold, small gaps closed, and a watershed of distances that cuts at necks. */
#include "segment_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct work {
    um_context *ctx;
    int64_t ny, nx, pixels;
    const um_segment_options *options;
    const uint8_t *mask;
    double *smooth, *distance;
    uint8_t *map, *other;
    int32_t *label, *region;
} work;

static um_status make_work(work *w)
{
    size_t n = (size_t)w->pixels;
    UM_TRY(um_buffer_alloc(w->ctx, n, sizeof *w->smooth, "a map", &w->smooth));
    UM_TRY(um_buffer_alloc(w->ctx, n, sizeof *w->distance, "a map", &w->distance));
    UM_TRY(um_buffer_alloc(w->ctx, n, 1, "a map", &w->map));
    UM_TRY(um_buffer_alloc(w->ctx, n, 1, "a map", &w->other));
    UM_TRY(um_buffer_alloc(w->ctx, n, sizeof *w->label, "regions", &w->label));
    return um_buffer_alloc(w->ctx, n, sizeof *w->region, "regions", &w->region);
}

static void free_work(work *w)
{
    void *buffers[] = {w->smooth, w->distance, w->map, w->other, w->label, w->region};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        um_buffer_free(w->ctx, buffers[i]);
    }
}

/* ---- the map of what is inside ---------------------------------------------------------------------- */

static um_status find_level(work *w, double *level)
{
    int64_t n = 0;
    if (isfinite(*level)) {
        return UM_OK;
    }
    for (int64_t i = 0; i < w->pixels; i++) {
        if (um_kept(w->mask, i)) {
            w->distance[n++] = w->smooth[i];
        }
    }
    if (n == 0) {
        *level = 0;
        return UM_OK;
    }
    return um_threshold(w->ctx, w->options->threshold, w->distance, n, 256, level);
}

/* Dilates, then erodes: gaps close, outlines stay. Beyond the border is neither in nor out. */
static um_status close_gaps(work *w)
{
    if (!(w->options->close_px > 0)) {
        return UM_OK;
    }
    UM_TRY(um_dilate(w->ctx, w->ny, w->nx, w->map, w->options->close_px, w->other));
    UM_TRY(um_distance_transform(w->ctx, w->ny, w->nx, w->other, w->distance));
    for (int64_t i = 0; i < w->pixels; i++) {
        w->map[i] = w->map[i] != 0 || (w->distance[i] > w->options->close_px && um_kept(w->mask, i));
    }
    return UM_OK;
}

/* Holes: regions outside that touch no border. Those smaller than what is around them are filled. */
static um_status fill_holes(work *w)
{
    int64_t count = 0;
    int64_t inside = 0;
    for (int64_t i = 0; i < w->pixels; i++) {
        w->other[i] = w->map[i] == 0;
        inside += w->map[i];
    }
    UM_TRY(um_label(w->ctx, w->ny, w->nx, w->other, 4, w->region, &count));
    um_region *regions = NULL;
    UM_TRY(um_buffer_alloc(w->ctx, (size_t)count + 1, sizeof *regions, "holes", &regions));
    um_status status = um_regions_measure(w->ctx, w->ny, w->nx, w->region, count, regions);
    for (int64_t i = 0; status == UM_OK && i < w->pixels; i++) {
        const um_region *r = w->region[i] > 0 ? &regions[w->region[i] - 1] : NULL;
        w->map[i] = w->map[i] != 0 || (r != NULL && !r->at_border && 2 * r->area < inside && um_kept(w->mask, i));
    }
    um_buffer_free(w->ctx, regions);
    return status;
}

/* ---- cutting at necks ------------------------------------------------------------------------------- */

/* The lobe that a lobe has been joined to. */
static int32_t root_of(int32_t *lobe, int32_t i)
{
    while (lobe[i] != i) {
        lobe[i] = lobe[lobe[i]];
        i = lobe[i];
    }
    return i;
}

typedef struct pass {
    double height; /* the lower of two neighbours on either side of the line between lobes */
    int32_t a, b;
} pass;

static int highest_first(const void *x, const void *y)
{
    const pass *a = x;
    const pass *b = y;
    if (a->height != b->height) {
        return a->height > b->height ? -1 : 1;
    }
    if (a->a != b->a) {
        return a->a < b->a ? -1 : 1;
    }
    return a->b < b->b ? -1 : a->b > b->b;
}

static int64_t list_passes(const work *w, pass *passes)
{
    int64_t count = 0;
    for (int64_t i = 0; i < w->pixels; i++) {
        int64_t next[2] = {i % w->nx + 1 < w->nx ? i + 1 : -1, i + w->nx < w->pixels ? i + w->nx : -1};
        for (int k = 0; k < 2; k++) {
            int64_t j = next[k];
            if (j >= 0 && w->label[i] != 0 && w->label[j] != 0 && w->label[i] != w->label[j]) {
                int32_t a = w->label[i] < w->label[j] ? w->label[i] : w->label[j];
                int32_t b = w->label[i] < w->label[j] ? w->label[j] : w->label[i];
                passes[count++] = (pass){fmin(w->distance[i], w->distance[j]), a, b};
            }
        }
    }
    qsort(passes, (size_t)count, sizeof *passes, highest_first);
    return count;
}

/* Joins lobes from the highest pass down unless the pass is a neck. top[i] = largest distance in lobe i. In a convex
 * region distances have one top and no pass below it, but for a pixel of roughness: none is cut. */
static um_status join_lobes(work *w, int64_t lobes)
{
    pass *passes = NULL;
    UM_TRY(um_buffer_alloc(w->ctx, 2 * (size_t)w->pixels + 1, sizeof *passes, "passes between lobes", &passes));
    int32_t *lobe = calloc((size_t)lobes + 1, sizeof *lobe);
    double *top = calloc((size_t)lobes + 1, sizeof *top);
    um_status status = lobe != NULL && top != NULL ? UM_OK : um_fail(w->ctx, UM_ERROR_MEMORY, "no memory for lobes");
    for (int32_t i = 0; status == UM_OK && i <= lobes; i++) {
        lobe[i] = i;
    }
    for (int64_t i = 0; status == UM_OK && i < w->pixels; i++) {
        top[w->label[i]] = fmax(top[w->label[i]], w->distance[i]);
    }
    int64_t count = status == UM_OK ? list_passes(w, passes) : 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t a = root_of(lobe, passes[i].a);
        int32_t b = root_of(lobe, passes[i].b);
        double lower = fmin(top[a], top[b]);
        if (a != b && lower - passes[i].height <= fmax(1, (1 - w->options->neck) * lower)) {
            lobe[a > b ? a : b] = a > b ? b : a;
            top[a < b ? a : b] = fmax(top[a], top[b]);
        }
    }
    for (int64_t i = 0; status == UM_OK && i < w->pixels; i++) {
        w->label[i] = root_of(lobe, w->label[i]);
    }
    free(top);
    free(lobe);
    um_buffer_free(w->ctx, passes);
    return status;
}

static um_status cut(work *w)
{
    um_points *tops = NULL;
    UM_TRY(um_distance_transform(w->ctx, w->ny, w->nx, w->map, w->distance));
    double most = (double)(w->ny + w->nx);
    for (int64_t i = 0; i < w->pixels; i++) {
        w->distance[i] = fmin(w->distance[i], most); /* a map without an outside */
        w->region[i] = 0;
    }
    UM_TRY(um_local_maxima(w->ctx, w->ny, w->nx, w->distance, 1, 0, 0, &tops));
    for (int64_t i = 0; i < tops->count; i++) {
        w->region[(int64_t)tops->at[i].y * w->nx + (int64_t)tops->at[i].x] = (int32_t)(i + 1);
    }
    int64_t lobes = tops->count;
    um_points_free(tops);
    if (lobes == 0) { /* a flat map: all in, or nothing */
        int64_t none = 0;
        return um_label(w->ctx, w->ny, w->nx, w->map, 8, w->label, &none);
    }
    double *depth = NULL;
    UM_TRY(um_buffer_alloc(w->ctx, (size_t)w->pixels, sizeof *depth, "a map", &depth));
    for (int64_t i = 0; i < w->pixels; i++) {
        depth[i] = -w->distance[i];
    }
    um_status status = um_watershed(w->ctx, w->ny, w->nx, depth, w->region, w->map, 8, w->label);
    um_buffer_free(w->ctx, depth);
    return status == UM_OK ? join_lobes(w, lobes) : status;
}

/* ---- which are kept --------------------------------------------------------------------------------- */

typedef struct candidate {
    int32_t label;
    int64_t area;
    double mean;
} candidate;

static int largest_area(const void *x, const void *y)
{
    const candidate *a = x;
    const candidate *b = y;
    if (a->area != b->area) {
        return a->area > b->area ? -1 : 1;
    }
    return a->label < b->label ? -1 : a->label > b->label;
}

static um_status number(work *w, const double *map, int32_t *label, int64_t *count)
{
    int32_t most = 0;
    for (int64_t i = 0; i < w->pixels; i++) {
        most = w->label[i] > most ? w->label[i] : most;
    }
    candidate *list = calloc((size_t)most + 1, sizeof *list);
    int32_t *fresh = calloc((size_t)most + 1, sizeof *fresh);
    if (list == NULL || fresh == NULL) {
        free(list);
        free(fresh);
        return um_fail(w->ctx, UM_ERROR_MEMORY, "no memory for particles");
    }
    for (int64_t i = 0; i < w->pixels; i++) {
        candidate *c = &list[w->label[i]];
        c->label = w->label[i];
        c->area += w->label[i] != 0;
        c->mean += w->label[i] != 0 ? map[i] : 0;
    }
    double strongest = 0;
    for (int32_t i = 1; i <= most; i++) {
        list[i].mean = list[i].area > 0 ? list[i].mean / (double)list[i].area : 0;
        if (list[i].area >= w->options->least_size) {
            strongest = fmax(strongest, list[i].mean);
        }
    }
    qsort(list + 1, (size_t)most, sizeof *list, largest_area);
    *count = 0;
    for (int32_t i = 1; i <= most; i++) {
        bool kept = list[i].area > 0 && list[i].area >= w->options->least_size &&
                    list[i].mean >= w->options->least_contrast * strongest;
        fresh[list[i].label] = kept ? (int32_t)++*count : fresh[list[i].label];
    }
    for (int64_t i = 0; i < w->pixels; i++) {
        label[i] = fresh[w->label[i]];
    }
    free(fresh);
    free(list);
    return UM_OK;
}

um_status um_find_particles(um_context *ctx, int64_t ny, int64_t nx, const double *map, const uint8_t *mask,
                            const um_segment_options *options, double *level, int32_t *label, int64_t *count)
{
    work w = {.ctx = ctx, .ny = ny, .nx = nx, .pixels = ny * nx, .options = options, .mask = mask};
    um_status status = make_work(&w);
    if (status == UM_OK && options->smooth_px > 0) {
        status = um_filter_gauss(ctx, ny, nx, map, options->smooth_px, 0, 0, w.smooth);
    }
    for (int64_t i = 0; status == UM_OK && !(options->smooth_px > 0) && i < w.pixels; i++) {
        w.smooth[i] = map[i];
    }
    status = status == UM_OK ? find_level(&w, level) : status;
    for (int64_t i = 0; status == UM_OK && i < w.pixels; i++) {
        w.map[i] = w.smooth[i] > *level && um_kept(mask, i);
    }
    status = status == UM_OK ? close_gaps(&w) : status;
    status = status == UM_OK ? fill_holes(&w) : status;
    status = status == UM_OK ? cut(&w) : status;
    status = status == UM_OK ? number(&w, map, label, count) : status;
    free_work(&w);
    return status;
}
