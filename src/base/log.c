/* Messages, log and progress: all leave the library through the context's callbacks. */
#include "context_internal.h"

#include <string.h>

static void put_message(um_context *ctx, const char *format, va_list arguments)
{
    vsnprintf(ctx->message, sizeof ctx->message, format, arguments);
    for (char *c = ctx->message; *c != '\0'; c++) {
        if (*c == '\n' || *c == '\r') {
            *c = ' ';
        }
    }
}

um_status(um_fail)(um_context *ctx, um_status status, const char *format, ...)
{
    pthread_mutex_lock(&ctx->lock);
    if (!ctx->in_parallel || !ctx->message_taken) {
        va_list arguments;
        va_start(arguments, format);
        put_message(ctx, format, arguments);
        va_end(arguments);
        ctx->message_taken = true;
    }
    pthread_mutex_unlock(&ctx->lock);
    return status;
}

void um_context_parallel_begin(um_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->in_parallel = true;
    ctx->message_taken = false;
    pthread_mutex_unlock(&ctx->lock);
}

void um_context_parallel_end(um_context *ctx)
{
    pthread_mutex_lock(&ctx->lock);
    ctx->in_parallel = false;
    pthread_mutex_unlock(&ctx->lock);
}

const char *um_context_message(const um_context *ctx)
{
    return ctx->message;
}

void um_context_set_log(um_context *ctx, um_log_fn log, void *user)
{
    ctx->log = log;
    ctx->log_user = user;
}

static void log_line(um_context *ctx, um_log_level level, const char *format, va_list arguments)
{
    if (ctx->log == NULL) {
        return;
    }
    char line[UM_MESSAGE_SIZE];
    vsnprintf(line, sizeof line, format, arguments);
    pthread_mutex_lock(&ctx->lock);
    ctx->log(ctx->log_user, level, line);
    pthread_mutex_unlock(&ctx->lock);
}

void um_warn(um_context *ctx, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(ctx, UM_LOG_WARNING, format, arguments);
    va_end(arguments);
}

void um_info(um_context *ctx, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(ctx, UM_LOG_INFO, format, arguments);
    va_end(arguments);
}

void um_debug(um_context *ctx, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line(ctx, UM_LOG_DEBUG, format, arguments);
    va_end(arguments);
}

void um_context_set_progress(um_context *ctx, um_progress_fn progress, void *user)
{
    ctx->progress_fn = progress;
    ctx->progress_user = user;
}

static void tell(um_context *ctx, double now)
{
    um_progress *p = &ctx->progress;
    p->seconds = now - ctx->progress_start;
    p->rate = p->seconds > 0 ? (double)p->done / p->seconds : 0;
    p->eta_seconds = -1;
    if (p->total > 0 && p->done > 0) {
        p->eta_seconds = p->seconds * (double)(p->total - p->done) / (double)p->done;
    }
    ctx->progress_last = now;
    ctx->progress_fn(ctx->progress_user, p);
}

void um_progress_begin(um_context *ctx, const char *stage, const char *unit, int64_t total)
{
    if (ctx->progress_fn == NULL) {
        return;
    }
    pthread_mutex_lock(&ctx->lock);
    ctx->progress = (um_progress){.stage = stage, .unit = unit, .total = total};
    ctx->progress_start = um_seconds();
    tell(ctx, ctx->progress_start);
    pthread_mutex_unlock(&ctx->lock);
}

void um_progress_add(um_context *ctx, int64_t done)
{
    if (ctx->progress_fn == NULL) {
        return;
    }
    const double interval = 0.1;
    pthread_mutex_lock(&ctx->lock);
    ctx->progress.done += done;
    double now = um_seconds();
    if (now - ctx->progress_last >= interval) {
        tell(ctx, now);
    }
    pthread_mutex_unlock(&ctx->lock);
}

void um_progress_end(um_context *ctx)
{
    if (ctx->progress_fn == NULL) {
        return;
    }
    pthread_mutex_lock(&ctx->lock);
    ctx->progress.finished = true;
    tell(ctx, um_seconds());
    pthread_mutex_unlock(&ctx->lock);
}
