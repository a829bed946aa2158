/* The section about segments: where the particles of each class are, overlap shown as mixed colours. */
#include "report_internal.h"

#include "io_internal.h"

#include <math.h>
#include <stdlib.h>

enum { MAP_PX = 460 };

/* Colours of the classes at a position mixed by their fractions; edges of particles dark; outside white, excluded grey. */
static void color_position(const um_facts *f, const double *segments, const double *fractions, int64_t k, int64_t p,
                           uint8_t rgb[3])
{
    const uint8_t *mask = um_model_navigation_mask(f->model);
    double sum[3] = {0, 0, 0};
    double total = 0;
    bool edge = false;
    for (int64_t c = 0; c < k; c++) {
        const double *here = segments + c * f->positions;
        uint8_t own[3];
        if (!(here[p] > 0)) {
            continue;
        }
        um_label_color(c, own);
        double w = fmax(0.05, fractions[c * f->positions + p]);
        for (int i = 0; i < 3; i++) {
            sum[i] += w * own[i];
        }
        total += w;
        edge = edge || (p % f->shape.nx > 0 && here[p - 1] != here[p]) || (p >= f->shape.nx && here[p - f->shape.nx] != here[p]);
    }
    for (int i = 0; i < 3; i++) {
        double value = mask != NULL && mask[p] != 0 ? 190 : total > 0 ? sum[i] / total : 255;
        rgb[i] = (uint8_t)(edge ? 0.55 * value : value);
    }
}

static um_status put_map(um_html *html, const um_facts *f, const double *segments, const double *fractions, int64_t k)
{
    int64_t ny = f->shape.ny;
    int64_t nx = f->shape.nx;
    uint8_t *small = malloc((size_t)f->positions * 3);
    uint8_t *png = NULL;
    size_t size = 0;
    if (small == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for a picture");
    }
    for (int64_t p = 0; p < f->positions; p++) {
        color_position(f, segments, fractions, k, p, small + 3 * p);
    }
    um_status status = um_png_encode(f->ctx, ny, nx, 3, small, &png, &size);
    if (status == UM_OK) {
        double scale = (double)MAP_PX / (double)(ny > nx ? ny : nx);
        um_html_format(html,
                       "<figure>\n<img width=\"%.0f\" height=\"%.0f\" style=\"image-rendering:pixelated\" alt=\"Map of the "
                       "particles\" src=\"data:image/png;base64,",
                       fmax((double)nx * scale, 1), fmax((double)ny * scale, 1));
        um_html_base64(html, png, size);
        um_html_format(html, "\">\n<figcaption><b>Figure %d.</b> ", ++html->figures);
        um_html_text(html, "Particles in the colours of their classes. Where crystals lie above one another the colours are mixed "
                           "by their fractions; dark lines part particles. White: no crystal. Grey: excluded.");
        um_html_put(html, "</figcaption>\n</figure>\n");
    }
    free(png);
    free(small);
    return status;
}

static void put_rows(um_html *html, const um_facts *f, const double *segments, int64_t k)
{
    double before = 0;
    um_html_put(html, "<table>\n<tr><th></th><th>class</th><th>particles</th><th>positions</th></tr>\n");
    for (int64_t c = 0; c < k; c++) {
        double last = before;
        int64_t area = 0;
        uint8_t rgb[3];
        for (int64_t p = 0; p < f->positions; p++) {
            last = fmax(last, segments[c * f->positions + p]);
            area += segments[c * f->positions + p] > 0;
        }
        um_label_color(c, rgb);
        um_html_format(html,
                       "<tr><td><svg width=\"12\" height=\"12\" style=\"display:inline\"><rect width=\"12\" height=\"12\" "
                       "fill=\"#%02x%02x%02x\"/></svg></td><td>%lld</td><td>%.0f</td><td>%lld</td></tr>\n",
                       rgb[0], rgb[1], rgb[2], (long long)c, last - before, (long long)area);
        before = last;
    }
    um_html_put(html, "</table>\n");
}

static void put_dropped(um_html *html, const json_t *told)
{
    const json_t *dropped = json_object_get(told, "dropped");
    const json_t *row = NULL;
    size_t i = 0;
    json_array_foreach(dropped, i, row)
    {
        const char *reason = json_string_value(json_object_get(row, "reason"));
        um_html_put(html, i == 0 ? "<p>Dropped: " : "; ");
        um_html_say(html, "component %lld (%s)", (long long)json_integer_value(json_object_get(row, "component")),
                    reason != NULL ? reason : "no reason told");
    }
    um_html_put(html, json_array_size(dropped) > 0 ? ".</p>\n" : "");
}

um_status um_section_segments(um_html *html, const um_facts *f)
{
    int64_t k = um_model_k(f->model);
    const double *segments = um_facts_array(f, "segments", k * f->positions);
    const double *fractions = um_facts_array(f, "fractions", k * f->positions);
    const json_t *told = json_object_get(f->provenance, "segmentation");
    if (segments == NULL || fractions == NULL || !json_is_object(told)) {
        return UM_OK;
    }
    const char *route = json_string_value(json_object_get(told, "route"));
    um_html_put(html, "<section>\n<h2>Particles</h2>\n<p>");
    um_html_say(html, "%lld particles in %lld classes of crystals that diffract alike, by route %s.",
                (long long)json_integer_value(json_object_get(told, "particles")), (long long)k, route != NULL ? route : "?");
    um_html_put(html, "</p>\n");
    UM_TRY(put_map(html, f, segments, fractions, k));
    put_rows(html, f, segments, k);
    put_dropped(html, told);
    um_html_put(html, "</section>\n");
    return UM_OK;
}
