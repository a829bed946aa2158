/* Splits at the median of the widest feature, until few points are left. */
#include "kdtree.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

/* ---- building -------------------------------------------------------------------------------------- */

static void take_box(const um_kdtree *t, const um_features *f, int64_t node)
{
    const um_kdnode *n = &t->node[node];
    float *low = t->box + node * 2 * t->dims;
    float *high = low + t->dims;
    for (int64_t j = 0; j < t->dims; j++) {
        low[j] = FLT_MAX;
        high[j] = -FLT_MAX;
    }
    for (int64_t i = n->first; i < n->first + n->count; i++) {
        const float *x = f->values + t->order[i] * t->dims;
        for (int64_t j = 0; j < t->dims; j++) {
            low[j] = x[j] < low[j] ? x[j] : low[j];
            high[j] = x[j] > high[j] ? x[j] : high[j];
        }
    }
}

static int64_t widest(const um_kdtree *t, int64_t node)
{
    const float *low = t->box + node * 2 * t->dims;
    int64_t best = 0;
    for (int64_t j = 1; j < t->dims; j++) {
        best = low[t->dims + j] - low[j] > low[t->dims + best] - low[best] ? j : best;
    }
    return best;
}

/* Puts the middle of order[0 .. count) by feature j in its place, smaller ones before it. */
static void part(const um_features *f, int64_t j, int64_t *order, int64_t count)
{
    int64_t middle = count / 2;
    int64_t low = 0;
    int64_t high = count - 1;
    while (low < high) {
        float pivot = f->values[order[(low + high) / 2] * f->dims + j];
        int64_t a = low;
        int64_t b = high;
        while (a <= b) {
            while (f->values[order[a] * f->dims + j] < pivot) {
                a++;
            }
            while (f->values[order[b] * f->dims + j] > pivot) {
                b--;
            }
            if (a <= b) {
                int64_t swap = order[a];
                order[a++] = order[b];
                order[b--] = swap;
            }
        }
        if (middle <= b) {
            high = b;
        } else if (middle >= a) {
            low = a;
        } else {
            return;
        }
    }
}

/* Nodes are made in order, so a list of them is the queue. */
static void build(um_kdtree *t, const um_features *f)
{
    t->node[0] = (um_kdnode){0, t->count, 0};
    t->nodes = 1;
    for (int64_t i = 0; i < t->nodes; i++) {
        um_kdnode *n = &t->node[i];
        take_box(t, f, i);
        int64_t j = widest(t, i);
        const float *low = t->box + i * 2 * t->dims;
        if (n->count <= UM_KDTREE_LEAF || !(low[t->dims + j] > low[j])) {
            continue;
        }
        part(f, j, t->order + n->first, n->count);
        int64_t half = n->count / 2;
        n->left = t->nodes;
        t->node[t->nodes++] = (um_kdnode){n->first, half, 0};
        t->node[t->nodes++] = (um_kdnode){n->first + half, n->count - half, 0};
    }
}

um_status um_kdtree_create(const um_features *f, um_kdtree **out)
{
    um_kdtree *t = calloc(1, sizeof *t);
    *out = t;
    if (t == NULL) {
        return um_fail(f->ctx, UM_ERROR_MEMORY, "no memory for a tree of points");
    }
    *t = (um_kdtree){.ctx = f->ctx, .count = f->count, .dims = f->dims};
    t->points = (um_features){.ctx = f->ctx, .count = f->count, .dims = f->dims};
    size_t room = (size_t)(f->count / (UM_KDTREE_LEAF / 2) + 1) * 2;
    size_t dims = (size_t)f->dims;
    static const char *const what = "a tree of points";
    um_status status = um_buffer_alloc(f->ctx, (size_t)f->count, sizeof *t->order, what, &t->order);
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, room, sizeof *t->node, what, &t->node);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, room * 2 * dims, sizeof *t->box, what, &t->box);
    }
    if (status == UM_OK) {
        status = um_buffer_alloc(f->ctx, (size_t)f->count * dims, sizeof(float), what,
                                 &t->points.values);
    }
    if (status != UM_OK) {
        um_kdtree_free(t);
        *out = NULL;
        return status;
    }
    for (int64_t p = 0; p < f->count; p++) {
        t->order[p] = p;
    }
    build(t, f);
    for (int64_t p = 0; p < f->count; p++) {
        memcpy(t->points.values + p * f->dims, f->values + t->order[p] * f->dims,
               dims * sizeof(float));
    }
    return UM_OK;
}

void um_kdtree_free(um_kdtree *t)
{
    if (t != NULL) {
        um_buffer_free(t->ctx, t->order);
        um_buffer_free(t->ctx, t->node);
        um_buffer_free(t->ctx, t->box);
        um_buffer_free(t->ctx, t->points.values);
        free(t);
    }
}

/* ---- asking ---------------------------------------------------------------------------------------- */

double um_kdtree_reach(const um_kdtree *t, int64_t node, const float *point)
{
    const float *low = t->box + node * 2 * t->dims;
    const float *high = low + t->dims;
    double sum = 0;
    for (int64_t j = 0; j < t->dims; j++) {
        float x = point[j];
        double d = x < low[j] ? (double)low[j] - (double)x
                              : x > high[j] ? (double)x - (double)high[j] : 0;
        sum += d * d;
    }
    return sum;
}

double um_kdtree_distance(const um_kdtree *t, int64_t a, int64_t b)
{
    const float *x = t->points.values + a * t->dims;
    const float *y = t->points.values + b * t->dims;
    double sum = 0;
    for (int64_t j = 0; j < t->dims; j++) {
        double d = (double)x[j] - (double)y[j];
        sum += d * d;
    }
    return sum;
}

/* The largest of a heap is replaced by a smaller one. */
static void sink(double *heap, int64_t k, double value)
{
    int64_t i = 0;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= k) {
            break;
        }
        child += child + 1 < k && heap[child + 1] > heap[child];
        if (heap[child] <= value) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = value;
}

double um_kdtree_kth(const um_kdtree *t, int64_t p, int64_t k, double *heap)
{
    const float *point = t->points.values + p * t->dims;
    int64_t stack[UM_KDTREE_DEPTH * 2];
    int depth = 0;
    for (int64_t i = 0; i < k; i++) {
        heap[i] = DBL_MAX;
    }
    stack[depth++] = 0;
    while (depth > 0) {
        int64_t at = stack[--depth];
        const um_kdnode *n = &t->node[at];
        if (um_kdtree_reach(t, at, point) >= heap[0]) {
            continue;
        }
        if (n->left > 0) {
            double near = um_kdtree_reach(t, n->left, point);
            double far = um_kdtree_reach(t, n->left + 1, point);
            stack[depth++] = near <= far ? n->left + 1 : n->left;
            stack[depth++] = near <= far ? n->left : n->left + 1;
            continue;
        }
        for (int64_t q = n->first; q < n->first + n->count; q++) {
            double d2 = um_kdtree_distance(t, p, q);
            if (d2 < heap[0]) {
                sink(heap, k, d2);
            }
        }
    }
    return heap[0];
}
