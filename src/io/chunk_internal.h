/* Codecs of HDF5 chunks. They know nothing of the HDF5 library and are thread-safe. */
#ifndef UM_CHUNK_INTERNAL_H
#define UM_CHUNK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers that the HDF Group registers. */
enum um_filter_id {
    UM_FILTER_DEFLATE = 1,
    UM_FILTER_SHUFFLE = 2,
    UM_FILTER_FLETCHER32 = 3,
    UM_FILTER_LZF = 32000,
    UM_FILTER_BLOSC = 32001,
    UM_FILTER_LZ4 = 32004,
    UM_FILTER_BITSHUFFLE = 32008,
    UM_FILTER_ZSTD = 32015
};

enum {
    UM_CHUNK_MAX_FILTERS = 8,
    UM_CHUNK_MAX_VALUES = 16,
    UM_CHUNK_BLOCK_BYTES = 1 << 16 /* largest block of bitshuffle that is taken */
};

/* A filter pipeline in the order of writing. */
typedef struct um_chunk_filter {
    int id;
    unsigned value_count;
    unsigned values[UM_CHUNK_MAX_VALUES];
} um_chunk_filter;
typedef struct um_chunk_pipeline {
    int count;
    um_chunk_filter filters[UM_CHUNK_MAX_FILTERS];
} um_chunk_pipeline;

typedef struct um_bytes {
    unsigned char *data;
    size_t size, capacity;
} um_bytes;

bool um_chunk_filter_known(int id);
/* Bytes that each of the two buffers needs for a chunk of `bytes`. */
size_t um_chunk_capacity(size_t bytes);
/* Undoes the pipeline (filters whose bit is set in `mask` were skipped in writing). The two buffers take
 * turns; in the end *data holds exactly `wanted` bytes, or `into` does when it is not NULL. Returns NULL, or
 * what is wrong with the chunk. */
const char *um_chunk_decode(const um_chunk_pipeline *pipeline, unsigned mask, um_bytes *data,
                            um_bytes *other, size_t wanted, void *into);
/* Applies the pipeline in the same way; only the filters that the .hspy sink offers. */
const char *um_chunk_encode(const um_chunk_pipeline *pipeline, um_bytes *data, um_bytes *other);

/* zlib bytes of `in` by runs of equal bytes and Huffman codes: fast, and small, for sparse counts. 0: not worth it, since there is
 * more than one run or byte for six bytes, or no room. */
size_t um_deflate_runs(const unsigned char *in, size_t size, unsigned char *out, size_t capacity);

/* Bit transposition of bitshuffle: `count` elements (a multiple of 8) of `width` bytes. */
void um_bit_shuffle(const unsigned char *src, unsigned char *dst, size_t count, size_t width);
void um_bit_unshuffle(const unsigned char *src, unsigned char *dst, size_t count, size_t width);

uint32_t um_be32(const unsigned char *p);
uint64_t um_be64(const unsigned char *p);

#endif
