/* The answer of a simulated scene as a model, and what both files say about how they were made. */
#include "camera.h"
#include "simulate_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void um_scene_axes(const um_scene *scene, um_axis axes[4])
{
    const char *const names[4] = {"y", "x", "ky", "kx"};
    const int64_t sizes[4] = {scene->ny, scene->nx, scene->ky, scene->kx};
    for (int i = 0; i < 4; i++) {
        bool scan = i < 2;
        double scale = scan ? scene->step_nm : scene->pixel_per_A;
        axes[i] = (um_axis){.scale = scale > 0.0 ? scale : 1.0, .size = sizes[i], .navigate = scan};
        snprintf(axes[i].name, sizeof axes[i].name, "%s", names[i]);
        if (scale > 0.0) {
            snprintf(axes[i].units, sizeof axes[i].units, "%s", scan ? "nm" : "1/\u00c5");
            axes[i].offset = scan ? 0.0 : -scale * (double)(sizes[i] / 2);
        }
    }
}

/* ---- provenance ----------------------------------------------------------------------------- */

static json_t *describe_instrument(const um_instrument *i)
{
    return json_pack(
        "{s:f, s:b, s:f, s:f, s:f, s:[[f,f],[f,f]], s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:s}",
        "counts", i->counts, "noise", (int)i->noise, "probe_nm", i->probe_nm, "inelastic", i->inelastic,
        "inelastic_per_A", i->inelastic_per_A, "descan_px", i->descan_px[0][0], i->descan_px[0][1],
        i->descan_px[1][0], i->descan_px[1][1], "descan_jitter_px", i->descan_jitter_px, "spread_px", i->spread_px,
        "hot", i->hot, "dead", i->dead, "hot_counts", i->hot_counts, "afterglow", i->afterglow, "gain", i->gain,
        "offset", i->offset, "read_noise", i->read_noise, "saturation", i->saturation, "bits", i->bits, "dtype",
        um_dtype_name(i->dtype));
}

/* Particles of a state whose middle is in the field and in the foil: what a density counts, without bias by size. */
static int64_t count_middles(const um_scene *scene, int64_t state)
{
    int64_t count = 0;
    for (size_t i = 0; i < scene->particles; i++) {
        const um_particle *p = &scene->particle[i];
        bool in_foil = !(scene->foil_nm > 0.0) || (p->depth_nm >= 0.0 && p->depth_nm <= scene->foil_nm);
        count += p->state == state && in_foil && p->y_px >= -0.5 && p->y_px <= (double)scene->ny - 0.5 &&
                 p->x_px >= -0.5 && p->x_px <= (double)scene->nx - 0.5;
    }
    return count;
}

static json_t *describe_states(const um_scene *scene)
{
    const double area_um2 = 1e-6 * (double)(scene->ny * scene->nx) * scene->step_nm * scene->step_nm;
    json_t *list = json_array();
    for (int64_t s = 0; s < scene->states; s++) {
        const um_scene_state *state = &scene->state[s];
        json_t *one = json_pack("{s:s, s:s, s:b, s:b}", "name", state->name, "phase", state->phase, "geometry_only",
                                (int)state->geometry_only, "background", (int)state->background);
        if (scene->particles > 0 && !state->background && area_um2 > 0.0) {
            int64_t count = count_middles(scene, s);
            json_object_set_new(one, "particles", json_integer((json_int_t)count));
            json_object_set_new(one, "per_um2", json_real((double)count / area_um2));
            if (scene->foil_nm > 0.0) {
                json_object_set_new(one, "per_um3", json_real((double)count / (1e-3 * scene->foil_nm * area_um2)));
                json_object_set_new(one, "asked_per_um3", json_real(state->density_per_um3));
            }
        }
        json_array_append_new(list, one);
    }
    return list;
}

