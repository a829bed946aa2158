/* The filters of HDF5 chunks, undone in the calling thread without the HDF5 library. */
#include "chunk_internal.h"

#include <blosc.h>
#include <libdeflate.h>
#include <lz4.h>
#include <string.h>
#include <zstd.h>

enum { MAX_WIDTH = 64 };

size_t um_chunk_capacity(size_t bytes)
{
    return bytes + bytes / 8 + 4096;
}

/* ---- small helpers -------------------------------------------------------------------------- */

uint32_t um_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

uint64_t um_be64(const unsigned char *p)
{
    return (uint64_t)um_be32(p) << 32 | um_be32(p + 4);
}

/* ---- byte shuffle --------------------------------------------------------------------------- */

/* The width as a constant gives loops that compilers vectorise. */
#define UNSHUFFLE(width)                                                                            \
    for (size_t i = 0; i < count; i++) {                                                            \
        for (size_t b = 0; b < (width); b++) {                                                      \
            dst[i * (width) + b] = src[b * count + i];                                              \
        }                                                                                           \
    }

static void unshuffle(const unsigned char *restrict src, unsigned char *restrict dst, size_t size,
                      size_t width)
{
    size_t count = size / width;
    if (width == 2) {
        UNSHUFFLE(2)
    } else if (width == 4) {
        UNSHUFFLE(4)
    } else if (width == 8) {
        UNSHUFFLE(8)
    } else {
        UNSHUFFLE(width)
    }
    memcpy(dst + count * width, src + count * width, size - count * width);
}

static const char *undo_shuffle(const um_chunk_filter *filter, const um_bytes *in, um_bytes *out)
{
    size_t width = filter->value_count > 0 ? filter->values[0] : 1;
    if (width == 0 || width > MAX_WIDTH || in->size > out->capacity) {
        return "its shuffle filter is damaged";
    }
    unshuffle(in->data, out->data, in->size, width);
    out->size = in->size;
    return NULL;
}

/* ---- checksum ------------------------------------------------------------------------------- */

/* Fletcher's sum over big-endian 16-bit words, as HDF5 computes it. */
static uint32_t fletcher32(const unsigned char *data, size_t size)
{
    uint32_t a = 0;
    uint32_t b = 0;
    size_t words = size / 2;
    while (words > 0) {
        size_t run = words < 360 ? words : 360; /* as many as cannot overflow 32 bits */
        words -= run;
        for (; run > 0; run--, data += 2) {
            a += (uint32_t)data[0] << 8 | data[1];
            b += a;
        }
        a = (a & 0xffff) + (a >> 16);
        b = (b & 0xffff) + (b >> 16);
    }
    if (size % 2 != 0) {
        a += (uint32_t)*data << 8;
        b += a;
        a = (a & 0xffff) + (a >> 16);
        b = (b & 0xffff) + (b >> 16);
    }
    a = (a & 0xffff) + (a >> 16);
    b = (b & 0xffff) + (b >> 16);
    return b << 16 | a;
}

static const char *undo_fletcher32(um_bytes *in)
{
    if (in->size < 4) {
        return "its checksum is missing";
    }
    size_t size = in->size - 4;
    const unsigned char *end = in->data + size;
    uint32_t stored = (uint32_t)end[3] << 24 | (uint32_t)end[2] << 16 | (uint32_t)end[1] << 8 | end[0];
    uint32_t sum = fletcher32(in->data, size);
    /* Files of HDF5 1.6.2 and earlier have the bytes of each half swapped. */
    uint32_t swapped = (sum & 0x00ff00ffu) << 8 | (sum & 0xff00ff00u) >> 8;
    if (stored != sum && stored != swapped) {
        return "its checksum is wrong: the file is damaged";
    }
    in->size = size;
    return NULL;
}

/* ---- compressors ---------------------------------------------------------------------------- */

static const char *undo_deflate(const um_bytes *in, um_bytes *out)
{
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (d == NULL) {
        return "no memory to decompress it";
    }
    enum libdeflate_result result = libdeflate_zlib_decompress(d, in->data, in->size, out->data,
                                                               out->capacity, &out->size);
    libdeflate_free_decompressor(d);
    return result == LIBDEFLATE_SUCCESS ? NULL : "its gzip data are damaged";
}

static const char *undo_zstd(const um_bytes *in, um_bytes *out)
{
    out->size = ZSTD_decompress(out->data, out->capacity, in->data, in->size);
    return ZSTD_isError(out->size) ? "its zstd data are damaged" : NULL;
}

