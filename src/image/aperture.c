/* Apertures: sets of detector pixels named in text. */
#include "image_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static um_status refuse(um_context *ctx, const char *text)
{
    return um_fail(ctx, UM_ERROR_ARGUMENT,
                   "aperture: '%s': write NAME:disc:CY,CX,R or NAME:annulus:CY,CX,R0,R1 or "
                   "NAME:rect:CY,CX,HALF_Y,HALF_X (pixels)",
                   text);
}

/* Exactly `count` finite numbers separated by commas. */
static bool parse_numbers(const char *text, int count, double *out)
{
    for (int i = 0; i < count; i++) {
        char *end = NULL;
        out[i] = strtod(text, &end);
        if (end == text || !isfinite(out[i]) || *end != (i + 1 < count ? ',' : '\0')) {
            return false;
        }
        text = end + 1;
    }
    return true;
}

um_status um_aperture_parse(um_context *ctx, const char *text, um_aperture *out)
{
    *out = (um_aperture){0};
    const char *shape = strchr(text, ':');
    const char *numbers = shape != NULL ? strchr(shape + 1, ':') : NULL;
    if (numbers == NULL || shape == text || (size_t)(shape - text) >= sizeof out->name) {
        return refuse(ctx, text);
    }
    um_aperture a = {.kind = UM_APERTURE_ANNULUS};
    memcpy(a.name, text, (size_t)(shape - text));
    if (strchr(a.name, '/') != NULL || a.name[0] == '.') {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "aperture: '%s': the name becomes a file name and cannot hold '/' or start "
                       "with '.'",
                       text);
    }
    size_t length = (size_t)(numbers - shape - 1);
    double v[4] = {0};
    bool good = false;
    if (length == 4 && memcmp(shape + 1, "disc", 4) == 0) {
        good = parse_numbers(numbers + 1, 3, v);
        a.outer_px = v[2];
    } else if (length == 7 && memcmp(shape + 1, "annulus", 7) == 0) {
        good = parse_numbers(numbers + 1, 4, v);
        a.inner_px = v[2];
        a.outer_px = v[3];
    } else if (length == 4 && memcmp(shape + 1, "rect", 4) == 0) {
        good = parse_numbers(numbers + 1, 4, v) && v[2] >= 0 && v[3] >= 0;
        a.kind = UM_APERTURE_RECTANGLE;
        a.half_y_px = v[2];
        a.half_x_px = v[3];
    }
    if (!good || (a.kind == UM_APERTURE_ANNULUS && !(a.inner_px >= 0 && a.outer_px > a.inner_px))) {
        return refuse(ctx, text);
    }
    a.cy = v[0];
    a.cx = v[1];
    *out = a;
    return UM_OK;
}

bool um_aperture_holds(const um_aperture *a, int64_t y, int64_t x)
{
    double dy = (double)y - a->cy;
    double dx = (double)x - a->cx;
    if (a->kind == UM_APERTURE_RECTANGLE) {
        return fabs(dy) <= a->half_y_px && fabs(dx) <= a->half_x_px;
    }
    double distance = hypot(dy, dx);
    return distance >= a->inner_px && distance < a->outer_px;
}

/* At least half of an aperture's pixels must be there for it to mean what its name says. */
static bool mostly_visible(const um_aperture *a, const uint8_t *mask, int64_t ky, int64_t kx)
{
    int64_t all = 0;
    int64_t seen = 0;
    for (int64_t i = 0; i < ky * kx; i++) {
        if (um_aperture_holds(a, i / kx, i % kx)) {
            all++;
            seen += mask == NULL || mask[i] == 0;
        }
    }
    return all > 0 && 2 * seen >= all;
}

/* Disc as wide as the beam, then rings of equal width out to the nearest edge of the pattern. */
int um_aperture_series(const um_beam *beam, const uint8_t *mask, int64_t ky, int64_t kx,
                       um_aperture series[UM_SERIES])
{
    double reach = fmax(beam->x, (double)(kx - 1) - beam->x);
    if (ky > 1 && kx > 1) {
        reach = fmin(fmin(beam->y, (double)(ky - 1) - beam->y),
                     fmin(beam->x, (double)(kx - 1) - beam->x));
    }
    reach = fmax(reach, 1);
    double inner = fmin(ceil(beam->radius_px) + 1, reach);
    double width = fmax(ceil((reach - inner) / (UM_SERIES - 1)), 2);
    int count = 0;
    for (int i = 0; i < UM_SERIES; i++) {
        um_aperture a = {.cy = beam->y, .cx = beam->x, .outer_px = inner};
        if (i == 0) {
            snprintf(a.name, sizeof a.name, "bright_field");
        } else {
            a.inner_px = inner + (i - 1) * width;
            a.outer_px = a.inner_px + width;
            snprintf(a.name, sizeof a.name, "annular_%.0f_%.0f", a.inner_px, a.outer_px);
        }
        if (a.inner_px < reach && mostly_visible(&a, mask, ky, kx)) {
            series[count++] = a;
        }
    }
    return count;
}
