/* What the factorising commands do with a model: evidence maps, provenance, saving, report. */
#ifndef RESULT_H
#define RESULT_H

#include "scan.h"

#define CLI_MODEL_SUFFIXES ".hspy .npz"

/* Rows of the option tables of commands that make models and write a page about them. */
#define CLI_LAZY_SAFE_OPTION                                                                       \
    {.name = "lazy-safe", .kind = CLI_SWITCH,                                                      \
     .help = "Store factors so that HyperSpy can plot them after a lazy load."}
#define CLI_REPORT_OPTIONS                                                                         \
    {.name = "report", .kind = CLI_FILE, .value = "FILE.html",                                     \
     .help = "Where the report goes; default: beside the first result."},                         \
        {.name = "no-report", .kind = CLI_SWITCH, .help = "Write no report."}

/* Sums of the matrix, and what pictures of the report need, made in as few passes as possible. */
typedef struct cli_overview {
    um_sums *sums;
    double *variance_pattern, *virtual_map; /* NULL for patterns of one row or column */
    bool bright;                            /* the virtual image holds the direct beam */
    um_matrix *matrix;
    int64_t pixels;                         /* in its aperture */
} cli_overview;
/* The same from what a factorisation found on its way, without a read: the aperture for it to sum over (user: an
 * overview whose matrix is set), and then its sums and map, which are taken over. */
um_status cli_overview_aperture(void *user, const um_sums *sums, float *inside);
UM_CHECK um_status cli_overview_take(cli *c, um_matrix *matrix, um_sums **sums, double **virtual_map,
                                     cli_overview *out);
UM_CHECK um_status cli_overview_make(cli *c, cli_scan *scan, cli_overview *out);
void cli_overview_free(cli_overview *overview);
/* Adds the variance pattern and virtual bright field to the model, where they were made. */
UM_CHECK um_status cli_overview_store(const cli_overview *overview, um_model *model);

/* Merges input, recipe, options, command, version, build, seconds and peak into what the model's
 * provenance holds already; `facts` (taken over, may be NULL) wins over both. */
UM_CHECK um_status cli_set_provenance(cli *c, cli_scan *scan, um_model *model, json_t *facts);
/* What the provenance says of an input. */
json_t *cli_json_input(const um_source_info *info, const char *digest);
/* Whether every -o can be written, and at least one is given. */
UM_CHECK um_status cli_check_models(cli *c);
/* Where the report goes by --report, --no-report and the first -o: malloc'ed, NULL for none. Checks that it can. */
UM_CHECK um_status cli_choose_report(cli *c, char **path);
/* Saves to every -o; adds the paths to `files`. `link` as um_save_options.data_link. */
UM_CHECK um_status cli_save_models(cli *c, const um_model *model, bool lazy_safe, const char *link,
                                   json_t *files);
/* um_save_options.data_link for the scan as it was opened, malloc'ed; NULL with a message when it cannot
 * be linked. */
char *cli_data_link(cli *c, const cli_scan *scan);
/* How many components the singular values give evidence for, at least 1, and by which of them. */
int64_t cli_evident_k(const um_svd_result *r, const um_matrix_info *info, const char **reason);
/* A drawing of the scree curve as SVG text, malloc'ed. noise_edge may be NaN. */
char *cli_scree_svg(const double *singular_values, int64_t count, double total_variance,
                    int64_t elbow, double noise_edge);

#endif
