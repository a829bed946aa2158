#include "bench_limits.h"

#include <errno.h>
#include <fcntl.h>
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
    if (buffer == NULL || parts == NULL) {
        free(buffer);
        free(parts);
        return cli_fail(c, UM_ERROR_MEMORY, "no memory for a buffer of 256 MiB");
    }
    memset(buffer, 1, bytes);
    size_t share = bytes / (size_t)threads / 64 * 64;
    for (int i = 0; i < threads; i++) {
        parts[i] = (part){sum_words, buffer + (size_t)i * share, share, 0.0};
    }
    double read = best_of(parts, threads);
    kernel_fn fma = choose_fma(out, &per_round);
    for (int i = 0; i < threads; i++) {
        parts[i] = (part){fma, &factor, 0, 0.0};
    }
    double work = best_of(parts, threads);
    free(buffer);
    free(parts);
    if (read <= 0.0 || work <= 0.0) {
        return cli_fail(c, UM_ERROR_MEMORY, "%d threads could not be started", threads);
    }
    out->memory_read_GBps = (double)(share * (size_t)threads) / read / 1e9;
    out->f32_fma_GFLOPS = 2.0 * per_round * FMA_ROUNDS * (double)threads / work / 1e9;
    return UM_OK;
}

/* Bytes per second of one sequential read; negative on failure. */
static double read_through(int fd, void *block)
{
    double start = cli_seconds();
    double total = 0.0;
    off_t offset = 0;
    for (;;) {
        ssize_t got = pread(fd, block, BLOCK, offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -1.0;
        }
        if (got == 0) {
            break;
        }
        total += (double)got;
        offset += got;
    }
    double seconds = cli_seconds() - start;
    return seconds > 0.0 ? total / seconds : -1.0;
}

um_status bench_file(cli *c, const char *path, bench_limits *out)
{
    void *block = malloc(BLOCK);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    um_status status = UM_OK;
    if (block == NULL || fd < 0) {
        status = cli_fail(c, UM_ERROR_IO, "%s: cannot be read back: %s", path, strerror(errno));
        goto cleanup;
    }
    /* Pages that wait to be written cannot be dropped. */
    fsync(fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    double cold = read_through(fd, block);
    double cached = -1.0;
    for (int i = 0; i < REPEATS; i++) {
        double again = read_through(fd, block);
        cached = again > cached ? again : cached;
    }
    if (cold < 0.0 || cached < 0.0) {
        status = cli_fail(c, UM_ERROR_IO, "%s: cannot be read back: %s", path, strerror(errno));
        goto cleanup;
    }
    out->file_read_GBps = cold / 1e9;
    out->file_cached_GBps = cached / 1e9;
cleanup:
    free(block);
    if (fd >= 0) {
        close(fd);
    }
    return status;
}
