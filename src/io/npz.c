/* A NumPy .npz: a zip archive of stored .npy members, with zip64 where a size or offset needs it. Times
 * are fixed, so the same arrays give the same bytes. */
#include "io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct member {
    char *name;
    uint32_t crc;
    uint64_t size, offset;
} member;

struct um_npz {
    um_context *ctx;
    char *path, *part;
    int fd;
    int64_t offset;
    member *members;
    size_t count, capacity;
    bool committed;
};

enum { VERSION_ZIP64 = 45, FLAG_UTF8 = 0x0800, DATE_1980 = 0x0021 };
static const uint64_t LIMIT32 = 0xffffffffu;

/* Little-endian fields into a buffer. */
typedef struct fields {
    unsigned char bytes[128];
    size_t size;
} fields;

static void put(fields *f, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        f->bytes[f->size++] = (unsigned char)(value >> (8 * i));
    }
}

static uint64_t clip32(uint64_t value)
{
    return value >= LIMIT32 ? LIMIT32 : value;
}

um_status um_npz_create(um_context *ctx, const char *path, bool overwrite, um_npz **out)
{
    *out = NULL;
    um_npz *npz = calloc(1, sizeof *npz);
    if (npz == NULL || (npz->path = um_strdup(path)) == NULL) {
        free(npz);
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to write it", path);
    }
    npz->ctx = ctx;
    npz->fd = -1;
    um_status status = um_part_begin(ctx, path, overwrite, &npz->part);
    if (status == UM_OK) {
        npz->fd = open(npz->part, O_WRONLY | O_CLOEXEC);
        if (npz->fd < 0) {
            status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", npz->part,
                             strerror(errno));
        }
    }
    if (status != UM_OK) {
        um_npz_free(npz);
        return status;
    }
    *out = npz;
    return UM_OK;
}

static um_status write_bytes(um_npz *npz, const void *bytes, size_t count)
{
    UM_TRY(um_pwrite_all(npz->ctx, npz->part, npz->fd, bytes, count, npz->offset));
    npz->offset += (int64_t)count;
    return UM_OK;
}

static um_status new_member(um_npz *npz, const char *name, member **out)
{
    for (size_t i = 0; i < npz->count; i++) {
        size_t length = strlen(npz->members[i].name) - strlen(".npy");
        if (strlen(name) == length && strncmp(npz->members[i].name, name, length) == 0) {
            return um_fail(npz->ctx, UM_ERROR_ARGUMENT, "%s: array '%s' was added before",
                           npz->path, name);
        }
    }
    if (npz->count == npz->capacity) {
        size_t capacity = 2 * npz->capacity + 16;
        member *grown = realloc(npz->members, capacity * sizeof *grown);
        if (grown == NULL) {
            return um_fail(npz->ctx, UM_ERROR_MEMORY, "%s: no memory to add an array", npz->path);
        }
        npz->members = grown;
        npz->capacity = capacity;
    }
    member *added = &npz->members[npz->count];
    *added = (member){.name = um_format("%s.npy", name), .offset = (uint64_t)npz->offset};
    if (added->name == NULL || strlen(added->name) > 0xffff) {
        free(added->name);
        return um_fail(npz->ctx, UM_ERROR_MEMORY, "%s: no memory to add an array", npz->path);
    }
    npz->count++;
    *out = added;
    return UM_OK;
}

static um_status write_local_header(um_npz *npz, const member *m)
{
    fields f = {0};
    bool big = m->size >= LIMIT32;
    put(&f, 0x04034b50, 4);
    put(&f, big ? VERSION_ZIP64 : 20, 2);
    put(&f, FLAG_UTF8, 2);
    put(&f, 0, 2); /* stored */
    put(&f, 0, 2);
    put(&f, DATE_1980, 2);
    put(&f, m->crc, 4);
    put(&f, clip32(m->size), 4);
    put(&f, clip32(m->size), 4);
    put(&f, strlen(m->name), 2);
    put(&f, big ? 20 : 0, 2);
    UM_TRY(write_bytes(npz, f.bytes, f.size));
    UM_TRY(write_bytes(npz, m->name, strlen(m->name)));
    if (!big) {
        return UM_OK;
    }
    f.size = 0;
    put(&f, 1, 2);
    put(&f, 16, 2);
    put(&f, m->size, 8);
    put(&f, m->size, 8);
    return write_bytes(npz, f.bytes, f.size);
}

