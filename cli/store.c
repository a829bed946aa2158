#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct store {
    cli *c;
    const um_matrix_info *info;
    um_dtype dtype;
    size_t pattern_pixels, pattern_bytes;
    size_t room;          /* patterns per worker's buffer */
    um_sink *sink;        /* NULL: whole scan in `memory` */
    char *memory;
    char *zero;           /* a pattern of zeros */
    int64_t next;         /* excluded positions before this one are written */
    cli_stored tally;
} store;

/* Patterns of one worker on the way to the sink. */
typedef struct buffer {
    char *patterns;
    int64_t *position;
    size_t count;
    int64_t end; /* behind the last position so far */
    cli_stored tally;
} buffer;

/* Length of the run of consecutive positions from `first`, within one scan row. */
static size_t run_length(const store *s, const buffer *b, size_t first)
{
    int64_t nx = s->info->shape.nx;
    size_t n = 1;
    while (first + n < b->count && b->position[first + n] == b->position[first] + (int64_t)n &&
           b->position[first + n] % nx != 0) {
        n++;
    }
    return n;
}

/* Writes the buffered patterns as the largest rectangles that their order gives. */
static um_status flush(store *s, buffer *b)
{
    int64_t nx = s->info->shape.nx;
    um_status status = UM_OK;
    for (size_t i = 0; i < b->count && status == UM_OK;) {
        size_t run = run_length(s, b, i);
        size_t rows = 1;
        while (i + (rows + 1) * run <= b->count &&
               b->position[i + rows * run] == b->position[i] + (int64_t)rows * nx &&
               run_length(s, b, i + rows * run) >= run) {
            rows++;
        }
        um_rect rect = {b->position[i] / nx, b->position[i] % nx, (int64_t)rows, (int64_t)run};
        status = um_sink_write(s->sink, rect, b->patterns + i * s->pattern_bytes);
        i += rows * run;
    }
    b->count = 0;
    return status;
}

static um_status start(void *user, void **state)
{
    store *s = user;
    buffer *b = calloc(1, sizeof *b);
    if (b != NULL && s->sink != NULL) {
        b->patterns = malloc(s->room * s->pattern_bytes);
        b->position = malloc(s->room * sizeof *b->position);
    }
    *state = b;
    if (b == NULL || (s->sink != NULL && (b->patterns == NULL || b->position == NULL))) {
        return UM_ERROR_MEMORY;
    }
    return UM_OK;
}

static um_status visit(void *user, void *state, const um_tile *tile)
{
    store *s = user;
    buffer *b = state;
    size_t stored = um_dtype_size(tile->dtype) * s->pattern_pixels;
    for (size_t r = 0; r < tile->rows; r++) {
        const char *pattern = (const char *)tile->data + r * stored;
        char *dst = NULL;
        if (s->sink == NULL) {
            dst = s->memory + (size_t)tile->position[r] * s->pattern_bytes;
        } else {
            if (b->count == s->room) {
                um_status status = flush(s, b);
                if (status != UM_OK) {
                    return status;
                }
            }
            b->position[b->count] = tile->position[r];
            b->end = tile->position[r] + 1 > b->end ? tile->position[r] + 1 : b->end;
            dst = b->patterns + b->count++ * s->pattern_bytes;
        }
        cli_convert_values(tile->dtype, pattern, s->dtype, dst, s->pattern_pixels, &b->tally);
    }
    return UM_OK;
}

/* Positions before `end` that the matrix leaves out are zero in the file, one pattern at a time: as the pass goes,
 * because a chunk waits in memory for all of its positions. */
static um_status write_excluded(store *s, int64_t end)
{
    const uint8_t *mask = s->info->navigation_mask;
    int64_t nx = s->info->shape.nx;
    um_status status = UM_OK;
    for (; mask != NULL && s->next < end && status == UM_OK; s->next++) {
        if (mask[s->next] != 0) {
            status = um_sink_write(s->sink, (um_rect){s->next / nx, s->next % nx, 1, 1}, s->zero);
        }
    }
    return status;
}

static um_status merge(void *user, void *state)
{
    store *s = user;
    buffer *b = state;
    s->tally.clipped += b->tally.clipped;
    s->tally.not_a_number += b->tally.not_a_number;
    b->tally = (cli_stored){0};
    if (s->sink == NULL) {
        return UM_OK;
    }
    um_status status = flush(s, b);
    return status == UM_OK ? write_excluded(s, b->end) : status;
}

static void stop(void *user, void *state)
{
    (void)user;
    buffer *b = state;
    if (b != NULL) {
        free(b->patterns);
        free(b->position);
        free(b);
    }
}

/* By block, so that what one worker writes waits little for what others write before it. */
static const um_visitor visitor = {
    .start = start, .visit = visit, .merge = merge, .stop = stop, .by_block = true};

/* 64-bit floats without preparation: tiles are 32-bit, so these are copied straight from the
 * source. */
static um_status copy_as_stored(cli *c, cli_scan *scan, store *s)
{
    const um_source_info *info = um_source_get_info(scan->source);
    size_t bytes = s->pattern_pixels * um_dtype_size(info->dtype);
    char *raw = malloc(s->room * bytes);
    char *out = malloc(s->room * s->pattern_bytes);
    um_status status = raw != NULL && out != NULL ? UM_OK : cli_fail(c, UM_ERROR_MEMORY, "no "
                                                                                         "memory");
    for (int64_t y = 0; y < info->shape.ny && status == UM_OK; y++) {
        for (int64_t x = 0; x < info->shape.nx && status == UM_OK;) {
            int64_t left = info->shape.nx - x;
            um_rect rect = {y, x, 1, left < (int64_t)s->room ? left : (int64_t)s->room};
            if (um_context_cancelled(c->ctx)) {
                status = cli_fail(c, UM_CANCELLED, "cancelled");
                break;
            }
            status = um_source_read(scan->source, rect, raw);
            cli_convert_values(info->dtype, raw, s->dtype, out, (size_t)rect.nx * s->pattern_pixels,
                               &s->tally);
            if (status == UM_OK) {
                status = um_sink_write(s->sink, rect, out);
            }
            x += rect.nx;
        }
    }
    free(raw);
    free(out);
    return status;
}

