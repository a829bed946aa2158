/* Deflate (RFC 1951) of counts: runs of one byte and dynamic Huffman codes, nothing else.
 *
 * Sparse counts are zeros with single bytes between them. A search for longer matches finds little there that a run does not
 * say, and takes most of the time of a general compressor. Each block has up to TOKENS literals and runs (matches at
 * distance 1). Decoders need to know nothing of this. */
#include "chunk_internal.h"

#include <endian.h>
#include <libdeflate.h>
#include <string.h>

enum {
    TOKENS = 1 << 14,
    LITERALS = 256,
    END = 256,
    SYMBOLS = 286,
    LENGTH_SYMBOLS = 29,
    SHORTEST = 3,
    LONGEST = 258,
    MOST_BITS = 15,
    CODE_SYMBOLS = 19,
    MOST_CODE_BITS = 7,
    WORTH_IT = 6 /* bytes per token: below that matches elsewhere may matter */
};

static const uint16_t length_base[LENGTH_SYMBOLS] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                                     31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint8_t length_extra[LENGTH_SYMBOLS] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                     2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint8_t code_order[CODE_SYMBOLS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

/* ---- bits ----------------------------------------------------------------------------------- */

typedef struct bits {
    unsigned char *to, *end;
    uint64_t held;
    unsigned count;
    bool full;
} bits;

static void put(bits *b, uint64_t value, unsigned count)
{
    b->held |= value << b->count;
    b->count += count;
    if (b->end - b->to < 8) {
        b->full = true;
        b->count &= 7;
        return;
    }
    const uint64_t held = htole64(b->held);
    memcpy(b->to, &held, sizeof held);
    b->to += b->count / 8;
    b->held >>= b->count & ~7U;
    b->count &= 7;
}

/* ---- Huffman codes -------------------------------------------------------------------------- */

typedef struct code {
    uint8_t length[SYMBOLS];
    uint16_t bits[SYMBOLS]; /* the first is the lowest */
} code;

/* Lengths of a Huffman code of the n symbols that occur, by repeated merging of the two rarest; the longest of them. */
static int tree_lengths(const uint32_t *frequency, int n, uint8_t *length)
{
    uint32_t weight[2 * SYMBOLS];
    int16_t parent[2 * SYMBOLS], leaf[SYMBOLS];
    int leaves = 0, longest = 0;
    memset(length, 0, (size_t)n);
    for (int i = 0; i < n; i++) { /* insertion into ascending order */
        int at = leaves;
        if (frequency[i] == 0) {
            continue;
        }
        for (leaves++; at > 0 && frequency[leaf[at - 1]] > frequency[i]; at--) {
            leaf[at] = leaf[at - 1];
        }
        leaf[at] = (int16_t)i;
    }
    if (leaves == 1) {
        length[leaf[0]] = 1;
        return 1;
    }
    for (int i = 0; i < leaves; i++) {
        weight[i] = frequency[leaf[i]];
    }
    /* Leaves are sorted and sums come out ascending, so the two rarest are at the head of either. */
    int next_leaf = 0, next_sum = leaves, nodes = leaves;
    while (nodes < 2 * leaves - 1) {
        uint32_t sum = 0;
        for (int k = 0; k < 2; k++) {
            bool take_leaf = next_leaf < leaves && (next_sum == nodes || weight[next_leaf] <= weight[next_sum]);
            int taken = take_leaf ? next_leaf++ : next_sum++;
            parent[taken] = (int16_t)nodes;
            sum += weight[taken];
        }
        weight[nodes++] = sum;
    }
    uint8_t depth[2 * SYMBOLS] = {0};
    for (int i = nodes - 2; i >= 0; i--) {
        depth[i] = (uint8_t)(depth[parent[i]] + 1);
        if (i < leaves) {
            length[leaf[i]] = depth[i];
            longest = depth[i] > longest ? depth[i] : longest;
        }
    }
    return longest;
}

static uint16_t reversed(uint32_t value, int count)
{
    uint32_t out = 0;
    for (int i = 0; i < count; i++) {
        out |= (value >> i & 1U) << (count - 1 - i);
    }
    return (uint16_t)out;
}

/* Codes of at most `most` bits: frequencies are flattened until the tree is that low. Changes them. */
static void make_code(uint32_t *frequency, int n, int most, code *out)
{
    uint32_t count[MOST_BITS + 2] = {0}, next[MOST_BITS + 2] = {0};
    while (tree_lengths(frequency, n, out->length) > most) {
        for (int i = 0; i < n; i++) {
            frequency[i] = frequency[i] > 0 ? frequency[i] / 4 + 1 : 0;
        }
    }
    for (int i = 0; i < n; i++) {
        count[out->length[i]] += out->length[i] > 0;
    }
    for (int i = 1; i <= MOST_BITS; i++) {
        next[i] = (next[i - 1] + count[i - 1]) << 1;
    }
    for (int i = 0; i < n; i++) {
        out->bits[i] = out->length[i] > 0 ? reversed(next[out->length[i]]++, out->length[i]) : 0;
    }
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* A literal is its byte, a run 256 + its length - 3. */
typedef struct block {
    uint16_t token[TOKENS];
    int tokens;
    uint32_t frequency[SYMBOLS];
    uint8_t symbol[LONGEST + 1]; /* of a length, from 0 */
} block;

static void start_block(block *b)
{
    b->tokens = 0;
    memset(b->frequency, 0, sizeof b->frequency);
    for (int length = SHORTEST, s = 0; length <= LONGEST; length++) {
        s += s + 1 < LENGTH_SYMBOLS && length_base[s + 1] <= length;
        b->symbol[length] = (uint8_t)s;
    }
}

/* Lengths of both codes, with runs of zeros shortened (17, 18); repeats (16) would save little. */
static void put_lengths(bits *out, const uint8_t *length, int literals)
{
    uint8_t symbol[SYMBOLS + 1], extra[SYMBOLS + 1];
    uint32_t frequency[CODE_SYMBOLS] = {0};
    code c;
    int n = 0, all = literals + 1, kept = CODE_SYMBOLS;
    for (int i = 0; i < all; n++) {
        int zeros = 0;
        while (i + zeros < literals && zeros < 138 && length[i + zeros] == 0) {
            zeros++;
        }
        if (zeros >= SHORTEST) {
            symbol[n] = zeros > 10 ? 18 : 17;
            extra[n] = (uint8_t)(zeros > 10 ? zeros - 11 : zeros - 3);
            i += zeros;
        } else {
            symbol[n] = i < literals ? length[i] : 1; /* the last is that of distance 1 */
            i++;
        }
        frequency[symbol[n]]++;
    }
    make_code(frequency, CODE_SYMBOLS, MOST_CODE_BITS, &c);
    while (kept > 4 && c.length[code_order[kept - 1]] == 0) {
        kept--;
    }
    put(out, (uint64_t)(literals - 257), 5);
    put(out, 0, 5);
    put(out, (uint64_t)(kept - 4), 4);
    for (int i = 0; i < kept; i++) {
        put(out, c.length[code_order[i]], 3);
    }
    for (int i = 0; i < n; i++) {
        put(out, c.bits[symbol[i]], c.length[symbol[i]]);
        if (symbol[i] >= 17) {
            put(out, extra[i], symbol[i] == 18 ? 7 : 3);
        }
    }
}

static void put_block(bits *out, block *b, bool last)
{
    uint32_t run_bits[LONGEST + 1];
    uint8_t run_count[LONGEST + 1];
    code c;
    int literals = SYMBOLS;
    b->frequency[END] = 1;
    make_code(b->frequency, SYMBOLS, MOST_BITS, &c);
    while (literals > 257 && c.length[literals - 1] == 0) {
        literals--;
    }
    put(out, last ? 5 : 4, 3);
    put_lengths(out, c.length, literals);
    for (int length = SHORTEST; length <= LONGEST; length++) { /* code, extra bits, and one 0 for distance 1 */
        int s = b->symbol[length];
        unsigned own = c.length[257 + s];
        run_bits[length] = c.bits[257 + s] | (uint32_t)(length - length_base[s]) << own;
        run_count[length] = (uint8_t)(own + length_extra[s] + 1);
    }
    for (int i = 0; i < b->tokens && !out->full; i++) {
        unsigned t = b->token[i];
        if (t < LITERALS) {
            put(out, c.bits[t], c.length[t]);
        } else {
            put(out, run_bits[t - LITERALS + SHORTEST], run_count[t - LITERALS + SHORTEST]);
        }
    }
    put(out, c.bits[END], c.length[END]);
    start_block(b);
}

/* How many bytes from `at` on are `byte`, up to what one match can say. */
static size_t run_at(const unsigned char *in, size_t at, size_t size, unsigned char byte)
{
    size = size - at > LONGEST ? at + LONGEST : size;
    const uint64_t same = 0x0101010101010101ULL * byte;
    size_t i = at;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, in + i, 8);
        if (word != same) {
            break;
        }
    }
    while (i < size && in[i] == byte) {
        i++;
    }
    return i - at;
}