static um_status add_member(um_npz *npz, const char *name, const char *descr, int width, int ndim,
                            const int64_t *shape, const void *data)
{
    char *header = NULL;
    size_t header_size = 0;
    size_t size = (size_t)width;
    member *m = NULL;
    if (ndim < 0 || ndim > 6) {
        return um_fail(npz->ctx, UM_ERROR_ARGUMENT, "%s: array '%s' has %d dimensions", npz->path,
                       name, ndim);
    }
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0 || !um_mul_size(size, (size_t)shape[i], &size) ||
            size > (size_t)INT64_MAX / 2) {
            return um_fail(npz->ctx, UM_ERROR_SHAPE, "%s: array '%s' is impossibly large",
                           npz->path, name);
        }
    }
    UM_TRY(new_member(npz, name, &m));
    UM_TRY(um_npy_make_header(npz->ctx, descr, ndim, shape, &header, &header_size));
    m->crc = libdeflate_crc32(libdeflate_crc32(0, header, header_size), data, size);
    m->size = header_size + size;
    um_status status = write_local_header(npz, m);
    if (status == UM_OK) {
        status = write_bytes(npz, header, header_size);
    }
    if (status == UM_OK && size > 0) {
        status = write_bytes(npz, data, size);
    }
    free(header);
    return status;
}

um_status um_npz_add(um_npz *npz, const char *name, um_dtype dtype, int ndim, const int64_t *shape,
                     const void *data)
{
    char descr[8];
    um_npy_descr(dtype, descr);
    return add_member(npz, name, descr, (int)um_dtype_size(dtype), ndim, shape, data);
}

um_status um_npz_add_bool(um_npz *npz, const char *name, int ndim, const int64_t *shape,
                          const uint8_t *data)
{
    return add_member(npz, name, "|b1", 1, ndim, shape, data);
}

um_status um_npz_add_int(um_npz *npz, const char *name, int64_t value)
{
    return add_member(npz, name, UM_HOST_BIG_ENDIAN ? ">i8" : "<i8", 8, 0, NULL, &value);
}

/* One code point of UTF-8; U+FFFD for what is none. */
static uint32_t next_code(const unsigned char **at)
{
    const unsigned char *p = *at;
    uint32_t first = *p++;
    int more = first < 0x80 ? 0 : first >> 5 == 6 ? 1 : first >> 4 == 14 ? 2 : first >> 3 == 30 ? 3 : -1;
    uint32_t code = more < 1 ? first : first & (0x3fu >> more);
    for (int i = 0; i < more; i++) {
        if (*p >> 6 != 2) {
            more = -1;
            break;
        }
        code = code << 6 | (*p++ & 0x3fu);
    }
    *at = p;
    bool valid = more >= 0 && code < 0x110000 && (code < 0xd800 || code > 0xdfff);
    return valid ? code : 0xfffd;
}

um_status um_npz_add_text(um_npz *npz, const char *name, const char *utf8)
{
    size_t length = strlen(utf8);
    uint32_t *codes = calloc(length + 1, sizeof *codes);
    if (codes == NULL) {
        return um_fail(npz->ctx, UM_ERROR_MEMORY, "%s: no memory for text '%s'", npz->path, name);
    }
    size_t count = 0;
    for (const unsigned char *p = (const unsigned char *)utf8; *p != '\0';) {
        codes[count++] = next_code(&p);
    }
    count = count > 0 ? count : 1; /* NumPy has no text of width 0 */
    char descr[32];
    snprintf(descr, sizeof descr, "%cU%zu", UM_HOST_BIG_ENDIAN ? '>' : '<', count);
    um_status status = count > INT32_MAX / 4
                           ? um_fail(npz->ctx, UM_ERROR_SHAPE, "%s: text '%s' is too long",
                                     npz->path, name)
                           : add_member(npz, name, descr, (int)(4 * count), 0, NULL, codes);
    free(codes);
    return status;
}

