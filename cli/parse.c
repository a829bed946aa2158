/* From argv to checked values, GNU style: --name=value, --name value, -nvalue, -n value, -ab, --.
 */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool cli_parse_integer(const char *text, int64_t *out)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    *out = value;
    return errno == 0 && end != text && *end == '\0' && !isspace((unsigned char)text[0]);
}

bool cli_parse_real(const char *text, double *out)
{
    char *end = NULL;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*out) && !isspace((unsigned char)text[0]);
}

bool cli_parse_size(const char *text, size_t *out)
{
    static const char letters[] = "KMGT";
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value) || value < 0 || isspace((unsigned char)text[0])) {
        return false;
    }
    if (*end != '\0' && *end != 'B') {
        const char *found = strchr(letters, toupper((unsigned char)*end));
        if (found == NULL) {
            return false;
        }
        end++;
        bool binary = *end == 'i';
        value *= pow(binary ? 1024 : 1000, (double)(found - letters + 1));
        end += binary ? 1 : 0;
    }
    if (*end == 'B') {
        end++;
    }
    if (*end != '\0' || value > 9e18) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

/* ---- nearest names -------------------------------------------------------------------------- */

/* Edits (insert, delete, replace, swap of neighbours) between two words. */
static int distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t na = strlen(a);
    size_t nb = strlen(b);
    if (na > LONGEST || nb > LONGEST) {
        return LONGEST;
    }
    int d[LONGEST + 1][LONGEST + 1];
    for (size_t i = 0; i <= na; i++) {
        for (size_t j = 0; j <= nb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (int)(i + j);
                continue;
            }
            int best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = d[i - 1][j] + 1 < best ? d[i - 1][j] + 1 : best;
            best = d[i][j - 1] + 1 < best ? d[i][j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = d[i - 2][j - 2] + 1 < best ? d[i - 2][j - 2] + 1 : best;
            }
            d[i][j] = best;
        }
    }
    return d[na][nb];
}

/* Keeps the nearest name: a word with few typing errors, or the beginning of a name. */
static void consider(const char *word, const char *name, const char **best, int *best_distance)
{
    size_t length = strlen(word);
    int limit = length <= 3 ? 1 : length <= 6 ? 2 : 3;
    int d = distance(word, name);
    if (length >= 3 && strncmp(word, name, length) == 0) {
        d = 1;
    }
    if (d <= limit && d < *best_distance) {
        *best = name;
        *best_distance = d;
    }
}

const char *cli_suggest_command(const char *word)
{
    size_t count = 0;
    const cli_command *const *table = cli_commands(&count);
    const char *best = NULL;
    int best_distance = 99;
    for (size_t i = 0; i < count; i++) {
        consider(word, table[i]->name, &best, &best_distance);
    }
    return best;
}

const char *cli_suggest_option(const cli *c, const char *word)
{
    const char *best = NULL;
    int best_distance = 99;
    for (size_t g = 0; g < c->group_count; g++) {
        for (size_t i = 0; i < c->groups[g].count; i++) {
            consider(word, c->groups[g].options[i].name, &best, &best_distance);
        }
    }
    return best;
}

/* ---- checks --------------------------------------------------------------------------------- */

/* Index of `text` among the words of "a|b|c", or -1. */
static int word_index(const char *words, const char *text)
{
    size_t length = strlen(text);
    int index = 0;
    for (const char *w = words;; w++, index++) {
        size_t n = strcspn(w, "|");
        if (n == length && strncmp(w, text, n) == 0) {
            return index;
        }
        w += n;
        if (*w == '\0') {
            return -1;
        }
    }
}

static bool out_of_range(const cli_option *o, double value)
{
    return value < o->least || (o->most > 0 && value > o->most);
}

