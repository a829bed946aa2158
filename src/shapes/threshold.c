/* Levels that part an image in two. */
#include "shapes_internal.h"

#include <math.h>
#include <stdlib.h>

const char *um_threshold_name(um_threshold_method method)
{
    static const char *const names[] = {
#define THRESHOLD_WORD(name, word) word,
        UM_THRESHOLD_LIST(THRESHOLD_WORD)
#undef THRESHOLD_WORD
    };
    return (unsigned)method < UM_THRESHOLD_METHODS ? names[method] : "";
}

/* ---- without bins ----------------------------------------------------------------------------------- */

/* Greatest variance between the two classes of the sorted values, exactly. */
static double otsu_exact(const double *sorted, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        total += sorted[i];
    }
    double below = 0;
    double best = -1;
    double level = sorted[0];
    for (size_t i = 0; i + 1 < n; i++) {
        below += sorted[i];
        double count = (double)(i + 1);
        double rest = (double)(n - i - 1);
        double gap = below / count - (total - below) / rest;
        double between = count * rest * gap * gap;
        if (sorted[i] < sorted[i + 1] && between > best) {
            best = between;
            level = 0.5 * (sorted[i] + sorted[i + 1]);
        }
    }
    return level;
}

/* How many of the sorted values are at most `level`. */
static size_t count_up_to(const double *sorted, size_t n, double level)
{
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sorted[middle] <= level) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Li and Tam's iteration on the values less their least. sum[i] = that of the first i of them. */
static double li(const double *sorted, size_t n, const double *sum)
{
    enum { MOST = 10000 }; /* each step halves about the way; a cycle between two levels would not end */
    double tolerance = INFINITY;
    for (size_t i = 0; i + 1 < n; i++) {
        double gap = sorted[i + 1] - sorted[i];
        tolerance = gap > 0 ? fmin(tolerance, gap / 2) : tolerance;
    }
    double least = sorted[0];
    double next = sum[n] / (double)n;
    double now = -2 * tolerance;
    for (int i = 0; i < MOST && fabs(next - now) > tolerance; i++) {
        now = next;
        size_t back = count_up_to(sorted, n, now + least);
        if (back == 0 || back == n || sum[back] <= 0) { /* the logarithm of 0 */
            break;
        }
        double mean_back = sum[back] / (double)back;
        double mean_fore = (sum[n] - sum[back]) / (double)(n - back);
        next = (mean_back - mean_fore) / (log(mean_back) - log(mean_fore));
    }
    return next + least;
}

/* ---- with bins -------------------------------------------------------------------------------------- */

typedef struct histogram {
    int bins;
    double low, width;
    double *count;
} histogram;

static double middle_of(const histogram *h, int bin)
{
    return h->low + h->width * (bin + 0.5);
}

static void fill(histogram *h, const double *sorted, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int bin = (int)((sorted[i] - h->low) / h->width);
        bin = bin < h->bins ? bin : h->bins - 1;
        /* The edges decide, not the rounding of the division. */
        if (bin > 0 && sorted[i] < h->low + h->width * bin) {
            bin--;
        } else if (bin + 1 < h->bins && sorted[i] >= h->low + h->width * (bin + 1)) {
            bin++;
        }
        h->count[bin]++;
    }
}

static double otsu(const histogram *h)
{
    double n = 0;
    double total = 0;
    for (int i = 0; i < h->bins; i++) {
        n += h->count[i];
        total += h->count[i] * middle_of(h, i);
    }
    double below = 0;
    double sum = 0;
    double best = -1;
    int level = 0;
    for (int i = 0; i + 1 < h->bins; i++) {
        below += h->count[i];
        sum += h->count[i] * middle_of(h, i);
        double gap = sum / below - (total - sum) / (n - below);
        if (below * (n - below) * gap * gap > best) {
            best = below * (n - below) * gap * gap;
            level = i;
        }
    }
    return middle_of(h, level);
}

/* The bin farthest below the line from the top of the histogram to the end of its longer tail. */
static double triangle(const histogram *h)
{
    int peak = 0;
    for (int i = 1; i < h->bins; i++) {
        peak = h->count[i] > h->count[peak] ? i : peak;
    }
    /* The first and the last bin are never empty: they hold the least and the largest value. */
    bool up = peak < h->bins - 1 - peak;
    int width = up ? h->bins - 1 - peak : peak;
    double best = -INFINITY;
    int level = peak;
    for (int i = 0; i < width; i++) {
        int bin = up ? h->bins - 1 - i : i;
        double depth = h->count[peak] * i - width * h->count[bin];
        if (depth > best) {
            best = depth;
            level = bin;
        }
    }
    return middle_of(h, level);
}

