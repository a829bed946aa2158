/* Evidence about a stored result: put together from its parts. */
#include "evidence_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *um_suspicion_word(um_suspicion_kind kind)
{
    static const char *const words[] = {
#define UM_SUSPICION_WORD(kind, word, name, fault) word,
        UM_SUSPICION_LIST(UM_SUSPICION_WORD)
#undef UM_SUSPICION_WORD
    };
    return kind < UM_SUSPICION_COUNT ? words[kind] : "unknown";
}

const char *um_suspicion_name(um_suspicion_kind kind)
{
    static const char *const names[] = {
#define UM_SUSPICION_NAME(kind, word, name, fault) name,
        UM_SUSPICION_LIST(UM_SUSPICION_NAME)
#undef UM_SUSPICION_NAME
    };
    return kind < UM_SUSPICION_COUNT ? names[kind] : "unknown";
}

bool um_suspicion_is_fault(um_suspicion_kind kind)
{
    static const bool faults[] = {
#define UM_SUSPICION_FAULT(kind, word, name, fault) fault,
        UM_SUSPICION_LIST(UM_SUSPICION_FAULT)
#undef UM_SUSPICION_FAULT
    };
    return kind < UM_SUSPICION_COUNT && faults[kind];
}

double um_share(const um_inquiry *q, int64_t p, int64_t c)
{
    double total = 0;
    for (int64_t d = 0; d < q->k; d++) {
        total += um_w(q, p, d) * q->pattern_sum[d];
    }
    return total > 0 ? um_w(q, p, c) * q->pattern_sum[c] / total : 0;
}

