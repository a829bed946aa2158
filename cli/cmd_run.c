/* unmix run: a whole analysis of one or several scans as a plan says. */
#include "run_index.h"
#include "run_steps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const cli_option options[] = {
    {.name = "plan", .kind = CLI_SWITCH,
     .help = "Only tell what would be done and what is kept from an earlier run, and why; write nothing."},
    {.name = "example", .kind = CLI_FOLDER, .value = "DIR",
     .help = "Simulate a small series of scans into DIR and write a plan for it that works, DIR/plan.ini; no PLAN.ini."},
    {0}};

/* ---- names -------------------------------------------------------------------------------------- */

/* The name of file i in the folder: without folders and suffix, made unique by a number. malloc'ed. */
static char *scan_name(const plan *p, char *const *folder, int i)
{
    const char *slash = strrchr(p->files[i], '/');
    char *stem = cli_with_suffix(slash != NULL ? slash + 1 : p->files[i], "");
    char *name = stem != NULL ? cli_format("%s/%s", p->folder, stem) : NULL;
    for (int n = 2; name != NULL; n++) {
        bool taken = false;
        for (int k = 0; k < i; k++) {
            taken = taken || strcmp(folder[k], name) == 0;
        }
        if (!taken) {
            break;
        }
        free(name);
        name = cli_format("%s/%s-%d", p->folder, stem, n);
    }
    free(stem);
    return name;
}

static um_status name_scans(runner *r)
{
    const plan *p = &r->plan;
    r->folder = calloc((size_t)p->file_count, sizeof *r->folder);
    bool fine = r->folder != NULL;
    for (int i = 0; fine && i < p->file_count; i++) {
        r->folder[i] = scan_name(p, r->folder, i);
        fine = r->folder[i] != NULL;
        json_t *object = json_pack("{s:o, s:o}", "file", cli_json_text(p->files[i]), "folder",
                                   cli_json_text(fine ? r->folder[i] : ""));
        if (object != NULL && p->condition[i] != NULL) {
            json_object_set_new(object, "condition", cli_json_text(p->condition[i]));
        }
        json_array_append_new(r->scans, object);
    }
    return fine ? UM_OK : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
}

/* ---- the sequence -------------------------------------------------------------------------------- */

static um_status run_scan(runner *r, int i)
{
    const plan *p = &r->plan;
    um_status status = r->only_plan ? UM_OK : cli_check_folder(r->c, r->folder[i]);
    status = status == UM_OK && p->store_prepared ? run_prepared(r, i) : status;
    status = status == UM_OK && p->step[PLAN_IMAGE].wanted ? run_images(r, i) : status;
    status = status == UM_OK && p->step[PLAN_SVD].wanted ? run_svd(r, i) : status;
    if (status == UM_OK && !p->joint) {
        fit f = {.scan = i, .input = p->files[i], .folder = r->folder[i]};
        status = run_fit(r, &f);
        if (status == UM_OK && p->step[PLAN_SEGMENT].wanted) {
            bool read = run_by_dark_fields(p);
            status = run_particles(r, i, read ? p->files[i] : f.result, NULL, read ? NULL : f.nmf_id);
        }
        run_fit_clear(&f);
    }
    return status;
}

/* The result of scan i out of the fit of all: `unmix nmf --each` names it after the scan. */
static char *each_result(const runner *r, const fit *f, int i)
{
    const char *slash = strrchr(r->plan.files[i], '/');
    const char *name = slash != NULL ? slash + 1 : r->plan.files[i];
    char *stem = cli_with_suffix(name, "");
    char *path = stem != NULL ? cli_format("%s/%s.%s", f->each, stem, r->plan.hspy ? "hspy" : "npz") : NULL;
    free(stem);
    return path;
}

