/* unmix/report.h - a self-contained HTML page about a result: something one attaches to a paper. */
#ifndef UNMIX_REPORT_H
#define UNMIX_REPORT_H

#include "unmix/choose.h"
#include "unmix/evidence.h"
#include "unmix/measure.h"
#include "unmix/model.h"
#include "unmix/verify.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct um_report_options {
    const char *title;       /* NULL = from the input's name */
    const um_score *score;   /* against a truth, may be NULL */
    const um_evidence *evidence; /* cards of the components, tests of the residual; may be NULL */
    const um_choose_result *choice; /* how the number of components was chosen; may be NULL */
    const char *const *notes; /* lines shown at the top, may be NULL */
    int note_count;
    bool overwrite;
} um_report_options;

/* Mean and maximum pattern, virtual bright field, scree, every component (pattern on a log scale with
 * the mask shown, loading map with scale bar), residual map and pattern, numbers of the fit, provenance, how to
 * reproduce. Pictures are embedded; no network, no scripts needed. Atomic. */
UM_CHECK UM_API um_status um_report_write(um_context *ctx, um_model *model, const char *path,
                                          const um_report_options *options);

/* A page about the choice of k: the answer and why, one figure (singular values against the edge of noise, deviance of
 * held-out counts, components that come back), the table, and how to read it. Atomic. */
typedef struct um_choice_page {
    const char *scan;    /* name of the scan, as told to people */
    um_shape shape;
    const char *command; /* that makes it again, or NULL */
    bool overwrite;
} um_choice_page;
UM_CHECK UM_API um_status um_report_choice(um_context *ctx, const um_choose_result *result,
                                           const char *path, const um_choice_page *page);

/* A page about measured scans: the table of conditions, how they change from one to the next (with 95 % intervals), maps of
 * phases and of overlap, histograms of sizes. With `model` (the fit behind them) its evidence cards, and with `methods` a paragraph
 * for a paper. Atomic. */
typedef struct um_series_page {
    const char *title;             /* NULL = "Particles of N scans" */
    const char *const *notes;      /* what limits the result, shown first; may be NULL */
    int note_count;
    um_model *model;               /* may be NULL */
    const um_evidence *evidence;   /* of the model; may be NULL */
    const char *methods;           /* paragraphs parted by a blank line; may be NULL */
    const char *parameters;        /* shown as it is, folded away; may be NULL */
    const char *const *files;      /* paths relative to the page; may be NULL */
    int file_count;
    const char *command;           /* that makes it again; may be NULL */
    bool overwrite;
} um_series_page;
UM_CHECK UM_API um_status um_report_series(um_context *ctx, const um_measure *measure, const char *path,
                                           const um_series_page *page);

#ifdef __cplusplus
}
#endif
#endif
