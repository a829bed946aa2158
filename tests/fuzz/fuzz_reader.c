/* Any bytes as a scan file of name FUZZ_NAME; with FUZZ_BESIDE the bytes are the side file of a sound
 * one of that name. */
#include "fuzz_file.h"

#ifdef FUZZ_BESIDE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Twelve frames of 2 x 4 pixels, u16, as Merlin writes them. */
static const char *write_beside(void)
{
    enum { FRAMES = 12, HEADER = 384, FRAME = HEADER + 16 };
    static uint8_t bytes[FRAMES * FRAME];
    memset(bytes, 0, sizeof bytes);
    for (int i = 0; i < FRAMES; i++) {
        char *frame = (char *)bytes + i * FRAME;
        snprintf(frame, HEADER,
                 "MQ1,%06d,%05d,01,0004,0002,U16,   1x1,01,2021-05-07 16:51:%02d.9058,0.001000,0,0,"
                 "0,1.2E+2,MQ1A,2021-05-07T16:51:%02d.905800928Z,1000000ns,12",
                 i + 1, HEADER, i, i);
        bytes[i * FRAME + HEADER + 1] = (uint8_t)i;
    }
    return fuzz_file(FUZZ_BESIDE, bytes, sizeof bytes);
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(FUZZ_NAME, data, size);
#ifdef FUZZ_BESIDE
    path = write_beside();
#endif
    um_context *ctx = fuzz_context();
    fuzz_scan(ctx, path, NULL);
    um_open_options reshaped = {.scan_ny = 3, .scan_nx = 2, .allow_short = true};
    fuzz_scan(ctx, path, &reshaped);
    um_context_free(ctx);
    return 0;
}
