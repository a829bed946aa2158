/* End members laid out over a scan. */
#include "simulate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct inputs {
    um_simulation sim;
    float *patterns;
    int32_t *labels;
} inputs;

/* The pixel size of a calibrated file of patterns, else the preset. */
static double pixel_of_patterns(cli *c, const char *path)
{
    const double preset = 0.025;
    um_source *source = NULL;
    double pixel = preset;
    if (path == NULL || cli_has_suffix(path, ".tif") || strstr(path, ".npz") != NULL ||
        um_source_open(c->ctx, path, NULL, &source) != UM_OK) {
        return preset;
    }
    const um_axis *axis = &um_source_get_info(source)->axes[3];
    if (strcmp(axis->units, "1/\u00c5") == 0) {
        pixel = axis->scale;
    } else if (strcmp(axis->units, "1/nm") == 0) {
        pixel = axis->scale / 10.0;
    }
    um_source_free(source);
    return pixel > 0.0 && isfinite(pixel) ? pixel : preset;
}

static um_status take_patterns(const simulate_settings *s, inputs *in)
{
    um_array *array = NULL;
    const char *path = simulate_text(s, "patterns");
    if (path == NULL) {
        in->sim.pixel_per_A = 0.025;
        return UM_OK;
    }
    um_status status = um_array_read(s->c->ctx, path, &array);
    if (status != UM_OK) {
        return status;
    }
    /* A stack (k, ky, kx), with any axes of length one in front; or one image. */
    int first = 0;
    while (array->ndim - first > 3 && array->shape[first] == 1) {
        first++;
    }
    int dims = array->ndim - first;
    if (dims != 2 && dims != 3) {
        status = cli_fail(s->c, UM_ERROR_SHAPE,
                          "%s: has %d axes: end members are a stack of images (k, ky, kx)", path,
                          array->ndim);
        um_array_free(array);
        return status;
    }
    int64_t size = um_array_size(array);
    in->sim.states = dims == 3 ? array->shape[first] : 1;
    in->sim.ky = array->shape[array->ndim - 2];
    in->sim.kx = array->shape[array->ndim - 1];
    in->patterns = malloc((size_t)(size > 0 ? size : 1) * sizeof *in->patterns);
    if (in->patterns == NULL) {
        um_array_free(array);
        return cli_fail(s->c, UM_ERROR_MEMORY, "%s: no memory", path);
    }
    for (int64_t i = 0; i < size; i++) {
        in->patterns[i] = (float)um_array_get(array, i);
    }
    in->sim.patterns = in->patterns;
    in->sim.pixel_per_A = pixel_of_patterns(s->c, path);
    um_array_free(array);
    return UM_OK;
}

static um_status take_labels(const simulate_settings *s, const char *path, inputs *in)
{
    um_array *array = NULL;
    um_status status = um_array_read(s->c->ctx, path, &array);
    if (status != UM_OK) {
        return status;
    }
    int64_t size = um_array_size(array);
    if (array->ndim < 2 ||
        size != array->shape[array->ndim - 2] * array->shape[array->ndim - 1]) {
        status = cli_fail(s->c, UM_ERROR_SHAPE, "%s: a label image has two axes (y, x)", path);
        um_array_free(array);
        return status;
    }
    in->sim.ny = array->shape[array->ndim - 2];
    in->sim.nx = array->shape[array->ndim - 1];
    in->labels = malloc((size_t)(size > 0 ? size : 1) * sizeof *in->labels);
    if (in->labels == NULL) {
        status = cli_fail(s->c, UM_ERROR_MEMORY, "%s: no memory", path);
    }
    for (int64_t i = 0; i < size && status == UM_OK; i++) {
        double label = um_array_get(array, i);
        if (!(label >= 0.0 && label <= 1e6 && floor(label) == label)) {
            status = cli_fail(s->c, UM_ERROR_VALUE,
                              "%s: label %g at (%lld, %lld): labels are whole numbers from 0", path,
                              label, (long long)(i / in->sim.nx), (long long)(i % in->sim.nx));
        } else {
            in->labels[i] = (int32_t)label;
        }
    }
    um_array_free(array);
    in->sim.layout = UM_LAYOUT_LABELS;
    in->sim.labels = in->labels;
    return status;
}

static um_status take_layout(const simulate_settings *s, inputs *in)
{
    static const char *const names[] = {"voronoi", "stripes", "discs"};
    const char *text = simulate_text(s, "layout");
    um_status status = simulate_size(s, "size", &in->sim.ny, &in->sim.nx);
    if (status != UM_OK) {
        return status;
    }
    for (int i = 0; i < 3; i++) {
        if (strcmp(text, names[i]) == 0) {
            in->sim.layout = (um_layout)i;
            return UM_OK;
        }
    }
    return take_labels(s, text, in);
}

static um_status take_all(const simulate_settings *s, inputs *in)
{
    um_simulation *sim = &in->sim;
    *sim = um_simulation_defaults();
    um_status status = simulate_size(s, "pattern-size", &sim->ky, &sim->kx);
    status = status == UM_OK ? simulate_integer(s, "states", &sim->states) : status;
    status = status == UM_OK ? take_patterns(s, in) : status;
    status = status == UM_OK ? take_layout(s, in) : status;
    status = status == UM_OK ? simulate_integer(s, "regions", &sim->regions) : status;
    status = status == UM_OK ? simulate_real(s, "border", &sim->border_px) : status;
    status = status == UM_OK ? simulate_real(s, "step", &sim->step_nm) : status;
    status = status == UM_OK ? simulate_switch(s, "keep-intensities", &sim->keep_intensities) : status;
    if (status == UM_OK && simulate_text(s, "pixel") != NULL) {
        status = simulate_real(s, "pixel", &sim->pixel_per_A);
    }
    return status;
}

um_status simulate_layout(const simulate_settings *s, const um_instrument *instrument, const um_scene_files *files,
                          simulate_made *made)
{
    inputs in = {0};
    um_status status = s->parameters > 0 || cli_given(s->c, "set")
                           ? cli_fail(s->c, UM_ERROR_ARGUMENT, "--set is for specimens: name one, such as nanowire")
                           : take_all(s, &in);
    if (status == UM_OK) {
        status = um_simulate(s->c->ctx, &in.sim, instrument, files);
    }
    *made = (simulate_made){.shape = {in.sim.ny, in.sim.nx, in.sim.ky, in.sim.kx},
                            .states = in.sim.states,
                            .border_px = in.sim.border_px};
    free(in.patterns);
    free(in.labels);
    return status;
}
