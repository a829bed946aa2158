/* Results that are read back from .npz; those in .hspy are in fuzz_hdf5.c. */
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file("result.npz", data, size);
    um_context *ctx = fuzz_context();
    um_model *model = NULL;
    um_status status = um_model_load(ctx, path, &model);
    fuzz_need_message(ctx, status, "um_model_load");
    um_model_free(model);
    um_context_free(ctx);
    return 0;
}