um_status um_scene_provenance(um_context *ctx, const um_scene *scene, const um_instrument *instrument, char **json)
{
    json_t *all = json_pack(
        "{s:{s:s, s:s, s:I, s:o, s:f, s:f, s:f, s:f, s:o, s:s}}", "simulation", "program", "unmix", "version",
        um_version(), "seed", (json_int_t)um_context_seed(ctx), "states", describe_states(scene), "probe_px",
        scene->probe_px, "step_nm", scene->step_nm, "voltage_kV", scene->voltage_kV, "foil_nm", scene->foil_nm, "instrument",
        describe_instrument(instrument), "specimen", scene->parameters != NULL ? scene->parameters : "");
    *json = all != NULL ? json_dumps(all, 0) : NULL;
    json_decref(all);
    return *json != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory for the provenance");
}

/* ---- patterns and loadings ------------------------------------------------------------------ */

static um_status set_factors(um_context *ctx, const um_scene *scene, double counts, const float *pattern,
                             um_model *truth)
{
    int64_t pixels = scene->ky * scene->kx;
    float *factors = um_model_factors(truth);
    float *loadings = um_model_loadings(truth);
    for (int64_t s = 0; s < scene->states; s++) {
        const float *from = pattern + s * pixels;
        double sum = 0.0;
        for (int64_t q = 0; q < pixels; q++) {
            sum += (double)from[q];
        }
        for (int64_t q = 0; q < pixels && sum > 0.0; q++) {
            factors[s * pixels + q] = (float)((double)from[q] / sum);
        }
        for (int64_t p = 0; p < scene->ny * scene->nx; p++) {
            int64_t i = p * scene->states + s;
            loadings[i] = (float)((double)scene->fraction[i] * counts * sum);
        }
    }
    return um_check_cancel(ctx);
}

/* ---- maps ----------------------------------------------------------------------------------- */

static um_status set_floats(um_context *ctx, um_model *truth, const char *name, int ndim, const int64_t *shape,
                            const float *values)
{
    size_t count = 1;
    for (int i = 0; i < ndim; i++) {
        count *= (size_t)shape[i];
    }
    double *wide = NULL;
    UM_TRY(um_buffer_alloc(ctx, count, sizeof *wide, "a map of the truth", &wide));
    for (size_t i = 0; i < count; i++) {
        wide[i] = (double)values[i];
    }
    um_status status = um_model_set_array(truth, name, ndim, shape, wide);
    um_buffer_free(ctx, wide);
    return status;
}

static void warn_of_hidden(um_context *ctx, const um_scene *scene, const int64_t *found)
{
    int64_t hidden = 0;
    int64_t first = 0;
    for (int64_t s = scene->states - 1; s >= 0; s--) {
        hidden += found[s] == 0;
        first = found[s] == 0 ? s : first;
    }
    if (hidden == 1) {
        um_warn(ctx, "state %lld (%s) is the strongest nowhere in this scan", (long long)first,
                scene->state[first].name);
    } else if (hidden > 1) {
        um_warn(ctx, "%lld states, the first of them %lld (%s), are the strongest nowhere in this scan",
                (long long)hidden, (long long)first, scene->state[first].name);
    }
}

