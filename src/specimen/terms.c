/* What lies and scatters at a position of the scan. */
#include "specimen_internal.h"

#include <math.h>

/* The two neighbouring nodes of a value in 0 .. nodes - 1, and the second's share. */
static void between(double at, int nodes, int node[2], double share[2])
{
    at = fmax(0.0, fmin(at, (double)(nodes - 1)));
    node[0] = (int)at;
    node[1] = node[0] + 1 < nodes ? node[0] + 1 : node[0];
    share[1] = node[1] > node[0] ? at - (double)node[0] : 0.0;
    share[0] = 1.0 - share[1];
}

static int grain_terms(const um_grain *g, const um_piece *piece, um_term *terms)
{
    int count = 0, drift[2], thick[2];
    double of_drift[2], of_thick[2];
    if (g->phase < 0) {
        terms[0] = (um_term){g->slot, piece->thickness_nm / g->thickest_nm};
        return 1;
    }
    between(piece->path * (double)(g->drift_nodes - 1), g->drift_nodes, drift, of_drift);
    /* Node -1 is no thickness and no pattern. */
    double at = piece->thickness_nm / g->thickest_nm * (double)g->thickness_nodes;
    between(at, g->thickness_nodes + 1, thick, of_thick);
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 2; k++) {
            double mix = of_drift[i] * of_thick[k];
            if (mix > 0.0 && thick[k] > 0) {
                terms[count++] = (um_term){g->slot + (int64_t)drift[i] * g->thickness_nodes + thick[k] - 1, mix};
            }
        }
    }
    return count;
}

/* Pieces at a point, film included, and their terms; -1: too many. */
static int point_terms(const um_specimen *s, double x_nm, double y_nm, um_column *column, um_term *terms)
{
    int count = 0;
    column->count = 0;
    s->column(s, x_nm, y_nm, column);
    if (s->film >= 0 && column->count < UM_MOST_PIECES) {
        column->piece[column->count++] = (um_piece){s->film, s->film_nm, 0.5};
    } else if (s->film >= 0) {
        return -1;
    }
    if (column->count > UM_MOST_PIECES) {
        return -1;
    }
    for (int i = 0; i < column->count; i++) {
        count += grain_terms(&s->grain[column->piece[i].grain], &column->piece[i], terms + count);
    }
    return count;
}

static bool add_piece(um_column *mean, const um_piece *piece, double share)
{
    int i = 0;
    while (i < mean->count && (mean->piece[i].grain != piece->grain || mean->piece[i].path != piece->path)) {
        i++;
    }
    if (i == UM_MOST_PIECES) {
        return false;
    }
    if (i == mean->count) {
        mean->piece[mean->count++] = (um_piece){piece->grain, 0.0, piece->path};
    }
    mean->piece[i].thickness_nm += share * piece->thickness_nm;
    return true;
}

/* Fails when terms would be more than there is room for, one being kept for the diffuse part. */
static bool add_term(um_term *mean, int *count, const um_term *term, double share)
{
    int i = 0;
    while (i < *count && mean[i].slot != term->slot) {
        i++;
    }
    if (i == UM_MOST_TERMS - 1) {
        return false;
    }
    if (i == *count) {
        mean[(*count)++] = (um_term){term->slot, 0.0};
    }
    mean[i].mix += share * term->mix;
    return true;
}

/* Over the step: points of a Fibonacci lattice, whose distances from any line across the step are spread evenly. */
static int mean_terms(const um_specimen *s, double x_nm, double y_nm, um_column *mean, um_term *terms)
{
    enum { POINTS = 55, TURN = 34 };
    int count = 0;
    mean->count = 0;
    for (int i = 0; i < POINTS; i++) {
        um_column column;
        um_term own[UM_MOST_TERMS];
        double across = ((double)i + 0.5) / POINTS - 0.5;
        double down = ((double)(i * TURN % POINTS) + 0.5) / POINTS - 0.5;
        int found = point_terms(s, x_nm + across * s->step_nm, y_nm + down * s->step_nm, &column, own);
        bool room = found >= 0;
        for (int k = 0; room && k < column.count; k++) {
            room = add_piece(mean, &column.piece[k], 1.0 / POINTS);
        }
        for (int k = 0; room && k < found; k++) {
            room = add_term(terms, &count, &own[k], 1.0 / POINTS);
        }
        if (!room) {
            return -1;
        }
    }
    return count;
}

int um_specimen_terms(const um_specimen *s, int64_t y, int64_t x, um_column *column, um_term *terms)
{
    /* Rows go down, y goes up. */
    double x_nm = ((double)x - 0.5 * (double)(s->nx - 1)) * s->step_nm;
    double y_nm = (0.5 * (double)(s->ny - 1) - (double)y) * s->step_nm;
    bool fine = um_specimen_is_fine(s, x_nm, y_nm);
    int count = fine ? mean_terms(s, x_nm, y_nm, column, terms) : point_terms(s, x_nm, y_nm, column, terms);
    double thickness = 0.0;
    for (int i = 0; count >= 0 && i < column->count; i++) {
        thickness += column->piece[i].thickness_nm;
    }
    if (count >= 0 && s->diffuse_nm > 0.0 && thickness > 0.0) {
        terms[count++] = (um_term){UM_DIFFUSE_SLOT, thickness / s->diffuse_nm};
    }
    return count;
}
