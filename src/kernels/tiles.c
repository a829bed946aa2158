/* Factors as tiles take them. */
#include "tiles_variants.h"

#include <math.h>
#include <string.h>

enum { WORD = 4, MOST_DIGITS = 0x7f7f7f7f }; /* bytes of one multiplication; four digits of 127 */

const um_tile_kernels *um_tile_kernels_get(um_isa isa)
{
#if defined(__x86_64__)
    if (isa >= UM_ISA_AMX) {
        return &um_tiles_amx;
    }
#endif
    (void)isa;
    return NULL;
}

size_t um_tile_columns(size_t k, int planes)
{
    return (k * (size_t)planes + UM_TILE_SIDE - 1) / UM_TILE_SIDE;
}

size_t um_tile_h_size(size_t m, size_t k, int planes)
{
    return (m + UM_TILE_PIXELS - 1) / UM_TILE_PIXELS * um_tile_columns(k, planes) * UM_TILE_BYTES;
}

size_t um_tile_sums(size_t k, int planes)
{
    return UM_TILE_BATCH * 2 * UM_TILE_ROWS * um_tile_columns(k, planes) * UM_TILE_SIDE;
}

size_t um_tile_room(um_dtype dtype, size_t m)
{
    size_t whole = (m + UM_TILE_PIXELS - 1) / UM_TILE_PIXELS * UM_TILE_PIXELS + UM_TILE_PIXELS;
    return dtype == UM_U16 ? UM_TILE_PIXELS + 2 * UM_TILE_ROWS * whole : 0;
}

void um_tile_put(int8_t *h, size_t k, int planes, size_t c, size_t j, int32_t value)
{
    size_t block = j / UM_TILE_PIXELS * um_tile_columns(k, planes);
    size_t word = j % UM_TILE_PIXELS / WORD;
    for (int p = 0; p < planes; p++) {
        size_t column = c * (size_t)planes + (size_t)p;
        int8_t digit = (int8_t)(uint8_t)(value & 255);
        h[(block + column / UM_TILE_SIDE) * UM_TILE_BYTES + word * UM_TILE_SIDE * WORD +
          column % UM_TILE_SIDE * WORD + j % WORD] = digit;
        value = (value - digit) / 256;
    }
}

double um_tile_step(double largest)
{
    if (!(largest > 0)) {
        return 1;
    }
    int exponent;
    double fraction = frexp(largest / MOST_DIGITS, &exponent);
    return ldexp(1, fraction > 0.5 ? exponent : exponent - 1);
}

/* Tiles of as many components each as is even; the last tile reaches back, with zeros, over some of the one before. */
size_t um_tile_w_size(size_t k)
{
    size_t shares = (k + UM_TILE_SIDE - 1) / UM_TILE_SIDE;
    return shares * UM_TILE_PARTS * UM_TILE_SIDE * UM_TILE_ROWS;
}

/* The nearest number of bf16, ties to even, as its bits. */
static uint16_t nearest(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fffU + (bits >> 16 & 1)) >> 16);
}

static float widened(uint16_t part)
{
    uint32_t bits = (uint32_t)part << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void um_tile_split(const float *w, size_t rows, size_t k, uint16_t *parts)
{
    size_t shares = (k + UM_TILE_SIDE - 1) / UM_TILE_SIDE;
    size_t side = (k + shares - 1) / shares;
    memset(parts, 0, um_tile_w_size(k) * sizeof *parts);
    for (size_t c = 0; c < k; c++) {
        size_t first = c / side * side < k - side ? c / side * side : k - side;
        uint16_t *to = parts + (c / side * UM_TILE_PARTS * UM_TILE_SIDE + c - first) * UM_TILE_ROWS;
        for (size_t r = 0; r < rows; r++) {
            float rest = w[r * k + c];
            for (size_t p = 0; p < UM_TILE_PARTS; p++) {
                uint16_t part = nearest(rest);
                to[p * UM_TILE_SIDE * UM_TILE_ROWS + r] = part;
                rest -= widened(part);
            }
        }
    }
}
