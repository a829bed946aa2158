/* Online factorisation: see unmix/online.h. What is kept is free of the weights, which change as sums grow:
 * in X', B = v n T S and G' = n n T G, with n the norms that rows of H v have. */
#include "nmf_family.h"
#include "unmix/online.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOVES = 3, SWEEPS = 60 };
static const double CLEAR = 1.01; /* of the edge of noise, for a singular value to count */

struct um_online {
    um_context *ctx;
    um_online_options options;
    size_t k, m;
    float *h;       /* most x m, counts, rows of sum one */
    double *s, *g;  /* most x m, k x k */
    double *column; /* m: sums of pixels so far */
    double total;
};

um_status um_online_create(um_context *ctx, const um_online_options *options, um_online **out)
{
    *out = NULL;
    if (options->k < 1 || options->k > UM_HALS_LARGEST) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "-k %lld: 1 to %d components are possible",
                       (long long)options->k, UM_HALS_LARGEST);
    }
    um_online *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for the online factorisation");
    }
    o->ctx = ctx;
    o->options = *options;
    *out = o;
    return UM_OK;
}

void um_online_free(um_online *o)
{
    if (o != NULL) {
        um_buffer_free(o->ctx, o->h);
        um_buffer_free(o->ctx, o->s);
        um_buffer_free(o->ctx, o->column);
        free(o->g);
        free(o);
    }
}

const float *um_online_patterns(const um_online *o, int64_t *k)
{
    *k = (int64_t)o->k;
    return o->k > 0 ? o->h : NULL;
}

static um_status make_room(um_online *o, size_t m)
{
    size_t most = (size_t)o->options.k;
    o->m = m;
    UM_TRY(um_buffer_alloc(o->ctx, most * m, sizeof *o->h, "components", &o->h));
    UM_TRY(um_buffer_alloc(o->ctx, most * m, sizeof *o->s, "sums over patterns", &o->s));
    UM_TRY(um_buffer_alloc(o->ctx, m, sizeof *o->column, "a pattern", &o->column));
    o->g = calloc(most * most, sizeof *o->g);
    return o->g != NULL ? UM_OK : um_fail(o->ctx, UM_ERROR_MEMORY, "no memory for %zu components", most);
}

/* ---- the first batch ------------------------------------------------------------------------------ */

/* How many components the first batch gives evidence for. */
static um_status count_components(um_online *o, um_matrix *batch, const um_sums *sums, int64_t *k)
{
    um_svd_options svd = {.k = 1, .weights = o->options.weights, .power_iterations = -1, .sums = sums};
    um_svd_result *r = NULL;
    UM_TRY(um_svd(batch, &svd, &r));
    *k = o->options.k;
    if (r->weighted) {
        int64_t above = 0;
        while (above < r->count && r->singular_values[above] > CLEAR * r->noise_edge) {
            above++;
        }
        *k = above < 1 ? 1 : above < *k ? above : *k;
    }
    um_svd_result_free(r);
    return UM_OK;
}

static um_status begin(um_online *o, um_matrix *batch, const um_sums *sums)
{
    int64_t k = 0;
    UM_TRY(count_components(o, batch, sums, &k));
    um_nmf_options options = um_nmf_defaults(k);
    options.weights = o->options.weights;
    options.sums = sums;
    um_nmf_result *r = NULL;
    UM_TRY(um_nmf(batch, &options, &r));
    const float *h = um_model_factors(r->model);
    for (size_t i = 0; i < (size_t)k * o->m; i++) {
        o->h[i] = isfinite(h[i]) ? h[i] : 0;
    }
    o->k = (size_t)k;
    um_nmf_result_free(r);
    return UM_OK;
}

/* ---- every batch ----------------------------------------------------------------------------------- */

typedef struct step {
    um_online *o;
    um_scaled *s;
    um_nmf_state state;
    um_residual residual;
    um_nmf_judged at;
    double *norm;   /* most: of rows of h v */
    double *s_all, *g_all; /* of all batches, this one too */
    double *h64;
} step;

