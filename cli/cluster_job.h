/* unmix cluster in parts: what is clustered, and what is told. */
#ifndef CLUSTER_JOB_H
#define CLUSTER_JOB_H

#include "result.h"

typedef struct cluster_job {
    cli *c;
    cli_scan scan; /* IN, or that of --patterns; matrix NULL when there is none */
    cli_overview overview;
    um_svd_result *svd; /* of a scan; owns the model then */
    um_model *model;
    int64_t dims; /* loadings used */
    um_features *features;
    um_clustering *clusters;
    int64_t low, high;    /* of -n auto; 0 when the number was given */
    um_cluster_row *rows; /* its table */
    double *gap, *gap_error; /* of its rows, or NULL */
    double silhouette, *silhouette_of;
    double *patterns;
    char *report;
    json_t *files;
} cluster_job;

/* Loads the result or decomposes the scan, and makes the points. */
UM_CHECK um_status cluster_job_points(cluster_job *job);
UM_CHECK um_status cluster_job_run(cluster_job *job);
UM_CHECK um_status cluster_job_patterns(cluster_job *job);
UM_CHECK um_status cluster_job_save(cluster_job *job);
/* Label map, membership maps and patterns in the folder of --pictures. */
UM_CHECK um_status cluster_job_draw(cluster_job *job);
void cluster_job_free(cluster_job *job);

UM_CHECK um_status cluster_job_tell(cluster_job *job);

#endif