um_status um_suspect(um_evidence *e, um_suspicion_kind kind, int64_t component, int64_t with, const char *format, ...)
{
    um_suspicion *grown = realloc(e->suspicions, (size_t)(e->suspicion_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return um_fail(e->ctx, UM_ERROR_MEMORY, "no memory for suspicions");
    }
    e->suspicions = grown;
    um_suspicion *s = &grown[e->suspicion_count++];
    *s = (um_suspicion){.kind = kind, .component = component, .with = with};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(s->reason, sizeof s->reason, format, arguments);
    va_end(arguments);
    return UM_OK;
}

const double *um_evidence_array(const um_model *model, const char *name, int64_t count)
{
    const um_array *array = um_model_array(model, name);
    bool fits = array != NULL && array->dtype == UM_F64 && um_array_size(array) == count;
    return fits ? array->data : NULL;
}

/* ---- what the parts start from ------------------------------------------------------------------ */

static um_status check(um_inquiry *q, const um_model *model)
{
    for (int64_t i = 0; i < q->k * q->m; i++) {
        if (q->h[i] < 0) {
            return um_fail(q->ctx, UM_ERROR_VALUE, "%s: pattern %lld is negative at pixel %lld: evidence is about "
                           "non-negative factors, such as those of unmix nmf", um_model_method(model),
                           (long long)(i / q->m), (long long)(i % q->m));
        }
    }
    for (int64_t i = 0; i < q->n * q->k; i++) {
        if (q->w[i] < 0) {
            return um_fail(q->ctx, UM_ERROR_VALUE, "%s: a loading at position %lld is negative: evidence is about "
                           "non-negative factors, such as those of unmix nmf", um_model_method(model),
                           (long long)(i / q->k));
        }
    }
    return UM_OK;
}

static void sum_sides(um_inquiry *q)
{
    for (int64_t j = 0; j < q->m; j++) {
        q->m_used += um_used(q->pixel_mask, j);
        for (int64_t c = 0; c < q->k; c++) {
            q->pattern_sum[c] += um_h(q, c, j);
        }
    }
    for (int64_t p = 0; p < q->n; p++) {
        q->n_used += um_used(q->position_mask, p);
        for (int64_t c = 0; c < q->k; c++) {
            q->map_sum[c] += um_w(q, p, c);
        }
    }
}

/* Weights from the sums of the scan, or of the model where those are not stored. */
static void take_weights(um_inquiry *q, const um_model *model)
{
    const double *sum_pattern = um_evidence_array(model, "sum_pattern", q->m);
    const double *sum_map = um_evidence_array(model, "sum_map", q->n);
    double total = 0;
    double most = 0;
    for (int64_t j = 0; j < q->m; j++) {
        double b = 0;
        for (int64_t c = 0; c < q->k && sum_pattern == NULL; c++) {
            b += q->map_sum[c] * um_h(q, c, j);
        }
        b = sum_pattern != NULL ? sum_pattern[j] : b;
        bool used = um_used(q->pixel_mask, j);
        q->contrast[j] = used && b > 0 ? 1 / b : 0;
        q->d[j] = q->out->weighted ? q->contrast[j] : used ? 1 : 0;
        b = used && b > 0 ? b : 0;
        if (b > most) {
            most = b;
            q->beam = j;
        }
        total += b;
        q->center[0] += b * (double)(j / q->shape.kx);
        q->center[1] += b * (double)(j % q->shape.kx);
    }
    for (int i = 0; i < 2; i++) {
        q->center[i] = total > 0 ? q->center[i] / total : 0;
    }
    for (int64_t p = 0; p < q->n; p++) {
        double a = 0;
        for (int64_t c = 0; c < q->k && sum_map == NULL; c++) {
            a += um_w(q, p, c) * q->pattern_sum[c];
        }
        a = sum_map != NULL ? sum_map[p] : a;
        bool used = um_used(q->position_mask, p);
        q->signal[p] = used && a > 0 ? a : 0;
        q->e[p] = q->signal[p] > 0 ? (q->out->weighted ? 1 / q->signal[p] : 1) : 0;
    }
}

static um_status inquire(um_context *ctx, um_model *model, um_evidence *e, um_inquiry *q, double **block)
{
    *q = (um_inquiry){.ctx = ctx, .out = e, .shape = um_model_shape(model), .k = e->k, .n = e->positions,
                      .m = e->pixels, .h = um_model_factors(model), .w = um_model_loadings(model),
                      .pixel_mask = um_model_signal_mask(model),
                      .position_mask = um_model_navigation_mask(model)};
    size_t n = (size_t)q->n;
    size_t m = (size_t)q->m;
    size_t k = (size_t)q->k;
    UM_TRY(um_buffer_alloc(ctx, 4 * n + 4 * m + 2 * k, sizeof(double), "evidence", block));
    q->e = *block;
    q->signal = q->e + n;
    q->expected = q->signal + n;
    q->spread = q->expected + n;
    q->d = q->spread + n;
    q->contrast = q->d + m;
    q->expected_q = q->contrast + m;
    q->spread_q = q->expected_q + m;
    q->pattern_sum = q->spread_q + m;
    q->map_sum = q->pattern_sum + k;
    UM_TRY(check(q, model));
    sum_sides(q);
    take_weights(q, model);
    return q->n_used > 0 && q->m_used > 0
               ? UM_OK
               : um_fail(ctx, UM_ERROR_VALUE, "everything is excluded in this result: nothing to verify");
}

/* ---- cards -------------------------------------------------------------------------------------- */

static void fill_cards(um_inquiry *q)
{
    double total = 0;
    for (int64_t c = 0; c < q->k; c++) {
        total += q->map_sum[c] * q->pattern_sum[c];
    }
    for (int64_t c = 0; c < q->k; c++) {
        um_card *card = &q->out->cards[c];
        double squares = 0;
        double errors = 0;
        for (int64_t j = 0; j < q->m; j++) {
            double error = q->out->pattern_error[c * q->m + j];
            squares += um_h(q, c, j) * um_h(q, c, j);
            errors += isfinite(error) ? error * error : 0;
        }
        card->contribution = total > 0 ? q->map_sum[c] * q->pattern_sum[c] / total : 0;
        card->pattern_error = squares > 0 ? sqrt(errors / squares) : NAN;
        card->loading_error = card->residual = card->signal_correlation = NAN;
        card->thickness_correlation = card->tilt_correlation = NAN;
        card->half_cosine = card->noise_cosine = card->half_loading_error = card->half_pattern_error = NAN;
        card->start_cosine = card->start_share = NAN;
    }
    for (int64_t c = 0; c < q->k; c++) {
        um_card *card = &q->out->cards[c];
        double loading = 0;
        double errors = 0;
        for (int64_t p = 0; p < q->n; p++) {
            int64_t strongest = 0;
            for (int64_t d = 1; d < q->k; d++) {
                strongest = um_w(q, p, d) * q->pattern_sum[d] > um_w(q, p, strongest) * q->pattern_sum[strongest]
                                ? d : strongest;
            }
            double error = q->out->loading_error[p * q->k + c];
            if (strongest == c && isfinite(error) && um_w(q, p, c) > 0) {
                card->positions++;
                loading += um_w(q, p, c);
                errors += error * error;
            }
        }
        if (card->positions > 0) {
            card->loading_error = sqrt(errors / (double)card->positions) / (loading / (double)card->positions);
        }
    }
}

/* ---- life --------------------------------------------------------------------------------------- */

static um_status create(um_context *ctx, um_model *model, um_evidence **out)
{
    um_shape s = um_model_shape(model);
    um_evidence *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for evidence");
    }
    *out = e;
    e->ctx = ctx;
    e->k = um_model_k(model);
    e->positions = s.ny * s.nx;
    e->pixels = s.ky * s.kx;
    e->row_correlation = NAN;
    e->weighted = um_model_array(model, "residual_map_weighted") != NULL;
    size_t n = (size_t)e->positions;
    size_t m = (size_t)e->pixels;
    size_t k = (size_t)e->k;
    e->cards = calloc(k, sizeof *e->cards);
    if (e->cards == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for evidence");
    }
    UM_TRY(um_buffer_alloc(ctx, n * k, sizeof(double), "errors of the loadings", &e->loading_error));
    UM_TRY(um_buffer_alloc(ctx, m * k, sizeof(double), "errors of the patterns", &e->pattern_error));
    UM_TRY(um_buffer_alloc(ctx, n * k, sizeof(double), "intervals of the fractions", &e->fraction_low));
    UM_TRY(um_buffer_alloc(ctx, n * k, sizeof(double), "intervals of the fractions", &e->fraction_high));
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(double), "residual tests", &e->position_sigmas));
    return um_buffer_alloc(ctx, m, sizeof(double), "residual tests", &e->pixel_sigmas);
}