static um_status run_joint(runner *r)
{
    const plan *p = &r->plan;
    char *list = NULL;
    um_status status = run_list(r, &list);
    fit f = {.scan = -1, .input = list, .folder = p->folder};
    status = status == UM_OK ? run_fit(r, &f) : status;
    bool read = run_by_dark_fields(p);
    char *like = cli_format("%s/classes.hspy", p->folder);
    if (status == UM_OK && p->step[PLAN_SEGMENT].wanted && !read) {
        status = like != NULL ? run_classes(r, &f, like) : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
        for (int i = 0; status == UM_ERROR_VALUE && i < p->file_count; i++) {
            status = run_go_without(r, i) == UM_OK && i + 1 < p->file_count ? UM_ERROR_VALUE : UM_OK;
        }
    }
    bool parted = json_object_size(r->unparted) == 0;
    for (int i = 0; i < p->file_count && status == UM_OK && parted && p->step[PLAN_SEGMENT].wanted; i++) {
        char *own = each_result(r, &f, i);
        status = own == NULL ? cli_fail(r->c, UM_ERROR_MEMORY, "no memory")
                 : read      ? run_particles(r, i, p->files[i], NULL, NULL)
                             : run_particles(r, i, own, like, f.nmf_id);
        free(own);
    }
    free(like);
    free(list);
    run_fit_clear(&f);
    return status;
}

static um_status run_stages(runner *r)
{
    um_status status = UM_OK;
    for (int i = 0; i < r->plan.file_count && status == UM_OK; i++) {
        status = run_scan(r, i);
    }
    status = status == UM_OK && r->plan.joint ? run_joint(r) : status;
    return status == UM_OK && r->plan.step[PLAN_MEASURE].wanted ? run_measures(r) : status;
}

/* ---- telling ------------------------------------------------------------------------------------- */

static void say_plan(const runner *r)
{
    size_t i = 0;
    json_t *one = NULL;
    json_array_foreach(r->stages, i, one) {
        const char *why = json_string_value(json_object_get(one, "why"));
        cli_say(r->c, "%-6s %-28s %s", json_string_value(json_object_get(one, "state")),
                json_string_value(json_object_get(one, "stage")), why != NULL ? why : "");
    }
}

static json_t *run_json(const runner *r, const char *index, const char *report)
{
    json_t *object = json_pack("{s:O, s:O, s:O, s:f, s:I}", "scans", r->scans, "study", r->study, "stages", r->stages,
                               "seconds", cli_seconds() - r->c->started, "peak_bytes", (json_int_t)cli_peak_bytes());
    if (object != NULL && !r->only_plan) {
        json_object_set_new(object, "index", cli_json_text(index));
        if (report != NULL) {
            json_object_set_new(object, "report", cli_json_text(report));
        }
    }
    return object;
}

static um_status finish(runner *r)
{
    cli *c = r->c;
    char *index = cli_format("%s/index.html", r->plan.folder);
    char *page = run_index_html(&r->plan, r->scans);
    const char *report = json_string_value(json_object_get(r->study, "page"));
    um_status status = index != NULL && page != NULL ? UM_OK : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    if (status == UM_OK && !r->only_plan) {
        status = cli_write_text(c, index, page);
    }
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, run_json(r, index, report));
    } else if (status == UM_OK && r->only_plan) {
        say_plan(r);
    } else if (status == UM_OK) {
        char time[32];
        size_t done = json_object_size(r->due);
        cli_say(c, "%zu scans; %zu stages done, %zu kept, in %s", json_array_size(r->scans), done,
                json_array_size(r->stages) - done, cli_seconds_text(cli_seconds() - c->started, time));
        cli_say(c, "Open %s in a browser.", report != NULL ? report : index);
    }
    free(index);
    free(page);
    return status;
}

/* ---- before it ----------------------------------------------------------------------------------- */

