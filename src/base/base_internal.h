/* What every module may use of base, not installed. */
#ifndef UM_BASE_INTERNAL_H
#define UM_BASE_INTERNAL_H

#include "unmix/base.h"

#include <stdarg.h>
#include <stdio.h>

/* Sets the context's message and returns `status`, so: return um_fail(ctx, UM_ERROR_FORMAT, ...).
 * Thread-safe; while work runs in several threads the first message stays. The sentence names the
 * file, the dataset or option, the value, and what to do. */
UM_PRINTF(3, 4) um_status um_fail(um_context *ctx, um_status status, const char *format, ...);
#ifdef __clang_analyzer__ /* make lint looks at one file at a time: it has to see that a failure is one */
#define um_fail(ctx, status, ...) ((um_fail)(ctx, status, __VA_ARGS__), (status))
#endif
UM_PRINTF(2, 3) void um_warn(um_context *ctx, const char *format, ...);
UM_PRINTF(2, 3) void um_info(um_context *ctx, const char *format, ...);
UM_PRINTF(2, 3) void um_debug(um_context *ctx, const char *format, ...);

/* The only macro with control flow: hands a failure upwards. Use goto cleanup where things are held. */
#define UM_TRY(expression)                                                                         \
    do {                                                                                           \
        um_status um_try_status_ = (expression);                                                   \
        if (um_try_status_ != UM_OK) {                                                             \
            return um_try_status_;                                                                 \
        }                                                                                          \
    } while (0)

/* Budgeted buffers, 64-byte aligned, zeroed. `what` names the use in the refusal. um_buffer_free
 * takes NULL. Small objects come from plain calloc. Both are thread-safe. */
UM_CHECK um_status um_buffer_alloc(um_context *ctx, size_t count, size_t size, const char *what,
                                   void *out);
void um_buffer_free(um_context *ctx, void *buffer);
/* Refuses, naming the number, when `bytes` more would pass the budget: what plans end with. */
UM_CHECK um_status um_budget_require(um_context *ctx, size_t bytes, const char *what);

/* Who holds budgeted memory that it can do without: asked for it before an allocation is refused. give()
 * frees about so many bytes, or less; it may be called from any thread that allocates. */
typedef struct um_reclaimer {
    void (*give)(void *user, size_t bytes);
    void *user;
    struct um_reclaimer *next;
} um_reclaimer;
void um_context_add_reclaimer(um_context *ctx, um_reclaimer *reclaimer);
void um_context_remove_reclaimer(um_context *ctx, um_reclaimer *reclaimer);

/* Products and sums of sizes that come from a file. False on overflow. */
bool um_mul_size(size_t a, size_t b, size_t *out);
bool um_add_size(size_t a, size_t b, size_t *out);
/* a*b*c*d for non-negative int64 factors with result in size_t; false on overflow or a negative. */
bool um_mul4(int64_t a, int64_t b, int64_t c, int64_t d, size_t *out);

/* Progress of one stage; nesting is not supported: the inner stage ends before the outer goes on. */
void um_progress_begin(um_context *ctx, const char *stage, const char *unit, int64_t total);
void um_progress_add(um_context *ctx, int64_t done);
void um_progress_end(um_context *ctx);
/* UM_CANCELLED (with its message) once cancel was asked for, else UM_OK. */
UM_CHECK um_status um_check_cancel(um_context *ctx);

double um_seconds(void);           /* monotonic clock */
size_t um_resident_peak(void);     /* peak resident set of the process, bytes */
char *um_strdup(const char *text); /* NULL stays NULL */
/* Bytes of memory that the system can give without taking them from anyone; a guess where it does not tell. */
size_t um_memory_available(void);
UM_PRINTF(1, 2) char *um_format(const char *format, ...); /* malloc'ed text; NULL if no memory */
bool um_has_suffix(const char *path, const char *suffix);  /* ASCII case is ignored */

int um_compare_f64(const void *a, const void *b); /* for qsort, lowest first; no NaN */
double um_median(double *values, size_t count);   /* sorts them; 0 of none */

/* Ordered, bounded pipeline. work(user, item, worker) runs in any of `threads` workers, items taken
 * in increasing order; finish(user, item, worker) runs one at a time, strictly in item order, in the
 * worker that did the work, before that worker takes another item. So at most `threads` items are in
 * flight, a result is still in its worker's own scratch when it is finished, and every reduction done
 * in finish has one order whatever the number of threads. The first failure (or cancel) stops it. */
typedef um_status (*um_pipeline_fn)(void *user, int64_t item, int worker);
UM_CHECK um_status um_pipeline_run(um_context *ctx, int64_t items, int threads, um_pipeline_fn work,
                                   um_pipeline_fn finish, void *user);

/* Philox-4x32-10: the four words of counter c under key (seed, stream). */
typedef struct um_random {
    uint64_t seed, stream;
} um_random;
void um_random_words(um_random random, uint64_t counter, uint32_t words[4]);
double um_random_uniform(um_random random, uint64_t counter);                /* [0, 1), 53 bits */
void um_random_normal2(um_random random, uint64_t counter, double pair[2]); /* two N(0,1) */
/* Poisson variate of the given mean (inversion below 10, transformed rejection above); draws its words
 * from the sub-stream (counter, attempt), so it is a pure function of (random, counter, mean). */
uint64_t um_random_poisson(um_random random, uint64_t counter, double mean);
/* Streams, so that no two uses share numbers. */
enum um_random_stream {
    UM_STREAM_SVD_SKETCH = 1,
    UM_STREAM_NMF_START,
    UM_STREAM_COUNTS,
    UM_STREAM_LAYOUT,
    UM_STREAM_TEST,
    UM_STREAM_FILL,
    UM_STREAM_DRAWS,
    UM_STREAM_PATTERNS,
    UM_STREAM_SAMPLE,
    UM_STREAM_SPECIMEN,
    UM_STREAM_DETECTOR,
    UM_STREAM_HOT,
    UM_STREAM_READ,
    UM_STREAM_DESCAN,
    UM_STREAM_CLUSTER,
    UM_STREAM_CLUSTER_SAMPLE,
    UM_STREAM_CLUSTER_BATCH,
    UM_STREAM_CLUSTER_REFERENCE,
    UM_STREAM_SPLIT,
    UM_STREAM_SPLIT_BINNED,
    UM_STREAM_ICA,
    UM_STREAM_SPOTCHECK,
    UM_STREAM_SIGNS,
    UM_STREAM_ENTRIES,
    UM_STREAM_IDENTIFY
};

/* What solvers ask of a group of ranks; serial now, so that no solver ever names MPI. */
typedef struct um_comm um_comm;
struct um_comm {
    int rank, size;
    um_status (*sum_f64)(const um_comm *comm, double *values, size_t count); /* in place, fixed tree */
    um_status (*max_f64)(const um_comm *comm, double *values, size_t count);
    um_status (*broadcast)(const um_comm *comm, void *bytes, size_t count, int root);
};
const um_comm *um_context_comm(const um_context *ctx);

/* Instruction set chosen at context creation: the best the CPU has, or UNMIX_ISA=scalar|avx2|avx512. */
/* Each holds those before it. */
typedef enum um_isa { UM_ISA_SCALAR, UM_ISA_AVX2, UM_ISA_AVX512, UM_ISA_VNNI, UM_ISA_AMX } um_isa;
um_isa um_context_isa(const um_context *ctx);
const char *um_isa_name(um_isa isa);

#endif
