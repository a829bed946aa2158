/* SIGINT, SIGTERM and SIGHUP ask the running work to stop; a second one ends the process at once. SIGPIPE
 * waits until the work is done: main ends as it would have. */
#include "cli.h"

#include <signal.h>
#include <string.h>

/* A handler can reach nothing but statics. */
static um_context *volatile running;

static void on_signal(int number)
{
    um_context *ctx = running;
    if (ctx == NULL || um_context_cancelled(ctx)) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    um_context_cancel(ctx);
}

void cli_signals_start(um_context *ctx)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    running = ctx;
    if (ctx != NULL) {
        signal(SIGPIPE, SIG_IGN); /* a reader of our messages who goes must not cut an output short */
    }
    for (size_t i = 0; ctx != NULL && i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction old;
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = on_signal;
        action.sa_flags = SA_RESTART;
        sigemptyset(&action.sa_mask);
        /* What nohup and background jobs ignore stays ignored. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaction(numbers[i], &action, NULL);
        }
    }
}
