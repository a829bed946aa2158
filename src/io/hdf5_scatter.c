/* Decoded chunks taken apart into patterns. */
#include "hdf5_internal.h"

#include <string.h>

/* Rows of `bytes` each; a copy of a size known when this is compiled is a few instructions, a call for each of
 * many short rows would cost more than what it copies. */
#define ROWS_OF(size)                                                                               \
    for (int64_t i = 0; i < rows; i++) {                                                            \
        memcpy(dst + (size_t)i * dst_step, src + (size_t)i * src_step, size);                       \
    }
static void copy_rows(unsigned char *restrict dst, size_t dst_step, const unsigned char *restrict src,
                      size_t src_step, int64_t rows, size_t bytes)
{
    switch (bytes) {
    case 16:
        ROWS_OF(16)
        break;
    case 32:
        ROWS_OF(32)
        break;
    case 64:
        ROWS_OF(64)
        break;
    case 128:
        ROWS_OF(128)
        break;
    default:
        ROWS_OF(bytes)
        break;
    }
}

/* `count` elements `step` elements apart, to elements side by side. */
static bool convert_spread(const um_h5_layout *layout, const unsigned char *src, size_t step,
                           unsigned char *dst, size_t count)
{
    size_t width = layout->stored_size;
    size_t out = um_dtype_size(layout->dtype);
    if (step == 1) {
        return um_h5_convert_run(layout, src, dst, count);
    }
    bool fits = true;
    for (size_t i = 0; i < count; i++) {
        fits = um_h5_convert_run(layout, src + i * step * width, dst + i * out, 1) && fits;
    }
    return fits;
}

/* One chunk's part of one pattern: `rows` rows of `count` elements. */
static bool take_rows(const um_h5_chunk_shape *shape, const um_h5_layout *layout, const unsigned char *src,
                      int64_t rows, int64_t count, unsigned char *dst, size_t dst_step)
{
    size_t width = layout->stored_size;
    size_t step = shape->stride[3] > 1 && count > 1 ? shape->stride[3] : 1;
    size_t src_step = shape->stride[2] * width;
    if (step == 1 && layout->convert == UM_H5_SAME) {
        size_t bytes = (size_t)count * width;
        bool joined = src_step == bytes && dst_step == bytes;
        copy_rows(dst, dst_step, src, src_step, joined ? 1 : rows, joined ? bytes * (size_t)rows : bytes);
        return true;
    }
    bool fits = true;
    for (int64_t ky = 0; ky < rows; ky++) {
        fits = convert_spread(layout, src + (size_t)ky * src_step, step, dst + (size_t)ky * dst_step,
                              (size_t)count) &&
               fits;
    }
    return fits;
}

/* The lines of a pattern that will be written next: stores that miss the cache come in bursts and would wait. */
static void expect_pattern(const unsigned char *dst, size_t bytes)
{
    enum { LINE = 64, MOST = 4096 };
    for (size_t at = 0; at < bytes && at < MOST; at += LINE) {
        __builtin_prefetch(dst + at, 1);
    }
}

bool um_h5_scatter(const um_h5_chunk_shape *shape, const um_h5_layout *layout, int count,
                   const unsigned char *const *chunks, const um_h5_overlap o[3], const um_h5_overlap *across,
                   const int64_t size[4], unsigned char *dst)
{
    size_t width = layout->stored_size;
    size_t out = um_dtype_size(layout->dtype);
    size_t row = (size_t)size[3] * out;
    bool fits = true;
    for (int64_t y = 0; y < o[0].count; y++) {
        for (int64_t x = 0; x < o[1].count; x++) {
            size_t from = (size_t)(o[0].from + y) * shape->stride[0] +
                          (size_t)(o[1].from + x) * shape->stride[1] + (size_t)o[2].from * shape->stride[2];
            size_t to = (size_t)(((o[0].to + y) * size[1] + o[1].to + x) * size[2] + o[2].to) * row;
            if (x + 1 < o[1].count) {
                expect_pattern(dst + to + (size_t)size[2] * row, (size_t)o[2].count * row);
            }
            for (int i = 0; i < count; i++) {
                const unsigned char *src = chunks[i] + (from + (size_t)across[i].from * shape->stride[3]) * width;
                fits = take_rows(shape, layout, src, o[2].count, across[i].count,
                                 dst + to + (size_t)across[i].to * out, row) &&
                       fits;
            }
        }
    }
    return fits;
}
