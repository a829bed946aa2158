#include "unmix/base.h"

#include <string.h>

static const struct {
    size_t bytes;
    const char *name;
    bool integer;
} dtypes[UM_DTYPE_COUNT] = {
#define UM_DTYPE_ROW(name, bytes, text, integer) [name] = {bytes, text, integer},
    UM_DTYPE_LIST(UM_DTYPE_ROW)
#undef UM_DTYPE_ROW
};

size_t um_dtype_size(um_dtype dtype)
{
    return (unsigned)dtype < UM_DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

const char *um_dtype_name(um_dtype dtype)
{
    return (unsigned)dtype < UM_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

bool um_dtype_is_integer(um_dtype dtype)
{
    return (unsigned)dtype < UM_DTYPE_COUNT && dtypes[dtype].integer;
}

/* "u2": kind and bytes. "u8" is left to the table below, where it means 8 bits. */
static bool parse_short(const char *text, um_dtype *out)
{
    static const struct {
        const char *text;
        um_dtype dtype;
    } names[] = {
        {"u1", UM_U8},   {"u8", UM_U8},   {"u2", UM_U16},  {"u16", UM_U16}, {"u4", UM_U32},
        {"u32", UM_U32}, {"i1", UM_I8},   {"i8", UM_I8},   {"i2", UM_I16},  {"i16", UM_I16},
        {"i4", UM_I32},  {"i32", UM_I32}, {"f4", UM_F32},  {"f32", UM_F32}, {"f8", UM_F64},
        {"f64", UM_F64},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i].text) == 0) {
            *out = names[i].dtype;
            return true;
        }
    }
    return false;
}

bool um_dtype_parse(const char *text, um_dtype *out)
{
    if (text == NULL) {
        return false;
    }
    for (int i = 0; i < UM_DTYPE_COUNT; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            *out = (um_dtype)i;
            return true;
        }
    }
    return parse_short(text, out);
}
