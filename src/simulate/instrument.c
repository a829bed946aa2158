#include "camera.h"

#include <math.h>

um_instrument um_instrument_defaults(void)
{
    return (um_instrument){.counts = 1000.0, .noise = true, .hot_counts = 20.0, .inelastic_per_A = 0.3,
                           .gain = 1.0, .dtype = UM_U16};
}

/* name, least, most */
typedef struct limit {
    const char *name;
    double value, least, most;
} limit;

um_status um_instrument_check(um_context *ctx, const um_instrument *i)
{
    const limit limits[] = {
        {"counts", i->counts, 0.0, 1e15},
        {"probe (nm)", i->probe_nm, 0.0, 1e6},
        {"inelastic", i->inelastic, 0.0, 1.0},
        {"inelastic width (1/A)", i->inelastic_per_A, 0.0, 1e6},
        {"descan y,y (px)", i->descan_px[0][0], -1e6, 1e6},
        {"descan y,x (px)", i->descan_px[0][1], -1e6, 1e6},
        {"descan x,y (px)", i->descan_px[1][0], -1e6, 1e6},
        {"descan x,x (px)", i->descan_px[1][1], -1e6, 1e6},
        {"descan jitter (px)", i->descan_jitter_px, 0.0, 1e6},
        {"point spread (px)", i->spread_px, 0.0, 1e6},
        {"hot", i->hot, 0.0, 0.5},
        {"dead", i->dead, 0.0, 0.5},
        {"hot counts", i->hot_counts, 0.0, 1e9},
        {"afterglow", i->afterglow, 0.0, 0.5},
        {"gain", i->gain, 1e-9, 1e9},
        {"offset", i->offset, -1e9, 1e9},
        {"read noise", i->read_noise, 0.0, 1e9},
        {"saturation", i->saturation, 0.0, 1e15},
        {"bits", (double)i->bits, 0.0, 32.0},
    };
    for (size_t n = 0; n < sizeof limits / sizeof limits[0]; n++) {
        const limit *l = &limits[n];
        if (!(l->value >= l->least && l->value <= l->most)) {
            return um_fail(ctx, UM_ERROR_ARGUMENT, "instrument: %s is %g, but goes from %g to %g", l->name,
                           l->value, l->least, l->most);
        }
    }
    if (i->dtype != UM_U8 && i->dtype != UM_U16 && i->dtype != UM_U32 && i->dtype != UM_F32) {
        return um_fail(ctx, UM_ERROR_UNSUPPORTED,
                       "instrument: scans are written as uint8, uint16, uint32 or float32, not %s",
                       um_dtype_name(i->dtype));
    }
    if (um_dtype_is_integer(i->dtype) && i->bits > 8 * (int)um_dtype_size(i->dtype)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "instrument: %d bits do not fit %s: use a wider dtype", i->bits,
                       um_dtype_name(i->dtype));
    }
    return UM_OK;
}
