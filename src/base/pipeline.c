/* Ordered, bounded pipeline: see base_internal.h. A worker holds its result until its turn to finish,
 * so the number of threads bounds what is in flight, and there is nothing to copy or queue. */
#include "context_internal.h"

#include <stdlib.h>

typedef struct pipeline {
    um_context *ctx;
    um_pipeline_fn work, finish;
    void *user;
    int64_t items;
    pthread_mutex_t lock;
    pthread_cond_t turn_changed;
    int64_t next; /* to be taken */
    int64_t turn; /* to be finished */
    um_status status;
} pipeline;

typedef struct worker {
    pipeline *pipe;
    int index;
} worker;

static bool stopped(pipeline *pipe)
{
    if (pipe->status == UM_OK && um_context_cancelled(pipe->ctx)) {
        pipe->status = um_check_cancel(pipe->ctx);
    }
    return pipe->status != UM_OK;
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    pipeline *pipe = self->pipe;
    pthread_mutex_lock(&pipe->lock);
    while (!stopped(pipe) && pipe->next < pipe->items) {
        int64_t item = pipe->next++;
        pthread_mutex_unlock(&pipe->lock);
        um_status status = pipe->work(pipe->user, item, self->index);
        pthread_mutex_lock(&pipe->lock);
        if (status != UM_OK && pipe->status == UM_OK) {
            pipe->status = status;
        }
        while (!stopped(pipe) && pipe->turn != item) {
            pthread_cond_wait(&pipe->turn_changed, &pipe->lock);
        }
        if (!stopped(pipe) && pipe->finish != NULL) {
            pthread_mutex_unlock(&pipe->lock); /* turn still keeps every other item out */
            status = pipe->finish(pipe->user, item, self->index);
            pthread_mutex_lock(&pipe->lock);
            if (status != UM_OK && pipe->status == UM_OK) {
                pipe->status = status;
            }
        }
        pipe->turn = item + 1;
        pthread_cond_broadcast(&pipe->turn_changed);
    }
    pthread_cond_broadcast(&pipe->turn_changed);
    pthread_mutex_unlock(&pipe->lock);
    return NULL;
}

um_status um_pipeline_run(um_context *ctx, int64_t items, int threads, um_pipeline_fn work,
                          um_pipeline_fn finish, void *user)
{
    if (threads < 1) {
        threads = 1;
    }
    if (items < threads) {
        threads = items > 0 ? (int)items : 1;
    }
    pipeline pipe = {
        .ctx = ctx, .work = work, .finish = finish, .user = user, .items = items, .status = UM_OK};
    worker *workers = calloc((size_t)threads, sizeof *workers);
    pthread_t *handles = calloc((size_t)threads, sizeof *handles);
    if (workers == NULL || handles == NULL) {
        free(workers);
        free(handles);
        return um_fail(ctx, UM_ERROR_MEMORY, "no memory for %d workers", threads);
    }
    pthread_mutex_init(&pipe.lock, NULL);
    pthread_cond_init(&pipe.turn_changed, NULL);
    um_context_parallel_begin(ctx);
    int started = 0;
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){&pipe, i};
    }
    /* The caller is worker 0; a thread that can't be had is done without. */
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&handles[i], NULL, worker_main, &workers[i]) != 0) {
            break;
        }
        started = i;
    }
    worker_main(&workers[0]);
    for (int i = 1; i <= started; i++) {
        pthread_join(handles[i], NULL);
    }
    um_context_parallel_end(ctx);
    pthread_cond_destroy(&pipe.turn_changed);
    pthread_mutex_destroy(&pipe.lock);
    free(workers);
    free(handles);
    return pipe.status;
}
