/* Results that are read back: .npz (first byte even) or .hspy. */
#include "fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    const char *path =
        fuzz_file(data[0] % 2 == 0 ? "result.npz" : "result.hspy", data + 1, size - 1);
    um_context *ctx = fuzz_context();
    um_model *model = NULL;
    um_status status = um_model_load(ctx, path, &model);
    fuzz_need_message(ctx, status, "um_model_load");
    um_model_free(model);
    um_context_free(ctx);
    return 0;
}
