/* One row per particle: the positions that hold one number in `segments`. */
#include "measure_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Sums over the positions of one particle. */
typedef struct tally {
    double fraction, loading, content;
    double yy, xx, xy; /* second moments about the mean */
    int64_t loadings;
    double nearest; /* square distance of the position at (at_y, at_x) from the mean, px */
} tally;

typedef struct gathering {
    const um_measure_view *v;
    int64_t most;        /* largest number in `segments` */
    um_measured *row;    /* by number; positions 0 = none */
    tally *sums;
} gathering;

static int64_t number_at(const um_measure_view *v, int64_t component, int64_t p)
{
    double s = v->segments[component * v->ny * v->nx + p];
    return s > 0.0 && um_view_uses(v, p) ? (int64_t)s : 0;
}

static um_status check_numbers(gathering *g)
{
    const um_measure_view *v = g->v;
    int64_t n = v->ny * v->nx;
    for (int64_t i = 0; i < v->k * n; i++) {
        double s = v->segments[i];
        if (isnan(s)) {
            continue;
        }
        if (s < 0.0 || s != floor(s) || s > (double)(v->k * n)) {
            return um_fail(v->ctx, UM_ERROR_VALUE,
                           "%s: `segments` holds %g at component %lld, position %lld: numbers of particles are 1, 2, ... and "
                           "0 for none",
                           v->name, s, (long long)(i / n), (long long)(i % n));
        }
        g->most = (int64_t)s > g->most ? (int64_t)s : g->most;
    }
    return UM_OK;
}

static int border_at(const um_measure_view *v, int64_t y, int64_t x)
{
    int border = (y == 0 ? UM_BORDER_TOP : 0) | (x == 0 ? UM_BORDER_LEFT : 0) |
                 (y == v->ny - 1 ? UM_BORDER_BOTTOM : 0) | (x == v->nx - 1 ? UM_BORDER_RIGHT : 0);
    int64_t p = y * v->nx + x;
    bool beside = (y > 0 && !um_view_uses(v, p - v->nx)) || (y < v->ny - 1 && !um_view_uses(v, p + v->nx)) ||
                  (x > 0 && !um_view_uses(v, p - 1)) || (x < v->nx - 1 && !um_view_uses(v, p + 1));
    return border | (beside ? UM_BORDER_EXCLUDED : 0);
}

static um_status take_position(gathering *g, int64_t component, int64_t p, int64_t number)
{
    const um_measure_view *v = g->v;
    um_measured *r = &g->row[number];
    tally *t = &g->sums[number];
    int64_t y = p / v->nx;
    int64_t x = p % v->nx;
    if (r->positions == 0) {
        *r = (um_measured){.id = number, .component = (int32_t)component, .y0 = y, .x0 = x, .y1 = y, .x1 = x};
    } else if (r->component != (int32_t)component) {
        return um_fail(v->ctx, UM_ERROR_VALUE, "%s: `segments` uses the number %lld in components %d and %lld: numbers "
                                               "belong to one particle each",
                       v->name, (long long)number, (int)r->component, (long long)component);
    }
    r->positions++;
    r->y_px += (double)y;
    r->x_px += (double)x;
    r->y1 = y;
    r->x0 = x < r->x0 ? x : r->x0;
    r->x1 = x > r->x1 ? x : r->x1;
    r->border |= border_at(v, y, x);
    double fraction = um_view_fraction(v, component, p);
    float loading = v->loadings[p * v->k + component];
    t->fraction += fraction;
    t->content += fraction * um_view_depth(v, p);
    if (isfinite(loading)) {
        t->loading += (double)loading;
        t->loadings++;
    }
    return UM_OK;
}

static um_status sum_up(gathering *g)
{
    const um_measure_view *v = g->v;
    int64_t n = v->ny * v->nx;
    for (int64_t c = 0; c < v->k; c++) {
        UM_TRY(um_check_cancel(v->ctx));
        for (int64_t p = 0; p < n && v->phase_of[c] >= 0; p++) {
            int64_t number = number_at(v, c, p);
            if (number > 0) {
                UM_TRY(take_position(g, c, p, number));
            }
        }
    }
    for (int64_t i = 1; i <= g->most; i++) {
        if (g->row[i].positions > 0) {
            g->row[i].y_px /= (double)g->row[i].positions;
            g->row[i].x_px /= (double)g->row[i].positions;
        }
    }
    return UM_OK;
}

static void add_moments(const um_measure_view *v, int64_t p, um_measured *r, tally *t)
{
    double dy = (double)(p / v->nx) - r->y_px;
    double dx = (double)(p % v->nx) - r->x_px;
    if (dy * dy + dx * dx < t->nearest) {
        t->nearest = dy * dy + dx * dx;
        r->at_y = p / v->nx;
        r->at_x = p % v->nx;
    }
    t->yy += dy * dy * v->step_y * v->step_y;
    t->xx += dx * dx * v->step_x * v->step_x;
    t->xy += dy * dx * v->step_y * v->step_x;
}

