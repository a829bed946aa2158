/* One factorisation from an open scan to files: the steps of `unmix nmf`. */
#ifndef NMF_JOB_H
#define NMF_JOB_H

#include "result.h"

typedef struct nmf_run {
    uint64_t seed;
    um_start start;
    bool converged;
    int64_t iterations;
    double frobenius_error, weighted_error;
} nmf_run;

typedef struct nmf_job {
    cli *c;
    cli_scan scan;
    um_nmf_options options;
    int runs;
    char *report, *checkpoint, *link; /* paths or NULL */
    cli_overview overview;
    um_choose_result *choice; /* how k was chosen, when it was not given */
    nmf_run *run;           /* of all runs */
    int best;               /* index of the one kept */
    um_nmf_result *result;
    json_t *files;
    int64_t planned_bytes; /* forecast of the peak resident set */
    json_t *online;          /* facts of --online; NULL without */
    struct um_online *follower; /* whose patterns are held; or NULL */
    json_t *each; /* of --each: what is told of every scan; NULL without */
} nmf_job;

/* Chooses k if it was not given, and runs. */
UM_CHECK um_status nmf_job_fit(nmf_job *job);
/* Tells what the run would take, in place of it. */
UM_CHECK um_status nmf_job_plan(nmf_job *job);
/* Provenance, models, report; removes the checkpoint. */
UM_CHECK um_status nmf_job_store(nmf_job *job);
UM_CHECK um_status nmf_job_tell(nmf_job *job);
/* --online: whether it can be done; then follows the file to its end: the job then holds the scan and the patterns whose
 * loadings nmf_job_fit() finds. */
UM_CHECK um_status nmf_online_check(nmf_job *job, bool is_variant);
UM_CHECK um_status nmf_online_follow(nmf_job *job);
/* --each: whether it can be done, before the fit; a result and a page per scan; a table of shares. */
UM_CHECK um_status nmf_each_check(nmf_job *job);
UM_CHECK um_status nmf_each_store(nmf_job *job);
void nmf_each_say(const nmf_job *job);
void nmf_job_clear(nmf_job *job);

#endif
