#include "bench_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { REPEATS = 5, BLOCK = 8 << 20, LANES = 16, FMA_ROUNDS = 4000000 };

typedef double (*kernel_fn)(const void *data, size_t bytes);

typedef struct part {
    kernel_fn kernel;
    const void *data;
    size_t bytes;
    double result; /* kept so that no compiler leaves the work out */
} part;

static void *run_part(void *argument)
{
    part *p = argument;
    p->result = p->kernel(p->data, p->bytes);
    return NULL;
}

/* Seconds that all threads together take for their parts; negative when a thread cannot be had. */
static double run_parts(part *parts, int threads)
{
    pthread_t *handles = calloc((size_t)threads, sizeof *handles);
    if (handles == NULL) {
        return -1.0;
    }
    double start = cli_seconds();
    int started = 0;
    while (started < threads &&
           pthread_create(&handles[started], NULL, run_part, &parts[started]) == 0) {
        started++;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(handles[i], NULL);
    }
    free(handles);
    return started == threads ? cli_seconds() - start : -1.0;
}

static double best_of(part *parts, int threads)
{
    double best = -1.0;
    for (int i = 0; i < REPEATS; i++) {
        double seconds = run_parts(parts, threads);
        best = seconds > 0.0 && (best < 0.0 || seconds < best) ? seconds : best;
    }
    return best;
}

/* Eight sums, so that reading and not adding is what takes the time. */
static double sum_words(const void *data, size_t bytes)
{
    const uint64_t *words = data;
    uint64_t sum[8] = {0};
    for (size_t i = 0; i + 8 <= bytes / sizeof *words; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            sum[j] += words[i + j];
        }
    }
    uint64_t total = 0;
    for (size_t j = 0; j < 8; j++) {
        total ^= sum[j];
    }
    return (double)total;
}

#if defined(__x86_64__)
/* `bytes` is not used: the work is FMA_ROUNDS of twelve independent multiply-adds. */
__attribute__((target("avx512f"))) static double fma_avx512(const void *data, size_t bytes)
{
    (void)bytes;
    __m512 x = _mm512_set1_ps(*(const float *)data);
    __m512 a[12];
    for (int j = 0; j < 12; j++) {
        a[j] = _mm512_set1_ps((float)j);
    }
    for (int i = 0; i < FMA_ROUNDS; i++) {
        for (int j = 0; j < 12; j++) {
            a[j] = _mm512_fmadd_ps(a[j], x, x);
        }
    }
    float sum = 0.0F;
    for (int j = 0; j < 12; j++) {
        sum += _mm512_reduce_add_ps(a[j]);
    }
    return (double)sum;
}

__attribute__((target("avx2,fma"))) static double fma_avx2(const void *data, size_t bytes)
{
    (void)bytes;
    __m256 x = _mm256_set1_ps(*(const float *)data);
    __m256 a[12];
    for (int j = 0; j < 12; j++) {
        a[j] = _mm256_set1_ps((float)j);
    }
    for (int i = 0; i < FMA_ROUNDS; i++) {
        for (int j = 0; j < 12; j++) {
            a[j] = _mm256_fmadd_ps(a[j], x, x);
        }
    }
    float sum = 0.0F;
    for (int j = 0; j < 12; j++) {
        float lanes[8];
        _mm256_storeu_ps(lanes, a[j]);
        for (int l = 0; l < 8; l++) {
            sum += lanes[l];
        }
    }
    return (double)sum;
}
#endif

/* Without fused instructions: 12 x 4 independent products and sums. */
static double fma_portable(const void *data, size_t bytes)
{
    (void)bytes;
    float x = *(const float *)data;
    float a[48];
    for (int j = 0; j < 48; j++) {
        a[j] = (float)j;
    }
    for (int i = 0; i < FMA_ROUNDS; i++) {
        for (int j = 0; j < 48; j++) {
            a[j] = a[j] * x + x;
        }
    }
    float sum = 0.0F;
    for (int j = 0; j < 48; j++) {
        sum += a[j];
    }
    return (double)sum;
}

/* Widest multiply-add of this processor, and its multiply-adds per round. */
static kernel_fn choose_fma(bench_limits *out, double *per_round)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        out->fma_width = "avx512";
        *per_round = 12.0 * 16.0;
        return fma_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        out->fma_width = "avx2";
        *per_round = 12.0 * 8.0;
        return fma_avx2;
    }
#endif
    out->fma_width = "portable";
    *per_round = 48.0;
    return fma_portable;
}

um_status bench_memory_and_arithmetic(cli *c, int threads, bench_limits *out)
{
    const size_t bytes = (size_t)256 << 20;
    const float factor = 0.5F;
    double per_round = 0.0;
    unsigned char *buffer = malloc(bytes);
    part *parts = calloc((size_t)threads, sizeof *parts);
    bool measured = buffer != NULL && parts != NULL;
    kernel_fn fma = choose_fma(out, &per_round);
    if (measured) {
        memset(buffer, 1, bytes);
    }
    for (int all = 0; measured && all < 2; all++) {
        int count = all == 1 ? threads : 1;
        size_t share = bytes / (size_t)count / 64 * 64;
        for (int i = 0; i < count; i++) {
            parts[i] = (part){sum_words, buffer + (size_t)i * share, share, 0.0};
        }
        double read = best_of(parts, count);
        for (int i = 0; i < count; i++) {
            parts[i] = (part){fma, &factor, 0, 0.0};
        }
        double work = best_of(parts, count);
        measured = read > 0.0 && work > 0.0;
        out->memory_read_GBps[all] = (double)(share * (size_t)count) / read / 1e9;
        out->f32_fma_GFLOPS[all] = 2.0 * per_round * FMA_ROUNDS * (double)count / work / 1e9;
    }
    free(buffer);
    free(parts);
    return measured ? UM_OK
                    : cli_fail(c, UM_ERROR_MEMORY,
                               "no memory for a buffer of 256 MiB and %d threads", threads);
}

/* Seconds of one sequential read; NaN on failure. */
static double read_through(const char *path, int flags, void *block, double *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    double start = cli_seconds();
    off_t offset = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0) {
        do {
            got = pread(fd, block, BLOCK, offset);
        } while (got < 0 && errno == EINTR);
        offset += got > 0 ? got : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    *bytes = (double)offset;
    return got < 0 || offset == 0 ? NAN : cli_seconds() - start;
}

void bench_forget(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        /* Pages that wait to be written cannot be dropped. */
        fsync(fd);
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
}

um_status bench_file(cli *c, const char *path, bool cached, bench_file_limits *out)
{
    void *block = NULL;
    double bytes = 0.0;
    if (posix_memalign(&block, 4096, BLOCK) != 0) {
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for a block of 8 MiB");
    }
    bench_forget(path);
    out->direct_seconds = read_through(path, O_DIRECT, block, &bytes);
    bench_forget(path);
    out->buffered_seconds = read_through(path, 0, block, &out->bytes);
    out->cold_seconds = fmin(out->direct_seconds, out->buffered_seconds); /* of the one that is no NaN */
    out->cached_seconds = NAN;
    for (int i = 0; cached && i < REPEATS; i++) {
        out->cached_seconds = fmin(out->cached_seconds, read_through(path, 0, block, &bytes));
    }
    free(block);
    return isnan(out->buffered_seconds)
               ? cli_fail(c, UM_ERROR_IO, "%s: cannot be read back: %s", path, strerror(errno))
               : UM_OK;
}
