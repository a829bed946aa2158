/* Components for positions that the first fit leaves unexplained: what the residual of these has in common, one after
 * the other, all that were added fitted together each time. */
#include "second_pass.h"
#include "pixels.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 12 };
static const size_t RESIDUAL_BYTES = (size_t)16 << 20;
static const double EXCEEDS = 5; /* standard deviations */
/* How many times the leading singular value of noise, as it scatters for few rows, a component must have. */
static const double ABOVE = 1.08, ABOVE_FEW = 0.7;

size_t um_second_residual_room(size_t rows, size_t m)
{
    size_t room = RESIDUAL_BYTES / (m * sizeof(float));
    room = room > UM_SECOND_LEAST_ROWS ? room : UM_SECOND_LEAST_ROWS;
    return room < rows ? room : rows;
}

static um_status make_flat(um_second *x)
{
    um_scaled *s = x->scaled;
    um_sample *residual = &x->residual;
    *residual = (um_sample){.dtype = UM_F32, .m = s->m};
    residual->rows = residual->room = um_second_residual_room(x->sample.rows, s->m);
    UM_TRY(um_buffer_alloc(s->ctx, residual->rows * s->m, sizeof(float), "a residual", &residual->data));
    UM_TRY(um_buffer_alloc(s->ctx, residual->rows, sizeof *residual->slot, "a residual",
                           &residual->slot));
    x->flat = (um_sample_view){.scaled = *s, .sample = residual, .sound = true};
    um_scaled *flat = &x->flat.scaled;
    flat->u = flat->v = NULL;
    flat->n = residual->rows;
    flat->rows = flat->noisy_rows = (int64_t)residual->rows;
    flat->dtype = UM_F32;
    flat->weighted = false;
    flat->report = 1;
    flat->norm2_exact = false;
    UM_TRY(um_buffer_alloc(s->ctx, flat->n, sizeof(float), "row weights", &flat->u));
    UM_TRY(um_buffer_alloc(s->ctx, s->ld, sizeof(float), "pixel weights", &flat->v));
    for (size_t i = 0; i < flat->n; i++) {
        flat->u[i] = 1;
        residual->slot[i] = (um_sample_slot){(int64_t)i, i};
    }
    for (size_t j = 0; j < s->m; j++) {
        flat->v[j] = s->v[j] > 0;
    }
    return UM_OK;
}

/* X' - WH of every so many-th position taken. */
static um_status take_residual(um_second *x)
{
    const um_scaled *s = &x->view.scaled;
    const um_nmf_state *part = &x->part;
    bool (*widen)(double *, const void *, size_t) =
        um_pixel_kernels_get(um_context_isa(s->ctx))->widen[x->sample.dtype];
    size_t pattern = s->m * um_dtype_size(x->sample.dtype);
    double *values = NULL;
    UM_TRY(um_buffer_alloc(s->ctx, s->m, sizeof *values, "a pattern", &values));
    for (size_t i = 0; i < x->residual.rows; i++) {
        size_t row = i * x->sample.rows / x->residual.rows;
        float *out = (float *)x->residual.data + i * s->m;
        (void)widen(values, (const char *)x->sample.data + row * pattern, s->m);
        for (size_t j = 0; j < s->m; j++) {
            values[j] *= (double)s->u[row] * (double)s->v[j];
        }
        for (size_t c = 0; c < part->k; c++) {
            double w = (double)part->w[row * part->k + c];
            for (size_t j = 0; w > 0 && j < s->m; j++) {
                values[j] -= w * (double)part->h[c * s->ld + j];
            }
        }
        for (size_t j = 0; j < s->m; j++) {
            out[j] = s->v[j] > 0 ? (float)values[j] : 0;
        }
    }
    um_buffer_free(s->ctx, values);
    return UM_OK;
}

/* Twice gives back what there was. */
static void flip_signs(const um_second *x)
{
    um_random stream = {um_context_seed(x->scaled->ctx), UM_STREAM_SIGNS};
    float *values = x->residual.data;
    size_t count = x->residual.rows * x->residual.m;
    uint32_t words[4] = {0};
    for (size_t i = 0; i < count; i++) {
        if (i % 128 == 0) {
            um_random_words(stream, i / 128, words);
        }
        values[i] = words[i % 128 / 32] >> i % 32 & 1 ? -values[i] : values[i];
    }
}

