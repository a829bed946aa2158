/* A flat file with its description: the text up to the first zero byte, the rest is the file. */
#include "fuzz_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[256];
    size_t length = strnlen((const char *)data, size < sizeof text - 1 ? size : sizeof text - 1);
    memcpy(text, data, length);
    text[length] = '\0';
    size_t skip = length < size ? length + 1 : length;
    const char *path = fuzz_file("scan.raw", data + skip, size - skip);
    um_context *ctx = fuzz_context();
    um_open_options options = {.raw = text};
    fuzz_scan(ctx, path, &options);
    um_context_free(ctx);
    return 0;
}
