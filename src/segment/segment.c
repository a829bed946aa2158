/* The route from components: classes, their maps, particles, and the model that holds them. */
#include "segment_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

um_segment_options um_segment_defaults(void)
{
    return (um_segment_options){.alike = 0.75, .least_reflections = 0.02, .least_continuity = 0.25, .least_share = 0.005, .smooth_px = 1,
                                .threshold = UM_THRESHOLD_LI, .close_px = 0, .neck = 0.9, .least_size = 6,
                                .least_contrast = 0.15, .overlap = 0.5, .least_vectors = 1, .cover = 0.4,
                                .same_vectors = 0.5, .beam_y = NAN, .beam_x = NAN, .beam_radius_px = NAN};
}

typedef struct result {
    um_context *ctx;
    const um_parts *parts;
    const um_segment_options *options;
    um_model *out;
    double *map;       /* classes x positions: counts in reflections */
    double *segments;  /* classes x positions */
    double *fractions; /* classes x positions */
    double *level;     /* per class */
    int64_t particles;
} result;

/* ---- classes ---------------------------------------------------------------------------------------- */

/* Patterns of unit sum, weighted by the counts of the components; counts as loadings; counts in reflections as maps. */
static void sum_classes(result *r)
{
    const um_parts *p = r->parts;
    const float *factors = um_model_factors(p->model);
    const float *loadings = um_model_loadings(p->model);
    float *pattern = um_model_factors(r->out);
    float *counts = um_model_loadings(r->out);
    for (int64_t c = 0; c < p->k; c++) {
        int32_t class = p->class_of[c];
        if (class < 0) {
            continue;
        }
        for (int64_t q = 0; q < p->pixels; q++) {
            if (um_kept(p->pixel_mask, q)) {
                pattern[class * p->pixels + q] += (float)(p->total[c] * (double)factors[c * p->pixels + q]);
            }
        }
        for (int64_t i = 0; i < p->positions; i++) {
            if (um_kept(p->position_mask, i)) {
                double w = loadings[i * p->k + c];
                counts[i * p->classes + class] += (float)(w * p->counts[c]);
                r->map[class * p->positions + i] += w * p->strength[c];
            }
        }
    }
    for (int64_t class = 0; class < p->classes; class++) {
        double sum = 0;
        for (int64_t q = 0; q < p->pixels; q++) {
            sum += (double)pattern[class * p->pixels + q];
        }
        for (int64_t q = 0; q < p->pixels && sum > 0; q++) {
            pattern[class * p->pixels + q] = (float)((double)pattern[class * p->pixels + q] / sum);
        }
    }
}

/* What is excluded holds NaN, as in every model. */
static void mark_excluded(result *r)
{
    const um_parts *p = r->parts;
    float *pattern = um_model_factors(r->out);
    float *counts = um_model_loadings(r->out);
    for (int64_t c = 0; c < p->classes; c++) {
        for (int64_t q = 0; q < p->pixels; q++) {
            pattern[c * p->pixels + q] = um_kept(p->pixel_mask, q) ? pattern[c * p->pixels + q] : NAN;
        }
        for (int64_t i = 0; i < p->positions; i++) {
            counts[i * p->classes + c] = um_kept(p->position_mask, i) ? counts[i * p->classes + c] : NAN;
        }
    }
}

/* ---- particles -------------------------------------------------------------------------------------- */

static um_status find_all(result *r)
{
    const um_parts *p = r->parts;
    int32_t *label = NULL;
    UM_TRY(um_buffer_alloc(r->ctx, (size_t)p->positions, sizeof *label, "particles", &label));
    um_status status = UM_OK;
    for (int64_t c = 0; status == UM_OK && c < p->classes; c++) {
        int64_t count = 0;
        status = um_find_particles(r->ctx, p->shape.ny, p->shape.nx, r->map + c * p->positions, p->position_mask,
                                   r->options, &r->level[c], label, &count);
        for (int64_t i = 0; status == UM_OK && i < p->positions; i++) {
            r->segments[c * p->positions + i] = label[i] > 0 ? (double)(label[i] + r->particles) : 0;
        }
        r->particles += count;
        status = status == UM_OK ? um_check_cancel(r->ctx) : status;
    }
    um_buffer_free(r->ctx, label);
    return status;
}

/* Shares of the smoothed counts in reflections. Where none of the classes that are there counts anything, as in a dark
 * fringe, they share alike. */
static um_status share_positions(result *r)
{
    const um_parts *p = r->parts;
    const double floor = 1e-3;
    double *total = NULL;
    double *smooth = NULL;
    size_t n = (size_t)p->positions;
    UM_TRY(um_buffer_alloc(r->ctx, n, sizeof *total, "fractions", &total));
    um_status status = um_buffer_alloc(r->ctx, n, sizeof *smooth, "fractions", &smooth);
    for (int64_t c = 0; status == UM_OK && c < p->classes; c++) {
        double *share = r->fractions + c * p->positions;
        status = um_filter_gauss(r->ctx, p->shape.ny, p->shape.nx, r->map + c * p->positions,
                                 fmax(r->options->smooth_px, 0.1), 0, 0, smooth);
        for (int64_t i = 0; i < p->positions; i++) {
            share[i] = smooth[i] + (r->segments[c * p->positions + i] > 0 ? floor * (r->level[c] + 1e-30) : 0);
            total[i] += share[i];
        }
    }
    for (int64_t c = 0; status == UM_OK && c < p->classes; c++) {
        double *share = r->fractions + c * p->positions;
        for (int64_t i = 0; i < p->positions; i++) {
            share[i] = r->segments[c * p->positions + i] > 0 && total[i] > 0 ? share[i] / total[i] : 0;
        }
    }
    um_buffer_free(r->ctx, smooth);
    um_buffer_free(r->ctx, total);
    return status;
}

