/* Raw Merlin frames: the chip sends its pixels in words of 64 bits, most significant byte first, the first
 * pixel in the lowest bits. Pixels take 1, 8 (6-bit counters) or 16 bits. */
#include "mib_internal.h"

#include <string.h>

static uint64_t load_be64(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return UM_HOST_BIG_ENDIAN ? word : __builtin_bswap64(word);
}

/* The shifts below become one store where bytes lie that way round. */
static void order_bits(const unsigned char *in, int64_t width, uint8_t *out)
{
    for (int64_t i = 0; i < width; i += 64) {
        uint64_t word = load_be64(in + i / 8);
        for (int64_t b = 0; b < 8; b++) {
            /* Eight copies of a byte, bit k kept in copy k, then moved to the bottom. */
            uint64_t x = (word >> 8 * b & 0xff) * 0x0101010101010101u & 0x8040201008040201u;
            x = (x + 0x7f7f7f7f7f7f7f7fu) >> 7 & 0x0101010101010101u;
            for (int64_t k = 0; k < 8; k++) {
                out[i + 8 * b + k] = (uint8_t)(x >> 8 * k);
            }
        }
    }
}

static void order_bytes(const unsigned char *in, int64_t width, uint8_t *out)
{
    for (int64_t i = 0; i < width; i += 8) {
        uint64_t word = load_be64(in + i);
        for (int64_t k = 0; k < 8; k++) {
            out[i + k] = (uint8_t)(word >> 8 * k);
        }
    }
}

static void order_words(const unsigned char *in, int64_t width, uint16_t *out)
{
    for (int64_t i = 0; i < width; i += 4) {
        uint64_t word = load_be64(in + 2 * i);
        for (int64_t k = 0; k < 4; k++) {
            out[i + k] = (uint16_t)(word >> 16 * k);
        }
    }
}

/* Puts the pixels of one stored row in order: u8 for 1- and 6-bit counters, u16 for 12. */
static void order_row(int depth, const unsigned char *in, int64_t width, void *out)
{
    if (depth == 1) {
        order_bits(in, width, out);
    } else if (depth == 6) {
        order_bytes(in, width, out);
    } else {
        order_words(in, width, out);
    }
}

static size_t row_bytes(int depth, int64_t width)
{
    return (size_t)(depth == 1 ? width / 8 : depth == 6 ? width : 2 * width);
}

/* 256 pixels of one chip, the other way round. */
static void reverse_block(size_t bytes_per_pixel, const void *block, void *dst)
{
    if (bytes_per_pixel == 1) {
        for (int i = 0; i < 256; i++) {
            ((uint8_t *)dst)[i] = ((const uint8_t *)block)[255 - i];
        }
    } else {
        for (int i = 0; i < 256; i++) {
            ((uint16_t *)dst)[i] = ((const uint16_t *)block)[255 - i];
        }
    }
}

/* A stored row holds chips 0 to 3. Chips 3 and 2 make the upper half; 1 and 0 are mounted upside down
 * and make the lower half. */
static void decode_quad(const um_mib_layout *layout, const unsigned char *image, void *row,
                        unsigned char *dst)
{
    size_t bytes = row_bytes(layout->depth, layout->raw_width);
    size_t pixel = um_dtype_size(layout->dtype);
    const unsigned char *chips = row;
    for (int64_t y = 0; y < layout->raw_height; y++) {
        unsigned char *upper = dst + (size_t)(y * layout->kx) * pixel;
        unsigned char *lower = dst + (size_t)((layout->ky - 1 - y) * layout->kx) * pixel;
        order_row(layout->depth, image + (size_t)y * bytes, layout->raw_width, row);
        memcpy(upper, chips + 768 * pixel, 256 * pixel);
        memcpy(upper + 256 * pixel, chips + 512 * pixel, 256 * pixel);
        reverse_block(pixel, chips + 256 * pixel, lower);
        reverse_block(pixel, chips, lower + 256 * pixel);
    }
}

/* The first half of the bytes are the upper 12 bits of all pixels. */
static void decode_24(const um_mib_layout *layout, const unsigned char *image, uint16_t *row,
                      uint32_t *dst)
{
    size_t bytes = row_bytes(12, layout->raw_width);
    const unsigned char *lower = image + (size_t)layout->raw_height * bytes;
    uint16_t *low = row + layout->raw_width;
    for (int64_t y = 0; y < layout->raw_height; y++) {
        order_words(image + (size_t)y * bytes, layout->raw_width, row);
        order_words(lower + (size_t)y * bytes, layout->raw_width, low);
        for (int64_t x = 0; x < layout->raw_width; x++) {
            dst[y * layout->kx + x] = ((uint32_t)row[x] << 12) + low[x];
        }
    }
}

void um_mib_raw_decode(const um_mib_layout *layout, const unsigned char *image, void *row, void *dst)
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
    size_t out = (size_t)layout->kx * um_dtype_size(layout->dtype);
    for (int64_t y = 0; y < layout->raw_height; y++) {
        order_row(layout->depth, image + (size_t)y * bytes, layout->raw_width,
                  (unsigned char *)dst + (size_t)y * out);
    }
}
