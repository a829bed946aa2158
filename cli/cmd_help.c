/* unmix help: overview, help of a command, manual pages and shell completion. */
#include "cli.h"

static const cli_option options[] = {
    {.name = "man", .kind = CLI_SWITCH, .help = "Print the manual page in roff instead."},
    {.name = "completion", .kind = CLI_CHOICE, .value = "bash|zsh",
     .help = "Print a completion script for this shell instead."},
    {0}};

static json_t *option_json(const cli_option *o)
{
    static const char *const kinds[] = {"switch", "text", "file", "folder", "integer",
                                        "real", "size", "choice"};
    const char letter[2] = {o->letter, '\0'};
    char help[800];
    cli_sentence(o->help, help, sizeof help);
    return json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:b, s:s}", "name", o->name, "letter", letter,
                     "kind", kinds[o->kind], "value", o->value, "default", o->preset, "repeat",
                     (int)o->repeat, "help", help);
}

/* The tables as they are: what editors and other front ends read. */
static json_t *command_json(const cli_command *command)
{
    json_t *groups = json_object();
    cli_group group[CLI_GROUPS];
    size_t count = cli_command_groups(command, group);
    for (size_t g = 0; g < count; g++) {
        json_t *list = json_array();
        for (size_t i = 0; i < group[g].count; i++) {
            json_array_append_new(list, option_json(&group[g].options[i]));
        }
        json_object_set_new(groups, group[g].title, list);
    }
    return json_pack("{s:s, s:s, s:s?, s:i, s:i, s:o}", "name", command->name, "summary",
                     command->summary, "operands", command->operands, "least_operands",
                     command->least_operands, "most_operands", command->most_operands, "options",
                     groups);
}

static um_status all_json(cli *c)
{
    size_t count = 0;
    const cli_command *const *table = cli_commands(&count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, command_json(table[i]));
    }
    return cli_print_json(c, json_pack("{s:s, s:o}", "version", um_version(), "commands", list));
}

static um_status run(cli *c)
{
    if (c->json && (cli_given(c, "man") || cli_given(c, "completion"))) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--json excludes --man and --completion");
    }
    if (cli_given(c, "completion")) {
        if (cli_choice(c, "completion") == 0) {
            cli_completion_bash(stdout);
        } else {
            cli_completion_zsh(stdout);
        }
        return UM_OK;
    }
    bool man = cli_given(c, "man");
    if (c->operands == 0) {
        if (c->json) {
            return all_json(c);
        }
        if (man) {
            cli_man_overview(stdout);
        } else {
            cli_help_overview(stdout);
        }
        return UM_OK;
    }
    const cli_command *command = cli_find_command(c->operand[0]);
    if (command == NULL) {
        const char *near = cli_suggest_command(c->operand[0]);
        return cli_fail(c, UM_ERROR_ARGUMENT, "unknown command '%s': %s%s", c->operand[0],
                        near != NULL ? "did you mean " : "see unmix help",
                        near != NULL ? near : "");
    }
    if (c->json) {
        return cli_print_json(c, command_json(command));
    }
    if (man) {
        cli_man_command(stdout, command);
    } else {
        cli_help_command(stdout, command);
    }
    return UM_OK;
}

const cli_command cli_command_help = {
    .name = "help",
    .summary = "show help about unmix or one of its commands",
    .operands = "[COMMAND]",
    .description = "Without a command: what there is. With one: its options and examples.",
    .examples = "unmix help nmf # the options of nmf\n"
                "unmix help --man nmf | man -l - # the same as a manual page\n"
                "source <(unmix help --completion bash) # completion in this shell\n",
    .options = options,
    .most_operands = 1,
    .hidden_work = true,
    .run = run,
};
