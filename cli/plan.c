#include "plan.h"

#include <ini.h>

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    cli *c;
    plan *p;
    um_status status;
    bool joint_said;
} reading;

static const char *const stage_names[PLAN_STAGES] = {"image",  "svd",     "choose",   "nmf",
                                                     "verify", "segment", "identify", "measure"};

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
    static const char *const ours[] = {"output", "report", "no-report", "checkpoint", "scree", "each", "resume",
                                       "plan",   "save",   "no-page",   "spotcheck",  "spots", "verdicts", "like"};
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

static int add_file(reading *r, const char *section, const char *name, const char *value, const char *condition)
{
    plan *p = r->p;
    if (p->file_count >= PLAN_MOST_FILES) {
        return fail(r, section, name, "too many files");
    }
    p->files[p->file_count] = cli_format("%s", value);
    p->condition[p->file_count] = condition != NULL ? cli_format("%s", condition) : NULL;
    return p->files[p->file_count++] != NULL;
}

static int on_input(reading *r, const char *name, const char *value)
{
    if (strcmp(name, "file") != 0) {
        return add_word(r, &r->p->input, "input", "Reading options", name, value);
    }
    return add_file(r, "input", name, value, NULL);
}

/* [condition NAME]: its scans, and what is known of them. */
static int on_condition(reading *r, const char *section, const char *name, const char *value)
{
    const char *condition = section + strcspn(section, " ");
    condition += strspn(condition, " ");
    if (condition[0] == '\0' || strchr(condition, '=') != NULL || strchr(condition, '/') != NULL) {
        return fail(r, section, name, "a condition needs a name without '=' and '/': [condition 12 h]");
    }
    if (strcmp(name, "file") == 0) {
        r->p->conditions++;
        return add_file(r, section, name, value, condition);
    }
    if (strcmp(name, "thickness") == 0 || strcmp(name, "log-ratio") == 0) {
        char *own = cli_format("%s=%s", condition, value);
        int fine = own != NULL ? add_word(r, &r->p->step[PLAN_MEASURE], "measure", "Options", name, own)
                               : fail(r, section, name, "no memory");
        free(own);
        return fine;
    }
    return fail(r, section, name, "is unknown: there are file, thickness and log-ratio");
}

static int set_text(char **slot, const char *value)
{
    free(*slot);
    *slot = cli_format("%s", value);
    return *slot != NULL;
}

static int on_output(reading *r, const char *name, const char *value)
{
    plan *p = r->p;
    if (strcmp(name, "folder") == 0) {
        return value[0] != '\0' ? set_text(&p->folder, value) : fail(r, "output", name, "is empty");
    }
    if (strcmp(name, "title") == 0) {
        return set_text(&p->title, value);
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
    return fail(r, "output", name, "is unknown: there are folder, title, formats and prepared");
}

/* Kept to see whether it changed; the recipe itself is read from the plan. */
static int on_prep(plan *p, const char *name, const char *value)
{
    char *longer = cli_format("%s%s = %s\n", p->recipe != NULL ? p->recipe : "", name, value);
    free(p->recipe);
    p->recipe = longer;
    p->prep = true;
    return longer != NULL;
}

static int on_step(reading *r, plan_step *step, const char *section, const char *name, const char *value)
{
    if (strcmp(name, "run") == 0) {
        step->wanted = is_yes(value);
        step->off = !step->wanted;
        return 1;
    }
    step->wanted = !step->off;
    if (step == &r->p->step[PLAN_NMF] && strcmp(name, "joint") == 0) {
        r->p->joint = is_yes(value);
        r->joint_said = true;
        return r->p->joint || is_no(value) ? 1 : fail(r, section, name, "takes yes or no");
    }
    return add_word(r, step, section, "Options", name, value);
}

/* inih's handler: 0 means failure. A section without keys comes with name NULL where inih tells it.
 */
static int on_line(void *user, const char *section, const char *name, const char *text)
{
    reading *r = user;
    plan *p = r->p;
    const char *value = text != NULL ? text : "";
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
        return on_input(r, name, value);
    }
    if (strncmp(section, "condition", 9) == 0 && (section[9] == ' ' || section[9] == '\0')) {
        return on_condition(r, section, name, value);
    }
    if (strcmp(section, "output") == 0) {
        return on_output(r, name, value);
    }
    if (strcmp(section, "prep") == 0) {
        return on_prep(p, name, value); /* checked as a recipe */
    }
    for (int i = 0; i < PLAN_STAGES; i++) {
        if (strcmp(section, stage_names[i]) == 0) {
            return on_step(r, &p->step[i], section, name, value);
        }
    }
    return fail(r, section, name,
                "no such section: there are input, condition NAME, prep, image, svd, choose, nmf, verify, segment, identify, "
                "measure and output");
}

