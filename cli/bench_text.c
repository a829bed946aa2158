/* The report of a benchmark for people. */
#include "bench.h"

#include <math.h>
#include <string.h>

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "-";
}

static const char *percent(double fraction, char out[16])
{
    if (isnan(fraction)) {
        return "-";
    }
    snprintf(out, 16, "%.0f %%", 100.0 * fraction);
    return out;
}

static const char *shape_text(const json_t *row, char out[80])
{
    long long size[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        size[i] = (long long)json_integer_value(json_array_get(json_object_get(row, "shape"), i));
    }
    snprintf(out, 80, "%lldx%lld positions, %lldx%lld px, %s", size[0], size[1], size[2], size[3],
             text(row, "dtype"));
    return out;
}

static void machine(cli *c, const json_t *report)
{
    const json_t *m = json_object_get(report, "machine"), *l = json_object_get(report, "limits");
    cli_say(c, "machine   %s, %.0f cores, %.0f threads, memory %s, Linux %s, %s", text(m, "processor"),
            number(m, "cores"), number(m, "threads"), text(m, "memory"), text(m, "system"),
            text(m, "file_system"));
    cli_say(c, "build     %s", text(m, "build"));
    cli_say(c, "limits    memory read %.1f GB/s (one thread %.1f), f32 multiply-add %.0f GFLOP/s (one thread "
               "%.0f, %s)",
            number(l, "memory_read_GBps"), number(l, "memory_read_one_thread_GBps"),
            number(l, "f32_fma_GFLOPS"), number(l, "f32_fma_one_thread_GFLOPS"), text(l, "fma_width"));
}

static void kernels(cli *c, const json_t *list)
{
    size_t i;
    const json_t *row;
    if (json_array_size(list) > 0) {
        cli_say(c, "\nkernels on %.0f patterns of %.0f pixels in memory\n%-12s %-7s %3s %8s %8s %10s %9s %11s  %s",
                number(json_array_get(list, 0), "patterns"), number(json_array_get(list, 0), "pixels"),
                "kernel", "dtype", "k", "density", "GB/s", "of memory", "GFLOP/s", "of f32 FMA", "bound by");
    }
    json_array_foreach (list, i, row) {
        char peak[16], memory[16], times[48] = "";
        if (!isnan(number(row, "times_blas"))) {
            snprintf(times, sizeof times, ", %.1f x one-thread BLAS on floats", number(row, "times_blas"));
        } else if (!isnan(number(row, "times_dense"))) {
            snprintf(times, sizeof times, ", %.2f x the dense pass", number(row, "times_dense"));
        }
        cli_say(c, "%-12s %-7s %3.0f %8.3f %8.2f %10s %9.1f %11s  %s%s", text(row, "name"), text(row, "dtype"),
                number(row, "k"), number(row, "density"), number(row, "GBps"),
                percent(number(row, "of_memory_read"), memory), number(row, "GFLOPS"),
                percent(number(row, "of_f32_fma"), peak), text(row, "bound_by"), times);
    }
}

static void stages(cli *c, const json_t *report)
{
    size_t i;
    const json_t *row, *scan = json_object_get(report, "stage_scan");
    char shape[80], disk[16], cached[16];
    if (scan == NULL) {
        return;
    }
    cli_say(c, "\nstages on %s: file %.2f GB/s cold, %.2f GB/s cached", shape_text(scan, shape),
            number(scan, "file_read_GBps"), number(scan, "file_cached_GBps"));
    cli_say(c, "%-22s %8s %6s %12s %8s %9s %9s %9s  %s", "stage", "seconds", "reads", "patterns/s", "GB/s",
            "of cold", "of cached", "GFLOP/s", "bound by");
    json_array_foreach (json_object_get(report, "stages"), i, row) {
        char flops[24] = "-";
        if (!isnan(number(row, "GFLOPS"))) {
            snprintf(flops, sizeof flops, "%.1f", number(row, "GFLOPS"));
        }
        cli_say(c, "%-22s %8.3f %6.0f %12.0f %8.2f %9s %9s %9s  %s", text(row, "name"), number(row, "seconds"),
                number(row, "reads"), number(row, "patterns_per_second"), number(row, "GBps"),
                percent(number(row, "of_file_read"), disk), percent(number(row, "of_cached_read"), cached),
                flops, text(row, "bound_by"));
    }
}

