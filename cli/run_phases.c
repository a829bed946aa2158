/* What `unmix run` does with a fit: classes, particles, names, numbers. */
#include "run_steps.h"

#include <stdlib.h>
#include <string.h>

/* ---- from components to phases ------------------------------------------------------------------- */

/* What segmentation reads: the result of the fit, or the scan itself for the route by dark fields. */
bool run_by_dark_fields(const plan *p)
{
    for (int i = 0; i < p->step[PLAN_SEGMENT].count; i++) {
        if (strcmp(p->step[PLAN_SEGMENT].words[i], "--route=vdf") == 0) {
            return true;
        }
    }
    return !p->step[PLAN_NMF].wanted;
}

/* The classes of a joint fit are decided once, for all scans. */
um_status run_classes(runner *r, const fit *f, const char *path)
{
    const char *input = f->result;
    const char *const after[] = {f->nmf_id, NULL};
    const stage s = {.id = "classes", .step = &r->plan.step[PLAN_SEGMENT], .operands = &input, .operand_count = 1,
                     .words = {"-o", path}, .outputs = {path}, .after = after};
    return runner_stage(r, &s, r->study, "classes");
}

typedef struct parts {
    const char *input, *like, *after; /* like, NULL: none */
    char *segment_id, *identify_id, *segmented, *identified;
} parts;

static um_status make_parts(runner *r, int i, const parts *names)
{
    const plan *p = &r->plan;
    bool read = run_by_dark_fields(p);
    const char *const before[] = {names->after, names->like != NULL ? "classes" : NULL, NULL};
    stage s = {.id = names->segment_id, .step = &p->step[PLAN_SEGMENT], .operands = &names->input, .operand_count = 1,
               .scan = read ? names->input : NULL, .words = {"-o", names->segmented}, .outputs = {names->segmented},
               .after = before};
    if (names->like != NULL) {
        s.words[2] = "--like";
        s.words[3] = names->like;
    }
    um_status status = runner_stage(r, &s, runner_object(r, i), "segment");
    if (status == UM_ERROR_VALUE) {
        return run_go_without(r, i);
    }
    if (status == UM_OK && p->step[PLAN_IDENTIFY].wanted) {
        const char *segmented = names->segmented;
        const char *const after[] = {names->segment_id, NULL};
        const stage named = {.id = names->identify_id, .step = &p->step[PLAN_IDENTIFY], .operands = &segmented,
                             .operand_count = 1, .words = {"-o", names->identified}, .outputs = {names->identified},
                             .after = after};
        status = runner_stage(r, &named, runner_object(r, i), "identify");
    }
    return status;
}

/* That there is nothing to segment is an answer: the report gives it. */
um_status run_go_without(runner *r, int i)
{
    char *why = r->c->message[0] != '\0' ? r->c->message : (char *)um_context_message(r->c->ctx);
    cli_warn(r->c, "%s: %s", r->plan.files[i], why);
    json_object_set_new(r->unparted, r->plan.files[i], cli_json_text(why));
    return UM_OK;
}

um_status run_particles(runner *r, int i, const char *input, const char *like, const char *after)
{
    parts names = {.input = input, .like = like, .after = after, .segment_id = runner_id(r, "segment", i),
                   .identify_id = runner_id(r, "identify", i), .segmented = cli_format("%s/segmented.hspy", r->folder[i]),
                   .identified = cli_format("%s/identified.hspy", r->folder[i])};
    bool fine = names.segment_id != NULL && names.identify_id != NULL && names.segmented != NULL && names.identified != NULL;
    um_status status = fine ? make_parts(r, i, &names) : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    free(names.segment_id);
    free(names.identify_id);
    free(names.segmented);
    free(names.identified);
    return status;
}

/* ---- from phases to numbers ---------------------------------------------------------------------- */

typedef struct measuring {
    char **operand, **made; /* "CONDITION=MODEL" and the stage that made it, of each scan; made is ended by NULL */
    int count;
    char *folder, *report;
} measuring;

static bool name_measuring(const runner *r, measuring *m)
{
    const plan *p = &r->plan;
    const char *last = p->step[PLAN_IDENTIFY].wanted ? "identify" : "segment";
    const char *file = p->step[PLAN_IDENTIFY].wanted ? "identified" : "segmented";
    m->operand = calloc((size_t)p->file_count + 1, sizeof *m->operand);
    m->made = calloc((size_t)p->file_count + 1, sizeof *m->made);
    m->folder = cli_format("%s/measured", p->folder);
    m->report = cli_format("%s/report.html", p->folder);
    bool fine = m->operand != NULL && m->made != NULL && m->folder != NULL && m->report != NULL;
    for (int i = 0; fine && i < p->file_count; i++) {
        if (json_object_get(r->unparted, p->files[i]) == NULL) {
            int n = m->count++;
            m->operand[n] = cli_format("%s=%s/%s.hspy", p->condition[i] != NULL ? p->condition[i] : "all", r->folder[i], file);
            m->made[n] = cli_format("%s %s", last, runner_name(r, i));
            fine = m->operand[n] != NULL && m->made[n] != NULL;
        }
    }
    return fine;
}

static void clear_measuring(const runner *r, measuring *m)
{
    for (int i = 0; i < r->plan.file_count; i++) {
        free(m->operand != NULL ? m->operand[i] : NULL);
        free(m->made != NULL ? m->made[i] : NULL);
    }
    free(m->operand);
    free(m->made);
    free(m->folder);
    free(m->report);
}

um_status run_measures(runner *r)
{
    const plan *p = &r->plan;
    measuring m = {0};
    um_status status = name_measuring(r, &m) ? UM_OK : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    if (status == UM_OK && m.count > 0) {
        const stage s = {.id = "measure", .step = &p->step[PLAN_MEASURE], .operands = (const char *const *)m.operand,
                         .operand_count = m.count, .after = (const char *const *)m.made,
                         .words = {"-o", m.folder, p->title != NULL ? "--title" : NULL, p->title}};
        status = runner_stage(r, &s, r->study, "measure");
    }
    if (status == UM_OK) {
        char *none = runner_id(r, "segment", 0);
        const char *const after[] = {m.count > 0 ? "measure" : p->joint ? "classes" : none, NULL};
        const stage s = {.id = "report", .step = &p->step[PLAN_MEASURE], .operands = (const char *const *)m.operand,
                         .operand_count = m.count, .after = after, .outputs = {m.report}, .work = run_report_write,
                         .words = {p->title != NULL ? "--title" : NULL, p->title}};
        status = none != NULL ? runner_stage(r, &s, r->study, "report") : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
        free(none);
    }
    json_object_set_new(r->study, "page", cli_json_text(m.report != NULL ? m.report : ""));
    clear_measuring(r, &m);
    return status;
}
