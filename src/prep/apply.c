/* What a worker does to each pattern of a tile. */
#include "steps.h"

#include <math.h>
#include <string.h>

static void *take(char *base, size_t *at, size_t count, size_t size)
{
    void *part = base + *at;
    *at += (count * size + 63) / 64 * 64;
    return part;
}

/* Parts of a scratch of at least the returned size. */
static size_t lay_scratch(const um_prep *prep, void *scratch, um_scratch *s)
{
    const um_recipe *r = prep->recipe;
    char *base = scratch;
    size_t at = 0;
    size_t pixels = (size_t)(prep->ky * prep->kx);
    *s = (um_scratch){0};
    if (prep->native) {
        return 0;
    }
    s->a = take(base, &at, pixels, sizeof *s->a);
    s->b = take(base, &at, pixels + 2, sizeof *s->b); /* or the levels of all rings */
    s->column = take(base, &at, (size_t)prep->kx, sizeof *s->column);
    s->sum = take(base, &at, (size_t)(prep->layout.out.ky * prep->layout.out.kx), sizeof *s->sum);
    if (r->background != UM_BACKGROUND_NONE) {
        s->c = take(base, &at, pixels + UM_RANK_LANES, sizeof *s->c);
        s->room = take(base, &at, um_gauss_room(&prep->learned->wide, prep->ky, prep->kx),
                       sizeof *s->room);
        s->queue = take(base, &at, pixels + 1, sizeof *s->queue);
        s->queued = take(base, &at, pixels, 1);
    }
    return at;
}

size_t um_prep_scratch_size(const um_prep *prep)
{
    static char nothing;
    um_scratch s;
    return lay_scratch(prep, &nothing, &s) + 64;
}

/* The cropped part of a stored pattern as it is. */
static void copy_pattern(const um_prep *prep, const char *raw, char *dst)
{
    um_dtype dtype = prep->source->dtype;
    size_t size = um_dtype_size(dtype);
    int64_t width = prep->source->shape.kx;
    size_t row = (size_t)prep->kx * size;
    const char *first = raw + (size_t)(prep->crop_ky * width + prep->crop_kx) * size;
    for (int64_t y = 0; y < prep->ky; y++) {
        memcpy(dst + (size_t)y * row, first + (size_t)(y * width) * size, row);
    }
    if (prep->level >= UM_LEVEL_REPAIRED) {
        um_repair_pattern(dtype, dst, prep->learned->repairs, prep->learned->repair_count, false);
    }
}

/* The cropped part of a stored pattern as f32, with what is known of the detector put right. */
static void load_pattern(const um_prep *prep, const char *raw, float *pattern)
{
    const um_learned *learned = prep->learned;
    um_dtype dtype = prep->source->dtype;
    size_t size = um_dtype_size(dtype);
    int64_t width = prep->source->shape.kx;
    int64_t pixels = prep->ky * prep->kx;
    const char *first = raw + (size_t)(prep->crop_ky * width + prep->crop_kx) * size;
    if (prep->kx == width) {
        prep->kernels->to_f32[dtype](pattern, first, (size_t)pixels);
    } else {
        for (int64_t y = 0; y < prep->ky; y++) {
            prep->kernels->to_f32[dtype](pattern + y * prep->kx, first + (size_t)(y * width) * size,
                                         (size_t)prep->kx);
        }
    }
    if (prep->recipe->not_finite_zero && !um_dtype_is_integer(dtype)) {
        for (int64_t i = 0; i < pixels; i++) {
            pattern[i] = isfinite(pattern[i]) ? pattern[i] : 0.0F;
        }
    }
    for (int64_t i = 0; learned->dark != NULL && i < pixels; i++) {
        pattern[i] -= learned->dark[i];
    }
    for (int64_t i = 0; learned->gain != NULL && i < pixels; i++) {
        pattern[i] *= learned->gain[i];
    }
    if (prep->level >= UM_LEVEL_REPAIRED) {
        um_repair_pattern(UM_F32, pattern, learned->repairs, learned->repair_count, prep->whole);
    }
}

static void swap(um_scratch *s)
{
    float *other = s->a;
    s->a = s->b;
    s->b = other;
}

/* Every step before binning on one stored pattern of the scan; the result is in s->a. */
static void prepare_pattern(const um_prep *prep, const char *raw, int64_t position, um_scratch *s)
{
    const um_learned *learned = prep->learned;
    const um_recipe *r = prep->recipe;
    load_pattern(prep, raw, s->a);
    if (prep->level >= UM_LEVEL_REPAIRED && learned->samples != NULL) {
        um_apply_affine(prep, s->a, s->b);
        swap(s);
    }
    if (prep->level < UM_LEVEL_PREPARED) {
        return;
    }
    if (learned->shifts != NULL) {
        um_apply_shift(prep, position, s->a, s->b);
        swap(s);
    }
    if (r->background != UM_BACKGROUND_NONE) {
        um_apply_background(prep, s);
    }
    if (um_recipe_has(r, UM_KEY_FRIEDEL)) {
        um_apply_friedel(prep, s->a, s->b);
        swap(s);
    }
}

