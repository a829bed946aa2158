/* The NumPy array header, version 1 to 3: magic, length, and a Python dictionary of three keys. */
#include "io_internal.h"

#include <stdlib.h>
#include <string.h>

static const unsigned char MAGIC[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { MAX_HEADER = 1 << 20 };

typedef struct cursor {
    const char *at, *end;
} cursor;

bool um_npy_recognise(const void *bytes, size_t count)
{
    return count >= sizeof MAGIC && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
}

size_t um_npy_header_size(const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    if (!um_npy_recognise(bytes, count) || count < 12 || p[6] < 1 || p[6] > 3 || p[7] != 0) {
        return 0;
    }
    size_t length = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] == 1) {
        return 10 + length;
    }
    length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    return length <= MAX_HEADER ? 12 + length : 0;
}

static void skip_space(cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t')) {
        c->at++;
    }
}

static bool take(cursor *c, char wanted)
{
    skip_space(c);
    if (c->at < c->end && *c->at == wanted) {
        c->at++;
        return true;
    }
    return false;
}

static bool take_word(cursor *c, const char *word)
{
    size_t n = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) >= n && memcmp(c->at, word, n) == 0) {
        c->at += n;
        return true;
    }
    return false;
}

static bool take_text(cursor *c, char *text, size_t size)
{
    skip_space(c);
    if (c->at >= c->end || (*c->at != '\'' && *c->at != '"')) {
        return false;
    }
    char quote = *c->at++;
    size_t n = 0;
    while (c->at < c->end && *c->at != quote) {
        if (*c->at == '\\' || n + 1 >= size) {
            return false;
        }
        text[n++] = *c->at++;
    }
    text[n] = '\0';
    return take(c, quote);
}

static bool take_number(cursor *c, int64_t *out)
{
    int64_t value = 0;
    skip_space(c);
    const char *start = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
        if (__builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)(*c->at - '0'), &value)) {
            return false;
        }
        c->at++;
    }
    bool any = c->at > start;
    if (any && c->at < c->end && *c->at == 'L') { /* written by Python 2 */
        c->at++;
    }
    *out = value;
    return any;
}

static bool take_shape(cursor *c, um_npy_header *out)
{
    if (!take(c, '(')) {
        return false;
    }
    out->ndim = 0;
    while (!take(c, ')')) {
        if (out->ndim == 6 || !take_number(c, &out->shape[out->ndim])) {
            return false;
        }
        out->ndim++;
        if (!take(c, ',')) {
            return out->ndim > 1 && take(c, ')');
        }
    }
    return true;
}

/* "<u2": order, kind, bytes. Leaves width 0 for what no array of numbers is. */
static void parse_descr(const char *descr, um_npy_header *out)
{
    out->big_endian = descr[0] == '>' || (descr[0] == '=' && UM_HOST_BIG_ENDIAN);
    out->width = 0;
    if (descr[0] == '\0' || strchr("<>|=", descr[0]) == NULL || descr[1] == '\0' ||
        strchr("uifb", descr[1]) == NULL || strlen(descr) != 3 ||
        strchr("1248", descr[2]) == NULL) {
        return;
    }
    out->kind = descr[1];
    out->width = descr[2] - '0';
    if ((out->kind == 'f' && out->width < 2) || (out->kind == 'b' && out->width != 1)) {
        out->width = 0;
    }
}

static bool take_entry(cursor *c, um_npy_header *out, char descr[32], unsigned *seen)
{
    char key[32];
    unsigned bit = 0;
    bool good = false;
    if (!take_text(c, key, sizeof key) || !take(c, ':')) {
        return false;
    }
    if (strcmp(key, "descr") == 0) {
        bit = 1;
        good = take_text(c, descr, 32);
    } else if (strcmp(key, "fortran_order") == 0) {
        bit = 2;
        out->fortran = take_word(c, "True");
        good = out->fortran || take_word(c, "False");
    } else if (strcmp(key, "shape") == 0) {
        bit = 4;
        good = take_shape(c, out);
    }
    good = good && (*seen & bit) == 0;
    *seen |= bit;
    return good;
}