static bool check_value(cli *c, const cli_option *o, const char *text)
{
    int64_t integer = 0;
    double real = 0;
    size_t size = 0;
    const char *wanted = NULL;
    switch (o->kind) {
    case CLI_SWITCH:
    case CLI_TEXT:
        return true;
    case CLI_FILE:
    case CLI_FOLDER:
        wanted = text[0] == '\0' ? "a path" : NULL;
        break;
    case CLI_INTEGER:
        wanted = !cli_parse_integer(text, &integer) ? "a whole number" : NULL;
        real = (double)integer;
        break;
    case CLI_REAL:
        wanted = !cli_parse_real(text, &real) ? "a number" : NULL;
        break;
    case CLI_SIZE:
        wanted = !cli_parse_size(text, &size) || size == 0 ? "a size such as 500M or 4G" : NULL;
        break;
    case CLI_CHOICE:
        if (word_index(o->value, text) < 0) {
            cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes %s, not '%s'", o->name, o->value, text);
            return false;
        }
        return true;
    }
    if (wanted != NULL) {
        cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes %s, not '%s'", o->name, wanted, text);
        return false;
    }
    if ((o->kind == CLI_INTEGER || o->kind == CLI_REAL) && out_of_range(o, real)) {
        if (o->most > 0) {
            cli_fail(c, UM_ERROR_ARGUMENT, "--%s must lie in %.15g .. %.15g, not %s", o->name,
                     o->least, o->most, text);
        } else {
            cli_fail(c, UM_ERROR_ARGUMENT, "--%s must be at least %.15g, not %s", o->name, o->least,
                     text);
        }
        return false;
    }
    return true;
}

/* ---- parsing -------------------------------------------------------------------------------- */

static const cli_option *find(const cli *c, const char *name, size_t length)
{
    for (size_t g = 0; g < c->group_count; g++) {
        for (size_t i = 0; i < c->groups[g].count; i++) {
            const cli_option *o = &c->groups[g].options[i];
            if (strlen(o->name) == length && strncmp(o->name, name, length) == 0) {
                return o;
            }
        }
    }
    return NULL;
}

static const cli_option *find_letter(const cli *c, char letter)
{
    for (size_t g = 0; g < c->group_count; g++) {
        for (size_t i = 0; i < c->groups[g].count; i++) {
            if (c->groups[g].options[i].letter == letter) {
                return &c->groups[g].options[i];
            }
        }
    }
    return NULL;
}

static bool take(cli *c, const cli_option *o, const char *text)
{
    if (!check_value(c, o, text)) {
        return false;
    }
    c->values[c->value_count++] = (cli_value){o, text};
    return true;
}

static bool missing_value(cli *c, const cli_option *o)
{
    cli_fail(c, UM_ERROR_ARGUMENT, "--%s needs a value (%s)", o->name, o->value);
    return false;
}

static bool parse_long(cli *c, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 2;
    size_t length = strcspn(word, "=");
    const cli_option *o = find(c, word, length);
    if (o == NULL) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(length < 60 ? length : 60), word);
        const char *near = cli_suggest_option(c, name);
        if (near != NULL) {
            cli_fail(c, UM_ERROR_ARGUMENT, "unknown option --%s: did you mean --%s?", name, near);
        } else {
            cli_fail(c, UM_ERROR_ARGUMENT, "unknown option --%s: see unmix %s --help", name,
                     c->command->name);
        }
        return false;
    }
    bool equals = word[length] == '=';
    if (o->kind == CLI_SWITCH) {
        if (equals) {
            cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes no value", o->name);
            return false;
        }
        return take(c, o, "");
    }
    if (equals) {
        return take(c, o, word + length + 1);
    }
    if (*i + 1 >= argc) {
        return missing_value(c, o);
    }
    *i += 1;
    return take(c, o, argv[*i]);
}

static bool parse_letters(cli *c, int argc, char **argv, int *i)
{
    for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
        const cli_option *o = find_letter(c, *p);
        if (o == NULL) {
            cli_fail(c, UM_ERROR_ARGUMENT, "unknown option -%c: see unmix %s --help", *p,
                     c->command->name);
            return false;
        }
        if (o->kind == CLI_SWITCH) {
            if (!take(c, o, "")) {
                return false;
            }
            continue;
        }
        if (p[1] != '\0') {
            return take(c, o, p + 1);
        }
        if (*i + 1 >= argc) {
            return missing_value(c, o);
        }
        *i += 1;
        return take(c, o, argv[*i]);
    }
    return true;
}

