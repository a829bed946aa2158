#include "context_internal.h"

#include "build_config.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cores_available(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        return CPU_COUNT(&set);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

size_t um_memory_available(void)
{
    const size_t fallback = (size_t)4 << 30;
    FILE *file = fopen("/proc/meminfo", "r");
    if (file == NULL) {
        return fallback;
    }
    char line[256];
    unsigned long long kib = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1) {
            break;
        }
    }
    fclose(file);
    return kib == 0 ? fallback : (size_t)kib * 1024;
}

um_status um_context_create(um_context **out)
{
    *out = NULL;
    um_context *ctx = calloc(1, sizeof *ctx);
    if (ctx == NULL) {
        return UM_ERROR_MEMORY;
    }
    if (pthread_mutex_init(&ctx->lock, NULL) != 0) {
        free(ctx);
        return UM_ERROR_INTERNAL;
    }
    ctx->threads = cores_available();
    ctx->memory = um_memory_available() / 2;
    ctx->isa = um_isa_choose();
    um_comm_serial(&ctx->comm);
    atomic_init(&ctx->cancelled, false);
    atomic_init(&ctx->in_use, 0);
    atomic_init(&ctx->peak, 0);
    *out = ctx;
    return UM_OK;
}

void um_context_free(um_context *ctx)
{
    if (ctx == NULL) {
        return;
    }
    pthread_mutex_destroy(&ctx->lock);
    free(ctx->build);
    free(ctx);
}

void um_context_set_threads(um_context *ctx, int threads)
{
    ctx->threads = threads > 0 ? threads : cores_available();
}

int um_context_threads(const um_context *ctx)
{
    return ctx->threads;
}

void um_context_set_memory(um_context *ctx, size_t bytes)
{
    ctx->memory = bytes > 0 ? bytes : um_memory_available() / 2;
}

size_t um_context_memory(const um_context *ctx)
{
    return ctx->memory;
}

size_t um_context_memory_in_use(const um_context *ctx)
{
    return atomic_load(&ctx->in_use);
}

size_t um_context_memory_peak(const um_context *ctx)
{
    return atomic_load(&ctx->peak);
}

void um_context_set_seed(um_context *ctx, uint64_t seed)
{
    ctx->seed = seed;
}

uint64_t um_context_seed(const um_context *ctx)
{
    return ctx->seed;
}

const um_comm *um_context_comm(const um_context *ctx)
{
    return &ctx->comm;
}

um_isa um_context_isa(const um_context *ctx)
{
    return ctx->isa;
}

void um_context_cancel(um_context *ctx)
{
    atomic_store(&ctx->cancelled, true);
}

bool um_context_cancelled(const um_context *ctx)
{
    return atomic_load(&ctx->cancelled);
}

void um_context_reset(um_context *ctx)
{
    atomic_store(&ctx->cancelled, false);
}

um_status um_check_cancel(um_context *ctx)
{
    if (um_context_cancelled(ctx)) {
        return um_fail(ctx, UM_CANCELLED, "cancelled");
    }
    return UM_OK;
}

const char *um_version(void)
{
    return UM_VERSION;
}
