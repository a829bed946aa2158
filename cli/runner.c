#include "runner.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- names of things ---------------------------------------------------------------------------------- */

const char *runner_name(const runner *r, int i)
{
    return strrchr(r->folder[i], '/') + 1;
}

json_t *runner_object(const runner *r, int i)
{
    return i >= 0 ? json_array_get(r->scans, (size_t)i) : r->study;
}

/* "nmf" for all scans, "nmf NAME" for one. */
char *runner_id(const runner *r, const char *command, int scan)
{
    return scan < 0 ? cli_format("%s", command) : cli_format("%s %s", command, runner_name(r, scan));
}

/* ---- what a stage depends on -------------------------------------------------------------------- */

/* The digest of a scan's bytes, found once a run. */
static um_status digest_of(runner *r, cli *sub, const char *path, json_t **out)
{
    char hex[65] = "";
    *out = json_object_get(r->digests, path);
    if (*out != NULL) {
        return UM_OK;
    }
    cli_scan scan = {0};
    um_status status = cli_scan_open(sub, path, &scan);
    status = status == UM_OK ? um_source_digest(scan.source, hex) : status;
    cli_scan_close(&scan);
    if (status == UM_OK) {
        json_object_set_new(r->digests, path, json_string(hex));
        *out = json_object_get(r->digests, path);
    } else if (sub->message[0] != '\0') {
        cli_fail(r->c, status, "%s", sub->message);
    }
    return status;
}

/* Files and folders that options name, other than outputs and the plan itself. */
static void add_named_files(const runner *r, const cli *sub, const stage *s, json_t *inputs)
{
    for (size_t i = 0; i < sub->value_count; i++) {
        const cli_value *v = &sub->values[i];
        bool file = v->option->kind == CLI_FILE || v->option->kind == CLI_FOLDER;
        bool ours = strcmp(v->text, r->plan.path) == 0;
        for (int k = 0; s->words[k] != NULL; k++) {
            ours = ours || strcmp(v->text, s->words[k]) == 0;
        }
        if (file && !ours) {
            json_array_append_new(inputs, ledger_facts(v->text));
        }
    }
}

static json_t *command_json(const runner *r, const stage *s)
{
    json_t *words = json_array();
    json_array_append_new(words, json_string(s->step->command->name));
    for (int i = 0; i < s->operand_count; i++) {
        json_array_append_new(words, cli_json_text(s->operands[i]));
    }
    for (int i = 0; s->words[i] != NULL; i++) {
        json_array_append_new(words, cli_json_text(s->words[i]));
    }
    bool reads = s->step->command->reads != CLI_READS_NOTHING;
    for (int i = 0; reads && i < r->plan.input.count; i++) {
        json_array_append_new(words, cli_json_text(r->plan.input.words[i]));
    }
    for (int i = 0; i < s->step->count; i++) {
        json_array_append_new(words, cli_json_text(s->step->words[i]));
    }
    if (r->plan.prep && s->step->command->reads == CLI_READS_SCAN) {
        json_array_append_new(words, cli_json_text(r->plan.recipe));
    }
    return words;
}

static um_status make_key(runner *r, cli *sub, const stage *s, json_t **out)
{
    json_t *inputs = json_array();
    json_t *after = json_object();
    um_status status = UM_OK;
    bool all = s->scan != NULL && s->scan[0] == '@' && r->plan.joint; /* our own list */
    for (int i = 0; s->scan != NULL && status == UM_OK && i < (all ? r->plan.file_count : 1); i++) {
        json_t *digest = NULL;
        status = digest_of(r, sub, all ? r->plan.files[i] : s->scan, &digest);
        if (digest != NULL) {
            json_array_append(inputs, digest);
        }
    }
    add_named_files(r, sub, s, inputs);
    for (int i = 0; s->after != NULL && s->after[i] != NULL; i++) {
        const char *made = ledger_made(&r->ledger, s->after[i]);
        json_object_set_new(after, s->after[i], made != NULL ? json_string(made) : json_null());
    }
    *out = json_pack("{s:o, s:s, s:I, s:o, s:o}", "command", command_json(r, s), "version", um_version(), "seed",
                     (json_int_t)um_context_seed(r->c->ctx), "inputs", inputs, "after", after);
    return status == UM_OK && *out == NULL ? cli_fail(r->c, UM_ERROR_MEMORY, "no memory") : status;
}

/* ---- doing it ----------------------------------------------------------------------------------- */

