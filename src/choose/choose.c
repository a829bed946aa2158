/* um_choose: one subspace of the scan, then everything in memory. */
#include "choose_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST = 2, MOST = 20, SAMPLE_ROWS = 4096, BEYOND = 4, BINNED_ROUNDS = 2 };
static const size_t SAMPLE_BYTES = (size_t)128 << 20;
/* Counts: the variance of a value is its mean. Between these the gain is taken for 1: fitting noise lowers it. */
static const double GAIN_LEAST = 0.75, GAIN_MOST = 1.1;

typedef struct choosing {
    um_scaled scaled;
    um_subspace subspace; /* under Poisson weights, of all positions */
    um_binned *binned;    /* borrowed from the subspace, or own */
    um_white white;
    um_sample sample;     /* the positions that are split */
    double unit;          /* value of a count: the gain, or 1 where that is near */
    size_t most;
    um_choose_result *result;
} choosing;

static double sample_share(const um_matrix *matrix)
{
    const um_matrix_info *info = um_matrix_get_info(matrix);
    double n = (double)(info->shape.ny * info->shape.nx);
    double pattern = (double)(info->shape.ky * info->shape.kx) * (double)sizeof(uint32_t);
    return fmin(1, fmin(SAMPLE_ROWS, (double)SAMPLE_BYTES / pattern) / n);
}

/* ---- one set of counts: positions of the scan, or squares of the binned one --------------------------- */

typedef struct evidence {
    um_half half[2];
    um_path full, path[2];
    double *deviance; /* most x rows */
    double *mean, *error; /* most */
    um_held_out_choice choice;
} evidence;

static void free_evidence(um_context *ctx, evidence *e)
{
    um_path_free(ctx, &e->full);
    for (int h = 0; h < 2; h++) {
        um_path_free(ctx, &e->path[h]);
    }
    um_halves_free(ctx, e->half);
    free(e->deviance);
    free(e->mean);
    free(e->error);
}

/* Beyond what stands clear of the noise, and some more, fits only follow the noise. */
static size_t thorough(const choosing *c)
{
    const um_choose_result *r = c->result;
    return (size_t)(r->above > r->above_binned ? r->above : r->above_binned) + BEYOND;
}

static int64_t above_edge(const um_white *white, double unit, double edge)
{
    double least = sqrt(unit) * um_white_edge(&white->scaled) * um_white_margin(&white->scaled) *
                   fmax(1, edge);
    size_t above = 0;
    while (above < white->image.count && white->image.sigma[above] > least) {
        above++;
    }
    return (int64_t)above;
}

static um_status make_halves(const um_split *split, const um_white *white, evidence *e, int64_t *above)
{
    double edge = 1;
    UM_TRY(um_halves_make(split, e->half));
    UM_TRY(um_halves_edge(e->half, &edge));
    um_debug(split->scaled->ctx, "noise of the halves reaches %.4f of the edge", edge);
    *above = above_edge(white, split->unit, edge);
    return UM_OK;
}

static um_status fit_halves(choosing *c, const um_split *split, size_t most, evidence *e)
{
    um_context *ctx = c->scaled.ctx;
    for (int h = 0; h < 2; h++) {
        UM_TRY(um_path_fit(&e->half[h].scaled, &e->half[h].image, most, thorough(c), &e->path[h]));
    }
    UM_TRY(um_held_out(e->half, e->path, &e->deviance));
    e->mean = calloc(most, sizeof *e->mean);
    e->error = calloc(most, sizeof *e->error);
    if (e->mean == NULL || e->error == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %zu fits", most);
    }
    size_t rows = split->from->rows;
    e->choice = um_held_out_choose(e->deviance, rows, 2 * rows * (size_t)c->scaled.noisy_columns, most,
                                   e->mean, e->error);
    return UM_OK;
}

static size_t most_here(const choosing *c, size_t rows)
{
    size_t most = c->most;
    most = rows > 1 && rows - 1 < most ? rows - 1 : most;
    return most;
}

static void fill_rows(choosing *c, const evidence *e, const um_path *full)
{
    for (int64_t i = 0; i < c->result->rows; i++) {
        um_choose_row *row = &c->result->row[i];
        if (row->k > (int64_t)full->most) {
            continue;
        }
        row->objective = full->objective[row->k - 1] / full->objective[0];
        if (c->result->split) {
            row->deviance = e->mean[row->k - 1];
            row->error = e->error[row->k - 1];
        }
    }
}

static um_status agreement(choosing *c, evidence *e)
{
    for (int64_t i = 0; i < c->result->rows; i++) {
        um_choose_row *row = &c->result->row[i];
        um_agreement found;
        if (row->k > (int64_t)e->full.most) {
            continue;
        }
        UM_TRY(um_agree(&c->white.scaled, (size_t)row->k, &e->full, e->path, &found));
        row->median_cosine = found.median;
        row->worst_cosine = found.worst;
        row->start_cosine = found.starts;
        row->silhouette = found.silhouette;
    }
    return UM_OK;
}

static um_status judge_positions(choosing *c, const um_white *part, evidence *e)
{
    um_choose_result *r = c->result;
    size_t most = most_here(c, c->sample.rows);
    um_scaled s = part->scaled;
    const um_split split = {.scaled = &part->scaled,
                            .from = &c->sample,
                            .u = part->scaled.u,
                            .v = part->scaled.v,
                            .unit = c->unit,
                            .stream = UM_STREAM_SPLIT,
                            .directions = part->image.count};
    r->sampled = (int64_t)c->sample.rows;
    if (r->split) {
        UM_TRY(make_halves(&split, &c->white, e, &r->above));
    }
    UM_TRY(um_path_fit(&s, &part->image, most, thorough(c), &e->full));
    if (r->split) {
        UM_TRY(fit_halves(c, &split, most, e));
        r->held_out = e->choice.fewest;
        r->held_out_best = e->choice.best;
        UM_TRY(agreement(c, e));
    }
    fill_rows(c, e, &e->full);
    return UM_OK;
}

