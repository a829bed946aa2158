/* Bodies in a foil or on a film: which of them are where, and the columns through them. */
#include "specimen_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The field in squares, each with the bodies whose outline may come within a step of it, in their order. */
typedef struct um_bins {
    int64_t rows, columns;
    double size_nm, left_nm, bottom_nm;
    int64_t *start; /* rows * columns + 1 */
    int32_t *body;
} um_bins;

void um_bins_free(um_bins *bins)
{
    if (bins != NULL) {
        free(bins->start);
        free(bins->body);
        free(bins);
    }
}

static void range(double from, double to, double origin, double size, int64_t count, int64_t *first, int64_t *last)
{
    *first = (int64_t)fmax(0.0, floor((from - origin) / size));
    *last = (int64_t)fmin((double)count - 1.0, floor((to - origin) / size));
}

/* Counts (list NULL) or lists the bodies of each square. */
static void deal(const um_specimen *s, um_bins *b, int64_t *fill)
{
    for (int64_t i = 0; i < s->bodies; i++) {
        const um_body *body = &s->body[i];
        double rx = um_body_reach(body, 0) + s->step_nm, ry = um_body_reach(body, 1) + s->step_nm;
        int64_t x0 = 0, x1 = 0, y0 = 0, y1 = 0;
        range(body->center_nm[0] - rx, body->center_nm[0] + rx, b->left_nm, b->size_nm, b->columns, &x0, &x1);
        range(body->center_nm[1] - ry, body->center_nm[1] + ry, b->bottom_nm, b->size_nm, b->rows, &y0, &y1);
        for (int64_t y = y0; y <= y1; y++) {
            for (int64_t x = x0; x <= x1; x++) {
                int64_t cell = y * b->columns + x;
                if (fill == NULL) {
                    b->start[cell + 1]++;
                } else {
                    b->body[fill[cell]++] = (int32_t)i;
                }
            }
        }
    }
}

/* A plate of which the surfaces leave a strip is as wide as that. */
static bool is_narrow(const um_specimen *s, const um_body *body)
{
    um_particle p;
    um_body_outline(body, &p);
    double width = p.width_nm, tall = fabs(body->axis[2][2]), flat = sqrt(fmax(0.0, 1.0 - tall * tall));
    if (body->shape == UM_SHAPE_CYLINDER && flat > 1e-3) {
        double reach = um_body_reach(body, 2), z = body->center_nm[2];
        um_span left = um_specimen_in_foil(s, (um_span){z - reach, z + reach});
        if (left.to - left.from < 2.0 * reach) {
            width = fmin(width, fmax(0.0, left.to - left.from) * tall / flat + 2.0 * body->half_nm[2] * flat);
        }
    }
    return width < 2.0 * s->step_nm;
}

um_status um_specimen_index_bodies(um_context *ctx, um_specimen *s)
{
    enum { POSITIONS = 12 }; /* of the scan along a square */
    um_bins *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for the index of bodies");
    }
    s->bins = b;
    for (int64_t i = 0; i < s->bodies; i++) {
        s->body[i].narrow = is_narrow(s, &s->body[i]);
    }
    b->size_nm = POSITIONS * s->step_nm;
    b->rows = s->ny / POSITIONS + 1;
    b->columns = s->nx / POSITIONS + 1;
    b->left_nm = -0.5 * (double)s->nx * s->step_nm;
    b->bottom_nm = -0.5 * (double)s->ny * s->step_nm;
    int64_t cells = b->rows * b->columns;
    b->start = calloc((size_t)cells + 1, sizeof *b->start);
    int64_t *fill = calloc((size_t)cells, sizeof *fill);
    um_status status = b->start != NULL && fill != NULL ? UM_OK : UM_ERROR_MEMORY;
    if (status == UM_OK) {
        deal(s, b, NULL);
        for (int64_t i = 0; i < cells; i++) {
            fill[i] = b->start[i];
            b->start[i + 1] += b->start[i];
        }
        b->body = calloc((size_t)b->start[cells] + 1, sizeof *b->body);
        status = b->body != NULL ? UM_OK : UM_ERROR_MEMORY;
    }
    if (status == UM_OK) {
        deal(s, b, fill);
    } else {
        status = um_fail(ctx, UM_ERROR_MEMORY, "no memory for the index of %lld bodies", (long long)s->bodies);
    }
    free(fill);
    return status;
}

static void add_piece(um_column *column, int32_t grain, double thickness_nm)
{
    if (column->count >= UM_MOST_PIECES) {
        column->count = UM_MOST_PIECES + 1;
        return;
    }
    column->piece[column->count++] = (um_piece){grain, thickness_nm, 0.5};
}

um_span um_specimen_in_foil(const um_specimen *s, um_span span)
{
    if (s->solid) {
        span.from = fmax(span.from, -0.5 * s->thickness_nm);
        span.to = fmin(span.to, 0.5 * s->thickness_nm);
    }
    return span;
}

static int64_t square_at(const um_bins *b, double x_nm, double y_nm)
{
    int64_t row = (int64_t)fmax(0.0, fmin((y_nm - b->bottom_nm) / b->size_nm, (double)b->rows - 1.0));
    int64_t across = (int64_t)fmax(0.0, fmin((x_nm - b->left_nm) / b->size_nm, (double)b->columns - 1.0));
    return row * b->columns + across;
}

/* Within half a diagonal of the step from the outline, whose long side lies along the projected axis or across it. */
static bool is_near(const um_body *body, double x_nm, double y_nm, double step_nm)
{
    const double *n = body->axis[2], flat = hypot(n[0], n[1]), margin = 0.75 * step_nm;
    const double e[2] = {flat > 1e-9 ? n[0] / flat : 1.0, flat > 1e-9 ? n[1] / flat : 0.0};
    double dx = x_nm - body->center_nm[0], dy = y_nm - body->center_nm[1];
    double along = fabs(dx * e[0] + dy * e[1]), across = fabs(dy * e[0] - dx * e[1]);
    double reach = hypot(um_body_reach(body, 0), um_body_reach(body, 1));
    if (body->shape == UM_SHAPE_CYLINDER) {
        return along <= body->half_nm[2] * flat + body->half_nm[0] * fabs(n[2]) + margin &&
               across <= body->half_nm[0] + margin;
    }
    return hypot(dx, dy) <= reach + margin;
}

bool um_specimen_is_fine(const um_specimen *s, double x_nm, double y_nm)
{
    const um_bins *b = s->bins;
    if (b == NULL) {
        return false;
    }
    int64_t cell = square_at(b, x_nm, y_nm);
    for (int64_t i = b->start[cell]; i < b->start[cell + 1]; i++) {
        const um_body *body = &s->body[b->body[i]];
        if (body->narrow && is_near(body, x_nm, y_nm, s->step_nm)) {
            return true;
        }
    }
    return false;
}

void um_bodies_column(const um_specimen *s, double x_nm, double y_nm, um_column *column)
{
    const um_bins *b = s->bins;
    int64_t cell = square_at(b, x_nm, y_nm);
    um_spans taken = {.count = 0};
    double left = s->thickness_nm;
    for (int64_t i = b->start[cell]; i < b->start[cell + 1]; i++) {
        const um_body *body = &s->body[b->body[i]];
        um_span span = um_specimen_in_foil(s, um_body_span(body, x_nm, y_nm));
        double length = s->solid ? um_spans_take(&taken, span) : span.to - span.from;
        if (length > 1e-6) {
            add_piece(column, body->grain, length);
            left -= length;
        }
    }
    if (s->matrix >= 0 && left > 1e-6) {
        add_piece(column, s->matrix, left);
    }
}