/* ---- telling ---------------------------------------------------------------------------------------- */

static json_t *json_parameters(const um_segment_options *o)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:I, s:f}", "alike", o->alike, "least_reflections",
                     o->least_reflections, "least_continuity", o->least_continuity, "least_share", o->least_share, "smooth_positions", o->smooth_px, "threshold",
                     um_threshold_name(o->threshold), "close_positions", o->close_px, "neck", o->neck,
                     "least_size_positions", (json_int_t)o->least_size, "least_contrast", o->least_contrast);
}

static json_t *json_classes(const result *r, json_t *dropped)
{
    const um_parts *p = r->parts;
    json_t *merged = json_array();
    for (int64_t class = 0; class < p->classes; class++) {
        json_t *members = json_array();
        for (int64_t c = 0; c < p->k; c++) {
            if (p->class_of[c] == class) {
                json_array_append_new(members, json_integer((json_int_t)c));
            }
        }
        json_array_append_new(merged, members);
    }
    for (int64_t c = 0; c < p->k; c++) {
        if (p->class_of[c] < 0) {
            json_array_append_new(dropped, json_pack("{s:I, s:s, s:f, s:f}", "component", (json_int_t)c, "reason",
                                                     p->reason[c], "reflections", p->share[c], "continuity",
                                                     p->continuity[c]));
        }
    }
    return merged;
}

static um_status tell(const result *r)
{
    const um_parts *p = r->parts;
    json_t *all = json_loads(um_model_provenance(p->model), 0, NULL);
    json_t *levels = json_array();
    json_t *dropped = json_array();
    for (int64_t c = 0; c < p->classes; c++) {
        json_array_append_new(levels, json_real(r->level[c]));
    }
    json_t *merged = json_classes(r, dropped);
    json_t *told = json_pack("{s:s, s:o, s:o, s:o, s:o, s:[f,f], s:f, s:I, s:I}", "route", "nmf", "parameters",
                             json_parameters(r->options), "merged", merged, "dropped", dropped, "levels_counts", levels,
                             "beam_px", p->beam[0], p->beam[1], "beam_radius_px", p->beam[2], "components",
                             (json_int_t)p->k, "particles", (json_int_t)r->particles);
    all = all != NULL ? all : json_object();
    char *text = NULL;
    if (told != NULL && json_object_set_new(all, "segmentation", told) == 0) {
        text = json_dumps(all, JSON_COMPACT);
    }
    json_decref(all);
    um_status status = text != NULL ? um_model_set_provenance(r->out, text)
                                    : um_fail(r->ctx, UM_ERROR_MEMORY, "no memory for the provenance");
    free(text);
    return status;
}

/* Arrays about the scan stay; those with an entry per component do not fit the classes. */
static um_status copy_arrays(const um_model *from, um_model *to)
{
    for (int i = 0; i < um_model_array_count(from); i++) {
        const char *name = um_model_array_name(from, i);
        const um_array *a = um_model_array(from, name);
        if (strncmp(name, "bss_", 4) != 0 && strcmp(name, "component_contribution") != 0 &&
            strncmp(name, "evidence_", 9) != 0) {
            UM_TRY(um_model_set_array(to, name, a->ndim, a->shape, a->data));
        }
    }
    return UM_OK;
}