static um_status leading(um_second *x, um_subspace *out)
{
    um_scaled *flat = &x->flat.scaled;
    size_t l = UM_SECOND_DIRECTIONS;
    l = l < flat->n ? l : flat->n;
    l = l < (size_t)flat->noisy_columns ? l : (size_t)flat->noisy_columns;
    float *o = NULL;
    *out = (um_subspace){.count = 0};
    UM_TRY(um_buffer_alloc(flat->ctx, l * flat->ld, sizeof *o, "directions", &o));
    um_random_basis(flat, l, o);
    return um_subspace_rounds(flat, l, ROUNDS, um_sample_walk, &x->flat, o, out);
}

/* The positive side of the leading direction, as NNDSVD takes it, into h. */
static void take_direction(const um_second *x, const um_subspace *found, float *h)
{
    const um_scaled *s = &x->flat.scaled;
    double v2[2] = {0, 0};
    double u2[2] = {0, 0};
    for (size_t j = 0; j < s->m; j++) {
        double v = (double)found->v[j];
        v2[v < 0] += v * v;
    }
    for (size_t i = 0; i < s->n; i++) {
        double u = (double)found->us[i * found->count];
        u2[u < 0] += u * u;
    }
    int side = v2[1] * u2[1] > v2[0] * u2[0];
    double norm = sqrt(fmax(v2[side], 1e-30));
    for (size_t j = 0; j < s->m; j++) {
        double v = (double)(side == 1 ? -found->v[j] : found->v[j]);
        h[j] = v > 0 ? (float)(v / norm) : 0;
    }
}

/* Whether the residual has something in common beyond noise; then it is the last component of x->part. *noise2: the
 * square of the leading singular value of noise, the most that a component of noise alone can gain. */
static um_status find_more(um_second *x, bool *found, double *noise2)
{
    um_subspace noise;
    um_subspace signal;
    um_nmf_state *part = &x->part;
    UM_TRY(take_residual(x));
    flip_signs(x);
    UM_TRY(leading(x, &noise));
    flip_signs(x);
    um_status status = leading(x, &signal);
    if (status == UM_OK) {
        um_debug(x->scaled->ctx, "unexplained: leading singular value %.4g, of noise %.4g",
                 signal.sigma[0], noise.sigma[0]);
        double above = ABOVE + ABOVE_FEW / sqrt((double)x->residual.rows);
        *found = signal.sigma[0] > above * noise.sigma[0];
        *noise2 = noise.sigma[0] * noise.sigma[0];
    }
    if (status == UM_OK && *found) {
        take_direction(x, &signal, part->h + part->k * x->scaled->ld);
        part->k++;
    }
    um_subspace_free(x->scaled->ctx, &signal);
    um_subspace_free(x->scaled->ctx, &noise);
    return status;
}

/* Pixels at which the mean residual of the positions taken differs from zero by more than their own scatter allows. */
static size_t count_pixels(const um_second *x)
{
    size_t count = 0;
    const float *values = x->residual.data;
    for (size_t j = 0; j < x->residual.m; j++) {
        double sum = 0;
        double squares = 0;
        for (size_t i = 0; i < x->residual.rows; i++) {
            double d = (double)values[i * x->residual.m + j];
            sum += d;
            squares += d * d;
        }
        count += squares > 0 && fabs(sum) > EXCEEDS * sqrt(squares);
    }
    return count;
}

/* The components of the first fit and what is added to them, in x->part. */
um_status um_second_add(um_second *x, const um_nmf_state *state)
{
    um_scaled *s = &x->view.scaled;
    UM_TRY(um_nmf_state_create(s, x->first + x->most, 1, &x->part));
    um_nmf_state *part = &x->part;
    part->k = x->first;
    memcpy(part->h, state->h, x->first * s->ld * sizeof *part->h);
    UM_TRY(make_flat(x));
    UM_TRY(um_buffer_alloc(s->ctx, (x->first + x->most) * s->ld, sizeof(float), "components", &x->kept));
    double squares = 0;
    UM_TRY(um_family_fit_more(&x->view, part, x->first, &squares));
    bool found = true;
    while (found && part->k < x->first + x->most) {
        double noise2 = 0;
        double before = squares;
        UM_TRY(find_more(x, &found, &noise2));
        x->pixels = x->found == 0 ? count_pixels(x) : x->pixels;
        if (found) {
            double share = (double)x->residual.rows / (double)x->sample.rows;
            memset(part->w, 0, s->n * part->k * sizeof *part->w);
            UM_TRY(um_family_fit_more(&x->view, part, x->first, &squares));
            found = (before - squares) * share > noise2;
            um_debug(s->ctx, "unexplained: component %zu gains %.4g, noise at most %.4g", part->k,
                     (before - squares) * share, noise2);
        }
        if (found) {
            memcpy(x->kept, part->h, part->k * s->ld * sizeof *x->kept);
            x->found = part->k - x->first;
        }
    }
    return UM_OK;
}

