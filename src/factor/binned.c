/* The scan summed over small squares of positions, gathered along with the first read.
 *
 * Sums of counts are counts: their weighted noise has an edge of sqrt(tiles) + sqrt(pixels), while a state that is
 * at home in a few squares keeps its singular value. So what is rare, local and faint stands out here, and
 * what the subspace has missed of it can be told. Sums are integers, so they have one value in any order. */
#include "factor_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SIDE = 4, LEAST_SCAN = 16, LOCKS = 64, ROUNDS = 5, FRACTIONS = 16 };
static const size_t SMALL_COPY = (size_t)32 << 20; /* bytes */
static const double STANDS_OUT = 1.1, CAPTURED = 0.75;

struct um_binned {
    um_scaled *scaled;
    size_t side, tiles_x, tiles;
    uint32_t *sum; /* tiles x m */
    pthread_mutex_t lock[LOCKS];
    um_sample sample;
    um_sample_view view;
};

size_t um_binned_side(const um_scaled *s, size_t subspace_bytes)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    um_shape shape = info->shape;
    if (!s->weighted || shape.ny < LEAST_SCAN || shape.nx < LEAST_SCAN || info->dtype == UM_F64) {
        return 0;
    }
    size_t most = subspace_bytes > SMALL_COPY ? subspace_bytes : SMALL_COPY;
    size_t side = LEAST_SIDE;
    while ((size_t)((shape.ny + (int64_t)side - 1) / (int64_t)side) *
               (size_t)((shape.nx + (int64_t)side - 1) / (int64_t)side) * s->m * sizeof(uint32_t) >
           most) {
        side++;
    }
    return side * LEAST_SIDE <= (size_t)(shape.ny < shape.nx ? shape.ny : shape.nx) ? side : 0;
}

/* ---- gathering ----------------------------------------------------------------------------------- */

#define DEFINE_ADD(name, type, factor)                                                             \
    static void name(uint32_t *restrict sum, const void *data, size_t count)                       \
    {                                                                                              \
        const type *restrict x = data;                                                             \
        for (size_t i = 0; i < count; i++) {                                                       \
            sum[i] += (uint32_t)(factor(x[i]));                                                    \
        }                                                                                          \
    }
#define AS_IT_IS(x) (x)
/* Values between counts (of interpolated patterns) to a sixteenth; what cannot be is refused elsewhere. */
#define IN_FRACTIONS(x) ((x) > 0 && (x) < 1e7F ? (x) * (float)FRACTIONS + 0.5F : 0)
DEFINE_ADD(add_u8, uint8_t, AS_IT_IS)
DEFINE_ADD(add_u16, uint16_t, AS_IT_IS)
DEFINE_ADD(add_u32, uint32_t, AS_IT_IS)
DEFINE_ADD(add_i8, int8_t, AS_IT_IS)
DEFINE_ADD(add_i16, int16_t, AS_IT_IS)
DEFINE_ADD(add_i32, int32_t, AS_IT_IS)
DEFINE_ADD(add_f32, float, IN_FRACTIONS)

#define DEFINE_ADD_STORED(name, type)                                                              \
    static void name(uint32_t *sum, const uint16_t *column, const type *value, size_t count)       \
    {                                                                                              \
        for (size_t i = 0; i < count; i++) {                                                       \
            sum[column[i]] += value[i];                                                            \
        }                                                                                          \
    }
DEFINE_ADD_STORED(add_stored_u8, uint8_t)
DEFINE_ADD_STORED(add_stored_u16, uint16_t)

static void add_sparse(uint32_t *sum, const um_sparse_rows *x, size_t r)
{
    const uint16_t *column = x->column + x->start[r];
    size_t count = x->start[r + 1] - x->start[r];
    if (x->value_dtype == UM_U8) {
        add_stored_u8(sum, column, (const uint8_t *)x->value + x->start[r], count);
    } else {
        add_stored_u16(sum, column, (const uint16_t *)x->value + x->start[r], count);
    }
}

static um_status binned_visit(void *user, void *state, const um_tile *tile)
{
    static void (*const add[UM_DTYPE_COUNT])(uint32_t *restrict, const void *, size_t) = {
        [UM_U8] = add_u8,   [UM_U16] = add_u16, [UM_U32] = add_u32, [UM_I8] = add_i8,
        [UM_I16] = add_i16, [UM_I32] = add_i32, [UM_F32] = add_f32};
    (void)state;
    um_binned *b = user;
    size_t m = b->scaled->m;
    size_t nx = (size_t)um_matrix_get_info(b->scaled->matrix)->shape.nx;
    for (size_t r = 0; r < tile->rows; r++) {
        size_t p = (size_t)tile->position[r];
        size_t at = p / nx / b->side * b->tiles_x + p % nx / b->side;
        pthread_mutex_lock(&b->lock[at % LOCKS]);
        if (tile->sparse != NULL) {
            add_sparse(b->sum + at * m, tile->sparse, r);
        } else {
            add[tile->dtype](b->sum + at * m,
                             (const char *)tile->data + r * m * um_dtype_size(tile->dtype), m);
        }
        pthread_mutex_unlock(&b->lock[at % LOCKS]);
    }
    return UM_OK;
}

