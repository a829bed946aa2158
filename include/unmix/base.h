/* unmix/base.h - context, status, log, progress, cancel and the memory budget.
 *
 * Everything hangs on a um_context; the library keeps no global state, never prints, never exits.
 * A context may be used by one caller at a time; um_context_cancel() alone may be called from
 * anywhere, signal handlers included. */
#ifndef UNMIX_BASE_H
#define UNMIX_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define UM_API __attribute__((visibility("default")))
#define UM_CHECK __attribute__((warn_unused_result))
#define UM_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define UM_API
#define UM_CHECK
#define UM_PRINTF(text, first)
#endif

/* name, sentence: what went wrong in general; um_context_message() has the particulars. */
#define UM_STATUS_LIST(X)                                                                          \
    X(UM_OK, "done")                                                                               \
    X(UM_CANCELLED, "cancelled")                                                                   \
    X(UM_ERROR_ARGUMENT, "an option or argument is not valid")                                     \
    X(UM_ERROR_IO, "a file could not be read or written")                                          \
    X(UM_ERROR_FORMAT, "a file does not follow its format")                                        \
    X(UM_ERROR_TRUNCATED, "a file ends before its data")                                           \
    X(UM_ERROR_UNSUPPORTED, "a valid file or request that unmix does not handle")                  \
    X(UM_ERROR_SHAPE, "shapes do not agree")                                                       \
    X(UM_ERROR_VALUE, "data hold values that the method cannot use")                               \
    X(UM_ERROR_EXISTS, "the output exists")                                                        \
    X(UM_ERROR_BUDGET, "the memory budget is too small")                                           \
    X(UM_ERROR_MEMORY, "the system has no more memory")                                            \
    X(UM_ERROR_NUMERIC, "a computation broke down")                                                \
    X(UM_ERROR_INTERNAL, "a defect in unmix")

typedef enum um_status {
#define UM_STATUS_ENUM(name, sentence) name,
    UM_STATUS_LIST(UM_STATUS_ENUM)
#undef UM_STATUS_ENUM
} um_status;

UM_API const char *um_status_name(um_status status);
UM_API const char *um_status_sentence(um_status status);

typedef struct um_context um_context;

/* Creates a context with the defaults: all cores, half of the memory now available, seed 0,
 * no callbacks. The caller frees it after everything made from it. */
UM_CHECK UM_API um_status um_context_create(um_context **out);
UM_API void um_context_free(um_context *ctx);

/* Worker threads; 0 = one per core available to the process. */
UM_API void um_context_set_threads(um_context *ctx, int threads);
UM_API int um_context_threads(const um_context *ctx);

/* Ceiling for the library's large buffers, in bytes; 0 = half of the memory now available. */
UM_API void um_context_set_memory(um_context *ctx, size_t bytes);
UM_API size_t um_context_memory(const um_context *ctx);
/* Bytes of budgeted buffers held now, and the most held at once since creation. */
UM_API size_t um_context_memory_in_use(const um_context *ctx);
UM_API size_t um_context_memory_peak(const um_context *ctx);

/* Seed of every random choice (Philox-4x32-10, counter based: independent of threads and tiles). */
UM_API void um_context_set_seed(um_context *ctx, uint64_t seed);
UM_API uint64_t um_context_seed(const um_context *ctx);

/* One line, no newline, about the last failure: file, what, where, what to do. "" if none.
 * Valid until the next call that uses the context. */
UM_API const char *um_context_message(const um_context *ctx);

typedef enum um_log_level { UM_LOG_WARNING, UM_LOG_INFO, UM_LOG_DEBUG } um_log_level;
typedef void (*um_log_fn)(void *user, um_log_level level, const char *line);
UM_API void um_context_set_log(um_context *ctx, um_log_fn log, void *user);

/* A stage of long work. Calls come from one thread at a time, at most about ten a second and always
 * at the start (done = 0) and at the end (finished = true) of a stage. */
typedef struct um_progress {
    const char *stage;   /* what runs, for people: "pass 3 of the NMF" */
    const char *unit;    /* what is counted: "patterns" */
    int64_t done, total; /* total 0 = unknown */
    double seconds;      /* since the stage began */
    double rate;         /* units per second over the stage */
    double eta_seconds;  /* expected rest of the stage; negative = unknown */
    bool finished;
} um_progress;
typedef void (*um_progress_fn)(void *user, const um_progress *progress);
UM_API void um_context_set_progress(um_context *ctx, um_progress_fn progress, void *user);

/* Asks running work to stop at the next tile with UM_CANCELLED. Async-signal-safe, any thread. */
UM_API void um_context_cancel(um_context *ctx);
UM_API bool um_context_cancelled(const um_context *ctx);
/* Clears a cancel request, so that the context can be used again. */
UM_API void um_context_reset(um_context *ctx);

/* ---- pixel types ---------------------------------------------------------------------------- */

/* enum, bytes, NumPy name, integer? */
#define UM_DTYPE_LIST(X)                                                                           \
    X(UM_U8, 1, "uint8", true)                                                                     \
    X(UM_U16, 2, "uint16", true)                                                                   \
    X(UM_U32, 4, "uint32", true)                                                                   \
    X(UM_I8, 1, "int8", true)                                                                      \
    X(UM_I16, 2, "int16", true)                                                                    \
    X(UM_I32, 4, "int32", true)                                                                    \
    X(UM_F32, 4, "float32", false)                                                                 \
    X(UM_F64, 8, "float64", false)

typedef enum um_dtype {
#define UM_DTYPE_ENUM(name, bytes, text, integer) name,
    UM_DTYPE_LIST(UM_DTYPE_ENUM)
#undef UM_DTYPE_ENUM
        UM_DTYPE_COUNT
} um_dtype;

UM_API size_t um_dtype_size(um_dtype dtype);
UM_API const char *um_dtype_name(um_dtype dtype);
UM_API bool um_dtype_is_integer(um_dtype dtype);
/* Takes NumPy names ("uint16") and short ones ("u2", "u16", "f4"); false if unknown. */
UM_API bool um_dtype_parse(const char *text, um_dtype *out);

/* The entries of some rows that are not zero; of rows of at most 65,536 entries. */
typedef struct um_sparse_rows {
    const uint32_t *start;  /* rows + 1 offsets into column and value */
    const uint16_t *column; /* ascending in a row */
    const void *value;
    um_dtype value_dtype; /* UM_U8 or UM_U16 */
} um_sparse_rows;

/* Version of the library ("0.1.0"), and a line about the build for people and provenance:
 * instruction set in use, BLAS name and core, HDF5 version. The text is owned by the context. */
UM_API const char *um_version(void);
UM_API const char *um_build_description(um_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
