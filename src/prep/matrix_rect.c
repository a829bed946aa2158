/* A few prepared patterns by their place, outside any pass. */
#include "matrix_internal.h"

um_status um_matrix_read_rect(um_matrix *m, um_rect out, void *dst)
{
    int64_t bin = m->layout.scan_bin;
    const um_rect in = {m->layout.crop_y0 + out.y0 * bin, m->layout.crop_x0 + out.x0 * bin, out.ny * bin,
                        out.nx * bin};
    m->reads += (double)(out.ny * out.nx) / (double)(m->layout.out.ny * m->layout.out.nx);
    if (m->layout.identity) {
        return um_source_read(m->source, in, dst);
    }
    void *raw = NULL;
    void *scratch = NULL;
    UM_TRY(um_buffer_alloc(m->ctx, (size_t)(in.ny * in.nx), m->raw_pattern, "patterns as stored", &raw));
    um_status status = um_buffer_alloc(m->ctx, um_prep_scratch_size(m->prep), 1, "patterns on their way", &scratch);
    if (status == UM_OK) {
        status = um_source_read(m->source, in, raw);
    }
    if (status == UM_OK) {
        status = um_prep_apply(m->prep, out, raw, scratch, dst);
    }
    um_buffer_free(m->ctx, raw);
    um_buffer_free(m->ctx, scratch);
    return status;
}