const um_visitor um_binned_visitor = {.visit = binned_visit, .sparse = true};

um_status um_binned_create(um_scaled *s, size_t subspace_bytes, um_binned **out)
{
    size_t side = um_binned_side(s, subspace_bytes);
    *out = NULL;
    if (side == 0) {
        return UM_OK;
    }
    um_shape shape = um_matrix_get_info(s->matrix)->shape;
    um_binned *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a binned scan");
    }
    b->scaled = s;
    b->side = side;
    b->tiles_x = ((size_t)shape.nx + side - 1) / side;
    b->tiles = b->tiles_x * (((size_t)shape.ny + side - 1) / side);
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_init(&b->lock[i], NULL);
    }
    *out = b;
    UM_TRY(um_buffer_alloc(s->ctx, b->tiles * s->m, sizeof *b->sum, "the binned scan", &b->sum));
    UM_TRY(um_buffer_alloc(s->ctx, b->tiles, sizeof *b->sample.slot, "the binned scan",
                           &b->sample.slot));
    return um_buffer_alloc(s->ctx, b->tiles, sizeof(float), "the binned scan", &b->view.scaled.u);
}

void um_binned_free(um_context *ctx, um_binned *b)
{
    if (b == NULL) {
        return;
    }
    um_buffer_free(ctx, b->sum);
    um_buffer_free(ctx, b->sample.slot);
    um_buffer_free(ctx, b->view.scaled.u);
    for (int i = 0; i < LOCKS; i++) {
        pthread_mutex_destroy(&b->lock[i]);
    }
    free(b);
}

double um_binned_unit(const um_binned *b)
{
    return um_matrix_get_info(b->scaled->matrix)->dtype == UM_F32 ? FRACTIONS : 1;
}

size_t um_binned_positions(const um_binned *b)
{
    return b->side;
}

/* ---- as a scan of its own -------------------------------------------------------------------------- */

/* Once the weights of the pixels are settled. */
void um_binned_settle(um_binned *b)
{
    const um_scaled *s = b->scaled;
    const uint8_t *mask = um_matrix_get_info(s->matrix)->signal_mask;
    double unit = um_binned_unit(b);
    float *u = b->view.scaled.u;
    size_t used = 0;
    for (size_t i = 0; i < b->tiles; i++) {
        double sum = 0;
        for (size_t j = 0; j < s->m; j++) {
            sum += mask == NULL || mask[j] == 0 ? (double)b->sum[i * s->m + j] : 0;
        }
        b->sample.slot[i] = (um_sample_slot){(int64_t)i, i};
        u[i] = sum > 0 ? (float)(sqrt(s->sums->total / (sum / unit)) / unit) : 0;
        used += sum > 0;
    }
    b->sample.dtype = UM_U32;
    b->sample.rows = b->sample.room = b->tiles;
    b->sample.m = s->m;
    b->sample.data = b->sum;
    b->view.scaled = *s;
    b->view.scaled.dtype = UM_U32;
    b->view.scaled.u = u;
    b->view.scaled.n = b->tiles;
    b->view.scaled.rows = b->view.scaled.noisy_rows = (int64_t)used;
    b->view.sample = &b->sample;
    b->view.sound = true;
}

um_sample_view *um_binned_view(um_binned *b)
{
    return &b->view;
}

um_status um_binned_subspace(um_binned *b, size_t l, const float *o, um_subspace *out)
{
    um_scaled *s = &b->view.scaled;
    float *basis = NULL;
    l = l < (size_t)s->rows ? l : (size_t)s->rows;
    *out = (um_subspace){.count = 0};
    UM_TRY(um_buffer_alloc(s->ctx, l * s->ld, sizeof(float), "directions", &basis));
    memcpy(basis, o, l * s->ld * sizeof *basis);
    return um_subspace_rounds(s, l, ROUNDS, um_sample_walk, &b->view, basis, out);
}

/* Directions that stand out of the noise of the binned scan replace the last ones of o (l orthonormal rows,
 * leading singular vectors of the scan). True when o did not hold one of them. */
bool um_binned_add_directions(const um_binned *b, const um_subspace *found, size_t l, float *o)
{
    const um_scaled *s = &b->view.scaled;
    double edge = STANDS_OUT * um_noise_edge(s) / s->report;
    bool missed = false;
    size_t use = 0;
    for (; use < found->count && use < l / 3 && found->sigma[use] > edge; use++) {
        double captured = 0;
        for (size_t c = 0; c < l; c++) {
            double sum = 0;
            for (size_t j = 0; j < s->m; j++) {
                sum += (double)o[c * s->ld + j] * (double)found->v[use * s->ld + j];
            }
            captured += sum * sum;
        }
        missed = missed || captured < CAPTURED;
    }
    memcpy(o + (l - use) * s->ld, found->v, use * s->ld * sizeof *o);
    um_debug(s->ctx, "binned %zux%zu: %zu directions above noise%s", b->side, b->side, use,
             missed ? ", not all of them in the subspace" : "");
    return missed;
}
