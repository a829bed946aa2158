/* The answer of a simulation as a model: patterns, expected counts, labels, fractions. */
#include "simulate_internal.h"

#include <jansson.h>
#include <stdlib.h>

static void set_axes(const um_simulation *sim, um_axis axes[4])
{
    const char *const names[4] = {"y", "x", "ky", "kx"};
    const int64_t sizes[4] = {sim->ny, sim->nx, sim->ky, sim->kx};
    for (int i = 0; i < 4; i++) {
        bool scan = i < 2;
        double scale = scan ? sim->step_nm : sim->pixel_per_A;
        axes[i] = (um_axis){.scale = scale > 0.0 ? scale : 1.0, .size = sizes[i], .navigate = scan};
        snprintf(axes[i].name, sizeof axes[i].name, "%s", names[i]);
        if (scale > 0.0) {
            snprintf(axes[i].units, sizeof axes[i].units, "%s", scan ? "nm" : "1/\u00c5");
            axes[i].offset = scan ? 0.0 : -scale * (double)(sizes[i] / 2);
        }
    }
}

/* Factors of unit sum, and the sums that they had. */
static um_status set_factors(um_context *ctx, const um_simulation *sim, um_model *truth, double *sums)
{
    float *built_in = NULL;
    const float *patterns = sim->patterns;
    if (patterns == NULL) {
        UM_TRY(um_simulate_patterns(ctx, sim->states, sim->ky, sim->kx, um_context_seed(ctx),
                                    &built_in));
        patterns = built_in;
    }
    int64_t pixels = sim->ky * sim->kx;
    float *factors = um_model_factors(truth);
    for (int64_t s = 0; s < sim->states; s++) {
        double sum = 0.0;
        for (int64_t q = 0; q < pixels; q++) {
            sum += (double)patterns[s * pixels + q];
        }
        for (int64_t q = 0; q < pixels; q++) {
            factors[s * pixels + q] = (float)((double)patterns[s * pixels + q] / sum);
        }
        sums[s] = sum;
    }
    free(built_in);
    return UM_OK;
}

/* Expected counts of each state: fraction x intensity of its pattern (the same for all states unless they
 * keep theirs), with one factor for the whole scan that brings the mean pattern to the dose asked for. */
static void set_loadings(const um_simulation *sim, um_model *truth, double *sums,
                         const float *fractions)
{
    int64_t positions = sim->ny * sim->nx;
    for (int64_t s = 0; s < sim->states && sim->counts > 0.0 && !sim->keep_intensities; s++) {
        sums[s] = 1.0;
    }
    double total = 0.0;
    for (int64_t i = 0; i < positions * sim->states; i++) {
        total += (double)fractions[i] * sums[i % sim->states];
    }
    double scale = sim->counts > 0.0 ? sim->counts * (double)positions / total : 1.0;
    float *loadings = um_model_loadings(truth);
    for (int64_t i = 0; i < positions * sim->states; i++) {
        loadings[i] = (float)((double)fractions[i] * sums[i % sim->states] * scale);
    }
}

static void warn_of_hidden(um_context *ctx, const int64_t *found, int64_t states)
{
    int64_t hidden = 0;
    int64_t first = 0;
    for (int64_t s = states - 1; s >= 0; s--) {
        hidden += found[s] == 0;
        first = found[s] == 0 ? s : first;
    }
    if (hidden == 1) {
        um_warn(ctx, "state %lld is the strongest nowhere in this layout", (long long)first);
    } else if (hidden > 1) {
        um_warn(ctx, "%lld states, the first of them %lld, are the strongest nowhere in this layout",
                (long long)hidden, (long long)first);
    }
}

static um_status set_maps(um_context *ctx, const um_simulation *sim, um_model *truth,
                          const float *fractions)
{
    const int64_t shape[3] = {sim->ny, sim->nx, sim->states};
    int64_t positions = sim->ny * sim->nx;
    int64_t states = sim->states;
    double *maps = NULL;
    int64_t *found = calloc((size_t)states, sizeof *found);
    if (found == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    um_status status = um_buffer_alloc(ctx, (size_t)(positions * states), sizeof *maps,
                                       "maps of the truth", &maps);
    if (status != UM_OK) {
        free(found);
        return status;
    }
    for (int64_t i = 0; i < positions * states; i++) {
        maps[i] = (double)fractions[i];
    }
    status = um_model_set_array(truth, "fractions", 3, shape, maps);
    for (int64_t p = 0; p < positions; p++) {
        const float *f = fractions + p * states;
        int64_t label = 0;
        for (int64_t s = 1; s < states; s++) {
            label = f[s] > f[label] ? s : label;
        }
        maps[p] = (double)label;
        found[label]++;
    }
    if (status == UM_OK) {
        status = um_model_set_array(truth, "labels", 2, shape, maps);
    }
    warn_of_hidden(ctx, found, states);
    um_buffer_free(ctx, maps);
    free(found);
    return status;
}

static um_status set_provenance(um_context *ctx, const um_simulation *sim, um_model *truth)
{
    static const char *const layouts[] = {"voronoi", "stripes", "discs", "labels"};
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:s, s:I, s:f, s:f, s:b, s:s, s:b}", "program", "unmix", "version",
        um_version(), "seed", (json_int_t)um_context_seed(ctx), "layout", layouts[sim->layout],
        "regions", (json_int_t)sim->regions, "border_px", sim->border_px, "counts", sim->counts,
        "noise", sim->noise && sim->counts > 0.0, "dtype", um_dtype_name(sim->dtype),
        "built_in_patterns", sim->patterns == NULL);
    json_t *all = json_pack("{s:o}", "simulation", object);
    char *text = all != NULL ? json_dumps(all, 0) : NULL;
    json_decref(all);
    if (text == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory for the provenance");
    }
    um_status status = um_model_set_provenance(truth, text);
    free(text);
    return status;
}

um_status um_truth_make(um_context *ctx, const um_simulation *sim, um_model **out)
{
    um_model_spec spec = {
        .k = sim->states, .shape = {sim->ny, sim->nx, sim->ky, sim->kx}, .method = "truth"};
    set_axes(sim, spec.axes);
    um_model *truth = NULL;
    float *fractions = NULL;
    double *sums = calloc((size_t)sim->states, sizeof *sums);
    um_status status = UM_ERROR_MEMORY;
    if (sums == NULL) {
        return um_fail(ctx, status, "simulation: no memory");
    }
    status = um_model_create(ctx, &spec, &truth);
    if (status == UM_OK) {
        status = set_factors(ctx, sim, truth, sums);
    }
    if (status == UM_OK) {
        status = um_layout_fractions(ctx, sim, &fractions);
    }
    if (status == UM_OK) {
        set_loadings(sim, truth, sums, fractions);
        status = set_maps(ctx, sim, truth, fractions);
    }
    if (status == UM_OK) {
        status = set_provenance(ctx, sim, truth);
    }
    um_buffer_free(ctx, fractions);
    free(sums);
    if (status != UM_OK) {
        um_model_free(truth);
        return status;
    }
    *out = truth;
    return UM_OK;
}
