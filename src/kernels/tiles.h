/* Products of counts with f32 factors in tiles, where the processor multiplies whole tiles (AMX). Several groups go at once,
 * so that factors and sums that do not fit the caches are brought once for all of them.
 *
 * X is up to UM_TILE_BATCH groups of patterns as in kernels.h, of u8 or u16, each of at most UM_GROUP_ROWS rows.
 *
 * project: H enters as integers times a step for each component, cut into bytes, and counts as bytes: sums are exact. Of
 * four bytes what is rounded is at most 2^-31 of the greatest magnitude of the component.
 * accumulate: W enters as sums of three bf16 (24 bits), counts as bf16 too, in which bytes are exact; sums are in f32.
 * Both are the same bits for a group whatever others are in the batch. */
#ifndef UM_TILES_H
#define UM_TILES_H

#include "base_internal.h"

enum {
    UM_TILE_BATCH = 2, /* of 4 the patterns do not fit the second cache */
    UM_TILE_PIXELS = 64,
    UM_TILE_ROWS = 32,
    UM_TILE_SIDE = 16,
    UM_TILE_BYTES = 1024,
    UM_TILE_PARTS = 3 /* bf16 of a number of W */
};

typedef struct um_tile_batch {
    size_t count;
    const void *x[UM_TILE_BATCH];
    size_t rows[UM_TILE_BATCH];
    uint8_t *room; /* um_tile_room() bytes a group, 64-byte aligned: of words, from project to accumulate */
} um_tile_batch;

typedef struct um_tile_kernels {
    /* a: row r of group g and component c at (g UM_TILE_ROWS + r) k + c, in steps of h. h: um_tile_cut(). sums:
     * scratch, um_tile_sums() numbers, 64-byte aligned. */
    void (*project[UM_DTYPE_COUNT])(const um_tile_batch *x, size_t m, const int8_t *h, size_t k, int planes,
                                    int32_t *sums, double *a);
    /* After project of the same batch and room. b += w'X, b packed as in kernels.h. w: um_tile_split() of each group, um_tile_w_size(k) numbers apart. Of the
     * parts the first `parts` are taken. */
    void (*accumulate[UM_DTYPE_COUNT])(const um_tile_batch *x, size_t m, const uint16_t *w, size_t k, int parts,
                                       float *b);
} um_tile_kernels;

/* NULL where there are no tiles. */
const um_tile_kernels *um_tile_kernels_get(um_isa isa);

/* H in bytes: `planes` of them, 2 or 4, of each number; tiles of UM_TILE_SIDE columns, component by component, low bytes
 * first, of each UM_TILE_PIXELS pixels. */
size_t um_tile_columns(size_t k, int planes);            /* tiles side by side */
size_t um_tile_h_size(size_t m, size_t k, int planes);   /* bytes */
size_t um_tile_sums(size_t k, int planes);
size_t um_tile_room(um_dtype dtype, size_t m); /* of a group; 0 of u8 */
/* Puts pixel j of component c, of magnitude below 2^(8 planes - 1) - 2^(8 planes - 9), into h (all 0 before). */
void um_tile_put(int8_t *h, size_t k, int planes, size_t c, size_t j, int32_t value);
/* The least power of two in whose multiples 4 planes hold numbers up to `largest`; 1 for 0. */
double um_tile_step(double largest);

/* W (rows x k) of a group in parts. */
size_t um_tile_w_size(size_t k);
void um_tile_split(const float *w, size_t rows, size_t k, uint16_t *parts);

#endif
