/* unmix nmf --online: a scan file that is still being written is followed to its end, a batch of its rows at a time. */
#include "nmf_job.h"

#include "unmix/online.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const double GROWN = 1.5; /* times the positions of the last result, for the next one */
static const double POLL_SECONDS = 0.25;

typedef struct follow {
    nmf_job *job;
    um_online *online;
    int64_t rows;  /* of the scan that have been taken */
    int64_t batches, results;
    int64_t shown; /* positions of the last result */
    bool complete;
} follow;

/* ---- what cannot be done with a part of the scan ------------------------------------------------------ */

um_status nmf_online_check(nmf_job *job, bool is_variant)
{
    /* Steps that learn from the data would learn something else from every batch. */
    static const char *const learned[] = {"recipe", "crop-scan", "bin-scan", "center", "hot-pixels", "mask-auto",
                                          "navigation-mask", "navigation-threshold"};
    static const char *const other[] = {"each", "second-pass", "resume", "checkpoint", "link-data", "start", "stop",
                                        "tolerance", "max-passes"};
    cli *c = job->c;
    if (!cli_given(c, "k")) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--online needs -k: the most components that there can be");
    }
    for (size_t i = 0; i < sizeof learned / sizeof learned[0]; i++) {
        if (cli_given(c, learned[i])) {
            return cli_fail(c, UM_ERROR_ARGUMENT,
                            "--online sees a part of the scan at a time: leave out --%s, which needs all of it",
                            learned[i]);
        }
    }
    if (cli_given(c, "mask-beam") && !cli_given(c, "beam-center")) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--online with --mask-beam needs --beam-center: the beam is looked for in "
                                              "the mean of the whole scan");
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        if (cli_given(c, other[i])) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "--online and --%s exclude each other", other[i]);
        }
    }
    if (is_variant || job->options.loss != UM_LOSS_FROBENIUS || job->runs > 1) {
        return cli_fail(c, UM_ERROR_ARGUMENT,
                        "--online is for the plain factorisation: leave out --loss kl, --runs and variants");
    }
    return UM_OK;
}

/* ---- one batch ---------------------------------------------------------------------------------------- */

static um_status open_rows(cli *c, int64_t from, int64_t to, cli_scan *scan)
{
    char text[64];
    um_status status = cli_scan_open(c, c->operand[0], scan);
    if (status == UM_OK) {
        status = cli_scan_recipe(c, scan);
    }
    if (status == UM_OK && to > 0) {
        snprintf(text, sizeof text, "%lld:%lld,0:%lld", (long long)from, (long long)to,
                 (long long)um_source_get_info(scan->source)->shape.nx);
        status = um_recipe_set(scan->recipe, "crop-scan", text);
    }
    return status == UM_OK ? cli_scan_bind(c, scan) : status;
}

static um_status take_rows(follow *f, int64_t to)
{
    cli *c = f->job->c;
    cli_scan scan;
    int64_t k = 0;
    um_status status = open_rows(c, f->rows, to, &scan);
    if (status == UM_OK) {
        status = um_online_add(f->online, scan.matrix);
    }
    cli_scan_close(&scan);
    if (status == UM_OK) {
        (void)um_online_patterns(f->online, &k);
        cli_note(c, "rows %lld to %lld of the scan: %lld components", (long long)f->rows, (long long)to - 1,
                 (long long)k);
        f->rows = to;
        f->batches++;
    }
    return status;
}

/* ---- a result of what there is ------------------------------------------------------------------------- */

static json_t *facts(const follow *f, int64_t positions)
{
    return json_pack("{s:I, s:I, s:b, s:I}", "batches", (json_int_t)f->batches, "results", (json_int_t)f->results + 1,
                     "complete", (int)f->complete, "positions", (json_int_t)positions);
}

/* The patterns as they are now, and the whole file as far as it is there. */
static um_status hold(follow *f, nmf_job *job)
{
    job->options.held = um_online_patterns(f->online, &job->options.k);
    job->options.sums = NULL;
    um_status status = open_rows(job->c, 0, 0, &job->scan);
    if (status == UM_OK) {
        json_decref(job->online);
        job->online = facts(f, um_source_get_info(job->scan.source)->positions_present);
    }
    return status;
}

