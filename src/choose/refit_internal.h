/* Parts of fitting a result's components again: see unmix/stability.h. */
#ifndef UM_REFIT_INTERNAL_H
#define UM_REFIT_INTERNAL_H

#include "choose_internal.h"
#include "evidence_internal.h"

typedef struct um_refit {
    um_model *model;
    um_evidence *evidence;
    um_sums sums;      /* borrowed from the model or from `made` */
    um_sums *made;
    um_scaled scaled;  /* of the scan */
    um_scaled part;    /* of the sample; u is its own, v that of the scan */
    um_sample sample;
    double unit;       /* value of a count; 0 = values are no counts */
    size_t k;
    float *h;          /* k x ld: patterns of the result in the scaled space */
    double *total;     /* k: sums of the patterns in the units of the result */
    double *cosine;    /* k x k */
    int64_t *assigned; /* k */
} um_refit;

/* Largest number of positions that are fitted again. */
size_t um_refit_rows(size_t n, size_t m);
/* Takes the sample in one read: all positions, or those where each component is strongest and some of the others. */
um_status um_refit_take(um_refit *r);
/* Counts that component c of the result has at a position. */
double um_refit_counts(const um_refit *r, size_t position, size_t c);
int64_t um_refit_strongest(const um_refit *r, size_t position);
/* Components of `h` (k x ld) that belong to those of the result: r->assigned, r->cosine. */
um_status um_refit_match(um_refit *r, const float *h);

um_status um_refit_halves(um_refit *r);
um_status um_refit_starts(um_refit *r);

#endif
