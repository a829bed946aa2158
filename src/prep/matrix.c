/* The streaming order.
 *
 * The output scan is cut into blocks (rectangles of positions that are read at once: chunks of a chunked
 * file, runs of rows otherwise), blocks into groups of UM_GROUP_ROWS positions, and the list of blocks
 * into at most SEGMENTS segments. All of it follows from the file and the recipe, never from threads or
 * memory, so every reduction has one order. */
#include "matrix_internal.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENTS = 64 };
static const size_t BLOCK_BYTES = (size_t)4 << 20; /* aim for blocks of row-major files */

/* Blocks for files whose patterns lie one after another: runs inside a scan row, or whole rows. */
static void choose_row_blocks(um_matrix *m, size_t pattern_bytes)
{
    int64_t bin2 = m->layout.scan_bin * m->layout.scan_bin;
    int64_t want = (int64_t)(BLOCK_BYTES / (pattern_bytes * (size_t)bin2 + 1)) + 1;
    want = ceil_div(want, UM_GROUP_ROWS) * UM_GROUP_ROWS;
    int64_t nx = m->layout.out.nx;
    if (want >= nx) {
        m->block_nx = nx;
        m->block_ny = min_i64(want / nx, m->layout.out.ny);
    } else {
        m->block_nx = want;
        m->block_ny = 1;
    }
}

static void choose_blocks(um_matrix *m)
{
    const um_source_info *info = um_source_get_info(m->source);
    size_t pattern_bytes =
        (size_t)(info->shape.ky * info->shape.kx) * um_dtype_size(info->dtype);
    int64_t bin = m->layout.scan_bin;
    bool chunked = info->block_ny > 1 || info->block_nx < info->shape.nx;
    bool aligned = m->layout.crop_y0 % info->block_ny == 0 && m->layout.crop_x0 % info->block_nx == 0;
    if (chunked && aligned) {
        m->block_ny = min_i64(ceil_div(info->block_ny, bin), m->layout.out.ny);
        m->block_nx = min_i64(ceil_div(info->block_nx, bin), m->layout.out.nx);
        /* A chunk per pattern (or a few) is as good as a run of patterns. */
        while (m->block_nx < m->layout.out.nx &&
               (size_t)(m->block_ny * m->block_nx * bin * bin) * pattern_bytes < BLOCK_BYTES / 2) {
            m->block_nx = min_i64(2 * m->block_nx, m->layout.out.nx);
        }
    } else {
        choose_row_blocks(m, pattern_bytes);
    }
    m->block_groups = ceil_div(m->block_ny * m->block_nx, UM_GROUP_ROWS);
    m->blocks_y = ceil_div(m->layout.out.ny, m->block_ny);
    m->blocks_x = ceil_div(m->layout.out.nx, m->block_nx);
    int64_t blocks = m->blocks_y * m->blocks_x;
    m->segment_blocks = ceil_div(blocks, SEGMENTS);
    m->segments = ceil_div(blocks, m->segment_blocks);
}

um_status um_matrix_from_prep(um_context *ctx, um_source *source, um_prep *prep, um_matrix **out)
{
    *out = NULL;
    um_matrix *m = calloc(1, sizeof *m);
    if (m == NULL) {
        um_prep_free(prep);
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a matrix");
    }
    m->ctx = ctx;
    m->source = source;
    m->prep = prep;
    m->layout = *um_prep_get_layout(prep);
    m->info = (um_matrix_info){
        .shape = m->layout.out,
        .dtype = m->layout.dtype,
        .counts = m->layout.counts,
        .signal_mask = um_prep_signal_mask(prep),
        .navigation_mask = um_prep_navigation_mask(prep),
    };
    memcpy(m->info.axes, m->layout.axes, sizeof m->info.axes);
    m->out_pattern = (size_t)(m->layout.out.ky * m->layout.out.kx) * um_dtype_size(m->layout.dtype);
    const um_source_info *stored = um_source_get_info(source);
    m->raw_pattern = (size_t)(stored->shape.ky * stored->shape.kx) * um_dtype_size(stored->dtype);
    m->passes = um_prep_passes(prep);
    m->visits = m->reads = (double)m->passes;
    choose_blocks(m);
    *out = m;
    return UM_OK;
}

um_status um_matrix_open(um_context *ctx, um_source *source, const um_recipe *recipe,
                         um_matrix **out)
{
    *out = NULL;
    um_prep *prep = NULL;
    UM_TRY(um_prep_bind(ctx, source, recipe, &prep));
    return um_matrix_from_prep(ctx, source, prep, out);
}

void um_matrix_free(um_matrix *matrix)
{
    if (matrix == NULL) {
        return;
    }
    um_resident_free(matrix);
    um_prep_free(matrix->prep);
    free(matrix->report);
    free(matrix);
}

um_context *um_matrix_get_context(const um_matrix *matrix)
{
    return matrix->ctx;
}

const um_matrix_info *um_matrix_get_info(const um_matrix *matrix)
{
    return &matrix->info;
}

int64_t um_matrix_passes(const um_matrix *matrix)
{
    return matrix->passes;
}

double um_matrix_reads(const um_matrix *matrix)
{
    return matrix->reads;
}

double um_matrix_visits(const um_matrix *matrix)
{
    return matrix->visits;
}

const char *um_matrix_report(const um_matrix *matrix)
{
    um_matrix *m = (um_matrix *)matrix; /* the text is made once, on demand */
    if (m->report == NULL) {
        m->report = json_dumps(um_prep_report(m->prep), JSON_COMPACT);
    }
    return m->report != NULL ? m->report : "{}";
}

const float *um_matrix_beam_positions(const um_matrix *matrix, int64_t *ny, int64_t *nx)
{
    *ny = matrix->layout.in.ny;
    *nx = matrix->layout.in.nx;
    return um_prep_beam_positions(matrix->prep);
}
