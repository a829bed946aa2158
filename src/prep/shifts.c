/* From measured beam positions to shifts: plane, outliers, margins; and the shift itself. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BORDER = 20, MOST_LISTED = 200 };
static const double OUTLIER_Z = 6;
static const double LEAST_SPREAD_PX = 0.05; /* noise below this makes nobody an outlier */

/* position = p[0] + p[1]*(y - middle) + p[2]*(x - middle), for one component (0 = y, 1 = x). */
typedef struct plane {
    double p[3];
    double spread; /* robust standard deviation of what is left */
} plane;

typedef struct shift_work {
    const um_prep *prep;
    const float *positions;
    int64_t ny, nx;
    double middle_y, middle_x;
    double *left; /* scratch, ny*nx */
    uint8_t *out; /* outliers */
    plane planes[2];
} shift_work;

static bool measured(const shift_work *w, int64_t i)
{
    return isfinite(w->positions[2 * i]) && isfinite(w->positions[2 * i + 1]);
}

/* Used for the fit: measured, no outlier, away from the border of a large scan. */
static bool fits(const shift_work *w, int64_t i)
{
    int64_t y = i / w->nx;
    int64_t x = i % w->nx;
    bool border = (w->ny > 3 * BORDER && (y < BORDER || y >= w->ny - BORDER)) ||
                  (w->nx > 3 * BORDER && (x < BORDER || x >= w->nx - BORDER));
    return measured(w, i) && !border && w->out[i] == 0;
}

static double plane_at(const shift_work *w, const plane *p, int64_t i)
{
    return p->p[0] + p->p[1] * ((double)(i / w->nx) - w->middle_y) +
           p->p[2] * ((double)(i % w->nx) - w->middle_x);
}

/* Solves the symmetric 3x3 system by elimination; what the data do not determine becomes 0. */
static void solve3(double a[3][4], double x[3])
{
    bool used[3] = {false, false, false};
    for (int c = 0; c < 3; c++) {
        double scale = a[c][c];
        used[c] = scale > 1e-9;
        for (int r = 0; r < 3 && used[c]; r++) {
            if (r != c) {
                double factor = a[r][c] / scale;
                for (int k = 0; k < 4; k++) {
                    a[r][k] -= factor * a[c][k];
                }
            }
        }
    }
    for (int c = 0; c < 3; c++) {
        x[c] = used[c] ? a[c][3] / a[c][c] : 0;
    }
}

static int64_t fit_plane(shift_work *w, int component)
{
    double a[3][4] = {{0}};
    int64_t n = 0;
    for (int64_t i = 0; i < w->ny * w->nx; i++) {
        if (!fits(w, i)) {
            continue;
        }
        double basis[3] = {1, (double)(i / w->nx) - w->middle_y, (double)(i % w->nx) - w->middle_x};
        double v = (double)w->positions[2 * i + component];
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 3; c++) {
                a[r][c] += basis[r] * basis[c];
            }
            a[r][3] += basis[r] * v;
        }
        n++;
    }
    solve3(a, w->planes[component].p);
    return n;
}

static void measure_spread(shift_work *w, int component)
{
    plane *p = &w->planes[component];
    size_t n = 0;
    for (int64_t i = 0; i < w->ny * w->nx; i++) {
        if (measured(w, i)) {
            w->left[n++] = fabs((double)w->positions[2 * i + component] - plane_at(w, p, i));
        }
    }
    p->spread = fmax(1.4826 * um_median(w->left, n), LEAST_SPREAD_PX);
}

static double score(const shift_work *w, int64_t i)
{
    double z = 0;
    for (int c = 0; c < 2; c++) {
        double left = (double)w->positions[2 * i + c] - plane_at(w, &w->planes[c], i);
        z = fmax(z, fabs(left) / w->planes[c].spread);
    }
    return z;
}

/* Plane, outliers from it, plane without them; from the median on, so that few outliers don't tilt.
 */
static um_status fit(shift_work *w)
{
    for (int c = 0; c < 2; c++) {
        size_t n = 0;
        for (int64_t i = 0; i < w->ny * w->nx; i++) {
            if (measured(w, i)) {
                w->left[n++] = (double)w->positions[2 * i + c];
            }
        }
        if (n == 0) {
            return um_fail(
                w->prep->ctx, UM_ERROR_VALUE,
                "center: no direct beam is found in any pattern: try --beam-center, or a "
                "larger search");
        }
        w->planes[c].p[0] = um_median(w->left, n);
    }
    for (int round = 0; round < 4; round++) {
        if (fit_plane(w, 0) == 0 || fit_plane(w, 1) == 0) {
            return UM_OK; /* the medians stay */
        }
        measure_spread(w, 0);
        measure_spread(w, 1);
        for (int64_t i = 0; i < w->ny * w->nx; i++) {
            w->out[i] = measured(w, i) && score(w, i) > OUTLIER_Z;
        }
    }
    return UM_OK;
}