static bool check_operands(cli *c)
{
    const cli_command *command = c->command;
    if (c->operands < command->least_operands) {
        cli_fail(c, UM_ERROR_ARGUMENT, "too few arguments: usage: unmix %s %s", command->name,
                 command->operands != NULL ? command->operands : "");
        return false;
    }
    if (command->most_operands >= 0 && c->operands > command->most_operands) {
        cli_fail(c, UM_ERROR_ARGUMENT, "unexpected argument '%s': usage: unmix %s %s",
                 c->operand[command->most_operands], command->name,
                 command->operands != NULL ? command->operands : "");
        return false;
    }
    return true;
}

bool cli_parse(cli *c, const cli_command *command, int argc, char **argv)
{
    c->command = command;
    c->argc = argc;
    c->argv = argv;
    c->group_count = cli_command_groups(command, c->groups);
    /* Clusters of letters give more values than words. */
    size_t most = 1;
    for (int i = 0; i < argc; i++) {
        most += strlen(argv[i]) + 1;
    }
    c->values = calloc(most, sizeof *c->values);
    c->operand = calloc((size_t)argc + 1, sizeof *c->operand);
    if (c->values == NULL || c->operand == NULL) {
        cli_fail(c, UM_ERROR_MEMORY, "no memory");
        return false;
    }
    bool only_operands = false;
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        bool fine = true;
        if (only_operands || word[0] != '-' || word[1] == '\0') {
            c->operand[c->operands++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (word[1] == '-') {
            fine = parse_long(c, argc, argv, &i);
        } else {
            fine = parse_letters(c, argc, argv, &i);
        }
        if (!fine) {
            return false;
        }
        if (cli_given(c, "help")) {
            c->help = true;
            return true;
        }
    }
    return check_operands(c);
}

void cli_clear(cli *c)
{
    free(c->values);
    free(c->operand);
    um_context_free(c->ctx);
}

/* ---- access --------------------------------------------------------------------------------- */

static const cli_option *must_find(const cli *c, const char *name)
{
    const cli_option *o = find(c, name, strlen(name));
    if (o == NULL) {
        fprintf(stderr, "unmix: defect: command %s has no option %s\n", c->command->name, name);
        abort();
    }
    return o;
}

int cli_count(const cli *c, const char *name)
{
    const cli_option *o = must_find(c, name);
    int count = 0;
    for (size_t i = 0; i < c->value_count; i++) {
        count += c->values[i].option == o;
    }
    return count;
}

bool cli_given(const cli *c, const char *name)
{
    return cli_count(c, name) > 0;
}

const char *cli_text_at(const cli *c, const char *name, int index)
{
    const cli_option *o = must_find(c, name);
    for (size_t i = 0; i < c->value_count; i++) {
        if (c->values[i].option == o && index-- == 0) {
            return c->values[i].text;
        }
    }
    return NULL;
}

const char *cli_text(const cli *c, const char *name)
{
    int count = cli_count(c, name);
    return count > 0 ? cli_text_at(c, name, count - 1) : must_find(c, name)->preset;
}

int64_t cli_integer(const cli *c, const char *name)
{
    const char *text = cli_text(c, name);
    int64_t value = 0;
    return text != NULL && cli_parse_integer(text, &value) ? value : 0;
}

double cli_real(const cli *c, const char *name)
{
    const char *text = cli_text(c, name);
    double value = 0;
    return text != NULL && cli_parse_real(text, &value) ? value : 0;
}

size_t cli_size(const cli *c, const char *name)
{
    const char *text = cli_text(c, name);
    size_t value = 0;
    return text != NULL && cli_parse_size(text, &value) ? value : 0;
}

int cli_choice(const cli *c, const char *name)
{
    const char *text = cli_text(c, name);
    return text != NULL ? word_index(must_find(c, name)->value, text) : -1;
}
