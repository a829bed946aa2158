/* Binding a recipe to a source: shapes, axes, types, and the order in which things are learned. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static um_status apply_range(um_context *ctx, const char *key, um_range range, int64_t ny,
                             int64_t nx, int64_t out[4])
{
    int64_t y1 = range.y1 < 0 ? ny : range.y1;
    int64_t x1 = range.x1 < 0 ? nx : range.x1;
    if (y1 > ny || x1 > nx || range.y0 >= y1 || range.x0 >= x1) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "%s: %lld:%lld,%lld:%lld does not lie inside the %lldx%lld of the file", key,
                       (long long)range.y0, (long long)y1, (long long)range.x0, (long long)x1,
                       (long long)ny, (long long)nx);
    }
    out[0] = range.y0;
    out[1] = y1 - range.y0;
    out[2] = range.x0;
    out[3] = x1 - range.x0;
    return UM_OK;
}

static um_status bin_sizes(um_context *ctx, const char *key, int64_t bin, int64_t ny, int64_t nx,
                           int64_t *out_y, int64_t *out_x)
{
    if (bin > ny || bin > nx) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: %lld is more than the %lldx%lld there are", key,
                       (long long)bin, (long long)ny, (long long)nx);
    }
    *out_y = ny / bin;
    *out_x = nx / bin;
    return UM_OK;
}

static void bin_axes(um_axis axes[4], int64_t scan_bin, int64_t signal_bin, const um_shape *out)
{
    const int64_t sizes[4] = {out->ny, out->nx, out->ky, out->kx};
    for (int i = 0; i < 4; i++) {
        double bin = (double)(i < 2 ? scan_bin : signal_bin);
        axes[i].offset += axes[i].scale * 0.5 * (bin - 1);
        axes[i].scale *= bin;
        axes[i].size = sizes[i];
    }
}

static bool is_unsigned(um_dtype dtype)
{
    return dtype == UM_U8 || dtype == UM_U16 || dtype == UM_U32;
}

/* True when a step up to `level` takes patterns between pixels or changes their level. */
static bool blends(const um_recipe *r, um_level level)
{
    return (level >= UM_LEVEL_REPAIRED && um_recipe_has(r, UM_KEY_AFFINE)) ||
           (level >= UM_LEVEL_PREPARED &&
            (r->center != UM_CENTER_NONE || r->background != UM_BACKGROUND_NONE));
}

/* True when no step changes a value: patterns keep the type they are stored in. */
static bool keeps_values(const um_prep *prep)
{
    const um_recipe *r = prep->recipe;
    um_dtype dtype = prep->source->dtype;
    bool integer = um_dtype_is_integer(dtype);
    bool calibrated = um_recipe_has(r, UM_KEY_DARK) || um_recipe_has(r, UM_KEY_GAIN);
    if (dtype == UM_F64 || calibrated || (r->not_finite_zero && !integer) ||
        blends(r, prep->level)) {
        return false;
    }
    if (prep->level >= UM_LEVEL_PREPARED && um_recipe_has(r, UM_KEY_FRIEDEL)) {
        return false;
    }
    if (prep->level == UM_LEVEL_FINAL) {
        bool clips = r->negative_clip && !is_unsigned(dtype);
        bool masked_float = !integer && prep->signal_mask != NULL;
        return prep->layout.scan_bin == 1 && prep->bin_signal == 1 && !clips && !masked_float;
    }
    return true;
}