static um_status look_at_positions(choosing *c)
{
    um_context *ctx = c->scaled.ctx;
    um_white part = {0};
    evidence e = {0};
    um_status status = um_white_at(&c->white, &c->sample, &part);
    if (status == UM_OK) {
        status = judge_positions(c, &part, &e);
    }
    free_evidence(ctx, &e);
    um_white_free(ctx, &part);
    return status;
}

/* ---- the binned scan ---------------------------------------------------------------------------------- */

static um_status make_binned(choosing *c)
{
    um_scaled *s = &c->scaled;
    if (c->subspace.binned == NULL) {
        UM_TRY(um_binned_create(s, um_subspace_bytes(s->n, s->m, c->subspace.count),
                                &c->subspace.binned));
        if (c->subspace.binned == NULL) {
            return UM_OK;
        }
        UM_TRY(um_matrix_pass(s->matrix, "binned scan", &um_binned_visitor, c->subspace.binned));
    }
    c->binned = c->subspace.binned;
    um_binned_settle(c->binned);
    return UM_OK;
}

/* Sums of rows of the binned scan; those of pixels are the scan's. */
static um_status binned_sums(const um_sample_view *view, um_sums *sums)
{
    const um_scaled *s = &view->scaled;
    *sums = *s->sums;
    sums->sum_map = calloc(s->n, sizeof *sums->sum_map);
    if (sums->sum_map == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a binned scan");
    }
    const uint32_t *x = view->sample->data;
    for (size_t i = 0; i < s->n; i++) {
        for (size_t j = 0; j < s->m; j++) {
            sums->sum_map[i] += s->v[j] > 0 ? (double)x[i * s->m + j] : 0;
        }
    }
    return UM_OK;
}

static void fill_binned(choosing *c, const um_white *white, double unit, const evidence *e)
{
    um_choose_result *r = c->result;
    double edge = sqrt(unit) * um_white_edge(&white->scaled);
    for (int64_t i = 0; i < r->rows; i++) {
        um_choose_row *row = &r->row[i];
        if (row->k <= (int64_t)white->image.count) {
            row->binned_value = white->image.sigma[row->k - 1] / edge;
        }
        if (r->split && row->k <= (int64_t)e->path[0].most) {
            row->binned_deviance = e->mean[row->k - 1];
            row->binned_error = e->error[row->k - 1];
        }
    }
    if (r->split) {
        r->held_out_binned = e->choice.fewest;
        r->held_out_binned_best = e->choice.best;
    }
}

static um_status judge_binned(choosing *c, um_sample_view *view, um_white *white, evidence *e)
{
    double unit = c->unit * um_binned_unit(c->binned);
    um_subspace found;
    UM_TRY(um_binned_subspace(c->binned, c->subspace.count, c->subspace.v, &found));
    const um_visits visits = {BINNED_ROUNDS, um_sample_walk, view};
    um_status status = um_whiten(&view->scaled, &found, unit, &visits, white);
    um_subspace_free(c->scaled.ctx, &found);
    UM_TRY(status);
    c->result->above_binned = above_edge(white, unit, 1);
    if (c->result->split) {
        const um_split split = {.scaled = &white->scaled,
                                .from = view->sample,
                                .u = white->scaled.u,
                                .v = white->scaled.v,
                                .unit = unit,
                                .stream = UM_STREAM_SPLIT_BINNED,
                                .directions = white->image.count};
        UM_TRY(make_halves(&split, white, e, &c->result->above_binned));
        UM_TRY(fit_halves(c, &split, most_here(c, view->sample->rows), e));
    }
    fill_binned(c, white, unit, e);
    return UM_OK;
}

static um_status look_at_binned(choosing *c)
{
    um_context *ctx = c->scaled.ctx;
    UM_TRY(make_binned(c));
    if (c->binned == NULL) {
        return UM_OK;
    }
    c->result->binned_side = (int64_t)um_binned_positions(c->binned);
    um_sample_view *view = um_binned_view(c->binned);
    const um_sums *scan = view->scaled.sums;
    um_sums sums = {.sum_map = NULL};
    um_white white = {0};
    evidence e = {0};
    um_status status = binned_sums(view, &sums);
    view->scaled.sums = &sums;
    if (status == UM_OK) {
        status = judge_binned(c, view, &white, &e);
    }
    view->scaled.sums = scan;
    free(sums.sum_map);
    free_evidence(ctx, &e);
    um_white_free(ctx, &white);
    return status;
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
        r->row[i] = (um_choose_row){least + i, NAN, NAN, NAN, NAN, NAN, NAN,
                                    NAN,       NAN, NAN, NAN, NAN, NAN};
    }
    return UM_OK;
}

/* Singular values of the scan in units of the edge of its noise. */
static um_status fill_spectrum(choosing *c)
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
    r->above = r->counts ? above_edge(&c->white, c->unit, 1) : 0;
    r->elbow = um_scree_elbow(c->subspace.sigma, (int64_t)c->subspace.shown);
    return UM_OK;
}

static um_status weigh(choosing *c)
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

static um_status run(choosing *c)
{
    UM_TRY(weigh(c));
    if (c->result->counts) {
        UM_TRY(look_at_positions(c));
        UM_TRY(look_at_binned(c));
    }
    um_choose_decide(c->result);
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
    choosing c = {.most = (size_t)most, .result = calloc(1, sizeof *c.result)};
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
