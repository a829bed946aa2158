/* unmix/cluster.h - classes of scan positions: clusters in the space of a model's loadings.
 *
 * A model gives each position a point: its NMF loadings, or its scores in the SVD space. Clustering then gives
 * each point a label. Points are f32, sums over points f64 in a fixed order: results are the same bits for any
 * number of threads. Nothing is proportional to N x N; what is said of memory is beside the points. */
#ifndef UNMIX_CLUSTER_H
#define UNMIX_CLUSTER_H

#include "unmix/model.h"
#include "unmix/prep.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- points --------------------------------------------------------------------------------- */

/* What is done to the loadings of each position. Loadings of components that are not negative (NMF) count first
 * the sum of their component's pattern, so that no normalisation of the components shows. */
typedef enum um_feature_scaling {
    UM_FEATURES_AUTO,     /* SVD: norm; NMF: sum. Thickness and dose scale all loadings of a position together
                             and are no phase: only their ratios are */
    UM_FEATURES_NONE,
    UM_FEATURES_SUM,      /* divided by their sum: fractions of the counts. Refuses negative loadings */
    UM_FEATURES_NORM,     /* divided by their Euclidean norm: the direction. Poisson weights of rows cancel */
    UM_FEATURES_STANDARD, /* each feature to mean 0, variance 1 */
    UM_FEATURES_WHITEN    /* to unit covariance, so that distances are Mahalanobis distances; directions without
                             variance are left out (0) */
} um_feature_scaling;
UM_API const char *um_feature_scaling_name(um_feature_scaling scaling); /* "sum" */

typedef struct um_features {
    um_context *ctx;
    int64_t count, dims;
    float *values;     /* count x dims */
    int64_t *position; /* y*nx + x of each point; without excluded positions and rows that hold NaN */
    um_feature_scaling scaling; /* never auto */
} um_features;

/* The first `dims` loadings of each position (0 = all). Rows of zeros stay zeros. Memory: the points.
 * Errors: UM_ERROR_VALUE when no position is left. */
UM_CHECK UM_API um_status um_features_from_model(um_context *ctx, um_model *model, int64_t dims,
                                                 um_feature_scaling scaling, um_features **out);
/* The same from rows of one's own (count x dims, copied); position is the row's index. AUTO = none. */
UM_CHECK UM_API um_status um_features_from_rows(um_context *ctx, const float *rows, int64_t count,
                                                int64_t dims, um_feature_scaling scaling,
                                                um_features **out);
UM_API void um_features_free(um_features *features);

/* ---- clusters ------------------------------------------------------------------------------- */

/* name, word on the command line */
#define UM_CLUSTER_METHOD_LIST(X)                                                                  \
    X(UM_CLUSTER_KMEANS, "kmeans")                                                                 \
    X(UM_CLUSTER_MINIBATCH, "minibatch")                                                           \
    X(UM_CLUSTER_GMM, "gmm")                                                                       \
    X(UM_CLUSTER_FUZZY, "fuzzy")                                                                   \
    X(UM_CLUSTER_POSSIBILISTIC, "possibilistic")                                                   \
    X(UM_CLUSTER_GUSTAFSON_KESSEL, "gustafson-kessel")                                             \
    X(UM_CLUSTER_WARD, "ward")                                                                     \
    X(UM_CLUSTER_HDBSCAN, "hdbscan")                                                               \
    X(UM_CLUSTER_ROTATION, "rotation")

typedef enum um_cluster_method {
#define UM_CLUSTER_ENUM(name, word) name,
    UM_CLUSTER_METHOD_LIST(UM_CLUSTER_ENUM)
#undef UM_CLUSTER_ENUM
        UM_CLUSTER_METHODS
} um_cluster_method;
UM_API const char *um_cluster_method_name(um_cluster_method method);

