/* Hot and dead pixels: found in the mean pattern (or told by a file), replaced by their neighbours.
 */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LISTED = 200 };

/* Values within `reach` of a pixel, itself left out; their number. */
static size_t around(const double *image, int64_t ky, int64_t kx, int64_t i, int64_t reach,
                     double *values)
{
    size_t n = 0;
    for (int64_t y = i / kx - reach; y <= i / kx + reach; y++) {
        for (int64_t x = i % kx - reach; x <= i % kx + reach; x++) {
            bool inside = y >= 0 && y < ky && x >= 0 && x < kx && y * kx + x != i;
            if (inside && isfinite(image[y * kx + x])) {
                values[n++] = image[y * kx + x];
            }
        }
    }
    return n;
}

/* Local median and the scatter that a good pixel may have around it: that of the neighbours, and
 * that of counting. */
typedef struct local {
    double middle, scatter;
} local;

static local look_around(const double *mean, int64_t ky, int64_t kx, int64_t i, double positions)
{
    double near[24];
    size_t n = around(mean, ky, kx, i, 2, near);
    local l = {um_median(near, n), 0};
    for (size_t k = 0; k < n; k++) {
        near[k] = fabs(near[k] - l.middle);
    }
    double spread = 1.4826 * um_median(near, n);
    l.scatter = sqrt(spread * spread + fmax(l.middle, 0) / positions + 1 / (positions * positions));
    return l;
}

/* A reflection has shoulders; a bad pixel stands alone or with a few of its kind. */
static bool stands_alone(const double *mean, int64_t ky, int64_t kx, int64_t i, double middle)
{
    double near[8];
    size_t n = around(mean, ky, kx, i, 1, near);
    double excess = mean[i] - middle;
    int alike = 0;
    for (size_t k = 0; k < n; k++) {
        alike += (near[k] - middle) / excess > 0.25;
    }
    return alike <= 2;
}

/* Hardly anything where the neighbours have counts: the third smallest of them, so that neither a
 * border of the beam nor a second dead pixel beside it counts. */
static bool is_dead(const double *mean, int64_t ky, int64_t kx, int64_t i, double sigma,
                    double positions)
{
    double near[8];
    size_t n = around(mean, ky, kx, i, 1, near);
    qsort(near, n, sizeof *near, um_compare_f64);
    double low = n > 2 ? near[2] : 0;
    double scatter = sqrt(fmax(low, 0) / positions + 1 / (positions * positions));
    return mean[i] < 0.2 * low && low - mean[i] > sigma * scatter;
}

static void find_bad(const double *mean, int64_t ky, int64_t kx, double sigma, double positions,
                     uint8_t *bad)
{
    for (int64_t i = 0; i < ky * kx; i++) {
        if (!isfinite(mean[i])) {
            continue;
        }
        local l = look_around(mean, ky, kx, i, positions);
        double excess = mean[i] - l.middle;
        bool hot = excess > sigma * l.scatter && stands_alone(mean, ky, kx, i, l.middle);
        if (hot || is_dead(mean, ky, kx, i, sigma, positions)) {
            bad[i] = hot ? 1 : 2;
        }
    }
}

/* Good pixels of the 3x3, or else the 5x5 neighbourhood. */
static void choose_neighbours(const uint8_t *bad, int64_t ky, int64_t kx, int64_t i,
                              um_repair *repair)
{
    repair->pixel = (int32_t)i;
    repair->count = 0;
    for (int64_t reach = 1; reach <= 2 && repair->count == 0; reach++) {
        for (int64_t y = i / kx - reach; y <= i / kx + reach; y++) {
            for (int64_t x = i % kx - reach; x <= i % kx + reach; x++) {
                bool inside = y >= 0 && y < ky && x >= 0 && x < kx;
                if (inside && bad[y * kx + x] == 0) {
                    repair->from[repair->count++] = (int32_t)(y * kx + x);
                }
            }
        }
    }
}

static um_status make_repairs(um_prep *prep, const uint8_t *bad)
{
    um_learned *learned = prep->learned;
    int64_t pixels = prep->ky * prep->kx;
    size_t count = 0;
    json_t *list = json_array();
    int64_t dead = 0;
    int64_t alone = 0;
    for (int64_t i = 0; i < pixels; i++) {
        count += bad[i] != 0;
        dead += bad[i] == 2;
    }
    learned->repairs = calloc(count + 1, sizeof *learned->repairs);
    if (learned->repairs == NULL) {
        json_decref(list);
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "hot-pixels: no memory");
    }
    for (int64_t i = 0; i < pixels; i++) {
        if (bad[i] == 0) {
            continue;
        }
        um_repair *repair = &learned->repairs[learned->repair_count++];
        choose_neighbours(bad, prep->ky, prep->kx, i, repair);
        if (repair->count == 0) {
            uint8_t *bars = NULL;
            um_status status = um_bars(prep, &bars);
            if (status != UM_OK) {
                json_decref(list);
                return status;
            }
            bars[i] = 1;
            alone++;
        }
        if (json_array_size(list) < MOST_LISTED) {
            json_array_append_new(
                list, json_pack("[I,I]", (json_int_t)(i / prep->kx), (json_int_t)(i % prep->kx)));
        }
    }
    json_object_set_new(prep->report, "bad_pixels",
                        json_pack("{s:I,s:I,s:I,s:o}", "repaired", (json_int_t)count - alone,
                                  "dead", (json_int_t)dead, "masked", (json_int_t)alone, "list",
                                  list));
    if (count * 20 > (size_t)pixels) {
        um_warn(prep->ctx,
                "hot-pixels: %zu of %lld pixels are taken for bad: a larger SIGMA finds "
                "fewer",
                count, (long long)pixels);
    }
    return UM_OK;
}

um_status um_learn_hot(um_prep *prep, um_source *source)
{
    const um_recipe *r = prep->recipe;
    if (!um_recipe_has(r, UM_KEY_HOT_PIXELS)) {
        return UM_OK;
    }
    size_t pixels = (size_t)(prep->ky * prep->kx);
    uint8_t *bad = calloc(pixels, 1);
    if (bad == NULL) {
        return um_fail(prep->ctx, UM_ERROR_MEMORY, "hot-pixels: no memory");
    }
    um_status status = UM_OK;
    if (isnan(r->hot_sigma)) {
        float *image = NULL;
        status = um_signal_image(prep, "hot-pixels", r->values[UM_KEY_HOT_PIXELS], &image);
        for (size_t i = 0; status == UM_OK && i < pixels; i++) {
            bad[i] = image[i] != 0;
        }
        free(image);
    } else {
        double *mean = NULL;
        int64_t positions = 0;
        status =
            um_mean_pattern(prep, source, UM_LEVEL_STORED, "finding hot pixels", &mean, &positions);
        if (status == UM_OK) {
            find_bad(mean, prep->ky, prep->kx, r->hot_sigma, (double)positions, bad);
        }
        free(mean);
    }
    if (status == UM_OK) {
        status = make_repairs(prep, bad);
    }
    free(bad);
    return status;
}
