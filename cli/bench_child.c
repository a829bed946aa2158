/* Runs of the tool as processes of their own: what a user sees, with a peak of memory that is theirs. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MOST_WORDS = 48 };

static um_status start(cli *c, const char *program, char *const *words, pid_t *child, int *output)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return cli_fail(c, UM_ERROR_IO, "no pipe for a child: %s", strerror(errno));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    int failed = posix_spawnp(child, program, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        return cli_fail(c, UM_ERROR_IO, "%s cannot be run: %s", program, strerror(failed));
    }
    *output = ends[0];
    return UM_OK;
}

static double cpu_seconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           1e-6 * (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
}

um_status bench_run(cli *c, const char *program, const char *const *words, bench_child *out)
{
    char *list[MOST_WORDS + 2] = {(char *)(program == NULL ? "unmix" : program)};
    const char *file = program == NULL ? "/proc/self/exe" : program;
    for (int i = 0; i < MOST_WORDS && words[i] != NULL; i++) {
        list[i + 1] = (char *)words[i];
    }
    pid_t child = 0;
    int output = -1;
    double begun = cli_seconds();
    memset(out, 0, sizeof *out);
    um_status started = start(c, file, list, &child, &output);
    if (started != UM_OK) {
        return started;
    }
    FILE *stream = fdopen(output, "r");
    json_error_t error;
    out->output = stream != NULL ? json_loadf(stream, JSON_DISABLE_EOF_CHECK, &error) : NULL;
    if (stream != NULL) {
        fclose(stream);
    }
    int status = 0;
    struct rusage usage;
    if (wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0 ||
        out->output == NULL) {
        json_decref(out->output);
        out->output = NULL;
        return cli_fail(c, um_context_cancelled(c->ctx) ? UM_CANCELLED : UM_ERROR_IO,
                        "'%s %s' failed: see its message above", list[0], list[1]);
    }
    out->seconds = cli_seconds() - begun;
    out->cpu_seconds = cpu_seconds(&usage);
    return UM_OK;
}
