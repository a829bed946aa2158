/* The recipe as text: keys, INI files, and the text it gives back. */
#include "recipe_internal.h"

#include <ini.h>

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const um_recipe_key keys[] = {
#define UM_RECIPE_ROW(number, key, value, adds, help) {key, value, help},
    UM_RECIPE_LIST(UM_RECIPE_ROW)
#undef UM_RECIPE_ROW
};

static const bool adds_up[] = {
#define UM_RECIPE_ROW(number, key, value, adds, help) adds,
    UM_RECIPE_LIST(UM_RECIPE_ROW)
#undef UM_RECIPE_ROW
};

const um_recipe_key *um_recipe_keys(size_t *count)
{
    *count = UM_KEY_COUNT;
    return keys;
}

const char *um_recipe_key_name(um_recipe_number number)
{
    return keys[number].key;
}

um_status um_recipe_create(um_context *ctx, um_recipe **out)
{
    *out = NULL;
    um_recipe *recipe = calloc(1, sizeof *recipe);
    if (recipe == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for a recipe");
    }
    recipe->ctx = ctx;
    recipe->crop_scan = recipe->crop_signal = (um_range){0, -1, 0, -1};
    recipe->bin_scan = recipe->bin_signal = 1;
    recipe->beam_y = recipe->beam_x = NAN;
    recipe->mask_beam_px = recipe->mask_outside_px = NAN;
    *out = recipe;
    return UM_OK;
}

void um_recipe_free(um_recipe *recipe)
{
    if (recipe == NULL) {
        return;
    }
    for (int i = 0; i < UM_KEY_COUNT; i++) {
        free(recipe->values[i]);
    }
    free(recipe->rings);
    free(recipe->rectangles);
    free(recipe->text);
    free(recipe);
}

/* A copy without blanks at the ends and, in lists, around ';': INI files take " ;" for a comment.
 */
static char *tidy(const char *value, bool list)
{
    while (isspace((unsigned char)*value)) {
        value++;
    }
    char *text = um_strdup(value);
    size_t n = 0;
    for (size_t i = 0; text != NULL && text[i] != '\0'; i++) {
        while (list && text[i] == ';' && n > 0 && isspace((unsigned char)text[n - 1])) {
            n--;
        }
        bool blank = list && isspace((unsigned char)text[i]) && n > 0 && text[n - 1] == ';';
        if (!blank) {
            text[n++] = text[i];
        }
    }
    while (n > 0 && isspace((unsigned char)text[n - 1])) {
        n--;
    }
    if (text != NULL) {
        text[n] = '\0';
    }
    return text;
}

static um_status keep_value(um_recipe *recipe, int number, const char *value)
{
    char *old = recipe->values[number];
    char *text = adds_up[number] && old != NULL ? um_format("%s;%s", old, value) : um_strdup(value);
    if (text == NULL) {
        return um_fail(recipe->ctx, UM_ERROR_MEMORY, "no memory for a recipe");
    }
    free(old);
    recipe->values[number] = text;
    return UM_OK;
}

static um_status set_value(um_recipe *recipe, int number, const char *value)
{
    char *text = tidy(value, adds_up[number]);
    if (text == NULL) {
        return um_fail(recipe->ctx, UM_ERROR_MEMORY, "no memory for a recipe");
    }
    um_status status = UM_OK;
    if (strstr(text, " ;") != NULL || strstr(text, "\t;") != NULL) {
        status = um_fail(recipe->ctx, UM_ERROR_ARGUMENT,
                         "%s: %s: a blank before ';' starts a comment in recipes: rename the file",
                         keys[number].key, text);
    }
    if (status == UM_OK) {
        status = um_recipe_parse(recipe, (um_recipe_number)number, text);
    }
    if (status == UM_OK) {
        status = keep_value(recipe, number, text);
    }
    free(text);
    return status;
}