size_t um_deflate_runs(const unsigned char *in, size_t size, unsigned char *out, size_t capacity)
{
    block b;
    bits to = {.to = out + 2, .end = out + capacity};
    size_t tokens = 0;
    if (capacity < 16 || size == 0) {
        return 0;
    }
    start_block(&b);
    for (size_t i = 0; i < size && !to.full;) {
        size_t run = i > 0 ? run_at(in, i, size, in[i - 1]) : 0;
        if (b.tokens == TOKENS) {
            put_block(&to, &b, false);
        }
        if (run < SHORTEST) {
            b.token[b.tokens++] = in[i];
            b.frequency[in[i++]]++;
        } else {
            b.token[b.tokens++] = (uint16_t)(LITERALS + run - SHORTEST);
            b.frequency[257 + b.symbol[run]]++;
            i += run;
        }
        tokens++;
        if ((tokens & 4095) == 0 && tokens * WORTH_IT > i) {
            return 0;
        }
    }
    if (tokens * WORTH_IT > size) {
        return 0;
    }
    put_block(&to, &b, true);
    put(&to, 0, (8 - to.count) & 7);
    if (to.full || to.end - to.to < 4) {
        return 0;
    }
    uint32_t sum = libdeflate_adler32(1, in, size);
    for (int i = 0; i < 4; i++) {
        *to.to++ = (unsigned char)(sum >> (24 - 8 * i));
    }
    out[0] = 0x78;
    out[1] = 0x01;
    return (size_t)(to.to - out);
}
