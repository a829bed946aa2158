/* Compressed files: sums over all patterns, and the factorisation, against nothing but decoding the file. */
#include "bench.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct decoding {
    um_source *source;
    const um_source_info *info;
    atomic_llong next; /* block */
    atomic_bool failed;
} decoding;

static void *decode_blocks(void *argument)
{
    decoding *d = argument;
    const um_source_info *i = d->info;
    size_t pattern = (size_t)(i->shape.ky * i->shape.kx) * um_dtype_size(i->dtype);
    void *patterns = malloc((size_t)(i->block_ny * i->block_nx) * pattern);
    int64_t across = (i->shape.nx + i->block_nx - 1) / i->block_nx;
    int64_t blocks = across * ((i->shape.ny + i->block_ny - 1) / i->block_ny);
    for (;;) {
        int64_t block = atomic_fetch_add(&d->next, 1);
        if (block >= blocks || atomic_load(&d->failed)) {
            break;
        }
        um_rect rect = {block / across * i->block_ny, block % across * i->block_nx, i->block_ny,
                        i->block_nx};
        rect.ny = rect.ny > i->shape.ny - rect.y0 ? i->shape.ny - rect.y0 : rect.ny;
        rect.nx = rect.nx > i->shape.nx - rect.x0 ? i->shape.nx - rect.x0 : rect.nx;
        if (patterns == NULL || um_source_read(d->source, rect, patterns) != UM_OK) {
            atomic_store(&d->failed, true);
        }
    }
    free(patterns);
    return NULL;
}

static um_status decode(bench *b, um_source *source, double *seconds)
{
    decoding d = {.source = source, .info = um_source_get_info(source)};
    pthread_t *threads = calloc((size_t)b->threads, sizeof *threads);
    double start = cli_seconds();
    int started = 0;
    while (threads != NULL && started < b->threads &&
           pthread_create(&threads[started], NULL, decode_blocks, &d) == 0) {
        started++;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    *seconds = cli_seconds() - start;
    free(threads);
    if (started < b->threads) {
        return cli_fail(b->c, UM_ERROR_MEMORY, "%d threads could not be started", b->threads);
    }
    return atomic_load(&d.failed) ? cli_fail(b->c, UM_ERROR_IO, "%s", um_context_message(b->c->ctx))
                                  : UM_OK;
}

/* One visit of every pattern with little to do. */
static um_status add_up(bench *b, um_source *source, double *seconds)
{
    um_recipe *recipe = NULL;
    um_matrix *matrix = NULL;
    um_sums *sums = NULL;
    double start = cli_seconds();
    um_status status = um_recipe_create(b->c->ctx, &recipe);
    status = status == UM_OK ? um_matrix_open(b->c->ctx, source, recipe, &matrix) : status;
    status = status == UM_OK ? um_matrix_sums(matrix, &sums) : status;
    *seconds = cli_seconds() - start;
    um_sums_free(sums);
    um_matrix_free(matrix);
    um_recipe_free(recipe);
    return status;
}

static um_status convert(bench *b, const char *from, const char *to, const char *compression)
{
    const char *words[] = {"convert", from, to, "--compression", compression, "--force", "--json", NULL};
    bench_child child;
    um_status status = bench_run(b->c, NULL, words, &child);
    if (status == UM_OK) {
        json_decref(child.output);
    }
    return status;
}

static um_status measure(bench *b, const bench_scan *scan, const char *path, const char *compression,
                         json_t *list)
{
    um_source *source = NULL;
    json_t *row = NULL;
    double best = INFINITY, sums = INFINITY;
    int repeats = b->quick ? 1 : 3;
    struct stat info = {0};
    um_status status = convert(b, scan->path, path, compression);
    status = status == UM_OK ? um_source_open(b->c->ctx, path, NULL, &source) : status;
    for (int i = 0; status == UM_OK && i < repeats; i++) {
        double seconds = 0.0, added = 0.0;
        status = decode(b, source, &seconds);
        status = status == UM_OK ? add_up(b, source, &added) : status;
        best = fmin(best, seconds);
        sums = fmin(sums, added);
    }
    um_source_free(source);
    status = status == UM_OK ? bench_nmf(b, path, NULL, b->threads, false, 1, &row) : status;
    if (status == UM_OK && stat(path, &info) == 0) {
        double seconds = json_number_value(json_object_get(row, "seconds"));
        double reads = json_number_value(json_object_get(row, "reads"));
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:O, s:f, s:f}", "compression", compression, "file_bytes",
                            (double)info.st_size, "decode_seconds", best, "decode_GBps",
                            bench_scan_bytes(scan) / best / 1e9, "sums_seconds", sums, "sums_of_decoding",
                            sums / best, "reads", json_object_get(row, "reads"),
                            "nmf_seconds", seconds, "of_decoding_as_often", seconds / (reads * best)));
    }
    json_decref(row);
    unlink(path);
    return status;
}

um_status bench_decode(bench *b, bench_scan *scan)
{
    static const char *const compressions[] = {"gzip", "lz4", "blosc", "bitshuffle"};
    json_t *list = json_array();
    char *path = cli_format("%s/unmix-bench-%ld.hspy", b->dir, (long)getpid());
    json_object_set_new(b->report, "decode", list);
    um_status status = path != NULL ? bench_scan_make(b, scan)
                                    : cli_fail(b->c, UM_ERROR_MEMORY, "no memory");
    for (size_t i = 0; status == UM_OK && i < sizeof compressions / sizeof *compressions; i++) {
        status = measure(b, scan, path, compressions[i], list);
    }
    bench_scan_drop(b, scan);
    free(path);
    return status;
}
