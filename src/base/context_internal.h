/* The inside of a context: base only. */
#ifndef UM_CONTEXT_INTERNAL_H
#define UM_CONTEXT_INTERNAL_H

#include "base_internal.h"

#include <pthread.h>
#include <stdatomic.h>

enum { UM_MESSAGE_SIZE = 1024 };

struct um_context {
    int threads;
    uint64_t seed;
    um_isa isa;
    um_comm comm;

    pthread_mutex_t lock; /* message, log and progress */
    char message[UM_MESSAGE_SIZE];
    bool in_parallel; /* workers run: the first message stays */
    bool message_taken;

    um_log_fn log;
    void *log_user;

    um_progress_fn progress_fn;
    void *progress_user;
    um_progress progress;
    double progress_start, progress_last;

    atomic_bool cancelled;

    size_t memory;
    atomic_size_t in_use, peak;
    um_reclaimer *reclaimers;

    char *build;
};

/* Between these two the first failure's message is kept. */
void um_context_parallel_begin(um_context *ctx);
void um_context_parallel_end(um_context *ctx);
void um_comm_serial(um_comm *comm);
um_isa um_isa_choose(void);

#endif
