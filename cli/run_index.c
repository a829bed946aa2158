#include "run_index.h"

#include <stdlib.h>
#include <string.h>

static void escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
    }
}

/* A path inside the folder as it is seen from the page in the folder. */
static const char *inside(const plan *p, const char *path)
{
    size_t n = strlen(p->folder);
    return strncmp(path, p->folder, n) == 0 && path[n] == '/' ? path + n + 1 : path;
}

static const char *ending(const json_t *files, const char *suffix)
{
    for (size_t i = 0; i < json_array_size(files); i++) {
        const char *path = json_string_value(json_array_get(files, i));
        if (path != NULL && cli_has_suffix(path, suffix)) {
            return path;
        }
    }
    return NULL;
}

static void link_to(FILE *out, const plan *p, const char *path, const char *text)
{
    if (path != NULL) {
        fputs("<a href=\"", out);
        escaped(out, inside(p, path));
        fprintf(out, "\">%s</a> ", text);
    }
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void row(FILE *out, const plan *p, const json_t *scan)
{
    const json_t *nmf = json_object_get(scan, "nmf");
    const json_t *files = json_object_get(nmf, "files");
    fputs("<tr><td>", out);
    escaped(out, json_string_value(json_object_get(scan, "file")));
    if (nmf == NULL) {
        fputs("</td><td colspan=\"5\">not factorised</td><td>", out);
    } else {
        fprintf(out, "</td><td>%.0f</td><td>%.6g</td><td>%.3g %%</td>", number(nmf, "k"),
                number(nmf, "frobenius_error"), 100 * number(nmf, "relative_error"));
        if (json_is_number(json_object_get(nmf, "noise_ratio"))) {
            fprintf(out, "<td>%.4g</td>", number(nmf, "noise_ratio"));
        } else {
            fputs("<td>-</td>", out);
        }
        bool converged = json_is_true(json_object_get(nmf, "converged"));
        fprintf(out, "<td>%s</td><td>", converged ? "yes" : "<b>no</b>");
    }
    link_to(out, p, ending(files, ".html"), "report");
    link_to(out, p, ending(files, ".hspy"), "hspy");
    link_to(out, p, ending(files, ".npz"), "npz");
    link_to(out, p, ending(json_object_get(json_object_get(scan, "svd"), "files"), ".svg"),
            "scree");
    const char *pictures = json_string_value(json_object_get(scan, "pictures"));
    link_to(out, p, pictures, "pictures");
    link_to(out, p, json_string_value(json_object_get(scan, "prepared")), "prepared scan");
    fputs("</td></tr>\n", out);
}

static void pictures(FILE *out, const plan *p, const json_t *scan)
{
    const json_t *files = json_object_get(json_object_get(scan, "image"), "files");
    static const char *const shown[] = {"/mean_pattern.png", "/max_pattern.png",
                                        "/virtual_bright_field.png"};
    if (files == NULL) {
        return;
    }
    fputs("<h2>", out);
    escaped(out, json_string_value(json_object_get(scan, "file")));
    fputs("</h2>\n<p>", out);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        const char *path = ending(files, shown[i]);
        if (path != NULL) {
            fputs("<img alt=\"\" src=\"", out);
            escaped(out, inside(p, path));
            fputs("\">\n", out);
        }
    }
    fputs("</p>\n", out);
}

char *run_index_html(const plan *p, const json_t *scans)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", out);
    escaped(out, p->path);
    fputs("</title>\n"
          "<style>body{font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 "
          "1em;color:#222}table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid "
          "#ccc;padding:.4em;text-align:left}img{max-width:32%}</style></head>\n"
          "<body><h1>",
          out);
    escaped(out, p->path);
    fputs("</h1>\n<table><tr><th>scan</th><th>components</th><th>||X - WH||</th><th>of ||X||</th>"
          "<th>residual / counting noise</th><th>converged</th><th>files</th></tr>\n",
          out);
    for (size_t i = 0; i < json_array_size(scans); i++) {
        row(out, p, json_array_get(scans, i));
    }
    fputs("</table>\n", out);
    for (size_t i = 0; i < json_array_size(scans); i++) {
        pictures(out, p, json_array_get(scans, i));
    }
    fprintf(out, "<p>unmix %s</p></body></html>\n", um_version());
    return fclose(out) == 0 ? text : NULL;
}
