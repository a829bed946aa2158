/* unmix nmf: non-negative matrix factorisation of a scan, from file to result and report. */
#include "nmf_job.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_option options[] = {
    {.name = "k", .letter = 'k', .kind = CLI_INTEGER, .value = "K", .least = 1,
     .help = "Number of components; default: what unmix choose recommends."},
    {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .repeat = true,
     .help = "The result: .hspy (HyperSpy opens and plots it) or .npz (learning_results.load)."},
    {.name = "loss", .kind = CLI_CHOICE, .value = "frobenius|kl", .preset = "frobenius",
     .help = "What is made small: squared errors, or kl = the Kullback-Leibler divergence, the "
             "likelihood of Poisson counts, for scans of few counts."},
    {.name = "sparse-loadings", .kind = CLI_REAL, .value = "L", .least = 0, .preset = "0",
     .help = "Penalise the sum of the loadings: those below about L times their counting noise vanish."},
    {.name = "sparse-patterns", .kind = CLI_REAL, .value = "L", .least = 0, .preset = "0",
     .help = "Penalise the sum of the pattern values in the same unit."},
    {.name = "orthogonal", .kind = CLI_REAL, .value = "W", .least = 0, .preset = "0",
     .help = "Penalise overlap of the maps of different components with weight W; 0.05 is usual."},
    {.name = "ard", .kind = CLI_SWITCH,
     .help = "Automatic relevance determination: components that do not pay for themselves go, those "
             "with the same pattern become one; give -k somewhat too large."},
    {.name = "dips", .kind = CLI_REAL, .value = "L", .least = 0, .preset = "0",
     .help = "Let patterns share reflections where plain factorisation leaves dips in all but one: "
             "penalise the volume that the patterns span; try 0.01."},
    {.name = "robust", .kind = CLI_REAL, .value = "L", .least = 0, .preset = "0",
     .help = "Keep counts apart that exceed the model by L times their noise and by L counts, such as "
             "hot pixels and cosmic rays; try 5. Their share is stored as the map outlier_share."},
    {.name = "probe", .kind = CLI_REAL, .value = "PX", .least = 0, .preset = "0",
     .help = "Let no map be sharper than a Gaussian probe of standard deviation PX scan positions."},
    {.name = "smooth", .kind = CLI_REAL, .value = "L", .least = 0, .preset = "0",
     .help = "Penalise differences between neighbouring positions; 1 = as much as counting noise."},
    {.name = "fixed", .kind = CLI_FILE, .value = "FILE",
     .help = "Hold the patterns in FILE (.npy, .npz, .hspy: f x ky x kx as prepared) as components; "
             "-k counts them."},
    {.name = "second-pass", .kind = CLI_TEXT, .value = "auto|K",
     .help = "Fit up to K further components to what the first leave unexplained, with these held: where the "
             "residual exceeds counting noise; auto = as many as it has evidence for."},
    {.name = "weights", .kind = CLI_CHOICE, .value = "auto|poisson|none", .preset = "auto",
     .help = "Weight by the Poisson noise of counts (Keenan and Kotula 2004); auto = for counts "
             "only."},
    {.name = "start", .kind = CLI_TEXT, .preset = "auto",
     .value = "auto|separable|nndsvd|nndsvda|nndsvdar|random|FILE",
     .help = "Where the iteration starts: the purest patterns of the scan, the SVD, random "
             "numbers, or the factors in a file (.npz, .npy, .hspy); auto = the best of several, "
             "found without reading."},
    {.name = "tolerance", .kind = CLI_REAL, .value = "T",
     .help = "Stop when the projected gradient has fallen to T of that of the empty model; "
             "default 1e-5."},
    {.name = "stop", .kind = CLI_CHOICE, .value = "auto|floor|tolerance", .preset = "auto",
     .help = "What ends the fit: floor = what can still be gained is less than fitting noise gains "
             "(Poisson weights), with few reads; tolerance = --tolerance alone; auto = floor (a "
             "tenth of it for scans of up to 10^8 values), but tolerance with --tolerance."},
    {.name = "max-passes", .kind = CLI_INTEGER, .value = "N", .least = 1, .most = 1000000,
     .help = "Stop after N passes in any case; default 500."},
    {.name = "normalize", .kind = CLI_CHOICE, .value = "sum|max|norm", .preset = "sum",
     .help = "What is 1 of every component pattern; the loadings take the rest."},
    {.name = "runs", .kind = CLI_INTEGER, .value = "N", .least = 1, .most = 1000, .preset = "1",
     .help = "Run N times with seeds S, S+1, ... and keep the best: the first from --start, the "
             "others at random unless --start is given."},
    {.name = "plan", .kind = CLI_SWITCH,
     .help = "Only tell the peak memory that the run would take, for 10 components without -k; "
             "write nothing."},
    {.name = "each", .kind = CLI_FOLDER, .value = "DIR",
     .help = "IN is several scans ('*.hspy', @list.txt) of any sizes, fitted together: a result and a report for "
             "each go to DIR as well, with the same components in the same order."},
    {.name = "online", .kind = CLI_SWITCH,
     .help = "Follow a scan file that is still being written: patterns are learned batch by batch, a result is "
             "written whenever half as many positions again have come, and at the end. -k is the most components."},
    {.name = "batch", .kind = CLI_INTEGER, .value = "N", .least = 1, .most = 1e9, .preset = "2048",
     .help = "Positions of a batch of --online, rounded up to whole rows."},
    {.name = "patience", .kind = CLI_REAL, .value = "S", .least = 0, .preset = "60",
     .help = "Seconds without growth after which --online takes the file as it is."},
    CLI_REPORT_OPTIONS,
    {.name = "resume", .kind = CLI_SWITCH,
     .help = "Go on from the checkpoint of an interrupted run with the same input and options."},
    {.name = "checkpoint", .kind = CLI_FILE, .value = "FILE",
     .help = "Where the state is kept while running; default: the first OUT with .checkpoint "
             "added. Removed at the end."},
    {.name = "checkpoint-seconds", .kind = CLI_REAL, .value = "S", .preset = "30",
     .help = "Least time between checkpoints; 0 = after every pass."},
    {.name = "no-checkpoint", .kind = CLI_SWITCH, .help = "Keep no checkpoint."},
    CLI_LAZY_SAFE_OPTION,
    {.name = "link-data", .kind = CLI_SWITCH,
     .help = "Let the .hspy result show the scan itself through an external link (HDF5 scans "
             "without preparation)."},
    {0}};