static void decode(cli *c, const json_t *list)
{
    size_t i;
    const json_t *row;
    if (json_array_size(list) > 0) {
        cli_say(c, "\n%-12s %10s %10s %10s %8s %9s %6s %10s %s", "compressed", "file", "decode s", "GB/s",
                "sums s", "/ decode", "reads", "nmf s", "nmf / decoding as often");
    }
    json_array_foreach (list, i, row) {
        char size[32];
        cli_say(c, "%-12s %10s %10.3f %10.2f %8.3f %9.2f %6.2f %10.2f %.2f", text(row, "compression"),
                cli_bytes_text(number(row, "file_bytes"), size), number(row, "decode_seconds"),
                number(row, "decode_GBps"), number(row, "sums_seconds"), number(row, "sums_of_decoding"),
                number(row, "reads"), number(row, "nmf_seconds"),
                number(row, "of_decoding_as_often"));
    }
}

static void scans(cli *c, const json_t *list)
{
    size_t i, j;
    const json_t *scan, *run;
    char shape[80], peak[32];
    json_array_foreach (list, i, scan) {
        cli_say(c, "\nnmf, %s scan: %s, k = %.0f; one cold read %.2f s past the page cache, %.2f s through it",
                text(scan, "name"), shape_text(scan, shape), number(scan, "k"),
                number(scan, "read_direct_seconds"), number(scan, "read_buffered_seconds"));
        cli_say(c, "%-12s %-9s %8s %8s %6s %7s %10s %14s", "from", "memory", "seconds", "cpu s", "reads",
                "passes", "peak", "of one read");
        json_array_foreach (json_object_get(scan, "runs"), j, run) {
            cli_say(c, "%-12s %-9s %8.2f %8.2f %6.2f %7.0f %10s %14.2f", text(run, "from"),
                    text(run, "memory"), number(run, "seconds"), number(run, "cpu_seconds"),
                    number(run, "reads"), number(run, "passes"),
                    cli_bytes_text(number(run, "peak_bytes"), peak), number(run, "of_one_read"));
        }
    }
}

static void scaling(cli *c, const json_t *list)
{
    size_t i, j;
    const json_t *sweep, *point;
    json_array_foreach (list, i, sweep) {
        cli_say(c, "\nover %s: time grows with the power %.2f, per pass %.2f", text(sweep, "over"),
                number(sweep, "slope"), number(sweep, "slope_per_pass"));
        cli_say(c, "%12s %8s %11s %8s %6s %7s", text(sweep, "over"), "seconds", "one thread", "speed-up",
                "reads", "passes");
        json_array_foreach (json_object_get(sweep, "points"), j, point) {
            cli_say(c, "%12.0f %8.2f %11.2f %8.2f %6.2f %7.0f", number(point, text(sweep, "over")),
                    number(point, "seconds"), number(point, "one_thread_seconds"), number(point, "speedup"),
                    number(point, "reads"), number(point, "passes"));
        }
    }
}

static void peers(cli *c, const json_t *list)
{
    size_t i;
    const json_t *row;
    char peak[32], ours[32];
    json_array_foreach (list, i, row) {
        cli_say(c, "\n%s %s, %s", text(row, "peer"), text(row, "version"), text(row, "problem"));
        cli_say(c, "  %s", text(row, "compared"));
        cli_say(c, "  seconds      %10.2f, unmix %8.2f: %.1f times as fast", number(row, "peer_seconds"),
                number(row, "unmix_seconds"), number(row, "time_ratio"));
        cli_say(c, "  peak memory  %10s, unmix %8s: %.1f times less", cli_bytes_text(number(row, "peer_peak_bytes"), peak),
                cli_bytes_text(number(row, "unmix_peak_bytes"), ours), number(row, "memory_ratio"));
        cli_say(c, "  objective    %.8g, unmix %.8g", number(row, "peer_objective"),
                number(row, "unmix_objective"));
    }
}

void bench_text(cli *c, const json_t *report)
{
    machine(c, report);
    kernels(c, json_object_get(report, "kernels"));
    stages(c, report);
    decode(c, json_object_get(report, "decode"));
    scans(c, json_object_get(report, "scans"));
    scaling(c, json_object_get(report, "scaling"));
    peers(c, json_object_get(report, "peers"));
}
