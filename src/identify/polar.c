/* The coarse search: sums over angles at each radius give all in-plane rotations of a pattern at once. */
#include "identify_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ANGLES = 180, ROW = 2 * ANGLES }; /* over half a turn, written twice so that a turn is an offset */

struct um_polar {
    double px_per_A, sigma_px, scale_tolerance;
    int64_t rows;
    float norm;
    float *sum; /* rows x ROW */
};

um_status um_polar_create(um_context *ctx, const um_beam_settings *beam, double px_per_A, double sigma_px,
                          double scale_tolerance, um_polar **out)
{
    um_polar *p = calloc(1, sizeof *p);
    *out = NULL;
    if (p != NULL) {
        *p = (um_polar){.px_per_A = px_per_A, .sigma_px = sigma_px, .scale_tolerance = scale_tolerance,
                        .rows = (int64_t)ceil(beam->g_max_per_A * px_per_A) + 2};
        p->sum = calloc((size_t)p->rows * ROW, sizeof *p->sum);
    }
    if (p == NULL || p->sum == NULL) {
        um_polar_free(p);
        return um_fail(ctx, UM_ERROR_MEMORY, "identify: no memory for a polar picture");
    }
    *out = p;
    return UM_OK;
}

void um_polar_free(um_polar *polar)
{
    if (polar != NULL) {
        free(polar->sum);
        free(polar);
    }
}

static void add_spot(um_polar *p, const um_blob_spot *s)
{
    double r = hypot(s->x, s->y), angle = atan2(s->y, s->x);
    double wide_r = hypot(p->sigma_px, r * p->scale_tolerance * 0.5), wide_a = hypot(p->sigma_px / r, 0.015);
    double at = (angle < 0.0 ? angle + M_PI : angle) * ANGLES / M_PI, reach = 3.0 * wide_a * ANGLES / M_PI;
    int64_t first = (int64_t)fmax(0.0, ceil(r - 3.0 * wide_r)), last = (int64_t)floor(r + 3.0 * wide_r);
    for (int64_t row = first; row <= last && row < p->rows; row++) {
        double dr = ((double)row - r) / wide_r;
        for (int64_t k = (int64_t)ceil(at - reach); k <= (int64_t)floor(at + reach); k++) {
            double da = ((double)k - at) * M_PI / ANGLES / wide_a;
            int64_t bin = ((k % ANGLES) + ANGLES) % ANGLES;
            p->sum[row * ROW + bin] += (float)(s->amplitude * exp(-0.5 * (dr * dr + da * da)));
        }
    }
}

void um_polar_fill(um_polar *polar, const um_blob_spot *spots, int64_t count)
{
    double squares = 0.0;
    memset(polar->sum, 0, (size_t)polar->rows * ROW * sizeof *polar->sum);
    for (int64_t i = 0; i < count; i++) {
        add_spot(polar, &spots[i]);
        squares += spots[i].amplitude * spots[i].amplitude;
    }
    for (int64_t row = 0; row < polar->rows; row++) {
        memcpy(polar->sum + row * ROW + ANGLES, polar->sum + row * ROW, ANGLES * sizeof *polar->sum);
    }
    polar->norm = (float)sqrt(squares);
}

/* sum[t] over the spots of a view at the picture turned by t bins; mirrored about x or not. */
static void correlate(const um_polar *p, const um_polar_spot *spot, int32_t count, bool mirrored, float sum[ANGLES])
{
    memset(sum, 0, ANGLES * sizeof *sum);
    for (int32_t i = 0; i < count; i++) {
        int64_t row = (int64_t)(spot[i].g * (float)p->px_per_A + 0.5F);
        int64_t bin = (int64_t)(spot[i].angle * (float)(ANGLES / M_PI) + 0.5F) % ANGLES;
        if (row >= p->rows) {
            continue;
        }
        const float *from = p->sum + row * ROW + (mirrored ? (ANGLES - bin) % ANGLES : bin);
        float b = spot[i].amplitude;
        for (int t = 0; t < ANGLES; t++) {
            sum[t] += b * from[t];
        }
    }
}

/* Keeps the list sorted; one entry for each direction and hand. */
static int insert(um_start *best, int n, int most, const um_start *new)
{
    if (n == most && new->score <= best[n - 1].score) {
        return n;
    }
    int i = n < most ? n++ : n - 1;
    for (; i > 0 && best[i - 1].score < new->score; i--) {
        best[i] = best[i - 1];
    }
    best[i] = *new;
    return n;
}

int um_polar_search(const um_polar *polar, const um_library *library, int32_t phase, um_start *best, int most)
{
    int n = 0;
    for (int64_t v = 0; v < library->views; v++) {
        const um_view_of *view = &library->view[v];
        if (!(view->norm > 0.0F) || !(polar->norm > 0.0F)) {
            continue;
        }
        for (int hand = 0; hand < 2; hand++) {
            float sum[ANGLES];
            int top = 0;
            correlate(polar, library->spot + view->first, view->count, hand == 1, sum);
            for (int t = 1; t < ANGLES; t++) {
                top = sum[t] > sum[top] ? t : top;
            }
            um_start now = {.score = sum[top] / (view->norm * polar->norm), .phase = phase, .view = v,
                            .mirrored = hand == 1, .turn_rad = (double)top * M_PI / ANGLES};
            n = insert(best, n, most, &now);
        }
    }
    return n;
}
