/* The two steps of a variant: W for H, and H for W. */
#include "nmf_family.h"

#include <math.h>
#include <string.h>

enum { ROW_SWEEPS = 60, COMPONENT_SWEEPS = 60 };
static const double SWEEP_STOP = 1e-3;
static const double FLAT = 1e-9; /* of a unit pattern, at least, in which it differs from all others */

/* ---- W ---------------------------------------------------------------------------------------- */

static void prepare_rows(um_family *f)
{
    const um_nmf_options *o = f->options;
    const um_nmf_state *state = f->state;
    size_t k = state->k;
    um_gram(state->h, k, f->scaled->ld, f->g_h);
    for (size_t c = 0; c < k; c++) {
        double norm2 = f->solves > 0 ? f->g[c * k + c] * state->scale[c] * state->scale[c] : 0;
        double sum = 0;
        for (size_t j = 0; j < f->scaled->m; j++) {
            sum += (double)state->h[c * f->scaled->ld + j];
        }
        /* |w| <= (|w|^2 / r + r) / 2, equal at r = |w|. */
        f->g_h[c * k + c] += norm2 > 0 ? o->sparse_patterns * sum / sqrt(norm2) : 0;
        f->lasso[c] = o->sparse_loadings;
        if (o->relevance) {
            double size = f->w_sum[c] * state->scale[c];
            f->lasso[c] += f->noise2 * (double)f->scaled->noisy_rows / fmax(size, 1e-30);
        }
        for (size_t d = 0; d < k; d++) {
            f->g_h[c * k + d] += d != c ? o->orthogonal : 0;
        }
    }
}

/* What the rows add to -2 <X', WH>. */
static void add_products(const um_family *f, const double *a, const double *w, size_t rows,
                         double extra[4])
{
    for (size_t c = 0; c < f->state->k; c++) {
        for (size_t r = 0; r < rows; r++) {
            extra[0] -= 2 * a[c * UM_GROUP_ROWS + r] * w[c * UM_GROUP_ROWS + r];
        }
    }
}

static void solve_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                       double extra[4])
{
    um_family *f = user;
    um_nmf_state *state = f->state;
    size_t k = state->k;
    double less[UM_HALS_LARGEST * UM_GROUP_ROWS] = {0};
    for (size_t c = 0; c < k; c++) {
        for (size_t r = 0; r < rows; r++) {
            size_t p = (size_t)position[r];
            w[c * UM_GROUP_ROWS + r] = (double)state->w[p * k + c] * state->scale[c];
            less[c * UM_GROUP_ROWS + r] =
                f->scaled->u[p] > 0 ? a[c * UM_GROUP_ROWS + r] - f->lasso[c] : 0;
            less[c * UM_GROUP_ROWS + r] -=
                f->outlier_a != NULL ? (double)f->outlier_a[p * k + c] : 0;
        }
    }
    f->scaled->kernels->hals(k, rows, UM_GROUP_ROWS, f->g_h, less, w, ROW_SWEEPS, SWEEP_STOP);
    for (size_t c = 0; c < k; c++) {
        for (size_t r = 0; r < rows; r++) {
            float value = (float)w[c * UM_GROUP_ROWS + r];
            state->w[(size_t)position[r] * k + c] = value;
            w[c * UM_GROUP_ROWS + r] = (double)value;
        }
    }
    add_products(f, a, w, rows, extra);
}

static void keep_products(void *user, const int64_t *position, size_t rows, const double *a,
                          double *w, double extra[4])
{
    (void)extra;
    um_family *f = user;
    size_t k = f->state->k;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < k; c++) {
            size_t i = (size_t)position[r] * k + c;
            f->a[i] = (float)a[c * UM_GROUP_ROWS + r];
            w[c * UM_GROUP_ROWS + r] = (double)f->state->w[i];
        }
    }
}

static void show_rows(void *user, const int64_t *position, size_t rows, const double *a, double *w,
                      double extra[4])
{
    const um_family *f = user;
    size_t k = f->state->k;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < k; c++) {
            w[c * UM_GROUP_ROWS + r] = (double)f->state->w[(size_t)position[r] * k + c];
        }
    }
    add_products(f, a, w, rows, extra);
}

