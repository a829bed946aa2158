/* The state between two passes as an .npz, written beside and renamed: a kill at any moment leaves the
 * last whole one. What it belongs to is told by numbers that any change of data or options changes. */
#include "factor_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 17, NUMBERS = 11 };

static void fill_key(const um_scaled *s, const um_nmf_options *options, double key[KEYS])
{
    uint64_t seed = um_context_seed(s->ctx);
    const double values[KEYS] = {
        5, /* version of this layout */
        (double)s->n,
        (double)s->m,
        (double)options->k,
        (double)s->weighted,
        (double)options->start,
        (double)(seed >> 32),
        (double)(seed & 0xffffffffu),
        s->sums->total,
        s->sums->total_squares,
        s->sums->maximum,
        (double)s->rows,
        (double)s->columns,
        options->tolerance,
        (double)um_context_isa(s->ctx),
        (double)options->loss,
        (double)um_nmf_saves_reads(s, options) + 2 * (double)um_nmf_stop_rule(s, options),
    };
    memcpy(key, values, sizeof values);
}

um_status um_nmf_checkpoint_save(um_scaled *s, const um_nmf_options *options,
                                 const um_nmf_state *state)
{
    double key[KEYS];
    fill_key(s, options, key);
    const double numbers[NUMBERS] = {state->momentum, state->kkt,           s->norm2,
                                     state->safe,     state->gain,          state->cautious,
                                     s->norm2_exact,  (double)state->passes,
                                     state->turn_passes, state->moved,      state->moving};
    const int64_t passes = state->passes + 1; /* an array must not be empty */
    const int64_t k = (int64_t)state->k;
    const int64_t keys = KEYS;
    const int64_t count = NUMBERS;
    const int64_t h_shape[2] = {k, (int64_t)s->ld};
    const int64_t w_shape[2] = {(int64_t)s->n, k};
    um_npz *npz = NULL;
    UM_TRY(um_npz_create(s->ctx, options->checkpoint, true, &npz));
    um_status status = um_npz_add(npz, "key", UM_F64, 1, &keys, key);
    const struct {
        const char *name;
        um_dtype dtype;
        int ndim;
        const int64_t *shape;
        const void *data;
    } parts[] = {
        {"numbers", UM_F64, 1, &count, numbers},
        {"h", UM_F32, 2, h_shape, state->h},
        {"h_last", UM_F32, 2, h_shape, state->h_last},
        {"w", UM_F32, 2, w_shape, state->w},
        {"scale", UM_F64, 1, &k, state->scale},
        {"history", UM_F64, 1, &passes, state->history},
        {"history_kkt", UM_F64, 1, &passes, state->history_kkt},
    };
    for (size_t i = 0; status == UM_OK && i < sizeof parts / sizeof parts[0]; i++) {
        status = um_npz_add(npz, parts[i].name, parts[i].dtype, parts[i].ndim, parts[i].shape,
                            parts[i].data);
    }
    if (status == UM_OK) {
        status = um_npz_commit(npz);
    }
    um_npz_free(npz);
    return status;
}

static um_status read_part(um_scaled *s, const char *path, const char *name, um_dtype dtype,
                           int64_t least, int64_t most, void *dst, int64_t *got)
{
    char *spec = um_format("%s:%s", path, name);
    if (spec == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a name");
    }
    um_array *array = NULL;
    um_status status = um_array_read(s->ctx, spec, &array);
    free(spec);
    UM_TRY(status);
    int64_t size = um_array_size(array);
    if (array->dtype != dtype || size < least || size > most) {
        status =
            um_fail(s->ctx, UM_ERROR_FORMAT, "%s: not a checkpoint of this version of unmix", path);
    } else {
        memcpy(dst, array->data, (size_t)size * um_dtype_size(dtype));
        if (got != NULL) {
            *got = size;
        }
    }
    um_array_free(array);
    return status;
}

static bool same_key(const double a[KEYS], const double b[KEYS])
{
    bool same = true;
    for (int i = 0; i < KEYS; i++) {
        same = same && a[i] == b[i];
    }
    return same;
}

um_status um_nmf_checkpoint_load(um_scaled *s, const um_nmf_options *options, um_nmf_state *state,
                                 bool *found)
{
    const char *path = options->checkpoint;
    *found = false;
    if (access(path, F_OK) != 0) {
        return UM_OK;
    }
    double key[KEYS];
    double wanted[KEYS];
    fill_key(s, options, wanted);
    UM_TRY(read_part(s, path, "key", UM_F64, KEYS, KEYS, key, NULL));
    if (!same_key(key, wanted)) {
        return um_fail(
            s->ctx, UM_ERROR_ARGUMENT,
            "%s: the checkpoint is of other data, options or CPU: run without --resume, or "
            "with what it was made with",
            path);
    }
    double numbers[NUMBERS];
    int64_t h_size = (int64_t)(state->k * s->ld);
    int64_t w_size = (int64_t)(s->n * state->k);
    int64_t passes = 0;
    int64_t most = options->max_passes;
    int64_t k = (int64_t)state->k;
    UM_TRY(read_part(s, path, "numbers", UM_F64, NUMBERS, NUMBERS, numbers, NULL));
    UM_TRY(read_part(s, path, "h", UM_F32, h_size, h_size, state->h, NULL));
    UM_TRY(read_part(s, path, "h_last", UM_F32, h_size, h_size, state->h_last, NULL));
    UM_TRY(read_part(s, path, "w", UM_F32, w_size, w_size, state->w, NULL));
    UM_TRY(read_part(s, path, "scale", UM_F64, k, k, state->scale, NULL));
    UM_TRY(read_part(s, path, "history", UM_F64, 1, most + 1, state->history, &passes));
    UM_TRY(read_part(s, path, "history_kkt", UM_F64, passes, passes, state->history_kkt, NULL));
    state->passes = (int64_t)numbers[7];
    state->momentum = numbers[0];
    state->kkt = numbers[1];
    s->norm2 = numbers[2];
    state->safe = numbers[3];
    state->gain = numbers[4];
    state->cautious = numbers[5];
    s->norm2_exact = numbers[6] > 0;
    state->turn_passes = numbers[8];
    state->moved = numbers[9];
    state->moving = numbers[10];
    *found = true;
    um_info(s->ctx, "going on from pass %lld of %s", (long long)state->passes, path);
    return UM_OK;
}
