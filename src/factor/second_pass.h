/* Between the two halves of a second pass: the positions (second_pass.c), and components for them (second_more.c). */
#ifndef UM_SECOND_PASS_H
#define UM_SECOND_PASS_H

#include "nmf_family.h"

enum { UM_SECOND_DIRECTIONS = 6, UM_SECOND_LEAST_ROWS = 4 };

typedef struct um_second {
    um_scaled *scaled;
    size_t first, most; /* components: of the first fit, that may be added */
    double *score;      /* n: residual beyond counting noise, in its standard deviations */
    double limit;       /* of the score, from which on a position is taken */
    int32_t *row;       /* n: where a position that is taken goes, or -1 */
    um_sample sample, residual;
    um_sample_view view, flat; /* the positions taken; their residual as a matrix */
    um_nmf_state part;
    float *kept;  /* k x ld: components of the last fit that paid, */
    size_t found; /* and how many of them were added */
    size_t pixels; /* at which the residual of the first fit differs from zero */
} um_second;

size_t um_second_residual_room(size_t rows, size_t m); /* rows of the residual that are held */
/* The components of the first fit and what is added to them, into x->part and x->kept. */
um_status um_second_add(um_second *x, const um_nmf_state *state);

#endif
