/* unmix run: a whole analysis of one or several scans as a plan says. */
#include "run_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct runner {
    cli *c;
    plan plan;
    json_t *scans; /* array: one object per finished scan */
} runner;

/* Runs one command as if typed; its JSON goes to object[key]. */
static um_status run_step(runner *r, const plan_step *step, const char *file,
                          const char *const *extra, int count, json_t *object, const char *key)
{
    char *words[2 * PLAN_MOST_WORDS];
    cli sub;
    um_status status = plan_command(r->c, &r->plan, step, file, extra, count, words, &sub);
    json_t *result = NULL;
    sub.capture = &result;
    if (status == UM_OK) {
        cli_note(r->c, "%s: %s", file, step->command->summary);
        status = step->command->run(&sub);
        if (status != UM_OK && sub.message[0] != '\0') {
            cli_fail(r->c, status, "%s", sub.message);
        }
    }
    if (result != NULL) {
        json_object_set_new(object, key, result);
    }
    sub.ctx = NULL; /* borrowed */
    cli_clear(&sub);
    return status;
}

/* The folder of file i: its name without folders and suffix, made unique by a number. malloc'ed. */
static char *scan_folder(const runner *r, int i)
{
    const plan *p = &r->plan;
    const char *slash = strrchr(p->files[i], '/');
    char *stem = cli_with_suffix(slash != NULL ? slash + 1 : p->files[i], "");
    char *folder = stem != NULL ? cli_format("%s/%s", p->folder, stem) : NULL;
    for (int n = 2; folder != NULL; n++) {
        bool taken = false;
        for (size_t k = 0; k < json_array_size(r->scans); k++) {
            const json_t *other = json_object_get(json_array_get(r->scans, k), "folder");
            taken = taken || strcmp(json_string_value(other), folder) == 0;
        }
        if (!taken) {
            break;
        }
        free(folder);
        folder = cli_format("%s/%s-%d", p->folder, stem, n);
    }
    free(stem);
    return folder;
}

static um_status store_prepared(runner *r, const char *file, const char *folder, json_t *object)
{
    const plan_step prep = {.command = cli_find_command("prep")};
    char *out = cli_format("%s/prepared.hspy", folder);
    char *learned = cli_format("%s/learned.json", folder);
    const char *extra[] = {"-o", out, "--report", learned};
    um_status status = out != NULL && learned != NULL
                           ? run_step(r, &prep, file, extra, 4, object, "prep")
                           : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    if (status == UM_OK) {
        json_object_set_new(object, "prepared", cli_json_text(out));
    }
    free(out);
    free(learned);
    return status;
}

static um_status make_images(runner *r, const char *file, const char *folder, json_t *object)
{
    char *pictures = cli_format("%s/pictures", folder);
    const char *extra[] = {"-o", pictures};
    um_status status = pictures != NULL
                           ? run_step(r, &r->plan.image, file, extra, 2, object, "image")
                           : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    json_object_set_new(object, "pictures", cli_json_text(pictures != NULL ? pictures : ""));
    free(pictures);
    return status;
}

/* svd or nmf, with the result in the formats of the plan. */
static um_status factorise(runner *r, const plan_step *step, const char *file, const char *folder,
                           json_t *object)
{
    const char *name = step->command->name;
    const char *stem = strcmp(name, "nmf") == 0 ? "result" : name;
    char *hspy = cli_format("%s/%s.hspy", folder, stem);
    char *npz = cli_format("%s/%s.npz", folder, stem);
    char *scree = cli_format("%s/scree.svg", folder);
    const char *extra[6];
    int n = 0;
    if (r->plan.hspy) {
        extra[n++] = "-o";
        extra[n++] = hspy;
    }
    if (r->plan.npz) {
        extra[n++] = "-o";
        extra[n++] = npz;
    }
    if (step == &r->plan.svd) {
        extra[n++] = "--scree";
        extra[n++] = scree;
    }
    um_status status = hspy != NULL && npz != NULL && scree != NULL
                           ? run_step(r, step, file, extra, n, object, name)
                           : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    free(hspy);
    free(npz);
    free(scree);
    return status;
}