static bool wants_all_digits(const cli_scan *scan)
{
    return um_source_get_info(scan->source)->dtype == UM_F64 &&
           um_recipe_text(scan->recipe)[0] == '\0';
}

static um_status stream_to_sink(cli *c, cli_scan *scan, const cli_store_options *options, store *s)
{
    um_sink_spec spec = {
        .shape = s->info->shape,
        .dtype = s->dtype,
        .metadata = um_source_metadata(scan->source),
        .compression = options->compression,
        .overwrite = c->force,
    };
    memcpy(spec.axes, s->info->axes, sizeof spec.axes);
    um_status status = um_sink_create(c->ctx, options->path, &spec, &s->sink);
    if (status != UM_OK) {
        return status;
    }
    int64_t block_ny = 0;
    int64_t block_nx = 0;
    um_sink_block(s->sink, &block_ny, &block_nx);
    s->room = block_ny * block_nx > UM_GROUP_ROWS ? (size_t)(block_ny * block_nx) : UM_GROUP_ROWS;
    if (wants_all_digits(scan)) { /* positions that are missing are read as zeros */
        status = copy_as_stored(c, scan, s);
    } else {
        s->zero = calloc(1, s->pattern_bytes);
        status = s->zero != NULL ? um_matrix_pass(scan->matrix, "writing", &visitor, s)
                                 : cli_fail(c, UM_ERROR_MEMORY, "no memory for a pattern");
        status = status == UM_OK ? write_excluded(s, s->info->shape.ny * s->info->shape.nx) : status;
        free(s->zero);
    }
    if (status == UM_OK) {
        status = um_sink_commit(s->sink);
    }
    um_sink_free(s->sink);
    return status;
}

static um_status write_npz(cli *c, const cli_store_options *options, const store *s)
{
    um_shape shape = s->info->shape;
    const int64_t sizes[4] = {shape.ny, shape.nx, shape.ky, shape.kx};
    um_npz *npz = NULL;
    um_status status = um_npz_create(c->ctx, options->path, c->force, &npz);
    if (status == UM_OK) {
        status = um_npz_add(npz, "data", s->dtype, 4, sizes, s->memory);
    }
    if (status == UM_OK) {
        status = um_npz_commit(npz);
    }
    um_npz_free(npz);
    return status;
}

static um_status hold_in_memory(cli *c, cli_scan *scan, const cli_store_options *options, store *s)
{
    um_shape shape = s->info->shape;
    double bytes = (double)(shape.ny * shape.nx) * (double)s->pattern_bytes;
    double limit = (double)um_context_memory(c->ctx) / 4;
    if (bytes > limit) {
        char need[32];
        return cli_fail(c, UM_ERROR_BUDGET,
                        "%s: this format is written from memory and would need --memory %s: write "
                        ".hspy, .npy or .blo, which are streamed",
                        options->path, cli_bytes_text(4 * bytes, need));
    }
    s->memory = calloc((size_t)(shape.ny * shape.nx), s->pattern_bytes);
    if (s->memory == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for the scan");
    }
    um_status status = um_matrix_pass(scan->matrix, "reading", &visitor, s);
    if (status == UM_OK && cli_has_suffix(options->path, ".npz")) {
        status = write_npz(c, options, s);
    } else if (status == UM_OK) {
        status = um_tiff_write(c->ctx, options->path, shape.ny * shape.nx, shape.ky, shape.kx,
                               (const float *)(const void *)s->memory, s->info->axes[3].scale,
                               s->info->axes[3].units);
    }
    free(s->memory);
    return status;
}

um_status cli_store(cli *c, cli_scan *scan, const cli_store_options *options, cli_stored *out)
{
    const um_matrix_info *info = um_matrix_get_info(scan->matrix);
    bool tiff = cli_has_suffix(options->path, ".tif") || cli_has_suffix(options->path, ".tiff");
    bool npz = cli_has_suffix(options->path, ".npz");
    store s = {
        .c = c,
        .info = info,
        .dtype = tiff ? UM_F32 : options->convert ? options->dtype : info->dtype,
        .pattern_pixels = (size_t)(info->shape.ky * info->shape.kx),
    };
    if (!tiff && !npz && !options->convert && wants_all_digits(scan)) {
        s.dtype = UM_F64;
    }
    s.pattern_bytes = s.pattern_pixels * um_dtype_size(s.dtype);
    um_status status =
        tiff || npz ? hold_in_memory(c, scan, options, &s) : stream_to_sink(c, scan, options, &s);
    struct stat st;
    *out = s.tally;
    out->dtype = s.dtype;
    out->bytes = stat(options->path, &st) == 0 ? (int64_t)st.st_size : 0;
    if (status == UM_OK && out->clipped > 0) {
        cli_warn(c, "%s: %lld values lay outside the range of %s and were set to its limits",
                 options->path, (long long)out->clipped, um_dtype_name(s.dtype));
    }
    if (status == UM_OK && out->not_a_number > 0) {
        cli_warn(c, "%s: %lld values that are not a number were stored as 0", options->path,
                 (long long)out->not_a_number);
    }
    return status;
}
