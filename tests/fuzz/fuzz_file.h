/* What the fuzz targets share: the input as a file in a folder of the process. */
#ifndef FUZZ_FILE_H
#define FUZZ_FILE_H

#include "unmix/unmix.h"

#include <stddef.h>
#include <stdint.h>

/* Writes data to NAME in the folder made for this process and gives its path (static storage). */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);
/* A context of one thread and 64 MiB: sizes that a file claims must be refused, never tried. */
um_context *fuzz_context(void);
/* Opens path as a scan and reads its first, middle and last pattern and, when small, everything. */
void fuzz_scan(um_context *ctx, const char *path, const um_open_options *options);
/* Ends the program: a call failed without saying why. */
void fuzz_need_message(um_context *ctx, um_status status, const char *call);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
