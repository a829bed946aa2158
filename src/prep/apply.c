/* What a worker does to each pattern of a tile. */
#include "steps.h"

#include <math.h>
#include <string.h>

/* The parts of a worker's scratch. */
typedef struct scratch_parts {
    float *pattern; /* ky*kx: the pattern as it goes through the steps */
    double *sum;    /* out.ky*out.kx: of a bin of patterns */
    float *column;  /* kx: sums of a bin's rows */
} scratch_parts;

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t lay_scratch(const um_prep *prep, void *scratch, scratch_parts *parts)
{
    size_t pixels = (size_t)(prep->ky * prep->kx);
    size_t out_pixels = (size_t)(prep->layout.out.ky * prep->layout.out.kx);
    size_t at = 0;
    char *base = scratch;
    scratch_parts p = {0};
    if (!prep->native) {
        p.pattern = (float *)(void *)(base + at);
        at += round_up(pixels * sizeof(float));
        p.column = (float *)(void *)(base + at);
        at += round_up((size_t)prep->kx * sizeof(float));
        p.sum = (double *)(void *)(base + at);
        at += round_up(out_pixels * sizeof(double));
    }
    if (parts != NULL) {
        *parts = p;
    }
    return at;
}

size_t um_prep_scratch_size(const um_prep *prep)
{
    static char nothing;
    return lay_scratch(prep, &nothing, NULL) + 64;
}

/* ---- stored values to f32 ------------------------------------------------------------------- */

#define DEFINE_CONVERT(name, type)                                                                 \
    static void name(float *restrict dst, const void *src, size_t count)                           \
    {                                                                                              \
        const type *restrict values = src;                                                         \
        for (size_t i = 0; i < count; i++) {                                                       \
            dst[i] = (float)values[i];                                                             \
        }                                                                                          \
    }
DEFINE_CONVERT(convert_u8, uint8_t)
DEFINE_CONVERT(convert_u16, uint16_t)
DEFINE_CONVERT(convert_u32, uint32_t)
DEFINE_CONVERT(convert_i8, int8_t)
DEFINE_CONVERT(convert_i16, int16_t)
DEFINE_CONVERT(convert_i32, int32_t)
DEFINE_CONVERT(convert_f32, float)
DEFINE_CONVERT(convert_f64, double)

typedef void (*convert_fn)(float *restrict dst, const void *src, size_t count);
static const convert_fn converters[UM_DTYPE_COUNT] = {
    [UM_U8] = convert_u8,   [UM_U16] = convert_u16, [UM_U32] = convert_u32, [UM_I8] = convert_i8,
    [UM_I16] = convert_i16, [UM_I32] = convert_i32, [UM_F32] = convert_f32, [UM_F64] = convert_f64,
};

/* The cropped part of a stored pattern as f32. */
static void load_pattern(const um_prep *prep, const char *raw, float *pattern)
{
    um_dtype dtype = prep->source->dtype;
    size_t size = um_dtype_size(dtype);
    int64_t width = prep->source->shape.kx;
    const char *first = raw + (size_t)(prep->crop_ky * width + prep->crop_kx) * size;
    if (prep->kx == width) {
        converters[dtype](pattern, first, (size_t)(prep->ky * prep->kx));
    } else {
        for (int64_t y = 0; y < prep->ky; y++) {
            converters[dtype](pattern + y * prep->kx, first + (size_t)(y * width) * size,
                              (size_t)prep->kx);
        }
    }
    if (prep->recipe->not_finite_zero && !um_dtype_is_integer(dtype)) {
        for (int64_t i = 0; i < prep->ky * prep->kx; i++) {
            pattern[i] = isfinite(pattern[i]) ? pattern[i] : 0.0F;
        }
    }
}

/* The cropped part of a stored pattern as it is. */
static void copy_pattern(const um_prep *prep, const char *raw, char *dst)
{
    size_t size = um_dtype_size(prep->source->dtype);
    int64_t width = prep->source->shape.kx;
    size_t row = (size_t)prep->kx * size;
    const char *first = raw + (size_t)(prep->crop_ky * width + prep->crop_kx) * size;
    for (int64_t y = 0; y < prep->ky; y++) {
        memcpy(dst + (size_t)y * row, first + (size_t)(y * width) * size, row);
    }
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
    bool exact = (dtype == UM_U8 || dtype == UM_U16) && bin <= 256;
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
    scratch_parts parts;
    lay_scratch(prep, scratch, &parts);
    for (int64_t i = 0; i < out.ny * out.nx; i++) {
        int64_t y = i / out.nx * bin;
        int64_t x = i % out.nx * bin;
        const char *first = (const char *)raw + (size_t)(y * out.nx * bin + x) * raw_pattern;
        if (prep->native) {
            copy_pattern(prep, first, (char *)dst + (size_t)i * pixels * um_dtype_size(l->dtype));
            continue;
        }
        float *to = (float *)dst + (size_t)i * pixels;
        if (bin == 1 && prep->bin_signal == 1) {
            load_pattern(prep, first, to);
            finish_pattern(prep, to);
            continue;
        }
        memset(parts.sum, 0, pixels * sizeof *parts.sum);
        for (int64_t b = 0; b < bin * bin; b++) {
            int64_t at = b / bin * out.nx * bin + b % bin;
            load_pattern(prep, first + (size_t)at * raw_pattern, parts.pattern);
            add_binned(prep, parts.pattern, parts.column, parts.sum);
        }
        for (size_t p = 0; p < pixels; p++) {
            to[p] = (float)parts.sum[p];
        }
        finish_pattern(prep, to);
    }
    return UM_OK;
}
