/* Which files make one Merlin acquisition, and its side file. */
#include "mib_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the part of a file name before "NUMBER.mib"; -1 if it does not end so. */
static int prefix_length(const char *name)
{
    size_t n = strlen(name);
    if (!um_has_suffix(name, ".mib")) {
        return -1;
    }
    size_t end = n - 4;
    size_t start = end;
    while (start > 0 && is_digit(name[start - 1])) {
        start--;
    }
    return start < end ? (int)start : -1;
}

static bool same_shape(const um_mib_header *a, const um_mib_header *b)
{
    return a->size == b->size && a->width == b->width && a->height == b->height &&
           a->kind == b->kind && a->bits == b->bits && a->depth == b->depth &&
           strcmp(a->layout, b->layout) == 0;
}

/* Opens one file as a candidate of the series; quietly none if it is something else. */
static bool open_candidate(um_context *ctx, const char *path, const um_mib_header *like, int64_t stride,
                           um_mib_file *out)
{
    char *bytes = malloc((size_t)like->size);
    um_mib_header header;
    *out = (um_mib_file){.file = calloc(1, sizeof *out->file)};
    bool opened = bytes != NULL && out->file != NULL && um_file_open(ctx, path, out->file);
    bool good = opened && out->file->size >= stride &&
                pread(out->file->fd, bytes, (size_t)like->size, 0) == like->size &&
                um_mib_header_parse(bytes, (size_t)like->size, &header) &&
                same_shape(like, &header);
    free(bytes);
    if (good) {
        out->path = um_strdup(path);
        out->sequence = header.sequence;
        out->frames = out->file->size / stride;
        good = out->path != NULL;
    }
    if (!good) {
        if (opened) {
            um_file_close(out->file);
        }
        free(out->file);
    }
    return good;
}

static int by_sequence(const void *a, const void *b)
{
    const um_mib_file *x = a;
    const um_mib_file *y = b;
    if (x->sequence != y->sequence) {
        return x->sequence < y->sequence ? -1 : 1;
    }
    return strcmp(x->path, y->path);
}

static bool add_file(um_mib *mib, const um_mib_file *file)
{
    if (mib->count % 16 == 0) {
        um_mib_file *grown = realloc(mib->files, (size_t)(mib->count + 16) * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        mib->files = grown;
    }
    mib->files[mib->count++] = *file;
    return true;
}

static void drop_file(um_mib_file *file)
{
    um_file_close(file->file);
    free(file->file);
    free(file->path);
}

static void collect(um_context *ctx, const char *path, const um_mib_header *header, int64_t stride, um_mib *mib)
{
    const char *name = base_name(path);
    int prefix = prefix_length(name);
    int folder_length = (int)(name - path);
    char *folder = folder_length > 0 ? um_format("%.*s", folder_length, path) : um_strdup(".");
    DIR *list = prefix >= 0 && folder != NULL ? opendir(folder) : NULL;
    struct dirent *entry = NULL;
    while (list != NULL && mib->count < UM_MIB_MAX_FILES && (entry = readdir(list)) != NULL) {
        um_mib_file file;
        if (strcmp(entry->d_name, name) == 0 || prefix_length(entry->d_name) != prefix ||
            strncmp(entry->d_name, name, (size_t)prefix) != 0) {
            continue;
        }
        char *candidate = um_format("%.*s%s", folder_length, path, entry->d_name);
        if (candidate != NULL && open_candidate(ctx, candidate, header, stride, &file) &&
            !add_file(mib, &file)) {
            drop_file(&file);
        }
        free(candidate);
    }
    if (list != NULL) {
        closedir(list);
    }
    free(folder);
}

/* The file that begins with frame number `sequence`, or that ends before it; -1 if none does. */
static int find_next(const um_mib *mib, const bool *taken, int64_t sequence, bool ends)
{
    for (int i = 0; i < mib->count; i++) {
        const um_mib_file *file = &mib->files[i];
        if (!taken[i] && (ends ? file->sequence + file->frames : file->sequence) == sequence) {
            return i;
        }
    }
    return -1;
}

/* Keeps the files around `own` in which each goes on where the one before ends. */
static bool keep_chain(um_mib *mib, const char *own)
{
    bool *taken = calloc((size_t)mib->count, sizeof *taken);
    int at = 0;
    int kept = 0;
    if (taken == NULL) {
        return false;
    }
    qsort(mib->files, (size_t)mib->count, sizeof *mib->files, by_sequence);
    while (strcmp(mib->files[at].path, own) != 0) {
        at++;
    }
    for (int i = at; i >= 0; i = find_next(mib, taken, mib->files[i].sequence, true)) {
        taken[i] = true;
    }
    for (int i = at; i >= 0;
         i = find_next(mib, taken, mib->files[i].sequence + mib->files[i].frames, false)) {
        taken[i] = true;
    }
    for (int i = 0; i < mib->count; i++) {
        if (taken[i]) {
            mib->files[kept++] = mib->files[i];
        } else {
            drop_file(&mib->files[i]);
        }
    }
    mib->count = kept;
    free(taken);
    return true;
}

um_status um_mib_series_open(um_source *source, const char *path, const um_mib_header *header,
                             bool others, um_mib *mib)
{
    um_context *ctx = source->ctx;
    um_mib_file own;
    int64_t stride = mib->layout.header + mib->layout.image;
    if (!open_candidate(ctx, path, header, stride, &own)) {
        return um_fail(ctx, UM_ERROR_TRUNCATED,
                       "%s: ends before its first frame of %lld bytes is complete", path,
                       (long long)stride);
    }
    if (!add_file(mib, &own)) {
        drop_file(&own);
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to open it", path);
    }
    if (others) {
        collect(ctx, path, header, stride, mib);
    }
    if (!keep_chain(mib, path)) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to open it", path);
    }
    mib->frames = 0;
    int64_t total = 0;
    for (int i = 0; i < mib->count; i++) {
        total += mib->files[i].file->size;
    }
    int64_t all = source->room != NULL ? 0 : um_file_room(ctx, total);
    int64_t *room = source->room != NULL ? source->room : &all;
    for (int i = 0; i < mib->count; i++) {
        um_file_take_room(mib->files[i].file, room);
        mib->files[i].first = mib->frames;
        mib->frames += mib->files[i].frames;
    }
    if (mib->count > 1) {
        um_info(ctx, "%s: read as one scan with %d more files that carry on its frame numbers",
                path, mib->count - 1);
    }
    return UM_OK;
}

