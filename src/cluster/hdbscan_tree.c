/* The tree of merges without splits that only lose a few points, and the clusters in it that live longest. */
#include "hdbscan.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Inner node i of the tree of merges is number count + i; points are the leaves. */
typedef struct dendrogram {
    int64_t count;
    int64_t *child; /* 2 per merge */
    int64_t *size;  /* of each merge */
    const um_merge *merges;
} dendrogram;

/* Clusters of the condensed tree; children have larger numbers than their parents. */
typedef struct condensed {
    int64_t n;
    int64_t *parent;
    double *birth, *stability, *best;
    bool *taken;
} condensed;

static int64_t size_of(const dendrogram *d, int64_t node)
{
    return node < d->count ? 1 : d->size[node - d->count];
}

/* Density at which a merge comes apart. */
static double density(double height)
{
    return height > 0 ? 1 / height : DBL_MAX;
}

static void make_dendrogram(dendrogram *d, int64_t *parent, int64_t *top)
{
    for (int64_t p = 0; p < d->count; p++) {
        parent[p] = top[p] = p;
    }
    for (int64_t i = 0; i + 1 < d->count; i++) {
        int64_t a = um_set_find(parent, d->merges[i].a);
        int64_t b = um_set_find(parent, d->merges[i].b);
        d->child[2 * i] = top[a];
        d->child[2 * i + 1] = top[b];
        d->size[i] = size_of(d, top[a]) + size_of(d, top[b]);
        um_set_join(parent, a, b);
        top[um_set_find(parent, a)] = d->count + i;
    }
}

static int64_t add_cluster(condensed *c, int64_t parent, double birth)
{
    c->parent[c->n] = parent;
    c->birth[c->n] = birth;
    c->stability[c->n] = 0;
    return c->n++;
}

/* From the top: a split into two large enough parts makes two clusters, any other goes on as the larger one and
 * loses the rest. cluster: of each node, points included, the one it was last in. */
static void condense(const dendrogram *d, int64_t least, int64_t *cluster, condensed *c)
{
    cluster[2 * d->count - 2] = add_cluster(c, -1, 0);
    for (int64_t i = d->count - 2; i >= 0; i--) {
        int64_t own = cluster[d->count + i];
        double at = density(d->merges[i].height);
        int64_t a = d->child[2 * i];
        int64_t b = d->child[2 * i + 1];
        bool split = size_of(d, a) >= least && size_of(d, b) >= least;
        /* A part that is too small fell out of its cluster before: nothing more is counted for it. */
        bool whole = size_of(d, d->count + i) >= least;
        for (int64_t side = 0; side < 2; side++) {
            int64_t node = side == 0 ? a : b;
            bool leaves = split || size_of(d, node) < least;
            if (whole && leaves) {
                c->stability[own] += (at - c->birth[own]) * (double)size_of(d, node);
            }
            cluster[node] = split ? add_cluster(c, own, at) : own;
        }
    }
}

/* Children first: a cluster is taken when it weighs more than the best below it. The root never is. */
static void select_clusters(condensed *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        c->best[i] = 0;
        c->taken[i] = false;
    }
    for (int64_t i = c->n - 1; i > 0; i--) {
        c->taken[i] = c->stability[i] >= c->best[i];
        c->best[c->parent[i]] += c->taken[i] ? c->stability[i] : c->best[i];
    }
}

/* Number of each cluster's highest taken ancestor, or -1; returns how many there are. */
static int64_t number_clusters(const condensed *c, int64_t *number)
{
    int64_t next = 0;
    number[0] = -1;
    for (int64_t i = 1; i < c->n; i++) {
        int64_t above = number[c->parent[i]];
        number[i] = above >= 0 ? above : c->taken[i] ? next++ : -1;
    }
    return next;
}

static um_status extract(um_context *ctx, dendrogram *d, int64_t least, int64_t *cluster,
                         condensed *c, int32_t *label, int64_t *n)
{
    int64_t *parent = NULL; /* two at a time, for sets and then for numbers */
    UM_TRY(um_buffer_alloc(ctx, 2 * (size_t)d->count, sizeof *parent, "a tree of clusters", &parent));
    make_dendrogram(d, parent, parent + d->count);
    condense(d, least, cluster, c);
    select_clusters(c);
    *n = number_clusters(c, parent);
    for (int64_t p = 0; p < d->count; p++) {
        label[p] = (int32_t)parent[cluster[p]];
    }
    um_buffer_free(ctx, parent);
    return UM_OK;
}

um_status um_hdbscan_extract(um_context *ctx, const um_merge *merges, int64_t count,
                             int64_t least_size, int32_t *label, int64_t *n)
{
    size_t most = 2 * (size_t)(count / least_size) + 2; /* clusters */
    size_t points = (size_t)count;
    dendrogram d = {.count = count, .merges = merges};
    condensed c = {0};
    int64_t *cluster = NULL;
    um_status status = um_buffer_alloc(ctx, 5 * points, sizeof(int64_t), "a tree of clusters", &d.child);
    c.parent = calloc(most, sizeof *c.parent);
    c.birth = calloc(3 * most, sizeof *c.birth);
    c.taken = calloc(most, sizeof *c.taken);
    if (status == UM_OK && (c.parent == NULL || c.birth == NULL || c.taken == NULL)) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "no memory for a tree of clusters");
    }
    if (status == UM_OK) {
        d.size = d.child + 2 * points;
        cluster = d.child + 3 * points;
        c.stability = c.birth + most;
        c.best = c.stability + most;
        *n = 0;
        label[0] = -1;
        status = count > 1 ? extract(ctx, &d, least_size, cluster, &c, label, n) : UM_OK;
    }
    um_buffer_free(ctx, d.child);
    free(c.parent);
    free(c.birth);
    free(c.taken);
    return status;
}
