/* Subspace iteration with one read per power iteration, begun from a sample: a read gives Y = X'O for an M x l
 * basis O, and in the same visit C = Y'X' and S = Y'Y. With S = E D E', Q = Y E D^-1/2 is orthonormal and
 * B = Q'X' = D^-1/2 E' C, so sigma and the right vectors follow from B, and B's row space is the next O. */
#include "factor_internal.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_READS = 16 };
/* Largest relative change of singular values between reads. Values in the noise crowd and settle slowly:
 * those asked for are taken less sharply there, and the rest, which only draws the scree curve, roughly. */
static const double STABLE = 1e-5, STABLE_NOISE = 3e-4, STABLE_ROUGH = 0.02, NOISE_MARGIN = 1.02;
static const double RANK_FLOOR = 1e-12; /* of the largest eigenvalue of Y'Y: f32 rounding beyond */

typedef struct work {
    size_t l;
    float *o;  /* l x ld: the basis, row-wise */
    float *y;  /* n x l */
    double *b; /* l x m */
    double *g; /* l x l: S, then its vectors */
    double *q; /* l x m: B */
    double *d; /* l: eigenvalues */
    double *f; /* l x l: B B', then its vectors */
    double *sigma, *last;
    double *ritz; /* l: singular values of X' within the span of the basis */
} work;

static void copy_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                      double extra[4])
{
    (void)position;
    (void)extra;
    const work *k = user;
    for (size_t c = 0; c < k->l; c++) {
        for (size_t r = 0; r < rows; r++) {
            /* Rounded as it is stored, so that Y, Y'Y and Y'X are of the same numbers. */
            w[c * UM_GROUP_ROWS + r] = (double)(float)a[c * UM_GROUP_ROWS + r];
        }
    }
}

static void keep_rows(void *user, const int64_t *position, size_t rows, const double *w)
{
    work *k = user;
    for (size_t c = 0; c < k->l; c++) {
        for (size_t r = 0; r < rows; r++) {
            k->y[(size_t)position[r] * k->l + c] = (float)w[c * UM_GROUP_ROWS + r];
        }
    }
}

/* Any basis near this one and any Y near X'O do as well. */
static um_exact_pass make_pass(const um_scaled *s, work *k)
{
    return (um_exact_pass){.scaled = s,
                           .k = k->l,
                           .h = k->o,
                           .rows = copy_rows,
                           .user = k,
                           .on_grid = true,
                           .took = keep_rows,
                           .b = k->b,
                           .g = k->g};
}

void um_random_basis(const um_scaled *s, size_t l, float *o)
{
    const uint8_t *mask = um_matrix_get_info(s->matrix)->signal_mask;
    um_random random = {um_context_seed(s->ctx), UM_STREAM_SVD_SKETCH};
    for (size_t c = 0; c < l; c++) {
        for (size_t j = 0; j < s->m; j += 2) {
            double pair[2];
            um_random_normal2(random, c * s->m + j, pair);
            for (size_t i = 0; i < 2 && j + i < s->m; i++) {
                o[c * s->ld + j + i] = mask == NULL || mask[j + i] == 0 ? (float)pair[i] : 0;
            }
        }
    }
}

/* Eigenvectors of a symmetric l x l matrix into its rows, largest value first. */
static um_status eigen(um_context *ctx, size_t l, double *matrix, double *values)
{
    lapack_int n = (lapack_int)l;
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', n, matrix, n, values) != 0) {
        return um_fail(ctx, UM_ERROR_NUMERIC,
                       "the eigenvalues of a %zu x %zu matrix did not converge", l, l);
    }
    /* Ascending columns -> descending rows. */
    double *rows = malloc(l * l * sizeof *rows);
    if (rows == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for eigenvectors");
    }
    for (size_t c = 0; c < l; c++) {
        for (size_t i = 0; i < l; i++) {
            rows[c * l + i] = matrix[i * l + (l - 1 - c)];
        }
    }
    memcpy(matrix, rows, l * l * sizeof *rows);
    free(rows);
    for (size_t i = 0; i < l / 2; i++) {
        double swap = values[i];
        values[i] = values[l - 1 - i];
        values[l - 1 - i] = swap;
    }
    return UM_OK;
}

/* From C and S of a read: sigma, and the right singular vectors as the new basis. On return g has rows
 * D^-1/2 E' and f the rows of the rotation, so that left vector i = Y g' f_i. */
