/* unmix cluster: classes of scan positions. */
#include "cluster_job.h"

#include <string.h>

static const cli_option options[] = {
    {.name = "clusters", .letter = 'n', .kind = CLI_TEXT, .value = "N|auto", .preset = "auto",
     .help = "Clusters; auto = the number in --range with the largest silhouette, of gmm with the least BIC."},
    {.name = "range", .kind = CLI_TEXT, .value = "A..B", .preset = "2..12",
     .help = "Numbers of clusters that auto tries."},
    {.name = "method", .kind = CLI_CHOICE, .value = "kmeans|minibatch|gmm|fuzzy|possibilistic|gustafson-kessel|"
     "ward|hdbscan|rotation", .preset = "kmeans",
     .help = "How to cluster; see above."},
    {.name = "scaling", .kind = CLI_CHOICE, .value = "auto|none|sum|norm|standard|whiten",
     .preset = "auto",
     .help = "What is done to the loadings of a position first: divided by their sum or norm, each "
             "feature to unit variance, or whitened. auto = norm for a scan or SVD, sum for NMF."},
    {.name = "components", .letter = 'k', .kind = CLI_INTEGER, .value = "K", .least = 1,
     .help = "Components used. Default of a result: all; of a scan: those above the edge of the "
             "noise, at most 20."},
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "The result with its clusters: .hspy (HyperSpy plots them) or .npz."},
    {.name = "patterns", .kind = CLI_FILE, .value = "SCAN",
     .help = "The scan that a result was made from, for patterns of clusters from raw data; prepared "
             "by the options below. Default: patterns of the model."},
    {.name = "weights", .kind = CLI_CHOICE, .value = "auto|poisson|none", .preset = "auto",
     .help = "Weights of the singular value decomposition of a scan; auto = Poisson for counts."},
    {.name = "starts", .kind = CLI_INTEGER, .value = "N", .preset = "10", .least = 1, .most = 10000,
     .help = "Seeded k-means++ starts, of which the best is taken."},
    {.name = "centers", .kind = CLI_FILE, .value = "FILE",
     .help = "The one start: a .npy of N x K centres in the space of the scaled features."},
    {.name = "max-iterations", .kind = CLI_INTEGER, .value = "N", .least = 1, .most = 1000000,
     .help = "Most iterations of a start; default 300, of methods with membership 1000."},
    {.name = "tolerance", .kind = CLI_REAL, .value = "T", .least = 0,
     .help = "Ends when the centres move less than this share of the spread of the points, gmm when "
             "the mean log-likelihood rises by less; default 1e-4, of fuzzy methods 1e-6."},
    {.name = "fuzziness", .kind = CLI_REAL, .value = "M", .preset = "2", .least = 1.01, .most = 100,
     .help = "Exponent of membership in fuzzy methods; near 1 is k-means."},
    {.name = "covariance", .kind = CLI_CHOICE, .value = "full|diagonal", .preset = "full",
     .help = "Shape of the clusters of gmm."},
    {.name = "ridge", .kind = CLI_REAL, .value = "R", .preset = "1e-6", .least = 0,
     .help = "Added to the variances of gmm and gustafson-kessel, as a share of the mean variance."},
    {.name = "least-size", .kind = CLI_INTEGER, .value = "N", .least = 2, .most = 1e9,
     .help = "Fewest positions in a cluster of hdbscan; default 0.5 % of all, at least 5."},
    {.name = "neighbours", .kind = CLI_INTEGER, .value = "N", .preset = "10", .least = 1, .most = 10000,
     .help = "Positions that make a dense place for hdbscan, the position itself counted."},
    {.name = "exact", .kind = CLI_INTEGER, .value = "N", .preset = "10000", .least = 2, .most = 1e6,
     .help = "Most positions that ward takes one by one; more are gathered into --parts first."},
    {.name = "parts", .kind = CLI_INTEGER, .value = "N", .least = 2, .most = 100000,
     .help = "Centres of minibatch that stand for more positions in ward, default 1024; clusters of "
             "kmeans whose patterns rotation compares, default 48."},
    {.name = "correlation", .kind = CLI_REAL, .value = "R", .preset = "0.8", .least = -1, .most = 1,
     .help = "With -n auto, rotation joins patterns that are at least so alike."},
    {.name = "beam", .kind = CLI_TEXT, .value = "cy,cx",
     .help = "Centre of rotation, px of the prepared pattern; default: found in the mean pattern."},
    {.name = "batch", .kind = CLI_INTEGER, .value = "N", .preset = "1024", .least = 1,
     .most = 1000000, .help = "Positions in a batch of minibatch."},
    {.name = "sample", .kind = CLI_INTEGER, .value = "N", .preset = "4000", .least = 2,
     .most = 100000, .help = "Positions that the silhouette is measured on."},
    {.name = "pictures", .kind = CLI_FOLDER, .value = "DIR",
     .help = "Label map (.png, .tif) and maps of membership (.tif) go to this folder."},
    {.name = "gap", .kind = CLI_INTEGER, .value = "B", .preset = "0", .least = 0, .most = 1000,
     .help = "With -n auto, adds the gap statistic of k-means against B references without clusters."},
    CLI_REPORT_OPTIONS,
    CLI_LAZY_SAFE_OPTION,
    {0}};