/* Files that the command tells of, and those that it was to write. */
static json_t *files_of(const stage *s, const json_t *result)
{
    json_t *files = json_array();
    json_t *told = json_object_get(result, "files");
    for (size_t i = 0; i < json_array_size(told); i++) {
        if (json_is_string(json_array_get(told, i))) {
            json_array_append(files, json_array_get(told, i));
        }
    }
    for (int i = 0; s->outputs[i] != NULL; i++) {
        bool there = false;
        for (size_t k = 0; k < json_array_size(files); k++) {
            there = there || strcmp(json_string_value(json_array_get(files, k)), s->outputs[i]) == 0;
        }
        if (!there) {
            json_array_append_new(files, cli_json_text(s->outputs[i]));
        }
    }
    return files;
}

static um_status work(runner *r, cli *sub, const stage *s, json_t **result)
{
    sub->capture = result;
    sub->force = true; /* in our own folder */
    um_status status = s->work != NULL ? s->work(r, sub, s, result) : s->step->command->run(sub);
    if (status != UM_OK && sub->message[0] != '\0') {
        cli_fail(r->c, status, "%s", sub->message);
    }
    return status;
}

static um_status do_stage(runner *r, cli *sub, const stage *s, const json_t *key, json_t **result)
{
    double started = cli_seconds();
    cli_note(r->c, "%s: %s", s->id, s->step->command->summary);
    um_status status = ledger_start(r->c, &r->ledger, s->id, key);
    status = status == UM_OK ? work(r, sub, s, result) : status;
    if (status == UM_OK) {
        json_t *files = files_of(s, *result);
        json_object_del(*result, "particles"); /* many, and in a file of their own */
        status = ledger_finish(r->c, &r->ledger, s->id, key, files, *result, cli_seconds() - started);
        json_decref(files);
    } else if (status == UM_CANCELLED) {
        cli_fail(r->c, status, "cancelled in stage '%s'; the same command goes on from there", s->id);
    }
    return status;
}

static const char *reason_for(runner *r, const stage *s, const json_t *key, char text[512])
{
    for (int i = 0; s->after != NULL && s->after[i] != NULL; i++) {
        if (json_object_get(r->due, s->after[i]) != NULL) {
            snprintf(text, 512, "after '%s'", s->after[i]);
            return text;
        }
    }
    return r->c->force ? "--force" : ledger_why(&r->ledger, s->id, key, text);
}

static um_status decide(runner *r, cli *sub, const stage *s, const json_t *key, json_t *object, const char *name)
{
    char text[512];
    const char *why = reason_for(r, s, key, text);
    json_t *result = NULL;
    um_status status = UM_OK;
    json_array_append_new(r->stages, json_pack("{s:o, s:s, s:o}", "stage", cli_json_text(s->id), "state",
                                               why == NULL ? "kept" : r->only_plan ? "to do" : "done", "why",
                                               why != NULL ? cli_json_text(why) : json_null()));
    if (why == NULL) {
        json_object_set(object, name, ledger_result(&r->ledger, s->id));
        if (!r->only_plan) {
            cli_note(r->c, "%s: kept", s->id);
        }
        return UM_OK;
    }
    json_object_set_new(r->due, s->id, json_true());
    if (!r->only_plan) {
        status = do_stage(r, sub, s, key, &result);
    }
    if (result != NULL) {
        json_object_set_new(object, name, result);
    }
    return status;
}

um_status runner_stage(runner *r, const stage *s, json_t *object, const char *name)
{
    char *words[PLAN_ROOM];
    const char *extra[STAGE_MOST_WORDS + 1];
    cli sub;
    json_t *key = NULL;
    int count = 0;
    for (; s->words[count] != NULL; count++) {
        extra[count] = s->words[count];
    }
    um_status status = plan_command(r->c, &r->plan, s->step, s->operands, s->operand_count, extra, count, words, &sub);
    status = status == UM_OK ? make_key(r, &sub, s, &key) : status;
    bool resume = status == UM_OK && s->checkpoint != NULL && access(s->checkpoint, F_OK) == 0 &&
                  ledger_was_interrupted(&r->ledger, s->id, key) && count < STAGE_MOST_WORDS;
    if (resume) { /* the same command with one word more */
        sub.ctx = NULL;
        cli_clear(&sub);
        extra[count++] = "--resume";
        status = plan_command(r->c, &r->plan, s->step, s->operands, s->operand_count, extra, count, words, &sub);
    }
    status = status == UM_OK ? decide(r, &sub, s, key, object, name) : status;
    json_decref(key);
    sub.ctx = NULL; /* borrowed */
    cli_clear(&sub);
    return status;
}