bool plan_has(const plan_step *step, const char *key)
{
    size_t n = strlen(key);
    for (int i = 0; i < step->count; i++) {
        const char *word = step->words[i] + 2;
        if (strncmp(word, key, n) == 0 && (word[n] == '\0' || word[n] == '=')) {
            return true;
        }
    }
    return false;
}

/* A series with conditions, or particles that are to be measured, needs all that leads there. */
static void follow_up(plan *p)
{
    static const plan_stage chain[] = {PLAN_CHOOSE, PLAN_VERIFY, PLAN_SEGMENT, PLAN_IDENTIFY, PLAN_MEASURE};
    plan_step *step = p->step;
    bool whole = p->conditions > 0 || step[PLAN_MEASURE].wanted;
    for (size_t i = 0; whole && i < sizeof chain / sizeof chain[0]; i++) {
        step[chain[i]].wanted = !step[chain[i]].off;
    }
    step[PLAN_CHOOSE].wanted = step[PLAN_CHOOSE].wanted && step[PLAN_NMF].wanted && !plan_has(&step[PLAN_NMF], "k");
    step[PLAN_MEASURE].wanted = step[PLAN_MEASURE].wanted && step[PLAN_SEGMENT].wanted;
    p->joint = p->joint && p->file_count > 1 && step[PLAN_NMF].wanted;
}

static um_status check_steps(cli *c, plan *p)
{
    char *words[PLAN_ROOM];
    const char *first = p->files[0];
    um_status status = UM_OK;
    for (int i = 0; i < PLAN_STAGES && status == UM_OK; i++) {
        cli sub = {0};
        status = plan_command(c, p, &p->step[i], &first, 1, NULL, 0, words, &sub);
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
    for (int i = 0; i < PLAN_STAGES; i++) {
        out->step[i].command = cli_find_command(stage_names[i]);
    }
    out->input.command = out->step[PLAN_NMF].command;
    out->step[PLAN_NMF].wanted = true;
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
        return cli_fail(c, UM_ERROR_FORMAT, "%s: names no scan: add file = scan.hspy to [input] or to a [condition NAME]",
                        path);
    }
    out->joint = r.joint_said ? out->joint : out->conditions > 0;
    follow_up(out);
    if (out->folder == NULL) {
        out->folder = cli_with_suffix(path, "");
    }
    return out->folder != NULL ? check_steps(c, out) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
}

static void clear_words(plan_step *step)
{
    for (int k = 0; k < step->count; k++) {
        free(step->words[k]);
    }
}

void plan_clear(plan *p)
{
    clear_words(&p->input);
    for (int i = 0; i < PLAN_STAGES; i++) {
        clear_words(&p->step[i]);
    }
    for (int i = 0; i < p->file_count; i++) {
        free(p->files[i]);
        free(p->condition[i]);
    }
    free(p->recipe);
    free(p->title);
    free(p->folder);
}

um_status plan_command(cli *c, const plan *p, const plan_step *step, const char *const *operands, int operand_count,
                       const char *const *extra, int extra_count, char **words, cli *sub)
{
    int n = 0;
    words[n++] = c->argv[0];
    words[n++] = (char *)step->command->name;
    for (int i = 0; i < operand_count; i++) {
        words[n++] = (char *)operands[i];
    }
    for (int i = 0; i < extra_count; i++) {
        words[n++] = (char *)extra[i];
    }
    if (p->prep && step->command->reads == CLI_READS_SCAN) {
        words[n++] = (char *)"--recipe";
        words[n++] = (char *)p->path;
    }
    for (int i = 0; i < p->input.count && step->command->reads != CLI_READS_NOTHING; i++) {
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