/* A variant begins at the plain fit, and cannot be taken up in its middle. */
static bool is_variant(const um_nmf_options *o)
{
    return o->sparse_loadings > 0 || o->sparse_patterns > 0 || o->orthogonal > 0 || o->relevance ||
           o->smooth > 0 || o->robust > 0 || o->dips > 0 || o->probe_px > 0 || o->fixed_file != NULL;
}

/* "auto" or a number of components that a second pass may add. */
static um_status read_second_pass(cli *c, um_nmf_options *o)
{
    const char *text = cli_text(c, "second-pass");
    if (text == NULL) {
        return UM_OK;
    }
    if (strcmp(text, "auto") == 0) {
        o->second_pass = -1;
        return UM_OK;
    }
    const int64_t most = 64;
    if (!cli_parse_integer(text, &o->second_pass) || o->second_pass < 1 || o->second_pass > most) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--second-pass takes auto or a number from 1 to %lld, not '%s'",
                        (long long)most, text);
    }
    return UM_OK;
}

static um_status read_options(cli *c, nmf_job *job)
{
    um_nmf_options *o = &job->options;
    *o = um_nmf_defaults(0);
    o->loss = (um_loss)cli_choice(c, "loss");
    o->sparse_loadings = cli_real(c, "sparse-loadings");
    o->sparse_patterns = cli_real(c, "sparse-patterns");
    o->orthogonal = cli_real(c, "orthogonal");
    o->relevance = cli_given(c, "ard");
    o->probe_px = cli_real(c, "probe");
    o->robust = cli_real(c, "robust");
    o->dips = cli_real(c, "dips");
    o->smooth = cli_real(c, "smooth");
    o->fixed_file = cli_given(c, "fixed") ? cli_text(c, "fixed") : NULL;
    o->weights = (um_weights)cli_choice(c, "weights");
    o->normalize = (um_normalize)cli_choice(c, "normalize");
    o->checkpoint_seconds = cli_real(c, "checkpoint-seconds");
    o->stop = (um_stop)cli_choice(c, "stop");
    o->resume = cli_given(c, "resume");
    um_status status = read_second_pass(c, o);
    if (status != UM_OK) {
        return status;
    }
    if (cli_given(c, "tolerance")) {
        o->tolerance = cli_real(c, "tolerance");
    }
    if (cli_given(c, "max-passes")) {
        o->max_passes = cli_integer(c, "max-passes");
    }
    static const char *const starts[] = {"auto",    "separable", "nndsvd",
                                         "nndsvda", "nndsvdar",  "random"};
    const char *start = cli_text(c, "start");
    o->start = UM_START_FILE;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        if (strcmp(start, starts[i]) == 0) {
            o->start = (um_start)i;
        }
    }
    if (o->start == UM_START_FILE) {
        if (strchr(start, '.') == NULL && strchr(start, '/') == NULL && access(start, R_OK) != 0) {
            return cli_fail(c, UM_ERROR_ARGUMENT,
                            "--start takes auto, separable, nndsvd, nndsvda, nndsvdar, random or a "
                            "file, not '%s'",
                            start);
        }
        o->start_file = start;
    }
    job->runs = (int)cli_integer(c, "runs");
    if (job->runs > 1 && (o->resume || cli_given(c, "checkpoint"))) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--resume and --checkpoint are for a single run");
    }
    if (job->runs > 1 && o->start == UM_START_FILE) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--runs: every run from one file is the same");
    }
    if (o->stop == UM_STOP_FLOOR && o->loss == UM_LOSS_FROBENIUS && (o->start != UM_START_AUTO || job->runs > 1)) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--stop floor is for a single run with --start auto");
    }
    if (is_variant(o) && cli_given(c, "checkpoint")) {
        return cli_fail(c, UM_ERROR_ARGUMENT,
                        "a variant of the factorisation keeps no checkpoint: leave out --checkpoint");
    }
    if (cli_given(c, "no-checkpoint") && (o->resume || cli_given(c, "checkpoint"))) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--no-checkpoint excludes --resume and --checkpoint");
    }
    return UM_OK;
}