static um_status set_labels(um_context *ctx, const um_scene *scene, um_model *truth)
{
    const int64_t shape[2] = {scene->ny, scene->nx};
    int64_t positions = scene->ny * scene->nx;
    double *labels = NULL;
    int64_t *found = calloc((size_t)scene->states, sizeof *found);
    if (found == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    um_status status = um_buffer_alloc(ctx, (size_t)positions, sizeof *labels, "a map of the truth", &labels);
    for (int64_t p = 0; p < positions && status == UM_OK; p++) {
        const float *f = scene->fraction + p * scene->states;
        int64_t label = 0;
        for (int64_t s = 1; s < scene->states; s++) {
            label = f[s] > f[label] ? s : label;
        }
        labels[p] = (double)label;
        found[label]++;
    }
    if (status == UM_OK) {
        warn_of_hidden(ctx, scene, found);
        status = um_model_set_array(truth, "labels", 2, shape, labels);
    }
    um_buffer_free(ctx, labels);
    free(found);
    return status;
}

static um_status set_particles(um_context *ctx, const um_scene *scene, um_model *truth)
{
    enum { COLUMNS = 13 };
    const int64_t shape[2] = {(int64_t)scene->particles, COLUMNS};
    if (scene->particles == 0) {
        return UM_OK;
    }
    double *table = NULL;
    UM_TRY(um_buffer_alloc(ctx, scene->particles * COLUMNS, sizeof *table, "the table of particles", &table));
    for (size_t i = 0; i < scene->particles; i++) {
        const um_particle *p = &scene->particle[i];
        const double row[COLUMNS] = {(double)p->state, p->y_px, p->x_px, p->length_nm, p->width_nm,
                                     p->thickness_nm, p->angle_deg, p->depth_nm, (double)i,
                                     p->area_nm2, p->volume_nm3, p->in_foil, p->in_field};
        memcpy(table + i * COLUMNS, row, sizeof row);
    }
    um_status status = um_model_set_array(truth, "particles", 2, shape, table);
    um_buffer_free(ctx, table);
    return status;
}

static um_status set_descan(um_context *ctx, const um_camera *camera, um_model *truth)
{
    const int64_t shape[3] = {camera->shape.ny, camera->shape.nx, 2};
    double *shifts = NULL;
    if (!camera->shifts) {
        return UM_OK;
    }
    UM_TRY(um_buffer_alloc(ctx, (size_t)(2 * shape[0] * shape[1]), sizeof *shifts, "the descan", &shifts));
    for (int64_t p = 0; p < shape[0] * shape[1]; p++) {
        um_shift s = um_camera_shift(camera, p / shape[1], p % shape[1]);
        shifts[2 * p] = (double)s.dy + (double)s.fy / 65536.0;
        shifts[2 * p + 1] = (double)s.dx + (double)s.fx / 65536.0;
    }
    um_status status = um_model_set_array(truth, "descan", 3, shape, shifts);
    um_buffer_free(ctx, shifts);
    return status;
}

static um_status set_bad_pixels(um_context *ctx, const um_camera *camera, um_model *truth)
{
    const int64_t shape[2] = {camera->shape.ky, camera->shape.kx};
    double *map = NULL;
    if (camera->hots + camera->deads == 0) {
        return UM_OK;
    }
    UM_TRY(um_buffer_alloc(ctx, (size_t)(shape[0] * shape[1]), sizeof *map, "the hot pixels", &map));
    for (size_t i = 0; i < camera->hots; i++) {
        map[camera->hot[i].pixel] = camera->hot[i].counts;
    }
    for (size_t i = 0; i < camera->deads; i++) {
        map[camera->dead[i]] = -1.0;
    }
    um_status status = um_model_set_array(truth, "hot_pixels", 2, shape, map);
    um_buffer_free(ctx, map);
    return status;
}

static um_status fill(um_context *ctx, const um_scene *scene, const um_camera *camera, const float *pattern,
                      um_model *truth)
{
    const int64_t shape[3] = {scene->ny, scene->nx, scene->states};
    const int64_t angles[3] = {scene->ny, scene->nx, 3};
    UM_TRY(set_factors(ctx, scene, camera->instrument.counts, pattern, truth));
    UM_TRY(set_floats(ctx, truth, "fractions", 3, shape, scene->fraction));
    UM_TRY(set_labels(ctx, scene, truth));
    if (scene->thickness_nm != NULL) {
        UM_TRY(set_floats(ctx, truth, "thickness", 2, shape, scene->thickness_nm));
    }
    if (scene->orientation_deg != NULL) {
        UM_TRY(set_floats(ctx, truth, "orientation", 3, angles, scene->orientation_deg));
    }
    UM_TRY(set_particles(ctx, scene, truth));
    UM_TRY(set_descan(ctx, camera, truth));
    return set_bad_pixels(ctx, camera, truth);
}

um_status um_scene_truth(um_context *ctx, const um_scene *scene, const um_camera *camera, const float *pattern,
                         const char *provenance, um_model **out)
{
    um_model_spec spec = {
        .k = scene->states, .shape = {scene->ny, scene->nx, scene->ky, scene->kx}, .method = "truth"};
    um_scene_axes(scene, spec.axes);
    um_model *truth = NULL;
    UM_TRY(um_model_create(ctx, &spec, &truth));
    um_status status = fill(ctx, scene, camera, pattern, truth);
    if (status == UM_OK) {
        status = um_model_set_provenance(truth, provenance);
    }
    if (status != UM_OK) {
        um_model_free(truth);
        return status;
    }
    *out = truth;
    return UM_OK;
}