static um_status lay_out(um_prep *prep)
{
    um_context *ctx = prep->ctx;
    const um_recipe *r = prep->recipe;
    const um_source_info *info = prep->source;
    um_prep_layout *l = &prep->layout;
    bool final = prep->level == UM_LEVEL_FINAL;
    int64_t scan[4] = {0};
    int64_t signal[4] = {0};
    UM_TRY(apply_range(ctx, "crop-scan", r->crop_scan, info->shape.ny, info->shape.nx, scan));
    UM_TRY(apply_range(ctx, "crop-signal", r->crop_signal, info->shape.ky, info->shape.kx, signal));
    l->crop_y0 = scan[0];
    l->crop_x0 = scan[2];
    l->in = (um_shape){scan[1], scan[3], signal[1], signal[3]};
    l->scan_bin = final ? r->bin_scan : 1;
    prep->bin_signal = final ? r->bin_signal : 1;
    prep->crop_ky = signal[0];
    prep->crop_kx = signal[2];
    prep->ky = signal[1];
    prep->kx = signal[3];
    UM_TRY(bin_sizes(ctx, "bin-scan", l->scan_bin, l->in.ny, l->in.nx, &l->out.ny, &l->out.nx));
    UM_TRY(
        bin_sizes(ctx, "bin-signal", prep->bin_signal, prep->ky, prep->kx, &l->out.ky, &l->out.kx));
    memcpy(l->axes, info->axes, sizeof l->axes);
    const int64_t first[4] = {l->crop_y0, l->crop_x0, prep->crop_ky, prep->crop_kx};
    for (int i = 0; i < 4; i++) {
        l->axes[i].offset += l->axes[i].scale * (double)first[i];
    }
    if (r->center != UM_CENTER_NONE && prep->level >= UM_LEVEL_PREPARED) {
        /* The direct beam stands in the middle now. */
        l->axes[2].offset = -l->axes[2].scale * 0.5 * (double)(prep->ky - 1);
        l->axes[3].offset = -l->axes[3].scale * 0.5 * (double)(prep->kx - 1);
    }
    bin_axes(l->axes, l->scan_bin, prep->bin_signal, &l->out);
    return UM_OK;
}

/* Once the masks are known. */
static void choose_type(um_prep *prep)
{
    um_prep_layout *l = &prep->layout;
    const um_recipe *r = prep->recipe;
    prep->native = keeps_values(prep);
    l->dtype = prep->native ? prep->source->dtype : UM_F32;
    l->identity = prep->native && prep->ky == prep->source->shape.ky &&
                  prep->kx == prep->source->shape.kx &&
                  (prep->level < UM_LEVEL_REPAIRED || prep->learned->repair_count == 0);
    bool stored_counts = um_dtype_is_integer(prep->source->dtype) &&
                         !um_recipe_has(r, UM_KEY_DARK) && !um_recipe_has(r, UM_KEY_GAIN);
    prep->whole = stored_counts && !blends(r, prep->level);
    l->counts = stored_counts && r->background == UM_BACKGROUND_NONE;
}

static um_status make_prep(um_context *ctx, um_source *source, const um_recipe *recipe,
                           um_level level, um_prep **out)
{
    *out = NULL;
    um_prep *prep = calloc(1, sizeof *prep);
    if (prep == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a recipe");
    }
    prep->ctx = ctx;
    prep->kernels = um_pixel_kernels_get(um_context_isa(ctx));
    prep->source = um_source_get_info(source);
    prep->level = level;
    um_status status = um_recipe_copy(ctx, recipe, &prep->recipe);
    if (status == UM_OK) {
        status = lay_out(prep);
    }
    if (status != UM_OK) {
        um_prep_free(prep);
        return status;
    }
    *out = prep;
    return UM_OK;
}

um_status um_prep_inner(const um_prep *prep, um_source *source, um_level level, um_prep **out)
{
    UM_TRY(make_prep(prep->ctx, source, prep->recipe, level, out));
    um_prep *inner = *out;
    inner->inner = true;
    inner->learned = prep->learned;
    um_status status = um_masks_navigation(inner);
    if (status != UM_OK) {
        um_prep_free(inner);
        *out = NULL;
        return status;
    }
    choose_type(inner);
    return UM_OK;
}

um_status um_prep_inner_pass(const um_prep *prep, um_source *source, um_level level,
                             const char *stage, const um_visitor *visitor, void *user)
{
    um_prep *inner = NULL;
    um_matrix *matrix = NULL;
    UM_TRY(um_prep_inner(prep, source, level, &inner));
    UM_TRY(um_matrix_from_prep(prep->ctx, source, inner, &matrix));
    um_status status = um_matrix_pass(matrix, stage, visitor, user);
    um_matrix_free(matrix);
    prep->learned->passes++;
    return status;
}

/* True when a step needs to know where the direct beam is. */
static bool needs_beam(const um_recipe *r)
{
    bool bright_field =
        um_recipe_has(r, UM_KEY_NAVIGATION_THRESHOLD) && !isinf(r->threshold_radius_px);
    return um_recipe_has(r, UM_KEY_MASK_BEAM) || um_recipe_has(r, UM_KEY_MASK_OUTSIDE) ||
           um_recipe_has(r, UM_KEY_FRIEDEL) || r->background == UM_BACKGROUND_RADIAL ||
           bright_field;
}

