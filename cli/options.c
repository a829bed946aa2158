/* The table of commands and the option tables that commands share. CLI_COMMAND_LIST(X) comes from
 * cli/meson.build: X(info) X(convert) ... */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#define DECLARE(name) extern const cli_command cli_command_##name;
CLI_COMMAND_LIST(DECLARE)
#undef DECLARE

const cli_command *const *cli_commands(size_t *count)
{
#define ROW(name) &cli_command_##name,
    static const cli_command *const table[] = {CLI_COMMAND_LIST(ROW)};
#undef ROW
    *count = sizeof table / sizeof table[0];
    return table;
}

const cli_command *cli_find_command(const char *name)
{
    size_t count = 0;
    const cli_command *const *table = cli_commands(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i]->name, name) == 0) {
            return table[i];
        }
    }
    return NULL;
}

static const cli_option common_options[] = {
    {.name = "threads", .kind = CLI_INTEGER, .value = "N", .least = 0, .most = 4096,
     .help = "Worker threads; 0 = one per core. The result does not depend on it."},
    {.name = "memory", .kind = CLI_SIZE, .value = "SIZE",
     .help = "Ceiling for large buffers: 500M, 4G, 3GiB; default half of the memory available now. "
             "The result does not depend on it."},
    {.name = "seed", .kind = CLI_INTEGER, .value = "S", .preset = "0",
     .help = "Seed of every random choice."},
    {.name = "progress", .kind = CLI_CHOICE, .value = "auto|bar|json|none", .preset = "auto",
     .help = "Progress on standard error: a bar, JSON lines or nothing; auto = bar on a terminal."},
    {.name = "json", .kind = CLI_SWITCH, .help = "Print the result as one JSON object."},
    {.name = "quiet", .letter = 'q', .kind = CLI_SWITCH, .help = "Print nothing but errors."},
    {.name = "verbose", .letter = 'v', .kind = CLI_SWITCH, .help = "Tell what is being done."},
    {.name = "force", .letter = 'f', .kind = CLI_SWITCH, .help = "Replace outputs that exist."},
    {.name = "help", .letter = 'h', .kind = CLI_SWITCH, .help = "Show this help."},
};

static const cli_option reading_options[] = {
    {.name = "scan", .kind = CLI_TEXT, .value = "NYxNX",
     .help = "Rows and columns of the scan, where the file does not tell."},
    {.name = "allow-short", .kind = CLI_SWITCH,
     .help = "Take a file that ends early; the missing positions are excluded."},
    {.name = "raw", .kind = CLI_TEXT, .value = "TEXT",
     .help = "What a flat file holds: dtype=u16,ky=256,kx=256 and, where it has them, "
             ",header=BYTES ,frame_header=BYTES ,frame_footer=BYTES ,endian=big in one word."},
};

static const cli_option recipe_file_option = {
    .name = "recipe", .kind = CLI_FILE, .value = "FILE",
    .help = "Take the steps from the [prep] section of an INI file; options win over it."};

enum { MOST_RECIPE_OPTIONS = 64 };

/* The preparation options are the library's recipe keys: filled once, at the first use. */
static const cli_option *recipe_options(size_t *count)
{
    static cli_option table[MOST_RECIPE_OPTIONS];
    static size_t filled;
    if (filled == 0) {
        size_t keys = 0;
        const um_recipe_key *key = um_recipe_keys(&keys);
        table[filled++] = recipe_file_option;
        for (size_t i = 0; i < keys && filled < MOST_RECIPE_OPTIONS; i++) {
            bool file = key[i].value != NULL && strcmp(key[i].value, "FILE") == 0;
            cli_kind kind = key[i].value == NULL ? CLI_SWITCH : file ? CLI_FILE : CLI_TEXT;
            table[filled++] = (cli_option){
                .name = key[i].key, .kind = kind, .value = key[i].value, .help = key[i].help};
        }
    }
    *count = filled;
    return table;
}

static const cli_option few_options[] = {
    {.name = "json", .kind = CLI_SWITCH, .help = "Print the result as one JSON object."},
    {.name = "help", .letter = 'h', .kind = CLI_SWITCH, .help = "Show this help."},
};

size_t cli_command_groups(const cli_command *command, cli_group groups[CLI_GROUPS])
{
    size_t n = 0;
    size_t own = 0;
    while (command->options != NULL && command->options[own].name != NULL) {
        own++;
    }
    groups[n++] = (cli_group){"Options", command->options, own};
    if (command->reads == CLI_READS_SCAN) {
        size_t count = 0;
        const cli_option *table = recipe_options(&count);
        groups[n++] = (cli_group){"Preparation options", table, count};
    }
    if (command->reads != CLI_READS_NOTHING) {
        groups[n++] = (cli_group){"Reading options", reading_options,
                                  sizeof reading_options / sizeof reading_options[0]};
    }
    if (command->hidden_work) {
        groups[n++] = (cli_group){"Common options", few_options,
                                  sizeof few_options / sizeof few_options[0]};
    } else {
        groups[n++] = (cli_group){"Common options", common_options,
                                  sizeof common_options / sizeof common_options[0]};
    }
    return n;
}
