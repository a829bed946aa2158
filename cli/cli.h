/* The command line tool: one table row per command, one typed option table per command.
 *
 * To add a command `frob`: write cmd_frob.c with
 *
 *     static const cli_option options[] = {
 *         {.name = "output", .letter = 'o', .kind = CLI_FILE, .value = "OUT", .help = "..."},
 *         {0}};
 *     static um_status run(cli *c) { ... cli_print_json(c, object) or cli_say(c, "...") ... }
 *     const cli_command cli_command_frob = {.name = "frob", .summary = "...", .options = options,
 *                                           .least_operands = 1, .most_operands = 1, .run = run,
 * ...};
 *
 * and add its name to the list in cli/meson.build. Parsing, --help, the manual page and the shell
 * completion follow from the row. A command that reads a scan sets .reads = CLI_READS_SCAN, which
 * adds the preparation options, and calls cli_scan_prepare() (scan.h). Outputs are checked by
 * cli_check_output() before work starts. The tool uses public headers of the library only. */
#ifndef CLI_H
#define CLI_H

#include "unmix/unmix.h"

#include <jansson.h>
#include <stdio.h>

enum { CLI_GROUPS = 4 };
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_CANCELLED = 130 };

typedef enum cli_kind {
    CLI_SWITCH,  /* takes no value */
    CLI_TEXT,    /* anything */
    CLI_FILE,    /* a path: completion offers files */
    CLI_FOLDER,  /* a path: completion offers folders */
    CLI_INTEGER, /* int64 in least .. most */
    CLI_REAL,    /* finite double in least .. most */
    CLI_SIZE,    /* bytes: 500M = 5e8, 4GiB = 4 * 2^30 */
    CLI_CHOICE   /* one of the words of `value`, "a|b|c" */
} cli_kind;

typedef struct cli_option {
    const char *name;   /* long name without dashes; NULL ends a table */
    char letter;        /* short name or 0 */
    cli_kind kind;
    bool repeat;        /* may be given more than once; otherwise the last one counts */
    const char *value;  /* how the value is called in help; the words of a choice */
    const char *preset; /* value when not given, as text; NULL = none */
    double least, most; /* numbers: smallest value; largest value, 0 = no limit */
    const char *help;   /* one sentence */
} cli_option;

typedef struct cli cli;

typedef enum cli_reads {
    CLI_READS_NOTHING,
    CLI_READS_FILE, /* adds --scan, --allow-short, --raw */
    CLI_READS_SCAN  /* adds the preparation options as well */
} cli_reads;

typedef struct cli_command {
    const char *name;
    const char *summary;     /* one line, no full stop */
    const char *operands;    /* "IN OUT" as shown after the name; NULL = none */
    const char *description; /* paragraphs parted by a blank line */
    const char *examples;    /* lines "command # what it does", or NULL */
    const cli_option *options;
    int least_operands, most_operands; /* most -1 = any number */
    cli_reads reads;
    bool hidden_work;        /* does no work on data: no common options but --help and --json */
    um_status (*run)(cli *c);
} cli_command;

/* A group of options under one heading of the help. */
typedef struct cli_group {
    const char *title;
    const cli_option *options;
    size_t count;
} cli_group;

typedef struct cli_value {
    const cli_option *option;
    const char *text; /* "" for a switch */
} cli_value;

struct cli {
    um_context *ctx;
    const cli_command *command;
    int argc;     /* the whole command line */
    char **argv;
    int operands;
    const char **operand;
    cli_value *values;
    size_t value_count;
    cli_group groups[CLI_GROUPS];
    size_t group_count;
    bool json, quiet, verbose, force, help;
    bool growing;   /* scans that are opened may still be being written */
    double started; /* monotonic seconds */
    json_t **capture; /* where --json goes when a command runs inside another; NULL = stdout */
    char message[1024];
};

/* ---- commands ------------------------------------------------------------------------------- */
const cli_command *const *cli_commands(size_t *count);
const cli_command *cli_find_command(const char *name);
/* The groups of options that `command` takes; groups[0] are its own. Returns their number. */
size_t cli_command_groups(const cli_command *command, cli_group groups[CLI_GROUPS]);

/* ---- values of options: by long name; an unknown name is a defect and aborts ---------------- */
bool cli_given(const cli *c, const char *name);
int cli_count(const cli *c, const char *name);
const char *cli_text(const cli *c, const char *name);           /* NULL: not given, no preset */
const char *cli_text_at(const cli *c, const char *name, int i); /* i-th of a repeated option */
int64_t cli_integer(const cli *c, const char *name);
double cli_real(const cli *c, const char *name);
size_t cli_size(const cli *c, const char *name);
int cli_choice(const cli *c, const char *name); /* index of the word; -1: not given, no preset */

bool cli_parse_integer(const char *text, int64_t *out);
bool cli_parse_real(const char *text, double *out);
bool cli_parse_size(const char *text, size_t *out);

