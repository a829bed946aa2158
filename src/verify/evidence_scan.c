/* What only the scan tells, in one read: the worst positions as they were measured, and whether the noise of a position
 * is still in the next one of the row. */
#include "evidence_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAGS = 2 };
static const double CERTAIN = 6, LEAST_GLOW = 0.01;

typedef struct scan_reader {
    um_context *ctx;
    um_evidence *evidence;
    const float *h, *w;
    const uint8_t *mask;
    int64_t nx;
    um_proxies proxies;
    double product[LAGS], square, pairs[LAGS], entries;
} scan_reader;

/* Residuals of the last positions, in units of counting noise. */
typedef struct lane {
    float *residual[LAGS + 1];
    int64_t position[LAGS + 1]; /* -1 = none */
    double product[LAGS], square, pairs[LAGS], entries;
} lane;

static void stop(void *user, void *state)
{
    (void)user;
    lane *l = state;
    for (int i = 0; l != NULL && i <= LAGS; i++) {
        free(l->residual[i]);
    }
    free(l);
}

static um_status start(void *user, void **state)
{
    const scan_reader *reader = user;
    lane *l = calloc(1, sizeof *l);
    *state = l;
    bool made = l != NULL;
    for (int i = 0; made && i <= LAGS; i++) {
        l->position[i] = -1;
        l->residual[i] = calloc((size_t)reader->evidence->pixels, sizeof(float));
        made = l->residual[i] != NULL;
    }
    return made ? UM_OK : um_fail(reader->ctx, UM_ERROR_MEMORY, "no memory for residuals");
}

/* Places differ, so workers never write to the same one. */
static void keep_worst(um_evidence *e, int64_t nx, int64_t position, const um_array *row)
{
    for (int64_t i = 0; i < e->worst_count; i++) {
        um_worst *worst = &e->worst[i];
        for (int64_t j = 0; j < e->pixels && worst->y * nx + worst->x == position; j++) {
            worst->measured[j] = (float)um_array_get(row, j);
        }
    }
}

static void residual_of(const scan_reader *reader, int64_t position, const um_array *row, float *residual)
{
    int64_t m = reader->evidence->pixels;
    int64_t k = reader->evidence->k;
    memset(residual, 0, (size_t)m * sizeof *residual);
    for (int64_t c = 0; c < k; c++) {
        float w = reader->w[position * k + c];
        for (int64_t j = 0; j < m && w > 0; j++) {
            residual[j] += w * reader->h[c * m + j];
        }
    }
    for (int64_t j = 0; j < m; j++) {
        float model = residual[j];
        bool used = um_used(reader->mask, j) && model > 0;
        residual[j] = used ? ((float)um_array_get(row, j) - model) / sqrtf(model) : 0;
    }
}

static double dot(const float *a, const float *b, int64_t m)
{
    double sum = 0;
    for (int64_t j = 0; j < m; j++) {
        sum += (double)(a[j] * b[j]);
    }
    return sum;
}

static void add_position(const scan_reader *reader, lane *l, int64_t position, const um_array *row)
{
    int64_t m = reader->evidence->pixels;
    float *oldest = l->residual[LAGS];
    for (int i = LAGS; i > 0; i--) {
        l->residual[i] = l->residual[i - 1];
        l->position[i] = l->position[i - 1];
    }
    l->residual[0] = oldest;
    l->position[0] = position;
    residual_of(reader, position, row, oldest);
    l->square += dot(oldest, oldest, m);
    l->entries += (double)m;
    for (int lag = 1; lag <= LAGS; lag++) {
        if (l->position[lag] == position - lag && position % reader->nx >= lag) {
            l->product[lag - 1] += dot(oldest, l->residual[lag], m);
            l->pairs[lag - 1] += (double)m;
        }
    }
}

static um_status visit(void *user, void *state, const um_tile *tile)
{
    scan_reader *reader = user;
    size_t m = (size_t)reader->evidence->pixels;
    for (size_t r = 0; r < tile->rows; r++) {
        um_array row = {.dtype = tile->dtype, .ndim = 1, .shape = {(int64_t)m},
                        .data = (char *)(uintptr_t)tile->data + r * m * um_dtype_size(tile->dtype)};
        keep_worst(reader->evidence, reader->nx, tile->position[r], &row);
        add_position(reader, state, tile->position[r], &row);
        um_proxies_add(&reader->proxies, tile->position[r], &row);
    }
    return UM_OK;
}

/* A segment ends: what a worker saw before is no neighbour of what comes. */
static um_status merge(void *user, void *state)
{
    scan_reader *reader = user;
    lane *l = state;
    for (int i = 0; i < LAGS; i++) {
        reader->product[i] += l->product[i];
        reader->pairs[i] += l->pairs[i];
        l->product[i] = l->pairs[i] = 0;
    }
    reader->square += l->square;
    reader->entries += l->entries;
    l->square = l->entries = 0;
    for (int i = 0; i <= LAGS; i++) {
        l->position[i] = -1;
    }
    return UM_OK;
}

/* A detector that shows the part F of a signal once more gives the noise of neighbours the correlation F / (1 + F^2),
 * those two apart almost none; what the model misses is alike over several positions. */
