#include "io_internal.h"

#include <math.h>

/* The two factors of `patterns` whose ratio is nearest to ny:nx. */
static void nearest_factors(int64_t patterns, int64_t ny, int64_t nx, int64_t *fy, int64_t *fx)
{
    double want = log((double)ny / (double)nx);
    double best = INFINITY;
    *fy = 1;
    *fx = patterns;
    /* Only hints: a million trials are enough for 10^12 patterns. */
    for (int64_t a = 1; a * a <= patterns && a <= 1000000; a++) {
        if (patterns % a != 0) {
            continue;
        }
        for (int turn = 0; turn < 2; turn++) {
            int64_t y = turn == 0 ? a : patterns / a;
            double off = fabs(log((double)y / (double)(patterns / y)) - want);
            if (off < best) {
                best = off;
                *fy = y;
                *fx = patterns / y;
            }
        }
    }
}

um_status um_scan_shape(um_context *ctx, const um_probe *probe, const um_open_options *options,
                        int64_t ny, int64_t nx, int64_t patterns, um_source *source)
{
    bool given = options != NULL && (options->scan_ny != 0 || options->scan_nx != 0);
    if (given) {
        ny = options->scan_ny;
        nx = options->scan_nx;
    }
    size_t total = 0;
    if (ny <= 0 || nx <= 0 || !um_mul4(ny, nx, 1, 1, &total)) {
        return um_fail(ctx, UM_ERROR_SHAPE, "%s: scan of %lld x %lld positions is not possible%s",
                       probe->path, (long long)ny, (long long)nx,
                       given ? "" : ": pass --scan NYxNX");
    }
    if (patterns <= 0) {
        return um_fail(ctx, UM_ERROR_TRUNCATED, "%s: holds no complete pattern", probe->path);
    }
    int64_t count = (int64_t)total;
    bool growing = options != NULL && options->growing;
    if (count > patterns && !growing && !(options != NULL && options->allow_short)) {
        int64_t fy = 0;
        int64_t fx = 0;
        nearest_factors(patterns, ny, nx, &fy, &fx);
        return um_fail(ctx, given ? UM_ERROR_SHAPE : UM_ERROR_TRUNCATED,
                       "%s: scan is %lldx%lld but the file has %lld patterns: pass --scan %lldx%lld "
                       "or --allow-short",
                       probe->path, (long long)ny, (long long)nx, (long long)patterns,
                       (long long)fy, (long long)fx);
    }
    if (count > patterns && !growing) {
        um_warn(ctx, "%s: %lld of %lld patterns are missing; their positions are left out",
                probe->path, (long long)(count - patterns), (long long)count);
    } else if (count < patterns && given && !growing) {
        um_warn(ctx, "%s: --scan %lldx%lld uses the first %lld of %lld patterns", probe->path,
                (long long)ny, (long long)nx, (long long)count, (long long)patterns);
    }
    source->info.shape.ny = ny;
    source->info.shape.nx = nx;
    source->info.positions_present = count < patterns ? count : patterns;
    return UM_OK;
}
