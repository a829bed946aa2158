#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A closed standard stream would be reused by the next open(): writing to it must fail instead. */
static void hold_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) {
            int opened = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
            if (opened != fd && opened >= 0) {
                close(opened);
            }
        }
    }
}

/* What was printed counts only when it arrived. */
static int close_stdout(const char *name, int code)
{
    int failed = ferror(stdout);
    errno = 0;
    failed = (fflush(stdout) != 0) | failed;
    int reason = errno;
    failed = (fclose(stdout) != 0) | failed;
    if (failed && reason == EPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (failed && code == CLI_DONE) {
        fprintf(stderr, "unmix%s%s: standard output: cannot be written: %s\n", name[0] ? " " : "",
                name, strerror(reason != 0 ? reason : EIO));
        return CLI_FAILED;
    }
    return code;
}

static int report_failure(cli *c, um_status status)
{
    char clean[2048];
    cli_progress_clear();
    const char *line = c->message;
    if (line[0] == '\0' && c->ctx != NULL) {
        line = um_context_message(c->ctx);
    }
    if (line[0] == '\0') {
        line = um_status_sentence(status);
    }
    fprintf(stderr, "unmix %s: %s\n", c->command->name, cli_clean(line, clean, sizeof clean));
    switch (status) {
    case UM_CANCELLED:
        return CLI_CANCELLED;
    case UM_ERROR_ARGUMENT:
        return CLI_USAGE;
    default:
        return CLI_FAILED;
    }
}

static um_status set_up(cli *c)
{
    if (um_context_create(&c->ctx) != UM_OK) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    c->json = cli_given(c, "json");
    if (c->command->hidden_work) {
        return UM_OK;
    }
    c->quiet = cli_given(c, "quiet");
    c->verbose = cli_given(c, "verbose");
    c->force = cli_given(c, "force");
    if (c->quiet && c->verbose) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--quiet and --verbose exclude each other");
    }
    um_context_set_threads(c->ctx, (int)cli_integer(c, "threads"));
    um_context_set_memory(c->ctx, cli_size(c, "memory"));
    um_context_set_seed(c->ctx, (uint64_t)cli_integer(c, "seed"));
    cli_progress_start(c, (cli_progress_kind)cli_choice(c, "progress"));
    cli_signals_start(c->ctx);
    return UM_OK;
}

static int run_command(const cli_command *command, int argc, char **argv)
{
    cli c = {.started = cli_seconds()};
    int code = CLI_DONE;
    if (!cli_parse(&c, command, argc, argv)) {
        code = report_failure(&c, UM_ERROR_ARGUMENT);
    } else if (c.help) {
        cli_help_command(stdout, command);
    } else {
        um_status status = set_up(&c);
        if (status == UM_OK) {
            status = command->run(&c);
        }
        cli_progress_clear();
        if (status != UM_OK) {
            code = report_failure(&c, status);
        }
    }
    cli_signals_start(NULL);
    cli_clear(&c);
    return close_stdout(command->name, code);
}

static int unknown_command(const char *word)
{
    const char *near = cli_suggest_command(word);
    if (near != NULL) {
        fprintf(stderr, "unmix: unknown command '%s': did you mean '%s'?\n", word, near);
    } else {
        fprintf(stderr, "unmix: unknown command '%s': see unmix help\n", word);
    }
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    /* Large buffers go back to the system when they are freed: the peak is then what was planned. */
    mallopt(M_MMAP_THRESHOLD, 2 << 20);
    hold_standard_streams();
    if (argc < 2) {
        cli_help_overview(stderr);
        return CLI_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        word = "help";
    } else if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
        word = "version";
    }
    const cli_command *command = cli_find_command(word);
    if (command == NULL) {
        return unknown_command(word);
    }
    return run_command(command, argc, argv);
}
