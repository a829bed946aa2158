/* Masks: 1 = excluded. Made before binning; a bin is excluded when anything in it is. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static um_status new_mask(um_context *ctx, int64_t ny, int64_t nx, uint8_t **out)
{
    *out = calloc((size_t)(ny * nx), 1);
    return *out != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "no memory for a mask");
}

static int64_t count_mask(const uint8_t *mask, int64_t count)
{
    int64_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        n += mask[i] != 0;
    }
    return n;
}

/* Pixels with inner <= distance < outer. */
void um_mask_add_ring(uint8_t *mask, int64_t ky, int64_t kx, um_ring ring)
{
    double inner2 = ring.inner_px * ring.inner_px;
    double outer2 = ring.outer_px * ring.outer_px;
    for (int64_t y = 0; y < ky; y++) {
        for (int64_t x = 0; x < kx; x++) {
            double dy = (double)y - ring.cy;
            double dx = (double)x - ring.cx;
            double r2 = dy * dy + dx * dx;
            if (inner2 <= r2 && r2 < outer2) {
                mask[y * kx + x] = 1;
            }
        }
    }
}

static um_status add_rectangle(um_context *ctx, uint8_t *mask, int64_t ky, int64_t kx, um_range r)
{
    int64_t y1 = r.y1 < 0 ? ky : r.y1;
    int64_t x1 = r.x1 < 0 ? kx : r.x1;
    if (y1 > ky || x1 > kx || r.y0 >= y1 || r.x0 >= x1) {
        return um_fail(
            ctx, UM_ERROR_SHAPE,
            "mask-rectangle: %lld:%lld,%lld:%lld does not lie inside the %lldx%lld pattern",
            (long long)r.y0, (long long)y1, (long long)r.x0, (long long)x1, (long long)ky,
            (long long)kx);
    }
    for (int64_t y = r.y0; y < y1; y++) {
        memset(mask + y * kx + r.x0, 1, (size_t)(x1 - r.x0));
    }
    return UM_OK;
}

/* ---- masks from files ----------------------------------------------------------------------- */

/* Where a mask image of some shape belongs. */
typedef struct mask_frame {
    int64_t full_y, full_x;    /* of the file */
    int64_t crop_y, crop_x;    /* first row and column used */
    int64_t ny, nx;            /* after the crop */
    int64_t bin, out_y, out_x; /* after binning */
} mask_frame;

/* Rows and columns of the last two dimensions; leading ones are ignored. */
static bool image_shape(const um_array *array, int64_t *ny, int64_t *nx)
{
    if (array->ndim < 2) {
        return false;
    }
    for (int i = 0; i < array->ndim - 2; i++) {
        if (array->shape[i] != 1) {
            return false;
        }
    }
    *ny = array->shape[array->ndim - 2];
    *nx = array->shape[array->ndim - 1];
    return true;
}

static bool excluded(const um_array *array, int64_t i)
{
    double v = um_array_get(array, i);
    return v != 0; /* NaN too */
}

static um_status add_array(um_context *ctx, const char *key, const char *spec,
                           const um_array *array, const mask_frame *f, uint8_t *mask)
{
    int64_t ny = 0;
    int64_t nx = 0;
    bool image = image_shape(array, &ny, &nx);
    int64_t shift_y = 0;
    int64_t shift_x = 0;
    int64_t bin = 1;
    if (image && ny == f->ny && nx == f->nx) {
        shift_y = shift_x = 0;
    } else if (image && ny == f->full_y && nx == f->full_x) {
        shift_y = f->crop_y;
        shift_x = f->crop_x;
    } else if (image && ny == f->out_y && nx == f->out_x) {
        bin = f->bin;
    } else {
        char got[64] = "not an image";
        if (image) {
            snprintf(got, sizeof got, "%lldx%lld", (long long)ny, (long long)nx);
        }
        return um_fail(
            ctx, UM_ERROR_SHAPE,
            "%s: %s: the mask is %s but must be %lldx%lld (as stored), %lldx%lld (cropped) "
            "or %lldx%lld (prepared), rows first; it is never transposed",
            key, spec, got, (long long)f->full_y, (long long)f->full_x, (long long)f->ny,
            (long long)f->nx, (long long)f->out_y, (long long)f->out_x);
    }
    for (int64_t y = 0; y < f->ny; y++) {
        for (int64_t x = 0; x < f->nx; x++) {
            int64_t my = bin > 1 ? y / bin : y + shift_y;
            int64_t mx = bin > 1 ? x / bin : x + shift_x;
            if (my < ny && mx < nx && excluded(array, my * nx + mx)) {
                mask[y * f->nx + x] = 1;
            }
        }
    }
    return UM_OK;
}

