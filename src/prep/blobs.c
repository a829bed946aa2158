/* Reflections of the mean pattern as blobs: maxima of the scale-normalised Laplacian of Gaussian.
 */
#include "steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCALES = 15 }; /* sigma 1, 2 .. 15 px */

typedef struct blob_work {
    int64_t ky, kx;
    float *image, *between, *room, *smooth;
    float *response[SCALES]; /* -sigma^2 * Laplacian: positive in bright blobs */
} blob_work;

static void free_work(blob_work *w)
{
    free(w->image);
    free(w->between);
    free(w->room);
    free(w->smooth);
    for (int s = 0; s < SCALES; s++) {
        free(w->response[s]);
    }
}

static um_status make_work(um_context *ctx, blob_work *w)
{
    size_t pixels = (size_t)(w->ky * w->kx);
    w->image = calloc(pixels, sizeof(float));
    w->between = calloc(pixels, sizeof(float));
    w->smooth = calloc(pixels, sizeof(float));
    um_gauss widest = {.radius = 4 * SCALES + 1};
    w->room = calloc(um_gauss_room(&widest, w->ky, w->kx), sizeof(float));
    bool good = w->image != NULL && w->between != NULL && w->smooth != NULL && w->room != NULL;
    for (int s = 0; s < SCALES; s++) {
        w->response[s] = calloc(pixels, sizeof(float));
        good = good && w->response[s] != NULL;
    }
    return good ? UM_OK : um_fail(ctx, UM_ERROR_MEMORY, "mask-auto: no memory");
}

static int64_t near_index(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static um_status respond(const um_prep *prep, blob_work *w, int scale)
{
    um_gauss gauss = {0};
    double sigma = scale + 1;
    UM_TRY(um_gauss_make(prep->ctx, sigma, &gauss));
    um_gauss_apply(prep->kernels, &gauss, w->image, w->ky, w->kx, w->between, w->room, w->smooth);
    free(gauss.weights);
    for (int64_t i = 0; i < w->ky * w->kx; i++) {
        int64_t y = i / w->kx;
        int64_t x = i % w->kx;
        float around = w->smooth[near_index(y - 1, w->ky) * w->kx + x] +
                       w->smooth[near_index(y + 1, w->ky) * w->kx + x] +
                       w->smooth[y * w->kx + near_index(x - 1, w->kx)] +
                       w->smooth[y * w->kx + near_index(x + 1, w->kx)];
        w->response[scale][i] = (float)(sigma * sigma) * (4 * w->smooth[i] - around);
    }
    return UM_OK;
}

/* Greatest of its 26 neighbours in (scale, y, x); of equals the first counts. */
static bool is_top(const blob_work *w, int scale, int64_t i)
{
    float v = w->response[scale][i];
    int64_t y = i / w->kx;
    int64_t x = i % w->kx;
    for (int s = scale - 1; s <= scale + 1; s++) {
        for (int64_t j = y - 1; j <= y + 1; j++) {
            for (int64_t k = x - 1; k <= x + 1; k++) {
                if (s < 0 || s >= SCALES || j < 0 || j >= w->ky || k < 0 || k >= w->kx) {
                    continue;
                }
                float other = w->response[s][j * w->kx + k];
                bool earlier = s < scale || (s == scale && j * w->kx + k < i);
                if (other > v || (other == v && earlier)) {
                    return false;
                }
            }
        }
    }
    return true;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a;
    float y = *(const float *)b;
    return (x > y) - (x < y);
}

/* What noise reaches in a response: six robust standard deviations. */
static float noise_level(const blob_work *w, int scale)
{
    size_t pixels = (size_t)(w->ky * w->kx);
    for (size_t i = 0; i < pixels; i++) {
        w->smooth[i] = fabsf(w->response[scale][i]);
    }
    qsort(w->smooth, pixels, sizeof *w->smooth, compare_floats);
    return 6 * 1.4826F * w->smooth[pixels / 2];
}

static void draw_blobs(um_prep *prep, const blob_work *w, uint8_t *fine)
{
    float most = 0;
    for (int s = 0; s < SCALES; s++) {
        for (int64_t i = 0; i < w->ky * w->kx; i++) {
            most = w->response[s][i] > most ? w->response[s][i] : most;
        }
    }
    float threshold = (float)prep->recipe->auto_threshold * most;
    json_t *list = json_array();
    for (int s = 0; s < SCALES; s++) {
        float noise = noise_level(w, s);
        for (int64_t i = 0; i < w->ky * w->kx; i++) {
            if (w->response[s][i] > fmaxf(threshold, noise) && is_top(w, s, i)) {
                um_ring disc = {(double)(i / w->kx), (double)(i % w->kx), 0,
                                fmax(8, 1.41 * (s + 1))};
                um_mask_add_ring(fine, w->ky, w->kx, disc);
                json_array_append_new(list, json_pack("[f,f,f]", disc.cy, disc.cx, disc.outer_px));
            }
        }
    }
    json_object_set_new(prep->report, "mask_auto_discs", list);
}

um_status um_mask_blobs(um_prep *prep, um_source *source, uint8_t *fine)
{
    blob_work w = {.ky = prep->ky, .kx = prep->kx};
    double *mean = NULL;
    int64_t positions = 0;
    UM_TRY(
        um_mean_pattern(prep, source, UM_LEVEL_PREPARED, "finding reflections", &mean, &positions));
    um_status status = make_work(prep->ctx, &w);
    for (int64_t i = 0; status == UM_OK && i < w.ky * w.kx; i++) {
        w.image[i] = mean[i] > 0 ? (float)sqrt(mean[i]) : 0; /* weak reflections beside the beam */
    }
    for (int s = 0; status == UM_OK && s < SCALES; s++) {
        status = respond(prep, &w, s);
    }
    if (status == UM_OK) {
        draw_blobs(prep, &w, fine);
    }
    free_work(&w);
    free(mean);
    return status;
}
