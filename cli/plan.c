#include "plan.h"

#include <ini.h>

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    cli *c;
    plan *p;
    um_status status;
    int line; /* of the first failure; inih gives it back */
} reading;

static bool is_yes(const char *text)
{
    return text[0] == '\0' || strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 ||
           strcmp(text, "on") == 0 || strcmp(text, "1") == 0;
}

static bool is_no(const char *text)
{
    return strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "off") == 0 ||
           strcmp(text, "0") == 0;
}

static int fail(reading *r, const char *section, const char *name, const char *what)
{
    r->status =
        cli_fail(r->c, UM_ERROR_ARGUMENT, "%s: [%s] %s: %s", r->p->path, section, name, what);
    return 0;
}

/* The option of a command's own (group 0), or of the reading options, that `name` means. */
static const cli_option *find_option(const cli_command *command, const char *title,
                                     const char *name)
{
    cli_group groups[CLI_GROUPS];
    size_t count = cli_command_groups(command, groups);
    for (size_t g = 0; g < count; g++) {
        if (strcmp(groups[g].title, title) != 0) {
            continue;
        }
        for (size_t i = 0; i < groups[g].count; i++) {
            if (strcmp(groups[g].options[i].name, name) == 0) {
                return &groups[g].options[i];
            }
        }
    }
    return NULL;
}

static int add_word(reading *r, plan_step *step, const char *section, const char *title,
                    const char *name, const char *value)
{
    static const char *const ours[] = {"output", "report", "no-report", "checkpoint", "scree"};
    const cli_option *o = find_option(step->command, title, name);
    if (o == NULL) {
        return fail(r, section, name, "is no option that can stand here");
    }
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        if (strcmp(ours[i], name) == 0) {
            return fail(r, section, name, "names of files are chosen by the plan: set [output] "
                                          "folder");
        }
    }
    if (step->count >= PLAN_MOST_WORDS / 2) {
        return fail(r, section, name, "too many settings");
    }
    if (o->kind == CLI_SWITCH) {
        if (is_no(value)) {
            return 1;
        }
        if (!is_yes(value)) {
            return fail(r, section, name, "takes yes or no");
        }
    }
    char *word =
        o->kind == CLI_SWITCH ? cli_format("--%s", name) : cli_format("--%s=%s", name, value);
    if (word == NULL) {
        return fail(r, section, name, "no memory");
    }
    step->words[step->count++] = word;
    return 1;
}

static int on_input(reading *r, const char *name, const char *value)
{
    plan *p = r->p;
    if (strcmp(name, "file") != 0) {
        return add_word(r, &p->input, "input", "Reading options", name, value);
    }
    if (p->file_count >= PLAN_MOST_FILES) {
        return fail(r, "input", name, "too many files");
    }
    p->files[p->file_count] = cli_format("%s", value);
    return p->files[p->file_count++] != NULL;
}

static int on_output(reading *r, const char *name, const char *value)
{
    plan *p = r->p;
    if (strcmp(name, "folder") == 0) {
        free(p->folder);
        p->folder = cli_format("%s", value);
        return value[0] != '\0' ? 1 : fail(r, "output", name, "is empty");
    }
    if (strcmp(name, "formats") == 0) {
        p->hspy = strstr(value, "hspy") != NULL;
        p->npz = strstr(value, "npz") != NULL;
        return p->hspy || p->npz ? 1 : fail(r, "output", name, "takes hspy, npz or both");
    }
    if (strcmp(name, "prepared") == 0) {
        p->store_prepared = is_yes(value);
        return p->store_prepared || is_no(value) ? 1 : fail(r, "output", name, "takes yes or no");
    }
    return fail(r, "output", name, "is unknown: there are folder, formats and prepared");
}

/* inih's handler: 0 means failure. A section without keys comes with name NULL where inih tells it.
 */
