/* Components that are known: their patterns take the places of those that the plain fit has most like them. */
#include "nmf_family.h"

#include <math.h>
#include <stdlib.h>

/* Row i of the array in the scaled space, of unit norm. */
static um_status take_pattern(const um_family *f, const um_array *array, size_t i, float *h)
{
    const um_scaled *s = f->scaled;
    double norm2 = 0;
    for (size_t j = 0; j < s->m; j++) {
        double x = um_array_get(array, (int64_t)(i * s->m + j));
        if (s->v[j] > 0 && !(x >= 0 && x <= 1e15)) {
            return um_fail(s->ctx, UM_ERROR_VALUE,
                           "%s: a fixed pattern must lie between 0 and 1e15, but pattern %zu has %g at "
                           "pixel %zu",
                           f->options->fixed_file, i, x, j);
        }
        h[j] = s->v[j] > 0 ? (float)(x * (double)s->v[j]) : 0;
        norm2 += (double)h[j] * (double)h[j];
    }
    if (!(norm2 > 0)) {
        return um_fail(s->ctx, UM_ERROR_VALUE, "%s: fixed pattern %zu is zero wherever there are counts",
                       f->options->fixed_file, i);
    }
    for (size_t j = 0; j < s->m; j++) {
        h[j] = (float)((double)h[j] / sqrt(norm2));
    }
    return UM_OK;
}

static size_t most_alike(const um_family *f, const float *h)
{
    const um_scaled *s = f->scaled;
    size_t best = 0;
    double most = -1;
    for (size_t c = 0; c < f->state->k; c++) {
        double product = 0;
        for (size_t j = 0; j < s->m; j++) {
            product += (double)h[j] * (double)f->state->h[c * s->ld + j];
        }
        if (!f->fixed[c] && product > most) {
            most = product;
            best = c;
        }
    }
    return best;
}

static um_status place_patterns(um_family *f, const um_array *array, float *h)
{
    const um_scaled *s = f->scaled;
    size_t k = f->state->k;
    int64_t size = um_array_size(array);
    size_t count = (size_t)(size / (int64_t)s->m);
    if (size % (int64_t)s->m != 0 || count < 1 || count > k) {
        return um_fail(s->ctx, UM_ERROR_SHAPE,
                       "%s: %lld values are not 1 to %zu patterns of %zu pixels as prepared; -k counts "
                       "the fixed ones too",
                       f->options->fixed_file, (long long)size, k, s->m);
    }
    for (size_t i = 0; i < count; i++) {
        UM_TRY(take_pattern(f, array, i, h));
        size_t c = most_alike(f, h);
        f->fixed[c] = true;
        for (size_t j = 0; j < s->m; j++) {
            f->state->h[c * s->ld + j] = h[j];
        }
    }
    return UM_OK;
}

um_status um_family_fix(um_family *f)
{
    const um_scaled *s = f->scaled;
    um_array *array = NULL;
    UM_TRY(um_array_read(s->ctx, f->options->fixed_file, &array));
    float *h = NULL;
    um_status status = um_buffer_alloc(s->ctx, s->ld, sizeof *h, "a pattern", &h);
    if (status == UM_OK) {
        status = place_patterns(f, array, h);
    }
    um_buffer_free(s->ctx, h);
    um_array_free(array);
    return status;
}