static void take_scale(um_family *f)
{
    um_nmf_state *state = f->state;
    if (f->probe != NULL) {
        um_probe_scale(f->probe, state->scale);
    }
    for (size_t i = 0; i < f->scaled->n * state->k; i++) {
        state->w[i] = (float)((double)state->w[i] * state->scale[i % state->k]);
    }
    for (size_t c = 0; c < state->k; c++) {
        state->scale[c] = 1;
    }
}

static void measure_loadings(um_family *f)
{
    size_t k = f->state->k;
    memset(f->w_sum, 0, k * sizeof *f->w_sum);
    for (size_t i = 0; i < f->scaled->n * k; i++) {
        f->w_sum[i % k] += (double)f->state->w[i];
    }
    for (size_t c = 0; f->options->smooth > 0 && c < k; c++) {
        f->energy[c] = um_smooth_energy(f->scaled, f->state, c);
    }
}

um_status um_family_solve(um_family *f, um_residual *residual)
{
    um_nmf_state *state = f->state;
    um_scaled *s = f->scaled;
    size_t k = state->k;
    char stage[48];
    snprintf(stage, sizeof stage, "NMF pass %lld", (long long)state->passes + f->visits + 1);
    if (f->solves == 0) {
        measure_loadings(f);
    }
    prepare_rows(f);
    um_exact_pass pass = {.scaled = s, .k = k, .h = state->h, .rows = solve_rows, .user = f,
                          .b = f->b, .g = f->g};
    if (f->part != NULL) {
        pass.walk = um_sample_walk;
        pass.walker = (void *)f->part;
    }
    if (f->a != NULL) {
        take_scale(f);
        pass.rows = keep_products;
        UM_TRY(um_exact_pass_run(&pass, stage));
        f->visits++;
        if (f->probe != NULL) {
            um_probe_solve(f->probe, state, f->g_h, f->a, f->lasso);
        } else {
            um_smooth_solve(s, state, f->g_h, f->a, f->lasso, f->options->smooth);
        }
        pass.rows = show_rows;
    }
    if (residual != NULL) {
        um_residual_begin(residual);
        pass.after = (um_companion){&um_residual_visitor, residual};
    }
    f->outlier_a = f->robust != NULL ? um_robust_begin(f->robust, &pass) : NULL;
    UM_TRY(um_exact_pass_run(&pass, stage));
    f->outlier_squares = f->robust != NULL ? um_robust_end(f->robust, f->b) : 0;
    f->visits++;
    f->solves++;
    for (size_t c = 0; c < k; c++) {
        state->scale[c] = 1;
    }
    double squares = s->norm2 + pass.extra[0];
    um_gram(state->h, k, s->ld, f->g_h);
    for (size_t i = 0; i < k * k; i++) {
        squares += f->g_h[i] * f->g[i];
    }
    f->squares = fmax(0, squares);
    measure_loadings(f);
    if (f->options->dips > 0 && !(f->volume > 0)) {
        double trace = 0;
        for (size_t c = 0; c < k; c++) {
            trace += f->g[c * k + c];
        }
        f->volume = f->options->dips * trace / (double)k;
    }
    return UM_OK;
}

double um_family_objective(const um_family *f)
{
    const um_nmf_options *o = f->options;
    size_t k = f->state->k;
    double total = 0.5 * (f->squares - f->outlier_squares);
    if (f->volume > 0) {
        total += 0.5 * f->volume * um_family_volume(f, NULL);
    }
    for (size_t c = 0; c < k; c++) {
        double sum = 0;
        for (size_t j = 0; o->sparse_patterns > 0 && j < f->scaled->m; j++) {
            sum += (double)f->state->h[c * f->scaled->ld + j];
        }
        total += o->sparse_loadings * f->w_sum[c];
        total += o->sparse_patterns * sum * sqrt(f->g[c * k + c]);
        if (o->relevance) {
            total += f->noise2 * (double)f->scaled->noisy_rows * log(fmax(f->w_sum[c], 1e-30));
        }
        if (o->smooth > 0) {
            total += 0.5 * o->smooth * f->energy[c];
        }
        for (size_t d = 0; d < c; d++) {
            total += o->orthogonal * f->g[c * k + d];
        }
    }
    return total;
}

/* ---- H ---------------------------------------------------------------------------------------- */

