/* unmix bench: every stage against what this machine can do, measured in the same run. */
#include "bench_limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const cli_option options[] = {
    {.name = "dir", .kind = CLI_FOLDER, .value = "DIR", .preset = ".",
     .help = "Where the generated scan is kept while it runs; its disk is what is measured."},
    {.name = "size", .kind = CLI_TEXT, .value = "NYxNX", .preset = "64x128",
     .help = "Positions of the generated scan."},
    {.name = "pattern-size", .kind = CLI_TEXT, .value = "KYxKX", .preset = "112x112",
     .help = "Pixels of its patterns, 16-bit counts."},
    {.name = "components", .letter = 'k', .kind = CLI_INTEGER, .value = "K", .preset = "8", .least = 1,
     .most = 64, .help = "Components of the factorisations."},
    {0}};

enum { STAGES = 4 };

typedef struct stage {
    const char *name;
    double seconds;
    int64_t reads;          /* passes over the whole scan, from the file or kept in memory */
    double flops_per_value; /* multiply-adds x 2 of one read, per value of the scan; 0 = not counted */
} stage;

typedef struct bench {
    cli *c;
    um_simulation sim;
    char *path;
    bench_limits limits;
    stage stages[STAGES];
    int count;
    um_source *source;
    um_matrix *matrix;
} bench;

static double patterns_of(const bench *b)
{
    return (double)(b->sim.ny * b->sim.nx);
}

static double pattern_bytes(const bench *b)
{
    return (double)(b->sim.ky * b->sim.kx) * (double)um_dtype_size(b->sim.dtype);
}

static um_status take_size(cli *c, const char *name, int64_t *rows, int64_t *columns)
{
    long long r = 0, s = 0;
    char rest = 0;
    if (sscanf(cli_text(c, name), "%lldx%lld%c", &r, &s, &rest) != 2 || r < 1 || s < 1) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes rows x columns such as 64x128, not '%s'",
                        name, cli_text(c, name));
    }
    *rows = r;
    *columns = s;
    return UM_OK;
}

static void add_stage(bench *b, const char *name, double seconds, int64_t reads, double flops)
{
    b->stages[b->count++] = (stage){name, seconds, reads, flops};
}

static um_status generate(bench *b)
{
    double start = cli_seconds();
    um_status status = um_simulate(b->c->ctx, &b->sim, b->path, NULL, true);
    if (status == UM_OK) {
        add_stage(b, "simulate", cli_seconds() - start, 1, 0.0);
        status = bench_file(b->c, b->path, &b->limits);
    }
    return status;
}

static um_status open_scan(bench *b)
{
    um_status status = um_source_open(b->c->ctx, b->path, NULL, &b->source);
    return status == UM_OK ? um_matrix_open(b->c->ctx, b->source, NULL, &b->matrix) : status;
}

static um_status time_sums(bench *b)
{
    double best = INFINITY;
    for (int i = 0; i < 3; i++) {
        um_sums *sums = NULL;
        double start = cli_seconds();
        um_status status = um_matrix_sums(b->matrix, &sums);
        if (status != UM_OK) {
            return status;
        }
        best = fmin(best, cli_seconds() - start);
        um_sums_free(sums);
    }
    add_stage(b, "sums", best, 1, 0.0);
    return UM_OK;
}

/* A read of the singular value decomposition projects on l vectors and back: 4 l operations a value. */
static um_status time_svd(bench *b)
{
    int64_t k = cli_integer(b->c, "components");
    um_svd_options how = {.k = k, .power_iterations = 3, .oversampling = 10};
    um_svd_result *result = NULL;
    double start = cli_seconds();
    um_status status = um_svd(b->matrix, &how, &result);
    if (status == UM_OK) {
        add_stage(b, "svd", cli_seconds() - start, result->passes,
                  4.0 * (double)(k + how.oversampling));
        um_svd_result_free(result);
    }
    return status;
}

/* A read of the NMF computes X H' and W' X: 4 k operations a value. */
static um_status time_nmf(bench *b)
{
    int64_t k = cli_integer(b->c, "components");
    um_nmf_options how = um_nmf_defaults(k);
    how.start = UM_START_RANDOM;
    how.tolerance = 1e-12;
    how.max_passes = 10;
    um_nmf_result *result = NULL;
    double start = cli_seconds();
    um_status status = um_nmf(b->matrix, &how, &result);
    if (status == UM_OK) {
        add_stage(b, "nmf", cli_seconds() - start, result->passes, 4.0 * (double)k);
        um_nmf_result_free(result);
    }
    return status;
}

static double stage_GBps(const bench *b, const stage *s)
{
    return (double)s->reads * patterns_of(b) * pattern_bytes(b) / s->seconds / 1e9;
}

static double stage_GFLOPS(const bench *b, const stage *s)
{
    double values = patterns_of(b) * (double)(b->sim.ky * b->sim.kx);
    return (double)s->reads * values * s->flops_per_value / s->seconds / 1e9;
}

