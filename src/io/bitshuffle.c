/* Bit transposition as the bitshuffle filter does it: for `count` elements of `width` bytes, first all
 * lowest bits of byte 0, then the next bits, ..., eight elements to a byte. */
#include "chunk_internal.h"

/* Transposes the 8x8 bits of a word: bit j of byte i goes to bit i of byte j (Hacker's Delight 7-3). */
static uint64_t transpose8(uint64_t x)
{
    uint64_t t = (x ^ (x >> 7)) & UINT64_C(0x00AA00AA00AA00AA);
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & UINT64_C(0x0000CCCC0000CCCC);
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & UINT64_C(0x00000000F0F0F0F0);
    x ^= t ^ (t << 28);
    return x;
}

void um_bit_unshuffle(const unsigned char *src, unsigned char *dst, size_t count, size_t width)
{
    size_t row = count / 8;
    for (size_t b = 0; b < width; b++) {
        const unsigned char *planes = src + 8 * b * row;
        for (size_t j = 0; j < row; j++) {
            uint64_t x = 0;
            for (unsigned k = 0; k < 8; k++) {
                x |= (uint64_t)planes[k * row + j] << (8 * k);
            }
            x = transpose8(x);
            unsigned char *to = dst + 8 * j * width + b;
            for (unsigned i = 0; i < 8; i++) {
                to[i * width] = (unsigned char)(x >> (8 * i));
            }
        }
    }
}

void um_bit_shuffle(const unsigned char *src, unsigned char *dst, size_t count, size_t width)
{
    size_t row = count / 8;
    for (size_t b = 0; b < width; b++) {
        unsigned char *planes = dst + 8 * b * row;
        for (size_t j = 0; j < row; j++) {
            const unsigned char *from = src + 8 * j * width + b;
            uint64_t x = 0;
            for (unsigned i = 0; i < 8; i++) {
                x |= (uint64_t)from[i * width] << (8 * i);
            }
            x = transpose8(x);
            for (unsigned k = 0; k < 8; k++) {
                planes[k * row + j] = (unsigned char)(x >> (8 * k));
            }
        }
    }
}