/* True when prepare_pattern() swaps its buffers an odd number of times. */
static bool ends_in_other(const um_prep *prep)
{
    const um_learned *learned = prep->learned;
    bool prepared = prep->level >= UM_LEVEL_PREPARED;
    bool affine = prep->level >= UM_LEVEL_REPAIRED && learned->samples != NULL;
    bool shifted = prepared && learned->shifts != NULL;
    bool paired = prepared && um_recipe_has(prep->recipe, UM_KEY_FRIEDEL);
    return (affine + shifted + paired) % 2 == 1;
}

/* ---- sums ----------------------------------------------------------------------------------- */

/* Adds the pattern, binned, to sum. Rows of a bin are added in f32 only where that is exact. */
static void add_binned(const um_prep *prep, const float *pattern, float *column, double *sum)
{
    int64_t bin = prep->bin_signal;
    int64_t out_ky = prep->layout.out.ky;
    int64_t out_kx = prep->layout.out.kx;
    if (bin == 1) {
        for (int64_t i = 0; i < out_ky * out_kx; i++) {
            sum[i] += (double)pattern[i];
        }
        return;
    }
    um_dtype dtype = prep->source->dtype;
    bool exact = (dtype == UM_U8 || dtype == UM_U16) && bin <= 128 && prep->whole;
    for (int64_t y = 0; y < out_ky; y++) {
        const float *rows = pattern + y * bin * prep->kx;
        double *to = sum + y * out_kx;
        if (exact) {
            memcpy(column, rows, (size_t)prep->kx * sizeof *column);
            for (int64_t r = 1; r < bin; r++) {
                for (int64_t x = 0; x < prep->kx; x++) {
                    column[x] += rows[r * prep->kx + x];
                }
            }
        }
        for (int64_t x = 0; x < out_kx; x++) {
            double total = 0;
            for (int64_t r = 0; r < (exact ? 1 : bin); r++) {
                const float *from = (exact ? column : rows + r * prep->kx) + x * bin;
                for (int64_t i = 0; i < bin; i++) {
                    total += (double)from[i];
                }
            }
            to[x] += total;
        }
    }
}

static void finish_pattern(const um_prep *prep, float *pattern)
{
    int64_t pixels = prep->layout.out.ky * prep->layout.out.kx;
    if (prep->recipe->negative_clip && prep->level == UM_LEVEL_FINAL) {
        for (int64_t i = 0; i < pixels; i++) {
            pattern[i] = pattern[i] < 0.0F ? 0.0F : pattern[i];
        }
    }
    if (prep->signal_mask != NULL) {
        for (int64_t i = 0; i < pixels; i++) {
            pattern[i] = prep->signal_mask[i] != 0 ? 0.0F : pattern[i];
        }
    }
}

um_status um_prep_apply(const um_prep *prep, um_rect out, const void *raw, void *scratch, void *dst)
{
    const um_prep_layout *l = &prep->layout;
    int64_t bin = l->scan_bin;
    size_t raw_pattern = (size_t)(prep->source->shape.ky * prep->source->shape.kx) *
                         um_dtype_size(prep->source->dtype);
    size_t pixels = (size_t)(l->out.ky * l->out.kx);
    bool binned = bin > 1 || prep->bin_signal > 1;
    bool other = ends_in_other(prep);
    um_scratch room;
    lay_scratch(prep, scratch, &room);
    for (int64_t i = 0; i < out.ny * out.nx; i++) {
        int64_t y = i / out.nx * bin;
        int64_t x = i % out.nx * bin;
        const char *first = (const char *)raw + (size_t)(y * out.nx * bin + x) * raw_pattern;
        if (prep->native) {
            copy_pattern(prep, first, (char *)dst + (size_t)i * pixels * um_dtype_size(l->dtype));
            continue;
        }
        float *to = (float *)dst + (size_t)i * pixels;
        um_scratch s = room;
        if (binned) {
            memset(s.sum, 0, pixels * sizeof *s.sum);
        } else if (other) { /* so that the last step leaves the pattern where it belongs */
            s.b = to;
        } else {
            s.a = to;
        }
        for (int64_t b = 0; b < bin * bin; b++) {
            int64_t by = b / bin;
            int64_t bx = b % bin;
            int64_t position = (out.y0 * bin + y + by) * l->in.nx + out.x0 * bin + x + bx;
            prepare_pattern(prep, first + (size_t)(by * out.nx * bin + bx) * raw_pattern, position,
                            &s);
            if (binned) {
                add_binned(prep, s.a, s.column, s.sum);
            }
        }
        for (size_t p = 0; binned && p < pixels; p++) {
            to[p] = (float)s.sum[p];
        }
        finish_pattern(prep, to);
    }
    return UM_OK;
}
