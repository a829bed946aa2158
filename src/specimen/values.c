/* Parameters as typed -> values in range; and back into text. */
#include "specimen_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int find(const um_specimen_kind *kind, const char *name)
{
    for (size_t i = 0; i < kind->parameters; i++) {
        if (strcmp(kind->parameter[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static um_status unknown_key(um_context *ctx, const um_specimen_kind *kind, const char *key)
{
    char list[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < kind->parameters && used < sizeof list; i++) {
        int n = snprintf(list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "", kind->parameter[i].name);
        used += n > 0 ? (size_t)n : 0;
    }
    return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: there is no parameter '%s'; there are %s", kind->name, key, list);
}

/* Index of the choice in "one|two", or -1. */
static int choose(const char *choices, const char *text)
{
    size_t length = strlen(text);
    int index = 0;
    for (const char *at = choices; at != NULL; index++) {
        const char *bar = strchr(at, '|');
        size_t n = bar != NULL ? (size_t)(bar - at) : strlen(at);
        if (n == length && strncmp(at, text, n) == 0) {
            return index;
        }
        at = bar != NULL ? bar + 1 : NULL;
    }
    return -1;
}

static um_status set(um_context *ctx, const um_specimen_kind *kind, const um_specimen_parameter *p, const char *text,
                     double *number)
{
    if (p->type == UM_PARAMETER_FILE) {
        if (strpbrk(text, "\r\n") != NULL) {
            return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: the file name of %s has a line break in it", kind->name, p->name);
        }
        return UM_OK;
    }
    if (p->type == UM_PARAMETER_CHOICE) {
        *number = (double)choose(p->choices, text);
        return *number >= 0.0 ? UM_OK
                              : um_fail(ctx, UM_ERROR_ARGUMENT, "%s: %s = '%.40s' is not one of %s", kind->name, p->name,
                                        text, p->choices);
    }
    char *end = NULL;
    *number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(*number) ||
        (p->type == UM_PARAMETER_INTEGER && *number != floor(*number))) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: %s = '%.40s' is not %s", kind->name, p->name, text,
                       p->type == UM_PARAMETER_INTEGER ? "a whole number" : "a number");
    }
    if (!(*number >= p->low && *number <= p->high)) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: %s = %s must lie in %g .. %g%s%s", kind->name, p->name, text, p->low,
                       p->high, p->unit[0] != '\0' ? " " : "", p->unit);
    }
    return UM_OK;
}

um_status um_values_set(um_context *ctx, const um_specimen_kind *kind, int n, const char *const *keys,
                        const char *const *values, um_values *out)
{
    *out = (um_values){.kind = kind};
    if (kind->parameters > UM_MOST_PARAMETERS) {
        return um_fail(ctx, UM_ERROR_INTERNAL, "%s has more parameters than there is room for", kind->name);
    }
    for (size_t i = 0; i < kind->parameters; i++) {
        out->text[i] = kind->parameter[i].preset;
        UM_TRY(set(ctx, kind, &kind->parameter[i], out->text[i], &out->number[i]));
    }
    for (int i = 0; i < n; i++) {
        int at = find(kind, keys[i]);
        if (at < 0) {
            return unknown_key(ctx, kind, keys[i]);
        }
        out->text[at] = values[i];
        UM_TRY(set(ctx, kind, &kind->parameter[at], values[i], &out->number[at]));
    }
    return UM_OK;
}

double um_value(const um_values *values, const char *name)
{
    int at = find(values->kind, name);
    return at >= 0 ? values->number[at] : NAN;
}

const char *um_value_text(const um_values *values, const char *name)
{
    int at = find(values->kind, name);
    return at >= 0 ? values->text[at] : "";
}

char *um_values_ini(const um_values *values, uint64_t seed)
{
    char *text = um_format("[specimen]\nkind = %s\nseed = %llu\n", values->kind->name, (unsigned long long)seed);
    for (size_t i = 0; i < values->kind->parameters && text != NULL; i++) {
        char *more = um_format("%s%s = %s\n", text, values->kind->parameter[i].name, values->text[i]);
        free(text);
        text = more;
    }
    return text;
}
