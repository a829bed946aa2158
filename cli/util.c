/* Words, numbers for people, and facts about the process. */
#include "cli.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

um_status(cli_fail)(cli *c, um_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->message, sizeof c->message, format, arguments);
    va_end(arguments);
    return status;
}

/* Bytes of the UTF-8 character at text, 0 if it is none or a control character. */
static size_t character(const char *text)
{
    unsigned char first = (unsigned char)text[0];
    size_t bytes = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (first >= 0xF5 || (first >= 0x80 && first < 0xC2)) {
        return 0;
    }
    for (size_t i = 1; i < bytes; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return first < ' ' || first == 127 ? 0 : bytes;
}

const char *cli_clean(const char *line, char *out, size_t size)
{
    size_t n = 0;
    while (*line != '\0' && n + 5 < size) {
        size_t bytes = character(line);
        if (bytes == 0) {
            out[n++] = '?';
            line++;
            continue;
        }
        memcpy(out + n, line, bytes);
        n += bytes;
        line += bytes;
    }
    out[n] = '\0';
    return out;
}

void cli_warn(cli *c, const char *format, ...)
{
    if (c->quiet) {
        return;
    }
    cli_progress_clear();
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "unmix %s: warning: ", c->command->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void cli_note(cli *c, const char *format, ...)
{
    if (c->quiet || c->json) {
        return;
    }
    cli_progress_clear();
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "unmix %s: ", c->command->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void cli_say(cli *c, const char *format, ...)
{
    if (c->quiet || c->json) {
        return;
    }
    cli_progress_clear();
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

um_status cli_print_json(cli *c, json_t *object)
{
    if (c->capture != NULL && object != NULL) {
        *c->capture = object;
        return UM_OK;
    }
    char *text =
        object == NULL ? NULL : json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    json_decref(object);
    if (text == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for the JSON output");
    }
    cli_progress_clear();
    puts(text);
    free(text);
    return UM_OK;
}

json_t *cli_json_text(const char *text)
{
    json_t *string = json_string(text);
    if (string != NULL || text == NULL) {
        return string;
    }
    size_t size = strlen(text) + 8;
    char *clean = malloc(size);
    string = clean != NULL ? json_string(cli_clean(text, clean, size)) : NULL;
    free(clean);
    return string;
}

json_t *cli_json_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_sum(double value, bool exact)
{
    const double limit = 9007199254740992.0; /* 2^53 */
    if (exact && fabs(value) <= limit && floor(value) == value) {
        return json_integer((json_int_t)value);
    }
    return cli_json_real(value);
}

char *cli_format(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length < 0 ? NULL : text;
}

bool cli_has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path);
    size_t m = strlen(suffix);
    return n > m && strcasecmp(path + n - m, suffix) == 0;
}

char *cli_with_suffix(const char *path, const char *suffix)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    size_t stem =
        dot != NULL && dot != path && dot[-1] != '/' ? (size_t)(dot - path) : strlen(path);
    return cli_format("%.*s%s", (int)stem, path, suffix);
}

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Of this program only: getrusage() counts what a process was before it became this one. */
static int64_t status_bytes(const char *form)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[128];
    long long kib = 0;
    while (file != NULL && kib == 0 && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, form, &kib) != 1) {
            kib = 0;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

int64_t cli_resident_bytes(void)
{
    return status_bytes("VmRSS: %lld kB");
}

int64_t cli_peak_bytes(void)
{
    int64_t peak = status_bytes("VmHWM: %lld kB");
    if (peak > 0) {
        return peak;
    }
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : 0;
}

static bool is_plain(const char *word)
{
    if (word[0] == '\0') {
        return false;
    }
    for (const char *p = word; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p) && strchr("_-./:=,+%@", *p) == NULL) {
            return false;
        }
    }
    return true;
}

char *cli_command_line(int argc, char **argv)
{
    size_t room = 1;
    for (int i = 0; i < argc; i++) {
        room += 4 * strlen(argv[i]) + 3;
    }
    char *line = malloc(room);
    if (line == NULL) {
        return NULL;
    }
    char *out = line;
    for (int i = 0; i < argc; i++) {
        bool plain = is_plain(argv[i]);
        out +=
            snprintf(out, room - (size_t)(out - line), "%s%s", i > 0 ? " " : "", plain ? "" : "'");
        for (const char *p = argv[i]; *p != '\0'; p++) {
            if (*p == '\'') {
                out += snprintf(out, room - (size_t)(out - line), "'\\''");
            } else {
                *out++ = *p;
            }
        }
        if (!plain) {
            *out++ = '\'';
        }
    }
    *out = '\0';
    return line;
}

void cli_sentence(const char *text, char *out, size_t size)
{
    size_t n = strlen(text);
    bool stop = n > 0 && text[n - 1] == '.';
    snprintf(out, size, "%s%s", text, stop ? "" : ".");
    out[0] = (char)toupper((unsigned char)out[0]);
}

const char *cli_bytes_text(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, 32, "%.3g %s", bytes, units[unit]);
    return text;
}

const char *cli_number(double value, int decimals, char text[24])
{
    if (isfinite(value)) {
        snprintf(text, 24, "%.*f", decimals, value);
    } else {
        snprintf(text, 24, "-");
    }
    return text;
}

const char *cli_seconds_text(double seconds, char text[32])
{
    if (seconds < 1e-3) {
        snprintf(text, 32, "%.3g us", seconds * 1e6);
    } else if (seconds < 1) {
        snprintf(text, 32, "%.3g ms", seconds * 1e3);
    } else if (seconds < 120) {
        snprintf(text, 32, "%.3g s", seconds);
    } else if (seconds < 7200) {
        snprintf(text, 32, "%.3g min", seconds / 60);
    } else {
        snprintf(text, 32, "%.3g h", seconds / 3600);
    }
    return text;
}
