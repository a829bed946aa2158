/* One run of a plan: stages that are done, or kept from an earlier run. */
#ifndef RUNNER_H
#define RUNNER_H

#include "ledger.h"
#include "plan.h"

typedef struct runner {
    cli *c;
    plan plan;
    ledger ledger;
    bool only_plan;   /* tell, do nothing */
    json_t *scans;    /* array: an object per scan, results of its stages by command */
    json_t *study;    /* object: results of stages about all scans together */
    json_t *stages;   /* array: {id, state, why} in their order */
    json_t *digests;  /* by path of a scan */
    json_t *due;      /* set of ids that are not kept */
    json_t *unparted; /* by file: why its particles could not be found */
    char **folder;    /* of each scan */
} runner;

enum { STAGE_MOST_WORDS = 12 };

typedef struct stage {
    const char *id;               /* "segment 12h_1" */
    const plan_step *step;
    const char *const *operands;
    int operand_count;
    const char *words[STAGE_MOST_WORDS]; /* options that the run gives; NULL ends them */
    const char *outputs[4];       /* files; NULL ends them */
    const char *scan;             /* a scan whose content it depends on; NULL = none */
    const char *const *after;     /* ids of stages whose outputs it reads; NULL ends them; NULL = none */
    const char *checkpoint;       /* where an interrupted one left its state; NULL = nowhere */
    um_status (*work)(runner *r, cli *sub, const struct stage *s, json_t **result); /* NULL: the command itself */
} stage;

/* The name of scan i in the folder; the object that its results go to (i < 0: those of all scans together); the id of its stage of
 * this command, malloc'ed. */
const char *runner_name(const runner *r, int i);
json_t *runner_object(const runner *r, int i);
char *runner_id(const runner *r, const char *command, int i);
/* Does the stage or keeps it; its JSON goes to object[key]. */
UM_CHECK um_status runner_stage(runner *r, const stage *s, json_t *object, const char *key);

/* run_report.c: the page about everything, from the measured models. */
UM_CHECK um_status run_report_write(runner *r, cli *sub, const stage *s, json_t **result);
/* run_example.c: simulated scans and a plan for them. */
UM_CHECK um_status run_example(cli *c, const char *folder);

#endif
