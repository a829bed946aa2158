/* Attributes, small datasets and groups of an HDF5 file as text, numbers and JSON. */
#include "hdf5_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What metadata may cost: a file can hold any tree, also one that contains itself. */
enum {
    MAX_DEPTH = 12,
    MAX_ITEMS = 4000,
    MAX_TEXT = 1 << 12,
    LONG_TEXT = 1 << 24,
    MAX_NUMBERS = 64,
    MAX_NAME = 256
};

bool um_h5_exists(hid_t location, const char *path)
{
    hid_t object = H5Oopen(location, path, H5P_DEFAULT);
    if (object < 0) {
        return false;
    }
    H5Oclose(object);
    return true;
}

/* ---- text ----------------------------------------------------------------------------------- */

static bool is_utf8(const char *text, size_t n)
{
    json_t *probe = json_stringn(text, n);
    json_decref(probe);
    return probe != NULL;
}

void um_h5_copy_text(char *dst, size_t size, const char *text)
{
    size_t n = strnlen(text, size);
    if (n == size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80) {
            n--; /* a cut must not leave half a character */
        }
    }
    memcpy(dst, text, n);
    dst[n] = '\0';
}

/* Copies n bytes as UTF-8; bytes that are not UTF-8 are taken as Latin-1. malloc'ed. */
static char *utf8_text(const char *bytes, size_t n)
{
    bool utf8 = is_utf8(bytes, n);
    char *text = malloc(2 * n + 1);
    if (text == NULL) {
        return NULL;
    }
    size_t out = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (utf8 || c < 0x80) {
            text[out++] = (char)c;
        } else {
            text[out++] = (char)(0xC0 | c >> 6);
            text[out++] = (char)(0x80 | (c & 0x3F));
        }
    }
    text[out] = '\0';
    return text;
}

/* An attribute or a dataset: what holds a value. */
typedef struct holder {
    hid_t id;
    bool attribute;
} holder;

static hid_t holder_type(holder h)
{
    return h.attribute ? H5Aget_type(h.id) : H5Dget_type(h.id);
}

static hid_t holder_space(holder h)
{
    return h.attribute ? H5Aget_space(h.id) : H5Dget_space(h.id);
}

static bool holder_read(holder h, hid_t type, void *dst)
{
    if (h.attribute) {
        return H5Aread(h.id, type, dst) >= 0;
    }
    return um_h5_chunks_sound(h.id, UM_H5_SMALL_CHUNK, UM_H5_FEW_CHUNKS) &&
           H5Dread(h.id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, dst) >= 0;
}

/* Elements of a simple or scalar space; 0 for a null one, -1 when it cannot be told. */
static hssize_t holder_count(holder h)
{
    hid_t space = holder_space(h);
    if (space < 0) {
        return -1;
    }
    hssize_t count = H5Sget_simple_extent_type(space) == H5S_NULL
                         ? 0
                         : H5Sget_simple_extent_npoints(space);
    H5Sclose(space);
    return count;
}

static char *trimmed(const char *bytes, size_t limit)
{
    size_t n = strnlen(bytes, limit);
    while (n > 0 && bytes[n - 1] == ' ') {
        n--;
    }
    return utf8_text(bytes, n);
}

/* `count` strings of at most `limit` bytes, each malloc'ed; false when they cannot be read. */
static bool read_strings(holder h, hid_t type, size_t count, size_t limit, char **texts)
{
    if (H5Tis_variable_str(type) > 0) {
        char **raw = calloc(count, sizeof *raw);
        bool ok = raw != NULL && holder_read(h, type, raw);
        for (size_t i = 0; ok && i < count; i++) {
            texts[i] = trimmed(raw[i] != NULL ? raw[i] : "", limit);
        }
        if (ok) {
            hid_t space = holder_space(h);
            H5Dvlen_reclaim(type, space, H5P_DEFAULT, raw);
            H5Sclose(space);
        }
        free(raw);
        return ok;
    }
    size_t width = H5Tget_size(type);
    if (width == 0 || width > limit || count > limit / width + MAX_NUMBERS) {
        return false;
    }
    char *raw = calloc(count, width);
    bool ok = raw != NULL && holder_read(h, type, raw);
    for (size_t i = 0; ok && i < count; i++) {
        texts[i] = trimmed(raw + i * width, width);
    }
    free(raw);
    return ok;
}

static bool read_number(holder h, double *out)
{
    hid_t type = holder_type(h);
    if (type < 0) {
        return false;
    }
    bool ok = false;
    if (holder_count(h) == 1) {
        H5T_class_t class = H5Tget_class(type);
        if (class == H5T_INTEGER || class == H5T_FLOAT) {
            ok = holder_read(h, H5T_NATIVE_DOUBLE, out);
        } else if (class == H5T_ENUM && H5Tget_size(type) <= 8) {
            hid_t base = H5Tget_super(type);
            int64_t value = 0;
            /* An enum does not convert to a number; its own type does not change its bytes. */
            unsigned char raw[8] = {0};
            if (base >= 0 && holder_read(h, type, raw) &&
                H5Tconvert(base, H5T_NATIVE_INT64, 1, raw, NULL, H5P_DEFAULT) >= 0) {
                memcpy(&value, raw, sizeof value);
                *out = (double)value;
                ok = true;
            }
            H5Tclose(base);
        } else if (class == H5T_STRING) {
            char *text = NULL;
            if (read_strings(h, type, 1, MAX_TEXT, &text) && text != NULL) {
                char *end = NULL;
                *out = strtod(text, &end);
                ok = end != text && *end == '\0';
            }
            free(text);
        }
    }
    H5Tclose(type);
    return ok;
}