static void sum_moments(gathering *g)
{
    const um_measure_view *v = g->v;
    for (int64_t i = 1; i <= g->most; i++) {
        g->sums[i].nearest = INFINITY;
    }
    for (int64_t c = 0; c < v->k; c++) {
        for (int64_t p = 0; p < v->ny * v->nx && v->phase_of[c] >= 0; p++) {
            int64_t number = number_at(v, c, p);
            if (number > 0) {
                add_moments(v, p, &g->row[number], &g->sums[number]);
            }
        }
    }
}

/* A particle that crosses the border of a field belongs to its neighbours as well: over fields side by side these
 * weights of one particle sum to 1. */
static double counting_weight(int border)
{
    const int ends[2][2] = {{UM_BORDER_TOP, UM_BORDER_BOTTOM}, {UM_BORDER_LEFT, UM_BORDER_RIGHT}};
    double weight = 1.0;
    for (int i = 0; i < 2; i++) {
        bool first = (border & ends[i][0]) != 0;
        bool last = (border & ends[i][1]) != 0;
        weight *= first && last ? 0.0 : first || last ? 0.5 : 1.0;
    }
    return weight;
}

/* A square position has second moments of its own: step^2 / 12. A rectangle of side L has L^2 / 12. */
static void find_shape(const um_measure_view *v, const tally *t, um_measured *r)
{
    double n = (double)r->positions;
    double yy = t->yy / n + v->step_y * v->step_y / 12.0;
    double xx = t->xx / n + v->step_x * v->step_x / 12.0;
    double xy = t->xy / n;
    double middle = 0.5 * (xx + yy);
    double apart = hypot(0.5 * (xx - yy), xy);
    r->area_nm2 = n * v->step_y * v->step_x;
    r->diameter_nm = sqrt(4.0 * r->area_nm2 / M_PI);
    r->length_nm = sqrt(12.0 * (middle + apart));
    r->width_nm = sqrt(12.0 * fmax(middle - apart, 0.0));
    double angle = 0.5 * atan2(-2.0 * xy, xx - yy) * 180.0 / M_PI; /* y runs down */
    r->angle_deg = apart > 1e-9 * middle ? (angle <= -90.0 ? angle + 180.0 : angle) : NAN;
}

static void finish_row(const um_measure_view *v, const tally *t, int32_t scan, um_measured *r)
{
    find_shape(v, t, r);
    r->scan = scan;
    r->phase = v->phase_of[r->component];
    r->mean_fraction = v->fractions != NULL ? t->fraction / (double)r->positions : NAN;
    r->mean_loading = t->loadings > 0 ? t->loading / (double)t->loadings : NAN;
    bool thick = v->input->thickness_map != NULL || isfinite(v->input->thickness_nm);
    r->content = t->content;
    r->volume_nm3 = thick ? t->content * v->step_y * v->step_x : NAN;
    r->weight = counting_weight(r->border);
}

static um_status append(um_measure *m, const gathering *g, int32_t scan)
{
    int64_t found = 0;
    for (int64_t i = 1; i <= g->most; i++) {
        found += g->row[i].positions > 0;
    }
    um_measured *grown = realloc(m->particle, (size_t)(m->particles + found + 1) * sizeof *grown);
    if (grown == NULL) {
        return um_fail(m->ctx, UM_ERROR_MEMORY, "no memory for %lld particles", (long long)(m->particles + found));
    }
    m->particle = grown;
    for (int64_t i = 1; i <= g->most; i++) {
        if (g->row[i].positions > 0) {
            finish_row(g->v, &g->sums[i], scan, &g->row[i]);
            m->particle[m->particles++] = g->row[i];
        }
    }
    return UM_OK;
}

um_status um_measure_particles(um_measure *m, const um_measure_view *v, int32_t scan)
{
    gathering g = {.v = v};
    UM_TRY(check_numbers(&g));
    um_status status = um_buffer_alloc(m->ctx, (size_t)g.most + 1, sizeof *g.row, "particles", &g.row);
    if (status == UM_OK) {
        status = um_buffer_alloc(m->ctx, (size_t)g.most + 1, sizeof *g.sums, "sums over particles", &g.sums);
    }
    if (status == UM_OK) {
        status = sum_up(&g);
    }
    if (status == UM_OK) {
        sum_moments(&g);
        status = append(m, &g, scan);
    }
    um_buffer_free(m->ctx, g.row);
    um_buffer_free(m->ctx, g.sums);
    return status;
}
