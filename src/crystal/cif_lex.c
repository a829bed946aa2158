/* The lexical part of CIF 1.1: words of a file, and the items of the data block that holds the atoms. */
#include "crystal_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20 };

typedef enum word_kind { WORD_END, WORD_TAG, WORD_VALUE, WORD_LOOP, WORD_DATA, WORD_OTHER } word_kind;

typedef struct lexer {
    um_context *ctx;
    const char *path;
    const char *text, *at, *end;
    long line;
    const char *word; /* of the last word, without quotes */
    size_t length;
    bool quoted;
} lexer;

static um_status read_file(um_context *ctx, const char *path, char **text, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return um_fail(ctx, UM_ERROR_IO, "%s: %s", path, strerror(errno));
    }
    um_status status = UM_OK;
    size_t room = 1 << 16, n = 0;
    char *bytes = malloc(room);
    while (bytes != NULL) {
        size_t got = fread(bytes + n, 1, room - n, file);
        n += got;
        if (n < room) {
            break;
        }
        if (room >= MOST_BYTES) {
            status = um_fail(ctx, UM_ERROR_FORMAT, "%s: larger than 64 MiB: not a CIF of a crystal", path);
            break;
        }
        char *more = realloc(bytes, room * 2);
        if (more == NULL) {
            free(bytes);
        }
        bytes = more;
        room *= 2;
    }
    if (status == UM_OK && bytes == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to read it", path);
    } else if (status == UM_OK && ferror(file)) {
        status = um_fail(ctx, UM_ERROR_IO, "%s: %s", path, strerror(errno));
    } else if (status == UM_OK && memchr(bytes, '\0', n) != NULL) {
        status = um_fail(ctx, UM_ERROR_FORMAT, "%s: holds zero bytes: not a CIF, which is text", path);
    }
    fclose(file);
    if (status != UM_OK) {
        free(bytes);
        return status;
    }
    *text = bytes;
    *length = n;
    return UM_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(lexer *lex)
{
    while (lex->at < lex->end) {
        if (*lex->at == '#') {
            while (lex->at < lex->end && *lex->at != '\n') {
                lex->at++;
            }
        } else if (is_blank(*lex->at)) {
            lex->line += *lex->at == '\n';
            lex->at++;
        } else {
            return;
        }
    }
}

static um_status text_field(lexer *lex)
{
    long first = lex->line;
    const char *start = ++lex->at;
    for (; lex->at < lex->end; lex->at++) {
        if (*lex->at == '\n') {
            lex->line++;
            if (lex->at + 1 < lex->end && lex->at[1] == ';') {
                lex->word = start;
                lex->length = (size_t)(lex->at - start);
                lex->at += 2;
                return UM_OK;
            }
        }
    }
    return um_fail(lex->ctx, UM_ERROR_TRUNCATED, "%s: line %ld: the text that ';' begins here has no end", lex->path,
                   first);
}

static um_status quoted_word(lexer *lex)
{
    char quote = *lex->at++;
    lex->word = lex->at;
    for (; lex->at < lex->end && *lex->at != '\n'; lex->at++) {
        if (*lex->at == quote && (lex->at + 1 == lex->end || is_blank(lex->at[1]))) {
            lex->length = (size_t)(lex->at - lex->word);
            lex->at++;
            return UM_OK;
        }
    }
    return um_fail(lex->ctx, UM_ERROR_FORMAT, "%s: line %ld: a quotation mark is not closed on its line", lex->path,
                   lex->line);
}

static bool begins(const lexer *lex, const char *with)
{
    return lex->length >= strlen(with) && strncasecmp(lex->word, with, strlen(with)) == 0;
}

static um_status next_word(lexer *lex, word_kind *kind)
{
    skip_blanks(lex);
    lex->quoted = false;
    *kind = WORD_VALUE;
    if (lex->at == lex->end) {
        *kind = WORD_END;
        return UM_OK;
    }
    bool line_start = lex->at == lex->text || lex->at[-1] == '\n';
    if (*lex->at == '\'' || *lex->at == '"' || (*lex->at == ';' && line_start)) {
        lex->quoted = true;
        return *lex->at == ';' ? text_field(lex) : quoted_word(lex);
    }
    lex->word = lex->at;
    while (lex->at < lex->end && !is_blank(*lex->at)) {
        lex->at++;
    }
    lex->length = (size_t)(lex->at - lex->word);
    if (*lex->word == '_') {
        *kind = WORD_TAG;
    } else if (lex->length == 5 && begins(lex, "loop_")) {
        *kind = WORD_LOOP;
    } else if (begins(lex, "data_")) {
        *kind = WORD_DATA;
    } else if (begins(lex, "save_") || (lex->length == 7 && begins(lex, "global_")) ||
               (lex->length == 5 && begins(lex, "stop_"))) {
        *kind = WORD_OTHER;
    }
    return UM_OK;
}

/* ---- items ------------------------------------------------------------------------------------------ */

static void clear_items(um_cif *cif)
{
    for (size_t i = 0; i < cif->items; i++) {
        for (size_t k = 0; k < cif->item[i].values; k++) {
            free(cif->item[i].value[k]);
        }
        free(cif->item[i].value);
        free(cif->item[i].tag);
    }
    cif->items = 0;
}

void um_cif_clear(um_cif *cif)
{
    clear_items(cif);
    free(cif->item);
    free(cif->name);
    free(cif->path);
    *cif = (um_cif){0};
}