/* um_cluster_defaults() sets all. */
typedef struct um_cluster_options {
    um_cluster_method method;
    int64_t n;              /* clusters */
    int64_t starts;         /* seeded starts of which the best is taken; 10 */
    int64_t max_iterations; /* 300; methods with membership: 1000 */
    double tolerance;       /* ends when the centres move less than this share of the spread of the points (roots
                               of the sums of squares); 1e-4, fuzzy ones 1e-6. K-means goes on until no label
                               changes as well. gmm: when the mean log-likelihood rises by less; 1e-4 */
    int64_t batch;          /* points in a batch of mini-batch k-means; 1024 */
    double fuzziness;       /* m of fuzzy methods, > 1; 2 */
    bool diagonal;          /* gmm: covariances without correlations */
    double ridge;           /* added to the variances of gmm and gustafson-kessel, as a share of the mean variance
                               of the features; 1e-6 */
    int64_t exact, parts;   /* ward: all points are leaves up to `exact` (10,000), else centres of `parts` (1024) */
    int64_t least_size;     /* hdbscan: points in a cluster; 0 = 0.5 % of the points, at least 5 */
    int64_t neighbours;     /* hdbscan: the core distance is that to the so-manieth nearest point, itself counted; 10 */
    const double *centers;  /* n x dims, the one start (borrowed); NULL = k-means++ */
} um_cluster_options;
UM_API um_cluster_options um_cluster_defaults(um_cluster_method method, int64_t n);

/* Clusters are in order of size, the largest first. */
typedef struct um_clustering {
    um_context *ctx;
    um_cluster_method method;
    int64_t n, count, dims;
    int32_t *label;        /* of each point: 0 .. n-1; -1 = noise, in no cluster */
    float *membership;     /* count x n, or NULL: each point belongs to its label's cluster alone */
    double *centers;       /* n x dims */
    int64_t *sizes;        /* n: points with this label */
    double objective;      /* what the method minimises; k-means: sum of squared distances to the centres;
                              gmm: negative mean log-likelihood; fuzzy ones: sum of u^m d^2 */
    double log_likelihood, bic, aic; /* of gmm: of all points, and -2 log L + p log N, + 2 p; else NaN */
    int64_t iterations;    /* of the best start; possibilistic: without those of its fuzzy start */
    bool converged;
} um_clustering;

/* Memory: a label and a distance per point, and per worker n x dims sums.
 *
 * kmeans     Lloyd's iteration from greedy k-means++ starts (Arthur & Vassilvitskii 2007: the best of
 *            2 + log n candidates at each step). Of more than 32,768 points the starts are tried on an even
 *            sample of so many, and the best goes on with all. A centre that lost its points goes to the
 *            farthest point.
 * minibatch  Sculley 2010: batches of random points, each centre the mean of all points it was ever given; ends
 *            when the smoothed batch inertia has not fallen for ten batches.
 * gmm        Gaussian mixture by expectation and maximisation, from the nearest centre of a k-means start.
 * fuzzy      fuzzy c-means: u_c = 1 / sum_j (d_c/d_j)^(2/(m-1)), v_c = sum u^m x / sum u^m.
 * possibilistic  t_c = 1 / (1 + (d_c^2/eta_c)^(1/(m-1))), eta_c = sum u^m d^2 / sum u^m of converged fuzzy
 *            c-means, from which it starts (Krishnapuram & Keller 1993). Clusters may coincide: nothing keeps
 *            them apart.
 * gustafson-kessel  fuzzy c-means with d^2 = (x-v)' [det(C)^(1/dims) C^-1] (x-v), C the fuzzy covariance of the
 *            cluster (Gustafson & Kessel 1979).
 * The last four start from the best k-means start, or from `centers`, and add a membership of count x n floats.
 * The label is the largest membership.
 * ward       Ward's linkage, cut at n clusters: exact for up to options->exact points (chains of nearest
 *            neighbours on centroids: count x dims doubles, time count^2 x dims), beyond that on the centres of
 *            `parts` mini-batch clusters with their sizes.
 * hdbscan    Campello, Moulavi & Sander 2013 by excess of mass, one cluster alone not allowed; n is not looked
 *            at. Exact neighbours from a k-d tree, minimum spanning tree by Boruvka's rounds; meant for up to
 *            about ten features. UM_ERROR_VALUE when all is noise.
 * rotation   needs patterns: um_cluster_merge_turned().
 * Errors: UM_ERROR_ARGUMENT when n is less than 1 or more than there are points. */
UM_CHECK UM_API um_status um_cluster(const um_features *features, const um_cluster_options *options,
                                     um_clustering **out);
UM_API void um_clustering_free(um_clustering *clustering);

/* ---- scores --------------------------------------------------------------------------------- */

/* Silhouette (Rousseeuw 1987), the mean over points of (b - a)/max(a, b): a the mean distance to the others of
 * the own cluster, b that to the nearest other cluster. Exact up to `sample` points; of more, an even random
 * sample of so many (told by the seed alone) stands for all. Points of noise are left out. NaN where
 * fewer than two clusters have points. of_cluster: n means, or NULL. Cost: sample^2 x dims. */
