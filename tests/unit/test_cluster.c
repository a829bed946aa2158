/* Clusters of points against closed forms and brute force. */
#include "cluster_internal.h"
#include "kdtree.h"
#include "linkage.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { POINTS = 300, DIMS = 3, GROUPS = 3 };

/* Three balls far apart, of 150, 100 and 50 points. */
static um_features *balls(um_context *ctx)
{
    um_random random = {7, UM_STREAM_TEST};
    float rows[POINTS * DIMS];
    um_features *f = NULL;
    for (int p = 0; p < POINTS; p++) {
        int group = p % 6 < 3 ? 0 : p % 6 < 5 ? 1 : 2;
        for (int j = 0; j < DIMS; j++) {
            double noise = um_random_uniform(random, (uint64_t)(p * DIMS + j)) - 0.5;
            rows[p * DIMS + j] = (float)(10 * (group == j) + noise);
        }
    }
    assert_int_equal(um_features_from_rows(ctx, rows, POINTS, DIMS, UM_FEATURES_NONE, &f), UM_OK);
    return f;
}

static um_context *context(int threads)
{
    um_context *ctx = NULL;
    assert_int_equal(um_context_create(&ctx), UM_OK);
    um_context_set_threads(ctx, threads);
    return ctx;
}

static void every_method_finds_three_balls(void **state)
{
    (void)state;
    um_context *ctx = context(2);
    um_features *f = balls(ctx);
    for (int m = 0; m < UM_CLUSTER_ROTATION; m++) {
        um_clustering *c = NULL;
        um_cluster_options o = um_cluster_defaults((um_cluster_method)m, GROUPS);
        o.ridge = 1e-3;
        assert_int_equal(um_cluster(f, &o, &c), UM_OK);
        assert_int_equal(c->n, GROUPS);
        for (int p = 0; p < POINTS; p++) {
            int group = p % 6 < 3 ? 0 : p % 6 < 5 ? 1 : 2;
            assert_true(c->label[p] == group || (m == UM_CLUSTER_HDBSCAN && c->label[p] == -1));
        }
        assert_true(c->sizes[0] <= 150 && c->sizes[0] >= 148 && c->sizes[2] <= 50);
        double mean = 0;
        assert_int_equal(um_silhouette(f, c, POINTS, &mean, NULL), UM_OK);
        assert_true(mean > 0.9 && mean < 1);
        um_clustering_free(c);
    }
    um_features_free(f);
    um_context_free(ctx);
}

static void impossible_numbers_are_refused(void **state)
{
    (void)state;
    um_context *ctx = context(1);
    um_features *f = balls(ctx);
    um_clustering *c = NULL;
    um_cluster_options o = um_cluster_defaults(UM_CLUSTER_KMEANS, POINTS + 1);
    assert_int_equal(um_cluster(f, &o, &c), UM_ERROR_ARGUMENT);
    o.n = 0;
    assert_int_equal(um_cluster(f, &o, &c), UM_ERROR_ARGUMENT);
    o = um_cluster_defaults(UM_CLUSTER_ROTATION, 2);
    assert_int_equal(um_cluster(f, &o, &c), UM_ERROR_ARGUMENT);
    o = um_cluster_defaults(UM_CLUSTER_HDBSCAN, 0);
    o.least_size = POINTS; /* no two clusters of all */
    assert_int_equal(um_cluster(f, &o, &c), UM_ERROR_VALUE);
    assert_null(c);
    um_features_free(f);
    um_context_free(ctx);
}

