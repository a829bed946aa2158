/* Masks, starts and label images come as .npy, .npz, .tif or .png: the first byte chooses. (HDF5 arrays
 * are opened as scans are: fuzz_hdf5.c.) */
#include "fuzz_file.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a.npy", "a.npz", "a.tif", "a.png"};
    static const char *const parts[] = {"", ":factors", "", ""};
    if (size < 1) {
        return 0;
    }
    size_t which = data[0] % (sizeof names / sizeof names[0]);
    char spec[160];
    snprintf(spec, sizeof spec, "%s%s", fuzz_file(names[which], data + 1, size - 1), parts[which]);
    um_context *ctx = fuzz_context();
    um_array *array = NULL;
    um_status status = um_array_read(ctx, spec, &array);
    fuzz_need_message(ctx, status, "um_array_read");
    if (status == UM_OK && um_array_size(array) > 0) {
        volatile double last = um_array_get(array, um_array_size(array) - 1);
        (void)last;
    }
    um_array_free(array);
    um_context_free(ctx);
    return 0;
}
