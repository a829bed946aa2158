/* Clusters that are one crystal turned about the beam: linkage by the largest correlation over all rotations. */
#include "linkage.h"

#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ANGLES = 256, INNER_PX = 2, LEAST_RADII = 3 };

/* Patterns on rings about the beam, angles by FFT. */
typedef struct polar {
    um_context *ctx;
    int64_t count, radii;
    float *ring;            /* count x radii x ANGLES; roots of intensities */
    kiss_fft_cpx *spectrum; /* count x radii x (ANGLES/2 + 1) */
    uint8_t *used;          /* radii: not mostly masked */
    double *norm;           /* count */
} polar;

/* ---- rings ----------------------------------------------------------------------------------------- */

static float sample(const double *pattern, const uint8_t *mask, um_shape s, double y, double x)
{
    int64_t y0 = (int64_t)floor(y);
    int64_t x0 = (int64_t)floor(x);
    double sum = 0;
    for (int64_t i = 0; i < 4; i++) {
        int64_t v = y0 + i / 2;
        int64_t u = x0 + i % 2;
        double weight = (1 - fabs(y - (double)v)) * (1 - fabs(x - (double)u));
        if (weight <= 0) {
            continue;
        }
        if (v < 0 || u < 0 || v >= s.ky || u >= s.kx || (mask != NULL && mask[v * s.kx + u])) {
            return NAN;
        }
        sum += weight * pattern[v * s.kx + u];
    }
    return (float)sqrt(fmax(sum, 0));
}

/* Samples of a ring; what is masked takes the mean of the rest. Returns how many were not. */
static int fill_ring(const double *pattern, const uint8_t *mask, um_shape s, const double center[2],
                     double radius, float *ring)
{
    int good = 0;
    double mean = 0;
    for (int a = 0; a < ANGLES; a++) {
        double angle = 2 * 3.14159265358979323846 * a / ANGLES;
        ring[a] = sample(pattern, mask, s, center[0] + radius * sin(angle),
                         center[1] + radius * cos(angle));
        if (!isnan(ring[a])) {
            good++;
            mean += (double)ring[a];
        }
    }
    mean = good > 0 ? mean / good : 0;
    for (int a = 0; a < ANGLES; a++) {
        ring[a] = isnan(ring[a]) ? (float)mean : ring[a];
    }
    return good;
}

/* What all patterns have in common on a ring, the direct beam above all, tells nothing apart. */
static void take_common_off(polar *p, int64_t r)
{
    double mean = 0;
    for (int64_t i = 0; i < p->count; i++) {
        const float *ring = p->ring + (i * p->radii + r) * ANGLES;
        for (int a = 0; a < ANGLES; a++) {
            mean += (double)ring[a] / (double)(ANGLES * p->count);
        }
    }
    for (int64_t i = 0; i < p->count; i++) {
        float *ring = p->ring + (i * p->radii + r) * ANGLES;
        for (int a = 0; a < ANGLES; a++) {
            ring[a] = p->used[r] ? (float)((double)ring[a] - mean) : 0;
            p->norm[i] += (double)(r + INNER_PX) * (double)ring[a] * (double)ring[a];
        }
    }
}

static um_status transform(polar *p, const double *patterns, const uint8_t *mask, um_shape s,
                           const double center[2])
{
    kiss_fftr_cfg plan = kiss_fftr_alloc(ANGLES, 0, NULL, NULL);
    if (plan == NULL) {
        return um_fail(p->ctx, UM_ERROR_MEMORY, "no memory for a Fourier transform");
    }
    int64_t used = 0;
    for (int64_t r = 0; r < p->radii; r++) {
        int good = 0;
        for (int64_t i = 0; i < p->count; i++) {
            good = fill_ring(patterns + i * s.ky * s.kx, mask, s, center, (double)(r + INNER_PX),
                             p->ring + (i * p->radii + r) * ANGLES);
        }
        p->used[r] = good > ANGLES / 2;
        used += p->used[r];
        take_common_off(p, r);
        for (int64_t i = 0; i < p->count; i++) {
            kiss_fftr(plan, p->ring + (i * p->radii + r) * ANGLES,
                      p->spectrum + (i * p->radii + r) * (ANGLES / 2 + 1));
        }
    }
    kiss_fftr_free(plan);
    return used >= LEAST_RADII
               ? UM_OK
               : um_fail(p->ctx, UM_ERROR_VALUE,
                         "patterns of %lld x %lld pixels about (%g, %g) leave %lld whole rings: "
                         "too few to compare rotations",
                         (long long)s.ky, (long long)s.kx, center[0], center[1], (long long)used);
}

/* ---- correlation ----------------------------------------------------------------------------------- */

/* The largest correlation of two patterns when one is turned. */
static double correlate(const polar *p, kiss_fftr_cfg back, int64_t a, int64_t b)
{
    enum { BINS = ANGLES / 2 + 1 };
    kiss_fft_cpx product[BINS];
    float turned[ANGLES];
    memset(product, 0, sizeof product);
    for (int64_t r = 0; r < p->radii; r++) {
        const kiss_fft_cpx *x = p->spectrum + (a * p->radii + r) * BINS;
        const kiss_fft_cpx *y = p->spectrum + (b * p->radii + r) * BINS;
        float weight = (float)(r + INNER_PX);
        for (int i = 0; i < BINS; i++) {
            product[i].r += weight * (x[i].r * y[i].r + x[i].i * y[i].i);
            product[i].i += weight * (x[i].r * y[i].i - x[i].i * y[i].r);
        }
    }
    kiss_fftri(back, product, turned);
    double most = -INFINITY;
    for (int i = 0; i < ANGLES; i++) {
        most = fmax(most, (double)turned[i]);
    }
    double norm = sqrt(p->norm[a] * p->norm[b]);
    return norm > 0 ? most / ANGLES / norm : 0;
}

