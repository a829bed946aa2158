/* um_evidence_refit: do the components of a result come back? */
#include "refit_internal.h"
#include "unmix/stability.h"
#include "unmix/verify.h"

#include <math.h>
#include <stdlib.h>

/* Counts: see um_choose(). Fitting noise lowers the squares that are left. */
static const double GAIN_LEAST = 0.75, GAIN_MOST = 1.1;

/* ---- what the result holds ------------------------------------------------------------------------ */

static um_status take_sums(um_refit *r, um_matrix *matrix)
{
    size_t n = r->scaled.n;
    size_t m = r->scaled.m;
    const double *map = um_evidence_array(r->model, "sum_map", (int64_t)n);
    const double *pattern = um_evidence_array(r->model, "sum_pattern", (int64_t)m);
    if (map == NULL || pattern == NULL) {
        UM_TRY(um_matrix_sums(matrix, &r->made));
        r->sums = *r->made;
    } else { /* only read */
        r->sums = (um_sums){.sum_map = (double *)(uintptr_t)map, .sum_pattern = (double *)(uintptr_t)pattern};
        for (size_t p = 0; p < n; p++) {
            r->sums.total += isfinite(map[p]) ? map[p] : 0;
        }
    }
    return r->sums.total > 0 ? UM_OK
                             : um_fail(r->scaled.ctx, UM_ERROR_VALUE, "the sums of this result are not positive: "
                                                                      "nothing to fit again");
}

static void weigh(um_refit *r)
{
    um_scaled *s = &r->scaled;
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    s->sums = &r->sums;
    s->weighted = r->evidence->weighted;
    s->report = s->weighted ? 1 / sqrt(r->sums.total) : 1;
    for (size_t p = 0; p < s->n; p++) {
        double a = r->sums.sum_map[p];
        bool on = (info->navigation_mask == NULL || info->navigation_mask[p] == 0) && a > 0;
        s->u[p] = on ? (float)(s->weighted ? sqrt(r->sums.total / a) : 1) : 0;
    }
    for (size_t j = 0; j < s->m; j++) {
        double b = r->sums.sum_pattern[j];
        bool on = (info->signal_mask == NULL || info->signal_mask[j] == 0) && b > 0;
        s->v[j] = on ? (float)(s->weighted ? 1 / sqrt(b) : 1) : 0;
        s->noisy_columns += on;
    }
}

/* What one count is stored as; 0 where values are no counts. */
static double unit_of(const um_refit *r)
{
    const um_matrix_info *info = um_matrix_get_info(r->scaled.matrix);
    double gain = r->evidence->dispersion;
    if (!info->counts || !isfinite(gain)) {
        return info->counts && um_dtype_is_integer(info->dtype) ? 1 : 0;
    }
    if (gain > GAIN_LEAST && gain < GAIN_MOST) {
        return um_dtype_is_integer(info->dtype) ? 1 : 0;
    }
    return gain >= GAIN_MOST ? gain : 0;
}

static um_status take_patterns(um_refit *r)
{
    const um_scaled *s = &r->scaled;
    const float *h = um_model_factors(r->model);
    UM_TRY(um_buffer_alloc(s->ctx, r->k * s->ld, sizeof *r->h, "components", &r->h));
    r->total = calloc(r->k, sizeof *r->total);
    r->cosine = calloc(r->k * r->k, sizeof *r->cosine);
    r->assigned = calloc(r->k, sizeof *r->assigned);
    if (r->total == NULL || r->cosine == NULL || r->assigned == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu components", r->k);
    }
    for (size_t c = 0; c < r->k; c++) {
        for (size_t j = 0; j < s->m; j++) {
            double x = s->v[j] > 0 && h[c * s->m + j] > 0 ? (double)h[c * s->m + j] : 0;
            r->total[c] += x;
            r->h[c * s->ld + j] = (float)x * s->v[j];
        }
    }
    return UM_OK;
}

/* The sample as a scan of its own, under the weights of all. */
static um_status take_part(um_refit *r)
{
    UM_TRY(um_refit_take(r));
    r->part = r->scaled;
    r->part.u = NULL;
    UM_TRY(um_buffer_alloc(r->scaled.ctx, r->sample.rows, sizeof(float), "row weights", &r->part.u));
    for (size_t i = 0; i < r->sample.rows; i++) {
        r->part.u[i] = r->scaled.u[r->sample.slot[i].position];
    }
    r->part.n = r->sample.rows;
    r->part.rows = r->part.noisy_rows = (int64_t)r->sample.rows;
    r->evidence->refit_positions = (int64_t)r->sample.rows;
    return UM_OK;
}

