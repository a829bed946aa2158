/* A scan in several files: "part_*.mib" or "@list.txt". Parts of equal width follow one another by rows, other
 * parts by positions; each is read by its own format. */
#include "io_internal.h"

#include <errno.h>
#include <glob.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_PARTS = 4096, MAX_LIST_BYTES = 4 << 20, RECENT = 4 };

typedef struct name_list {
    char **names;
    size_t count;
} name_list;

/* ---- names ---------------------------------------------------------------------------------- */

bool um_parts_named(const char *spec)
{
    struct stat status;
    bool several = spec[0] == '@' || strpbrk(spec, "*?[") != NULL;
    return several && stat(spec, &status) != 0;
}

static void free_names(name_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
    free(list->names);
    *list = (name_list){0};
}

static um_status add_name(um_context *ctx, const char *spec, name_list *list, char *name)
{
    if (list->count == MAX_PARTS) {
        free(name);
        return um_fail(ctx, UM_ERROR_UNSUPPORTED, "%s: names more than %d files", spec, MAX_PARTS);
    }
    if (name == NULL || (list->names == NULL &&
                         (list->names = calloc(MAX_PARTS, sizeof *list->names)) == NULL)) {
        free(name);
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory for its files", spec);
    }
    list->names[list->count++] = name;
    return UM_OK;
}

/* As people count: part_2 before part_10. */
static int by_number(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

static um_status names_by_pattern(um_context *ctx, const char *spec, name_list *list)
{
    glob_t found;
    int result = glob(spec, GLOB_NOSORT, NULL, &found);
    if (result == GLOB_NOMATCH) {
        return um_fail(ctx, UM_ERROR_IO, "%s: no file has such a name", spec);
    }
    if (result != 0) {
        return um_fail(ctx, UM_ERROR_IO, "%s: the files cannot be listed", spec);
    }
    um_status status = UM_OK;
    for (size_t i = 0; i < found.gl_pathc && status == UM_OK; i++) {
        status = add_name(ctx, spec, list, um_strdup(found.gl_pathv[i]));
    }
    globfree(&found);
    if (status == UM_OK) {
        qsort(list->names, list->count, sizeof *list->names, by_number);
    }
    return status;
}

/* A name per line; empty lines and lines that begin with # do not count. Names are taken from the folder of the
 * list unless they begin with /. */
static um_status names_by_lines(um_context *ctx, const char *path, char *text, name_list *list)
{
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash - path) + 1 : 0;
    char *next = NULL;
    for (char *line = strtok_r(text, "\r\n", &next); line != NULL;
         line = strtok_r(NULL, "\r\n", &next)) {
        line += strspn(line, " \t");
        size_t length = strlen(line);
        while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == '\t')) {
            line[--length] = '\0';
        }
        if (length > 0 && line[0] != '#') {
            UM_TRY(add_name(ctx, path, list,
                            um_format("%.*s%s", line[0] == '/' ? 0 : folder, path, line)));
        }
    }
    return list->count > 0 ? UM_OK : um_fail(ctx, UM_ERROR_FORMAT, "%s: names no files", path);
}

