/* The page that `unmix run` writes over all its scans. */
#ifndef RUN_INDEX_H
#define RUN_INDEX_H

#include "plan.h"

/* HTML from the list of per-scan objects of the run's JSON; malloc'ed. Paths in it are made
 * relative to the folder of the plan. */
char *run_index_html(const plan *p, const json_t *scans);

#endif
