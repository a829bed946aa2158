/* The machine block and the limits of the report. */
#include "bench.h"

#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

/* First value of `key` in a file of lines "key : value". */
static void value_in(const char *path, const char *key, char out[128])
{
    FILE *file = fopen(path, "r");
    char line[512];
    snprintf(out, 128, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) == 0 && colon != NULL) {
            colon += 1 + strspn(colon + 1, " \t");
            snprintf(out, 128, "%.*s", (int)strcspn(colon, "\n"), colon);
            break;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

static const char *file_system(const char *dir)
{
    static const struct {
        long magic;
        const char *name;
    } known[] = {{0xEF53, "ext4"},          {0x58465342, "xfs"}, {0x9123683E, "btrfs"},
                 {0x01021994, "tmpfs"},     {0x6969, "nfs"},     {0x794c7630, "overlayfs"},
                 {0x2FC12FC1, "zfs"}};
    struct statfs info;
    if (statfs(dir, &info) == 0) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            if (known[i].magic == (long)info.f_type) {
                return known[i].name;
            }
        }
    }
    return "unknown";
}

um_status bench_machine(bench *b)
{
    char processor[128], memory[128];
    struct utsname system;
    bench_limits *l = &b->limits;
    um_status status = bench_memory_and_arithmetic(b->c, b->threads, l);
    if (status != UM_OK) {
        return status;
    }
    value_in("/proc/cpuinfo", "model name", processor);
    value_in("/proc/meminfo", "MemTotal", memory);
    uname(&system);
    json_object_set_new(
        b->report, "machine",
        json_pack("{s:o, s:i, s:i, s:s, s:s, s:s, s:s, s:s}", "processor", cli_json_text(processor),
                  "cores", (int)sysconf(_SC_NPROCESSORS_ONLN), "threads", b->threads, "memory", memory,
                  "system", system.release, "file_system", file_system(b->dir), "version", um_version(),
                  "build", um_build_description(b->c->ctx)));
    json_object_set_new(
        b->report, "limits",
        json_pack("{s:f, s:f, s:f, s:f, s:s}", "memory_read_GBps", l->memory_read_GBps[1],
                  "memory_read_one_thread_GBps", l->memory_read_GBps[0], "f32_fma_GFLOPS",
                  l->f32_fma_GFLOPS[1], "f32_fma_one_thread_GFLOPS", l->f32_fma_GFLOPS[0], "fma_width",
                  l->fma_width));
    return UM_OK;
}
