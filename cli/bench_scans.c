/* Generated scans, and end-to-end factorisations of them against one read of the file. */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

double bench_scan_patterns(const bench_scan *scan)
{
    return (double)scan->ny * (double)scan->nx;
}

double bench_scan_bytes(const bench_scan *scan)
{
    return bench_scan_patterns(scan) * (double)(scan->ky * scan->kx) *
           (double)um_dtype_size(scan->dtype);
}

/* A kept scan has the size of its values and a header of at most 4 KiB. */
static bool is_kept(const bench *b, const bench_scan *scan)
{
    struct stat info;
    double bytes = bench_scan_bytes(scan);
    return b->keep && stat(scan->path, &info) == 0 && (double)info.st_size > bytes &&
           (double)info.st_size < bytes + 4096.0;
}

um_status bench_scan_make(bench *b, bench_scan *scan)
{
    um_simulation sim = um_simulation_defaults();
    um_instrument instrument = um_instrument_defaults();
    sim.ny = scan->ny;
    sim.nx = scan->nx;
    sim.ky = scan->ky;
    sim.kx = scan->kx;
    instrument.dtype = scan->dtype;
    instrument.counts = scan->counts;
    sim.states = b->k;
    free(scan->path);
    scan->path = b->keep ? cli_format("%s/unmix-bench-%s.npy", b->dir, scan->name)
                         : cli_format("%s/unmix-bench-%s-%ld.npy", b->dir, scan->name, (long)getpid());
    if (scan->path == NULL) {
        return cli_fail(b->c, UM_ERROR_MEMORY, "no memory");
    }
    if (is_kept(b, scan)) {
        return UM_OK;
    }
    cli_note(b->c, "generating %s (%.2f GB)", scan->path, bench_scan_bytes(scan) / 1e9);
    const um_scene_files files = {.scan = scan->path, .overwrite = true};
    return um_simulate(b->c->ctx, &sim, &instrument, &files);
}

void bench_scan_drop(const bench *b, bench_scan *scan)
{
    if (scan->path != NULL && !b->keep) {
        unlink(scan->path);
    }
    free(scan->path);
    scan->path = NULL;
}

um_status bench_nmf(bench *b, const char *path, const char *memory, int threads, bool cold, int repeats,
                    json_t **row)
{
    char k[24], t[24];
    char *output = cli_format("%s/unmix-bench-%ld.npz", b->dir, (long)getpid());
    if (output == NULL) {
        return cli_fail(b->c, UM_ERROR_MEMORY, "no memory");
    }
    snprintf(k, sizeof k, "%lld", (long long)b->k);
    snprintf(t, sizeof t, "%d", threads);
    const char *words[] = {"nmf", path, "-k", k, "-o", output, "--threads", t, "--force", "--no-report",
                           "--no-checkpoint", "--json", "--quiet", memory == NULL ? NULL : "--memory",
                           memory, NULL};
    um_status status = UM_OK;
    double best = INFINITY;
    *row = NULL;
    for (int i = 0; status == UM_OK && i < repeats; i++) {
        bench_child child;
        if (cold) {
            bench_forget(path);
        }
        status = bench_run(b->c, NULL, words, &child);
        if (status == UM_OK && child.seconds < best) {
            best = child.seconds;
            json_decref(*row);
            *row = json_pack("{s:s, s:s, s:i, s:f, s:f}", "from", cold ? "disk" : "page cache", "memory",
                             memory == NULL ? "default" : memory, "threads", threads, "seconds",
                             child.seconds, "cpu_seconds", child.cpu_seconds);
            static const char *const taken[] = {"reads",      "passes",         "converged",
                                                "peak_bytes", "weighted_error", "kkt"};
            for (size_t j = 0; j < sizeof taken / sizeof *taken; j++) {
                json_object_set(*row, taken[j], json_object_get(child.output, taken[j]));
            }
        }
        if (status == UM_OK) {
            json_decref(child.output);
        }
    }
    unlink(output);
    free(output);
    return status;
}

static um_status measure(bench *b, bench_scan *scan, json_t *list)
{
    bool large = bench_scan_bytes(scan) > 4e9;
    bench_file_limits file;
    um_status status = bench_scan_make(b, scan);
    status = status == UM_OK ? bench_file(b->c, scan->path, !large, &file) : status;
    if (status != UM_OK) {
        return status;
    }
    json_t *runs = json_array();
    for (int i = 0; status == UM_OK && i < 2; i++) {
        /* What does not fit twice into memory is run from the disk with a small budget, the others from the
         * page cache. */
        const char *memory = large && i == 1 ? "2G" : NULL;
        bool cold = large || i == 0;
        json_t *row = NULL;
        status = bench_nmf(b, scan->path, memory, b->threads, cold, large || b->quick ? 1 : 3, &row);
        if (status == UM_OK) {
            double seconds = json_number_value(json_object_get(row, "seconds"));
            json_object_set_new(row, "of_one_read", json_real(seconds / file.cold_seconds));
            json_array_append_new(runs, row);
        }
    }
    json_array_append_new(
        list, json_pack("{s:s, s:[I,I,I,I], s:s, s:f, s:I, s:o, s:o, s:o, s:o}", "name", scan->name,
                        "shape", (json_int_t)scan->ny, (json_int_t)scan->nx, (json_int_t)scan->ky,
                        (json_int_t)scan->kx, "dtype", um_dtype_name(scan->dtype), "bytes",
                        bench_scan_bytes(scan), "k", (json_int_t)b->k, "read_direct_seconds",
                        cli_json_real(file.direct_seconds), "read_buffered_seconds",
                        cli_json_real(file.buffered_seconds), "read_cached_seconds",
                        cli_json_real(file.cached_seconds), "runs", runs));
    return status;
}

um_status bench_scans(bench *b, bench_scan *scans, int count)
{
    json_t *list = json_array();
    um_status status = UM_OK;
    json_object_set_new(b->report, "scans", list);
    for (int i = 0; status == UM_OK && i < count; i++) {
        status = measure(b, &scans[i], list);
        bench_scan_drop(b, &scans[i]);
    }
    return status;
}