/* The checkpoint is replaced while running and removed at the end: nothing else may be there. */
static bool is_checkpoint(cli *c, const char *path)
{
    static const char zip[4] = {'P', 'K', 3, 4};
    char head[4] = {0};
    FILE *file = fopen(path, "rb");
    bool found = file != NULL && fread(head, 1, sizeof head, file) == sizeof head &&
                 memcmp(head, zip, sizeof head) == 0;
    if (file != NULL) {
        fclose(file);
    }
    char *part = found ? cli_format("%s:h_last", path) : NULL;
    um_array *array = NULL;
    found = part != NULL && um_array_read(c->ctx, part, &array) == UM_OK;
    um_array_free(array);
    free(part);
    return found;
}

/* Names of report and checkpoint beside the first result, and whether all can be written. */
static um_status check_outputs(cli *c, nmf_job *job)
{
    um_status status = cli_check_models(c);
    if (status != UM_OK) {
        return status;
    }
    const char *first = cli_text_at(c, "output", 0);
    status = cli_choose_report(c, &job->report);
    if (status != UM_OK) {
        return status;
    }
    if (!cli_given(c, "no-checkpoint") && job->runs == 1 && !cli_given(c, "online") && !is_variant(&job->options)) {
        job->checkpoint = cli_given(c, "checkpoint") ? cli_format("%s", cli_text(c, "checkpoint"))
                                                     : cli_format("%s.checkpoint", first);
    }
    job->options.checkpoint = job->checkpoint;
    for (int i = 0; i < cli_count(c, "output") && status == UM_OK && job->checkpoint != NULL; i++) {
        if (strcmp(job->checkpoint, cli_text_at(c, "output", i)) == 0) {
            status = cli_fail(c, UM_ERROR_ARGUMENT, "--checkpoint %s: is an output", job->checkpoint);
        }
    }
    if (status == UM_OK && job->checkpoint != NULL) {
        status = cli_check_replaced(c, job->checkpoint);
    }
    if (status == UM_OK && job->checkpoint != NULL && access(job->checkpoint, F_OK) == 0 &&
        !is_checkpoint(c, job->checkpoint)) {
        status = cli_fail(c, UM_ERROR_EXISTS,
                          "%s: exists and is no checkpoint: give --checkpoint another name",
                          job->checkpoint);
    }
    return status;
}

