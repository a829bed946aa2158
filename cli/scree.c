/* The scree curve as a small SVG drawing: share of the total variance on a log axis. */
#include "result.h"

#include <math.h>
#include <stdlib.h>

enum { WIDTH = 640, HEIGHT = 400, LEFT = 70, RIGHT = 20, TOP = 24, BOTTOM = 50 };

typedef struct frame {
    double low, high; /* decades shown */
    int64_t count;
} frame;

static double at_x(const frame *f, double component)
{
    double span = f->count > 1 ? (double)(f->count - 1) : 1;
    return LEFT + (component - 1) / span * (WIDTH - LEFT - RIGHT);
}

static double at_y(const frame *f, double share)
{
    double t = (log10(share) - f->low) / (f->high - f->low);
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return HEIGHT - BOTTOM - t * (HEIGHT - TOP - BOTTOM);
}

static void axes(FILE *out, const frame *f)
{
    for (int d = (int)ceil(f->low); d <= (int)floor(f->high); d++) {
        double y = at_y(f, pow(10, d));
        fprintf(out,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#ddd'/>"
                "<text x='%d' y='%.1f' text-anchor='end'>1e%d</text>\n",
                LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, d);
    }
    int64_t step = f->count > 12 ? 5 : 1;
    for (int64_t i = 1; i <= f->count; i += i == 1 && step > 1 ? step - 1 : step) {
        fprintf(out, "<text x='%.1f' y='%d' text-anchor='middle'>%lld</text>\n", at_x(f, (double)i),
                HEIGHT - BOTTOM + 18, (long long)i);
    }
    fprintf(out,
            "<text x='%d' y='%d' text-anchor='middle'>component</text>\n"
            "<text transform='translate(16,%d) rotate(-90)' text-anchor='middle'>share of the "
            "total variance</text>\n",
            (WIDTH + LEFT - RIGHT) / 2, HEIGHT - 10, (HEIGHT + TOP - BOTTOM) / 2);
}

static void draw(FILE *out, const double *s, const frame *f, double total, int64_t elbow,
                 double edge)
{
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
            "font-family='sans-serif' font-size='12'>\n"
            "<rect width='100%%' height='100%%' fill='white'/>\n",
            WIDTH, HEIGHT);
    axes(out, f);
    if (isfinite(edge) && edge > 0) {
        double y = at_y(f, edge * edge / total);
        fprintf(out,
                "<line x1='%d' x2='%d' y1='%.1f' y2='%.1f' stroke='#d55e00' stroke-dasharray='6 "
                "4'/><text x='%d' y='%.1f' text-anchor='end' fill='#d55e00'>edge of counting "
                "noise</text>\n",
                LEFT, WIDTH - RIGHT, y, y, WIDTH - RIGHT, y - 5);
    }
    fputs("<polyline fill='none' stroke='#0072b2' points='", out);
    for (int64_t i = 0; i < f->count; i++) {
        fprintf(out, "%.1f,%.1f ", at_x(f, (double)i + 1), at_y(f, s[i] * s[i] / total));
    }
    fputs("'/>\n", out);
    for (int64_t i = 0; i < f->count; i++) {
        bool marked = i + 1 == elbow;
        fprintf(out, "<circle cx='%.1f' cy='%.1f' r='%d' fill='%s' stroke='#0072b2'/>\n",
                at_x(f, (double)i + 1), at_y(f, s[i] * s[i] / total), marked ? 6 : 3,
                marked ? "white" : "#0072b2");
    }
    if (elbow >= 1 && elbow <= f->count) {
        fprintf(out, "<text x='%.1f' y='%.1f'>elbow: %lld</text>\n", at_x(f, (double)elbow) + 10,
                at_y(f, s[elbow - 1] * s[elbow - 1] / total) - 6, (long long)elbow);
    }
    fputs("</svg>\n", out);
}

char *cli_scree_svg(const double *singular_values, int64_t count, double total_variance,
                    int64_t elbow, double noise_edge)
{
    enum { MOST = 30 };
    frame f = {.low = 0, .high = 0, .count = count < MOST ? count : MOST};
    while (f.count > 0 && !(singular_values[f.count - 1] > 0)) {
        f.count--;
    }
    if (f.count == 0 || !(total_variance > 0)) {
        return cli_format("<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>\n");
    }
    double least = singular_values[f.count - 1];
    f.low = fmax(-16, floor(log10(least * least / total_variance)));
    f.low = f.low < -1 ? f.low : -1;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    draw(out, singular_values, &f, total_variance, elbow, noise_edge);
    return fclose(out) == 0 ? text : NULL;
}

/* ---- the number of components ---------------------------------------------------------------- */

/* Components that counting noise cannot explain: the singular values above its edge, down to the
 * last one that also stands clear of its successor. The largest values of pure noise scatter around
 * the edge by about min(N, M)^(-2/3) of it and lie close together, and unevenness of the noise
 * lifts them over it. */
static int64_t above_noise(const um_svd_result *r, const um_matrix_info *info)
{
    double positions = (double)(info->shape.ny * info->shape.nx);
    double pixels = (double)(info->shape.ky * info->shape.kx);
    double clear = 1 + fmax(0.01, 2 * pow(fmin(positions, pixels), -2.0 / 3));
    const double *s = r->singular_values;
    int64_t k = 0;
    while (k + 1 < r->count && s[k] > r->noise_edge) {
        k++;
    }
    while (k > 0 && s[k - 1] < clear * s[k]) {
        k--;
    }
    return k;
}

int64_t cli_evident_k(const um_svd_result *r, const um_matrix_info *info, const char **reason)
{
    int64_t k = isfinite(r->noise_edge) ? above_noise(r, info) : 0;
    *reason = k > 0 ? "singular values that stand clear of counting noise"
                    : "elbow of the scree curve";
    return k > 0 ? k : r->elbow > 0 ? r->elbow : 1;
}