static void processor_name(char name[128])
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    snprintf(name, 128, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            snprintf(name, 128, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static json_t *stages_json(const bench *b)
{
    json_t *list = json_array();
    for (int i = 0; i < b->count; i++) {
        const stage *s = &b->stages[i];
        double speed = stage_GBps(b, s);
        json_t *object = json_pack(
            "{s:s, s:f, s:I, s:f, s:f, s:f}", "name", s->name, "seconds", s->seconds, "reads",
            (json_int_t)s->reads, "patterns_per_second",
            (double)s->reads * patterns_of(b) / s->seconds, "GBps", speed, "fraction_of_memory_read",
            speed / b->limits.memory_read_GBps);
        if (s->flops_per_value > 0.0) {
            double rate = stage_GFLOPS(b, s);
            json_object_set_new(object, "GFLOPS", json_real(rate));
            json_object_set_new(object, "fraction_of_f32_fma",
                                json_real(rate / b->limits.f32_fma_GFLOPS));
        }
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *as_json(const bench *b)
{
    char name[128];
    processor_name(name);
    const um_simulation *s = &b->sim;
    json_t *machine = json_pack("{s:s, s:i, s:s, s:s}", "processor", name, "threads",
                                um_context_threads(b->c->ctx), "version", um_version(), "build",
                                um_build_description(b->c->ctx));
    json_t *limits = json_pack("{s:f, s:f, s:s, s:f, s:f}", "memory_read_GBps",
                               b->limits.memory_read_GBps, "f32_fma_GFLOPS", b->limits.f32_fma_GFLOPS,
                               "fma_width", b->limits.fma_width, "file_read_GBps",
                               b->limits.file_read_GBps, "file_cached_GBps",
                               b->limits.file_cached_GBps);
    json_t *scan = json_pack("{s:[I,I,I,I], s:s, s:f, s:I}", "shape", (json_int_t)s->ny,
                             (json_int_t)s->nx, (json_int_t)s->ky, (json_int_t)s->kx, "dtype",
                             um_dtype_name(s->dtype), "bytes", patterns_of(b) * pattern_bytes(b), "k",
                             (json_int_t)cli_integer(b->c, "components"));
    return json_pack("{s:o, s:o, s:o, s:o, s:[], s:I}", "machine", machine, "limits", limits, "scan",
                     scan, "stages", stages_json(b), "peers", "peak_bytes",
                     (json_int_t)cli_peak_bytes());
}

static um_status show(const bench *b)
{
    cli *c = b->c;
    const bench_limits *l = &b->limits;
    char text[128];
    if (c->json) {
        return cli_print_json(c, as_json(b));
    }
    processor_name(text);
    cli_say(c, "machine   %s, %d threads", text, um_context_threads(c->ctx));
    cli_say(c, "build     %s", um_build_description(c->ctx));
    cli_say(c, "limits    memory read %.1f GB/s, f32 multiply-add %.0f GFLOP/s (%s), file %.2f GB/s, "
               "cached %.2f GB/s",
            l->memory_read_GBps, l->f32_fma_GFLOPS, l->fma_width, l->file_read_GBps,
            l->file_cached_GBps);
    cli_say(c, "scan      %lld x %lld positions, %lld x %lld pixels, %s; k = %lld", (long long)b->sim.ny,
            (long long)b->sim.nx, (long long)b->sim.ky, (long long)b->sim.kx,
            um_dtype_name(b->sim.dtype), (long long)cli_integer(c, "components"));
    cli_say(c, "%-9s %9s %6s %12s %8s %10s %9s %9s", "stage", "seconds", "reads", "patterns/s", "GB/s",
            "of memory", "GFLOP/s", "of peak");
    for (int i = 0; i < b->count; i++) {
        const stage *s = &b->stages[i];
        double speed = stage_GBps(b, s);
        char rate[24] = "-", part[24] = "-";
        if (s->flops_per_value > 0.0) {
            snprintf(rate, sizeof rate, "%.1f", stage_GFLOPS(b, s));
            snprintf(part, sizeof part, "%.1f %%",
                     100.0 * stage_GFLOPS(b, s) / l->f32_fma_GFLOPS);
        }
        cli_say(c, "%-9s %9.2f %6lld %12.0f %8.2f %8.1f %% %9s %9s", s->name, s->seconds,
                (long long)s->reads, (double)s->reads * patterns_of(b) / s->seconds, speed,
                100.0 * speed / l->memory_read_GBps, rate, part);
    }
    return UM_OK;
}

static um_status measure(bench *b)
{
    um_status status = bench_memory_and_arithmetic(b->c, um_context_threads(b->c->ctx), &b->limits);
    status = status == UM_OK ? generate(b) : status;
    status = status == UM_OK ? open_scan(b) : status;
    status = status == UM_OK ? time_sums(b) : status;
    status = status == UM_OK ? time_svd(b) : status;
    status = status == UM_OK ? time_nmf(b) : status;
    um_matrix_free(b->matrix);
    um_source_free(b->source);
    return status == UM_OK ? show(b) : status;
}

static um_status run(cli *c)
{
    bench b = {.c = c, .sim = um_simulation_defaults()};
    b.sim.states = 8;
    b.sim.counts = 2000.0;
    um_status status = take_size(c, "size", &b.sim.ny, &b.sim.nx);
    if (status == UM_OK) {
        status = take_size(c, "pattern-size", &b.sim.ky, &b.sim.kx);
    }
    if (status != UM_OK) {
        return status;
    }
    b.path = cli_format("%s/unmix-bench-%ld.npy", cli_text(c, "dir"), (long)getpid());
    if (b.path == NULL) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory");
    }
    status = cli_check_output(c, b.path, ".npy");
    if (status == UM_OK) {
        status = measure(&b);
        unlink(b.path);
    }
    free(b.path);
    return status;
}

const cli_command cli_command_bench = {
    .name = "bench",
    .summary = "measure this build on this machine",
    .operands = NULL,
    .description =
        "Measures what the machine can do (memory, multiply-adds, file) and then the stages of a "
        "factorisation on a generated scan, in the same run, as fractions of those limits. Times are of "
        "one run: other work on the machine shows. The scan is removed at the end.\n\n"
        "The rate of a stage counts every read of the whole scan; its arithmetic counts the products with "
        "the pixels only (4 k operations per value and read of the NMF).",
    .examples = "unmix bench # a table\n"
                "unmix bench --dir /data --size 128x256 --json # machine, limits, stages, peers\n",
    .options = options,
    .least_operands = 0,
    .most_operands = 0,
    .run = run,
};
