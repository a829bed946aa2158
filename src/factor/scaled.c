/* Keenan-Kotula scaling as two vectors beside the stored integers, which are never rewritten. */
#include "factor_internal.h"

#include <math.h>
#include <string.h>

/* Squares, and sums of some thousand of them, stay well inside the range of f32. */
static const double SMALLEST = 1e-15, LARGEST = 1e15;

static um_status refuse_bad_values(um_scaled *s, const um_sums *sums)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    if (sums->not_finite > 0) {
        return um_fail(
            s->ctx, UM_ERROR_VALUE,
            "%lld values are not finite numbers, the first at scan position (%lld, %lld), "
            "detector pixel (%lld, %lld): exclude them with a mask, or pass "
            "--not-a-number zero",
            (long long)sums->not_finite, (long long)(sums->first_bad_position / info->shape.nx),
            (long long)(sums->first_bad_position % info->shape.nx),
            (long long)(sums->first_bad_pixel / info->shape.kx),
            (long long)(sums->first_bad_pixel % info->shape.kx));
    }
    if (sums->positions == 0 || !(sums->total_squares > 0)) {
        return um_fail(s->ctx, UM_ERROR_VALUE, "nothing to factorise: %s",
                       sums->positions == 0 ? "every scan position is excluded"
                                            : "every value is zero");
    }
    double largest = fmax(fabs(sums->minimum), fabs(sums->maximum));
    if (largest < SMALLEST || largest > LARGEST) {
        return um_fail(
            s->ctx, UM_ERROR_VALUE,
            "the largest value is %g: sums of squares are then outside single precision: "
            "choose a unit in which it lies between %g and %g",
            largest, SMALLEST, LARGEST);
    }
    return UM_OK;
}

static void fill_vectors(um_scaled *s)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    const um_sums *sums = s->sums;
    s->noisy_rows = s->noisy_columns = 0;
    for (size_t p = 0; p < s->n; p++) {
        bool on = info->navigation_mask == NULL || info->navigation_mask[p] == 0;
        double a = sums->sum_map[p];
        double u = s->weighted ? (a > 0 ? sqrt(sums->total / a) : 0) : 1;
        s->u[p] = on ? (float)u : 0;
        s->noisy_rows += on && u > 0;
    }
    for (size_t q = 0; q < s->m; q++) {
        bool on = info->signal_mask == NULL || info->signal_mask[q] == 0;
        double b = sums->sum_pattern[q];
        double v = s->weighted ? (b > 0 ? 1 / sqrt(b) : 0) : 1;
        s->v[q] = on ? (float)v : 0;
        s->noisy_columns += on && v > 0;
    }
}

um_status um_scaled_settle(um_scaled *s, const um_sums *sums)
{
    const um_matrix_info *info = um_matrix_get_info(s->matrix);
    UM_TRY(refuse_bad_values(s, sums));
    s->sums = sums;
    s->weighted = s->wanted == UM_WEIGHTS_POISSON ||
                  (s->wanted == UM_WEIGHTS_AUTO && info->counts && sums->negative == 0);
    if (s->weighted && sums->negative > 0) {
        return um_fail(s->ctx, UM_ERROR_VALUE,
                       "Poisson weights need non-negative data but %lld values are negative (least "
                       "%g): pass --weights none or --negative clip",
                       (long long)sums->negative, sums->minimum);
    }
    s->report = s->weighted ? 1 / sqrt(sums->total) : 1;
    fill_vectors(s);
    return UM_OK;
}

static int64_t count_used(const uint8_t *mask, size_t count)
{
    int64_t used = 0;
    for (size_t i = 0; i < count; i++) {
        used += mask == NULL || mask[i] == 0;
    }
    return used;
}

um_status um_scaled_init(um_scaled *s, um_matrix *matrix, um_weights weights, const um_sums *sums)
{
    um_context *ctx = um_matrix_get_context(matrix);
    const um_matrix_info *info = um_matrix_get_info(matrix);
    memset(s, 0, sizeof *s);
    s->ctx = ctx;
    s->matrix = matrix;
    s->kernels = um_kernels_get(um_context_isa(ctx));
    s->grid = um_grid_kernels_get(um_context_isa(ctx));
    s->tiles = um_tile_kernels_get(um_context_isa(ctx));
    s->n = (size_t)(info->shape.ny * info->shape.nx);
    s->m = (size_t)(info->shape.ky * info->shape.kx);
    s->ld = um_kernel_stride(s->m);
    s->dtype = info->dtype;
    s->rows = count_used(info->navigation_mask, s->n);
    s->columns = count_used(info->signal_mask, s->m);
    s->wanted = weights;
    s->weighted = weights == UM_WEIGHTS_POISSON || (weights == UM_WEIGHTS_AUTO && info->counts);
    UM_TRY(um_buffer_alloc(ctx, s->n, sizeof(float), "row weights", &s->u));
    UM_TRY(um_buffer_alloc(ctx, s->ld, sizeof(float), "pixel weights", &s->v));
    return sums != NULL ? um_scaled_settle(s, sums) : UM_OK;
}

void um_scaled_free(um_scaled *s)
{
    um_buffer_free(s->ctx, s->u);
    um_buffer_free(s->ctx, s->v);
    um_sums_free(s->own_sums);
}

/* Of Poisson counts: the largest singular value of pure noise of unit variance. */
double um_noise_edge(const um_scaled *s)
{
    return s->weighted ? (sqrt((double)s->noisy_rows) + sqrt((double)s->noisy_columns)) * s->report
                       : NAN;
}
