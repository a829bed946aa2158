/* unmix score: a result against a known truth. */
#include "cli.h"

static const cli_option options[] = {{0}};

static json_t *as_json(const um_score *score)
{
    json_t *cosine = json_array();
    json_t *classes = json_array();
    json_t *match = json_array();
    for (int64_t t = 0; t < score->states; t++) {
        const um_class_score *class = &score->classes[t];
        char name[32];
        snprintf(name, sizeof name, "state %lld", (long long)t);
        json_array_append_new(cosine, cli_json_real(score->cosine[t]));
        json_array_append_new(match, json_integer((json_int_t)score->component_of[t]));
        json_array_append_new(
            classes,
            json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f}", "name", name, "component",
                      (json_int_t)score->component_of[t], "positions",
                      (json_int_t)class->positions, "cosine", score->cosine[t], "precision",
                      class->precision, "recall", class->recall, "f1", class->f1));
    }
    return json_pack("{s:o, s:o, s:o, s:f, s:f, s:f, s:I, s:I}", "cosine", cosine, "per_class",
                     classes, "component_of", match, "label_accuracy", score->label_accuracy,
                     "baseline", score->baseline, "fraction_rms", score->fraction_rms, "states",
                     (json_int_t)score->states, "components", (json_int_t)score->components);
}

static void say_score(cli *c, const um_score *score)
{
    cli_say(c, "%-10s %9s %9s %9s %9s %9s %9s", "state", "component", "cosine", "positions",
            "precision", "recall", "F1");
    for (int64_t t = 0; t < score->states; t++) {
        const um_class_score *class = &score->classes[t];
        char component[24] = "none";
        if (score->component_of[t] >= 0) {
            snprintf(component, sizeof component, "%lld", (long long)score->component_of[t]);
        }
        cli_say(c, "%-10lld %9s %9.5f %9lld %9.4f %9.4f %9.4f", (long long)t, component,
                score->cosine[t], (long long)class->positions, class->precision, class->recall,
                class->f1);
    }
    cli_say(c, "labels right      %.3f %% (calling everything the commonest state: %.3f %%)",
            100.0 * score->label_accuracy, 100.0 * score->baseline);
    cli_say(c, "error of fractions %.4f rms", score->fraction_rms);
    if (score->components > score->states) {
        cli_say(c, "%lld components have no state; positions where one is strongest count as wrong",
                (long long)(score->components - score->states));
    }
}

static um_status run(cli *c)
{
    um_model *result = NULL;
    um_model *truth = NULL;
    um_score *score = NULL;
    um_status status = cli_model_load(c, c->operand[0], &result);
    if (status == UM_OK) {
        status = cli_model_load(c, c->operand[1], &truth);
    }
    if (status == UM_OK) {
        status = um_score_model(c->ctx, result, truth, &score);
    }
    if (status == UM_OK && c->json) {
        status = cli_print_json(c, as_json(score));
    } else if (status == UM_OK) {
        say_score(c, score);
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
        "the patterns over the pixels that the result does not exclude) and prints, per state, the cosine "
        "and how well the positions are labelled. The label of a position is its strongest component by "
        "counts (loading x sum of the pattern); the true label is the state of largest fraction. "
        "Excluded positions do not count; positions where an unmatched component is strongest are wrong.",
    .examples = "unmix score result.hspy truth.hspy # a table\n"
                "unmix score result.hspy truth.hspy --json # cosine, label_accuracy, per_class\n",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .run = run,
};
