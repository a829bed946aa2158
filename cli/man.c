/* Manual pages in roff (man macros), from the tables. */
#include "cli.h"

#include <ctype.h>
#include <string.h>

/* One UTF-8 character as roff writes it; returns the bytes it took. */
static size_t unicode(FILE *out, const char *text, size_t room)
{
    unsigned char first = (unsigned char)text[0];
    size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    unsigned code = first & (0x7Fu >> bytes);
    for (size_t i = 1; i < bytes && i < room; i++) {
        code = code << 6 | ((unsigned char)text[i] & 0x3Fu);
    }
    fprintf(out, "\\[u%04X]", code);
    return bytes;
}

/* Plain text with what roff takes specially made safe. */
static void escaped(FILE *out, const char *text, size_t length)
{
    bool line_start = true;
    for (size_t i = 0; i < length; i++) {
        char ch = text[i];
        if (line_start && (ch == '.' || ch == '\'')) {
            fputs("\\&", out);
        }
        if (ch == '\\') {
            fputs("\\e", out);
        } else if ((unsigned char)ch >= 0xC0) {
            i += unicode(out, text + i, length - i) - 1;
        } else if (ch == '-') {
            fputs("\\-", out);
        } else {
            fputc(ch, out);
        }
        line_start = ch == '\n';
    }
}

static void plain(FILE *out, const char *text)
{
    escaped(out, text, strlen(text));
}

static void upper(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        fputc(toupper((unsigned char)*text), out);
    }
}

static void paragraphs(FILE *out, const char *text)
{
    while (text != NULL && *text != '\0') {
        const char *gap = strstr(text, "\n\n");
        escaped(out, text, gap != NULL ? (size_t)(gap - text) : strlen(text));
        fputc('\n', out);
        text = gap != NULL ? gap + 2 : NULL;
        if (text != NULL) {
            fputs(".PP\n", out);
        }
    }
}

static void option(FILE *out, const cli_option *o)
{
    fputs(".TP\n", out);
    if (o->letter != 0) {
        fprintf(out, "\\fB\\-%c\\fR, ", o->letter);
    }
    fputs("\\fB\\-\\-", out);
    plain(out, o->name);
    fputs("\\fR", out);
    if (o->kind != CLI_SWITCH) {
        fputs(" \\fI", out);
        plain(out, o->value);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    char help[800];
    cli_sentence(o->help, help, sizeof help);
    plain(out, help);
    if (o->repeat) {
        fputs("\nMay be repeated.", out);
    }
    if (o->preset != NULL) {
        fputs("\nDefault: ", out);
        plain(out, o->preset);
        fputc('.', out);
    }
    fputc('\n', out);
}

static void examples(FILE *out, const char *text)
{
    fputs(".SH EXAMPLES\n", out);
    while (*text != '\0') {
        size_t line = strcspn(text, "\n");
        const char *mark = strstr(text, " # ");
        bool comment = mark != NULL && mark < text + line;
        fputs(".TP\n\\fB", out);
        escaped(out, text, comment ? (size_t)(mark - text) : line);
        fputs("\\fR\n", out);
        if (comment) {
            escaped(out, mark + 3, (size_t)(text + line - mark - 3));
        }
        fputc('\n', out);
        text += line + (text[line] == '\n' ? 1 : 0);
    }
}

static const char exit_status[] = ".SH EXIT STATUS\n"
                                  "0 done, 1 failed, 2 wrong usage, 130 cancelled by a signal.\n";

void cli_man_command(FILE *out, const cli_command *command)
{
    fputs(".TH UNMIX\\-", out);
    upper(out, command->name);
    fprintf(out, " 1 \"\" \"unmix %s\" \"unmix\"\n.SH NAME\nunmix\\-%s \\- ", um_version(),
            command->name);
    plain(out, command->summary);
    fprintf(out, "\n.SH SYNOPSIS\n\\fBunmix %s\\fR ", command->name);
    plain(out, command->operands != NULL ? command->operands : "");
    fputs(" [options]\n.SH DESCRIPTION\n", out);
    paragraphs(out, command->description);
    cli_group groups[CLI_GROUPS];
    size_t count = cli_command_groups(command, groups);
    for (size_t g = 0; g < count; g++) {
        if (groups[g].count == 0) {
            continue;
        }
        fputs(".SH ", out);
        upper(out, groups[g].title);
        fputc('\n', out);
        for (size_t i = 0; i < groups[g].count; i++) {
            option(out, &groups[g].options[i]);
        }
    }
    if (command->examples != NULL) {
        examples(out, command->examples);
    }
    fputs(exit_status, out);
    fputs(".SH SEE ALSO\n\\fBunmix\\fR(1)\n", out);
}

void cli_man_overview(FILE *out)
{
    fprintf(out,
            ".TH UNMIX 1 \"\" \"unmix %s\" \"unmix\"\n.SH NAME\nunmix \\- phase maps from scanning "
            "electron diffraction\n.SH SYNOPSIS\n\\fBunmix\\fR \\fICOMMAND\\fR [arguments] "
            "[options]\n.SH DESCRIPTION\n",
            um_version());
    paragraphs(out, "unmix takes a scanning electron diffraction scan (4D-STEM, SED, SPED) apart "
                    "into a few component patterns and the maps of where they are, by "
                    "non-negative matrix factorisation, with the evidence for every number.\n\n"
                    "Results for people go to standard output as text, or as one JSON object "
                    "with --json; progress, warnings and errors go to standard error. An error "
                    "is one line.");
    fputs(".SH COMMANDS\n", out);
    size_t count = 0;
    const cli_command *const *table = cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, ".TP\n\\fBunmix\\-%s\\fR(1)\n", table[i]->name);
        plain(out, table[i]->summary);
        fputc('\n', out);
    }
    fputs(exit_status, out);
}
