/* Outputs: refused early, written through PATH.part. */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool suffix_listed(const char *path, const char *suffixes)
{
    char one[16];
    for (const char *s = suffixes; *s != '\0';) {
        size_t n = strcspn(s, " ");
        snprintf(one, sizeof one, "%.*s", (int)n, s);
        if (cli_has_suffix(path, one)) {
            return true;
        }
        s += n;
        s += strspn(s, " ");
    }
    return false;
}

/* The folder that will hold path, malloc'ed. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return cli_format(".");
    }
    return slash == path ? cli_format("/") : cli_format("%.*s", (int)(slash - path), path);
}

static um_status check_writable_folder(cli *c, const char *path, const char *folder)
{
    struct stat st;
    if (stat(folder, &st) != 0) {
        return cli_fail(c, UM_ERROR_IO, "%s: cannot be written: folder %s: %s", path, folder,
                        strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        return cli_fail(c, UM_ERROR_IO, "%s: cannot be written: %s is not a folder", path, folder);
    }
    if (access(folder, W_OK | X_OK) != 0) {
        return cli_fail(c, UM_ERROR_IO, "%s: cannot be written: folder %s: %s", path, folder,
                        strerror(errno));
    }
    return UM_OK;
}

static bool same_file(const char *a, const char *b)
{
    struct stat one;
    struct stat other;
    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 &&
                                 one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* An output that is read as well, or is another output, would be lost. `path` may be an operand or
 * the value of an option itself, or a copy of such a value. */
static um_status check_used_once(cli *c, const char *path)
{
    for (int i = 0; i < c->operands; i++) {
        if (c->operand[i] != path && same_file(c->operand[i], path)) {
            return cli_fail(c, UM_ERROR_ARGUMENT, "%s: is the input: give the output another name",
                            path);
        }
    }
    int uses = 0;
    bool itself = false;
    for (size_t i = 0; i < c->value_count; i++) {
        cli_kind kind = c->values[i].option->kind;
        if ((kind == CLI_FILE || kind == CLI_TEXT) && same_file(c->values[i].text, path)) {
            itself = itself || strcmp(c->values[i].text, path) == 0;
            uses++;
        }
    }
    return uses <= (itself ? 1 : 0) ? UM_OK
                                    : cli_fail(c, UM_ERROR_ARGUMENT,
                                               "%s: is given twice, but is an output: name another file",
                                               path);
}

static um_status check_folder_of(cli *c, const char *path)
{
    char *folder = folder_of(path);
    if (folder == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    um_status status = check_writable_folder(c, path, folder);
    free(folder);
    return status;
}

um_status cli_check_replaced(cli *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return cli_fail(c, UM_ERROR_EXISTS, "%s: is a folder: give the name of a file", path);
    }
    um_status status = check_used_once(c, path);
    return status == UM_OK ? check_folder_of(c, path) : status;
}

um_status cli_check_output(cli *c, const char *path, const char *suffixes)
{
    if (suffixes != NULL && !suffix_listed(path, suffixes)) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "%s: the name of the output must end in one of %s",
                        path, suffixes);
    }
    struct stat st;
    if (!c->force && stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        return cli_fail(c, UM_ERROR_EXISTS, "%s: exists: pass --force to replace it", path);
    }
    return cli_check_replaced(c, path);
}

um_status cli_check_parent(cli *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        return check_writable_folder(c, path, path);
    }
    char *bare = cli_format("%s", path);
    for (size_t n = bare != NULL ? strlen(bare) : 0; n > 1 && bare[n - 1] == '/'; n--) {
        bare[n - 1] = '\0';
    }
    char *folder = bare != NULL ? folder_of(bare) : NULL;
    um_status status = folder != NULL ? check_writable_folder(c, path, folder)
                                      : cli_fail(c, UM_ERROR_MEMORY, "no memory");
    free(folder);
    free(bare);
    return status;
}

bool cli_folder_in_use(const char *path)
{
    DIR *dir = opendir(path);
    bool used = false;
    if (dir != NULL) {
        for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
            used = used || (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0);
        }
        closedir(dir);
    }
    return used;
}

um_status cli_check_folder(cli *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        return check_writable_folder(c, path, path);
    }
    if (mkdir(path, 0777) != 0) {
        return cli_fail(c, UM_ERROR_IO, "%s: cannot be made: %s", path, strerror(errno));
    }
    return UM_OK;
}

um_status cli_open_text(cli *c, const char *path, FILE **out)
{
    struct stat st;
    *out = NULL;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode)) {
        return cli_fail(c, UM_ERROR_IO, "%s: is a %s: name an INI file", path,
                        S_ISDIR(st.st_mode) ? "folder" : "device");
    }
    *out = fopen(path, "r");
    return *out != NULL
               ? UM_OK
               : cli_fail(c, UM_ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
}

um_status cli_write_text(cli *c, const char *path, const char *text)
{
    char *part = cli_format("%s.part", path);
    if (part == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    um_status status = UM_OK;
    FILE *file = fopen(part, "w");
    bool fine = file != NULL;
    fine = fine && fputs(text, file) >= 0 && fflush(file) == 0 && fsync(fileno(file)) == 0;
    if (file != NULL && fclose(file) != 0) {
        fine = false;
    }
    if (!fine || rename(part, path) != 0) {
        status = cli_fail(c, UM_ERROR_IO, "%s: cannot be written: %s", path, strerror(errno));
        unlink(part);
    }
    free(part);
    return status;
}
