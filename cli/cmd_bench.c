/* unmix bench: every part against what this machine can do, measured in the same run. */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

static const cli_option options[] = {
    {.name = "dir", .kind = CLI_FOLDER, .value = "DIR", .preset = ".",
     .help = "Where generated scans are kept while it runs; its disk is what is measured."},
    {.name = "size", .kind = CLI_TEXT, .value = "NYxNX",
     .help = "Positions of the generated scan, in place of 256x256."},
    {.name = "pattern-size", .kind = CLI_TEXT, .value = "KYxKX",
     .help = "Pixels of its patterns, in place of 128x128."},
    {.name = "components", .letter = 'k', .kind = CLI_INTEGER, .value = "K", .preset = "10", .least = 1,
     .most = 64, .help = "Components of the factorisations."},
    {.name = "quick", .kind = CLI_SWITCH, .help = "Only tiny scans, one repetition: seconds instead of minutes."},
    {.name = "large", .kind = CLI_SWITCH,
     .help = "Also a scan of 1,100,000 patterns of 144x144 pixels, 22.8 GB in DIR; kernels on 49,152 patterns."},
    {.name = "only", .kind = CLI_CHOICE, .value = "kernels|stages|decode|scans|large|scaling|peers",
     .help = "One part beside the limits of the machine; large: the scan of --large alone."},
    {.name = "scaling", .kind = CLI_SWITCH,
     .help = "Also how time grows with positions, components and pixels, and with one thread; minutes."},
    {.name = "peers", .kind = CLI_FILE, .value = "PYTHON",
     .help = "Also scikit-learn and HyperSpy on the same problems, in the Python environment of this "
             "interpreter; half an hour."},
    {.name = "keep", .kind = CLI_SWITCH, .help = "Keep generated scans in DIR, and take those that are there."},
    {0}};

static um_status take_size(cli *c, const char *name, int64_t *rows, int64_t *columns)
{
    long long r = 0, s = 0;
    char rest = 0;
    if (!cli_given(c, name)) {
        return UM_OK;
    }
    if (sscanf(cli_text(c, name), "%lldx%lld%c", &r, &s, &rest) != 2 || r < 1 || s < 1) {
        return cli_fail(c, UM_ERROR_ARGUMENT, "--%s takes rows x columns such as 64x128, not '%s'",
                        name, cli_text(c, name));
    }
    *rows = r;
    *columns = s;
    return UM_OK;
}

static bool wanted(const cli *c, const char *part, bool otherwise)
{
    const char *only = cli_text(c, "only");
    return only != NULL ? strcmp(only, part) == 0 : otherwise;
}

static um_status measure(bench *b)
{
    cli *c = b->c;
    const bench_scan small = {"small", 64, 64, 96, 96, UM_U8, 2000.0, NULL};
    const bench_scan large = {"large", 1100, 1000, 144, 144, UM_U8, 2000.0, NULL};
    const bench_scan tiny = {"tiny", 24, 24, 40, 40, UM_U8, 400.0, NULL};
    bench_scan medium = {"medium", 256, 256, 128, 128, UM_U8, 2000.0, NULL};
    medium = b->quick ? tiny : medium;
    um_status status = take_size(c, "size", &medium.ny, &medium.nx);
    status = status == UM_OK ? take_size(c, "pattern-size", &medium.ky, &medium.kx) : status;
    status = status == UM_OK ? bench_machine(b) : status;
    if (status == UM_OK && wanted(c, "kernels", true)) {
        status = bench_kernels(b, cli_given(c, "large"));
    }
    if (status == UM_OK && wanted(c, "stages", true)) {
        bench_scan scan = medium;
        status = bench_stages(b, &scan);
    }
    if (status == UM_OK && wanted(c, "decode", true)) {
        bench_scan scan = medium;
        status = bench_decode(b, &scan);
    }
    if (status == UM_OK && wanted(c, "scans", true)) {
        bench_scan scans[] = {medium, small, large};
        status = bench_scans(b, scans, cli_given(c, "large") ? 3 : b->quick ? 1 : 2);
    }
    if (status == UM_OK && wanted(c, "large", false)) {
        bench_scan scan = large;
        status = bench_scans(b, &scan, 1);
    }
    if (status == UM_OK && wanted(c, "scaling", cli_given(c, "scaling"))) {
        status = bench_scaling(b);
    }
    if (status == UM_OK && wanted(c, "peers", cli_given(c, "peers"))) {
        status = bench_peers(b, cli_given(c, "peers") ? cli_text(c, "peers") : "python3");
    }
    return status;
}

static um_status run(cli *c)
{
    bench b = {.c = c,
               .dir = cli_text(c, "dir"),
               .threads = um_context_threads(c->ctx),
               .k = cli_integer(c, "components"),
               .quick = cli_given(c, "quick"),
               .keep = cli_given(c, "keep")};
    um_status status = cli_check_folder(c, b.dir);
    if (status != UM_OK) {
        return status;
    }
    b.report = json_object();
    status = measure(&b);
    if (status != UM_OK) {
        json_decref(b.report);
        return status;
    }
    if (c->json) {
        return cli_print_json(c, b.report);
    }
    bench_text(c, b.report);
    json_decref(b.report);
    return UM_OK;
}

const cli_command cli_command_bench = {
    .name = "bench",
    .summary = "measure this build on this machine",
    .operands = NULL,
    .description =
        "Measures what the machine can do (memory, multiply-adds, file) and then kernels, stages, decoding and "
        "whole factorisations of generated scans, in the same run, as fractions of those limits. Times are of "
        "one run, best of three where they are short: other work on the machine shows. Generated scans are "
        "removed at the end.\n\n"
        "Whole factorisations are runs of this tool as a process of its own, from start to the written result. "
        "A read is one visit of every pattern.",
    .examples = "unmix bench # a table\n"
                "unmix bench --dir /data --large --json # machine, limits, stages, decode, scans\n"
                "unmix bench --only peers --peers .venv/bin/python # against scikit-learn and HyperSpy\n",
    .options = options,
    .least_operands = 0,
    .most_operands = 0,
    .run = run,
};
