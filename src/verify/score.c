/* Scores of a result against a known truth. */
#include "base_internal.h"
#include "unmix/verify.h"

#include <math.h>
#include <stdlib.h>

/* One side of the comparison: patterns, loadings, and the counts that a loading of 1 puts into the
 * pixels compared. */
typedef struct side {
    int64_t k;
    const float *factors, *loadings;
    double *sums;
} side;

typedef struct comparison {
    um_context *ctx;
    side result, truth;
    int64_t positions, pixels;
    const uint8_t *pixel_mask;    /* of the result, may be NULL */
    const uint8_t *position_mask; /* of the result, may be NULL */
    const um_array *labels;       /* of the truth, may be NULL */
    um_score *score;
} comparison;

static bool compared(const uint8_t *mask, int64_t i)
{
    return mask == NULL || mask[i] == 0;
}

static double counts_of(const side *s, int64_t position, int64_t component)
{
    double loading = (double)s->loadings[position * s->k + component];
    return isfinite(loading) ? loading * s->sums[component] : 0.0;
}

static int64_t strongest(const side *s, int64_t position)
{
    int64_t best = 0;
    for (int64_t i = 1; i < s->k; i++) {
        best = counts_of(s, position, i) > counts_of(s, position, best) ? i : best;
    }
    return best;
}

static int64_t true_label(const comparison *c, int64_t position)
{
    if (c->labels == NULL) {
        return strongest(&c->truth, position);
    }
    return (int64_t)um_array_get(c->labels, position);
}

static void sum_factors(const comparison *c, side *s)
{
    for (int64_t i = 0; i < s->k; i++) {
        double sum = 0.0;
        for (int64_t q = 0; q < c->pixels; q++) {
            double value = (double)s->factors[i * c->pixels + q];
            sum += compared(c->pixel_mask, q) && isfinite(value) ? value : 0.0;
        }
        s->sums[i] = sum;
    }
}

static double cosine(const comparison *c, const float *a, const float *b)
{
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (int64_t q = 0; q < c->pixels; q++) {
        if (compared(c->pixel_mask, q) && isfinite(a[q]) && isfinite(b[q])) {
            ab += (double)a[q] * (double)b[q];
            aa += (double)a[q] * (double)a[q];
            bb += (double)b[q] * (double)b[q];
        }
    }
    return aa > 0.0 && bb > 0.0 ? ab / sqrt(aa * bb) : 0.0;
}

static um_status match(comparison *c)
{
    um_score *score = c->score;
    double *gain = calloc((size_t)(c->truth.k * c->result.k), sizeof *gain);
    if (gain == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        for (int64_t r = 0; r < c->result.k; r++) {
            gain[t * c->result.k + r] = cosine(c, c->truth.factors + t * c->pixels,
                                               c->result.factors + r * c->pixels);
        }
    }
    um_status status = um_assign(c->ctx, c->truth.k, c->result.k, gain, score->component_of);
    for (int64_t t = 0; status == UM_OK && t < c->truth.k; t++) {
        int64_t r = score->component_of[t];
        score->cosine[t] = r >= 0 ? gain[t * c->result.k + r] : 0.0;
    }
    free(gain);
    return status;
}

/* Tallies per true state. tables: called, hit and present, each truth.k long. */
static um_status count_labels(comparison *c, int64_t *called, int64_t *hit, int64_t *present,
                              int64_t *state_of)
{
    for (int64_t r = 0; r < c->result.k; r++) {
        state_of[r] = -1;
    }
    for (int64_t t = 0; t < c->truth.k; t++) {
        if (c->score->component_of[t] >= 0) {
            state_of[c->score->component_of[t]] = t;
        }
    }
    for (int64_t p = 0; p < c->positions; p++) {
        if (!compared(c->position_mask, p)) {
            continue;
        }
        int64_t label = true_label(c, p);
        if (label < 0 || label >= c->truth.k) {
            return um_fail(c->ctx, UM_ERROR_VALUE,
                           "truth: position %lld has label %lld, but the truth has %lld states",
                           (long long)p, (long long)label, (long long)c->truth.k);
        }
        int64_t found = state_of[strongest(&c->result, p)];
        present[label]++;
        if (found >= 0) {
            called[found]++;
            hit[found] += found == label;
        }
    }
    return UM_OK;
}

static double ratio(double part, double whole)
{
    return whole > 0.0 ? part / whole : 0.0;
}

