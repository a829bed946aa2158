/* Sharpness: how much of a map's power lies beyond what the probe lets through. */
#include "verify_internal.h"

#include <kiss_fftnd.h>
#include <math.h>
#include <stdlib.h>

typedef struct spectrum {
    um_comparison *c;
    kiss_fftnd_cfg plan;
    double *map;
    kiss_fft_cpx *in, *out;
} spectrum;

/* A Hann window, so that the edges of the scan are no jumps; 1 along a side of one position. */
static double window(int64_t i, int64_t n)
{
    double s = sin(M_PI * ((double)i + 0.5) / (double)n);
    return n > 1 ? s * s : 1.0;
}

static double frequency(int64_t i, int64_t n)
{
    return (double)(i <= n / 2 ? i : i - n) / (double)n;
}

/* The part of the power, the mean left out, beyond the cut-off; NaN of a map without power. */
static double power_beyond(spectrum *s)
{
    const um_comparison *c = s->c;
    int64_t nx = c->shape.nx;
    double sum = 0.0;
    double n = 0.0;
    for (int64_t p = 0; p < c->positions; p++) {
        if (um_compared(c->position_mask, p)) {
            sum += s->map[p];
            n += 1.0;
        }
    }
    double mean = n > 0.0 ? sum / n : 0.0;
    double largest = 0.0;
    for (int64_t p = 0; p < c->positions; p++) {
        s->map[p] = um_compared(c->position_mask, p) ? s->map[p] - mean : 0.0;
        largest = fmax(largest, fabs(s->map[p]));
    }
    if (!(largest > 1e-6 * fabs(mean))) {
        return NAN;
    }
    for (int64_t p = 0; p < c->positions; p++) {
        double value = s->map[p] / largest * window(p / nx, c->shape.ny) * window(p % nx, nx);
        s->in[p] = (kiss_fft_cpx){(float)value, 0.0F};
    }
    kiss_fftnd(s->plan, s->in, s->out);
    double beyond = 0.0;
    double all = 0.0;
    for (int64_t p = 1; p < c->positions; p++) {
        double power = (double)s->out[p].r * (double)s->out[p].r + (double)s->out[p].i * (double)s->out[p].i;
        double f = hypot(frequency(p / nx, c->shape.ny), frequency(p % nx, nx));
        all += power;
        beyond += f > c->score->cut_off_per_px ? power : 0.0;
    }
    return um_part(beyond, all);
}

static void score_state(spectrum *s, int64_t t, um_state_score *state)
{
    const um_comparison *c = s->c;
    for (int64_t p = 0; p < c->positions; p++) {
        s->map[p] = um_side_counts(&c->truth, p, t);
    }
    state->beyond_true = power_beyond(s);
    for (int64_t p = 0; p < c->positions; p++) {
        s->map[p] = 0.0;
        for (int64_t r = 0; r < c->result.k; r++) {
            s->map[p] += c->score->state_of[r] == t ? um_side_counts(&c->result, p, r) : 0.0;
        }
    }
    state->beyond_found = power_beyond(s);
    state->sharpness = um_part(state->beyond_found, state->beyond_true);
}

um_status um_score_sharpness(um_comparison *c)
{
    um_score *score = c->score;
    /* A Gaussian probe passes a tenth of the amplitude, a hundredth of the power, at the cut-off. */
    score->cut_off_per_px = sqrt(0.5 * log(10.0)) / (M_PI * score->probe_px);
    for (int64_t t = 0; t < c->truth.k; t++) {
        um_state_score *state = &score->state[t];
        state->beyond_true = state->beyond_found = state->sharpness = NAN;
    }
    if (!(score->cut_off_per_px < 0.5)) {
        score->cut_off_per_px = NAN;
        return UM_OK;
    }
    spectrum s = {.c = c};
    size_t n = (size_t)c->positions;
    const int shape[2] = {(int)c->shape.ny, (int)c->shape.nx};
    um_status status = um_buffer_alloc(c->ctx, n, sizeof(double), "a map", &s.map);
    if (status == UM_OK) {
        status = um_buffer_alloc(c->ctx, n, sizeof(kiss_fft_cpx), "a map", &s.in);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(c->ctx, n, sizeof(kiss_fft_cpx), "the spectrum of a map", &s.out);
    }
    s.plan = status == UM_OK ? kiss_fftnd_alloc(shape, 2, 0, NULL, NULL) : NULL;
    if (status == UM_OK && s.plan == NULL) {
        status = um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory for the spectrum of a map");
    }
    for (int64_t t = 0; status == UM_OK && t < c->truth.k; t++) {
        score_state(&s, t, &score->state[t]);
        status = um_check_cancel(c->ctx);
    }
    kiss_fft_free(s.plan);
    um_buffer_free(c->ctx, s.map);
    um_buffer_free(c->ctx, s.in);
    um_buffer_free(c->ctx, s.out);
    return status;
}
