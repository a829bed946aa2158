/* Help on the terminal, from the tables. */
#include "cli.h"

#include <string.h>

enum { WIDTH = 88, COLUMN = 28 };

/* Prints text from column `at`, wrapped, every following line indented by `indent`. */
static void wrapped(FILE *out, const char *text, size_t length, int indent, int at)
{
    const char *end = text + length;
    bool first = true;
    while (text < end) {
        size_t blanks = strspn(text, " \n");
        text += blanks;
        size_t word = strcspn(text, " \n");
        if (word > (size_t)(end - text)) {
            word = (size_t)(end - text);
        }
        if (word == 0) {
            break;
        }
        if (!first && at + 1 + (int)word > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", (int)word, text);
        at += (int)word;
        text += word;
        first = false;
    }
    fputc('\n', out);
}

static void paragraphs(FILE *out, const char *text)
{
    while (text != NULL && *text != '\0') {
        const char *gap = strstr(text, "\n\n");
        size_t length = gap != NULL ? (size_t)(gap - text) : strlen(text);
        wrapped(out, text, length, 0, 0);
        fputc('\n', out);
        text = gap != NULL ? gap + 2 : NULL;
    }
}

static void option_line(FILE *out, const cli_option *o)
{
    char left[256];
    int n = o->letter != 0 ? snprintf(left, sizeof left, "  -%c, ", o->letter)
                           : snprintf(left, sizeof left, "      ");
    n += snprintf(left + n, sizeof left - (size_t)n, "--%s%s%s", o->name,
                  o->kind != CLI_SWITCH ? " " : "", o->kind != CLI_SWITCH ? o->value : "");
    fputs(left, out);
    if (n + 2 > COLUMN) {
        fprintf(out, "\n%*s", COLUMN, "");
    } else {
        fprintf(out, "%*s", COLUMN - n, "");
    }
    char text[1024];
    char help[800];
    cli_sentence(o->help, help, sizeof help);
    snprintf(text, sizeof text, "%s%s%s%s%s", help, o->repeat ? " May be repeated." : "",
             o->preset != NULL ? " [" : "", o->preset != NULL ? o->preset : "",
             o->preset != NULL ? "]" : "");
    wrapped(out, text, strlen(text), COLUMN, COLUMN);
}

static void examples(FILE *out, const char *text)
{
    fputs("Examples:\n", out);
    while (*text != '\0') {
        size_t line = strcspn(text, "\n");
        const char *mark = strstr(text, " # ");
        if (mark != NULL && mark < text + line) {
            fprintf(out, "  %.*s\n      %.*s\n", (int)(mark - text), text,
                    (int)(text + line - mark - 3), mark + 3);
        } else {
            fprintf(out, "  %.*s\n", (int)line, text);
        }
        text += line + (text[line] == '\n' ? 1 : 0);
    }
    fputc('\n', out);
}

void cli_help_command(FILE *out, const cli_command *command)
{
    fprintf(out, "unmix %s - %s\n\n", command->name, command->summary);
    fprintf(out, "Usage: unmix %s%s%s [options]\n\n", command->name,
            command->operands != NULL ? " " : "",
            command->operands != NULL ? command->operands : "");
    paragraphs(out, command->description);
    if (command->examples != NULL) {
        examples(out, command->examples);
    }
    cli_group groups[CLI_GROUPS];
    size_t count = cli_command_groups(command, groups);
    for (size_t g = 0; g < count; g++) {
        if (groups[g].count == 0) {
            continue;
        }
        fprintf(out, "%s:\n", groups[g].title);
        for (size_t i = 0; i < groups[g].count; i++) {
            option_line(out, &groups[g].options[i]);
        }
        fputs(g + 1 < count ? "\n" : "", out);
    }
}

void cli_help_overview(FILE *out)
{
    fputs("unmix - phase maps from scanning electron diffraction\n\n"
          "Usage: unmix COMMAND [arguments] [options]\n\n"
          "Two commands do the usual thing:\n"
          "  unmix info scan.hspy\n"
          "  unmix nmf scan.hspy -o result.hspy\n\n"
          "Commands:\n",
          out);
    size_t count = 0;
    const cli_command *const *table = cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "  %-10s %s\n", table[i]->name, table[i]->summary);
    }
    fputs("\nunmix help COMMAND shows the options of a command.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 130 cancelled.\n",
          out);
}
