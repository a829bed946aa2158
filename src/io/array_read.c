/* um_array_read: whole arrays from the formats people keep masks and truths in. */
#include "io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zip.h>

um_status um_array_make(um_context *ctx, const char *name, um_dtype dtype, int ndim,
                        const int64_t *shape, um_array **out)
{
    size_t bytes = um_dtype_size(dtype);
    *out = NULL;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0 || !um_mul_size(bytes, (size_t)shape[i], &bytes)) {
            bytes = SIZE_MAX;
            break;
        }
    }
    if (bytes > UM_ARRAY_LIMIT) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: is above 1 GiB: an array that is read whole must be smaller", name);
    }
    UM_TRY(um_budget_require(ctx, bytes, name));
    um_array *array = calloc(1, sizeof *array);
    if (array != NULL) {
        array->data = calloc(bytes > 0 ? bytes : 1, 1);
    }
    if (array == NULL || array->data == NULL) {
        free(array);
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to read it", name);
    }
    array->dtype = dtype;
    array->ndim = ndim;
    for (int i = 0; i < ndim; i++) {
        array->shape[i] = shape[i];
    }
    *out = array;
    return UM_OK;
}

/* ---- what a npy header describes, from any stream of bytes ---------------------------------- */

/* 64-bit integers become f64, which holds them exactly below 2^53: labels and sizes always are. */
static um_status widen_integers(um_context *ctx, const char *name, um_array *array, bool is_signed)
{
    int64_t count = um_array_size(array);
    double *values = array->data;
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        int64_t number = (int64_t)bits;
        bool fits = is_signed ? number >= -(INT64_C(1) << 53) && number <= INT64_C(1) << 53
                              : bits <= UINT64_C(1) << 53;
        if (!fits) {
            return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                           "%s: holds a 64-bit integer above 2^53: save a.astype('float64')", name);
        }
        values[i] = is_signed ? (double)number : (double)bits;
    }
    return UM_OK;
}

static um_status fortran_to_c(um_context *ctx, const char *name, um_array *array)
{
    size_t width = um_dtype_size(array->dtype);
    int64_t count = um_array_size(array);
    unsigned char *data = array->data;
    UM_TRY(um_budget_require(ctx, (size_t)count * width, name));
    unsigned char *sorted = calloc(count > 0 ? (size_t)count : 1, width);
    if (sorted == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to reorder it", name);
    }
    for (int64_t i = 0; i < count; i++) { /* i counts in Fortran order: the first index runs fastest */
        int64_t rest = i;
        int64_t index[6];
        int64_t to = 0;
        for (int d = 0; d < array->ndim; d++) {
            index[d] = rest % array->shape[d];
            rest /= array->shape[d];
        }
        for (int d = 0; d < array->ndim; d++) {
            to = to * array->shape[d] + index[d];
        }
        memcpy(sorted + (size_t)to * width, data + (size_t)i * width, width);
    }
    free(data);
    array->data = sorted;
    return UM_OK;
}

static um_status array_for_header(um_context *ctx, const char *name, const um_npy_header *header,
                                  um_array **out)
{
    um_dtype dtype = UM_F64;
    if (header->width < 8 || header->kind == 'f') {
        UM_TRY(um_npy_dtype(ctx, name, header, &dtype));
    }
    return um_array_make(ctx, name, dtype, header->ndim, header->shape, out);
}

/* Turns the bytes as stored into a native C-order array. */
static um_status settle_array(um_context *ctx, const char *name, const um_npy_header *header,
                              um_array *array)
{
    int64_t count = um_array_size(array);
    if (header->big_endian != UM_HOST_BIG_ENDIAN) {
        um_swap_bytes(array->data, (size_t)count, (size_t)header->width);
    }
    if (header->width == 8 && header->kind != 'f') {
        UM_TRY(widen_integers(ctx, name, array, header->kind == 'i'));
    }
    if (header->fortran && header->ndim > 1) {
        UM_TRY(fortran_to_c(ctx, name, array));
    }
    return UM_OK;
}

/* Bytes of a file or of a zip member; exactly one of fd and member is in use. */
typedef struct stream {
    um_context *ctx;
    const char *name;
    int fd;
    int64_t at, size;
    zip_file_t *member;
} stream;

