/* The scores of a result for people and for programs. */
#ifndef SCORE_TEXT_H
#define SCORE_TEXT_H

#include "cli.h"

json_t *cli_score_json(const um_score *score);
void cli_score_say(cli *c, const um_score *score);

#endif