/* ---- margins -------------------------------------------------------------------------------- */

/* Least and greatest shift, and pixels that any pattern takes from outside or from bars. */
static um_status widen_bars(um_prep *prep, const double low[2], const double high[2])
{
    uint8_t *bars = prep->learned->bars;
    bool mask = prep->recipe->center_mask;
    if (bars == NULL && !mask) {
        return UM_OK;
    }
    UM_TRY(um_bars(prep, &bars));
    int64_t ky = prep->ky;
    int64_t kx = prep->kx;
    uint8_t *before = malloc((size_t)(ky * kx));
    if (before == NULL) {
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "center: no memory");
    }
    memcpy(before, bars, (size_t)(ky * kx));
    for (int64_t i = 0; i < ky * kx; i++) {
        int64_t y1 = i / kx + (int64_t)ceil(high[0]);
        int64_t x1 = i % kx + (int64_t)ceil(high[1]);
        for (int64_t y = i / kx + (int64_t)floor(low[0]); y <= y1 && bars[i] == 0; y++) {
            for (int64_t x = i % kx + (int64_t)floor(low[1]); x <= x1 && bars[i] == 0; x++) {
                bool inside = y >= 0 && y < ky && x >= 0 && x < kx;
                bars[i] = inside ? before[y * kx + x] : mask;
            }
        }
    }
    free(before);
    return UM_OK;
}

/* ---- report --------------------------------------------------------------------------------- */

static json_t *list_outliers(const shift_work *w, int64_t *count)
{
    json_t *list = json_array();
    *count = 0;
    for (int64_t i = 0; i < w->ny * w->nx; i++) {
        if (w->out[i] == 0) {
            continue;
        }
        if (++*count <= MOST_LISTED) {
            json_array_append_new(
                list, json_pack("{s:[I,I],s:[f,f],s:f}", "position", (json_int_t)(i / w->nx),
                                (json_int_t)(i % w->nx), "beam", (double)w->positions[2 * i],
                                (double)w->positions[2 * i + 1], "z", score(w, i)));
        }
    }
    return list;
}

static int64_t at_limit(const shift_work *w)
{
    const um_recipe *r = w->prep->recipe;
    bool given = um_recipe_has(r, UM_KEY_BEAM_CENTER);
    double cy = given ? r->beam_y : 0.5 * (double)(w->prep->ky - 1);
    double cx = given ? r->beam_x : 0.5 * (double)(w->prep->kx - 1);
    int64_t n = 0;
    for (int64_t i = 0; i < w->ny * w->nx && r->center == UM_CENTER_DISC; i++) {
        n += measured(w, i) &&
             (fabs((double)w->positions[2 * i] - cy) > r->center_search_px - 1 ||
              fabs((double)w->positions[2 * i + 1] - cx) > r->center_search_px - 1);
    }
    return n;
}

static void report(um_prep *prep, const shift_work *w, const double low[2], const double high[2])
{
    double sum[2] = {0, 0};
    double square[2] = {0, 0};
    int64_t n = 0;
    for (int64_t i = 0; i < w->ny * w->nx; i++) {
        for (int c = 0; c < 2 && measured(w, i); c++) {
            sum[c] += (double)w->positions[2 * i + c];
        }
        n += measured(w, i);
    }
    for (int64_t i = 0; i < w->ny * w->nx; i++) {
        for (int c = 0; c < 2 && measured(w, i); c++) {
            double d = (double)w->positions[2 * i + c] - sum[c] / (double)n;
            square[c] += d * d;
        }
    }
    int64_t outliers = 0;
    json_t *list = list_outliers(w, &outliers);
    int64_t limit = at_limit(w);
    json_t *planes =
        json_pack("{s:[f,f,f],s:[f,f,f]}", "y", w->planes[0].p[0], w->planes[0].p[1],
                  w->planes[0].p[2], "x", w->planes[1].p[0], w->planes[1].p[1], w->planes[1].p[2]);
    json_t *center = json_pack(
        "{s:s,s:I,s:[f,f],s:[f,f],s:o,s:[f,f],s:[f,f,f,f],s:I,s:I,s:o}", "applied",
        prep->recipe->center_plane ? "plane" : "measured", "measured", (json_int_t)n, "mean_beam",
        sum[0] / (double)n, sum[1] / (double)n, "std_beam", sqrt(square[0] / (double)n),
        sqrt(square[1] / (double)n), "plane_middle_per_row_per_column", planes,
        "robust_std_from_plane", w->planes[0].spread, w->planes[1].spread, "shift_from_to_y_x",
        low[0], high[0], low[1], high[1], "at_limit_of_search", (json_int_t)limit, "outliers",
        (json_int_t)outliers, "outlier_list", list);
    json_object_set_new(prep->report, "center", center);
    if (limit > 0) {
        um_warn(prep->ctx,
                "center: the direct beam lies at the limit of the search in %lld of %lld patterns: "
                "give --beam-center or a larger search",
                (long long)limit, (long long)n);
    }
    if (outliers > 0) {
        um_info(prep->ctx, "center: %lld of %lld patterns have their beam far from the others",
                (long long)outliers, (long long)n);
    }
}

