/* Colour maps, computed: CIE lightness runs linearly, hue and chroma follow a few control points in
 * OKLab (Ottosson 2020). Blue-yellow contrast and a monotone lightness make them safe for the usual
 * colour blindnesses and for black-and-white print. */
#include "image_internal.h"

#include <math.h>

enum { CONTROLS = 9 };

typedef struct color_path {
    double lightness0, lightness1; /* CIE L* */
    double chroma[CONTROLS];
    double hue_deg[CONTROLS];
} color_path;

static const color_path VIRIDIS = {
    .lightness0 = 14,
    .lightness1 = 91,
    .chroma = {0.130, 0.140, 0.122, 0.102, 0.097, 0.112, 0.148, 0.178, 0.187},
    .hue_deg = {322, 302, 275, 243, 204, 171, 148, 126, 106},
};
static const color_path MAGMA = {
    .lightness0 = 1,
    .lightness1 = 97,
    .chroma = {0.022, 0.082, 0.134, 0.150, 0.158, 0.172, 0.152, 0.106, 0.068},
    .hue_deg = {285, 288, 300, 319, 343, 372, 400, 430, 466},
};
static const color_path CIVIDIS = {
    .lightness0 = 13,
    .lightness1 = 92,
    .chroma = {0.094, 0.072, 0.042, 0.018, 0.014, 0.042, 0.080, 0.122, 0.166},
    .hue_deg = {258, 259, 262, 264, 100, 100, 99, 98, 100},
};

static double linear_to_srgb(double v)
{
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static void oklab_to_linear(double l, double a, double b, double rgb[3])
{
    double p = l + 0.3963377774 * a + 0.2158037573 * b;
    double q = l - 0.1055613458 * a - 0.0638541728 * b;
    double r = l - 0.0894841775 * a - 1.2914855480 * b;
    p = p * p * p;
    q = q * q * q;
    r = r * r * r;
    rgb[0] = 4.0767416621 * p - 3.3077115913 * q + 0.2309699292 * r;
    rgb[1] = -1.2684380046 * p + 2.6097574011 * q - 0.3413193965 * r;
    rgb[2] = -0.0041960863 * p - 0.7034186147 * q + 1.7076147010 * r;
}

static bool in_gamut(const double rgb[3])
{
    for (int i = 0; i < 3; i++) {
        if (rgb[i] < -1e-6 || rgb[i] > 1 + 1e-6) {
            return false;
        }
    }
    return true;
}

/* OKLab lightness of the grey with this CIE L*. */
static double from_cie(double lightness)
{
    double y = lightness > 8 ? pow((lightness + 16) / 116, 3) : lightness / 903.3;
    return cbrt(y);
}

/* Chroma gives way where the screen cannot show it; lightness and hue stay. */
static void oklch_to_rgb(double lightness, double chroma, double hue_deg, uint8_t out[3])
{
    double h = hue_deg * acos(-1.0) / 180;
    double rgb[3];
    oklab_to_linear(lightness, chroma * cos(h), chroma * sin(h), rgb);
    if (!in_gamut(rgb)) {
        double inside = 0;
        double outside = chroma;
        for (int i = 0; i < 20; i++) {
            double middle = 0.5 * (inside + outside);
            oklab_to_linear(lightness, middle * cos(h), middle * sin(h), rgb);
            if (in_gamut(rgb)) {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        oklab_to_linear(lightness, inside * cos(h), inside * sin(h), rgb);
    }
    for (int i = 0; i < 3; i++) {
        double v = linear_to_srgb(fmin(fmax(rgb[i], 0), 1));
        out[i] = (uint8_t)lround(255 * v);
    }
}

/* Catmull-Rom through equally spaced controls. */
static double interpolate(const double *y, double t)
{
    double position = t * (CONTROLS - 1);
    int i = (int)position;
    if (i > CONTROLS - 2) {
        i = CONTROLS - 2;
    }
    double f = position - i;
    double p1 = y[i];
    double p2 = y[i + 1];
    double p0 = i > 0 ? y[i - 1] : 2 * p1 - p2;
    double p3 = i < CONTROLS - 2 ? y[i + 2] : 2 * p2 - p1;
    return p1 + 0.5 * f * (p2 - p0 + f * (2 * p0 - 5 * p1 + 4 * p2 - p3 +
                                         f * (3 * (p1 - p2) + p3 - p0)));
}

/* Hues may jump by half a turn where the chroma passes through grey, so paths go through the a-b plane. */
static void path_color(const color_path *path, double t, uint8_t rgb[3])
{
    double a[CONTROLS];
    double b[CONTROLS];
    for (int i = 0; i < CONTROLS; i++) {
        double h = path->hue_deg[i] * acos(-1.0) / 180;
        a[i] = path->chroma[i] * cos(h);
        b[i] = path->chroma[i] * sin(h);
    }
    double at = interpolate(a, t);
    double bt = interpolate(b, t);
    double lightness = path->lightness0 + t * (path->lightness1 - path->lightness0);
    oklch_to_rgb(from_cie(lightness), hypot(at, bt), atan2(bt, at) * 180 / acos(-1.0), rgb);
}

/* Blue through white to orange-red, equally dark at both ends. */
static void diverging_color(double t, uint8_t rgb[3])
{
    double side = fabs(2 * t - 1);
    double lightness = from_cie(100 - 68 * side);
    double chroma = 0.165 * sin(acos(-1.0) / 2 * fmin(1, 1.25 * side));
    oklch_to_rgb(lightness, chroma, t < 0.5 ? 255 : 36, rgb);
}

void um_color(um_colors colors, double t, uint8_t rgb[3])
{
    if (isnan(t)) {
        rgb[0] = rgb[1] = rgb[2] = 128;
        return;
    }
    t = fmin(fmax(t, 0), 1);
    switch (colors) {
    case UM_COLORS_VIRIDIS:
        path_color(&VIRIDIS, t, rgb);
        return;
    case UM_COLORS_MAGMA:
        path_color(&MAGMA, t, rgb);
        return;
    case UM_COLORS_CIVIDIS:
        path_color(&CIVIDIS, t, rgb);
        return;
    case UM_COLORS_DIVERGING:
        diverging_color(t, rgb);
        return;
    case UM_COLORS_GRAY:
        break;
    }
    oklch_to_rgb(from_cie(100 * t), 0, 0, rgb);
}
