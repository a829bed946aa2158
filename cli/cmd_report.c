/* unmix report: the page about a stored result. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_NOTES = 32 };

static const cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_FILE,
     .value = "OUT.html",
     .help = "Where the page goes; default: beside the model."},
    {.name = "truth",
     .kind = CLI_FILE,
     .value = "TRUTH",
     .help = "A simulated truth: the page then shows how well it was found."},
    {.name = "title",
     .kind = CLI_TEXT,
     .value = "TEXT",
     .help = "Title; default: the input's name."},
    {.name = "note",
     .kind = CLI_TEXT,
     .value = "TEXT",
     .repeat = true,
     .help = "A line shown at the top."},
    {0}};

static um_status score(cli *c, um_model *model, um_score **out)
{
    um_model *truth = NULL;
    um_status status = cli_model_load(c, cli_text(c, "truth"), &truth);
    if (status == UM_OK) {
        status = um_score_model(c->ctx, model, truth, NULL, out);
    }
    um_model_free(truth);
    return status;
}

static um_status write_page(cli *c, const char *path)
{
    um_model *model = NULL;
    um_score *result = NULL;
    const char *notes[MOST_NOTES];
    int count = cli_count(c, "note");
    if (count > MOST_NOTES) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--note: at most %d", (int)MOST_NOTES);
    }
    for (int i = 0; i < count; i++) {
        notes[i] = cli_text_at(c, "note", i);
    }
    um_status status = cli_model_load(c, c->operand[0], &model);
    if (status == UM_OK && cli_given(c, "truth")) {
        status = score(c, model, &result);
    }
    if (status == UM_OK) {
        um_report_options report = {.title = cli_text(c, "title"), .score = result, .notes = notes,
                                    .note_count = count, .overwrite = c->force};
        status = um_report_write(c->ctx, model, path, &report);
    }
    if (status == UM_OK && c->json) {
        json_t *object = json_pack("{s:o, s:I, s:s}", "path", cli_json_text(path), "k",
                                   (json_int_t)um_model_k(model), "method", um_model_method(model));
        if (object != NULL && result != NULL) {
            json_object_set_new(object, "label_accuracy", cli_json_real(result->label_accuracy));
        }
        status = cli_print_json(c, object);
    } else if (status == UM_OK) {
        cli_say(c, "wrote %s", path);
    }
    um_score_free(result);
    um_model_free(model);
    return status;
}

static um_status run(cli *c)
{
    const char *given = cli_text(c, "output");
    char *path = given != NULL ? cli_format("%s", given) : cli_with_suffix(c->operand[0], ".html");
    if (path == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    um_status status = cli_check_output(c, path, ".html .htm");
    if (status == UM_OK) {
        status = write_page(c, path);
    }
    free(path);
    return status;
}

const cli_command cli_command_report = {
    .name = "report",
    .summary = "write the page about a result",
    .operands = "MODEL",
    .description =
        "Writes a self-contained HTML page about a stored result (.hspy or .npz of unmix nmf or "
        "svd): mean and maximum pattern, virtual bright field, scree, every component with its "
        "map, residuals, the numbers of the fit, and how to reproduce it. It needs no network and "
        "no scripts.",
    .examples = "unmix report result.hspy # writes result.html\n"
                "unmix report result.hspy -o page.html --truth truth.hspy # with the score of a "
                "simulation\n",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