static um_status add_file(um_context *ctx, const char *key, const char *spec,
                          const mask_frame *frame, uint8_t *mask)
{
    um_array *array = NULL;
    UM_TRY(um_array_read(ctx, spec, &array));
    um_status status = add_array(ctx, key, spec, array, frame, mask);
    um_array_free(array);
    return status;
}

um_status um_signal_image(const um_prep *prep, const char *key, const char *spec, float **out)
{
    um_context *ctx = prep->ctx;
    const um_shape *full = &prep->source->shape;
    um_array *array = NULL;
    UM_TRY(um_array_read(ctx, spec, &array));
    int64_t ny = 0;
    int64_t nx = 0;
    bool image = image_shape(array, &ny, &nx);
    bool cropped = image && ny == prep->ky && nx == prep->kx;
    bool whole = image && ny == full->ky && nx == full->kx;
    float *values = calloc((size_t)(prep->ky * prep->kx), sizeof *values);
    um_status status = UM_OK;
    if (values == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory", key);
    } else if (!cropped && !whole) {
        status = um_fail(ctx, UM_ERROR_SHAPE,
                         "%s: %s: the image is %lldx%lld but must be %lldx%lld (as stored) or "
                         "%lldx%lld (cropped), rows first",
                         key, spec, (long long)ny, (long long)nx, (long long)full->ky,
                         (long long)full->kx, (long long)prep->ky, (long long)prep->kx);
    }
    int64_t first = cropped ? 0 : prep->crop_ky * nx + prep->crop_kx;
    for (int64_t i = 0; status == UM_OK && i < prep->ky * prep->kx; i++) {
        values[i] = (float)um_array_get(array, first + i / prep->kx * nx + i % prep->kx);
    }
    um_array_free(array);
    if (status != UM_OK) {
        free(values);
        return status;
    }
    *out = values;
    return UM_OK;
}

/* A bin is excluded when anything in it is. */
static void bin_mask(const uint8_t *fine, int64_t nx, int64_t bin, int64_t out_ny, int64_t out_nx,
                     uint8_t *coarse)
{
    for (int64_t y = 0; y < out_ny * bin; y++) {
        for (int64_t x = 0; x < out_nx * bin; x++) {
            if (fine[y * nx + x] != 0) {
                coarse[y / bin * out_nx + x / bin] = 1;
            }
        }
    }
}

/* ---- the detector --------------------------------------------------------------------------- */

static um_status draw_signal(um_prep *prep, um_source *source, uint8_t *fine)
{
    const um_recipe *r = prep->recipe;
    const um_learned *learned = prep->learned;
    int64_t ky = prep->ky;
    int64_t kx = prep->kx;
    if (um_recipe_has(r, UM_KEY_MASK_BEAM)) {
        um_mask_add_ring(fine, ky, kx,
                         (um_ring){learned->beam_y, learned->beam_x, 0, r->mask_beam_px});
    }
    if (um_recipe_has(r, UM_KEY_MASK_OUTSIDE)) {
        um_mask_add_ring(fine, ky, kx,
                         (um_ring){learned->beam_y, learned->beam_x, r->mask_outside_px, INFINITY});
    }
    for (size_t i = 0; i < r->ring_count; i++) {
        um_mask_add_ring(fine, ky, kx, r->rings[i]);
    }
    for (size_t i = 0; i < r->rectangle_count; i++) {
        UM_TRY(add_rectangle(prep->ctx, fine, ky, kx, r->rectangles[i]));
    }
    for (int64_t i = 0; learned->bars != NULL && i < ky * kx; i++) {
        fine[i] = fine[i] != 0 || learned->bars[i] != 0;
    }
    if (um_recipe_has(r, UM_KEY_MASK_AUTO)) {
        UM_TRY(um_mask_blobs(prep, source, fine));
    }
    if (um_recipe_has(r, UM_KEY_SIGNAL_MASK)) {
        const um_shape *full = &prep->source->shape;
        mask_frame frame = {full->ky, full->kx,         prep->crop_ky,       prep->crop_kx,      ky,
                            kx,       prep->bin_signal, prep->layout.out.ky, prep->layout.out.kx};
        UM_TRY(add_file(prep->ctx, "signal-mask", r->values[UM_KEY_SIGNAL_MASK], &frame, fine));
    }
    return UM_OK;
}

