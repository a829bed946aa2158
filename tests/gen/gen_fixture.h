/* A context, a folder of its own and bytes to fill a file with. Include after cmocka.h. */
#ifndef UM_GEN_FIXTURE_H
#define UM_GEN_FIXTURE_H

#include "gen_files.h"
#include "unmix/io.h"

#include <stdlib.h>

typedef struct fixture {
    um_context *ctx;
    char folder[256], path[512];
    gen_bytes bytes;
} fixture;

static int make(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(um_context_create(&f->ctx), UM_OK);
    gen_folder_make(f->folder);
    *state = f;
    return 0;
}

static int unmake(void **state)
{
    fixture *f = *state;
    gen_clear(&f->bytes);
    gen_folder_remove(f->folder);
    um_context_free(f->ctx);
    free(f);
    return 0;
}

#endif
