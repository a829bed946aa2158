/* um_choose: one subspace of the scan, then everything in memory. */
#include "choose_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST = 2, MOST = 20, SAMPLE_ROWS = 4096 };
static const size_t SAMPLE_BYTES = (size_t)128 << 20;
/* Counts: the variance of a value is its mean. Between these the gain is taken for 1: fitting noise lowers it. */
static const double GAIN_LEAST = 0.75, GAIN_MOST = 1.1;

static double sample_share(const um_matrix *matrix)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    double n = (double)(info->shape.ny * info->shape.nx);
    double pattern = (double)(info->shape.ky * info->shape.kx) * (double)sizeof(uint32_t);
    return fmin(1, fmin(SAMPLE_ROWS, (double)SAMPLE_BYTES / pattern) / n);
}

/* ---- all of it ------------------------------------------------------------------------------------------ */

static um_status make_table(um_context *ctx, int64_t least, int64_t most, um_choose_result *r)
{
    r->rows = most - least + 1;
    r->row = calloc((size_t)r->rows, sizeof *r->row);
    if (r->row == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a table");
    }
    for (int64_t i = 0; i < r->rows; i++) {
        r->row[i] = (um_choose_row){least + i, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
                                    NAN,       NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    }
    return UM_OK;
}

/* Singular values of the scan in units of the edge of its noise. */
static um_status fill_spectrum(um_choosing *c)
{
    um_choose_result *r = c->result;
    const um_subspace *image = r->counts ? &c->white.image : &c->subspace;
    double edge = r->counts ? sqrt(c->unit) * um_white_edge(&c->scaled) : image->sigma[0];
    r->values = (int64_t)image->count;
    r->singular_values = calloc(image->count, sizeof *r->singular_values);
    if (r->singular_values == NULL) {
        return um_fail(c->scaled.ctx, UM_ERROR_MEMORY, "no memory for singular values");
    }
    for (size_t i = 0; i < image->count; i++) {
        r->singular_values[i] = image->sigma[i] / edge;
    }
    for (int64_t i = 0; i < r->rows; i++) {
        um_choose_row *row = &r->row[i];
        if (row->k <= r->values) {
            row->singular_value = r->singular_values[row->k - 1];
            row->scree = c->subspace.sigma[row->k - 1] / edge;
        }
    }
    r->above = r->counts ? um_above_edge(&c->white, c->unit, 1) : 0;
    r->elbow = um_scree_elbow(c->subspace.sigma, (int64_t)c->subspace.shown);
    return UM_OK;
}

static um_status weigh(um_choosing *c)
{
    um_choose_result *r = c->result;
    um_scaled *s = &c->scaled;
    UM_TRY(um_subspace_find(s, c->most, -1, 0, UM_SUBSPACE_START, &c->subspace));
    r->counts = s->weighted;
    if (!r->counts) {
        return fill_spectrum(c);
    }
    UM_TRY(um_sample_take(s, sample_share(s->matrix), &c->sample));
    UM_TRY(um_gain(s, &c->subspace, &c->sample, &r->gain));
    c->unit = r->gain;
    r->split = r->gain >= GAIN_MOST;
    if (r->gain > GAIN_LEAST && r->gain < GAIN_MOST) {
        c->unit = 1;
        r->split = um_dtype_is_integer(um_matrix_get_info(s->matrix)->dtype);
    }
    const um_visits one_read = {.rounds = 1};
    UM_TRY(um_whiten(s, &c->subspace, c->unit, &one_read, &c->white));
    return fill_spectrum(c);
}

static um_status run(um_choosing *c)
{
    UM_TRY(weigh(c));
    if (c->result->counts) {
        UM_TRY(um_look_at_positions(c));
        UM_TRY(um_look_at_binned(c));
    }
    um_choose_decide(c->result);
    um_choose_result *r = c->result;
    while (c->brief && r->counts && r->rows > 1 && r->row[r->rows - 1].k > r->recommended &&
           isnan(r->row[r->rows - 1].objective)) {
        r->rows--;
    }
    return UM_OK;
}

static um_status check_range(const um_matrix *matrix, const um_choose_options *options, int64_t *least,
                             int64_t *most)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    int64_t n = info->shape.ny * info->shape.nx;
    int64_t m = info->shape.ky * info->shape.kx;
    int64_t rank = n < m ? n : m;
    *least = options->least > 0 ? options->least : LEAST;
    *most = options->most > 0 ? options->most : MOST;
    if (options->most <= 0 && *most >= rank) {
        *most = rank > 1 ? rank - 1 : 1;
        *least = *least < *most ? *least : *most;
    }
    return *least <= *most && *most < rank && *most <= UM_HALS_LARGEST
               ? UM_OK
               : um_fail(um_matrix_get_context(matrix), UM_ERROR_ARGUMENT,
                         "k from %lld to %lld: 1 to %lld components can be told apart here",
                         (long long)*least, (long long)*most,
                         (long long)(rank - 1 < UM_HALS_LARGEST ? rank - 1 : UM_HALS_LARGEST));
}

