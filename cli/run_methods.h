/* What the report of a run says in words: what limits it, how it was made. */
#ifndef RUN_METHODS_H
#define RUN_METHODS_H

#include "runner.h"

/* Sentences about what limits the result: an array of strings. `fit` is the object of the scan, or of the joint fit, with the
 * results of its stages; NULL when every scan has its own. */
json_t *run_limits(const runner *r, const um_measure *m, const json_t *fit);
/* Paragraphs for a paper; malloc'ed. */
char *run_methods_text(const runner *r, const um_measure *m, const json_t *fit);
/* Every option of every stage with its value, and what segmentation and identification learnt from data (from the provenance
 * of a measured model, may be NULL); malloc'ed. */
char *run_parameters_text(const runner *r, const json_t *provenance);

#endif
