/* Other programs on the same problem: bench_peers.py in a Python environment that has them. */
#include "bench.h"

#include <string.h>
#include <unistd.h>

/* bench_peers.py as a string, made by tools/embed.py. */
extern const char bench_peers_program[];

um_status bench_peers(bench *b, const char *python)
{
    char tool[4096] = "", threads[24];
    bench_child child;
    if (readlink("/proc/self/exe", tool, sizeof tool - 1) < 0) {
        return cli_fail(b->c, UM_ERROR_IO, "the path of this tool cannot be found");
    }
    snprintf(threads, sizeof threads, "%d", b->threads);
    const char *words[] = {"-c", bench_peers_program, "--unmix", tool, "--dir", b->dir, "--threads",
                           threads, b->quick ? "--quick" : NULL, NULL};
    um_status status = bench_run(b->c, python, words, &child);
    if (status == UM_OK) {
        json_object_set_new(b->report, "peers", child.output);
    }
    return status;
}