um_status um_refit_match(um_refit *r, const float *h)
{
    um_pattern_cosines(&r->scaled, r->k, r->h, h, r->cosine);
    return um_assign(r->scaled.ctx, (int64_t)r->k, (int64_t)r->k, r->cosine, r->assigned);
}

/* ---- suspicion ------------------------------------------------------------------------------------ */

/* Of the cosine that noise alone would leave; of the error by counting noise, and of the loading. */
static const double COMES_BACK = 0.8, AS_NOISE = 3, CERTAIN = 0.15;
static const double HAVE_IT = 0.5; /* of the other starts */
enum { ENOUGH = 4 };

static um_status suspect(um_refit *r)
{
    um_evidence *e = r->evidence;
    for (size_t c = 0; c < r->k; c++) {
        const um_card *card = &e->cards[c];
        int64_t index = (int64_t)c;
        if (r->unit > 0 && !(card->half_cosine >= COMES_BACK * card->noise_cosine)) {
            UM_TRY(um_suspect(e, UM_SUSPECT_UNSTABLE, index, -1,
                              "it does not come back from half of the counts: the patterns that two independent halves give it have "
                              "the cosine %.2f, noise alone would leave %.2f; too few counts, or too many components",
                              card->half_cosine, isfinite(card->noise_cosine) ? card->noise_cosine : 0));
        } else if (card->half_loading_error > fmax(AS_NOISE * card->loading_error, CERTAIN)) {
            UM_TRY(um_suspect(e, UM_SUSPECT_UNSTABLE, index, -1,
                              "its map is not settled: two independent halves of the counts differ by %.0f %% where counting noise "
                              "is %.0f %%; too many components, or several mixtures that fit alike",
                              100 * card->half_loading_error, 100 * card->loading_error));
        } else if (card->start_share < HAVE_IT && e->starts_alike >= ENOUGH) {
            UM_TRY(um_suspect(e, UM_SUSPECT_UNSTABLE, index, -1,
                              "of %lld fits from other starts that are as good %.0f %% have it: too many components, or several "
                              "mixtures that fit alike",
                              (long long)e->starts_alike, 100 * card->start_share));
        }
    }
    return UM_OK;
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static um_status refit(um_refit *r, um_matrix *matrix)
{
    UM_TRY(take_sums(r, matrix));
    weigh(r);
    UM_TRY(take_patterns(r));
    UM_TRY(take_part(r));
    r->unit = unit_of(r);
    if (r->unit > 0) {
        UM_TRY(um_refit_halves(r));
    }
    UM_TRY(um_refit_starts(r));
    return suspect(r);
}

size_t um_refit_plan(const um_matrix *matrix, int64_t k)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    size_t n = (size_t)(info->shape.ny * info->shape.nx);
    size_t m = (size_t)(info->shape.ky * info->shape.kx);
    size_t rows = um_refit_rows(n, m);
    size_t l = um_subspace_size((size_t)k, 0, rows < m ? rows : m);
    size_t image = 3 * l * (rows + um_kernel_stride(m)) * sizeof(float);
    size_t fits = (size_t)(UM_SURVIVORS + 2) * (size_t)k * (rows + 6 * um_kernel_stride(m)) * sizeof(float);
    return n * (sizeof(float) + 25) + 3 * rows * m * sizeof(uint32_t) + 3 * image + fits;
}

um_status um_evidence_refit(um_matrix *matrix, um_model *model, um_evidence *evidence)
{
    um_context *ctx = um_matrix_get_context(matrix);
    um_shape a = um_model_shape(model);
    um_shape b = um_matrix_get_info(matrix)->shape;
    if (a.ny != b.ny || a.nx != b.nx || a.ky != b.ky || a.kx != b.kx) {
        return um_fail(ctx, UM_ERROR_SHAPE, "the scan as prepared has another shape than the result");
    }
    UM_TRY(um_require_k(matrix, evidence->k, UM_HALS_LARGEST));
    um_refit r = {.model = model, .evidence = evidence, .k = (size_t)evidence->k};
    um_status status = um_budget_require(ctx, um_refit_plan(matrix, evidence->k), "fitting components again");
    if (status == UM_OK) {
        status = um_scaled_init(&r.scaled, matrix, evidence->weighted ? UM_WEIGHTS_POISSON : UM_WEIGHTS_NONE, NULL);
    }
    if (status == UM_OK) {
        status = refit(&r, matrix);
    }
    um_buffer_free(ctx, r.h);
    um_buffer_free(ctx, r.part.u);
    um_sample_free(ctx, &r.sample);
    um_sums_free(r.made);
    free(r.total);
    free(r.cosine);
    free(r.assigned);
    if (r.scaled.ctx != NULL) {
        um_scaled_free(&r.scaled);
    }
    return status;
}
