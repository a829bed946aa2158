#include "fuzz_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static char last_path[128];

static void remove_folder(void)
{
    if (folder[0] != '\0') {
        char command[128];
        snprintf(command, sizeof command, "rm -rf '%s'", folder);
        if (system(command) != 0) {
            fprintf(stderr, "%s: could not be removed\n", folder);
        }
    }
}

const char *fuzz_file(const char *name, const uint8_t *data, size_t size)
{
    if (folder[0] == '\0') {
        const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        snprintf(folder, sizeof folder, "%s/unmix-fuzz-XXXXXX", base);
        if (mkdtemp(folder) == NULL) {
            perror(folder);
            abort();
        }
        atexit(remove_folder);
    }
    snprintf(last_path, sizeof last_path, "%s/%s", folder, name);
    int fd = open(last_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        perror(last_path);
        abort();
    }
    close(fd);
    return last_path;
}

um_context *fuzz_context(void)
{
    um_context *ctx = NULL;
    if (um_context_create(&ctx) != UM_OK) {
        abort();
    }
    um_context_set_threads(ctx, 1);
    um_context_set_memory(ctx, (size_t)64 << 20);
    return ctx;
}

void fuzz_need_message(um_context *ctx, um_status status, const char *call)
{
    const char *message = um_context_message(ctx);
    if (status != UM_OK && (message[0] == '\0' || strchr(message, '\n') != NULL)) {
        fprintf(stderr, "%s failed with %s and the message '%s': one line is promised\n", call,
                um_status_name(status), message);
        abort();
    }
}

static void read_rect(um_context *ctx, um_source *source, um_rect rect, size_t pattern)
{
    void *patterns = malloc(pattern * (size_t)rect.ny * (size_t)rect.nx);
    if (patterns == NULL) {
        abort();
    }
    um_status status = um_source_read(source, rect, patterns);
    fuzz_need_message(ctx, status, "um_source_read");
    free(patterns);
}

void fuzz_scan(um_context *ctx, const char *path, const um_open_options *options)
{
    um_source *source = NULL;
    um_status status = um_source_open(ctx, path, options, &source);
    fuzz_need_message(ctx, status, "um_source_open");
    if (status != UM_OK) {
        return;
    }
    const um_source_info *info = um_source_get_info(source);
    const um_shape shape = info->shape;
    if (um_source_metadata(source) == NULL || shape.ny < 1 || shape.nx < 1 || shape.ky < 1 ||
        shape.kx < 1) {
        abort(); /* what is open has a shape and metadata */
    }
    size_t pixels = (size_t)shape.ky * (size_t)shape.kx;
    if (pixels <= (size_t)1 << 22) {
        size_t pattern = pixels * um_dtype_size(info->dtype);
        const um_rect one[3] = {{0, 0, 1, 1},
                                {shape.ny / 2, shape.nx / 2, 1, 1},
                                {shape.ny - 1, shape.nx - 1, 1, 1}};
        for (int i = 0; i < 3; i++) {
            int64_t position = one[i].y0 * shape.nx + one[i].x0;
            if (position < info->positions_present) {
                read_rect(ctx, source, one[i], pattern);
            }
        }
        if ((double)pattern * (double)shape.ny * (double)shape.nx < 1e6 &&
            info->positions_present == shape.ny * shape.nx) {
            read_rect(ctx, source, (um_rect){0, 0, shape.ny, shape.nx}, pattern);
        }
    }
    um_source_free(source);
}
