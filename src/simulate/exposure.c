#include "exposure.h"

um_status um_film_start(um_context *ctx, const um_exposure *e, um_film *film)
{
    size_t pixels = (size_t)(e->scene->ky * e->scene->kx);
    *film = (um_film){0};
    UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *film->counts, "a pattern", &film->counts));
    UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *film->mean, "a pattern", &film->mean));
    UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *film->scratch, "a pattern", &film->scratch));
    UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *film->signal, "a pattern", &film->signal));
    for (int i = 0; i <= e->camera->afterglow; i++) {
        film->seen_at[i] = -1;
        UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *film->seen[i], "a pattern", &film->seen[i]));
    }
    return UM_OK;
}

void um_film_stop(um_context *ctx, um_film *film)
{
    um_buffer_free(ctx, film->counts);
    um_buffer_free(ctx, film->mean);
    um_buffer_free(ctx, film->scratch);
    um_buffer_free(ctx, film->signal);
    for (int i = 0; i <= UM_AFTERGLOW_MOST; i++) {
        um_buffer_free(ctx, film->seen[i]);
    }
}

static um_mixture mixture_at(const um_scene *scene, int64_t position)
{
    uint64_t first = scene->start[position];
    return (um_mixture){first, (size_t)(scene->start[position + 1] - first), scene->which + first,
                        scene->weight + first};
}

/* The count of one pixel, and setting it. */
static uint32_t get_count(const um_screen *s, int64_t q)
{
    return s->dtype == UM_U8    ? ((const uint8_t *)s->counts)[q]
           : s->dtype == UM_U16 ? ((const uint16_t *)s->counts)[q]
                                : ((const uint32_t *)s->counts)[q];
}

static void set_count(const um_screen *s, int64_t q, uint32_t count)
{
    if (s->dtype == UM_U8) {
        ((uint8_t *)s->counts)[q] = (uint8_t)count;
    } else if (s->dtype == UM_U16) {
        ((uint16_t *)s->counts)[q] = (uint16_t)count;
    } else {
        ((uint32_t *)s->counts)[q] = count;
    }
}

#define DEFINE_COUNT_FULL(T)                                                                                 \
    static int64_t full_##T(const T *values, int64_t count, T top)                                           \
    {                                                                                                        \
        int64_t full = 0;                                                                                    \
        for (int64_t q = 0; q < count; q++) {                                                                \
            full += values[q] == top;                                                                        \
        }                                                                                                    \
        return full;                                                                                         \
    }
DEFINE_COUNT_FULL(uint8_t)
DEFINE_COUNT_FULL(uint16_t)
DEFINE_COUNT_FULL(uint32_t)

static int64_t count_full(const um_screen *s)
{
    int64_t pixels = s->ky * s->kx;
    return s->dtype == UM_U8    ? full_uint8_t(s->counts, pixels, (uint8_t)s->top)
           : s->dtype == UM_U16 ? full_uint16_t(s->counts, pixels, (uint16_t)s->top)
                                : full_uint32_t(s->counts, pixels, s->top);
}

/* Counts that are stored as they are drawn. */
static void expose_counts(const um_exposure *e, um_film *film, int64_t position, const um_shift *shift,
                          void *values)
{
    const um_camera *camera = e->camera;
    const um_mixture mix = mixture_at(e->scene, position);
    const um_screen screen = {e->scene->ky, e->scene->kx, camera->instrument.dtype, (uint32_t)camera->top, values};
    um_counter_draw(e->counter, position, &mix, shift, &screen, film->mean, film->scratch);
    for (size_t i = 0; i < camera->hots; i++) {
        int64_t q = camera->hot[i].pixel;
        double count = (double)get_count(&screen, q) + um_camera_hot_counts(camera, i, position);
        set_count(&screen, q, count < camera->top ? (uint32_t)count : screen.top);
    }
    for (size_t i = 0; i < camera->deads; i++) {
        set_count(&screen, camera->dead[i], 0);
    }
    film->full += count_full(&screen);
}

/* What each pixel receives at (y, x), of the last few positions kept. */
static const double *seen_at(const um_exposure *e, um_film *film, int64_t y, int64_t x)
{
    int64_t position = y * e->scene->nx + x;
    int64_t pixels = e->scene->ky * e->scene->kx;
    int64_t at = x % (e->camera->afterglow + 1);
    double *seen = film->seen[at];
    if (film->seen_at[at] == position) {
        return seen;
    }
    film->seen_at[at] = position;
    const um_mixture mix = mixture_at(e->scene, position);
    um_shift moved = um_camera_shift(e->camera, y, x);
    const um_shift *shift = e->camera->shifts ? &moved : NULL;
    if (e->camera->instrument.noise) {
        const um_screen screen = {e->scene->ky, e->scene->kx, UM_U32, UINT32_MAX, film->counts};
        um_counter_draw(e->counter, position, &mix, shift, &screen, film->mean, film->scratch);
        for (int64_t q = 0; q < pixels; q++) {
            seen[q] = (double)film->counts[q];
        }
    } else {
        um_counter_mean(e->counter, &mix, shift, seen, film->scratch);
    }
    for (size_t i = 0; i < e->camera->hots; i++) {
        seen[e->camera->hot[i].pixel] += um_camera_hot_counts(e->camera, i, position);
    }
    return seen;
}

/* Always the same sums, wherever in a row a worker begins: its first pattern draws those before it again. */
static const double *with_afterglow(const um_exposure *e, um_film *film, int64_t y, int64_t x)
{
    int64_t pixels = e->scene->ky * e->scene->kx;
    const double *now = seen_at(e, film, y, x);
    for (int64_t q = 0; q < pixels; q++) {
        film->signal[q] = now[q];
    }
    for (int i = 1; i <= e->camera->afterglow && i <= x; i++) {
        const double *before = seen_at(e, film, y, x - i);
        double weight = e->camera->glow[i];
        for (int64_t q = 0; q < pixels; q++) {
            film->signal[q] += weight * before[q];
        }
    }
    return film->signal;
}

void um_expose(const um_exposure *e, um_film *film, int64_t y, int64_t x, void *values)
{
    int64_t position = y * e->scene->nx + x;
    if (um_camera_stores_counts(e->camera)) {
        um_shift moved = um_camera_shift(e->camera, y, x);
        expose_counts(e, film, position, e->camera->shifts ? &moved : NULL, values);
        return;
    }
    const double *signal = e->camera->afterglow > 0 ? with_afterglow(e, film, y, x) : seen_at(e, film, y, x);
    film->full += um_camera_store(e->camera, position, signal, values);
}
