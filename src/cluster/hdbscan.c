/* The minimum spanning tree of mutual reachability, max(core distances, distance), by Boruvka's rounds: each set of
 * points finds its nearest point outside, all at once. */
#include "hdbscan.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Squared distances throughout; points in the order of the tree. */
typedef struct forest {
    const um_kdtree *tree;
    int64_t neighbours;
    double *core;       /* of each point */
    double *node_core;  /* least of each node */
    int64_t *parent;    /* sets of points */
    int64_t *set;       /* representative of each point, in this round */
    int64_t *node_set;  /* of each node when it lies in one set, else -1 */
    double *known;      /* of each point: nothing outside its set is nearer */
    double *bound;      /* of each set: an edge outside is no longer than this */
    int64_t *partner;   /* found: the nearest point outside, -1 = none below the bound */
    double *length;
    um_merge *merges;
    int64_t edges;
} forest;

static void find_cores(void *user, int64_t first, int64_t count, double *sums, double *heap)
{
    (void)sums;
    forest *f = user;
    for (int64_t p = first; p < first + count; p++) {
        f->core[p] = um_kdtree_kth(f->tree, p, f->neighbours, heap);
    }
}

/* Least core distance and set of every node, children first. */
static void mark_nodes(forest *f)
{
    const um_kdtree *t = f->tree;
    for (int64_t i = t->nodes - 1; i >= 0; i--) {
        const um_kdnode *n = &t->node[i];
        if (n->left > 0) {
            int64_t a = n->left;
            f->node_core[i] = fmin(f->node_core[a], f->node_core[a + 1]);
            f->node_set[i] = f->node_set[a] == f->node_set[a + 1] ? f->node_set[a] : -1;
            continue;
        }
        f->node_core[i] = DBL_MAX;
        f->node_set[i] = f->set[n->first];
        for (int64_t p = n->first; p < n->first + n->count; p++) {
            f->node_core[i] = fmin(f->node_core[i], f->core[p]);
            f->node_set[i] = f->set[p] == f->node_set[i] ? f->node_set[i] : -1;
        }
    }
}

/* No edge from p into the node is shorter than this. */
static double least_edge(const forest *f, int64_t node, int64_t p)
{
    double reach =
        um_kdtree_reach(f->tree, node, f->tree->points.values + p * f->tree->dims);
    return fmax(reach, fmax(f->core[p], f->node_core[node]));
}

static void visit_leaf(forest *f, const um_kdnode *n, int64_t p, double *best)
{
    for (int64_t q = n->first; q < n->first + n->count; q++) {
        if (f->set[q] == f->set[p] || !(f->core[q] < *best)) {
            continue;
        }
        double d = fmax(um_kdtree_distance(f->tree, p, q), fmax(f->core[p], f->core[q]));
        if (d < *best) {
            *best = d;
            f->partner[p] = q;
        }
    }
}

/* The nearest point outside p's set that is nearer than `best`. */
static double search(forest *f, int64_t p, double best)
{
    int64_t stack[UM_KDTREE_DEPTH * 2];
    int depth = 0;
    f->partner[p] = -1;
    stack[depth++] = 0;
    while (depth > 0) {
        int64_t at = stack[--depth];
        const um_kdnode *n = &f->tree->node[at];
        if (f->node_set[at] == f->set[p] || least_edge(f, at, p) >= best) {
            continue;
        }
        if (n->left > 0) {
            bool swap = least_edge(f, n->left, p) > least_edge(f, n->left + 1, p);
            stack[depth++] = swap ? n->left : n->left + 1;
            stack[depth++] = swap ? n->left + 1 : n->left;
        } else {
            visit_leaf(f, n, p, &best);
        }
    }
    return best;
}

/* Within a block a set's best is carried on while points of it follow one another. */
static void find_partners(void *user, int64_t first, int64_t count, double *sums, double *scratch)
{
    (void)sums;
    (void)scratch;
    forest *f = user;
    int64_t set = -1;
    double best = 0;
    for (int64_t p = first; p < first + count; p++) {
        if (f->set[p] != set) {
            set = f->set[p];
            best = f->bound[set];
        }
        int64_t kept = f->partner[p];
        bool stands = kept >= 0 && f->set[kept] != set;
        if (stands && f->length[p] <= best) {
            best = f->length[p]; /* last round's nearest is still outside: nothing is nearer */
            continue;
        }
        f->partner[p] = -1;
        if (f->known[p] >= best) {
            continue;
        }
        double found = search(f, p, best);
        f->known[p] = found;
        f->length[p] = found;
        best = found;
    }
}

/* What is known from the last round bounds this one. */
static void begin_round(forest *f)
{
    int64_t n = f->tree->count;
    for (int64_t p = 0; p < n; p++) {
        f->set[p] = um_set_find(f->parent, p);
        f->bound[p] = DBL_MAX;
    }
    for (int64_t p = 0; p < n; p++) {
        int64_t q = f->partner[p];
        if (q >= 0 && f->set[q] != f->set[p]) {
            f->bound[f->set[p]] = fmin(f->bound[f->set[p]], f->length[p]);
            f->bound[f->set[q]] = fmin(f->bound[f->set[q]], f->length[p]);
        }
    }
    for (int64_t p = 0; p < n; p++) { /* so that an edge of just that length is found again */
        f->bound[p] = f->bound[p] < DBL_MAX ? nextafter(f->bound[p], DBL_MAX) : DBL_MAX;
    }
    mark_nodes(f);
}

