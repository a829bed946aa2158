#include "counts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct um_counter {
    um_counter_spec spec;
    int64_t pixels;
    const um_pixel_kernels *kernels;
    double *sum;      /* of each pattern */
    um_slot *slots;   /* library x pixels, when electrons are drawn */
    float *own;       /* library x pixels, when pixels are and there are optics */
    const float *pattern;
};

/* ---- making the tables ---------------------------------------------------------------------- */

typedef struct desk {
    float *seen, *scratch;
    double *share;
    uint32_t *stack;
} desk;

typedef struct making {
    um_counter *counter;
    desk *desks;
} making;

static um_status make_entry(void *user, int64_t i, int worker)
{
    making *m = user;
    um_counter *c = m->counter;
    desk *d = &m->desks[worker];
    const float *pattern = c->spec.pattern + i * c->pixels;
    float *seen = c->own != NULL ? c->own + i * c->pixels : d->seen;
    if (c->spec.optics != NULL) {
        um_optics_apply(c->spec.optics, pattern, seen, d->scratch);
        pattern = seen;
    }
    double sum = 0.0;
    for (int64_t q = 0; q < c->pixels; q++) {
        sum += (double)pattern[q];
    }
    c->sum[i] = sum;
    if (c->slots != NULL && sum > 0.0) {
        um_alias_build(c->pixels, pattern, sum, c->slots + i * c->pixels, d->share, d->stack);
    }
    return UM_OK;
}

static um_status start_desk(um_context *ctx, const um_counter *c, desk *d)
{
    size_t pixels = (size_t)c->pixels;
    UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *d->seen, "a pattern", &d->seen));
    UM_TRY(um_buffer_alloc(ctx, 2 * pixels, sizeof *d->scratch, "a pattern", &d->scratch));
    UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *d->share, "a pattern", &d->share));
    return um_buffer_alloc(ctx, pixels, sizeof *d->stack, "a pattern", &d->stack);
}

static um_status make_tables(um_context *ctx, um_counter *c)
{
    int threads = um_context_threads(ctx);
    making m = {c, calloc((size_t)threads, sizeof *m.desks)};
    if (m.desks == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    um_status status = UM_OK;
    for (int i = 0; i < threads && status == UM_OK; i++) {
        status = start_desk(ctx, c, &m.desks[i]);
    }
    if (status == UM_OK) {
        status = um_pipeline_run(ctx, c->spec.library, threads, make_entry, NULL, &m);
    }
    for (int i = 0; i < threads; i++) {
        um_buffer_free(ctx, m.desks[i].seen);
        um_buffer_free(ctx, m.desks[i].scratch);
        um_buffer_free(ctx, m.desks[i].share);
        um_buffer_free(ctx, m.desks[i].stack);
    }
    free(m.desks);
    return status;
}

static um_status fill_counter(um_context *ctx, um_counter *c)
{
    size_t count = 0;
    if (!um_mul4(c->spec.library, c->spec.ky, c->spec.kx, 1, &count) || c->pixels > (int64_t)INT32_MAX) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "simulation: patterns of %lldx%lld pixels are too large",
                       (long long)c->spec.ky, (long long)c->spec.kx);
    }
    UM_TRY(um_buffer_alloc(ctx, (size_t)c->spec.library, sizeof *c->sum, "sums of the patterns", &c->sum));
    if (c->spec.drawing == UM_DRAW_ELECTRONS) {
        UM_TRY(um_buffer_alloc(ctx, count, sizeof *c->slots, "tables of the patterns", &c->slots));
    } else if (c->spec.optics != NULL) {
        UM_TRY(um_buffer_alloc(ctx, count, sizeof *c->own, "patterns on the detector", &c->own));
    }
    c->pattern = c->own != NULL ? c->own : c->spec.pattern;
    return make_tables(ctx, c);
}

