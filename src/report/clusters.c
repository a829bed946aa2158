/* The section about clusters of positions: where they are, and what each looks like. */
#include "report_internal.h"

#include "io_internal.h"

#include <math.h>
#include <stdlib.h>

enum { MAP_PX = 420, PATTERN_PX = 170 };

static um_status put_map(um_html *html, const um_facts *f, const double *map)
{
    uint8_t *pixels = NULL;
    uint8_t *png = NULL;
    size_t size = 0;
    int64_t height = 0;
    int64_t width = 0;
    um_status status =
        um_labels_render(f->ctx, map, f->shape.ny, f->shape.nx, MAP_PX, &pixels, &height, &width);
    if (status == UM_OK) {
        status = um_png_encode(f->ctx, height, width, 3, pixels, &png, &size);
    }
    if (status == UM_OK) {
        double scale = (double)MAP_PX / (double)(height > width ? height : width);
        um_html_format(html,
                       "<figure>\n<img width=\"%.0f\" height=\"%.0f\" alt=\"Map of the clusters\" "
                       "src=\"data:image/png;base64,",
                       fmax((double)width * scale, 1), fmax((double)height * scale, 1));
        um_html_base64(html, png, size);
        um_html_format(html, "\">\n<figcaption><b>Figure %d.</b> ", ++html->figures);
        um_html_text(html, "The cluster of each position, in the colours below. Light grey: noise, in no "
                           "cluster. Hatched: excluded.");
        um_html_put(html, "</figcaption>\n</figure>\n");
    }
    free(png);
    free(pixels);
    return status;
}

static um_status put_cluster(um_html *html, const um_facts *f, int64_t c, const double *pattern,
                             double size, double silhouette)
{
    uint8_t rgb[3];
    char alt[64];
    um_figure figure = um_figure_of(f, pattern, true);
    figure.style.colors = UM_COLORS_MAGMA;
    figure.style.log_scale = true;
    figure.style.low = 0;
    figure.box_width = figure.box_height = PATTERN_PX;
    snprintf(alt, sizeof alt, "Mean pattern of cluster %lld", (long long)c);
    figure.alt = alt;
    um_label_color(c, rgb);
    um_html_put(html, "<figure>\n");
    UM_TRY(um_figure_picture(html, &figure));
    um_html_format(html,
                   "<figcaption><svg width=\"12\" height=\"12\" style=\"display:inline\"><rect "
                   "width=\"12\" height=\"12\" fill=\"#%02x%02x%02x\"/></svg> <b>Cluster %lld</b> "
                   "%.0f positions",
                   rgb[0], rgb[1], rgb[2], (long long)c, size);
    if (isfinite(silhouette)) {
        um_html_format(html, ", silhouette %.2f", silhouette);
    }
    um_html_put(html, "</figcaption>\n</figure>\n");
    return UM_OK;
}

static void put_words(um_html *html, const um_facts *f, int64_t n)
{
    json_t *told = json_object_get(f->provenance, "cluster");
    const char *method = json_string_value(json_object_get(told, "method"));
    const char *scaling = json_string_value(json_object_get(told, "scaling"));
    um_html_format(html, "<p>%lld clusters", (long long)n);
    if (method != NULL && scaling != NULL) {
        um_html_say(html, " by %s in %lld features (scaling: %s)", method,
                    (long long)json_integer_value(json_object_get(told, "features")), scaling);
    }
    double silhouette = json_number_value(json_object_get(told, "silhouette"));
    if (json_is_number(json_object_get(told, "silhouette"))) {
        um_html_format(html,
                       "; mean silhouette %.3f (1: apart; 0: touching; negative: a position is nearer "
                       "to another cluster)",
                       silhouette);
    }
    um_html_put(html, ".</p>\n");
}

um_status um_section_clusters(um_html *html, const um_facts *f)
{
    const um_array *number = um_model_array(f->model, "number_of_clusters");
    const double *map = um_facts_array(f, "cluster_map", f->positions);
    double told = number != NULL && um_array_size(number) > 0 ? um_array_get(number, 0) : 0;
    if (map == NULL || !(told >= 1 && told <= (double)f->positions)) { /* files may hold anything */
        return UM_OK;
    }
    int64_t n = (int64_t)told;
    const double *patterns = um_facts_array(f, "cluster_centroid_signals", n * f->pixels);
    const double *sizes = um_facts_array(f, "cluster_sizes", n);
    const double *silhouettes = um_facts_array(f, "cluster_silhouette", n);
    um_html_put(html, "<section>\n<h2>Clusters</h2>\n");
    put_words(html, f, n);
    UM_TRY(put_map(html, f, map));
    um_html_put(html, "<p>Mean pattern of each cluster, logarithmic:</p>\n<div class=\"figures\">\n");
    for (int64_t c = 0; c < n && patterns != NULL && sizes != NULL; c++) {
        UM_TRY(put_cluster(html, f, c, patterns + c * f->pixels, sizes[c],
                           silhouettes != NULL ? silhouettes[c] : NAN));
    }
    um_html_put(html, "</div>\n</section>\n");
    return UM_OK;
}
