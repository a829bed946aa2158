/* unmix demo: a small scan with a known answer through the whole tool, command by command. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "dir", .kind = CLI_FOLDER, .value = "DIR", .preset = "demo",
     .help = "Folder that receives scan, truth, pictures, result and report."},
    {0}};

enum { MOST_WORDS = 24 };

/* Runs one command as if it had been typed; {dir} at the start of a word stands for the folder. */
static um_status step(cli *c, const char *line)
{
    char *words[MOST_WORDS] = {NULL};
    int count = 0;
    um_status status = UM_OK;
    char *copy = cli_format("unmix %s%s", line, c->force ? " --force" : "");
    char *place = NULL;
    for (char *w = copy != NULL ? strtok_r(copy, " ", &place) : NULL; w != NULL && count < MOST_WORDS;
         w = strtok_r(NULL, " ", &place)) {
        bool inside = strncmp(w, "{dir}", 5) == 0;
        words[count] = inside ? cli_format("%s%s", cli_text(c, "dir"), w + 5) : cli_format("%s", w);
        if (words[count++] == NULL) {
            status = cli_fail(c, UM_ERROR_MEMORY, "no memory");
        }
    }
    char *shown = status == UM_OK ? cli_command_line(count, words) : NULL;
    const cli_command *command = shown != NULL ? cli_find_command(words[1]) : NULL;
    if (command == NULL) {
        status = cli_fail(c, UM_ERROR_INTERNAL, "a step could not be made: %s", line);
        goto cleanup;
    }
    cli_say(c, "\n$ %s", shown);
    fflush(stdout);
    cli sub = {.ctx = c->ctx, .quiet = c->quiet || c->json, .verbose = c->verbose, .force = c->force,
               .started = cli_seconds()};
    status = cli_parse(&sub, command, count, words) ? command->run(&sub) : UM_ERROR_INTERNAL;
    cli_progress_clear();
    if (status != UM_OK) {
        const char *why = sub.message[0] != '\0' ? sub.message : um_context_message(c->ctx);
        cli_fail(c, status, "%s: %s", words[1], why);
    }
    sub.ctx = NULL; /* belongs to the demo */
    cli_clear(&sub);
cleanup:
    for (int i = 0; i < count; i++) {
        free(words[i]);
    }
    free(shown);
    free(copy);
    return status;
}

static um_status steps(cli *c)
{
    static const char *const lines[] = {
        ("simulate -o {dir}/scan.hspy --truth {dir}/truth.hspy --size 64x96 --pattern-size 96x96 "
         "--states 5 --counts 3000"),
        "info {dir}/scan.hspy",
        "image {dir}/scan.hspy -o {dir}/images",
        "nmf {dir}/scan.hspy -k 5 --mask-beam 4 -o {dir}/result.hspy -o {dir}/result.npz",
        "score {dir}/result.hspy {dir}/truth.hspy"};
    um_status status = UM_OK;
    for (size_t i = 0; status == UM_OK && i < sizeof lines / sizeof lines[0]; i++) {
        status = step(c, lines[i]);
    }
    return status;
}

/* The report from the files that the steps left, with the score against the truth. */
static um_status report(cli *c, const char *path, um_score **score)
{
    char *result_path = cli_format("%s/result.hspy", cli_text(c, "dir"));
    char *truth_path = cli_format("%s/truth.hspy", cli_text(c, "dir"));
    um_model *result = NULL;
    um_model *truth = NULL;
    um_status status = result_path != NULL && truth_path != NULL
                           ? um_model_load(c->ctx, result_path, &result)
                           : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    if (status == UM_OK) {
        status = um_model_load(c->ctx, truth_path, &truth);
    }
    if (status == UM_OK) {
        status = um_score_model(c->ctx, result, truth, NULL, score);
    }
    if (status == UM_OK) {
        static const char *const notes[] = {
            "A simulated scan: four crystals in their own orientations and an amorphous state, in grains "
            "mixed at their borders by the probe, 3000 counts per pattern. The answer is known, so the "
            "result is scored against it."};
        um_report_options how = {.title = "unmix demo",
                                 .score = *score,
                                 .notes = notes,
                                 .note_count = 1,
                                 .overwrite = c->force};
        status = um_report_write(c->ctx, result, path, &how);
    }
    um_model_free(truth);
    um_model_free(result);
    free(result_path);
    free(truth_path);
    return status;
}

static um_status tell(cli *c, const char *path, const um_score *score)
{
    double seconds = cli_seconds() - c->started;
    double worst = 1.0;
    for (int64_t t = 0; t < score->states; t++) {
        worst = score->cosine[t] < worst ? score->cosine[t] : worst;
    }
    if (c->json) {
        return cli_print_json(
            c, json_pack("{s:o, s:o, s:f, s:f, s:f, s:I}", "report", cli_json_text(path), "dir",
                         cli_json_text(cli_text(c, "dir")),
                         "worst_cosine", worst, "label_accuracy", score->label_accuracy, "seconds",
                         seconds, "peak_bytes", (json_int_t)cli_peak_bytes()));
    }
    char text[32];
    cli_say(c, "\nThe worst pattern agrees with the truth to a cosine of %.4f; %.2f %% of the positions are "
               "labelled right (%s).",
            worst, 100.0 * score->label_accuracy, cli_seconds_text(seconds, text));
    cli_say(c, "%s/result.hspy opens in HyperSpy: s.plot_decomposition_results()", cli_text(c, "dir"));
    cli_say(c, "The report is %s", path);
    return UM_OK;
}

static um_status run(cli *c)
{
    char *path = cli_format("%s/report.html", cli_text(c, "dir"));
    um_score *score = NULL;
    if (path == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    um_status status = cli_check_folder(c, cli_text(c, "dir"));
    if (status == UM_OK) {
        status = cli_check_output(c, path, NULL);
    }
    if (status == UM_OK) {
        status = steps(c);
    }
    if (status == UM_OK) {
        status = report(c, path, &score);
    }
    if (status == UM_OK) {
        status = tell(c, path, score);
    }
    um_score_free(score);
    free(path);
    return status;
}

const cli_command cli_command_demo = {
    .name = "demo",
    .summary = "run everything on a small simulated scan",
    .operands = NULL,
    .description =
        "Simulates a small scan with a known answer and runs the tool on it, command by command, each shown "
        "as one would type it: simulate, info, image, nmf, score. Then writes DIR/report.html, with the "
        "score against the truth, and says where it is. Takes about a minute on two cores.",
    .examples = "unmix demo # leaves demo/report.html\n"
                "unmix demo --dir /tmp/try --force # once more, elsewhere\n",
    .options = options,
    .least_operands = 0,
    .most_operands = 0,
    .run = run,
};
