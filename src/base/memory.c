/* The memory budget: large buffers are counted, and refused before the system has to. */
#include "context_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

/* Stands in front of each buffer, one alignment unit long. */
typedef struct buffer_head {
    size_t bytes;
} buffer_head;

bool um_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

bool um_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

bool um_mul4(int64_t a, int64_t b, int64_t c, int64_t d, size_t *out)
{
    if (a < 0 || b < 0 || c < 0 || d < 0) {
        return false;
    }
    size_t product = (size_t)a;
    return um_mul_size(product, (size_t)b, &product) && um_mul_size(product, (size_t)c, &product) &&
           um_mul_size(product, (size_t)d, out) && *out <= (size_t)INT64_MAX;
}

void um_context_add_reclaimer(um_context *ctx, um_reclaimer *reclaimer)
{
    reclaimer->next = ctx->reclaimers;
    ctx->reclaimers = reclaimer;
}

void um_context_remove_reclaimer(um_context *ctx, um_reclaimer *reclaimer)
{
    um_reclaimer **at = &ctx->reclaimers;
    while (*at != NULL && *at != reclaimer) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = reclaimer->next;
    }
}

/* What would be in use with `bytes` more, after asking for what can be given back if that is too much.
 * False when it overflows. */
static bool used_with(um_context *ctx, size_t bytes, size_t *needed)
{
    bool ok = um_add_size(atomic_load(&ctx->in_use), bytes, needed);
    for (um_reclaimer *r = ctx->reclaimers; ok && r != NULL && *needed > ctx->memory; r = r->next) {
        r->give(r->user, *needed - ctx->memory);
        ok = um_add_size(atomic_load(&ctx->in_use), bytes, needed);
    }
    return ok;
}

um_status um_budget_require(um_context *ctx, size_t bytes, const char *what)
{
    size_t needed = 0;
    if (!used_with(ctx, bytes, &needed)) {
        return um_fail(ctx, UM_ERROR_BUDGET, "%s: the size overflows", what);
    }
    if (needed > ctx->memory) {
        return um_fail(ctx, UM_ERROR_BUDGET,
                       "%s: needs %.4g MB of memory in all but the budget is %.4g MB: pass "
                       "--memory %.0fM, or bin or crop the scan",
                       what, (double)needed / 1e6, (double)ctx->memory / 1e6,
                       (double)(needed / 1000000 + 1));
    }
    return UM_OK;
}

/* Patterns are read along many rows at once, each on pages of its own: large pages, where the system has them to give, spare it
 * looking up each. Only whole ones within the buffer, so that no more than what is counted becomes resident. */
static void ask_for_large_pages(unsigned char *body, size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    uintptr_t first = ((uintptr_t)body + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uintptr_t end = ((uintptr_t)body + bytes) / HUGE_PAGE * HUGE_PAGE;
    if (end > first) {
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE); /* advice only */
    }
#else
    (void)body;
    (void)bytes;
#endif
}

um_status um_buffer_alloc(um_context *ctx, size_t count, size_t size, const char *what, void *out)
{
    void **result = out;
    *result = NULL;
    size_t bytes = 0;
    size_t whole = 0;
    if (!um_mul_size(count, size, &bytes) || !um_add_size(bytes, 2 * ALIGNMENT, &whole)) {
        return um_fail(ctx, UM_ERROR_BUDGET, "%s: the size overflows", what);
    }
    UM_TRY(um_budget_require(ctx, bytes, what));
    whole = whole / ALIGNMENT * ALIGNMENT;
    /* calloc hands out untouched zero pages, so align by hand rather than clear an aligned block. */
    unsigned char *raw = calloc(1, whole + ALIGNMENT);
    if (raw == NULL) {
        return um_fail(ctx, UM_ERROR_MEMORY, "%s: the system has no %.0f MB of memory left", what,
                       (double)bytes / 1e6);
    }
    uintptr_t aligned = ((uintptr_t)raw + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    unsigned char *body = (unsigned char *)aligned;
    memcpy(body - sizeof(void *), &raw, sizeof raw);
    buffer_head head = {bytes};
    memcpy(body - 2 * sizeof(void *), &head, sizeof head);
    ask_for_large_pages(body, bytes);
    size_t used = atomic_fetch_add(&ctx->in_use, bytes) + bytes;
    size_t peak = atomic_load(&ctx->peak);
    while (used > peak && !atomic_compare_exchange_weak(&ctx->peak, &peak, used)) {
    }
    *result = body;
    return UM_OK;
}

void um_buffer_free(um_context *ctx, void *buffer)
{
    if (buffer == NULL) {
        return;
    }
    unsigned char *body = buffer;
    unsigned char *raw = NULL;
    buffer_head head;
    memcpy(&raw, body - sizeof(void *), sizeof raw);
    memcpy(&head, body - 2 * sizeof(void *), sizeof head);
    atomic_fetch_sub(&ctx->in_use, head.bytes);
    free(raw);
}
