/* What `unmix run` does to scans before phases are told apart: pictures, singular values, the fit and its evidence. */
#include "run_steps.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- stages of one scan ------------------------------------------------------------------------- */

um_status run_prepared(runner *r, int i)
{
    const plan_step prep = {.command = cli_find_command("prep")};
    char *id = cli_format("prep %s", runner_name(r, i));
    char *out = cli_format("%s/prepared.hspy", r->folder[i]);
    char *learned = cli_format("%s/learned.json", r->folder[i]);
    const char *file = r->plan.files[i];
    const stage s = {.id = id, .step = &prep, .operands = &file, .operand_count = 1, .scan = file,
                     .words = {"-o", out, "--report", learned}, .outputs = {out, learned}};
    um_status status = id != NULL && out != NULL && learned != NULL ? runner_stage(r, &s, runner_object(r, i), "prep")
                                                                    : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    json_object_set_new(runner_object(r, i), "prepared", cli_json_text(out != NULL ? out : ""));
    free(id);
    free(out);
    free(learned);
    return status;
}

um_status run_images(runner *r, int i)
{
    char *id = cli_format("image %s", runner_name(r, i));
    char *pictures = cli_format("%s/pictures", r->folder[i]);
    const char *file = r->plan.files[i];
    const stage s = {.id = id, .step = &r->plan.step[PLAN_IMAGE], .operands = &file, .operand_count = 1, .scan = file,
                     .words = {"-o", pictures}};
    um_status status = id != NULL && pictures != NULL ? runner_stage(r, &s, runner_object(r, i), "image")
                                                      : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    json_object_set_new(runner_object(r, i), "pictures", cli_json_text(pictures != NULL ? pictures : ""));
    free(pictures);
    free(id);
    return status;
}

um_status run_svd(runner *r, int i)
{
    const plan *p = &r->plan;
    char *id = cli_format("svd %s", runner_name(r, i));
    char *hspy = cli_format("%s/svd.hspy", r->folder[i]);
    char *npz = cli_format("%s/svd.npz", r->folder[i]);
    char *scree = cli_format("%s/scree.svg", r->folder[i]);
    const char *file = p->files[i];
    stage s = {.id = id, .step = &p->step[PLAN_SVD], .operands = &file, .operand_count = 1, .scan = file,
               .words = {"--scree", scree, "-o", p->hspy ? hspy : npz, p->hspy && p->npz ? "-o" : NULL, npz},
               .outputs = {scree}};
    um_status status = id != NULL && hspy != NULL && npz != NULL && scree != NULL
                           ? runner_stage(r, &s, runner_object(r, i), "svd")
                           : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    free(id);
    free(hspy);
    free(npz);
    free(scree);
    return status;
}

/* ---- the fit: of one scan, or (i < 0) of all together -------------------------------------------- */

void run_fit_clear(fit *f)
{
    char *texts[] = {f->choose_id, f->nmf_id, f->verify_id, f->result, f->other, f->checkpoint, f->page, f->choice, f->table, f->each};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(texts[i]);
    }
}

static um_status name_fit(runner *r, fit *f)
{
    const plan *p = &r->plan;
    const char *stem = f->scan < 0 ? "joint" : "result";
    f->choose_id = runner_id(r, "choose", f->scan);
    f->nmf_id = runner_id(r, "nmf", f->scan);
    f->verify_id = runner_id(r, "verify", f->scan);
    f->result = cli_format("%s/%s.%s", f->folder, stem, p->hspy ? "hspy" : "npz");
    f->other = cli_format("%s/%s.npz", f->folder, stem);
    f->checkpoint = cli_format("%s.checkpoint", f->result != NULL ? f->result : "");
    f->page = cli_format("%s/%s-verify.html", f->folder, stem);
    f->choice = cli_format("%s/choose.html", f->folder);
    f->table = cli_format("%s/choose.json", f->folder);
    f->each = cli_format("%s/each", p->folder);
    bool fine = f->choose_id != NULL && f->nmf_id != NULL && f->verify_id != NULL && f->result != NULL && f->other != NULL &&
                f->checkpoint != NULL && f->page != NULL && f->choice != NULL && f->table != NULL && f->each != NULL;
    return fine ? UM_OK : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
}

static um_status make_choice(runner *r, fit *f)
{
    const stage s = {.id = f->choose_id, .step = &r->plan.step[PLAN_CHOOSE], .operands = &f->input, .operand_count = 1,
                     .scan = f->input, .words = {"-o", f->choice, "-o", f->table}};
    um_status status = runner_stage(r, &s, runner_object(r, f->scan), "choose");
    json_t *k = json_object_get(json_object_get(runner_object(r, f->scan), "choose"), "recommended");
    if (status == UM_OK && json_is_integer(k)) {
        snprintf(f->k, sizeof f->k, "%lld", (long long)json_integer_value(k));
    }
    return status;
}

static um_status make_fit(runner *r, fit *f)
{
    const plan *p = &r->plan;
    stage s = {.id = f->nmf_id, .step = &p->step[PLAN_NMF], .operands = &f->input, .operand_count = 1, .scan = f->input,
               .checkpoint = f->checkpoint};
    const char *const chosen[] = {f->choose_id, NULL};
    int n = 0;
    s.words[n++] = "-o";
    s.words[n++] = f->result;
    if (p->hspy && p->npz) {
        s.words[n++] = "-o";
        s.words[n++] = f->other;
    }
    if (f->scan < 0) {
        s.words[n++] = "--each";
        s.words[n++] = f->each;
    }
    if (f->k[0] != '\0') {
        s.words[n++] = "-k";
        s.words[n++] = f->k;
    }
    if (p->step[PLAN_CHOOSE].wanted) {
        s.after = chosen;
    }
    return runner_stage(r, &s, runner_object(r, f->scan), "nmf");
}

static um_status make_verdict(runner *r, fit *f)
{
    const char *operands[] = {f->result, f->input};
    const char *const after[] = {f->nmf_id, NULL};
    const stage s = {.id = f->verify_id, .step = &r->plan.step[PLAN_VERIFY], .operands = operands, .operand_count = 2,
                     .scan = f->input, .words = {"-o", f->page}, .after = after};
    return runner_stage(r, &s, runner_object(r, f->scan), "verify");
}

um_status run_fit(runner *r, fit *f)
{
    const plan *p = &r->plan;
    um_status status = name_fit(r, f);
    status = status == UM_OK && p->step[PLAN_CHOOSE].wanted ? make_choice(r, f) : status;
    status = status == UM_OK && p->step[PLAN_NMF].wanted ? make_fit(r, f) : status;
    return status == UM_OK && p->step[PLAN_VERIFY].wanted && p->step[PLAN_NMF].wanted ? make_verdict(r, f) : status;
}

/* A file with the name of each scan, as the readers take it. */
um_status run_list(runner *r, char **list)
{
    const plan *p = &r->plan;
    char *path = cli_format("%s/scans.txt", p->folder);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    *list = cli_format("@%s/scans.txt", p->folder);
    for (int i = 0; out != NULL && i < p->file_count; i++) {
        char whole[PATH_MAX];
        fprintf(out, "%s\n", realpath(p->files[i], whole) != NULL ? whole : p->files[i]);
    }
    bool fine = out != NULL && fclose(out) == 0 && path != NULL && *list != NULL;
    um_status status = fine && r->only_plan ? UM_OK
                       : fine             ? cli_write_text(r->c, path, text)
                                          : cli_fail(r->c, UM_ERROR_MEMORY, "no memory");
    free(path);
    free(text);
    return status;
}
