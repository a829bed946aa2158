/* Stored elements into delivered ones. */
#include "hdf5_internal.h"

#include <math.h>
#include <string.h>

static uint64_t load64(const unsigned char *p, bool big_endian)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return big_endian != UM_HOST_BIG_ENDIAN ? __builtin_bswap64(value) : value;
}

/* False where the integer has no exact double. */
static bool widen(um_h5_convert convert, bool big_endian, const unsigned char *src,
                  unsigned char *dst, size_t count)
{
    const int64_t limit = INT64_C(1) << 53;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = load64(src + 8 * i, big_endian);
        int64_t value = (int64_t)bits;
        bool fits = convert == UM_H5_I64_TO_F64 ? value >= -limit && value <= limit
                                                : bits <= (uint64_t)limit;
        if (!fits) {
            return false;
        }
        double real = (double)value;
        memcpy(dst + 8 * i, &real, sizeof real);
    }
    return true;
}

static void swap(const unsigned char *src, unsigned char *dst, size_t count, size_t width)
{
    if (width == 2) {
        for (size_t i = 0; i < count; i++) {
            uint16_t v;
            memcpy(&v, src + 2 * i, 2);
            v = __builtin_bswap16(v);
            memcpy(dst + 2 * i, &v, 2);
        }
        return;
    }
    if (dst != src) {
        memcpy(dst, src, count * width);
    }
    um_swap_bytes(dst, count, width);
}

static float half_to_float(unsigned half)
{
    int exponent = (int)(half >> 10 & 31);
    int fraction = (int)(half & 1023);
    float value = exponent == 0    ? ldexpf((float)fraction, -24)
                  : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                   : ldexpf((float)(fraction + 1024), exponent - 25);
    return half >> 15 != 0 ? -value : value;
}

static void widen_halves(bool big_endian, const unsigned char *src, unsigned char *dst, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned low = src[2 * i + big_endian];
        unsigned high = src[2 * i + !big_endian];
        float value = half_to_float(high << 8 | low);
        memcpy(dst + 4 * i, &value, sizeof value);
    }
}

bool um_h5_convert_run(const um_h5_layout *layout, const void *src, void *dst, size_t count)
{
    switch (layout->convert) {
    case UM_H5_SWAP:
        swap(src, dst, count, layout->stored_size);
        return true;
    case UM_H5_I64_TO_F64:
    case UM_H5_U64_TO_F64:
        return widen(layout->convert, layout->big_endian, src, dst, count);
    case UM_H5_HALF:
        widen_halves(layout->big_endian, src, dst, count);
        return true;
    default:
        if (dst != src) {
            memcpy(dst, src, count * layout->stored_size);
        }
        return true;
    }
}

um_status um_h5_too_wide(um_source *source)
{
    return um_fail(source->ctx, UM_ERROR_VALUE,
                   "%s: a 64-bit integer above 2^53 has no exact float64: store the array as uint32 "
                   "or float64",
                   source->path);
}