/* ---- words from the command ----------------------------------------------------------------- */
/* Sets the line shown after "unmix CMD: " and returns `status`. UM_ERROR_ARGUMENT exits with 2. */
UM_PRINTF(3, 4) um_status cli_fail(cli *c, um_status status, const char *format, ...);
#ifdef __clang_analyzer__ /* see um_fail() */
#define cli_fail(c, status, ...) ((cli_fail)(c, status, __VA_ARGS__), (status))
#endif
UM_PRINTF(2, 3) void cli_warn(cli *c, const char *format, ...); /* stderr; not when --quiet */
UM_PRINTF(2, 3)
void cli_note(cli *c, const char *format, ...); /* stderr; not when --quiet or --json */
UM_PRINTF(2, 3)
void cli_say(cli *c, const char *format, ...); /* stdout; not when --quiet or --json */
/* Prints the one object of --json; takes over the reference. NULL (no memory) is an error. */
UM_CHECK um_status cli_print_json(cli *c, json_t *object);
/* A text that may come from a path or file: bytes that are no UTF-8 become '?', so that it never fails
 * for them. */
json_t *cli_json_text(const char *text);
/* A number, or null where it is not finite. */
json_t *cli_json_real(double value);
/* An integer where value is a whole number below 2^53 and `exact`, else a real. */
json_t *cli_json_sum(double value, bool exact);

/* ---- outputs -------------------------------------------------------------------------------- */
/* Refuses, before any work: an existing path without --force, a folder that is not there or not
 * writable, a file that is read or written under another option too, a suffix that is not in
 * `suffixes` (".hspy .npz"; NULL = any). */
UM_CHECK um_status cli_check_output(cli *c, const char *path, const char *suffixes);
/* The same for a file of ours that is replaced without --force; never the input. */
UM_CHECK um_status cli_check_replaced(cli *c, const char *path);
/* Whether `path`, a folder, is there and writable or can be made; makes nothing. */
UM_CHECK um_status cli_check_parent(cli *c, const char *path);
bool cli_folder_in_use(const char *path); /* there, and not empty */
/* Makes the folder if it is absent. */
UM_CHECK um_status cli_check_folder(cli *c, const char *path);
/* Opens an INI file; refuses folders and devices, which have no end or no lines. */
UM_CHECK um_status cli_open_text(cli *c, const char *path, FILE **out);
/* Writes text as PATH through PATH.part. */
UM_CHECK um_status cli_write_text(cli *c, const char *path, const char *text);
bool cli_has_suffix(const char *path, const char *suffix);
/* path with its suffix replaced, malloc'ed ("a/b.hspy" -> "a/b.html"). */
char *cli_with_suffix(const char *path, const char *suffix);
UM_PRINTF(1, 2) char *cli_format(const char *format, ...); /* malloc'ed */

/* ---- figures about the process -------------------------------------------------------------- */
double cli_seconds(void);        /* monotonic clock */
int64_t cli_peak_bytes(void);    /* peak resident set of this process */
int64_t cli_resident_bytes(void); /* resident set now; 0 where the system does not tell */
char *cli_command_line(int argc, char **argv); /* quoted for a shell, malloc'ed */
/* A line that is safe on any terminal: bytes that are no UTF-8, and controls, become '?'. Returns
 * out. */
const char *cli_clean(const char *line, char *out, size_t size);
/* Help texts as sentences: capital first, full stop last. */
void cli_sentence(const char *text, char *out, size_t size);
/* "1.2 GB", "3.4 s": for people. */
const char *cli_bytes_text(double bytes, char text[32]);
const char *cli_seconds_text(double seconds, char text[32]);
const char *cli_number(double value, int decimals, char text[24]); /* "-" where it is not known */

/* Opens the file in a child process first when it is HDF5, and fails with a line when that crashes: see
 * rehearse.c. `open_file` opens and closes. */
typedef void (*cli_opening)(um_context *ctx, const char *path, const void *how);
UM_CHECK um_status cli_rehearse(cli *c, const char *path, cli_opening open_file, const void *how);
/* um_model_load() after a rehearsal. */
UM_CHECK um_status cli_model_load(cli *c, const char *path, um_model **model);

/* ---- parts of main -------------------------------------------------------------------------- */
/* Parses argv[2..]; false with c->message set on wrong usage. */
bool cli_parse(cli *c, const cli_command *command, int argc, char **argv);
void cli_clear(cli *c);
/* Nearest of the names of a command (command NULL) or of its options; NULL if none is near. */
const char *cli_suggest_command(const char *word);
const char *cli_suggest_option(const cli *c, const char *word);

typedef enum cli_progress_kind {
    CLI_PROGRESS_AUTO,
    CLI_PROGRESS_BAR,
    CLI_PROGRESS_JSON,
    CLI_PROGRESS_NONE
} cli_progress_kind;
/* Installs progress and log callbacks on c->ctx. */
void cli_progress_start(cli *c, cli_progress_kind kind);
/* Removes a bar that stands on the terminal. */
void cli_progress_clear(void);
void cli_signals_start(um_context *ctx);

void cli_help_overview(FILE *out);
void cli_help_command(FILE *out, const cli_command *command);
void cli_man_overview(FILE *out);
void cli_man_command(FILE *out, const cli_command *command);
void cli_completion_bash(FILE *out);
void cli_completion_zsh(FILE *out);

#endif
