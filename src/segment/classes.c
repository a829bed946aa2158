/* Which components are one kind of crystal: average linkage on what their reflections and maps have in common. */
#include "segment_internal.h"

#include "linkage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MAP_BLUR_PX = 2;   /* thickness fringes of one crystal are in different components */
static const double MAP_WEIGHT = 0.5;  /* of the correlation of maps beside that of reflections */

/* Correlation of two lists that are shifted to mean 0 and scaled to unit length. */
static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void standardise(double *values, const uint8_t *mask, int64_t n)
{
    double sum = 0;
    double count = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += um_kept(mask, i) ? values[i] : 0;
        count += um_kept(mask, i);
    }
    double squares = 0;
    for (int64_t i = 0; i < n; i++) {
        values[i] = um_kept(mask, i) ? values[i] - sum / count : 0;
        squares += values[i] * values[i];
    }
    for (int64_t i = 0; i < n; i++) {
        values[i] = squares > 0 ? values[i] / sqrt(squares) : 0;
    }
}

/* Roots of the reflections, so that a bright one does not speak for all. */
static um_status standard_pattern(const um_parts *p, int64_t c, double *work, double *out)
{
    for (int64_t q = 0; q < p->pixels; q++) {
        work[q] = sqrt(p->reflections[c * p->pixels + q]);
    }
    /* Half a pixel of shift or so between two patterns is no other crystal. */
    UM_TRY(um_filter_gauss(p->ctx, p->shape.ky, p->shape.kx, work, 1, 0, 0, out));
    standardise(out, p->pixel_mask, p->pixels);
    return UM_OK;
}

static um_status standard_map(const um_parts *p, int64_t c, double *work, double *out)
{
    const float *loadings = um_model_loadings(p->model);
    for (int64_t i = 0; i < p->positions; i++) {
        work[i] = um_kept(p->position_mask, i) ? loadings[i * p->k + c] : 0;
    }
    UM_TRY(um_filter_gauss(p->ctx, p->shape.ny, p->shape.nx, work, MAP_BLUR_PX, 0, 0, out));
    standardise(out, p->position_mask, p->positions);
    return UM_OK;
}

/* distance[i * k + j] = 1 - likeness of components i and j of `list`. */
static um_status measure(const um_parts *p, const int64_t *list, int64_t n, double *distance)
{
    size_t widest = (size_t)(p->pixels > p->positions ? p->pixels : p->positions);
    double *work = NULL;
    double *rows = NULL;
    UM_TRY(um_buffer_alloc(p->ctx, widest, sizeof *work, "a component", &work));
    um_status status = um_buffer_alloc(p->ctx, (size_t)n, widest * sizeof *rows, "components side by side", &rows);
    for (int side = 0; status == UM_OK && side < 2; side++) {
        int64_t length = side == 0 ? p->pixels : p->positions;
        for (int64_t i = 0; status == UM_OK && i < n; i++) {
            double *row = rows + i * length;
            status = side == 0 ? standard_pattern(p, list[i], work, row) : standard_map(p, list[i], work, row);
        }
        for (int64_t i = 0; status == UM_OK && i < n; i++) {
            for (int64_t j = 0; j < n; j++) {
                double r = dot(rows + i * length, rows + j * length, length);
                distance[i * n + j] = side == 0 ? 1 - r : distance[i * n + j] - MAP_WEIGHT * fmax(0, r);
            }
            status = um_check_cancel(p->ctx);
        }
    }
    um_buffer_free(p->ctx, rows);
    um_buffer_free(p->ctx, work);
    return status;
}

static um_status link(um_parts *p, const um_segment_options *o, const int64_t *list, int64_t n)
{
    double *distance = NULL;
    UM_TRY(um_buffer_alloc(p->ctx, (size_t)n * (size_t)n, sizeof *distance, "likeness of components", &distance));
    um_merge *merges = calloc((size_t)n, sizeof *merges);
    double *size = calloc((size_t)n, sizeof *size);
    int32_t *label = calloc((size_t)n, sizeof *label);
    um_status status = merges != NULL && size != NULL && label != NULL
                           ? measure(p, list, n, distance)
                           : um_fail(p->ctx, UM_ERROR_MEMORY, "no memory for a linkage");
    for (int64_t i = 0; status == UM_OK && i < n; i++) {
        size[i] = 1;
    }
    if (status == UM_OK) {
        status = um_average_merges(p->ctx, distance, size, n, merges);
    }
    if (status == UM_OK) {
        p->classes = um_merges_cut(merges, n, 1, 1 - o->alike, label);
        status = p->classes >= 0 ? UM_OK : um_fail(p->ctx, UM_ERROR_MEMORY, "no memory for a linkage");
    }
    for (int64_t i = 0; status == UM_OK && i < n; i++) {
        p->class_of[list[i]] = label[i];
    }
    free(label);
    free(size);
    free(merges);
    um_buffer_free(p->ctx, distance);
    return status;
}

/* Counts in reflections of a component over the scan. */
static double diffracted(const um_parts *p, int64_t c)
{
    return p->strength[c] * p->total[c];
}

