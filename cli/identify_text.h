/* What unmix identify tells. */
#ifndef IDENTIFY_TEXT_H
#define IDENTIFY_TEXT_H

#include "cli.h"

json_t *cli_identify_json(const um_identification *id);
void cli_identify_say(cli *c, const um_identification *id);

#endif
