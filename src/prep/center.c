/* Where the direct beam is in each pattern. */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 20 };

typedef struct center_job {
    const um_prep *prep;
    float *positions;
    double cy, cx; /* where to search */
    int64_t radius, search;
} center_job;

typedef struct center_state {
    float *pattern;  /* ky*kx */
    double *prefix;  /* rows of the window, kx+1 each */
    double *overlap; /* one per whole pixel of the search window */
    int64_t *queue;
    uint8_t *seen;
} center_state;

static um_status center_start(void *user, void **state)
{
    center_job *job = user;
    um_context *ctx = job->prep->ctx;
    size_t pixels = (size_t)(job->prep->ky * job->prep->kx);
    size_t side = (size_t)(2 * job->search + 2);
    center_state *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "center: no memory");
    }
    *state = s;
    UM_TRY(um_buffer_alloc(ctx, pixels, sizeof *s->pattern, "centring", &s->pattern));
    UM_TRY(um_buffer_alloc(ctx, pixels + (size_t)job->prep->ky, sizeof *s->prefix, "centring",
                           &s->prefix));
    UM_TRY(um_buffer_alloc(ctx, side * side, sizeof *s->overlap, "centring", &s->overlap));
    UM_TRY(um_buffer_alloc(ctx, side * side, sizeof *s->queue, "centring", &s->queue));
    return um_buffer_alloc(ctx, side * side, 1, "centring", &s->seen);
}

