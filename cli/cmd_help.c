/* unmix help: overview, help of a command, manual pages and shell completion. */
#include "cli.h"

static const cli_option options[] = {
    {.name = "man", .kind = CLI_SWITCH, .help = "Print the manual page in roff instead."},
    {.name = "completion", .kind = CLI_CHOICE, .value = "bash|zsh",
     .help = "Print a completion script for this shell instead."},
    {0}};

static um_status run(cli *c)
{
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
                        near != NULL ? "did you mean " : "see unmix help", near != NULL ? near : "");
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