static um_status show(follow *f)
{
    cli *c = f->job->c;
    nmf_job job = {.c = c, .options = f->job->options, .runs = 1, .report = f->job->report};
    um_status status = hold(f, &job);
    if (status == UM_OK) {
        status = nmf_job_fit(&job);
    }
    if (status == UM_OK) {
        status = nmf_job_store(&job);
    }
    job.report = NULL;
    nmf_job_clear(&job);
    c->force = c->force || status == UM_OK; /* the next replaces it */
    f->results += status == UM_OK;
    return status;
}

/* ---- waiting -------------------------------------------------------------------------------------------- */

/* Whole rows that are in the file now. A file that cannot be opened yet has none. */
static um_status look(follow *f, int64_t *rows, int64_t *nx, um_status *why)
{
    cli_scan scan;
    *why = cli_scan_open(f->job->c, f->job->c->operand[0], &scan);
    *rows = 0;
    if (*why == UM_OK) {
        const um_source_info *info = um_source_get_info(scan.source);
        *nx = info->shape.nx;
        *rows = info->positions_present / info->shape.nx;
        f->complete = info->positions_present == info->shape.ny * info->shape.nx;
    }
    cli_scan_close(&scan);
    return *why == UM_ERROR_TRUNCATED || *why == UM_ERROR_IO ? UM_OK : *why;
}

static um_status nap(cli *c)
{
    const struct timespec time = {0, (long)(POLL_SECONDS * 1e9)};
    nanosleep(&time, NULL);
    return um_context_cancelled(c->ctx) ? cli_fail(c, UM_CANCELLED, "cancelled: the last result holds what was seen "
                                                                     "by then")
                                        : UM_OK;
}

static um_status run(follow *f)
{
    cli *c = f->job->c;
    double patience = cli_real(c, "patience");
    int64_t batch = cli_integer(c, "batch");
    batch = batch > f->job->options.k ? batch : f->job->options.k;
    double news = cli_seconds();
    int64_t last = -1;
    for (;;) {
        int64_t rows = 0;
        int64_t nx = 1;
        um_status why = UM_OK;
        um_status status = look(f, &rows, &nx, &why);
        bool over = f->complete || cli_seconds() - news > patience;
        news = rows != last ? cli_seconds() : news;
        last = rows;
        int64_t step = (batch + nx - 1) / nx; /* in equal batches however fast the file grows */
        while (status == UM_OK && (rows - f->rows >= step || (over && rows > f->rows))) {
            status = take_rows(f, rows - f->rows < step ? rows : f->rows + step);
            if (status == UM_OK && !(over && f->rows == rows) &&
                (double)(f->rows * nx) >= GROWN * (double)f->shown) {
                status = show(f);
                f->shown = f->rows * nx;
            }
        }
        if (status != UM_OK || over) {
            return status == UM_OK && f->rows == 0 && why != UM_OK ? why : status;
        }
        status = nap(c);
        if (status != UM_OK) {
            return status;
        }
    }
}

um_status nmf_online_follow(nmf_job *job)
{
    cli *c = job->c;
    follow f = {.job = job};
    const um_online_options options = {.k = cli_integer(c, "k"), .weights = job->options.weights};
    job->options.k = options.k;
    c->growing = true;
    um_status status = um_online_create(c->ctx, &options, &f.online);
    if (status == UM_OK) {
        status = run(&f);
    }
    int64_t k = 0;
    if (status == UM_OK && um_online_patterns(f.online, &k) == NULL) {
        status = cli_fail(c, UM_ERROR_TRUNCATED, "%s: no pattern with counts came within --patience", c->operand[0]);
    }
    if (status == UM_OK && !f.complete) {
        cli_warn(c, "%s: is not complete, and has not grown for a while: the result is of %lld rows", c->operand[0],
                 (long long)f.rows);
    }
    if (status == UM_OK) {
        status = hold(&f, job);
    }
    job->follower = f.online; /* holds the patterns */
    return status;
}
