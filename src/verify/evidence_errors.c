/* Standard errors of loadings and patterns by counting noise, and what the residual would be
 * if there were only counting noise. */
#include "evidence_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Gauss-Jordan on the active part: small, symmetric, positive. */
bool um_inverse_on(int64_t k, const double *g, const bool *active, double *inverse, double *work)
{
    memcpy(work, g, (size_t)(k * k) * sizeof *work);
    for (int64_t i = 0; i < k * k; i++) {
        inverse[i] = i / k == i % k && active[i / k] ? 1 : 0;
    }
    for (int64_t i = 0; i < k; i++) {
        if (!active[i]) {
            continue;
        }
        double pivot = work[i * k + i];
        if (!(pivot > 1e-12 * g[i * k + i])) {
            return false;
        }
        for (int64_t j = 0; j < k; j++) {
            work[i * k + j] /= pivot;
            inverse[i * k + j] /= pivot;
        }
        for (int64_t r = 0; r < k; r++) {
            double f = work[r * k + i];
            for (int64_t j = 0; j < k && r != i && active[r]; j++) {
                work[r * k + j] -= f * work[i * k + j];
                inverse[r * k + j] -= f * inverse[i * k + j];
            }
        }
    }
    return true;
}

/* The matrices of one side: gram = sum_j d_j f_j f_j', third[c] = sum_j d_j^2 f_jc f_j f_j', with f_j the k values of
 * pixel (or position) j; and sums of d f, d^2 f, d^2 f f'. */
typedef struct moments {
    int64_t k;
    double *gram, *third, *first, *second, *square;
} moments;

static void add_moments(moments *s, double d, const double *f)
{
    int64_t k = s->k;
    for (int64_t a = 0; a < k; a++) {
        if (f[a] <= 0) {
            continue;
        }
        s->first[a] += d * f[a];
        s->second[a] += d * d * f[a];
        for (int64_t b = 0; b < k; b++) {
            s->gram[a * k + b] += d * f[a] * f[b];
            s->square[a * k + b] += d * d * f[a] * f[b];
            for (int64_t c = 0; c < k && f[b] > 0; c++) {
                s->third[(a * k + b) * k + c] += d * d * f[a] * f[b] * f[c];
            }
        }
    }
}

static um_status moments_make(um_context *ctx, int64_t k, double **block, moments *s)
{
    size_t kk = (size_t)(k * k);
    UM_TRY(um_buffer_alloc(ctx, kk * (size_t)k + 2 * kk + 2 * (size_t)k, sizeof(double), "covariances", block));
    *s = (moments){.k = k, .third = *block, .gram = *block + kk * (size_t)k};
    s->square = s->gram + kk;
    s->first = s->square + kk;
    s->second = s->first + k;
    return UM_OK;
}

/* Scratch of one row: matrices k x k and vectors. */
typedef struct scratch {
    double *block, *all_inverse, *inverse, *noise, *half, *covariance, *work, *f;
    bool *active, *all;
} scratch;

static um_status scratch_make(um_context *ctx, int64_t k, scratch *s)
{
    size_t kk = (size_t)(k * k);
    *s = (scratch){0};
    UM_TRY(um_buffer_alloc(ctx, 6 * kk + (size_t)k, sizeof(double), "covariances", &s->block));
    s->all_inverse = s->block;
    s->inverse = s->block + kk;
    s->noise = s->block + 2 * kk;
    s->half = s->block + 3 * kk;
    s->covariance = s->block + 4 * kk;
    s->work = s->block + 5 * kk;
    s->f = s->block + 6 * kk;
    s->active = calloc(2 * (size_t)k, sizeof *s->active);
    s->all = s->active != NULL ? s->active + k : NULL;
    return s->active != NULL ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "no memory for covariances");
}

static void scratch_free(um_context *ctx, scratch *s)
{
    um_buffer_free(ctx, s->block);
    free(s->active);
}

static void multiply(int64_t k, const double *a, const double *b, double *out)
{
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < k; j++) {
            double sum = 0;
            for (int64_t l = 0; l < k; l++) {
                sum += a[i * k + l] * b[l * k + j];
            }
            out[i * k + j] = sum;
        }
    }
}

static double trace_of_product(int64_t k, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < k * k; i++) {
        sum += a[i] * b[i]; /* both symmetric */
    }
    return sum;
}

/* Standard errors of the k values s->f, whose other side has the moments `of`; the covariance stays in s, and the
 * counting noise that the fit takes up is returned. */
static double errors_of(const moments *of, scratch *s, bool all_is_regular, double *error)
{
    int64_t k = of->k;
    bool complete = true;
    memset(s->noise, 0, (size_t)(k * k) * sizeof *s->noise);
    for (int64_t c = 0; c < k; c++) {
        s->active[c] = s->f[c] > 0;
        complete = complete && s->active[c];
        for (int64_t i = 0; i < k * k && s->active[c]; i++) {
            s->noise[i] += s->f[c] * of->third[c * k * k + i];
        }
    }
    bool regular = all_is_regular;
    if (!complete) { /* what is zero: as if all were free */
        multiply(k, s->all_inverse, s->noise, s->half);
        multiply(k, s->half, s->all_inverse, s->covariance);
        for (int64_t c = 0; c < k; c++) {
            error[c] = all_is_regular ? sqrt(fmax(s->covariance[c * k + c], 0)) : NAN;
        }
        regular = um_inverse_on(k, of->gram, s->active, s->inverse, s->work);
    } else {
        memcpy(s->inverse, s->all_inverse, (size_t)(k * k) * sizeof *s->inverse);
    }
    multiply(k, s->inverse, s->noise, s->half);
    multiply(k, s->half, s->inverse, s->covariance);
    for (int64_t c = 0; c < k; c++) {
        if (s->active[c]) {
            error[c] = regular ? sqrt(fmax(s->covariance[c * k + c], 0)) : NAN;
        }
    }
    return regular ? trace_of_product(k, s->inverse, s->noise) : 0;
}

