/* Places of electrons by alias tables (Walker 1977, Vose 1991). */
#ifndef UM_ALIAS_H
#define UM_ALIAS_H

#include "base_internal.h"
#include "pixels.h"

typedef struct um_slot {
    uint32_t keep;  /* stays in this pixel when a random 32-bit word is below */
    uint32_t other; /* else goes here */
} um_slot;

/* Fills the table of one pattern. share, stack: scratch of as many elements. Sum must be that of the pattern, > 0. */
void um_alias_build(int64_t pixels, const float *pattern, double sum, um_slot *slots, double *share,
                    uint32_t *stack);

/* Of the pattern against the detector: dy + fy/65536 px down, the same across. */
typedef struct um_shift {
    int64_t dy, dx;
    uint32_t fy, fx;
} um_shift;

/* Random words of one pattern, made in large batches; lives on the stack of who draws. */
enum { UM_WORD_BATCHES = 16 };
typedef struct um_words {
    const um_pixel_kernels *kernels;
    uint64_t seed, next;
    size_t at, have; /* electrons */
    uint32_t word[UM_WORD_BATCHES * 4 * UM_RANDOM_LANES];
} um_words;

/* Where electrons fall: counts of `pixels` = ky * kx values that stop at `top`. */
typedef struct um_screen {
    int64_t ky, kx;
    um_dtype dtype; /* u8, u16, u32 */
    uint32_t top;
    void *counts;
} um_screen;

/* Drops so many electrons; with a shift each goes to one of the four pixels around its place, with the weights of
 * bilinear interpolation, and those beside the screen are lost. One pattern's calls all have a shift or none has. */
void um_alias_drop(um_words *words, const um_slot *slots, uint64_t electrons, const um_shift *shift,
                   const um_screen *screen);

#endif