static um_status no_memory(lexer *lex)
{
    return um_fail(lex->ctx, UM_ERROR_MEMORY, "%s: no memory to read it", lex->path);
}

static um_status add_item(lexer *lex, um_cif *cif)
{
    if (cif->items == cif->item_room) {
        size_t room = cif->item_room * 2 + 64;
        um_cif_item *more = realloc(cif->item, room * sizeof *more);
        if (more == NULL) {
            return no_memory(lex);
        }
        cif->item = more;
        cif->item_room = room;
    }
    char *tag = strndup(lex->word, lex->length);
    if (tag == NULL) {
        return no_memory(lex);
    }
    for (char *p = tag; *p != '\0'; p++) {
        *p = (char)(*p == '.' ? '_' : tolower((unsigned char)*p));
    }
    cif->item[cif->items++] = (um_cif_item){.tag = tag};
    return UM_OK;
}

/* The last word as the next value. Room doubles at powers of two. */
static um_status add_value(lexer *lex, um_cif_item *item)
{
    size_t n = item->values;
    if ((n & (n - 1)) == 0) {
        char **more = realloc(item->value, (n == 0 ? 1 : 2 * n) * sizeof *more);
        if (more == NULL) {
            return no_memory(lex);
        }
        item->value = more;
    }
    bool unknown = !lex->quoted && lex->length == 1 && (*lex->word == '?' || *lex->word == '.');
    char *value = unknown ? NULL : strndup(lex->word, lex->length);
    if (!unknown && value == NULL) {
        return no_memory(lex);
    }
    item->value[item->values++] = value;
    return UM_OK;
}

/* After loop_: tags, then values in their turn. Leaves the word after it in *kind. */
static um_status read_loop(lexer *lex, um_cif *cif, word_kind *kind)
{
    long line = lex->line;
    size_t first = cif->items, n = 0;
    um_status status = next_word(lex, kind);
    while (status == UM_OK && *kind == WORD_TAG) {
        status = add_item(lex, cif);
        if (status == UM_OK) {
            status = next_word(lex, kind);
        }
    }
    size_t columns = cif->items - first;
    if (status == UM_OK && columns == 0) {
        return um_fail(lex->ctx, UM_ERROR_FORMAT, "%s: line %ld: loop_ without names", lex->path, line);
    }
    while (status == UM_OK && *kind == WORD_VALUE) {
        status = add_value(lex, &cif->item[first + n++ % columns]);
        if (status == UM_OK) {
            status = next_word(lex, kind);
        }
    }
    if (status == UM_OK && n % columns != 0) {
        return um_fail(lex->ctx, UM_ERROR_FORMAT,
                       "%s: line %ld: this loop has %zu names but %zu values, which do not fill whole rows", lex->path,
                       line, columns, n);
    }
    return status;
}

static um_status read_single(lexer *lex, um_cif *cif, word_kind *kind)
{
    um_status status = add_item(lex, cif);
    if (status == UM_OK) {
        status = next_word(lex, kind);
    }
    if (status == UM_OK && *kind != WORD_VALUE) {
        return um_fail(lex->ctx, UM_ERROR_FORMAT, "%s: line %ld: %s has no value", lex->path, lex->line,
                       cif->item[cif->items - 1].tag);
    }
    if (status == UM_OK) {
        status = add_value(lex, &cif->item[cif->items - 1]);
    }
    return status == UM_OK ? next_word(lex, kind) : status;
}

static um_status read_blocks(lexer *lex, um_cif *cif)
{
    static const char *const sites[] = {"_atom_site_fract_x", NULL};
    word_kind kind = WORD_END;
    um_status status = next_word(lex, &kind);
    while (status == UM_OK && kind != WORD_END) {
        if (kind == WORD_DATA) {
            if (um_cif_find(cif, sites) != NULL) {
                return UM_OK;
            }
            clear_items(cif);
            free(cif->name);
            cif->name = strndup(lex->word + 5, lex->length - 5);
            status = cif->name != NULL ? next_word(lex, &kind) : no_memory(lex);
        } else if (cif->name == NULL) {
            return um_fail(lex->ctx, UM_ERROR_FORMAT, "%s: line %ld: not a CIF: that begins with data_NAME", lex->path,
                           lex->line);
        } else if (kind == WORD_LOOP) {
            status = read_loop(lex, cif, &kind);
        } else if (kind == WORD_TAG) {
            status = read_single(lex, cif, &kind);
        } else {
            return um_fail(lex->ctx, UM_ERROR_FORMAT, "%s: line %ld: '%.*s' belongs to no name", lex->path, lex->line,
                           (int)(lex->length < 40 ? lex->length : 40), lex->word);
        }
    }
    if (status == UM_OK && cif->name == NULL) {
        return um_fail(lex->ctx, UM_ERROR_FORMAT, "%s: not a CIF: it has no data_NAME", lex->path);
    }
    return status;
}

um_status um_cif_read(um_context *ctx, const char *path, um_cif *out)
{
    char *text = NULL;
    size_t length = 0;
    *out = (um_cif){.path = um_strdup(path)};
    if (out->path == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to read it", path);
    }
    um_status status = read_file(ctx, path, &text, &length);
    if (status == UM_OK) {
        lexer lex = {.ctx = ctx, .path = path, .text = text, .at = text, .end = text + length, .line = 1};
        if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
            lex.text = lex.at = text + 3;
        }
        status = read_blocks(&lex, out);
    }
    free(text);
    if (status != UM_OK) {
        um_cif_clear(out);
    }
    return status;
}
