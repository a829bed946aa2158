/* unmix run --example: a small series with a known answer, and a plan for it. */
#include "runner.h"

#include <stdlib.h>
#include <string.h>

typedef struct example_scan {
    const char *condition, *name, *stage, *density, *scale;
} example_scan;

/* Needles that grow, then rods and plates of the next phases: see docs/tutorial-precipitates.md. */
static const example_scan scans[] = {{"0.5 h", "aged_1", "1", "10000", "2"},
                                     {"2 h", "aged_2", "2", "7000", "1.5"},
                                     {"8 h", "aged_3", "3", "3500", "1"},
                                     {"48 h", "aged_4", "4", "1500", "0.5"},
                                     {"200 h", "aged_5", "5", "800", "0.4"}};
enum { SCANS = sizeof scans / sizeof scans[0] };

static um_status simulate(cli *c, const char *folder, int i)
{
    const example_scan *e = &scans[i];
    char *seed = cli_format("%d", i + 1);
    char *words[] = {c->argv[0], (char *)"simulate", (char *)"precipitates",
                     (char *)"-o", cli_format("%s/%s.hspy", folder, e->name),
                     (char *)"--truth", cli_format("%s/%s-truth.hspy", folder, e->name),
                     (char *)"--counts", (char *)"4000", (char *)"--seed", seed,
                     (char *)"--set", (char *)"set=al-mg-si", (char *)"--set", (char *)"thickness_nm=40",
                     (char *)"--set", (char *)"ny=96", (char *)"--set", (char *)"nx=96",
                     (char *)"--set", (char *)"step_nm=2.5", (char *)"--set", (char *)"pixel_per_A=0.036",
                     (char *)"--set", (char *)"ky=80", (char *)"--set", (char *)"kx=80",
                     (char *)"--set", cli_format("stage=%s", e->stage),
                     (char *)"--set", cli_format("number_density=%s", e->density),
                     (char *)"--set", cli_format("size_scale=%s", e->scale)};
    enum { COUNT = sizeof words / sizeof words[0] };
    cli sub = {.ctx = c->ctx, .started = cli_seconds(), .json = true, .quiet = c->quiet, .verbose = c->verbose, .force = c->force};
    const cli_command *command = cli_find_command("simulate");
    json_t *result = NULL;
    uint64_t own = um_context_seed(c->ctx);
    um_status status = UM_OK;
    for (int k = 0; k < COUNT; k++) {
        status = words[k] != NULL ? status : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    if (status == UM_OK && !cli_parse(&sub, command, COUNT, words)) {
        status = cli_fail(c, UM_ERROR_INTERNAL, "%s", sub.message);
    }
    sub.capture = &result;
    um_context_set_seed(c->ctx, (uint64_t)(i + 1));
    cli_note(c, "simulating %s", e->name);
    status = status == UM_OK ? command->run(&sub) : status;
    if (status != UM_OK && sub.message[0] != '\0') {
        cli_fail(c, status, "%s", sub.message);
    }
    um_context_set_seed(c->ctx, own);
    json_decref(result);
    sub.ctx = NULL; /* borrowed */
    cli_clear(&sub);
    const int made[] = {4, 6, 28, 30, 32};
    for (size_t k = 0; k < sizeof made / sizeof made[0]; k++) {
        free(words[made[k]]);
    }
    free(seed);
    return status;
}

static char *plan_text(const char *folder)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    fprintf(out, "; A series of simulated Al-Mg-Si. Run: unmix run %s/plan.ini\n"
                 "; Keys are the long options of the commands: unmix help segment\n\n",
            folder);
    for (int i = 0; i < SCANS; i++) {
        fprintf(out, "[condition %s]\nfile = %s/%s.hspy\nthickness = 40\n\n", scans[i].condition, folder, scans[i].name);
    }
    fprintf(out, "[prep]\nmask-beam = 4\n\n"
                 "; k under [nmf] leaves out the search for the number of components\n"
                 "[choose]\nk = 2..16\n\n"
                 "; precipitates in a matrix: their patterns hold its reflections as well, and the smallest are a few positions\n"
                 "[segment]\nalike = 1.4\nleast-share = 0.0001\nleast-size = 3\n\n"
                 "[output]\nfolder = %s/result\ntitle = Simulated Al-Mg-Si, five heat treatments\n",
            folder);
    return fclose(out) == 0 ? text : NULL;
}

um_status run_example(cli *c, const char *folder)
{
    char *path = cli_format("%s/plan.ini", folder);
    char *text = plan_text(folder);
    um_status status = path != NULL && text != NULL ? cli_check_folder(c, folder) : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    status = status == UM_OK ? cli_check_output(c, path, ".ini") : status;
    for (int i = 0; i < SCANS && status == UM_OK; i++) {
        status = simulate(c, folder, i);
    }
    status = status == UM_OK ? cli_write_text(c, path, text) : status;
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, json_pack("{s:o}", "plan", cli_json_text(path)));
    } else if (status == UM_OK) {
        cli_say(c, "wrote %s, and %d scans with their truths", path, (int)SCANS);
        cli_say(c, "Run: unmix run %s", path);
    }
    free(path);
    free(text);
    return status;
}