um_status um_choose(um_matrix *matrix, const um_choose_options *options, um_choose_result **out)
{
    um_context *ctx = um_matrix_get_context(matrix);
    double start = um_seconds();
    int64_t least = 0;
    int64_t most = 0;
    *out = NULL;
    UM_TRY(check_range(matrix, options, &least, &most));
    size_t own = um_choose_plan(matrix, options);
    UM_TRY(um_budget_require(ctx, own, "the choice of k"));
    UM_TRY(um_matrix_keep(matrix, own));
    um_choosing c = {.most = (size_t)most, .brief = options->brief, .result = calloc(1, sizeof *c.result)};
    if (c.result == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a result");
    }
    um_status status = make_table(ctx, least, most, c.result);
    if (status == UM_OK) {
        status = um_scaled_init(&c.scaled, matrix, options->weights, options->sums);
    }
    if (status == UM_OK) {
        c.result->above_binned = -1;
        status = run(&c);
    }
    um_white_free(ctx, &c.white);
    um_sample_free(ctx, &c.sample);
    um_subspace_free(ctx, &c.subspace);
    c.result->sums = c.scaled.own_sums;
    c.scaled.own_sums = NULL;
    um_scaled_free(&c.scaled);
    c.result->seconds = um_seconds() - start;
    if (status != UM_OK) {
        um_choose_result_free(c.result);
        return status;
    }
    *out = c.result;
    return UM_OK;
}

void um_choose_result_free(um_choose_result *result)
{
    if (result == NULL) {
        return;
    }
    um_sums_free(result->sums);
    free(result->row);
    free(result->singular_values);
    free(result);
}

size_t um_choose_plan(const um_matrix *matrix, const um_choose_options *options)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    size_t most = options->most > 0 ? (size_t)options->most : MOST;
    const um_nmf_options fit = {.k = (int64_t)most, .weights = options->weights};
    size_t n = (size_t)(info->shape.ny * info->shape.nx);
    size_t m = (size_t)(info->shape.ky * info->shape.kx);
    size_t ld = um_kernel_stride(m);
    size_t l = um_subspace_size(most, 0, n < m ? n : m);
    size_t rows = (size_t)um_matrix_sample_size(matrix, sample_share(matrix));
    size_t image = l * (n + ld) * sizeof(float);
    size_t part = l * (rows + ld) * sizeof(float);
    size_t halves = 3 * (rows * m * sizeof(uint32_t) + part + 2 * l * m * sizeof(double));
    size_t fits = most * (most + 1) / 2 * 3 * (3 * ld + rows) * sizeof(float);
    return um_nmf_plan(matrix, &fit) + image + part +
           rows * m * um_dtype_size(info->dtype) + halves + fits;
}
