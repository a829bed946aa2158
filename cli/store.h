/* Writing a prepared scan to a file, in one streaming pass. */
#ifndef STORE_H
#define STORE_H

#include "scan.h"

typedef struct cli_store_options {
    const char *path;        /* .hspy, .npy, .blo, .npz, .tif */
    const char *compression; /* NULL = the default of the format */
    bool convert;            /* to `dtype`; otherwise the matrix's type is kept */
    um_dtype dtype;
} cli_store_options;

typedef struct cli_stored {
    um_dtype dtype;
    int64_t clipped;      /* values that did not fit into dtype and were set to its nearest limit */
    int64_t not_a_number; /* NaN stored as 0 in an integer type */
    int64_t bytes;        /* of the file */
} cli_stored;

#define CLI_SCAN_SUFFIXES ".hspy .npy .blo .npz .tif .tiff"

/* Streams scan->matrix (already bound). .hspy, .npy and .blo take any size; .npz and .tif are made in
 * memory and refused above a quarter of the budget. Positions that the recipe excludes are stored
 * as 0. */
UM_CHECK um_status cli_store(cli *c, cli_scan *scan, const cli_store_options *options,
                             cli_stored *out);

/* Converts count values between types: integers saturate, floats round to nearest first. */
void cli_convert_values(um_dtype from, const void *src, um_dtype to, void *dst, size_t count,
                        cli_stored *tally);

#endif