static void step_free(step *x)
{
    um_context *ctx = x->o->ctx;
    um_residual_free(&x->residual);
    um_nmf_state_free(ctx, &x->state);
    um_buffer_free(ctx, x->at.b);
    um_buffer_free(ctx, x->s_all);
    um_buffer_free(ctx, x->h64);
    free(x->at.g);
    free(x->g_all);
    free(x->norm);
}

static um_status step_create(um_online *o, um_scaled *s, step *x)
{
    size_t most = (size_t)o->options.k;
    *x = (step){.o = o, .s = s};
    UM_TRY(um_nmf_state_create(s, o->k, MOVES + 1, &x->state));
    UM_TRY(um_residual_create(s, &x->state, &x->residual));
    UM_TRY(um_buffer_alloc(o->ctx, most * o->m, sizeof(double), "W'X", &x->at.b));
    UM_TRY(um_buffer_alloc(o->ctx, most * o->m, sizeof(double), "W'X", &x->s_all));
    UM_TRY(um_buffer_alloc(o->ctx, most * o->m, sizeof(double), "components", &x->h64));
    x->at.g = calloc(most * most, sizeof(double));
    x->g_all = calloc(most * most, sizeof(double));
    x->norm = calloc(most, sizeof(double));
    return x->at.g != NULL && x->g_all != NULL && x->norm != NULL
               ? UM_OK
               : um_fail(o->ctx, UM_ERROR_MEMORY, "no memory for %zu components", most);
}

/* Rows of h v, of unit norm, into the state. */
static void scale_components(step *x)
{
    const um_online *o = x->o;
    for (size_t c = 0; c < o->k; c++) {
        float *to = x->state.h + c * x->s->ld;
        double norm2 = 0;
        for (size_t j = 0; j < o->m; j++) {
            double h = (double)o->h[c * o->m + j] * (double)x->s->v[j];
            norm2 += h * h;
        }
        x->norm[c] = norm2 > 0 ? sqrt(norm2) : 1;
        for (size_t j = 0; j < o->m; j++) {
            to[j] = (float)((double)o->h[c * o->m + j] * (double)x->s->v[j] / x->norm[c]);
        }
    }
}

/* W of the batch for the present patterns, and S and G of everything with it. */
static um_status take_batch(step *x)
{
    const um_online *o = x->o;
    const um_scaled *s = x->s;
    size_t k = o->k;
    double total = s->weighted ? s->sums->total : 1;
    scale_components(x);
    UM_TRY(um_nmf_judge(x->s, &x->state, &x->residual, NULL, &x->at));
    for (size_t c = 0; c < k; c++) {
        for (size_t j = 0; j < o->m; j++) {
            double v = (double)s->v[j];
            x->s_all[c * o->m + j] =
                o->s[c * o->m + j] + (v > 0 ? x->at.b[c * o->m + j] / (v * x->norm[c] * total) : 0);
        }
        for (size_t d = 0; d < k; d++) {
            x->g_all[c * k + d] =
                o->g[c * k + d] + x->at.g[c * k + d] / (x->norm[c] * x->norm[d] * total);
        }
    }
    return UM_OK;
}

/* The best patterns for S and G, of sum one; what is kept of earlier batches follows their scale. */
static um_status move_components(step *x)
{
    um_online *o = x->o;
    size_t k = o->k;
    for (size_t i = 0; i < k * o->m; i++) {
        x->h64[i] = (double)o->h[i];
    }
    UM_TRY(um_nmf_move_components(x->s, k, x->g_all, x->s_all, x->h64, SWEEPS));
    for (size_t c = 0; c < k; c++) {
        double sum = 0;
        for (size_t j = 0; j < o->m; j++) {
            sum += x->h64[c * o->m + j];
        }
        if (!(sum > 0)) {
            continue; /* nothing speaks for it now: it stays as it was */
        }
        for (size_t j = 0; j < o->m; j++) {
            o->h[c * o->m + j] = (float)(x->h64[c * o->m + j] / sum);
            o->s[c * o->m + j] *= sum;
        }
        for (size_t d = 0; d < k; d++) {
            o->g[c * k + d] *= d == c ? sum * sum : sum;
            if (d != c) {
                o->g[d * k + c] *= sum;
            }
        }
    }
    return UM_OK;
}