void um_mib_series_close(um_mib *mib)
{
    for (int i = 0; i < mib->count; i++) {
        drop_file(&mib->files[i]);
    }
    free(mib->files);
    free(mib);
}

um_status um_mib_frame_header(um_context *ctx, const um_mib *mib, int64_t frame,
                              um_mib_header *out)
{
    int i = 0;
    while (i + 1 < mib->count && mib->files[i + 1].first <= frame) {
        i++;
    }
    const um_mib_file *file = &mib->files[i];
    size_t size = (size_t)mib->layout.header;
    int64_t offset = (frame - file->first) * (mib->layout.header + mib->layout.image);
    char *bytes = malloc(size);
    if (bytes == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for a frame header", file->path);
    }
    um_status status = um_pread_all(ctx, file->path, file->file->fd, bytes, size, offset);
    if (status == UM_OK && !um_mib_header_parse(bytes, size, out)) {
        status = um_fail(ctx, UM_ERROR_FORMAT,
                         "%s: frame %lld has no Merlin header at byte %lld: frames are not as long "
                         "as the first header says",
                         file->path, (long long)frame, (long long)offset);
    }
    free(bytes);
    return status;
}

/* ---- side file ------------------------------------------------------------------------------ */

enum { SIDE_BYTES = 65536 };

static size_t read_side(const char *path, char *text)
{
    static const char *const suffixes[] = {".hdr", ".HDR"};
    size_t stem = strlen(path) - (um_has_suffix(path, ".mib") ? 4 : 0);
    for (int i = 0; i < 2; i++) {
        struct stat status;
        ssize_t n = -1;
        char *name = um_format("%.*s%s", (int)stem, path, suffixes[i]);
        int fd = name != NULL ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
        if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
            n = pread(fd, text, SIDE_BYTES, 0);
        }
        if (fd >= 0) {
            close(fd);
        }
        free(name);
        if (n > 0) {
            return (size_t)n;
        }
    }
    return 0;
}

static void add_line(json_t *side, const char *line, size_t length)
{
    char key[128];
    const char *tab = memchr(line, '\t', length);
    if (tab == NULL) {
        return;
    }
    size_t n = (size_t)(tab - line);
    while (n > 0 && (line[n - 1] == ':' || line[n - 1] == ' ')) {
        n--;
    }
    if (n == 0 || n >= sizeof key) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        key[i] = line[i] >= ' ' && line[i] < 0x7f ? line[i] : '?';
    }
    key[n] = '\0';
    json_object_set_new(side, key, um_json_latin1(tab + 1, length - (size_t)(tab + 1 - line)));
}

json_t *um_mib_side_read(const char *path)
{
    char *text = malloc(SIDE_BYTES);
    size_t size = text != NULL ? read_side(path, text) : 0;
    json_t *side = size >= 4 && memcmp(text, "HDR,", 4) == 0 ? json_object() : NULL;
    const char *end = text + size;
    for (const char *p = text; side != NULL && p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline != NULL ? newline : end;
        if ((size_t)(stop - p) >= 3 && memcmp(p, "End", 3) == 0) {
            break;
        }
        if (p > text) {
            add_line(side, p, (size_t)(stop - p));
        }
        p = stop + 1;
    }
    free(text);
    return side;
}
