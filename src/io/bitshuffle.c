/* Bit transposition as the bitshuffle filter does it: for `count` elements of `width` bytes, first all
 * lowest bits of byte 0, then the next bits, ..., eight elements to a byte.
 *
 * Sixteen columns of eight planes go together, as eight vectors of 16 bytes; what is left over and odd
 * widths go word by word. The vectors are the compiler's own, on every machine of 64 bits. */
#include "chunk_internal.h"

#include <string.h>

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint64_t words2 __attribute__((vector_size(16)));

/* Transposes the 8x8 bits of a word: bit j of byte i goes to bit i of byte j (Hacker's Delight 7-3). */
#define TRANSPOSE8(x, t)                                                                            \
    (t) = ((x) ^ ((x) >> 7)) & UINT64_C(0x00AA00AA00AA00AA);                                        \
    (x) ^= (t) ^ ((t) << 7);                                                                        \
    (t) = ((x) ^ ((x) >> 14)) & UINT64_C(0x0000CCCC0000CCCC);                                       \
    (x) ^= (t) ^ ((t) << 14);                                                                       \
    (t) = ((x) ^ ((x) >> 28)) & UINT64_C(0x00000000F0F0F0F0);                                       \
    (x) ^= (t) ^ ((t) << 28)

static uint64_t transpose8(uint64_t x)
{
    uint64_t t = 0;
    TRANSPOSE8(x, t);
    return x;
}

static void transpose_bits(bytes16 v[8])
{
    for (int i = 0; i < 8; i++) {
        words2 x = (words2)v[i];
        words2 t;
        TRANSPOSE8(x, t);
        v[i] = (bytes16)x;
    }
}

static inline bytes16 low_pairs(bytes16 a, bytes16 b)
{
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

static inline bytes16 high_pairs(bytes16 a, bytes16 b)
{
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

static inline bytes16 even_bytes(bytes16 a, bytes16 b)
{
    return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
}

static inline bytes16 odd_bytes(bytes16 a, bytes16 b)
{
    return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/* Of the 7-bit place of a byte in the eight vectors: bit `bit` of the vector's number becomes the lowest
 * bit of the place inside, and the highest of those takes the bit's place. */
static inline void rotate(bytes16 v[8], int bit)
{
    for (int i = 0; i < 8; i++) {
        int j = i | 1 << bit;
        if (j != i) {
            bytes16 a = v[i];
            bytes16 b = v[j];
            v[i] = low_pairs(a, b);
            v[j] = high_pairs(a, b);
        }
    }
}

/* Sixteen columns of the planes at `from` as 16 words in order of columns, their bits transposed. */
static inline void take_planes(const unsigned char *from, size_t row, bytes16 v[8])
{
    for (int k = 0; k < 8; k++) {
        memcpy(&v[k], from + (size_t)k * row, 16);
    }
    rotate(v, 2);
    rotate(v, 1);
    rotate(v, 0);
    transpose_bits(v);
}

static inline void give_planes(bytes16 v[8], unsigned char *to, size_t row)
{
    transpose_bits(v);
    rotate(v, 2);
    rotate(v, 1);
    rotate(v, 0);
    rotate(v, 2);
    for (int k = 0; k < 8; k++) { /* the three bits of the plane's number have changed places */
        memcpy(to + (size_t)k * row, &v[(k & 1) << 2 | k >> 1], 16);
    }
}

/* Columns that are done by sixteen; 0 for widths that are not, and where vectors count the other way. */
static size_t in_sixteens(size_t row, size_t width)
{
    bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    return !little                                  ? 0
           : width == 1 || width == 2 || width == 4 ? row / 16 * 16
                                                    : 0;
}

static inline __attribute__((always_inline)) void unshuffle_sixteen(const unsigned char *src, unsigned char *dst, size_t row, size_t width)
{
    bytes16 v[4][8];
    for (size_t b = 0; b < width; b++) {
        take_planes(src + 8 * b * row, row, v[b]);
    }
    for (int i = 0; i < 8; i++) {
        bytes16 out[4] = {v[0][i]};
        if (width == 2) {
            out[0] = low_pairs(v[0][i], v[1][i]);
            out[1] = high_pairs(v[0][i], v[1][i]);
        } else if (width == 4) {
            bytes16 even[2] = {low_pairs(v[0][i], v[2][i]), high_pairs(v[0][i], v[2][i])};
            bytes16 odd[2] = {low_pairs(v[1][i], v[3][i]), high_pairs(v[1][i], v[3][i])};
            for (int h = 0; h < 2; h++) {
                out[2 * h] = low_pairs(even[h], odd[h]);
                out[2 * h + 1] = high_pairs(even[h], odd[h]);
            }
        }
        memcpy(dst + 16 * width * (size_t)i, out, 16 * width);
    }
}

static inline __attribute__((always_inline)) void shuffle_sixteen(const unsigned char *src, unsigned char *dst, size_t row, size_t width)
{
    bytes16 v[4][8];
    for (int i = 0; i < 8; i++) {
        bytes16 in[4];
        memcpy(in, src + 16 * width * (size_t)i, 16 * width);
        if (width == 1) {
            v[0][i] = in[0];
        } else if (width == 2) {
            v[0][i] = even_bytes(in[0], in[1]);
            v[1][i] = odd_bytes(in[0], in[1]);
        } else {
            bytes16 even[2] = {even_bytes(in[0], in[1]), even_bytes(in[2], in[3])};
            bytes16 odd[2] = {odd_bytes(in[0], in[1]), odd_bytes(in[2], in[3])};
            v[0][i] = even_bytes(even[0], even[1]);
            v[1][i] = even_bytes(odd[0], odd[1]);
            v[2][i] = odd_bytes(even[0], even[1]);
            v[3][i] = odd_bytes(odd[0], odd[1]);
        }
    }
    for (size_t b = 0; b < width; b++) {
        give_planes(v[b], dst + 8 * b * row, row);
    }
}

void um_bit_unshuffle(const unsigned char *src, unsigned char *dst, size_t count, size_t width)
{
    size_t row = count / 8;
    size_t done = in_sixteens(row, width);
    for (size_t j = 0; j < done; j += 16) {
        unsigned char *to = dst + 8 * j * width;
        if (width == 1) { /* the width as a constant, so that its cases go */
            unshuffle_sixteen(src + j, to, row, 1);
        } else if (width == 2) {
            unshuffle_sixteen(src + j, to, row, 2);
        } else {
            unshuffle_sixteen(src + j, to, row, 4);
        }
    }
    for (size_t b = 0; b < width; b++) {
        const unsigned char *planes = src + 8 * b * row;
        for (size_t j = done; j < row; j++) {
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
    size_t done = in_sixteens(row, width);
    for (size_t j = 0; j < done; j += 16) {
        const unsigned char *from = src + 8 * j * width;
        if (width == 1) {
            shuffle_sixteen(from, dst + j, row, 1);
        } else if (width == 2) {
            shuffle_sixteen(from, dst + j, row, 2);
        } else {
            shuffle_sixteen(from, dst + j, row, 4);
        }
    }
    for (size_t b = 0; b < width; b++) {
        unsigned char *planes = dst + 8 * b * row;
        for (size_t j = done; j < row; j++) {
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
