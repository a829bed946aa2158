/* unmix score: a result against a known truth. */
#include "score_text.h"

static const cli_option options[] = {
    {.name = "least-fraction", .kind = CLI_REAL, .value = "F", .preset = "0.1", .least = 0.0001, .most = 1,
     .help = "A position holds a state that is not background from this fraction on."},
    {.name = "least-size", .kind = CLI_INTEGER, .value = "N", .preset = "2", .least = 1,
     .help = "Regions of fewer positions are no particles."},
    {.name = "probe", .kind = CLI_REAL, .value = "PX", .least = 0,
     .help = "Standard deviation of the probe in scan positions, for the sharpness; default as the truth says."},
    {0}};

static um_status run(cli *c)
{
    um_model *result = NULL;
    um_model *truth = NULL;
    um_score *score = NULL;
    um_score_options how = um_score_defaults();
    how.least_fraction = cli_real(c, "least-fraction");
    how.least_positions = cli_integer(c, "least-size");
    if (cli_given(c, "probe")) {
        how.probe_px = cli_real(c, "probe");
    }
    um_status status = cli_model_load(c, c->operand[0], &result);
    if (status == UM_OK) {
        status = cli_model_load(c, c->operand[1], &truth);
    }
    if (status == UM_OK) {
        status = um_score_model(c->ctx, result, truth, &how, &score);
    }
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, cli_score_json(score));
    } else if (status == UM_OK) {
        cli_score_say(c, score);
    }
    um_score_free(score);
    um_model_free(truth);
    um_model_free(result);
    return status;
}

const cli_command cli_command_score = {
    .name = "score",
    .summary = "compare a result with a known truth",
    .operands = "RESULT TRUTH",
    .description =
        "Matches the components of RESULT to the states of TRUTH (optimal assignment on the cosine of "
        "the patterns over the pixels that the result does not exclude) and prints how well patterns, maps, "
        "labels, fractions and particles agree. docs/scores.md defines every number; a dash, or null with --json, "
        "stands where one has no meaning.\n\n"
        "Components that are left over count for the state whose pattern is nearest; only label_accuracy, "
        "fraction_rms and per_class take one component for a state and the others as wrong. Counts become fractions by "
        "what a full position of each state counts. Where TRUTH flags states as background, a position is called the "
        "strongest other state that has the least fraction there, else background; otherwise the strongest state. "
        "Excluded positions do not count.",
    .examples = "unmix score result.hspy truth.hspy # tables\n"
                "unmix score result.hspy truth.hspy --json # cosine, label_accuracy, per_class, by_state, by_phase\n",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .run = run,
};