static um_status write_central(um_npz *npz, const member *m)
{
    fields f = {0};
    bool big_size = m->size >= LIMIT32;
    bool big_offset = m->offset >= LIMIT32;
    size_t extra = (big_size ? 16u : 0u) + (big_offset ? 8u : 0u);
    put(&f, 0x02014b50, 4);
    put(&f, 3 << 8 | (extra > 0 ? VERSION_ZIP64 : 20), 2); /* made on Unix */
    put(&f, extra > 0 ? VERSION_ZIP64 : 20, 2);
    put(&f, FLAG_UTF8, 2);
    put(&f, 0, 2);
    put(&f, 0, 2);
    put(&f, DATE_1980, 2);
    put(&f, m->crc, 4);
    put(&f, clip32(m->size), 4);
    put(&f, clip32(m->size), 4);
    put(&f, strlen(m->name), 2);
    put(&f, extra > 0 ? extra + 4 : 0, 2);
    put(&f, 0, 2); /* comment */
    put(&f, 0, 2); /* disk */
    put(&f, 0, 2); /* internal attributes */
    put(&f, (uint64_t)0100644 << 16, 4);
    put(&f, clip32(m->offset), 4);
    UM_TRY(write_bytes(npz, f.bytes, f.size));
    UM_TRY(write_bytes(npz, m->name, strlen(m->name)));
    if (extra == 0) {
        return UM_OK;
    }
    f.size = 0;
    put(&f, 1, 2);
    put(&f, extra, 2);
    if (big_size) {
        put(&f, m->size, 8);
        put(&f, m->size, 8);
    }
    if (big_offset) {
        put(&f, m->offset, 8);
    }
    return write_bytes(npz, f.bytes, f.size);
}

static um_status write_end(um_npz *npz, uint64_t start)
{
    fields f = {0};
    uint64_t end = (uint64_t)npz->offset;
    uint64_t size = end - start;
    bool big = start >= LIMIT32 || size >= LIMIT32 || npz->count >= 0xffff;
    if (big) {
        put(&f, 0x06064b50, 4);
        put(&f, 44, 8);
        put(&f, 3 << 8 | VERSION_ZIP64, 2);
        put(&f, VERSION_ZIP64, 2);
        put(&f, 0, 8); /* disks */
        put(&f, npz->count, 8);
        put(&f, npz->count, 8);
        put(&f, size, 8);
        put(&f, start, 8);
        put(&f, 0x07064b50, 4);
        put(&f, 0, 4);
        put(&f, end, 8);
        put(&f, 1, 4);
    }
    put(&f, 0x06054b50, 4);
    put(&f, 0, 4); /* disks */
    put(&f, big ? 0xffff : npz->count, 2);
    put(&f, big ? 0xffff : npz->count, 2);
    put(&f, clip32(size), 4);
    put(&f, clip32(start), 4);
    put(&f, 0, 2);
    return write_bytes(npz, f.bytes, f.size);
}

um_status um_npz_commit(um_npz *npz)
{
    uint64_t start = (uint64_t)npz->offset;
    for (size_t i = 0; i < npz->count; i++) {
        UM_TRY(write_central(npz, &npz->members[i]));
    }
    UM_TRY(write_end(npz, start));
    int result = close(npz->fd);
    npz->fd = -1;
    if (result != 0) {
        return um_fail(npz->ctx, UM_ERROR_IO, "%s: cannot be closed: %s", npz->part,
                       strerror(errno));
    }
    UM_TRY(um_part_commit(npz->ctx, npz->part, npz->path));
    npz->committed = true;
    return UM_OK;
}

void um_npz_free(um_npz *npz)
{
    if (npz == NULL) {
        return;
    }
    if (npz->fd >= 0) {
        close(npz->fd);
    }
    if (npz->part != NULL && !npz->committed) {
        unlink(npz->part);
    }
    for (size_t i = 0; i < npz->count; i++) {
        free(npz->members[i].name);
    }
    free(npz->members);
    free(npz->part);
    free(npz->path);
    free(npz);
}