static void center_stop(void *user, void *state)
{
    center_job *job = user;
    center_state *s = state;
    if (s != NULL) {
        um_buffer_free(job->prep->ctx, s->pattern);
        um_buffer_free(job->prep->ctx, s->prefix);
        um_buffer_free(job->prep->ctx, s->overlap);
        um_buffer_free(job->prep->ctx, s->queue);
        um_buffer_free(job->prep->ctx, s->seen);
        free(s);
    }
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* Centre of mass inside `radius` of the last centre, again and again until it stands still. */
static bool find_mass(const center_job *job, const float *pattern, double *cy, double *cx)
{
    int64_t ky = job->prep->ky;
    int64_t kx = job->prep->kx;
    double radius = job->prep->recipe->center_radius_px;
    for (int step = 0; step < MOST_STEPS; step++) {
        int64_t y0 = clamp((int64_t)floor(*cy - radius), 0, ky - 1);
        int64_t y1 = clamp((int64_t)ceil(*cy + radius), 0, ky - 1);
        int64_t x0 = clamp((int64_t)floor(*cx - radius), 0, kx - 1);
        int64_t x1 = clamp((int64_t)ceil(*cx + radius), 0, kx - 1);
        double sum = 0;
        double sum_y = 0;
        double sum_x = 0;
        double all = (radius - 0.5) * (radius > 0.5 ? radius - 0.5 : 0);
        double none = (radius + 0.5) * (radius + 0.5);
        for (int64_t y = y0; y <= y1; y++) {
            for (int64_t x = x0; x <= x1; x++) {
                double dy = (double)y - *cy;
                double dx = (double)x - *cx;
                double v = (double)pattern[y * kx + x];
                double square = dy * dy + dx * dx;
                if (square < none) {
                    /* The last ring fades out, so that the window cuts no pixel in whole steps. */
                    double inside = square < all ? 1 : radius + 0.5 - sqrt(square);
                    v *= inside < 1 ? inside : 1;
                    sum += v;
                    sum_y += v * dy;
                    sum_x += v * dx;
                }
            }
        }
        if (!(sum > 0) || !isfinite(sum) || !isfinite(sum_y) || !isfinite(sum_x)) {
            return false;
        }
        double my = sum_y / sum;
        double mx = sum_x / sum;
        *cy += my;
        *cx += mx;
        if (!(fabs(my) < radius && fabs(mx) < radius)) {
            return false; /* negative values around: there is no mass to speak of */
        }
        if (fabs(my) < 1e-3 && fabs(mx) < 1e-3) {
            return true;
        }
    }
    return true;
}

/* Adds the sums over discs at whole pixels x0 .. x1 of row cy, from sums along rows; outside of the detector is
 * zero. Row by row of the disc, so that pixels side by side are added together. */
static void disc_sums(const center_job *job, const double *prefix, int64_t cy, int64_t x0, int64_t x1,
                      double *restrict sum)
{
    int64_t ky = job->prep->ky;
    int64_t kx = job->prep->kx;
    int64_t r = job->radius;
    for (int64_t x = x0; x <= x1; x++) {
        sum[x - x0] = 0;
    }
    for (int64_t y = clamp(cy - r, 0, ky); y < clamp(cy + r + 1, 0, ky); y++) {
        int64_t half = (int64_t)sqrt((double)(r * r - (y - cy) * (y - cy)));
        const double *row = prefix + y * (kx + 1);
        if (x0 - half >= 0 && x1 + half + 1 <= kx) {
            const double *before = row + x0 - half;
            const double *end = row + x0 + half + 1;
            for (int64_t i = 0; i <= x1 - x0; i++) {
                sum[i] += end[i] - before[i];
            }
            continue;
        }
        for (int64_t x = x0; x <= x1; x++) {
            sum[x - x0] += row[clamp(x + half + 1, 0, kx)] - row[clamp(x - half, 0, kx)];
        }
    }
}

/* Cross-correlation with a disc over the whole pixels of the search window; the centre of the upper
 * half of its peak is exact between pixels too, whatever the radius of the beam. */
static bool find_disc(const center_job *job, center_state *s, double *cy, double *cx)
{
    int64_t ky = job->prep->ky;
    int64_t kx = job->prep->kx;
    int64_t y0 = clamp((int64_t)ceil(*cy - (double)job->search), 0, ky - 1);
    int64_t y1 = clamp((int64_t)floor(*cy + (double)job->search), y0, ky - 1);
    int64_t x0 = clamp((int64_t)ceil(*cx - (double)job->search), 0, kx - 1);
    int64_t x1 = clamp((int64_t)floor(*cx + (double)job->search), x0, kx - 1);
    int64_t left = clamp(x0 - job->radius, 0, kx);
    int64_t right = clamp(x1 + job->radius + 1, 0, kx);
    for (int64_t y = clamp(y0 - job->radius, 0, ky); y < clamp(y1 + job->radius + 1, 0, ky); y++) {
        double *row = s->prefix + y * (kx + 1);
        row[left] = 0;
        for (int64_t x = left; x < right; x++) {
            row[x + 1] = row[x] + (double)s->pattern[y * kx + x];
        }
    }
    int64_t nx = x1 - x0 + 1;
    int64_t ny = y1 - y0 + 1;
    double most = -INFINITY;
    double least = INFINITY;
    int64_t top = 0;
    for (int64_t y = 0; y < ny; y++) {
        disc_sums(job, s->prefix, y0 + y, x0, x1, s->overlap + y * nx);
    }
    for (int64_t i = 0; i < ny * nx; i++) {
        s->seen[i] = 0;
        double v = s->overlap[i];
        if (!isfinite(v)) {
            return false;
        }
        least = v < least ? v : least;
        if (v > most) {
            most = v;
            top = i;
        }
    }
    if (!(most > 0) || !(most > least)) {
        return false;
    }
    um_blob_center(s->overlap, ny, nx, 0.5 * (least + most), top, s->queue, s->seen, cy, cx);
    *cy += (double)y0;
    *cx += (double)x0;
    return true;
}

static um_status center_visit(void *user, void *state, const um_tile *tile)
{
    center_job *job = user;
    center_state *s = state;
    size_t pixels = (size_t)(job->prep->ky * job->prep->kx);
    for (size_t r = 0; r < tile->rows; r++) {
        const char *row = (const char *)tile->data + r * pixels * um_dtype_size(tile->dtype);
        job->prep->kernels->to_f32[tile->dtype](s->pattern, row, pixels);
        double cy = job->cy;
        double cx = job->cx;
        bool found = job->prep->recipe->center == UM_CENTER_MASS
                         ? find_mass(job, s->pattern, &cy, &cx)
                         : find_disc(job, s, &cy, &cx);
        float *to = job->positions + 2 * tile->position[r];
        to[0] = found ? (float)cy : NAN; /* each position is visited once: no lock needed */
        to[1] = found ? (float)cx : NAN;
    }
    return UM_OK;
}

um_status um_learn_center(um_prep *prep, um_source *source)
{
    static const um_visitor visitor = {
        .start = center_start, .visit = center_visit, .stop = center_stop};
    const um_recipe *r = prep->recipe;
    um_learned *learned = prep->learned;
    if (r->center == UM_CENTER_NONE) {
        return UM_OK;
    }
    size_t positions = (size_t)(prep->layout.in.ny * prep->layout.in.nx);
    UM_TRY(um_buffer_alloc(prep->ctx, 2 * positions, sizeof(float), "positions of the direct beam",
                           &learned->positions));
    for (size_t i = 0; i < 2 * positions; i++) {
        learned->positions[i] = NAN; /* excluded positions are not measured */
    }
    bool given = um_recipe_has(r, UM_KEY_BEAM_CENTER);
    center_job job = {
        .prep = prep,
        .positions = learned->positions,
        .cy = given ? r->beam_y : 0.5 * (double)(prep->ky - 1),
        .cx = given ? r->beam_x : 0.5 * (double)(prep->kx - 1),
        .radius = (int64_t)lround(r->center_radius_px),
        .search = (int64_t)lround(r->center_search_px),
    };
    UM_TRY(um_prep_inner_pass(prep, source, UM_LEVEL_REPAIRED, "finding the direct beam", &visitor,
                              &job));
    UM_TRY(um_learn_shifts(prep));
    learned->beam_known = true;
    learned->beam_y = 0.5 * (double)(prep->ky - 1);
    learned->beam_x = 0.5 * (double)(prep->kx - 1);
    return UM_OK;
}
