/* Crystal structures: what loads is diffracted once. */
#include "fuzz_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    um_context *ctx = fuzz_context();
    um_crystal *crystal = NULL;
    um_reflections *reflections = NULL;
    um_status status = um_crystal_load(ctx, fuzz_file("x.cif", data, size), &crystal);
    fuzz_need_message(ctx, status, "um_crystal_load");
    if (status == UM_OK && crystal->atoms < 200 && crystal->volume_A3 < 2000.0) {
        status = um_reflections_make(ctx, crystal, 0.8, &reflections);
        fuzz_need_message(ctx, status, "um_reflections_make");
    }
    if (status == UM_OK && reflections != NULL) {
        const um_illumination beam = um_illumination_defaults();
        const um_orientation orientation = um_orientation_euler(10.0, 20.0, 30.0);
        um_spot *spots = NULL;
        size_t count = 0;
        status = um_diffract(ctx, reflections, &orientation, &beam, &spots, &count);
        fuzz_need_message(ctx, status, "um_diffract");
        free(spots);
    }
    um_reflections_free(ctx, reflections);
    um_crystal_free(crystal);
    um_context_free(ctx);
    return 0;
}
