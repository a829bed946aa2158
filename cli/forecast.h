/* What a factorisation will take, told before it starts. */
#ifndef FORECAST_H
#define FORECAST_H

#include "scan.h"

/* The peak resident set, in bytes, when the most budgeted memory held at once will be `peak`. */
int64_t cli_forecast_resident(const cli *c, size_t peak);
/* The answer to --plan: k, what a run cannot do without and will take, and the size of a read. */
UM_CHECK um_status cli_tell_plan(cli *c, const cli_scan *scan, int64_t k, size_t least, int64_t planned);

#endif