static void tell_afterglow(const scan_reader *reader)
{
    um_evidence *e = reader->evidence;
    if (!(reader->square > 0) || !(reader->pairs[0] > 0) || !(reader->pairs[1] > 0)) {
        return;
    }
    double variance = reader->square / reader->entries;
    double next = reader->product[0] / reader->pairs[0] / variance;
    double second = reader->product[1] / reader->pairs[1] / variance;
    double excess = next - fmax(second, 0);
    double sigmas = excess * sqrt(reader->pairs[0] / 2);
    e->row_correlation = next;
    e->afterglow = excess > LEAST_GLOW && sigmas > CERTAIN ? (1 - sqrt(fmax(1 - 4 * excess * excess, 0))) / (2 * excess) : 0;
    if (e->afterglow > 0) {
        snprintf(e->afterglow_reason, sizeof e->afterglow_reason,
                 "counting noise of neighbours in a row is correlated by %.3f (%.0f standard deviations), two apart by %.3f: "
                 "about %.0f %% of a signal is still shown at the next position",
                 next, sigmas, second, 100 * e->afterglow);
    }
}

static um_status fill_model(um_context *ctx, um_model *model, um_evidence *e)
{
    const float *h = um_model_factors(model);
    const float *w = um_model_loadings(model);
    for (int64_t i = 0; i < e->worst_count; i++) {
        um_worst *worst = &e->worst[i];
        int64_t p = worst->y * um_model_shape(model).nx + worst->x;
        worst->measured = calloc((size_t)e->pixels, sizeof *worst->measured);
        worst->model = calloc((size_t)e->pixels, sizeof *worst->model);
        if (worst->measured == NULL || worst->model == NULL) {
            return um_fail(ctx, UM_ERROR_MEMORY, "no memory for patterns");
        }
        for (int64_t j = 0; j < e->pixels; j++) {
            double sum = 0;
            for (int64_t c = 0; c < e->k; c++) {
                sum += (double)w[p * e->k + c] * (double)h[c * e->pixels + j];
            }
            worst->model[j] = (float)sum;
        }
    }
    return UM_OK;
}

/* Of the scan, or of the model where its sums are not stored. mean: pixels. */
static void mean_pattern(um_model *model, const um_evidence *e, double *mean)
{
    const double *sum = um_evidence_array(model, "sum_pattern", e->pixels);
    const float *h = um_model_factors(model);
    for (int64_t j = 0; j < e->pixels; j++) {
        mean[j] = sum != NULL ? sum[j] : 0;
        for (int64_t c = 0; c < e->k && sum == NULL; c++) {
            mean[j] += e->cards[c].contribution * (double)h[c * e->pixels + j];
        }
    }
}

static um_status make_proxies(um_context *ctx, um_model *model, const um_evidence *e, um_proxies *proxies)
{
    double *mean = NULL;
    UM_TRY(um_buffer_alloc(ctx, (size_t)e->pixels, sizeof *mean, "a pattern", &mean));
    mean_pattern(model, e, mean);
    um_status status = um_proxies_make(ctx, model, mean, proxies);
    um_buffer_free(ctx, mean);
    return status;
}

/* Half of a read must not be shown as what was measured. */
static void forget_patterns(um_evidence *e)
{
    for (int64_t i = 0; i < e->worst_count; i++) {
        free(e->worst[i].measured);
        free(e->worst[i].model);
        e->worst[i].measured = e->worst[i].model = NULL;
    }
}

um_status um_evidence_read(um_context *ctx, um_model *model, um_matrix *matrix, um_evidence *evidence)
{
    um_shape a = um_model_shape(model);
    um_shape b = um_matrix_get_info(matrix)->shape;
    if (a.ny != b.ny || a.nx != b.nx || a.ky != b.ky || a.kx != b.kx) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "the scan as prepared is %lldx%lldx%lldx%lld, the result %lldx%lldx%lldx%lld: give the preparation "
                       "options that the result was made with",
                       (long long)b.ny, (long long)b.nx, (long long)b.ky, (long long)b.kx, (long long)a.ny,
                       (long long)a.nx, (long long)a.ky, (long long)a.kx);
    }
    forget_patterns(evidence);
    um_status status = fill_model(ctx, model, evidence);
    scan_reader reader = {.ctx = ctx, .evidence = evidence, .h = um_model_factors(model),
                          .w = um_model_loadings(model), .mask = um_model_signal_mask(model), .nx = a.nx};
    const um_visitor visitor = {.start = start, .visit = visit, .merge = merge, .stop = stop};
    if (status == UM_OK) {
        status = make_proxies(ctx, model, evidence, &reader.proxies);
    }
    if (status == UM_OK) {
        status = um_matrix_pass(matrix, "reading what the scan tells", &visitor, &reader);
    }
    if (status == UM_OK) {
        status = um_proxies_tell(&reader.proxies, model, evidence);
    }
    if (reader.proxies.ctx != NULL) {
        um_proxies_free(&reader.proxies);
    }
    if (status == UM_OK) {
        tell_afterglow(&reader);
    } else {
        forget_patterns(evidence);
    }
    return status;
}
