/* The steps of `unmix run`, each one or more stages. */
#ifndef RUN_STEPS_H
#define RUN_STEPS_H

#include "runner.h"

/* The fit of one scan, or (scan < 0) of all together. */
typedef struct fit {
    int scan;             /* -1: all */
    const char *input;    /* what is read */
    const char *folder;
    char *choose_id, *nmf_id, *verify_id, *result, *other, *checkpoint, *page, *choice, *table, *each;
    char k[24];
} fit;

/* Of scan i: the prepared scan, virtual images, singular values. */
UM_CHECK um_status run_prepared(runner *r, int i);
UM_CHECK um_status run_images(runner *r, int i);
UM_CHECK um_status run_svd(runner *r, int i);
/* The number of components, the factorisation, the evidence; names in `f` are made here, fit_clear() in every case. */
UM_CHECK um_status run_fit(runner *r, fit *f);
void run_fit_clear(fit *f);
/* A file with the name of each scan, as the readers take it: "@...", malloc'ed. */
UM_CHECK um_status run_list(runner *r, char **list);
/* Whether segmentation reads the scans themselves, not the results of the fit. */
bool run_by_dark_fields(const plan *p);
/* The classes of a joint fit are decided once, for all scans: the model `path`. */
UM_CHECK um_status run_classes(runner *r, const fit *f, const char *path);
/* Particles of scan i and their names, from `input` that stage `after` made (NULL: a scan); `like`: the model of classes, or NULL. */
UM_CHECK um_status run_particles(runner *r, int i, const char *input, const char *like, const char *after);
/* Takes the last failure as the answer that scan i has nothing to segment. */
UM_CHECK um_status run_go_without(runner *r, int i);
/* Tables and the report. */
UM_CHECK um_status run_measures(runner *r);

#endif
