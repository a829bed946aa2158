/* Loadings that know their neighbours: behind a probe, W = P Z, or smooth over the grid of the scan. Both are solved in
 * memory from A = X'H' and G = HH', one component after the other, each step of which lowers the objective. */
#include "nmf_family.h"

#include <math.h>
#include <stdlib.h>

enum { PROBE_SWEEPS = 3, PROBE_STEPS = 10, SMOOTH_SWEEPS = 20 };
static const double REACH = 3.5; /* standard deviations to which the probe is followed */

struct um_probe {
    const um_scaled *scaled;
    int64_t ny, nx, reach;
    size_t k;
    double *kernel;  /* 2 reach + 1 */
    float *z;        /* k x n, raw units times the mean of u */
    double *step;    /* n: bound of the curvature of |u P z|^2 at each position */
    double *image, *back, *row;
    bool begun;
};

size_t um_probe_bytes(size_t n, size_t k)
{
    return n * (k * sizeof(float) + 4 * sizeof(double));
}

/* out = P in: Gaussian along y and x, what would come from outside the scan left out. P' = P. */
static void blur(const um_probe *p, const double *in, double *between, double *out)
{
    for (int pass = 0; pass < 2; pass++) {
        const double *from = pass == 0 ? in : between;
        double *to = pass == 0 ? between : out;
        int64_t stride = pass == 0 ? p->nx : 1;
        int64_t length = pass == 0 ? p->ny : p->nx;
        for (int64_t i = 0; i < p->ny * p->nx; i++) {
            int64_t at = pass == 0 ? i / p->nx : i % p->nx;
            int64_t first = at < p->reach ? -at : -p->reach;
            int64_t last = length - 1 - at < p->reach ? length - 1 - at : p->reach;
            double sum = 0;
            for (int64_t d = first; d <= last; d++) {
                sum += p->kernel[d + p->reach] * from[i + d * stride];
            }
            to[i] = sum;
        }
    }
}

static void fill_kernel(um_probe *p, double sigma)
{
    double sum = 0;
    for (int64_t d = -p->reach; d <= p->reach; d++) {
        p->kernel[d + p->reach] = exp(-0.5 * (double)(d * d) / (sigma * sigma));
        sum += p->kernel[d + p->reach];
    }
    for (int64_t d = 0; d <= 2 * p->reach; d++) {
        p->kernel[d] /= sum;
    }
}

um_status um_probe_create(um_scaled *s, size_t k, double sigma, um_probe **out)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    um_probe *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a probe");
    }
    *out = p;
    p->scaled = s;
    p->ny = info->shape.ny;
    p->nx = info->shape.nx;
    int64_t longest = p->ny > p->nx ? p->ny : p->nx;
    p->reach = (int64_t)fmin(ceil(REACH * sigma), (double)longest);
    p->k = k;
    p->kernel = calloc((size_t)(2 * p->reach + 1), sizeof *p->kernel);
    if (p->kernel == NULL) {
        return um_fail(s->ctx, UM_ERROR_MEMORY, "no memory for a probe");
    }
    fill_kernel(p, sigma);
    UM_TRY(um_buffer_alloc(s->ctx, k * s->n, sizeof(float), "maps behind the probe", &p->z));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "a map", &p->step));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "a map", &p->image));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "a map", &p->back));
    UM_TRY(um_buffer_alloc(s->ctx, s->n, sizeof(double), "a map", &p->row));
    /* P'U P <= diag(P'U P 1) for matrices that are not negative. */
    for (size_t i = 0; i < s->n; i++) {
        p->row[i] = 1;
    }
    blur(p, p->row, p->back, p->image);
    for (size_t i = 0; i < s->n; i++) {
        p->image[i] *= (double)s->u[i] * (double)s->u[i];
    }
    blur(p, p->image, p->back, p->step);
    return UM_OK;
}

void um_probe_scale(um_probe *p, const double *scale)
{
    for (size_t i = 0; i < p->k * p->scaled->n; i++) {
        p->z[i] = (float)((double)p->z[i] * scale[i / p->scaled->n]);
    }
}

void um_probe_free(um_context *ctx, um_probe *p)
{
    if (p != NULL) {
        free(p->kernel);
        um_buffer_free(ctx, p->z);
        um_buffer_free(ctx, p->step);
        um_buffer_free(ctx, p->image);
        um_buffer_free(ctx, p->back);
        um_buffer_free(ctx, p->row);
        free(p);
    }
}

/* What is asked of component c: a - L - sum of the others' share. */
static double wanted(const um_nmf_state *state, const double *g, const float *a, const double *lasso,
                     size_t c, size_t p)
{
    size_t k = state->k;
    double r = (double)a[p * k + c] - lasso[c];
    for (size_t d = 0; d < k; d++) {
        r -= d != c ? g[c * k + d] * (double)state->w[p * k + d] : 0;
    }
    return r;
}

