#include "ledger.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

um_status ledger_open(cli *c, const char *folder, ledger *out)
{
    json_error_t error;
    *out = (ledger){.path = cli_format("%s/stages.json", folder)};
    if (out->path == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    if (access(out->path, F_OK) == 0) {
        out->all = json_load_file(out->path, 0, &error);
        if (!json_is_object(json_object_get(out->all, "stages"))) {
            return cli_fail(c, UM_ERROR_FORMAT, "%s: is no list of finished stages%s%s: remove it to start anew", out->path,
                            out->all == NULL ? ": " : "", out->all == NULL ? error.text : "");
        }
        return UM_OK;
    }
    out->all = json_pack("{s:{}, s:{}}", "stages", "started");
    return out->all != NULL ? UM_OK : cli_fail(c, UM_ERROR_MEMORY, "no memory");
}

void ledger_close(ledger *l)
{
    free(l->path);
    json_decref(l->all);
}

bool ledger_is_new(const ledger *l)
{
    return json_object_size(json_object_get(l->all, "stages")) == 0 &&
           json_object_size(json_object_get(l->all, "started")) == 0;
}

static json_t *stage_of(const ledger *l, const char *id)
{
    return json_object_get(json_object_get(l->all, "stages"), id);
}

static long long time_of(const struct stat *st)
{
    return (long long)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

json_t *ledger_facts(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return json_pack("{s:o}", "path", cli_json_text(path));
    }
    long long size = (long long)st.st_size;
    long long when = time_of(&st);
    DIR *dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    size = dir != NULL ? 0 : size;
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        char *inside = cli_format("%s/%s", path, e->d_name);
        if (e->d_name[0] != '.' && inside != NULL && stat(inside, &st) == 0) {
            size += (long long)st.st_size;
            when = time_of(&st) > when ? time_of(&st) : when;
        }
        free(inside);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return json_pack("{s:o, s:I, s:I}", "path", cli_json_text(path), "bytes", (json_int_t)size, "changed_ns", (json_int_t)when);
}

const char *ledger_why(const ledger *l, const char *id, const json_t *key, char text[512])
{
    static const struct {
        const char *key, *words;
    } parts[] = {{"version", "another version of unmix"},
                 {"command", "its options changed"},
                 {"seed", "--seed changed"},
                 {"inputs", "its input changed"},
                 {"after", "a stage before it was done anew"}};
    const json_t *stage = stage_of(l, id);
    if (stage == NULL) {
        return json_object_get(json_object_get(l->all, "started"), id) != NULL ? "was interrupted" : "not done yet";
    }
    const json_t *old = json_object_get(stage, "key");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!json_equal(json_object_get(old, parts[i].key), json_object_get(key, parts[i].key))) {
            return parts[i].words;
        }
    }
    const json_t *files = json_object_get(stage, "files");
    for (size_t i = 0; i < json_array_size(files); i++) {
        json_t *fact = json_array_get(files, i);
        const char *path = json_string_value(json_object_get(fact, "path"));
        json_t *now = ledger_facts(path != NULL ? path : "");
        bool same = json_equal(fact, now);
        bool there = json_object_get(now, "bytes") != NULL;
        json_decref(now);
        if (!same) {
            snprintf(text, 512, "%s %s", path != NULL ? path : "a file", there ? "was changed" : "is gone");
            return text;
        }
    }
    return NULL;
}

bool ledger_was_interrupted(const ledger *l, const char *id, const json_t *key)
{
    return json_equal(json_object_get(json_object_get(l->all, "started"), id), key) != 0;
}

static um_status save(cli *c, const ledger *l)
{
    char *text = json_dumps(l->all, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    um_status status = text != NULL ? cli_write_text(c, l->path, text) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    free(text);
    return status;
}

um_status ledger_start(cli *c, ledger *l, const char *id, const json_t *key)
{
    json_object_del(json_object_get(l->all, "stages"), id);
    json_object_set_new(json_object_get(l->all, "started"), id, json_deep_copy(key));
    return save(c, l);
}

um_status ledger_finish(cli *c, ledger *l, const char *id, const json_t *key, const json_t *files, json_t *result,
                        double seconds)
{
    struct timespec now;
    char made[48];
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(made, sizeof made, "%lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
    json_t *facts = json_array();
    for (size_t i = 0; i < json_array_size(files); i++) {
        json_array_append_new(facts, ledger_facts(json_string_value(json_array_get(files, i))));
    }
    json_t *stage = json_pack("{s:o, s:s, s:o, s:f}", "key", json_deep_copy(key), "made", made, "files", facts, "seconds", seconds);
    if (stage == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    if (result != NULL) {
        json_object_set(stage, "result", result);
    }
    json_object_set_new(json_object_get(l->all, "stages"), id, stage);
    json_object_del(json_object_get(l->all, "started"), id);
    return save(c, l);
}

json_t *ledger_result(const ledger *l, const char *id)
{
    return json_object_get(stage_of(l, id), "result");
}

const char *ledger_made(const ledger *l, const char *id)
{
    return json_string_value(json_object_get(stage_of(l, id), "made"));
}