static const char *undo_blosc(const um_bytes *in, um_bytes *out)
{
    size_t size = 0;
    if (blosc_cbuffer_validate(in->data, in->size, &size) < 0 || size > out->capacity) {
        return "its blosc data are damaged";
    }
    int done = blosc_decompress_ctx(in->data, out->data, out->capacity, 1);
    if (done < 0 || (size_t)done != size) {
        return "its blosc data are damaged";
    }
    out->size = size;
    return NULL;
}

/* u64 total, u32 block, then per block u32 size and LZ4 data (or the bytes as they are). */
static const char *undo_lz4(const um_bytes *in, um_bytes *out)
{
    static const char damaged[] = "its LZ4 data are damaged";
    if (in->size < 12) {
        return damaged;
    }
    uint64_t total = um_be64(in->data);
    size_t block = um_be32(in->data + 8);
    if (total > out->capacity || (block == 0 && total > 0)) {
        return damaged;
    }
    size_t at = 12;
    for (size_t done = 0; done < total;) {
        size_t want = total - done < block ? (size_t)total - done : block;
        if (in->size - at < 4) {
            return damaged;
        }
        size_t packed = um_be32(in->data + at);
        at += 4;
        if (packed > in->size - at || packed > INT32_MAX || want > INT32_MAX) {
            return damaged;
        }
        if (packed == want) {
            memcpy(out->data + done, in->data + at, want);
        } else if (LZ4_decompress_safe((const char *)in->data + at, (char *)out->data + done,
                                       (int)packed, (int)want) != (int)want) {
            return damaged;
        }
        at += packed;
        done += want;
    }
    out->size = (size_t)total;
    return NULL;
}

/* LibLZF, h5py's own fast filter: a control byte below 32 is a literal run, else a back reference. */
static const char *undo_lzf(const um_bytes *in, um_bytes *out)
{
    static const char damaged[] = "its LZF data are damaged";
    const unsigned char *p = in->data;
    const unsigned char *end = p + in->size;
    size_t done = 0;
    while (p < end) {
        size_t control = *p++;
        if (control < 32) {
            size_t run = control + 1;
            if (run > (size_t)(end - p) || run > out->capacity - done) {
                return damaged;
            }
            memcpy(out->data + done, p, run);
            p += run;
            done += run;
            continue;
        }
        size_t run = control >> 5;
        if (run == 7) {
            if (p == end) {
                return damaged;
            }
            run += *p++;
        }
        run += 2;
        if (p == end) {
            return damaged;
        }
        size_t back = ((control & 31) << 8 | *p++) + 1;
        if (back > done || run > out->capacity - done) {
            return damaged;
        }
        for (size_t i = 0; i < run; i++, done++) {
            out->data[done] = out->data[done - back];
        }
    }
    out->size = done;
    return NULL;
}

/* ---- bitshuffle ----------------------------------------------------------------------------- */

static size_t default_block(size_t width)
{
    size_t block = 8192 / width / 8 * 8;
    return block > 128 ? block : 128;
}

typedef struct packed_blocks {
    const unsigned char *data;
    size_t size, at;
    unsigned method; /* 0 none, 2 LZ4, 3 zstd */
} packed_blocks;

/* The next `want` bytes of transposed elements, unpacked into scratch where they are packed. */
static const unsigned char *next_block(packed_blocks *in, size_t want, unsigned char *scratch)
{
    const unsigned char *from = in->data + in->at;
    size_t left = in->size - in->at;
    if (in->method == 0) {
        in->at += want;
        return want <= left ? from : NULL;
    }
    if (left < 4) {
        return NULL;
    }
    size_t packed = um_be32(from);
    from += 4;
    left -= 4;
    if (packed > left || packed > INT32_MAX) {
        return NULL;
    }
    in->at += 4 + packed;
    bool ok = in->method == 2
                  ? LZ4_decompress_safe((const char *)from, (char *)scratch, (int)packed,
                                        (int)want) == (int)want
                  : ZSTD_decompress(scratch, want, from, packed) == want;
    return ok ? scratch : NULL;
}