static um_status score_labels(comparison *c)
{
    um_score *score = c->score;
    size_t states = (size_t)c->truth.k;
    int64_t *tables = calloc(3 * states + (size_t)c->result.k, sizeof *tables);
    if (tables == NULL) {
        return um_fail(c->ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    int64_t *called = tables, *hit = tables + states, *present = tables + 2 * states;
    um_status status = count_labels(c, called, hit, present, tables + 3 * states);
    int64_t all = 0, right = 0, commonest = 0;
    for (int64_t t = 0; t < c->truth.k; t++) {
        um_class_score *class = &score->classes[t];
        class->truth = t;
        class->positions = present[t];
        class->precision = ratio((double)hit[t], (double)called[t]);
        class->recall = ratio((double)hit[t], (double)present[t]);
        class->f1 = ratio(2.0 * (double)hit[t], (double)(called[t] + present[t]));
        all += present[t];
        right += hit[t];
        commonest = present[t] > commonest ? present[t] : commonest;
    }
    score->label_accuracy = ratio((double)right, (double)all);
    score->baseline = ratio((double)commonest, (double)all);
    free(tables);
    return status;
}

static double total_counts(const side *s, int64_t position)
{
    double total = 0.0;
    for (int64_t i = 0; i < s->k; i++) {
        total += counts_of(s, position, i);
    }
    return total;
}

static void score_fractions(comparison *c)
{
    double squares = 0.0, terms = 0.0;
    for (int64_t p = 0; p < c->positions; p++) {
        if (!compared(c->position_mask, p)) {
            continue;
        }
        double of_result = total_counts(&c->result, p);
        double of_truth = total_counts(&c->truth, p);
        for (int64_t t = 0; t < c->truth.k; t++) {
            int64_t r = c->score->component_of[t];
            double found = r >= 0 ? ratio(counts_of(&c->result, p, r), of_result) : 0.0;
            double error = found - ratio(counts_of(&c->truth, p, t), of_truth);
            squares += error * error;
            terms += 1.0;
        }
    }
    c->score->fraction_rms = sqrt(ratio(squares, terms));
}

static um_status check_shapes(um_context *ctx, const um_model *result, const um_model *truth)
{
    um_shape r = um_model_shape(result);
    um_shape t = um_model_shape(truth);
    if (r.ny != t.ny || r.nx != t.nx || r.ky != t.ky || r.kx != t.kx) {
        return um_fail(ctx, UM_ERROR_SHAPE,
                       "the result has %lldx%lld positions of %lldx%lld pixels, the truth %lldx%lld "
                       "of %lldx%lld: score a result made without cropping and binning",
                       (long long)r.ny, (long long)r.nx, (long long)r.ky, (long long)r.kx,
                       (long long)t.ny, (long long)t.nx, (long long)t.ky, (long long)t.kx);
    }
    return UM_OK;
}

static um_status take_labels(um_model *truth, comparison *c)
{
    c->labels = um_model_array(truth, "labels");
    if (c->labels != NULL && um_array_size(c->labels) != c->positions) {
        return um_fail(c->ctx, UM_ERROR_SHAPE, "truth: labels for %lld positions instead of %lld",
                       (long long)um_array_size(c->labels), (long long)c->positions);
    }
    return UM_OK;
}

static um_status create_score(um_context *ctx, int64_t states, int64_t components, um_score **out)
{
    um_score *score = calloc(1, sizeof *score);
    if (score == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    size_t n = (size_t)states;
    *score = (um_score){.states = states,
                        .components = components,
                        .component_of = calloc(n, sizeof *score->component_of),
                        .cosine = calloc(n, sizeof *score->cosine),
                        .classes = calloc(n, sizeof *score->classes)};
    if (score->component_of == NULL || score->cosine == NULL || score->classes == NULL) {
        um_score_free(score);
        return um_fail(ctx, UM_ERROR_MEMORY, "score: no memory");
    }
    *out = score;
    return UM_OK;
}

um_status um_score_model(um_context *ctx, um_model *result, um_model *truth, um_score **out)
{
    UM_TRY(check_shapes(ctx, result, truth));
    um_shape shape = um_model_shape(result);
    comparison c = {.ctx = ctx,
                    .positions = shape.ny * shape.nx,
                    .pixels = shape.ky * shape.kx,
                    .pixel_mask = um_model_signal_mask(result),
                    .position_mask = um_model_navigation_mask(result),
                    .result = {um_model_k(result), um_model_factors(result),
                               um_model_loadings(result), NULL},
                    .truth = {um_model_k(truth), um_model_factors(truth), um_model_loadings(truth),
                              NULL}};
    UM_TRY(take_labels(truth, &c));
    UM_TRY(create_score(ctx, c.truth.k, c.result.k, &c.score));
    um_status status = UM_OK;
    c.result.sums = calloc((size_t)c.result.k, sizeof *c.result.sums);
    c.truth.sums = calloc((size_t)c.truth.k, sizeof *c.truth.sums);
    if (c.result.sums == NULL || c.truth.sums == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "score: no memory");
    } else {
        sum_factors(&c, &c.result);
        sum_factors(&c, &c.truth);
        status = match(&c);
    }
    if (status == UM_OK) {
        status = score_labels(&c);
    }
    if (status == UM_OK) {
        score_fractions(&c);
        *out = c.score;
        c.score = NULL;
    }
    free(c.result.sums);
    free(c.truth.sums);
    um_score_free(c.score);
    return status;
}

void um_score_free(um_score *score)
{
    if (score != NULL) {
        free(score->component_of);
        free(score->cosine);
        free(score->classes);
        free(score);
    }
}