/* Everything that comes from the data, in the order in which one thing needs another. */
static um_status learn(um_prep *prep, um_source *source)
{
    const um_recipe *r = prep->recipe;
    um_learned *learned = prep->learned;
    UM_TRY(um_masks_navigation_fine(prep));
    if (um_recipe_has(r, UM_KEY_DARK)) {
        UM_TRY(um_signal_image(prep, "dark", r->values[UM_KEY_DARK], &learned->dark));
    }
    if (um_recipe_has(r, UM_KEY_GAIN)) {
        UM_TRY(um_signal_image(prep, "gain", r->values[UM_KEY_GAIN], &learned->gain));
    }
    UM_TRY(um_learn_hot(prep, source));
    UM_TRY(um_learn_affine(prep));
    UM_TRY(um_learn_center(prep, source));
    if (needs_beam(r)) {
        UM_TRY(um_learn_beam(prep, source));
    }
    if (learned->beam_known) {
        json_object_set_new(prep->report, "beam_center",
                            json_pack("[f,f]", learned->beam_y, learned->beam_x));
    }
    UM_TRY(um_learn_background(prep));
    UM_TRY(um_learn_friedel(prep));
    UM_TRY(um_learn_threshold(prep, source));
    UM_TRY(um_masks_signal(prep, source));
    return um_masks_navigation(prep);
}

static um_status report_dropped(um_prep *prep)
{
    const um_prep_layout *l = &prep->layout;
    int64_t rows = l->in.ny % l->scan_bin;
    int64_t columns = l->in.nx % l->scan_bin;
    int64_t ky = prep->ky % prep->bin_signal;
    int64_t kx = prep->kx % prep->bin_signal;
    if (rows == 0 && columns == 0 && ky == 0 && kx == 0) {
        return UM_OK;
    }
    json_t *dropped = json_pack("{s:I,s:I,s:I,s:I}", "scan_rows", (json_int_t)rows, "scan_columns",
                                (json_int_t)columns, "detector_rows", (json_int_t)ky,
                                "detector_columns", (json_int_t)kx);
    json_object_set_new(prep->report, "dropped_by_binning", dropped);
    um_info(prep->ctx,
            "binning leaves out %lld scan rows, %lld scan columns, %lld detector rows and "
            "%lld detector columns that fill no bin",
            (long long)rows, (long long)columns, (long long)ky, (long long)kx);
    return UM_OK;
}

um_status um_prep_bind(um_context *ctx, um_source *source, const um_recipe *recipe, um_prep **out)
{
    um_prep *prep = NULL;
    *out = NULL;
    UM_TRY(make_prep(ctx, source, recipe, UM_LEVEL_FINAL, &prep));
    prep->learned = calloc(1, sizeof *prep->learned);
    prep->report = json_object();
    um_status status = UM_OK;
    if (prep->learned == NULL || prep->report == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "no memory for a recipe");
    } else {
        status = learn(prep, source);
    }
    if (status == UM_OK) {
        choose_type(prep);
        status = report_dropped(prep);
    }
    if (status != UM_OK) {
        um_prep_free(prep);
        return status;
    }
    *out = prep;
    return UM_OK;
}

static void free_learned(um_context *ctx, um_learned *learned)
{
    if (learned == NULL) {
        return;
    }
    free(learned->dark);
    free(learned->gain);
    free(learned->repairs);
    free(learned->samples);
    um_buffer_free(ctx, learned->positions);
    um_buffer_free(ctx, learned->shifts);
    free(learned->bars);
    free(learned->narrow.weights);
    free(learned->wide.weights);
    free(learned->rings.first);
    free(learned->rings.order);
    free(learned->rings.ring);
    free(learned->navigation);
    free(learned);
}

void um_prep_free(um_prep *prep)
{
    if (prep == NULL) {
        return;
    }
    um_recipe_free(prep->recipe);
    if (!prep->inner) {
        free_learned(prep->ctx, prep->learned);
    }
    free(prep->signal_mask);
    free(prep->navigation_mask);
    json_decref(prep->report);
    free(prep);
}

const um_prep_layout *um_prep_get_layout(const um_prep *prep)
{
    return &prep->layout;
}

const uint8_t *um_prep_signal_mask(const um_prep *prep)
{
    return prep->signal_mask;
}

const uint8_t *um_prep_navigation_mask(const um_prep *prep)
{
    return prep->navigation_mask;
}

const float *um_prep_beam_positions(const um_prep *prep)
{
    return prep->learned->positions;
}

json_t *um_prep_report(const um_prep *prep)
{
    return prep->report;
}

int64_t um_prep_passes(const um_prep *prep)
{
    return prep->inner ? 0 : prep->learned->passes;
}
