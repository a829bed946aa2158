/* Type conversion that saturates and counts: a value never wraps. */
#include "store.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 1024 };

/* Every type passes through double: exact for all integer types here. */
#define LOAD(type)                                                                                 \
    for (size_t i = 0; i < count; i++) {                                                           \
        out[i] = (double)((const type *)src)[i];                                                   \
    }                                                                                              \
    break

static void load(um_dtype from, const void *src, double *out, size_t count)
{
    switch (from) {
    case UM_U8:
        LOAD(uint8_t);
    case UM_U16:
        LOAD(uint16_t);
    case UM_U32:
        LOAD(uint32_t);
    case UM_I8:
        LOAD(int8_t);
    case UM_I16:
        LOAD(int16_t);
    case UM_I32:
        LOAD(int32_t);
    case UM_F32:
        LOAD(float);
    default:
        LOAD(double);
    }
}

#define STORE(type)                                                                                \
    for (size_t i = 0; i < count; i++) {                                                           \
        ((type *)dst)[i] = (type)in[i];                                                            \
    }                                                                                              \
    break

static void store(um_dtype to, const double *in, void *dst, size_t count)
{
    switch (to) {
    case UM_U8:
        STORE(uint8_t);
    case UM_U16:
        STORE(uint16_t);
    case UM_U32:
        STORE(uint32_t);
    case UM_I8:
        STORE(int8_t);
    case UM_I16:
        STORE(int16_t);
    case UM_I32:
        STORE(int32_t);
    case UM_F32:
        STORE(float);
    default:
        STORE(double);
    }
}

static bool limits(um_dtype to, double *low, double *high)
{
    static const double lowest[] = {0, 0, 0, INT8_MIN, INT16_MIN, INT32_MIN};
    static const double highest[] = {UINT8_MAX, UINT16_MAX, UINT32_MAX,
                                     INT8_MAX,  INT16_MAX,  INT32_MAX};
    if (!um_dtype_is_integer(to)) {
        return false;
    }
    *low = lowest[to];
    *high = highest[to];
    return true;
}

static void saturate(double *values, size_t count, double low, double high, cli_stored *tally)
{
    for (size_t i = 0; i < count; i++) {
        double v = values[i];
        if (isnan(v)) {
            values[i] = 0;
            tally->not_a_number++;
            continue;
        }
        v = nearbyint(v);
        if (v < low || v > high) {
            v = v < low ? low : high;
            tally->clipped++;
        }
        values[i] = v;
    }
}

static void limit_f32(double *values, size_t count, cli_stored *tally)
{
    const double largest = 3.4028234663852886e38;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i]) && fabs(values[i]) > largest) {
            values[i] = copysign(largest, values[i]);
            tally->clipped++;
        }
    }
}

void cli_convert_values(um_dtype from, const void *src, um_dtype to, void *dst, size_t count,
                        cli_stored *tally)
{
    if (from == to) {
        memcpy(dst, src, count * um_dtype_size(to));
        return;
    }
    double low = 0;
    double high = 0;
    bool integer = limits(to, &low, &high);
    double values[BLOCK];
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t n = count - first < BLOCK ? count - first : BLOCK;
        load(from, (const char *)src + first * um_dtype_size(from), values, n);
        if (integer) {
            saturate(values, n, low, high, tally);
        } else if (to == UM_F32) {
            limit_f32(values, n, tally);
        }
        store(to, values, (char *)dst + first * um_dtype_size(to), n);
    }
}