static um_status fill_model(result *r)
{
    const um_parts *p = r->parts;
    const int64_t shape[3] = {p->classes, p->shape.ny, p->shape.nx};
    double *share = calloc((size_t)p->classes, sizeof *share);
    double all = 0;
    for (int64_t c = 0; share != NULL && c < p->classes; c++) {
        for (int64_t i = 0; i < p->positions; i++) {
            double v = um_model_loadings(r->out)[i * p->classes + c];
            share[c] += isfinite(v) ? v : 0;
        }
        all += share[c];
    }
    for (int64_t c = 0; share != NULL && c < p->classes; c++) {
        share[c] = all > 0 ? share[c] / all : 0;
    }
    um_status status = share != NULL ? copy_arrays(p->model, r->out) : UM_ERROR_MEMORY;
    status = status == UM_OK ? um_model_set_array(r->out, "component_contribution", 1, shape, share) : status;
    status = status == UM_OK ? um_model_set_array(r->out, "segments", 3, shape, r->segments) : status;
    status = status == UM_OK ? um_model_set_array(r->out, "fractions", 3, shape, r->fractions) : status;
    status = status == UM_OK ? um_model_set_signal_mask(r->out, p->pixel_mask) : status;
    status = status == UM_OK ? um_model_set_navigation_mask(r->out, p->position_mask) : status;
    free(share);
    return status;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

/* Levels that another model was cut at (they stay to be found where it has none), and its patterns. */
static void take_levels(result *r, um_model *like)
{
    memcpy(um_model_factors(r->out), um_model_factors(like),
           (size_t)(r->parts->classes * r->parts->pixels) * sizeof(float));
    json_t *provenance = json_loads(um_model_provenance(like), 0, NULL);
    const json_t *levels = json_object_get(json_object_get(provenance, "segmentation"), "levels_counts");
    for (int64_t c = 0; c < r->parts->classes; c++) {
        const json_t *level = json_array_get(levels, (size_t)c);
        r->level[c] = json_is_number(level) ? json_number_value(level) : NAN;
    }
    json_decref(provenance);
}

static um_status make(result *r)
{
    const um_parts *p = r->parts;
    um_model_spec spec = {.k = p->classes, .shape = p->shape, .method = "SEGMENT"};
    memcpy(spec.axes, um_model_axes(p->model), sizeof spec.axes);
    UM_TRY(um_model_create(r->ctx, &spec, &r->out));
    size_t values = (size_t)p->positions * sizeof(double);
    UM_TRY(um_buffer_alloc(r->ctx, (size_t)p->classes, values, "maps of classes", &r->map));
    UM_TRY(um_buffer_alloc(r->ctx, (size_t)p->classes, values, "segments", &r->segments));
    UM_TRY(um_buffer_alloc(r->ctx, (size_t)p->classes, values, "fractions", &r->fractions));
    r->level = calloc((size_t)p->classes, sizeof *r->level);
    if (r->level == NULL) {
        return um_fail(r->ctx, UM_ERROR_MEMORY, "no memory for segments");
    }
    for (int64_t c = 0; c < p->classes; c++) {
        r->level[c] = NAN;
    }
    sum_classes(r);
    if (r->options->like != NULL) {
        take_levels(r, r->options->like);
    }
    UM_TRY(find_all(r));
    UM_TRY(share_positions(r));
    mark_excluded(r);
    UM_TRY(fill_model(r));
    return tell(r);
}

/* The beam of the model that is followed: what are reflections depends on it. */
static void take_beam(um_segment_options *o)
{
    json_t *provenance = o->like != NULL ? json_loads(um_model_provenance(o->like), 0, NULL) : NULL;
    const json_t *told = json_object_get(provenance, "segmentation");
    const json_t *beam = json_object_get(told, "beam_px");
    if (json_array_size(beam) == 2 && json_is_number(json_object_get(told, "beam_radius_px"))) {
        o->beam_y = json_number_value(json_array_get(beam, 0));
        o->beam_x = json_number_value(json_array_get(beam, 1));
        o->beam_radius_px = json_number_value(json_object_get(told, "beam_radius_px"));
    }
    json_decref(provenance);
}

um_status um_segment_check(um_context *ctx, const um_segment_options *o)
{
    bool good = o->alike > 0 && o->alike <= 1.5 && o->least_reflections >= 0 && o->least_continuity <= 1 && o->least_share >= 0 && o->smooth_px >= 0 &&
                o->smooth_px < 1000 && o->close_px >= 0 && o->neck >= 0 && o->least_size >= 1 && o->least_contrast >= 0 && o->overlap > 0 && o->overlap <= 1 && o->least_vectors >= 1 && o->cover > 0 &&
                o->cover <= 1 && o->same_vectors > 0 && o->same_vectors <= 1;
    return good ? UM_OK : um_fail(ctx, UM_ERROR_ARGUMENT, "an option of the segmentation is out of its range");
}

um_status um_segment_model(um_context *ctx, um_model *model, const um_segment_options *options, um_model **out)
{
    um_segment_options chosen = options != NULL ? *options : um_segment_defaults();
    const um_segment_options *o = &chosen;
    um_parts parts;
    *out = NULL;
    UM_TRY(um_segment_check(ctx, o));
    take_beam(&chosen);
    um_status status = um_parts_make(ctx, model, o, &parts);
    if (status == UM_OK && o->like != NULL) {
        status = um_parts_check_like(&parts, o->like);
    }
    if (status == UM_OK) {
        status = o->like != NULL ? um_parts_classify_like(&parts, o->like) : um_parts_classify(&parts, o);
    }
    if (status == UM_OK && parts.classes == 0) {
        status = um_fail(ctx, UM_ERROR_VALUE,
                         "none of %lld components has reflections that stand above its background: there is nothing to segment "
                         "(least_reflections is %g)", (long long)parts.k, o->least_reflections);
    }
    if (status == UM_OK) {
        result r = {.ctx = ctx, .parts = &parts, .options = o};
        status = make(&r);
        um_buffer_free(ctx, r.map);
        um_buffer_free(ctx, r.segments);
        um_buffer_free(ctx, r.fractions);
        free(r.level);
        if (status == UM_OK) {
            *out = r.out;
        } else {
            um_model_free(r.out);
        }
    }
    um_parts_free(&parts);
    return status;
}
