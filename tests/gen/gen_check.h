/* What the tests of all readers do with an open scan. Include after cmocka.h. */
#ifndef UM_GEN_CHECK_H
#define UM_GEN_CHECK_H

#include "gen_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void store(fixture *f, const char *name)
{
    gen_path(f->path, f->folder, name);
    gen_write(f->path, f->bytes.data, f->bytes.size);
    gen_clear(&f->bytes);
}

/* Opens the stored file; a refusal must be one line that names it. */
static um_status open_status(fixture *f, const um_open_options *options, um_source **source)
{
    um_status status = um_source_open(f->ctx, f->path, options, source);
    assert_true((status == UM_OK) == (*source != NULL));
    if (status != UM_OK) {
        const char *message = um_context_message(f->ctx);
        const char *name = strrchr(f->path, '/');
        assert_non_null(strstr(message, name));
        assert_null(strchr(message, '\n'));
    }
    return status;
}

static um_status refused(fixture *f, const um_open_options *options)
{
    um_source *source = NULL;
    um_status status = open_status(f, options, &source);
    um_source_free(source);
    return status;
}

/* Reads the whole scan and every kind of rectangle; position p holds gen_value(p + first). */
static void check_content(um_source *source, int64_t first, uint32_t limit)
{
    const um_source_info *info = um_source_get_info(source);
    um_shape s = info->shape;
    int64_t pixels = s.ky * s.kx;
    size_t bytes = (size_t)(s.ny * s.nx * pixels) * 8;
    um_array a = {.dtype = info->dtype, .data = malloc(bytes)};
    assert_non_null(a.data);
    const um_rect rects[] = {{0, 0, s.ny, s.nx},
                             {s.ny / 2, 0, 1, s.nx},
                             {0, s.nx / 2, s.ny, s.nx - s.nx / 2},
                             {s.ny - 1, s.nx - 1, 1, 1},
                             {0, 0, 0, s.nx}};
    for (size_t r = 0; r < sizeof rects / sizeof rects[0]; r++) {
        um_rect rect = rects[r];
        memset(a.data, 0xa5, bytes);
        assert_int_equal(um_source_read(source, rect, a.data), UM_OK);
        for (int64_t i = 0; i < rect.ny * rect.nx; i++) {
            int64_t p = (rect.y0 + i / rect.nx) * s.nx + rect.x0 + i % rect.nx;
            for (int64_t q = 0; q < pixels; q++) {
                uint32_t wanted = p < info->positions_present ? gen_value(first + p, q, limit) : 0;
                if (um_array_get(&a, i * pixels + q) != wanted) {
                    fail_msg("position %lld, pixel %lld: %g, not %u", (long long)p, (long long)q,
                             um_array_get(&a, i * pixels + q), wanted);
                }
            }
        }
    }
    free(a.data);
}

/* Opens and reads a few positions of what may be anything: only crashes count. */
static inline void poke(fixture *f, const um_open_options *options)
{
    um_source *source = NULL;
    if (open_status(f, options, &source) != UM_OK) {
        return;
    }
    const um_source_info *info = um_source_get_info(source);
    um_shape s = info->shape;
    size_t bytes = (size_t)(s.ky * s.kx) * um_dtype_size(info->dtype);
    if (bytes < (size_t)1 << 24) {
        void *data = malloc(bytes);
        um_status status = um_source_read(source, (um_rect){0, 0, 1, 1}, data);
        um_status last = um_source_read(source, (um_rect){s.ny - 1, s.nx - 1, 1, 1}, data);
        (void)status;
        (void)last;
        free(data);
    }
    um_source_free(source);
}

#endif