/* ---- options that a method does not look at ------------------------------------------------------- */

#define OF(method) (1U << UM_CLUSTER_##method)
enum {
    ALL = (1U << UM_CLUSTER_METHODS) - 1,
    SOFT = OF(FUZZY) | OF(POSSIBILISTIC) | OF(GUSTAFSON_KESSEL),
    FROM_KMEANS = OF(KMEANS) | OF(GMM) | SOFT,
    COUNTED = ALL & ~(OF(HDBSCAN) | OF(ROTATION))
};
static const struct {
    const char *name;
    unsigned methods;
    bool for_auto; /* only with -n auto */
} uses[] = {
    {"clusters", ALL & ~OF(HDBSCAN), false},
    {"range", COUNTED, true},
    {"gap", COUNTED, true},
    {"correlation", OF(ROTATION), true},
    {"starts", FROM_KMEANS | OF(ROTATION), false},
    {"centers", FROM_KMEANS | OF(MINIBATCH), false},
    {"max-iterations", FROM_KMEANS | OF(MINIBATCH) | OF(ROTATION), false},
    {"tolerance", FROM_KMEANS | OF(ROTATION), false},
    {"fuzziness", SOFT, false},
    {"covariance", OF(GMM), false},
    {"ridge", OF(GMM) | OF(GUSTAFSON_KESSEL), false},
    {"least-size", OF(HDBSCAN), false},
    {"neighbours", OF(HDBSCAN), false},
    {"exact", OF(WARD), false},
    {"parts", OF(WARD) | OF(ROTATION), false},
    {"beam", OF(ROTATION), false},
    {"batch", OF(MINIBATCH), false},
};

static um_status check_uses(cli *c)
{
    bool is_auto = strcmp(cli_text(c, "clusters"), "auto") == 0;
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        if (!cli_given(c, uses[i].name)) {
            continue;
        }
        if ((uses[i].methods & (1U << cli_choice(c, "method"))) == 0) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--%s is not for --method %s: leave it out", uses[i].name,
                            cli_text(c, "method"));
        }
        if (uses[i].for_auto && !is_auto) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--%s goes with -n auto: leave one of them out", uses[i].name);
        }
    }
    return UM_OK;
}

static um_status check_outputs(cli *c, cluster_job *job)
{
    um_status status = cli_check_models(c);
    const char *folder = cli_text(c, "pictures");
    if (status == UM_OK && folder != NULL) {
        status = !c->force && cli_folder_in_use(folder)
                     ? cli_fail(c, UM_ERROR_EXISTS,
                                "%s: is not empty: pass --force to replace files in it", folder)
                     : cli_check_parent(c, folder);
    }
    return status == UM_OK ? cli_choose_report(c, &job->report) : status;
}

static um_status run(cli *c)
{
    cluster_job job = {.c = c, .files = json_array()};
    um_status status = check_uses(c);
    if (status == UM_OK) {
        status = check_outputs(c, &job);
    }
    if (status == UM_OK) {
        status = cluster_job_points(&job);
    }
    if (status == UM_OK) {
        status = cluster_job_run(&job);
    }
    if (status == UM_OK) {
        status = cluster_job_patterns(&job);
    }
    if (status == UM_OK) {
        status = cluster_job_save(&job);
    }
    if (status == UM_OK) {
        status = cluster_job_draw(&job);
    }
    if (status == UM_OK) {
        status = cluster_job_tell(&job);
    }
    cluster_job_free(&job);
    return status;
}

const cli_command cli_command_cluster = {
    .name = "cluster",
    .summary = "sort the positions of a scan or result into classes",
    .operands = "IN -o OUT",
    .description =
        "Gives each position a label. IN is a result (.hspy or .npz of unmix nmf or svd), whose "
        "loadings are clustered, or a scan, which is first brought into the space of its singular "
        "vectors. Loadings of a position are divided by their sum (NMF) or norm (SVD) unless --scaling "
        "says otherwise: thickness and dose scale all of them together and are no phase.\n\n"
        "kmeans is Lloyd's iteration from seeded k-means++ starts; minibatch the same in batches, for very "
        "many positions; gmm a Gaussian mixture; fuzzy, possibilistic and gustafson-kessel give each position a "
        "membership in every cluster, the last with an ellipsoid for each. ward joins the two clusters that cost least until N are "
        "left. hdbscan finds "
        "dense regions, and their number, by itself and leaves what lies between as noise, label -1. rotation "
        "joins clusters of kmeans whose patterns are alike when one is turned about the beam: grains of one "
        "phase seen along one zone axis; the pattern of such a cluster is that of its largest part.\n\n"
        "OUT is the result with its clusters: label 0 is the largest. The pattern of a cluster is the mean "
        "of the raw patterns of its positions.",
    .examples = "unmix cluster scan.hspy -n 6 -o classes.hspy # in the space of singular vectors\n"
                "unmix cluster result.hspy -o classes.hspy --patterns scan.hspy # loadings of an NMF, "
                "number by silhouette\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
