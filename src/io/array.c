/* Small whole arrays: masks, starts, truths. */
#include "io_internal.h"

#include <stdlib.h>
#include <string.h>

void um_array_free(um_array *array)
{
    if (array != NULL) {
        free(array->data);
        free(array);
    }
}

int64_t um_array_size(const um_array *array)
{
    int64_t count = 1;
    for (int i = 0; i < array->ndim; i++) {
        count *= array->shape[i];
    }
    return count;
}

double um_array_get(const um_array *array, int64_t i)
{
    switch (array->dtype) {
    case UM_U8:
        return ((const uint8_t *)array->data)[i];
    case UM_U16:
        return ((const uint16_t *)array->data)[i];
    case UM_U32:
        return ((const uint32_t *)array->data)[i];
    case UM_I8:
        return ((const int8_t *)array->data)[i];
    case UM_I16:
        return ((const int16_t *)array->data)[i];
    case UM_I32:
        return ((const int32_t *)array->data)[i];
    case UM_F32:
        return (double)((const float *)array->data)[i];
    case UM_F64:
        return ((const double *)array->data)[i];
    case UM_DTYPE_COUNT:
        break;
    }
    return 0.0;
}