static um_status compare(const polar *p, double *distance)
{
    kiss_fftr_cfg back = kiss_fftr_alloc(ANGLES, 1, NULL, NULL);
    if (back == NULL) {
        return um_fail(p->ctx, UM_ERROR_MEMORY, "no memory for a Fourier transform");
    }
    for (int64_t a = 0; a < p->count; a++) {
        for (int64_t b = 0; b <= a; b++) {
            double d = a == b ? 0 : fmax(1 - correlate(p, back, a, b), 0);
            distance[a * p->count + b] = distance[b * p->count + a] = d;
        }
    }
    kiss_fftr_free(back);
    return UM_OK;
}

static um_status allocate(polar *p)
{
    size_t rings = (size_t)(p->count * p->radii);
    static const char *const what = "patterns on rings";
    p->used = calloc((size_t)p->radii, 1);
    p->norm = calloc((size_t)p->count, sizeof *p->norm);
    if (p->used == NULL || p->norm == NULL) {
        return um_fail(p->ctx, UM_ERROR_MEMORY, "no memory for rings");
    }
    UM_TRY(um_buffer_alloc(p->ctx, rings * ANGLES, sizeof(float), what, &p->ring));
    return um_buffer_alloc(p->ctx, rings * (ANGLES / 2 + 1), sizeof(kiss_fft_cpx), what,
                           &p->spectrum);
}

um_status um_turned_distances(um_context *ctx, const double *patterns, int64_t count, um_shape s,
                              const uint8_t *mask, const double center[2], double *distance)
{
    double reach = fmin(fmin(center[0], (double)(s.ky - 1) - center[0]),
                        fmin(center[1], (double)(s.kx - 1) - center[1]));
    polar p = {.ctx = ctx, .count = count, .radii = (int64_t)floor(reach) - INNER_PX + 1};
    if (!(reach >= INNER_PX + LEAST_RADII)) {
        return um_fail(ctx, UM_ERROR_VALUE,
                       "the centre (%g, %g) of patterns of %lld x %lld pixels leaves no rings to "
                       "compare rotations on",
                       center[0], center[1], (long long)s.ky, (long long)s.kx);
    }
    um_status status = allocate(&p);
    if (status == UM_OK) {
        status = transform(&p, patterns, mask, s, center);
    }
    if (status == UM_OK) {
        status = compare(&p, distance);
    }
    um_buffer_free(ctx, p.ring);
    um_buffer_free(ctx, p.spectrum);
    free(p.used);
    free(p.norm);
    return status;
}

/* ---- merging --------------------------------------------------------------------------------------- */

static um_status relabel(const um_features *f, const um_clustering *parts, const int32_t *group,
                         um_clustering *out)
{
    for (int64_t p = 0; p < parts->count; p++) {
        out->label[p] = parts->label[p] < 0 ? -1 : group[parts->label[p]];
    }
    out->converged = parts->converged;
    out->iterations = parts->iterations;
    UM_TRY(um_clustering_centers(f, out));
    return um_clustering_sort(out);
}

static um_status link_parts(const um_features *f, const um_clustering *parts, int64_t n,
                            double least_correlation, double *distance, um_merge *merges,
                            double *size, int32_t *group, um_clustering **out)
{
    for (int64_t i = 0; i < parts->n; i++) {
        size[i] = fmax((double)parts->sizes[i], 1);
    }
    UM_TRY(um_average_merges(f->ctx, distance, size, parts->n, merges));
    int64_t found = um_merges_cut(merges, parts->n, n > 0 ? n : 1,
                                  n > 0 ? INFINITY : 1 - least_correlation, group);
    if (found < 0) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory to cut a linkage");
    }
    UM_TRY(um_clustering_create(f, UM_CLUSTER_ROTATION, found, out));
    return relabel(f, parts, group, *out);
}

/* The order of size is not that of the labels that groups were made with. */
static void renumber(const um_clustering *parts, const um_clustering *out, int32_t *group)
{
    for (int64_t p = 0; p < parts->count; p++) {
        if (parts->label[p] >= 0) {
            group[parts->label[p]] = out->label[p];
        }
    }
}

um_status um_cluster_merge_turned(const um_features *f, const um_clustering *parts,
                                  const double *patterns, um_shape shape, const uint8_t *mask,
                                  const double center[2], int64_t n, double least_correlation,
                                  int32_t *group, um_clustering **out)
{
    *out = NULL;
    if (n > parts->n) {
        return um_fail(f->ctx, UM_ERROR_ARGUMENT, "%lld clusters from %lld parts: take more parts",
                       (long long)n, (long long)parts->n);
    }
    size_t count = (size_t)parts->n;
    double *distance = NULL;
    um_merge *merges = calloc(count, sizeof *merges);
    double *size = calloc(count, sizeof *size);
    um_status status = merges != NULL && size != NULL
                           ? um_buffer_alloc(f->ctx, count * count, sizeof *distance,
                                             "distances of patterns", &distance)
                           : um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for a linkage");
    if (status == UM_OK) {
        status = um_turned_distances(f->ctx, patterns, parts->n, shape, mask, center, distance);
    }
    if (status == UM_OK) {
        status = link_parts(f, parts, n, least_correlation, distance, merges, size, group, out);
    }
    if (status == UM_OK) {
        renumber(parts, *out, group);
    } else {
        um_clustering_free(*out);
        *out = NULL;
    }
    um_buffer_free(f->ctx, distance);
    free(merges);
    free(size);
    return status;
}
