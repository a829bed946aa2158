/* unmix version: the version and what the build and the machine are. */
#include "cli.h"

static um_status run(cli *c)
{
    const char *build = um_build_description(c->ctx);
    if (c->json) {
        return cli_print_json(c, json_pack("{s:s, s:s, s:i}", "version", um_version(), "build",
                                           build, "threads", um_context_threads(c->ctx)));
    }
    printf("unmix %s\n%s\n", um_version(), build);
    return UM_OK;
}

const cli_command cli_command_version = {
    .name = "version",
    .summary = "show the version and how it was built",
    .description = "Prints the version, and a line about the build: instruction set in use, BLAS "
                   "and its core, HDF5. The same line goes into the provenance of every result.",
    .hidden_work = true,
    .run = run,
};