static bool read_text(holder h, char *dst, size_t size)
{
    dst[0] = '\0';
    hid_t type = holder_type(h);
    if (type < 0) {
        return false;
    }
    bool ok = false;
    if (holder_count(h) == 1) {
        if (H5Tget_class(type) == H5T_STRING) {
            char *text = NULL;
            ok = read_strings(h, type, 1, MAX_TEXT, &text) && text != NULL &&
                 strcmp(text, "_None_") != 0;
            if (ok) {
                um_h5_copy_text(dst, size, text);
            }
            free(text);
        } else {
            double value = 0;
            ok = read_number(h, &value);
            if (ok) {
                snprintf(dst, size, "%.15g", value);
            }
        }
    }
    H5Tclose(type);
    return ok;
}

static bool open_attribute(hid_t object, const char *name, holder *out)
{
    out->attribute = true;
    out->id = H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : -1;
    return out->id >= 0;
}

static bool open_dataset(hid_t group, const char *name, holder *out)
{
    out->attribute = false;
    out->id = um_h5_exists(group, name) ? H5Dopen2(group, name, H5P_DEFAULT) : -1;
    return out->id >= 0;
}

bool um_h5_attr_text(hid_t object, const char *name, char *dst, size_t size)
{
    holder h;
    dst[0] = '\0';
    bool ok = open_attribute(object, name, &h) && read_text(h, dst, size);
    if (h.id >= 0) {
        H5Aclose(h.id);
    }
    return ok;
}

char *um_h5_attr_long_text(hid_t object, const char *name)
{
    holder h;
    char *text = NULL;
    if (open_attribute(object, name, &h)) {
        hid_t type = holder_type(h);
        if (holder_count(h) == 1 && H5Tget_class(type) == H5T_STRING &&
            !read_strings(h, type, 1, LONG_TEXT, &text)) {
            text = NULL;
        }
        H5Tclose(type);
        H5Aclose(h.id);
    }
    return text;
}

bool um_h5_attr_number(hid_t object, const char *name, double *out)
{
    holder h;
    bool ok = open_attribute(object, name, &h) && read_number(h, out);
    if (h.id >= 0) {
        H5Aclose(h.id);
    }
    return ok;
}

bool um_h5_dataset_number(hid_t group, const char *name, double *out)
{
    holder h;
    bool ok = open_dataset(group, name, &h) && read_number(h, out);
    if (h.id >= 0) {
        H5Dclose(h.id);
    }
    return ok;
}

bool um_h5_dataset_text(hid_t group, const char *name, char *dst, size_t size)
{
    holder h;
    dst[0] = '\0';
    bool ok = open_dataset(group, name, &h) && read_text(h, dst, size);
    if (h.id >= 0) {
        H5Dclose(h.id);
    }
    return ok;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *real_json(double value)
{
    /* JSON has no NaN nor infinity. */
    return isfinite(value) ? json_real(value) : json_string(isnan(value) ? "nan"
                                                            : value > 0  ? "inf"
                                                                         : "-inf");
}

static json_t *text_json(const char *text)
{
    return text == NULL || strcmp(text, "_None_") == 0 ? json_null() : json_string(text);
}

static json_t *integers_json(holder h, size_t count, bool is_signed)
{
    int64_t values[MAX_NUMBERS];
    if (!holder_read(h, is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64, values)) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        bool large = !is_signed && values[i] < 0;
        json_array_append_new(list, large ? json_real((double)(uint64_t)values[i])
                                          : json_integer(values[i]));
    }
    return list;
}

static json_t *reals_json(holder h, size_t count)
{
    double values[MAX_NUMBERS];
    if (!holder_read(h, H5T_NATIVE_DOUBLE, values)) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, real_json(values[i]));
    }
    return list;
}

static json_t *strings_json(holder h, hid_t type, size_t count)
{
    char *texts[MAX_NUMBERS] = {NULL};
    json_t *list = NULL;
    if (read_strings(h, type, count, LONG_TEXT / count, texts)) {
        list = json_array();
        for (size_t i = 0; i < count; i++) {
            json_array_append_new(list, text_json(texts[i]));
        }
    }
    for (size_t i = 0; i < count; i++) {
        free(texts[i]);
    }
    return list;
}

static json_t *booleans_json(holder h, hid_t type, size_t count)
{
    if (H5Tget_size(type) != 1) {
        return NULL;
    }
    unsigned char values[MAX_NUMBERS];
    if (!holder_read(h, type, values)) {
        return NULL;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_boolean(values[i] != 0));
    }
    return list;
}

