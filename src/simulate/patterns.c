/* Built-in end members that look like precession patterns: a direct beam, an inelastic background, and
 * for crystals a lattice of discs whose intensities fall with the scattering angle; with four or more
 * states the last is amorphous: two halos and no spots. */
#include "simulate_internal.h"

#include <math.h>
#include <stdlib.h>

/* Planar nets of a cubic crystal seen along [001], [011], [111] and [112]: lengths in units of the
 * shortest vector of the net, angle between them in degrees. */
typedef struct net {
    double first, second, angle_deg;
} net;
static const net nets[] = {
    {1.0, 1.0, 90.0}, {1.0, 1.0, 70.53}, {1.633, 1.633, 60.0}, {1.0, 1.915, 90.0}};

static const double pi = 3.14159265358979323846;

typedef struct canvas {
    int64_t ky, kx;
    double width;  /* the shorter side, px */
    double radius; /* of a disc, px */
    double *pixels;
} canvas;

/* A disc with an edge about one pixel wide, of total intensity `weight`. */
static void add_disc(const canvas *c, double y, double x, double weight)
{
    double reach = c->radius + 4.0;
    double area = pi * c->radius * c->radius;
    for (int64_t i = (int64_t)fmax(0.0, floor(y - reach)); i < c->ky && (double)i <= y + reach; i++) {
        for (int64_t j = (int64_t)fmax(0.0, floor(x - reach)); j < c->kx && (double)j <= x + reach;
             j++) {
            double r = hypot((double)i - y, (double)j - x);
            c->pixels[i * c->kx + j] += weight / area / (1.0 + exp((r - c->radius) / 0.25));
        }
    }
}

static void add_spots(const canvas *c, int64_t state, uint64_t seed, double weight)
{
    um_random random = {seed, UM_STREAM_PATTERNS};
    const uint64_t own = (uint64_t)state << 32;
    const net *n = &nets[state % 4];
    double turn = pi * um_random_uniform(random, own);
    double unit = c->width * (0.120 + 0.015 * um_random_uniform(random, own + 1));
    double other = turn + n->angle_deg * pi / 180.0;
    double a[2] = {unit * n->first * sin(turn), unit * n->first * cos(turn)};
    double b[2] = {unit * n->second * sin(other), unit * n->second * cos(other)};
    double falloff = 0.26 * c->width;
    for (int h = -20; h <= 20; h++) {
        for (int k = -20; k <= 20; k++) {
            double dy = h * a[0] + k * b[0];
            double dx = h * a[1] + k * b[1];
            double g = hypot(dy, dx) / falloff;
            if ((h == 0 && k == 0) || g > 3.0) {
                continue;
            }
            /* g and -g have the same intensity. */
            int sign = h > 0 || (h == 0 && k > 0) ? 1 : -1;
            uint64_t key = (uint64_t)((sign * h + 32) * 64 + sign * k + 32);
            double normal[2];
            um_random_normal2(random, own + 16 + key, normal);
            double strength = exp(-g * g + 0.6 * normal[0]);
            add_disc(c, (double)(c->ky / 2) + dy, (double)(c->kx / 2) + dx, weight * strength);
        }
    }
}

/* Adds shape(distance from the beam in widths) so that it sums to `weight`. */
static void add_radial(const canvas *c, double (*shape)(double), double weight)
{
    double sum = 0.0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < c->ky; i++) {
            for (int64_t j = 0; j < c->kx; j++) {
                double value =
                    shape(hypot((double)(i - c->ky / 2), (double)(j - c->kx / 2)) / c->width);
                if (pass == 0) {
                    sum += value;
                } else {
                    c->pixels[i * c->kx + j] += weight * value / sum;
                }
            }
        }
    }
}

static double inelastic(double r)
{
    return 1.0 / (1.0 + (r / 0.09) * (r / 0.09)) + 0.01;
}

static double halos(double r)
{
    double first = (r - 0.17) / 0.028;
    double second = (r - 0.30) / 0.045;
    return exp(-0.5 * first * first) + 0.35 * exp(-0.5 * second * second);
}

static void normalise(const double *pixels, int64_t count, float *pattern)
{
    double sum = 0.0;
    for (int64_t q = 0; q < count; q++) {
        sum += pixels[q];
    }
    for (int64_t q = 0; q < count; q++) {
        pattern[q] = (float)(pixels[q] / sum);
    }
}

/* Scales what was added since `pixels` was zero to sum to `weight`. */
static void scale_to(double *pixels, int64_t count, double weight)
{
    double sum = 0.0;
    for (int64_t q = 0; q < count; q++) {
        sum += pixels[q];
    }
    for (int64_t q = 0; sum > 0.0 && q < count; q++) {
        pixels[q] *= weight / sum;
    }
}

static void draw_state(const canvas *c, int64_t state, bool amorphous, uint64_t seed)
{
    if (amorphous) {
        add_radial(c, halos, 0.30);
    } else {
        add_spots(c, state, seed, 1.0);
        scale_to(c->pixels, c->ky * c->kx, 0.35);
    }
    add_radial(c, inelastic, 0.20);
    add_disc(c, (double)(c->ky / 2), (double)(c->kx / 2), 0.45);
}

um_status um_simulate_patterns(um_context *ctx, int64_t states, int64_t ky, int64_t kx,
                               uint64_t seed, float **patterns)
{
    size_t count = 0;
    if (states < 1 || ky < 1 || kx < 1 || !um_mul4(states, ky, kx, sizeof(float), &count)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT,
                       "built-in patterns: %lld patterns of %lldx%lld pixels are not possible: "
                       "give at least one of each",
                       (long long)states, (long long)ky, (long long)kx);
    }
    int64_t pixels = ky * kx;
    float *all = malloc(count);
    double *one = malloc((size_t)pixels * sizeof *one);
    if (all == NULL || one == NULL) {
        free(all);
        free(one);
        return um_fail(ctx, UM_ERROR_MEMORY, "built-in patterns: no memory for %zu bytes", count);
    }
    double width = (double)(ky < kx ? ky : kx);
    canvas c = {ky, kx, width, fmax(1.0, 0.020 * width), one};
    for (int64_t s = 0; s < states; s++) {
        for (int64_t q = 0; q < pixels; q++) {
            one[q] = 0.0;
        }
        draw_state(&c, s, states >= 4 && s == states - 1, seed);
        normalise(one, pixels, all + s * pixels);
    }
    free(one);
    *patterns = all;
    return UM_OK;
}