/* Joins each set with what it found, sets in the order of their first points. */
static void end_round(forest *f, int64_t *shortest)
{
    int64_t n = f->tree->count;
    for (int64_t p = 0; p < n; p++) {
        shortest[p] = -1;
    }
    for (int64_t p = 0; p < n; p++) {
        int64_t *s = &shortest[f->set[p]];
        if (f->partner[p] >= 0 && f->set[f->partner[p]] != f->set[p] &&
            (*s < 0 || f->length[p] < f->length[*s])) {
            *s = p;
        }
    }
    for (int64_t set = 0; set < n; set++) {
        int64_t p = shortest[set];
        if (p >= 0 && um_set_join(f->parent, p, f->partner[p])) {
            f->merges[f->edges++] = (um_merge){f->tree->order[p], f->tree->order[f->partner[p]],
                                               sqrt(f->length[p])};
        }
    }
}

static um_status span(forest *f, int64_t *shortest)
{
    um_context *ctx = f->tree->ctx;
    int64_t n = f->tree->count;
    double nothing = 0;
    um_points_job cores = {&f->tree->points, 0, (size_t)f->neighbours, find_cores, f, &nothing};
    um_points_job partners = {&f->tree->points, 0, 0, find_partners, f, &nothing};
    UM_TRY(um_points_run(&cores));
    for (int64_t p = 0; p < n; p++) {
        f->parent[p] = p;
        f->partner[p] = -1;
        f->known[p] = 0;
    }
    um_progress_begin(ctx, "spanning tree", "edges", n - 1);
    um_status status = UM_OK;
    while (status == UM_OK && f->edges + 1 < n) {
        int64_t before = f->edges;
        begin_round(f);
        status = um_points_run(&partners);
        if (status == UM_OK) {
            end_round(f, shortest);
            um_progress_add(ctx, f->edges - before);
            if (f->edges == before) {
                status = um_fail(ctx, UM_ERROR_INTERNAL, "a spanning tree does not grow");
            }
        }
    }
    um_progress_end(ctx);
    return status;
}

static um_status allocate(um_context *ctx, const um_kdtree *t, forest *f, int64_t **shortest)
{
    size_t n = (size_t)t->count;
    size_t nodes = (size_t)t->nodes;
    static const char *const what = "a spanning tree";
    *f = (forest){.tree = t};
    *shortest = NULL;
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(double), what, &f->core));
    UM_TRY(um_buffer_alloc(ctx, nodes, sizeof(double), what, &f->node_core));
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(int64_t), what, &f->parent));
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(int64_t), what, &f->set));
    UM_TRY(um_buffer_alloc(ctx, nodes, sizeof(int64_t), what, &f->node_set));
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(double), what, &f->known));
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(double), what, &f->bound));
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(int64_t), what, &f->partner));
    UM_TRY(um_buffer_alloc(ctx, n, sizeof(double), what, &f->length));
    return um_buffer_alloc(ctx, n, sizeof(int64_t), what, shortest);
}

/* The edges, shortest first. */
static um_status spanning_tree(const um_features *features, int64_t neighbours, um_merge *merges)
{
    um_context *ctx = features->ctx;
    um_kdtree *tree = NULL;
    UM_TRY(um_kdtree_create(features, &tree));
    forest f;
    int64_t *shortest = NULL;
    um_status status = allocate(ctx, tree, &f, &shortest);
    f.neighbours = neighbours < features->count ? neighbours : features->count;
    f.merges = merges;
    if (status == UM_OK) {
        status = span(&f, shortest);
    }
    um_buffer_free(ctx, f.core);
    um_buffer_free(ctx, f.node_core);
    um_buffer_free(ctx, f.parent);
    um_buffer_free(ctx, f.set);
    um_buffer_free(ctx, f.node_set);
    um_buffer_free(ctx, f.known);
    um_buffer_free(ctx, f.bound);
    um_buffer_free(ctx, f.partner);
    um_buffer_free(ctx, f.length);
    um_buffer_free(ctx, shortest);
    um_kdtree_free(tree);
    return status == UM_OK ? um_merges_sort(ctx, merges, features->count - 1) : status;
}

um_status um_cluster_hdbscan(const um_features *f, const um_cluster_options *o, um_clustering *out)
{
    int64_t least = o->least_size > 0 ? o->least_size : f->count / 200;
    least = o->least_size > 0 || least > 5 ? least : 5;
    if (least < 2 || o->neighbours < 1) {
        return um_fail(f->ctx, UM_ERROR_ARGUMENT,
                       "clusters of at least %lld points and %lld neighbours: at least 2 and 1 are "
                       "possible",
                       (long long)least, (long long)o->neighbours);
    }
    um_merge *merges = NULL;
    UM_TRY(um_buffer_alloc(f->ctx, (size_t)f->count, sizeof *merges, "a spanning tree", &merges));
    um_status status = spanning_tree(f, o->neighbours, merges);
    if (status == UM_OK) {
        status = um_hdbscan_extract(f->ctx, merges, f->count, least, out->label, &out->n);
    }
    um_buffer_free(f->ctx, merges);
    UM_TRY(status);
    if (out->n == 0) {
        return um_fail(f->ctx, UM_ERROR_VALUE,
                       "hdbscan finds noise only with clusters of at least %lld positions: take fewer",
                       (long long)least);
    }
    out->converged = true;
    UM_TRY(um_clustering_resize(out));
    return um_clustering_centers(f, out);
}
