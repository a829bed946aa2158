/* The route by virtual dark fields: what each reflection shows, put together where it shows the same. */
#include "vdf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double SPOT_SIGMA_PX = 1.5; /* of the discs of a virtual pattern */

typedef struct drawn {
    um_vdf *v;
    um_model *out;
    double *segments, *fractions; /* classes x positions */
    int64_t *area;                /* per group */
    uint8_t *map;                 /* groups x positions */
    int64_t particles;
} drawn;

/* ---- crystals --------------------------------------------------------------------------------------- */

/* Positions that enough of a crystal's reflections show. */
static void draw_group(drawn *d, int32_t group)
{
    const um_vdf *v = d->v;
    uint8_t *map = d->map + group * v->positions;
    double seen = 0;
    for (int64_t i = 0; i < v->sightings; i++) {
        seen += v->sighting[i].group == group;
    }
    for (int64_t p = 0; p < v->positions; p++) {
        double here = 0;
        for (int64_t i = 0; i < v->sightings; i++) {
            here += v->sighting[i].group == group && v->sighting[i].map[p] != 0;
        }
        map[p] = here >= v->options->cover * seen && here > 0;
        d->area[group] += map[p];
    }
}

static bool has_vector(const um_vdf *v, int64_t class, int64_t vector)
{
    for (int64_t i = 0; i < v->sightings; i++) {
        const um_sighting *s = &v->sighting[i];
        if (s->group >= 0 && v->class_of[s->group] == class && s->vector == vector) {
            return true;
        }
    }
    return false;
}

/* Crystals of a class from the largest down, each with what is left to it, if that is enough. */
static void number_class(drawn *d, int64_t class)
{
    const um_vdf *v = d->v;
    double *segments = d->segments + class * v->positions;
    for (int64_t turn = 0; turn < v->groups; turn++) {
        int64_t best = -1;
        for (int64_t g = 0; g < v->groups; g++) {
            bool next = v->class_of[g] == class && d->area[g] >= v->options->least_size;
            best = next && (best < 0 || d->area[g] > d->area[best]) ? g : best;
        }
        if (best < 0) {
            return;
        }
        int64_t left = 0;
        for (int64_t p = 0; p < v->positions; p++) {
            left += d->map[best * v->positions + p] != 0 && segments[p] == 0;
        }
        d->particles += 2 * left >= d->area[best];
        for (int64_t p = 0; p < v->positions && 2 * left >= d->area[best]; p++) {
            if (d->map[best * v->positions + p] != 0 && segments[p] == 0) {
                segments[p] = (double)d->particles;
            }
        }
        d->area[best] = 0; /* done */
    }
}

/* ---- patterns and maps ------------------------------------------------------------------------------ */

static void draw_pattern(drawn *d, int64_t class)
{
    const um_vdf *v = d->v;
    float *pattern = um_model_factors(d->out) + class * v->pixels;
    double sum = 0;
    for (int64_t q = 0; q < v->pixels; q++) {
        double value = 0;
        for (int64_t i = 0; i < v->sightings; i++) {
            const um_sighting *s = &v->sighting[i];
            if (s->group >= 0 && v->class_of[s->group] == class) {
                const um_point *at = &v->vectors->at[s->vector];
                double dy = (double)(q / v->shape.kx) - at->y;
                double dx = (double)(q % v->shape.kx) - at->x;
                value += s->counts * exp(-0.5 * (dy * dy + dx * dx) / (SPOT_SIGMA_PX * SPOT_SIGMA_PX));
            }
        }
        pattern[q] = um_kept(v->pixel_mask, q) ? (float)value : NAN;
        sum += um_kept(v->pixel_mask, q) ? value : 0;
    }
    for (int64_t q = 0; q < v->pixels; q++) {
        pattern[q] = sum > 0 ? (float)((double)pattern[q] / sum) : pattern[q];
    }
}

static void sum_maps(drawn *d)
{
    const um_vdf *v = d->v;
    float *loadings = um_model_loadings(d->out);
    for (int64_t c = 0; c < v->classes; c++) {
        for (int64_t k = 0; k < v->vectors->count; k++) {
            const double *net = v->net + k * v->positions;
            bool own = has_vector(v, c, k);
            for (int64_t p = 0; own && p < v->positions; p++) {
                loadings[p * v->classes + c] += d->segments[c * v->positions + p] > 0 ? (float)net[p] : 0;
            }
        }
    }
    for (int64_t p = 0; p < v->positions; p++) {
        double total = 0;
        for (int64_t c = 0; c < v->classes; c++) {
            double floor = d->segments[c * v->positions + p] > 0 ? 1e-3 : 0; /* a dark fringe is shared */
            d->fractions[c * v->positions + p] = (double)loadings[p * v->classes + c] + floor;
            total += d->fractions[c * v->positions + p];
        }
        for (int64_t c = 0; c < v->classes; c++) {
            d->fractions[c * v->positions + p] /= total > 0 ? total : 1;
            loadings[p * v->classes + c] = um_kept(v->position_mask, p) ? loadings[p * v->classes + c] : NAN;
        }
    }
}

/* ---- telling ---------------------------------------------------------------------------------------- */