um_status um_evidence_make(um_context *ctx, um_model *model, um_evidence **out)
{
    um_evidence *e = NULL;
    um_inquiry q = {0};
    double *block = NULL;
    um_status status = create(ctx, model, &e);
    if (status == UM_OK) {
        status = inquire(ctx, model, e, &q, &block);
    }
    if (status == UM_OK) {
        status = um_evidence_errors(&q);
    }
    if (status == UM_OK) {
        fill_cards(&q);
        status = um_evidence_fit(&q, model);
    }
    if (status == UM_OK) {
        status = um_suspect_pairs(&q);
    }
    if (status == UM_OK) {
        status = um_suspect_singles(&q);
    }
    um_buffer_free(ctx, block);
    if (status != UM_OK) {
        um_evidence_free(e);
        e = NULL;
    }
    *out = e;
    return status;
}

void um_evidence_free(um_evidence *e)
{
    if (e == NULL) {
        return;
    }
    for (int64_t i = 0; i < UM_WORST; i++) {
        free(e->worst[i].measured);
        free(e->worst[i].model);
    }
    um_buffer_free(e->ctx, e->loading_error);
    um_buffer_free(e->ctx, e->pattern_error);
    um_buffer_free(e->ctx, e->fraction_low);
    um_buffer_free(e->ctx, e->fraction_high);
    um_buffer_free(e->ctx, e->position_sigmas);
    um_buffer_free(e->ctx, e->pixel_sigmas);
    free(e->cards);
    free(e->suspicions);
    free(e->merges);
    free(e);
}

um_status um_evidence_store(const um_evidence *e, um_model *model)
{
    um_shape s = um_model_shape(model);
    const int64_t maps[3] = {s.ny, s.nx, e->k};
    const int64_t patterns[3] = {e->k, s.ky, s.kx};
    UM_TRY(um_model_set_array(model, "loading_error", 3, maps, e->loading_error));
    UM_TRY(um_model_set_array(model, "fraction_low", 3, maps, e->fraction_low));
    UM_TRY(um_model_set_array(model, "fraction_high", 3, maps, e->fraction_high));
    UM_TRY(um_model_set_array(model, "pattern_error", 3, patterns, e->pattern_error));
    UM_TRY(um_model_set_array(model, "residual_sigmas", 2, maps, e->position_sigmas));
    return um_model_set_array(model, "residual_pattern_sigmas", 2, patterns + 1, e->pixel_sigmas);
}