static bool invert_all(const moments *of, scratch *s)
{
    for (int64_t c = 0; c < of->k; c++) {
        s->all[c] = of->gram[c * of->k + c] > 0;
    }
    return um_inverse_on(of->k, of->gram, s->all, s->all_inverse, s->work);
}

static void position_errors(um_inquiry *q, const moments *of, scratch *s)
{
    int64_t k = q->k;
    bool regular = invert_all(of, s);
    double all = 0;
    for (int64_t p = 0; p < q->n; p++) {
        all += um_used(q->position_mask, p) ? q->signal[p] : 0;
    }
    for (int64_t p = 0; p < q->n; p++) {
        double *error = &q->out->loading_error[p * k];
        if (!um_used(q->position_mask, p)) {
            for (int64_t c = 0; c < k; c++) {
                error[c] = q->out->fraction_low[p * k + c] = q->out->fraction_high[p * k + c] = NAN;
            }
            q->expected[p] = q->spread[p] = NAN;
            continue;
        }
        double sum = 0;
        double variance = 0;
        for (int64_t c = 0; c < k; c++) {
            s->f[c] = um_w(q, p, c);
            sum += s->f[c] * of->first[c];
            variance += s->f[c] * of->second[c];
            for (int64_t b = 0; b < k; b++) {
                variance += 2 * s->f[c] * um_w(q, p, b) * of->square[c * k + b];
            }
        }
        double fitted = errors_of(of, s, regular, error);
        double unit = all / (q->signal[p] * (double)q->m_used);
        q->expected[p] = q->signal[p] > 0 ? (sum - fitted) * unit : NAN;
        q->spread[p] = q->signal[p] > 0 ? sqrt(variance) * unit : NAN;
        um_evidence_fraction_interval(q, p, s->covariance);
    }
}

static void pixel_errors(um_inquiry *q, const moments *of, const double *plain, scratch *s, double *error)
{
    int64_t k = q->k;
    double n = (double)q->n_used;
    bool regular = invert_all(of, s);
    for (int64_t j = 0; j < q->m; j++) {
        double mean = 0;
        double variance = 0;
        for (int64_t c = 0; c < k; c++) {
            s->f[c] = um_h(q, c, j);
            mean += s->f[c] * q->map_sum[c];
            for (int64_t b = 0; b < k; b++) {
                variance += 2 * s->f[c] * um_h(q, b, j) * plain[c * k + b];
            }
        }
        errors_of(of, s, regular, error);
        bool used = um_used(q->pixel_mask, j);
        for (int64_t c = 0; c < k; c++) {
            q->out->pattern_error[c * q->m + j] = used ? error[c] : NAN;
        }
        q->expected_q[j] = used ? mean / n * (1 - (double)k / n) : NAN;
        q->spread_q[j] = used ? sqrt(variance + mean) / n : NAN;
    }
}

um_status um_evidence_errors(um_inquiry *q)
{
    int64_t k = q->k;
    moments pixels = {0};
    moments positions = {0};
    double *block_h = NULL;
    double *block_w = NULL;
    double *plain = NULL; /* W'W, and k more */
    scratch s = {0};
    um_status status = moments_make(q->ctx, k, &block_h, &pixels);
    if (status == UM_OK) {
        status = moments_make(q->ctx, k, &block_w, &positions);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(q->ctx, (size_t)(k * k + k), sizeof *plain, "covariances", &plain);
    }
    if (status == UM_OK) {
        status = scratch_make(q->ctx, k, &s);
    }
    if (status == UM_OK) {
        status = um_evidence_open_make(q);
    }
    for (int64_t j = 0; j < q->m && status == UM_OK; j++) {
        for (int64_t c = 0; c < k; c++) {
            s.f[c] = um_h(q, c, j);
        }
        add_moments(&pixels, q->d[j], s.f);
    }
    for (int64_t p = 0; p < q->n && status == UM_OK; p++) {
        for (int64_t c = 0; c < k; c++) {
            s.f[c] = um_w(q, p, c);
        }
        add_moments(&positions, q->e[p], s.f);
        for (int64_t i = 0; i < k * k; i++) {
            plain[i] += s.f[i / k] * s.f[i % k];
        }
    }
    if (status == UM_OK) {
        position_errors(q, &pixels, &s);
        pixel_errors(q, &positions, plain, &s, plain + k * k);
    }
    um_buffer_free(q->ctx, q->open);
    q->open = NULL;
    scratch_free(q->ctx, &s);
    um_buffer_free(q->ctx, plain);
    um_buffer_free(q->ctx, block_w);
    um_buffer_free(q->ctx, block_h);
    return status;
}