UM_CHECK UM_API um_status um_silhouette(const um_features *features, const um_clustering *clustering,
                                        int64_t sample, double *mean, double *of_cluster);

/* Gap statistic (Tibshirani, Walther & Hastie 2001) of k-means with low .. high clusters on a sample: the mean
 * log sum of squares of `references` sets of points drawn evenly from the box of the features, less that of
 * the points; error: the standard deviation over references times sqrt(1 + 1/references). gap, error: high -
 * low + 1. The smallest number whose gap is at least the next one's less its error is the estimate. Cost:
 * references times a sweep of k-means. */
UM_CHECK UM_API um_status um_gap(const um_features *features, int64_t low, int64_t high,
                                 int64_t references, int64_t sample, double *gap, double *error);

/* What tells the number of clusters. */
typedef struct um_cluster_row {
    int64_t n;
    double objective, silhouette;
    double bic, aic; /* gmm, else NaN */
    bool converged;
} um_cluster_row;

/* Clusters with low .. high clusters (low >= 2) and takes the number with the largest silhouette (gmm: the
 * least BIC), the smaller one of equals. rows: high - low + 1, the table. options->n and ->centers are not
 * looked at. */
UM_CHECK UM_API um_status um_cluster_choose(const um_features *features,
                                            const um_cluster_options *options, int64_t low,
                                            int64_t high, int64_t sample, um_cluster_row *rows,
                                            um_clustering **best);

/* ---- patterns ------------------------------------------------------------------------------- */

/* The representative pattern of each cluster: the mean of the raw patterns weighted by membership, in one read
 * of the scan (`matrix` of the shape that the points came from). patterns: n x (ky*kx), excluded pixels 0.
 * sums: of the matrix (borrowed), or NULL: one more read makes them. Memory: a few n x (ky*kx) per worker. */
UM_CHECK UM_API um_status um_cluster_patterns(um_matrix *matrix, const um_features *features,
                                              const um_clustering *clustering, const um_sums *sums,
                                              double *patterns);
/* The same of the model's image of the scan, mean loadings times components: no read. */
UM_CHECK UM_API um_status um_cluster_model_patterns(um_model *model, const um_features *features,
                                                    const um_clustering *clustering,
                                                    double *patterns);

/* The beam (y, x px) in the mean of the clusters' patterns weighted by size, where a mask hides it the middle
 * of the mask, else the middle of the pattern. */
UM_CHECK UM_API um_status um_cluster_beam(um_model *model, const um_clustering *clustering,
                                          const double *patterns, double center[2]);
/* Joins clusters that are one structure turned about the beam. Their patterns (parts->n x ky x kx) are taken
 * onto rings about center (y, x px; 256 angles, radii from 2 px to the nearest edge, bilinear, roots of
 * intensities, what is mostly masked left out), the ring means that all have in common taken off, and compared
 * by the largest correlation over rotations (FFT over the angle; rings weighted by radius): 1 - that is the
 * distance. Average linkage weighted by size is cut at n clusters, or, when n is 0, where the mean correlation
 * falls below least_correlation. Mirror images stay apart. group (parts->n): the cluster of each part. Memory:
 * parts->n x (parts->n + rings x 512) numbers; for some hundred parts. */
UM_CHECK UM_API um_status um_cluster_merge_turned(const um_features *features,
                                                  const um_clustering *parts, const double *patterns,
                                                  um_shape shape, const uint8_t *mask,
                                                  const double center[2], int64_t n,
                                                  double least_correlation, int32_t *group,
                                                  um_clustering **out);

/* Puts clusters into a model as arrays, from which files have what HyperSpy's plot_cluster_labels(),
 * plot_cluster_distances() and plot_cluster_signals() take: cluster_map (ny, nx) labels, NaN where excluded;
 * number_of_clusters (); cluster_sizes (n); cluster_centroids (n, dims); cluster_distances (n, N);
 * cluster_membership (n, N), for methods that have one; cluster_sum_signals (n, M) patterns times sizes;
 * cluster_centroid_signals (n, M) patterns. */
UM_CHECK UM_API um_status um_cluster_store(um_model *model, const um_features *features,
                                           const um_clustering *clustering, const double *patterns);

#ifdef __cplusplus
}
#endif
#endif
