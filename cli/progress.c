/* Progress and log lines on standard error. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_WIDTH = 24, LINE_LIMIT = 200 };

/* Whether a bar stands on the terminal: messages of any kind must remove it first. */
static bool bar_shown;

void cli_progress_clear(void)
{
    if (bar_shown) {
        fputs("\r\033[K", stderr);
        bar_shown = false;
    }
}

static int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        return size.ws_col;
    }
    return 80;
}

static void rate_text(double rate, char text[32])
{
    static const char units[] = " kMG";
    size_t unit = 0;
    while (rate >= 1000 && unit + 2 < sizeof units) {
        rate /= 1000;
        unit++;
    }
    if (unit == 0) {
        snprintf(text, 32, "%.3g", rate);
    } else {
        snprintf(text, 32, "%.3g%c", rate, units[unit]);
    }
}

static void clock_text(double seconds, char text[32])
{
    long long s = (long long)ceil(seconds);
    if (s >= 3600) {
        snprintf(text, 32, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    } else {
        snprintf(text, 32, "%lld:%02lld", s / 60, s % 60);
    }
}

static void show_bar(void *user, const um_progress *p)
{
    const cli *c = user;
    cli_progress_clear();
    char rate[32];
    char clock[32];
    rate_text(p->rate, rate);
    if (p->finished) {
        if (c->verbose) {
            clock_text(p->seconds, clock);
            fprintf(stderr, "%s: %lld %s in %s (%s/s)\n", p->stage, (long long)p->done, p->unit,
                    clock, rate);
        }
        return;
    }
    char line[LINE_LIMIT];
    if (p->total > 0) {
        double part = (double)p->done / (double)p->total;
        char bar[BAR_WIDTH + 1];
        int full = (int)(part * BAR_WIDTH);
        for (int i = 0; i < BAR_WIDTH; i++) {
            bar[i] = i < full ? '=' : i == full ? '>' : ' ';
        }
        bar[BAR_WIDTH] = '\0';
        if (p->eta_seconds >= 0) {
            clock_text(p->eta_seconds, clock);
        } else {
            snprintf(clock, sizeof clock, "-:--");
        }
        snprintf(line, sizeof line, "%s [%s] %3.0f%%  %s %s/s  ETA %s", p->stage, bar,
                 floor(part * 100), rate, p->unit, clock);
    } else {
        snprintf(line, sizeof line, "%s  %lld %s  %s/s", p->stage, (long long)p->done, p->unit,
                 rate);
    }
    fprintf(stderr, "%.*s", terminal_width() - 1, line);
    fflush(stderr);
    bar_shown = true;
}

static void show_json(void *user, const um_progress *p)
{
    (void)user;
    json_t *line = json_pack("{s:s, s:s, s:I, s:I, s:f, s:f, s:b}", "stage", p->stage, "unit",
                             p->unit, "done", (json_int_t)p->done, "total", (json_int_t)p->total,
                             "seconds", p->seconds, "rate", p->rate, "finished", (int)p->finished);
    if (line == NULL) {
        return;
    }
    json_object_set_new(line, "eta_seconds",
                        p->eta_seconds >= 0 ? json_real(p->eta_seconds) : json_null());
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text != NULL) {
        fprintf(stderr, "%s\n", text);
        fflush(stderr);
    }
    free(text);
    json_decref(line);
}

static void show_log(void *user, um_log_level level, const char *line)
{
    const cli *c = user;
    if (level == UM_LOG_WARNING ? c->quiet : !c->verbose) {
        return;
    }
    char clean[2048];
    cli_progress_clear();
    fprintf(stderr, "unmix %s: %s%s\n", c->command->name,
            level == UM_LOG_WARNING ? "warning: " : "", cli_clean(line, clean, sizeof clean));
}

void cli_progress_start(cli *c, cli_progress_kind kind)
{
    if (kind == CLI_PROGRESS_AUTO) {
        const char *term = getenv("TERM");
        bool dumb = term == NULL || strcmp(term, "dumb") == 0;
        kind = isatty(STDERR_FILENO) && !dumb && !c->quiet ? CLI_PROGRESS_BAR : CLI_PROGRESS_NONE;
    }
    if (kind == CLI_PROGRESS_BAR) {
        um_context_set_progress(c->ctx, show_bar, c);
    } else if (kind == CLI_PROGRESS_JSON) {
        um_context_set_progress(c->ctx, show_json, c);
    }
    um_context_set_log(c->ctx, show_log, c);
}