/* ---- learning ------------------------------------------------------------------------------- */

static void fill_shifts(um_prep *prep, const shift_work *w, double low[2], double high[2])
{
    const double target[2] = {0.5 * (double)(prep->ky - 1), 0.5 * (double)(prep->kx - 1)};
    float *shifts = prep->learned->shifts;
    for (int c = 0; c < 2; c++) {
        low[c] = INFINITY;
        high[c] = -INFINITY;
    }
    for (int64_t i = 0; i < w->ny * w->nx; i++) {
        for (int c = 0; c < 2; c++) {
            bool fitted = prep->recipe->center_plane || !measured(w, i);
            double at = fitted ? plane_at(w, &w->planes[c], i) : (double)w->positions[2 * i + c];
            shifts[2 * i + c] = (float)(at - target[c]);
            if (prep->learned->navigation == NULL || prep->learned->navigation[i] == 0) {
                low[c] = fmin(low[c], (double)shifts[2 * i + c]);
                high[c] = fmax(high[c], (double)shifts[2 * i + c]);
            }
        }
    }
}

um_status um_learn_shifts(um_prep *prep)
{
    shift_work w = {
        .prep = prep,
        .positions = prep->learned->positions,
        .ny = prep->layout.in.ny,
        .nx = prep->layout.in.nx,
    };
    size_t positions = (size_t)(w.ny * w.nx);
    w.middle_y = 0.5 * (double)(w.ny - 1);
    w.middle_x = 0.5 * (double)(w.nx - 1);
    um_status status =
        um_buffer_alloc(prep->ctx, 2 * positions, sizeof(float), "shifts", &prep->learned->shifts);
    if (status == UM_OK) {
        status = um_buffer_alloc(prep->ctx, positions, sizeof *w.left, "shifts", &w.left);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(prep->ctx, positions, 1, "shifts", &w.out);
    }
    if (status == UM_OK) {
        status = fit(&w);
    }
    if (status == UM_OK) {
        double low[2];
        double high[2];
        fill_shifts(prep, &w, low, high);
        report(prep, &w, low, high);
        status = widen_bars(prep, low, high);
    }
    um_buffer_free(prep->ctx, w.left);
    um_buffer_free(prep->ctx, w.out);
    return status;
}

/* ---- applying ------------------------------------------------------------------------------- */

/* One source row times the weights across: dst[x] = (1-f)*src[x+s] + f*src[x+s+1], added with
 * weight. */
static void add_row(float *restrict dst, const float *restrict src, int64_t kx, int64_t s, float f,
                    float weight)
{
    float left = weight * (1 - f);
    float right = weight * f;
    int64_t first = s < 0 ? -s : 0;
    int64_t last = kx - 1 - s < kx ? kx - 1 - s : kx; /* x + s + 1 stays inside */
    for (int64_t x = first; x < last; x++) {
        dst[x] += left * src[x + s] + right * src[x + s + 1];
    }
    if (first > 0 && first <= kx) {
        dst[first - 1] += right * src[0];
    }
    if (last >= 0 && last < kx) {
        dst[last] += left * src[kx - 1];
    }
}

void um_apply_shift(const um_prep *prep, int64_t position, const float *src, float *dst)
{
    int64_t ky = prep->ky;
    int64_t kx = prep->kx;
    float sy = prep->learned->shifts[2 * position];
    float sx = prep->learned->shifts[2 * position + 1];
    /* What is shifted farther than the detector's size leaves nothing. */
    int64_t iy = (int64_t)floorf(fminf(fmaxf(sy, (float)(-ky - 1)), (float)ky));
    int64_t ix = (int64_t)floorf(fminf(fmaxf(sx, (float)(-kx - 1)), (float)kx));
    float fy = sy - floorf(sy);
    float fx = sx - floorf(sx);
    memset(dst, 0, (size_t)(ky * kx) * sizeof *dst);
    for (int64_t y = 0; y < ky; y++) {
        int64_t from = y + iy;
        if (from >= 0 && from < ky) {
            add_row(dst + y * kx, src + from * kx, kx, ix, fx, 1 - fy);
        }
        if (from + 1 >= 0 && from + 1 < ky) {
            add_row(dst + y * kx, src + (from + 1) * kx, kx, ix, fx, fy);
        }
    }
}
