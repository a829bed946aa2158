/* Affine distortion undone, and pairs of opposite reflections added up. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>

um_status um_bars(um_prep *prep, uint8_t **bars)
{
    if (prep->learned->bars == NULL) {
        prep->learned->bars = calloc((size_t)(prep->ky * prep->kx), 1);
    }
    *bars = prep->learned->bars;
    return *bars != NULL ? UM_OK : um_fail(prep->ctx, UM_ERROR_MEMORY, "no memory for a mask");
}

/* Where along an axis of n pixels to sample; false when outside. */
static bool sample_at(double at, int64_t n, int64_t *base, float *fraction)
{
    const double slack = 1e-6; /* rounding of the inverse must not cut the last pixel off */
    if (at < -slack || at > (double)(n - 1) + slack) {
        return false;
    }
    at = fmin(fmax(at, 0), (double)(n - 1));
    *base = (int64_t)floor(at);
    *base = *base > n - 2 && n > 1 ? n - 2 : *base;
    *fraction = (float)(at - (double)*base);
    return true;
}

um_status um_learn_affine(um_prep *prep)
{
    const um_recipe *r = prep->recipe;
    if (!um_recipe_has(r, UM_KEY_AFFINE)) {
        return UM_OK;
    }
    int64_t ky = prep->ky;
    int64_t kx = prep->kx;
    const double *m = r->affine;
    double determinant = m[0] * m[3] - m[1] * m[2];
    uint8_t *bars = NULL;
    UM_TRY(um_bars(prep, &bars));
    um_sample *samples = calloc((size_t)(ky * kx), sizeof *samples);
    if (samples == NULL) {
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "affine: no memory");
    }
    prep->learned->samples = samples;
    double cy = 0.5 * (double)(ky - 1);
    double cx = 0.5 * (double)(kx - 1);
    int64_t outside = 0;
    for (int64_t i = 0; i < ky * kx; i++) {
        double y = (double)(i / kx) - cy - m[4];
        double x = (double)(i % kx) - cx - m[5];
        int64_t by = 0;
        int64_t bx = 0;
        um_sample *s = &samples[i];
        bool inside = sample_at((m[3] * y - m[1] * x) / determinant + cy, ky, &by, &s->fy) &&
                      sample_at((m[0] * x - m[2] * y) / determinant + cx, kx, &bx, &s->fx);
        s->base = inside ? (int32_t)(by * kx + bx) : -1;
        bars[i] = !inside;
        outside += !inside;
    }
    json_object_set_new(prep->report, "affine_pixels_from_outside",
                        json_integer((json_int_t)outside));
    return UM_OK;
}

void um_apply_affine(const um_prep *prep, const float *src, float *dst)
{
    const um_sample *samples = prep->learned->samples;
    int64_t down = prep->ky > 1 ? prep->kx : 0;
    int64_t right = prep->kx > 1 ? 1 : 0;
    for (int64_t i = 0; i < prep->ky * prep->kx; i++) {
        um_sample s = samples[i];
        if (s.base < 0) {
            dst[i] = 0;
            continue;
        }
        const float *at = src + s.base;
        float top = at[0] + s.fx * (at[right] - at[0]);
        float bottom = at[down] + s.fx * (at[down + right] - at[down]);
        dst[i] = top + s.fy * (bottom - top);
    }
}

/* ---- friedel -------------------------------------------------------------------------------- */

/* Twice the centre, whole: pixel y pairs with twice - y. */
static void twice_center(const um_prep *prep, int64_t *ty, int64_t *tx)
{
    *ty = (int64_t)lround(2 * prep->learned->beam_y);
    *tx = (int64_t)lround(2 * prep->learned->beam_x);
}

um_status um_learn_friedel(um_prep *prep)
{
    if (!um_recipe_has(prep->recipe, UM_KEY_FRIEDEL)) {
        return UM_OK;
    }
    int64_t ty = 0;
    int64_t tx = 0;
    uint8_t *bars = NULL;
    UM_TRY(um_bars(prep, &bars));
    twice_center(prep, &ty, &tx);
    int64_t kx = prep->kx;
    int64_t pixels = prep->ky * kx;
    uint8_t *before = malloc((size_t)pixels);
    if (before == NULL) {
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "friedel: no memory");
    }
    for (int64_t i = 0; i < pixels; i++) {
        before[i] = bars[i];
    }
    int64_t alone = 0;
    for (int64_t i = 0; i < pixels; i++) {
        int64_t y = ty - i / kx;
        int64_t x = tx - i % kx;
        bool pair = y >= 0 && y < prep->ky && x >= 0 && x < kx && before[y * kx + x] == 0;
        alone += !pair;
        bars[i] = bars[i] != 0 || !pair;
    }
    free(before);
    json_object_set_new(prep->report, "friedel",
                        json_pack("{s:[f,f],s:I}", "center", 0.5 * (double)ty, 0.5 * (double)tx,
                                  "pixels_without_partner", (json_int_t)alone));
    return UM_OK;
}

void um_apply_friedel(const um_prep *prep, const float *src, float *dst)
{
    int64_t ty = 0;
    int64_t tx = 0;
    twice_center(prep, &ty, &tx);
    for (int64_t y = 0; y < prep->ky; y++) {
        const float *row = src + y * prep->kx;
        float *to = dst + y * prep->kx;
        int64_t my = ty - y;
        const float *mirror = my >= 0 && my < prep->ky ? src + my * prep->kx : NULL;
        for (int64_t x = 0; x < prep->kx; x++) {
            int64_t mx = tx - x;
            bool pair = mirror != NULL && mx >= 0 && mx < prep->kx;
            to[x] = pair ? row[x] + mirror[mx] : 0.0F;
        }
    }
}