/* Every file must be there before the first is worked on; a folder must be ours, or empty. */
static um_status check_files(runner *r)
{
    const plan *p = &r->plan;
    um_status status = UM_OK;
    struct stat st;
    for (int i = 0; i < p->file_count && status == UM_OK; i++) {
        bool dataset = strchr(p->files[i], ':') != NULL; /* file.h5:/path: opening it will tell */
        if (!dataset && p->files[i][0] != '@' && strpbrk(p->files[i], "*?[") == NULL && stat(p->files[i], &st) != 0) {
            status = cli_fail(r->c, UM_ERROR_IO, "%s: cannot be opened: %s", p->files[i],
                              strerror(errno));
        }
    }
    if (status == UM_OK) {
        status = cli_check_parent(r->c, p->folder);
    }
    if (status == UM_OK) {
        status = ledger_open(r->c, p->folder, &r->ledger);
    }
    if (status == UM_OK && !r->c->force && ledger_is_new(&r->ledger) && cli_folder_in_use(p->folder)) {
        status = cli_fail(r->c, UM_ERROR_EXISTS, "%s: is not empty: pass --force to replace files "
                                                 "in it",
                          p->folder);
    }
    return status;
}

static um_status run_plan(cli *c)
{
    runner r = {.c = c, .scans = json_array(), .study = json_object(), .stages = json_array(), .digests = json_object(),
                .due = json_object(), .unparted = json_object(),
                .only_plan = cli_given(c, "plan")};
    um_status status = plan_read(c, c->operand[0], &r.plan);
    status = status == UM_OK ? check_files(&r) : status;
    status = status == UM_OK ? name_scans(&r) : status;
    if (status == UM_OK && !r.only_plan) {
        status = cli_check_folder(c, r.plan.folder);
    }
    status = status == UM_OK ? run_stages(&r) : status;
    status = status == UM_OK ? finish(&r) : status;
    for (int i = 0; r.folder != NULL && i < r.plan.file_count; i++) {
        free(r.folder[i]);
    }
    free(r.folder);
    plan_clear(&r.plan);
    ledger_close(&r.ledger);
    json_decref(r.scans);
    json_decref(r.study);
    json_decref(r.stages);
    json_decref(r.digests);
    json_decref(r.due);
    json_decref(r.unparted);
    return status;
}

static um_status run(cli *c)
{
    if (cli_given(c, "example") == (c->operands > 0)) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "give a PLAN.ini, or --example DIR to have one made");
    }
    return c->operands > 0 ? run_plan(c) : run_example(c, cli_text(c, "example"));
}

const cli_command cli_command_run = {
    .name = "run",
    .summary = "run the whole analysis of one or several scans as a plan says",
    .operands = "PLAN.ini",
    .description =
        "Reads a plan and does what it asks for, for every scan in it: pictures, singular values, the number of components, "
        "factorisation, evidence, segmentation, names of phases, measurement; and writes one page over all of them. Keys of "
        "the plan are the long options of the commands.\n\n"
        "[input]   file = SCAN (repeated for several), scan, allow-short, raw\n\n"
        "[condition NAME]   the scans of one condition of a series, file = SCAN, and thickness or log-ratio as of unmix "
        "measure. With conditions all scans are factorised together (joint = no in [nmf] for one by one), and choose, verify, "
        "segment, identify and measure run with their presets even without their sections\n\n"
        "[prep]    the preparation options, as in a recipe\n\n"
        "[image], [svd], [choose], [verify], [segment], [identify], [measure]   options of these commands; a section alone "
        "needs run = yes; run = no leaves one out\n\n"
        "[nmf]     options of unmix nmf; runs unless run = no. Without k, [choose] finds it\n\n"
        "[output]  folder = DIR (default: the plan's name), title, formats = hspy npz, prepared = yes to "
        "store the prepared scans\n\n"
        "Everything goes to the folder: report.html over all scans, tables in measured/, models, and stages.json, the list of "
        "what was done. A stage is kept when its options, its input, the version of unmix, --seed and the stages before it "
        "are what they were, and its files are as it left them. After Ctrl-C the same command goes on where it was. --force "
        "does everything again.\n\n"
        "Paths are relative to the current folder. Common options such as --threads and --seed "
        "are given on the command line.",
    .examples = "unmix run --example series && unmix run series/plan.ini # a series to look at\n"
                "unmix run plan.ini --plan # what would be done, and why\n"
                "unmix run plan.ini # everything that the plan asks for\n",
    .options = options,
    .least_operands = 0,
    .most_operands = 1,
    .run = run,
};
