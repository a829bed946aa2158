/* Completion scripts for bash and zsh, from the tables. */
#include "cli.h"

#include <string.h>

typedef void (*option_fn)(FILE *out, const cli_option *o);

static void each_option(FILE *out, const cli_command *command, option_fn print)
{
    cli_group groups[CLI_GROUPS];
    size_t count = cli_command_groups(command, groups);
    for (size_t g = 0; g < count; g++) {
        for (size_t i = 0; i < groups[g].count; i++) {
            print(out, &groups[g].options[i]);
        }
    }
}

static void bash_name(FILE *out, const cli_option *o)
{
    fprintf(out, " --%s", o->name);
}

/* A case of the previous word: what may follow an option that takes a value. */
static void bash_value(FILE *out, const cli_option *o)
{
    if (o->kind == CLI_SWITCH) {
        return;
    }
    fprintf(out, "        --%s", o->name);
    if (o->letter != 0) {
        fprintf(out, "|-%c", o->letter);
    }
    fputs(") ", out);
    if (o->kind == CLI_CHOICE) {
        fputs("COMPREPLY=($(compgen -W '", out);
        for (const char *p = o->value; *p != '\0'; p++) {
            fputc(*p == '|' ? ' ' : *p, out);
        }
        fputs("' -- \"$cur\")); return ;;\n", out);
    } else if (o->kind == CLI_FILE) {
        fputs("COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", out);
    } else if (o->kind == CLI_FOLDER) {
        fputs("COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", out);
    } else {
        fputs("return ;;\n", out);
    }
}

void cli_completion_bash(FILE *out)
{
    size_t count = 0;
    const cli_command *const *table = cli_commands(&count);
    fputs("# bash completion of unmix, made by: unmix help --completion bash\n"
          "_unmix() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} names=''\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s%s", i > 0 ? " " : "", table[i]->name);
    }
    fputs("' -- \"$cur\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "    %s)\n        names='", table[i]->name);
        each_option(out, table[i], bash_name);
        fputs("'\n        case $prev in\n", out);
        each_option(out, table[i], bash_value);
        fputs("        esac ;;\n", out);
    }
    fputs("    esac\n"
          "    if [ \"${COMP_WORDS[1]}\" = help ] && [[ $cur != -* ]]; then\n"
          "        COMPREPLY=($(compgen -W '",
          out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%s%s", i > 0 ? " " : "", table[i]->name);
    }
    fputs("' -- \"$cur\"))\n"
          "    elif [[ $cur == -* ]]; then\n"
          "        COMPREPLY=($(compgen -W \"$names\" -- \"$cur\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -f -- \"$cur\"))\n"
          "    fi\n"
          "}\n"
          "complete -o filenames -F _unmix unmix\n",
          out);
}

/* Text inside '...' of an _arguments specification. */
static void zsh_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else if (strchr("[]:\\", *text) != NULL) {
            fprintf(out, "\\%c", *text);
        } else {
            fputc(*text, out);
        }
    }
}

static void zsh_option(FILE *out, const cli_option *o)
{
    fprintf(out, "            '%s--%s%s[", o->repeat ? "*" : "", o->name,
            o->kind != CLI_SWITCH ? "=" : "");
    zsh_text(out, o->help);
    fputc(']', out);
    if (o->kind != CLI_SWITCH) {
        fputc(':', out);
        zsh_text(out, o->value);
        fputc(':', out);
    }
    if (o->kind == CLI_CHOICE) {
        fputc('(', out);
        for (const char *p = o->value; *p != '\0'; p++) {
            fputc(*p == '|' ? ' ' : *p, out);
        }
        fputc(')', out);
    } else if (o->kind == CLI_FILE) {
        fputs("_files", out);
    } else if (o->kind == CLI_FOLDER) {
        fputs("_files -/", out);
    }
    fputs("' \\\n", out);
}

void cli_completion_zsh(FILE *out)
{
    size_t count = 0;
    const cli_command *const *table = cli_commands(&count);
    fputs("#compdef unmix\n"
          "# zsh completion of unmix, made by: unmix help --completion zsh\n"
          "_unmix() {\n"
          "    local -a commands\n"
          "    commands=(\n",
          out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "        '%s:", table[i]->name);
        zsh_text(out, table[i]->summary);
        fputs("'\n", out);
    }
    fputs("    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n"
          "    (( CURRENT-- ))\n"
          "    case $command in\n",
          out);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "    %s)\n        _arguments \\\n", table[i]->name);
        each_option(out, table[i], zsh_option);
        fputs("            '*: :_files' ;;\n", out);
    }
    fputs("    esac\n"
          "}\n"
          "if [ \"$funcstack[1]\" = _unmix ]; then\n"
          "    _unmix \"$@\"\n"
          "else\n"
          "    compdef _unmix unmix\n"
          "fi\n",
          out);
}
