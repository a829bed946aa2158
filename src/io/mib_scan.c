/* The scan shape of a Merlin acquisition, which its frames do not tell. In this order: side file with
 * ScanX and ScanY; side file with frames per trigger; gaps between time stamps at the end of lines; a
 * longer exposure at the start of lines; a square; a stack. What is read from times must be regular
 * over all lines that are looked at, else it counts as chance. */
#include "mib_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Headers that are read at most: two lines and more of any usual scan, and at most as many seeks. */
enum { LOOK = 4096 };

static int64_t side_number(const json_t *side, const char *key)
{
    const char *text = json_string_value(json_object_get(side, key));
    char *end = NULL;
    if (text == NULL) {
        return -1;
    }
    long long value = strtoll(text, &end, 10);
    return end != text && value >= 0 && value <= INT32_MAX ? value : -1;
}

static bool scan_from_side(const um_mib *mib, const json_t *side, um_mib_scan *out)
{
    int64_t nx = side_number(side, "ScanX");
    int64_t ny = side_number(side, "ScanY");
    if (nx > 0 && ny > 0) {
        *out = (um_mib_scan){ny, nx, 0, "ScanX and ScanY of the .hdr"};
        return true;
    }
    int64_t frames = side_number(side, "Frames in Acquisition (Number)");
    int64_t line = side_number(side, "Frames per Trigger (Number)");
    if (frames == 0) { /* recorded until stopped */
        *out = (um_mib_scan){1, mib->frames, 0, "continuous acquisition of the .hdr"};
        return true;
    }
    if (frames > 0 && line > 1 && frames % line == 0) {
        *out = (um_mib_scan){frames / line, line, 0, "frames per trigger of the .hdr"};
        return true;
    }
    return false;
}

/* Start times relative to the first frame and exposures, both in seconds. */
typedef struct times {
    int64_t count;
    double *start, *exposure;
    bool have_start, have_exposure;
} times;

static um_status read_times(um_context *ctx, const um_mib *mib, times *t)
{
    double day0 = 0.0;
    double second0 = 0.0;
    t->count = mib->frames < LOOK ? mib->frames : LOOK;
    t->start = calloc((size_t)t->count, sizeof *t->start);
    t->exposure = calloc((size_t)t->count, sizeof *t->exposure);
    if (t->start == NULL || t->exposure == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for time stamps", mib->files[0].path);
    }
    t->have_start = t->have_exposure = true;
    for (int64_t i = 0; i < t->count; i++) {
        um_mib_header h;
        double day = 0.0;
        double second = 0.0;
        UM_TRY(um_mib_frame_header(ctx, mib, i, &h));
        const char *text = h.utc_time[0] != '\0' ? h.utc_time : h.local_time;
        t->have_start = t->have_start && um_mib_time_parse(text, &day, &second);
        day0 = i == 0 ? day : day0;
        second0 = i == 0 ? second : second0;
        t->start[i] = (day - day0) * 86400.0 + (second - second0);
        t->exposure[i] = h.exposure_ns >= 0.0 ? 1e-9 * h.exposure_ns : h.shutter_s;
        t->have_exposure = t->have_exposure && t->exposure[i] >= 0.0;
    }
    return UM_OK;
}

static double median(const double *values, int64_t count)
{
    double *sorted = malloc((size_t)count * sizeof *sorted);
    if (sorted == NULL) {
        return 0.0;
    }
    memcpy(sorted, values, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, um_compare_f64);
    double result = sorted[count / 2];
    free(sorted);
    return result;
}

/* Line ends are the gaps above the mean: all of them and no other, each after a whole number of lines,
 * and clear of the clock's jitter. The excess may be small: 0.02 % was seen. */
static bool scan_from_gaps(const um_mib *mib, const times *t, um_mib_scan *out)
{
    static const double CLOCK_S = 1e-7;
    int64_t gaps = t->count - 1;
    double mean = (t->start[gaps] - t->start[0]) / (double)gaps;
    double shortest_long = INFINITY;
    double longest_short = -INFINITY;
    double shortest = INFINITY;
    int64_t nx = 0;
    for (int64_t i = 0; i < gaps; i++) {
        double gap = t->start[i + 1] - t->start[i];
        bool is_long = gap > mean + CLOCK_S;
        nx = is_long && nx == 0 ? i + 1 : nx;
        if (is_long != (nx > 0 && (i + 1) % nx == 0)) {
            return false;
        }
        shortest = fmin(shortest, gap);
        shortest_long = is_long ? fmin(shortest_long, gap) : shortest_long;
        longest_short = is_long ? longest_short : fmax(longest_short, gap);
    }
    if (nx < 2 || t->count < 2 * nx ||
        !(shortest_long - longest_short > 2.0 * (longest_short - shortest))) {
        return false;
    }
    *out = (um_mib_scan){(mib->frames + nx - 1) / nx, nx, 0, "gaps between time stamps"};
    return true;
}

/* The first frame of a line is exposed while the beam flies back. Frames before the first line that is
 * followed by another one are left out. */
static bool scan_from_exposures(const um_mib *mib, const times *t, um_mib_scan *out)
{
    double usual = median(t->exposure, t->count);
    int64_t last = -1;
    int64_t first = -1;
    int64_t nx = 0;
    int64_t lines = 0;
    for (int64_t i = 0; i < t->count; i++) {
        if (!(t->exposure[i] > 5.0 * usual)) {
            continue;
        }
        int64_t distance = last >= 0 ? i - last : 0;
        if (distance > 1 && distance == nx) {
            lines++;
        } else if (distance > 1 && lines < 2) { /* not regular yet: begin anew here */
            nx = distance;
            first = last;
            lines = 1;
        } else if (distance > 0) {
            return false;
        }
        last = i;
    }
    if (nx < 2 || lines < 2) {
        return false;
    }
    *out = (um_mib_scan){(mib->frames - first + nx - 1) / nx, nx, first, "longer exposures at line starts"};
    return true;
}

static um_mib_scan scan_guess(const um_mib *mib)
{
    int64_t side = (int64_t)floor(sqrt((double)mib->frames) + 0.5);
    if (side > 1 && side * side == mib->frames) {
        return (um_mib_scan){side, side, 0, "the square root of the number of frames: a guess"};
    }
    return (um_mib_scan){1, mib->frames, 0, "no sign of lines: one stack"};
}

um_status um_mib_scan_find(um_context *ctx, const um_mib *mib, const json_t *side,
                           um_mib_scan *out)
{
    *out = scan_guess(mib);
    if (scan_from_side(mib, side, out) || mib->frames < 4) {
        return UM_OK;
    }
    times t = {0};
    um_status status = read_times(ctx, mib, &t);
    if (status == UM_OK && !(t.have_start && scan_from_gaps(mib, &t, out)) && t.have_exposure) {
        (void)scan_from_exposures(mib, &t, out);
    }
    free(t.start);
    free(t.exposure);
    return status;
}