/* As many clusters as points that differ, some given twice: every centre ends on a point. */
static void equal_points_and_empty_centers(void **state)
{
    (void)state;
    um_context *ctx = context(1);
    const float rows[6] = {1, 1, 1, 2, 2, 5};
    const double centers[3] = {1, 100, 200};
    um_features *f = NULL;
    um_clustering *c = NULL;
    assert_int_equal(um_features_from_rows(ctx, rows, 6, 1, UM_FEATURES_NONE, &f), UM_OK);
    um_cluster_options o = um_cluster_defaults(UM_CLUSTER_KMEANS, 3);
    o.centers = centers;
    assert_int_equal(um_cluster(f, &o, &c), UM_OK);
    assert_true(c->objective == 0 && c->converged);
    assert_int_equal(c->sizes[0], 3);
    assert_int_equal(c->sizes[2], 1);
    um_clustering_free(c);
    um_features_free(f);
    um_context_free(ctx);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void neighbours_are_those_of_brute_force(void **state)
{
    (void)state;
    um_context *ctx = context(1);
    um_features *f = balls(ctx);
    um_kdtree *t = NULL;
    double heap[7];
    double all[POINTS];
    assert_int_equal(um_kdtree_create(f, &t), UM_OK);
    for (int64_t p = 0; p < POINTS; p++) {
        for (int64_t q = 0; q < POINTS; q++) {
            all[q] = um_kdtree_distance(t, p, q);
        }
        qsort(all, POINTS, sizeof *all, compare);
        assert_true(um_kdtree_kth(t, p, 7, heap) == all[6]);
    }
    um_kdtree_free(t);
    um_features_free(f);
    um_context_free(ctx);
}

/* Two pairs and a single, on a line: heights by hand. */
static void wards_heights(void **state)
{
    (void)state;
    um_context *ctx = context(1);
    const double points[5] = {0, 1, 10, 13, 40};
    const double size[5] = {1, 1, 1, 1, 1};
    um_merge merges[4];
    int32_t label[5];
    assert_int_equal(um_ward_merges(ctx, points, size, 5, 1, merges), UM_OK);
    assert_true(fabs(merges[0].height - 1) < 1e-12);
    assert_true(fabs(merges[1].height - 3) < 1e-12);
    assert_true(fabs(merges[2].height - sqrt(2.0 * 2 * 2 / 4) * 11) < 1e-12);
    assert_true(fabs(merges[3].height - sqrt(2.0 * 4 * 1 / 5) * 34) < 1e-12);
    assert_int_equal(um_merges_cut(merges, 5, 3, INFINITY, label), 3);
    const int32_t expected[5] = {0, 0, 1, 1, 2};
    assert_memory_equal(label, expected, sizeof expected);
    assert_int_equal(um_merges_cut(merges, 5, 1, 2, label), 4);
    um_context_free(ctx);
}

static void scaling_of_points(void **state)
{
    (void)state;
    um_context *ctx = context(1);
    const float rows[8] = {1, 3, 2, 2, 0, 0, 5, 5};
    const float negative[2] = {1, -1};
    um_features *f = NULL;
    assert_int_equal(um_features_from_rows(ctx, rows, 4, 2, UM_FEATURES_SUM, &f), UM_OK);
    assert_true(f->values[0] == 0.25F && f->values[1] == 0.75F && f->values[4] == 0);
    um_features_free(f);
    assert_int_equal(um_features_from_rows(ctx, negative, 1, 2, UM_FEATURES_SUM, &f), UM_ERROR_VALUE);
    assert_int_equal(um_features_from_rows(ctx, rows, 4, 2, UM_FEATURES_WHITEN, &f), UM_OK);
    double square[3] = {0};
    for (int p = 0; p < 4; p++) {
        square[0] += (double)(f->values[2 * p] * f->values[2 * p]) / 4;
        square[1] += (double)(f->values[2 * p + 1] * f->values[2 * p + 1]) / 4;
        square[2] += (double)(f->values[2 * p] * f->values[2 * p + 1]) / 4;
    }
    assert_true(fabs(square[0] - 1) < 1e-5 && fabs(square[1] - 1) < 1e-5 && fabs(square[2]) < 1e-5);
    um_features_free(f);
    um_context_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_finds_three_balls),
        cmocka_unit_test(impossible_numbers_are_refused),
        cmocka_unit_test(equal_points_and_empty_centers),
        cmocka_unit_test(neighbours_are_those_of_brute_force),
        cmocka_unit_test(wards_heights),
        cmocka_unit_test(scaling_of_points),
    };
    return cmocka_run_group_tests_name("cluster", tests, NULL, NULL);
}
