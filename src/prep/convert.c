/* Repair of bad pixels in any type. */
#include "steps.h"

#include <math.h>

#define DEFINE_TYPE(suffix, type, integer)                                                         \
    static void repair_##suffix(void *pattern, const um_repair *repairs, size_t count, bool whole) \
    {                                                                                              \
        type *values = pattern; /* NOLINT(bugprone-macro-parentheses): a type */                   \
        for (size_t i = 0; i < count; i++) {                                                       \
            double sum = 0;                                                                        \
            for (int32_t n = 0; n < repairs[i].count; n++) {                                       \
                sum += (double)values[repairs[i].from[n]];                                         \
            }                                                                                      \
            double mean = repairs[i].count > 0 ? sum / repairs[i].count : 0;                       \
            values[repairs[i].pixel] = (type)(whole || (integer) ? nearbyint(mean) : mean);        \
        }                                                                                          \
    }
DEFINE_TYPE(u8, uint8_t, true)
DEFINE_TYPE(u16, uint16_t, true)
DEFINE_TYPE(u32, uint32_t, true)
DEFINE_TYPE(i8, int8_t, true)
DEFINE_TYPE(i16, int16_t, true)
DEFINE_TYPE(i32, int32_t, true)
DEFINE_TYPE(f32, float, false)
DEFINE_TYPE(f64, double, false)

typedef void (*repair_fn)(void *pattern, const um_repair *repairs, size_t count, bool whole);

static const repair_fn repairers[UM_DTYPE_COUNT] = {
    [UM_U8] = repair_u8,   [UM_U16] = repair_u16, [UM_U32] = repair_u32, [UM_I8] = repair_i8,
    [UM_I16] = repair_i16, [UM_I32] = repair_i32, [UM_F32] = repair_f32, [UM_F64] = repair_f64,
};

void um_repair_pattern(um_dtype dtype, void *pattern, const um_repair *repairs, size_t count,
                       bool whole)
{
    repairers[dtype](pattern, repairs, count, whole);
}
