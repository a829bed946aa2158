/* The plan of `unmix run`: an INI file whose keys are the options of the commands it runs. */
#ifndef PLAN_H
#define PLAN_H

#include "cli.h"

enum { PLAN_MOST_WORDS = 256, PLAN_MOST_FILES = 1024, PLAN_ROOM = 2 * PLAN_MOST_WORDS + PLAN_MOST_FILES };

typedef struct plan_step {
    bool wanted;                  /* its section is there, or follows from others */
    bool off;                     /* run = no */
    const cli_command *command;
    char *words[PLAN_MOST_WORDS]; /* "--key=value" or "--key" */
    int count;
} plan_step;

typedef enum plan_stage {
    PLAN_IMAGE,
    PLAN_SVD,
    PLAN_CHOOSE,
    PLAN_NMF,
    PLAN_VERIFY,
    PLAN_SEGMENT,
    PLAN_IDENTIFY,
    PLAN_MEASURE,
    PLAN_STAGES
} plan_stage;

typedef struct plan {
    const char *path;
    char *files[PLAN_MOST_FILES];
    char *condition[PLAN_MOST_FILES]; /* of each file; NULL = none is named */
    int file_count;
    int conditions;                   /* sections [condition NAME] */
    plan_step input;                  /* the reading options, given to every step that reads scans */
    plan_step step[PLAN_STAGES];
    bool prep;                        /* there is a [prep] section: the plan is the recipe */
    char *recipe;                     /* its lines, as text */
    bool store_prepared, joint;
    bool hspy, npz;
    char *title, *folder;
} plan;

/* Reads and checks PLAN.ini: sections, keys, and every value by the rules of the commands. */
UM_CHECK um_status plan_read(cli *c, const char *path, plan *out);
void plan_clear(plan *p);
/* Whether a step has this option, "--key" or "--key=value". */
bool plan_has(const plan_step *step, const char *key);
/* The command line of `step` for these operands with the extra words given: parsed into `sub`, which shares the context
 * of `c`. `words` has room for PLAN_ROOM and must outlive sub. */
UM_CHECK um_status plan_command(cli *c, const plan *p, const plan_step *step, const char *const *operands, int operand_count,
                                const char *const *extra, int extra_count, char **words, cli *sub);

#endif