double um_family_volume(const um_family *f, double *inverse)
{
    size_t k = f->state->k;
    double *l = f->work;
    um_gram(f->state->h, k, f->scaled->ld, l);
    double log_determinant = 0;
    for (size_t i = 0; i < k; i++) { /* Cholesky, in the lower half */
        for (size_t j = 0; j <= i; j++) {
            double sum = l[i * k + j];
            for (size_t e = 0; e < j; e++) {
                sum -= l[i * k + e] * l[j * k + e];
            }
            l[i * k + j] = i == j ? sqrt(fmax(sum, FLAT)) : sum / l[j * k + j];
        }
        log_determinant += 2 * log(l[i * k + i]);
    }
    double *x = f->work + k * k;
    for (size_t e = 0; inverse != NULL && e < k; e++) {
        for (size_t i = 0; i < k; i++) {
            double sum = i == e;
            for (size_t j = 0; j < i; j++) {
                sum -= l[i * k + j] * x[j];
            }
            x[i] = sum / l[i * k + i];
        }
        for (size_t i = k; i-- > 0;) {
            double sum = x[i];
            for (size_t j = i + 1; j < k; j++) {
                sum -= l[j * k + i] * x[j];
            }
            x[i] = sum / l[i * k + i];
            inverse[i * k + e] = x[i];
        }
    }
    return log_determinant;
}

/* One row of H with the others held, in closed form. `group` multiplies its norm, `lasso` its sum; the rest is
 * quadratic. */
static double move_row(um_family *f, size_t c, double group, double lasso, double more)
{
    const um_scaled *s = f->scaled;
    size_t k = f->state->k;
    double *h = f->h64 + c * s->m;
    double norm2 = 0;
    double moved = 0;
    double curvature = f->g_move[c * k + c] + more;
    if (!(curvature > 0)) {
        return 0;
    }
    double *to = f->h64 + k * s->m;
    for (size_t j = 0; j < s->m; j++) {
        double r = f->b[c * s->m + j] - lasso;
        for (size_t d = 0; d < k; d++) {
            r -= d != c ? f->g_move[c * k + d] * f->h64[d * s->m + j] : 0;
        }
        to[j] = s->v[j] > 0 && r > 0 ? r : 0;
        norm2 += to[j] * to[j];
    }
    /* The length that is best along this direction: -L log |h| keeps it from shrinking under L log det. */
    double pull = fmax(0, sqrt(norm2) - group);
    f->h_norm[c] = (pull + sqrt(pull * pull + 4 * curvature * f->volume)) / (2 * curvature);
    double share = norm2 > 0 && pull > 0 ? f->h_norm[c] / sqrt(norm2) : 0;
    for (size_t j = 0; j < s->m; j++) {
        double step = share * to[j] - h[j];
        moved += step * step;
        h[j] = share * to[j];
    }
    return moved * curvature;
}

void um_family_move(um_family *f)
{
    const um_nmf_options *o = f->options;
    const um_scaled *s = f->scaled;
    size_t k = f->state->k;
    for (size_t c = 0; c < k; c++) {
        f->h_norm[c] = 1;
        for (size_t j = 0; j < s->m; j++) {
            f->h64[c * s->m + j] = (double)f->state->h[c * s->ld + j];
        }
    }
    /* log det is concave: the plane that touches it at the present H lies above it. */
    if (f->volume > 0) {
        um_family_volume(f, f->g_move);
    }
    for (size_t i = 0; i < k * k; i++) {
        f->g_move[i] = f->g[i] + f->volume * f->g_move[i];
    }
    double first = 0;
    for (int sweep = 0; sweep < COMPONENT_SWEEPS; sweep++) {
        double moved = 0;
        for (size_t c = 0; c < k; c++) {
            double group = f->lasso[c] * f->w_sum[c];
            for (size_t d = 0; d < k; d++) {
                group += d != c ? o->orthogonal * f->g[c * k + d] * f->h_norm[d] : 0;
            }
            if (!f->fixed[c]) {
                moved += move_row(f, c, group, o->sparse_patterns * sqrt(f->g[c * k + c]),
                                  o->smooth * f->energy[c]);
            }
        }
        first = sweep == 0 ? moved : first;
        if (moved <= SWEEP_STOP * SWEEP_STOP * first) {
            break;
        }
    }
}