um_status um_counter_create(um_context *ctx, const um_counter_spec *spec, um_counter **out)
{
    um_counter *counter = calloc(1, sizeof *counter);
    if (counter == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    *counter = (um_counter){.spec = *spec,
                            .pixels = spec->ky * spec->kx,
                            .kernels = um_pixel_kernels_get(um_context_isa(ctx))};
    um_status status = fill_counter(ctx, counter);
    if (status != UM_OK) {
        um_counter_free(ctx, counter);
        return status;
    }
    *out = counter;
    return UM_OK;
}

void um_counter_free(um_context *ctx, um_counter *counter)
{
    if (counter != NULL) {
        um_buffer_free(ctx, counter->sum);
        um_buffer_free(ctx, counter->slots);
        um_buffer_free(ctx, counter->own);
        free(counter);
    }
}

/* ---- patterns ------------------------------------------------------------------------------- */

/* to = from moved down and to the right, between pixels by bilinear interpolation. */
static void shift_mean(int64_t ky, int64_t kx, const um_shift *shift, const double *from, double *to)
{
    const double fy = (double)shift->fy / 65536.0;
    const double fx = (double)shift->fx / 65536.0;
    const double weight[4] = {(1.0 - fy) * (1.0 - fx), (1.0 - fy) * fx, fy * (1.0 - fx), fy * fx};
    memset(to, 0, (size_t)(ky * kx) * sizeof *to);
    for (int i = 0; i < 4; i++) {
        int64_t dy = shift->dy + i / 2;
        int64_t dx = shift->dx + i % 2;
        for (int64_t y = dy > 0 ? dy : 0; y < ky && y - dy < ky; y++) {
            for (int64_t x = dx > 0 ? dx : 0; x < kx && x - dx < kx; x++) {
                to[y * kx + x] += weight[i] * from[(y - dy) * kx + x - dx];
            }
        }
    }
}

void um_counter_mean(const um_counter *c, const um_mixture *mix, const um_shift *shift, double *mean,
                     double *scratch)
{
    double *sum = shift != NULL ? scratch : mean;
    memset(sum, 0, (size_t)c->pixels * sizeof *sum);
    for (size_t i = 0; i < mix->entries; i++) {
        double scale = c->spec.dose * (double)mix->weight[i];
        const float *pattern = c->pattern + (int64_t)mix->which[i] * c->pixels;
        for (int64_t q = 0; scale > 0.0 && q < c->pixels; q++) {
            sum[q] += scale * (double)pattern[q];
        }
    }
    if (shift != NULL) {
        shift_mean(c->spec.ky, c->spec.kx, shift, sum, mean);
    }
}

/* Electrons of each entry fall one by one: their number is Poisson, their places independent. */
static void draw_electrons(const um_counter *c, int64_t position, const um_mixture *mix, const um_shift *shift,
                           const um_screen *screen)
{
    const um_random number = {c->spec.seed, UM_STREAM_COUNTS};
    um_words words;
    words.kernels = c->kernels;
    words.seed = c->spec.seed;
    words.next = (uint64_t)position << 32;
    words.at = words.have = 0;
    memset(screen->counts, 0, (size_t)c->pixels * um_dtype_size(screen->dtype));
    for (size_t i = 0; i < mix->entries; i++) {
        double expected = c->spec.dose * (double)mix->weight[i] * c->sum[mix->which[i]];
        uint64_t electrons = um_random_poisson(number, mix->first + i, expected);
        um_alias_drop(&words, c->slots + (int64_t)mix->which[i] * c->pixels, electrons, shift, screen);
    }
}

static void draw_pixels(const um_counter *c, int64_t position, const um_mixture *mix, const um_shift *shift,
                        const um_screen *screen, double *mean, double *scratch)
{
    const um_random random = {c->spec.seed, UM_STREAM_COUNTS};
    um_counter_mean(c, mix, shift, mean, scratch);
    uint64_t key = (uint64_t)position * (uint64_t)c->pixels;
    for (int64_t q = 0; q < c->pixels; q++) {
        uint64_t n = um_random_poisson(random, key + (uint64_t)q, mean[q]);
        uint32_t count = n < screen->top ? (uint32_t)n : screen->top;
        if (screen->dtype == UM_U8) {
            ((uint8_t *)screen->counts)[q] = (uint8_t)count;
        } else if (screen->dtype == UM_U16) {
            ((uint16_t *)screen->counts)[q] = (uint16_t)count;
        } else {
            ((uint32_t *)screen->counts)[q] = count;
        }
    }
}

void um_counter_draw(const um_counter *c, int64_t position, const um_mixture *mix, const um_shift *shift,
                     const um_screen *screen, double *mean, double *scratch)
{
    if (c->spec.drawing == UM_DRAW_ELECTRONS) {
        draw_electrons(c, position, mix, shift, screen);
    } else {
        draw_pixels(c, position, mix, shift, screen, mean, scratch);
    }
}
