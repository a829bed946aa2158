/* What the detector counts. The sum over states of Poisson processes is Poisson, so a pattern is drawn
 * electron by electron from alias tables (Walker 1977, Vose 1991) when electrons are few, and pixel by
 * pixel when they are many; both have exactly the same distribution. */
#include "simulate_internal.h"

#include <stdlib.h>
#include <string.h>

/* An electron costs about a third of what a pixel costs. */
enum { DRAWS_PER_PIXEL = 3 };

typedef struct slot {
    uint32_t keep;  /* stays in this pixel when a random 32-bit word is below */
    uint32_t other; /* else goes here */
} slot;

struct um_counter {
    int64_t states, pixels;
    const float *factors;
    slot *slots; /* states x pixels */
    uint64_t seed;
};

/* Vose's construction: pixels poorer than average are filled up by richer ones. stack holds the poor
 * from the front and the rich from the back. */
static void build_slots(int64_t pixels, const float *factor, slot *slots, double *share,
                        uint32_t *stack)
{
    double sum = 0.0;
    for (int64_t i = 0; i < pixels; i++) {
        sum += (double)factor[i];
    }
    int64_t poor = 0;
    int64_t rich = pixels;
    for (int64_t i = 0; i < pixels; i++) {
        share[i] = (double)factor[i] * (double)pixels / sum;
        slots[i] = (slot){UINT32_MAX, (uint32_t)i};
        if (share[i] < 1.0) {
            stack[poor++] = (uint32_t)i;
        } else {
            stack[--rich] = (uint32_t)i;
        }
    }
    while (poor > 0 && rich < pixels) {
        uint32_t small = stack[--poor];
        uint32_t large = stack[rich];
        slots[small] = (slot){(uint32_t)(share[small] * 0x1p32), large};
        share[large] -= 1.0 - share[small];
        if (share[large] < 1.0) {
            rich++;
            stack[poor++] = large;
        }
    }
}

um_status um_counter_create(um_context *ctx, int64_t states, int64_t pixels, const float *factors,
                            uint64_t seed, um_counter **out)
{
    size_t count = 0;
    if (!um_mul4(states, pixels, 1, 1, &count) || pixels > (int64_t)UINT32_MAX) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "simulation: %lld pixels are too many",
                       (long long)pixels);
    }
    um_counter *counter = calloc(1, sizeof *counter);
    double *share = NULL;
    uint32_t *stack = NULL;
    if (counter == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory");
    }
    *counter = (um_counter){.states = states, .pixels = pixels, .factors = factors, .seed = seed};
    um_status status = um_buffer_alloc(ctx, count, sizeof *counter->slots, "tables of the patterns",
                                       &counter->slots);
    if (status == UM_OK) {
        share = calloc((size_t)pixels, sizeof *share);
        stack = calloc((size_t)pixels, sizeof *stack);
        if (share == NULL || stack == NULL) {
            status = um_fail(ctx, UM_ERROR_MEMORY, "simulation: no memory for a pattern");
        }
    }
    for (int64_t s = 0; status == UM_OK && s < states; s++) {
        build_slots(pixels, factors + s * pixels, counter->slots + s * pixels, share, stack);
    }
    free(share);
    free(stack);
    if (status != UM_OK) {
        um_buffer_free(ctx, counter->slots);
        free(counter);
        return status;
    }
    *out = counter;
    return UM_OK;
}

void um_counter_free(um_context *ctx, um_counter *counter)
{
    if (counter != NULL) {
        um_buffer_free(ctx, counter->slots);
        free(counter);
    }
}

void um_counter_mean(const um_counter *counter, const float *expected, double *mean)
{
    memset(mean, 0, (size_t)counter->pixels * sizeof *mean);
    for (int64_t s = 0; s < counter->states; s++) {
        double scale = (double)expected[s];
        const float *factor = counter->factors + s * counter->pixels;
        for (int64_t q = 0; scale > 0.0 && q < counter->pixels; q++) {
            mean[q] += scale * (double)factor[q];
        }
    }
}

static void drop(const slot *slots, uint64_t pixels, uint32_t high, uint32_t low, uint32_t *counts)
{
    /* The 96-bit product pixels * (high:low): its top word is the pixel, the next 32 bits choose. */
    uint64_t product = high * pixels + (low * pixels >> 32);
    const slot *at = slots + (product >> 32);
    /* By mask, not by branch: the choice is random, so a branch would be mispredicted. */
    uint32_t pixel = (uint32_t)(product >> 32);
    uint32_t stays = 0U - (uint32_t)((uint32_t)product < at->keep);
    counts[at->other ^ ((pixel ^ at->other) & stays)]++;
}

/* Electrons of each state fall one by one: their number is Poisson, their places independent. Each
 * four random words place two. */
static void draw_electrons(const um_counter *counter, int64_t position, const float *expected,
                           uint32_t *counts)
{
    const uint64_t pixels = (uint64_t)counter->pixels;
    const um_random number = {counter->seed, UM_STREAM_COUNTS};
    const um_random place = {counter->seed, UM_STREAM_DRAWS};
    memset(counts, 0, (size_t)pixels * sizeof *counts);
    uint64_t used = (uint64_t)position << 32;
    for (int64_t s = 0; s < counter->states; s++) {
        uint64_t key = (uint64_t)(position * counter->states + s);
        uint64_t electrons = um_random_poisson(number, key, (double)expected[s]);
        const slot *slots = counter->slots + s * counter->pixels;
        for (uint64_t i = 0; i < electrons; i += 2) {
            uint32_t w[4];
            um_random_words(place, used++, w);
            drop(slots, pixels, w[0], w[1], counts);
            if (i + 1 < electrons) {
                drop(slots, pixels, w[2], w[3], counts);
            }
        }
    }
}

static void draw_pixels(const um_counter *counter, int64_t position, const float *expected,
                        uint32_t *counts, double *mean)
{
    const um_random random = {counter->seed, UM_STREAM_COUNTS};
    um_counter_mean(counter, expected, mean);
    uint64_t key = (uint64_t)position * (uint64_t)counter->pixels;
    for (int64_t q = 0; q < counter->pixels; q++) {
        uint64_t n = um_random_poisson(random, key + (uint64_t)q, mean[q]);
        counts[q] = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
    }
}

void um_counter_draw(const um_counter *counter, int64_t position, const float *expected,
                     uint32_t *counts, double *mean)
{
    double total = 0.0;
    for (int64_t s = 0; s < counter->states; s++) {
        total += (double)expected[s];
    }
    if (total <= (double)DRAWS_PER_PIXEL * (double)counter->pixels) {
        draw_electrons(counter, position, expected, counts);
    } else {
        draw_pixels(counter, position, expected, counts, mean);
    }
}