static const char *undo_bitshuffle(const um_chunk_filter *filter, const um_bytes *in, um_bytes *out)
{
    static const char damaged[] = "its bitshuffle data are damaged";
    const unsigned *v = filter->values;
    size_t width = filter->value_count > 2 ? v[2] : 0;
    size_t block = filter->value_count > 3 ? v[3] : 0;
    packed_blocks blocks = {in->data, in->size, 0, filter->value_count > 4 ? v[4] : 0};
    if (width == 0 || width > MAX_WIDTH ||
        (blocks.method != 0 && blocks.method != 2 && blocks.method != 3)) {
        return "its bitshuffle filter is of a kind that unmix does not know";
    }
    size_t total = in->size;
    if (blocks.method != 0) {
        if (in->size < 12 || um_be64(in->data) > out->capacity) {
            return damaged;
        }
        total = (size_t)um_be64(in->data);
        block = um_be32(in->data + 8) / width;
        blocks.at = 12;
    }
    block = block > 0 ? block : default_block(width);
    if (block % 8 != 0 || block * width > UM_CHUNK_BLOCK_BYTES || total > out->capacity) {
        return damaged;
    }
    size_t count = total / width;
    unsigned char scratch[UM_CHUNK_BLOCK_BYTES];
    size_t done = 0;
    while (count - done >= 8) {
        size_t n = count - done < block ? (count - done) / 8 * 8 : block;
        const unsigned char *from = next_block(&blocks, n * width, scratch);
        if (from == NULL) {
            return damaged;
        }
        um_bit_unshuffle(from, out->data + done * width, n, width);
        done += n;
    }
    size_t rest = total - done * width; /* elements that fill no byte lie as they are */
    if (rest > in->size - blocks.at) {
        return damaged;
    }
    memcpy(out->data + done * width, in->data + blocks.at, rest);
    out->size = total;
    return NULL;
}

/* ---- the pipeline --------------------------------------------------------------------------- */

bool um_chunk_filter_known(int id)
{
    switch (id) {
    case UM_FILTER_DEFLATE:
    case UM_FILTER_SHUFFLE:
    case UM_FILTER_FLETCHER32:
    case UM_FILTER_LZF:
    case UM_FILTER_BLOSC:
    case UM_FILTER_LZ4:
    case UM_FILTER_BITSHUFFLE:
    case UM_FILTER_ZSTD:
        return true;
    default:
        return false;
    }
}

static const char *undo(const um_chunk_filter *filter, um_bytes *in, um_bytes *out)
{
    switch (filter->id) {
    case UM_FILTER_DEFLATE:
        return undo_deflate(in, out);
    case UM_FILTER_SHUFFLE:
        return undo_shuffle(filter, in, out);
    case UM_FILTER_LZF:
        return undo_lzf(in, out);
    case UM_FILTER_BLOSC:
        return undo_blosc(in, out);
    case UM_FILTER_LZ4:
        return undo_lz4(in, out);
    case UM_FILTER_BITSHUFFLE:
        return undo_bitshuffle(filter, in, out);
    case UM_FILTER_ZSTD:
        return undo_zstd(in, out);
    default:
        return "its filter is unknown";
    }
}

/* Not applied to this chunk, or changes nothing: bytes are often stored with a shuffle of bytes. */
static bool is_skipped(const um_chunk_filter *filter, unsigned mask, int i)
{
    return (mask >> i & 1) != 0 ||
           (filter->id == UM_FILTER_SHUFFLE && (filter->value_count == 0 || filter->values[0] == 1));
}

/* The filter that is undone last and gives the values; -1 if none does more than check. */
static int last_to_undo(const um_chunk_pipeline *pipeline, unsigned mask)
{
    for (int i = 0; i < pipeline->count; i++) {
        if (!is_skipped(&pipeline->filters[i], mask, i)) { /* under a checksum lie more bytes than the values */
            return pipeline->filters[i].id != UM_FILTER_FLETCHER32 ? i : -1;
        }
    }
    return -1;
}

const char *um_chunk_decode(const um_chunk_pipeline *pipeline, unsigned mask, um_bytes *data,
                            um_bytes *other, size_t wanted, void *into)
{
    static const char short_or_long[] = "it does not hold as many values as it should";
    int last = into != NULL ? last_to_undo(pipeline, mask) : -1;
    um_bytes end = {into, 0, wanted};
    const um_bytes *result = data;
    for (int i = pipeline->count - 1; i >= 0; i--) {
        const um_chunk_filter *filter = &pipeline->filters[i];
        if (is_skipped(filter, mask, i)) {
            continue;
        }
        if (filter->id == UM_FILTER_FLETCHER32) {
            const char *wrong = undo_fletcher32(data);
            if (wrong != NULL) {
                return wrong;
            }
            continue;
        }
        const char *wrong = undo(filter, data, i == last ? &end : other);
        if (wrong != NULL) {
            return wrong;
        }
        if (i == last) {
            result = &end;
            continue;
        }
        um_bytes swap = *data;
        *data = *other;
        *other = swap;
    }
    if (result->size != wanted) {
        return short_or_long;
    }
    if (into != NULL && result == data) {
        memcpy(into, data->data, wanted);
    }
    return NULL;
}
