/* Randomised subspace iteration with one read per power iteration: a read gives Y = X'O for an M x l
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
    float *o;       /* l x ld: the basis, row-wise */
    float *y;       /* n x l */
    double *b;      /* l x m */
    double *g;      /* l x l: S, then its vectors */
    double *q;      /* l x m: B */
    double *d;      /* l: eigenvalues */
    double *f;      /* l x l: B B', then its vectors */
    double *sigma, *last;
} work;

static void keep_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                      double extra[4])
{
    (void)extra;
    work *k = user;
    for (size_t c = 0; c < k->l; c++) {
        for (size_t r = 0; r < rows; r++) {
            /* Rounded as it is stored, so that Y, Y'Y and Y'X are of the same numbers. */
            float value = (float)a[c * UM_GROUP_ROWS + r];
            k->y[(size_t)position[r] * k->l + c] = value;
            w[c * UM_GROUP_ROWS + r] = (double)value;
        }
    }
}

static void random_basis(const um_scaled *s, work *k)
{
    um_random random = {um_context_seed(s->ctx), UM_STREAM_SVD_SKETCH};
    for (size_t c = 0; c < k->l; c++) {
        for (size_t j = 0; j < s->m; j += 2) {
            double pair[2];
            um_random_normal2(random, c * s->m + j, pair);
            k->o[c * s->ld + j] = s->v[j] > 0 ? (float)pair[0] : 0;
            if (j + 1 < s->m) {
                k->o[c * s->ld + j + 1] = s->v[j + 1] > 0 ? (float)pair[1] : 0;
            }
        }
    }
}

/* Eigenvectors of a symmetric l x l matrix into its rows, largest value first. */
static um_status eigen(um_context *ctx, size_t l, double *matrix, double *values)
{
    lapack_int n = (lapack_int)l;
    if (LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', n, matrix, n, values) != 0) {
        return um_fail(ctx, UM_ERROR_NUMERIC, "the eigenvalues of a %zu x %zu matrix did not converge",
                       l, l);
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

static bool stable(const um_scaled *s, const work *k, size_t wanted, size_t count, bool for_start)
{
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

/* us = Y g' f' sigma, rows in the fixed order of positions. */
static um_status left_vectors(const um_scaled *s, const work *k, um_subspace *out)
{
    size_t l = k->l;
    double *turn = calloc(l * out->count, sizeof *turn);
    if (turn == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu directions", l);
    }
    for (size_t i = 0; i < l; i++) {
        for (size_t c = 0; c < out->count; c++) {
            double sum = 0;
            for (size_t e = 0; e < l; e++) {
                sum += k->g[e * l + i] * k->f[c * l + e];
            }
            turn[i * out->count + c] = sum * k->sigma[c];
        }
    }
    for (size_t p = 0; p < s->n; p++) {
        for (size_t c = 0; c < out->count; c++) {
            double sum = 0;
            for (size_t i = 0; i < l; i++) {
                sum += (double)k->y[p * l + i] * turn[i * out->count + c];
            }
            out->us[p * out->count + c] = (float)sum;
        }
    }
    free(turn);
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
}

static um_status make_work(const um_scaled *s, size_t l, work *k)
{
    *k = (work){.l = l};
    k->g = calloc(l * l, sizeof *k->g);
    k->d = calloc(l, sizeof *k->d);
    k->f = calloc(l * l, sizeof *k->f);
    k->sigma = calloc(l, sizeof *k->sigma);
    k->last = calloc(l, sizeof *k->last);
    if (k->g == NULL || k->d == NULL || k->f == NULL || k->sigma == NULL || k->last == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for %zu directions", l);
    }
    UM_TRY(um_buffer_alloc(s->ctx, l * s->ld, sizeof(float), "the basis of the SVD", &k->o));
    UM_TRY(um_buffer_alloc(s->ctx, s->n * l, sizeof(float), "projections of the SVD", &k->y));
    UM_TRY(um_buffer_alloc(s->ctx, l * s->m, sizeof(double), "the SVD", &k->b));
    return um_buffer_alloc(s->ctx, l * s->m, sizeof(double), "the SVD", &k->q);
}

static um_status iterate(um_scaled *s, work *k, size_t wanted, size_t count, int power_iterations,
                         bool for_start, int64_t *passes)
{
    random_basis(s, k);
    int reads = power_iterations >= 0 ? power_iterations + 1 : MOST_READS;
    size_t rank = (size_t)(s->rows < s->columns ? s->rows : s->columns);
    for (int read = 0; read < reads; read++) {
        um_exact_pass pass = {.scaled = s, .k = k->l, .h = k->o, .rows = keep_rows, .user = k,
                              .want_norm2 = read == 0 && s->norm2 <= 0, .b = k->b, .g = k->g};
        UM_TRY(um_exact_pass_run(&pass, "singular values"));
        (*passes)++;
        if (pass.want_norm2) {
            s->norm2 = pass.norm2;
        }
        UM_TRY(resolve(s, k));
        if (power_iterations < 0 && read > 0 && (stable(s, k, wanted, count, for_start) || k->l >= rank)) {
            break;
        }
    }
    return UM_OK;
}

size_t um_subspace_size(size_t k, int oversampling, size_t rank)
{
    size_t count = k > UM_SCREE_VALUES ? k : UM_SCREE_VALUES;
    size_t l = count + (size_t)(oversampling > 0 ? oversampling : 10 + (int)(k / 2));
    return l < rank ? l : rank;
}

um_status um_subspace_find(um_scaled *s, size_t wanted, int power_iterations, int oversampling,
                           bool for_start, um_subspace *out)
{
    *out = (um_subspace){.count = 0};
    size_t rank = (size_t)(s->rows < s->columns ? s->rows : s->columns);
    size_t count = wanted > UM_SCREE_VALUES ? wanted : UM_SCREE_VALUES;
    if (count > rank) {
        count = rank;
    }
    size_t l = um_subspace_size(wanted, oversampling, rank);
    work k;
    um_status status = make_work(s, l, &k);
    if (status == UM_OK) {
        status = iterate(s, &k, wanted, count, power_iterations, for_start, &out->passes);
    }
    if (status == UM_OK) {
        out->count = count;
        out->sigma = calloc(count, sizeof *out->sigma);
        status = out->sigma != NULL ? UM_OK : um_fail(s->ctx, UM_ERROR_MEMORY, "no memory");
    }
    um_buffer_free(s->ctx, k.q);
    k.q = NULL;
    if (status == UM_OK) {
        status = um_buffer_alloc(s->ctx, s->n * count, sizeof(float), "left singular vectors",
                                 &out->us);
    }
    if (status == UM_OK) {
        status = left_vectors(s, &k, out);
    }
    if (status == UM_OK) {
        memcpy(out->sigma, k.sigma, count * sizeof *out->sigma);
        for (size_t c = 0; c < count; c++) {
            out->norm2 += k.sigma[c] * k.sigma[c];
        }
        out->v = k.o; /* its first rows */
        k.o = NULL;
        fix_signs(s, out);
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
    um_buffer_free(ctx, subspace->v);
    um_buffer_free(ctx, subspace->us);
    *subspace = (um_subspace){.count = 0};
}