static um_status stream_read(stream *s, void *dst, size_t count)
{
    if (count > (size_t)(s->size - s->at)) {
        return um_fail(s->ctx, UM_ERROR_TRUNCATED,
                       "%s: ends after %lld bytes, before its data: copy the file again", s->name,
                       (long long)s->size);
    }
    unsigned char *p = dst;
    if (s->member == NULL) {
        UM_TRY(um_pread_all(s->ctx, s->name, s->fd, dst, count, s->at));
    }
    for (size_t done = 0; s->member != NULL && done < count;) {
        zip_int64_t n = zip_fread(s->member, p + done, count - done);
        if (n <= 0) {
            return um_fail(s->ctx, UM_ERROR_FORMAT, "%s: cannot be unpacked: %s", s->name,
                           zip_file_strerror(s->member));
        }
        done += (size_t)n;
    }
    s->at += (int64_t)count;
    return UM_OK;
}

static um_status read_npy_header(stream *s, um_npy_header *header)
{
    unsigned char first[12];
    UM_TRY(stream_read(s, first, sizeof first));
    size_t size = um_npy_header_size(first, sizeof first);
    if (size < sizeof first) {
        return um_npy_parse(s->ctx, s->name, first, sizeof first, header);
    }
    unsigned char *bytes = malloc(size);
    if (bytes == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "%s: no memory for its header", s->name);
    }
    memcpy(bytes, first, sizeof first);
    um_status status = stream_read(s, bytes + sizeof first, size - sizeof first);
    if (status == UM_OK) {
        status = um_npy_parse(s->ctx, s->name, bytes, size, header);
    }
    free(bytes);
    return status;
}

static um_status read_npy_stream(stream *s, um_array **out)
{
    um_npy_header header;
    um_array *array = NULL;
    UM_TRY(read_npy_header(s, &header));
    if (header.data_size > (size_t)(s->size - s->at)) {
        return um_fail(s->ctx, UM_ERROR_TRUNCATED,
                       "%s: its header promises %zu bytes of data but %lld follow", s->name,
                       header.data_size, (long long)(s->size - s->at));
    }
    UM_TRY(array_for_header(s->ctx, s->name, &header, &array));
    um_status status = stream_read(s, array->data, header.data_size);
    if (status == UM_OK) {
        status = settle_array(s->ctx, s->name, &header, array);
    }
    if (status != UM_OK) {
        um_array_free(array);
        return status;
    }
    *out = array;
    return UM_OK;
}

static um_status read_npy_file(um_context *ctx, const char *path, int64_t size, um_array **out)
{
    stream s = {.ctx = ctx, .name = path, .size = size, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    if (s.fd < 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    um_status status = read_npy_stream(&s, out);
    close(s.fd);
    return status;
}

/* ---- npz ------------------------------------------------------------------------------------ */

static void list_members(zip_t *archive, char *text, size_t size)
{
    size_t n = 0;
    zip_int64_t count = zip_get_num_entries(archive, 0);
    text[0] = '\0';
    for (zip_int64_t i = 0; i < count && n + 1 < size; i++) {
        const char *name = zip_get_name(archive, (zip_uint64_t)i, 0);
        if (name != NULL) {
            int length = (int)strlen(name);
            length -= um_has_suffix(name, ".npy") ? 4 : 0;
            n += (size_t)snprintf(text + n, size - n, "%s%.*s", n > 0 ? ", " : "", length, name);
        }
    }
    for (char *p = text; *p != '\0'; p++) {
        *p = (unsigned char)*p < ' ' ? '?' : *p;
    }
}

static um_status find_member(um_context *ctx, const char *path, const char *wanted, zip_t *archive,
                             zip_stat_t *found)
{
    char names[200];
    char *file = um_format("%s.npy", wanted != NULL ? wanted : "");
    if (file == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to read it", path);
    }
    zip_int64_t index = -1;
    if (wanted != NULL) {
        index = zip_name_locate(archive, file, 0);
        index = index >= 0 ? index : zip_name_locate(archive, wanted, 0);
    } else if (zip_get_num_entries(archive, 0) == 1) {
        index = 0;
    }
    free(file);
    if (index < 0) {
        list_members(archive, names, sizeof names);
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: %s%s: name one of its arrays as FILE:NAME: %s",
                       path, wanted != NULL ? "has no array " : "holds several arrays",
                       wanted != NULL ? wanted : "", names);
    }
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE;
    if (zip_stat_index(archive, (zip_uint64_t)index, 0, found) != 0 ||
        (found->valid & needed) != needed || found->size > INT64_MAX ||
        found->size / 1100 > found->comp_size + 64) { /* deflate never packs tighter */
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: an entry of the archive is damaged", path);
    }
    found->index = (zip_uint64_t)index;
    return UM_OK;
}

static um_status read_member(um_context *ctx, const char *spec, const char *path,
                             const char *wanted, zip_t *archive, um_array **out)
{
    zip_stat_t found;
    UM_TRY(find_member(ctx, path, wanted, archive, &found));
    stream s = {.ctx = ctx, .name = spec, .size = (int64_t)found.size, .fd = -1};
    s.member = zip_fopen_index(archive, found.index, 0);
    if (s.member == NULL) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: cannot be unpacked: %s", spec,
                       zip_strerror(archive));
    }
    um_status status = read_npy_stream(&s, out);
    zip_fclose(s.member);
    return status;
}

