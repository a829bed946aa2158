/* HTML as text that grows: markup as it is, everything from outside escaped. */
#include "io_internal.h"
#include "report_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void append(um_html *html, const char *text, size_t count)
{
    if (html->failed) {
        return;
    }
    if (html->size + count + 1 > html->room) {
        size_t room = 2 * (html->size + count) + 4096;
        char *grown = realloc(html->text, room);
        if (grown == NULL) {
            html->failed = true;
            return;
        }
        html->text = grown;
        html->room = room;
    }
    memcpy(html->text + html->size, text, count);
    html->size += count;
    html->text[html->size] = '\0';
}

void um_html_put(um_html *html, const char *markup)
{
    append(html, markup, strlen(markup));
}

/* Length of a well-formed UTF-8 sequence at p, 0 if it is not one. */
static int sequence_length(const unsigned char *p)
{
    int length = p[0] < 0x80 ? 1 : p[0] >= 0xC2 && p[0] < 0xE0 ? 2 : (p[0] & 0xF0) == 0xE0 ? 3
                 : p[0] >= 0xF0 && p[0] < 0xF5                                              ? 4
                                                                                            : 0;
    for (int i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return length;
}

static void append_escaped(um_html *html, const unsigned char *p, int length)
{
    switch (p[0]) {
    case '&':
        um_html_put(html, "&amp;");
        return;
    case '<':
        um_html_put(html, "&lt;");
        return;
    case '>':
        um_html_put(html, "&gt;");
        return;
    case '"':
        um_html_put(html, "&quot;");
        return;
    case '\'':
        um_html_put(html, "&#39;");
        return;
    default:
        break;
    }
    if (p[0] < 0x20 && p[0] != '\n' && p[0] != '\t') {
        um_html_put(html, "\uFFFD");
        return;
    }
    append(html, (const char *)p, (size_t)length);
}

void um_html_text(um_html *html, const char *text)
{
    const unsigned char *p = (const unsigned char *)(text != NULL ? text : "");
    while (*p != '\0') {
        int length = sequence_length(p);
        if (length == 0) {
            um_html_put(html, "\uFFFD");
            p++;
            continue;
        }
        append_escaped(html, p, length);
        p += length;
    }
}

static char *format_text(const char *format, va_list arguments)
{
    va_list copy;
    va_copy(copy, arguments);
    int length = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    char *text = length >= 0 ? malloc((size_t)length + 1) : NULL;
    if (text != NULL) {
        vsnprintf(text, (size_t)length + 1, format, arguments);
    }
    return text;
}

void um_html_format(um_html *html, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    if (text == NULL) {
        html->failed = true;
        return;
    }
    um_html_put(html, text);
    free(text);
}

void um_html_say(um_html *html, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(format, arguments);
    va_end(arguments);
    if (text == NULL) {
        html->failed = true;
        return;
    }
    um_html_text(html, text);
    free(text);
}

void um_html_base64(um_html *html, const uint8_t *bytes, size_t count)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        char four[4] = {DIGITS[word >> 18], DIGITS[word >> 12 & 63],
                        left > 1 ? DIGITS[word >> 6 & 63] : '=', left > 2 ? DIGITS[word & 63] : '='};
        append(html, four, 4);
    }
}

void um_html_free(um_html *html)
{
    free(html->text);
    *html = (um_html){0};
}

/* ---- pages -------------------------------------------------------------------------------------- */

void um_html_open(um_html *html)
{
    um_html_put(html, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                      "<title>");
}

void um_html_style(um_html *html)
{
    um_html_put(html, "</title>\n<style>\n");
    um_html_put(html, um_report_style);
    um_html_put(html, "</style>\n</head>\n<body>\n<header>\n<h1>");
}

static um_status write_text(um_context *ctx, const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be written: %s", path, strerror(errno));
    }
    um_status status = UM_OK;
    for (size_t done = 0; status == UM_OK && done < size;) {
        ssize_t wrote = write(fd, text + done, size - done);
        if (wrote < 0 && errno != EINTR) {
            status = um_fail(ctx, UM_ERROR_IO, "%s: writing failed: %s", path, strerror(errno));
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    if (close(fd) != 0 && status == UM_OK) {
        status = um_fail(ctx, UM_ERROR_IO, "%s: writing failed: %s", path, strerror(errno));
    }
    return status;
}

um_status um_html_save(const um_html *html, const char *path, bool overwrite)
{
    um_context *ctx = html->ctx;
    char *part = NULL;
    UM_TRY(um_part_begin(ctx, path, overwrite, &part));
    um_status status = write_text(ctx, part, html->text, html->size);
    if (status == UM_OK) {
        status = um_part_commit(ctx, part, path);
    }
    if (status != UM_OK) {
        unlink(part);
    }
    free(part);
    return status;
}
