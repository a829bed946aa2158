#include "alias.h"

/* Vose's construction: pixels poorer than average are filled up by richer ones. stack holds the poor
 * from the front and the rich from the back. */
void um_alias_build(int64_t pixels, const float *pattern, double sum, um_slot *slots, double *share,
                    uint32_t *stack)
{
    int64_t poor = 0;
    int64_t rich = pixels;
    for (int64_t i = 0; i < pixels; i++) {
        share[i] = (double)pattern[i] * (double)pixels / sum;
        slots[i] = (um_slot){UINT32_MAX, (uint32_t)i};
        if (share[i] < 1.0) {
            stack[poor++] = (uint32_t)i;
        } else {
            stack[--rich] = (uint32_t)i;
        }
    }
    while (poor > 0 && rich < pixels) {
        uint32_t small = stack[--poor];
        uint32_t large = stack[rich];
        slots[small] = (um_slot){(uint32_t)(share[small] * 0x1p32), large};
        share[large] -= 1.0 - share[small];
        if (share[large] < 1.0) {
            rich++;
            stack[poor++] = large;
        }
    }
}

enum { LANES = UM_RANDOM_LANES };

static void refill(um_words *words, size_t per_batch)
{
    words->kernels->random_words(words->seed, UM_STREAM_DRAWS, words->next, UM_WORD_BATCHES, words->word);
    words->next += (uint64_t)UM_WORD_BATCHES * LANES;
    words->at = 0;
    words->have = UM_WORD_BATCHES * per_batch;
}

/* The 96-bit product pixels * (high:low): its top word is the pixel, the next 32 bits choose. */
static inline uint32_t place(const um_slot *slots, uint64_t pixels, uint32_t high, uint32_t low)
{
    uint64_t product = high * pixels + (low * pixels >> 32);
    uint32_t pixel = (uint32_t)(product >> 32);
    um_slot at = slots[pixel];
    /* By mask, not by branch: the choice is random, so a branch would be mispredicted. */
    uint32_t stays = 0U - (uint32_t)((uint32_t)product < at.keep);
    return at.other ^ ((pixel ^ at.other) & stays);
}

/* Electrons at .. end of the buffer: two words each, or three of four with a shift. */
#define DEFINE_DROP(T)                                                                                       \
    static void drop_##T(const um_words *words, size_t end, const um_slot *slots, const um_screen *screen)  \
    {                                                                                                        \
        const uint64_t pixels = (uint64_t)(screen->ky * screen->kx);                                         \
        const T top = (T)screen->top;                                                                        \
        T *counts = screen->counts;                                                                          \
        for (size_t e = words->at; e < end; e++) {                                                           \
            const uint32_t *w = words->word + 2 * (e - e % LANES) + e % LANES;                               \
            T *count = counts + place(slots, pixels, w[0], w[LANES]);                                        \
            *count = (T)(*count + (*count < top));                                                           \
        }                                                                                                    \
    }                                                                                                        \
    static void drop_shifted_##T(const um_words *words, size_t end, const um_slot *slots,                    \
                                 const um_shift *shift, const um_screen *screen)                             \
    {                                                                                                        \
        const uint64_t pixels = (uint64_t)(screen->ky * screen->kx);                                         \
        const uint32_t width = (uint32_t)screen->kx;                                                         \
        const T top = (T)screen->top;                                                                        \
        T *counts = screen->counts;                                                                          \
        for (size_t e = words->at; e < end; e++) {                                                           \
            const uint32_t *w = words->word + 4 * (e - e % LANES) + e % LANES;                               \
            uint32_t pixel = place(slots, pixels, w[0], w[LANES]);                                           \
            uint32_t dither = w[2 * LANES];                                                                  \
            int64_t y = pixel / width + shift->dy + ((dither >> 16) < shift->fy);                            \
            int64_t x = pixel % width + shift->dx + ((dither & 0xffffU) < shift->fx);                        \
            if (y >= 0 && y < screen->ky && x >= 0 && x < screen->kx) {                                      \
                T *count = counts + y * screen->kx + x;                                                      \
                *count = (T)(*count + (*count < top));                                                       \
            }                                                                                                \
        }                                                                                                    \
    }
DEFINE_DROP(uint8_t)
DEFINE_DROP(uint16_t)
DEFINE_DROP(uint32_t)

static void drop_run(const um_words *words, size_t end, const um_slot *slots, const um_shift *shift,
                     const um_screen *screen)
{
    if (shift != NULL) {
        (screen->dtype == UM_U8    ? drop_shifted_uint8_t
         : screen->dtype == UM_U16 ? drop_shifted_uint16_t
                                   : drop_shifted_uint32_t)(words, end, slots, shift, screen);
    } else {
        (screen->dtype == UM_U8    ? drop_uint8_t
         : screen->dtype == UM_U16 ? drop_uint16_t
                                   : drop_uint32_t)(words, end, slots, screen);
    }
}

void um_alias_drop(um_words *words, const um_slot *slots, uint64_t electrons, const um_shift *shift,
                   const um_screen *screen)
{
    while (electrons > 0) {
        if (words->at == words->have) {
            refill(words, shift != NULL ? LANES : 2 * LANES);
        }
        size_t left = words->have - words->at;
        size_t run = electrons < left ? (size_t)electrons : left;
        drop_run(words, words->at + run, slots, shift, screen);
        words->at += run;
        electrons -= run;
    }
}