static um_status read_npz(um_context *ctx, const char *spec, const char *path, const char *wanted,
                          um_array **out)
{
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_RDONLY, &code);
    if (archive == NULL) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        um_status status = um_fail(ctx, UM_ERROR_FORMAT, "%s: cannot be read as .npz: %s", path,
                                   zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    um_status status = read_member(ctx, spec, path, wanted, archive, out);
    zip_discard(archive);
    return status;
}

/* ---- scans ---------------------------------------------------------------------------------- */

/* The dimensions that um_source_open added are taken away again. */
static um_status read_scan(um_context *ctx, const char *spec, um_array **out)
{
    um_source *source = NULL;
    um_array *array = NULL;
    UM_TRY(um_source_open(ctx, spec, NULL, &source));
    const um_source_info *info = um_source_get_info(source);
    um_shape s = info->shape;
    const int64_t four[4] = {s.ny, s.nx, s.ky, s.kx};
    const int64_t two[2] = {s.nx, s.kx};
    um_status status = s.ny == 1 && s.ky == 1
                           ? um_array_make(ctx, spec, info->dtype, 2, two, &array)
                       : s.ny == 1 ? um_array_make(ctx, spec, info->dtype, 3, four + 1, &array)
                                   : um_array_make(ctx, spec, info->dtype, 4, four, &array);
    if (status == UM_OK) {
        status = um_source_read(source, (um_rect){0, 0, s.ny, s.nx}, array->data);
    }
    um_source_free(source);
    if (status != UM_OK) {
        um_array_free(array);
        return status;
    }
    *out = array;
    return UM_OK;
}

static bool starts_with(const unsigned char *head, const char *magic, size_t size)
{
    return memcmp(head, magic, size) == 0;
}

static um_status read_file(um_context *ctx, const char *spec, const char *path, const char *part,
                           um_array **out)
{
    unsigned char head[8] = {0};
    struct stat status;
    if (stat(path, &status) != 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    if (!S_ISREG(status.st_mode) || status.st_size < 8) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: is empty or no file", path);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    }
    um_status result = um_pread_all(ctx, path, fd, head, sizeof head, 0);
    close(fd);
    UM_TRY(result);
    if (um_npy_recognise(head, sizeof head)) {
        return read_npy_file(ctx, path, status.st_size, out);
    }
    if (starts_with(head, "PK\3\4", 4)) {
        return read_npz(ctx, spec, path, part, out);
    }
    if (starts_with(head, "\x89PNG\r\n\x1a\n", 8)) {
        return um_png_read(ctx, path, out);
    }
    if (starts_with(head, "II*\0", 4) || starts_with(head, "MM\0*", 4) ||
        starts_with(head, "II+\0", 4) || starts_with(head, "MM\0+", 4)) {
        return um_tiff_read(ctx, path, out);
    }
    return read_scan(ctx, spec, out);
}

um_status um_array_read(um_context *ctx, const char *spec, um_array **out)
{
    char *path = NULL;
    const char *part = NULL;
    *out = NULL;
    um_status status = um_path_split(ctx, spec, &path, &part);
    if (status == UM_OK) {
        status = read_file(ctx, spec, path, part, out);
    }
    free(path);
    return status;
}
