/* The one page that `unmix run` ends with. */
#include "measure_job.h"
#include "run_methods.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_FILES = 32, MOST_LIMITS = 64 };

/* The object with the results of the one fit behind all, and the stored model; NULL when every scan has its own. */
static const json_t *find_fit(const runner *r, char **path)
{
    const plan *p = &r->plan;
    const char *suffix = p->hspy ? "hspy" : "npz";
    *path = NULL;
    if (!p->step[PLAN_NMF].wanted) {
        return NULL;
    }
    if (p->joint) {
        *path = cli_format("%s/joint.%s", p->folder, suffix);
        return r->study;
    }
    if (p->file_count == 1) {
        *path = cli_format("%s/result.%s", r->folder[0], suffix);
        return json_array_get(r->scans, 0);
    }
    return NULL;
}

static json_t *provenance_of(cli *c, const um_measure *m)
{
    um_model *model = NULL;
    json_t *provenance = NULL;
    if (m->scans > 0 && cli_model_load(c, m->scan[0].path, &model) == UM_OK) {
        provenance = cli_json_object(um_model_provenance(model));
    }
    um_model_free(model);
    return provenance;
}

/* Names of what lies in the folder, as links of the page. */
static int list_files(const runner *r, const char *files[MOST_FILES])
{
    static const char *const known[] = {"measured/particles.csv", "measured/conditions.csv", "measured/scans.csv",
                                        "measured/measure.json", "joint.html", "joint-verify.html", "choose.html", "index.html",
                                        "stages.json"};
    int count = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        char *path = cli_format("%s/%s", r->plan.folder, known[i]);
        bool there = path != NULL && (access(path, R_OK) == 0 || strcmp(known[i], "index.html") == 0);
        if (there) {
            files[count++] = known[i];
        }
        free(path);
    }
    return count;
}

typedef struct page {
    const json_t *fit;
    char *path, *methods, *parameters, *command;
    json_t *limits, *provenance;
    um_measure *m;
    um_model *model;
    um_evidence *evidence;
} page;

static um_status gather(runner *r, cli *sub, page *g)
{
    um_status status = measure_job_make(sub, sub->operand, sub->operands, &g->m);
    if (status != UM_OK) {
        return status;
    }
    g->fit = find_fit(r, &g->path);
    if (g->path != NULL) {
        status = cli_model_load(sub, g->path, &g->model);
        status = status == UM_OK ? um_evidence_make(r->c->ctx, g->model, &g->evidence) : status;
    }
    g->provenance = provenance_of(sub, g->m);
    g->limits = run_limits(r, g->m, g->fit);
    g->methods = run_methods_text(r, g->m, g->fit);
    g->parameters = run_parameters_text(r, g->provenance);
    g->command = cli_command_line(r->c->argc, r->c->argv);
    return status;
}

static um_status write_page(runner *r, const page *g, const char *out)
{
    const char *notes[MOST_LIMITS];
    const char *files[MOST_FILES];
    um_series_page how = {.title = r->plan.title, .notes = notes, .files = files, .model = g->model, .evidence = g->evidence,
                          .methods = g->methods, .parameters = g->parameters, .command = g->command, .overwrite = true};
    size_t limits = json_array_size(g->limits);
    for (size_t i = 0; i < limits && i < MOST_LIMITS; i++) {
        notes[how.note_count++] = json_string_value(json_array_get(g->limits, i));
    }
    how.file_count = list_files(r, files);
    return um_report_series(r->c->ctx, g->m, out, &how);
}

um_status run_report_write(runner *r, cli *sub, const stage *s, json_t **result)
{
    page g = {0};
    um_status status = gather(r, sub, &g);
    status = status == UM_OK ? write_page(r, &g, s->outputs[0]) : status;
    if (status == UM_OK) {
        *result = json_pack("{s:o, s:O, s:o}", "file", cli_json_text(s->outputs[0]), "limits", g.limits, "methods",
                            cli_json_text(g.methods != NULL ? g.methods : ""));
    }
    free(g.path);
    free(g.methods);
    free(g.parameters);
    free(g.command);
    json_decref(g.limits);
    json_decref(g.provenance);
    um_evidence_free(g.evidence);
    um_model_free(g.model);
    um_measure_free(g.m);
    return status;
}