static bool take_dictionary(cursor *c, um_npy_header *out, char descr[32])
{
    unsigned seen = 0;
    if (!take(c, '{')) {
        return false;
    }
    while (!take(c, '}')) {
        if (!take_entry(c, out, descr, &seen)) {
            return false;
        }
        if (!take(c, ',')) {
            if (!take(c, '}')) {
                return false;
            }
            break;
        }
    }
    skip_space(c);
    return seen == 7 && c->at == c->end;
}

um_status um_npy_parse(um_context *ctx, const char *name, const void *bytes, size_t count,
                       um_npy_header *out)
{
    char descr[32] = "";
    *out = (um_npy_header){0};
    size_t size = um_npy_header_size(bytes, count);
    if (size == 0) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: is no NumPy array file of version 1 to 3", name);
    }
    if (size > count) {
        return um_fail(ctx, UM_ERROR_TRUNCATED,
                       "%s: ends inside its NumPy header of %zu bytes: copy the file again", name,
                       size);
    }
    size_t start = ((const unsigned char *)bytes)[6] == 1 ? 10 : 12;
    cursor c = {(const char *)bytes + start, (const char *)bytes + size};
    if (!take_dictionary(&c, out, descr)) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: its NumPy header is not a dictionary of descr, fortran_order and shape "
                       "(at most 6 dimensions)",
                       name);
    }
    parse_descr(descr, out);
    if (out->width == 0) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: elements are '%s': save integers of 8 to 32 bits, or real floats", name,
                       descr);
    }
    out->data_offset = (int64_t)size;
    out->data_size = (size_t)out->width;
    for (int i = 0; i < out->ndim; i++) {
        if (!um_mul_size(out->data_size, (size_t)out->shape[i], &out->data_size) ||
            out->data_size > (size_t)INT64_MAX / 2) {
            return um_fail(ctx, UM_ERROR_SHAPE, "%s: its NumPy shape is impossibly large", name);
        }
    }
    return UM_OK;
}

um_status um_npy_dtype(um_context *ctx, const char *name, const um_npy_header *header,
                       um_dtype *out)
{
    char text[4] = {header->kind == 'b' ? 'u' : header->kind, (char)('0' + header->width), '\0'};
    if (header->width == 8 && header->kind != 'f') {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: holds 64-bit integers: convert them with "
                       "a.astype('uint32') or 'float64' and save again",
                       name);
    }
    if (!um_dtype_parse(text, out)) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "%s: holds %s%d elements: convert them with a.astype('float32') and save "
                       "again",
                       name, header->kind == 'f' ? "float" : "integer", 8 * header->width);
    }
    return UM_OK;
}

void um_npy_descr(um_dtype dtype, char descr[8])
{
    int width = (int)um_dtype_size(dtype);
    char kind = um_dtype_is_integer(dtype) ? (um_dtype_name(dtype)[0] == 'u' ? 'u' : 'i') : 'f';
    char order = width == 1 ? '|' : UM_HOST_BIG_ENDIAN ? '>' : '<';
    snprintf(descr, 8, "%c%c%d", order, kind, width);
}

um_status um_npy_make_header(um_context *ctx, const char *descr, int ndim, const int64_t *shape,
                             char **bytes, size_t *count)
{
    char numbers[160] = "";
    size_t n = 0;
    for (int i = 0; i < ndim && n < sizeof numbers; i++) {
        n += (size_t)snprintf(numbers + n, sizeof numbers - n, "%s%lld", i > 0 ? ", " : "",
                              (long long)shape[i]);
    }
    char *text = um_format("{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }", descr,
                           numbers, ndim == 1 ? "," : "");
    size_t length = text != NULL ? strlen(text) : 0;
    size_t whole = (10 + length + 1 + 63) / 64 * 64;
    char *result = text != NULL ? malloc(whole) : NULL;
    if (result == NULL) {
        free(text);
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a NumPy header");
    }
    memset(result, ' ', whole);
    memcpy(result, MAGIC, sizeof MAGIC);
    result[6] = 1;
    result[7] = 0;
    result[8] = (char)((whole - 10) & 0xff);
    result[9] = (char)((whole - 10) >> 8);
    memcpy(result + 10, text, length);
    result[whole - 1] = '\n';
    free(text);
    *bytes = result;
    *count = whole;
    return UM_OK;
}
