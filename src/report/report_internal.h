/* Parts of the HTML report. */
#ifndef UM_REPORT_INTERNAL_H
#define UM_REPORT_INTERNAL_H

#include "base_internal.h"
#include "image_internal.h"
#include "unmix/report.h"

#include <jansson.h>

/* ---- text that grows ------------------------------------------------------------------------------ */

typedef struct um_html {
    um_context *ctx;
    char *text;
    size_t size, room;
    bool failed; /* no memory: everything after is dropped, told at the end */
    int figures; /* numbered so far */
    int ids;     /* handed out so far */
} um_html;

void um_html_put(um_html *html, const char *markup);                       /* as it is */
void um_html_text(um_html *html, const char *text);                        /* escaped */
UM_PRINTF(2, 3) void um_html_format(um_html *html, const char *format, ...); /* as it is */
/* Escaped: for sentences with names in them. */
UM_PRINTF(2, 3) void um_html_say(um_html *html, const char *format, ...);
void um_html_base64(um_html *html, const uint8_t *bytes, size_t count);
void um_html_free(um_html *html);
extern const char um_report_style[];
/* The title goes between the two, and again after: then the heading is open. */
void um_html_open(um_html *html);
void um_html_style(um_html *html);
/* Through PATH.part. */
um_status um_html_save(const um_html *html, const char *path, bool overwrite);

/* ---- figures (inline SVG; pictures are embedded PNG) ---------------------------------------------- */

typedef struct um_figure {
    const double *values; /* ny x nx */
    int64_t ny, nx;
    um_picture_style style; /* low, high, log, mask, scale bar, colour bar */
    double box_width, box_height; /* px on the page that the data may fill; 0 = 300 */
    double step_y;                /* height of a pixel by its width (1 = square, also when 0) */
    const char *alt;              /* says what is seen, for those who cannot see it */
} um_figure;
/* A map or pattern; a single row or column is drawn as a profile. */
um_status um_figure_picture(um_html *html, const um_figure *figure);
/* One horizontal colour bar for pictures that share a range. */
void um_figure_color_bar(um_html *html, const um_range *range, um_colors colors, const char *label,
                         double width);

typedef struct um_series {
    const double *y; /* NaN = gap */
    int64_t count;
    double x0;       /* of the first; the next are 1 apart */
    const char *color;
    bool points, steps;
} um_series;
typedef struct um_mark {
    double at;
    const char *label; /* plain text */
    bool horizontal;
} um_mark;
typedef struct um_chart {
    double width, height;
    const char *label_x, *label_y, *alt;
    bool log_y;
    bool zero; /* the y axis starts at 0 */
    const um_series *series;
    int series_count;
    const um_mark *marks;
    int mark_count;
} um_chart;
void um_chart_draw(um_html *html, const um_chart *chart);
/* Positions by value; `log` counts, so that a rare tail shows. */
void um_chart_histogram(um_html *html, const double *values, int64_t count, double high, double width,
                        double height, const char *label_x, const char *alt);
/* k x k numbers in [0,1] as shaded, numbered cells. */
void um_chart_matrix(um_html *html, const double *values, int64_t k, const char *alt);

/* ---- what is known of a result ------------------------------------------------------------------- */

typedef struct um_facts {
    um_context *ctx;
    um_model *model;
    const um_report_options *options;
    json_t *provenance; /* an object */
    um_shape shape;
    const um_axis *axes;
    int64_t k, positions, pixels; /* positions and pixels: all, excluded ones too */
    const uint8_t *signal_mask, *navigation_mask;
    int64_t masked_pixels, masked_positions;
    bool is_svd;       /* signed components */
    double *pattern;   /* k x pixels; NaN where excluded */
    double *loading;   /* k x positions; NaN where excluded */
    double *share;     /* k: of the modelled signal */
    double *pattern_cosine, *loading_cosine; /* k x k */
    um_beam beam;      /* of the mean pattern, unmasked pixels */
    bool beam_open;    /* the direct beam is there, not masked, and outweighs the rest */
    double cosine_all, cosine_outside; /* mean cosine between patterns, with and without the beam */
    double *noise_ratio; /* positions: residual by what counting noise gives; NULL if not known */
    double ratio_median, ratio_above; /* of those; fraction of positions above 1.2 */
    double beyond_noise; /* share of the squared residual that counting noise does not explain */
} um_facts;

um_status um_facts_make(um_context *ctx, um_model *model, const um_report_options *options,
                        um_facts **out);
void um_facts_free(um_facts *facts);
/* A named array of exactly `count` numbers, or NULL. */
const double *um_facts_array(const um_facts *facts, const char *name, int64_t count);
const double *um_facts_series(const um_facts *facts, const char *name, int64_t *count);
/* The first value with this key, at the top or in an inner object; NULL if none. */
json_t *um_facts_find(const um_facts *facts, const char *key);
double um_facts_number(const um_facts *facts, const char *key); /* NaN if none */
const char *um_facts_text(const um_facts *facts, const char *key); /* NULL if none */

/* A figure of a pattern (signal axes) or of a map (navigation axes), with its calibration. */
um_figure um_figure_of(const um_facts *facts, const double *values, bool pattern);

/* Names groups of components whose cosines are above 0.9, each between `before` and `after` (markup).
 * Returns the number of groups. */
int um_alike_put(um_html *html, const double *cosine, int64_t k, const char *before,
                 const char *after);

/* ---- the page about measured scans ---------------------------------------------------------------- */

/* "#rrggbb" of a phase, the same on all figures of the page. */
void um_phase_color(int32_t phase, char text[8]);
/* A phase that has most of the field is drawn as the ground on which others lie. */
bool um_phase_is_matrix(const um_measure *m, int32_t phase);
/* A coloured square and the name of each phase. */
void um_phase_legend(um_html *html, const um_measure *m);
um_status um_section_phase_maps(um_html *html, const um_measure *m);
void um_section_evolution(um_html *html, const um_measure *m);
void um_section_sizes(um_html *html, const um_measure *m);

/* ---- sections, each silent when it has nothing to show -------------------------------------------- */

void um_section_verdict(um_html *html, const um_facts *facts);
void um_section_summary(um_html *html, const um_facts *facts);
um_status um_section_overview(um_html *html, const um_facts *facts);
void um_section_fit(um_html *html, const um_facts *facts);
um_status um_section_segments(um_html *html, const um_facts *facts);
um_status um_section_clusters(um_html *html, const um_facts *facts);
um_status um_section_components(um_html *html, const um_facts *facts);
void um_section_similarity(um_html *html, const um_facts *facts);
um_status um_section_residual(um_html *html, const um_facts *facts);
um_status um_section_evidence(um_html *html, const um_facts *facts);
void um_section_choice(um_html *html, const um_facts *facts);
void um_section_score(um_html *html, const um_facts *facts);
void um_section_provenance(um_html *html, const um_facts *facts);

#endif