/* The lowest bin that is the middle of the means of the classes, within a bin; else the nearest to it. */
static double isodata(const histogram *h)
{
    double n = 0;
    double total = 0;
    for (int i = 0; i < h->bins; i++) {
        n += h->count[i];
        total += h->count[i] * middle_of(h, i);
    }
    double below = 0;
    double sum = 0;
    double nearest = INFINITY;
    double level = middle_of(h, 0);
    for (int i = 0; i + 1 < h->bins; i++) {
        below += h->count[i];
        sum += h->count[i] * middle_of(h, i);
        double distance = 0.5 * (sum / below + (total - sum) / (n - below)) - middle_of(h, i);
        if (distance >= 0 && distance < h->width) {
            return middle_of(h, i);
        }
        if (fabs(distance) < nearest) {
            nearest = fabs(distance);
            level = middle_of(h, i);
        }
    }
    return level;
}

/* Largest log((P (1 - P))^2 / (sum of squares below * sum of squares above)). */
static double yen(const histogram *h)
{
    double n = 0;
    double squares = 0;
    for (int i = 0; i < h->bins; i++) {
        n += h->count[i];
        squares += h->count[i] * h->count[i];
    }
    double below = 0;
    double below_squares = 0;
    double best = -INFINITY;
    int level = 0;
    for (int i = 0; i + 1 < h->bins; i++) {
        below += h->count[i] / n;
        below_squares += h->count[i] * h->count[i];
        double value = 2 * log(below * (1 - below)) - log(below_squares) - log(squares - below_squares);
        if (value > best) {
            best = value;
            level = i;
        }
    }
    return middle_of(h, level);
}

static um_status from_bins(um_context *ctx, um_threshold_method method, const double *sorted, size_t n, int bins,
                           double *level)
{
    static double (*const find[])(const histogram *) = {
        [UM_THRESHOLD_OTSU] = otsu, [UM_THRESHOLD_TRIANGLE] = triangle, [UM_THRESHOLD_ISODATA] = isodata,
        [UM_THRESHOLD_YEN] = yen};
    histogram h = {.bins = bins, .low = sorted[0], .width = (sorted[n - 1] - sorted[0]) / bins};
    if (!(h.width > 0) || !isfinite(h.width)) { /* values so near or far that bins have no width in a double */
        *level = 0.5 * sorted[0] + 0.5 * sorted[n - 1];
        return UM_OK;
    }
    h.count = calloc((size_t)bins, sizeof *h.count);
    if (h.count == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a histogram");
    }
    fill(&h, sorted, n);
    *level = find[method](&h);
    free(h.count);
    return UM_OK;
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static um_status from_sorted(um_context *ctx, um_threshold_method method, const double *sorted, size_t n, int bins,
                             double *room, double *level)
{
    if (n == 0) {
        return um_fail(ctx, UM_ERROR_VALUE, "a threshold of no values: all are excluded or not numbers");
    }
    if (sorted[0] == sorted[n - 1]) {
        *level = sorted[0];
    } else if (method == UM_THRESHOLD_LI) {
        for (size_t i = 0; i < n; i++) {
            room[i + 1] = room[i] + (sorted[i] - sorted[0]);
        }
        *level = li(sorted, n, room);
    } else if (method == UM_THRESHOLD_OTSU && bins == 0) {
        *level = otsu_exact(sorted, n);
    } else {
        return from_bins(ctx, method, sorted, n, bins, level);
    }
    return UM_OK;
}

um_status um_threshold(um_context *ctx, um_threshold_method method, const double *values, int64_t count, int bins,
                       double *level)
{
    bool exact = method == UM_THRESHOLD_LI || (method == UM_THRESHOLD_OTSU && bins == 0);
    if ((unsigned)method >= UM_THRESHOLD_METHODS || count < 0 || (!exact && (bins < 2 || bins > 1 << 20))) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "threshold %s with %d bins: it takes 2 to 2^20",
                       um_threshold_name(method), bins);
    }
    double *sorted = NULL;
    double *room = NULL;
    UM_TRY(um_buffer_alloc(ctx, (size_t)count + 1, sizeof *sorted, "values of a threshold", &sorted));
    size_t n = 0;
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            sorted[n++] = values[i];
        }
    }
    qsort(sorted, n, sizeof *sorted, um_compare_f64);
    um_status status = UM_OK;
    if (method == UM_THRESHOLD_LI) {
        status = um_buffer_alloc(ctx, n + 1, sizeof *room, "values of a threshold", &room);
    }
    if (status == UM_OK) {
        status = from_sorted(ctx, method, sorted, n, bins, room, level);
    }
    um_buffer_free(ctx, room);
    um_buffer_free(ctx, sorted);
    return status;
}