static int on_line(void *user, const char *section, const char *name, const char *value)
{
    reading *r = user;
    plan *p = r->p;
    const struct {
        const char *section;
        plan_step *step;
    } steps[] = {{"image", &p->image}, {"svd", &p->svd}, {"nmf", &p->nmf}};
    if (r->status != UM_OK) {
        return 0;
    }
    if (section[0] == '\0') {
        r->status = cli_fail(r->c, UM_ERROR_FORMAT, "%s: is no plan: a setting stands before any "
                                                    "[section]",
                             p->path);
        return 0;
    }
    if (strcmp(section, "input") == 0) {
        return on_input(r, name, value != NULL ? value : "");
    }
    if (strcmp(section, "output") == 0) {
        return on_output(r, name, value != NULL ? value : "");
    }
    if (strcmp(section, "prep") == 0) {
        p->prep = true; /* read and checked as a recipe */
        return 1;
    }
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(section, steps[i].section) == 0) {
            if (strcmp(name, "run") == 0) {
                steps[i].step->wanted = is_yes(value != NULL ? value : "");
                return 1;
            }
            steps[i].step->wanted = true;
            return add_word(r, steps[i].step, section, "Options", name, value != NULL ? value : "");
        }
    }
    return fail(r, section, name,
                "no such section: there are input, prep, image, svd, nmf and output");
}

static um_status check_steps(cli *c, plan *p)
{
    const plan_step *const steps[] = {&p->image, &p->svd, &p->nmf};
    char *words[2 * PLAN_MOST_WORDS];
    um_status status = UM_OK;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && status == UM_OK; i++) {
        cli sub = {0};
        status = plan_command(c, p, steps[i], p->files[0], NULL, 0, words, &sub);
        sub.ctx = NULL;
        cli_clear(&sub);
    }
    if (status == UM_OK && p->prep) {
        um_recipe *recipe = NULL;
        status = um_recipe_create(c->ctx, &recipe);
        if (status == UM_OK) {
            status = um_recipe_read(recipe, p->path);
        }
        um_recipe_free(recipe);
    }
    return status;
}

um_status plan_read(cli *c, const char *path, plan *out)
{
    *out = (plan){.path = path, .hspy = true};
    out->image.command = cli_find_command("image");
    out->svd.command = cli_find_command("svd");
    out->nmf.command = cli_find_command("nmf");
    out->input.command = out->nmf.command;
    out->nmf.wanted = true;
    reading r = {.c = c, .p = out};
    FILE *file = NULL;
    um_status status = cli_open_text(c, path, &file);
    if (status != UM_OK) {
        return status;
    }
    int line = ini_parse_file(file, on_line, &r);
    fclose(file);
    if (r.status != UM_OK) {
        return r.status;
    }
    if (line != 0) {
        return cli_fail(c, UM_ERROR_FORMAT, "%s: line %d is no `key = value` of an INI file", path,
                        line);
    }
    if (out->file_count == 0) {
        return cli_fail(c, UM_ERROR_FORMAT, "%s: [input] names no scan: add file = scan.hspy",
                        path);
    }
    if (out->folder == NULL) {
        out->folder = cli_with_suffix(path, "");
    }
    return out->folder != NULL ? check_steps(c, out) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
}

void plan_clear(plan *p)
{
    plan_step *const steps[] = {&p->input, &p->image, &p->svd, &p->nmf};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        for (int k = 0; k < steps[i]->count; k++) {
            free(steps[i]->words[k]);
        }
    }
    for (int i = 0; i < p->file_count; i++) {
        free(p->files[i]);
    }
    free(p->folder);
}

um_status plan_command(cli *c, const plan *p, const plan_step *step, const char *file,
                       const char *const *extra, int extra_count, char **words, cli *sub)
{
    int n = 0;
    words[n++] = c->argv[0];
    words[n++] = (char *)step->command->name;
    words[n++] = (char *)file;
    for (int i = 0; i < extra_count; i++) {
        words[n++] = (char *)extra[i];
    }
    if (p->prep) {
        words[n++] = (char *)"--recipe";
        words[n++] = (char *)p->path;
    }
    for (int i = 0; i < p->input.count; i++) {
        words[n++] = p->input.words[i];
    }
    for (int i = 0; i < step->count && step != &p->input; i++) {
        words[n++] = step->words[i];
    }
    *sub = (cli){.ctx = c->ctx, .started = cli_seconds(), .json = true, .quiet = c->quiet,
                 .verbose = c->verbose, .force = c->force};
    if (!cli_parse(sub, step->command, n, words)) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "%s: [%s] %s", p->path, step->command->name,
                        sub->message);
    }
    return UM_OK;
}
