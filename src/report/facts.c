/* What the report says is worked out here, from the model alone. */
#include "report_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double BEAM_SHARE = 0.3;     /* of counts or of squares, to be worth a warning */
static const double NOTABLE_RATIO = 1.2;  /* residual above counting noise */

const double *um_facts_series(const um_facts *facts, const char *name, int64_t *count)
{
    const um_array *array = um_model_array(facts->model, name);
    *count = 0;
    if (array == NULL || array->dtype != UM_F64 || array->data == NULL) {
        return NULL;
    }
    *count = um_array_size(array);
    return *count > 0 ? array->data : NULL;
}

const double *um_facts_array(const um_facts *facts, const char *name, int64_t count)
{
    int64_t has = 0;
    const double *data = um_facts_series(facts, name, &has);
    return has == count ? data : NULL;
}

static json_t *find_in(json_t *object, const char *key, int depth)
{
    json_t *value = json_object_get(object, key);
    if (value != NULL || depth == 0) {
        return value;
    }
    const char *name = NULL;
    json_t *inner = NULL;
    json_object_foreach(object, name, inner)
    {
        if (json_is_object(inner)) {
            json_t *found = find_in(inner, key, depth - 1);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}

json_t *um_facts_find(const um_facts *facts, const char *key)
{
    return find_in(facts->provenance, key, 3);
}

double um_facts_number(const um_facts *facts, const char *key)
{
    json_t *value = um_facts_find(facts, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

const char *um_facts_text(const um_facts *facts, const char *key)
{
    return json_string_value(um_facts_find(facts, key));
}

static int64_t count_masked(const uint8_t *mask, int64_t count)
{
    int64_t masked = 0;
    for (int64_t i = 0; mask != NULL && i < count; i++) {
        masked += mask[i] != 0;
    }
    return masked;
}

static void copy_components(um_facts *f)
{
    const float *factors = um_model_factors(f->model);
    const float *loadings = um_model_loadings(f->model);
    for (int64_t c = 0; c < f->k; c++) {
        for (int64_t q = 0; q < f->pixels; q++) {
            bool off = f->signal_mask != NULL && f->signal_mask[q] != 0;
            f->pattern[c * f->pixels + q] = off ? NAN : (double)factors[c * f->pixels + q];
        }
        for (int64_t p = 0; p < f->positions; p++) {
            bool off = f->navigation_mask != NULL && f->navigation_mask[p] != 0;
            f->loading[c * f->positions + p] = off ? NAN : (double)loadings[p * f->k + c];
        }
    }
}

static double finite_sum(const double *values, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += isfinite(values[i]) ? values[i] : 0;
    }
    return sum;
}

static void find_shares(um_facts *f)
{
    const double *known = um_facts_array(f, "component_contribution", f->k);
    if (known == NULL) {
        known = um_facts_array(f, "explained_variance_ratio", f->k);
    }
    double total = 0;
    for (int64_t c = 0; c < f->k; c++) {
        f->share[c] = known != NULL ? known[c]
                                    : finite_sum(f->pattern + c * f->pixels, f->pixels) *
                                          finite_sum(f->loading + c * f->positions, f->positions);
        total += f->share[c];
    }
    for (int64_t c = 0; c < f->k && known == NULL; c++) {
        f->share[c] = total > 0 ? f->share[c] / total : 0;
    }
}

/* Cosine over entries that are finite in both and where `keep` (if any) is set. */
static double cosine(const double *a, const double *b, int64_t count, const uint8_t *keep)
{
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(a[i]) && isfinite(b[i]) && (keep == NULL || keep[i] != 0)) {
            ab += a[i] * b[i];
            aa += a[i] * a[i];
            bb += b[i] * b[i];
        }
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

static void find_cosines(um_facts *f)
{
    for (int64_t a = 0; a < f->k; a++) {
        for (int64_t b = 0; b <= a; b++) {
            f->pattern_cosine[a * f->k + b] = f->pattern_cosine[b * f->k + a] =
                cosine(f->pattern + a * f->pixels, f->pattern + b * f->pixels, f->pixels, NULL);
            f->loading_cosine[a * f->k + b] = f->loading_cosine[b * f->k + a] = cosine(
                f->loading + a * f->positions, f->loading + b * f->positions, f->positions, NULL);
        }
    }
}

/* Does the direct beam stand open, and does it make the components alike? */
static um_status judge_beam(um_facts *f)
{
    const double *mean = um_facts_array(f, "mean_pattern", f->pixels);
    if (mean == NULL) {
        mean = um_facts_array(f, "sum_pattern", f->pixels);
    }
    if (mean == NULL) {
        return UM_OK;
    }
    UM_TRY(um_beam_measure(f->ctx, mean, f->signal_mask, f->shape.ky, f->shape.kx, &f->beam));
    const um_beam *b = &f->beam;
    f->beam_open = b->found && b->central && b->peak > 2 * b->next_peak &&
                   (b->share > BEAM_SHARE || b->share_of_squares > BEAM_SHARE);
    if (!f->beam_open || f->k < 2 || f->is_svd) {
        return UM_OK;
    }
    uint8_t *outside = NULL;
    UM_TRY(um_buffer_alloc(f->ctx, (size_t)f->pixels, 1, "a mask", &outside));
    for (int64_t i = 0; i < f->pixels; i++) {
        double d = hypot((double)(i / f->shape.kx) - b->y, (double)(i % f->shape.kx) - b->x);
        outside[i] = d >= b->radius_px + 2;
    }
    double pairs = 0.5 * (double)(f->k * (f->k - 1));
    for (int64_t a = 0; a < f->k; a++) {
        for (int64_t c = 0; c < a; c++) {
            f->cosine_all += f->pattern_cosine[a * f->k + c] / pairs;
            f->cosine_outside += cosine(f->pattern + a * f->pixels, f->pattern + c * f->pixels,
                                        f->pixels, outside) /
                                 pairs;
        }
    }
    um_buffer_free(f->ctx, outside);
    return UM_OK;
}

static um_status judge_residual(um_facts *f)
{
    const double *residual = um_facts_array(f, "residual_map", f->positions);
    const double *expected = um_facts_array(f, "residual_map_expected", f->positions);
    f->ratio_median = f->ratio_above = f->beyond_noise = NAN;
    if (residual == NULL || expected == NULL) {
        return UM_OK;
    }
    double *sorted = NULL;
    UM_TRY(um_buffer_alloc(f->ctx, (size_t)f->positions, sizeof(double), "a map", &f->noise_ratio));
    UM_TRY(um_buffer_alloc(f->ctx, (size_t)f->positions, sizeof(double), "a map", &sorted));
    size_t count = 0;
    double above = 0;
    double squares = 0;
    double noise = 0;
    for (int64_t i = 0; i < f->positions; i++) {
        bool known = isfinite(residual[i]) && isfinite(expected[i]) && expected[i] > 0;
        f->noise_ratio[i] = known ? residual[i] / expected[i] : NAN;
        if (known) {
            sorted[count++] = f->noise_ratio[i];
            above += f->noise_ratio[i] > NOTABLE_RATIO;
            squares += residual[i] * residual[i];
            noise += expected[i] * expected[i];
        }
    }
    if (count > 0) {
        qsort(sorted, count, sizeof *sorted, um_compare_f64);
        f->ratio_median = sorted[count / 2];
        f->ratio_above = above / (double)count;
        f->beyond_noise = squares > 0 ? fmax(0, 1 - noise / squares) : 0;
    }
    um_buffer_free(f->ctx, sorted);
    return UM_OK;
}

static um_status fill(um_facts *f)
{
    f->shape = um_model_shape(f->model);
    f->axes = um_model_axes(f->model);
    f->k = um_model_k(f->model);
    f->positions = f->shape.ny * f->shape.nx;
    f->pixels = f->shape.ky * f->shape.kx;
    f->signal_mask = um_model_signal_mask(f->model);
    f->navigation_mask = um_model_navigation_mask(f->model);
    f->masked_pixels = count_masked(f->signal_mask, f->pixels);
    f->masked_positions = count_masked(f->navigation_mask, f->positions);
    const char *method = um_model_method(f->model);
    f->is_svd = method != NULL && (strcmp(method, "SVD") == 0 || strcmp(method, "fastica") == 0 ||
                                   strcmp(method, "varimax") == 0);
    f->provenance = json_loads(um_model_provenance(f->model), 0, NULL);
    if (!json_is_object(f->provenance)) {
        json_decref(f->provenance);
        f->provenance = json_object();
    }
    size_t k = (size_t)f->k;
    UM_TRY(um_buffer_alloc(f->ctx, k * (size_t)f->pixels, sizeof(double), "the report",
                           &f->pattern));
    UM_TRY(um_buffer_alloc(f->ctx, k * (size_t)f->positions, sizeof(double), "the report",
                           &f->loading));
    UM_TRY(um_buffer_alloc(f->ctx, k, sizeof(double), "the report", &f->share));
    UM_TRY(um_buffer_alloc(f->ctx, k * k, sizeof(double), "the report", &f->pattern_cosine));
    UM_TRY(um_buffer_alloc(f->ctx, k * k, sizeof(double), "the report", &f->loading_cosine));
    copy_components(f);
    find_shares(f);
    find_cosines(f);
    UM_TRY(judge_beam(f));
    return judge_residual(f);
}

um_status um_facts_make(um_context *ctx, um_model *model, const um_report_options *options,
                        um_facts **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for the report");
    }
    **out = (um_facts){.ctx = ctx, .model = model, .options = options};
    return fill(*out);
}

void um_facts_free(um_facts *facts)
{
    if (facts == NULL) {
        return;
    }
    json_decref(facts->provenance);
    um_buffer_free(facts->ctx, facts->pattern);
    um_buffer_free(facts->ctx, facts->loading);
    um_buffer_free(facts->ctx, facts->share);
    um_buffer_free(facts->ctx, facts->pattern_cosine);
    um_buffer_free(facts->ctx, facts->loading_cosine);
    um_buffer_free(facts->ctx, facts->noise_ratio);
    free(facts);
}