static um_status run(cli *c)
{
    nmf_job job = {.c = c};
    bool only_plan = cli_given(c, "plan");
    um_status status = read_options(c, &job);
    if (status == UM_OK && !only_plan) {
        status = check_outputs(c, &job);
    }
    bool online = cli_given(c, "online") && !only_plan;
    if (status == UM_OK && online) {
        status = nmf_online_check(&job, is_variant(&job.options));
    }
    if (status == UM_OK) {
        status = online ? nmf_online_follow(&job) : cli_scan_prepare(c, c->operand[0], &job.scan);
    }
    if (only_plan) {
        status = status == UM_OK ? nmf_job_plan(&job) : status;
        nmf_job_clear(&job);
        return status;
    }
    if (status == UM_OK && cli_given(c, "link-data")) {
        job.link = cli_data_link(c, &job.scan);
        status = job.link != NULL ? UM_OK : UM_ERROR_ARGUMENT;
    }
    if (status == UM_OK && cli_given(c, "each")) {
        status = nmf_each_check(&job);
    }
    if (status == UM_OK) {
        status = nmf_job_fit(&job);
    }
    if (status == UM_OK) {
        status = nmf_job_store(&job);
    }
    if (status == UM_OK) {
        status = nmf_job_tell(&job);
    }
    nmf_job_clear(&job);
    return status;
}

const cli_command cli_command_nmf = {
    .name = "nmf",
    .summary = "factorise a scan into component patterns and their maps",
    .operands = "IN -o OUT",
    .description =
        "Non-negative matrix factorisation: every pattern as a non-negative mixture of K "
        "component patterns, streamed, under the memory budget. Without -k the number of "
        "components is what the evidence of unmix choose recommends; the output says the range that it "
        "allows, and the report shows it.\n\n"
        "Convergence is judged by the projected gradient (relative to that of the empty model), "
        "and the result says whether it was reached. Errors are those of exactly the factors that "
        "are stored. Components are ordered by their contribution to all counts. A report for "
        "people is written beside the result.\n\n"
        "An interrupted run leaves a checkpoint and no partial result; --resume goes on from it "
        "and ends with the same result.",
    .examples = "unmix nmf 'aged_*.hspy' -k 6 -o joint.hspy --each aged # a series: the same components in all\n"
                "unmix nmf scan.hspy -o result.hspy # everything by default, with a report\n"
                "unmix nmf scan.hspy -k 5 --second-pass auto -o r.hspy # and what five leave unexplained\n"
                "unmix nmf scan.hspy -k 5 --mask-beam 10 -o r.hspy -o r.npz # without the direct "
                "beam\n"
                "unmix nmf live.mib --scan 256x256 -k 8 --online -o live.hspy # while it is being measured\n"
                "unmix nmf digits.npy -k 8 --weights none --runs 5 -o d.npz # best of five "
                "starts\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .reads = CLI_READS_SCAN,
    .run = run,
};
