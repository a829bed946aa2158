/* Raw Merlin frames: the chip sends pixels in 64-bit words, last pixel first. */
#include "mib_internal.h"

#include <string.h>

static uint16_t load_be16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Puts the `width` pixels of one stored row in order. `width` is a multiple of 64. */
static void order_row(int depth, const unsigned char *in, int64_t width, uint16_t *out)
{
    if (depth == 1) {
        for (int64_t i = 0; i < width; i++) {
            out[i] = in[i / 64 * 8 + 7 - i % 64 / 8] >> (i % 8) & 1;
        }
    } else if (depth == 6) {
        for (int64_t i = 0; i < width; i++) {
            out[i] = in[i / 8 * 8 + 7 - i % 8];
        }
    } else {
        for (int64_t i = 0; i < width; i++) {
            out[i] = load_be16(in + 2 * (i / 4 * 4 + 3 - i % 4));
        }
    }
}

static size_t row_bytes(int depth, int64_t width)
{
    return (size_t)(depth == 1 ? width / 8 : depth == 6 ? width : 2 * width);
}

/* 256 pixels of one chip into a row of the pattern, reversed for the lower chips. */
static void put_block(um_dtype dtype, const uint16_t *block, bool reversed, void *dst, int64_t at)
{
    for (int64_t i = 0; i < 256; i++) {
        uint16_t value = block[reversed ? 255 - i : i];
        if (dtype == UM_U8) {
            ((uint8_t *)dst)[at + i] = (uint8_t)value;
        } else {
            ((uint16_t *)dst)[at + i] = value;
        }
    }
}

/* A stored row holds chips 0 to 3. Chips 3 and 2 make the upper half; 1 and 0 are mounted upside down
 * and make the lower half. */
static void decode_quad(const um_mib_layout *layout, const unsigned char *image, uint16_t *row,
                        void *dst)
{
    size_t bytes = row_bytes(layout->depth, layout->raw_width);
    for (int64_t y = 0; y < layout->raw_height; y++) {
        order_row(layout->depth, image + (size_t)y * bytes, layout->raw_width, row);
        int64_t upper = y * layout->kx;
        int64_t lower = (layout->ky - 1 - y) * layout->kx;
        put_block(layout->dtype, row + 768, false, dst, upper);
        put_block(layout->dtype, row + 512, false, dst, upper + 256);
        put_block(layout->dtype, row + 256, true, dst, lower);
        put_block(layout->dtype, row, true, dst, lower + 256);
    }
}

/* The first half of the bytes are the upper 12 bits of all pixels. */
static void decode_24(const um_mib_layout *layout, const unsigned char *image, uint16_t *row,
                      uint32_t *dst)
{
    size_t bytes = row_bytes(12, layout->raw_width);
    for (int half = 0; half < 2; half++) {
        for (int64_t y = 0; y < layout->raw_height; y++) {
            order_row(12, image, layout->raw_width, row);
            image += bytes;
            for (int64_t x = 0; x < layout->raw_width; x++) {
                uint32_t *pixel = &dst[y * layout->kx + x];
                *pixel = half == 0 ? (uint32_t)row[x] << 12 : *pixel + row[x];
            }
        }
    }
}

void um_mib_raw_decode(const um_mib_layout *layout, const unsigned char *image, uint16_t *row,
                       void *dst)
{
    if (layout->quad) {
        decode_quad(layout, image, row, dst);
        return;
    }
    if (layout->depth == 24) {
        decode_24(layout, image, row, dst);
        return;
    }
    size_t bytes = row_bytes(layout->depth, layout->raw_width);
    for (int64_t y = 0; y < layout->raw_height; y++) {
        order_row(layout->depth, image + (size_t)y * bytes, layout->raw_width, row);
        put_block(layout->dtype, row, false, dst, y * layout->kx);
    }
}