um_status um_masks_signal(um_prep *prep, um_source *source)
{
    uint8_t *fine = NULL;
    uint8_t *mask = NULL;
    int64_t pixels = prep->layout.out.ky * prep->layout.out.kx;
    UM_TRY(new_mask(prep->ctx, prep->ky, prep->kx, &fine));
    um_status status = draw_signal(prep, source, fine);
    if (status == UM_OK) {
        status = new_mask(prep->ctx, prep->layout.out.ky, prep->layout.out.kx, &mask);
    }
    if (status == UM_OK) {
        bin_mask(fine, prep->kx, prep->bin_signal, prep->layout.out.ky, prep->layout.out.kx, mask);
    }
    free(fine);
    UM_TRY(status);
    int64_t count = count_mask(mask, pixels);
    if (count == pixels) {
        free(mask);
        return um_fail(prep->ctx, UM_ERROR_VALUE,
                       "signal mask: every one of the %lldx%lld pixels is excluded",
                       (long long)prep->layout.out.ky, (long long)prep->layout.out.kx);
    }
    if (count == 0) {
        free(mask);
        return UM_OK;
    }
    prep->signal_mask = mask;
    json_object_set_new(prep->report, "excluded_pixels", json_integer((json_int_t)count));
    return UM_OK;
}

/* ---- the scan ------------------------------------------------------------------------------- */

/* Positions of a short file that hold no pattern. */
static void add_missing(const um_prep *prep, uint8_t *fine)
{
    const um_source_info *info = prep->source;
    for (int64_t y = 0; y < prep->layout.in.ny; y++) {
        for (int64_t x = 0; x < prep->layout.in.nx; x++) {
            int64_t p = (prep->layout.crop_y0 + y) * info->shape.nx + prep->layout.crop_x0 + x;
            if (p >= info->positions_present) {
                fine[y * prep->layout.in.nx + x] = 1;
            }
        }
    }
}

um_status um_masks_navigation_fine(um_prep *prep)
{
    const um_recipe *r = prep->recipe;
    const um_source_info *info = prep->source;
    const um_prep_layout *l = &prep->layout;
    bool missing = info->positions_present < info->shape.ny * info->shape.nx;
    if (!missing && !um_recipe_has(r, UM_KEY_NAVIGATION_MASK)) {
        return UM_OK;
    }
    uint8_t *fine = NULL;
    UM_TRY(new_mask(prep->ctx, l->in.ny, l->in.nx, &fine));
    prep->learned->navigation = fine;
    if (missing) {
        add_missing(prep, fine);
        json_object_set_new(
            prep->report, "missing_positions",
            json_integer((json_int_t)(info->shape.ny * info->shape.nx - info->positions_present)));
    }
    if (um_recipe_has(r, UM_KEY_NAVIGATION_MASK)) {
        mask_frame frame = {info->shape.ny, info->shape.nx, l->crop_y0, l->crop_x0, l->in.ny,
                            l->in.nx,       l->scan_bin,    l->out.ny,  l->out.nx};
        UM_TRY(add_file(prep->ctx, "navigation-mask", r->values[UM_KEY_NAVIGATION_MASK], &frame,
                        fine));
    }
    return UM_OK;
}

um_status um_masks_navigation(um_prep *prep)
{
    const uint8_t *fine = prep->learned->navigation;
    const um_prep_layout *l = &prep->layout;
    if (fine == NULL) {
        return UM_OK;
    }
    uint8_t *mask = NULL;
    UM_TRY(new_mask(prep->ctx, l->out.ny, l->out.nx, &mask));
    bin_mask(fine, l->in.nx, l->scan_bin, l->out.ny, l->out.nx, mask);
    int64_t count = count_mask(mask, l->out.ny * l->out.nx);
    if (count == l->out.ny * l->out.nx) {
        free(mask);
        return um_fail(prep->ctx, UM_ERROR_VALUE,
                       "navigation mask: every one of the %lldx%lld positions is excluded",
                       (long long)l->out.ny, (long long)l->out.nx);
    }
    if (count == 0) {
        free(mask);
        return UM_OK;
    }
    prep->navigation_mask = mask;
    if (!prep->inner) {
        json_object_set_new(prep->report, "excluded_positions", json_integer((json_int_t)count));
    }
    return UM_OK;
}
