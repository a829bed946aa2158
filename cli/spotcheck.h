/* unmix verify --spotcheck and --verdicts. */
#ifndef SPOTCHECK_H
#define SPOTCHECK_H

#include "cli.h"

/* Draws particles of the segmented result and writes their list. */
UM_CHECK um_status spotcheck_draw(cli *c);
/* Reads the list back and tells the proportions. */
UM_CHECK um_status spotcheck_read(cli *c);

#endif