static um_status run_steps(runner *r, const char *file, const char *folder, json_t *object)
{
    um_status status = cli_check_folder(r->c, folder);
    if (status == UM_OK && r->plan.store_prepared) {
        status = store_prepared(r, file, folder, object);
    }
    if (status == UM_OK && r->plan.image.wanted) {
        status = make_images(r, file, folder, object);
    }
    if (status == UM_OK && r->plan.svd.wanted) {
        status = factorise(r, &r->plan.svd, file, folder, object);
    }
    if (status == UM_OK && r->plan.nmf.wanted) {
        status = factorise(r, &r->plan.nmf, file, folder, object);
    }
    return status;
}

static um_status run_file(runner *r, int i)
{
    char *folder = scan_folder(r, i);
    json_t *object = json_pack("{s:o, s:o}", "file", cli_json_text(r->plan.files[i]), "folder",
                               cli_json_text(folder != NULL ? folder : ""));
    um_status status = folder != NULL && object != NULL
                           ? run_steps(r, r->plan.files[i], folder, object)
                           : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    if (status == UM_OK) {
        json_array_append(r->scans, object);
    }
    json_decref(object);
    free(folder);
    return status;
}

static um_status finish(runner *r)
{
    cli *c = r->c;
    char *index = cli_format("%s/index.html", r->plan.folder);
    char *page = run_index_html(&r->plan, r->scans);
    um_status status = index != NULL && page != NULL ? cli_write_text(c, index, page)
                                                     : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    if (status == UM_OK && c->json) {
        status = cli_print_json(
            c, json_pack("{s:O, s:o, s:f, s:I}", "scans", r->scans, "index", cli_json_text(index), "seconds",
                         cli_seconds() - c->started, "peak_bytes", (json_int_t)cli_peak_bytes()));
    } else if (status == UM_OK) {
        char time[32];
        cli_say(c, "%zu scans in %s", json_array_size(r->scans),
                cli_seconds_text(cli_seconds() - c->started, time));
        cli_say(c, "Open %s in a browser.", index);
    }
    free(index);
    free(page);
    return status;
}

/* Every file must be there before the first is worked on. */
static um_status check_files(runner *r)
{
    const plan *p = &r->plan;
    um_status status = UM_OK;
    struct stat st;
    for (int i = 0; i < p->file_count && status == UM_OK; i++) {
        bool dataset = strchr(p->files[i], ':') != NULL; /* file.h5:/path: opening it will tell */
        if (!dataset && stat(p->files[i], &st) != 0) {
            status = cli_fail(r->c, UM_ERROR_IO, "%s: cannot be opened: %s", p->files[i],
                              strerror(errno));
        }
    }
    if (status == UM_OK) {
        status = cli_check_parent(r->c, p->folder);
    }
    if (status == UM_OK && !r->c->force && cli_folder_in_use(p->folder)) {
        status = cli_fail(r->c, UM_ERROR_EXISTS, "%s: is not empty: pass --force to replace files "
                                                 "in it",
                          p->folder);
    }
    return status;
}

static um_status run(cli *c)
{
    runner r = {.c = c, .scans = json_array()};
    um_status status = plan_read(c, c->operand[0], &r.plan);
    if (status == UM_OK) {
        status = check_files(&r);
    }
    if (status == UM_OK) {
        status = cli_check_folder(c, r.plan.folder);
    }
    for (int i = 0; i < r.plan.file_count && status == UM_OK; i++) {
        status = run_file(&r, i);
    }
    if (status == UM_OK) {
        status = finish(&r);
    }
    plan_clear(&r.plan);
    json_decref(r.scans);
    return status;
}

const cli_command cli_command_run = {
    .name = "run",
    .summary = "run the whole analysis of one or several scans as a plan says",
    .operands = "PLAN.ini",
    .description =
        "Reads a plan and does, for every scan in it: pictures, singular values, factorisation, "
        "reports; and writes one page over all of them. Keys of the plan are the long options of "
        "the commands.\n\n"
        "[input]   file = SCAN (repeated for several), scan, allow-short, raw\n\n"
        "[prep]    the preparation options, as in a recipe\n\n"
        "[image]   options of unmix image; the section alone needs run = yes\n\n"
        "[svd]     options of unmix svd; the same\n\n"
        "[nmf]     options of unmix nmf; runs unless run = no\n\n"
        "[output]  folder = DIR (default: the plan's name), formats = hspy npz, prepared = yes to "
        "store the prepared scans\n\n"
        "Paths are relative to the current folder. Common options such as --threads and --seed "
        "are given on the command line.",
    .examples = "unmix run plan.ini # everything that the plan asks for\n",
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