static um_status tell(const drawn *d)
{
    const um_vdf *v = d->v;
    const um_segment_options *o = v->options;
    json_t *vectors = json_array();
    for (int64_t i = 0; i < v->vectors->count; i++) {
        json_array_append_new(vectors, json_pack("[f,f]", v->vectors->at[i].y, v->vectors->at[i].x));
    }
    json_t *parameters = json_pack("{s:f, s:f, s:s, s:f, s:f, s:I, s:f, s:f, s:I, s:f, s:f}", "least_continuity",
                                   o->least_continuity, "smooth_positions", o->smooth_px, "threshold",
                                   um_threshold_name(o->threshold), "close_positions", o->close_px, "neck", o->neck,
                                   "least_size_positions", (json_int_t)o->least_size, "least_contrast", o->least_contrast,
                                   "overlap", o->overlap, "least_vectors", (json_int_t)o->least_vectors, "cover", o->cover,
                                   "same_vectors", o->same_vectors);
    json_t *all = json_pack("{s:{s:s, s:o, s:o, s:[f,f], s:f, s:I, s:I, s:[], s:[]}}", "segmentation", "route", "vdf",
                            "parameters", parameters, "vectors_px", vectors, "beam_px", v->beam[0], v->beam[1],
                            "beam_radius_px", v->beam[2], "sightings", (json_int_t)v->sightings, "particles",
                            (json_int_t)d->particles, "merged", "dropped");
    char *text = all != NULL ? json_dumps(all, JSON_COMPACT) : NULL;
    um_status status = text != NULL ? um_model_set_provenance(d->out, text)
                                    : um_fail(v->ctx, UM_ERROR_MEMORY, "no memory for the provenance");
    free(text);
    json_decref(all);
    return status;
}

static um_status draw(drawn *d)
{
    um_vdf *v = d->v;
    const um_matrix_info *info = um_matrix_get_info(v->matrix);
    const int64_t shape[3] = {v->classes, v->shape.ny, v->shape.nx};
    size_t row = (size_t)v->positions;
    um_model_spec spec = {.k = v->classes, .shape = v->shape, .method = "SEGMENT"};
    memcpy(spec.axes, info->axes, sizeof spec.axes);
    UM_TRY(um_model_create(v->ctx, &spec, &d->out));
    UM_TRY(um_buffer_alloc(v->ctx, (size_t)v->classes, row * sizeof(double), "segments", &d->segments));
    UM_TRY(um_buffer_alloc(v->ctx, (size_t)v->classes, row * sizeof(double), "fractions", &d->fractions));
    UM_TRY(um_buffer_alloc(v->ctx, (size_t)v->groups, row, "crystals", &d->map));
    UM_TRY(um_buffer_alloc(v->ctx, (size_t)v->groups, sizeof *d->area, "crystals", &d->area));
    for (int32_t g = 0; g < v->groups; g++) {
        draw_group(d, g);
    }
    for (int64_t c = 0; c < v->classes; c++) {
        number_class(d, c);
        draw_pattern(d, c);
    }
    sum_maps(d);
    UM_TRY(um_model_set_array(d->out, "segments", 3, shape, d->segments));
    UM_TRY(um_model_set_array(d->out, "fractions", 3, shape, d->fractions));
    UM_TRY(um_model_set_signal_mask(d->out, v->pixel_mask));
    UM_TRY(um_model_set_navigation_mask(d->out, v->position_mask));
    return tell(d);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static void clear(um_vdf *v)
{
    for (int64_t i = 0; i < v->sightings; i++) {
        um_buffer_free(v->ctx, v->sighting[i].map);
    }
    free(v->sighting);
    free(v->class_of);
    um_points_free(v->vectors);
    um_buffer_free(v->ctx, v->net);
}

um_status um_segment_scan(um_context *ctx, um_matrix *matrix, const um_segment_options *options, um_model **out)
{
    um_segment_options o = options != NULL ? *options : um_segment_defaults();
    const um_matrix_info *info = um_matrix_get_info(matrix);
    um_vdf v = {.ctx = ctx, .matrix = matrix, .options = &o, .shape = info->shape, .pixel_mask = info->signal_mask,
                .position_mask = info->navigation_mask};
    *out = NULL;
    v.positions = v.shape.ny * v.shape.nx;
    v.pixels = v.shape.ky * v.shape.kx;
    UM_TRY(um_segment_check(ctx, &o));
    um_status status = um_vdf_find_vectors(&v);
    status = status == UM_OK ? um_vdf_make_images(&v) : status;
    status = status == UM_OK ? um_vdf_find_sightings(&v) : status;
    status = status == UM_OK ? um_vdf_group(&v) : status;
    if (status == UM_OK && v.groups == 0) {
        status = um_fail(ctx, UM_ERROR_VALUE,
                         "%lld reflections stand out, but no crystal is seen by %lld of them: there is nothing to segment",
                         (long long)v.vectors->count, (long long)o.least_vectors);
    }
    if (status == UM_OK) {
        drawn d = {.v = &v};
        status = draw(&d);
        void *buffers[] = {d.segments, d.fractions, d.map, d.area};
        for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
            um_buffer_free(ctx, buffers[i]);
        }
        if (status == UM_OK) {
            *out = d.out;
        } else {
            um_model_free(d.out);
        }
    }
    clear(&v);
    return status;
}
