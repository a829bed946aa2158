/* What `unmix run` has finished: stages.json in its folder. */
#ifndef LEDGER_H
#define LEDGER_H

#include "cli.h"

typedef struct ledger {
    char *path;
    json_t *all; /* {"stages": {ID: {key, made, files, result, seconds}}, "started": {ID: key}} */
} ledger;

/* Reads FOLDER/stages.json where there is one; a file that is none of ours is an error. */
UM_CHECK um_status ledger_open(cli *c, const char *folder, ledger *out);
void ledger_close(ledger *l);
bool ledger_is_new(const ledger *l);
/* NULL when stage `id` was finished under this key (command, inputs, stages before it) and its files are as it left them; else
 * the reason why it has to be done, in words. */
const char *ledger_why(const ledger *l, const char *id, const json_t *key, char text[512]);
/* Whether the stage was begun under this key and not finished: a checkpoint of it may be taken up. */
bool ledger_was_interrupted(const ledger *l, const char *id, const json_t *key);
UM_CHECK um_status ledger_start(cli *c, ledger *l, const char *id, const json_t *key);
/* `files` (paths) must be there. Borrows all objects. */
UM_CHECK um_status ledger_finish(cli *c, ledger *l, const char *id, const json_t *key, const json_t *files, json_t *result,
                                 double seconds);
json_t *ledger_result(const ledger *l, const char *id); /* borrowed; NULL */
const char *ledger_made(const ledger *l, const char *id); /* changes whenever the stage is done anew; NULL */
/* Size and time of a file, or of what is in a folder. */
json_t *ledger_facts(const char *path);

#endif
