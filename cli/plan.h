/* The plan of `unmix run`: an INI file whose keys are the options of the commands it runs. */
#ifndef PLAN_H
#define PLAN_H

#include "cli.h"

enum { PLAN_MOST_WORDS = 256, PLAN_MOST_FILES = 1024 };

typedef struct plan_step {
    bool wanted;                  /* its section is there */
    const cli_command *command;
    char *words[PLAN_MOST_WORDS]; /* "--key=value" or "--key" */
    int count;
} plan_step;

typedef struct plan {
    const char *path;
    char *files[PLAN_MOST_FILES];
    int file_count;
    plan_step input, image, svd, nmf; /* input: the reading options, given to every step */
    bool prep;                        /* there is a [prep] section: the plan is the recipe */
    bool store_prepared;
    bool hspy, npz;
    char *folder;
} plan;

/* Reads and checks PLAN.ini: sections, keys, and every value by the rules of the commands. */
UM_CHECK um_status plan_read(cli *c, const char *path, plan *out);
void plan_clear(plan *p);
/* The command line of `step` for input file `i` with the extra words given: parsed into `sub`,
 * which shares the context of `c`. `words` has room for PLAN_MOST_WORDS * 2 and must outlive sub.
 */
UM_CHECK um_status plan_command(cli *c, const plan *p, const plan_step *step, const char *file,
                                const char *const *extra, int extra_count, char **words, cli *sub);

#endif