static um_status resolve(const um_scaled *s, work *k)
{
    size_t l = k->l;
    int li = (int)l;
    int mi = (int)s->m;
    UM_TRY(eigen(s->ctx, l, k->g, k->d));
    for (size_t c = 0; c < l; c++) {
        k->ritz[c] = k->d[c] > 0 ? sqrt(k->d[c]) : 0;
        double scale = k->d[c] > RANK_FLOOR * k->d[0] ? 1 / sqrt(k->d[c]) : 0;
        for (size_t i = 0; i < l; i++) {
            k->g[c * l + i] *= scale;
        }
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, li, mi, li, 1.0, k->g, li, k->b, mi, 0.0,
                k->q, mi);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, li, li, mi, 1.0, k->q, mi, k->q, mi, 0.0,
                k->f, li);
    UM_TRY(eigen(s->ctx, l, k->f, k->d));
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, li, mi, li, 1.0, k->f, li, k->q, mi, 0.0,
                k->b, mi);
    for (size_t c = 0; c < l; c++) {
        k->last[c] = k->sigma[c];
        k->sigma[c] = k->d[c] > 0 ? sqrt(k->d[c]) : 0;
        double inverse = k->d[c] > RANK_FLOOR * k->d[0] ? 1 / k->sigma[c] : 0;
        for (size_t j = 0; j < s->m; j++) {
            k->o[c * s->ld + j] = (float)(k->b[c * s->m + j] * inverse);
        }
    }
    return UM_OK;
}

static bool stable(const um_scaled *s, const work *k, size_t wanted, size_t count,
                   um_subspace_purpose purpose)
{
    bool for_start = purpose != UM_SUBSPACE_RESULT;
    double edge = s->weighted ? NOISE_MARGIN * um_noise_edge(s) / s->report : 0;
    for (size_t c = 0; c < count; c++) {
        double limit = k->sigma[c] > edge ? STABLE : STABLE_NOISE;
        if (c >= wanted || (for_start && k->sigma[c] <= edge)) {
            limit = STABLE_ROUGH;
        }
        if (fabs(k->sigma[c] - k->last[c]) > limit * k->sigma[c]) {
            return false;
        }
    }
    return true;
}