/* Where the residual exceeds counting noise, more components. */
static um_status add_components(step *x)
{
    um_online *o = x->o;
    size_t before = o->k;
    size_t most = (size_t)o->options.k;
    if (before == most || !x->s->weighted) {
        return UM_OK;
    }
    um_nmf_options options = um_nmf_defaults((int64_t)before);
    um_nmf_result told = {0};
    options.second_pass = (int64_t)(most - before);
    UM_TRY(um_nmf_second_pass(x->s, &options, &x->state, &x->residual, &told));
    size_t k = x->state.k;
    for (size_t c = before; c < k; c++) {
        double sum = 0;
        for (size_t j = 0; j < o->m; j++) {
            double v = (double)x->s->v[j];
            double h = v > 0 ? (double)x->state.h[c * x->s->ld + j] / v : 0;
            o->h[c * o->m + j] = (float)h;
            sum += h;
        }
        for (size_t j = 0; j < o->m; j++) {
            o->h[c * o->m + j] = (float)((double)o->h[c * o->m + j] / sum);
        }
    }
    for (size_t c = before; c-- > 0 && k > before;) { /* G grows in its place, from the end */
        for (size_t d = before; d-- > 0;) {
            o->g[c * k + d] = o->g[c * before + d];
        }
    }
    for (size_t c = 0; c < k && k > before; c++) {
        for (size_t d = c < before ? before : 0; d < k; d++) {
            o->g[c * k + d] = 0;
        }
    }
    o->k = k;
    return UM_OK;
}

static um_status learn(um_online *o, um_scaled *s)
{
    step x;
    um_status status = step_create(o, s, &x);
    size_t before = o->k;
    for (int i = 0; status == UM_OK && i < MOVES; i++) {
        status = take_batch(&x);
        status = status == UM_OK ? move_components(&x) : status;
    }
    if (status == UM_OK) {
        status = take_batch(&x);
    }
    if (status == UM_OK) {
        status = add_components(&x);
    }
    if (status == UM_OK && o->k > before) {
        status = take_batch(&x);
        status = status == UM_OK ? move_components(&x) : status;
        status = status == UM_OK ? take_batch(&x) : status;
    }
    if (status == UM_OK) {
        memcpy(o->s, x.s_all, o->k * o->m * sizeof *o->s);
        memcpy(o->g, x.g_all, o->k * o->k * sizeof *o->g);
    }
    step_free(&x);
    return status;
}

um_status um_online_add(um_online *o, um_matrix *batch)
{
    const um_matrix_info *info = um_matrix_get_info(batch);
    size_t m = (size_t)(info->shape.ky * info->shape.kx);
    if (o->m != 0 && o->m != m) {
        return um_fail(o->ctx, UM_ERROR_SHAPE, "the batch has %zu pixels, those before it %zu", m, o->m);
    }
    UM_TRY(o->m == 0 ? make_room(o, m) : UM_OK);
    um_sums *sums = NULL;
    UM_TRY(um_matrix_sums(batch, &sums));
    if (sums->positions == 0 || !(sums->total_squares > 0)) {
        um_sums_free(sums);
        return UM_OK;
    }
    um_status status = o->k == 0 ? begin(o, batch, sums) : UM_OK;
    if (status != UM_OK) {
        um_sums_free(sums);
        return status;
    }
    /* Weights of pixels are those of all that has been seen. */
    o->total += sums->total;
    sums->total = o->total;
    for (size_t j = 0; j < m; j++) {
        o->column[j] += sums->sum_pattern[j];
        sums->sum_pattern[j] = o->column[j];
    }
    um_scaled s;
    status = um_scaled_init(&s, batch, o->options.weights, sums);
    if (status == UM_OK) {
        status = learn(o, &s);
    }
    um_scaled_free(&s);
    um_sums_free(sums);
    return status;
}