/* Classes that are next to nothing are dropped; the others are numbered by their first component. */
static void drop_faint(um_parts *p, double least_share)
{
    double all = 0;
    for (int64_t c = 0; c < p->k; c++) {
        all += p->class_of[c] >= 0 ? diffracted(p, c) : 0;
    }
    int32_t next = 0;
    for (int32_t old = 0; old < p->classes; old++) {
        double of_class = 0;
        for (int64_t c = 0; c < p->k; c++) {
            of_class += p->class_of[c] == old ? diffracted(p, c) : 0;
        }
        bool kept = of_class > least_share * all;
        for (int64_t c = 0; c < p->k; c++) {
            if (p->class_of[c] == old) {
                p->class_of[c] = kept ? next : -1;
                p->reason[c] = kept ? NULL : "too few counts in its reflections";
            }
        }
        next += kept;
    }
    p->classes = next;
}

/* Correlation of the roots of the loadings of neighbours, down columns or along rows: roots, so that two bright positions do
 * not speak for all. */
static double neighbours_alike(const um_parts *p, int64_t c, bool down)
{
    const float *loadings = um_model_loadings(p->model);
    int64_t step = down ? p->shape.nx : 1;
    double sum[2] = {0, 0};
    double square[2] = {0, 0};
    double product = 0;
    double n = 0;
    for (int64_t i = 0; i + step < p->positions; i++) {
        bool pair = down || i % p->shape.nx + 1 < p->shape.nx;
        if (!pair || !um_kept(p->position_mask, i) || !um_kept(p->position_mask, i + step)) {
            continue;
        }
        double v[2] = {sqrt((double)loadings[i * p->k + c]), sqrt((double)loadings[(i + step) * p->k + c])};
        for (int k = 0; k < 2; k++) {
            sum[k] += v[k];
            square[k] += v[k] * v[k];
        }
        product += v[0] * v[1];
        n++;
    }
    double spread = (square[0] - sum[0] * sum[0] / n) * (square[1] - sum[1] * sum[1] / n);
    return n > 1 && spread > 0 ? (product - sum[0] * sum[1] / n) / sqrt(spread) : 0;
}

/* Why a component is no crystal, or NULL. */
static const char *not_a_crystal(um_parts *p, const um_segment_options *o, int64_t c)
{
    if (!(p->total[c] > 0)) {
        return "empty";
    }
    if (!(p->strength[c] > 0) || p->share[c] < o->least_reflections) {
        return "background or film: no reflections";
    }
    p->continuity[c] = 0.5 * (neighbours_alike(p, c, true) + neighbours_alike(p, c, false));
    return p->continuity[c] < o->least_continuity ? "noise: its map is not alike from one position to the next" : NULL;
}

um_status um_parts_classify(um_parts *p, const um_segment_options *o)
{
    int64_t *list = calloc((size_t)p->k, sizeof *list);
    int64_t n = 0;
    if (list == NULL) {
        return um_fail(p->ctx, UM_ERROR_MEMORY, "no memory for components");
    }
    for (int64_t c = 0; c < p->k; c++) {
        p->class_of[c] = -1;
        p->reason[c] = not_a_crystal(p, o, c);
        if (p->reason[c] == NULL) {
            list[n++] = c;
        }
    }
    p->classes = 0;
    um_status status = n > 0 ? link(p, o, list, n) : UM_OK;
    free(list);
    if (status == UM_OK) {
        drop_faint(p, o->least_share);
    }
    return status;
}

/* ---- as another model has it ------------------------------------------------------------------------ */

um_status um_parts_check_like(const um_parts *p, const um_model *like)
{
    um_shape s = um_model_shape(like);
    return s.ky == p->shape.ky && s.kx == p->shape.kx && strcmp(um_model_method(like), "SEGMENT") == 0
               ? UM_OK
               : um_fail(p->ctx, UM_ERROR_SHAPE,
                         "the model to follow is %s with patterns of %lld x %lld px: it takes a segmented one with %lld x %lld",
                         um_model_method(like), (long long)s.ky, (long long)s.kx, (long long)p->shape.ky,
                         (long long)p->shape.kx);
}

um_status um_parts_classify_like(um_parts *p, const um_model *like)
{
    json_t *provenance = json_loads(um_model_provenance(like), 0, NULL);
    const json_t *merged = json_object_get(json_object_get(provenance, "segmentation"), "merged");
    const json_t *dropped = json_object_get(json_object_get(provenance, "segmentation"), "dropped");
    int64_t told = 0;
    for (int64_t c = 0; c < p->k; c++) {
        p->class_of[c] = -1;
        p->reason[c] = "dropped in the model that this one follows";
    }
    for (size_t i = 0; i < json_array_size(merged); i++) {
        const json_t *members = json_array_get(merged, i);
        for (size_t j = 0; j < json_array_size(members); j++) {
            int64_t c = json_integer_value(json_array_get(members, j));
            told++;
            if (c >= 0 && c < p->k) {
                p->class_of[c] = (int32_t)i;
                p->reason[c] = NULL;
            }
        }
    }
    p->classes = (int64_t)json_array_size(merged);
    told += (int64_t)json_array_size(dropped);
    bool good = json_is_array(merged) && told == p->k && p->classes == um_model_k(like);
    json_decref(provenance);
    return good ? UM_OK
                : um_fail(p->ctx, UM_ERROR_SHAPE,
                          "the model to follow was segmented from %lld components, this one has %lld: both must come from one "
                          "factorisation", (long long)told, (long long)p->k);
}