/* us = Y g' f' sigma in place of Y, rows in the fixed order of positions. */
static um_status left_vectors(const um_scaled *s, work *k, um_subspace *out)
{
    size_t l = k->l;
    size_t count = out->count;
    double *turn = calloc(l * count + count, sizeof *turn);
    if (turn == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu directions", l);
    }
    double *row = turn + l * count;
    for (size_t i = 0; i < l; i++) {
        for (size_t c = 0; c < count; c++) {
            double sum = 0;
            for (size_t e = 0; e < l; e++) {
                sum += k->g[e * l + i] * k->f[c * l + e];
            }
            turn[i * count + c] = sum * k->sigma[c];
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        memset(row, 0, count * sizeof *row);
        for (size_t i = 0; i < l; i++) {
            double y = (double)k->y[p * l + i];
            for (size_t c = 0; c < count; c++) {
                row[c] += y * turn[i * count + c];
            }
        }
        for (size_t c = 0; c < count; c++) {
            k->y[p * count + c] = (float)row[c]; /* at or before what is still to be read */
        }
    }
    free(turn);
    out->us = k->y;
    k->y = NULL;
    return UM_OK;
}

/* The entry of largest magnitude of each pattern, in the units of the data, becomes positive. */
static void fix_signs(const um_scaled *s, um_subspace *out)
{
    for (size_t c = 0; c < out->count; c++) {
        float *v = out->v + c * s->ld;
        size_t best = 0;
        float largest = -1;
        for (size_t j = 0; j < s->m; j++) {
            float magnitude = s->v[j] > 0 ? fabsf(v[j]) / s->v[j] : 0;
            if (magnitude > largest) {
                largest = magnitude;
                best = j;
            }
        }
        if (v[best] < 0) {
            for (size_t j = 0; j < s->m; j++) {
                v[j] = -v[j];
            }
            for (size_t p = 0; p < s->n; p++) {
                out->us[p * out->count + c] = -out->us[p * out->count + c];
            }
        }
    }
}

static void free_work(um_context *ctx, work *k)
{
    um_buffer_free(ctx, k->o);
    um_buffer_free(ctx, k->y);
    um_buffer_free(ctx, k->b);
    um_buffer_free(ctx, k->q);
    free(k->g);
    free(k->d);
    free(k->f);
    free(k->sigma);
    free(k->last);
    free(k->ritz);
}

/* Takes the basis over. */
static um_status make_work(const um_scaled *s, size_t l, float *o, work *k)
{
    *k = (work){.l = l, .o = o};
    k->g = calloc(l * l, sizeof *k->g);
    k->d = calloc(l, sizeof *k->d);
    k->f = calloc(l * l, sizeof *k->f);
    k->sigma = calloc(l, sizeof *k->sigma);
    k->last = calloc(l, sizeof *k->last);
    k->ritz = calloc(l, sizeof *k->ritz);
    if (k->g == NULL || k->d == NULL || k->f == NULL || k->sigma == NULL || k->last == NULL ||
        k->ritz == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu directions", l);
    }
    UM_TRY(um_buffer_alloc(s->ctx, s->n * l, sizeof(float), "projections of the SVD", &k->y));
    UM_TRY(um_buffer_alloc(s->ctx, l * s->m, sizeof(double), "the SVD", &k->b));
    return um_buffer_alloc(s->ctx, l * s->m, sizeof(double), "the SVD", &k->q);
}

/* ---- the first read of all ----------------------------------------------------------------------- */

/* Makes the sums in the same visit; the weight of a row is known as soon as its sum is. */
typedef struct fused {
    work *work;
    um_scaled *scaled;
    um_sums_job *job;
} fused;

static um_status fused_start(void *user, void **state)
{
    fused *f = user;
    return um_sums_visitor.start(f->job, state);
}

static um_status fused_visit(void *user, void *state, const um_tile *tile)
{
    fused *f = user;
    um_scaled *s = f->scaled;
    UM_TRY(um_sums_visitor.visit(f->job, state, tile));
    const double *sum = um_sums_so_far(f->job)->sum_map;
    for (size_t r = 0; r < tile->rows; r++) {
        int64_t p = tile->position[r];
        s->u[p] = !s->weighted ? 1 : sum[p] > 0 ? (float)sqrt(s->guessed_total / sum[p]) : 0;
    }
    return UM_OK;
}

static um_status fused_merge(void *user, void *state)
{
    fused *f = user;
    return um_sums_visitor.merge(f->job, state);
}

static void fused_stop(void *user, void *state)
{
    fused *f = user;
    um_sums_visitor.stop(f->job, state);
}

static void copy_fused_rows(void *user, const int64_t *position, size_t rows, const double *a,
                            double *w, double extra[4])
{
    copy_rows(((fused *)user)->work, position, rows, a, w, extra);
}

static void keep_fused_rows(void *user, const int64_t *position, size_t rows, const double *w)
{
    keep_rows(((fused *)user)->work, position, rows, w);
}

static um_status settle(void *user)
{
    fused *f = user;
    um_scaled *s = f->scaled;
    s->own_sums = um_sums_finish(f->job);
    return um_scaled_settle(s, s->own_sums);
}

/* Any Y is a valid sketch of X', so it does not matter that O had guessed weights and Y a guessed total;
 * Y'X' gets the exact ones. */
static um_status fused_read(um_scaled *s, work *k, um_binned *binned)
{
    static const um_visitor sums = {
        .start = fused_start, .visit = fused_visit, .merge = fused_merge, .stop = fused_stop, .sparse = true};
    fused f = {.work = k, .scaled = s};
    bool weighted = s->weighted;
    um_exact_pass pass = make_pass(s, k);
    pass.rows = copy_fused_rows;
    pass.took = keep_fused_rows;
    pass.user = &f;
    pass.want_norm2 = true;
    pass.before = (um_companion){&sums, &f};
    pass.after = (um_companion){binned != NULL ? &um_binned_visitor : NULL, binned};
    pass.settle = settle;
    um_status status = um_sums_begin(s->matrix, &f.job);
    if (status == UM_OK) {
        status = um_exact_pass_run(&pass, "sums and directions");
    }
    um_sums_end(f.job);
    UM_TRY(status);
    if (s->weighted != weighted) { /* negative values that the sample did not show: no counts */
        pass = make_pass(s, k);
        pass.want_norm2 = true;
        UM_TRY(um_exact_pass_run(&pass, "directions"));
    }
    double ratio = s->weighted ? s->sums->total / s->guessed_total : 1;
    float root = (float)sqrt(ratio);
    for (size_t i = 0; i < s->n * k->l && s->weighted; i++) {
        k->y[i] *= root;
    }
    for (size_t i = 0; i < k->l * s->m && s->weighted; i++) {
        k->b[i] *= ratio;
    }
    for (size_t i = 0; i < k->l * k->l && s->weighted; i++) {
        k->g[i] *= ratio;
    }
    s->norm2 = pass.norm2 * ratio;
    s->norm2_exact = !s->weighted;
    return UM_OK;
}

static um_status read_again(um_scaled *s, work *k, um_binned *binned)
{
    um_exact_pass pass = make_pass(s, k);
    pass.want_norm2 = !s->norm2_exact;
    pass.after = (um_companion){binned != NULL ? &um_binned_visitor : NULL, binned};
    UM_TRY(um_exact_pass_run(&pass, "directions"));
    if (pass.want_norm2) {
        s->norm2 = pass.norm2;
        s->norm2_exact = true;
    }
    return UM_OK;
}

/* ---- how many reads -------------------------------------------------------------------------------- */

static const double CAPTURED = 0.99;

/* Why one read is not enough to start from, or NULL. Values far above the noise settle in one read from a
 * good sample; those near it do not, and a value that grew since the basis was made may grow further. */
static const char *reason_for_more(const um_scaled *s, const work *k, size_t wanted)
{
    for (size_t c = 0; !s->weighted && c < wanted && c < k->l; c++) {
        if (k->ritz[c] < CAPTURED * k->sigma[c]) {
            return "the sample missed some of the leading directions";
        }
    }
    return NULL;
}

/* What the binned scan shows beyond the subspace goes into the next basis. */
static um_status look_at_binned(work *k, um_subspace *out)
{
    um_subspace found;
    um_binned_settle(out->binned);
    UM_TRY(um_binned_subspace(out->binned, k->l, k->o, &found));
    if (um_binned_add_directions(out->binned, &found, k->l, k->o) && out->reason == NULL) {
        out->reason =
            "the scan binned over small squares shows a direction that the first read missed";
    }
    um_subspace_free(um_binned_view(out->binned)->scaled.ctx, &found);
    return UM_OK;
}

/* One read, or two. */
static um_status few_reads(um_scaled *s, work *k, size_t wanted, um_subspace *out)
{
    UM_TRY(um_binned_create(s, um_subspace_bytes(s->n, s->m, k->l), &out->binned));
    UM_TRY(s->sums == NULL ? fused_read(s, k, out->binned) : read_again(s, k, out->binned));
    out->passes++;
    UM_TRY(resolve(s, k));
    out->reason = reason_for_more(s, k, wanted);
    if (out->binned == NULL) {
        if (out->reason == NULL) {
            return UM_OK;
        }
    } else {
        float *o = NULL; /* the basis stays as it is when this is the last read */
        UM_TRY(um_buffer_alloc(s->ctx, k->l * s->ld, sizeof *o, "directions", &o));
        memcpy(o, k->o, k->l * s->ld * sizeof *o);
        um_status status = look_at_binned(k, out);
        if (status == UM_OK && out->reason == NULL) {
            memcpy(k->o, o, k->l * s->ld * sizeof *o);
        }
        um_buffer_free(s->ctx, o);
        if (status != UM_OK || out->reason == NULL) {
            return status;
        }
    }
    UM_TRY(read_again(s, k, NULL));
    out->passes++;
    return resolve(s, k);
}

static um_status iterate(um_scaled *s, work *k, size_t wanted, size_t count, int power_iterations,
                         um_subspace_purpose purpose, um_subspace *out)
{
    if (purpose == UM_SUBSPACE_FEW_READS) {
        return few_reads(s, k, wanted, out);
    }
    int reads = power_iterations >= 0 ? power_iterations + 1 : MOST_READS;
    size_t rank = (size_t)(s->rows < s->columns ? s->rows : s->columns);
    for (int read = 0; read < reads; read++) {
        UM_TRY(s->sums == NULL ? fused_read(s, k, NULL) : read_again(s, k, NULL));
        out->passes++;
        UM_TRY(resolve(s, k));
        if (power_iterations < 0 && read > 0 &&
            (stable(s, k, wanted, count, purpose) || k->l >= rank)) {
            break;
        }
    }
    if (!s->norm2_exact && purpose == UM_SUBSPACE_RESULT) {
        UM_TRY(read_again(s, k, NULL)); /* the total variance is told to people */
        out->passes++;
        UM_TRY(resolve(s, k));
    }
    return UM_OK;
}

size_t um_subspace_size(size_t k, int oversampling, size_t rank)
{
    size_t count = k > UM_SCREE_VALUES ? k : UM_SCREE_VALUES;
    size_t l = count + (size_t)(oversampling > 0 ? oversampling : 10 + (int)(k / 2));
    return l < rank ? l : rank;
}

size_t um_subspace_bytes(size_t n, size_t m, size_t l)
{
    return l * (n * sizeof(float) + m * sizeof(double));
}

static um_status keep(um_scaled *s, work *k, size_t count, um_subspace *out)
{
    out->count = count;
    out->shown = count;
    out->sigma = calloc(count, sizeof *out->sigma);
    if (out->sigma == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory");
    }
    UM_TRY(left_vectors(s, k, out));
    memcpy(out->sigma, k->sigma, count * sizeof *out->sigma);
    for (size_t c = 0; c < count; c++) {
        out->norm2 += k->sigma[c] * k->sigma[c];
    }
    out->v = k->o; /* its first rows */
    k->o = NULL;
    fix_signs(s, out);
    return UM_OK;
}

um_status um_subspace_rounds(um_scaled *s, size_t l, int rounds,
                             um_status (*walk)(void *walker, const um_visitor *visitor, void *user),
                             void *walker, float *o, um_subspace *out)
{
    work k;
    um_status status = make_work(s, l, o, &k);
    for (int i = 0; status == UM_OK && i < rounds; i++) {
        um_exact_pass pass = make_pass(s, &k);
        pass.walk = walk;
        pass.walker = walker;
        status = um_exact_pass_run(&pass, "directions");
        if (status == UM_OK) {
            status = resolve(s, &k);
        }
    }
    if (status == UM_OK && out != NULL) {
        status = keep(s, &k, l, out);
    }
    if (out == NULL) {
        k.o = NULL; /* the caller's */
    }
    free_work(s->ctx, &k);
    return status;
}

static um_status start_basis(um_scaled *s, size_t l, float **o)
{
    UM_TRY(um_buffer_alloc(s->ctx, l * s->ld, sizeof(float), "the basis of the SVD", o));
    um_random_basis(s, l, *o);
    return um_sample_directions(s, l, um_subspace_bytes(s->n, s->m, l), *o);
}

um_status um_subspace_find(um_scaled *s, size_t wanted, int power_iterations, int oversampling,
                           um_subspace_purpose purpose, um_subspace *out)
{
    *out = (um_subspace){.count = 0};
    size_t rank = (size_t)(s->rows < s->columns ? s->rows : s->columns);
    size_t count = wanted > UM_SCREE_VALUES ? wanted : UM_SCREE_VALUES;
    if (count > rank) {
        count = rank;
    }
    size_t l = um_subspace_size(wanted, oversampling, rank);
    work k = {0};
    float *o = NULL;
    um_status status = start_basis(s, l, &o);
    if (status == UM_OK) {
        status = make_work(s, l, o, &k);
    } else {
        um_buffer_free(s->ctx, o);
    }
    if (status == UM_OK) {
        status = iterate(s, &k, wanted, count, power_iterations, purpose, out);
    }
    if (status == UM_OK) {
        status = keep(s, &k, purpose == UM_SUBSPACE_RESULT ? count : l, out);
        out->shown = count;
    }
    free_work(s->ctx, &k);
    if (status != UM_OK) {
        um_subspace_free(s->ctx, out);
    }
    return status;
}

void um_subspace_free(um_context *ctx, um_subspace *subspace)
{
    if (subspace == NULL) {
        return;
    }
    free(subspace->sigma);
    um_binned_free(ctx, subspace->binned);
    um_buffer_free(ctx, subspace->v);
    um_buffer_free(ctx, subspace->us);
    um_buffer_free(ctx, subspace->more_us);
    um_buffer_free(ctx, subspace->more_v);
    um_missed_end(ctx, subspace);
    *subspace = (um_subspace){.count = 0};
}
