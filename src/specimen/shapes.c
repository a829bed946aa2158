/* Lines along the beam through convex bodies, and which part of a line is still free. */
#include "specimen_internal.h"

#include <math.h>
#include <string.h>

static const double FLAT = 1e-9; /* cosines below are 0 */

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

static um_span meet(um_span span, double from, double to)
{
    return (um_span){fmax(span.from, from), fmin(span.to, to)};
}

static const um_span nothing = {0.0, -1.0};

/* Where |(at + z).normal| <= half; `at` is relative to the middle of the slab. */
um_span um_span_slab(um_span span, const double at[3], const double normal[3], double half)
{
    double a = dot(at, normal), b = normal[2];
    if (fabs(b) < FLAT) {
        return fabs(a) <= half ? span : nothing;
    }
    double p = (-half - a) / b, q = (half - a) / b;
    return meet(span, fmin(p, q), fmax(p, q));
}

/* Where the distance from the line along `axis` through the origin is at most `radius`. */
static um_span tube(um_span span, const double at[3], const double axis[3], double radius)
{
    double along = dot(at, axis), e[3], o[3];
    for (int i = 0; i < 3; i++) {
        o[i] = at[i] - along * axis[i];
        e[i] = (i == 2) - axis[2] * axis[i];
    }
    double a = dot(e, e), b = dot(o, e), c = dot(o, o) - radius * radius;
    if (a < FLAT * FLAT) {
        return c <= 0.0 ? span : nothing;
    }
    double root = b * b - a * c;
    return root > 0.0 ? meet(span, (-b - sqrt(root)) / a, (-b + sqrt(root)) / a) : nothing;
}

um_span um_body_span(const um_body *body, double x_nm, double y_nm)
{
    const double at[3] = {x_nm - body->center_nm[0], y_nm - body->center_nm[1], -body->center_nm[2]};
    um_span span = {-INFINITY, INFINITY};
    if (body->shape == UM_SHAPE_BOX) {
        for (int i = 0; i < 3; i++) {
            span = um_span_slab(span, at, body->axis[i], body->half_nm[i]);
        }
        return span;
    }
    if (body->shape == UM_SHAPE_CYLINDER) {
        span = um_span_slab(span, at, body->axis[2], body->half_nm[2]);
        return tube(span, at, body->axis[2], body->half_nm[0]);
    }
    double square = body->half_nm[0] * body->half_nm[0] - at[0] * at[0] - at[1] * at[1];
    double half = square > 0.0 ? sqrt(square) : -1.0;
    return (um_span){body->center_nm[2] - half, body->center_nm[2] + half};
}

double um_body_reach_along(const um_body *body, const double direction[3])
{
    double reach = 0.0;
    if (body->shape == UM_SHAPE_SPHERE) {
        return body->half_nm[0];
    }
    if (body->shape == UM_SHAPE_CYLINDER) {
        double along = dot(body->axis[2], direction);
        return body->half_nm[2] * fabs(along) + body->half_nm[0] * sqrt(fmax(0.0, 1.0 - along * along));
    }
    for (int i = 0; i < 3; i++) {
        reach += body->half_nm[i] * fabs(dot(body->axis[i], direction));
    }
    return reach;
}

double um_body_reach(const um_body *body, int axis)
{
    const double direction[3] = {axis == 0, axis == 1, axis == 2};
    return um_body_reach_along(body, direction);
}

double um_spans_take(um_spans *taken, um_span span)
{
    double length = span.to - span.from;
    int first = 0;
    if (!(length > 0.0)) {
        return 0.0;
    }
    while (first < taken->count && taken->list[first].to < span.from) {
        first++;
    }
    int last = first; /* one past those that touch the span; they become one with it */
    um_span all = span;
    for (; last < taken->count && taken->list[last].from <= span.to; last++) {
        um_span *s = &taken->list[last];
        length -= fmax(0.0, fmin(s->to, span.to) - fmax(s->from, span.from));
        all = (um_span){fmin(all.from, s->from), fmax(all.to, s->to)};
    }
    if (first == last && taken->count == UM_MOST_PIECES) {
        return 0.0; /* the caller has no room for another piece either */
    }
    memmove(&taken->list[first + 1], &taken->list[last], (size_t)(taken->count - last) * sizeof *taken->list);
    taken->list[first] = all;
    taken->count += 1 - (last - first);
    return fmax(0.0, length);
}
