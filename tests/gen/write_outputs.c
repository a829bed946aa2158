/* write_outputs FOLDER - writes one file of each kind that um_npz, um_npy, um_tiff and um_png make, for
 * other programs to read (tests/oracle/test_io_files.py). */
#include "unmix/io.h"

#include <stdio.h>

enum { PAGES = 3, NY = 4, NX = 5 };

static const char *join(char path[512], const char *folder, const char *name)
{
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static um_status write_npz(um_context *ctx, const char *path, const float *values,
                           const uint8_t *flags)
{
    um_npz *npz = NULL;
    const int64_t shape[3] = {PAGES, NY, NX};
    um_status status = um_npz_create(ctx, path, true, &npz);
    status = status == UM_OK ? um_npz_add(npz, "values", UM_F32, 3, shape, values) : status;
    status = status == UM_OK ? um_npz_add_bool(npz, "mask", 2, shape + 1, flags) : status;
    status = status == UM_OK ? um_npz_add_int(npz, "k", -3) : status;
    status = status == UM_OK ? um_npz_add_text(npz, "text", "1/Å α 𝄞") : status;
    status = status == UM_OK ? um_npz_add_text(npz, "empty", "") : status;
    status = status == UM_OK ? um_npz_add_text(npz, "broken", "a\xff\xc3") : status;
    status = status == UM_OK ? um_npz_commit(npz) : status;
    um_npz_free(npz);
    return status;
}

int main(int argc, char **argv)
{
    um_context *ctx = NULL;
    char path[512];
    float values[PAGES * NY * NX];
    uint8_t rgba[NY * NX * 4];
    uint8_t flags[NY * NX];
    const int64_t shape[3] = {PAGES, NY, NX};
    if (argc != 2 || um_context_create(&ctx) != UM_OK) {
        return 2;
    }
    for (int i = 0; i < PAGES * NY * NX; i++) {
        values[i] = (float)i * 0.5f - 2.0f;
    }
    for (int i = 0; i < NY * NX * 4; i++) {
        rgba[i] = (uint8_t)(3 * i);
        flags[i / 4] = i / 4 % 3 == 0;
    }
    um_status status = write_npz(ctx, join(path, argv[1], "a.npz"), values, flags);
    status |= um_npy_write(ctx, join(path, argv[1], "a.npy"), UM_F32, 3, shape, values);
    status |= um_tiff_write(ctx, join(path, argv[1], "stack.tif"), PAGES, NY, NX, values, 0.02, "1/Å");
    status |= um_tiff_write(ctx, join(path, argv[1], "one.tif"), 1, NY, NX, values, 12.8, "nm");
    status |= um_png_write(ctx, join(path, argv[1], "rgba.png"), NY, NX, 4, rgba);
    status |= um_png_write(ctx, join(path, argv[1], "rgb.png"), 4, 5, 3, rgba);
    if (status != UM_OK) {
        fprintf(stderr, "%s\n", um_context_message(ctx));
    }
    um_context_free(ctx);
    return status == UM_OK ? 0 : 1;
}