static void probe_step(um_probe *p, um_nmf_state *state, const double *g, const float *a,
                       const double *lasso, size_t c)
{
    const um_scaled *s = p->scaled;
    size_t k = state->k;
    float *z = p->z + c * s->n;
    double curvature = g[c * k + c];
    for (size_t i = 0; i < s->n; i++) {
        double u = (double)s->u[i];
        double slope = curvature * (double)state->w[i * k + c] - wanted(state, g, a, lasso, c, i);
        p->row[i] = u > 0 ? u * slope : 0;
    }
    blur(p, p->row, p->image, p->back);
    for (size_t i = 0; i < s->n; i++) {
        double bound = curvature * p->step[i];
        double to = bound > 0 ? (double)z[i] - p->back[i] / bound : (double)z[i];
        z[i] = to > 0 ? (float)to : 0;
        p->row[i] = (double)z[i];
    }
    blur(p, p->row, p->image, p->back);
    for (size_t i = 0; i < s->n; i++) {
        state->w[i * k + c] = (float)(p->back[i] * (double)s->u[i]);
    }
}

void um_probe_solve(um_probe *p, um_nmf_state *state, const double *g, const float *a,
                    const double *lasso)
{
    const um_scaled *s = p->scaled;
    size_t k = state->k;
    for (size_t c = 0; !p->begun && c < k; c++) {
        for (size_t i = 0; i < s->n; i++) {
            double u = (double)s->u[i];
            p->z[c * s->n + i] = u > 0 ? (float)((double)state->w[i * k + c] / u) : 0;
            p->row[i] = (double)p->z[c * s->n + i];
        }
        blur(p, p->row, p->image, p->back);
        for (size_t i = 0; i < s->n; i++) {
            state->w[i * k + c] = (float)(p->back[i] * (double)s->u[i]);
        }
    }
    int steps = p->begun ? PROBE_STEPS : 5 * PROBE_STEPS;
    p->begun = true;
    for (int sweep = 0; sweep < PROBE_SWEEPS; sweep++) {
        for (size_t c = 0; c < k; c++) {
            for (int i = 0; g[c * k + c] > 0 && i < steps; i++) {
                probe_step(p, state, g, a, lasso, c);
            }
        }
    }
}

/* ---- smooth ------------------------------------------------------------------------------------ */

/* Neighbours of position p along y and x that are not excluded; at most four. */
static int neighbours(const um_scaled *s, size_t p, size_t out[4])
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    size_t nx = (size_t)info->shape.nx;
    const size_t candidate[4] = {p - nx, p - 1, p + 1, p + nx};
    const bool inside[4] = {p >= nx, p % nx > 0, p % nx + 1 < nx, p + nx < s->n};
    int count = 0;
    for (int i = 0; i < 4; i++) {
        if (inside[i] && s->u[candidate[i]] > 0) {
            out[count++] = candidate[i];
        }
    }
    return count;
}

/* Loadings are compared in the units of the data, and their differences told in those of the scaled space. */
static double mean_scale2(const um_scaled *s)
{
    double sum = 0;
    for (size_t p = 0; p < s->n; p++) {
        sum += s->u[p] > 0 ? 1 / ((double)s->u[p] * (double)s->u[p]) : 0;
    }
    return sum > 0 ? (double)s->noisy_rows / sum : 1;
}

double um_smooth_energy(const um_scaled *s, const um_nmf_state *state, size_t c)
{
    size_t k = state->k;
    double sum = 0;
    for (size_t p = 0; p < s->n; p++) {
        size_t near[4];
        int count = s->u[p] > 0 ? neighbours(s, p, near) : 0;
        for (int i = 0; i < count; i++) {
            if (near[i] > p) {
                double d = (double)state->w[p * k + c] / (double)s->u[p] -
                           (double)state->w[near[i] * k + c] / (double)s->u[near[i]];
                sum += d * d;
            }
        }
    }
    return sum * mean_scale2(s);
}

void um_smooth_solve(const um_scaled *s, um_nmf_state *state, const double *g, const float *a,
                     const double *lasso, double smooth)
{
    size_t k = state->k;
    double scale2 = smooth * mean_scale2(s);
    for (int sweep = 0; sweep < SMOOTH_SWEEPS; sweep++) {
        for (size_t p = 0; p < s->n; p++) {
            double u = (double)s->u[p];
            if (!(u > 0)) {
                continue;
            }
            size_t near[4];
            int count = neighbours(s, p, near);
            for (size_t c = 0; c < k; c++) {
                double r = wanted(state, g, a, lasso, c, p);
                for (int i = 0; i < count; i++) {
                    r += scale2 * (double)state->w[near[i] * k + c] / (u * (double)s->u[near[i]]);
                }
                double curvature = g[c * k + c] + scale2 * count / (u * u);
                double to = curvature > 0 ? r / curvature : 0;
                state->w[p * k + c] = to > 0 ? (float)to : 0;
            }
        }
    }
}
