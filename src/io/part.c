/* Outputs appear under their name whole or not at all: PATH.part, fsync, rename. */
#include "io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static um_status check_target(um_context *ctx, const char *path, bool overwrite)
{
    size_t length = strlen(path);
    if (length == 0 || path[length - 1] == '/') {
        return um_fail(ctx, UM_ERROR_ARGUMENT, "%s: is not a file name: name the output file",
                       length == 0 ? "(empty)" : path);
    }
    struct stat status;
    if (lstat(path, &status) != 0) {
        return UM_OK;
    }
    if (S_ISDIR(status.st_mode)) {
        return um_fail(ctx, UM_ERROR_IO, "%s: is a folder: name a file in it", path);
    }
    if (!S_ISREG(status.st_mode) && !S_ISLNK(status.st_mode)) {
        return um_fail(ctx, UM_ERROR_IO, "%s: is a device or pipe: name a file", path);
    }
    if (!overwrite) {
        return um_fail(ctx, UM_ERROR_EXISTS, "%s: exists: pass --force to replace it", path);
    }
    return UM_OK;
}

um_status um_part_begin(um_context *ctx, const char *path, bool overwrite, char **part)
{
    *part = NULL;
    UM_TRY(check_target(ctx, path, overwrite));
    char *name = um_format("%s.part", path);
    if (name == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for its name", path);
    }
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0 || close(fd) != 0) {
        um_status status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be created: %s", name,
                                   strerror(errno));
        free(name);
        return status;
    }
    *part = name;
    return UM_OK;
}

static um_status sync_path(um_context *ctx, const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened to sync it: %s", path,
                       strerror(errno));
    }
    /* Some file systems cannot sync a folder; that is their affair. */
    bool failed = fsync(fd) != 0 && errno != EINVAL && errno != ENOSYS && errno != EROFS;
    int error = errno;
    close(fd);
    if (failed) {
        return um_fail(ctx, UM_ERROR_IO, "%s: cannot be synced: %s", path, strerror(error));
    }
    return UM_OK;
}

static um_status sync_folder_of(um_context *ctx, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL   ? um_strdup(".")
                   : slash == path ? um_strdup("/")
                                   : um_format("%.*s", (int)(slash - path), path);
    if (folder == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for its folder's name", path);
    }
    um_status status = sync_path(ctx, folder, O_RDONLY | O_DIRECTORY);
    free(folder);
    return status;
}

um_status um_part_commit(um_context *ctx, const char *part, const char *path)
{
    um_status status = sync_path(ctx, part, O_RDONLY);
    if (status == UM_OK && rename(part, path) != 0) {
        status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be renamed to %s: %s", part, path,
                         strerror(errno));
    }
    if (status != UM_OK) {
        unlink(part);
        return status;
    }
    return sync_folder_of(ctx, path);
}

um_status um_pwrite_all(um_context *ctx, const char *path, int fd, const void *bytes, size_t count,
                        int64_t offset)
{
    const unsigned char *p = bytes;
    while (count > 0) {
        ssize_t n = pwrite(fd, p, count, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return um_fail(ctx, UM_ERROR_IO, "%s: cannot be written at byte %lld: %s", path,
                           (long long)offset, n < 0 ? strerror(errno) : "no space");
        }
        p += n;
        count -= (size_t)n;
        offset += n;
    }
    return UM_OK;
}

um_status um_file_write(um_context *ctx, const char *path, bool overwrite, const void *bytes,
                        size_t count)
{
    char *part = NULL;
    UM_TRY(um_part_begin(ctx, path, overwrite, &part));
    um_status status = UM_OK;
    int fd = open(part, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", part, strerror(errno));
    } else {
        status = um_pwrite_all(ctx, part, fd, bytes, count, 0);
        if (close(fd) != 0 && status == UM_OK) {
            status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be closed: %s", part, strerror(errno));
        }
    }
    if (status == UM_OK) {
        status = um_part_commit(ctx, part, path);
    } else {
        unlink(part);
    }
    free(part);
    return status;
}
