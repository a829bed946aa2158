/* The filters of HDF5 chunks that the .hspy sink applies, without the HDF5 library. */
#include "chunk_internal.h"

#include <blosc.h>
#include <libdeflate.h>
#include <lz4.h>
#include <string.h>

enum { GZIP_LEVEL = 1, BLOSC_LEVEL = 5, LZ4_BLOCK = 1 << 30, SHUFFLE_BLOCK_BYTES = 8192 };

static void put_be32(unsigned char *p, uint32_t value)
{
    p[0] = (unsigned char)(value >> 24);
    p[1] = (unsigned char)(value >> 16);
    p[2] = (unsigned char)(value >> 8);
    p[3] = (unsigned char)value;
}

static void put_be64(unsigned char *p, uint64_t value)
{
    put_be32(p, (uint32_t)(value >> 32));
    put_be32(p + 4, (uint32_t)value);
}

static const char *shuffle(const um_chunk_filter *filter, const um_bytes *in, um_bytes *out)
{
    size_t width = filter->values[0];
    size_t count = in->size / width;
    for (size_t b = 0; b < width; b++) {
        unsigned char *to = out->data + b * count;
        for (size_t i = 0; i < count; i++) {
            to[i] = in->data[i * width + b];
        }
    }
    memcpy(out->data + count * width, in->data + count * width, in->size - count * width);
    out->size = in->size;
    return NULL;
}

static const char *deflate(const um_bytes *in, um_bytes *out)
{
    out->size = um_deflate_runs(in->data, in->size, out->data, out->capacity);
    if (out->size > 0) {
        return NULL;
    }
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (c == NULL) {
        return "no memory to compress it";
    }
    out->size = libdeflate_zlib_compress(c, in->data, in->size, out->data, out->capacity);
    libdeflate_free_compressor(c);
    return out->size > 0 ? NULL : "it cannot be compressed";
}

static const char *lz4(const um_bytes *in, um_bytes *out)
{
    if (in->size > LZ4_BLOCK || out->capacity < 16) {
        return "it is too large for LZ4";
    }
    put_be64(out->data, in->size);
    put_be32(out->data + 8, (uint32_t)in->size);
    size_t room = out->capacity - 16 < INT32_MAX ? out->capacity - 16 : INT32_MAX;
    int packed = LZ4_compress_default((const char *)in->data, (char *)out->data + 16, (int)in->size,
                                      (int)room);
    if (packed <= 0 || (size_t)packed >= in->size) { /* stored as it is, marked by its size */
        memcpy(out->data + 16, in->data, in->size);
        packed = (int)in->size;
    }
    put_be32(out->data + 12, (uint32_t)packed);
    out->size = 16 + (size_t)packed;
    return NULL;
}

static const char *blosc(const um_chunk_filter *filter, const um_bytes *in, um_bytes *out)
{
    int size = blosc_compress_ctx(BLOSC_LEVEL, BLOSC_SHUFFLE, filter->values[2], in->size, in->data,
                                  out->data, out->capacity, "lz4", 0, 1);
    out->size = size > 0 ? (size_t)size : 0;
    return size > 0 ? NULL : "it cannot be compressed";
}

static const char *bitshuffle(const um_chunk_filter *filter, const um_bytes *in, um_bytes *out)
{
    size_t width = filter->values[2];
    size_t block = SHUFFLE_BLOCK_BYTES / width / 8 * 8;
    size_t count = in->size / width;
    unsigned char scratch[SHUFFLE_BLOCK_BYTES];
    put_be64(out->data, in->size);
    put_be32(out->data + 8, (uint32_t)(block * width));
    size_t at = 12;
    size_t done = 0;
    while (count - done >= 8) {
        size_t n = count - done < block ? (count - done) / 8 * 8 : block;
        um_bit_shuffle(in->data + done * width, scratch, n, width);
        int packed = LZ4_compress_default((const char *)scratch, (char *)out->data + at + 4,
                                          (int)(n * width), LZ4_COMPRESSBOUND(SHUFFLE_BLOCK_BYTES));
        if (packed <= 0) {
            return "it cannot be compressed";
        }
        put_be32(out->data + at, (uint32_t)packed);
        at += 4 + (size_t)packed;
        done += n;
    }
    memcpy(out->data + at, in->data + done * width, in->size - done * width);
    out->size = at + in->size - done * width;
    return NULL;
}

static const char *apply(const um_chunk_filter *filter, const um_bytes *in, um_bytes *out)
{
    switch (filter->id) {
    case UM_FILTER_SHUFFLE:
        return shuffle(filter, in, out);
    case UM_FILTER_DEFLATE:
        return deflate(in, out);
    case UM_FILTER_LZ4:
        return lz4(in, out);
    case UM_FILTER_BLOSC:
        return blosc(filter, in, out);
    case UM_FILTER_BITSHUFFLE:
        return bitshuffle(filter, in, out);
    default:
        return "its filter is unknown";
    }
}

const char *um_chunk_encode(const um_chunk_pipeline *pipeline, um_bytes *data, um_bytes *other)
{
    for (int i = 0; i < pipeline->count; i++) {
        const char *wrong = apply(&pipeline->filters[i], data, other);
        if (wrong != NULL) {
            return wrong;
        }
        um_bytes swap = *data;
        *data = *other;
        *other = swap;
    }
    return NULL;
}