static um_status names_by_list(um_context *ctx, const char *path, name_list *list)
{
    FILE *file = fopen(path, "re");
    char *text = malloc(MAX_LIST_BYTES);
    um_status status = UM_OK;
    if (file == NULL) {
        status = um_fail(ctx, UM_ERROR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    } else if (text == NULL) {
        status = um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to read it", path);
    } else {
        size_t size = fread(text, 1, MAX_LIST_BYTES, file);
        if (size == MAX_LIST_BYTES || memchr(text, '\0', size) != NULL || ferror(file)) {
            status = um_fail(ctx, UM_ERROR_FORMAT, "%s: is no list of file names", path);
        } else {
            text[size] = '\0';
            status = names_by_lines(ctx, path, text, list);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    return status;
}

/* ---- reading -------------------------------------------------------------------------------- */

typedef struct parts {
    um_source **source;
    int64_t *first; /* position of each part's first, and of what comes after the last */
    int64_t *row;   /* the same in rows, when the scan is the parts one below the other */
    int count;
    bool stacked; /* it is */
    atomic_int recent[RECENT]; /* parts read last; what they keep for decoding adds up */
    atomic_uint reads;
} parts;

/* Notes that a part is being read, and lets go what the one keeps that was in its place. */
static void note_read(parts *p, int part)
{
    for (int i = 0; i < RECENT; i++) {
        if (atomic_load(&p->recent[i]) == part) {
            return;
        }
    }
    int before = atomic_exchange(&p->recent[atomic_fetch_add(&p->reads, 1) % RECENT], part);
    if (before != part) {
        um_source_rest(p->source[before]);
    }
}

/* The part that holds `at` of the ascending borders. */
static int part_of(const int64_t *border, int count, int64_t at)
{
    int low = 0;
    int high = count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (border[middle] <= at) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/* dst is an address, 0 where nothing is read. */
typedef um_status (*part_visitor)(um_source *part, um_rect rect, uintptr_t dst);

static um_status read_part(um_source *part, um_rect rect, uintptr_t dst)
{
    return um_source_read(part, rect, (void *)dst);
}

static um_status announce_part(um_source *part, um_rect rect, uintptr_t dst)
{
    (void)dst;
    um_source_will_read(part, rect);
    return UM_OK;
}

static size_t pattern_bytes(const um_source *source)
{
    const um_source_info *info = &source->info;
    return (size_t)(info->shape.ky * info->shape.kx) * um_dtype_size(info->dtype);
}

/* `count` positions of one part from `at` on: the end of a row, whole rows, the beginning of a row. */
static um_status visit_run(um_source *part, int64_t at, int64_t count, uintptr_t dst,
                           part_visitor visit)
{
    int64_t nx = part->info.shape.nx;
    while (count > 0) {
        um_rect rect = {at / nx, at % nx, 1, nx - at % nx};
        rect.nx = rect.nx < count ? rect.nx : count;
        if (rect.x0 == 0 && count >= nx) {
            rect.ny = count / nx;
        }
        UM_TRY(visit(part, rect, dst));
        at += rect.ny * rect.nx;
        count -= rect.ny * rect.nx;
        dst += (size_t)(rect.ny * rect.nx) * pattern_bytes(part);
    }
    return UM_OK;
}

static um_status visit_positions(um_source *source, int64_t first, int64_t count, uintptr_t dst,
                                 part_visitor visit)
{
    parts *p = source->state;
    for (int i = part_of(p->first, p->count, first); count > 0; i++) {
        note_read(p, i);
        int64_t n = p->first[i + 1] - first;
        n = n < count ? n : count;
        UM_TRY(visit_run(p->source[i], first - p->first[i], n, dst, visit));
        first += n;
        count -= n;
        dst += (size_t)n * pattern_bytes(source);
    }
    return UM_OK;
}

static um_status visit_rect(um_source *source, um_rect rect, uintptr_t dst, part_visitor visit)
{
    parts *p = source->state;
    int64_t nx = source->info.shape.nx;
    if (!p->stacked) {
        bool join = rect.nx == nx;
        int64_t runs = join ? 1 : rect.ny;
        int64_t count = join ? rect.ny * nx : rect.nx;
        for (int64_t i = 0; i < runs; i++) {
            UM_TRY(visit_positions(source, (rect.y0 + i) * nx + rect.x0, count,
                                   dst + (size_t)(i * count) * pattern_bytes(source), visit));
        }
        return UM_OK;
    }
    for (int i = part_of(p->row, p->count, rect.y0); rect.ny > 0; i++) {
        note_read(p, i);
        int64_t ny = p->row[i + 1] - rect.y0;
        ny = ny < rect.ny ? ny : rect.ny;
        UM_TRY(visit(p->source[i], (um_rect){rect.y0 - p->row[i], rect.x0, ny, rect.nx}, dst));
        rect.y0 += ny;
        rect.ny -= ny;
        dst += (size_t)(ny * rect.nx) * pattern_bytes(source);
    }
    return UM_OK;
}

static um_status parts_read(um_source *source, um_rect rect, void *dst)
{
    return visit_rect(source, rect, (uintptr_t)dst, read_part);
}

static void parts_will_read(um_source *source, um_rect rect)
{
    (void)visit_rect(source, rect, 0, announce_part);
}

static void parts_rest(um_source *source)
{
    const parts *p = source->state;
    for (int i = 0; i < p->count; i++) {
        um_source_rest(p->source[i]);
    }
}

static um_source *parts_part(um_source *source, int index)
{
    const parts *p = source->state;
    return index < p->count ? p->source[index] : NULL;
}

static void parts_close(um_source *source)
{
    parts *p = source->state;
    for (int i = 0; i < p->count; i++) {
        um_source_free(p->source[i]);
    }
    free(p->source);
    free(p->first);
    free(p->row);
    free(p);
    source->state = NULL;
}

/* ---- opening -------------------------------------------------------------------------------- */

static int64_t bytes_of(const name_list *names)
{
    int64_t total = 0;
    for (size_t i = 0; i < names->count; i++) {
        struct stat status;
        if (stat(names->names[i], &status) == 0 && status.st_size < INT64_MAX - total) {
            total += status.st_size;
        }
    }
    return total;
}

static um_status check_like(um_context *ctx, const um_source *first, const um_source *part)
{
    const um_source_info *a = &first->info;
    const um_source_info *b = &part->info;
    if (a->dtype == b->dtype && a->shape.ky == b->shape.ky && a->shape.kx == b->shape.kx) {
        return UM_OK;
    }
    return um_fail(ctx, UM_ERROR_SHAPE,
                   "%s: has patterns of %lld x %lld %s, but %s of %lld x %lld %s: parts of one scan must be "
                   "alike",
                   part->path, (long long)b->shape.ky, (long long)b->shape.kx, um_dtype_name(b->dtype),
                   first->path, (long long)a->shape.ky, (long long)a->shape.kx,
                   um_dtype_name(a->dtype));
}

static um_status open_parts(um_context *ctx, const name_list *names, const um_open_options *options,
                            um_source *source)
{
    parts *p = source->state;
    const um_open_options each = {.raw = options->raw};
    int64_t room = um_file_room(ctx, bytes_of(names));
    for (size_t i = 0; i < names->count; i++) {
        UM_TRY(um_source_open_part(ctx, names->names[i], &each, &room, &p->source[i]));
        p->count++;
        const um_source_info *info = &p->source[i]->info;
        UM_TRY(check_like(ctx, p->source[0], p->source[i]));
        p->first[i + 1] = p->first[i] + info->shape.ny * info->shape.nx;
        p->row[i + 1] = p->row[i] + info->shape.ny;
        p->stacked = (i == 0 || p->stacked) && info->shape.nx == p->source[0]->info.shape.nx;
        if (info->scratch_bytes > source->info.scratch_bytes) {
            source->info.scratch_bytes = info->scratch_bytes;
        }
    }
    return UM_OK;
}

/* Shape, axes and order of reading out of the parts'. */
static um_status describe(um_context *ctx, const um_open_options *options, um_source *source)
{
    parts *p = source->state;
    um_source_info *info = &source->info;
    const um_source_info *first = &p->source[0]->info;
    const um_probe probe = {.path = source->path};
    int64_t positions = p->first[p->count];
    int64_t ny = p->stacked ? p->row[p->count] : 1;
    int64_t nx = p->stacked ? first->shape.nx : positions;
    info->dtype = first->dtype;
    info->shape = first->shape;
    UM_TRY(um_scan_shape(ctx, &probe, options, ny, nx, positions, source));
    p->stacked = p->stacked && info->shape.nx == nx;
    memcpy(info->axes, first->axes, sizeof info->axes);
    info->axes[0].size = info->shape.ny;
    info->axes[1].size = info->shape.nx;
    info->block_ny = p->stacked ? first->block_ny : 1;
    info->block_nx = p->stacked ? first->block_nx : info->shape.nx;
    json_t *files = json_array();
    for (int i = 0; i < p->count; i++) {
        json_array_append_new(files, um_json_latin1(p->source[i]->path, strlen(p->source[i]->path)));
    }
    source->metadata = json_copy(p->source[0]->metadata);
    json_object_set_new(source->metadata, "parts", files);
    return UM_OK;
}

um_status um_parts_open(um_context *ctx, const um_open_options *options, um_source *source)
{
    static const um_source_ops ops = {parts_read, parts_close, parts_will_read, parts_part, parts_rest};
    name_list names = {0};
    parts *p = NULL;
    um_status status = source->path[0] == '@' ? names_by_list(ctx, source->path + 1, &names)
                                              : names_by_pattern(ctx, source->path, &names);
    if (status == UM_OK) {
        p = calloc(1, sizeof *p);
        source->ops = &ops;
        source->state = p;
        if (p != NULL) {
            p->source = calloc(names.count, sizeof(um_source *));
            p->first = calloc(names.count + 1, sizeof *p->first);
            p->row = calloc(names.count + 1, sizeof *p->row);
        }
        status = p != NULL && p->source != NULL && p->first != NULL && p->row != NULL
                     ? open_parts(ctx, &names, options, source)
                     : um_fail(ctx, UM_ERROR_MEMORY, "%s: no memory to open it", source->path);
    }
    free_names(&names);
    return status == UM_OK ? describe(ctx, options, source) : status;
}