static int find_key(const char *key)
{
    for (int i = 0; i < UM_KEY_COUNT; i++) {
        if (strcmp(keys[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

/* true, false, or -1 for a text that is neither. */
static int parse_switch(const char *value)
{
    static const char *const yes[] = {"", "yes", "true", "on", "1"};
    static const char *const no[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(value, yes[i]) == 0) {
            return 1;
        }
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        if (strcmp(value, no[i]) == 0) {
            return 0;
        }
    }
    return -1;
}

um_status um_recipe_set(um_recipe *recipe, const char *key, const char *value)
{
    um_context *ctx = recipe->ctx;
    int number = find_key(key);
    if (number < 0) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: there is no such preparation step", key);
    }
    if (value == NULL) {
        value = "";
    }
    if (strchr(value, '\n') != NULL || strchr(value, '\r') != NULL) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: the value has more than one line", key);
    }
    free(recipe->text);
    recipe->text = NULL;
    if (keys[number].value != NULL) {
        return set_value(recipe, number, value);
    }
    int on = parse_switch(value);
    if (on < 0) {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: %s: expected yes or no", key, value);
    }
    if (on == 0) {
        free(recipe->values[number]);
        recipe->values[number] = NULL;
        return UM_OK;
    }
    return keep_value(recipe, number, "yes");
}

um_status um_recipe_copy(um_context *ctx, const um_recipe *recipe, um_recipe **out)
{
    um_recipe *copy = NULL;
    UM_TRY(um_recipe_create(ctx, &copy));
    for (int i = 0; recipe != NULL && i < UM_KEY_COUNT; i++) {
        if (recipe->values[i] != NULL) {
            um_status status = um_recipe_set(copy, keys[i].key, recipe->values[i]);
            if (status != UM_OK) {
                um_recipe_free(copy);
                return status;
            }
        }
    }
    *out = copy;
    return UM_OK;
}

/* ---- INI ------------------------------------------------------------------------------------- */

typedef struct ini_state {
    um_recipe *recipe;
    const char *path;
    FILE *file;
    um_status status;
    bool prep_seen, loose_seen, line_too_long;
} ini_state;

static char *read_line(char *line, int size, void *user)
{
    ini_state *state = user;
    if (fgets(line, size, state->file) == NULL) {
        return NULL;
    }
    if (strchr(line, '\n') == NULL && !feof(state->file)) {
        state->line_too_long = true;
        return NULL;
    }
    if (strncmp(line, "[prep]", 6) == 0) {
        state->prep_seen = true;
    }
    return line;
}

static int take_pair(void *user, const char *section, const char *name, const char *value)
{
    ini_state *state = user;
    if (strcmp(section, "prep") != 0) {
        state->loose_seen = state->loose_seen || section[0] == '\0';
        return 1;
    }
    state->prep_seen = true;
    if (state->status == UM_OK) {
        state->status = um_recipe_set(state->recipe, name, value);
    }
    return state->status == UM_OK;
}

um_status um_recipe_read(um_recipe *recipe, const char *path)
{
    um_context *ctx = recipe->ctx;
    ini_state state = {.recipe = recipe, .path = path, .file = fopen(path, "r")};
    if (state.file == NULL) {
        return um_fail(ctx, UM_ERROR_IO, "%s: %s", path, strerror(errno));
    }
    int line = ini_parse_stream(read_line, &state, take_pair, &state);
    bool unreadable = ferror(state.file) != 0;
    fclose(state.file);
    if (unreadable) {
        return um_fail(ctx, UM_ERROR_IO, "%s: can't be read", path);
    }
    if (state.status != UM_OK) {
        char *reason = um_strdup(um_context_message(ctx));
        um_status status =
            um_fail(ctx, state.status, "%s: line %d: %s", path, line, reason != NULL ? reason : "");
        free(reason);
        return status;
    }
    if (state.line_too_long) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: a line is longer than 198 characters: shorten it",
                       path);
    }
    if (line != 0) {
        return um_fail(ctx, UM_ERROR_FORMAT, "%s: line %d: expected 'key = value' or '[section]'",
                       path, line);
    }
    if (!state.prep_seen) {
        return um_fail(ctx, UM_ERROR_FORMAT,
                       "%s: has no [prep] section: put the preparation steps under a line '[prep]'",
                       path);
    }
    return UM_OK;
}

/* Adds "key = value" to a text, one line for each part of a list: lines of INI files are short. */
static char *add_lines(char *text, int number, const char *value)
{
    for (;;) {
        size_t length = adds_up[number] ? strcspn(value, ";") : strlen(value);
        char *longer = um_format("%s%s = %.*s\n", text != NULL ? text : "[prep]\n",
                                 keys[number].key, (int)length, value);
        free(text);
        text = longer;
        if (text == NULL || value[length] == '\0') {
            return text;
        }
        value += length + 1;
    }
}

const char *um_recipe_text(um_recipe *recipe)
{
    if (recipe->text != NULL) {
        return recipe->text;
    }
    char *text = NULL;
    for (int i = 0; i < UM_KEY_COUNT; i++) {
        if (recipe->values[i] != NULL) {
            text = add_lines(text, i, recipe->values[i]);
            if (text == NULL) {
                return "";
            }
        }
    }
    recipe->text = text;
    return text != NULL ? text : "";
}