static const char *class_name(H5T_class_t class)
{
    switch (class) {
    case H5T_INTEGER:
        return "integers";
    case H5T_FLOAT:
        return "floats";
    case H5T_STRING:
        return "texts";
    case H5T_ENUM:
        return "booleans";
    case H5T_COMPOUND:
        return "records";
    case H5T_VLEN:
        return "lists";
    default:
        return "bytes";
    }
}

static json_t *summary_json(hssize_t count, hid_t type)
{
    char text[96];
    snprintf(text, sizeof text, "(%lld %s of %zu bytes)", (long long)count,
             class_name(H5Tget_class(type)), H5Tget_size(type));
    return json_string(text);
}

static json_t *value_json(holder h)
{
    hid_t type = holder_type(h);
    hssize_t count = holder_count(h);
    json_t *list = NULL;
    if (type >= 0 && count > 0 && count <= MAX_NUMBERS) {
        switch (H5Tget_class(type)) {
        case H5T_INTEGER:
            list = integers_json(h, (size_t)count, H5Tget_sign(type) != H5T_SGN_NONE);
            break;
        case H5T_FLOAT:
            list = reals_json(h, (size_t)count);
            break;
        case H5T_STRING:
            list = strings_json(h, type, (size_t)count);
            break;
        case H5T_ENUM:
            list = booleans_json(h, type, (size_t)count);
            break;
        default:
            break;
        }
    }
    json_t *value = NULL;
    if (list == NULL) {
        value = count == 0 ? json_null() : summary_json(count, type);
    } else if (count == 1) {
        value = json_incref(json_array_get(list, 0));
        json_decref(list);
    } else {
        value = list;
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    return value;
}

/* HyperSpy hides types in names: "_list_axes", "_tuple_3_shape", "_sig_variance", "_bs_blob". */
static const char *plain_name(const char *name)
{
    static const char *const prefixes[] = {"_list_empty_", "_tuple_empty_", "_list_", "_tuple_",
                                           "_datetime_",   "_bs_",          "_sig_"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], n) == 0 && name[n] != '\0') {
            name += n;
            if (i == 2 || i == 3) { /* "_list_N_" of a group: skip N_ */
                size_t digits = strspn(name, "0123456789");
                if (digits > 0 && name[digits] == '_' && name[digits + 1] != '\0') {
                    name += digits + 1;
                }
            }
            break;
        }
    }
    return name;
}

/* Long texts use up more of what metadata may cost. */
static int cost(const json_t *value)
{
    size_t bytes = json_string_length(value);
    for (size_t i = 0; i < json_array_size(value); i++) {
        bytes += json_string_length(json_array_get(value, i));
    }
    return (int)(bytes / MAX_TEXT);
}

typedef struct walk {
    json_t *object;
    int depth;
    int *items; /* left for the whole tree */
} walk;

static void put(json_t *object, const char *name, json_t *value)
{
    char *key = utf8_text(name, strnlen(name, MAX_NAME));
    if (key != NULL && value != NULL) {
        json_object_set_new(object, plain_name(key), value);
    } else {
        json_decref(value);
    }
    free(key);
}

static herr_t take_attribute(hid_t object, const char *name, const H5A_info_t *info, void *user)
{
    (void)info;
    walk *w = user;
    if (*w->items <= 0) {
        return 1;
    }
    --*w->items;
    holder h;
    if (open_attribute(object, name, &h)) {
        json_t *value = value_json(h);
        *w->items -= cost(value);
        /* What unmix itself kept with the data is JSON again. */
        if (strcmp(name, "unmix") == 0 && json_is_string(value)) {
            json_t *parsed = json_loads(json_string_value(value), 0, NULL);
            if (parsed != NULL) {
                json_decref(value);
                value = parsed;
            }
        }
        put(w->object, name, value);
        H5Aclose(h.id);
    }
    return 0;
}

static json_t *group_json(hid_t group, int depth, int *items);

static herr_t take_link(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    walk *w = user;
    if (*w->items <= 0) {
        return 1;
    }
    --*w->items;
    if (info->type != H5L_TYPE_HARD) {
        return 0; /* metadata is not collected from elsewhere */
    }
    hid_t child = H5Oopen(group, name, H5P_DEFAULT);
    if (child < 0) {
        return 0;
    }
    H5I_type_t kind = H5Iget_type(child);
    if (kind == H5I_GROUP) {
        put(w->object, name, group_json(child, w->depth + 1, w->items));
    } else if (kind == H5I_DATASET) {
        json_t *value = value_json((holder){child, false});
        *w->items -= cost(value);
        put(w->object, name, value);
    }
    H5Oclose(child);
    return 0;
}

static json_t *group_json(hid_t group, int depth, int *items)
{
    json_t *object = json_object();
    if (object == NULL || depth > MAX_DEPTH) {
        return object;
    }
    walk w = {object, depth, items};
    hsize_t start = 0;
    H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_NATIVE, &start, take_attribute, &w);
    start = 0;
    H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &start, take_link, &w);
    return object;
}

json_t *um_h5_group_json(hid_t group)
{
    int items = MAX_ITEMS;
    return group_json(group, 0, &items);
}
